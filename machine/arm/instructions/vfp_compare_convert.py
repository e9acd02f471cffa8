"""Floating-point comparison and conversion on S and D registers: ARM ARM A7.5, "other VFP data processing".

FPSCR.LEN and STRIDE do not concern these. The Advanced SIMD conversions are in `neon_miscellaneous`.
"""

from __future__ import annotations

from retrap.machine.arm.instructions.vfp_state import (
    compute,
    control,
    doubleword,
    raise_flags,
    read_d,
    read_f,
    read_s,
    require_enabled,
    singleword,
    write_d,
    write_f,
    write_s,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder
from retrap.machine.softfloat.control import RMODE, RMODE_SHIFT, TO_ZERO


@instruction("VCMP, VCMPE", "A8.8.303", """
    T1/A1  cond 11101 D 11 0100 Vd 101 sz E 1 M 0 Vm
    T2/A2  cond 11101 D 11 0101 Vd 101 sz E 1 (0) 0 (0000)
""")  # fmt: skip
def vcmp(b: Builder, i: Decoded) -> None:
    """FPSCR.NZCV from the relation of two registers, or of one with +0. VCMPE: quiet NaNs are invalid."""
    require_enabled(b)
    double = i["sz"]
    width = 64 if double else 32
    left = read_f(b, i, "d", double)
    right = read_f(b, i, "m", double) if "M" in i else b.const(0, width)
    relation, flags = b.call(f"f{width}.compare", (left, right, b.const(i["E"]), control(b)), (32, 32))
    b.set(Slot.FPSCR, b.get(Slot.FPSCR) & 0x0FFFFFFF | relation << 28)
    raise_flags(b, flags)


@instruction("VCVT, VCVTR (between floating-point and integer, VFP)", "A8.8.306", """
    from integer   T1/A1  cond 11101 D 11 1000 Vd 101 sz op 1 M 0 Vm
    to unsigned    T1/A1  cond 11101 D 11 1100 Vd 101 sz op 1 M 0 Vm  unsigned=1
    to signed      T1/A1  cond 11101 D 11 1101 Vd 101 sz op 1 M 0 Vm  unsigned=0
""")  # fmt: skip
def vcvt_integer(b: Builder, i: Decoded) -> None:
    """The integer is in an S register. To integers, VCVT rounds towards zero and VCVTR as the FPSCR says."""
    require_enabled(b)
    double = i["sz"]
    width = 64 if double else 32
    size, point = b.const(32), b.const(0)
    if "unsigned" not in i:
        operand, unsigned = read_s(b, singleword(i, "m")), b.const(1 - i["op"])
        result = compute(b, f"f{width}.from_fixed", width, operand, size, point, unsigned, control(b))
        write_f(b, i, "d", double, result)
        return
    rounding = control(b)
    if i["op"]:
        rounding = rounding | TO_ZERO << RMODE_SHIFT
    operand, unsigned = read_f(b, i, "m", double), b.const(i["unsigned"])
    write_s(
        b, singleword(i, "d"), compute(b, f"f{width}.to_fixed", 32, operand, size, point, unsigned, rounding)
    )


@instruction("VCVT (between floating-point and fixed-point, VFP)", "A8.8.308", """
    from fixed  T1/A1  cond 11101 D 11 101 U:1 Vd 101 sz sx 1 i 0 imm4:4  op=0
    to fixed    T1/A1  cond 11101 D 11 111 U:1 Vd 101 sz sx 1 i 0 imm4:4  op=1
""")  # fmt: skip
def vcvt_fixed(b: Builder, i: Decoded) -> None:
    """In place. To fixed-point rounds towards zero, from fixed-point to nearest, whatever the FPSCR says."""
    size = 32 if i["sx"] else 16
    fraction_bits = size - i.join("imm4", "i")
    i.unpredictable_if(fraction_bits < 0)
    require_enabled(b)
    double = i["sz"]
    width = 64 if double else 32
    settings = b.const(size), b.const(fraction_bits), b.const(i["U"])
    operand = read_f(b, i, "d", double)
    if i["op"]:
        rounding = control(b) | TO_ZERO << RMODE_SHIFT
        result = compute(b, f"f{width}.to_fixed", 32, operand, *settings, rounding)
        if not i["U"]:
            result = result.sign_extend(size)
        write_f(b, i, "d", double, result.zext(width) if i["U"] else result.sext(width))
        return
    number = operand.trunc(32) & ((1 << size) - 1)
    nearest = control(b) & ~RMODE
    write_f(b, i, "d", double, compute(b, f"f{width}.from_fixed", width, number, *settings, nearest))


@instruction("VCVT (between double-precision and single-precision)", "A8.8.309", """
    to double  T1/A1  cond 11101 D 11 0111 Vd 1010 11 M 0 Vm
    to single  T1/A1  cond 11101 D 11 0111 Vd 1011 11 M 0 Vm  single=1
""")  # fmt: skip
def vcvt_precision(b: Builder, i: Decoded) -> None:
    require_enabled(b)
    if "single" in i:
        write_s(b, singleword(i, "d"), compute(b, "f64.to_f32", 32, read_d(b, doubleword(i, "m")), control(b)))
    else:
        write_d(b, doubleword(i, "d"), compute(b, "f32.to_f64", 64, read_s(b, singleword(i, "m")), control(b)))


@instruction("VCVTB, VCVTT", "A8.8.311", """
    from half  T1/A1  cond 11101 D 11 0010 Vd 101 (0) T 1 M 0 Vm  op=0
    to half    T1/A1  cond 11101 D 11 0011 Vd 101 (0) T 1 M 0 Vm  op=1
""")  # fmt: skip
def vcvt_half(b: Builder, i: Decoded) -> None:
    """Between a single and the top or bottom half of an S register; the other half stays."""
    require_enabled(b)
    low = 16 if i["T"] else 0
    operand, target = read_s(b, singleword(i, "m")), singleword(i, "d")
    if i["op"]:
        half = compute(b, "f32.to_f16", 32, operand, control(b))
        kept = read_s(b, target) & (0xFFFF << (16 - low))
        write_s(b, target, kept | half << low)
    else:
        write_s(b, target, compute(b, "f16.to_f32", 32, operand.field(low, 16), control(b)))
