"""`retrap diff`: what differs between two traces, or between a trace and the same image on another kernel."""

from __future__ import annotations

import io
import json
import sys
from contextlib import ExitStack
from pathlib import Path

from retrap.tools.booting import header, prepare_from_trace
from retrap.tools.errors import Status, UsageError
from retrap.tools.session import Session
from retrap.tools.showing import release_of
from retrap.traces.diff import DiffReport
from retrap.traces.diff import diff as diff_records
from retrap.traces.diff_text import diff_lines
from retrap.traces.reader import Reader
from retrap.traces.replay import instruction_limit
from retrap.traces.writer import Recorder


def diff(a: str | Path, b: str | Path | None = None, *, kernel: str | None = None, context: int = 3) -> DiffReport:
    """Compare two traces, or (`kernel`) a trace with a run of its image on another release.

    Raises `InputError`, `TraceError` or `UsageError` for bad input.
    """
    with ExitStack() as stack:
        first, second = _open(stack, Path(a), None if b is None else Path(b), kernel)
        return diff_records(first, second, release_of(first), release_of(second), context=context)


def command(a: Path, b: Path | None, *, kernel: str | None, as_json: bool, context: int) -> int:
    """`retrap diff`."""
    with ExitStack() as stack:
        first, second = _open(stack, a, b, kernel)
        releases = release_of(first), release_of(second)
        report = diff_records(first, second, *releases, context=context, limit=None if as_json else 1000)
        if as_json:
            sys.stdout.write(json.dumps(report.to_json(), indent=2) + "\n")
        else:
            for line in diff_lines(report, first, second, *releases):
                sys.stdout.write(line + "\n")
    return Status.OK if report.same else Status.DIFFERENT


def _open(stack: ExitStack, a: Path, b: Path | None, kernel: str | None) -> tuple[Reader, Reader]:
    if (b is None) == (kernel is None):
        raise UsageError("diff: name a second trace, or a kernel to run the first one's image on (-k)")
    first = stack.enter_context(Reader(a))
    if b is not None:
        return first, stack.enter_context(Reader(b))
    return first, stack.enter_context(rerun(first, kernel))


def rerun(reader: Reader, kernel: str | None) -> Reader:
    """A trace in memory of the image that a trace embeds, run on another kernel for as many instructions."""
    prepared = prepare_from_trace(reader, kernel)
    session = Session(prepared.plan)
    engine = session.kernel
    stream = io.BytesIO()
    head, inputs = header(prepared)
    recorder = Recorder(
        stream, head, prepared.image.data, engine.threads, prepared.plan.release, engine.digest, inputs
    )
    result = session.run((recorder,), None, instruction_limit(reader))
    recorder.close(result.instructions, result.end.value, bytes.fromhex(result.state_digest))
    stream.seek(0)
    return Reader(stream)

