"""Fused multiply-add: one rounding. ARM ARM A2.7.8 (FPMulAdd)."""

from __future__ import annotations

from retrap.machine.softfloat.arithmetic import flush, significand, zero_of_difference
from retrap.machine.softfloat.control import IOC
from retrap.machine.softfloat.formats import Format
from retrap.machine.softfloat.nans import process_nans3
from retrap.machine.softfloat.rounding import round_to


def multiply_add(form: Format, addend: int, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """addend + a * b, rounded once."""
    addend, flags_addend = flush(form, addend, fpscr)
    a, flags_a = flush(form, a, fpscr)
    b, flags_b = flush(form, b, fpscr)
    flags = flags_addend | flags_a | flags_b
    infinity, sign = form.infinity, form.sign
    magnitude_c, magnitude_a, magnitude_b = addend & (sign - 1), a & (sign - 1), b & (sign - 1)
    meaningless = magnitude_a | magnitude_b == infinity and (magnitude_a == 0 or magnitude_b == 0)
    if magnitude_c > infinity or magnitude_a > infinity or magnitude_b > infinity:
        if meaningless and addend & form.quiet:
            # Zero times infinity beats a quiet NaN addend, and is what gets reported.
            return form.default_nan, flags | IOC
        result, more = process_nans3(form, addend, a, b, fpscr)
        return result, flags | more
    product_sign = (a ^ b) & sign
    infinite_product = magnitude_a == infinity or magnitude_b == infinity
    if meaningless or (infinite_product and magnitude_c == infinity and addend & sign != product_sign):
        return form.default_nan, flags | IOC
    if magnitude_c == infinity:
        return addend, flags
    if infinite_product:
        return product_sign | infinity, flags
    mantissa_a, exponent_a = significand(form, magnitude_a)
    mantissa_b, exponent_b = significand(form, magnitude_b)
    product, exponent = mantissa_a * mantissa_b, exponent_a + exponent_b
    if magnitude_c == 0 and product == 0:
        same = addend & sign == product_sign
        return (product_sign if same else zero_of_difference(form, fpscr)), flags
    total, exponent_c = significand(form, magnitude_c)
    # Align exactly, except where one is so far below the other that only its being there matters.
    limit = 2 * form.fraction_bits + 6
    distance = exponent - exponent_c
    if product and total:
        if distance > limit:
            product, total, exponent = product << limit, 1, exponent - limit
        elif distance >= 0:
            product, exponent = product << distance, exponent_c
        elif distance < -limit:
            total, product, exponent = total << limit, 1, exponent_c - limit
        else:
            total <<= -distance
    elif product == 0:
        exponent = exponent_c
    if product_sign:
        product = -product
    if addend & sign:
        total = -total
    total += product
    if total == 0:
        return zero_of_difference(form, fpscr), flags
    result, more = round_to(form, int(total < 0), abs(total), exponent, fpscr)
    return result, flags | more

