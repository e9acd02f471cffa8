"""Device trees: sound ones pass unchanged, everything else is refused."""

from __future__ import annotations

import struct

import fdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.loader.device_tree import memory, minimal, nodes, verify, with_arguments
from retrap.loader.errors import InputError
from retrap.loader.platform import Span

TREE = minimal("board", (Span(0x4000_0000, 0x1000_0000),), "a=1 b=2")


def blob(body: bytes, strings: bytes = b"reg\0", **header: int) -> bytes:
    """A tree from raw blocks, with header words replaced by name."""
    at = 40 + 16
    words = {
        "magic": 0xD00DFEED,
        "total": at + len(body) + len(strings),
        "structure": at,
        "strings": at + len(body),
        "reserve": 40,
        "version": 17,
        "compatible": 16,
        "cpu": 0,
        "strings_size": len(strings),
        "structure_size": len(body),
    } | header
    return struct.pack(">10I", *words.values()) + bytes(16) + body + strings


def tokens(*parts: int | bytes) -> bytes:
    return b"".join(struct.pack(">I", part) if isinstance(part, int) else part for part in parts)


ROOT = tokens(1, bytes(4))
SOUND = tokens(ROOT, 3, 4, 0, 0x1234, 4, 2, 9)


def test_a_sound_tree_passes_without_what_follows_it() -> None:
    assert verify("t", blob(SOUND)) == blob(SOUND)
    assert verify("t", TREE + b"more") == TREE


def test_the_minimal_tree_says_memory_and_arguments() -> None:
    tree = fdt.parse_dtb(TREE)
    assert tree.get_property("bootargs", "/chosen").value == "a=1 b=2"
    assert tree.get_property("reg", "/memory@40000000").data == [0x4000_0000, 0x1000_0000]
    assert tree.get_property("compatible").value == "retrap,board"


def test_arguments_are_set_in_an_existing_tree() -> None:
    assert with_arguments("t", TREE, "") == TREE
    changed = with_arguments("t", TREE, "c=3")
    assert verify("t", changed) == changed
    tree = fdt.parse_dtb(changed)
    assert tree.get_property("bootargs", "/chosen").value == "c=3"
    assert tree.get_property("reg", "/memory@40000000").data == [0x4000_0000, 0x1000_0000]


def made(**properties: object) -> bytes:
    """A tree from `path__property=value` pairs; in paths `_at_` stands for "@"."""
    tree = fdt.FDT()
    tree.set_property("#address-cells", 2)
    tree.set_property("#size-cells", 2)
    for name, value in properties.items():
        path, key = name.rsplit("__", 1)
        tree.set_property(key, value, path="/" + path.replace("_at_", "@").replace("__", "/"))
    return bytes(tree.to_dtb(version=17))


def test_memory_is_what_the_nodes_say_without_the_reserved_parts() -> None:
    tree = made(
        memory_at_40000000__device_type="memory",
        memory_at_40000000__reg=[0, 0x4000_0000, 0, 0x1000_0000],
        memory_at_50000000__device_type="memory",
        memory_at_50000000__reg=[0, 0x5000_0000, 0, 0x800_0000, 0, 0xFFFF_0000, 1, 0],  # goes past 32 bits
        memory_at_100000000__device_type="memory",
        memory_at_100000000__reg=[1, 0, 0, 0x1000],
        other__reg=[0, 0, 0, 0x1000],
    )
    assert memory("t", tree) == (Span(0x4000_0000, 0x1800_0000), Span(0xFFFF_0000, 0x1_0000))
    reserved = fdt.parse_dtb(tree)
    cells = (("#address-cells", 2), ("#size-cells", 2))
    for key, value in cells:
        reserved.set_property(key, value, path="/reserved-memory")
    for name, reg in (("a", [0, 0x4800_0000, 0, 0x1800]), ("b", [0, 0x4000_0000, 0, 0x1000])):
        reserved.set_property("reg", reg, path=f"/reserved-memory/{name}")
        reserved.add_item(fdt.Property("no-map"), f"/reserved-memory/{name}")
    reserved.set_property("reg", [0, 0x5000_0000, 0, 0x1000], path="/reserved-memory/mapped")
    assert memory("t", bytes(reserved.to_dtb(version=17))) == (
        Span(0x4000_1000, 0x7FF_F000),
        Span(0x4800_2000, 0xFFF_E000),
        Span(0xFFFF_0000, 0x1_0000),
    )


def test_a_tree_without_memory() -> None:
    with pytest.raises(InputError, match=r"t: device tree: describes no memory"):
        memory("t", made(memory_at_0__reg=[0, 0, 0, 0x1000]))
    with pytest.raises(InputError, match=r"describes no memory"):
        memory("t", made(memory_at_0__device_type="memory", memory_at_0__reg=[0, 0x1800, 0, 0x1000]))


def test_nodes_have_paths_and_raw_properties() -> None:
    found = {node.path: node for node in nodes("t", TREE)}
    assert set(found) == {"/", "/memory@40000000", "/chosen"}
    assert found["/"].strings("compatible") == ("retrap,board",)
    assert found["/memory@40000000"].registers() == ((0x4000_0000, 0x1000_0000),)
    assert found["/"].parent is None and found["/chosen"].parent is found["/"]


DEEP = tokens(*[ROOT] * 70, *[2] * 70, 9)
WRONG = {
    "structure not aligned": (blob(b"\0" + SOUND, structure=57), "structure block: is not aligned to 4 bytes"),
    "short": (b"\xd0\x0d\xfe\xed", "device tree header: truncated: 40 bytes needed, 4 left"),
    "magic": (blob(SOUND, magic=1), "is not a device tree: starts with 00 00 00 01"),
    "old": (blob(SOUND, version=3), "has format version 3"),
    "new": (blob(SOUND, version=30, compatible=18), "has format version 30"),
    "huge": (blob(SOUND, total=0xFFFF_FFFF), "claims 4294967295 bytes"),
    "cut": (blob(SOUND)[:-1], "truncated: 96 bytes claimed, the file has 95"),
    "structure outside": (blob(SOUND, structure=0xFFFF_FFFC), "structure block: lies outside the tree"),
    "strings outside": (blob(SOUND, strings_size=100), "strings block: lies outside the tree"),
    "reserve outside": (blob(SOUND, reserve=90), "reservation block: lies outside the tree"),
    "no end of reservations": (blob(SOUND, reserve=72), "reservation block: "),
    "no root": (blob(tokens(9)), "has no root node"),
    "two roots": (blob(tokens(ROOT, 2, ROOT, 2, 9)), "has more than one root"),
    "open": (blob(tokens(ROOT, 9)), "ends with 1 nodes open"),
    "closed twice": (blob(tokens(ROOT, 2, 2, 9)), "closes a node that was never opened"),
    "no end": (blob(tokens(ROOT, 2)), "has no end"),
    "unknown token": (blob(tokens(ROOT, 7, 2, 9)), "unknown token 0x7"),
    "name without end": (blob(tokens(1, b"nnnn")), "a node's name has no end"),
    "stray property": (blob(tokens(3, 0, 0, 9)), "has a property outside any node"),
    "long property": (blob(tokens(ROOT, 3, 0xFFFF_FFF0, 0, 2, 9)), "a property of 4294967280 bytes does not fit"),
    "property name": (blob(tokens(ROOT, 3, 0, 100, 2, 9)), "a property's name has no end"),
    "deep": (blob(DEEP), "nested more than 64 nodes deep"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_unsound_tree_gives_its_line(name: str) -> None:
    data, reason = WRONG[name]
    with pytest.raises(InputError) as caught:
        verify("t.dtb", data)
    assert str(caught.value).startswith("t.dtb: ") and reason in str(caught.value)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(TREE)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) // 4 - 1)) * 4
        data[at : at + 4] = draw(
            st.one_of(
                st.binary(min_size=4, max_size=4), st.sampled_from([bytes(3) + bytes([n]) for n in range(10)])
            )
        )
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(st.one_of(damaged(), st.binary(max_size=200), st.binary(max_size=100).map(blob)))
@settings(max_examples=400, deadline=None)
def test_only_an_input_error_comes_out(data: bytes) -> None:
    try:
        verified = verify("t", data)
        changed = with_arguments("t", verified, "x=1")
        assert nodes("t", verified)
        memory("t", verified)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert verify("t", changed) == changed
