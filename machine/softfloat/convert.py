"""Conversions between formats, and to and from integers and fixed-point numbers. ARM ARM A2.7.8.

FPToFixed, FixedToFP, FPHalfToSingle, FPSingleToHalf, FPDoubleToSingle, FPSingleToDouble.
"""

from __future__ import annotations

from retrap.machine.softfloat.arithmetic import flush, significand
from retrap.machine.softfloat.control import AHP, DN, FZ, IOC, IXC, RMODE_SHIFT
from retrap.machine.softfloat.formats import DOUBLE, HALF, HALF_ALTERNATIVE, SINGLE, Format
from retrap.machine.softfloat.nans import is_nan, is_signalling
from retrap.machine.softfloat.rounding import round_to, round_up


def to_fixed(
    form: Format, a: int, bits: int, fraction_bits: int, unsigned: bool, fpscr: int
) -> tuple[int, int]:
    """`a` * 2^fraction_bits as an integer of `bits` bits, rounded by the control word's mode, saturated.

    NaNs give 0. They, infinities and whatever saturates are invalid operands.
    """
    if is_nan(form, a):
        return 0, IOC
    a, flags = flush(form, a, fpscr)
    sign = a >> form.sign_shift
    lowest = 0 if unsigned else -(1 << (bits - 1))
    largest = (1 << bits) - 1 if unsigned else (1 << (bits - 1)) - 1
    magnitude = a & (form.sign - 1)
    mantissa, exponent = significand(form, magnitude)
    exponent += fraction_bits
    if exponent > 64:
        # Beyond every integer; exact shifts are for numbers that may fit.
        return (lowest if sign else largest) & ((1 << bits) - 1), flags | IOC
    if exponent >= 0:
        value, error = mantissa << exponent, 0
    elif exponent < -80:
        # A denormal's far end: less than half, whatever it is.
        value, error = 0, int(mantissa != 0)
        if error and round_up(fpscr >> RMODE_SHIFT & 3, sign, 0, 1, 2):
            value = 1
    else:
        value = mantissa >> -exponent
        error = mantissa - (value << -exponent)
        if error and round_up(fpscr >> RMODE_SHIFT & 3, sign, value & 1, error, 1 << (-exponent - 1)):
            value += 1
    if sign:
        value = -value
    if value < lowest or value > largest:
        return (lowest if value < lowest else largest) & ((1 << bits) - 1), flags | IOC
    return value & ((1 << bits) - 1), flags | IXC if error else flags


def from_fixed(
    form: Format, a: int, bits: int, fraction_bits: int, unsigned: bool, fpscr: int
) -> tuple[int, int]:
    """The integer of `bits` bits `a`, * 2^-fraction_bits, rounded by the control word's mode."""
    if a == 0:
        return 0, 0
    if not unsigned and a >> (bits - 1):
        return round_to(form, 1, (1 << bits) - a, -fraction_bits, fpscr)
    return round_to(form, 0, a, -fraction_bits, fpscr)


def double_to_single(a: int, fpscr: int) -> tuple[int, int]:
    """A double as a single."""
    if is_nan(DOUBLE, a):
        flags = 0 if a & DOUBLE.quiet else IOC
        if fpscr & DN:
            return SINGLE.default_nan, flags
        return (a >> 63) << 31 | SINGLE.default_nan | a >> 29 & 0x3FFFFF, flags
    return _resize(DOUBLE, SINGLE, a, fpscr)


def single_to_double(a: int, fpscr: int) -> tuple[int, int]:
    """A single as a double: exact."""
    if is_nan(SINGLE, a):
        flags = 0 if a & SINGLE.quiet else IOC
        if fpscr & DN:
            return DOUBLE.default_nan, flags
        return (a >> 31) << 63 | DOUBLE.default_nan | (a & 0x3FFFFF) << 29, flags
    return _resize(SINGLE, DOUBLE, a, fpscr)


def single_to_half(a: int, fpscr: int) -> tuple[int, int]:
    """A single as a half, in the IEEE format or, with AHP, the alternative one (no infinities, no NaNs)."""
    if is_nan(SINGLE, a):
        if fpscr & AHP:
            return a >> 31 << 15, IOC
        flags = IOC if is_signalling(SINGLE, a) else 0
        if fpscr & DN:
            return HALF.default_nan, flags
        return a >> 31 << 15 | HALF.default_nan | a >> 13 & 0x1FF, flags
    if fpscr & AHP:
        if a & (SINGLE.sign - 1) == SINGLE.infinity:
            return a >> 31 << 15 | HALF.sign - 1, IOC
        return _resize(SINGLE, HALF_ALTERNATIVE, a, fpscr)
    return _resize(SINGLE, HALF, a, fpscr)


def half_to_single(a: int, fpscr: int) -> tuple[int, int]:
    """A half as a single: exact. Half-precision denormals are never flushed."""
    magnitude = a & (HALF.sign - 1)
    signed = a >> 15 << 31
    if magnitude >= HALF.infinity and not fpscr & AHP:
        if magnitude == HALF.infinity:
            return signed | SINGLE.infinity, 0
        flags = 0 if a & HALF.quiet else IOC
        if fpscr & DN:
            return SINGLE.default_nan, flags
        return signed | SINGLE.default_nan | (a & 0x1FF) << 13, flags
    if magnitude == 0:
        return signed, 0
    mantissa, exponent = significand(HALF, magnitude)
    return round_to(SINGLE, a >> 15, mantissa, exponent, fpscr)


def _resize(source: Format, target: Format, a: int, fpscr: int) -> tuple[int, int]:
    """A number that is no NaN, in another format. Results are flushed to zero, except half-precision ones."""
    a, flags = flush(source, a, fpscr)
    sign, magnitude = a >> source.sign_shift, a & (source.sign - 1)
    if magnitude == 0:
        return sign << target.sign_shift, flags
    if magnitude == source.infinity:
        return sign << target.sign_shift | target.infinity, flags
    mantissa, exponent = significand(source, magnitude)
    if target.bits == 16:
        fpscr &= ~FZ
    result, more = round_to(target, sign, mantissa, exponent, fpscr)
    return result, flags | more
