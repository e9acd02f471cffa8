"""What Advanced SIMD definitions share: registers, elements, saturation. No instruction is defined here.

A register operand is a list of doublewords (64-bit `Value`s): one, or two for a quadword, the lower first.
Elements are 64-bit `Value`s too, extended with zeroes or their sign; what lies above an element's width in a
result is dropped when it is merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Final

import retrap.machine.simd.bytes
import retrap.machine.simd.saturating  # noqa: F401  (helpers that the definitions call)
from retrap.machine.arm.instructions.vfp_state import (
    STANDARD,
    compute,
    doubleword,
    raise_flags,
    read_d,
    require_enabled,
    write_d,
)
from retrap.machine.arm.registry import Decoded
from retrap.machine.ir.builder import Builder, Value

ONES: Final = 0xFFFFFFFFFFFFFFFF

Lane = Callable[[Value, Value], Value]
"""An operation on two elements."""


def quadword(i: Decoded, *letters: str) -> int:
    """Doublewords per operand: 2 if Q, when the registers named by V`letters` must be even, else 1."""
    if not i["Q"]:
        return 1
    for letter in letters:
        even(i, letter)
    return 2


def even(i: Decoded, letter: str) -> None:
    """A quadword register: an odd doubleword number is UNDEFINED."""
    i.undefined_if(i["V" + letter] & 1 == 1)


def read(b: Builder, i: Decoded, letter: str, count: int) -> list[Value]:
    """The doublewords of the register that V`letter` names."""
    first = doubleword(i, letter)
    return [read_d(b, first + k) for k in range(count)]


def write(b: Builder, i: Decoded, values: Sequence[Value | int]) -> None:
    """Write the doublewords of the destination."""
    first = doubleword(i, "d")
    for k, value in enumerate(values):
        write_d(b, first + k, value)


def split(doublewords: Iterable[Value], size: int, signed: bool) -> list[Value]:
    """All elements of a register."""
    return [element(d, size, k, signed) for d in doublewords for k in range(64 // size)]


def element(d: Value, size: int, index: int, signed: bool = False) -> Value:
    """One element of a doubleword."""
    if signed:
        return (d << (64 - size * (index + 1))).asr(64 - size)
    return d.field(size * index, size)


def merge(lanes: Sequence[Value], size: int) -> list[Value]:
    """Elements, each cut to `size` bits, as doublewords."""
    if size == 64:
        return list(lanes)
    mask, count = (1 << size) - 1, 64 // size
    registers = []
    for start in range(0, len(lanes), count):
        parts = [(lane & mask) << size * k for k, lane in enumerate(lanes[start : start + count - 1])]
        parts.append(lanes[start + count - 1] << (64 - size))
        registers.append(reduce(Value.__or__, parts))
    return registers


def replicate(number: int, size: int) -> int:
    """A number of `size` bits in every element of a doubleword."""
    return sum(number << low for low in range(0, 64, size))


def boolean(condition: Value) -> Value:
    """All ones if the one-bit `condition` holds, else zero."""
    return condition.sext(64)


def lanewise(b: Builder, i: Decoded, size: int, signed: bool, lane: Lane) -> None:
    """Vd = lane(Vn, Vm), element by element; D or Q registers."""
    count = quadword(i, "d", "n", "m")
    require_enabled(b)
    n, m = split(read(b, i, "n", count), size, signed), split(read(b, i, "m", count), size, signed)
    write(b, i, merge([lane(x, y) for x, y in zip(n, m, strict=True)], size))


def unary_lanewise(b: Builder, i: Decoded, size: int, signed: bool, lane: Callable[[Value], Value]) -> None:
    """Vd = lane(Vm), element by element; D or Q registers."""
    count = quadword(i, "d", "m")
    require_enabled(b)
    write(b, i, merge([lane(x) for x in split(read(b, i, "m", count), size, signed)], size))


def saturating(b: Builder, name: str, arguments: tuple[Value, ...], *settings: int) -> Value:
    """A doubleword from the helper `simd.<name>` that also returns QC, which is accumulated."""
    return compute(b, f"simd.{name}", 64, *arguments, *(b.const(x) for x in settings))


def standard(b: Builder, name: str, *operands: Value) -> Value:
    """A single-precision operation under the standard control word. Operands and result are elements."""
    words = (x.trunc(32) for x in operands)
    return compute(b, f"f32.{name}", 32, *words, b.const(STANDARD)).zext(64)


def swar_add(a: Value, b: Value, size: int) -> Value:
    """a + b in every element, as one addition whose carries stop at the elements' ends."""
    if size == 64:
        return a + b
    top = replicate(1 << (size - 1), size)
    return ((a & (top ^ ONES)) + (b & (top ^ ONES))) ^ ((a ^ b) & top)


def swar_subtract(a: Value, b: Value, size: int) -> Value:
    """a - b in every element, as one subtraction whose borrows stop at the elements' ends."""
    if size == 64:
        return a - b
    top = replicate(1 << (size - 1), size)
    return ((a | top) - (b & (top ^ ONES))) ^ ((a ^ ~b) & top)


__all__ = [
    "ONES",
    "boolean",
    "compute",
    "doubleword",
    "element",
    "even",
    "lanewise",
    "merge",
    "quadword",
    "raise_flags",
    "read",
    "read_d",
    "replicate",
    "require_enabled",
    "saturating",
    "split",
    "standard",
    "swar_add",
    "swar_subtract",
    "unary_lanewise",
    "write",
    "write_d",
]
