"""Packed boot images: taken apart, followed, contradicted, damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from elf_builder import MOV_R0_R0, Elf, Load, R, W, X
from hypothesis import given, settings
from hypothesis import strategies as st
from packer import PARTS, ROOT, boot_code, kernel, loader_elf, newc, tree, words
from retrap.kernel.boot import BootPlan
from retrap.loader.errors import InputError
from retrap.loader.image import Image
from retrap.loader.layout import plan
from retrap.loader.manifest import load_manifest, manifest_from_data
from retrap.loader.platform import Span
from retrap.loader.settle import settle

PACKED = loader_elf(newc(*PARTS))


def with_part(name: str, data: bytes | None) -> bytes:
    """The packed image with a part replaced or left out."""
    parts = [(n, data if n == name else d) for n, d in PARTS]
    return loader_elf(newc(*((n, d) for n, d in parts if d is not None)))


def boot(data: bytes, heard: list[str] | None = None, **options: Any) -> BootPlan:
    manifest = load_manifest(None, {key.replace("__", "."): value for key, value in options.items()})
    return plan(Image("p.elf", data), manifest, (heard if heard is not None else []).append)


def refusal(data: bytes, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        boot(data, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("data", "container"), [(PACKED, "ELF loader"), (newc(*PARTS), "CPIO archive")])
def test_the_parts_are_found(data: bytes, container: str) -> None:
    image = Image("p.elf", data)
    assert image.packed is not None
    assert image.packed.container == container
    kernel_part, tree_part = image.packed.kernel, image.packed.device_tree
    assert kernel_part is not None and tree_part is not None
    assert [(e.name, e.data) for e in (kernel_part, tree_part, image.packed.root)] == list(PARTS)
    assert data[image.packed.root.offset :].startswith(ROOT)
    assert (image.data, image.elf, image.entry) == (data, ROOT, 0x10000)


def test_an_archive_behind_other_bytes_is_found() -> None:
    image = Image("p.bin", b"not an ELF loader, \x00070701" + bytes(9) + newc(*PARTS))
    assert image.packed is not None and image.packed.container == "boot loader"


def test_a_root_task_with_an_archive_of_its_own_is_no_packed_image() -> None:
    inner = newc(("tests", b"\x7fELF"), ("kernel.elf", b"not first"))
    bare = Elf(segments=(Load(0x10000, MOV_R0_R0 * 8 + inner),)).build()
    assert Image("a.elf", bare).packed is None


def test_digests_are_not_root_tasks_and_further_ones_are_kept_apart() -> None:
    image = Image("p", newc(*PARTS[:2], ("kernel.bin", b"d"), ("app.bin", b"d"), PARTS[2], ("second", b"e")))
    assert image.packed is not None
    assert image.packed.root.name == "rootserver"
    assert [entry.name for entry in image.packed.others] == ["kernel.bin", "app.bin", "second"]
    assert [(role, entry.name) for role, entry in image.packed.parts()] == [
        ("kernel", "kernel.elf"),
        ("device tree", "kernel.dtb"),
        ("not used", "kernel.bin"),
        ("not used", "app.bin"),
        ("root task", "rootserver"),
        ("not used", "second"),
    ]


def test_the_layout_follows_kernel_and_tree() -> None:
    found = boot(PACKED)
    assert found.platform == "qemu-arm-virt"
    assert found.options.root_cnode_bits == 13
    image_at = 0x4000_0000 + 0x30_0000 + 0x1000  # kernel, one page of device tree
    assert next(entry for entry in found.loads if entry.name == "segment 0").address == image_at
    extra = next(entry.data for entry in found.loads if entry.name == "extra bootinfo")
    assert extra[8:] == PARTS[1][1]


@pytest.mark.parametrize(
    ("platform", "compatible", "base", "virtual", "ram"),
    [
        ("sabre", "fsl,imx6q-sabrelite", 0x1000_0000, 0xE000_0000, Span(0x1000_0000, 0x1000_0000)),
        ("zynq7000", "xlnx,zynq-7000", 0, 0xE000_0000, Span(0, 0x2000_0000)),
    ],
)
def test_the_platform_comes_from_the_tree(
    platform: str, compatible: str, base: int, virtual: int, ram: Span
) -> None:
    parts = (("kernel.elf", kernel(base, virtual)), ("kernel.dtb", tree(compatible, ram)), PARTS[2])
    found = boot(loader_elf(newc(*parts)))
    assert (found.platform, found.kernel_base, found.ram) == (platform, virtual, ((ram.base, ram.size),))
    assert refusal(loader_elf(newc(*parts)), platform__name="qemu-arm-virt") == (
        f"command line: platform.name: p.elf is for {platform} (a device tree compatible with {compatible}), "
        "not qemu-arm-virt"
    )
    # Without a tree, the kernel's place tells the platform.
    assert boot(newc(parts[0], parts[2])).platform == platform


def test_what_the_manifest_sets_wins_and_is_said() -> None:
    heard: list[str] = []
    found = boot(
        PACKED, heard, kernel__root_cnode_bits=12, platform__ram=[{"base": 0x4000_0000, "size": 0x1000_0000}]
    )
    assert found.options.root_cnode_bits == 12
    assert found.ram == ((0x4000_0000, 0x1000_0000),)
    assert heard == ["p.elf: was built for a kernel with root_cnode_bits = 13, booted with 12"]


@pytest.mark.parametrize(
    ("texts", "fpu", "expected"),
    [
        (("Bootstrapping kernel", "failed assertion '%s'"), True, (True, True, True)),
        (("Bootstrapping kernel",), True, (True, False, True)),
        ((), False, (False, False, False)),
    ],
)
def test_the_kernels_build_is_read_from_it(
    texts: tuple[str, ...], fpu: bool, expected: tuple[bool, bool, bool]
) -> None:
    found = boot(with_part("kernel.elf", kernel(texts=texts, fpu=fpu))).options
    assert (found.printing, found.debug, found.fpu) == expected


def test_a_kernel_that_is_not_understood_leaves_the_defaults() -> None:
    found = boot(with_part("kernel.elf", kernel(code=bytes(64))))
    assert found.options.root_cnode_bits == 12


def test_another_flavour_or_release_of_kernel_is_said() -> None:
    heard: list[str] = []
    texts = ("Bootstrapping kernel", "SchedContext: Attempted to bind")
    with_mcs = with_part("kernel.elf", kernel(texts=texts))
    boot(with_mcs, heard, kernel__release="16.0.0")
    assert heard == ["p.elf: kernel.elf: is a kernel with MCS, booted as 16.0.0"]
    assert "kernel.elf: is a kernel with MCS: only kernels without are modelled" in refusal(with_mcs)
    heard = []
    older = with_part("kernel.elf", kernel(code=boot_code(12, slots=12)))
    boot(older, heard, kernel__release="16.0.0")
    assert heard == ["p.elf: kernel.elf: is a kernel 1.0.3 to 11.0.0, booted as 16.0.0"]
    heard = []
    assert boot(older, heard).release.name == "11.0.0" and not heard


def test_a_younger_kernel_than_the_known_ones() -> None:
    younger = with_part("kernel.elf", kernel(code=boot_code(12, slots=17)))
    assert refusal(younger) == (
        "p.elf: kernel.elf: is none of the known kernels, up to 16.0.0 (it has 17 fixed slots in the initial "
        "CNode): name a release (-k) to boot it on"
    )
    heard: list[str] = []
    assert boot(younger, heard, kernel__release="16.0.0").release.name == "16.0.0"
    assert heard == [
        "p.elf: kernel.elf: has 17 fixed slots in the initial CNode, 16.0.0 has 16: it is another release"
    ]


def test_separate_files_do_the_same(tmp_path: Path) -> None:
    names = {}
    for name, data in PARTS:
        names[name] = str(tmp_path / name)
        (tmp_path / name).write_bytes(data)
    separate = plan(
        Image("root", ROOT),
        load_manifest(None, {"image.kernel": names["kernel.elf"], "platform.device_tree": names["kernel.dtb"]}),
    )
    assert separate == boot(PACKED)


def test_settling_twice_changes_nothing_more() -> None:
    image = Image("p.elf", PACKED)
    once = settle(load_manifest(None, {}), image)
    assert settle(once, image) == once
    again = manifest_from_data(once.data, once.platform_data)
    assert plan(image, again) == plan(image, once)


MRC_ARM = {"rw": 0xEE1D_0F50, "ro": 0xEE1D_0F70}


@pytest.mark.parametrize(
    ("code", "register"),
    [
        (words(MRC_ARM["ro"] | 3 << 12), "tpidruro"),
        (words(0xE1A0_0000, MRC_ARM["ro"]), "tpidruro"),
        (words(MRC_ARM["ro"], MRC_ARM["rw"]), "tpidrurw"),
        (words(MRC_ARM["rw"]), "tpidrurw"),
        (bytes.fromhex("00bf 1dee 703f 00bf"), "tpidruro"),  # Thumb, at an odd halfword
        (bytes.fromhex("00bf 1dee 503f 1dee 703f"), "tpidrurw"),
        (b"\0" + words(MRC_ARM["ro"]), "tpidrurw"),  # not aligned: data
        (bytes.fromhex("1dee 7030"), "tpidrurw"),
        (bytes.fromhex("1dee"), "tpidrurw"),
    ],
)
def test_the_tls_register_that_a_root_task_was_compiled_for(code: bytes, register: str) -> None:
    data = Elf(segments=(Load(0x10000, MOV_R0_R0 + code, flags=R | X),)).build()
    options = boot(data).options
    assert (options.tls_register, options.set_tls_base_self) == (register, register == "tpidruro")
    as_data = Elf(segments=(Load(0x10000, MOV_R0_R0), Load(0x20000, code, flags=R | W))).build()
    assert boot(as_data).options.tls_register == "tpidrurw"


def test_a_tls_register_that_the_manifest_sets_stays() -> None:
    heard: list[str] = []
    data = Elf(segments=(Load(0x10000, MOV_R0_R0 + words(MRC_ARM["ro"]), flags=R | X),)).build()
    options = boot(data, heard, kernel__tls_register="tpidrurw").options
    assert options.tls_register == "tpidrurw" and options.set_tls_base_self
    assert heard == ["p.elf: was built for a kernel with tls_register = tpidruro, booted with tpidrurw"]


ARCHIVE = newc(*PARTS)
WRONG = {
    "no root task": (newc(*PARTS[:2]), "archive: has no root task: it holds kernel.elf, kernel.dtb"),
    "nothing": (newc(), "archive: has no root task: it holds nothing"),
    "cut": (PACKED[:-300], "truncated"),
    "cut archive": (ARCHIVE[:-200], "archive entry "),
    "no trailer": (newc(*PARTS, end=False), "archive entry 3: truncated or damaged"),
    "digits": (
        b"070701" + b"x" * 104 + b"k\0",
        "archive entry 0: truncated or damaged: inode is not a hexadecimal",
    ),
    "two of a name": (newc(*PARTS, ("rootserver", ROOT)), "archive entry 3: a second file named rootserver"),
    "absolute": (newc(("/etc/passwd", b"x")), "archive entry 0: has the unsafe name /etc/passwd"),
    "above": (newc(("a/../../b", b"x")), "archive entry 0: has the unsafe name a/../../b"),
    "no name": (newc(("", b"x")), "archive entry 0: has an unusable name"),
    "link": (
        newc(("rootserver", b"kernel.elf"), mode=0o120777),
        "archive entry 0: rootserver is not a regular file",
    ),
    "too many": (newc(*((f"f{n}", b"") for n in range(1100))), "archive: has no end within 1024 entries"),
    "root task is none": (
        with_part("rootserver", b"#!/bin/sh\n"),
        "p.elf: rootserver: ELF header: is not an ELF file",
    ),
    "root task is for x86": (with_part("rootserver", Elf(machine=3).build()), "rootserver: ELF header: is for x86"),
    "kernel is none": (with_part("kernel.elf", b"kernel"), "p.elf: kernel.elf: ELF header: is not an ELF file"),
    "kernel is 64-bit": (with_part("kernel.elf", Elf(width=2).build()), "kernel.elf: ELF header: is a 64-bit"),
    "kernel lies nowhere": (
        with_part("kernel.elf", kernel(base=0x9000_0000)),
        "p.elf: kernel_region: kernel [0x90000000, 0x90300000) does not lie in RAM",
    ),
    "kernel is unaligned": (
        with_part("kernel.elf", kernel(base=0x4010_0000)),
        "kernel_region.base: 0x40100000 is not",
    ),
    "kernel is torn": (
        with_part(
            "kernel.elf",
            Elf(
                segments=(Load(0xA000_0000, b"x" * 64, physical=0x4000_0000), Load(0xA001_0000, b"x", physical=0)),
                entry=0xA000_0000,
            ).build(),
        ),
        "p.elf: kernel.elf: is not a kernel",
    ),
    "tree is none": (
        with_part("kernel.dtb", b"tree" * 20),
        "p.elf: kernel.dtb: device tree header: is not a device tree",
    ),
    "tree of an unknown board": (
        with_part("kernel.dtb", tree("acme,anvil")),
        "p.elf: holds a device tree compatible with acme,anvil: no known platform; name one (-p)",
    ),
    "kernel at an unknown place": (
        newc(("kernel.elf", kernel(0x8000_0000, 0xF000_0000)), PARTS[2]),
        "p.elf: holds a kernel at 0x80000000, mapped at 0xf0000000: no known platform; name one (-p)",
    ),
    "loader for AArch64": (Elf(width=2).build() + ARCHIVE, "p.elf: ELF header: is a 64-bit executable"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_packed_image_gives_its_line(name: str) -> None:
    data, reason = WRONG[name]
    assert reason in refusal(data)


def test_a_tree_without_memory() -> None:
    import fdt

    made = fdt.FDT()
    made.set_property("compatible", "linux,dummy-virt")
    data = with_part("kernel.dtb", bytes(made.to_dtb(version=17)))
    assert refusal(data) == "p.elf: kernel.dtb: device tree: describes no memory"


def test_ram_too_small_for_the_image() -> None:
    small = tree("linux,dummy-virt", Span(0x4000_0000, 0x30_1000))
    assert "RAM is too small: the root task needs 4096 bytes" in refusal(with_part("kernel.dtb", small))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A packed image with bytes of its archive overwritten, or cut short."""
    data = bytearray(draw(st.sampled_from([PACKED, ARCHIVE])))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.one_of(st.integers(0, 1200), st.integers(0, len(data) - 1))) % len(data)
        data[at] = draw(st.one_of(st.integers(0, 255), st.sampled_from(b"0189afF\0")))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(st.one_of(damaged(), st.binary(max_size=300).map(lambda b: b"070701" + b)))
@settings(max_examples=200, deadline=None)
def test_only_an_input_error_comes_out(data: bytes) -> None:
    try:
        found = boot(data)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert found.loads
