"""Records to bytes: the path that every trap of a recorded run takes.

Nearly all records are of system calls that did something and have nothing to explain. Their shapes are found by a
few comparisons (`_Simple`), those of the others by all that they consist of. What nearly all records consist of is
written in one of two ways, whose bytes are the same (`retrap.traces.output`): number by number where this file is
compiled ahead, with as few calls as possible in plain Python.
"""

from __future__ import annotations

from array import array
from typing import Final, final

from retrap.kernel.effects import Effects
from retrap.machine.traps import SVC
from retrap.traces.codec import (
    ABORT,
    ANSWER_AND_1,
    ANSWER_AND_1_1,
    ANSWER_AND_1_2,
    ANSWERED,
    ARRIVAL,
    HEAD,
    HEAD_AND_ANSWER,
    HEAD_AND_VALUES,
    READY,
    REGISTER,
    SHAPE_NUMBERS,
    U16,
    U32,
)  # fmt: skip
from retrap.traces.layout import CONTEXT_BYTES, CONTEXT_WORDS, Section
from retrap.traces.output import (
    BytesWriter,
    pack_buffer_words,
    pack_capability,
    pack_text,
    pack_threads,
    pack_words,
    packed_words,
    put_answer,
    put_buffer_words,
    put_differences,
    put_head,
)
from retrap.traces.record import NO_CONTEXT, Capability, Outside, RegisterWrite, ThreadEntry

NUMBER_BY_NUMBER: Final = not __file__.endswith(".py")
"""Whether this file is compiled ahead."""

_NO_PLACES: Final[list[int]] = []

_NO_TEXTS: Final = bytes(4)  # their lengths
_NO_CAPABILITY: Final = bytes(2)
_ONE_CAPABILITY: Final = b"\1\0"

_LONGEST_CHAIN: Final = 16
"""Simple shapes of one thread and target that are looked for one by one."""

_NOTHING: Final = 0
_ANSWER: Final = 1  # the empty reply: the trapping thread's badge and message info
_VALUES: Final = 2

_READS: Final = Section.READS
_BUFFER_WRITES: Final = Section.BUFFER_WRITES
_CONSOLE: Final = Section.CONSOLE
_BUFFER_SECTIONS: Final = Section.READS | Section.BUFFER_WRITES

_number_of: Final = int.from_bytes

_Key = tuple[
    int, int, int, int, int, int, int, str, str, Capability | None, tuple[Capability | None, ...], tuple[int, ...],
]  # fmt: skip
"""The fields of `layout.SHAPE` in order, each register as thread << 8 | slot & 255."""


@final
class _Simple:
    """The shape of a system call without an error, a fault, a reason, and of few kinds of sections.

    It belongs to a thread and a target; `following` is another one that does.
    """

    __slots__ = (
        "badge", "extra_caps", "following", "index", "next_thread", "outcome", "places", "sections", "written",
    )  # fmt: skip

    def __init__(
        self,
        index: int,
        next_thread: int,
        outcome: int,
        badge: int,
        sections: int,
        extra_caps: list[Capability | None],
        written: int,
        places: list[int],
    ) -> None:
        self.index: Final = index
        self.next_thread: Final = next_thread
        self.outcome: Final = outcome
        self.badge: Final = badge
        self.sections: Final = sections
        self.extra_caps: Final = extra_caps
        self.written: Final = written
        """What was written to registers: `_NOTHING`, `_ANSWER` or `_VALUES`."""
        self.places: Final = places
        self.following: _Simple | None = None


@final
class _Thread:
    """What a frame knows of a thread."""

    __slots__ = ("context", "number", "registers", "simple")

    def __init__(self, number: int) -> None:
        self.number: Final = number
        self.context = NO_CONTEXT
        """Its registers at its last trap."""
        self.registers = 0
        """The same as one number; not kept up where differences are written number by number."""
        self.simple: Final[dict[object, _Simple]] = {}
        """Simple shapes of its records, by target."""


@final
class Encoder:
    """Appends records, one frame at a time; the caller takes the bytes and starts the next frame.

    `number_by_number`: see above; for tests.
    """

    __slots__ = ("_count", "_last", "_shapes", "_threads", "_unboxed", "frame", "out", "shape", "time")

    def __init__(self, number_by_number: bool = NUMBER_BY_NUMBER) -> None:
        self._unboxed: Final = number_by_number
        self.out: Final = BytesWriter()
        """The frame so far."""
        self._count = 0  # of shapes
        self._shapes: dict[_Key, int] = {}
        self._threads: dict[int, _Thread] = {}
        self._last = self._thread(0)  # that of the last record
        self.time = 0
        """That of the last record."""
        self.frame = 0
        """Number of this frame."""
        self.shape = -1
        """The last record's, if it has no sections but those of the IPC buffer."""

    def start(self, time: int, threads: list[ThreadEntry]) -> None:
        """Begin a frame: `time` is that of the record before it, `threads` all threads known so far."""
        out = self.out
        out.truncate(0)
        self._count = 0
        self._shapes = {}
        self._threads = {}
        self._last = self._thread(0)
        self.time = time
        self.frame += 1
        out.write(U32.pack(len(threads)))
        pack_threads(out, threads)

    @property
    def buffer(self) -> bytes:
        """The frame so far."""
        return self.out.getvalue()

    @property
    def size(self) -> int:
        """The bytes of the frame so far."""
        return len(self.out)

    def _thread(self, number: int) -> _Thread:
        found = self._threads.get(number)
        if found is None:
            found = self._threads[number] = _Thread(number)
        return found

    def context(self, thread: int) -> bytes:
        """The registers of a thread at its last record in this frame."""
        return self._thread(thread).context

    def append(self, records: memoryview, contexts: dict[int, memoryview], time: int) -> None:
        """Append records of known shapes that were encoded elsewhere.

        `contexts`: registers of each thread at its last record among them; `time`: that of the last one.
        """
        self.out.write(records.tobytes())
        for number, words in contexts.items():
            thread = self._thread(number)
            thread.context = words.tobytes()
            if not self._unboxed:
                thread.registers = int.from_bytes(thread.context, "little")
        self.time = time

    def add(
        self,
        effects: Effects,
        context: bytes,
        threads: list[ThreadEntry],
        outside: Outside | None,
        digest: bytes,
    ) -> None:
        """Append the record of a kernel entry; `context` is the `CONTEXT_BYTES` taken at its trap."""
        if threads or outside is not None or digest:
            self._add_any(effects, context, threads, outside, digest)
        else:
            self.add_entry(effects, context)

    def add_entry(self, effects: Effects, context: bytes) -> None:
        """As `add`, of an entry with nothing besides."""
        if effects.trap is not SVC or (effects.why is not None and _explains(effects)):
            self._add_any(effects, context, [], None, b"")
            return
        thread = self._last
        if thread.number != effects.thread:
            thread = self._last = self._thread(effects.thread)
        reads = effects.reads
        sections = _READS if reads else 0
        if effects.buffer_writes:
            sections |= _BUFFER_WRITES
        if effects.console:
            sections |= _CONSOLE
        log = effects.log
        if effects.answered:
            written = _VALUES if log else _ANSWER
            if log:
                log = effects.registers
        else:
            written = _VALUES if log else _NOTHING

        places = [owner << 8 | slot & 0xFF for owner, slot, _ in log] if log else _NO_PLACES

        # Has the frame had such a record?
        target: object = effects.target
        next_thread = effects.next_thread
        outcome = effects.outcome
        badge = effects.badge
        extra_caps = effects.extra_caps
        first = simple = thread.simple.get(target)
        length = 0
        while simple is not None:
            if (
                simple.sections == sections
                and simple.next_thread == next_thread
                and simple.outcome == outcome
                and simple.badge == badge
                and (simple.written == written if written < _VALUES else simple.places == places)
                and (simple.extra_caps == extra_caps if extra_caps else not simple.extra_caps)
            ):
                break
            simple = simple.following
            length += 1
        new = simple is None
        if simple is None:
            if length == _LONGEST_CHAIN:
                self._add_any(effects, context, [], None, b"")
                return
            simple = _simple(self._count, effects, sections)
            simple.following = first
            thread.simple[target] = simple
            self._count += 1
        index = simple.index
        self.shape = index if sections < _CONSOLE else -1
        time = effects.time
        elapsed = time - self.time
        self.time = time

        out = self.out
        if self._unboxed:
            put_head(out, index, elapsed, context, thread.context)
            thread.context = context
            if new:
                self._put_shape(effects, sections)
            if written == _ANSWER:
                put_answer(out, context)
            elif log:
                put_differences(out, log, context)
            if reads:
                put_buffer_words(out, reads)
            if sections > _READS:
                self._put_sections(effects, sections & ~_READS, [], None, b"")
            return

        registers = _number_of(context, "little")
        change = (registers ^ thread.registers).to_bytes(CONTEXT_BYTES, "little")
        thread.context = context
        thread.registers = registers
        if new:
            out.write(HEAD.pack(index, elapsed, change))
            self._put_shape(effects, sections)
            if written:
                out.write(packed_words(_differences(effects.registers, context, registers)))
        elif written == _ANSWER:
            if sections == _READS:
                owner, place, words = reads[0]
                if len(words) == 1:
                    # A capability pointer, nearly always; and then perhaps the end of a message.
                    if len(reads) == 1:
                        out.write(ANSWER_AND_1(index, elapsed, change, context[:8], 1, owner, place, 1, words[0]))
                        return
                    if len(reads) == 2:
                        other, at, more = reads[1]
                        if len(more) == 1:
                            out.write(
                                ANSWER_AND_1_1(
                                    index, elapsed, change, context[:8],
                                    2, owner, place, 1, words[0], other, at, 1, more[0],
                                )
                            )  # fmt: skip
                            return
                        if len(more) == 2:
                            out.write(
                                ANSWER_AND_1_2(
                                    index, elapsed, change, context[:8],
                                    2, owner, place, 1, words[0], other, at, 2, more[0], more[1],
                                )
                            )  # fmt: skip
                            return
            out.write(HEAD_AND_ANSWER(index, elapsed, change, context[:8]))
        elif written:
            self._put_head_and_values(index, elapsed, change, _differences(log, context, registers))
        else:
            out.write(HEAD.pack(index, elapsed, change))
        if sections:
            if sections == _READS:
                pack_buffer_words(out, reads)
            elif sections == _CONSOLE:
                out.write(U32.pack(len(effects.console)))
                out.write(effects.console)
            else:
                self._put_sections(effects, sections, [], None, b"")

    def _add_any(
        self, effects: Effects, context: bytes, threads: list[ThreadEntry], outside: Outside | None, digest: bytes
    ) -> None:
        """As `add`, whatever the record consists of."""
        trap = effects.trap
        assert trap is not None
        number = effects.thread
        if trap is not SVC and number < 0:
            context = NO_CONTEXT
        sections = _sections(effects, threads, outside, digest)
        registers = int.from_bytes(context, "little")
        written = effects.registers
        extra_caps = effects.extra_caps
        shape: _Key = (
            number, effects.next_thread, int(trap.kind), effects.outcome, effects.error, effects.badge, sections,
            effects.fault, effects.reason, effects.target, tuple(extra_caps) if extra_caps else (),
            tuple([owner << 8 | slot & 0xFF for owner, slot, _ in written]),
        )  # fmt: skip
        thread = self._thread(number)
        before = int.from_bytes(thread.context, "little")
        change = (registers ^ before).to_bytes(CONTEXT_BYTES, "little")
        thread.context = context
        thread.registers = registers
        elapsed = effects.time - self.time
        self.time = effects.time
        differences = _differences(written, context, registers)
        index = self._shapes.get(shape, -1)
        if index < 0:
            index = self._shapes[shape] = self._count
            self._count = index + 1
            self.out.write(HEAD.pack(index, elapsed, change))
            self._put_shape(effects, sections)
            self.out.write(packed_words(differences))
        else:
            self._put_head_and_values(index, elapsed, change, differences)
        self.shape = -1 if sections & ~_BUFFER_SECTIONS else index
        if sections:
            self._put_sections(effects, sections, threads, outside, digest)

    def _put_head_and_values(self, index: int, elapsed: int, change: bytes, differences: list[int]) -> None:
        out = self.out
        if len(differences) < READY:
            out.write(HEAD_AND_VALUES[len(differences)](index, elapsed, change, *differences))
        else:
            out.write(HEAD.pack(index, elapsed, change) + packed_words(differences))

    def _put_shape(self, effects: Effects, sections: int) -> None:
        out = self.out
        trap = effects.trap
        assert trap is not None
        who = (effects.thread, effects.next_thread)
        out.write(SHAPE_NUMBERS.pack(*who, trap.kind, effects.outcome, effects.error, effects.badge, sections))
        if effects.why is not None:
            pack_text(out, effects.fault)
            pack_text(out, effects.reason)
        else:
            out.write(_NO_TEXTS)
        target = effects.target
        if target is None:
            out.write(_NO_CAPABILITY)
        else:
            out.write(_ONE_CAPABILITY)
            pack_capability(out, target)
        extra_caps = effects.extra_caps
        out.write(U16.pack(len(extra_caps)))
        for capability in extra_caps:
            pack_capability(out, capability)
        if effects.answered and not effects.log:
            out.write(ANSWERED.pack(2, effects.thread, 0, effects.thread, 1))
            return
        written = effects.registers
        out.write(U16.pack(len(written)))
        for owner, slot, _ in written:
            out.write(REGISTER.pack(owner, slot))

    def _put_sections(
        self, effects: Effects, sections: int, threads: list[ThreadEntry], outside: Outside | None, digest: bytes
    ) -> None:
        out = self.out
        if sections & Section.ABORT:
            trap = effects.trap
            assert trap is not None
            out.write(ABORT.pack(trap.address, trap.status))
        if sections & Section.READS:
            pack_buffer_words(out, effects.reads)
        if sections & Section.BUFFER_WRITES:
            pack_buffer_words(out, effects.buffer_writes)
        if sections & Section.ERROR_WORDS:
            pack_words(out, effects.error_words)
        if sections & Section.FAULT_WORDS:
            pack_words(out, effects.fault_words)
        if sections & Section.CONSOLE:
            out.write(U32.pack(len(effects.console)))
            out.write(effects.console)
        if sections & Section.THREADS:
            out.write(U16.pack(len(threads)))
            pack_threads(out, threads)
        if outside is not None and outside.interrupts:
            pack_words(out, outside.interrupts)
        if sections & Section.DIGEST:
            out.write(digest)
        if outside is not None and outside.arrived:
            out.write(U16.pack(len(outside.arrived)))
            for time, data in outside.arrived:
                out.write(ARRIVAL.pack(time, len(data)))
                out.write(data)
        if outside is not None and outside.warnings:
            out.write(U16.pack(len(outside.warnings)))
            for text in outside.warnings:
                pack_text(out, text)
        if outside is not None and outside.work:
            out.write(U32.pack(outside.work))


def _explains(effects: Effects) -> bool:
    """Whether the record says why something did not simply happen."""
    return bool(effects.error or effects.reason or effects.fault or effects.error_words or effects.fault_words)


def _simple(index: int, effects: Effects, sections: int) -> _Simple:
    """The shape of a record."""
    thread = effects.thread
    places = [owner << 8 | slot & 0xFF for owner, slot, _ in effects.registers]
    written = _VALUES if places else _NOTHING
    if places == [thread << 8, thread << 8 | 1]:
        written = _ANSWER
    caps = list(effects.extra_caps)
    return _Simple(index, effects.next_thread, effects.outcome, effects.badge, sections, caps, written, places)


def _sections(effects: Effects, threads: list[ThreadEntry], outside: Outside | None, digest: bytes) -> int:
    """Which sections the record has."""
    trap = effects.trap
    assert trap is not None
    sections = 0
    if trap is not SVC and (trap.address or trap.status):
        sections = Section.ABORT
    if effects.reads:
        sections |= Section.READS
    if effects.buffer_writes:
        sections |= Section.BUFFER_WRITES
    if effects.error_words:
        sections |= Section.ERROR_WORDS
    if effects.fault_words:
        sections |= Section.FAULT_WORDS
    if effects.console:
        sections |= Section.CONSOLE
    if threads:
        sections |= Section.THREADS
    if outside is not None:
        if outside.interrupts:
            sections |= Section.INTERRUPTS
        if outside.arrived:
            sections |= Section.ARRIVED
        if outside.warnings:
            sections |= Section.WARNINGS
        if outside.work:
            sections |= Section.WORK
    if digest:
        sections |= Section.DIGEST
    return sections


def _differences(written: list[RegisterWrite], context: bytes, registers: int) -> list[int]:
    """What was written, each compared with what the trapping thread had in that register."""
    if len(written) == 1:
        _, slot, value = written[0]
        return [value ^ registers >> 32 * (slot % CONTEXT_WORDS) & 0xFFFF_FFFF]
    words = array("I", context)
    return [value ^ words[slot % CONTEXT_WORDS] for _, slot, value in written]
