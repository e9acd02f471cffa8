"""Writing the parts of a record to a frame: number by number, or by `struct`.

Compiled ahead, the functions of librt that write and read numbers become a few machine instructions, without any
Python object; in plain Python they are slow, and one `struct` for as much as possible is what is fast.
"""

from __future__ import annotations

import struct
from typing import Final

from librt.strings import BytesWriter, read_i32_le, read_i64_le, write_i16_le, write_i32_le, write_i64_le
from retrap.traces.codec import (
    CAPABILITIES,
    CAPABILITY,
    ONE_ENTRY,
    PLACE,
    READY,
    THREAD,
    U16,
    VALUES,
    two_entries,
)
from retrap.traces.layout import CONTEXT_BYTES, CONTEXT_WORDS
from retrap.traces.record import BufferWords, Capability, RegisterWrite, ThreadEntry

__all__ = ["BytesWriter"]

_TEXT_LIMIT: Final = 0xFFFF


def put_head(out: BytesWriter, index: int, elapsed: int, context: bytes, before: bytes) -> None:
    """A record's head, number by number: its shape, the time elapsed, the difference of two contexts."""
    write_i32_le(out, index)
    write_i64_le(out, elapsed)
    for at in range(0, CONTEXT_BYTES, 8):
        write_i64_le(out, read_i64_le(context, at) ^ read_i64_le(before, at))


def put_answer(out: BytesWriter, context: bytes) -> None:
    """The two values of the empty reply, number by number: both are zero, so the differences are what was there."""
    write_i64_le(out, read_i64_le(context, 0))


def put_differences(out: BytesWriter, written: list[RegisterWrite], context: bytes) -> None:
    """What was written to registers, number by number, each compared with what the trapping thread had in it."""
    for _, slot, value in written:
        had = read_i32_le(context, 4 * (slot % CONTEXT_WORDS))
        write_i32_le(out, had ^ ((value ^ 0x8000_0000) - 0x8000_0000))


def put_buffer_words(out: BytesWriter, entries: list[BufferWords]) -> None:
    """A section of buffer words, number by number."""
    write_i16_le(out, (len(entries) ^ 0x8000) - 0x8000)
    for thread, index, words in entries:
        count = len(words)
        write_i32_le(out, thread)
        write_i32_le(out, ((index | count << 16) ^ 0x8000_0000) - 0x8000_0000)
        for word in words:
            write_i32_le(out, (word ^ 0x8000_0000) - 0x8000_0000)


def pack_text(out: BytesWriter, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > _TEXT_LIMIT:
        data = data[:_TEXT_LIMIT].decode("utf-8", "ignore").encode()
    out.write(U16.pack(len(data)))
    out.write(data)


def packed_words(words: list[int]) -> bytes:
    count = len(words)
    return VALUES[count].pack(*words) if count < READY else struct.pack(f"<{count}I", *words)


def pack_words(out: BytesWriter, words: list[int]) -> None:
    out.write(U16.pack(len(words)))
    out.write(packed_words(words))


def pack_buffer_words(out: BytesWriter, entries: list[BufferWords]) -> None:
    count = len(entries)
    if count == 1:
        thread, index, words = entries[0]
        if len(words) < READY:
            out.write(ONE_ENTRY[len(words)](1, thread, index, len(words), *words))
            return
    elif count == 2:
        thread, index, words = entries[0]
        other, place, more = entries[1]
        if len(words) < READY and len(more) < READY:
            pack = two_entries(len(words), len(more))
            out.write(pack(2, thread, index, len(words), *words, other, place, len(more), *more))
            return
    out.write(U16.pack(len(entries)))
    for thread, index, words in entries:
        out.write(PLACE.pack(thread, index))
        pack_words(out, words)


def pack_capability(out: BytesWriter, capability: Capability | None) -> None:
    kind, address, badge = capability or ("", 0, 0)
    name = kind.encode("utf-8", "backslashreplace")
    if len(name) < len(CAPABILITIES):
        out.write(CAPABILITIES[len(name)].pack(len(name), name, address, badge))
    else:
        pack_text(out, kind)
        out.write(CAPABILITY.pack(address, badge))


def pack_threads(out: BytesWriter, threads: list[ThreadEntry]) -> None:
    for number, address, name in threads:
        out.write(THREAD.pack(number, address))
        pack_text(out, name)
