"""seL4_BootInfo of each ABI group, byte by byte (libsel4/include/sel4/bootinfo_types.h, once bootinfo.h)."""

from __future__ import annotations

from typing import Final

from retrap.kernel.abi.release import BootInfoField, BootInfoLayout


def _word(name: str, offset: int, size: int = 4) -> BootInfoField:
    return BootInfoField(name, offset, size)


def _region(name: str, offset: int) -> BootInfoField:
    return BootInfoField(name, offset, 8, "region")


_DESCRIPTOR_12: Final = (_word("paddr", 0), _word("sizeBits", 4, 1), _word("isDevice", 5, 1))

_HEAD_5: Final = (
    _word("extraLen", 0),
    _word("nodeID", 4),
    _word("numNodes", 8),
    _word("numIOPTLevels", 12),
    _word("ipcBuffer", 16),
    _region("empty", 20),
    _region("sharedFrames", 28),
    _region("userImageFrames", 36),
    _region("userImagePaging", 44),
    _region("ioSpaceCaps", 52),
    _region("extraBIPages", 60),
)
_FIELDS_10_1: Final = (
    *_HEAD_5,
    _word("initThreadCNodeSizeBits", 68),
    _word("initThreadDomain", 72),
    _region("untyped", 76),
)
BOOTINFO_12: Final = BootInfoLayout(_FIELDS_10_1, 84, _DESCRIPTOR_12)
"""12.0.0 on: the descriptor's size and device bytes come before its padding."""
