"""The common cases of floating-point helpers on the host's arithmetic, flags included.

A rule computes a helper's results from its arguments, and a one-bit value that says whether they hold; if it is
0 the evaluator does the instruction. They hold when the mode is the one rounding that the host uses (to nearest),
operands are zeroes or normal numbers, and so is the result: then the only flag that can be raised is Inexact.
Whether a result is exact is computed exactly: the error of a sum by Knuth's TwoSum, of single-precision products
and quotients in double precision, of double-precision ones by counting significant bits. ARM detects tininess
before rounding (A2.7.8, FPRound): so the least normal number does not count as a safe result of rounding.

Constants appear in integer operations only: a function must be all in its text (`arena`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retrap.machine.llvm.rules import Emitter
from retrap.machine.softfloat.control import FZ, IXC, RMODE

Rule = Callable[[Emitter, tuple[str, ...]], tuple[tuple[str, ...], str]]
"""(emitter, arguments) → (results, whether they hold)."""

_FRACTION: Final = {32: 23, 64: 52}
_EXPONENT: Final = {32: 8, 64: 11}
_TYPE: Final = {32: "float", 64: "double"}


def _as_float(e: Emitter, w: int, x: str) -> str:
    return e.define(f"bitcast i{w} {x} to {_TYPE[w]}")


def _as_bits(e: Emitter, w: int, x: str) -> str:
    return e.define(f"bitcast {_TYPE[w]} {x} to i{w}")


def _magnitude(e: Emitter, w: int, x: str) -> str:
    """The pattern without its sign, one bit to the left."""
    return e.define(f"shl i{w} {x}, 1")


def _between(e: Emitter, w: int, magnitude: str, low: int, high: int) -> str:
    """Whether the biased exponent is in [low, high)."""
    unit = _FRACTION[w] + 1
    off = e.define(f"sub i{w} {magnitude}, {low << unit}")
    return e.define(f"icmp ult i{w} {off}, {(high - low) << unit}")


def _zero(e: Emitter, w: int, magnitude: str) -> str:
    return e.define(f"icmp eq i{w} {magnitude}, 0")


def _usable(e: Emitter, w: int, x: str) -> str:
    """Zero, or normal and not among the largest (so that no intermediate result overflows)."""
    magnitude = _magnitude(e, w, x)
    normal = _between(e, w, magnitude, 1, (1 << _EXPONENT[w]) - 3)
    return e.define(f"or i1 {normal}, {_zero(e, w, magnitude)}")


def _safe(e: Emitter, w: int, x: str) -> str:
    """Normal, and not the result of rounding something tiny."""
    return _between(e, w, _magnitude(e, w, x), 2, (1 << _EXPONENT[w]) - 3)


def _all(e: Emitter, *conditions: str) -> str:
    result = conditions[0]
    for other in conditions[1:]:
        result = e.define(f"and i1 {result}, {other}")
    return result


def _nearest(e: Emitter, control: str) -> str:
    return e.define(f"icmp eq i32 {e.define(f'and i32 {control}, {RMODE}')}, 0")


def _inexact(e: Emitter, when: str) -> str:
    return e.define(f"select i1 {when}, i32 {IXC}, i32 0")


def _exact_product(e: Emitter, x: str, y: str, product: str) -> str:
    """Whether binary64 `product` (a pattern, normal) is x * y and not only next to it.

    The product of the significands has as many trailing zeroes as both together, and 105 or 106 bits: which, say
    the exponents. If all but the trailing zeroes fit 53 bits, nothing was rounded. (A carry out of rounding makes
    it look longer, and then it is inexact anyway.)
    """
    zeroes, exponents = [], []
    for pattern in (x, y):
        fraction = e.define(f"or i64 {pattern}, {1 << 52}")
        zeroes.append(e.define(f"call i64 @llvm.cttz.i64(i64 {fraction}, i1 true)"))
        exponents.append(_exponent(e, pattern))
    both = e.define(f"add i64 {zeroes[0]}, {zeroes[1]}")
    sum_ = e.define(f"add i64 {exponents[0]}, {exponents[1]}")
    extra = e.define(f"sub i64 {_exponent(e, product)}, {sum_}")  # less the bias: 0 or 1
    bits = e.define(f"add i64 {extra}, {1023 + 105 - 53}")
    return e.define(f"icmp sle i64 {bits}, {both}")


def _exponent(e: Emitter, pattern: str) -> str:
    high = e.define(f"lshr i64 {pattern}, 52")
    return e.define(f"and i64 {high}, 2047")


def _add(w: int, subtract: bool) -> Rule:
    kind = _TYPE[w]

    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        x, y, control = arguments
        if subtract:
            y = e.define(f"xor i{w} {y}, {1 << (w - 1)}")
        a, b = _as_float(e, w, x), _as_float(e, w, y)
        total = e.define(f"fadd {kind} {a}, {b}")
        b_part = e.define(f"fsub {kind} {total}, {a}")
        a_part = e.define(f"fsub {kind} {total}, {b_part}")
        a_error = e.define(f"fsub {kind} {a}, {a_part}")
        b_error = e.define(f"fsub {kind} {b}, {b_part}")
        rounded = e.define(f"fcmp une {kind} {a_error}, {e.define(f'fsub {kind} 0.0, {b_error}')}")
        result = _as_bits(e, w, total)
        good = _all(e, _nearest(e, control), _usable(e, w, x), _usable(e, w, y), _usable(e, w, result))
        return (result, _inexact(e, rounded)), good

    return rule


def _multiply_single(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    x, y, control = arguments
    a = e.define(f"fpext float {_as_float(e, 32, x)} to double")
    b = e.define(f"fpext float {_as_float(e, 32, y)} to double")
    product = e.define(f"fmul double {a}, {b}")  # exact
    narrow = e.define(f"fptrunc double {product} to float")
    back = e.define(f"fpext float {narrow} to double")
    rounded = e.define(f"fcmp une double {back}, {product}")
    result = _as_bits(e, 32, narrow)
    nothing = e.define(f"fcmp oeq double {product}, 0.0")
    good = e.define(f"or i1 {_safe(e, 32, result)}, {nothing}")
    good = _all(e, good, _nearest(e, control), _usable(e, 32, x), _usable(e, 32, y))
    return (result, _inexact(e, rounded)), good


def _multiply_double(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    x, y, control = arguments
    result = _as_bits(e, 64, e.define(f"fmul double {_as_float(e, 64, x)}, {_as_float(e, 64, y)}"))
    either = e.define(f"or i1 {_is_zero(e, 64, x)}, {_is_zero(e, 64, y)}")
    exact = e.define(f"or i1 {_exact_product(e, x, y, result)}, {either}")
    good = e.define(f"or i1 {_safe(e, 64, result)}, {either}")
    good = _all(e, good, _nearest(e, control), _usable(e, 64, x), _usable(e, 64, y))
    return (result, _inexact(e, e.define(f"xor i1 {exact}, true"))), good


def _is_zero(e: Emitter, w: int, x: str) -> str:
    return _zero(e, w, _magnitude(e, w, x))


def _divide(w: int) -> Rule:
    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        x, y, control = arguments
        a, b = _as_float(e, w, x), _as_float(e, w, y)
        quotient = e.define(f"fdiv {_TYPE[w]} {a}, {b}")
        result = _as_bits(e, w, quotient)
        exact = _product_is(e, w, quotient, b, result, y, a)
        nothing = _is_zero(e, w, x)
        exact = e.define(f"or i1 {exact}, {nothing}")
        good = e.define(f"or i1 {_safe(e, w, result)}, {nothing}")
        good = _all(e, good, _nearest(e, control), _usable(e, w, x), _safe(e, w, y))
        return (result, _inexact(e, e.define(f"xor i1 {exact}, true"))), good

    return rule


def _square_root(w: int) -> Rule:
    kind = _TYPE[w]

    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        x, control = arguments
        a = _as_float(e, w, x)
        root = e.define(f"call {kind} @llvm.sqrt.f{w}({kind} {a})")
        result = _as_bits(e, w, root)
        exact = _product_is(e, w, root, root, result, result, a)
        positive = e.define(f"icmp sge i{w} {x}, 0")
        good = _all(e, positive, _safe(e, w, x), _nearest(e, control))
        return (result, _inexact(e, e.define(f"xor i1 {exact}, true"))), good

    return rule


def _product_is(e: Emitter, w: int, a: str, b: str, a_bits: str, b_bits: str, expected: str) -> str:
    """Whether a * b is exactly `expected`, a normal number."""
    if w == 32:
        wide = [e.define(f"fpext float {x} to double") for x in (a, b, expected)]
        return e.define(f"fcmp oeq double {e.define(f'fmul double {wide[0]}, {wide[1]}')}, {wide[2]}")
    product = e.define(f"fmul double {a}, {b}")
    same = e.define(f"fcmp oeq double {product}, {expected}")
    return e.define(f"and i1 {same}, {_exact_product(e, a_bits, b_bits, _as_bits(e, 64, product))}")


def _ordered(e: Emitter, w: int, arguments: tuple[str, ...]) -> tuple[str, str, str]:
    """Two operands as numbers, and whether they are (without NaNs, and without denormals if those are flushed)."""
    x, y, control = arguments[0], arguments[1], arguments[-1]
    top = ((1 << _EXPONENT[w]) - 1) << (_FRACTION[w] + 1)
    good = _all(
        e,
        *(e.define(f"icmp ule i{w} {_magnitude(e, w, z)}, {top}") for z in (x, y)),
    )
    kept = e.define(f"icmp eq i32 {e.define(f'and i32 {control}, {FZ}')}, 0")
    simple = _all(e, _usable(e, w, x), _usable(e, w, y))
    good = _all(e, good, e.define(f"or i1 {kept}, {simple}"))
    return _as_float(e, w, x), _as_float(e, w, y), good


def _compare(w: int) -> Rule:
    kind = _TYPE[w]

    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        a, b, good = _ordered(e, w, arguments)
        less, same = e.define(f"fcmp olt {kind} {a}, {b}"), e.define(f"fcmp oeq {kind} {a}, {b}")
        relation = e.define(f"select i1 {same}, i32 6, i32 2")
        return (e.define(f"select i1 {less}, i32 8, i32 {relation}"), "0"), good

    return rule


def _to_fixed(w: int) -> Rule:
    kind, bias = _TYPE[w], (1 << (_EXPONENT[w] - 1)) - 1

    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        x, size, fraction, unsigned, control = arguments
        if (size, fraction) != ("32", "0"):
            return ("0", "0"), "false"
        toward_zero = e.define(f"icmp eq i32 {e.define(f'and i32 {control}, {RMODE}')}, {RMODE}")
        magnitude = _magnitude(e, w, x)
        bits = 32 if unsigned == "1" else 31
        small = e.define(f"icmp ult i{w} {magnitude}, {(bias + bits) << (_FRACTION[w] + 1)}")
        good = _all(e, toward_zero, small, _usable(e, w, x))
        if unsigned == "1":
            good = _all(e, good, e.define(f"icmp sge i{w} {x}, 0"))
        a = _as_float(e, w, x)
        # Out of range the host's result is of no use, but defined by freezing it.
        whole = e.define(f"freeze i64 {e.define(f'fptosi {kind} {a} to i64')}")
        back = e.define(f"sitofp i64 {whole} to {kind}")
        rounded = e.define(f"fcmp une {kind} {back}, {a}")
        return (e.define(f"trunc i64 {whole} to i32"), _inexact(e, rounded)), good

    return rule


def _from_fixed(w: int) -> Rule:
    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        x, size, fraction, unsigned, control = arguments
        if (size, fraction) != ("32", "0"):
            return ("0", "0"), "false"
        wide = e.define(f"{'zext' if unsigned == '1' else 'sext'} i32 {x} to i64")
        exact = e.define(f"sitofp i64 {wide} to double")
        if w == 64:
            return (_as_bits(e, 64, exact), "0"), "true"
        narrow = e.define(f"fptrunc double {exact} to float")
        rounded = e.define(f"fcmp une double {e.define(f'fpext float {narrow} to double')}, {exact}")
        return (_as_bits(e, 32, narrow), _inexact(e, rounded)), _nearest(e, control)

    return rule


def _widen(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    x = arguments[0]
    wide = e.define(f"fpext float {_as_float(e, 32, x)} to double")
    return (_as_bits(e, 64, wide), "0"), _usable(e, 32, x)


def _narrow(e: Emitter, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    x, control = arguments
    a = _as_float(e, 64, x)
    narrow = e.define(f"fptrunc double {a} to float")
    rounded = e.define(f"fcmp une double {e.define(f'fpext float {narrow} to double')}, {a}")
    result = _as_bits(e, 32, narrow)
    good = e.define(f"or i1 {_safe(e, 32, result)}, {_is_zero(e, 64, x)}")
    return (result, _inexact(e, rounded)), _all(e, good, _nearest(e, control), _usable(e, 64, x))


FLOATS: Final[dict[str, Rule]] = {
    "f32.mul": _multiply_single,
    "f64.mul": _multiply_double,
    "f32.to_f64": _widen,
    "f64.to_f32": _narrow,
    **{f"f{w}.add": _add(w, False) for w in (32, 64)},
    **{f"f{w}.sub": _add(w, True) for w in (32, 64)},
    **{f"f{w}.div": _divide(w) for w in (32, 64)},
    **{f"f{w}.sqrt": _square_root(w) for w in (32, 64)},
    **{f"f{w}.compare": _compare(w) for w in (32, 64)},
    **{f"f{w}.to_fixed": _to_fixed(w) for w in (32, 64)},
    **{f"f{w}.from_fixed": _from_fixed(w) for w in (32, 64)},
}
"""Helper → rule. All other helpers are the evaluator's."""

FLOAT_DECLARATIONS: Final = """declare float @llvm.sqrt.f32(float)
declare double @llvm.sqrt.f64(double)
declare i64 @llvm.cttz.i64(i64, i1)"""
