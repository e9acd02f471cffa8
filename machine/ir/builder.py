"""Builds one instruction's `Block`. Operators on `Value` emit operations; constants fold as they are built.

Instruction definitions read the state as it was before the instruction (`reg`, `get`), and what they write
(`set_reg`, `set`) is committed after everything else: an abort in the middle changes no register. Python `if`
may look at decoded constants only: a `Value` has no truth value; use `select`, or the `when` of a store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from retrap.machine.context import Slot
from retrap.machine.ir.meaning import fold as fold
from retrap.machine.ir.ops import Access, Block, Inst, Op
from retrap.machine.traps import TrapKind

MASK: Final = {1: 1, 32: 0xFFFFFFFF, 64: 0xFFFFFFFFFFFFFFFF}


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) & 1 else value


@final
class Value:
    """A number of 1, 32 or 64 bits that is known when the instruction runs (or, if `constant`, already now)."""

    __slots__ = ("builder", "constant", "number", "width")

    def __init__(self, builder: Builder, number: int, width: int, constant: int | None = None) -> None:
        self.builder: Final = builder
        self.number = number  # -1 while a constant has not been emitted
        self.width: Final = width
        self.constant: Final = constant

    def __bool__(self) -> bool:
        raise TypeError("a run-time value has no truth value: use select(), or decide on decoded operands")

    def _binary(self, op: Op, other: Value | int, result: int = 0) -> Value:
        return self.builder.pure(op, self.width, self, self.builder.value(other, self.width), None, result)

    def __add__(self, other: Value | int) -> Value:
        return self._binary(Op.ADD, other)

    def __sub__(self, other: Value | int) -> Value:
        return self._binary(Op.SUB, other)

    def __mul__(self, other: Value | int) -> Value:
        return self._binary(Op.MUL, other)

    def __and__(self, other: Value | int) -> Value:
        return self._binary(Op.AND, other)

    def __or__(self, other: Value | int) -> Value:
        return self._binary(Op.OR, other)

    def __xor__(self, other: Value | int) -> Value:
        return self._binary(Op.XOR, other)

    def __invert__(self) -> Value:
        return self.builder.pure(Op.NOT, self.width, self, None, None)

    def __lshift__(self, amount: Value | int) -> Value:
        return self._binary(Op.SHL, amount)

    def __rshift__(self, amount: Value | int) -> Value:
        """Logical shift right."""
        return self._binary(Op.LSHR, amount)

    def asr(self, amount: Value | int) -> Value:
        return self._binary(Op.ASHR, amount)

    def ror(self, amount: Value | int) -> Value:
        return self._binary(Op.ROR, amount)

    def udiv(self, other: Value | int) -> Value:
        return self._binary(Op.UDIV, other)

    def sdiv(self, other: Value | int) -> Value:
        return self._binary(Op.SDIV, other)

    def clz(self) -> Value:
        return self.builder.pure(Op.CLZ, self.width, self, None, None)

    def rbit(self) -> Value:
        return self.builder.pure(Op.RBIT, self.width, self, None, None)

    def eq(self, other: Value | int) -> Value:
        return self._binary(Op.EQ, other, 1)

    def ne(self, other: Value | int) -> Value:
        return self._binary(Op.NE, other, 1)

    def ult(self, other: Value | int) -> Value:
        return self._binary(Op.ULT, other, 1)

    def ule(self, other: Value | int) -> Value:
        return self._binary(Op.ULE, other, 1)

    def slt(self, other: Value | int) -> Value:
        return self._binary(Op.SLT, other, 1)

    def sle(self, other: Value | int) -> Value:
        return self._binary(Op.SLE, other, 1)

    def zext(self, width: int) -> Value:
        return self.builder.convert(Op.ZEXT, self, width)

    def sext(self, width: int) -> Value:
        return self.builder.convert(Op.SEXT, self, width)

    def trunc(self, width: int) -> Value:
        return self.builder.convert(Op.TRUNC, self, width)

    def sign_extend(self, bits: int) -> Value:
        """The low `bits` bits, sign-extended to this value's own width."""
        shift = self.width - bits
        return (self << shift).asr(shift) if shift else self

    def field(self, low: int, bits: int) -> Value:
        """Bits low … low + bits - 1, moved to bit 0."""
        shifted = self >> low if low else self
        return shifted & ((1 << bits) - 1) if low + bits < self.width else shifted

    def bit(self, index: int) -> Value:
        """Bit `index`, as a one-bit value."""
        return (self >> index if index else self).trunc(1)


@final
class Builder:
    """Collects the operations of one instruction. See the module's text for the order of effects.

    `table` makes what finds state by its slot; it is a plain `dict` where slots are numbers.
    """

    def __init__(self, thumb: bool, size: int, it: int, table: Callable[[], dict[Any, Value]] = dict) -> None:
        self.thumb: Final = thumb
        self.size: Final = size
        self.it: Final = it  # CPSR.IT before the instruction (Thumb), 0 otherwise
        self.insts: list[Inst] = []
        self.values = 0
        self.trap_kind = -1
        self._gets: dict[int, Value] = {}
        self._sets: dict[int, Value] = table()

    # -- values ------------------------------------------------------------------------------------------

    def const(self, number: int, width: int = 32) -> Value:
        return Value(self, -1, width, number & MASK[width])

    def value(self, x: Value | int, width: int = 32) -> Value:
        if isinstance(x, Value):
            if x.width != width:
                raise AssertionError(f"operand is {x.width} bits wide, not {width}")
            return x
        return self.const(x, width)

    def select(self, condition: Value, yes: Value | int, no: Value | int) -> Value:
        """`yes` if the one-bit `condition` holds, else `no`. At least one of the two is a Value."""
        if condition.constant is not None:
            chosen = yes if condition.constant else no
            return self.value(chosen, chosen.width if isinstance(chosen, Value) else _other_width(yes, no))
        width = _other_width(yes, no)
        a, b = self.value(yes, width), self.value(no, width)
        if a.constant is not None and a.constant == b.constant:
            return a
        return self._emit(Op.SELECT, width, width, condition, a, b)

    def pure(self, op: Op, width: int, a: Value, b: Value | None, c: Value | None, result: int = 0) -> Value:
        ca = a.constant
        cb = b.constant if b is not None else 0
        if ca is not None and cb is not None and c is None:
            return self.const(fold(op, width, ca, cb, 0), result or width)
        if cb == 0 and b is not None and op in _ZERO_IS_NEUTRAL:
            return a
        if ca == 0 and op in (Op.ADD, Op.OR, Op.XOR) and b is not None:
            return b
        if op == Op.AND and b is not None:
            if cb == MASK[width]:
                return a
            if cb == 0 or ca == 0:
                return self.const(0, width)
        return self._emit(op, width, result or width, a, b, c)

    def convert(self, op: Op, a: Value, width: int) -> Value:
        if a.width == width:
            return a
        if a.constant is not None:
            number = _signed(a.constant, a.width) if op == Op.SEXT else a.constant
            return self.const(number, width)
        number = self._new()
        # `width` of a conversion is the operand's; `imm` is the result's.
        self.insts.append(Inst(op, a.width, number, self.number(a), -1, -1, width))
        return Value(self, number, width)

    def number(self, x: Value) -> int:
        """The value number of `x`, emitting it first if it is a constant."""
        if x.number < 0:
            assert x.constant is not None
            x.number = self._new()
            self.insts.append(Inst(Op.CONST, x.width, x.number, -1, -1, -1, x.constant))
        return x.number

    # -- state -------------------------------------------------------------------------------------------

    def get(self, slot: int) -> Value:
        """Context word `slot` as it was before this instruction."""
        return self._get(Op.GET, slot, 32)

    def get64(self, slot: int) -> Value:
        return self._get(Op.GET64, slot, 64)

    def flag(self, slot: int) -> Value:
        """A one-bit flag's slot, as a one-bit value."""
        return self.get(slot).trunc(1)

    def set(self, slot: int, value: Value | int) -> None:
        """Write context word `slot` when the instruction has succeeded. A one-bit value is widened."""
        if isinstance(value, Value) and value.width == 1:
            value = value.zext(32)
        self._sets[slot] = self.value(value, 32)

    def set64(self, slot: int, value: Value | int) -> None:
        self._sets[slot] = self.value(value, 64)

    def pending(self, slot: int) -> Value | None:
        """What this instruction will write to `slot`, if anything so far."""
        return self._sets.get(slot)

    def pc(self) -> Value:
        """PC as an operand: address of this instruction + 8 (ARM) or + 4 (Thumb). ARM ARM A2.3."""
        return self.get(Slot.PC) + (4 if self.thumb else 8)

    def reg(self, index: int) -> Value:
        return self.pc() if index == Slot.PC else self.get(index)

    def set_reg(self, index: int, value: Value | int) -> None:
        """Write R0 … R14. Writes to PC go through a branch (`write_pc`…), which is for branch definitions."""
        if index == Slot.PC:
            raise AssertionError("write PC through branch_to or branch_exchange")
        self.set(index, value)

    def branch_to(self, address: Value | int) -> None:
        """BranchWritePC: stay in this instruction set. ARM ARM A2.3.1."""
        target = self.value(address)
        self.set(Slot.PC, target & (0xFFFFFFFE if self.thumb else 0xFFFFFFFC))

    def branch_exchange(self, address: Value | int) -> None:
        """BXWritePC: bit 0 selects Thumb. An ARM target with bit 1 set is UNPREDICTABLE: bit 1 is ignored."""
        target = self.value(address)
        thumb = target & 1
        self.set(Slot.THUMB, thumb)
        # Thumb clears bit 0, ARM clears bits 1:0.
        self.set(Slot.PC, target & self.select(thumb.trunc(1), self.const(0xFFFFFFFE), 0xFFFFFFFC))

    # -- effects -----------------------------------------------------------------------------------------

    def load(self, address: Value, size: int, alignment: int = 1) -> Value:
        """`size` bytes (1, 2, 4: 32-bit value; 8: 64-bit value), zero-extended. May abort."""
        width = 64 if size == 8 else 32
        number = self._new()
        self.insts.append(
            Inst(Op.LOAD, width, number, self.number(address), -1, -1, 0, Access(size, alignment))
        )
        return Value(self, number, width)

    def store(
        self, address: Value, value: Value, size: int, alignment: int = 1, when: Value | None = None
    ) -> None:
        """Store the low `size` bytes, if `when` (one bit) holds or is absent. May abort."""
        width = 64 if size == 8 else 32
        if value.width != width:
            raise AssertionError(f"store of {size} bytes from a {value.width}-bit value")
        a, b = self.number(address), self.number(value)
        c = self.number(when) if when is not None else -1
        self.insts.append(Inst(Op.STORE, width, -1, a, b, c, 0, Access(size, alignment)))

    def call(self, name: str, arguments: tuple[Value, ...], widths: tuple[int, ...]) -> tuple[Value, ...]:
        """Results of the pure helper `name` (registered in `machine.ir.helpers`), one per entry of `widths`."""
        numbers = tuple(self.number(x) for x in arguments)
        call = self._new()
        self.insts.append(Inst(Op.CALL, 64, call, -1, -1, -1, len(widths), (name, numbers, widths)))
        results = []
        for index, width in enumerate(widths):
            number = self._new()
            self.insts.append(Inst(Op.RESULT, width, number, call, -1, -1, index))
            results.append(Value(self, number, width))
        return tuple(results)

    def counter(self) -> tuple[Value, Value]:
        """Low and high word of the generic timer's counter before this instruction."""
        low, high = self._new(), self._new()
        self.insts.append(Inst(Op.COUNTER, 32, low, -1, -1, -1, 0))
        self.insts.append(Inst(Op.COUNTER, 32, high, -1, -1, -1, 1))
        return Value(self, low, 32), Value(self, high, 32)

    def system_get(self, register: int) -> Value:
        """The 64 bits of the generic timer's register `register` (`machine.access.SystemRegister`)."""
        number = self._new()
        self.insts.append(Inst(Op.SYSTEM_GET, 64, number, -1, -1, -1, register))
        return Value(self, number, 64)

    def system_set(self, register: int, value: Value) -> None:
        """Write that register; `value` is 64 bits wide."""
        self.insts.append(Inst(Op.SYSTEM_SET, 64, -1, self.number(value), -1, -1, register))

    def trap(self, kind: int, when: Value | None = None) -> None:
        """Stop here with `TrapKind` kind. Without `when` it always happens: nothing else is committed."""
        if when is None:
            self.trap_kind = kind
        number = self.number(when) if when is not None else -1
        self.insts.append(Inst(Op.TRAP, 32, -1, number, -1, -1, kind))

    # -- result ------------------------------------------------------------------------------------------

    def take(self) -> tuple[Inst, ...]:
        """The operations collected so far, which leave the builder (used to split off the prologue)."""
        taken = tuple(self.insts)
        self.insts = []
        return taken

    def commit(self) -> tuple[tuple[Inst, ...], bool]:
        """Emit the pending writes, PC last; say whether PC was among them."""
        sets = self._sets
        order = [slot for slot in sets if slot != Slot.PC]
        if Slot.PC in sets:
            order.append(Slot.PC)
        for slot in order:
            value = sets[slot]
            op = Op.SET64 if value.width == 64 else Op.SET
            number = self.number(value)
            self.insts.append(Inst(op, value.width, -1, number, -1, -1, slot))
        return self.take(), Slot.PC in sets

    def _get(self, op: Op, slot: int, width: int) -> Value:
        # Whether two fields name the same register is not asked: it would split words into those where they do
        # and those where they don't. Other state is read once.
        known = self._gets.get(slot) if Slot.PC <= slot < Slot.D0 else None
        if known is None:
            number = self._new()
            self.insts.append(Inst(op, width, number, -1, -1, -1, slot))
            known = Value(self, number, width)
            if Slot.PC <= slot < Slot.D0:
                self._gets[slot] = known
        return known

    def _emit(self, op: Op, width: int, result: int, a: Value, b: Value | None, c: Value | None) -> Value:
        x = self.number(a)
        y = self.number(b) if b is not None else -1
        z = self.number(c) if c is not None else -1
        number = self._new()
        self.insts.append(Inst(op, width, number, x, y, z, 0))
        return Value(self, number, result)

    def _new(self) -> int:
        number = self.values
        self.values = number + 1
        return number


_ZERO_IS_NEUTRAL: Final = frozenset((Op.ADD, Op.SUB, Op.OR, Op.XOR, Op.SHL, Op.LSHR, Op.ASHR, Op.ROR))


def _other_width(yes: Value | int, no: Value | int) -> int:
    if isinstance(yes, Value):
        return yes.width
    if isinstance(no, Value):
        return no.width
    raise AssertionError("select of two plain numbers: make one a constant of the width you mean")


def finish(builder: Builder, prologue: tuple[Inst, ...], condition: int, text: str) -> Block:
    """Close a block: default PC advance, ITSTATE advance, commit. Written once, for every instruction.

    The not-taken path (`skipped`) advances PC and ITSTATE only.
    """
    next_it = advance_it(builder.it)
    b = builder
    writes_it = b.pending(Slot.IT) is not None
    if b.it and not writes_it:
        b.set(Slot.IT, next_it)
    if b.trap_kind >= 0:
        # Nothing is committed at a trap, the kernel decides where to go on: except that a supervisor call is a
        # completed instruction, whose saved ITSTATE is already the next one's (ARM ARM A8.8.228, B1.9.10).
        body = b.take()
        if b.trap_kind == TrapKind.SVC and b.it:
            stop = body[-1]
            b.insts.extend(body[:-1])
            b.insts.append(Inst(Op.SET, 32, -1, b.number(b.const(next_it)), -1, -1, Slot.IT))
            body = b.take() + (stop,)
        branches = False
    else:
        if b.pending(Slot.PC) is None:
            own_pc = False
            b.set(Slot.PC, b.get(Slot.PC) + b.size)
        else:
            own_pc = True
        body, _ = b.commit()
        branches = own_pc
    skipped: tuple[Inst, ...] = ()
    if condition >= 0:
        s = Builder(b.thumb, b.size, b.it)
        s.values = b.values
        s.set(Slot.PC, s.get(Slot.PC) + b.size)
        if b.it:
            s.set(Slot.IT, next_it)
        skipped, _ = s.commit()
        b.values = s.values
    return Block(prologue, condition, body, skipped, b.values, b.size, branches, b.trap_kind, text)


def advance_it(it: int) -> int:
    """ITAdvance (ARM ARM A2.5.2)."""
    return 0 if it & 7 == 0 else (it & 0xE0) | (it << 1 & 0x1F)


def written_it(block: Block) -> int:
    """ITSTATE that a block's body writes by itself, or -1 if it writes none that is constant."""
    known: dict[int, int] = {}
    for inst in block.body:
        if inst.op is Op.CONST:
            known[inst.d] = inst.imm
        elif inst.op is Op.SET and inst.imm == Slot.IT:
            return known.get(inst.a, -1)
    return -1
