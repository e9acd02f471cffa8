"""Add, subtract, multiply, divide, square root. ARM ARM A2.7.8 (FPAdd, FPSub, FPMul, FPDiv, FPSqrt).

All take patterns of `form` and a control word, and return (pattern, exception flags). Each first deals with
NaNs and infinities, then flushes denormals if told to, then computes exactly and rounds once.
"""

from __future__ import annotations

from math import isqrt

from retrap.machine.softfloat.control import DZC, FZ, IDC, IOC, RMODE, RMODE_SHIFT, TO_MINUS_INFINITY
from retrap.machine.softfloat.formats import Format
from retrap.machine.softfloat.nans import is_nan, process_nan, process_nans
from retrap.machine.softfloat.rounding import round_to

_ROUND_DOWN = TO_MINUS_INFINITY << RMODE_SHIFT


def flush(form: Format, a: int, fpscr: int) -> tuple[int, int]:
    """`a` as FPUnpack sees it: a denormal is a zero of its sign, with Input Denormal, under flush to zero."""
    if fpscr & FZ and not a & form.infinity and a & form.fraction_mask:
        return a & form.sign, IDC
    return a, 0


def negate(form: Format, a: int) -> int:
    """FPNeg: the other sign, NaNs included."""
    return a ^ form.sign


def absolute(form: Format, a: int) -> int:
    """FPAbs: no sign, NaNs included."""
    return a & (form.sign - 1)


def zero_of_difference(form: Format, fpscr: int) -> int:
    """The zero that x - x gives: negative only when rounding towards minus infinity."""
    return form.sign if fpscr & RMODE == _ROUND_DOWN else 0


def add(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """a + b."""
    return add_scaled(form, a, b, fpscr, 0)


def subtract(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """a - b. A NaN `b` propagates with its own sign, so this is not add(a, -b)."""
    if is_nan(form, b):
        return _invalid_or_nan(form, a, b, fpscr)
    return add_scaled(form, a, b ^ form.sign, fpscr, 0)


def add_scaled(form: Format, a: int, b: int, fpscr: int, scale: int) -> tuple[int, int]:
    """(a + b) * 2^scale, rounded once."""
    exponent_mask = form.exponent_mask
    fraction_bits = form.fraction_bits
    exponent_a = a >> fraction_bits & exponent_mask
    exponent_b = b >> fraction_bits & exponent_mask
    if exponent_a == exponent_mask or exponent_b == exponent_mask:
        return _add_special(form, a, b, fpscr)
    sign_shift = form.sign_shift
    sign_a, sign_b = a >> sign_shift, b >> sign_shift
    mantissa_a, mantissa_b = a & form.fraction_mask, b & form.fraction_mask
    flags = 0
    if exponent_a:
        mantissa_a |= form.hidden
    else:
        exponent_a = 1
        if fpscr & FZ and mantissa_a:
            mantissa_a, flags = 0, IDC
    if exponent_b:
        mantissa_b |= form.hidden
    else:
        exponent_b = 1
        if fpscr & FZ and mantissa_b:
            mantissa_b, flags = 0, IDC
    if mantissa_a == 0 and mantissa_b == 0 and sign_a == sign_b:
        return sign_a << sign_shift, flags
    # Align to the smaller exponent. Far below the other's last bit, only its being there matters.
    distance = exponent_a - exponent_b
    exponent = exponent_b
    if distance > 0:
        if distance > fraction_bits + 3:
            distance, mantissa_b = fraction_bits + 3, 1 if mantissa_b else 0
            exponent = exponent_a - distance
        mantissa_a <<= distance
    elif distance < 0:
        exponent = exponent_a
        if distance < -fraction_bits - 3:
            distance, mantissa_a = -fraction_bits - 3, 1 if mantissa_a else 0
            exponent = exponent_b + distance
        mantissa_b <<= -distance
    total = (-mantissa_a if sign_a else mantissa_a) + (-mantissa_b if sign_b else mantissa_b)
    if total == 0:
        return zero_of_difference(form, fpscr), flags
    exponent += form.lowest - 1 + scale
    if total < 0:
        result, more = round_to(form, 1, -total, exponent, fpscr)
    else:
        result, more = round_to(form, 0, total, exponent, fpscr)
    return result, flags | more


def _invalid_or_nan(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """FPProcessNaNs with the Input Denormal of the operand that is no NaN."""
    result, flags = process_nans(form, a, b, fpscr)
    return result, flags | flush(form, a, fpscr)[1] | flush(form, b, fpscr)[1]


def _add_special(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """a + b where one is an infinity or a NaN."""
    if is_nan(form, a) or is_nan(form, b):
        return _invalid_or_nan(form, a, b, fpscr)
    flags = flush(form, a, fpscr)[1] | flush(form, b, fpscr)[1]
    infinite_a = a & form.infinity == form.infinity
    infinite_b = b & form.infinity == form.infinity
    if infinite_a and infinite_b and a != b:
        return form.default_nan, IOC
    return (a if infinite_a else b), flags


def multiply(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """a * b."""
    exponent_mask = form.exponent_mask
    fraction_bits = form.fraction_bits
    exponent_a = a >> fraction_bits & exponent_mask
    exponent_b = b >> fraction_bits & exponent_mask
    signed = (a ^ b) & form.sign
    if exponent_a == exponent_mask or exponent_b == exponent_mask:
        return _multiply_special(form, a, b, signed, fpscr)
    mantissa_a, mantissa_b = a & form.fraction_mask, b & form.fraction_mask
    flags = 0
    if exponent_a:
        mantissa_a |= form.hidden
    else:
        exponent_a = 1
        if fpscr & FZ and mantissa_a:
            mantissa_a, flags = 0, IDC
    if exponent_b:
        mantissa_b |= form.hidden
    else:
        exponent_b = 1
        if fpscr & FZ and mantissa_b:
            mantissa_b, flags = 0, IDC
    product = mantissa_a * mantissa_b
    if product == 0:
        return signed, flags
    exponent = exponent_a + exponent_b + 2 * (form.lowest - 1)
    result, more = round_to(form, signed >> form.sign_shift, product, exponent, fpscr)
    return result, flags | more


def _multiply_special(form: Format, a: int, b: int, signed: int, fpscr: int) -> tuple[int, int]:
    """a * b where one is an infinity or a NaN."""
    if is_nan(form, a) or is_nan(form, b):
        return _invalid_or_nan(form, a, b, fpscr)
    a, flags_a = flush(form, a, fpscr)
    b, flags_b = flush(form, b, fpscr)
    if a & (form.sign - 1) == 0 or b & (form.sign - 1) == 0:
        # Zero times infinity.
        return form.default_nan, flags_a | flags_b | IOC
    return signed | form.infinity, flags_a | flags_b


def divide(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """a ÷ b."""
    if is_nan(form, a) or is_nan(form, b):
        return _invalid_or_nan(form, a, b, fpscr)
    a, flags_a = flush(form, a, fpscr)
    b, flags_b = flush(form, b, fpscr)
    flags = flags_a | flags_b
    magnitude_a, magnitude_b = a & (form.sign - 1), b & (form.sign - 1)
    signed = (a ^ b) & form.sign
    infinity = form.infinity
    if magnitude_a == infinity or magnitude_b == 0:
        if magnitude_a == magnitude_b or magnitude_a == 0:
            # Zero by zero, infinity by infinity.
            return form.default_nan, flags | IOC
        return signed | infinity, flags | (0 if magnitude_a == infinity else DZC)
    if magnitude_a == 0:
        return signed, flags
    if magnitude_b == infinity:
        return signed, flags
    mantissa_a, exponent_a = significand(form, magnitude_a)
    mantissa_b, exponent_b = significand(form, magnitude_b)
    # Enough quotient bits for the precision, two more, and a sticky bit from the remainder.
    shift = form.fraction_bits + 3 + max(mantissa_b.bit_length() - mantissa_a.bit_length(), 0)
    quotient, remainder = divmod(mantissa_a << shift, mantissa_b)
    if remainder:
        quotient = quotient << 1 | 1
        shift += 1
    sign = signed >> form.sign_shift
    result, more = round_to(form, sign, quotient, exponent_a - exponent_b - shift, fpscr)
    return result, flags | more


def square_root(form: Format, a: int, fpscr: int) -> tuple[int, int]:
    """The square root of a."""
    if is_nan(form, a):
        return process_nan(form, a, fpscr)
    a, flags = flush(form, a, fpscr)
    if a & (form.sign - 1) == 0 or a == form.infinity:
        return a, flags
    if a & form.sign:
        return form.default_nan, flags | IOC
    mantissa, exponent = significand(form, a)
    # An even exponent, and twice the wanted root bits.
    shift = 2 * form.fraction_bits + 6 - mantissa.bit_length()
    shift += (exponent - shift) & 1
    radicand = mantissa << shift
    root = isqrt(radicand)
    exponent = (exponent - shift) // 2
    if root * root != radicand:
        root = root << 1 | 1
        exponent -= 1
    result, more = round_to(form, 0, root, exponent, fpscr)
    return result, flags | more


def significand(form: Format, magnitude: int) -> tuple[int, int]:
    """(m, e) with m * 2^e the value of a finite pattern without sign."""
    exponent = magnitude >> form.fraction_bits
    fraction = magnitude & form.fraction_mask
    if exponent:
        return fraction | form.hidden, exponent + form.lowest - 1
    return fraction, form.lowest
