"""The corners of User mode, by hand and on both backends: what is UNDEFINED, what faults and where, what writes PC.

Words are as an assembler makes them; the comment is its text. The campaign compares the rest with other CPUs.
"""

from __future__ import annotations

from array import array

import pytest
from retrap.machine.context import Slot
from retrap.machine.traps import FaultStatus, TrapKind
from test_cpu import CODE, CONST, DATA, NO_ACCESS, NOP, RAM, SVC, UDF, Machine

WRITE = FaultStatus.WRITE


@pytest.fixture(params=["evaluate", "llvm"])
def machine(request: pytest.FixtureRequest) -> Machine:
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    made = Machine(request.param)
    made.words[Slot.FPEXC_EN] = 1
    return made


# -- unprivileged and exclusive accesses ---------------------------------------------------------------------

UNPRIVILEGED_LOADS = [  # word, value loaded, change of r1
    (0xE4B12004, 0x83828180, 4),  # ldrt r2, [r1], #4
    (0xE4F12000, 0x80, 0),  # ldrbt r2, [r1]
    (0xE0F120B2, 0x8180, 2),  # ldrht r2, [r1], #2
    (0xE0F120D0, 0xFFFFFF80, 0),  # ldrsbt r2, [r1]
    (0xE0F120F0, 0xFFFF8180, 0),  # ldrsht r2, [r1]
]


@pytest.mark.parametrize(("word", "value", "step"), UNPRIVILEGED_LOADS)
def test_unprivileged_loads(machine: Machine, word: int, value: int, step: int) -> None:
    machine.arm(word, SVC)
    machine.memory.write(RAM + 0x1000, bytes(range(0x80, 0x88)))
    machine.words[1] = DATA
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[1:3].tolist() == [DATA + step, value]


@pytest.mark.parametrize(
    ("word", "stored", "step"),
    [
        (0xE4210004, "44332211", -4),  # strt r0, [r1], #-4
        (0xE4E10000, "44000000", 0),  # strbt r0, [r1]
        (0xE0E100B0, "44330000", 0),  # strht r0, [r1]
    ],
)
def test_unprivileged_stores(machine: Machine, word: int, stored: str, step: int) -> None:
    machine.arm(word, SVC)
    machine.words[0:2] = array("I", bytes.fromhex("44332211") + DATA.to_bytes(4, "little"))
    assert machine.run().kind is TrapKind.SVC
    assert machine.memory.read(RAM + 0x1000, 4).hex() == stored
    assert machine.words[1] == DATA + step
    machine.words[Slot.PC], machine.words[1] = CODE, CONST
    trap = machine.run()
    assert (trap.kind, trap.address, trap.status) == (
        TrapKind.DATA_ABORT,
        CONST,
        FaultStatus.PERMISSION_PAGE | WRITE,
    )


EXCLUSIVES = {  # load r2 (or r4, r5) and store r0 (or r4, r5) at [r1], the status to r3
    1: (0xE1D12F9F, 0xE1C13F90),
    2: (0xE1F12F9F, 0xE1E13F90),
    4: (0xE1912F9F, 0xE1813F90),
    8: (0xE1B14F9F, 0xE1A13F94),
}


@pytest.mark.parametrize("size", EXCLUSIVES)
def test_exclusives_of_all_sizes(machine: Machine, size: int) -> None:
    load, store = EXCLUSIVES[size]
    machine.memory.write(RAM + 0x1000, bytes(range(0x80, 0x90)))
    machine.arm(load, store, store, SVC)
    machine.words[0], machine.words[1], machine.words[3] = 0x11223344, DATA, 7
    assert machine.run(2).kind is TrapKind.INTERRUPT
    assert machine.words[3] == 0
    stored = bytes(range(0x80, 0x88)) if size == 8 else bytes.fromhex("44332211")[:size]
    assert machine.memory.read(RAM + 0x1000, size) == stored
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[3] == 1  # the store closed the monitor


@pytest.mark.parametrize("size", [2, 4, 8])
def test_exclusives_are_aligned(machine: Machine, size: int) -> None:
    load, store = EXCLUSIVES[size]
    machine.words[1] = DATA + size // 2
    for word, status in ((load, FaultStatus.ALIGNMENT), (store, FaultStatus.ALIGNMENT | WRITE)):
        machine.arm(word)
        machine.words[Slot.PC] = CODE
        trap = machine.run()
        assert (trap.kind, trap.address, trap.status) == (TrapKind.DATA_ABORT, DATA + size // 2, status)


def test_a_store_exclusive_into_a_read_only_page_faults_when_the_monitor_lets_it(machine: Machine) -> None:
    load, store = EXCLUSIVES[4]
    machine.arm(load, store)
    machine.words[1] = CONST
    trap = machine.run()
    assert (trap.kind, trap.status) == (TrapKind.DATA_ABORT, FaultStatus.PERMISSION_PAGE | WRITE)
    assert machine.words[Slot.PC] == CODE + 4


def test_clrex_opens_the_monitor(machine: Machine) -> None:
    load, store = EXCLUSIVES[4]
    machine.arm(load, 0xF57FF01F, store, SVC)  # clrex
    machine.words[1] = DATA
    machine.run()
    assert machine.words[3] == 1


def test_swap(machine: Machine) -> None:
    machine.memory.write(RAM + 0x1000, bytes.fromhex("aabbccdd"))
    machine.arm(0xE1012090, 0xE1415090, SVC)  # swp r2, r0, [r1]; swpb r5, r0, [r1]
    machine.words[0], machine.words[1] = 0x11223344, DATA
    machine.run()
    assert (machine.words[2], machine.words[5]) == (0xDDCCBBAA, 0x44)
    assert machine.memory.read(RAM + 0x1000, 4).hex() == "44332211"


# -- alignment: which accesses fault, whatever is mapped ----------------------------------------------------

LOADS_OF_WORDS = {
    0xE891000C: "ldm r1, {r2, r3}",
    0xE1C120D0: "ldrd r2, r3, [r1]",
    0xED910A00: "vldr s0, [r1]",
    0xED910B00: "vldr d0, [r1]",
    0xEC910B04: "vldm r1, {d0-d1}",
}
STORES_OF_WORDS = {
    0xE881000C: "stm r1, {r2, r3}",
    0xE1C120F0: "strd r2, r3, [r1]",
    0xED810B00: "vstr d0, [r1]",
    0xEC810A01: "vstm r1, {s0}",
}


@pytest.mark.parametrize("offset", [1, 2, 3])
@pytest.mark.parametrize("word", [*LOADS_OF_WORDS, *STORES_OF_WORDS])
def test_word_aligned_accesses(machine: Machine, word: int, offset: int) -> None:
    machine.arm(word)
    machine.words[1] = 0x70000 + offset  # not mapped either: alignment comes first (B3.12.3)
    status = FaultStatus.ALIGNMENT | (WRITE if word in STORES_OF_WORDS else 0)
    before = machine.words.tolist()
    trap = machine.run()
    assert (trap.kind, trap.address, trap.status) == (TrapKind.DATA_ABORT, 0x70000 + offset, status)
    assert machine.words.tolist() == before and machine.cpu.retired == 0


@pytest.mark.parametrize("word", [0xE92D000C, 0xED2D0B02])  # push {r2, r3}; vpush {d0}
def test_push_to_an_unaligned_stack(machine: Machine, word: int) -> None:
    machine.arm(word)
    machine.words[Slot.SP] = DATA + 0x102
    trap = machine.run()
    assert (trap.address, trap.status) == (DATA + 0xFA, FaultStatus.ALIGNMENT | WRITE)
    assert machine.words[Slot.SP] == DATA + 0x102


@pytest.mark.parametrize("word", [0xE52D2004, 0xE49D2004])  # push {r2}; pop {r2}: STR and LDR
def test_push_of_one_register_may_be_unaligned(machine: Machine, word: int) -> None:
    machine.arm(word, SVC)
    machine.words[Slot.SP] = DATA + 0x102
    assert machine.run().kind is TrapKind.SVC


@pytest.mark.parametrize(
    ("word", "address", "fault"),
    [
        (0xF421079F, DATA + 4, FaultStatus.ALIGNMENT),  # vld1.32 {d0}, [r1:64]
        (0xF401023F, DATA + 16, FaultStatus.ALIGNMENT | WRITE),  # vst1.8 {d0-d3}, [r1:256]
        (0xF421078F, DATA + 1, 0),  # vld1.32 {d0}, [r1]: no alignment asked for, none checked (SCTLR.A is 0)
    ],
)
def test_alignment_of_elements(machine: Machine, word: int, address: int, fault: int) -> None:
    machine.arm(word, SVC)
    machine.words[1] = address
    trap = machine.run()
    if fault:
        assert (trap.kind, trap.address, trap.status) == (TrapKind.DATA_ABORT, address, fault)
    else:
        assert trap.kind is TrapKind.SVC


# -- accesses that end on another page -------------------------------------------------------------------------

SECOND = DATA + 0x2000  # nothing is mapped there


@pytest.mark.parametrize(
    ("word", "address", "write"),
    [
        (0xE5912000, SECOND - 1, 0),  # ldr r2, [r1]
        (0xE1D120F0, SECOND - 1, 0),  # ldrsh r2, [r1]
        (0xE1C100B0, SECOND - 1, WRITE),  # strh r0, [r1]
        (0xE1C120D0, SECOND - 4, 0),  # ldrd r2, r3, [r1]
        (0xE1C120F0, SECOND - 4, WRITE),  # strd r2, r3, [r1]
        (0xED910B00, SECOND - 4, 0),  # vldr d0, [r1]
        (0xED810B00, SECOND - 4, WRITE),  # vstr d0, [r1]
        (0xE891000C, SECOND - 4, 0),  # ldm r1, {r2, r3}
        (0xF421078F, SECOND - 3, 0),  # vld1.32 {d0}, [r1]
    ],
)
def test_the_fault_is_on_the_second_page(machine: Machine, word: int, address: int, write: int) -> None:
    machine.arm(word)
    machine.words[1] = address
    before = machine.words.tolist()
    trap = machine.run()
    assert (trap.kind, trap.address) == (TrapKind.DATA_ABORT, SECOND)
    assert trap.status == FaultStatus.TRANSLATION_SECTION | write
    assert machine.words.tolist() == before


# -- UNDEFINED in User mode ------------------------------------------------------------------------------------

UNDEFINED_ARM = {
    UDF: "udf #0",
    0xE7F000F7: "udf #7",
    0xEE0D0F70: "mcr p15, 0, r0, c13, c0, 3: TPIDRURO is read-only",
    0xEE1D0F90: "mrc p15, 0, r0, c13, c0, 4: TPIDRPRW",
    0xEE0D0F90: "mcr p15, 0, r0, c13, c0, 4",
    0xEE190F1D: "mrc p15, 0, r0, c9, c13, 0: PMCCNTR",
    0xEE100F10: "mrc p15, 0, r0, c0, c0, 0: MIDR",
    0xEE110F10: "mrc p15, 0, r0, c1, c0, 0: SCTLR",
    0xEE070F15: "mcr p15, 0, r0, c7, c5, 0: ICIALLU",
    0xEE1E0F10: "mrc p15, 0, r0, c14, c0, 0: CNTFRQ",
    0xEED00E10: "mrc p14, 6, r0, c0, c0, 0: TEECR, of ThumbEE",
    0xEE000110: "mcr p1, 0, r0, c0, c0, 0: no such coprocessor",
    0xE14F0000: "mrs r0, spsr",
    0xE168F000: "msr spsr_f, r0",
    0xF8910A00: "rfeia r1",
    0xF8CD0510: "srsia sp, #16",
    0xE1600070: "smc #0",
    0xE1400070: "hvc #0",
    0xE160006E: "eret",
    0xE1B0F00E: "movs pc, lr",
    0xE8D18004: "ldm r1, {r2, pc}^",
}


@pytest.mark.parametrize("word", UNDEFINED_ARM)
def test_undefined(machine: Machine, word: int) -> None:
    machine.arm(NOP, word)
    machine.words[1] = DATA
    trap = machine.run()
    assert trap.kind is TrapKind.UNDEFINED
    assert machine.words[Slot.PC] == CODE + 4 and machine.cpu.retired == 1


@pytest.mark.parametrize("code", [(0xDE01,), (0xF7F0, 0xA001), (0xE8BF,), (0xEC00, 0x0110)])
def test_undefined_in_thumb(machine: Machine, code: tuple[int, ...]) -> None:
    """udf #1; udf.w #1; the first half of `ldm pc!` before zeroes; stc p1."""
    machine.thumb(0xBF00, *code)
    assert machine.run().kind is TrapKind.UNDEFINED
    assert machine.words[Slot.PC] == CODE + 2 and machine.cpu.retired == 1


def test_a_condition_that_fails_comes_before_undefined(machine: Machine) -> None:
    machine.arm(0x0E0D0F70, SVC)  # mcreq TPIDRURO
    machine.words[Slot.Z] = 0
    assert machine.run().kind is TrapKind.SVC
    assert machine.cpu.retired == 2


# -- status register, coprocessors that are allowed ------------------------------------------------------------


def test_barriers_by_coprocessor_and_hints_do_nothing(machine: Machine) -> None:
    # mcr: CP15DMB, CP15DSB, CP15ISB; cps #16; wfi; sev; pld, pldw, pli of what is not mapped
    code = (
        0xEE070FBA, 0xEE070F9A, 0xEE070F95, 0xF1020010, 0xE320F003, 0xE320F004, 0xF5D1F000, 0xF591F000, 0xF4D1F000,
    )  # fmt: skip
    machine.arm(*code, SVC)
    before = machine.words[:15].tolist()
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[:15].tolist() == before
    assert machine.cpu.retired == len(code) + 1


def test_debug_registers_that_user_code_may_read(machine: Machine) -> None:
    # DBGDIDR; DBGDSCRint to r1, and to the flags; DBGDRAR and DBGDSAR, whole (mrrc p14, 0, r4, r2, c1; …, c2)
    machine.arm(0xEE100E10, 0xEE101E11, 0xEE10FE11, 0xEC524E01, 0xEC565E02, SVC)
    machine.words[1] = machine.words[Slot.N] = machine.words[Slot.C] = 1
    machine.words[2] = machine.words[4] = machine.words[5] = machine.words[6] = 1
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[0] >> 16 == 0x3515 and machine.words[1] == 0
    assert (machine.words[Slot.N], machine.words[Slot.C]) == (0, 0)
    assert machine.words[2] == machine.words[4] == machine.words[5] == machine.words[6] == 0


@pytest.mark.parametrize("thumb", [0, 1])
def test_breakpoint_is_a_debug_exception(machine: Machine, thumb: int) -> None:
    if thumb:
        machine.thumb(0xBF08, 0xBE01)  # it eq; bkpt #1: executes whatever the block says
        machine.words[Slot.Z] = 0
    else:
        machine.arm(NOP, 0xE12FFF7F)
    trap = machine.run()
    place = CODE + (2 if thumb else 4)
    assert (trap.kind, trap.address, trap.status) == (TrapKind.BREAKPOINT, place, FaultStatus.DEBUG)
    assert machine.words[Slot.PC] == place and machine.cpu.retired == 1


def test_setend_in_thumb(machine: Machine) -> None:
    machine.thumb(0xB658, 0x6008, 0xB650, 0x680A, 0xDFAB)  # setend be; str r0, [r1]; setend le; ldr r2, [r1]; svc
    machine.words[0], machine.words[1] = 0x11223344, DATA
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[2] == 0x44332211 and machine.words[Slot.BIG_ENDIAN] == 0


# -- what reads and writes PC ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [0xE12FFF20, 0xE1A0F000, 0xE591F000])  # bxj r0; mov pc, r0; ldr pc, [r1]
@pytest.mark.parametrize("thumb", [0, 1])
def test_interworking_branches(machine: Machine, word: int, thumb: int) -> None:
    machine.arm(word)
    machine.words[0], machine.words[1] = CODE + 0x100 + thumb, DATA
    machine.memory.write_word(RAM + 0x1000, CODE + 0x100 + thumb)
    assert machine.run(1).kind is TrapKind.INTERRUPT
    assert (machine.words[Slot.PC], machine.words[Slot.THUMB]) == (CODE + 0x100, thumb)


def test_pc_reads_two_instructions_on(machine: Machine) -> None:
    machine.arm(0xE28F0000, 0xE581F000, SVC)  # add r0, pc, #0; str pc, [r1]
    machine.words[1] = DATA
    machine.run()
    assert machine.words[0] == CODE + 8
    assert machine.memory.read_word(RAM + 0x1000) == CODE + 12


@pytest.mark.parametrize(
    ("code", "pc", "thumb"),
    [
        ((0x4778,), CODE + 4, 0),  # bx pc: to ARM, at the aligned address
        ((0x4687,), CODE + 0x40, 1),  # mov pc, r0: Thumb stays Thumb, whatever bit 0 is
        ((0x4487,), CODE + 4 + CODE + 0x40, 1),  # add pc, r0
        ((0xE8DF, 0xF000), CODE + 4 + 2 * 0x7F, 1),  # tbb [pc, r0]
        ((0xB140,), CODE + 2, 1),  # cbz r0
        ((0x4780,), CODE + 0x40, 0),  # blx r0
        ((0xF3C0, 0x8F00), CODE + 0x40, 0),  # bxj r0
    ],
)
def test_branches_in_thumb(machine: Machine, code: tuple[int, ...], pc: int, thumb: int) -> None:
    machine.thumb(*code)
    machine.words[0] = CODE + 0x40
    if code[0] == 0xE8DF:
        machine.words[0] = 0x20
        machine.memory.write(RAM + 4 + 0x20, b"\x7f")
    assert machine.run(1).kind is TrapKind.INTERRUPT
    assert (machine.words[Slot.PC], machine.words[Slot.THUMB]) == (pc, thumb)


# -- IT blocks that are left and entered again ---------------------------------------------------------------------


def test_a_fault_in_an_it_block_keeps_its_place(machine: Machine) -> None:
    machine.thumb(0xBF04, 0x2001, 0x680A, 0xDFAB)  # itt eq; moveq r0, #1; ldreq r2, [r1]; svc
    machine.words[Slot.Z], machine.words[1] = 1, NO_ACCESS
    trap = machine.run()
    assert (trap.kind, trap.address) == (TrapKind.DATA_ABORT, NO_ACCESS)
    assert (machine.words[Slot.PC], machine.words[Slot.IT]) == (CODE + 4, 0x08)
    assert machine.cpu.retired == 2
    machine.words[1] = DATA  # what a pager may do: it goes on in the block
    assert machine.run().kind is TrapKind.SVC
    assert (machine.cpu.retired, machine.words[Slot.IT]) == (4, 0)


def test_failed_instructions_of_an_it_block_do_not_fault(machine: Machine) -> None:
    machine.thumb(0xBF1C, 0x680A, 0xE9D1, 0x2300, 0xDFAB)  # itt ne; ldrne r2, [r1]; ldrdne r2, r3, [r1]; svc
    machine.words[Slot.Z], machine.words[1] = 1, 1
    assert machine.run().kind is TrapKind.SVC
    assert machine.cpu.retired == 4
