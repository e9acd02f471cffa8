"""Writes a block out as one Python function, from the lines of `machine.ir.meaning`.

A line stands as it is, with three liberties that change no result: constants are put where they are used; a value
that is used once is written where it is used, if it is pure; and what only changes a value's width, or masks bits
that are known to be zero, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, final

from retrap.machine.access import load, store, system_read, system_write
from retrap.machine.context import Slot
from retrap.machine.ir.helpers import HELPERS
from retrap.machine.ir.meaning import MEANING, signed_divide
from retrap.machine.ir.ops import Access, Block, Inst, Op
from retrap.machine.ir.symbols import Hole, hole_of

Written = Callable[[Any, Any, int], "int | None"]
"""(words, space, retired) → a trap kind, or None when the instruction is done."""

# The lines of shifts by a constant below the width.
_SHIFTS: Final = {
    Op.SHL: "{d} = {a} << {b} & {mask}",
    Op.LSHR: "{d} = {a} >> {b}",
    Op.ASHR: "{d} = ({a} ^ {sign}) - {sign} >> {b} & {mask}",
}
_ONE_BIT_SLOTS: Final = frozenset((Slot.N, Slot.Z, Slot.C, Slot.V, Slot.Q, Slot.THUMB, Slot.BIG_ENDIAN))
_COMPARISONS: Final = frozenset((Op.EQ, Op.NE, Op.ULT, Op.ULE, Op.SLT, Op.SLE))
_IMPURE: Final = frozenset((Op.GET, Op.GET64, Op.LOAD, Op.CALL, Op.RESULT, Op.SYSTEM_GET))


def _counted(line: str) -> tuple[int, int, int]:
    return line.count("{a}"), line.count("{b}"), line.count("{c}")


# How often a line has each operand.
_OPERANDS: Final = {line: _counted(line) for line in (*MEANING.values(), *_SHIFTS.values())}


def needed(insts: tuple[Inst, ...], condition: int) -> tuple[Inst, ...]:
    """The operations that have an effect, or a result that one of these needs."""
    wanted = {condition}
    found = []
    for i in reversed(insts):
        if i.d < 0 or i.op is Op.LOAD or i.d in wanted:
            found.append(i)
            wanted.update((i.a, i.b, i.c))
            if i.op is Op.CALL:
                wanted.update(i.extra[1])
    found.reverse()
    return tuple(found)


@final
class _Writer:
    """Collects the lines of one block."""

    def __init__(self, block: Block) -> None:
        self.constants: Final[dict[int, int]] = {}
        self.holes: Final[dict[int, Hole]] = {}  # constants that are not known yet
        self.same: Final[dict[int, int]] = {}  # value → the earlier value that it equals
        self.bits: Final[dict[int, int]] = {}  # value → how many low bits may be set
        self.uses: Final[dict[int, int]] = {}
        self.text: Final[dict[int, str]] = {-1: "1"}
        self.helpers: Final[dict[str, str]] = {}  # name in the source → helper
        for inst in needed((*block.prologue, *block.body, *block.skipped), block.condition):
            self._study(inst)
        if block.condition >= 0:
            self._use(block.condition, 1)

    def _study(self, i: Inst) -> None:
        if i.op is Op.CONST:
            self.text[i.d] = str(i.imm)
            hole = hole_of(i)
            if hole is not None:
                self.holes[i.d] = hole
                self.bits[i.d] = hole.high.bit_length()
            else:
                self.constants[i.d] = i.imm
                self.bits[i.d] = i.imm.bit_length()
            return
        if i.d >= 0:
            self.bits[i.d] = self._bits(i)
        known = self.bits.get(i.a, 64)
        if (
            i.op is Op.ZEXT
            or (i.op is Op.TRUNC and known <= i.imm)
            or (i.op is Op.AND and self.constants.get(i.b, -1) == (1 << known) - 1)
        ):
            self.same[i.d] = self._root(i.a)
            return
        a, b, c = _OPERANDS[self._line(i)]
        if a:
            self._use(i.a, a)
        if b:
            self._use(i.b, b)
        if c:
            self._use(i.c, c)
        if i.op is Op.CALL:
            for number in i.extra[1]:
                self._use(number, 1)

    def _bits(self, i: Inst) -> int:
        a, b = self.bits.get(i.a, 64), self.bits.get(i.b, 64)
        if i.op in _COMPARISONS:
            return 1
        match i.op:
            case Op.GET:
                return 1 if hole_of(i) is None and i.imm in _ONE_BIT_SLOTS else 32
            case Op.AND:
                return min(a, b)
            case Op.OR | Op.XOR:
                return max(a, b)
            case Op.SELECT:
                return max(b, self.bits.get(i.c, 64))
            case Op.LSHR if i.b in self.constants:
                return max(0, a - self.constants[i.b])
            case Op.ZEXT:
                return a
            case Op.TRUNC:
                return min(a, i.imm)
            case Op.SEXT:
                return i.imm
            case Op.LOAD:
                return 8 * int(i.extra.size)
        return i.width

    def _line(self, i: Inst) -> str:
        if i.op in _SHIFTS:
            hole = self.holes.get(i.b)
            if (hole.high if hole is not None else self.constants.get(i.b, 64)) < i.width:
                return _SHIFTS[i.op]
        return MEANING[i.op]

    def _root(self, number: int) -> int:
        return self.same.get(number, number)

    def _use(self, number: int, times: int) -> None:
        root = self._root(number)
        self.uses[root] = self.uses.get(root, 0) + times

    def _name(self, number: int) -> str:
        return self.text[self._root(number)]

    def lines(self, insts: tuple[Inst, ...], indent: str) -> list[str]:
        lines = []
        for i in insts:
            if i.op is Op.CONST or i.d in self.same:
                continue
            if i.d >= 0 and i.op is not Op.LOAD and not self.uses.get(i.d):
                continue  # nobody reads it
            line = self._line(i)
            fields: dict[str, Any] = {"imm": i.imm, "width": i.width, "mask": i.mask, "sign": i.sign}
            fields.update(a=self._name(i.a), c=self._name(i.c), d=f"v{i.d}")
            if i.b >= 0:
                fields["b"] = self._name(i.b)
            if isinstance(i.extra, Access):
                fields.update(size=i.extra.size, alignment=i.extra.alignment)
            elif i.extra is not None:
                name, numbers, _ = i.extra
                helper = f"helper{len(self.helpers)}"
                self.helpers[helper] = name
                fields.update(helper=helper, arguments=", ".join(self._name(n) for n in numbers))
            if i.d < 0 or i.op in _IMPURE or self.uses[i.d] > 1:
                lines.append(indent + line.format(**fields))
                if i.d >= 0:
                    self.text[i.d] = f"v{i.d}"
            else:
                self.text[i.d] = "(" + line.removeprefix("{d} = ").format(**fields) + ")"
        return lines


def write_out(block: Block) -> tuple[str, dict[str, str]]:
    """Source of the function, called `run`, and the helpers that it calls, by their names there. Holes are names,
    too."""
    writer = _Writer(block)
    lines = ["def run(words, space, retired):"]
    lines += writer.lines(block.prologue, " ")
    if block.condition < 0:
        lines += writer.lines(block.body, " ")
    else:
        lines.append(f" if {writer._name(block.condition)}:")
        lines += writer.lines(block.body, "  ")
        lines.append(" else:")
        lines += writer.lines(block.skipped, "  ")
    return "\n".join(lines), writer.helpers


def scope_of(helpers: Mapping[str, str]) -> dict[str, Any]:
    """What such source needs to run in."""
    return {**_SCOPE, **{name: HELPERS[helper] for name, helper in helpers.items()}}


_SCOPE: Final = {
    "load": load, "store": store, "signed_divide": signed_divide,
    "system_read": system_read, "system_write": system_write,
}  # fmt: skip


def written(block: Block) -> Written:
    """The block as one function."""
    source, helpers = write_out(block)
    scope = scope_of(helpers)
    exec(source, scope)  # made of the table's lines and of numbers: no input reaches it
    function: Written = scope["run"]
    return function
