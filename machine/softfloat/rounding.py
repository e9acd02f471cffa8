"""FPRound: from an exact value to the nearest pattern of a format. ARM ARM A2.7.8."""

from __future__ import annotations

from retrap.machine.softfloat.control import FZ, IOC, IXC, OFC, RMODE_SHIFT, UFC
from retrap.machine.softfloat.formats import Format


def round_up(mode: int, sign: int, odd: int, error: int, half: int) -> bool:
    """Whether a magnitude whose discarded part is `error` (a unit is 2 * `half`) rounds away from zero."""
    if mode == 0:
        return error > half or (error == half and odd != 0)
    if error == 0 or mode == 3:
        return False
    return (mode == 1) == (sign == 0)


def round_to(form: Format, sign: int, magnitude: int, exponent: int, fpscr: int) -> tuple[int, int]:
    """(-1)^sign * magnitude * 2^exponent, magnitude > 0, as a pattern of `form`, and its exception flags.

    Bit 0 of a `magnitude` with at least two more bits than the format's precision may be a sticky bit.
    """
    length = magnitude.bit_length()
    fraction_bits = form.fraction_bits
    biased = exponent + length - 1 + form.bias
    if biased > 0:
        shift = length - 1 - fraction_bits
        flags = 0
    else:
        # Underflow is detected before rounding. A flushed result raises it without Inexact.
        if fpscr & FZ:
            return sign << form.sign_shift, UFC
        biased = 0
        shift = form.lowest - exponent
        flags = UFC
    if shift <= 0:
        # Exact: also of a denormal, which then does not underflow.
        flags = 0
        kept = magnitude << -shift
    else:
        kept = magnitude >> shift
        error = magnitude - (kept << shift)
        if error:
            flags |= IXC
            if round_up(fpscr >> RMODE_SHIFT & 3, sign, kept & 1, error, 1 << (shift - 1)):
                kept += 1
        else:
            flags = 0
    # The hidden bit adds one to the exponent field; a carry out of the fraction adds another.
    pattern = (biased << fraction_bits) + kept - (form.hidden if biased else 0)
    if pattern >= form.infinity and (form.has_infinity or pattern >= form.sign):
        return _overflow(form, sign, fpscr)
    return sign << form.sign_shift | pattern, flags


def _overflow(form: Format, sign: int, fpscr: int) -> tuple[int, int]:
    """The result above the largest number: an infinity or that number, by rounding mode."""
    signed = sign << form.sign_shift
    if not form.has_infinity:
        # Alternative half precision saturates, and calls that an invalid operation.
        return signed | form.sign - 1, IOC
    mode = fpscr >> RMODE_SHIFT & 3
    if mode == 0 or (mode == 1 and not sign) or (mode == 2 and sign):
        return signed | form.infinity, OFC | IXC
    return signed | form.largest, OFC | IXC
