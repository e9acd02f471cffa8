"""Bytes to records. A frame's bytes are a thread table and then records; every frame can be read alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from operator import xor
from typing import Final, final

from retrap.machine.traps import TrapKind
from retrap.traces.codec import (
    ABORT,
    ARRIVAL,
    CAPABILITY,
    CONTEXT,
    HEAD,
    PLACE,
    READY,
    REGISTER,
    SHAPE_NUMBERS,
    THREAD,
    U16,
    U32,
    VALUES,
    Picker,
    Shape,
    picker_of,
)  # fmt: skip
from retrap.traces.errors import Malformed
from retrap.traces.layout import CONTEXT_BYTES, DIGEST_BYTES, Section
from retrap.traces.record import BufferWords, Capability, Record, RegisterWrite, ThreadEntry

_KINDS: Final = len(TrapKind)


def decode_frame(data: bytes, first: int, time: int, count: int) -> tuple[list[ThreadEntry], Iterator[Record]]:
    """A frame's thread table and its `count` records, numbered from `first`; `time` is as for `Encoder.start`.

    Raises `Malformed`, for the records while they are iterated.
    """
    cursor = _Cursor(data)
    try:
        threads = cursor.threads(cursor.number(U32))
    except (struct.error, UnicodeDecodeError) as error:
        raise Malformed(f"the thread table does not follow the format ({error})") from None
    return threads, _records(cursor, first, time, count)


def _records(cursor: _Cursor, first: int, time: int, count: int) -> Iterator[Record]:
    shapes: list[tuple[Shape, Picker | None]] = []
    contexts: dict[int, int] = {}
    for number in range(first, first + count):
        try:
            record = _record(cursor, shapes, contexts, number, time)
        except (struct.error, UnicodeDecodeError) as error:
            raise Malformed(f"record {number} does not follow the format ({error})") from None
        time = record.time
        yield record
    if cursor.offset != len(cursor.data):
        raise Malformed(f"{len(cursor.data) - cursor.offset} bytes are left after the frame's last record")


def _record(
    cursor: _Cursor,
    shapes: list[tuple[Shape, Picker | None]],
    contexts: dict[int, int],
    number: int,
    time: int,
) -> Record:
    data = cursor.data
    offset = cursor.offset
    index, elapsed, change = HEAD.unpack_from(data, offset)
    cursor.offset = offset + HEAD.size
    if index == len(shapes):
        added = cursor.shape(number)
        shapes.append((added, picker_of(added[12])))
    elif index > len(shapes):
        raise Malformed(f"record {number} names shape {index} of {len(shapes)}")
    (
        thread, next_thread, kind, outcome, error, badge, sections,
        fault, reason, target, extra_caps, owners, slots,
    ), picker = shapes[index]  # fmt: skip
    registers = int.from_bytes(change, "little") ^ contexts.get(thread, 0)
    contexts[thread] = registers
    context = registers.to_bytes(CONTEXT_BYTES, "little")
    writes: list[RegisterWrite] = []
    if picker is not None:
        values = map(xor, cursor.values(len(owners)), picker(CONTEXT.unpack(context)))
        writes = list(zip(owners, slots, values, strict=True))
    record = Record(
        number, time + elapsed, thread, kind, context, outcome, next_thread, writes,
        target, extra_caps, badge, error, fault, reason,
    )  # fmt: skip
    if sections:
        cursor.sections(record, sections)
    return record


@final
class _Cursor:
    """A place in a frame's bytes. Its methods raise `struct.error` where the bytes end too early."""

    __slots__ = ("data", "offset")

    def __init__(self, data: bytes) -> None:
        self.data: Final = data
        self.offset = 0

    def number(self, form: struct.Struct) -> int:
        value: int = form.unpack_from(self.data, self.offset)[0]
        self.offset += form.size
        return value

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self.offset + size
        if end > len(self.data):
            raise struct.error(f"{size} bytes announced, {len(self.data) - self.offset} left")
        taken = self.data[self.offset : end]
        self.offset = end
        return taken

    def values(self, count: int) -> tuple[int, ...]:
        """The next `count` 32-bit words."""
        offset = self.offset
        if offset + 4 * count > len(self.data):
            raise struct.error(f"{count} words announced, {len(self.data) - offset} bytes left")
        self.offset = offset + 4 * count
        form = VALUES[count] if count < READY else struct.Struct(f"<{count}I")
        return form.unpack_from(self.data, offset)

    def words(self) -> list[int]:
        return list(self.values(self.number(U16)))

    def text(self) -> str:
        return self.take(self.number(U16)).decode()

    def threads(self, count: int) -> list[ThreadEntry]:
        found: list[ThreadEntry] = []
        for _ in range(count):
            number, address = THREAD.unpack_from(self.data, self.offset)
            self.offset += THREAD.size
            found.append((number, address, self.text()))
        return found

    def buffer_words(self) -> list[BufferWords]:
        found: list[BufferWords] = []
        for _ in range(self.number(U16)):
            thread, index = PLACE.unpack_from(self.data, self.offset)
            self.offset += PLACE.size
            found.append((thread, index, self.words()))
        return found

    def capabilities(self) -> tuple[Capability | None, ...]:
        found: list[Capability | None] = []
        for _ in range(self.number(U16)):
            kind = self.text()
            address, badge = CAPABILITY.unpack_from(self.data, self.offset)
            self.offset += CAPABILITY.size
            found.append((kind, address, badge) if kind else None)
        return tuple(found)

    def shape(self, number: int) -> Shape:
        """The shape that record `number` introduces."""
        numbers = SHAPE_NUMBERS.unpack_from(self.data, self.offset)
        self.offset += SHAPE_NUMBERS.size
        thread, next_thread, kind, outcome, error, badge, sections = numbers
        if kind >= _KINDS:
            raise Malformed(f"record {number} has trap kind {kind}; the last one is {_KINDS - 1}")
        if sections & ~Section.ALL:
            raise Malformed(f"record {number} announces unknown sections ({sections:#x})")
        fault = self.text()
        reason = self.text()
        targets = self.capabilities()
        if len(targets) > 1:
            raise Malformed(f"record {number} has {len(targets)} targets")
        extra_caps = self.capabilities()
        count = self.number(U16)
        layout_bytes = self.take(count * REGISTER.size)
        pairs = tuple(REGISTER.iter_unpack(layout_bytes))
        owners, slots = zip(*pairs, strict=True) if pairs else ((), ())
        return (
            thread, next_thread, kind, outcome, error, badge, sections, fault, reason,
            targets[0] if targets else None, extra_caps, owners, slots,
        )  # fmt: skip

    def sections(self, record: Record, sections: int) -> None:
        """Fill in the fields that `sections` announces."""
        if sections & Section.ABORT:
            record.address, record.status = ABORT.unpack_from(self.data, self.offset)
            self.offset += ABORT.size
        if sections & Section.READS:
            record.reads = self.buffer_words()
        if sections & Section.BUFFER_WRITES:
            record.buffer_writes = self.buffer_words()
        if sections & Section.ERROR_WORDS:
            record.error_words = self.words()
        if sections & Section.FAULT_WORDS:
            record.fault_words = self.words()
        if sections & Section.CONSOLE:
            record.console = self.take(self.number(U32))
        if sections & Section.THREADS:
            record.threads = self.threads(self.number(U16))
        if sections & Section.INTERRUPTS:
            record.interrupts = self.words()
        if sections & Section.DIGEST:
            record.digest = self.take(DIGEST_BYTES)
        if sections & Section.ARRIVED:
            for _ in range(self.number(U16)):
                time, count = ARRIVAL.unpack_from(self.data, self.offset)
                self.offset += ARRIVAL.size
                record.arrived.append((time, self.take(count)))
        if sections & Section.WARNINGS:
            record.warnings = [self.text() for _ in range(self.number(U16))]
        if sections & Section.WORK:
            record.work = self.number(U32)
