"""Physical memory: RAM regions, each one anonymous host mapping, and page-granular devices."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable, Sequence
from typing import Final, Protocol, final

from retrap.machine.clock import Clock

PAGE_BITS: Final = 12
PAGE_SIZE: Final = 1 << PAGE_BITS

GIVE_BACK: Final = 1 << 20
"""From so many bytes on, cleared memory is given back to the host where that zeroes it."""

_ZEROES: Final = memoryview(bytes(GIVE_BACK))
"""Copied from again and again. Nobody has ever written it: to the host it all is one page, which stays at hand."""


class Device(Protocol):
    """Registers behind physical pages. Offsets are from the device's base; sizes are 1, 2 or 4 bytes."""

    def read(self, offset: int, size: int) -> int:
        """The value that a load of `size` bytes at `offset` returns."""

    def write(self, offset: int, size: int, value: int) -> None:
        """What a store of `size` bytes at `offset` does."""


def _anonymous(size: int) -> mmap.mmap:
    """Zeroed host memory of this process alone: only then does giving pages back (`clear`) zero them."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


@final
class RamRegion:
    """`[base, base + size)` of physical address space, backed by one host mapping that starts as zeroes."""

    __slots__ = ("base", "data", "end", "halves", "host", "mapping", "size", "words")

    def __init__(self, base: int, size: int) -> None:
        self.base: Final = base
        self.size: Final = size
        self.end: Final = base + size
        self.mapping: Final = _anonymous(size)
        self.data: Final = memoryview(self.mapping)
        self.words: Final = self.data.cast("I")
        self.halves: Final = self.data.cast("H")
        self.host: Final = ctypes.addressof(ctypes.c_char.from_buffer(self.mapping))


def _zero(data: memoryview, start: int, end: int) -> None:
    """Zero `data[start:end]`."""
    while end - start > GIVE_BACK:
        data[start : start + GIVE_BACK] = _ZEROES
        start += GIVE_BACK
    data[start:end] = _ZEROES[: end - start]


def whole_pages(start: int, end: int, page: int) -> tuple[int, int]:
    """The largest range of whole pages of `page` bytes (a power of two) in `[start, end)`, which holds one."""
    return (start + page - 1) & -page, end & -page


class BusError(Exception):
    """No RAM at a physical address. The kernel never touches such addresses: an engine bug if it escapes."""


@final
class PhysicalMemory:
    """Guest physical memory. Addresses are bytes; words are 32-bit little-endian."""

    def __init__(self, regions: Sequence[tuple[int, int]]) -> None:
        """`regions`: (base, size) pairs, page-aligned, not overlapping, ascending."""
        self.regions: Final = tuple(RamRegion(base, size) for base, size in regions)
        self.devices: Final[dict[int, tuple[Device, int]]] = {}
        """Physical page number → (device, device base address)."""
        self.unknown: Callable[[int], None] | None = None
        """Puts a device at a page's physical address that is neither RAM nor in `devices`, or does not."""
        self.watched: Final[set[int]] = set()
        """Physical pages that hold translated code: whoever writes RAM other than through the methods here
        must call `notice` if the page is among them."""
        self.watcher: Callable[[int, int], None] | None = None
        """Called by `notice` with (address, size) of a write to a watched page."""
        self.clock: Final = Clock()
        """The time that devices see."""
        self.system: Device | None = None
        """The coprocessor registers of the generic timer; offsets are `machine.access.SystemRegister`."""
        self.monitors: Device | None = None
        """Those of the performance monitors; offsets likewise."""

    def region(self, address: int) -> RamRegion | None:
        """The RAM region that holds `address`, or None."""
        for region in self.regions:
            if region.base <= address < region.end:
                return region
        return None

    def attach(self, device: Device, base: int, size: int) -> None:
        """Put a device's registers at `[base, base + size)`, both page-aligned."""
        for page in range(base >> PAGE_BITS, (base + size) >> PAGE_BITS):
            self.devices[page] = (device, base)

    def device(self, address: int) -> tuple[Device, int] | None:
        """The device at a physical address that is not RAM, and its base."""
        page = address >> PAGE_BITS
        found = self.devices.get(page)
        if found is None and self.unknown is not None:
            self.unknown(page << PAGE_BITS)
            found = self.devices.get(page)
        return found

    def notice(self, address: int, size: int) -> None:
        """Bytes of RAM changed: tell the watcher if any of their pages is watched."""
        if self.watcher is None:
            return
        first, end = address >> PAGE_BITS, (address + size + PAGE_SIZE - 1) >> PAGE_BITS
        if self._is_watched(first, end):
            self.watcher(address, size)

    def _is_watched(self, first: int, end: int) -> bool:
        """Whether any of the pages `[first, end)` is watched. A few are looked for among the watched ones; where
        there are many, it is the other way round."""
        watched = self.watched
        if end - first <= len(watched):
            for page in range(first, end):
                if page in watched:
                    return True
        else:
            for page in watched:
                if first <= page < end:
                    return True
        return False

    def read_word(self, address: int) -> int:
        region = self._ram(address)
        return region.words[(address - region.base) >> 2]

    def write_word(self, address: int, value: int) -> None:
        region = self._ram(address)
        region.words[(address - region.base) >> 2] = value
        if self.watched:
            self.notice(address, 4)

    def read_words(self, address: int, count: int) -> list[int]:
        region = self._ram(address)
        start = (address - region.base) >> 2
        return region.words[start : start + count].tolist()

    def read(self, address: int, size: int) -> bytes:
        region = self._ram(address)
        start = address - region.base
        return bytes(region.data[start : start + size])

    def write(self, address: int, data: bytes | memoryview) -> None:
        region = self._ram(address)
        start = address - region.base
        region.data[start : start + len(data)] = data
        if self.watched:
            self.notice(address, len(data))

    def clear(self, address: int, size: int) -> None:
        """Zero `[address, address + size)`, which lies in one RAM region."""
        region = self._ram(address)
        start = address - region.base
        if self.watched:
            self.notice(address, size)
        end = start + size
        if size >= GIVE_BACK and sys.platform == "linux":
            # An anonymous private page that is given back reads as zero there, at no cost per byte. The host's
            # pages may be larger than the guest's: what remains at both ends is written.
            first, last = whole_pages(start, end, mmap.PAGESIZE)
            region.mapping.madvise(mmap.MADV_DONTNEED, first, last - first)
            _zero(region.data, start, first)
            _zero(region.data, last, end)
            return
        _zero(region.data, start, end)

    def _ram(self, address: int) -> RamRegion:
        for region in self.regions:
            if region.base <= address < region.end:
                return region
        raise BusError(f"no RAM at physical address {address:#010x}")
