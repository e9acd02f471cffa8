"""Saturating arithmetic on doublewords: VQADD, VQSUB, VQABS, VQNEG, VQDMULH, VQDMULL, VQMOVN and their kin.

`size` is the width of an element of the operands in bits. ARM ARM A8.8.369 to A8.8.382.
"""

from __future__ import annotations

from retrap.machine.ir.helpers import helper
from retrap.machine.simd.lanes import merge_saturated, split


@helper("simd.qadd")
def add(a: int, b: int, size: int, unsigned: int) -> tuple[int, int]:
    """a + b, element by element."""
    sums = [x + y for x, y in zip(split(a, size, unsigned), split(b, size, unsigned), strict=True)]
    return merge_saturated(sums, size, unsigned)


@helper("simd.qsub")
def subtract(a: int, b: int, size: int, unsigned: int) -> tuple[int, int]:
    """a - b, element by element."""
    differences = [x - y for x, y in zip(split(a, size, unsigned), split(b, size, unsigned), strict=True)]
    return merge_saturated(differences, size, unsigned)


@helper("simd.qabs")
def absolute(a: int, size: int) -> tuple[int, int]:
    """Absolute values of signed elements."""
    return merge_saturated([abs(x) for x in split(a, size, 0)], size, 0)


@helper("simd.qneg")
def negate(a: int, size: int) -> tuple[int, int]:
    """Negated signed elements."""
    return merge_saturated([-x for x in split(a, size, 0)], size, 0)


@helper("simd.qdmulh")
def double_multiply_high(a: int, b: int, size: int, rounding: int) -> tuple[int, int]:
    """The high halves of the doubled products, rounded (VQRDMULH) or not."""
    half = 1 << (size - 1) if rounding else 0
    products = zip(split(a, size, 0), split(b, size, 0), strict=True)
    return merge_saturated([2 * x * y + half >> size for x, y in products], size, 0)


@helper("simd.qdmull")
def double_multiply_long(a: int, b: int, size: int) -> tuple[int, int, int]:
    """The doubled products at twice the width: low and high doubleword, QC."""
    products = [2 * x * y for x, y in zip(split(a, size, 0), split(b, size, 0), strict=True)]
    middle = len(products) // 2
    low, saturated = merge_saturated(products[:middle], 2 * size, 0)
    high, also = merge_saturated(products[middle:], 2 * size, 0)
    return low, high, saturated | also


@helper("simd.qmovn")
def narrow(low: int, high: int, size: int, unsigned_from: int, unsigned_to: int) -> tuple[int, int]:
    """The elements of a quadword at half their width."""
    elements = split(low, size, unsigned_from) + split(high, size, unsigned_from)
    return merge_saturated(elements, size // 2, unsigned_to)


@helper("simd.qshrn")
def shift_right_narrow(
    low: int, high: int, size: int, shift: int, rounding: int, unsigned_from: int, unsigned_to: int
) -> tuple[int, int]:
    """The elements of a quadword, shifted right by `shift` (≥ 1), perhaps rounded, at half their width."""
    half = 1 << (shift - 1) if rounding else 0
    elements = split(low, size, unsigned_from) + split(high, size, unsigned_from)
    return merge_saturated([x + half >> shift for x in elements], size // 2, unsigned_to)


@helper("simd.qshl_imm")
def shift_left(a: int, size: int, shift: int, unsigned_from: int, unsigned_to: int) -> tuple[int, int]:
    """Elements shifted left by a constant."""
    return merge_saturated([x << shift for x in split(a, size, unsigned_from)], size, unsigned_to)


@helper("simd.qshl")
def shift_by_register(a: int, b: int, size: int, rounding: int, unsigned: int) -> tuple[int, int]:
    """Elements of `a` shifted left by the signed low bytes of those of `b` (VQSHL, VQRSHL)."""
    shifted = [
        _shift(x, y, size, rounding) for x, y in zip(split(a, size, unsigned), split(b, size, 1), strict=True)
    ]
    return merge_saturated(shifted, size, unsigned)


def _shift(x: int, amount: int, size: int, rounding: int) -> int:
    """x * 2^amount, rounded down or to nearest; `amount`'s low byte counts, signed.

    What is far out of an element's range need only stay out of it: left shifts stop at the element's width.
    """
    amount = (amount & 0xFF ^ 0x80) - 0x80
    if amount >= 0:
        return x << min(amount, size)
    if rounding:
        x += 1 << (-amount - 1)
    return x >> -amount


@helper("simd.rshl")
def rounding_shift_by_register(a: int, b: int, size: int, unsigned: int) -> tuple[int]:
    """As `shift_by_register` with rounding, modulo the width (VRSHL)."""
    mask = (1 << size) - 1
    register = 0
    for x, y in reversed(list(zip(split(a, size, unsigned), split(b, size, 1), strict=True))):
        register = register << size | _shift(x, y, size, 1) & mask
    return (register,)

