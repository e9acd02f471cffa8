"""Boot plans: equal to what real kernels were seen to do, and refused where they could not boot."""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from elf_builder import MOV_R0_R0, Elf, Load, R, W, X
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.kernel.boot import BootPlan, CapKind
from retrap.loader import device_tree
from retrap.loader.errors import InputError
from retrap.loader.image import Image
from retrap.loader.layout import plan
from retrap.loader.manifest import load_manifest
from retrap.machine.space import EXECUTE, READ, WRITE

CODE = MOV_R0_R0 * 16
MEASURED = sorted((Path(__file__).parent / "measured").glob("*.json"))
OLDER = sorted((Path(__file__).parent / "measured" / "releases").glob("*.json"))


def image(*segments: Load, entry: int | None = None) -> Image:
    found = segments or (Load(0x10000, CODE),)
    return Image("a.elf", Elf(segments=found, entry=found[0].virtual if entry is None else entry).build())


def boot(source: Image, **options: Any) -> BootPlan:
    return plan(source, load_manifest(None, {key.replace("__", "."): value for key, value in options.items()}))


def refusal(source: Image, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        boot(source, **options)
    return str(caught.value)


def padded_tree(size: int) -> bytes:
    """A device tree of exactly `size` bytes."""
    tree = device_tree.minimal("test", (), "x")
    return tree[:4] + struct.pack(">I", size) + tree[8:] + bytes(size - len(tree))


def word(data: bytes, offset: int) -> int:
    value: int = struct.unpack_from("<I", data, offset)[0]
    return value


def load(boot_plan: BootPlan, name: str) -> bytes:
    return next(entry.data for entry in boot_plan.loads if entry.name == name)


def regions(boot_plan: BootPlan) -> dict[str, list[int]]:
    """The slot regions that the boot information tells."""
    data = load(boot_plan, "bootinfo")
    return {
        field.name: list(struct.unpack_from("<II", data, field.offset))
        for field in boot_plan.release.bootinfo.fields
        if field.kind == "region"
    }


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_the_plan_is_what_the_real_kernel_did(path: Path, tmp_path: Path) -> None:
    """`measured` holds what root tasks of these extents printed on kernel 16.0.0 on QEMU."""
    real = json.loads(path.read_text())
    shape = real["image"]
    options: dict[str, Any] = {"kernel__debug": real["debug"], "kernel__printing": real["debug"]}
    options["platform__name"] = real["platform"]
    if real["device_tree_size"]:
        (tmp_path / "tree.dtb").write_bytes(padded_tree(real["device_tree_size"]))
        options["platform__device_tree"] = str(tmp_path / "tree.dtb")
    found = boot(
        image(Load(shape["start"], CODE, memory_size=shape["size"], flags=R | W | X), entry=shape["entry"]),
        **options,
    )
    caps = {cap.slot: cap for cap in found.caps}
    untypeds = [cap for cap in found.caps if cap.kind is CapKind.UNTYPED]
    assert [[cap.address, cap.size_bits, int(cap.device)] for cap in untypeds] == real["untypeds"]
    assert regions(found) == real["regions"]
    first, end = real["regions"]["userImageFrames"]
    assert [caps[slot].address for slot in range(first, end)] == [
        real["first_image_frame"] + 0x1000 * n for n in range(end - first)
    ]
    first, end = real["regions"]["extraBIPages"]
    assert [caps[slot].address for slot in range(first, end)] == [
        real["first_extra_frame"] + 0x1000 * n for n in range(end - first)
    ]
    assert (caps[9].address, caps[10].address) == (real["bootinfo_frame"], real["ipc_buffer_frame"])
    assert (found.bootinfo_address, found.ipc_buffer_address) == (real["bootinfo"], real["ipc_buffer"])
    info = load(found, "bootinfo")
    assert (word(info, 0), word(info, 8), word(info, 16)) == (real["extra_length"], 1, real["ipc_buffer"])
    assert (word(info, 68), word(info, 72)) == (12, 0)


@pytest.mark.parametrize("path", OLDER, ids=lambda path: path.stem)
def test_the_plan_is_what_the_real_kernel_of_that_release_did(path: Path, tmp_path: Path) -> None:
    """`measured/releases` holds what a root task printed on debug kernels of other releases on QEMU."""
    real = json.loads(path.read_text())
    shape, kernel = real["image"], real["kernel"]
    options: dict[str, Any] = {"kernel__release": real["release"], "platform__name": real["platform"]}
    options["platform__kernel_region"] = kernel
    if real["device_tree_size"]:
        (tmp_path / "tree.dtb").write_bytes(padded_tree(real["device_tree_size"]))
        options["platform__device_tree"] = str(tmp_path / "tree.dtb")
    found = boot(
        image(Load(shape["start"], CODE, memory_size=shape["size"], flags=R | W | X), entry=shape["start"]),
        **options,
    )
    untypeds = [cap for cap in found.caps if cap.kind is CapKind.UNTYPED]
    assert [[cap.address, cap.size_bits, int(cap.device)] for cap in untypeds] == real["untypeds"]
    assert {name: span for name, span in regions(found).items() if name in real["regions"]} == real["regions"]
    if "devices" in real:
        # Before 4.0.0: (base, log2 of the frames' size, first and past-the-last slot) of each region.
        data, count = load(found, "bootinfo"), len(real["devices"])
        at = next(each.offset for each in found.release.bootinfo.lists if each.name == "deviceRegions")
        assert [list(struct.unpack_from("<4I", data, at + 16 * index)) for index in range(count)] == real["devices"]
        assert word(data, at - 4) == count


def test_the_fixed_slots() -> None:
    found = boot(image())
    assert [(cap.slot, cap.kind) for cap in found.caps if cap.slot < 16] == [
        (1, CapKind.TCB),
        (2, CapKind.CNODE),
        (3, CapKind.PAGE_DIRECTORY),
        (4, CapKind.IRQ_CONTROL),
        (5, CapKind.ASID_CONTROL),
        (6, CapKind.ASID_POOL),
        (9, CapKind.FRAME),
        (10, CapKind.FRAME),
        (11, CapKind.DOMAIN),
    ]
    slots = [cap.slot for cap in found.caps if cap.slot >= 16]
    assert slots == list(range(16, found.empty_slots[0]))
    assert found.empty_slots[1] == 4096


def test_the_untyped_list_in_the_bootinfo_is_that_of_the_capabilities() -> None:
    found = boot(image())
    data = load(found, "bootinfo")
    listed = [cap for cap in found.caps if cap.kind is CapKind.UNTYPED]
    for index, cap in enumerate(listed):
        assert struct.unpack_from("<IBB", data, 84 + 8 * index) == (cap.address, cap.size_bits, cap.device)
    assert len(data) == 84 + 8 * len(listed)


def test_pages_get_the_rights_of_the_segments_that_touch_them() -> None:
    source = image(
        Load(0x10000, CODE, flags=R | X), Load(0x11800, b"ro", flags=R), Load(0x11900, b"rw", 0x1000, flags=R | W),
        Load(0x15000, b"", 0x10, flags=R | W),
    )  # fmt: skip
    rights = {m.virtual: m.rights for m in boot(source).mappings}
    assert rights == {
        0x10000: READ | EXECUTE,
        0x11000: READ | WRITE,
        0x12000: READ | WRITE,
        0x13000: 0,  # in the image's extent, in no segment
        0x14000: 0,
        0x15000: READ | WRITE,
        0x16000: READ | WRITE,  # IPC buffer
        0x17000: READ | WRITE,  # bootinfo
    }


def test_pages_as_the_kernel_maps_them() -> None:
    everything = READ | WRITE | EXECUTE
    found = boot(image(Load(0x10000, CODE), Load(0x12000, b"")), image__permissions="kernel")
    rights = {m.virtual: m.rights for m in found.mappings}
    assert rights == {0x10000: everything, 0x11000: READ | WRITE, 0x12000: READ | WRITE}


def test_segments_are_loaded_where_their_pages_are() -> None:
    found = boot(image(Load(0x10040, CODE), Load(0x12345, b"data", 0x100)))
    start = 0x4003_C000  # right after the kernel
    assert [(entry.name, entry.address) for entry in found.loads[:2]] == [
        ("segment 0", start + 0x40),
        ("segment 1", start + 0x2345),
    ]
    frames = {m.virtual: m.physical for m in found.mappings}
    assert (frames[0x10000], frames[0x12000]) == (start, start + 0x2000)
    assert found.entry == 0x10040


def test_arguments_become_bootargs() -> None:
    found = boot(image(), image__arguments="rounds=1000")
    extra = load(found, "extra bootinfo")
    assert struct.unpack_from("<II", extra) == (6, len(extra))
    assert b"bootargs" in extra and b"rounds=1000\0" in extra
    assert device_tree.verify("x", extra[8:]) == extra[8:]
    assert word(load(found, "bootinfo"), 0) == len(extra)


def test_a_tree_is_handed_over_byte_by_byte_unless_there_are_arguments(tmp_path: Path) -> None:
    tree = padded_tree(5000)
    path = tmp_path / "tree.dtb"
    path.write_bytes(tree + b"after the tree")
    assert load(boot(image(), platform__device_tree=str(path)), "extra bootinfo")[8:] == tree
    changed = load(boot(image(), platform__device_tree=str(path), image__arguments="a=b"), "extra bootinfo")[8:]
    assert b"a=b\0" in changed and changed != tree


def test_a_build_without_fpu_has_smaller_tcbs() -> None:
    sizes = {
        fpu: next(cap for cap in boot(image(), kernel__fpu=fpu).caps if cap.kind is CapKind.TCB).size_bits
        for fpu in (True, False)
    }
    assert sizes == {True: 10, False: 9}


def test_a_tcb_smaller_than_a_page_table_comes_after_them() -> None:
    found = boot(image(), kernel__fpu=False)
    tables = [cap.address for cap in found.caps if cap.kind is CapKind.PAGE_TABLE]
    assert found.tcb_address == tables[-1] + 1024
    other = boot(image())
    assert other.tcb_address == next(cap.address for cap in other.caps if cap.kind is CapKind.PAGE_TABLE) - 1024


def test_the_root_cnode_can_be_smaller_than_the_page_directory() -> None:
    found = boot(image(), kernel__root_cnode_bits=9, kernel__max_untypeds=100)
    kinds = {cap.kind: cap.address for cap in found.caps}
    assert kinds[CapKind.CNODE] == kinds[CapKind.PAGE_DIRECTORY] + (1 << 14)


def test_a_long_untyped_list_is_cut_and_said_so() -> None:
    heard: list[str] = []
    found = plan(image(), load_manifest(None, {"kernel.max_untypeds": 10}), heard.append)
    assert sum(cap.kind is CapKind.UNTYPED for cap in found.caps) == 10
    assert len(heard) == 1 and "kernel lists only the first 10 (kernel.max_untypeds)" in heard[0]


SMALL_RAM = [{"base": 0x4000_0000, "size": 0x10_0000}]


@pytest.mark.parametrize(
    ("segments", "options", "line"),
    [
        (
            (Load(0xA000_0000, CODE),),
            {},
            "a.elf: segment 0: [0xa0000000, 0xa0000040) reaches into the kernel's virtual addresses, from 0xa",
        ),
        (
            (Load(0x9FFF_F000, CODE, 0x2000),),
            {},
            "a.elf: segment 0: [0x9ffff000, 0xa0001000) reaches into the kernel's",
        ),
        (
            (Load(0x9FFF_E000, CODE),),
            {},
            "a.elf: no room between its end (0x9ffff000) and the kernel's virtual addresses",
        ),
        (
            (Load(0x10000, CODE, 0x10_0000),),
            {"platform__ram": SMALL_RAM},
            "a.elf: RAM is too small: the root task needs",
        ),
        ((Load(0x10000, CODE, 0x8000_0000),), {}, "a.elf: RAM is too small: the root task needs 2147483648 bytes"),
        ((Load(0x10000, CODE), Load(0x9000_0000, b"x")), {}, "a.elf: RAM is too small: the root task needs"),
        (
            (Load(0x10000, CODE, 0xB_0000),),
            {"platform__ram": SMALL_RAM},
            "command line: platform.ram: no free RAM for the initial thread's objects (a CNode of 65536 bytes",
        ),
        (
            (Load(0x10000, CODE, 0x200_0000),),
            {},
            "command line: kernel.root_cnode_bits: the initial CNode's 4096 slots do not hold all capabilities",
        ),
        ((Load(0x10000, CODE),), {"kernel__root_cnode_bits": 27}, "no free RAM for the initial thread's objects"),
        (
            (Load(0x10000, CODE, flags=R | W),),
            {},
            "a.elf: entry point: 0x00010000 lies in segment 0, which is not execut",
        ),
    ],
)
def test_what_could_not_boot(segments: tuple[Load, ...], options: dict[str, Any], line: str) -> None:
    assert line in refusal(image(*segments), **options)


def test_a_writable_entry_boots_where_the_kernel_maps_everything_executable() -> None:
    assert boot(image(Load(0x10000, CODE, flags=R | W)), image__permissions="kernel").entry == 0x10000


ram_regions = st.lists(
    st.tuples(st.integers(0, 0x7FF), st.integers(1, 0x200)).map(lambda p: {"base": p[0] << 20, "size": p[1] << 20}),
    max_size=3,
).map(lambda rest: [{"base": 0x4000_0000, "size": 0x80_0000}, *rest])


@given(
    ram=ram_regions,
    start=st.integers(0, 0xFFFF_FFFF),
    size=st.one_of(st.integers(0, 0x4000), st.integers(0, 0x100_0000)),
    cnode=st.integers(8, 16),
    fpu=st.booleans(),
    arguments=st.sampled_from(["", "x", "y" * 5000]),
    device=st.integers(0, 0xFFFFF).map(lambda page: page << 12),
)
@settings(max_examples=150, deadline=None)
def test_any_plan_keeps_the_kernels_rules(
    ram: list[dict[str, int]], start: int, size: int, cnode: int, fpu: bool, arguments: str, device: int
) -> None:
    overrides = {
        "platform.ram": ram,
        "platform.devices": [{"name": "d", "base": device, "kernel_only": True}],
        "kernel.root_cnode_bits": cnode,
        "kernel.fpu": fpu,
        "image.arguments": arguments,
    }
    try:
        source = image(Load(start & ~3, CODE, memory_size=max(size, 64), flags=R | W | X), entry=start & ~3)
        found = plan(source, load_manifest(None, overrides))
    except InputError as error:
        assert "\n" not in str(error)
        return
    # Untypeds, frames and the other objects share no byte, and memory capabilities lie in RAM.
    extents = []
    for cap in found.caps:
        sizes = {CapKind.CNODE: cap.size_bits + 4, CapKind.ASID_POOL: 12}
        if cap.kind not in (CapKind.IRQ_CONTROL, CapKind.ASID_CONTROL, CapKind.DOMAIN):
            extents.append((cap.address, cap.address + (1 << sizes.get(cap.kind, cap.size_bits)), cap.device))
            assert cap.address % (1 << sizes.get(cap.kind, cap.size_bits)) == 0
    extents.sort()
    assert all(a[1] <= b[0] for a, b in pairwise(extents))
    spans = [(base, base + length) for base, length in found.ram]
    for first, last, is_device in extents:
        if not is_device:
            assert any(base <= first and last <= end for base, end in spans)
        assert last <= device or first >= device + 0x1000
    mapped = [m.virtual for m in found.mappings]
    assert len(set(mapped)) == len(mapped)
    tables = {cap.mapped_at for cap in found.caps if cap.kind is CapKind.PAGE_TABLE}
    assert {virtual >> 20 << 20 for virtual in mapped} <= tables
