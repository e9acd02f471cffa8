"""The fields of the FPSCR that arithmetic reads and writes. ARM ARM B4.1.58."""

from __future__ import annotations

from typing import Final

IOC: Final = 1 << 0  # Invalid Operation
DZC: Final = 1 << 1  # Division by Zero
OFC: Final = 1 << 2  # Overflow
UFC: Final = 1 << 3  # Underflow
IXC: Final = 1 << 4  # Inexact
IDC: Final = 1 << 7  # Input Denormal

RMODE_SHIFT: Final = 22
TO_NEAREST: Final = 0  # ties to even
TO_PLUS_INFINITY: Final = 1
TO_MINUS_INFINITY: Final = 2
TO_ZERO: Final = 3
RMODE: Final = 3 << RMODE_SHIFT

FZ: Final = 1 << 24  # flush to zero
DN: Final = 1 << 25  # default NaN
AHP: Final = 1 << 26  # alternative half precision

STRIDE_AND_LEN: Final = 0x00370000
QC: Final = 1 << 27  # cumulative saturation, of Advanced SIMD
NZCV: Final = 0xF0000000

WRITABLE: Final = NZCV | QC | AHP | DN | FZ | RMODE | STRIDE_AND_LEN | IDC | IXC | UFC | OFC | DZC | IOC
"""What VMSR can set. The trap enables read as zero: this core traps no floating-point exception (A2.7.7)."""


def standard(fpscr: int) -> int:
    """StandardFPSCRValue: default NaN, flush to zero, to nearest. Advanced SIMD's. ARM ARM A2.7.8."""
    return fpscr & AHP | DN | FZ
