"""Which host memory native code may touch, page by page and in runs of pages.

Two tables for loads and two for stores, indexed by the virtual page: the distance from guest to host address (0:
not for native code), and the run that the page belongs to. A run is a row of pages with one distance. An access
that native code makes for the first time asks `miss`, a host function, which leaves the run in a window (see
`layout`), where the same base register's next access finds it: so most cost a subtraction and a comparison.

What may be stored to may be loaded from too: the tables for stores hold for both.

Runs fill on first use, like a TLB: `PageTable.add`. What is mapped page by page is entered at once, for it is about
to be used, and what is unmapped is taken out at once: that is `change`'s, a host function, too.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Final, final

from retrap.machine.llvm.layout import WINDOW_SLACK, Env, Window

PAGES: Final = 1 << 20
TABLE_BYTES: Final = PAGES * 8
LAST_PAGE: Final = 0xFFFFF
"""Native code does not touch it: what reaches beyond it goes on at 0, which is not behind it in host memory."""

REACH: Final = 32
"""Pages on either side of the one that was asked for, which are looked at for its run."""

MISS: Final = "miss"


def host_address(mapping: mmap.mmap) -> int:
    """Where a mapping is in host memory."""
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


MERGED: Final = 64
"""Pages of the longest run that grows as its pages are mapped one by one."""


@final
class PageTable:
    """The tables of one direction, loads or stores, of one address space. Pages are taken out by `change`."""

    __slots__ = ("_maps", "distances", "extents")

    def __init__(self) -> None:
        self._maps: Final = (mmap.mmap(-1, TABLE_BYTES), mmap.mmap(-1, TABLE_BYTES))
        self.distances: Final = memoryview(self._maps[0]).cast("Q")
        self.extents: Final = memoryview(self._maps[1]).cast("Q")
        """First byte of the run << 32 | its length in bytes."""

    def addresses(self) -> tuple[int, int]:
        """Host addresses of the two tables."""
        return host_address(self._maps[0]), host_address(self._maps[1])

    def has(self, page: int) -> bool:
        """Whether native code may touch a page."""
        held: int = self.distances[page]
        return held != 0

    def add(self, first: int, last: int, distance: int) -> None:
        """Let native code touch pages `[first, last]`, which it did not yet. Neighbours with the same distance join
        them."""
        count = last - first + 1
        self.distances[first : last + 1] = _repeated(distance, count)
        before, after = self._start(first - 1, distance), self._end(last + 1, distance)
        if last - before < 4 * REACH:
            first = before
        if after - first < 4 * REACH:
            last = after
        self._extend(first, last)

    def _start(self, page: int, distance: int) -> int:
        """First page of the run that `page` is in, if it is in one of that distance; else the page after it."""
        if page < 0 or not distance or self.distances[page] != distance:
            return page + 1
        extent: int = self.extents[page]
        return extent >> 44

    def _end(self, page: int, distance: int) -> int:
        """Last page of the run that `page` is in, if it is in one of that distance; else the page before it."""
        if page > LAST_PAGE or not distance or self.distances[page] != distance:
            return page - 1
        extent: int = self.extents[page]
        return (extent >> 44) + (extent >> 12 & 0xFFFFF) - 1

    def _extend(self, first: int, last: int) -> None:
        """Make a run of pages that have one distance."""
        count = last - first + 1
        self.extents[first : last + 1] = _repeated(first << 44 | count << 12, count)


def _repeated(value: int, count: int) -> memoryview:
    """A table's part."""
    return memoryview(value.to_bytes(8, "little") * count).cast("Q")


PROTOTYPE: Final = "i64 (ptr, i32, i32, i32)"


def text() -> str:
    """`miss(environment, address, size, window)` in LLVM IR: the distance of `size` bytes (below a page) from
    `address` on, 0 if native code may not touch them all. It fills the window."""
    directions = []
    for name, table, runs in (("load", Env.READ_TABLE, Env.READ_RUNS), ("store", Env.WRITE_TABLE, Env.WRITE_RUNS)):
        directions.append(
            f"""{name}:
%{name}tp = getelementptr i8, ptr %e, i64 {table}
%{name}t = load ptr, ptr %{name}tp
%{name}rp = getelementptr i8, ptr %e, i64 {runs}
%{name}r = load ptr, ptr %{name}rp
br label %look"""
        )
    return f"""
define preserve_mostcc i64 @{MISS}(ptr %e, i32 %address, i32 %size, i32 %window) #0 {{
%odd = trunc i32 %window to i1
br i1 %odd, label %store, label %load
{directions[0]}
{directions[1]}
look:
%t = phi ptr [%loadt, %load], [%storet, %store]
%r = phi ptr [%loadr, %load], [%storer, %store]
%page = lshr i32 %address, 12
%page64 = zext i32 %page to i64
%at = getelementptr i64, ptr %t, i64 %page64
%distance = load i64, ptr %at
%none = icmp eq i64 %distance, 0
br i1 %none, label %no, label %maybe
maybe:
%less = add i32 %size, -1
%end = add i32 %address, %less
%endpage = lshr i32 %end, 12
%endpage64 = zext i32 %endpage to i64
%endat = getelementptr i64, ptr %t, i64 %endpage64
%other = load i64, ptr %endat
%same = icmp eq i64 %distance, %other
br i1 %same, label %yes, label %no
yes:
%extentp = getelementptr i64, ptr %r, i64 %page64
%extent = load i64, ptr %extentp
%start = lshr i64 %extent, 32
%length = and i64 %extent, 4294967295
%limit = sub i64 %length, {WINDOW_SLACK}
%index = zext i32 %window to i64
%offset = mul i64 %index, {Window.SIZE}
%base = getelementptr i8, ptr %e, i64 {Env.WINDOWS}
%w = getelementptr i8, ptr %base, i64 %offset
%startp = getelementptr i8, ptr %w, i64 {Window.START}
store i64 %start, ptr %startp
%limitp = getelementptr i8, ptr %w, i64 {Window.LIMIT}
store i64 %limit, ptr %limitp
%distancep = getelementptr i8, ptr %w, i64 {Window.DISTANCE}
store i64 %distance, ptr %distancep
ret i64 %distance
no:
ret i64 0
}}
"""
