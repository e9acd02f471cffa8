"""Binary layouts as declarations: ELF32 headers (System V ABI, chapter 4) and seL4_BootInfo.

The only importer of construct here. What comes out are plain named tuples; construct's own objects and errors
stop in this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from construct import (
    Array,
    Bytes,
    BytesInteger,
    ConstructError,
    Int8ul,
    Int16ul,
    Int32ub,
    Int32ul,
    Padded,
    Padding,
    Struct,
)
from retrap.kernel.abi.release import BootInfoField, BootInfoLayout


class LayoutError(ValueError):
    """The bytes end before the structure does."""


class ElfIdent(NamedTuple):
    """The first 16 bytes, which have the same meaning in every ELF file."""

    magic: bytes
    width: int  # 1 = 32-bit, 2 = 64-bit
    order: int  # 1 = little-endian, 2 = big-endian
    version: int
    abi: int
    abi_version: int


class ElfHeader(NamedTuple):
    """Elf32_Ehdr after its identification. Offsets and sizes are in bytes."""

    kind: int
    machine: int
    version: int
    entry: int
    program_offset: int
    section_offset: int
    flags: int
    header_size: int
    program_entry_size: int
    program_count: int
    section_entry_size: int
    section_count: int
    section_names: int


class ProgramHeader(NamedTuple):
    """Elf32_Phdr."""

    kind: int
    offset: int
    virtual: int
    physical: int
    file_size: int
    memory_size: int
    flags: int
    alignment: int


class SectionHeader(NamedTuple):
    """Elf32_Shdr."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


IDENT_SIZE: Final = 16
HEADER_SIZE: Final = 52
PROGRAM_HEADER_SIZE: Final = 32
SECTION_HEADER_SIZE: Final = 40

_ELF_IDENT: Final = Struct(
    "magic" / Bytes(4),
    "width" / Int8ul,
    "order" / Int8ul,
    "version" / Int8ul,
    "abi" / Int8ul,
    "abi_version" / Int8ul,
    Padding(7),
)
_ELF_HEADER: Final = Struct(
    Padding(IDENT_SIZE),
    "kind" / Int16ul,
    "machine" / Int16ul,
    "version" / Int32ul,
    "entry" / Int32ul,
    "program_offset" / Int32ul,
    "section_offset" / Int32ul,
    "flags" / Int32ul,
    "header_size" / Int16ul,
    "program_entry_size" / Int16ul,
    "program_count" / Int16ul,
    "section_entry_size" / Int16ul,
    "section_count" / Int16ul,
    "section_names" / Int16ul,
)
_PROGRAM_HEADER: Final = Struct(*(name / Int32ul for name in ProgramHeader._fields))
_SECTION_HEADER: Final = Struct(*(name / Int32ul for name in SectionHeader._fields))


def elf_ident(data: bytes) -> ElfIdent:
    """The identification at the start of `data`. Raises `LayoutError` if it is cut short."""
    return ElfIdent(**_fields(_ELF_IDENT, data, ElfIdent._fields))


def elf_header(data: bytes) -> ElfHeader:
    """The 32-bit header at the start of `data`. Raises `LayoutError` if it is cut short."""
    return ElfHeader(**_fields(_ELF_HEADER, data, ElfHeader._fields))


def program_headers(data: bytes, offset: int, count: int) -> Iterator[ProgramHeader]:
    """`count` program headers from `offset`. Raises `LayoutError` where the table is cut short."""
    for index in range(count):
        start = offset + index * PROGRAM_HEADER_SIZE
        entry = data[start : start + PROGRAM_HEADER_SIZE]
        yield ProgramHeader(**_fields(_PROGRAM_HEADER, entry, ProgramHeader._fields))


def section_headers(data: bytes, offset: int, count: int) -> Iterator[SectionHeader]:
    """`count` section headers from `offset`. Raises `LayoutError` where the table is cut short."""
    for index in range(count):
        start = offset + index * SECTION_HEADER_SIZE
        entry = data[start : start + SECTION_HEADER_SIZE]
        yield SectionHeader(**_fields(_SECTION_HEADER, entry, SectionHeader._fields))


def _fields(declaration: Any, data: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        parsed = declaration.parse(data)
    except ConstructError as error:
        raise LayoutError(f"{declaration.sizeof()} bytes needed, {len(data)} left") from error
    return {name: parsed[name] for name in names}


class Untyped(NamedTuple):
    """One entry of the boot information's untyped list."""

    paddr: int
    size_bits: int
    device: bool


class DeviceRegion(NamedTuple):
    """One entry of the boot information's device list, until 3.2.0: `first` … `end` are the frames' slots."""

    paddr: int
    size_bits: int
    first: int
    end: int


def bootinfo(
    layout: BootInfoLayout,
    values: Mapping[str, int | tuple[int, int]],
    untypeds: Sequence[Untyped],
    devices: Sequence[DeviceRegion] = (),
) -> bytes:
    """seL4_BootInfo as `layout` has it: `values` by field name (words, or (start, end) of regions), then the list.

    Fields without a value are zero, as the kernel clears the frame first. Until 3.2.0 there are parallel lists
    of a fixed length within the structure, and a list of devices.
    """
    if not layout.untyped_desc:
        return _parallel_bootinfo(layout, values, untypeds, devices)
    descriptors = [{"paddr": u.paddr, "sizeBits": u.size_bits, "isDevice": int(u.device)} for u in untypeds]
    head = _declare(layout.fields, layout.untyped_list_offset)
    descriptor = _declare(layout.untyped_desc, layout.untyped_desc_size)
    declaration = Struct("head" / head, "list" / Array(len(untypeds), descriptor))
    filled = {f.name: _value(f, values.get(f.name)) for f in layout.fields}
    return bytes(declaration.build({"head": filled, "list": descriptors}))


def _parallel_bootinfo(
    layout: BootInfoLayout,
    values: Mapping[str, int | tuple[int, int]],
    untypeds: Sequence[Untyped],
    devices: Sequence[DeviceRegion],
) -> bytes:
    head = _declare(layout.fields, layout.size)
    data = bytearray(head.build({f.name: _value(f, values.get(f.name)) for f in layout.fields}))
    contents = {
        "untypedPaddrList": b"".join(u.paddr.to_bytes(4, "little") for u in untypeds),
        "untypedSizeBitsList": bytes(u.size_bits for u in untypeds),
        "deviceRegions": b"".join(_DEVICE_REGION.build(region._asdict()) for region in devices),
    }
    for each in layout.lists:
        content = contents[each.name]
        data[each.offset : each.offset + len(content)] = content
    return bytes(data)


_DEVICE_REGION: Final = Struct(*(name / Int32ul for name in DeviceRegion._fields))
_REGION: Final = Struct("start" / Int32ul, "end" / Int32ul)


def _declare(fields: Sequence[BootInfoField], size: int) -> Any:
    """A construct declaration of fields at given offsets, gaps padded, `size` bytes in all."""
    parts: list[Any] = []
    at = 0
    for field in sorted(fields, key=lambda f: f.offset):
        if field.offset > at:
            parts.append(Padding(field.offset - at))
        parts.append(field.name / (_REGION if field.kind == "region" else BytesInteger(field.size, swapped=True)))
        at = field.offset + field.size
    return Padded(size, Struct(*parts))


def _value(field: BootInfoField, value: int | tuple[int, int] | None) -> int | dict[str, int]:
    if field.kind == "region":
        start, end = value if isinstance(value, tuple) else (0, 0)
        return {"start": start, "end": end}
    return value if isinstance(value, int) else 0


_CHUNK: Final = Struct("id" / Int32ul, "len" / Int32ul)


def bootinfo_chunk(identifier: int, content: bytes) -> bytes:
    """A chunk of extra boot information: seL4_BootInfoHeader {id, len with the header}, then the content."""
    return bytes(_CHUNK.build({"id": identifier, "len": _CHUNK.sizeof() + len(content)})) + content


class FdtHeader(NamedTuple):
    """fdt_header of the Devicetree Specification, section 5.2 (version 17). Offsets and sizes are in bytes."""

    magic: int
    total_size: int
    structure_offset: int
    strings_offset: int
    reserve_offset: int
    version: int
    compatible_version: int
    boot_cpu: int
    strings_size: int
    structure_size: int


FDT_MAGIC: Final = 0xD00D_FEED
FDT_HEADER_SIZE: Final = 40
_FDT_HEADER: Final = Struct(*(name / Int32ub for name in FdtHeader._fields))


def fdt_header(data: bytes) -> FdtHeader:
    """The header of a flattened device tree. Raises `LayoutError` if it is cut short."""
    return FdtHeader(**_fields(_FDT_HEADER, data[:FDT_HEADER_SIZE], FdtHeader._fields))


def fdt_token(data: bytes, at: int) -> int:
    """The token (one big-endian word) at offset `at` of a structure block. Raises `LayoutError` past the end."""
    if at + 4 > len(data):
        raise LayoutError(f"4 bytes needed, {max(0, len(data) - at)} left")
    return int.from_bytes(data[at : at + 4], "big")


def fdt_property(data: bytes, at: int) -> tuple[int, int]:
    """Size of a property's value and offset of its name, behind an FDT_PROP token. Raises `LayoutError`."""
    return fdt_token(data, at), fdt_token(data, at + 4)


class CpioHeader(NamedTuple):
    """An entry of a "newc" CPIO archive (cpio(5), New ASCII Format): the fields as numbers."""

    magic: int
    inode: int
    mode: int
    uid: int
    gid: int
    links: int
    mtime: int
    file_size: int
    device_major: int
    device_minor: int
    special_major: int
    special_minor: int
    name_size: int
    check: int


CPIO_MAGIC: Final = b"070701"
CPIO_HEADER_SIZE: Final = 110
_CPIO_HEADER: Final = Struct(
    "magic" / Bytes(6), *(name / Bytes(8) for name in CpioHeader._fields if name != "magic")
)


def cpio_header(data: bytes, at: int) -> CpioHeader:
    """The entry header at `at`. Raises `LayoutError` if it is cut short or its digits are none."""
    fields = _fields(_CPIO_HEADER, data[at : at + CPIO_HEADER_SIZE], CpioHeader._fields)
    digits = b"0123456789abcdefABCDEF"
    for name, text in fields.items():
        if not all(byte in digits for byte in text):
            raise LayoutError(f"{name} is not a hexadecimal number")
    return CpioHeader(**{name: int(text, 16) for name, text in fields.items()})
