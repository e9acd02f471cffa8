"""Byte-wise functions on doublewords: polynomial products (VMUL.P8, VMULL.P8), table look-up (VTBL, VTBX)."""

from __future__ import annotations

from retrap.machine.ir.helpers import helper


def polynomial_product(a: int, b: int) -> int:
    """PolynomialMult of two bytes: 15 bits. ARM ARM A2.8.1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        b >>= 1
    return product


@helper("simd.pmul")
def polynomial_multiply(a: int, b: int) -> tuple[int]:
    """The low bytes of the products."""
    result = 0
    for low in range(0, 64, 8):
        result |= (polynomial_product(a >> low & 0xFF, b >> low & 0xFF) & 0xFF) << low
    return (result,)


@helper("simd.pmull")
def polynomial_multiply_long(a: int, b: int) -> tuple[int, int]:
    """The products, 16 bits each: low and high doubleword."""
    result = 0
    for low in range(0, 64, 8):
        result |= polynomial_product(a >> low & 0xFF, b >> low & 0xFF) << 2 * low
    return result & 0xFFFFFFFFFFFFFFFF, result >> 64


@helper("simd.tbl")
def table(indices: int, otherwise: int, *registers: int) -> tuple[int]:
    """Bytes of the table in one to four doublewords; where an index is beyond it, the byte of `otherwise`."""
    length = 8 * len(registers)
    contents = 0
    for register in reversed(registers):
        contents = contents << 64 | register
    result = 0
    for low in range(0, 64, 8):
        index = indices >> low & 0xFF
        byte = contents >> 8 * index if index < length else otherwise >> low
        result |= (byte & 0xFF) << low
    return (result,)
