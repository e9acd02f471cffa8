"""Operations on one register: ARM ARM A7.4.5. VREV, VTRN, VZIP … are in `neon_permute`, VMVN in `neon_bitwise`."""

from __future__ import annotations

from collections.abc import Callable

from retrap.machine.arm.instructions.neon_integer import bits
from retrap.machine.arm.instructions.neon_shift import convert
from retrap.machine.arm.instructions.neon_state import (
    boolean,
    compute,
    even,
    merge,
    quadword,
    read,
    require_enabled,
    saturating,
    split,
    standard,
    unary_lanewise,
    write,
)
from retrap.machine.arm.instructions.vfp_state import standard_control
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value

SIGN = 0x80000000


def _pair_sums(b: Builder, i: Decoded, letter: str) -> tuple[list[Value], int]:
    """Sums of neighbouring elements of Vm at twice their width, and that width."""
    size, count = bits(i), quadword(i, "d", "m")
    require_enabled(b)
    lanes = split(read(b, i, letter, count), size, not i["op"])
    return [x + y for x, y in zip(lanes[::2], lanes[1::2], strict=True)], 2 * size


@instruction("VPADDL", "A8.8.364", """
    T1/A1  1111001 1 1 D 11 size 00 Vd 0 010 op Q M 0 Vm
""")  # fmt: skip
def vpaddl(b: Builder, i: Decoded) -> None:
    write(b, i, merge(*_pair_sums(b, i, "m")))


@instruction("VPADAL", "A8.8.361", """
    T1/A1  1111001 1 1 D 11 size 00 Vd 0 110 op Q M 0 Vm
""")  # fmt: skip
def vpadal(b: Builder, i: Decoded) -> None:
    """Adds the pairwise sums to Vd."""
    sums, size = _pair_sums(b, i, "m")
    d = split(read(b, i, "d", 1 + i["Q"]), size, False)
    write(b, i, merge([x + y for x, y in zip(d, sums, strict=True)], size))


@instruction("VCLS", "A8.8.299", """
    T1/A1  1111001 1 1 D 11 size 00 Vd 0 1000 Q M 0 Vm
""")  # fmt: skip
def vcls(b: Builder, i: Decoded) -> None:
    """How many bits below the sign bit are equal to it."""
    size = bits(i)
    unary_lanewise(b, i, size, True, lambda x: (x ^ x.asr(63)).clz() - (64 - size + 1))


@instruction("VCLZ", "A8.8.302", """
    T1/A1  1111001 1 1 D 11 size 00 Vd 0 1001 Q M 0 Vm
""")  # fmt: skip
def vclz(b: Builder, i: Decoded) -> None:
    size = bits(i)
    unary_lanewise(b, i, size, False, lambda x: x.clz() - (64 - size))


@instruction("VCNT", "A8.8.304", """
    T1/A1  1111001 1 1 D 11 size 00 Vd 0 1010 Q M 0 Vm
""")  # fmt: skip
def vcnt(b: Builder, i: Decoded) -> None:
    """How many bits of each byte are set: neighbours are added, then pairs, then fours."""
    i.undefined_if(i["size"] != 0)
    count = quadword(i, "d", "m")
    require_enabled(b)
    results = []
    for x in read(b, i, "m", count):
        x = x - (x >> 1 & 0x5555555555555555)
        x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333)
        results.append(x + (x >> 4) & 0x0F0F0F0F0F0F0F0F)
    write(b, i, results)


@instruction("VQABS", "A8.8.369", """
    T1/A1  1111001 1 1 D 11 size 00 Vd 0 1110 Q M 0 Vm
""")  # fmt: skip
def vqabs(b: Builder, i: Decoded) -> None:
    size, count = bits(i), quadword(i, "d", "m")
    require_enabled(b)
    write(b, i, [saturating(b, "qabs", (x,), size) for x in read(b, i, "m", count)])


@instruction("VQNEG", "A8.8.375", """
    T1/A1  1111001 1 1 D 11 size 00 Vd 0 1111 Q M 0 Vm
""")  # fmt: skip
def vqneg(b: Builder, i: Decoded) -> None:
    size, count = bits(i), quadword(i, "d", "m")
    require_enabled(b)
    write(b, i, [saturating(b, "qneg", (x,), size) for x in read(b, i, "m", count)])


def _compare_with_zero(
    b: Builder, i: Decoded, relation: Callable[[Value], Value], name: str, swapped: bool = False
) -> None:
    """All ones where the relation to zero holds: of signed integers, or, if F, of floating-point numbers.

    `name` is the floating-point comparison, `swapped` says that zero is its first operand.
    """
    size = bits(i)
    if not i["F"]:
        unary_lanewise(b, i, size, True, lambda x: boolean(relation(x)))
        return
    i.undefined_if(size != 32)
    zero = b.const(0, 64)

    def lane(x: Value) -> Value:
        return boolean(standard(b, name, *((zero, x) if swapped else (x, zero))).trunc(1))

    unary_lanewise(b, i, 32, False, lane)


@instruction("VCGT (immediate #0)", "A8.8.296", """
    T1/A1  1111001 1 1 D 11 size 01 Vd 0 F 000 Q M 0 Vm
""")  # fmt: skip
def vcgt(b: Builder, i: Decoded) -> None:
    _compare_with_zero(b, i, lambda x: b.const(0, 64).slt(x), "gt")


@instruction("VCGE (immediate #0)", "A8.8.294", """
    T1/A1  1111001 1 1 D 11 size 01 Vd 0 F 001 Q M 0 Vm
""")  # fmt: skip
def vcge(b: Builder, i: Decoded) -> None:
    _compare_with_zero(b, i, lambda x: b.const(0, 64).sle(x), "ge")


@instruction("VCEQ (immediate #0)", "A8.8.292", """
    T1/A1  1111001 1 1 D 11 size 01 Vd 0 F 010 Q M 0 Vm
""")  # fmt: skip
def vceq(b: Builder, i: Decoded) -> None:
    _compare_with_zero(b, i, lambda x: x.eq(0), "eq")


@instruction("VCLE (immediate #0)", "A8.8.297", """
    T1/A1  1111001 1 1 D 11 size 01 Vd 0 F 011 Q M 0 Vm
""")  # fmt: skip
def vcle(b: Builder, i: Decoded) -> None:
    _compare_with_zero(b, i, lambda x: x.sle(0), "ge", True)


@instruction("VCLT (immediate #0)", "A8.8.301", """
    T1/A1  1111001 1 1 D 11 size 01 Vd 0 F 100 Q M 0 Vm
""")  # fmt: skip
def vclt(b: Builder, i: Decoded) -> None:
    _compare_with_zero(b, i, lambda x: x.slt(0), "gt", True)


@instruction("VABS (Advanced SIMD)", "A8.8.280", """
    T1/A1  1111001 1 1 D 11 size 01 Vd 0 F 110 Q M 0 Vm
""")  # fmt: skip
def vabs(b: Builder, i: Decoded) -> None:
    size = bits(i)
    i.undefined_if(i["F"] == 1 and size != 32)
    if i["F"]:
        unary_lanewise(b, i, 32, False, lambda x: x & (SIGN - 1))
    else:
        unary_lanewise(b, i, size, True, lambda x: b.select(x.slt(0), b.const(0, 64) - x, x))


@instruction("VNEG (Advanced SIMD)", "A8.8.355", """
    T1/A1  1111001 1 1 D 11 size 01 Vd 0 F 111 Q M 0 Vm
""")  # fmt: skip
def vneg(b: Builder, i: Decoded) -> None:
    size = bits(i)
    i.undefined_if(i["F"] == 1 and size != 32)
    if i["F"]:
        unary_lanewise(b, i, 32, False, lambda x: x ^ SIGN)
    else:
        unary_lanewise(b, i, size, False, lambda x: b.const(0, 64) - x)


@instruction("VMOVN", "A8.8.347", """
    T1/A1  1111001 1 1 D 11 size 10 Vd 0 0100 0 M 0 Vm
""")  # fmt: skip
def vmovn(b: Builder, i: Decoded) -> None:
    """The low halves of the elements of Qm. size tells the width of the results."""
    size = bits(i)
    even(i, "m")
    require_enabled(b)
    write(b, i, merge(split(read(b, i, "m", 2), 2 * size, False), size))


@instruction("VQMOVN, VQMOVUN", "A8.8.374", """
    VQMOVUN  T1/A1  1111001 1 1 D 11 size 10 Vd 0 0100 1 M 0 Vm  from=0 to=1
    VQMOVN S T1/A1  1111001 1 1 D 11 size 10 Vd 0 0101 0 M 0 Vm  from=0 to=0
    VQMOVN U T1/A1  1111001 1 1 D 11 size 10 Vd 0 0101 1 M 0 Vm  from=1 to=1
""")  # fmt: skip
def vqmovn(b: Builder, i: Decoded) -> None:
    """`from`, `to`: 1 if the operand, the result is unsigned. size tells the width of the results."""
    size = bits(i)
    even(i, "m")
    require_enabled(b)
    low, high = read(b, i, "m", 2)
    write(b, i, [saturating(b, "qmovn", (low, high), 2 * size, i["from"], i["to"])])


@instruction("VCVT (between half-precision and single-precision, Advanced SIMD)", "A8.8.310", """
    to half    T1/A1  1111001 1 1 D 11 size 10 Vd 0 1100 0 M 0 Vm
    to single  T1/A1  1111001 1 1 D 11 size 10 Vd 0 1110 0 M 0 Vm  single=1
""")  # fmt: skip
def vcvt_half(b: Builder, i: Decoded) -> None:
    """Four halves in a doubleword, four singles in a quadword. FPSCR.AHP counts."""
    i.undefined_if(i["size"] != 1)
    require_enabled(b)
    control = standard_control(b)
    if "single" in i:
        even(i, "d")
        halves = split(read(b, i, "m", 1), 16, False)
        singles = [compute(b, "f16.to_f32", 32, x.trunc(32), control).zext(64) for x in halves]
        write(b, i, merge(singles, 32))
    else:
        even(i, "m")
        singles = split(read(b, i, "m", 2), 32, False)
        halves = [compute(b, "f32.to_f16", 32, x.trunc(32), control).zext(64) for x in singles]
        write(b, i, merge(halves, 16))


@instruction("VCVT (between floating-point and integer, Advanced SIMD)", "A8.8.305", """
    T1/A1  1111001 1 1 D 11 size 11 Vd 0 11 to unsigned Q M 0 Vm
""")  # fmt: skip
def vcvt_integer(b: Builder, i: Decoded) -> None:
    """To integers (`to`) rounds towards zero."""
    i.undefined_if(i["size"] != 2)
    unary_lanewise(b, i, 32, False, lambda x: convert(b, x, 0, i["unsigned"], i["to"] == 1))


def _estimate(b: Builder, i: Decoded, name: str) -> None:
    i.undefined_if(i["size"] != 2)
    if i["F"]:
        unary_lanewise(b, i, 32, False, lambda x: standard(b, name, x))
    else:
        unary_lanewise(b, i, 32, False, lambda x: b.call(f"u32.{name}", (x.trunc(32),), (32,))[0].zext(64))


@instruction("VRECPE", "A8.8.384", """
    T1/A1  1111001 1 1 D 11 size 11 Vd 0 10 F 0 Q M 0 Vm
""")  # fmt: skip
def vrecpe(b: Builder, i: Decoded) -> None:
    """Eight bits of a reciprocal: of floating-point numbers if F, else of unsigned fractions."""
    _estimate(b, i, "recpe")


@instruction("VRSQRTE", "A8.8.391", """
    T1/A1  1111001 1 1 D 11 size 11 Vd 0 10 F 1 Q M 0 Vm
""")  # fmt: skip
def vrsqrte(b: Builder, i: Decoded) -> None:
    """Eight bits of a reciprocal square root: of floating-point numbers if F, else of unsigned fractions."""
    _estimate(b, i, "rsqrte")
