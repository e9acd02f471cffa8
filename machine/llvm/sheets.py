"""Sheets: what the native interpreter has of the guest's code, a page each, and how they are kept between runs.

A run notes which basic blocks have run. At its end their instructions are put on tape, page by page, and kept in
the store under the page's name, so for its very bytes at its address. A later run finds the sheet when it first
comes to the page, and nothing is left to be decoded. A sheet is no more than a hint: the interpreter compares
each instruction with what is in memory.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, final

from retrap.machine.arm.templates import on_tape
from retrap.machine.arm.translate import translate
from retrap.machine.ir.builder import advance_it
from retrap.machine.ir.tape import NAMES
from retrap.machine.llvm import layout
from retrap.machine.llvm.store import Store

INTERPRETER: Final = "interpret"
RESUME: Final = "resume"
HANDLERS: Final = tuple(f"tape_{name}" for name in NAMES)
"""Names of the interpreter's functions: the way in where basic blocks begin, the way into the middle of one, and
one for each operation on tape."""

LIMIT: Final = 32 << 20
"""Bytes of sheets in memory after which no others are taken up."""

PAGES: Final = 2048
"""Pages of a run that are remembered, in order to be kept."""

NAMES_KNOWN: Final = 1 << 16
"""Pages that are looked for at most: a guest may bring ever new ones."""

INSTRUCTIONS: Final = 1 << 17
"""Instructions that are put on tape at the end of a run at most: it shall not be noticed."""

_ENTRIES: Final = struct.Struct(f"<{layout.Sheet.ENTRIES}I")
_HALVES: Final = struct.Struct(f"<{layout.Sheet.ENTRIES}H")
_RECORD: Final = struct.Struct("<QIIHHI")
_END: Final = struct.Struct("<I")

assert _RECORD.size == layout.Sheet.HOLES


@final
class Sheet:
    """One page on tape, for the interpreter to read and to count in."""

    __slots__ = ("_words", "address", "data", "heads", "size")

    def __init__(self, data: bytes) -> None:
        """`data`: what `write` made."""
        (count,) = _END.unpack_from(data, len(data) - _END.size)
        heads: tuple[int, ...] = struct.unpack_from(f"<{count}I", data, len(data) - _END.size - 4 * count)
        self.heads: Final = frozenset(heads)
        """PC | Thumb of the basic blocks that begin here."""
        self.data: Final = bytearray(data)
        self.size: Final = len(data)
        self.address: Final = ctypes.addressof(ctypes.c_char.from_buffer(self.data))
        self._words: Final = memoryview(self.data).cast("I")

    def _record(self, key: int) -> int:
        """Word offset of the record at PC | Thumb `key`; 0: there is none."""
        at: int = self._words[key >> 1 & layout.Sheet.ENTRIES - 1] >> 2
        return at if at and self._words[at] == key & 1 else 0

    def count(self, key: int) -> int:
        """How often a basic block began at PC | Thumb; -1 if there is no instruction on tape."""
        at = self._record(key)
        return self._words[at + (layout.Sheet.COUNT >> 2)] if at else -1

    def set_count(self, key: int, count: int) -> None:
        """See `layout.Sheet.ENOUGH`."""
        at = self._record(key)
        if at:
            self._words[at + (layout.Sheet.COUNT >> 2)] = count


@cache
def _record(numbers: int) -> struct.Struct:
    """A record with so many numbers."""
    return struct.Struct(f"{_RECORD.format}{numbers}I")


def write(page: int, content: bytes, heads: Iterable[int], tape: Tape) -> tuple[bytes, int]:
    """A virtual page's sheet: of the basic blocks at PC | Thumb `heads` in it; and where one of them goes on in the
    next page, -1 for none."""
    entries = [0] * layout.Sheet.ENTRIES
    halves = _HALVES.unpack(content)
    places: dict[bytes, int] = {}
    parts: list[bytes] = []
    end = _ENTRIES.size
    base = page << 12
    heads = sorted(heads)
    beyond = -1
    for head in heads:
        at, it = (head & ~1) - base, 0
        thumb = bool(head & 1)
        while at < 4096 and not entries[at >> 1]:
            low: int = halves[at >> 1]
            wide = not thumb or low >> 11 >= 0b11101
            if at + 2 * wide >= 4096:
                break  # it goes on in the next page
            high: int = halves[(at >> 1) + 1] if wide else 0
            word = low if not wide else low << 16 | high if thumb else high << 16 | low
            found, ends = tape(word, thumb, it)
            if found is not None:
                code, numbers = found
                place = places.get(code)
                if place is None:
                    place = places[code] = end
                    parts.append(code)
                    end += len(code)
                entries[at >> 1] = end
                record = _record(len(numbers))
                parts.append(record.pack(thumb | it << 32, 0, place, low, high, wide, *numbers))
                end += record.size
            if ends:
                break
            it = advance_it(it) if it else word & 0xFF if thumb and word >> 8 == 0xBF and word & 15 else 0
            at += 4 if wide else 2
        else:
            if at == 4096 and not it:
                beyond = base + at & 0xFFFFFFFF | thumb
    words = struct.pack(f"<{len(heads)}I", *heads), _END.pack(len(heads))
    return b"".join((_ENTRIES.pack(*entries), *parts, *words)), beyond


Found = tuple[tuple[bytes, tuple[int, ...]] | None, bool]
"""(Tape, numbers of its holes) or none; whether the instruction ends a basic block."""

Tape = Callable[[int, bool, int], Found]
"""(word, Thumb, ITSTATE) → what is known of it."""


@final
class Taping:
    """Puts words on tape, each once."""

    def __init__(self) -> None:
        self._known: Final[dict[tuple[int, bool, int], Found]] = {}

    def __call__(self, word: int, thumb: bool, it: int) -> Found:
        key = word, thumb, it
        known = self._known.get(key)
        if known is None:
            found = on_tape(word, thumb, it)
            if found is not None:
                known = (found[0], found[1]), found[2]
            else:
                block = translate(word, thumb, it)
                known = None, block.branches or block.trap >= 0
            self._known[key] = known
        return known


@final
class Sheets:
    """The sheets of one physical memory's address spaces, by the store's name for their pages."""

    def __init__(self, store: Store) -> None:
        self.store: Final = store
        self.known: Final[dict[str, Sheet | None]] = {}
        self.size = 0
        """Bytes of them."""
        self._pages: Final[dict[str, tuple[int, bytes]]] = {}

    def open(self, name: str, page: int, content: bytes) -> Sheet | None:
        """The sheet of a virtual page with this content, which the store calls `name`, if there is one."""
        if name not in self.known:
            if len(self.known) >= NAMES_KNOWN:
                return None
            if len(self._pages) < PAGES:
                self._pages[name] = page, content
            data = self.store.read(self._title(name)) if self.size < LIMIT else None
            sheet = self.known[name] = Sheet(data) if data else None
            if sheet is not None:
                self.size += sheet.size
        return self.known[name]

    def _title(self, name: str) -> str:
        return self.store.special(f"sheet {name}")

    def keep(self, reached: set[int]) -> bool:
        """Put on tape the basic blocks at PC | Thumb `reached`. Whether there was anything new.

        Compiled ones, too: who stops or starts in the middle of a region goes on there.
        """
        pages: dict[int, set[int]] = {}
        for key in sorted(reached):
            pages.setdefault(key >> 12, set()).add(key)
        tape, room, fresh = Taping(), INSTRUCTIONS, False
        for name, (page, content) in sorted(self._pages.items(), key=lambda item: item[1][0]):
            heads = pages.setdefault(page, set())
            sheet = self.known.get(name)
            if sheet is not None:
                if heads <= sheet.heads:
                    continue
                heads = heads | sheet.heads
            if heads and room > 0:
                data, beyond = write(page, content, heads, tape)
                if beyond >= 0:
                    pages.setdefault(beyond >> 12, set()).add(beyond)
                room -= (len(data) - _ENTRIES.size) // (_RECORD.size + 4)
                self.store.write(self._title(name), data)
                fresh = True
        return fresh
