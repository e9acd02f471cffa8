"""Runs of the prebuilt samples, recorded: what the tests of replay and diff start from."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

from retrap.kernel.engine import Kernel
from retrap.machine.context import ContextArena
from retrap.machine.memory import PhysicalMemory
from retrap.tools.booting import header, prepare, prepare_from_trace
from retrap.tools.session import Session
from retrap.traces.reader import Reader
from retrap.traces.writer import Recorder

SAMPLES = Path(__file__).parents[2] / "samples" / "prebuilt"


@cache
def recorded(sample: str, arguments: str = "", limit: int | None = None) -> bytes:
    """The trace of a sample's run."""
    prepared = prepare(SAMPLES / f"{sample}.elf", arguments=arguments or None)
    session = Session(prepared.plan)
    stream = io.BytesIO()
    head, inputs = header(prepared)
    kernel = session.kernel
    image = (SAMPLES / f"{sample}.elf").read_bytes()
    recorder = Recorder(stream, head, image, kernel.threads, prepared.plan.release, kernel.digest, inputs)
    result = session.run((recorder,), None, limit)
    recorder.close(result.instructions, str(result.end), bytes.fromhex(result.state_digest))
    return stream.getvalue()


def reader(sample: str, arguments: str = "", limit: int | None = None) -> Reader:
    return Reader(io.BytesIO(recorded(sample, arguments, limit)))


def fresh_kernel(trace: Reader) -> Kernel:
    """A kernel booted from what the trace embeds."""
    plan = prepare_from_trace(trace).plan
    return Kernel(plan, PhysicalMemory(plan.ram), ContextArena())


def fresh_session(trace: Reader) -> Session:
    """A whole system booted from what the trace embeds."""
    return Session(prepare_from_trace(trace).plan)
