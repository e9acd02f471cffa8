"""Through which virtual pages native code writes each page of RAM: who has to be told when there is code on it."""

from __future__ import annotations

import mmap
from typing import Final, final

from retrap.machine.llvm.layout import Ram, Writer
from retrap.machine.llvm.tables import host_address
from retrap.machine.memory import PhysicalMemory


@final
class Writers:
    """A `Writer` for each page of RAM, and the rows by which native code finds it and the page (`Ram`)."""

    __slots__ = ("_maps", "_rows", "address", "words")

    def __init__(self, memory: PhysicalMemory) -> None:
        regions = memory.regions
        rows = mmap.mmap(-1, (len(regions) + 1) * Ram.SIZE)
        self._maps: Final = [rows]
        self._rows: Final = memoryview(rows).cast("Q")
        self.address: Final = host_address(rows)
        self.words: Final[list[memoryview]] = []
        """Those of each region."""
        values: list[int] = []
        for region in regions:
            first, end = region.base >> 12, region.end >> 12
            made = mmap.mmap(-1, (end - first) * 8)
            self._maps.append(made)
            self.words.append(memoryview(made).cast("Q"))
            values += (first, end, region.host - region.base, host_address(made) - 8 * first)
        for index, value in enumerate(values):
            self._rows[index] = value & 0xFFFFFFFFFFFFFFFF

    def get(self, physical: int) -> int:
        """The word of a page of RAM."""
        words, index = self._place(physical)
        found: int = words[index]
        return found

    def put(self, physical: int, value: int) -> None:
        """Change the word of a page of RAM."""
        words, index = self._place(physical)
        words[index] = value

    def add(self, physical: int, key: int) -> None:
        """One more entry leads to a page of RAM that there is no code on: space's number << 20 | virtual page."""
        words, index = self._place(physical)
        words[index] = key if words[index] == Writer.NOBODY else Writer.MANY

    def _place(self, physical: int) -> tuple[memoryview, int]:
        for number, words in enumerate(self.words):
            first: int = self._rows[number * (Ram.SIZE >> 3)]
            if first <= physical < first + len(words):
                return words, physical - first
        raise ValueError(f"physical page {physical:#x} is not RAM")
