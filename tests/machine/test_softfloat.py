"""softfloat against the host's floating point, and against rationals rounded as FPRound says."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.machine.softfloat import arithmetic, compare, convert, estimate, fused
from retrap.machine.softfloat.control import AHP, DN, DZC, FZ, IDC, IOC, IXC, OFC, RMODE_SHIFT, UFC, standard
from retrap.machine.softfloat.formats import DOUBLE, HALF, SINGLE, Format

FORMATS = st.sampled_from([SINGLE, DOUBLE])
CONTROLS = st.builds(
    lambda mode, flags: mode << RMODE_SHIFT | flags,
    st.integers(0, 3),
    st.sampled_from([0, FZ, DN, FZ | DN, AHP, AHP | FZ | DN]),
)


@st.composite
def patterns(draw: st.DrawFn, form: Format) -> int:
    """Patterns of `form`, with every class, and exponents near its ends and its middle, well represented."""
    exponent = draw(
        st.one_of(
            st.sampled_from([0, 1, 2, form.exponent_mask, form.exponent_mask - 1, form.exponent_mask - 2]),
            st.integers(form.bias - form.fraction_bits - 3, form.bias + form.fraction_bits + 3),
            st.integers(0, form.exponent_mask),
        )
    )
    exponent = min(max(exponent, 0), form.exponent_mask)
    fraction = draw(
        st.one_of(
            st.sampled_from([0, 1, 2, form.hidden - 1, form.hidden - 2, form.quiet, form.quiet + 1]),
            st.integers(0, form.fraction_mask),
        )
    )
    return draw(st.integers(0, 1)) << form.sign_shift | exponent << form.fraction_bits | fraction


# -- the reference: rationals, and the pseudocode's steps in the pseudocode's order ------------------------


def value_of(form: Format, a: int) -> Fraction:
    exponent, fraction = a >> form.fraction_bits & form.exponent_mask, a & form.fraction_mask
    if exponent == 0:
        magnitude = Fraction(fraction) * Fraction(2) ** (1 - form.bias - form.fraction_bits)
    else:
        magnitude = (1 + Fraction(fraction, form.hidden)) * Fraction(2) ** (exponent - form.bias)
    return -magnitude if a & form.sign else magnitude


def reference_round(form: Format, value: Fraction, fpscr: int, alternative: bool = False) -> tuple[int, int]:
    sign = int(value < 0)
    mantissa, exponent = abs(value), 0
    while mantissa < 1:
        mantissa, exponent = mantissa * 2, exponent - 1
    while mantissa >= 2:
        mantissa, exponent = mantissa / 2, exponent + 1
    minimum = 1 - form.bias
    if fpscr & FZ and form.bits != 16 and exponent < minimum:
        return sign << form.sign_shift, UFC
    flags = 0
    biased = max(exponent - minimum + 1, 0)
    if biased == 0:
        mantissa /= Fraction(2) ** (minimum - exponent)
    whole = math.floor(mantissa * form.hidden)
    error = mantissa * form.hidden - whole
    if biased == 0 and error:
        flags |= UFC
    mode = fpscr >> RMODE_SHIFT & 3
    half = Fraction(1, 2)
    if mode == 0:
        up, to_infinity = error > half or (error == half and whole & 1 == 1), True
    elif mode == 1:
        up, to_infinity = error != 0 and not sign, not sign
    elif mode == 2:
        up, to_infinity = error != 0 and sign == 1, sign == 1
    else:
        up, to_infinity = False, False
    if up:
        whole += 1
        if whole == form.hidden:
            biased = 1
        if whole == 2 * form.hidden:
            biased, whole = biased + 1, whole // 2
    signed = sign << form.sign_shift
    if alternative:
        if biased >= form.exponent_mask + 1:
            return signed | form.sign - 1, flags | IOC
    elif biased >= form.exponent_mask:
        return signed | (form.infinity if to_infinity else form.infinity - 1), flags | OFC | IXC
    return signed | biased << form.fraction_bits | whole & form.fraction_mask, flags | (IXC if error else 0)


def is_special(form: Format, a: int) -> bool:
    return a & form.infinity == form.infinity


def flushed(form: Format, a: int, fpscr: int) -> tuple[int, int]:
    if fpscr & FZ and a & form.infinity == 0 and a & form.fraction_mask:
        return a & form.sign, IDC
    return a, 0


def reference_exact(form: Format, value: Fraction, zero_sign: int, fpscr: int) -> tuple[int, int]:
    return reference_round(form, value, fpscr) if value else (zero_sign << form.sign_shift, 0)


# -- finite arithmetic, all modes --------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.data(), FORMATS, CONTROLS)
def test_finite_arithmetic_is_the_rounded_exact_result(data: st.DataObject, form: Format, fpscr: int) -> None:
    finite = patterns(form).filter(lambda a: not is_special(form, a))
    a, b, c = data.draw(finite), data.draw(finite), data.draw(finite)
    (fa, ia), (fb, ib), (fc, ic) = flushed(form, a, fpscr), flushed(form, b, fpscr), flushed(form, c, fpscr)
    x, y, z = value_of(form, fa), value_of(form, fb), value_of(form, fc)
    sa, sb, sc = fa >> form.sign_shift, fb >> form.sign_shift, fc >> form.sign_shift
    down = int(fpscr >> RMODE_SHIFT & 3 == 2)

    result, flags = reference_exact(form, x + y, sa if sa == sb and not x else down, fpscr)
    assert arithmetic.add(form, a, b, fpscr) == (result, flags | ia | ib)
    result, flags = reference_exact(form, x - y, sa if sa != sb and not x else down, fpscr)
    assert arithmetic.subtract(form, a, b, fpscr) == (result, flags | ia | ib)
    result, flags = reference_exact(form, x * y, sa ^ sb, fpscr)
    assert arithmetic.multiply(form, a, b, fpscr) == (result, flags | ia | ib)
    if y:
        result, flags = reference_exact(form, x / y, sa ^ sb, fpscr)
        assert arithmetic.divide(form, a, b, fpscr) == (result, flags | ia | ib)
    total = z + x * y
    zero = sc if not z and not x * y and sc == sa ^ sb else down
    result, flags = reference_exact(form, total, zero, fpscr)
    assert fused.multiply_add(form, c, a, b, fpscr) == (result, flags | ia | ib | ic)


@settings(max_examples=100, deadline=None)
@given(st.data(), FORMATS, CONTROLS)
def test_near_cancellation_in_fused_multiply_add(data: st.DataObject, form: Format, fpscr: int) -> None:
    finite = patterns(form).filter(lambda a: not is_special(form, a))
    fpscr &= ~FZ
    a, b = data.draw(finite), data.draw(finite)
    product, _ = arithmetic.multiply(form, a, b, fpscr)
    c = (product ^ form.sign) + data.draw(st.integers(-2, 2))
    if c < 0 or c >> form.bits or is_special(form, c):
        return
    total = value_of(form, c) + value_of(form, a) * value_of(form, b)
    if total:
        assert fused.multiply_add(form, c, a, b, fpscr) == reference_round(form, total, fpscr)


@settings(max_examples=100, deadline=None)
@given(st.data(), FORMATS, CONTROLS)
def test_square_root_brackets_its_operand(data: st.DataObject, form: Format, fpscr: int) -> None:
    a = data.draw(patterns(form).filter(lambda a: not is_special(form, a))) & (form.sign - 1)
    operand, denormal = flushed(form, a, fpscr)
    result, flags = arithmetic.square_root(form, a, fpscr)
    assert flags & ~(IXC | IDC) == 0 and flags & IDC == denormal
    root, x = value_of(form, result), value_of(form, operand)
    assert (root * root != x) == bool(flags & IXC)
    if not flags & IXC:
        return
    below, above = value_of(form, result - 1), value_of(form, result + 1)
    mode = fpscr >> RMODE_SHIFT & 3
    if mode == 0:
        assert ((below + root) / 2) ** 2 <= x <= ((root + above) / 2) ** 2
    elif mode == 1:
        assert below * below < x < root * root
    else:
        assert root * root < x < above * above


def double(a: int) -> float:
    return struct.unpack("<d", struct.pack("<Q", a))[0]  # type: ignore[no-any-return]


def bits_of(x: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", x))[0]  # type: ignore[no-any-return]


@settings(max_examples=200, deadline=None)
@given(patterns(DOUBLE), patterns(DOUBLE))
def test_doubles_as_the_host_computes_them(a: int, b: int) -> None:
    x, y = double(a), double(b)
    if math.isnan(x) or math.isnan(y):
        return
    for ours, theirs in (
        (arithmetic.add(DOUBLE, a, b, 0), x + y),
        (arithmetic.subtract(DOUBLE, a, b, 0), x - y),
        (arithmetic.multiply(DOUBLE, a, b, 0), x * y),
    ):
        if math.isnan(theirs):
            assert ours == (DOUBLE.default_nan, IOC)
        else:
            assert ours[0] == bits_of(theirs)
    if y:
        theirs = x / y
        ours = arithmetic.divide(DOUBLE, a, b, 0)
        assert ours == (DOUBLE.default_nan, IOC) if math.isnan(theirs) else ours[0] == bits_of(theirs)
    if x >= 0:
        assert arithmetic.square_root(DOUBLE, a, 0)[0] == bits_of(math.sqrt(x))
    relation, _ = compare.compare(DOUBLE, a, b, False, 0)
    assert relation == (compare.LESS if x < y else compare.EQUAL if x == y else compare.GREATER)


# -- NaNs, infinities, zeroes ------------------------------------------------------------------------------

SNAN, QNAN = 0x7F800001, 0xFFC12345
INF, ONE, DENORMAL, SIGN = 0x7F800000, 0x3F800000, 0x00000001, 0x80000000


@pytest.mark.parametrize(
    ("operation", "a", "b", "fpscr", "expected"),
    [
        (arithmetic.add, INF, INF | SIGN, 0, (SINGLE.default_nan, IOC)),
        (arithmetic.subtract, INF, INF, 0, (SINGLE.default_nan, IOC)),
        (arithmetic.add, INF, ONE, 0, (INF, 0)),
        (arithmetic.add, DENORMAL, INF, FZ, (INF, IDC)),
        (arithmetic.add, QNAN, SNAN, 0, (SNAN | 0x400000, IOC)),
        (arithmetic.add, QNAN, SNAN, DN, (SINGLE.default_nan, IOC)),
        (arithmetic.subtract, ONE, QNAN, 0, (QNAN, 0)),
        (arithmetic.subtract, QNAN, SNAN | SIGN, 0, (SNAN | SIGN | 0x400000, IOC)),
        (arithmetic.multiply, QNAN, DENORMAL, FZ, (QNAN, IDC)),
        (arithmetic.multiply, INF, DENORMAL, FZ, (SINGLE.default_nan, IOC | IDC)),
        (arithmetic.multiply, INF, DENORMAL | SIGN, 0, (INF | SIGN, 0)),
        (arithmetic.multiply, INF, 0, 0, (SINGLE.default_nan, IOC)),
        (arithmetic.divide, ONE, SIGN, 0, (INF | SIGN, DZC)),
        (arithmetic.divide, ONE, DENORMAL, FZ, (INF, DZC | IDC)),
        (arithmetic.divide, 0, SIGN, 0, (SINGLE.default_nan, IOC)),
        (arithmetic.divide, INF, INF, 0, (SINGLE.default_nan, IOC)),
        (arithmetic.divide, INF, SIGN, 0, (INF | SIGN, 0)),
        (arithmetic.divide, ONE, INF | SIGN, 0, (SIGN, 0)),
        (compare.maximum, 0, SIGN, 0, (0, 0)),
        (compare.minimum, 0, SIGN, 0, (SIGN, 0)),
        (compare.maximum, ONE, QNAN, DN, (SINGLE.default_nan, 0)),
        (compare.maximum, DENORMAL, SIGN | ONE, FZ, (0, IDC)),
        (compare.minimum, INF, ONE, 0, (ONE, 0)),
        (compare.is_equal, QNAN, ONE, 0, (0, 0)),
        (compare.is_equal, SNAN, ONE, 0, (0, IOC)),
        (compare.is_equal, 0, SIGN, 0, (1, 0)),
        (compare.is_greater, ONE, QNAN, 0, (0, IOC)),
        (compare.is_greater_or_equal, ONE, ONE, 0, (1, 0)),
    ],
)
def test_special_operands(operation, a, b, fpscr, expected) -> None:  # type: ignore[no-untyped-def]
    assert operation(SINGLE, a, b, fpscr) == expected


@pytest.mark.parametrize(
    ("addend", "a", "b", "expected"),
    [
        (QNAN, INF, 0, (SINGLE.default_nan, IOC)),
        (SNAN, INF, 0, (SNAN | 0x400000, IOC)),
        (QNAN, ONE, SNAN, (SNAN | 0x400000, IOC)),
        (QNAN, QNAN & ~1, ONE, (QNAN, 0)),
        (ONE, QNAN, QNAN & ~1, (QNAN, 0)),
        (INF, INF | SIGN, ONE, (SINGLE.default_nan, IOC)),
        (INF, INF, ONE, (INF, 0)),
        (INF, 0, INF, (SINGLE.default_nan, IOC)),
        (INF, ONE, ONE | SIGN, (INF, 0)),
        (ONE, INF, ONE | SIGN, (INF | SIGN, 0)),
        (SIGN, 0, ONE | SIGN, (SIGN, 0)),
        (0, 0, ONE | SIGN, (0, 0)),
    ],
)
def test_fused_special_operands(addend: int, a: int, b: int, expected: tuple[int, int]) -> None:
    assert fused.multiply_add(SINGLE, addend, a, b, 0) == expected


def test_square_root_specials() -> None:
    assert arithmetic.square_root(SINGLE, SIGN, 0) == (SIGN, 0)
    assert arithmetic.square_root(SINGLE, SIGN | ONE, 0) == (SINGLE.default_nan, IOC)
    assert arithmetic.square_root(SINGLE, SIGN | DENORMAL, FZ) == (SIGN, IDC)
    assert arithmetic.square_root(SINGLE, INF, 0) == (INF, 0)
    assert arithmetic.square_root(SINGLE, SNAN, 0) == (SNAN | 0x400000, IOC)


# -- conversions -------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.data(), FORMATS, CONTROLS, st.sampled_from([16, 32]), st.booleans())
def test_to_fixed(data: st.DataObject, form: Format, fpscr: int, bits: int, unsigned: bool) -> None:
    a = data.draw(patterns(form))
    fraction_bits = data.draw(st.integers(0, bits))
    result, flags = convert.to_fixed(form, a, bits, fraction_bits, unsigned, fpscr)
    if is_special(form, a) and a & form.fraction_mask:
        assert (result, flags) == (0, IOC)
        return
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if is_special(form, a):
        assert (result, flags) == ((low if a & form.sign else high) % 2**bits, IOC)
        return
    operand, denormal = flushed(form, a, fpscr)
    value = value_of(form, operand) * 2**fraction_bits
    whole = math.floor(value)
    error = value - whole
    mode = fpscr >> RMODE_SHIFT & 3
    up = (
        error > Fraction(1, 2) or (error == Fraction(1, 2) and whole & 1 == 1),
        error != 0,
        False,
        error != 0 and whole < 0,
    )[mode]
    whole += int(up)
    if low <= whole <= high:
        assert (result, flags) == (whole % 2**bits, denormal | (IXC if error else 0))
    else:
        assert (result, flags) == ((low if whole < low else high) % 2**bits, denormal | IOC)


@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize("unsigned", [False, True])
@given(
    a=st.integers(0, 2**32 - 1),
    form=FORMATS,
    fpscr=CONTROLS,
    bits=st.sampled_from([16, 32]),
    fraction_bits=st.integers(0, 32),
)
def test_from_fixed(a: int, form: Format, fpscr: int, bits: int, fraction_bits: int, unsigned: bool) -> None:
    a &= (1 << bits) - 1
    value = a if unsigned or not a >> (bits - 1) else a - (1 << bits)
    expected = reference_exact(form, Fraction(value, 1 << fraction_bits), 0, fpscr)
    assert convert.from_fixed(form, a, bits, fraction_bits, unsigned, fpscr) == expected


@settings(max_examples=133, deadline=None)
@given(patterns(SINGLE), patterns(DOUBLE), CONTROLS)
def test_changes_of_format(single: int, wide: int, fpscr: int) -> None:
    if not is_special(SINGLE, single):
        operand, denormal = flushed(SINGLE, single, fpscr)
        value, sign = value_of(SINGLE, operand), single >> 31
        result, flags = reference_exact(DOUBLE, value, sign, fpscr)
        assert convert.single_to_double(single, fpscr) == (result, flags | denormal)
        result, flags = (
            reference_round(HALF, value, fpscr, bool(fpscr & AHP)) if value else (sign << 15, 0)
        )
        assert convert.single_to_half(single, fpscr) == (result, flags | denormal)
    if not is_special(DOUBLE, wide):
        operand, denormal = flushed(DOUBLE, wide, fpscr)
        result, flags = reference_exact(SINGLE, value_of(DOUBLE, operand), wide >> 63, fpscr)
        assert convert.double_to_single(wide, fpscr) == (result, flags | denormal)


def test_every_half_survives_the_way_through_single() -> None:
    for fpscr in (0, FZ, AHP, AHP | FZ):
        for a in range(1 << 16):
            if not fpscr & AHP and a & 0x7FFF > 0x7C00:
                continue
            widened, flags = convert.half_to_single(a, fpscr)
            assert flags == 0
            if not fpscr & AHP and a & 0x7FFF == 0x7C00:
                assert widened & 0x7FFFFFFF == 0x7F800000
            else:
                assert convert.single_to_half(widened, fpscr) == (a, 0)


def test_half_precision_as_the_host_converts() -> None:
    for a in range(0, 1 << 16, 7):
        if a & 0x7FFF <= 0x7C00:
            theirs = struct.pack("<f", struct.unpack("<e", a.to_bytes(2, "little"))[0])
            assert convert.half_to_single(a, 0)[0] == int.from_bytes(theirs, "little")


@pytest.mark.parametrize(
    ("function", "a", "fpscr", "expected"),
    [
        (convert.half_to_single, 0x7C01, 0, (0x7FC02000, IOC)),
        (convert.half_to_single, 0xFE01, 0, (0xFFC02000, 0)),
        (convert.half_to_single, 0xFE01, DN, (0x7FC00000, 0)),
        (convert.half_to_single, 0x7C01, AHP, (0x47802000, 0)),
        (convert.single_to_half, SNAN, 0, (0x7E00, IOC)),
        (convert.single_to_half, QNAN, 0, (0xFE00 | 0x12345 >> 13, 0)),
        (convert.single_to_half, QNAN, AHP, (0x8000, IOC)),
        (convert.single_to_half, INF, AHP, (0x7FFF, IOC)),
        (convert.single_to_half, INF | SIGN, 0, (0xFC00, 0)),
        (convert.single_to_double, QNAN, 0, (0xFFF82468A0000000, 0)),
        (convert.single_to_double, SNAN, DN, (DOUBLE.default_nan, IOC)),
        (convert.double_to_single, 0xFFF82468A0000001, 0, (QNAN, 0)),
        (convert.double_to_single, 0x7FF0000000000001, 0, (0x7FC00000, IOC)),
        (convert.double_to_single, 0x7FF0000000000000, 0, (INF, 0)),
    ],
)
def test_nans_and_infinities_change_format(function, a, fpscr, expected) -> None:  # type: ignore[no-untyped-def]
    assert function(a, fpscr) == expected


# -- estimates ---------------------------------------------------------------------------------------------


def test_estimate_tables_are_what_the_pseudocode_computes() -> None:
    for q in range(256, 512):
        r = 1.0 / ((q + 0.5) / 512.0)
        assert estimate.RECIPROCALS[q - 256] == int(256.0 * r + 0.5)
    for q in range(128, 256):
        assert estimate.RECIPROCAL_ROOTS[q - 128] == int(256.0 / math.sqrt((q + 0.5) / 512.0) + 0.5)
        assert estimate.RECIPROCAL_ROOTS[q] == int(256.0 / math.sqrt((q + 0.5) / 256.0) + 0.5)


@given(patterns(SINGLE))
def test_estimates_are_good_to_eight_bits(a: int) -> None:
    fpscr = standard(0)
    if is_special(SINGLE, a) or not a & INF:
        return
    x = value_of(SINGLE, a)
    result, flags = estimate.reciprocal_estimate(a, fpscr)
    if abs(x) >= Fraction(2) ** 126:
        assert (result, flags) == (a & SIGN, UFC)
    else:
        assert flags == 0 and abs(value_of(SINGLE, result) * x - 1) < Fraction(1, 256)
    result, flags = estimate.reciprocal_root_estimate(a, fpscr)
    if x < 0:
        assert (result, flags) == (SINGLE.default_nan, IOC)
    else:
        assert flags == 0 and abs(value_of(SINGLE, result) ** 2 * x - 1) < Fraction(1, 128)


@given(st.integers(0, 2**32 - 1))
def test_unsigned_estimates(a: int) -> None:
    result = estimate.unsigned_reciprocal_estimate(a)
    if a >> 31:
        assert abs(Fraction(a, 2**32) * Fraction(result, 2**31) - 1) < Fraction(1, 256)
    else:
        assert result == 0xFFFFFFFF
    result = estimate.unsigned_reciprocal_root_estimate(a)
    if a >> 30:
        assert abs(Fraction(a, 2**32) * Fraction(result, 2**31) ** 2 - 1) < Fraction(1, 128)
    else:
        assert result == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("function", "a", "expected"),
    [
        (estimate.reciprocal_estimate, 0, (INF, DZC)),
        (estimate.reciprocal_estimate, SIGN | DENORMAL, (INF | SIGN, DZC | IDC)),
        (estimate.reciprocal_estimate, INF | SIGN, (SIGN, 0)),
        (estimate.reciprocal_estimate, SNAN, (SINGLE.default_nan, IOC)),
        (estimate.reciprocal_root_estimate, SIGN, (INF | SIGN, DZC)),
        (estimate.reciprocal_root_estimate, INF, (0, 0)),
        (estimate.reciprocal_root_estimate, INF | SIGN, (SINGLE.default_nan, IOC)),
        (estimate.reciprocal_root_estimate, QNAN, (SINGLE.default_nan, 0)),
    ],
)
def test_estimates_of_special_operands(function, a, expected) -> None:  # type: ignore[no-untyped-def]
    assert function(a, standard(0)) == expected


def test_newton_steps() -> None:
    fpscr = standard(0)
    assert estimate.reciprocal_step(0, INF, fpscr) == (0x40000000, 0)
    assert estimate.reciprocal_root_step(INF, SIGN, fpscr) == (0x3FC00000, 0)
    assert estimate.reciprocal_step(ONE, ONE, fpscr) == (ONE, 0)
    assert estimate.reciprocal_root_step(ONE, ONE, fpscr) == (ONE, 0)
    assert estimate.reciprocal_step(INF, ONE, fpscr) == (INF | SIGN, 0)
    assert estimate.reciprocal_step(QNAN, ONE, fpscr) == (SINGLE.default_nan, 0)
    assert estimate.reciprocal_root_step(DENORMAL, ONE, fpscr) == (0x3FC00000, IDC)
