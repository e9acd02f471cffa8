"""The operations under the names by which instruction definitions call them: `f32.add`, `f64.compare`, ….

Operands are patterns, the last argument is the control word (FPSCR bits 26:22), the results are a pattern and the
exception flags that the operation raises. `f32.` and `f64.` have the same set. A backend may give a name a native
implementation, as long as it agrees with the one here in every bit, flags included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retrap.machine.ir.helpers import helper
from retrap.machine.softfloat import arithmetic, compare, convert, estimate, fused
from retrap.machine.softfloat.formats import DOUBLE, SINGLE, Format

Unary = Callable[[Format, int, int], tuple[int, int]]
Binary = Callable[[Format, int, int, int], tuple[int, int]]

BINARY: Final[dict[str, Binary]] = {
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "mul": arithmetic.multiply,
    "div": arithmetic.divide,
    "max": compare.maximum,
    "min": compare.minimum,
    "eq": compare.is_equal,
    "ge": compare.is_greater_or_equal,
    "gt": compare.is_greater,
}
"""(a, b, control). The comparisons give 0 or 1."""

UNARY: Final[dict[str, Unary]] = {"sqrt": arithmetic.square_root}
"""(a, control)."""


def _name_binary(name: str, form: Format, operation: Binary) -> None:
    def call(a: int, b: int, control: int) -> tuple[int, int]:
        return operation(form, a, b, control)

    helper(f"f{form.bits}.{name}")(call)


def _name_unary(name: str, form: Format, operation: Unary) -> None:
    def call(a: int, control: int) -> tuple[int, int]:
        return operation(form, a, control)

    helper(f"f{form.bits}.{name}")(call)


def _name_others(form: Format) -> None:
    """Operations whose arguments are not just patterns and the control word."""
    bits = form.bits

    @helper(f"f{bits}.fma")
    def fma(addend: int, a: int, b: int, control: int) -> tuple[int, int]:
        """addend + a * b, rounded once."""
        return fused.multiply_add(form, addend, a, b, control)

    @helper(f"f{bits}.compare")
    def relation(a: int, b: int, quiet_nan_is_invalid: int, control: int) -> tuple[int, int]:
        """NZCV in four bits."""
        return compare.compare(form, a, b, quiet_nan_is_invalid != 0, control)

    @helper(f"f{bits}.to_fixed")
    def to_fixed(a: int, size: int, fraction_bits: int, unsigned: int, control: int) -> tuple[int, int]:
        """A fixed-point number of `size` bits (16 or 32), `fraction_bits` of them after the point."""
        return convert.to_fixed(form, a, size, fraction_bits, unsigned != 0, control)

    @helper(f"f{bits}.from_fixed")
    def from_fixed(a: int, size: int, fraction_bits: int, unsigned: int, control: int) -> tuple[int, int]:
        return convert.from_fixed(form, a, size, fraction_bits, unsigned != 0, control)


for _form in (SINGLE, DOUBLE):
    for _name, _binary in BINARY.items():
        _name_binary(_name, _form, _binary)
    for _name, _unary in UNARY.items():
        _name_unary(_name, _form, _unary)
    _name_others(_form)

helper("f32.to_f64")(convert.single_to_double)
helper("f64.to_f32")(convert.double_to_single)
helper("f32.to_f16")(convert.single_to_half)
helper("f16.to_f32")(convert.half_to_single)
helper("f32.recpe")(estimate.reciprocal_estimate)
helper("f32.rsqrte")(estimate.reciprocal_root_estimate)
helper("f32.recps")(estimate.reciprocal_step)
helper("f32.rsqrts")(estimate.reciprocal_root_step)


@helper("u32.recpe")
def unsigned_reciprocal_estimate(a: int) -> tuple[int]:
    """Of an unsigned fraction; no flags."""
    return (estimate.unsigned_reciprocal_estimate(a),)


@helper("u32.rsqrte")
def unsigned_reciprocal_root_estimate(a: int) -> tuple[int]:
    """Of an unsigned fraction; no flags."""
    return (estimate.unsigned_reciprocal_root_estimate(a),)
