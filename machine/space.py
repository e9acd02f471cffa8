"""Virtual address spaces: which physical page each virtual page is, and with which rights.

`AddressSpace.pages` is the one record of what is mapped; the kernel's page tables write it and every backend
reads it. A backend that keeps faster tables of its own (host pointers, translated code) is a `listener`: it is
told of every page whose mapping changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from retrap.machine.memory import PhysicalMemory
from retrap.machine.traps import FaultStatus

READ: Final = 1
WRITE: Final = 2
EXECUTE: Final = 4
SECTION: Final = 8


class SpaceListener:
    """Keeps something derived from an address space's pages. (A class for the same reason as `machine.backend`.)"""

    def __init__(self) -> None:
        self.enter: Callable[..., int] | None = None
        """A backend's quick way into this address space, if it has one."""

    def changed(self, first_page: int, count: int, entry: int) -> None:
        """The mappings of `count` virtual pages from `first_page` on are new or changed, `entry` being the first
        one's, as in `AddressSpace.pages`; or they are gone: 0."""
        raise NotImplementedError

    def closed(self) -> None:
        """The address space is gone: nothing runs in it any more."""
        raise NotImplementedError


@final
class KernelWindow:
    """Where the kernel is mapped in every address space, without user access: sections in `[base, end)`, but for
    the megabyte (virtual address >> 20) `hole`, if that is not -1; and the single `pages` (virtual page numbers)
    in a page table above. It only shows in the status of faults."""

    __slots__ = ("base", "end", "hole", "pages")

    def __init__(self, base: int, end: int, pages: frozenset[int], hole: int = -1) -> None:
        self.base: Final = base
        self.end: Final = end
        self.pages: Final = pages
        self.hole: Final = hole


@final
class AddressSpace:
    """One user virtual address space. `map` and `unmap` are the only writers."""

    def __init__(self, memory: PhysicalMemory, window: KernelWindow | None = None) -> None:
        self.memory: Final = memory
        self.window: Final = window
        self.pages: Final[dict[int, int]] = {}
        """Virtual page number → physical page number << 4 | SECTION | EXECUTE | WRITE | READ."""
        self.listener: SpaceListener | None = None
        self.tables: Final[set[int]] = set()
        """Megabytes (virtual address >> 20) whose first-level entry points to a page table."""

    def map(self, virtual: int, physical: int, size_bits: int, rights: int) -> None:
        """Map 2^size_bits bytes. `rights` is a set of READ/WRITE/EXECUTE; 0 maps with no user access.

        `size_bits` ≥ 20 is remembered as a section mapping, for fault status (section or page).
        """
        first, count = virtual >> 12, 1 << (size_bits - 12)
        entry = (physical >> 12) << 4 | rights
        if count == 1:
            self.pages[first] = entry
        else:
            if size_bits >= 20:
                entry |= SECTION
            self.pages.update(
                zip(range(first, first + count), range(entry, entry + 16 * count, 16), strict=True)
            )
        if self.listener is not None:
            self.listener.changed(first, count, entry)

    def unmap(self, virtual: int, size_bits: int) -> None:
        """Remove the pages of `[virtual, virtual + 2^size_bits)`; those not mapped are passed over."""
        first, count = virtual >> 12, 1 << (size_bits - 12)
        pages = self.pages
        if count == 1:
            try:
                del pages[first]
            except KeyError:
                return
        else:
            for page in range(first, first + count):
                pages.pop(page, None)
        if self.listener is not None:
            self.listener.changed(first, count, 0)

    def close(self) -> None:
        """Nothing will run here any more: what was derived from the address space can go."""
        listener = self.listener
        if listener is not None:
            self.listener = None
            listener.closed()

    def set_table(self, virtual: int, present: bool) -> None:
        """Say whether the 1 MiB slot of `virtual` has a page table: an unmapped page in it is then a page
        translation fault, otherwise a section translation fault (ARM ARM B3.5.1, B3.13.3)."""
        if present:
            self.tables.add(virtual >> 20)
        else:
            self.tables.discard(virtual >> 20)

    def translation_status(self, address: int) -> int:
        """The fault status of an access to `address`, which `pages` does not map."""
        window = self.window
        if window is not None and address >= window.base:
            if address < window.end:
                if address >> 20 == window.hole:
                    return FaultStatus.TRANSLATION_SECTION
                return FaultStatus.PERMISSION_SECTION
            return FaultStatus.PERMISSION_PAGE if address >> 12 in window.pages else FaultStatus.TRANSLATION_PAGE
        if address >> 20 in self.tables:
            return FaultStatus.TRANSLATION_PAGE
        return FaultStatus.TRANSLATION_SECTION
