"""`retrap replay`: a trace's calls again, on the kernel alone or on a CPU as well."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrap.kernel.engine import Kernel
from retrap.machine.context import ContextArena
from retrap.machine.memory import PhysicalMemory
from retrap.tools.booting import BACKENDS, LIVE, choose, prepare_from_trace, write_error
from retrap.tools.errors import Status
from retrap.tools.serial_input import Recorded
from retrap.tools.session import End, Session
from retrap.traces.reader import Reader
from retrap.traces.replay import Comparer, Divergence, ReplayReport, instruction_limit
from retrap.traces.replay import replay as replay_records
from retrap.traces.show import Formatter

SHOWN = 5
"""Diverging records that are printed."""


def replay(
    trace: str | Path,
    *,
    kernel: str | None = None,
    cpu: bool = False,
    backend: str = "auto",
    cache: bool = True,
    devices: Sequence[str] = (),
) -> ReplayReport:
    """Replay a trace and compare every outcome; the report is `same` if nothing differs.

    `kernel`: on another release than the trace was recorded on. `cpu`: run the embedded image again and compare
    what goes into the kernel too. `devices`: classes of the user's own that may be loaded for it. Raises
    `InputError`, `TraceError` or `UsageError` for bad input.
    """
    with Reader(Path(trace)) as reader:
        return _replay(reader, kernel, cpu, backend, cache, devices)


def _replay(
    reader: Reader, kernel: str | None, cpu: bool, backend: str, cache: bool, devices: Sequence[str]
) -> ReplayReport:
    prepared = prepare_from_trace(reader, kernel, devices)
    plan = prepared.plan
    if not cpu:
        fresh = Kernel(plan, PhysicalMemory(plan.ram), ContextArena())
        return replay_records(reader, fresh, plan.release, go_on=kernel is not None)
    source = Recorded(reader) if LIVE in reader.header.settings else None
    session = Session(plan, backend, "off", cache, prepared.models, source)
    comparer = Comparer(reader, session.kernel.threads, plan.release, session.kernel.digest)
    result = session.run((comparer,), None, instruction_limit(reader))
    end = result.end
    if end is End.LIMIT and reader.end is not None and reader.end.outcome == End.INTERRUPTED:
        end = End.INTERRUPTED  # stopped where the recorded run was stopped by hand
    return comparer.finish(result.instructions, end.value, bytes.fromhex(result.state_digest))


def command(
    trace: Path,
    *,
    kernel: str | None,
    cpu: bool,
    backend: str,
    as_json: bool,
    cache: bool = True,
    devices: Sequence[str] = (),
) -> int:
    """`retrap replay`."""
    choose("--backend", backend, BACKENDS)
    with Reader(trace) as reader:
        report = _replay(reader, kernel, cpu, backend, cache, devices)
        if as_json:
            sys.stdout.write(json.dumps(report.to_json(), indent=2) + "\n")
        else:
            _print(report, reader, kernel)
    if not report.complete:
        write_error(f"retrap: {trace}: the trace is incomplete: it was never closed\n")
    return Status.OK if report.same else Status.DIFFERENT


def _print(report: ReplayReport, reader: Reader, kernel: str | None) -> None:
    out = sys.stdout
    what = "image and kernel" if report.kind == "cpu" else "kernel"
    on = kernel or reader.header.release
    if report.same:
        agree = f"{report.records} traps and {report.digests} state digests agree"
        out.write(f"{reader.file}: {what} replayed on {on}: {agree}\n")
        return
    out.write(f"{reader.file}: {what} replayed on {on}: {report.diverging} of {report.records} traps differ\n")
    for found in report.divergences[:SHOWN]:
        out.write(_divergence(found, reader))
    if report.diverging > SHOWN:
        out.write(f"… and {report.diverging - SHOWN} more\n")


def _divergence(found: Divergence, reader: Reader) -> str:
    from retrap.kernel import abi

    lines = [f"\ntrap {found.number} at {found.time}, thread {found.thread}:"]
    if found.expected is not None:
        formatter = Formatter(abi.release(reader.header.release))
        lines.append(f"  {formatter.lines(found.expected)[0]}")
    lines += [f"  {m.field}: recorded {_value(m.expected)}, now {_value(m.actual)}" for m in found.mismatches]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    return f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) and value > 999 else str(value)
