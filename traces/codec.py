"""Records to bytes and back: the path that every trap of a recorded run takes.

The layout is `layout`'s; this module only makes it fast. A frame's bytes are a thread table and then records;
both directions start afresh at each frame, so that any frame can be read alone.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter, xor
from typing import Final, final

from retrap.kernel.effects import Effects
from retrap.machine.traps import SVC, TrapKind
from retrap.traces import layout
from retrap.traces.errors import Malformed
from retrap.traces.layout import CONTEXT_BYTES, CONTEXT_WORDS, DIGEST_BYTES, Section
from retrap.traces.record import NO_CONTEXT, BufferWords, Capability, Record, RegisterWrite, ThreadEntry

_U8: Final = struct.Struct("<B")
_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_HEAD_FORMAT: Final = "<" + layout.struct_format(layout.HEAD)
_HEAD: Final = struct.Struct(_HEAD_FORMAT)
_SHAPE_NUMBERS: Final = struct.Struct("<" + layout.struct_format(layout.SHAPE[:7]))
_REGISTER: Final = struct.Struct("<ib")
_ABORT: Final = struct.Struct("<" + layout.struct_format(layout.SECTIONS[0]))
_PLACE: Final = struct.Struct("<" + layout.struct_format(layout.BUFFER_WORDS[:2]))
_THREAD: Final = struct.Struct("<" + layout.struct_format(layout.THREAD[:2]))
_CAPABILITY: Final = struct.Struct("<" + layout.struct_format(layout.CAPABILITY[1:]))

_READY: Final = 64
# Head and register values in one call, for up to `_READY` values (a context transfer writes about 20).
_HEAD_AND_VALUES: Final = tuple(struct.Struct(f"{_HEAD_FORMAT}{count}I").pack for count in range(_READY))
_VALUES: Final = tuple(struct.Struct(f"<{count}I") for count in range(_READY))

_CONTEXT: Final = struct.Struct(f"<{CONTEXT_WORDS}I")
_SWAP: Final = sys.byteorder == "big"

_KINDS: Final = len(TrapKind)
_TEXT_LIMIT: Final = 0xFFFF

_Shape = tuple[
    int, int, int, int, int, int, int, str, str, Capability | None, tuple[Capability | None, ...],
    tuple[int, ...], tuple[int, ...],
]  # fmt: skip

_Picker = Callable[[Sequence[int]], tuple[int, ...]]


def _picker(slots: tuple[int, ...]) -> _Picker | None:
    """A function that picks from a context's words those that values for `slots` are compared with."""
    if not slots:
        return None
    # An itemgetter of one index would return no tuple; the second one is for that only.
    first, *rest = (slot % CONTEXT_WORDS for slot in slots)
    return itemgetter(first, *(rest or (first,)))


@final
class Encoder:
    """Appends records to `buffer`, one frame at a time; the caller takes the bytes and starts the next frame."""

    __slots__ = ("_contexts", "_shapes", "_time", "buffer")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self._shapes: dict[_Shape, tuple[int, _Picker | None]] = {}
        self._contexts: dict[int, int] = {}  # thread → registers at its last trap, as one number
        self._time = 0

    def start(self, time: int, threads: list[ThreadEntry]) -> None:
        """Begin a frame: `time` is that of the record before it, `threads` all threads known so far."""
        self.buffer = bytearray(_U32.pack(len(threads)))
        self._shapes = {}
        self._contexts = {}
        self._time = time
        _put_threads(self.buffer, threads)

    def add(
        self,
        effects: Effects,
        context: bytes,
        threads: list[ThreadEntry],
        interrupts: list[int],
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
        if interrupts:
            sections |= Section.INTERRUPTS
        if digest:
            sections |= Section.DIGEST
        owners: tuple[int, ...] = ()
        slots: tuple[int, ...] = ()
        values: tuple[int, ...] = ()
        if effects.registers:
            owners, slots, values = zip(*effects.registers, strict=True)
        extra_caps = effects.extra_caps
        shape: _Shape = (
            thread, effects.next_thread, kind, effects.outcome, effects.error, effects.badge, sections,
            effects.fault, effects.reason, effects.target, tuple(extra_caps) if extra_caps else (), owners, slots,
        )  # fmt: skip
        contexts = self._contexts
        registers = int.from_bytes(context, "little")
        change = (registers ^ contexts.get(thread, 0)).to_bytes(CONTEXT_BYTES, "little")
        contexts[thread] = registers
        elapsed = effects.time - self._time
        self._time = effects.time
        known = self._shapes.get(shape)
        if known is None:
            self._add_new(shape, elapsed, change, context, values)
        else:
            index, picker = known
            if picker is None:
                self.buffer += _HEAD.pack(index, elapsed, change)
            else:
                words = array("I", context)
                if _SWAP:
                    words.byteswap()
                differences = map(xor, values, picker(words))
                if len(values) < _READY:
                    self.buffer += _HEAD_AND_VALUES[len(values)](index, elapsed, change, *differences)
                else:
                    self.buffer += _HEAD.pack(index, elapsed, change) + _pack_words([*differences])
        if sections:
            self._add_sections(effects, sections, threads, interrupts, digest)

    def _add_new(
        self, shape: _Shape, elapsed: int, change: bytes, context: bytes, values: tuple[int, ...]
    ) -> None:
        buffer = self.buffer
        index = len(self._shapes)
        picker = _picker(shape[12])
        self._shapes[shape] = (index, picker)
        buffer += _HEAD.pack(index, elapsed, change)
        buffer += _SHAPE_NUMBERS.pack(*shape[:7])
        fault, reason, target, extra_caps, owners, slots = shape[7:]
        _put_text(buffer, fault)
        _put_text(buffer, reason)
        _put_capabilities(buffer, () if target is None else (target,))
        _put_capabilities(buffer, extra_caps)
        buffer += _U16.pack(len(owners))
        for owner, slot in zip(owners, slots, strict=True):
            buffer += _REGISTER.pack(owner, slot)
        if picker is not None:
            buffer += _pack_words([*map(xor, values, picker(_CONTEXT.unpack(context)))])

    def _add_sections(
        self, effects: Effects, sections: int, threads: list[ThreadEntry], interrupts: list[int], digest: bytes
    ) -> None:
        buffer = self.buffer
        if sections & Section.ABORT:
            trap = effects.trap
            assert trap is not None
            buffer += _ABORT.pack(trap.address, trap.status)
        if sections & Section.READS:
            _put_buffer_words(buffer, effects.reads)
        if sections & Section.BUFFER_WRITES:
            _put_buffer_words(buffer, effects.buffer_writes)
        if sections & Section.ERROR_WORDS:
            _put_words(buffer, effects.error_words)
        if sections & Section.FAULT_WORDS:
            _put_words(buffer, effects.fault_words)
        if sections & Section.CONSOLE:
            buffer += _U32.pack(len(effects.console))
            buffer += effects.console
        if sections & Section.THREADS:
            buffer += _U16.pack(len(threads))
            _put_threads(buffer, threads)
        if sections & Section.INTERRUPTS:
            _put_words(buffer, interrupts)
        if sections & Section.DIGEST:
            buffer += digest


def _put_text(buffer: bytearray, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > _TEXT_LIMIT:
        data = data[:_TEXT_LIMIT].decode("utf-8", "ignore").encode()
    buffer += _U16.pack(len(data))
    buffer += data


def _pack_words(words: list[int]) -> bytes:
    count = len(words)
    return _VALUES[count].pack(*words) if count < _READY else struct.pack(f"<{count}I", *words)


def _put_words(buffer: bytearray, words: list[int]) -> None:
    buffer += _U16.pack(len(words))
    buffer += _pack_words(words)


def _put_buffer_words(buffer: bytearray, entries: list[BufferWords]) -> None:
    buffer += _U16.pack(len(entries))
    for thread, index, words in entries:
        buffer += _PLACE.pack(thread, index)
        _put_words(buffer, words)


def _put_capabilities(buffer: bytearray, capabilities: tuple[Capability | None, ...]) -> None:
    buffer += _U16.pack(len(capabilities))
    for capability in capabilities:
        kind, address, badge = capability or ("", 0, 0)
        _put_text(buffer, kind)
        buffer += _CAPABILITY.pack(address, badge)


def _put_threads(buffer: bytearray, threads: list[ThreadEntry]) -> None:
    for number, address, name in threads:
        buffer += _THREAD.pack(number, address)
        _put_text(buffer, name)


def decode_frame(data: bytes, first: int, time: int, count: int) -> tuple[list[ThreadEntry], Iterator[Record]]:
    """A frame's thread table and its `count` records, numbered from `first`; `time` is as for `Encoder.start`.

    Raises `Malformed`, for the records while they are iterated.
    """
    cursor = _Cursor(data)
    try:
        threads = cursor.threads(cursor.number(_U32))
    except (struct.error, UnicodeDecodeError) as error:
        raise Malformed(f"the thread table does not follow the format ({error})") from None
    return threads, _records(cursor, first, time, count)


def _records(cursor: _Cursor, first: int, time: int, count: int) -> Iterator[Record]:
    shapes: list[tuple[_Shape, _Picker | None]] = []
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
    shapes: list[tuple[_Shape, _Picker | None]],
    contexts: dict[int, int],
    number: int,
    time: int,
) -> Record:
    data = cursor.data
    offset = cursor.offset
    index, elapsed, change = _HEAD.unpack_from(data, offset)
    cursor.offset = offset + _HEAD.size
    if index == len(shapes):
        added = cursor.shape(number)
        shapes.append((added, _picker(added[12])))
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
        values = map(xor, cursor.values(len(owners)), picker(_CONTEXT.unpack(context)))
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
        form = _VALUES[count] if count < _READY else struct.Struct(f"<{count}I")
        return form.unpack_from(self.data, offset)

    def words(self) -> list[int]:
        return list(self.values(self.number(_U16)))

    def text(self) -> str:
        return self.take(self.number(_U16)).decode()

    def threads(self, count: int) -> list[ThreadEntry]:
        found: list[ThreadEntry] = []
        for _ in range(count):
            number, address = _THREAD.unpack_from(self.data, self.offset)
            self.offset += _THREAD.size
            found.append((number, address, self.text()))
        return found

    def buffer_words(self) -> list[BufferWords]:
        found: list[BufferWords] = []
        for _ in range(self.number(_U16)):
            thread, index = _PLACE.unpack_from(self.data, self.offset)
            self.offset += _PLACE.size
            found.append((thread, index, self.words()))
        return found

    def capabilities(self) -> tuple[Capability | None, ...]:
        found: list[Capability | None] = []
        for _ in range(self.number(_U16)):
            kind = self.text()
            address, badge = _CAPABILITY.unpack_from(self.data, self.offset)
            self.offset += _CAPABILITY.size
            found.append((kind, address, badge) if kind else None)
        return tuple(found)

    def shape(self, number: int) -> _Shape:
        """The shape that record `number` introduces."""
        numbers = _SHAPE_NUMBERS.unpack_from(self.data, self.offset)
        self.offset += _SHAPE_NUMBERS.size
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
        count = self.number(_U16)
        layout_bytes = self.take(count * _REGISTER.size)
        pairs = tuple(_REGISTER.iter_unpack(layout_bytes))
        owners, slots = zip(*pairs, strict=True) if pairs else ((), ())
        return (
            thread, next_thread, kind, outcome, error, badge, sections, fault, reason,
            targets[0] if targets else None, extra_caps, owners, slots,
        )  # fmt: skip

    def sections(self, record: Record, sections: int) -> None:
        """Fill in the fields that `sections` announces."""
        if sections & Section.ABORT:
            record.address, record.status = _ABORT.unpack_from(self.data, self.offset)
            self.offset += _ABORT.size
        if sections & Section.READS:
            record.reads = self.buffer_words()
        if sections & Section.BUFFER_WRITES:
            record.buffer_writes = self.buffer_words()
        if sections & Section.ERROR_WORDS:
            record.error_words = self.words()
        if sections & Section.FAULT_WORDS:
            record.fault_words = self.words()
        if sections & Section.CONSOLE:
            record.console = self.take(self.number(_U32))
        if sections & Section.THREADS:
            record.threads = self.threads(self.number(_U16))
        if sections & Section.INTERRUPTS:
            record.interrupts = self.words()
        if sections & Section.DIGEST:
            record.digest = self.take(DIGEST_BYTES)


assert _HEAD.size == 12 + CONTEXT_BYTES
