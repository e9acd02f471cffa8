"""Clearing physical memory, in small pieces and in large ones that the host takes back."""

from __future__ import annotations

import pytest
from retrap.machine.memory import PhysicalMemory

BASE = 0x4000_0000


@pytest.mark.parametrize("bits", [4, 12, 19, 20, 22])
def test_cleared_memory_is_zero_and_its_neighbours_are_not(bits: int) -> None:
    memory = PhysicalMemory([(BASE, 1 << 24)])
    start, end = BASE + (1 << 23), BASE + (1 << 23) + (1 << bits)
    inside = (start, end - 4)
    for address in (start - 4, *inside, end):
        memory.write_word(address, 0x5555)
    memory.clear(start, 1 << bits)
    assert [memory.read_word(address) for address in (start - 4, *inside, end)] == [0x5555, 0, 0, 0x5555]
    memory.write_word(start, 1)
    assert memory.read_word(start) == 1
