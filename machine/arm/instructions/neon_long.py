"""Operations on registers of different lengths: long, wide and narrow ones. ARM ARM A7.4.2.

`form` in the encodings is the width of an element of the doubleword operands.
"""

from __future__ import annotations

from collections.abc import Callable

from retrap.machine.arm.instructions.neon_integer import difference
from retrap.machine.arm.instructions.neon_state import (
    Lane,
    even,
    merge,
    raise_flags,
    read,
    require_enabled,
    split,
    swar_add,
    swar_subtract,
    write,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def by_size(template: str, smallest: int = 8) -> str:
    """The template's lines once per element size up to 32, `size` replaced by its bits.

    All ones there would be another instruction (VEXT, VTBL, …), so the bits must be fixed.
    """
    lines = []
    for line in template.strip().splitlines():
        for code, size in enumerate((8, 16, 32)):
            if size >= smallest:
                name, label, diagram = line.strip().partition("T")
                lines.append(f"{name}{size} {label}{diagram}".replace("size", f"{code:02b}") + f"  bits={size}")
    return "\n".join(lines)


def long(b: Builder, i: Decoded, lane: Lane, signed: bool) -> None:
    """Qd = lane(Dn, Dm), at twice the width of an element."""
    even(i, "d")
    require_enabled(b)
    size = i["bits"]
    n, m = split(read(b, i, "n", 1), size, signed), split(read(b, i, "m", 1), size, signed)
    write(b, i, merge([lane(x, y) for x, y in zip(n, m, strict=True)], 2 * size))


def accumulate_long(b: Builder, i: Decoded, lane: Callable[[Value, Value, Value], Value], signed: bool) -> None:
    """Qd = lane(Qd, Dn, Dm), at twice the width of an element."""
    even(i, "d")
    require_enabled(b)
    size = i["bits"]
    n, m = split(read(b, i, "n", 1), size, signed), split(read(b, i, "m", 1), size, signed)
    d = split(read(b, i, "d", 2), 2 * size, False)
    write(b, i, merge([lane(x, y, z) for x, y, z in zip(d, n, m, strict=True)], 2 * size))


def _wide(b: Builder, i: Decoded, lane: Lane) -> None:
    """Qd = lane(Qn, Dm)."""
    even(i, "d")
    even(i, "n")
    require_enabled(b)
    size = i["bits"]
    n, m = split(read(b, i, "n", 2), 2 * size, False), split(read(b, i, "m", 1), size, not i["U"])
    write(b, i, merge([lane(x, y) for x, y in zip(n, m, strict=True)], 2 * size))


@instruction("VADDL, VADDW", "A8.8.285", by_size("""
    VADDL T1/A1  1111001 U 1 D size Vn Vd 0000 N 0 M 0 Vm
    VADDW T1/A1  1111001 U 1 D size Vn Vd 0001 N 0 M 0 Vm  wide=1
"""))  # fmt: skip
def vaddl(b: Builder, i: Decoded) -> None:
    if "wide" in i:
        _wide(b, i, lambda x, y: x + y)
    else:
        long(b, i, lambda x, y: x + y, not i["U"])


@instruction("VSUBL, VSUBW", "A8.8.417", by_size("""
    VSUBL T1/A1  1111001 U 1 D size Vn Vd 0010 N 0 M 0 Vm
    VSUBW T1/A1  1111001 U 1 D size Vn Vd 0011 N 0 M 0 Vm  wide=1
"""))  # fmt: skip
def vsubl(b: Builder, i: Decoded) -> None:
    if "wide" in i:
        _wide(b, i, lambda x, y: x - y)
    else:
        long(b, i, lambda x, y: x - y, not i["U"])


def _narrow(b: Builder, i: Decoded, operation: Callable[[Value, Value, int], Value], rounding: bool) -> None:
    """Dd = the high halves of operation(Qn, Qm), whose elements are twice as wide; perhaps rounded."""
    even(i, "n")
    even(i, "m")
    require_enabled(b)
    size = i["bits"]
    wide = [operation(x, y, 2 * size) for x, y in zip(read(b, i, "n", 2), read(b, i, "m", 2), strict=True)]
    lanes = split(wide, 2 * size, False)
    if rounding:
        lanes = [lane + (1 << (size - 1)) for lane in lanes]
    write(b, i, merge([lane >> size for lane in lanes], size))


@instruction("VADDHN", "A8.8.284", by_size("""
    T1/A1  1111001 0 1 D size Vn Vd 0100 N 0 M 0 Vm
"""))  # fmt: skip
def vaddhn(b: Builder, i: Decoded) -> None:
    _narrow(b, i, swar_add, False)


@instruction("VRADDHN", "A8.8.383", by_size("""
    T1/A1  1111001 1 1 D size Vn Vd 0100 N 0 M 0 Vm
"""))  # fmt: skip
def vraddhn(b: Builder, i: Decoded) -> None:
    _narrow(b, i, swar_add, True)


@instruction("VSUBHN", "A8.8.416", by_size("""
    T1/A1  1111001 0 1 D size Vn Vd 0110 N 0 M 0 Vm
"""))  # fmt: skip
def vsubhn(b: Builder, i: Decoded) -> None:
    _narrow(b, i, swar_subtract, False)


@instruction("VRSUBHN", "A8.8.394", by_size("""
    T1/A1  1111001 1 1 D size Vn Vd 0110 N 0 M 0 Vm
"""))  # fmt: skip
def vrsubhn(b: Builder, i: Decoded) -> None:
    _narrow(b, i, swar_subtract, True)


@instruction("VABAL", "A8.8.277", by_size("""
    T2/A2  1111001 U 1 D size Vn Vd 0101 N 0 M 0 Vm
"""))  # fmt: skip
def vabal(b: Builder, i: Decoded) -> None:
    accumulate_long(b, i, lambda d, n, m: d + difference(b, n, m), not i["U"])


@instruction("VABDL (integer)", "A8.8.278", by_size("""
    T2/A2  1111001 U 1 D size Vn Vd 0111 N 0 M 0 Vm
"""))  # fmt: skip
def vabdl(b: Builder, i: Decoded) -> None:
    long(b, i, lambda x, y: difference(b, x, y), not i["U"])


@instruction("VMLAL, VMLSL (integer)", "A8.8.336", by_size("""
    VMLAL T2/A2  1111001 U 1 D size Vn Vd 1000 N 0 M 0 Vm  op=0
    VMLSL T2/A2  1111001 U 1 D size Vn Vd 1010 N 0 M 0 Vm  op=1
"""))  # fmt: skip
def vmlal(b: Builder, i: Decoded) -> None:
    accumulate_long(b, i, lambda d, n, m: d - n * m if i["op"] else d + n * m, not i["U"])


@instruction("VMULL (integer and polynomial)", "A8.8.350", by_size("""
    integer T2/A2  1111001 U 1 D size Vn Vd 1100 N 0 M 0 Vm
""") + """
    polynomial T2/A2  1111001 0 1 D 00 Vn Vd 1110 N 0 M 0 Vm  polynomial=1
""")  # fmt: skip
def vmull(b: Builder, i: Decoded) -> None:
    if "polynomial" not in i:
        long(b, i, lambda x, y: x * y, not i["U"])
        return
    even(i, "d")
    require_enabled(b)
    write(b, i, b.call("simd.pmull", (read(b, i, "n", 1)[0], read(b, i, "m", 1)[0]), (64, 64)))


def doubling_long(b: Builder, i: Decoded, n: Value, m: Value) -> None:
    """VQDMULL, or with a field `op` VQDMLAL and VQDMLSL, of two doublewords. Saturates twice."""
    even(i, "d")
    require_enabled(b)
    size = i["bits"]
    low, high, qc = b.call("simd.qdmull", (n, m, b.const(size)), (64, 64, 32))
    raise_flags(b, qc)
    products = [low, high]
    if "op" in i:
        name = "simd.qsub" if i["op"] else "simd.qadd"
        settings = b.const(2 * size), b.const(0)
        for k, d in enumerate(read(b, i, "d", 2)):
            products[k], qc = b.call(name, (d, products[k], *settings), (64, 32))
            raise_flags(b, qc)
    write(b, i, products)


@instruction("VQDMLAL, VQDMLSL", "A8.8.371", by_size("""
    VQDMLAL T1/A1  1111001 0 1 D size Vn Vd 1001 N 0 M 0 Vm  op=0
    VQDMLSL T1/A1  1111001 0 1 D size Vn Vd 1011 N 0 M 0 Vm  op=1
""", 16))  # fmt: skip
def vqdmlal(b: Builder, i: Decoded) -> None:
    doubling_long(b, i, read(b, i, "n", 1)[0], read(b, i, "m", 1)[0])


@instruction("VQDMULL", "A8.8.373", by_size("""
    T1/A1  1111001 0 1 D size Vn Vd 1101 N 0 M 0 Vm
""", 16))  # fmt: skip
def vqdmull(b: Builder, i: Decoded) -> None:
    doubling_long(b, i, read(b, i, "n", 1)[0], read(b, i, "m", 1)[0])
