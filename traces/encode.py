"""Records to bytes: the path that every trap of a recorded run takes."""

from __future__ import annotations

import struct
from array import array
from typing import Final, final

from retrap.kernel.effects import Effects
from retrap.machine.traps import SVC
from retrap.traces.codec import (
    ABORT,
    ARRIVAL,
    CAPABILITY,
    HEAD,
    HEAD_AND_VALUES,
    ONE_ENTRY,
    PLACE,
    READY,
    REGISTER,
    SHAPE_NUMBERS,
    THREAD,
    U16,
    U32,
    VALUES,
    two_entries,
)  # fmt: skip
from retrap.traces.layout import CONTEXT_BYTES, CONTEXT_WORDS, Section
from retrap.traces.record import NO_CONTEXT, BufferWords, Capability, Outside, ThreadEntry

_TEXT_LIMIT: Final = 0xFFFF

_FEW: Final = 4
"""Registers that are compared without taking the context apart."""

_Key = tuple[
    int, int, int, int, int, int, int, str, str, Capability | None, tuple[Capability | None, ...], tuple[int, ...],
]  # fmt: skip
"""The fields of `layout.SHAPE` in order, each register as thread << 8 | slot & 255."""

_BUFFER_SECTIONS: Final = Section.READS | Section.BUFFER_WRITES


@final
class Encoder:
    """Appends records to `buffer`, one frame at a time; the caller takes the bytes and starts the next frame."""

    __slots__ = ("_contexts", "_shapes", "buffer", "frame", "shape", "time")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self._shapes: dict[_Key, int] = {}
        self._contexts: dict[int, int] = {}  # thread → registers at its last trap, as one number
        self.time = 0
        """That of the last record."""
        self.frame = 0
        """Number of this frame."""
        self.shape = -1
        """The last record's, if it has no sections but those of the IPC buffer."""

    def start(self, time: int, threads: list[ThreadEntry]) -> None:
        """Begin a frame: `time` is that of the record before it, `threads` all threads known so far."""
        self.buffer = bytearray(U32.pack(len(threads)))
        self._shapes = {}
        self._contexts = {}
        self.time = time
        self.frame += 1
        _put_threads(self.buffer, threads)

    def context(self, thread: int) -> bytes:
        """The registers of a thread at its last record in this frame."""
        return self._contexts.get(thread, 0).to_bytes(CONTEXT_BYTES, "little")

    def append(self, records: memoryview, contexts: dict[int, memoryview], time: int) -> None:
        """Append records of known shapes that were encoded elsewhere.

        `contexts`: registers of each thread at its last record among them; `time`: that of the last one.
        """
        self.buffer += records
        for thread, words in contexts.items():
            self._contexts[thread] = int.from_bytes(words, "little")
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
        trap = effects.trap
        thread = effects.thread
        kind = 0
        sections = 0
        if trap is not SVC:
            assert trap is not None
            kind = int(trap.kind)
            if trap.address or trap.status:
                sections = Section.ABORT
            if thread < 0:
                context = NO_CONTEXT
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
        registers = int.from_bytes(context, "little")
        places: list[int] = []
        differences: list[int] = []
        written = effects.registers
        # A loop, because compiled ahead it is three times as fast as `zip` and `map`.
        if len(written) <= _FEW:
            for owner, slot, value in written:
                places.append(owner << 8 | slot & 0xFF)
                differences.append(value ^ registers >> 32 * (slot % CONTEXT_WORDS) & 0xFFFF_FFFF)
        else:
            words = array("I", context)
            for owner, slot, value in written:
                places.append(owner << 8 | slot & 0xFF)
                differences.append(value ^ words[slot % CONTEXT_WORDS])
        extra_caps = effects.extra_caps
        shape: _Key = (
            thread, effects.next_thread, kind, effects.outcome, effects.error, effects.badge, sections,
            effects.fault, effects.reason, effects.target, tuple(extra_caps) if extra_caps else (), tuple(places),
        )  # fmt: skip
        contexts = self._contexts
        change = (registers ^ contexts.get(thread, 0)).to_bytes(CONTEXT_BYTES, "little")
        contexts[thread] = registers
        elapsed = effects.time - self.time
        self.time = effects.time
        index = self._shapes.get(shape, -1)
        self.shape = len(self._shapes) if index < 0 else index
        if sections & ~_BUFFER_SECTIONS:
            self.shape = -1
        if index < 0:
            self._add_new(shape, elapsed, change, differences)
        elif not differences:
            self.buffer += HEAD.pack(index, elapsed, change)
        elif len(differences) < READY:
            self.buffer += HEAD_AND_VALUES[len(differences)](index, elapsed, change, *differences)
        else:
            self.buffer += HEAD.pack(index, elapsed, change) + _pack_words(differences)
        if sections == Section.READS:
            _put_buffer_words(self.buffer, effects.reads)
            return
        if sections:
            self._add_sections(effects, sections, threads, outside, digest)

    def _add_new(self, shape: _Key, elapsed: int, change: bytes, differences: list[int]) -> None:
        buffer = self.buffer
        index = len(self._shapes)
        self._shapes[shape] = index
        buffer += HEAD.pack(index, elapsed, change)
        buffer += SHAPE_NUMBERS.pack(*shape[:7])
        fault, reason, target, extra_caps, places = shape[7:]
        _put_text(buffer, fault)
        _put_text(buffer, reason)
        _put_capabilities(buffer, () if target is None else (target,))
        _put_capabilities(buffer, extra_caps)
        buffer += U16.pack(len(places))
        for place in places:
            buffer += REGISTER.pack(place >> 8, (place & 0xFF ^ 0x80) - 0x80)
        buffer += _pack_words(differences)

    def _add_sections(
        self, effects: Effects, sections: int, threads: list[ThreadEntry], outside: Outside | None, digest: bytes
    ) -> None:
        buffer = self.buffer
        if sections & Section.ABORT:
            trap = effects.trap
            assert trap is not None
            buffer += ABORT.pack(trap.address, trap.status)
        if sections & Section.READS:
            _put_buffer_words(buffer, effects.reads)
        if sections & Section.BUFFER_WRITES:
            _put_buffer_words(buffer, effects.buffer_writes)
        if sections & Section.ERROR_WORDS:
            _put_words(buffer, effects.error_words)
        if sections & Section.FAULT_WORDS:
            _put_words(buffer, effects.fault_words)
        if sections & Section.CONSOLE:
            buffer += U32.pack(len(effects.console))
            buffer += effects.console
        if sections & Section.THREADS:
            buffer += U16.pack(len(threads))
            _put_threads(buffer, threads)
        if outside is not None and outside.interrupts:
            _put_words(buffer, outside.interrupts)
        if sections & Section.DIGEST:
            buffer += digest
        if outside is not None and outside.arrived:
            buffer += U16.pack(len(outside.arrived))
            for time, data in outside.arrived:
                buffer += ARRIVAL.pack(time, len(data))
                buffer += data
        if outside is not None and outside.warnings:
            buffer += U16.pack(len(outside.warnings))
            for text in outside.warnings:
                _put_text(buffer, text)
        if outside is not None and outside.work:
            buffer += U32.pack(outside.work)


def _put_text(buffer: bytearray, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > _TEXT_LIMIT:
        data = data[:_TEXT_LIMIT].decode("utf-8", "ignore").encode()
    buffer += U16.pack(len(data))
    buffer += data


def _pack_words(words: list[int]) -> bytes:
    count = len(words)
    return VALUES[count].pack(*words) if count < READY else struct.pack(f"<{count}I", *words)


def _put_words(buffer: bytearray, words: list[int]) -> None:
    buffer += U16.pack(len(words))
    buffer += _pack_words(words)


def _put_buffer_words(buffer: bytearray, entries: list[BufferWords]) -> None:
    count = len(entries)
    if count == 1:
        thread, index, words = entries[0]
        if len(words) < READY:
            buffer += ONE_ENTRY[len(words)](1, thread, index, len(words), *words)
            return
    elif count == 2:
        thread, index, words = entries[0]
        other, place, more = entries[1]
        if len(words) < READY and len(more) < READY:
            pack = two_entries(len(words), len(more))
            buffer += pack(2, thread, index, len(words), *words, other, place, len(more), *more)
            return
    buffer += U16.pack(len(entries))
    for thread, index, words in entries:
        buffer += PLACE.pack(thread, index)
        _put_words(buffer, words)


def _put_capabilities(buffer: bytearray, capabilities: tuple[Capability | None, ...]) -> None:
    buffer += U16.pack(len(capabilities))
    for capability in capabilities:
        kind, address, badge = capability or ("", 0, 0)
        _put_text(buffer, kind)
        buffer += CAPABILITY.pack(address, badge)


def _put_threads(buffer: bytearray, threads: list[ThreadEntry]) -> None:
    for number, address, name in threads:
        buffer += THREAD.pack(number, address)
        _put_text(buffer, name)
