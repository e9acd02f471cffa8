"""What compiled regions need around them: page tables of host pointers, the jump cache, and the library of regions.

All of it is derived from address spaces and RAM, and is cut as soon as those change.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Final, final

from retrap.machine.llvm.compiler import Compiler, Entry
from retrap.machine.llvm.layout import JUMP_CACHE_BITS, Env
from retrap.machine.llvm.lower import Lowering, Shape
from retrap.machine.llvm.region import Code, Region, discover
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import READ, WRITE, AddressSpace

TABLE_BYTES: Final = (1 << 20) * 8
HEAT_WORDS: Final = 4096
CACHE_BYTES: Final = 16 << JUMP_CACHE_BITS


def _host(mapping: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


@final
class Compiled:
    """One compiled region of one address space."""

    __slots__ = ("address", "entry", "key", "region", "serial", "shape")

    def __init__(
        self, serial: int, shape: Shape, key: int, address: int, entry: Entry, region: Region
    ) -> None:
        self.serial: Final = serial
        self.shape: Final = shape
        self.key: Final = key  # PC | Thumb
        self.address: Final = address
        self.entry: Final = entry
        self.region: Final = region


@final
class NativeSpace:
    """What native code needs of one address space. Tables fill on first use, like a TLB."""

    def __init__(self, space: AddressSpace, owner: Native) -> None:
        self.space: Final = space
        self.owner: Final = owner
        sizes = (TABLE_BYTES, TABLE_BYTES, CACHE_BYTES)
        self._maps: Final = tuple(mmap.mmap(-1, size) for size in sizes)
        self.reads: Final = memoryview(self._maps[0]).cast("Q")
        self.writes: Final = memoryview(self._maps[1]).cast("Q")
        self.cache: Final = memoryview(self._maps[2]).cast("Q")
        self.environment: Final = mmap.mmap(-1, 4096)
        self.env: Final = memoryview(self.environment).cast("Q")
        self.env_address: Final = _host(self.environment)
        self.env[Env.READ_TABLE] = _host(self._maps[0])
        self.env[Env.WRITE_TABLE] = _host(self._maps[1])
        self.env[Env.JUMP_CACHE] = _host(self._maps[2])
        self.entries: Final[dict[int, Compiled]] = {}
        self.heat: Final[dict[int, int]] = {}
        self.code_pages: Final[dict[int, set[int]]] = {}
        """Virtual page → keys of the regions with code in it."""
        self._clear_cache()

    def changed(self, first_page: int, count: int) -> None:
        """See `SpaceListener`: forget pointers to the pages, and the code that was read from them."""
        if count <= 256:
            zero = bytes(8 * count)
            self.reads[first_page : first_page + count] = memoryview(zero).cast("Q")
            self.writes[first_page : first_page + count] = memoryview(zero).cast("Q")
        else:
            for page in range(first_page, first_page + count):
                self.reads[page] = 0
                self.writes[page] = 0
        if self.code_pages:
            for page in range(first_page, first_page + count):
                if page in self.code_pages:
                    self.drop(page)

    def fill(self, page: int) -> None:
        """Let native code touch a virtual page directly, as far as its mapping allows."""
        entry = self.space.pages.get(page)
        if entry is None:
            return
        physical = entry >> 4
        memory = self.space.memory
        if physical in memory.devices:
            return
        region = memory.region(physical << 12)
        if region is None:
            return
        pointer = (region.host + (physical << 12) - region.base - (page << 12)) & 0xFFFFFFFFFFFFFFFF
        if entry & READ:
            self.reads[page] = pointer
        if entry & WRITE and physical not in memory.watched:
            self.writes[page] = pointer
            self.owner.writers.setdefault(physical, []).append((self, page))

    def drop(self, page: int) -> None:
        """Forget every region with code in a virtual page."""
        for key in tuple(self.code_pages.get(page, ())):
            self._forget(self.entries[key])
        self._clear_cache()

    def drop_bytes(self, page: int, start: int, end: int) -> None:
        """Forget the regions with code in `[start, end)`, which lies in virtual page `page`."""
        dropped = False
        for key in tuple(self.code_pages.get(page, ())):
            compiled = self.entries[key]
            if any(low < end and start < high for low, high in compiled.region.spans):
                self._forget(compiled)
                dropped = True
        if dropped:
            self._clear_cache()

    def _forget(self, compiled: Compiled) -> None:
        del self.entries[compiled.key]
        self.heat.pop(compiled.key, None)
        for page in compiled.region.pages:
            keys = self.code_pages.get(page)
            if keys is not None:
                keys.discard(compiled.key)
                if not keys:
                    del self.code_pages[page]

    def install(self, compiled: Compiled) -> None:
        """Make a region reachable."""
        self.entries[compiled.key] = compiled
        for page in compiled.region.pages:
            self.code_pages.setdefault(page, set()).add(compiled.key)
        at = (compiled.key >> 1 & ((1 << JUMP_CACHE_BITS) - 1)) * 2
        self.cache[at] = compiled.key
        self.cache[at + 1] = compiled.address

    def remember(self, compiled: Compiled) -> None:
        """Put a region back into the jump cache, from which another may have displaced it."""
        at = (compiled.key >> 1 & ((1 << JUMP_CACHE_BITS) - 1)) * 2
        self.cache[at] = compiled.key
        self.cache[at + 1] = compiled.address

    def _clear_cache(self) -> None:
        self.cache[:] = _EMPTY_CACHE


_EMPTY_CACHE: Final = memoryview(b"\xff" * CACHE_BYTES).cast("Q")


@final
class Native:
    """The native half of a CPU: compiled regions of all address spaces of one physical memory."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self.memory: Final = memory
        self.compiler: Final = Compiler()
        self.writers: Final[dict[int, list[tuple[NativeSpace, int]]]] = {}
        """Physical page → the write-table entries that point to it."""
        self.sources: Final[dict[int, list[tuple[NativeSpace, int]]]] = {}
        """Physical page → the virtual pages from which translated code was read."""
        self.library: Final[dict[int, list[Compiled]]] = {}
        """PC | Thumb → everything compiled for that entry, whatever the address space."""
        self._heat_maps: Final[list[mmap.mmap]] = []
        self.heats: Final[list[memoryview]] = []
        self.compiled = 0
        self.instructions = 0
        memory.watcher = self.wrote

    def space(self, space: AddressSpace) -> NativeSpace:
        """The native side of an address space, made on first use."""
        listener = space.listener
        if isinstance(listener, NativeSpace):
            return listener
        made = NativeSpace(space, self)
        space.listener = made
        return made

    def wrote(self, address: int, size: int) -> None:
        """RAM of pages with translated code has changed: forget the code that it overlaps."""
        end = address + size
        for page in range(address >> 12, (end + 4095) >> 12):
            if page not in self.memory.watched:
                continue
            low, high = max(address - (page << 12), 0), min(end - (page << 12), 4096)
            left = False
            for native, virtual in self.sources[page]:
                native.drop_bytes(virtual, (virtual << 12) + low, (virtual << 12) + high)
                left = left or virtual in native.code_pages
            if not left:
                self.memory.watched.discard(page)
                del self.sources[page]

    def find(self, native: NativeSpace, key: int) -> Compiled | None:
        """A region that was compiled from the same code at the same address, for another space or before."""
        for compiled in self.library.get(key, ()):
            if compiled.region.matches(Code(native.space)):
                self._install(native, compiled)
                return compiled
        return None

    def compile(self, native: NativeSpace, key: int) -> Compiled | None:
        """Compile the region entered at PC | Thumb `key`; None if it starts with something for the evaluator."""
        region = discover(native.space, key & ~1, key & 1)
        if region is None:
            return None
        compiled = self._compile(region, key, Shape.QUICK)
        self.library.setdefault(key, []).append(compiled)
        self._install(native, compiled)
        return compiled

    def promote(self, native: NativeSpace, compiled: Compiled) -> Compiled:
        """Compile a region again, with care; the new code takes the old one's place."""
        tuned = self._compile(compiled.region, compiled.key, Shape.TUNED)
        versions = self.library[compiled.key]
        versions[versions.index(compiled)] = tuned
        native.install(tuned)
        return tuned

    def _compile(self, region: Region, key: int, shape: Shape) -> Compiled:
        serial = self.compiled
        self.compiled = serial + 1
        self.instructions += region.instructions
        if serial % HEAT_WORDS == 0:
            mapping = mmap.mmap(-1, HEAT_WORDS * 8)
            self._heat_maps.append(mapping)
            self.heats.append(memoryview(mapping).cast("Q"))
        heat = _host(self._heat_maps[-1]) + serial % HEAT_WORDS * 8
        name = f"r{serial}"
        lowering = Lowering(name, region.thumb, region.runs, shape, heat)
        address, entry = self.compiler.compile(name, lowering.text(), shape)
        return Compiled(serial, shape, key, address, entry, region)

    def executed(self, compiled: Compiled) -> int:
        """Instructions that a QUICK region has executed so far."""
        return self.heats[compiled.serial // HEAT_WORDS][compiled.serial % HEAT_WORDS]

    def _install(self, native: NativeSpace, compiled: Compiled) -> None:
        self._watch(native, compiled.region)
        native.install(compiled)

    def _watch(self, native: NativeSpace, region: Region) -> None:
        """From now on a write to these pages must be seen: no table may let native code write them."""
        for virtual in region.pages:
            physical = native.space.pages[virtual] >> 4
            sources = self.sources.setdefault(physical, [])
            if (native, virtual) not in sources:
                sources.append((native, virtual))
            if physical not in self.memory.watched:
                self.memory.watched.add(physical)
                for other, page in self.writers.pop(physical, ()):
                    if other.space.pages.get(page, 0) >> 4 == physical:
                        other.writes[page] = 0
