"""Comparisons, maximum and minimum. ARM ARM A2.7.8 (FPCompare, FPCompareEQ, GE, GT, FPMax, FPMin)."""

from __future__ import annotations

from typing import Final

from retrap.machine.softfloat.arithmetic import flush
from retrap.machine.softfloat.control import IOC
from retrap.machine.softfloat.formats import Format
from retrap.machine.softfloat.nans import is_nan, is_signalling, process_nans

LESS: Final = 0b1000
EQUAL: Final = 0b0110
GREATER: Final = 0b0010
UNORDERED: Final = 0b0011


def order(form: Format, a: int) -> int:
    """A number that orders as the value does (no NaNs); both zeroes are 0."""
    return -(a - form.sign) if a & form.sign else a


def compare(form: Format, a: int, b: int, quiet_nan_is_invalid: bool, fpscr: int) -> tuple[int, int]:
    """(NZCV, flags): LESS, EQUAL, GREATER or UNORDERED. Signalling NaNs are always invalid operands."""
    a, flags_a = flush(form, a, fpscr)
    b, flags_b = flush(form, b, fpscr)
    flags = flags_a | flags_b
    if is_nan(form, a) or is_nan(form, b):
        if quiet_nan_is_invalid or is_signalling(form, a) or is_signalling(form, b):
            flags |= IOC
        return UNORDERED, flags
    left, right = order(form, a), order(form, b)
    if left == right:
        return EQUAL, flags
    return (LESS if left < right else GREATER), flags


def is_equal(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """(1 if a = b else 0, flags). Only signalling NaNs are invalid operands."""
    relation, flags = compare(form, a, b, False, fpscr)
    return int(relation == EQUAL), flags


def is_greater_or_equal(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """(1 if a ≥ b else 0, flags). Any NaN is an invalid operand."""
    relation, flags = compare(form, a, b, True, fpscr)
    return int(relation in (EQUAL, GREATER)), flags


def is_greater(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """(1 if a > b else 0, flags). Any NaN is an invalid operand."""
    relation, flags = compare(form, a, b, True, fpscr)
    return int(relation == GREATER), flags


def maximum(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """The larger operand; NaNs propagate; +0 is larger than -0."""
    return _extreme(form, a, b, fpscr, False)


def minimum(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """The smaller operand; NaNs propagate; -0 is smaller than +0."""
    return _extreme(form, a, b, fpscr, True)


def _extreme(form: Format, a: int, b: int, fpscr: int, least: bool) -> tuple[int, int]:
    a, flags_a = flush(form, a, fpscr)
    b, flags_b = flush(form, b, fpscr)
    flags = flags_a | flags_b
    if is_nan(form, a) or is_nan(form, b):
        result, more = process_nans(form, a, b, fpscr)
        return result, flags | more
    left, right = order(form, a), order(form, b)
    if left == right:
        # Only zeroes of two signs differ here.
        return (a | b if least else a & b), flags
    return (a if (left < right) == least else b), flags
