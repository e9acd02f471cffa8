"""What a value is while a region is lowered, and how comparisons come back from flags.

The definitions of instructions write N, Z, C and V, and conditions look at them. Where one follows the other, what
the condition asks is a comparison of the operands, which hosts have: N = V after a subtraction is `y <= x`. LLVM
finds some of these by itself, but none with a sign.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.ir.ops import Op


@final
class Node:
    """An operation that has not been written out, or only for some paths."""

    __slots__ = ("a", "b", "c", "depth", "imm", "name", "op", "width")

    def __init__(self, op: Op, width: int, imm: int, a: Operand, b: Operand, c: Operand, depth: int) -> None:
        self.op: Final = op
        self.width: Final = width
        self.imm: Final = imm
        self.a: Final = a
        self.b: Final = b
        self.c: Final = c
        self.depth: Final = depth
        self.name = ""  # the LLVM value, once written out on the main path


Operand = int | str | Node
"""A constant, the name of an LLVM value, or an operation still to be written."""

Comparison = tuple[Op, Operand, Operand]

SMALLEST: Final = 1 << 31


def comparison(op: Op, a: Operand, b: Operand) -> Comparison | None:
    """What `op` (EQ or NE of 32 bits, or AND of one) asks of its operands, if that is one comparison of 32 bits."""
    if op is Op.AND:
        return _strictly(a, b)
    if not isinstance(a, Node):
        return None
    if isinstance(b, int):
        if b == 0 and a.op is Op.SUB:
            return op, a.a, a.b  # Z
        sign = _sign(a)
        if b == 0 and sign is not None:
            return (Op.SLE, 0, sign) if op is Op.EQ else (Op.SLT, sign, 0)
        return None
    found = _without_overflow(a, b)
    if found is None:
        return None
    low, high = found
    return (Op.SLE, low, high) if op is Op.EQ else (Op.SLT, high, low)


def _sign(flag: Operand) -> Operand | None:
    """What a flag, as a word, is bit 31 of."""
    if isinstance(flag, Node) and flag.op is Op.ZEXT and flag.width == 1:
        bit = flag.a
        if isinstance(bit, Node) and bit.op is Op.TRUNC and bit.imm == 1:
            shift = bit.a
            if isinstance(shift, Node) and shift.op is Op.LSHR and shift.width == 32 and shift.b == 31:
                return shift.a
    return None


def _without_overflow(n: Operand, v: Operand) -> tuple[Operand, Operand] | None:
    """(y, x) if N = V means y <= x, with signs: if both come from x - y, or from x + -y."""
    result, both = _sign(n), _sign(v)
    if not (isinstance(result, Node) and isinstance(both, Node) and both.op is Op.AND):
        return None
    one, other = both.a, both.b
    if not (isinstance(one, Node) and isinstance(other, Node) and one.op is Op.XOR and other.op is Op.XOR):
        return None
    x, y = result.a, result.b
    if other.b is not result:
        return None
    if result.op is Op.SUB:
        return (y, x) if _same(one.a, x) and _same(one.b, y) and _same(other.a, x) else None
    if result.op is not Op.ADD or not isinstance(y, int) or y == SMALLEST:
        return None
    return (-y & 0xFFFFFFFF, x) if _same(one.a, x) and one.b is result and _same(other.a, y) else None


def _same(a: Operand, b: Operand) -> bool:
    return a is b or (not isinstance(a, Node) and a == b)


def _strictly(a: Operand, b: Operand) -> Comparison | None:
    """y <= x and not x = y."""
    if isinstance(a, Node) and isinstance(b, Node) and b.op is Op.NOT and a.op in (Op.ULE, Op.SLE):
        equal = b.a
        if isinstance(equal, Node) and equal.op is Op.EQ and equal.width == a.width == 32:
            y, x = a.a, a.b
            if (_same(equal.a, x) and _same(equal.b, y)) or (_same(equal.a, y) and _same(equal.b, x)):
                return (Op.ULT if a.op is Op.ULE else Op.SLT), y, x
    return None
