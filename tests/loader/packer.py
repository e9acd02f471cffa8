"""Small packed boot images: archives, kernels and device trees made to measure."""

from __future__ import annotations

import struct

from elf_builder import Elf, Load, R, W, X
from retrap.loader import device_tree
from retrap.loader.platform import Span

REGULAR = 0o100644


def newc(*files: tuple[str, bytes], mode: int = REGULAR, end: bool = True) -> bytes:
    """A CPIO archive in newc format."""
    out = b""
    for name, data in (*files, *((("TRAILER!!!", b""),) if end else ())):
        raw = name.encode() + b"\0"
        fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def loader_elf(archive: bytes, before: bytes = b"loader code, ") -> bytes:
    """An ELF loader that carries an archive."""
    return Elf(
        segments=(Load(0x6000_0000, before + bytes(-len(before) % 4) + archive, flags=R | W | X),),
        entry=0x6000_0000,
    ).build()


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def mov(register: int, constant: int) -> int:
    return 0xE3A0_0000 | register << 12 | constant


def store(source: int, base: int, offset: int) -> int:
    return 0xE580_0000 | base << 16 | source << 12 | offset


def boot_code(cnode_bits: int, slots: int = 16) -> bytes:
    """What a kernel does when it fills in the boot information, as far as it can be recognised."""
    return words(
        mov(1, 0), mov(2, cnode_bits), store(1, 12, 12), store(1, 12, 72), mov(3, slots), store(7, 12, 16),
        store(6, 12, 0), store(2, 12, 68), store(12, 5, 124), store(3, 5, 128), 0xE8BD_8010,
    )  # fmt: skip


VSTM_ALL = 0xEC80_0B20


def kernel(
    base: int = 0x4000_0000,
    virtual: int = 0xA000_0000,
    size: int = 0x30_0000,
    code: bytes | None = None,
    texts: tuple[str, ...] = ("Bootstrapping kernel", "failed assertion '%s'"),
    fpu: bool = True,
) -> bytes:
    """A kernel's ELF file with those extents."""
    content = boot_code(13) if code is None else code
    content += words(VSTM_ALL) if fpu else b""
    content += b"".join(text.encode() + b"\0" for text in texts)
    load = Load(virtual, content, memory_size=size, flags=R | W | X, physical=base)
    return Elf(segments=(load,), entry=virtual).build()


def tree(compatible: str = "linux,dummy-virt", *ram: Span) -> bytes:
    """A device tree with memory, of a board."""
    import fdt

    made = fdt.FDT()
    made.set_property("#address-cells", 1)
    made.set_property("#size-cells", 1)
    made.set_property("compatible", compatible)
    for span in ram or (Span(0x4000_0000, 0x4000_0000),):
        made.set_property("device_type", "memory", path=f"/memory@{span.base:x}")
        made.set_property("reg", [span.base, span.size], path=f"/memory@{span.base:x}")
    return device_tree.verify("tree", bytes(made.to_dtb(version=17)))


ROOT = Elf().build()
PARTS = (("kernel.elf", kernel()), ("kernel.dtb", tree()), ("rootserver", ROOT))
