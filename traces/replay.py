"""Replaying: the recorded inputs go to a fresh kernel, and everything that it decides is compared.

A kernel-only replay needs no CPU: a record holds the registers with which the kernel was entered and all that
it read from memory. A CPU replay runs the image again and compares the stream of kernel entries; `Comparer` is
what watches it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, final

from retrap.kernel.abi.release import Release
from retrap.kernel.effects import IDLE, Effects
from retrap.machine.context import Context
from retrap.machine.traps import Trap, TrapKind
from retrap.traces.calls import register_name
from retrap.traces.reader import Reader
from retrap.traces.record import OUTPUTS, Record, ThreadEntry, record_of
from retrap.traces.writer import Gathered, ThreadLike, ThreadWatch

_BUFFER_WORDS: Final = 128

# Which bits the one-bit and narrow slots of a context can have, slots 16 (N) to 31 (FPEXC_EN), as one number.
_WIDTHS: Final = (1, 1, 1, 1, 1, 4, 1, 8, 1, 32, 32, 32, 1, 32, 32, 1)
_IMPOSSIBLE: Final = ~int.from_bytes(struct.pack("<16I", *((1 << width) - 1 for width in _WIDTHS)), "little")

MAX_DIVERGENCES: Final = 1000
"""A report lists no more diverging records than this; it counts all of them."""


class CurrentThread(Protocol):
    """What a replay wants to know of the thread that runs."""

    @property
    def number(self) -> int: ...


class KernelLike(Protocol):
    """What a replay needs of a kernel (`retrap.kernel.engine.Kernel`)."""

    @property
    def effects(self) -> Effects: ...

    @property
    def current(self) -> CurrentThread: ...

    @property
    def context(self) -> Context: ...

    @property
    def threads(self) -> Sequence[ThreadLike]: ...

    @property
    def halted(self) -> bool: ...

    def enter(self, trap: Trap, time: int) -> object: ...

    def write_buffer(self, thread_number: int, word_index: int, words: list[int]) -> bool: ...

    def raise_irq(self, irq: int) -> None: ...

    def on_work(self, worked: Callable[[], None] | None) -> None: ...

    def digest(self) -> bytes: ...


@final
@dataclass(frozen=True, slots=True)
class Mismatch:
    """One field that came out differently. The values are plain (numbers, texts, lists)."""

    field: str
    expected: Any
    actual: Any


@final
@dataclass(slots=True)
class Divergence:
    """A record that came out differently: which one, and every field in which it did.

    `expected` is the record of the trace, `actual` what happened now; None where there was none.
    """

    number: int
    time: int
    thread: int
    mismatches: list[Mismatch]
    expected: Record | None = None
    actual: Record | None = None


@final
@dataclass(slots=True)
class ReplayReport:
    """What a replay found. It is `same` if there was nothing to find.

    `records`: how many were compared; `digests`: how many of them carried a state digest that was compared,
    the end mark's included. `complete`: whether the trace has an end mark; a torn one is compared as far as it
    goes. `diverging` counts all diverging records, `divergences` lists the first of them.
    """

    kind: str  # "kernel" or "cpu"
    records: int = 0
    digests: int = 0
    complete: bool = True
    diverging: int = 0
    divergences: list[Divergence] = field(default_factory=list)

    @property
    def same(self) -> bool:
        return not self.diverging

    def add(self, divergence: Divergence) -> None:
        """Count a divergence, and keep it if there is room."""
        self.diverging += 1
        if len(self.divergences) < MAX_DIVERGENCES:
            self.divergences.append(divergence)

    def to_json(self) -> dict[str, Any]:
        """The report in plain values."""
        return {
            "replay": self.kind,
            "same": self.same,
            "complete": self.complete,
            "records": self.records,
            "digests": self.digests,
            "diverging": self.diverging,
            "divergences": [
                {
                    "record": found.number,
                    "time": found.time,
                    "thread": found.thread,
                    "mismatches": [
                        {"field": m.field, "expected": m.expected, "actual": m.actual} for m in found.mismatches
                    ],
                }
                for found in self.divergences
            ],
        }


def replay(reader: Reader, kernel: KernelLike, release: Release, *, go_on: bool = False) -> ReplayReport:
    """Feed a trace's records to a kernel that was just booted from the same plan, and compare.

    Stops after the first diverging record unless told to go on. Raises `TraceError` where the trace is damaged;
    a record that cannot be applied is a divergence, whatever it holds.
    """
    report = ReplayReport("kernel", complete=reader.complete)
    watch = ThreadWatch(kernel.threads, release)
    effects = kernel.effects
    for record in reader:
        report.records += 1
        reason = _apply(kernel, record)
        if reason:
            mismatch = Mismatch("record", "can be applied", reason)
            report.add(Divergence(record.number, record.time, record.thread, [mismatch], record))
        else:
            changes = watch.changes(effects)
            digest = b""
            if record.digest:
                digest = kernel.digest()
                report.digests += 1
            if not _same(record, effects, changes, digest):
                actual = _actual(record, effects, changes, digest)
                _report(report, record, actual)
        if report.diverging and not go_on:
            return report
    if reader.end is not None:
        report.digests += 1
        _compare_end(report, reader.end.records, {"state_digest": (reader.end.state_digest, kernel.digest())})
    return report


@final
class Comparer:
    """Watches a run that should repeat a trace (CPU replay): a watcher in the sense of the run loop.

    It also compares what went into the kernel: time, registers, what was read from memory. After the first
    diverging record it only counts what follows, because nothing after it can be expected to be the same.
    """

    def __init__(
        self, reader: Reader, threads: Sequence[ThreadLike], release: Release, digest: Callable[[], bytes]
    ) -> None:
        self._reader: Final = reader
        self._expected: Final[Iterator[Record]] = iter(reader)
        self._watch: Final = ThreadWatch(threads, release)
        self._digest: Final = digest
        self._gathered: Final = Gathered()
        self._over = False
        self.report: Final = ReplayReport("cpu", complete=reader.complete)

    def before(self, context: Context) -> None:
        """Nothing to do: the effects will have the registers."""

    def interrupt(self, irq: int) -> None:
        """A device's interrupt: the next kernel entry is for it."""
        self._gathered.now.interrupts.append(irq)

    def worked(self, checks: int) -> None:
        """The interrupts came at this of the entry's preemption points."""
        self._gathered.now.work = checks

    def arrived(self, data: bytes, time: int) -> None:
        """Serial input came in."""
        self._gathered.now.arrived.append((time, data))

    def warned(self, text: str) -> None:
        """A device has something to say."""
        self._gathered.now.warnings.append(text)

    def after(self, effects: Effects) -> None:
        """Compare the entry with the next record. Raises `TraceError` where the trace is damaged."""
        changes = self._watch.changes(effects)
        outside = self._gathered.take()
        if self._over or self.report.diverging:
            return
        expected = next(self._expected, None)
        if expected is None:
            self._over = True
            # A torn trace just ends; after a complete one there should be nothing.
            if self.report.complete:
                actual = record_of(self.report.records, effects, effects.context)
                mismatch = Mismatch("record", "none: the trace ends", "one more")
                self.report.add(Divergence(actual.number, actual.time, actual.thread, [mismatch], None, actual))
            return
        self.report.records += 1
        digest = b""
        if expected.digest:
            digest = self._digest()
            self.report.digests += 1
        actual = record_of(expected.number, effects, effects.context)
        actual.threads = changes
        actual.outside = outside
        actual.digest = digest
        if actual != expected:
            _report(self.report, expected, actual, inputs=True)

    def finish(self, instructions: int, outcome: str, state_digest: bytes) -> ReplayReport:
        """The report, once the run has ended as the arguments say."""
        end = self._reader.end
        if end is None or self.report.diverging:
            return self.report
        self.report.digests += 1
        _compare_end(
            self.report,
            end.records,
            {
                "records": (end.records, self.report.records),
                "instructions": (end.instructions, instructions),
                "outcome": (end.outcome, outcome),
                "state_digest": (end.state_digest, state_digest),
            },
        )
        return self.report


def instruction_limit(reader: Reader) -> int:
    """After how many instructions a run that repeats the trace is certainly over.

    A run that was cut off is cut off at the same instruction; others get one more, so that a trap that retires
    nothing still happens. Raises `TraceError` where the trace is damaged.
    """
    if reader.end is not None:
        return reader.end.instructions + (reader.end.outcome not in ("limit", "interrupted"))
    if not len(reader):
        return 0
    return reader.record(len(reader) - 1).time + 1


# -- one record ----------------------------------------------------------------------------------------------------


def _apply(kernel: KernelLike, record: Record) -> str:
    """Enter the kernel as the record says; otherwise the reason why that is impossible."""
    current = kernel.current.number
    if kernel.halted:
        return "the kernel has halted"
    if record.thread != current:
        return f"thread {record.thread} cannot trap: {_thread(current)} runs"
    if current == IDLE:
        if record.kind != TrapKind.INTERRUPT:
            return "no thread runs, and this is no interrupt"
    else:
        if int.from_bytes(record.context[64:], "little") & _IMPOSSIBLE:
            return "its registers cannot exist (a flag has more than one bit)"
        kernel.context.head[:] = memoryview(record.context).cast("I")
    if record.work:
        kernel.on_work(_Later(kernel, record).worked)
    else:
        for irq in record.interrupts:
            kernel.raise_irq(irq)
    if record.reads:
        # Where a word was read twice, the first time tells what was there at the trap: place that one last.
        count = len(kernel.threads)
        for thread, index, words in reversed(record.reads):
            if not 0 <= thread < count or index + len(words) > _BUFFER_WORDS:
                return f"words {index} to {index + len(words) - 1} of thread {thread}'s IPC buffer do not exist"
            if not kernel.write_buffer(thread, index, words):
                return f"thread {thread} has no IPC buffer to read from"
    kernel.enter(record.trap(), record.time)
    if record.work:
        kernel.on_work(None)
    return ""


@final
class _Later:
    """Raises a record's interrupts at the preemption point at which they came."""

    def __init__(self, kernel: KernelLike, record: Record) -> None:
        self._kernel: Final = kernel
        self._irqs: Final = record.interrupts
        self._left = record.work

    def worked(self) -> None:
        self._left -= 1
        if self._left == 0:
            for irq in self._irqs:
                self._kernel.raise_irq(irq)


def _thread(number: int) -> str:
    return "no thread" if number == IDLE else f"thread {number}"


def _same(record: Record, effects: Effects, changes: list[ThreadEntry], digest: bytes) -> bool:
    """Whether the kernel did what the record says (most likely differences first)."""
    return (
        effects.registers == record.registers
        and effects.next_thread == record.next_thread
        and effects.outcome == record.outcome
        and effects.target == record.target
        and effects.error == record.error
        and effects.reason == record.reason
        and effects.badge == record.badge
        and effects.fault == record.fault
        and effects.buffer_writes == record.buffer_writes
        and effects.reads == record.reads
        and effects.error_words == record.error_words
        and effects.fault_words == record.fault_words
        and effects.console == record.console
        and tuple(effects.extra_caps) == record.extra_caps
        and changes == record.threads
        and digest == record.digest
    )


def _actual(record: Record, effects: Effects, changes: list[ThreadEntry], digest: bytes) -> Record:
    """The record of what the kernel did now."""
    actual = record_of(record.number, effects, record.context)
    actual.threads = changes
    actual.digest = digest
    actual.outside = record.outside
    return actual


_COMPARED: Final = ("reads", *OUTPUTS, "threads", "digest")
_COMPARED_INPUTS: Final = (
    "time", "thread", "kind", "address", "status", "context", "interrupts", "work", "arrived",
    "warnings",
)  # fmt: skip


def differences(expected: Record, actual: Record, *, inputs: bool = False) -> list[Mismatch]:
    """Every field in which two records differ: what the kernel did, and with `inputs` what it was given."""
    found = []
    for name in (_COMPARED_INPUTS if inputs else ()) + _COMPARED:
        before, after = getattr(expected, name), getattr(actual, name)
        if before != after:
            if name == "context":
                found.extend(_context_differences(expected, actual))
            elif name == "registers":
                found.extend(_register_differences(before, after))
            else:
                found.append(Mismatch(name, _plain(before), _plain(after)))
    return found


def _context_differences(expected: Record, actual: Record) -> list[Mismatch]:
    pairs = zip(expected.words_in, actual.words_in, strict=True)
    return [
        Mismatch(f"register {register_name(slot)} at the trap", before, after)
        for slot, (before, after) in enumerate(pairs)
        if before != after
    ]


def _register_differences(
    before: list[tuple[int, int, int]], after: list[tuple[int, int, int]]
) -> list[Mismatch]:
    """Register writes, by thread and register; the order of writes counts only if nothing else differs."""
    wrote = {(thread, slot): value for thread, slot, value in before}
    writes = {(thread, slot): value for thread, slot, value in after}
    found = []
    for place in dict.fromkeys([*wrote, *writes]):
        old, new = wrote.get(place), writes.get(place)
        if old != new:
            found.append(Mismatch(f"register {register_name(place[1])} of thread {place[0]}", old, new))
    return found or [Mismatch("order of register writes", _plain(before), _plain(after))]


def _report(report: ReplayReport, expected: Record, actual: Record, *, inputs: bool = False) -> None:
    found = differences(expected, actual, inputs=inputs)
    report.add(Divergence(expected.number, expected.time, expected.thread, found, expected, actual))


def _compare_end(report: ReplayReport, number: int, pairs: dict[str, tuple[Any, Any]]) -> None:
    found = [
        Mismatch(f"{name} at the end", _plain(expected), _plain(actual))
        for name, (expected, actual) in pairs.items()
        if expected != actual
    ]
    if found:
        report.add(Divergence(number, -1, IDLE, found))


def _plain(value: Any) -> Any:
    """A field's value as JSON has it."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
