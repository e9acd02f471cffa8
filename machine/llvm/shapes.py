"""Flags that nobody has asked for yet, across basic blocks.

What a block has left unwritten is handed to the next one as a form and its leaves: the operations that would
compute it, which are the same whenever this edge is taken, and the numbers that they start from. The next block
is lowered once for each form that reaches it (`Lowering`), so that a flag costs nothing until it is used or the
region is left.
"""

from __future__ import annotations

from typing import Final

from retrap.machine.ir.ops import Op
from retrap.machine.llvm.rules import Node, Operand

Form = tuple[object, ...]
"""Of a value: a constant (0, number), a leaf (1, index, width), or (2, op, width, imm, a, b, c)."""

Forms = tuple[tuple[int, Form], ...]
"""Slot → form, of all that is unwritten, ascending. Equal if and only if they compute the same of their leaves."""

MAX_LEAVES: Final = 6
MAX_NODES: Final = 40

_COMPARISONS: Final = frozenset((Op.EQ, Op.NE, Op.ULT, Op.ULE, Op.SLT, Op.SLE))
_ONE_OPERAND: Final = frozenset((Op.NOT, Op.CLZ, Op.RBIT, Op.ZEXT, Op.SEXT, Op.TRUNC))


class _TooLarge(Exception):
    """More leaves or operations than are worth carrying."""


class _Describer:
    def __init__(self) -> None:
        self.leaves: list[tuple[str, int]] = []
        self._indices: dict[str, int] = {}
        self._forms: dict[Node, Form] = {}

    def form(self, x: Operand, width: int) -> Form:
        if isinstance(x, int):
            return (0, x)
        if isinstance(x, str):
            return self._leaf(x, width)
        if x.name and x.op not in _COMPARISONS:
            return self._leaf(x.name, width)
        known = self._forms.get(x)
        if known is not None:
            return known
        if len(self._forms) >= MAX_NODES:
            raise _TooLarge
        op, inner = x.op, x.width
        a = self.form(x.a, 1 if op is Op.SELECT else inner)
        b: Form = (0, 0) if op in _ONE_OPERAND else self.form(x.b, inner)
        c: Form = self.form(x.c, inner) if op is Op.SELECT else (0, 0)
        made = self._forms[x] = (2, op, inner, x.imm, a, b, c)
        return made

    def _leaf(self, name: str, width: int) -> Form:
        index = self._indices.get(name)
        if index is None:
            index = self._indices[name] = len(self.leaves)
            if index >= MAX_LEAVES:
                raise _TooLarge
            self.leaves.append((name, width))
        return (1, index, width)


def describe(pending: dict[int, Operand]) -> tuple[Forms, list[tuple[str, int]]] | None:
    """The forms of unwritten slots, and their leaves as (LLVM value, bits); None if they are too large."""
    describer = _Describer()
    try:
        forms = tuple((slot, describer.form(pending[slot], 32)) for slot in sorted(pending))
    except _TooLarge:
        return None
    return forms, describer.leaves


def leaves_of(forms: Forms) -> dict[int, int]:
    """Index → bits of the leaves that occur."""
    found: dict[int, int] = {}

    def visit(form: Form) -> None:
        if form[0] == 1:
            index, width = form[1], form[2]
            assert isinstance(index, int)
            assert isinstance(width, int)
            found[index] = width
        elif form[0] == 2:
            for part in form[4:]:
                assert isinstance(part, tuple)
                visit(part)

    for _, form in forms:
        visit(form)
    return found


def rebuild(forms: Forms, leaves: dict[int, str]) -> dict[int, Operand]:
    """The unwritten slots again, from the values that their leaves have now."""
    made: dict[Form, Operand] = {}

    def build(form: Form) -> Operand:
        known = made.get(form)
        if known is not None:
            return known
        value: Operand
        if form[0] == 0:
            number = form[1]
            assert isinstance(number, int)
            return number
        if form[0] == 1:
            index = form[1]
            assert isinstance(index, int)
            value = leaves[index]
        else:
            _, op, width, imm, *parts = form
            assert isinstance(op, Op)
            assert isinstance(width, int)
            assert isinstance(imm, int)
            operands = []
            depth = 1
            for part in parts:
                assert isinstance(part, tuple)
                operand = build(part)
                if isinstance(operand, Node) and operand.depth >= depth:
                    depth = operand.depth + 1
                operands.append(operand)
            value = Node(op, width, imm, operands[0], operands[1], operands[2], depth)
        made[form] = value
        return value

    return {slot: build(form) for slot, form in forms}
