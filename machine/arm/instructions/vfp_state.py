"""What VFP and Advanced SIMD definitions share: access checks, the register bank, the FPSCR.

S0 … S31 are the words of D0 … D15 (ARM ARM A2.6.2). No instruction is defined here.
"""

from __future__ import annotations

from typing import Final

import retrap.machine.softfloat.helpers  # noqa: F401  (the helpers that `compute` calls)
from retrap.machine.arm.registry import Decoded
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder, Value
from retrap.machine.softfloat.control import AHP, DN, FZ, RMODE, STRIDE_AND_LEN
from retrap.machine.traps import TrapKind

STANDARD: Final = DN | FZ
"""The control word of Advanced SIMD arithmetic, but for half-precision conversions: `standard_control`."""

CONTROL: Final = AHP | DN | FZ | RMODE


def require_enabled(b: Builder) -> None:
    """CheckVFPEnabled, CheckAdvSIMDEnabled: UNDEFINED while the thread's FPEXC.EN is 0. ARM ARM B1.11.3."""
    b.trap(TrapKind.UNDEFINED, b.get(Slot.FPEXC_EN).eq(0))


def require_scalar(b: Builder) -> None:
    """As `require_enabled`, for the instructions that FPSCR.LEN and STRIDE would turn into short-vector ones.

    This core has no short vectors, as MVFR0 says: such instructions are UNDEFINED while either field is not zero.
    """
    require_enabled(b)
    b.trap(TrapKind.UNDEFINED, (b.get(Slot.FPSCR) & STRIDE_AND_LEN).ne(0))


def control(b: Builder) -> Value:
    """The control word of VFP arithmetic."""
    return b.get(Slot.FPSCR) & CONTROL


def standard_control(b: Builder) -> Value:
    """StandardFPSCRValue. ARM ARM A2.7.8."""
    return b.get(Slot.FPSCR) & AHP | STANDARD


def raise_flags(b: Builder, flags: Value) -> None:
    """Set cumulative FPSCR bits (exceptions, QC); those set before stay."""
    pending = b.pending(Slot.FPSCR)
    b.set(Slot.FPSCR, (b.get(Slot.FPSCR) if pending is None else pending) | flags)


def compute(b: Builder, name: str, width: int, *arguments: Value) -> Value:
    """The first result, `width` bits wide, of a softfloat helper, whose flags are raised."""
    result, flags = b.call(name, arguments, (width, 32))
    raise_flags(b, flags)
    return result


# -- registers ---------------------------------------------------------------------------------------------


def doubleword(i: Decoded, letter: str) -> int:
    """Number of the D register that fields V`letter` and `letter` (upper case) name: `letter` is d, n or m."""
    return i[letter.upper()] << 4 | i["V" + letter]


def singleword(i: Decoded, letter: str) -> int:
    """Number of the S register that fields V`letter` and `letter` (upper case) name."""
    return i["V" + letter] << 1 | i[letter.upper()]


def read_d(b: Builder, number: int) -> Value:
    return b.get64(Slot.D0 + 2 * number)


def write_d(b: Builder, number: int, value: Value | int) -> None:
    b.set64(Slot.D0 + 2 * number, value)


def read_s(b: Builder, number: int) -> Value:
    return b.get(Slot.D0 + number)


def write_s(b: Builder, number: int, value: Value | int) -> None:
    b.set(Slot.D0 + number, value)


def read_f(b: Builder, i: Decoded, letter: str, double: int) -> Value:
    """A VFP operand: the D register if `double`, else the S register, that the fields name."""
    return read_d(b, doubleword(i, letter)) if double else read_s(b, singleword(i, letter))


def write_f(b: Builder, i: Decoded, letter: str, double: int, value: Value | int) -> None:
    """A VFP result; see `read_f`."""
    if double:
        write_d(b, doubleword(i, letter), value)
    else:
        write_s(b, singleword(i, letter), value)


def sign_bit(value: Value) -> int:
    """The sign bit of a single or a double."""
    return 1 << (value.width - 1)


def join(low: Value, high: Value) -> Value:
    """Two words as a doubleword."""
    return high.zext(64) << 32 | low.zext(64)
