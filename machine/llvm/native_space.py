"""What native code needs of one address space: tables of host pointers, the jump cache, the regions entered there.

All of it is derived from the address space and RAM, and is cut as soon as those change.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from retrap.machine.llvm import layout
from retrap.machine.llvm.layout import JUMP_CACHE_BITS, WINDOW_COUNT, Env, Window
from retrap.machine.llvm.lower import Shape
from retrap.machine.llvm.region import Code
from retrap.machine.llvm.sheets import Sheet
from retrap.machine.llvm.tables import LAST_PAGE, PAGES, REACH, PageTable, host_address
from retrap.machine.memory import RamRegion
from retrap.machine.space import READ, WRITE, AddressSpace, SpaceListener

if TYPE_CHECKING:
    from retrap.machine.llvm.native import Native

CACHE_MASK: Final = (1 << JUMP_CACHE_BITS) - 1
CACHE_BYTES: Final = 16 << JUMP_CACHE_BITS
EMPTY: Final = (1 << 64) - 1


@final
class Compiled:
    """A region's code. It can be used in every address space that has the same bytes at the same place."""

    __slots__ = (
        "address",
        "code",
        "cost",
        "entries",
        "heads",
        "helps",
        "instructions",
        "kept",
        "key",
        "pages",
        "samples",
        "shape",
        "size",
        "spans",
    )  # fmt: skip

    def __init__(
        self,
        shape: Shape,
        key: int,
        address: int,
        size: int,
        spans: tuple[tuple[int, int], ...],
        code: tuple[bytes, ...],
        heads: tuple[int, ...],
        instructions: int,
        helps: bool,
    ) -> None:
        self.shape: Final = shape
        self.key: Final = key  # PC | Thumb
        self.address: Final = address  # of the host function
        self.size: Final = size  # of the host function in bytes, 0 if it cannot be copied
        self.spans: Final = spans
        self.code: Final = code
        self.heads: Final = heads  # PC | Thumb of its basic blocks
        self.instructions: Final = instructions
        self.helps: Final = helps  # it calls `helpers`
        self.pages: Final = tuple(
            sorted({page for low, high in spans for page in range(low >> 12, (high + 4095) >> 12)})
        )
        self.samples = 0  # slices that ended in it
        self.cost = 0  # guest instructions to be compiled, if that was too many to do it with care
        self.kept = ""  # the name of the store's file that it belongs in
        self.entries: tuple[int, ...] = ()  # if it is kept: PC | Thumb of all entries

    def matches(self, code: Code) -> bool:
        """Whether an address space has this code."""
        pairs = zip(self.spans, self.code, strict=True)
        return all(code.read(low, high) == expected for (low, high), expected in pairs)


@final
class CodePage:
    """A virtual page from which code was compiled."""

    __slots__ = ("keys", "physical")

    def __init__(self, physical: int) -> None:
        self.physical: Final = physical
        self.keys: Final[set[int]] = set()


@final
class NativeSpace(SpaceListener):
    """What native code needs of one address space. Tables fill on first use, like a TLB."""

    def __init__(self, space: AddressSpace, owner: Native) -> None:
        super().__init__()
        self.space: Final = space
        self.owner: Final = owner
        self._maps: Final = (mmap.mmap(-1, CACHE_BYTES), mmap.mmap(-1, Env.SIZE))
        self._tables: Final[list[mmap.mmap]] = []
        self.reads: Final = PageTable()
        self.writes: Final = PageTable()
        self.cache: Final = memoryview(self._maps[0]).cast("Q")
        self.env: Final = memoryview(self._maps[1]).cast("Q")
        self.env_address: Final = host_address(self._maps[1])
        self._change: Callable[..., int] | None = None
        """The function of `machine.llvm.change`. Without it, and `enter`, no table has an entry."""
        self._noted: Final = memoryview(self._maps[1])[Env.NOTED :]
        """1 for each virtual page that is in `looked`, `sheets` or `code_pages`."""
        env = self.env
        for window in range(WINDOW_COUNT):
            env[(Env.WINDOWS + window * Window.SIZE + Window.LIMIT) >> 3] = EMPTY
        env[Env.READ_TABLE >> 3], env[Env.READ_RUNS >> 3] = self.reads.addresses()
        env[Env.WRITE_TABLE >> 3], env[Env.WRITE_RUNS >> 3] = self.writes.addresses()
        env[Env.JUMP_CACHE >> 3] = host_address(self._maps[0])
        owner.equip(env)
        self.entries: Final[dict[int, Compiled]] = {}
        self.code_pages: Final[dict[int, CodePage]] = {}
        self.number: Final = owner.next_number()
        """Names this space in the owner's tables, for ever."""
        env[Env.NUMBER >> 3] = self.number
        self.looked: Final[dict[int, str]] = {}
        """Virtual page → the store's name for it, of the pages that have been looked up there."""
        self.sheets: Final[dict[int, Sheet]] = {}
        """Those of the virtual pages that the interpreter can be in."""
        self._pairs: memoryview | None = None
        self.cache[:] = _EMPTY_CACHE

    def open(self, enter: int, change: int) -> None:
        """Make the functions of `trampoline` and `change`, at these host addresses, this address space's."""
        from retrap.machine.llvm.trampoline import make_callable

        log = self.owner.log
        way = make_callable(enter, self.env_address)
        self.enter = way if log is None else log.logging(way, self.env_address + layout.Env.LOG)
        self._change = make_callable(change, self.env_address)

    def changed(self, first_page: int, count: int, entry: int) -> None:
        """See `SpaceListener`: forget pointers to the pages, and the code that was read from them. A single page
        that is mapped is about to be used: its pointers are there at once."""
        change = self._change
        if count == 1:
            if change is None or change(first_page, entry):
                self._forget(first_page)
            return
        if change is not None:
            change(first_page, 0, count)
        marks = self._noted[first_page : first_page + count].tobytes()
        at = marks.find(1)
        while at >= 0:
            self._forget(first_page + at)
            at = marks.find(1, at + 1)

    def closed(self) -> None:
        """See `SpaceListener`: nothing will run here any more."""
        self.clear()
        change = self._change
        if change is not None:
            for page in self.space.pages:
                if self.writes.has(page):
                    change(page, 0)
        self.owner.spaces.pop(self.number, None)

    def refresh(self, page: int) -> None:
        """Whether native code may write a page is to be decided again."""
        change = self._change
        if change is not None:
            change(page, self.space.pages.get(page, 0))

    def look(self, page: int, name: str) -> None:
        """A page has been looked up in the store."""
        self.looked[page] = name
        self._noted[page] = 1

    def _forget(self, page: int) -> None:
        """Drop all but pointers that has been derived from a page."""
        self._noted[page] = 0
        self.looked.pop(page, None)
        if page in self.sheets:
            self._remove_sheet(page)
        if page in self.code_pages:
            self.drop(page, 0, 4096)

    def fill(self, page: int) -> bool:
        """Let native code touch a virtual page directly, as far as its mapping allows; whether it can more now."""
        entry = self.space.pages.get(page, 0)
        physical = entry >> 4
        region = self.space.memory.region(physical << 12) if page != LAST_PAGE else None
        if region is None:
            return False
        more = False
        distance = _distance(region, physical, page)
        if entry & READ and not self.reads.has(page):
            first, last = self._row(page, region, READ, self.reads)
            self.reads.add(first, last, distance)
            more = True
        if entry & _BOTH == _BOTH and physical not in self.space.memory.watched and not self.writes.has(page):
            first, last = self._row(page, region, _BOTH, self.writes)
            self.writes.add(first, last, distance)
            writers, key = self.owner.writers, self.number << 20
            for one in range(first, last + 1):
                writers.add(physical + one - page, key | one)
            more = True
        return more

    def _row(self, page: int, region: RamRegion, rights: int, table: PageTable) -> tuple[int, int]:
        """First and last of the pages around `page` that native code may touch like it, and does not yet."""
        pages, watched = self.space.pages, self.space.memory.watched
        lowest, highest = region.base >> 12, (region.end >> 12) - 1
        offset = (pages[page] >> 4) - page
        first = last = page
        while page - first < REACH and self._like(first - 1, offset, rights, table, pages, watched):
            if not lowest <= first - 1 + offset:
                break
            first -= 1
        while last - page < REACH and self._like(last + 1, offset, rights, table, pages, watched):
            if not last + 1 + offset <= highest:
                break
            last += 1
        return first, last

    def _like(
        self, page: int, offset: int, rights: int, table: PageTable, pages: dict[int, int], watched: set[int]
    ) -> bool:
        """Whether a page has these rights and that distance to its physical page, and is not in the table."""
        entry = pages.get(page, 0)
        if entry >> 4 != page + offset or entry & rights != rights or page == LAST_PAGE or table.has(page):
            return False
        return rights != _BOTH or entry >> 4 not in watched

    def drop(self, page: int, start: int, end: int) -> None:
        """Forget the regions with code in bytes `[start, end)` of virtual page `page`."""
        found = self.code_pages[page]
        low, high = (page << 12) + start, (page << 12) + end
        for key in tuple(found.keys):
            compiled = self.entries[key]
            if any(a < high and low < b for a, b in compiled.spans):
                self.remove(compiled)

    def remove(self, compiled: Compiled) -> None:
        """Make a region unreachable."""
        key = compiled.key
        del self.entries[key]
        at = (key >> 1 & CACHE_MASK) * 2
        if self.cache[at] == key:
            self.cache[at] = EMPTY
        for page in compiled.pages:
            found = self.code_pages[page]
            found.keys.discard(key)
            if not found.keys:
                del self.code_pages[page]
                self.owner.unwatch(found.physical, self, page)

    def install(self, compiled: Compiled) -> None:
        """Make a region reachable; the one that it replaces, if any, no longer is."""
        old = self.entries.get(compiled.key)
        if old is not None:
            self.remove(old)
        for page in compiled.pages:
            found = self.code_pages.get(page)
            if found is None:
                physical = self.space.pages[page] >> 4
                found = self.code_pages[page] = CodePage(physical)
                self._noted[page] = 1
                self.owner.watch(physical, self, page)
            found.keys.add(compiled.key)
        self.entries[compiled.key] = compiled
        sheet = self.sheets.get(compiled.key >> 12)
        if sheet is not None:
            sheet.set_count(compiled.key, layout.Sheet.ENOUGH)
        self.remember(compiled)

    def remember(self, compiled: Compiled) -> None:
        """Put a region into the jump cache, from which another may have displaced it."""
        at = (compiled.key >> 1 & CACHE_MASK) * 2
        self.cache[at] = compiled.key
        self.cache[at + 1] = compiled.address

    def clear(self) -> None:
        """Forget all regions."""
        for compiled in tuple(self.entries.values()):
            self.remove(compiled)

    # -- what is not compiled ------------------------------------------------------------------------------

    def add_sheet(self, page: int, sheet: Sheet, interpreter: tuple[int, int]) -> None:
        """Let the interpreter run what a sheet has of a page that can be executed. `interpreter`: host addresses of
        its two ways in."""
        physical = self.space.pages[page] >> 4
        region = self.space.memory.region(physical << 12)
        assert region is not None
        pairs = self._pairs
        if pairs is None:
            table = mmap.mmap(-1, 16 * PAGES)
            self._tables.append(table)
            pairs = self._pairs = memoryview(table).cast("Q")
            self.env[Env.SHEETS >> 3] = host_address(table)
            self.env[Env.INTERPRETER >> 3], self.env[Env.RESUME >> 3] = interpreter
        self.sheets[page] = sheet
        self._noted[page] = 1
        pairs[2 * page] = sheet.address
        pairs[2 * page + 1] = _distance(region, physical, page)
        for key in self.entries:
            if key >> 12 == page:
                sheet.set_count(key, layout.Sheet.ENOUGH)

    def _remove_sheet(self, page: int) -> None:
        del self.sheets[page]
        pairs = self._pairs
        assert pairs is not None
        pairs[2 * page] = 0

    def covers(self, key: int) -> bool:
        """Whether the interpreter can go on at PC | Thumb."""
        sheet = self.sheets.get(key >> 12)
        return sheet is not None and 0 <= sheet.count(key) < layout.Sheet.ENOUGH


_BOTH: Final = READ | WRITE


def _distance(region: RamRegion, physical: int, page: int) -> int:
    """From guest to host addresses in a virtual page, modulo 2^64."""
    return (region.host + (physical << 12) - region.base - (page << 12)) & 0xFFFFFFFFFFFFFFFF


_EMPTY_CACHE: Final = memoryview(b"\xff" * CACHE_BYTES).cast("Q")
