"""VFP instructions: against unicorn on random words and states, and by hand where oracles do not tell."""

from __future__ import annotations

import random

import pytest
from fp_oracle import DATA, DATA_SIZE, MEMORY, PC, Case, Here, Oracle, differences, encodings_of, random_cases
from retrap.machine.arm.registry import Encoding
from retrap.machine.context import Slot

CASES = 12


@pytest.fixture(scope="module")
def here() -> Here:
    return Here()


@pytest.fixture(scope="module")
def unicorn() -> Oracle:
    pytest.importorskip("unicorn")
    from fp_unicorn import Unicorn

    return Unicorn()


@pytest.mark.parametrize("encoding", encodings_of("vfp_"), ids=str)
def test_agrees_with_unicorn(encoding: Encoding, here: Here, unicorn: Oracle) -> None:
    cases = random_cases(encoding, random.Random(encoding.title), CASES)
    assert len(cases) == CASES
    assert differences(encoding, cases, here, unicorn) == []


def case(word: int, thumb: bool = False, **changes: object) -> Case:
    start = Case(word, thumb, [DATA + 0x800] * 15, 0, 0, [0] * 32)
    for name, value in changes.items():
        setattr(start, name, value)
    return start


VADD_S0_S1_S2 = 0xEE300A81
VADD_D0_D1_D2 = 0xEE310B02
VCMP_S0_S1 = 0xEEB40A60
VLDR_D0_R0 = 0xED900B00
VMSR_R0 = 0xEEE10A10


def test_undefined_while_the_thread_may_not_use_it(here: Here) -> None:
    here.context.words[Slot.FPEXC_EN] = 0
    try:
        for word in (VADD_S0_S1_S2, VCMP_S0_S1, VLDR_D0_R0, VMSR_R0, 0xEEF10A10, 0xEEB00A60):
            assert here.run(case(word)).trap == "UNDEFINED"
            assert here.run(case(word, thumb=True)).trap == "UNDEFINED"
        failed = here.run(case(VADD_S0_S1_S2 & 0x0FFFFFFF))  # EQ, Z clear
        assert failed.trap == "" and failed.pc == PC + 4
    finally:
        here.context.words[Slot.FPEXC_EN] = 1


@pytest.mark.parametrize("fpscr", [1 << 16, 3 << 20])
def test_short_vectors_are_undefined_where_they_would_act(here: Here, fpscr: int) -> None:
    for word in (VADD_S0_S1_S2, VADD_D0_D1_D2, 0xEEB00A60, 0xEEB70A00):
        assert here.run(case(word, fpscr=fpscr)).trap == "UNDEFINED"
    for word in (VCMP_S0_S1, VLDR_D0_R0, VMSR_R0):
        assert here.run(case(word, fpscr=fpscr)).trap == ""


def test_transfers_want_word_alignment(here: Here) -> None:
    core = [DATA + 0x802] * 15
    for word in (VLDR_D0_R0, 0xED800B00, 0xED900A00, 0xEC900B02, 0xEC800A01):
        assert here.run(case(word, core=core)).trap == "ALIGNMENT"
        assert here.run(case(word, core=[DATA + 0x804] * 15)).trap == ""


def test_an_abort_in_the_middle_changes_no_register(here: Here) -> None:
    core = [DATA + DATA_SIZE - 8] * 15
    assert here.run(case(0xECB00B04, core=core)).trap == "DATA_ABORT"  # vldmia r0!, {d0, d1}
    words = here.context.words
    assert words[0] == core[0] and words[Slot.D0] == 0 and words[Slot.PC] == PC


def test_fldmx_skips_a_word(here: Here) -> None:
    done = here.run(case(0xECB00B05))  # fldmiax r0!, {d0, d1}
    assert done.core[0] == DATA + 0x800 + 20
    loaded = [int.from_bytes(MEMORY[at : at + 8], "little") for at in (0x800, 0x808)]
    assert done.doubles[:3] == [*loaded, 0]


def test_fpscr_keeps_its_reserved_bits_clear(here: Here) -> None:
    done = here.run(case(VMSR_R0, core=[0xFFFFFFFF] * 15))
    assert done.fpscr == 0xFFF7009F
    done = here.run(case(0xEEF1FA10, fpscr=0xA0000000))  # vmrs APSR_nzcv, fpscr
    assert done.cpsr >> 28 == 0xA


@pytest.mark.parametrize("mode", range(4))
def test_from_fixed_point_always_rounds_to_nearest(here: Here, mode: int) -> None:
    """A8.8.308. QEMU rounds as the FPSCR says."""
    done = here.run(case(0xEEBA0AEB, fpscr=mode << 22, doubles=[0x7FFFFFFF] + [0] * 31))  # vcvt.f32.s32 s0, s0, #9
    assert done.doubles[0] == 0x4A800000 and done.fpscr == mode << 22 | 1 << 4
