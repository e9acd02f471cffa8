"""Images: what is accepted, and the one line about everything else."""

from __future__ import annotations

import io
import random
from itertools import pairwise
from pathlib import Path

import pytest
from elf_builder import MOV_R0_R0, Elf, Load, R, W, X, with_symbols
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.loader.errors import InputError
from retrap.loader.image import Image, load_image
from retrap.machine.space import EXECUTE, READ, WRITE

CODE = MOV_R0_R0 * 16
SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "prebuilt").glob("*.elf"))


def image(elf: Elf) -> Image:
    return Image("a.elf", elf.build())


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        Image("a.elf", data)
    text = str(caught.value)
    assert "\n" not in text and text.startswith("a.elf: ")
    return text


def test_segments_come_in_order_of_address_with_their_rights_and_bss() -> None:
    low = Load(0x10000, CODE, flags=R | X)
    high = Load(0x20000, b"data", memory_size=0x3000, flags=R | W)
    note = Load(0x50000, b"note", kind=4)
    empty = Load(0x10, b"")
    found = image(Elf(segments=(note, high, low, empty)))
    assert [(s.index, s.virtual, s.end, s.rights) for s in found.segments] == [
        (2, 0x10000, 0x10040, READ | EXECUTE),
        (1, 0x20000, 0x23000, READ | WRITE),
    ]
    assert found.segments[1].data == b"data"
    assert (found.start, found.end, found.entry, found.thumb) == (0x10000, 0x23000, 0x10000, False)
    assert found.segment_at(0x22FFF) is found.segments[1]
    assert found.segment_at(0x23000) is None


def test_a_thumb_entry_keeps_its_bit() -> None:
    found = image(Elf(entry=0x10003))
    assert (found.entry, found.thumb) == (0x10003, True)


def test_segments_may_touch() -> None:
    found = image(Elf(segments=(Load(0x10000, CODE), Load(0x10040, b"more"))))
    assert len(found.segments) == 2


def test_any_number_of_segments() -> None:
    many = tuple(Load(0x10000 + 0x1000 * n, CODE) for n in range(300))
    assert len(image(Elf(segments=many)).segments) == 300


def test_the_digest_is_that_of_the_file() -> None:
    import hashlib

    data = Elf().build()
    assert Image("a.elf", data).sha256 == hashlib.sha256(data).hexdigest()


BASE = Elf()
WRONG = {
    "empty": (b"", "is empty"),
    "not ELF": (b"hello, world, hello", "ELF header: is not an ELF file: starts with 68 65 6c 6c"),
    "old CPIO": (b"070707" + bytes(200), "is not an ELF file but an old CPIO archive: write it in the newc format"),
    "gzip": (b"\x1f\x8b\x08" + bytes(60), "is not an ELF file but gzip-compressed: unpack it first"),
    "two bytes": (b"\x7fE", "ELF header: truncated: 16 bytes needed, 2 left"),
    "cut ident": (BASE.build()[:10], "ELF header: truncated: 16 bytes needed, 10 left"),
    "cut header": (BASE.build()[:40], "ELF header: truncated: 52 bytes needed, 40 left"),
    "cut table": (BASE.build()[:70], "program headers: truncated: the table ends at byte 84, the file has 70"),
    "cut data": (BASE.build()[:-1], "segment 0: truncated: its data ends at byte 148, the file has 147"),
    "64-bit": (BASE.but(width=2).build(), "is a 64-bit executable: a 32-bit ARM one is needed"),
    "class": (BASE.but(width=7).build(), "unknown ELF class 7"),
    "big-endian": (BASE.but(order=2).build(), "is big-endian"),
    "order": (BASE.but(order=0).build(), "unknown byte order 0"),
    "x86": (BASE.but(machine=3).build(), "is for x86, not 32-bit ARM"),
    "RISC-V": (BASE.but(machine=243).build(), "is for RISC-V, not 32-bit ARM"),
    "machine": (BASE.but(machine=0x1234).build(), "is for unknown machine 4660, not 32-bit ARM"),
    "PIE": (BASE.but(kind=3).build(), "is position-independent (ET_DYN"),
    "object": (BASE.but(kind=1).build(), "is a relocatable object file"),
    "core": (BASE.but(kind=4).build(), "is a core dump"),
    "type": (BASE.but(kind=0xFE00).build(), "unknown ELF type 0xfe00"),
    "version": (BASE.but(version=2).build(), "unknown ELF version 2"),
    "BE8": (BASE.but(flags=0x0580_0000).build(), "holds big-endian data (BE8)"),
    "no table": (BASE.but(program_count=0).build(), "has no program headers"),
    "too many": (BASE.but(program_count=0xFFFF).build(), "more than 65534 program headers"),
    "entry size": (BASE.but(program_entry_size=56).build(), "entries of 56 bytes, not 32"),
    "far table": (BASE.but(program_offset=0xFFFF_FFF0).build(), "program headers: truncated"),
    "no PT_LOAD": (BASE.but(segments=(Load(0x10000, CODE, kind=4),)).build(), "has no loadable segment"),
    "dynamic": (
        BASE.but(segments=(Load(0, b"/lib/ld.so\0", kind=3), *BASE.segments)).build(),
        "needs a dynamic linker",
    ),
    "short memory": (
        BASE.but(segments=(Load(0x10000, CODE, memory_size=4),)).build(),
        "segment 0: has 64 bytes in the file but only 4 in memory",
    ),
    "wrap": (
        BASE.but(segments=(Load(0xFFFF_F000, CODE, memory_size=0x2000),)).build(),
        "segment 0: wraps round the address space",
    ),
    "overlap": (
        BASE.but(segments=(Load(0x10000, CODE), Load(0x1003C, CODE))).build(),
        "segment 1: overlaps segment 0: [0x0001003c, 0x0001007c) and [0x00010000, 0x00010040)",
    ),
    "entry nowhere": (BASE.but(entry=0x20000).build(), "entry point: 0x00020000 lies in no loadable segment"),
    "entry at the end": (BASE.but(entry=0x10040).build(), "lies in no loadable segment"),
    "entry unaligned": (BASE.but(entry=0x10002).build(), "neither ARM (4-byte aligned) nor Thumb (odd) code"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_image_gives_its_line(name: str) -> None:
    data, reason = WRONG[name]
    assert reason in refusal(data)


def test_a_huge_segment_costs_no_memory() -> None:
    import tracemalloc

    data = Elf(segments=(Load(0x10000, CODE, memory_size=0xF000_0000),)).build()
    tracemalloc.start()
    found = Image("a.elf", data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.end == 0xF001_0000
    assert peak < 1 << 20


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def reason(path: str | Path) -> str:
        with pytest.raises(InputError) as caught:
            load_image(path)
        return caught.value.reason

    (tmp_path / "file").write_bytes(b"x")
    assert reason(tmp_path / "missing.elf") == "no such file"
    assert reason(tmp_path) == "is a directory"
    assert reason(tmp_path / "file" / "below") == "no such file: a part of the path is not a directory"
    assert reason(tmp_path / ("n" * 5000)) == "name too long"
    assert reason("a\0b").startswith("cannot be read")
    assert reason("") == "is a directory"  # the working directory


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="permission denied"):
        load_image(tmp_path / "a.elf")


def test_an_endless_file_is_not_read_to_the_end() -> None:
    from retrap.loader.files import read_file

    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_file("/dev/zero", 1 << 20)


def test_a_name_with_a_line_end_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_image(tmp_path / "a\nb\x1b.elf")
    assert str(caught.value).endswith("a\\nb\\x1b.elf: no such file")


def test_symbols_and_sections() -> None:
    data = with_symbols(
        Elf(),
        (
            ("_start", 0x10000, 8, 0x12),
            ("helper", 0x10009, 4, 0x02),
            ("$a", 0x10000, 0, 0),
            ("table", 0x10020, 16, 0x11),
        ),
    )
    found = Image("a.elf", data)
    assert [(s.name, s.address, s.size, s.kind, s.thumb) for s in found.symbols] == [
        ("_start", 0x10000, 8, "function", False),
        ("helper", 0x10008, 4, "function", True),
        ("table", 0x10020, 16, "object", False),
    ]
    assert [(s.name, s.address, s.size) for s in found.sections] == [(".text", 0x10000, 64)]


def test_without_a_section_table_there_are_no_symbols() -> None:
    found = image(Elf())
    assert found.symbols == () and found.sections == ()


def test_a_section_table_past_the_end_is_not_believed() -> None:
    found = image(Elf(sections=(0xFFFF_0000, 40, 20, 1)))
    assert found.symbols == () and found.sections == ()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_pyelftools_agrees_on_compiled_images(path: Path) -> None:
    found = load_image(path)
    other = ELFFile(io.BytesIO(path.read_bytes()))
    loads = [s for s in other.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_memsz"]]
    assert [(s.virtual, s.file_size, s.memory_size, s.data) for s in found.segments] == [
        (s["p_vaddr"], s["p_filesz"], s["p_memsz"], s.data()) for s in sorted(loads, key=lambda s: s["p_vaddr"])
    ]
    assert found.entry == other["e_entry"]
    table = other.get_section_by_name(".symtab")
    theirs = {
        (s.name, s["st_value"] & ~1, s["st_size"])
        for s in (table.iter_symbols() if table else ())
        if s["st_info"]["type"] == "STT_FUNC" and s["st_shndx"] != "SHN_UNDEF"
    }
    assert {(s.name, s.address, s.size) for s in found.symbols if s.kind == "function"} == theirs


field_values = st.one_of(
    st.integers(0, 0xFFFF_FFFF), st.sampled_from([0, 1, 0x34, 0x1000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid file (with symbols) with a few words of its headers overwritten, and perhaps cut short."""
    segments = draw(st.integers(1, 3))
    elf = Elf(segments=tuple(Load(0x10000 + 0x1000 * n, CODE) for n in range(segments)))
    data = bytearray(with_symbols(elf, (("_start", 0x10000, 8, 0x12), ("x", 0x10010, 0, 0x11))))
    tables = len(data) - 5 * 40
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.one_of(st.integers(4, 52 + 32 * segments - 4), st.integers(tables, len(data) - 4)))
        size = draw(st.sampled_from([1, 2, 4]))
        data[at : at + size] = (draw(field_values) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(
    st.one_of(mutated(), st.binary(max_size=300), st.binary(max_size=300).map(lambda b: b"\x7fELF\x01\x01\x01" + b))
)
@settings(max_examples=300, deadline=None)
def test_only_an_input_error_comes_out(data: bytes) -> None:
    try:
        found = Image("a.elf", data)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert all(a.end <= b.virtual for a, b in pairwise(found.segments))
    assert isinstance(found.symbols, tuple) and isinstance(found.sections, tuple)


@pytest.mark.parametrize("path", SAMPLES[:2], ids=lambda path: path.name)
def test_damaged_compiled_images_only_raise_input_errors(path: Path) -> None:
    original = path.read_bytes()
    chance = random.Random(1)
    for _ in range(150):
        data = bytearray(original)
        for _ in range(chance.randint(1, 8)):
            where = chance.choice([chance.randrange(52), chance.randrange(180), chance.randrange(len(data))])
            data[where] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        del data[chance.choice([len(data), len(data), chance.randrange(len(data))]) :]
        try:
            found = Image("a.elf", bytes(data))
        except InputError:
            continue
        assert isinstance(found.symbols, tuple) and isinstance(found.sections, tuple)
