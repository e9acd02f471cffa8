"""Advanced SIMD instructions: against unicorn and qemu-arm on random words and states, and some by hand."""

from __future__ import annotations

import random

import fp_qemu
import pytest
from fp_oracle import (
    DATA,
    MEMORY,
    Case,
    Here,
    Oracle,
    Qemu,
    differences,
    encodings_of,
    explained,
    random_case,
    random_cases,
)
from retrap.machine import evaluate
from retrap.machine.arm.decode import decode, find
from retrap.machine.arm.registry import Encoding
from retrap.machine.context import Slot

CASES = 4


@pytest.fixture(scope="module")
def here() -> Here:
    return Here()


@pytest.fixture(scope="module")
def unicorn() -> Oracle:
    pytest.importorskip("unicorn")
    from fp_unicorn import Unicorn

    return Unicorn()


@pytest.mark.parametrize("encoding", encodings_of("neon_"), ids=lambda e: f"{e.title} {e.form}")
def test_agrees_with_unicorn(encoding: Encoding, here: Here, unicorn: Oracle) -> None:
    compare(encoding, CASES, here, unicorn)


def compare(encoding: Encoding, count: int, here: Here, oracle: Oracle) -> None:
    cases = random_cases(encoding, random.Random(f"{encoding.title} {encoding.form}"), count)
    assert len(cases) == count
    assert differences(encoding, cases, here, oracle) == []


def test_blocks_that_run_often_mean_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The evaluator writes such blocks out as functions: here after their first run. VFP too."""
    monkeypatch.setattr(evaluate, "WRITE_OUT_AFTER", 1)
    here = Here()
    for encoding in encodings_of("neon_", "vfp_"):
        if encoding.thumb:
            continue  # the same blocks
        (made,) = random_cases(encoding, random.Random(encoding.title), 1)
        assert here.run(made).difference(here.run(made)) == "", made.describe()


@pytest.mark.skipif(not fp_qemu.available(), reason="needs qemu-arm and an ARM compiler")
def test_agrees_with_qemu(here: Here) -> None:
    """What unicorn does not have: alignment, CPSR.E, IT blocks. VFP too."""
    pairs = [
        (encoding, case)
        for encoding in encodings_of("neon_", "vfp_")
        for case in random_cases(encoding, random.Random(f"qemu {encoding.title} {encoding.form}"), 5)
    ]
    ours = [here.run(case) for _, case in pairs]
    theirs = Qemu().run([case for _, case in pairs])
    wrong = [
        (encoding.title, case.describe(), mine.difference(other))
        for (encoding, case), mine, other in zip(pairs, ours, theirs, strict=True)
        if mine.difference(other) and not explained(case, mine, other)
    ]
    assert wrong == []


@pytest.mark.skipif(not fp_qemu.available(), reason="needs qemu-arm and an ARM compiler")
def test_words_of_no_encoding_are_undefined_on_qemu_too() -> None:
    rng = random.Random(7)
    cases = []
    while len(cases) < 800:
        thumb = rng.randrange(2) == 1
        word = rng.choice(SPACES)(rng.getrandbits(24), thumb)
        if find(word, thumb) is None:
            made = random_case(word, thumb, rng)
            made.it = made.big_endian = 0
            cases.append(made)
    assert {outcome.trap for outcome in Qemu().run(cases)} == {"UNDEFINED"}


SPACES = (
    lambda bits, thumb: bits | (0xEF000000 if thumb else 0xF2000000),  # data processing
    lambda bits, thumb: bits | (0xFF000000 if thumb else 0xF3000000),
    lambda bits, thumb: bits & 0xEFFFFF | (0xF9000000 if thumb else 0xF4000000),  # elements and structures
    lambda bits, thumb: bits & 0xFFF1FF | 0xEE000A00,  # coprocessors 10 and 11
    lambda bits, thumb: bits & 0xFFF1FF | 0xEC000A00,
)


def case(word: int, doubles: dict[int, int] | None = None, **changes: int) -> Case:
    start = Case(word, False, [DATA + 0x800] * 15, 0, 0, [0] * 32)
    for number, value in (doubles or {}).items():
        start.doubles[number] = value
    for name, value in changes.items():
        setattr(start, name, value)
    return start


def test_undefined_while_the_thread_may_not_use_it(here: Here) -> None:
    words = (0xF2010802, 0xF4207A8F, 0xF2C00050, 0xF3B00202, 0xF2B01002, 0xF4A0000F)
    for word in words:
        assert decode(word, False) is not None
        assert here.run(case(word)).trap == ""
    here.context.words[Slot.FPEXC_EN] = 0
    try:
        for word in words:
            assert here.run(case(word)).trap == "UNDEFINED"
    finally:
        here.context.words[Slot.FPEXC_EN] = 1


def test_standard_control_word_hides_the_fpscr(here: Here) -> None:
    """vadd.f32 d0, d1, d2 with denormals and another rounding mode set: flushed, to nearest, flags kept."""
    done = here.run(case(0xF2010D02, {1: 0x00000001_3F800000, 2: 0x00000000_33800000}, fpscr=1 << 22 | 2))
    assert done.doubles[0] == 0x00000000_3F800000
    assert done.fpscr == 1 << 22 | 2 | 1 << 7 | 1 << 4


def test_short_vectors_do_not_concern_it(here: Here) -> None:
    assert here.run(case(0xF2010D02, fpscr=3 << 16)).trap == ""


def test_saturation_is_cumulative(here: Here) -> None:
    full = {1: 0x7F, 2: 0x01}
    assert here.run(case(0xF2010012, full)).fpscr == 1 << 27  # vqadd.s8 d0, d1, d2
    assert here.run(case(0xF2010012, {1: 1}, fpscr=1 << 27)).fpscr == 1 << 27
    assert here.run(case(0xF2010012, {1: 1})).fpscr == 0


@pytest.mark.parametrize(
    ("word", "alignment"),
    [
        (0xF421071F, 8),  # vld1.8 {d0}, [r1:64]
        (0xF4210A2F, 16),  # vld1.8 {d0, d1}, [r1:128]
        (0xF421023F, 32),  # vld1.8 {d0-d3}, [r1:256]
        (0xF4A1041F, 2),  # vld1.16 {d0[0]}, [r1:16]
        (0xF4A10B2F, 16),  # vld4.32 {d0[0]-d3[0]}, [r1:128]
        (0xF4A10FDF, 16),  # vld4.32 {d0[]-d3[]}, [r1:128]
        (0xF421070F, 1),
    ],
)
def test_alignment_is_what_the_instruction_asks(here: Here, word: int, alignment: int) -> None:
    for offset in range(64):
        done = here.run(case(word, core=[DATA + 0x800 + offset] * 15))  # type: ignore[arg-type]
        assert done.trap == ("ALIGNMENT" if offset % alignment else "")


def test_structures_in_big_endian_order(here: Here) -> None:
    """vld2.16 {d0, d1}, [r1] with CPSR.E: each element's bytes are swapped, elements stay in order."""
    done = here.run(case(0xF421084F, big_endian=1))
    elements = [int.from_bytes(MEMORY[at : at + 2], "big") for at in range(0x800, 0x810, 2)]
    for register in range(2):
        assert done.doubles[register] == sum(x << 16 * k for k, x in enumerate(elements[register::2]))
