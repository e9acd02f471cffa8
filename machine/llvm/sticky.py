"""Floating point while the FPSCR is as most programs have it: Inexact set already, to nearest, no flush to zero.

Inexact is cumulative, so whether a result was rounded need not be known any more, and nothing else is raised if the
result is a normal number: then neither an operand nor the result was a NaN, an infinity or the outcome of an
invalid operation or a division by zero; nor did it underflow, if it lies above the least normal number (tininess is
detected before rounding: ARM ARM A2.7.8). So one comparison of the result replaces all of `floats`. What fails
it is looked at a second time on a side path (exact zeroes), and is the evaluator's if it fails that too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retrap.machine.llvm import floats
from retrap.machine.llvm.rules import Emitter
from retrap.machine.softfloat.control import FZ, IXC, RMODE, STRIDE_AND_LEN

MODE: Final = STRIDE_AND_LEN | RMODE | FZ | IXC
"""The bits of the FPSCR that matter."""

STICKY: Final = IXC
"""What they are."""

CLEAR: Final = STRIDE_AND_LEN | RMODE | FZ
"""Those that are zero then."""

Second = Callable[[], str] | None
"""Writes the second look's condition."""

Rule = Callable[[Emitter, tuple[str, ...]], tuple[str, str, Second]]
"""(emitter, arguments) → (first result, whether it holds, second look). No flag is raised."""

_TYPE: Final = {32: "float", 64: "double"}
_FRACTION: Final = {32: 23, 64: 52}
_TOP: Final = {32: 0xFF, 64: 0x7FF}


def _finite(e: Emitter, w: int, bits: str) -> str:
    magnitude = e.define(f"shl i{w} {bits}, 1")
    return e.define(f"icmp ult i{w} {magnitude}, {_TOP[w] << (_FRACTION[w] + 1)}")


def _safe(e: Emitter, w: int, bits: str) -> str:
    """Normal and above the least normal number."""
    unit = _FRACTION[w] + 1
    magnitude = e.define(f"shl i{w} {bits}, 1")
    off = e.define(f"sub i{w} {magnitude}, {2 << unit}")
    return e.define(f"icmp ult i{w} {off}, {(_TOP[w] - 2) << unit}")


def _zero(e: Emitter, w: int, bits: str) -> str:
    return e.define(f"icmp eq i{w} {e.define(f'shl i{w} {bits}, 1')}, 0")


def _number(e: Emitter, w: int, bits: str) -> str:
    return e.define(f"bitcast i{w} {bits} to {_TYPE[w]}")


def _bits(e: Emitter, w: int, number: str) -> str:
    return e.define(f"bitcast {_TYPE[w]} {number} to i{w}")


def _add(w: int, operation: str) -> Rule:
    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[str, str, Second]:
        x, y = (_number(e, w, bits) for bits in arguments[:2])
        result = _bits(e, w, e.define(f"{operation} {_TYPE[w]} {x}, {y}"))
        # A sum below the normal numbers is exact.
        return result, _finite(e, w, result), None

    return rule


def _multiply(w: int) -> Rule:
    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[str, str, Second]:
        x, y = arguments[:2]
        result = _bits(e, w, e.define(f"fmul {_TYPE[w]} {_number(e, w, x)}, {_number(e, w, y)}"))

        def nothing() -> str:
            either = e.define(f"or i1 {_zero(e, w, x)}, {_zero(e, w, y)}")
            both = e.define(f"and i1 {_finite(e, w, x)}, {_finite(e, w, y)}")
            return e.define(f"and i1 {either}, {both}")

        return result, _safe(e, w, result), nothing

    return rule


def _divide(w: int) -> Rule:
    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[str, str, Second]:
        x, y = arguments[:2]
        result = _bits(e, w, e.define(f"fdiv {_TYPE[w]} {_number(e, w, x)}, {_number(e, w, y)}"))

        def nothing() -> str:
            return e.define(f"and i1 {_zero(e, w, x)}, {_safe(e, w, y)}")

        return result, _safe(e, w, result), nothing

    return rule


def _square_root(w: int) -> Rule:
    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[str, str, Second]:
        kind = _TYPE[w]
        root = e.define(f"call {kind} @llvm.sqrt.f{w}({kind} {_number(e, w, arguments[0])})")
        result = _bits(e, w, root)
        return result, _finite(e, w, result), None

    return rule


def _compare(w: int) -> Rule:
    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[str, str, Second]:
        kind = _TYPE[w]
        x, y = (_number(e, w, bits) for bits in arguments[:2])
        less, same = e.define(f"fcmp olt {kind} {x}, {y}"), e.define(f"fcmp oeq {kind} {x}, {y}")
        relation = e.define(f"select i1 {same}, i32 6, i32 2")
        relation = e.define(f"select i1 {less}, i32 8, i32 {relation}")
        return relation, e.define(f"fcmp ord {kind} {x}, {y}"), None

    return rule


def _from_fixed(w: int) -> Rule:
    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[str, str, Second]:
        x, size, fraction, unsigned, _ = arguments
        if (size, fraction) != ("32", "0"):
            return "0", "false", None
        wide = e.define(f"{'zext' if unsigned == '1' else 'sext'} i32 {x} to i64")
        return _bits(e, w, e.define(f"sitofp i64 {wide} to {_TYPE[w]}")), "true", None

    return rule


def _to_fixed(w: int) -> Rule:
    def rule(e: Emitter, arguments: tuple[str, ...]) -> tuple[str, str, Second]:
        # Inexact or not: what `floats` says of it comes to nothing.
        results, good = floats.FLOATS[f"f{w}.to_fixed"](e, arguments)
        return results[0], good, None

    return rule


def _widen(e: Emitter, arguments: tuple[str, ...]) -> tuple[str, str, Second]:
    x = arguments[0]
    return _bits(e, 64, e.define(f"fpext float {_number(e, 32, x)} to double")), _finite(e, 32, x), None


def _narrow(e: Emitter, arguments: tuple[str, ...]) -> tuple[str, str, Second]:
    x = arguments[0]
    result = _bits(e, 32, e.define(f"fptrunc double {_number(e, 64, x)} to float"))
    return result, _safe(e, 32, result), lambda: _zero(e, 64, x)


STICKY_FLOATS: Final[dict[str, Rule]] = {
    "f32.to_f64": _widen,
    "f64.to_f32": _narrow,
    **{f"f{w}.add": _add(w, "fadd") for w in (32, 64)},
    **{f"f{w}.sub": _add(w, "fsub") for w in (32, 64)},
    **{f"f{w}.mul": _multiply(w) for w in (32, 64)},
    **{f"f{w}.div": _divide(w) for w in (32, 64)},
    **{f"f{w}.sqrt": _square_root(w) for w in (32, 64)},
    **{f"f{w}.compare": _compare(w) for w in (32, 64)},
    **{f"f{w}.to_fixed": _to_fixed(w) for w in (32, 64)},
    **{f"f{w}.from_fixed": _from_fixed(w) for w in (32, 64)},
}
"""Helper → rule, for the same helpers as `floats`, with the control word of VFP. (Advanced SIMD has another.)"""
