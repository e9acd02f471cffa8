"""Single-precision operations on registers of the same length: ARM ARM A7.4.1.

All compute under the standard control word (flush to zero, default NaN, to nearest; A2.7.8), and set the FPSCR's
cumulative bits. The VFP forms are in `vfp_arithmetic`. Doubles (sz = 1 in the manual's diagrams) are UNDEFINED.
"""

from __future__ import annotations

from collections.abc import Callable

from retrap.machine.arm.instructions.neon_integer import pairwise
from retrap.machine.arm.instructions.neon_state import (
    boolean,
    lanewise,
    merge,
    quadword,
    read,
    require_enabled,
    split,
    standard,
    write,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value

SIGN = 0x80000000


def _operation(b: Builder, name: str) -> Callable[[Value, Value], Value]:
    return lambda x, y: standard(b, name, x, y)


def _truth(b: Builder, name: str) -> Callable[[Value, Value], Value]:
    """All ones or zero from a comparison that gives 1 or 0."""
    return lambda x, y: boolean(standard(b, name, x, y).trunc(1))


@instruction("VADD (floating-point, Advanced SIMD)", "A8.8.283", """
    T1/A1  1111001 0 0 D 00 Vn Vd 1101 N Q M 0 Vm
""")  # fmt: skip
def vadd(b: Builder, i: Decoded) -> None:
    lanewise(b, i, 32, False, _operation(b, "add"))


@instruction("VSUB (floating-point, Advanced SIMD)", "A8.8.415", """
    T1/A1  1111001 0 0 D 10 Vn Vd 1101 N Q M 0 Vm
""")  # fmt: skip
def vsub(b: Builder, i: Decoded) -> None:
    lanewise(b, i, 32, False, _operation(b, "sub"))


@instruction("VPADD (floating-point)", "A8.8.363", """
    T1/A1  1111001 1 0 D 00 Vn Vd 1101 N 0 M 0 Vm
""")  # fmt: skip
def vpadd(b: Builder, i: Decoded) -> None:
    pairwise(b, i, 32, False, _operation(b, "add"))


@instruction("VABD (floating-point)", "A8.8.279", """
    T1/A1  1111001 1 0 D 10 Vn Vd 1101 N Q M 0 Vm
""")  # fmt: skip
def vabd(b: Builder, i: Decoded) -> None:
    lanewise(b, i, 32, False, lambda x, y: standard(b, "sub", x, y) & (SIGN - 1))


@instruction("VMUL (floating-point, Advanced SIMD)", "A8.8.351", """
    T1/A1  1111001 1 0 D 00 Vn Vd 1101 N Q M 1 Vm
""")  # fmt: skip
def vmul(b: Builder, i: Decoded) -> None:
    lanewise(b, i, 32, False, _operation(b, "mul"))


def _with_destination(b: Builder, i: Decoded, lane: Callable[[Value, Value, Value], Value]) -> None:
    """Vd = lane(Vd, Vn, Vm), element by element."""
    count = quadword(i, "d", "n", "m")
    require_enabled(b)
    d, n, m = (split(read(b, i, letter, count), 32, False) for letter in "dnm")
    write(b, i, merge([lane(x, y, z) for x, y, z in zip(d, n, m, strict=True)], 32))


@instruction("VMLA, VMLS (floating-point, Advanced SIMD)", "A8.8.337", """
    VMLA T1/A1  1111001 0 0 D 00 Vn Vd 1101 N Q M 1 Vm  op=0
    VMLS T1/A1  1111001 0 0 D 10 Vn Vd 1101 N Q M 1 Vm  op=1
""")  # fmt: skip
def vmla(b: Builder, i: Decoded) -> None:
    """Not fused: the product is rounded before it is added."""
    _with_destination(b, i, lambda d, n, m: multiply_accumulate(b, d, n, m, i["op"]))


def multiply_accumulate(b: Builder, addend: Value, n: Value, m: Value, subtract: int) -> Value:
    """addend ± n * m, rounded twice."""
    product = standard(b, "mul", n, m)
    return standard(b, "add", addend, product ^ SIGN if subtract else product)


@instruction("VFMA, VFMS (Advanced SIMD)", "A8.8.317", """
    VFMA T1/A1  1111001 0 0 D 00 Vn Vd 1100 N Q M 1 Vm  op=0
    VFMS T1/A1  1111001 0 0 D 10 Vn Vd 1100 N Q M 1 Vm  op=1
""")  # fmt: skip
def vfma(b: Builder, i: Decoded) -> None:
    _with_destination(b, i, lambda d, n, m: standard(b, "fma", d, n ^ SIGN if i["op"] else n, m))


@instruction("VCEQ (register, floating-point)", "A8.8.291", """
    T2/A2  1111001 0 0 D 00 Vn Vd 1110 N Q M 0 Vm
""")  # fmt: skip
def vceq(b: Builder, i: Decoded) -> None:
    lanewise(b, i, 32, False, _truth(b, "eq"))


@instruction("VCGE (register, floating-point)", "A8.8.293", """
    T2/A2  1111001 1 0 D 00 Vn Vd 1110 N Q M 0 Vm
""")  # fmt: skip
def vcge(b: Builder, i: Decoded) -> None:
    lanewise(b, i, 32, False, _truth(b, "ge"))


@instruction("VCGT (register, floating-point)", "A8.8.295", """
    T2/A2  1111001 1 0 D 10 Vn Vd 1110 N Q M 0 Vm
""")  # fmt: skip
def vcgt(b: Builder, i: Decoded) -> None:
    lanewise(b, i, 32, False, _truth(b, "gt"))


@instruction("VACGE, VACGT", "A8.8.281", """
    VACGE T1/A1  1111001 1 0 D 00 Vn Vd 1110 N Q M 1 Vm  op=0
    VACGT T1/A1  1111001 1 0 D 10 Vn Vd 1110 N Q M 1 Vm  op=1
""")  # fmt: skip
def vacge(b: Builder, i: Decoded) -> None:
    """Compares absolute values."""
    truth = _truth(b, "gt" if i["op"] else "ge")
    lanewise(b, i, 32, False, lambda x, y: truth(x & (SIGN - 1), y & (SIGN - 1)))


@instruction("VMAX, VMIN (floating-point)", "A8.8.335", """
    VMAX T1/A1  1111001 0 0 D 00 Vn Vd 1111 N Q M 0 Vm  op=0
    VMIN T1/A1  1111001 0 0 D 10 Vn Vd 1111 N Q M 0 Vm  op=1
""")  # fmt: skip
def vmax(b: Builder, i: Decoded) -> None:
    lanewise(b, i, 32, False, _operation(b, "min" if i["op"] else "max"))


@instruction("VPMAX, VPMIN (floating-point)", "A8.8.366", """
    VPMAX T1/A1  1111001 1 0 D 00 Vn Vd 1111 N 0 M 0 Vm  op=0
    VPMIN T1/A1  1111001 1 0 D 10 Vn Vd 1111 N 0 M 0 Vm  op=1
""")  # fmt: skip
def vpmax(b: Builder, i: Decoded) -> None:
    pairwise(b, i, 32, False, _operation(b, "min" if i["op"] else "max"))


@instruction("VRECPS", "A8.8.385", """
    T1/A1  1111001 0 0 D 00 Vn Vd 1111 N Q M 1 Vm
""")  # fmt: skip
def vrecps(b: Builder, i: Decoded) -> None:
    """Newton's step for a reciprocal: 2 - Vn * Vm."""
    lanewise(b, i, 32, False, _operation(b, "recps"))


@instruction("VRSQRTS", "A8.8.392", """
    T1/A1  1111001 0 0 D 10 Vn Vd 1111 N Q M 1 Vm
""")  # fmt: skip
def vrsqrts(b: Builder, i: Decoded) -> None:
    """Newton's step for a reciprocal square root: (3 - Vn * Vm) / 2."""
    lanewise(b, i, 32, False, _operation(b, "rsqrts"))
