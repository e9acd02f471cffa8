"""The IR: every operation has a meaning, folding and running agree, writing out changes nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.machine.access import Abort
from retrap.machine.arm.decode import all_encodings
from retrap.machine.arm.translate import translate
from retrap.machine.context import WORDS, ContextArena, Slot
from retrap.machine.evaluate import Plain
from retrap.machine.ir.builder import Builder, Value, finish
from retrap.machine.ir.helpers import HELPERS, helper
from retrap.machine.ir.meaning import MEANING, STEPS, fold
from retrap.machine.ir.ops import Block, Inst, Op
from retrap.machine.ir.written import write_out, written
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import READ, WRITE, AddressSpace
from retrap.machine.traps import TrapKind


def test_every_operation_has_exactly_one_meaning() -> None:
    assert set(MEANING) == set(Op)
    assert len(STEPS) == len(Op)
    assert [op.value for op in Op] == list(range(len(Op)))  # STEPS is indexed by the number


def signed(x: int, width: int) -> int:
    return x - (1 << width) if x >> (width - 1) else x


# What the operations are, said a second time, plainly.
EXPECTED = {
    Op.ADD: lambda a, b, w: a + b,
    Op.SUB: lambda a, b, w: a - b,
    Op.MUL: lambda a, b, w: a * b,
    Op.UDIV: lambda a, b, w: a // b if b else 0,
    Op.SDIV: lambda a, b, w: int(signed(a, w) / signed(b, w)) if w == 32 and b else 0,
    Op.AND: lambda a, b, w: a & b,
    Op.OR: lambda a, b, w: a | b,
    Op.XOR: lambda a, b, w: a ^ b,
    Op.NOT: lambda a, b, w: ~a,
    Op.SHL: lambda a, b, w: a << b if b < 200 else 0,
    Op.LSHR: lambda a, b, w: a >> b if b < 200 else 0,
    Op.ASHR: lambda a, b, w: signed(a, w) >> min(b, 200),
    Op.ROR: lambda a, b, w: int(f"{a:0{w}b}"[-(b % w) :] + f"{a:0{w}b}"[: w - b % w] if b % w else f"{a:0{w}b}", 2),
    Op.CLZ: lambda a, b, w: len(f"{a:0{w}b}") - len(f"{a:0{w}b}".lstrip("0")),
    Op.RBIT: lambda a, b, w: sum((a >> n & 1) << (w - 1 - n) for n in range(w)),
    Op.EQ: lambda a, b, w: a == b,
    Op.NE: lambda a, b, w: a != b,
    Op.ULT: lambda a, b, w: a < b,
    Op.ULE: lambda a, b, w: a <= b,
    Op.SLT: lambda a, b, w: signed(a, w) < signed(b, w),
    Op.SLE: lambda a, b, w: signed(a, w) <= signed(b, w),
}
EDGES = (0, 1, 2, 31, 32, 33, 63, 64, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)
numbers = st.one_of(st.sampled_from(EDGES), st.integers(0, (1 << 64) - 1), st.integers(0, 70))


@settings(max_examples=60, deadline=None)
@given(a=numbers, b=numbers, width=st.sampled_from((32, 64)))
def test_pure_operations(a: int, b: int, width: int) -> None:
    mask = (1 << width) - 1
    a, b = a & mask, b & mask
    for op, expected in EXPECTED.items():
        if op == Op.SDIV and width == 64:
            continue
        assert fold(op, width, a, b, 0) == expected(a, b, width) & mask, op.name


@settings(max_examples=60, deadline=None)
@given(a=st.integers(0, 0xFFFFFFFF), b=st.sampled_from((0, 1, 2, 0xFFFFFFFF, 0x80000000)))
def test_division(a: int, b: int) -> None:
    quotient = fold(Op.SDIV, 32, a, b, 0)
    if b == 0:
        assert quotient == 0
    else:
        x, y = signed(a, 32), signed(b, 32)
        assert quotient == (abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)) & 0xFFFFFFFF
    assert fold(Op.SDIV, 32, 0x80000000, 0xFFFFFFFF, 0) == 0x80000000


def test_a_value_has_no_truth_value() -> None:
    value = Builder(False, 4, 0).reg(0)
    with pytest.raises(TypeError, match="no truth value"):
        bool(value)


def test_the_width_of_operands_is_checked() -> None:
    b = Builder(False, 4, 0)
    with pytest.raises(AssertionError):
        b.reg(0) + b.reg(1).zext(64)
    with pytest.raises(AssertionError):
        b.set_reg(15, 0)


def test_constants_fold_away() -> None:
    b = Builder(False, 4, 0)
    assert (b.const(7) * 6).constant == 42
    assert (b.const(0x80000000).asr(4)).constant == 0xF8000000
    assert b.const(0xFF, 32).sign_extend(8).constant == 0xFFFFFFFF
    assert b.select(b.const(1, 1), 5, b.reg(0)).constant == 5
    assert b.const(1, 1).sext(64).constant == (1 << 64) - 1
    r0 = b.reg(0)
    assert (r0 & 0).constant == 0 and (r0 + 0) is r0


def test_a_helper_has_one_meaning() -> None:
    with pytest.raises(ValueError, match="twice"):
        helper(next(iter(HELPERS)))(lambda: (0,))


# -- three ways to run a block ------------------------------------------------------------------------------


def environment() -> tuple[Any, AddressSpace, PhysicalMemory]:
    memory = PhysicalMemory([(0, 0x3000)])
    space = AddressSpace(memory)
    for page in range(3):
        space.map(0x1000 * page, 0x1000 * page, 12, READ | WRITE)
    return ContextArena().allocate().words, space, memory


def outcome(run: Any, words: Any, space: AddressSpace) -> tuple[Any, ...]:
    try:
        return ("done", run(words, space, 77))
    except Abort as abort:
        return ("abort", abort.address, abort.status)


def run_both(block: Block, words: Any, space: AddressSpace, memory: PhysicalMemory) -> None:
    """The block operation by operation, and written out: the same context, memory and answer."""
    before, bytes_before = words.tolist(), memory.read(0, 0x3000)
    first = outcome(Plain(block, {}, 0), words, space)
    after, bytes_after = words.tolist(), memory.read(0, 0x3000)
    for n in range(WORDS):
        words[n] = before[n]
    memory.write(0, bytes_before)
    assert outcome(written(block), words, space) == first
    assert words.tolist() == after
    assert memory.read(0, 0x3000) == bytes_after


@pytest.mark.parametrize("seed", range(8))
def test_writing_out_changes_nothing(seed: int) -> None:
    """Over random words of all encodings, with aborts and without."""
    r = random.Random(seed)
    words, space, memory = environment()
    memory.write(0, r.randbytes(0x3000))
    for encoding in r.sample(all_encodings(), 150):
        word = r.getrandbits(8 * encoding.size) & ~encoding.mask & ~encoding.should_mask
        block = translate(word | encoding.value | encoding.should_value, encoding.thumb, 0)
        for slot in range(16):
            words[slot] = r.choice((r.getrandbits(32), 0x1000 + 16 * r.randrange(16), 1 << r.randrange(32)))
        for slot in range(16, 24):
            words[slot] = r.getrandbits(4) if slot == Slot.GE else r.getrandbits(1) if slot != Slot.IT else 0
        for slot in range(Slot.D0, Slot.D0 + 64):
            words[slot] = r.getrandbits(32)
        words[Slot.FPEXC_EN] = 1
        words[Slot.FPSCR] = 0
        run_both(block, words, space, memory)


def straight(*build: Any) -> Block:
    b = Builder(False, 4, 0)
    for step in build:
        step(b)
    return finish(b, (), -1, "test")


def test_a_block_reads_the_state_before_it() -> None:
    """Exchange two registers: writes come after all reads, also when written out."""

    def swap(b: Builder) -> None:
        b.set_reg(0, b.reg(1))
        b.set_reg(1, b.reg(0))

    words, space, memory = environment()
    words[0], words[1] = 1, 2
    block = straight(swap)
    run_both(block, words, space, memory)
    assert (words[0], words[1]) == (2, 1)


def test_known_zero_bits_save_masks_but_no_result() -> None:
    def build(b: Builder) -> None:
        top = b.reg(0) >> 28
        b.set_reg(1, top & 15)
        b.set_reg(2, (top & 7).trunc(1).zext(32))
        b.set_reg(3, b.get(Slot.C).trunc(1))
        b.set_reg(4, (b.reg(0).eq(5)).zext(64).trunc(32) + 1)

    words, space, memory = environment()
    for value in (0xF0000000, 0x90000001, 5, 0):
        words[0] = value
        words[Slot.C] = value & 1
        run_both(straight(build), words, space, memory)
        assert words[1] == value >> 28
        assert words[2] == value >> 28 & 1
        assert words[4] == (value == 5) + 1


def test_the_counter_is_the_clock() -> None:
    def build(b: Builder) -> None:
        low, high = b.counter()
        b.set_reg(0, low)
        b.set_reg(1, high)

    words, space, _ = environment()
    block = straight(build)
    for run in (Plain(block, {}, 0), written(block)):
        run(words, space, 0x1234500000007)
        assert (words[0], words[1]) == (0x7, 0x12345)


def test_written_code_is_made_of_numbers_and_known_names_only() -> None:
    source, helpers = write_out(translate(0xE0902001, False, 0))  # adds r2, r0, r1
    assert not helpers
    assert "import" not in source and source.count("words[15] =") == 1


def test_supervisor_call_in_an_it_block_advances_itstate_and_nothing_else() -> None:
    words, space, memory = environment()
    block = translate(0xDF00, True, 0x04)  # the first of two under EQ
    words[Slot.IT], words[Slot.Z], words[Slot.PC] = 0x04, 1, 0x100
    before = words.tolist()
    run_both(block, words, space, memory)
    assert words[Slot.IT] == 0x08
    before[Slot.IT] = 0x08
    assert words.tolist() == before
    words[Slot.IT], words[Slot.Z] = 0x04, 0
    run_both(block, words, space, memory)
    assert (words[Slot.PC], words[Slot.IT]) == (0x102, 0x08)


def test_conditional_trap_commits_nothing() -> None:
    def build(b: Builder) -> None:
        b.trap(TrapKind.UNDEFINED, when=b.reg(0).eq(0))
        b.set_reg(1, 99)

    words, space, _ = environment()
    block = straight(build)
    for run in (Plain(block, {}, 0), written(block)):
        words[0], words[1] = 0, 5
        assert run(words, space, 0) == TrapKind.UNDEFINED
        assert words[1] == 5
        words[0] = 1
        assert run(words, space, 0) is None
        assert words[1] == 99
        words[1] = 5


def test_inst_text() -> None:
    b = Builder(False, 4, 0)
    value: Value = b.reg(3) + 1
    assert value.width == 32
    assert [repr(i).split()[0] for i in b.insts] == ["v0:32", "v1:32", "v2:32"]
    assert isinstance(b.insts[0], Inst) and "GET" in repr(b.insts[0])
