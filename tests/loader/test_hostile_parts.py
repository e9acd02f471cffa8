"""Damaged and malicious parts of packed images: whatever is wrong with them, one line says so."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packer import PARTS, loader_elf, newc, tree, words
from retrap.loader import device_tree
from retrap.loader.errors import InputError
from retrap.loader.findings import findings
from retrap.loader.image import Image
from retrap.loader.kernel_image import read_kernel
from retrap.loader.layout import plan
from retrap.loader.manifest import load_manifest
from retrap.loader.platform import Span
from test_findings import board
from test_kernel_release import kernel

KERNEL = kernel({"ksReadyQueues": 2048, "ksReadyQueuesL1Bitmap": 4, "intStateIRQTable": 640})
TREE = board()
BOOTING_TREE = tree("linux,dummy-virt", Span(0x4000_0000, 0x1000_0000), Span(0x6000_0000, 0x1000_0000))


def mutated(*originals: bytes) -> st.SearchStrategy[bytes]:
    """One of some files with words or bytes replaced, swapped, doubled or cut off."""

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(originals)))
        for _ in range(draw(st.integers(1, 8))):
            at = draw(st.integers(0, len(data) - 4))
            kind = draw(st.sampled_from(("byte", "word", "big word", "copy", "insert", "delete")))
            number = draw(st.sampled_from((0, 1, 2, 3, 9, 0xFF, 0x1000, 0x7FFF_FFFF, 0xFFFF_FFFF, len(data))))
            if kind == "byte":
                data[at] = number & 0xFF
            elif kind == "word":
                data[at & ~3 : (at & ~3) + 4] = struct.pack("<I", number)
            elif kind == "big word":
                data[at & ~3 : (at & ~3) + 4] = struct.pack(">I", number)
            elif kind == "copy":
                source = draw(st.integers(0, len(data) - 4))
                size = draw(st.integers(1, 64))
                data[at : at + size] = data[source : source + size]
            elif kind == "insert":
                data[at:at] = draw(st.binary(max_size=8))
            elif len(data) > 64:
                del data[at : at + draw(st.integers(1, 8))]
        return bytes(data[: draw(st.integers(8, len(data)))] if draw(st.integers(0, 7)) == 0 else data)

    return build()


def one_line(error: InputError) -> None:
    assert "\n" not in str(error) and len(str(error)) < 1000


@given(mutated(TREE, BOOTING_TREE))
@settings(max_examples=300, deadline=None)
def test_any_device_tree(data: bytes) -> None:
    for reading in (device_tree.devices, device_tree.reserved, device_tree.memory):
        try:
            reading("tree", data)
        except InputError as error:
            one_line(error)


@given(mutated(KERNEL))
@settings(max_examples=200, deadline=None)
def test_any_kernel(data: bytes) -> None:
    try:
        found = read_kernel(Image("k.elf", data))
    except InputError as error:
        one_line(error)
        return
    assert found.size > 0


@given(st.one_of(mutated(KERNEL), st.just(KERNEL)), st.one_of(mutated(BOOTING_TREE), st.just(BOOTING_TREE)))
@settings(max_examples=60, deadline=None)
def test_a_packed_image_of_any_parts(kernel_part: bytes, tree_part: bytes) -> None:
    data = loader_elf(newc(("kernel.elf", kernel_part), ("kernel.dtb", tree_part), PARTS[2]))
    for boots in (True, False):
        try:
            image = Image("p.elf", data)
            if boots:
                assert plan(image, load_manifest(None)).caps
            else:
                assert findings(image).found
        except InputError as error:
            one_line(error)


def structure(*tokens: bytes, strings: bytes = b"reg\0") -> bytes:
    """A device tree of raw tokens."""
    body = b"".join(tokens)
    end = 56 + len(body)
    sizes = len(strings), len(body)
    header = struct.pack(">10I", 0xD00D_FEED, end + len(strings), 56, end, 40, 17, 16, 0, *sizes)
    return header + bytes(16) + body + strings


BEGIN, END_NODE, NOP, END = (struct.pack(">I", token) for token in (1, 2, 4, 9))
ROOT = BEGIN + bytes(4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (structure(ROOT, (BEGIN + b"a\0\0\0") * 70, END_NODE * 71, END), "nested more than 64 nodes deep"),
        (structure(ROOT, (BEGIN + b"a\0\0\0" + END_NODE) * 40_000, END_NODE, END), "has more than 32768 nodes"),
        (structure(ROOT, NOP * 300_000, END_NODE, END), "or 262144 tokens"),
        (structure(ROOT, struct.pack(">3I", 3, 0xFFFF_FFF0, 0), END_NODE, END), "does not fit"),
        (structure(ROOT, struct.pack(">3I", 3, 0, 0xFFFF_FFF0), END_NODE, END), "a property's name has no end"),
        (structure(ROOT, ROOT, ROOT, END), "ends with 3 nodes open"),
        (structure(ROOT, END_NODE, ROOT, END_NODE, END), "has more than one root"),
    ],
)
def test_trees_that_would_take_for_ever_or_read_elsewhere(data: bytes, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        device_tree.memory("tree", data)
    assert reason in str(caught.value)


def test_memory_that_overlaps() -> None:
    overlapping = tree("linux,dummy-virt", Span(0x4000_0000, 0x2000_0000), Span(0x5000_0000, 0x2000_0000))
    data = loader_elf(newc(PARTS[0], ("kernel.dtb", overlapping), PARTS[2]))
    with pytest.raises(InputError) as caught:
        plan(Image("p.elf", data), load_manifest(None))
    assert "RAM" in str(caught.value) and "overlaps" in str(caught.value)


def test_forms_that_wrap_the_boot_loader() -> None:
    binary = b"\x0c\x20\x9f\xe5 loader code" + newc(*PARTS)
    uimage = bytes.fromhex("27051956") + bytes(60) + binary
    efi = b"MZ" + bytes(510) + binary
    for wrapped in (binary, uimage, efi):
        image = Image("image", wrapped)
        assert image.packed is not None and image.packed.container == "boot loader"
        assert plan(image, load_manifest(None)).platform == "qemu-arm-virt"
    with pytest.raises(InputError) as caught:
        Image("image", bytes.fromhex("27051956") + bytes(60) + b"\x1f\x8b compressed")
    assert str(caught.value) == "image: ELF header: is not an ELF file but a U-Boot image"


def test_a_kernel_whose_boot_code_says_nothing_sensible() -> None:
    wild = words(*(0xE580_2044 for _ in range(64)))  # stores where the boot information has its CNode's size
    found = read_kernel(Image("k.elf", kernel({}, code=wild)))
    assert (found.root_cnode_bits, found.initial_slots) == (None, None)
