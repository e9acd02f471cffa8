"""Multiplication by one element ("scalar") of a register: ARM ARM A7.4.3."""

from __future__ import annotations

from collections.abc import Callable

from retrap.machine.arm.instructions.neon_float import multiply_accumulate
from retrap.machine.arm.instructions.neon_long import by_size, doubling_long
from retrap.machine.arm.instructions.neon_state import (
    element,
    even,
    merge,
    quadword,
    read,
    read_d,
    require_enabled,
    saturating,
    split,
    standard,
    write,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def _scalar(b: Builder, i: Decoded, signed: bool = False) -> Value:
    """The element that M:Vm names: of D0 … D7 if it has 16 bits, of D0 … D15 if 32."""
    if i["bits"] == 16:
        return element(read_d(b, i["Vm"] & 7), 16, i["M"] << 1 | i["Vm"] >> 3, signed)
    return element(read_d(b, i["Vm"]), 32, i["M"], signed)


def _everywhere(scalar: Value, size: int) -> Value:
    """A zero-extended element in all elements of a doubleword."""
    while size < 64:
        scalar = scalar | scalar << size
        size *= 2
    return scalar


def _same_length(b: Builder, i: Decoded, lane: Callable[[Value, Value, Value], Value]) -> None:
    """Vd = lane(Vd, Vn, scalar)."""
    count = quadword(i, "d", "n")
    require_enabled(b)
    scalar, size = _scalar(b, i), i["bits"]
    d, n = (split(read(b, i, letter, count), size, False) for letter in "dn")
    write(b, i, merge([lane(x, y, scalar) for x, y in zip(d, n, strict=True)], size))


def _long(b: Builder, i: Decoded, lane: Callable[[Value, Value, Value], Value]) -> None:
    """Qd = lane(Qd, Dn, scalar), at twice the width of an element."""
    even(i, "d")
    require_enabled(b)
    scalar, size = _scalar(b, i, not i["U"]), i["bits"]
    n, d = split(read(b, i, "n", 1), size, not i["U"]), split(read(b, i, "d", 2), 2 * size, False)
    write(b, i, merge([lane(x, y, scalar) for x, y in zip(d, n, strict=True)], 2 * size))


@instruction("VMLA, VMLS (by scalar)", "A8.8.338", by_size("""
    VMLA T1/A1  1111001 Q 1 D size Vn Vd 0000 N 1 M 0 Vm  op=0
    VMLS T1/A1  1111001 Q 1 D size Vn Vd 0100 N 1 M 0 Vm  op=1
""", 16) + """
    VMLA F32 T1/A1  1111001 Q 1 D 10 Vn Vd 0001 N 1 M 0 Vm  op=0 bits=32 F=1
    VMLS F32 T1/A1  1111001 Q 1 D 10 Vn Vd 0101 N 1 M 0 Vm  op=1 bits=32 F=1
""")  # fmt: skip
def vmla(b: Builder, i: Decoded) -> None:
    if "F" in i:
        _same_length(b, i, lambda d, n, scalar: multiply_accumulate(b, d, n, scalar, i["op"]))
    else:
        _same_length(b, i, lambda d, n, scalar: d - n * scalar if i["op"] else d + n * scalar)


@instruction("VMLAL, VMLSL (by scalar)", "A8.8.338", by_size("""
    VMLAL T2/A2  1111001 U 1 D size Vn Vd 0010 N 1 M 0 Vm  op=0
    VMLSL T2/A2  1111001 U 1 D size Vn Vd 0110 N 1 M 0 Vm  op=1
""", 16))  # fmt: skip
def vmlal(b: Builder, i: Decoded) -> None:
    _long(b, i, lambda d, n, scalar: d - n * scalar if i["op"] else d + n * scalar)


@instruction("VMUL (by scalar)", "A8.8.352", by_size("""
    T1/A1  1111001 Q 1 D size Vn Vd 1000 N 1 M 0 Vm
""", 16) + """
    F32 T1/A1  1111001 Q 1 D 10 Vn Vd 1001 N 1 M 0 Vm  bits=32 F=1
""")  # fmt: skip
def vmul(b: Builder, i: Decoded) -> None:
    if "F" in i:
        _same_length(b, i, lambda d, n, scalar: standard(b, "mul", n, scalar))
    else:
        _same_length(b, i, lambda d, n, scalar: n * scalar)


@instruction("VMULL (by scalar)", "A8.8.352", by_size("""
    T2/A2  1111001 U 1 D size Vn Vd 1010 N 1 M 0 Vm
""", 16))  # fmt: skip
def vmull(b: Builder, i: Decoded) -> None:
    _long(b, i, lambda d, n, scalar: n * scalar)


@instruction("VQDMLAL, VQDMLSL (by scalar)", "A8.8.371", by_size("""
    VQDMLAL T2/A2  1111001 0 1 D size Vn Vd 0011 N 1 M 0 Vm  op=0
    VQDMLSL T2/A2  1111001 0 1 D size Vn Vd 0111 N 1 M 0 Vm  op=1
""", 16))  # fmt: skip
def vqdmlal(b: Builder, i: Decoded) -> None:
    doubling_long(b, i, read(b, i, "n", 1)[0], _everywhere(_scalar(b, i), i["bits"]))


@instruction("VQDMULL (by scalar)", "A8.8.373", by_size("""
    T2/A2  1111001 0 1 D size Vn Vd 1011 N 1 M 0 Vm
""", 16))  # fmt: skip
def vqdmull(b: Builder, i: Decoded) -> None:
    doubling_long(b, i, read(b, i, "n", 1)[0], _everywhere(_scalar(b, i), i["bits"]))


@instruction("VQDMULH, VQRDMULH (by scalar)", "A8.8.372, A8.8.376", by_size("""
    VQDMULH T2/A2  1111001 Q 1 D size Vn Vd 1100 N 1 M 0 Vm  rounding=0
    VQRDMULH T2/A2  1111001 Q 1 D size Vn Vd 1101 N 1 M 0 Vm  rounding=1
""", 16))  # fmt: skip
def vqdmulh(b: Builder, i: Decoded) -> None:
    count = quadword(i, "d", "n")
    require_enabled(b)
    scalar = _everywhere(_scalar(b, i), i["bits"])
    n = read(b, i, "n", count)
    write(b, i, [saturating(b, "qdmulh", (x, scalar), i["bits"], i["rounding"]) for x in n])
