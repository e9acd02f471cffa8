"""Reciprocal and reciprocal square root: eight-bit estimates, and Newton steps. ARM ARM A2.7.5, A2.7.8.

VRECPE, VRSQRTE, VRECPS, VRSQRTS exist for single precision (and the estimates for 32-bit unsigned fractions)
and belong to Advanced SIMD: callers pass the standard control word.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

from retrap.machine.softfloat.arithmetic import add_scaled, flush, multiply
from retrap.machine.softfloat.control import DZC, IOC, UFC
from retrap.machine.softfloat.formats import SINGLE
from retrap.machine.softfloat.nans import is_nan, process_nan, process_nans

TWO: Final = 0x40000000
THREE: Final = 0x40400000

_SIGN: Final = 0x80000000
_MAGNITUDE: Final = 0x7FFFFFFF
_INFINITY: Final = 0x7F800000


def _reciprocal(q: int) -> int:
    """1 / ((q + ½) / 512) in units of 1/256, rounded: 256 … 511, for q in 256 … 511."""
    # 256 * 512 / (q + ½) + ½, rounded down.
    divisor = 2 * q + 1
    return (4 * 131072 + divisor) // (2 * divisor)


def _reciprocal_root(numerator: int, denominator: int) -> int:
    """1 / sqrt(numerator / denominator) in units of 1/256, rounded: 256 … 511."""
    # s = floor(256 * sqrt(d / n) + ½) = floor((sqrt(512² * d / n) + 1) / 2), and floors nest.
    return (isqrt(512 * 512 * denominator // numerator) + 1) // 2


RECIPROCALS: Final = tuple(_reciprocal(q) for q in range(256, 512))
"""By the eight bits below the leading one of a number in [½, 1)."""

RECIPROCAL_ROOTS: Final = tuple(
    [_reciprocal_root(2 * q + 1, 1024) for q in range(128, 256)]
    + [_reciprocal_root(2 * q + 1, 512) for q in range(128, 256)]
)
"""By the seven bits below the leading one, of a number in [¼, ½) (first half) or [½, 1) (second half)."""


def reciprocal_estimate(a: int, fpscr: int) -> tuple[int, int]:
    """FPRecipEstimate: about 1 / a, for a single."""
    if is_nan(SINGLE, a):
        return process_nan(SINGLE, a, fpscr)
    a, flags = flush(SINGLE, a, fpscr)
    magnitude = a & _MAGNITUDE
    if magnitude == _INFINITY:
        return a & _SIGN, flags
    if magnitude == 0:
        return a | _INFINITY, flags | DZC
    exponent = magnitude >> 23
    if exponent >= 253:
        # At least 2^126: the reciprocal would be a denormal.
        return a & _SIGN, UFC
    fraction = RECIPROCALS[magnitude >> 15 & 0xFF] - 256
    return a & _SIGN | (253 - exponent) << 23 | fraction << 15, 0


def reciprocal_root_estimate(a: int, fpscr: int) -> tuple[int, int]:
    """FPRSqrtEstimate: about 1 / sqrt(a), for a single."""
    if is_nan(SINGLE, a):
        return process_nan(SINGLE, a, fpscr)
    a, flags = flush(SINGLE, a, fpscr)
    if a & _MAGNITUDE == 0:
        return a | _INFINITY, flags | DZC
    if a & _SIGN:
        return SINGLE.default_nan, IOC
    if a == _INFINITY:
        return 0, 0
    exponent = a >> 23
    # An even biased exponent scales into [½, 1), an odd one into [¼, ½).
    half = 0 if exponent & 1 else 128
    fraction = RECIPROCAL_ROOTS[half + (a >> 16 & 0x7F)] - 256
    return (380 - exponent) // 2 << 23 | fraction << 15, 0


def unsigned_reciprocal_estimate(a: int) -> int:
    """UnsignedRecipEstimate: `a` is a fraction of 2^32 in [½, 1), the result one of 2^31; all ones below."""
    if not a & _SIGN:
        return 0xFFFFFFFF
    return RECIPROCALS[a >> 23 & 0xFF] << 23


def unsigned_reciprocal_root_estimate(a: int) -> int:
    """UnsignedRSqrtEstimate: `a` is a fraction of 2^32 in [¼, 1), the result one of 2^31; all ones below."""
    if a & _SIGN:
        return RECIPROCAL_ROOTS[128 + (a >> 24 & 0x7F)] << 23
    if a & 0x40000000:
        return RECIPROCAL_ROOTS[a >> 23 & 0x7F] << 23
    return 0xFFFFFFFF


def reciprocal_step(a: int, b: int, fpscr: int) -> tuple[int, int]:
    """FPRecipStep: 2 - a * b, the product rounded first; zero times infinity counts as zero."""
    return _step(a, b, TWO, 0, fpscr)


def reciprocal_root_step(a: int, b: int, fpscr: int) -> tuple[int, int]:
    """FPRSqrtStep: (3 - a * b) / 2, the product rounded first; zero times infinity counts as zero."""
    return _step(a, b, THREE, -1, fpscr)


def _step(a: int, b: int, constant: int, scale: int, fpscr: int) -> tuple[int, int]:
    a, flags_a = flush(SINGLE, a, fpscr)
    b, flags_b = flush(SINGLE, b, fpscr)
    flags = flags_a | flags_b
    if is_nan(SINGLE, a) or is_nan(SINGLE, b):
        result, more = process_nans(SINGLE, a, b, fpscr)
        return result, flags | more
    magnitude_a, magnitude_b = a & _MAGNITUDE, b & _MAGNITUDE
    if (magnitude_a == _INFINITY and magnitude_b == 0) or (magnitude_a == 0 and magnitude_b == _INFINITY):
        product = 0
    else:
        product, more = multiply(SINGLE, a, b, fpscr)
        flags |= more
    result, more = add_scaled(SINGLE, constant, product ^ _SIGN, fpscr, scale)
    return result, flags | more
