"""Small ELF files made field by field, right or wrong on purpose."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

R, W, X = 4, 2, 1  # p_flags

MOV_R0_R0 = bytes.fromhex("0000a0e1")


@dataclass(frozen=True)
class Load:
    """A program header and the bytes it names; sizes default to the bytes' length."""

    virtual: int
    data: bytes = b""
    memory_size: int | None = None
    flags: int = R | X
    kind: int = 1
    file_size: int | None = None
    offset: int | None = None
    physical: int | None = None


@dataclass(frozen=True)
class Elf:
    """An ELF32 file; the defaults are a little-endian ARM executable."""

    segments: tuple[Load, ...] = (Load(0x10000, MOV_R0_R0 * 16),)
    entry: int = 0x10000
    magic: bytes = b"\x7fELF"
    width: int = 1
    order: int = 1
    ident_version: int = 1
    kind: int = 2
    machine: int = 40
    version: int = 1
    flags: int = 0x0500_0200
    program_offset: int | None = None
    program_entry_size: int = 32
    program_count: int | None = None
    tail: bytes = b""
    sections: tuple[int, int, int, int] = field(default=(0, 40, 0, 0))  # offset, entry size, count, names

    def build(self) -> bytes:
        """Header, program headers, then the segments' bytes."""
        table_at = 52
        at = table_at + 32 * len(self.segments)
        headers, contents = b"", b""
        for load in self.segments:
            offset = at + len(contents) if load.offset is None else load.offset
            file_size = len(load.data) if load.file_size is None else load.file_size
            headers += struct.pack(
                "<8I",
                load.kind,
                offset,
                load.virtual,
                load.virtual if load.physical is None else load.physical,
                file_size,
                file_size if load.memory_size is None else load.memory_size,
                load.flags,
                4,
            )
            contents += load.data
        section_offset, section_entry, section_count, names = self.sections
        header = struct.pack(
            "<4sBBBBB7xHHIIIIIHHHHHH",
            self.magic,
            self.width,
            self.order,
            self.ident_version,
            0,
            0,
            self.kind,
            self.machine,
            self.version,
            self.entry,
            table_at if self.program_offset is None else self.program_offset,
            section_offset,
            self.flags,
            52,
            self.program_entry_size,
            len(self.segments) if self.program_count is None else self.program_count,
            section_entry,
            section_count,
            names,
        )
        return header + headers + contents + self.tail

    def but(self, **changes: object) -> Elf:
        """A copy with other fields."""
        return replace(self, **changes)  # type: ignore[arg-type]


def with_symbols(elf: Elf, symbols: tuple[tuple[str, int, int, int], ...]) -> bytes:
    """The file with a symbol table of (name, value, size, info) entries in section 1."""
    names, table = b"\0", bytes(16)
    for name, value, size, info in symbols:
        table += struct.pack("<IIIBBH", len(names), value, size, info, 0, 1)
        names += name.encode() + b"\0"
    section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0"
    at = len(elf.build())
    at += -at % 4
    body = table + names + section_names
    body += bytes(-len(body) % 4)

    def section(
        name: bytes, kind: int, address: int, offset: int, size: int, link: int = 0, entry: int = 0
    ) -> bytes:
        start = section_names.index(name + b"\0")
        return struct.pack("<10I", start, kind, 2 if address else 0, address, offset, size, link, 1, 4, entry)

    headers = bytes(40)
    headers += section(b".text", 1, elf.segments[0].virtual, 52 + 32 * len(elf.segments), len(elf.segments[0].data))
    headers += section(b".symtab", 2, 0, at, len(table), link=3, entry=16)
    headers += section(b".strtab", 3, 0, at + len(table), len(names))
    headers += section(b".shstrtab", 3, 0, at + len(table) + len(names), len(section_names))
    pad = bytes(-len(elf.build()) % 4)
    return elf.but(tail=elf.tail + pad + body + headers, sections=(at + len(body), 40, 5, 4)).build()
