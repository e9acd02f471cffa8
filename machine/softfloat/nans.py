"""How NaN operands become results. ARM ARM A2.7.8 (FPProcessNaN, FPProcessNaNs, FPProcessNaNs3)."""

from __future__ import annotations

from retrap.machine.softfloat.control import DN, IOC
from retrap.machine.softfloat.formats import Format


def is_nan(form: Format, a: int) -> bool:
    return a & (form.sign - 1) > form.infinity


def is_signalling(form: Format, a: int) -> bool:
    return a & (form.sign - 1) > form.infinity and not a & form.quiet


def process_nan(form: Format, a: int, fpscr: int) -> tuple[int, int]:
    """The result of an operation whose NaN operand `a` was chosen: `a` made quiet, or the default NaN."""
    flags = 0 if a & form.quiet else IOC
    return (form.default_nan if fpscr & DN else a | form.quiet), flags


def process_nans(form: Format, a: int, b: int, fpscr: int) -> tuple[int, int]:
    """The result if at least one operand is a NaN: signalling ones first, then in operand order."""
    if is_signalling(form, a):
        return process_nan(form, a, fpscr)
    if is_signalling(form, b):
        return process_nan(form, b, fpscr)
    return process_nan(form, a if is_nan(form, a) else b, fpscr)


def process_nans3(form: Format, a: int, b: int, c: int, fpscr: int) -> tuple[int, int]:
    """As `process_nans`, for three operands."""
    if is_nan(form, a) and (is_signalling(form, a) or not (is_signalling(form, b) or is_signalling(form, c))):
        return process_nan(form, a, fpscr)
    return process_nans(form, b, c, fpscr)
