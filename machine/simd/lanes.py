"""Taking registers apart into elements and together again; saturation of one element. ARM ARM A2.2.1."""

from __future__ import annotations

from retrap.machine.softfloat.control import QC


def split(register: int, size: int, unsigned: int) -> list[int]:
    """The elements of a doubleword, as Python integers, negative ones included unless `unsigned`."""
    mask = (1 << size) - 1
    if unsigned:
        return [register >> low & mask for low in range(0, 64, size)]
    sign = 1 << (size - 1)
    return [((register >> low & mask) ^ sign) - sign for low in range(0, 64, size)]


def merge(elements: list[int], size: int) -> int:
    """The elements, each modulo 2^size, as one number."""
    mask = (1 << size) - 1
    register = 0
    for element in reversed(elements):
        register = register << size | element & mask
    return register


def merge_saturated(elements: list[int], size: int, unsigned: int) -> tuple[int, int]:
    """The elements, each brought into the range of its type (SatQ), as one number, and QC."""
    lowest, largest = (0, (1 << size) - 1) if unsigned else (-1 << (size - 1), (1 << (size - 1)) - 1)
    mask = largest - lowest
    register = saturated = 0
    for element in reversed(elements):
        if element < lowest:
            element, saturated = lowest, QC
        elif element > largest:
            element, saturated = largest, QC
        register = register << size | element & mask
    return register, saturated
