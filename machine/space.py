"""Virtual address spaces: flat tables, one entry per 4 KiB page, that every backend reads the same way.

Three tables of 2^20 host pointers (one each for reads, writes, instruction fetch): entry = host address of the
page's first byte, 0 = not directly accessible (unmapped, no permission, a device, or, for writes, a page whose
code has been translated). They live in anonymous mappings, so an empty space costs no memory. `pages` says what
is really mapped and is what the slow path and the evaluator consult.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.memory import PhysicalMemory

READ: Final = 1
WRITE: Final = 2
EXECUTE: Final = 4


@final
class AddressSpace:
    """One user virtual address space. `map` and `unmap` are the only writers."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self.memory: Final = memory
        self.pages: Final[dict[int, int]] = {}
        """Virtual page number → physical page number << 4 | large(8) | EXECUTE | WRITE | READ."""

    def map(self, virtual: int, physical: int, size_bits: int, rights: int) -> None:
        """Map 2^size_bits bytes. `rights` is a set of READ/WRITE/EXECUTE; 0 maps with no user access.

        `size_bits` ≥ 20 is remembered as a section mapping, for fault status (section or page).
        """
        section = 8 if size_bits >= 20 else 0
        first, frame = virtual >> 12, physical >> 12
        pages = self.pages
        for offset in range(1 << (size_bits - 12)):
            pages[first + offset] = (frame + offset) << 4 | section | rights

    def unmap(self, virtual: int, size_bits: int) -> None:
        """Remove the pages of `[virtual, virtual + 2^size_bits)`; those not mapped are passed over."""
        first = virtual >> 12
        pages = self.pages
        for page in range(first, first + (1 << (size_bits - 12))):
            pages.pop(page, None)
