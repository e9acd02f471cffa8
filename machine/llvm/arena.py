"""Executable host memory, and just enough of ELF to put functions there.

Generated functions call nothing and mostly need no relocation: their text is copied as it is. Where there are
constants (floating point has some), they are put behind the text. Objects that cannot be copied (another host,
another format, other relocations) go through `compiler.Linker`.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import Any, Final, final

CHUNK: Final = 1 << 20
ALIGNMENT: Final = 64


class Unsuitable(Exception):
    """An object file that is not for copying."""


def text_of(data: bytes) -> tuple[bytes, dict[str, int], bool]:
    """The code of an x86-64 ELF object with the constants that it refers to behind it, its functions' offsets, and
    whether each function stands alone (there are no constants).

    Raises `Unsuitable` for any other.
    """
    try:
        return _text_of(data)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError):
        raise Unsuitable from None


_PC32: Final = 2


def _text_of(data: bytes) -> tuple[bytes, dict[str, int], bool]:
    if data[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", data, 18)[0] != 62:
        raise Unsuitable
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count, names_index = struct.unpack_from("<HHH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + n * size) for n in range(count)]
    names_at = sections[names_index][4]
    text_index, symbols, strings, relocations = -1, None, 0, None
    constants: list[int] = []
    for index, section in enumerate(sections):
        name, kind, flags, _, _, length, link = section[:7]
        title = _string(data, names_at + name)
        if title == ".text":
            text_index = index
        elif kind == 2:
            symbols, strings = section, sections[link][4]
        elif title == ".rela.text":
            relocations = section
        elif title.startswith(".rodata") and kind == 1:
            constants.append(index)
        elif length and ((flags & 2 and title != ".eh_frame") or title.startswith(".rel.text")):
            raise Unsuitable
    if text_index < 0 or symbols is None:
        raise Unsuitable
    start, length = sections[text_index][4:6]
    code = bytearray(data[start : start + length])
    places = {text_index: 0}
    for index in constants:
        at, amount, alignment = sections[index][4], sections[index][5], max(sections[index][8], 1)
        if alignment > ALIGNMENT:
            raise Unsuitable
        code += bytes(-len(code) % alignment)
        places[index] = len(code)
        code += data[at : at + amount]
    functions, values = {}, []
    for at in range(symbols[4], symbols[4] + symbols[5], 24):
        name, info, _, where, value, _ = struct.unpack_from("<IBBHQQ", data, at)
        values.append(places[where] + value if where in places else None)
        if info & 15 == 2 and where == text_index:
            if value >= length:
                raise Unsuitable
            functions[_string(data, strings + name)] = value
    if relocations is not None:
        for at in range(relocations[4], relocations[4] + relocations[5], 24):
            offset, info, addend = struct.unpack_from("<QQq", data, at)
            target = values[info >> 32]
            if info & 0xFFFFFFFF != _PC32 or target is None or not 0 <= offset <= length - 4:
                raise Unsuitable
            struct.pack_into("<i", code, offset, target + addend - offset)
    return bytes(code), functions, not constants


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
        """(Host address, size in bytes) of an object file's functions `names`; size 0 unless they stand alone."""
        try:
            text, functions, alone = text_of(data)
            ends = sorted([*functions.values(), len(text)])
            found = [functions[name] for name in names]
            base = self.place(text)
            if not alone:
                return [(base + at, 0) for at in found]
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
        length = (len(text) + ALIGNMENT - 1) & -ALIGNMENT
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
