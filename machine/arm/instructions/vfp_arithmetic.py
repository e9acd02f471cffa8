"""Floating-point data processing on S and D registers: ARM ARM A7.5.

The Advanced SIMD forms of the same mnemonics are in `neon_float`. All these are UNDEFINED while FPSCR.LEN or
STRIDE is not zero (see `vfp_state.require_scalar`).
"""

from __future__ import annotations

from retrap.machine.arm.instructions.vfp_state import (
    compute,
    control,
    read_f,
    require_scalar,
    sign_bit,
    write_f,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def _operate(b: Builder, double: int, name: str, *operands: Value) -> Value:
    """A softfloat operation of the instruction's precision under the FPSCR."""
    width = 64 if double else 32
    return compute(b, f"f{width}.{name}", width, *operands, control(b))


def _binary(b: Builder, i: Decoded, name: str) -> Value:
    double = i["sz"]
    require_scalar(b)
    return _operate(b, double, name, read_f(b, i, "n", double), read_f(b, i, "m", double))


@instruction("VADD (floating-point, VFP)", "A8.8.283", """
    T2/A2  cond 11100 D 11 Vn Vd 101 sz N 0 M 0 Vm
""")  # fmt: skip
def vadd(b: Builder, i: Decoded) -> None:
    write_f(b, i, "d", i["sz"], _binary(b, i, "add"))


@instruction("VSUB (floating-point, VFP)", "A8.8.415", """
    T2/A2  cond 11100 D 11 Vn Vd 101 sz N 1 M 0 Vm
""")  # fmt: skip
def vsub(b: Builder, i: Decoded) -> None:
    write_f(b, i, "d", i["sz"], _binary(b, i, "sub"))


@instruction("VMUL (floating-point, VFP)", "A8.8.351", """
    T2/A2  cond 11100 D 10 Vn Vd 101 sz N 0 M 0 Vm
""")  # fmt: skip
def vmul(b: Builder, i: Decoded) -> None:
    write_f(b, i, "d", i["sz"], _binary(b, i, "mul"))


@instruction("VDIV", "A8.8.312", """
    T1/A1  cond 11101 D 00 Vn Vd 101 sz N 0 M 0 Vm
""")  # fmt: skip
def vdiv(b: Builder, i: Decoded) -> None:
    write_f(b, i, "d", i["sz"], _binary(b, i, "div"))


@instruction("VMLA, VMLS (floating-point, VFP)", "A8.8.337", """
    VMLA T2/A2  cond 11100 D 00 Vn Vd 101 sz N 0 M 0 Vm  op=0
    VMLS T2/A2  cond 11100 D 00 Vn Vd 101 sz N 1 M 0 Vm  op=1
""")  # fmt: skip
def vmla(b: Builder, i: Decoded) -> None:
    """Not fused: the product is rounded before it is added."""
    double = i["sz"]
    product = _binary(b, i, "mul")
    if i["op"]:
        product = product ^ sign_bit(product)
    write_f(b, i, "d", double, _operate(b, double, "add", read_f(b, i, "d", double), product))


@instruction("VNMLA, VNMLS, VNMUL", "A8.8.356", """
    VNMLS T1/A1  cond 11100 D 01 Vn Vd 101 sz N 0 M 0 Vm  op=0
    VNMLA T1/A1  cond 11100 D 01 Vn Vd 101 sz N 1 M 0 Vm  op=1
    VNMUL T2/A2  cond 11100 D 10 Vn Vd 101 sz N 1 M 0 Vm
""")  # fmt: skip
def vnmla(b: Builder, i: Decoded) -> None:
    """The negated product, alone or added to the negated destination; VNMLS adds the product as it is."""
    double = i["sz"]
    product = _binary(b, i, "mul")
    if i.get("op", 1):
        product = product ^ sign_bit(product)
    if "op" not in i:
        write_f(b, i, "d", double, product)
        return
    addend = read_f(b, i, "d", double)
    write_f(b, i, "d", double, _operate(b, double, "add", addend ^ sign_bit(addend), product))


@instruction("VFMA, VFMS (VFP)", "A8.8.317", """
    VFMA T2/A2  cond 11101 D 10 Vn Vd 101 sz N 0 M 0 Vm  op=0
    VFMS T2/A2  cond 11101 D 10 Vn Vd 101 sz N 1 M 0 Vm  op=1
""")  # fmt: skip
def vfma(b: Builder, i: Decoded) -> None:
    double = i["sz"]
    require_scalar(b)
    n = read_f(b, i, "n", double)
    if i["op"]:
        n = n ^ sign_bit(n)
    m, addend = read_f(b, i, "m", double), read_f(b, i, "d", double)
    write_f(b, i, "d", double, _operate(b, double, "fma", addend, n, m))


@instruction("VFNMA, VFNMS", "A8.8.318", """
    VFNMS T1/A1  cond 11101 D 01 Vn Vd 101 sz N 0 M 0 Vm  op=0
    VFNMA T1/A1  cond 11101 D 01 Vn Vd 101 sz N 1 M 0 Vm  op=1
""")  # fmt: skip
def vfnma(b: Builder, i: Decoded) -> None:
    double = i["sz"]
    require_scalar(b)
    n = read_f(b, i, "n", double)
    if i["op"]:
        n = n ^ sign_bit(n)
    m, addend = read_f(b, i, "m", double), read_f(b, i, "d", double)
    write_f(b, i, "d", double, _operate(b, double, "fma", addend ^ sign_bit(addend), n, m))


@instruction("VABS (VFP)", "A8.8.280", """
    T2/A2  cond 11101 D 11 0000 Vd 101 sz 1 1 M 0 Vm
""")  # fmt: skip
def vabs(b: Builder, i: Decoded) -> None:
    """Clears the sign, of NaNs too; raises nothing."""
    require_scalar(b)
    value = read_f(b, i, "m", i["sz"])
    write_f(b, i, "d", i["sz"], value & (sign_bit(value) - 1))


@instruction("VNEG (VFP)", "A8.8.355", """
    T2/A2  cond 11101 D 11 0001 Vd 101 sz 0 1 M 0 Vm
""")  # fmt: skip
def vneg(b: Builder, i: Decoded) -> None:
    """Changes the sign, of NaNs too; raises nothing."""
    require_scalar(b)
    value = read_f(b, i, "m", i["sz"])
    write_f(b, i, "d", i["sz"], value ^ sign_bit(value))


@instruction("VSQRT", "A8.8.401", """
    T1/A1  cond 11101 D 11 0001 Vd 101 sz 1 1 M 0 Vm
""")  # fmt: skip
def vsqrt(b: Builder, i: Decoded) -> None:
    require_scalar(b)
    double = i["sz"]
    write_f(b, i, "d", double, _operate(b, double, "sqrt", read_f(b, i, "m", double)))


@instruction("VMOV (immediate, VFP)", "A8.8.339", """
    T2/A2  cond 11101 D 11 imm4H Vd 101 sz (0) 0 (0) 0 imm4L
""")  # fmt: skip
def vmov_immediate(b: Builder, i: Decoded) -> None:
    require_scalar(b)
    write_f(b, i, "d", i["sz"], expand_immediate(i["imm4H"] << 4 | i["imm4L"], 64 if i["sz"] else 32))


def expand_immediate(imm8: int, width: int) -> int:
    """VFPExpandImm. ARM ARM A7.5.1."""
    exponent_bits = 8 if width == 32 else 11
    fraction_bits = width - exponent_bits - 1
    repeated = (1 << (exponent_bits - 3)) - 1 if imm8 & 0x40 else 0
    exponent = (~imm8 >> 6 & 1) << (exponent_bits - 1) | repeated << 2 | imm8 >> 4 & 3
    return (imm8 >> 7) << (width - 1) | exponent << fraction_bits | (imm8 & 15) << (fraction_bits - 4)


@instruction("VMOV (register, VFP)", "A8.8.340", """
    T2/A2  cond 11101 D 11 0000 Vd 101 sz 0 1 M 0 Vm
""")  # fmt: skip
def vmov_register(b: Builder, i: Decoded) -> None:
    require_scalar(b)
    write_f(b, i, "d", i["sz"], read_f(b, i, "m", i["sz"]))
