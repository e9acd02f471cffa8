"""seL4_BootInfo of each ABI group, byte by byte (libsel4/include/sel4/bootinfo_types.h, once bootinfo.h)."""

from __future__ import annotations

from typing import Final

from retrap.kernel.abi.release import BootInfoField, BootInfoLayout, BootInfoMember

_Members = tuple[BootInfoMember, ...]


def _layout(
    members: _Members,
    descriptor: tuple[BootInfoField, ...],
    untypeds: int,
    devices: int = 0,
    *,
    packed: bool = False,
) -> BootInfoLayout:
    """Give every member its offset, as a C compiler does: aligned, or packed without gaps."""
    lengths = {"": 1, "untypeds": untypeds, "devices": devices}
    fields: list[BootInfoField] = []
    lists: list[BootInfoField] = []
    position = 0
    for member in members:
        if not packed:
            position = -(-position // member.alignment) * member.alignment
        field = BootInfoField(member.name, position, member.size, member.kind)
        (lists if member.repeat else fields).append(field)
        position += member.size * lengths[member.repeat]
    size = position if packed else -(-position // 4) * 4
    return BootInfoLayout(
        tuple(fields),
        lists[0].offset,
        descriptor,
        lists=tuple(lists),
        packed=packed,
        members=members,
        size=size,
    )


def resized(layout: BootInfoLayout, untypeds: int, devices: int) -> BootInfoLayout:
    """The layout in a build whose lists have other lengths (CONFIG_MAX_NUM_BOOTINFO_…)."""
    return _layout(layout.members, layout.untyped_desc, untypeds, devices, packed=layout.packed)


def _word(name: str) -> BootInfoMember:
    return BootInfoMember(name, 4, 4)


def _byte(name: str) -> BootInfoMember:
    return BootInfoMember(name, 1, 1)


def _region(name: str) -> BootInfoMember:
    return BootInfoMember(name, 8, 4, "region")


def _list(name: str, size: int, alignment: int, repeat: str) -> BootInfoMember:
    return BootInfoMember(name, size, alignment, "list", repeat)


_NODES: Final = (_word("nodeID"), _word("numNodes"), _word("numIOPTLevels"), _word("ipcBuffer"))
_FRAMES: Final = (_region("empty"), _region("sharedFrames"), _region("userImageFrames"))
_PAGING: Final = _region("userImagePaging")
_IO_SPACES: Final = _region("ioSpaceCaps")
_UNTYPED: Final = _region("untyped")
_OLD_UNTYPED_LISTS: Final = (
    _list("untypedPaddrList", 4, 4, "untypeds"),
    _list("untypedSizeBitsList", 1, 1, "untypeds"),
    _byte("initThreadCNodeSizeBits"),
)
# A device region: basePaddr, frameSizeBits, and the slots of its frames (start, end).
_OLD_DEVICES: Final = (_word("numDeviceRegions"), _list("deviceRegions", 16, 4, "devices"))
_DOMAIN: Final = _word("initThreadDomain")
_DESCRIPTORS: Final = _list("untypedList", 8, 4, "untypeds")

_DESCRIPTOR_4: Final = (
    BootInfoField("paddr", 0, 4),
    BootInfoField("sizeBits", 6, 1),
    BootInfoField("isDevice", 7, 1),
)
_DESCRIPTOR_12: Final = (
    BootInfoField("paddr", 0, 4),
    BootInfoField("sizeBits", 4, 1),
    BootInfoField("isDevice", 5, 1),
)

OLD_UNTYPEDS: Final = 167
"""CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS of the Kconfig builds."""
UNTYPEDS: Final = 230
"""The same of the CMake builds, 7.0.0 on."""
OLD_DEVICES: Final = 199
"""CONFIG_MAX_NUM_BOOTINFO_DEVICE_REGIONS. 1.0.3 has 200, which does not fit the page: its build fails."""

BOOTINFO_2006: Final = _layout(
    (
        _word("ipcBuffer"),
        _region("empty"),
        _region("userImageFrames"),
        _region("userImagePaging"),
        _word("initThreadCNodeSizeBits"),
        _region("untyped"),
        _DESCRIPTORS,
    ),
    _DESCRIPTOR_12,
    UNTYPEDS,
)
"""The 2006 design: what an initial thread cannot do without. `userImagePaging` are CNodes."""
BOOTINFO_1_0_3: Final = _layout(
    (
        *_NODES,
        *_FRAMES,
        _region("userImagePTs"),
        _UNTYPED,
        *_OLD_UNTYPED_LISTS,
        *_OLD_DEVICES,
        _byte("initThreadDomain"),
    ),
    (),
    OLD_UNTYPEDS,
    OLD_DEVICES,
)
BOOTINFO_1_0_4: Final = _layout(
    (
        *_NODES,
        *_FRAMES,
        _region("userImagePDs"),
        _region("userImagePTs"),
        _UNTYPED,
        *_OLD_UNTYPED_LISTS,
        *_OLD_DEVICES,
        _DOMAIN,
    ),
    (),
    OLD_UNTYPEDS,
    OLD_DEVICES,
)
BOOTINFO_3: Final = _layout(
    (*_NODES, *_FRAMES, _PAGING, _UNTYPED, *_OLD_UNTYPED_LISTS, *_OLD_DEVICES, _DOMAIN),
    (),
    OLD_UNTYPEDS,
    OLD_DEVICES,
)
"""3.0.0 on: one region for all paging structures."""
BOOTINFO_3_2: Final = _layout(
    (*_NODES, *_FRAMES, _PAGING, _UNTYPED, _IO_SPACES, *_OLD_UNTYPED_LISTS, *_OLD_DEVICES, _DOMAIN),
    (),
    OLD_UNTYPEDS,
    OLD_DEVICES,
)
_MEMBERS_4: Final = (
    *_NODES,
    *_FRAMES,
    _PAGING,
    _IO_SPACES,
    _byte("initThreadCNodeSizeBits"),
    _DOMAIN,
    _word("archInfo"),
    _UNTYPED,
    _DESCRIPTORS,
)
BOOTINFO_4: Final = _layout(_MEMBERS_4, _DESCRIPTOR_4, OLD_UNTYPEDS)
"""4.0.0: device memory became untyped memory, with one list of descriptors."""

_HEAD_5: Final = (
    _word("extraLen"),
    *_NODES,
    *_FRAMES,
    _PAGING,
    _IO_SPACES,
    _region("extraBIPages"),
)
_MEMBERS_5: Final = (
    *_HEAD_5,
    _byte("initThreadCNodeSizeBits"),
    _DOMAIN,
    _word("archInfo"),
    _UNTYPED,
    _DESCRIPTORS,
)
BOOTINFO_5: Final = _layout(_MEMBERS_5, _DESCRIPTOR_4, OLD_UNTYPEDS, packed=True)
"""5.0.0 on: extra boot information; the structure is packed, what follows the one byte is not aligned."""
BOOTINFO_7: Final = _layout(_MEMBERS_5, _DESCRIPTOR_4, UNTYPEDS, packed=True)

BOOTINFO_9: Final = _layout(
    (*_HEAD_5, _byte("initThreadCNodeSizeBits"), _DOMAIN, _UNTYPED, _DESCRIPTORS),
    _DESCRIPTOR_4,
    UNTYPEDS,
    packed=True,
)
_MEMBERS_10_1: Final = (*_HEAD_5, _word("initThreadCNodeSizeBits"), _DOMAIN, _UNTYPED, _DESCRIPTORS)
BOOTINFO_10_1: Final = _layout(_MEMBERS_10_1, _DESCRIPTOR_4, UNTYPEDS)
"""10.1.0 on: no longer packed."""
BOOTINFO_12: Final = _layout(_MEMBERS_10_1, _DESCRIPTOR_12, UNTYPEDS)
"""12.0.0 on: the descriptor's size and device bytes come before its padding."""
