"""Integer operations on registers of the same length: ARM ARM A7.4.1. Bitwise ones are in `neon_bitwise`."""

from __future__ import annotations

from collections.abc import Callable

from retrap.machine.arm.instructions.neon_state import (
    Lane,
    boolean,
    lanewise,
    merge,
    quadword,
    read,
    require_enabled,
    saturating,
    split,
    swar_add,
    swar_subtract,
    write,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def bits(i: Decoded, largest: int = 32) -> int:
    """Width of an element from the size field; UNDEFINED above `largest`."""
    size = 8 << i["size"]
    i.undefined_if(size > largest)
    return size


def _doublewise(b: Builder, i: Decoded, operation: Callable[[Value, Value], Value]) -> None:
    """Vd = operation(Vn, Vm), doubleword by doubleword."""
    count = quadword(i, "d", "n", "m")
    require_enabled(b)
    n, m = read(b, i, "n", count), read(b, i, "m", count)
    write(b, i, [operation(x, y) for x, y in zip(n, m, strict=True)])


@instruction("VADD (integer)", "A8.8.282", """
    T1/A1  1111001 0 0 D size Vn Vd 1000 N Q M 0 Vm
""")  # fmt: skip
def vadd(b: Builder, i: Decoded) -> None:
    _doublewise(b, i, lambda n, m: swar_add(n, m, bits(i, 64)))


@instruction("VSUB (integer)", "A8.8.414", """
    T1/A1  1111001 1 0 D size Vn Vd 1000 N Q M 0 Vm
""")  # fmt: skip
def vsub(b: Builder, i: Decoded) -> None:
    _doublewise(b, i, lambda n, m: swar_subtract(n, m, bits(i, 64)))


@instruction("VHADD, VHSUB", "A8.8.319", """
    VHADD T1/A1  1111001 U 0 D size Vn Vd 0000 N Q M 0 Vm  op=0
    VHSUB T1/A1  1111001 U 0 D size Vn Vd 0010 N Q M 0 Vm  op=1
""")  # fmt: skip
def vhadd(b: Builder, i: Decoded) -> None:
    """Half the sum or the difference, rounded down."""
    halve: Lane = (lambda x, y: (x - y) >> 1) if i["op"] else (lambda x, y: (x + y) >> 1)
    lanewise(b, i, bits(i), not i["U"], halve)


@instruction("VRHADD", "A8.8.387", """
    T1/A1  1111001 U 0 D size Vn Vd 0001 N Q M 0 Vm
""")  # fmt: skip
def vrhadd(b: Builder, i: Decoded) -> None:
    """Half the sum, rounded to nearest."""
    lanewise(b, i, bits(i), not i["U"], lambda x, y: (x + y + 1) >> 1)


@instruction("VQADD", "A8.8.370", """
    T1/A1  1111001 U 0 D size Vn Vd 0000 N Q M 1 Vm
""")  # fmt: skip
def vqadd(b: Builder, i: Decoded) -> None:
    _doublewise(b, i, lambda n, m: saturating(b, "qadd", (n, m), bits(i, 64), i["U"]))


@instruction("VQSUB", "A8.8.382", """
    T1/A1  1111001 U 0 D size Vn Vd 0010 N Q M 1 Vm
""")  # fmt: skip
def vqsub(b: Builder, i: Decoded) -> None:
    _doublewise(b, i, lambda n, m: saturating(b, "qsub", (n, m), bits(i, 64), i["U"]))


@instruction("VCGT (register, integer)", "A8.8.295", """
    T1/A1  1111001 U 0 D size Vn Vd 0011 N Q M 0 Vm
""")  # fmt: skip
def vcgt(b: Builder, i: Decoded) -> None:
    lanewise(b, i, bits(i), not i["U"], lambda x, y: boolean(y.slt(x)))


@instruction("VCGE (register, integer)", "A8.8.293", """
    T1/A1  1111001 U 0 D size Vn Vd 0011 N Q M 1 Vm
""")  # fmt: skip
def vcge(b: Builder, i: Decoded) -> None:
    lanewise(b, i, bits(i), not i["U"], lambda x, y: boolean(y.sle(x)))


@instruction("VCEQ (register, integer)", "A8.8.291", """
    T1/A1  1111001 1 0 D size Vn Vd 1000 N Q M 1 Vm
""")  # fmt: skip
def vceq(b: Builder, i: Decoded) -> None:
    lanewise(b, i, bits(i), False, lambda x, y: boolean(x.eq(y)))


@instruction("VTST", "A8.8.421", """
    T1/A1  1111001 0 0 D size Vn Vd 1000 N Q M 1 Vm
""")  # fmt: skip
def vtst(b: Builder, i: Decoded) -> None:
    lanewise(b, i, bits(i), False, lambda x, y: boolean((x & y).ne(0)))


@instruction("VSHL (register)", "A8.8.396", """
    T1/A1  1111001 U 0 D size Vn Vd 0100 N Q M 0 Vm
""")  # fmt: skip
def vshl(b: Builder, i: Decoded) -> None:
    """Vm shifted left by the signed low byte of Vn, that is, right by a negative one."""

    def shift(amount: Value, x: Value) -> Value:
        amount = amount.sign_extend(8)
        right = b.const(0, 64) - amount
        shifted = x >> right if i["U"] else x.asr(right)
        return b.select(amount.slt(0), shifted, x << amount)

    lanewise(b, i, bits(i, 64), not i["U"], shift)


@instruction("VRSHL", "A8.8.388", """
    T1/A1  1111001 U 0 D size Vn Vd 0101 N Q M 0 Vm
""")  # fmt: skip
def vrshl(b: Builder, i: Decoded) -> None:
    size, unsigned = b.const(bits(i, 64)), b.const(i["U"])
    _doublewise(b, i, lambda n, m: b.call("simd.rshl", (m, n, size, unsigned), (64,))[0])


@instruction("VQSHL (register)", "A8.8.379", """
    T1/A1  1111001 U 0 D size Vn Vd 0100 N Q M 1 Vm
""")  # fmt: skip
def vqshl(b: Builder, i: Decoded) -> None:
    _doublewise(b, i, lambda n, m: saturating(b, "qshl", (m, n), bits(i, 64), 0, i["U"]))


@instruction("VQRSHL", "A8.8.377", """
    T1/A1  1111001 U 0 D size Vn Vd 0101 N Q M 1 Vm
""")  # fmt: skip
def vqrshl(b: Builder, i: Decoded) -> None:
    _doublewise(b, i, lambda n, m: saturating(b, "qshl", (m, n), bits(i, 64), 1, i["U"]))


def _extreme(b: Builder, least: int) -> Lane:
    return lambda x, y: b.select(x.slt(y), *((x, y) if least else (y, x)))


@instruction("VMAX, VMIN (integer)", "A8.8.334", """
    VMAX T1/A1  1111001 U 0 D size Vn Vd 0110 N Q M 0 Vm  op=0
    VMIN T1/A1  1111001 U 0 D size Vn Vd 0110 N Q M 1 Vm  op=1
""")  # fmt: skip
def vmax(b: Builder, i: Decoded) -> None:
    lanewise(b, i, bits(i), not i["U"], _extreme(b, i["op"]))


def difference(b: Builder, x: Value, y: Value) -> Value:
    """The absolute difference of two elements."""
    return b.select(x.slt(y), y - x, x - y)


@instruction("VABD (integer)", "A8.8.278", """
    T1/A1  1111001 U 0 D size Vn Vd 0111 N Q M 0 Vm
""")  # fmt: skip
def vabd(b: Builder, i: Decoded) -> None:
    lanewise(b, i, bits(i), not i["U"], lambda x, y: difference(b, x, y))


def _accumulate(b: Builder, i: Decoded, signed: bool, lane: Callable[[Value, Value, Value], Value]) -> None:
    """Vd = lane(Vd, Vn, Vm), element by element."""
    size, count = bits(i), quadword(i, "d", "n", "m")
    require_enabled(b)
    d, n, m = (split(read(b, i, letter, count), size, signed) for letter in "dnm")
    write(b, i, merge([lane(x, y, z) for x, y, z in zip(d, n, m, strict=True)], size))


@instruction("VABA", "A8.8.277", """
    T1/A1  1111001 U 0 D size Vn Vd 0111 N Q M 1 Vm
""")  # fmt: skip
def vaba(b: Builder, i: Decoded) -> None:
    _accumulate(b, i, not i["U"], lambda d, n, m: d + difference(b, n, m))


@instruction("VMLA, VMLS (integer)", "A8.8.336", """
    VMLA T1/A1  1111001 0 0 D size Vn Vd 1001 N Q M 0 Vm  op=0
    VMLS T1/A1  1111001 1 0 D size Vn Vd 1001 N Q M 0 Vm  op=1
""")  # fmt: skip
def vmla(b: Builder, i: Decoded) -> None:
    _accumulate(b, i, False, lambda d, n, m: d - n * m if i["op"] else d + n * m)


@instruction("VMUL (integer and polynomial)", "A8.8.350", """
    integer     T1/A1  1111001 0 0 D size Vn Vd 1001 N Q M 1 Vm
    polynomial  T1/A1  1111001 1 0 D size Vn Vd 1001 N Q M 1 Vm  polynomial=1
""")  # fmt: skip
def vmul(b: Builder, i: Decoded) -> None:
    if "polynomial" in i:
        i.undefined_if(i["size"] != 0)
        _doublewise(b, i, lambda n, m: b.call("simd.pmul", (n, m), (64,))[0])
    else:
        lanewise(b, i, bits(i), False, lambda x, y: x * y)


@instruction("VQDMULH", "A8.8.372", """
    T1/A1  1111001 0 0 D size Vn Vd 1011 N Q M 0 Vm
""")  # fmt: skip
def vqdmulh(b: Builder, i: Decoded) -> None:
    i.undefined_if(i["size"] == 0)
    _doublewise(b, i, lambda n, m: saturating(b, "qdmulh", (n, m), bits(i), 0))


@instruction("VQRDMULH", "A8.8.376", """
    T1/A1  1111001 1 0 D size Vn Vd 1011 N Q M 0 Vm
""")  # fmt: skip
def vqrdmulh(b: Builder, i: Decoded) -> None:
    i.undefined_if(i["size"] == 0)
    _doublewise(b, i, lambda n, m: saturating(b, "qdmulh", (n, m), bits(i), 1))


def pairwise(b: Builder, i: Decoded, size: int, signed: bool, lane: Lane) -> None:
    """Dd = lane of neighbouring elements, those of Dn first, then those of Dm."""
    require_enabled(b)
    lanes = split(read(b, i, "n", 1) + read(b, i, "m", 1), size, signed)
    write(b, i, merge([lane(x, y) for x, y in zip(lanes[::2], lanes[1::2], strict=True)], size))


@instruction("VPADD (integer)", "A8.8.362", """
    T1/A1  1111001 0 0 D size Vn Vd 1011 N 0 M 1 Vm
""")  # fmt: skip
def vpadd(b: Builder, i: Decoded) -> None:
    pairwise(b, i, bits(i), False, lambda x, y: x + y)


@instruction("VPMAX, VPMIN (integer)", "A8.8.365", """
    VPMAX T1/A1  1111001 U 0 D size Vn Vd 1010 N 0 M 0 Vm  op=0
    VPMIN T1/A1  1111001 U 0 D size Vn Vd 1010 N 0 M 1 Vm  op=1
""")  # fmt: skip
def vpmax(b: Builder, i: Decoded) -> None:
    pairwise(b, i, bits(i), not i["U"], _extreme(b, i["op"]))
