"""Clearing physical memory, in small pieces and in large ones that the host takes back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from retrap.machine.memory import GIVE_BACK, PhysicalMemory, whole_pages

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


@given(st.integers(0, 1 << 20), st.integers(0, 1 << 21))
@example(0x1100, 0x1F00)
def test_pieces_of_any_place_and_size(start: int, more: int) -> None:
    start, size = start & -4, (GIVE_BACK - 0x2000 + more) & -4
    memory = PhysicalMemory([(BASE, 1 << 22)])
    data = memory.regions[0].data
    data[:] = b"\x55" * len(data)
    memory.clear(BASE + start, size)
    assert bytes(data) == (b"\x55" * start + bytes(size)).ljust(len(data), b"\x55")


def test_where_the_host_takes_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is written, in more than one piece."""
    monkeypatch.setattr("retrap.machine.memory.sys.platform", "win32")
    memory = PhysicalMemory([(BASE, 1 << 22)])
    data = memory.regions[0].data
    data[:] = b"\x55" * len(data)
    memory.clear(BASE + 0x400, 2 * GIVE_BACK + 8)
    assert bytes(data) == (b"\x55" * 0x400 + bytes(2 * GIVE_BACK + 8)).ljust(len(data), b"\x55")


@pytest.mark.parametrize("page", [1 << 12, 1 << 14, 1 << 16])
@given(st.integers(0, 1 << 24), st.integers(GIVE_BACK, 1 << 24))
def test_only_whole_pages_of_the_host_are_given_back(page: int, start: int, size: int) -> None:
    first, last = whole_pages(start, start + size, page)
    assert first % page == last % page == 0
    assert start <= first < start + page
    assert first < last
    assert last <= start + size < last + page


@given(st.sets(st.integers(0, 40), max_size=12), st.integers(0, 40 << 12), st.integers(1, 20 << 12))
@example({3}, 0x3FFF, 1)
@example({3}, 0x4000, 1)
@example({3}, 0x2FFC, 4)
@example({3}, 0x2FFC, 8)
def test_who_watches_a_page_is_told(watched: set[int], start: int, size: int) -> None:
    memory = PhysicalMemory([(BASE, 1 << 22)])
    told: list[tuple[int, int]] = []
    memory.watcher = lambda address, size: told.append((address, size))
    memory.watched.update((BASE >> 12) + page for page in watched)
    memory.clear(BASE + start, size)
    expected = any(start < page + 1 << 12 and page << 12 < start + size for page in watched)
    assert told == ([(BASE + start, size)] if expected else [])
