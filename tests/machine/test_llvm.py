"""The llvm backend against the evaluator: random programs under a random host, and the cases that are hard."""

from __future__ import annotations

import random
import struct

import pytest
from llvm_pair import ALIAS, CODE, DATA, DEVICE, RAM, TOP, Pair, arm_filling
from retrap.machine.context import Slot
from retrap.machine.ir.ops import Op
from retrap.machine.llvm import backend as tiers
from retrap.machine.llvm.layout import Exit, packed
from retrap.machine.llvm.lower import Lowering, Shape
from retrap.machine.llvm.region import discover
from retrap.machine.llvm.rules import PURE, STATEFUL
from retrap.machine.space import EXECUTE, READ, WRITE
from retrap.machine.traps import Trap, TrapKind

MOV_R0_1, MOV_R0_2 = 0xE3A00001, 0xE3A00002
SVC, BX_LR, UDF = 0xEF000000, 0xE12FFF1E, 0xE7F000F0


def arm(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def both_run(pair: Pair, pc: int, budget: int = 10_000, **registers: int) -> Trap:
    """Run from `pc` on both sides; the trap, after comparing everything."""
    pair.both(Slot.PC, pc & ~1)
    pair.both(Slot.THUMB, pc & 1)
    for name, value in registers.items():
        pair.both(getattr(Slot, name, None) if name.isupper() and hasattr(Slot, name) else int(name[1:]), value)
    pair.compared = 15  # compares memory too
    traps = [machine.run(pair.space, budget) for machine in pair.sides]
    pair.compare(traps[0], traps[1], f"from {pc:#x}")
    return traps[0]


def words(pair: Pair) -> memoryview:
    return pair.sides[1].context.words


def natively(pair: Pair, pc: int) -> bool:
    """Whether the native side has code for this address in the current space."""
    machine = pair.sides[1]
    return pc in pair.native.native.space(machine.spaces[pair.space]).entries


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_run_alike(seed: int) -> None:
    pair = Pair(seed, hot=2 + seed % 3)
    for _ in range(4):
        pair.random_program()
        for _ in range(5):
            pair.registers()
            pair.jump()
            pair.run(300)
            pair.disturb()
        pair.restore()
    assert pair.native.native.instructions > 100
    assert len(pair.traps) >= 3


def test_every_operation_is_lowered_or_left_to_the_evaluator() -> None:
    assert set(Op) == PURE | STATEFUL
    assert not PURE & STATEFUL


@pytest.mark.parametrize("pc", [0, 0x10000, 0x7FFFFFFC, 0x80000000, 0xFFFFFFFE])
@pytest.mark.parametrize("why", list(Exit))
def test_what_a_region_returns_fits_a_signed_word(pc: int, why: Exit) -> None:
    value = packed(pc, 123, why)
    assert -(1 << 63) <= value < 1 << 63
    assert (value >> 32) & 0xFFFFFFFF == pc
    assert (value >> 8) & 0xFFFFFF == 123
    assert value & 0xFF == why


def loop(pair: Pair, body: int, count: int) -> Trap:
    """`body`, then subs r5, #1; bne back; svc."""
    pair.load(arm(body, 0xE2555001, 0x1AFFFFFC, SVC))
    return both_run(pair, CODE, r5=count)


def test_a_loop_gets_compiled_and_then_compiled_with_care() -> None:
    pair = Pair(1, hot=4, period=1000)
    assert loop(pair, 0xE0800005, 3000).kind is TrapKind.SVC
    assert words(pair)[0] == 3000 * 3001 // 2
    shapes = {one.shape.name for versions in pair.native.native.library.values() for one in versions}
    assert "TUNED" in shapes


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 5, 31, 32, 33, 34])
def test_budgets_are_exact(budget: int) -> None:
    pair = Pair(1, hot=2)
    loop(pair, 0xE0800005, 50)
    pair.both(0, 0)
    trap = both_run(pair, CODE, budget, r5=50)
    assert trap.kind is TrapKind.INTERRUPT
    while trap.kind is TrapKind.INTERRUPT:
        before = pair.sides[1].retired
        trap = both_run(pair, words(pair)[Slot.PC], budget)
        assert pair.sides[1].retired - before <= budget
    assert words(pair)[0] == 50 * 51 // 2


# -- code that changes ---------------------------------------------------------------------------------------


def warm(pair: Pair, pc: int = CODE) -> None:
    for _ in range(6):
        both_run(pair, pc, R0=0, LR=0)
    assert natively(pair, pc)


def changed(pair: Pair, pc: int = CODE) -> None:
    both_run(pair, pc)
    assert words(pair)[0] == 2
    warm(pair, pc)
    assert words(pair)[0] == 2


def test_code_written_by_the_kernel() -> None:
    pair = Pair(1)
    pair.load(arm(MOV_R0_1, SVC))
    warm(pair)
    assert words(pair)[0] == 1
    for machine in pair.sides:
        machine.memory.write_word(RAM, MOV_R0_2)
    assert not natively(pair, CODE)
    changed(pair)


def test_code_cleared_by_the_kernel() -> None:
    pair = Pair(1)
    pair.load(arm(MOV_R0_1, SVC))
    warm(pair)
    for machine in pair.sides:
        machine.memory.clear(RAM, 0x1000)
    both_run(pair, CODE, 20, R0=7)
    assert words(pair)[0] == 7  # andeq r0, r0, r0 all the way
    assert words(pair)[Slot.PC] == CODE + 80


def test_code_written_by_code_through_another_mapping() -> None:
    """A store to the alias of its own page, a little further on: the new instruction runs at once."""
    pair = Pair(1)
    # str r1, [r2]; then the instruction that it replaces
    for value, expected in ((MOV_R0_2, 2), (MOV_R0_1, 1), (MOV_R0_2, 2)):
        pair.load(arm(0xE5821000, 0xE320F000, MOV_R0_1, SVC))
        for _ in range(6):
            both_run(pair, CODE, R0=0, r1=MOV_R0_1, r2=ALIAS + 8)
        both_run(pair, CODE, R0=0, r1=value, r2=ALIAS + 8)
        assert words(pair)[0] == expected


def test_code_written_by_another_space() -> None:
    pair = Pair(1)
    pair.load(arm(MOV_R0_1, SVC), CODE)
    pair.load(arm(0xE5821000, SVC), CODE + 0x100)
    warm(pair)
    pair.space = 1
    for _ in range(6):
        both_run(pair, CODE + 0x100, r1=MOV_R0_2, r2=ALIAS)
    pair.space = 0
    changed(pair)


def test_code_in_a_page_that_data_native_code_writes_was_in() -> None:
    """A page is written natively; then code is made in it, run until compiled, and written again."""
    pair = Pair(1)
    store, target = CODE + 0x100, TOP
    pair.load(arm(0xE5821000, SVC), store)
    for n in range(40):
        both_run(pair, store, r1=MOV_R0_1, r2=TOP + 4 * (n % 8))
    both_run(pair, store, r1=SVC, r2=TOP + 4)
    warm(pair, target)
    both_run(pair, store, r1=MOV_R0_2, r2=TOP)
    changed(pair, target)


def test_code_unmapped_remapped_and_made_data() -> None:
    pair = Pair(1)
    pair.load(arm(MOV_R0_1, SVC), CODE)
    pair.load(arm(MOV_R0_2, SVC), CODE + 0x1000)
    warm(pair)
    for machine in pair.sides:
        machine.spaces[0].unmap(CODE, 12)
    assert both_run(pair, CODE).kind is TrapKind.PREFETCH_ABORT
    for machine in pair.sides:
        machine.spaces[0].map(CODE, RAM + 0x1000, 12, READ | EXECUTE)
    changed(pair)
    for machine in pair.sides:
        machine.spaces[0].map(CODE, RAM + 0x1000, 12, READ)
    assert both_run(pair, CODE).kind is TrapKind.PREFETCH_ABORT


def test_spaces_share_compiled_code_but_not_what_differs() -> None:
    pair = Pair(1)
    pair.load(arm(MOV_R0_1, SVC), CODE)
    pair.load(arm(MOV_R0_2, SVC), CODE + 0x1000)
    warm(pair)
    compiled = pair.native.native.compiled
    pair.space = 1
    warm(pair)
    assert pair.native.native.compiled == compiled
    for machine in pair.sides:
        machine.spaces[1].map(CODE, RAM + 0x1000, 12, READ | EXECUTE)
    changed(pair)
    pair.space = 0
    both_run(pair, CODE)
    assert words(pair)[0] == 1


# -- the edges of memory -------------------------------------------------------------------------------------

ACCESSES = {
    "ldr r0, [r2]": 0xE5920000,
    "ldrb r0, [r2]": 0xE5D20000,
    "ldrh r0, [r2]": 0xE1D200B0,
    "ldrd r0, [r2]": 0xE1C200D0,
    "ldm r2, {r0, r1, r3, r4}": 0xE892001B,
    "ldmdb r2!, {r0, r1}": 0xE9320003,
    "str r0, [r2]": 0xE5820000,
    "strb r0, [r2]": 0xE5C20000,
    "strh r0, [r2, #-2]!": 0xE16200B2,
    "strd r0, [r2]": 0xE1C200F0,
    "stm r2!, {r0, r1, r3, r4}": 0xE8A2001B,
    "stmdb r2!, {r0, r1, r3}": 0xE922000B,
    "ldrex r0, [r2]": 0xE1920F9F,
    "strex r0, r1, [r2]": 0xE1820F91,
    "swp r0, r1, [r2]": 0xE1020091,
    "vldm r2, {d0-d15}": 0xEC920B20,
    "vstm r2, {d0-d15}": 0xEC820B20,
}


def compile_as(pair: Pair, shape: Shape, *addresses: int) -> None:
    """Compile the code at these addresses in this shape, before it has run."""
    native = pair.native.native
    native.compile(native.space(pair.sides[1].spaces[0]), list(addresses), shape)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("word", ACCESSES.values(), ids=list(ACCESSES))
def test_no_access_goes_beyond_its_page_and_rights(word: int, shape: Shape) -> None:
    """Every offset around every kind of page's edges, each natively compiled: faults, bytes and registers agree.

    Host memory around the frames is watched too: RAM of the first region ends where DATA + 0x3000's begins.
    """
    pair = Pair(word, hot=1)
    pair.both(Slot.FPEXC_EN, 1)
    pair.load(arm(word, SVC))
    compile_as(pair, shape, CODE)
    edges = (DATA, DATA + 0x1000, DATA + 0x2000, DATA + 0x3000, DATA + 0x4000, DATA + 0x5000, 0x00300000, TOP, 0)
    for edge in edges:
        for offset in (-132, -17, -16, -15, -8, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 8, 12, 13):
            both_run(pair, CODE, R0=0x11111111, r1=0x22222222, r2=edge + offset & 0xFFFFFFFF)
    assert natively(pair, CODE)


@pytest.mark.parametrize("shape", Shape)
def test_accesses_that_are_checked_together_fault_where_each_would(shape: Shape) -> None:
    """Loads and stores through one register, whose distances from it are known, over every kind of edge."""
    r = random.Random(int(shape))
    for program in range(12):
        pair = Pair(program, hot=1)
        code = []
        for _ in range(6):
            distance, up = r.choice((0, 4, 8, 12, 60, 250, 1000, 1023)), r.getrandbits(1) << 23
            kind = r.choice((0xE5020000, 0xE5120000, 0xE5420000, 0xE5520000, 0xE4920004, 0xE4020004))
            code.append((kind if kind & 0x01000000 == 0 else kind | up | distance) | r.randrange(2) << 12)
        code.insert(r.randrange(6), 0xE8A20030)  # stm r2!, {r4, r5}
        pair.load(arm(*code, SVC))
        compile_as(pair, shape, CODE)
        for edge in (DATA, DATA + 0x1000, DATA + 0x2000, DATA + 0x3000, DATA + 0x5000, 0x00300000, TOP, 0):
            for offset in (-1030, -260, -16, -8, -4, -1, 0, 1, 4, 8, 16, 1020):
                both_run(pair, CODE, R0=1, r1=2, r2=edge + offset & 0xFFFFFFFF, r4=4, r5=5)


COMPARING = {
    "cmp r0, r1": 0xE1500001,
    "cmp r0, #0": 0xE3500000,
    "cmp r0, #1": 0xE3500001,
    "cmp r0, #0x80000000": 0xE3500102,
    "cmn r0, r1": 0xE1700001,
    "cmn r0, #0": 0xE3700000,
    "cmn r0, #7": 0xE3700007,
    "cmn r0, #0x80000000": 0xE3700102,
    "subs r3, r0, r1": 0xE0503001,
    "subs r0, r0, r1": 0xE0500001,
    "subs r0, r0, r0": 0xE0500000,
    "rsbs r3, r0, #5": 0xE2703005,
    "adds r0, r0, #1": 0xE2900001,
    "sbcs r3, r0, r1": 0xE0D03001,
    "tst r0, r1": 0xE1100001,
    "eors r3, r0, r0": 0xE0303000,
}


@pytest.mark.parametrize("word", COMPARING.values(), ids=list(COMPARING))
def test_every_condition_after_every_kind_of_comparison(word: int) -> None:
    """In the same block, as a choice; in others, as branches, with flags carried as they would be computed."""
    code = [word]
    for condition in range(14):
        # orr<c> r4, r4, #1 << 2 * c; b<c> over; add r5, r5, #1 << 2 * c
        rotated = (16 - condition & 15) << 8 | 1
        code += [condition << 28 | 0x03844000 | rotated, condition << 28 | 0x0A000000, 0xE2855000 | rotated]
    pair = Pair(0)
    pair.load(arm(*code, SVC))
    pair.native.native.reached.update(CODE + 4 * n for n in range(len(code) + 1))
    compile_as(pair, Shape.TUNED, CODE)
    edges = (0, 1, 2, 5, 6, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFF9, 0xFFFFFFFF)
    for x in edges:
        for y in edges:
            assert both_run(pair, CODE, r0=x, r1=y, r4=0, r5=0).kind is TrapKind.SVC
    (compiled,) = pair.native.native.library[CODE]
    assert compiled.shape is Shape.TUNED
    assert len(compiled.heads) > 14


# ARM: again: blx count; subs r5, #1; bne again; svc. Thumb: count: movs r0, #3; round: subs r0, #1;
# cbz r0, done; adds r1, #1; b round; done: bx lr.
CALLER = arm(0xFA000002, 0xE2555001, 0x1AFFFFFC, SVC)
COUNT = struct.pack("<6H", 0x2003, 0x3801, 0xB108, 0x3101, 0xE7FB, 0x4770)


def test_one_region_has_both_instruction_sets_and_branches_on_zero() -> None:
    pair = Pair(0)
    pair.load(CALLER + COUNT)
    thumb = CODE + len(CALLER) | 1
    heads = [CODE, CODE + 4, CODE + 12, thumb, thumb + 2, thumb + 6, thumb + 10]
    region = discover(pair.sides[1].spaces[0], CODE, heads, 100, True)
    assert region is not None
    lowering = Lowering("f", region.runs, Shape.TUNED)
    assert sorted(lowering.runs) == heads
    # It goes on elsewhere only where the function returns to a place that no call of the region left.
    text = lowering.text()
    assert text.count("shl i64") == 1
    assert not any(f"store i64 {packed(head & ~1, 0, Exit.CHAIN)}, ptr %why" in text for head in heads)
    for rounds in (1, 2, 50):
        assert both_run(pair, CODE, R5=rounds, R1=0).kind is TrapKind.SVC
        assert words(pair)[1] == 2 * rounds
        compile_as(pair, Shape.TUNED, CODE)


def test_a_region_whose_only_entry_is_what_its_call_returns_to() -> None:
    # start: add r0, r0, #1; bl next; next: cmp r0, #9; svc if not below; mov pc, r1 (to start)
    code = (0xE2800001, 0xEBFFFFFF, 0xE3500009, 0x2F000000, 0xE1A0F001)
    pair = Pair(0)
    pair.load(arm(*code))
    native = pair.native.native
    native.reached.update((CODE, CODE + 8, CODE + 16))
    space = native.space(pair.sides[1].spaces[0])
    compile_as(pair, Shape.QUICK, CODE)
    region = discover(pair.sides[1].spaces[0], CODE + 8, native.reached, 100, True, sorted(space.entries))
    assert region is not None
    lowering = Lowering("f", region.runs, Shape.TUNED, jumps=region.jumps)
    assert "br label %dispatch" in lowering.text()
    assert lowering.entries == [CODE + 8]
    compile_as(pair, Shape.TUNED, CODE + 8)
    assert both_run(pair, CODE + 8, R0=0, R1=CODE).kind is TrapKind.SVC
    assert words(pair)[0] == 9


def test_a_table_of_jumps_stays_inside_once_its_targets_are_known() -> None:
    """An interpreter of bytes: 0 adds, 1 doubles, 2 ends; by TBB, and by a load of PC on a condition."""
    thumb = struct.pack(
        # again: ldrb r1, [r0], #1; tbb [pc, r1]; the table; adds r2, #1; b again; adds r2, r2; b again; bx lr
        "<HHHHHHHHHHH",
        0xF810, 0x1B01, 0xE8DF, 0xF001, 0x0402, 0x0006, 0x3201, 0xE7F7, 0x1892, 0xE7F5, 0x4770,
    )  # fmt: skip
    table = (
        # again: ldrb r1, [r0], #1; cmp r1, #2; ldrls pc, [pc, r1, lsl #2]; svc; the table; …
        0xE4D01001, 0xE3510002, 0x979FF101, SVC, CODE + 28, CODE + 36, CODE + 44,
        0xE2822001, 0xEAFFFFF6, 0xE0822002, 0xEAFFFFF4, BX_LR,
    )  # fmt: skip
    pair = Pair(0)
    for start, code in ((CODE + 0x1000 | 1, thumb), (CODE, arm(*table))):
        pair.load(code, start & ~1)
        pair.load(arm(SVC), CODE + 0x2000)
        program = random.Random(1).choices((0, 1), k=90)
        for machine in pair.sides:
            machine.memory.write(RAM + 0x3000, bytes((*program, 2)))
        for budget in (*range(1, 40), 10_000):
            for _ in range(4):
                both_run(pair, start, budget, R0=DATA, R2=0, R14=CODE + 0x2000)
        compiled = pair.native.native.space(pair.sides[1].spaces[0]).entries[start]
        compile_as(pair, Shape.TUNED, start)
        for budget in (*range(1, 40), 10_000):
            both_run(pair, start, budget, R0=DATA, R2=0, R14=CODE + 0x2000)
        made = pair.native.native.space(pair.sides[1].spaces[0]).entries[start]
        assert made.shape is Shape.TUNED
        assert len(made.heads) >= 4 > len(compiled.heads)


@pytest.mark.parametrize("shape", Shape)
def test_rights_taken_away_hold_at_once(shape: Shape) -> None:
    pair = Pair(1, hot=1)
    pair.load(arm(0xE5820000, SVC), CODE)
    pair.load(arm(0xE5920000, SVC), CODE + 0x100)
    compile_as(pair, shape, CODE, CODE + 0x100)
    for rights, write, read in (
        (READ | WRITE, TrapKind.SVC, TrapKind.SVC),
        (READ, TrapKind.DATA_ABORT, TrapKind.SVC),
        (0, TrapKind.DATA_ABORT, TrapKind.DATA_ABORT),
        (READ | WRITE, TrapKind.SVC, TrapKind.SVC),
    ):
        for machine in pair.sides:
            machine.spaces[0].map(DATA, RAM + 0x3000, 12, rights)
        for _ in range(3):
            assert both_run(pair, CODE, r2=DATA).kind is write
            assert both_run(pair, CODE + 0x100, r2=DATA).kind is read
    for machine in pair.sides:
        machine.spaces[0].map(DATA, DEVICE, 12, READ | WRITE)
    for _ in range(3):
        assert both_run(pair, CODE, r2=DATA).kind is TrapKind.SVC
    for machine in pair.sides:
        machine.spaces[0].unmap(DATA, 12)
    assert both_run(pair, CODE, r2=DATA).kind is TrapKind.DATA_ABORT


# -- bounds --------------------------------------------------------------------------------------------------


def test_compiled_code_is_bounded() -> None:
    """A guest that writes ever new code: all is dropped at the limit, and it goes on."""
    pair = Pair(1, hot=1)
    native = pair.native.native
    native.limit = 4096
    for n in range(120):
        pair.load(arm(0xE3A00000 | n, SVC))
        both_run(pair, CODE)
        assert words(pair)[0] == n
    assert native.flushes > 0
    assert native.arena.size < 2 * 4096
    assert sum(map(len, native.library.values())) < 120


def test_what_is_kept_about_pages_does_not_grow() -> None:
    pair = Pair(1, hot=1)
    pair.load(arm(0xE5820000, SVC))
    for n in range(50):
        both_run(pair, CODE, r2=DATA + 0x1000 - n % 4)  # crosses a page: evaluated each time
        for machine in pair.sides:
            machine.spaces[0].map(DATA, RAM + 0x3000, 12, READ | WRITE)
    native = pair.native.native
    assert sum(word != 0 for words in native.writers.words for word in words) <= 4
    for machine in pair.sides:
        machine.spaces[0].unmap(CODE, 12)
    assert not native.sources
    assert not native.memory.watched


def test_a_space_that_nobody_uses_any_more_goes() -> None:
    pair = Pair(1, hot=1)
    pair.load(arm(0xE5820000, SVC))
    pair.space = 1
    both_run(pair, CODE, r2=DATA)
    native = pair.native.native
    assert len(native.spaces) == 1
    for machine in pair.sides:
        machine.spaces.pop().close()
    assert len(native.spaces) == 0
    assert not native.sources
    assert not any(any(words) for words in native.writers.words)
    assert not native.memory.watched
    pair.space = 0
    both_run(pair, CODE, r2=DATA)
    pair.load(arm(MOV_R0_2, SVC))  # its page was watched for both
    both_run(pair, CODE)
    assert words(pair)[0] == 2


def test_tiers_are_chosen_by_counts() -> None:
    assert tiers.HOT > 1
    assert tiers.SLICE > 100_000


OPCODES = {
    "and": 0, "eor": 1, "sub": 2, "rsb": 3, "add": 4, "adc": 5, "sbc": 6, "rsc": 7, "orr": 12, "mov": 13, "bic": 14,
    "mvn": 15,
}  # fmt: skip


@pytest.mark.parametrize("opcode", OPCODES.values(), ids=OPCODES)
def test_pc_as_an_operand_of_what_writes_pc(opcode: int) -> None:
    """Where it goes may depend on any bit of its address, in a way that no two addresses show."""
    pair = Pair(opcode, hot=1)
    pair.random_program()
    pair.load(arm_filling(0x1800))
    r = pair.r
    for _ in range(120):
        at = CODE + r.randrange(0x600) * 4
        operand = r.choice((r.randrange(4096), 0x0F | r.randrange(256) << 4 & 0xFE0))  # a constant, or PC shifted
        immediate = operand & 15 != 15 or r.random() < 0.5
        first = 0 if opcode in (13, 15) else 15
        word = 0xE000F000 | immediate << 25 | opcode << 21 | first << 16 | operand
        word &= ~0 if immediate else ~0x10  # shifted by a constant
        for machine in pair.sides:
            machine.memory.write_word(RAM + at - CODE, word)
        for _ in range(3):
            pair.registers()
            for slot, value in ((Slot.PC, at), (Slot.THUMB, 0), (Slot.IT, 0), (Slot.BIG_ENDIAN, 0)):
                pair.both(slot, value)
            traps = [machine.run(0, 2) for machine in pair.sides]
            pair.compare(traps[0], traps[1], f"{word:#x} at {at:#x}")
    assert pair.native.native.compiled > 50
