"""Executable host memory, and just enough of ELF to put functions there.

Generated functions call nothing and mostly need no relocation: their text is copied as it is. Objects that
cannot be copied (another host, another format, relocations, constants) go through `compiler.Linker`.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import Any, Final, final

CHUNK: Final = 1 << 20


class Unsuitable(Exception):
    """An object file that is not for copying."""


def text_of(data: bytes) -> tuple[bytes, dict[str, int]]:
    """The .text section of an x86-64 ELF object without relocations, and its functions' offsets.

    Raises `Unsuitable` for any other.
    """
    try:
        return _text_of(data)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError):
        raise Unsuitable from None


def _text_of(data: bytes) -> tuple[bytes, dict[str, int]]:
    if data[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", data, 18)[0] != 62:
        raise Unsuitable
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count, names_index = struct.unpack_from("<HHH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + n * size) for n in range(count)]
    names_at = sections[names_index][4]
    text_index, symbols, strings = -1, None, 0
    for index, (name, kind, flags, _, _, length, link, _, _, _) in enumerate(sections):
        title = _string(data, names_at + name)
        if title == ".text":
            text_index = index
        elif kind == 2:
            symbols, strings = sections[index], sections[link][4]
        elif length and ((flags & 2 and title != ".eh_frame") or title.startswith((".rela.text", ".rel.text"))):
            raise Unsuitable
    if text_index < 0 or symbols is None:
        raise Unsuitable
    start, length = sections[text_index][4:6]
    functions = {}
    for at in range(symbols[4], symbols[4] + symbols[5], 24):
        name, info, _, section, value, _ = struct.unpack_from("<IBBHQQ", data, at)
        if info & 15 == 2 and section == text_index:
            if value >= length:
                raise Unsuitable
            functions[_string(data, strings + name)] = value
    return data[start : start + length], functions


def _string(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("ascii")


@final
class Arena:
    """Holds code until it is dropped as a whole."""

    def __init__(self) -> None:
        self._chunks: Final[list[tuple[mmap.mmap, int]]] = []
        self._free = 0
        self._at = 0
        self._linker: Any = None
        self._linked: Final[list[bytes]] = []
        self.size = 0
        """Bytes of code held."""

    def load(self, data: bytes, names: list[str]) -> list[tuple[int, int]]:
        """(Host address, size in bytes) of the functions `names` of an object file; size 0 if not copied."""
        try:
            text, functions = text_of(data)
            ends = sorted([*functions.values(), len(text)])
            found = [functions[name] for name in names]
            base = self.place(text)
            return [(base + at, next(end for end in ends if end > at) - at) for at in found]
        except (Unsuitable, KeyError, OSError):
            if self._linker is None:
                from retrap.machine.llvm.compiler import Linker

                self._linker = Linker()
            self._linked.append(data)
            self.size += len(data)
            return [(address, 0) for address in self._linker.load(data, names)]

    def place(self, text: bytes) -> int:
        """Host address of a copy of `text`. Raises `OSError` if the host forbids it."""
        length = (len(text) + 63) & ~63
        if length > self._free:
            size = max(CHUNK, length)
            made = mmap.mmap(-1, size, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            self._chunks.append((made, ctypes.addressof(ctypes.c_char.from_buffer(made))))
            self._free, self._at = size, 0
        mapping, base = self._chunks[-1]
        at = self._at
        mapping[at : at + len(text)] = text
        self._at = at + length
        self._free -= length
        self.size += length
        return base + at
