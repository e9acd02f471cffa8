"""Root-task images: ELF32 little-endian ARM executables, checked byte by byte before anything is believed.

Headers are read through the declarations of `layouts` and verified here, so that what the layout needs
(segments, entry) never depends on how lenient a parser is. lief, imported nowhere else, is asked only for
symbols, which only people see. It is imported on first use: that takes longer than booting does.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from retrap.loader import layouts
from retrap.loader.errors import InputError
from retrap.loader.files import read_file
from retrap.loader.packed import Packed as Packed
from retrap.loader.packed import unpack
from retrap.machine.space import EXECUTE, READ, WRITE

MAX_FILE_SIZE: Final = 1 << 30
"""Bytes. No root task of a 32-bit machine is larger: the kernel keeps more than that for itself."""

_MAGIC: Final = b"\x7fELF"
_EM_ARM: Final = 40
_ET_EXEC: Final = 2
_PT_LOAD: Final = 1
_PT_INTERP: Final = 3
_PN_XNUM: Final = 0xFFFF
_EF_ARM_BE8: Final = 0x0080_0000
_SYMBOL_TABLE: Final = 2  # SHT_SYMTAB
_MAX_NAME: Final = 256

_MACHINES: Final = {
    0: "no machine",
    2: "SPARC",
    3: "x86",
    8: "MIPS",
    20: "PowerPC",
    21: "64-bit PowerPC",
    22: "S/390",
    40: "ARM",
    50: "IA-64",
    62: "x86-64",
    183: "AArch64",
    243: "RISC-V",
    247: "BPF",
    258: "LoongArch",
}
_KINDS: Final = {
    0: "has no file type",
    1: "is a relocatable object file, not linked yet",
    3: "is position-independent (ET_DYN, a PIE or a shared library): link it with -no-pie -static",
    4: "is a core dump",
}
_OTHER_FORMATS: Final = (
    (b"070702", "a CPIO archive with checksums: write it in the newc format"),
    (b"070707", "an old CPIO archive: write it in the newc format"),
    (b"\xd0\x0d\xfe\xed", "a device tree"),
    (b"\x27\x05\x19\x56", "a U-Boot image"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed: unpack it first"),
    (b"\xfd7zXZ", "xz-compressed: unpack it first"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"MZ", "a Windows or EFI executable"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file"),
    (b"\xce\xfa\xed\xfe", "a Mach-O file"),
    (b"!<arch>", "an archive of object files"),
    (b"#!", "a script"),
)
# p_flags bits (PF_X, PF_W, PF_R) to the machine's rights
_RIGHTS: Final = ((1, EXECUTE), (2, WRITE), (4, READ))


@dataclass(frozen=True, slots=True)
class Segment:
    """One PT_LOAD: `memory_size` bytes at `virtual`, of which the first `file_size` come from the file."""

    index: int  # in the program header table
    virtual: int
    physical: int  # p_paddr: where a kernel image wants to be
    offset: int
    file_size: int
    memory_size: int
    rights: int  # READ, WRITE, EXECUTE of retrap.machine.space
    data: bytes

    @property
    def end(self) -> int:
        """First virtual address after the segment."""
        return self.virtual + self.memory_size


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named address. `size` may be 0; `kind` is "function", "object" or "other"."""

    name: str
    address: int
    size: int
    kind: str
    thumb: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A section with an address range, for people."""

    name: str
    address: int
    size: int


class Image:
    """A verified executable: a root task, alone or inside a packed boot image; or a kernel.

    `path` is the file's name for people, `data` the whole file, `elf` the executable in it.
    """

    def __init__(self, path: str, data: bytes) -> None:
        """Raises `InputError` for anything but a little-endian 32-bit ARM executable that can be loaded."""
        self.path: Final = path
        self.data: Final = data
        self.packed: Final = unpack(path, data)
        """The other parts, if the file is a packed boot image."""
        if self.packed is not None and self.packed.container == "ELF loader":
            _header(path, data)  # a loader for another machine says so first
        self.elf: Final = data if self.packed is None else self.packed.root.data
        name = path if self.packed is None else f"{path}: {self.packed.root.name}"
        header = _header(name, self.elf)
        self.flags: Final = header.flags
        self.entry: Final = header.entry
        """Virtual address; bit 0 set: starts in Thumb state."""
        self.segments: Final = tuple(_segments(name, self.elf, header))
        """In ascending order of address, not overlapping."""
        _check_entry(name, header.entry, self.segments)
        self._header: Final = header

    @property
    def thumb(self) -> bool:
        """Whether the entry is Thumb code."""
        return bool(self.entry & 1)

    @property
    def start(self) -> int:
        """Lowest virtual address of any segment."""
        return self.segments[0].virtual

    @property
    def end(self) -> int:
        """First virtual address after the last segment."""
        return self.segments[-1].end

    @cached_property
    def sha256(self) -> str:
        """Digest of the whole file, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """Functions and objects, by address. Empty for a stripped file or an unreadable symbol table."""
        return _symbols(_parse(self.elf, self._header))

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Sections with an address, by address. Empty if the section table is absent or unreadable."""
        return _sections(self.elf, self._header)

    @cached_property
    def variables(self) -> dict[str, int]:
        """The sizes of variables and other data by name, read without lief. Empty if the symbol table is absent
        or unreadable; of two with one name the larger counts."""
        return _variables(self.elf, self._header)

    def segment_at(self, address: int) -> Segment | None:
        """The segment that holds a virtual address."""
        for segment in self.segments:
            if segment.virtual <= address < segment.end:
                return segment
        return None


def load_image(path: str | Path) -> Image:
    """Read and verify a root-task ELF or a packed boot image. Raises `InputError`."""
    return Image(str(path), read_file(path, MAX_FILE_SIZE))


def _header(path: str, data: bytes) -> layouts.ElfHeader:
    """The verified ELF header: right format, width, byte order, machine and file type."""
    if not data:
        raise InputError(path, "", "is empty")
    if not data.startswith(_MAGIC):
        raise InputError(path, "ELF header", _not_elf(data))
    try:
        ident = layouts.elf_ident(data[: layouts.IDENT_SIZE])
        # Width and byte order first: everything after depends on them.
        if ident.width == 2:
            raise InputError(path, "ELF header", "is a 64-bit executable: a 32-bit ARM one is needed")
        if ident.width != 1:
            raise InputError(path, "ELF header", f"unknown ELF class {ident.width}")
        if ident.order == 2:
            raise InputError(path, "ELF header", "is big-endian: a little-endian ARM executable is needed")
        if ident.order != 1:
            raise InputError(path, "ELF header", f"unknown byte order {ident.order}")
        header = layouts.elf_header(data[: layouts.HEADER_SIZE])
    except layouts.LayoutError as error:
        raise InputError(path, "ELF header", f"truncated: {error}") from error
    if header.machine != _EM_ARM:
        machine = _MACHINES.get(header.machine, f"unknown machine {header.machine}")
        raise InputError(path, "ELF header", f"is for {machine}, not 32-bit ARM")
    if header.kind != _ET_EXEC:
        kind = _KINDS.get(header.kind, f"has the unknown ELF type {header.kind:#x}")
        raise InputError(path, "ELF header", f"{kind}; a static executable (ET_EXEC) is needed")
    if ident.version != 1 or header.version != 1:
        raise InputError(path, "ELF header", f"unknown ELF version {max(ident.version, header.version)}")
    if header.flags & _EF_ARM_BE8:
        reason = "holds big-endian data (BE8): a little-endian executable is needed"
        raise InputError(path, "ELF header", reason)
    return header


def _not_elf(data: bytes) -> str:
    for magic, name in _OTHER_FORMATS:
        if data.startswith(magic):
            return f"is not an ELF file but {name}"
    if _MAGIC.startswith(data):
        return f"truncated: {layouts.IDENT_SIZE} bytes needed, {len(data)} left"
    return f"is not an ELF file: starts with {data[:4].hex(' ')}"


def _segments(path: str, data: bytes, header: layouts.ElfHeader) -> list[Segment]:
    """The PT_LOAD segments that occupy memory, verified, in ascending order."""
    if header.program_count == 0 or header.program_offset == 0:
        raise InputError(path, "program headers", "has no program headers, so nothing to load")
    if header.program_count == _PN_XNUM:
        raise InputError(path, "program headers", "has more than 65534 program headers")
    if header.program_entry_size != layouts.PROGRAM_HEADER_SIZE:
        raise InputError(
            path,
            "program headers",
            f"entries of {header.program_entry_size} bytes, not {layouts.PROGRAM_HEADER_SIZE}",
        )
    end = header.program_offset + header.program_count * layouts.PROGRAM_HEADER_SIZE
    if end > len(data):
        raise InputError(
            path, "program headers", f"truncated: the table ends at byte {end}, the file has {len(data)}"
        )
    found = []
    for index, entry in enumerate(layouts.program_headers(data, header.program_offset, header.program_count)):
        if entry.kind == _PT_INTERP:
            raise InputError(path, f"program header {index}", "needs a dynamic linker: link it with -static")
        if entry.kind == _PT_LOAD and (entry.memory_size or entry.file_size):
            found.append(_segment(path, data, index, entry))
    if not found:
        raise InputError(path, "program headers", "has no loadable segment (PT_LOAD)")
    found.sort(key=lambda segment: segment.virtual)
    for below, above in pairwise(found):
        if above.virtual < below.end:
            raise InputError(
                path,
                f"segment {above.index}",
                f"overlaps segment {below.index}: {_extent(above)} and {_extent(below)}",
            )
    return found


def _segment(path: str, data: bytes, index: int, entry: layouts.ProgramHeader) -> Segment:
    place = f"segment {index}"
    if entry.offset + entry.file_size > len(data):
        end = entry.offset + entry.file_size
        raise InputError(path, place, f"truncated: its data ends at byte {end}, the file has {len(data)}")
    if entry.file_size > entry.memory_size:
        raise InputError(
            path, place, f"has {entry.file_size} bytes in the file but only {entry.memory_size} in memory"
        )
    if entry.virtual + entry.memory_size > 1 << 32:
        raise InputError(
            path,
            place,
            f"wraps round the address space: {entry.memory_size:#x} bytes at {entry.virtual:#010x}",
        )
    rights = sum(right for flag, right in _RIGHTS if entry.flags & flag)
    return Segment(
        index=index,
        virtual=entry.virtual,
        physical=entry.physical,
        offset=entry.offset,
        file_size=entry.file_size,
        memory_size=entry.memory_size,
        rights=rights,
        data=data[entry.offset : entry.offset + entry.file_size],
    )


def _extent(segment: Segment) -> str:
    return f"[{segment.virtual:#010x}, {segment.end:#010x})"


def _check_entry(path: str, entry: int, segments: tuple[Segment, ...]) -> None:
    """The first instruction must lie in a segment, aligned for its instruction set (ARM ARM A2.3.2)."""
    if entry & 3 == 2:
        reason = f"{entry:#010x} is neither ARM (4-byte aligned) nor Thumb (odd) code"
        raise InputError(path, "entry point", reason)
    address = entry & ~1
    size = 2 if entry & 1 else 4
    if not any(s.virtual <= address and address + size <= s.end for s in segments):
        raise InputError(path, "entry point", f"{entry:#010x} lies in no loadable segment")


# ------------------------------------------------------------------ symbols, by lief, and sections


def _parse(data: bytes, header: layouts.ElfHeader) -> Any | None:
    """The file as lief sees it, or None where its tables cannot be trusted or read."""
    if not _section_table_is_sound(data, header):
        return None
    import lief

    lief.logging.disable()
    config = lief.ELF.ParserConfig()
    config.parse_relocations = False
    config.parse_dyn_symbols = False
    config.parse_symbol_versions = False
    config.parse_notes = False
    config.parse_overlay = False
    return lief.ELF.parse(data, config)


def _section_table_is_sound(data: bytes, header: layouts.ElfHeader) -> bool:
    """Whether every section, and the table itself, lies inside the file."""
    if not header.section_count or header.section_entry_size != layouts.SECTION_HEADER_SIZE:
        return False
    end = header.section_offset + header.section_count * layouts.SECTION_HEADER_SIZE
    if end > len(data):
        return False
    no_bits = 8
    return all(
        entry.kind == no_bits or entry.offset + entry.size <= len(data)
        for entry in layouts.section_headers(data, header.section_offset, header.section_count)
    )


def _symbols(parsed: Any | None) -> tuple[Symbol, ...]:
    if parsed is None:
        return ()
    with warnings.catch_warnings():
        # lief warns about symbol types that it has no name for.
        warnings.simplefilter("ignore", RuntimeWarning)
        return tuple(sorted(_each_symbol(parsed), key=lambda s: (s.address, s.name)))


def _each_symbol(parsed: Any) -> Iterator[Symbol]:
    import lief

    kinds = {lief.ELF.Symbol.TYPE.FUNC: "function", lief.ELF.Symbol.TYPE.OBJECT: "object"}
    skipped = {lief.ELF.Symbol.TYPE.SECTION, lief.ELF.Symbol.TYPE.FILE, lief.ELF.Symbol.TYPE.TLS}
    for symbol in parsed.symtab_symbols:
        name = _text(symbol.name)
        # "$a", "$t", "$d" mark code and data for disassemblers (ELF for the ARM Architecture, 4.5.5).
        if not name or name[0] == "$" or symbol.type in skipped or symbol.shndx == 0:
            continue
        kind = kinds.get(symbol.type, "other")
        thumb = kind == "function" and bool(symbol.value & 1)
        yield Symbol(name, symbol.value & ~1 if thumb else symbol.value, symbol.size, kind, thumb)


def _sections(data: bytes, header: layouts.ElfHeader) -> tuple[Section, ...]:
    """Read without lief: a kernel's sections are needed for booting."""
    if not _section_table_is_sound(data, header):
        return ()
    entries = list(layouts.section_headers(data, header.section_offset, header.section_count))
    if header.section_names >= len(entries):
        return ()
    table = entries[header.section_names]
    names = data[table.offset : table.offset + table.size]
    found = [
        Section(
            names[entry.name :].split(b"\0", 1)[0].decode("utf-8", "backslashreplace"), entry.address, entry.size
        )
        for entry in entries
        if entry.address
    ]
    return tuple(sorted(found, key=lambda s: (s.address, s.name)))


_SYMBOL: Final = struct.Struct("<IIIBBH")
"""Elf32_Sym: name, value, size, info, other, section."""


def _variables(data: bytes, header: layouts.ElfHeader) -> dict[str, int]:
    """Sizes of the symbols of type OBJECT or none."""
    if not _section_table_is_sound(data, header):
        return {}
    entries = list(layouts.section_headers(data, header.section_offset, header.section_count))
    found: dict[str, int] = {}
    for entry in entries:
        if entry.kind != _SYMBOL_TABLE or entry.link >= len(entries):
            continue
        strings = entries[entry.link]
        names = data[strings.offset : strings.offset + strings.size]
        table = data[entry.offset : entry.offset + entry.size // _SYMBOL.size * _SYMBOL.size]
        for at, _, size, info, _, section in _SYMBOL.iter_unpack(table):
            end = names.find(b"\0", at)
            if section and info & 15 <= 1 and 0 < end - at <= _MAX_NAME:
                name = names[at:end].decode("utf-8", "backslashreplace")
                found[name] = max(size, found.get(name, 0))
    return found


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", "backslashreplace")
