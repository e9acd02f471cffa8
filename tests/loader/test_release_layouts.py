"""Boot plans of the releases before 16.0.0: what their boot rules make of the same image and the same memory."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from elf_builder import MOV_R0_R0, Elf, Load
from retrap.kernel.abi import bootable
from retrap.kernel.boot import BootPlan, CapKind
from retrap.kernel.engine import Kernel
from retrap.loader.image import Image
from retrap.loader.layout import plan
from retrap.loader.manifest import load_manifest
from retrap.loader.pieces import Pieces, device_frame_bits
from retrap.loader.platform import Span
from retrap.machine.context import ContextArena
from retrap.machine.memory import PhysicalMemory

IMAGE = Image("a.elf", Elf(segments=(Load(0x10000, MOV_R0_R0 * 16),), entry=0x10000).build())
PLAIN = tuple(name for name in bootable() if "-" not in name)


def boot(release: str, **options: Any) -> BootPlan:
    chosen = {key.replace("__", "."): value for key, value in options.items()}
    return plan(IMAGE, load_manifest(None, {"kernel.release": release, **chosen}))


def bootinfo(made: BootPlan) -> bytes:
    return next(load.data for load in made.loads if load.name == "bootinfo")


def value(made: BootPlan, name: str) -> tuple[int, ...]:
    field = next(field for field in made.release.bootinfo.fields if field.name == name)
    data = bootinfo(made)[field.offset : field.offset + field.size]
    return struct.unpack("<II", data) if field.kind == "region" else (int.from_bytes(data, "little"),)


def slots(made: BootPlan, kind: CapKind, device: bool | None = None) -> list[int]:
    return [cap.slot for cap in made.caps if cap.kind is kind and device in (None, cap.device)]


@pytest.mark.parametrize("name", PLAIN)
def test_every_release_boots(name: str) -> None:
    made = boot(name)
    kernel = Kernel(made, PhysicalMemory(made.ram), ContextArena())
    assert kernel.check("full") == []
    assert kernel.context.words[0] == made.bootinfo_address
    untypeds = slots(made, CapKind.UNTYPED)
    assert value(made, "untyped") == (untypeds[0], untypeds[-1] + 1)
    assert value(made, "empty") == made.empty_slots
    assert len(bootinfo(made)) <= 4096
    taken = sorted(
        (cap.address, cap.address + (1 << cap.size_bits))
        for cap in made.caps
        if cap.kind is CapKind.UNTYPED and not cap.device
    )
    # No untyped of RAM holds an object of boot, nor the image.
    objects = [cap.address for cap in made.caps if cap.address and cap.kind is not CapKind.UNTYPED]
    assert not [a for a in objects for start, end in taken if start <= a < end]


@pytest.mark.parametrize(
    ("name", "first", "bits"),
    [("2.0.0", 12, 16), ("2.1.0", 12, 12), ("11.0.0", 12, 12), ("12.0.0", 14, 12), ("13.0.0", 16, 12)],
)
def test_the_first_dynamic_slot_and_the_size_of_the_cnode(name: str, first: int, bits: int) -> None:
    made = boot(name)
    assert slots(made, CapKind.PAGE_TABLE) == [first]
    assert value(made, "initThreadCNodeSizeBits") == (bits,)
    assert made.empty_slots[1] == 1 << bits


def test_the_order_of_untypeds_and_devices() -> None:
    old, middle, new = boot("3.2.0"), boot("10.1.1"), boot("11.0.0")
    # Frames of devices behind the untypeds, and a list that tells their slots.
    assert not slots(old, CapKind.UNTYPED, True)
    untypeds = slots(old, CapKind.UNTYPED)
    frames = [cap for cap in old.caps if cap.slot > untypeds[-1]]
    assert [(cap.kind, cap.address, cap.size_bits, cap.mapped_at) for cap in frames] == [
        (CapKind.FRAME, 0x0900_0000, 12, None),
        (CapKind.FRAME, 0x0901_0000, 12, None),
    ]
    listed = next(each for each in old.release.bootinfo.lists if each.name == "deviceRegions")
    entry = struct.unpack_from("<IIII", bootinfo(old), listed.offset + 16)
    assert entry == (0x0901_0000, 12, frames[1].slot, frames[1].slot + 1)
    assert value(old, "numDeviceRegions") == (2,)
    # Untypeds of the listed devices behind those of RAM; then all that is not RAM, before them.
    assert slots(middle, CapKind.UNTYPED, True) == slots(middle, CapKind.UNTYPED)[-2:]
    assert slots(new, CapKind.UNTYPED, True)[0] == slots(new, CapKind.UNTYPED)[0]
    assert len(slots(new, CapKind.UNTYPED, True)) > 10


def test_where_a_descriptor_has_its_size() -> None:
    for name, size_at, device_at in (("11.0.0", 6, 7), ("12.0.0", 4, 5)):
        made = boot(name)
        first = bootinfo(made)[made.release.bootinfo.untyped_list_offset :][:8]
        cap = next(cap for cap in made.caps if cap.kind is CapKind.UNTYPED)
        assert (first[size_at], first[device_at]) == (cap.size_bits, 1)
        assert sum(first[4:]) == cap.size_bits + 1


def test_the_top_of_physical_memory() -> None:
    for name, last in (("15.0.0", (0xFFFF_FFE0, 4)), ("16.0.0", (0xC000_0000, 29))):
        made = boot(name)
        devices = [cap for cap in made.caps if cap.kind is CapKind.UNTYPED and cap.device]
        top = devices[-1]
        if name == "15.0.0":
            assert (top.address, top.size_bits) == last
        else:
            assert top.address + (1 << top.size_bits) == 1 << 32


@pytest.mark.parametrize(("name", "length"), [("10.1.1", 0), ("11.0.0", 4104), ("12.1.0", 4104), ("13.0.0", None)])
def test_how_much_of_the_device_tree_arrives(name: str, length: int | None) -> None:
    made = boot(name, image__arguments="rounds=3")
    (extra,) = value(made, "extraLen")
    if length is None:
        assert 8 < extra < 4096
    else:
        assert extra == length


def test_objects_one_by_one() -> None:
    pieces = Pieces([Span(0x1000_3000, 0xD000), Span(0x1010_0000, 0x10_0000)])
    # The end of the small piece leaves less behind than either end of the large one.
    assert pieces.allocate(14) == 0x1000_C000
    assert pieces.left() == [Span(0x1000_3000, 0x9000), Span(0x1010_0000, 0x10_0000)]
    # A third piece has no place: what is left above is lost.
    assert pieces.allocate(14) in (0x1000_4000, 0x1000_8000)
    assert len(pieces.left()) == 2
    assert device_frame_bits(Span(0x0010_0000, 0x20_0000)) == 20
    assert device_frame_bits(Span(0x0010_0000, 0x20_1000)) == 12


@pytest.mark.parametrize(
    ("platform", "release", "printing", "pages"),
    [
        # include/plat/{imx6,zynq7000}/plat/machine/devices.h of the tags, and what their kernel_devices uses of it.
        ("zynq7000", "1.0.4", True, [1, 2, 3, 4]),
        ("zynq7000", "10.1.1", True, [1, 2, 3, 4]),
        ("zynq7000", "10.1.1", False, [2, 3, 4]),
        ("sabre", "1.0.3", True, [1, 3, 4, 5]),
        ("sabre", "10.1.1", False, [3, 4, 5]),
        # include/arch/arm/arch/32/mode/hardware.h: KDEV_PPTR, and one page after the other.
        ("zynq7000", "11.0.0", True, [0, 1, 2, 3]),
        ("sabre", "16.0.0", False, [0, 1, 2]),
        # No kernel until 10.1.1 knew this platform: it is like later ones.
        ("qemu-arm-virt", "3.2.0", True, [0, 1, 2]),
    ],
)
def test_where_the_kernel_maps_its_devices(platform: str, release: str, printing: bool, pages: list[int]) -> None:
    made = boot(release, platform__name=platform, kernel__printing=printing)
    assert sorted(made.kernel_pages) == [0xFFF0_0000 + (page << 12) for page in pages]
