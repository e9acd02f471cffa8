"""Shifts by a constant: ARM ARM A7.4.4.

L:imm6 holds the width of an element and the amount: the highest one among its top four bits says the width, what
is below it the amount (left shifts) or the width's double less the amount (right shifts). None set: another
instruction (a modified immediate).
"""

from __future__ import annotations

from collections.abc import Callable

from retrap.machine.arm.instructions.neon_state import (
    compute,
    even,
    merge,
    quadword,
    read,
    replicate,
    require_enabled,
    saturating,
    split,
    swar_add,
    unary_lanewise,
    write,
)
from retrap.machine.arm.instructions.vfp_state import STANDARD
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value
from retrap.machine.softfloat.control import RMODE_SHIFT, TO_ZERO


def _width(i: Decoded, largest: int = 64) -> int:
    """Bits of an element."""
    code = i.join("L", "imm6") >> 3
    i.undefined_if(code == 0)
    width = 4 << code.bit_length()
    i.undefined_if(width > largest)
    return width


def _right(i: Decoded, width: int) -> int:
    """Amount of a right shift: 1 … width."""
    return 2 * width - i["imm6"] if width < 64 else 64 - i["imm6"]


def _left(i: Decoded, width: int) -> int:
    """Amount of a left shift: 0 … width - 1."""
    return i["imm6"] & (width - 1)


def shifted_right(x: Value, amount: int, signed: bool, rounding: bool) -> Value:
    """An element shifted right by 1 … 64, rounded down or to nearest."""
    result = x.asr(amount) if signed else x >> amount
    if not rounding:
        return result
    return result + ((x.asr(amount - 1) if signed else x >> (amount - 1)) & 1)


@instruction("VSHR, VRSHR", "A8.8.398, A8.8.389", """
    VSHR  T1/A1  1111001 U 1 D imm6 Vd 0000 L Q M 1 Vm  rounding=0
    VRSHR T1/A1  1111001 U 1 D imm6 Vd 0010 L Q M 1 Vm  rounding=1
""")  # fmt: skip
def vshr(b: Builder, i: Decoded) -> None:
    width = _width(i)
    signed, amount, rounding = not i["U"], _right(i, width), i["rounding"] == 1
    unary_lanewise(b, i, width, signed, lambda x: shifted_right(x, amount, signed, rounding))


@instruction("VSRA, VRSRA", "A8.8.402, A8.8.393", """
    VSRA  T1/A1  1111001 U 1 D imm6 Vd 0001 L Q M 1 Vm  rounding=0
    VRSRA T1/A1  1111001 U 1 D imm6 Vd 0011 L Q M 1 Vm  rounding=1
""")  # fmt: skip
def vsra(b: Builder, i: Decoded) -> None:
    """Adds what the shift gives."""
    width, count = _width(i), quadword(i, "d", "m")
    signed, amount, rounding = not i["U"], _right(i, width), i["rounding"] == 1
    require_enabled(b)
    lanes = split(read(b, i, "m", count), width, signed)
    shifted = merge([shifted_right(x, amount, signed, rounding) for x in lanes], width)
    write(b, i, [swar_add(d, x, width) for d, x in zip(read(b, i, "d", count), shifted, strict=True)])


def _shift_doublewords(
    b: Builder, i: Decoded, width: int, shift: Callable[[Value], Value], moved: int, insert: bool
) -> None:
    """Vd = shift(Vm) in the bits `moved` of each element; the others are kept if `insert`, else cleared."""
    count = quadword(i, "d", "m")
    require_enabled(b)
    mask = replicate(moved, width)
    results = [shift(x) & mask for x in read(b, i, "m", count)]
    if insert:
        kept = mask ^ 0xFFFFFFFFFFFFFFFF
        results = [x | d & kept for x, d in zip(results, read(b, i, "d", count), strict=True)]
    write(b, i, results)


@instruction("VSRI", "A8.8.403", """
    T1/A1  1111001 1 1 D imm6 Vd 0100 L Q M 1 Vm
""")  # fmt: skip
def vsri(b: Builder, i: Decoded) -> None:
    """Inserts below: the bits that nothing is shifted into stay."""
    width = _width(i)
    amount = _right(i, width)
    _shift_doublewords(b, i, width, lambda x: x >> amount, (1 << width) - 1 >> amount, True)


@instruction("VSHL (immediate)", "A8.8.395", """
    T1/A1  1111001 0 1 D imm6 Vd 0101 L Q M 1 Vm
""")  # fmt: skip
def vshl(b: Builder, i: Decoded) -> None:
    width = _width(i)
    amount = _left(i, width)
    _shift_doublewords(b, i, width, lambda x: x << amount, (1 << width) - (1 << amount), False)


@instruction("VSLI", "A8.8.400", """
    T1/A1  1111001 1 1 D imm6 Vd 0101 L Q M 1 Vm
""")  # fmt: skip
def vsli(b: Builder, i: Decoded) -> None:
    """Inserts above: the bits that nothing is shifted into stay."""
    width = _width(i)
    amount = _left(i, width)
    _shift_doublewords(b, i, width, lambda x: x << amount, (1 << width) - (1 << amount), True)


@instruction("VQSHL, VQSHLU (immediate)", "A8.8.380", """
    VQSHLU   T1/A1  1111001 1 1 D imm6 Vd 0110 L Q M 1 Vm  from=0 to=1
    VQSHL S  T1/A1  1111001 0 1 D imm6 Vd 0111 L Q M 1 Vm  from=0 to=0
    VQSHL U  T1/A1  1111001 1 1 D imm6 Vd 0111 L Q M 1 Vm  from=1 to=1
""")  # fmt: skip
def vqshl(b: Builder, i: Decoded) -> None:
    """`from`, `to`: 1 if the operand, the result is unsigned."""
    width, count = _width(i), quadword(i, "d", "m")
    require_enabled(b)
    settings = width, _left(i, width), i["from"], i["to"]
    write(b, i, [saturating(b, "qshl_imm", (x,), *settings) for x in read(b, i, "m", count)])


@instruction("VSHRN, VRSHRN", "A8.8.399, A8.8.390", """
    VSHRN  T1/A1  1111001 0 1 D imm6 Vd 1000 0 0 M 1 Vm  rounding=0
    VRSHRN T1/A1  1111001 0 1 D imm6 Vd 1000 0 1 M 1 Vm  rounding=1
""")  # fmt: skip
def vshrn(b: Builder, i: Decoded) -> None:
    """Dd = Qm shifted right, at half the width. imm6 tells the width of the results."""
    width = _width(i, 32)
    even(i, "m")
    require_enabled(b)
    lanes = split(read(b, i, "m", 2), 2 * width, False)
    amount = _right(i, width)
    write(b, i, merge([shifted_right(x, amount, False, i["rounding"] == 1) for x in lanes], width))


@instruction("VQSHRN, VQSHRUN, VQRSHRN, VQRSHRUN", "A8.8.381, A8.8.378", """
    VQSHRUN   T1/A1  1111001 1 1 D imm6 Vd 1000 0 0 M 1 Vm  rounding=0 from=0 to=1
    VQRSHRUN  T1/A1  1111001 1 1 D imm6 Vd 1000 0 1 M 1 Vm  rounding=1 from=0 to=1
    VQSHRN S  T1/A1  1111001 0 1 D imm6 Vd 1001 0 0 M 1 Vm  rounding=0 from=0 to=0
    VQSHRN U  T1/A1  1111001 1 1 D imm6 Vd 1001 0 0 M 1 Vm  rounding=0 from=1 to=1
    VQRSHRN S T1/A1  1111001 0 1 D imm6 Vd 1001 0 1 M 1 Vm  rounding=1 from=0 to=0
    VQRSHRN U T1/A1  1111001 1 1 D imm6 Vd 1001 0 1 M 1 Vm  rounding=1 from=1 to=1
""")  # fmt: skip
def vqshrn(b: Builder, i: Decoded) -> None:
    """`from`, `to`: 1 if the operand, the result is unsigned. imm6 tells the width of the results."""
    width = _width(i, 32)
    even(i, "m")
    require_enabled(b)
    low, high = read(b, i, "m", 2)
    settings = 2 * width, _right(i, width), i["rounding"], i["from"], i["to"]
    write(b, i, [saturating(b, "qshrn", (low, high), *settings)])


@instruction("VSHLL, VMOVL", "A8.8.397, A8.8.346", """
    T1/A1  1111001 U 1 D imm6 Vd 1010 0 0 M 1 Vm
    T2/A2  1111001 1 1 D 11 size 10 Vd 0 0110 0 M 0 Vm
""")  # fmt: skip
def vshll(b: Builder, i: Decoded) -> None:
    """Qd = Dm at twice the width, shifted left: by less than the width (by 0: VMOVL), or by all of it (A2)."""
    if "imm6" in i:
        width = _width(i, 32)
        amount = _left(i, width)
    else:
        width = amount = 8 << i["size"]
        i.undefined_if(width > 32)
    even(i, "d")
    require_enabled(b)
    lanes = split(read(b, i, "m", 1), width, i.get("U") == 0)
    write(b, i, merge([x << amount for x in lanes], 2 * width))


@instruction("VCVT (between floating-point and fixed-point, Advanced SIMD)", "A8.8.307", """
    from fixed  T1/A1  1111001 U 1 D imm6 Vd 1110 0 Q M 1 Vm
    to fixed    T1/A1  1111001 U 1 D imm6 Vd 1111 0 Q M 1 Vm  to=1
""")  # fmt: skip
def vcvt(b: Builder, i: Decoded) -> None:
    """32-bit numbers with 1 … 32 bits after the point. To fixed-point rounds towards zero."""
    i.undefined_if(i["imm6"] < 32)
    fraction_bits = 64 - i["imm6"]
    unary_lanewise(b, i, 32, False, lambda x: convert(b, x, fraction_bits, i["U"], "to" in i))


def convert(b: Builder, x: Value, fraction_bits: int, unsigned: int, to_fixed: bool) -> Value:
    """An element between single precision and fixed point, as Advanced SIMD does it."""
    settings = b.const(32), b.const(fraction_bits), b.const(unsigned)
    if to_fixed:
        control = b.const(STANDARD | TO_ZERO << RMODE_SHIFT)
        return compute(b, "f32.to_fixed", 32, x.trunc(32), *settings, control).zext(64)
    return compute(b, "f32.from_fixed", 32, x.trunc(32), *settings, b.const(STANDARD)).zext(64)
