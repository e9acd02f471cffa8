"""Tables of native code follow the mappings: `change` against its rule in Python, after any history."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from retrap.machine.llvm.layout import WINDOW_COUNT, Env, Window, Writer
from retrap.machine.llvm.native import Native
from retrap.machine.llvm.native_space import NativeSpace
from retrap.machine.llvm.tables import LAST_PAGE, MERGED, PAGES, PageTable
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace

RAM = ((0x4000_0000, 0x10_0000), (0x6000_0000, 0x4_0000))
DEVICE = 0x0900_0000
LOW = 420
"""Virtual pages from 0 on that are looked at, and `HIGH` at the other end."""
HIGH = PAGES - 256
OPEN = 77  # what stands in a window that is not empty

Entries = dict[int, tuple[int, int, int]]
"""Page → distance; first page and number of pages of its run."""


class World:
    """Two spaces with native code's tables."""

    def __init__(self) -> None:
        self.memory = PhysicalMemory(RAM)
        self.native = Native(self.memory)
        assert self.native._make_enter()
        self.spaces = [AddressSpace(self.memory) for _ in range(2)]
        self.sides = [self.native.space(space) for space in self.spaces]
        self.watched: dict[int, tuple[NativeSpace, int]] = {}

    def distance(self, page: int, entry: int) -> int:
        """From guest to host addresses if a page of RAM is mapped there; else 0."""
        region = self.memory.region(entry >> 4 << 12)
        if region is None or not entry & READ or page == LAST_PAGE:
            return 0
        return region.host - region.base + ((entry >> 4) - page << 12) & 0xFFFF_FFFF_FFFF_FFFF

    def write_distance(self, page: int, entry: int) -> int:
        """The same if it may be written."""
        return self.distance(page, entry) if entry & WRITE and entry >> 4 not in self.watched else 0

    def open_windows(self) -> None:
        for side in self.sides:
            for window in range(WINDOW_COUNT):
                side.env[Env.WINDOWS + window * Window.SIZE + Window.LIMIT >> 3] = OPEN

    def windows(self, side: NativeSpace) -> set[int]:
        return {side.env[Env.WINDOWS + w * Window.SIZE + Window.LIMIT >> 3] for w in range(WINDOW_COUNT)}

    def check(self) -> None:
        """What holds after any history."""
        writers: dict[int, set[int]] = {}
        for side in self.sides:
            reads, writes = entries(side.reads), entries(side.writes)
            for table in (reads, writes):
                for page, (distance, first, count) in table.items():
                    assert first <= page < first + count
                    run = {table.get(other, ()) for other in range(first, first + count)}
                    assert run == {(distance, first, count)}
            for page, (distance, *_) in reads.items():
                assert distance == self.distance(page, side.space.pages.get(page, 0))
            for page, (distance, *_) in writes.items():
                entry = side.space.pages.get(page, 0)
                assert distance == self.write_distance(page, entry)
                writers.setdefault(entry >> 4, set()).add(side.number << 20 | page)
        for (base, size), words in zip(RAM, self.native.writers.words, strict=True):
            for physical, word in enumerate(words, base >> 12):
                keys = writers.get(physical, set())
                if word == Writer.CODE:
                    assert physical in self.watched
                    assert not keys
                elif word != Writer.MANY:
                    assert keys == ({word} if word != Writer.NOBODY else set())
            assert len(words) == size >> 12


def entries(table: PageTable) -> Entries:
    """Of the pages that are looked at."""
    found = {}
    for start, end in ((0, LOW), (HIGH, PAGES)):
        pairs = zip(table.distances[start:end], table.extents[start:end], strict=True)
        for page, (distance, extent) in enumerate(pairs, start):
            if distance or extent:
                assert distance
                assert extent & 0xFFF == 0
                found[page] = distance, extent >> 44, extent >> 12 & 0xFFFFF
    return found


def put(table: Entries, page: int, distance: int) -> bool:
    """The rule: whether something was taken away."""

    def run(first: int, count: int) -> None:
        for one in range(first, first + count):
            table[one] = table[one][0], first, count

    held, first, count = table.pop(page, (0, 0, 0))
    if held == distance:
        if held:
            table[page] = held, first, count
        return False
    if held:
        run(first, page - first)
        run(page + 1, first + count - page - 1)
    if distance:
        table[page] = distance, page, 1
        first = page
        count = 1
        while count < MERGED:
            if table.get(first - 1, ())[::2] == (distance, count):
                first -= count
            elif table.get(first + count, ())[::2] != (distance, count):
                break
            count *= 2
        run(first, count)
    return held != 0


@pytest.fixture(scope="module")
def world() -> World:
    return World()


PLACES = st.one_of(st.integers(0, 24), st.integers(0, 250), st.integers(LAST_PAGE - 40, LAST_PAGE))
RIGHTS = st.sampled_from((READ | WRITE, READ | WRITE, READ | WRITE | EXECUTE, READ, READ | EXECUTE, WRITE, 0))
FRAMES = st.sampled_from((*(base >> 12 for base, _ in RAM), (RAM[0][0] >> 12) + 3, DEVICE >> 12))
STEPS = st.tuples(
    st.sampled_from(("map", "map", "map", "down", "unmap", "large", "section", "fill", "fill", "watch", "unwatch")),
    st.integers(0, 1), PLACES, st.one_of(st.integers(1, 12), st.integers(1, 140)), FRAMES, RIGHTS,
)  # fmt: skip


@settings(max_examples=50)
@given(st.lists(STEPS, max_size=12))
@example([("map", 0, 0, 140, RAM[0][0] >> 12, 3), ("unmap", 0, 63, 1, 0, 0), ("map", 0, 60, 9, RAM[0][0] >> 12, 1)])
@example([("map", 0, 0, 9, RAM[0][0] >> 12, 3), ("watch", 0, 0, 1, (RAM[0][0] >> 12) + 4, 0)])
@example([("map", 0, LAST_PAGE - 9, 10, RAM[0][0] >> 12, 3)])
def test_tables_follow_the_mappings(world: World, steps: list[tuple[str, int, int, int, int, int]]) -> None:
    for what, which, start, count, frame, rights in steps:
        side, space = world.sides[which], world.spaces[which]
        count = min(count, PAGES - start)
        if what in ("map", "down", "unmap"):
            pages, other = range(start, start + count), world.sides[1 - which]
            others = entries(other.reads), entries(other.writes)
            for page in pages if what == "map" else reversed(pages):
                step(world, side, page, 0 if what == "unmap" else frame + (page & 0x7F) << 4 | rights)
            assert (entries(other.reads), entries(other.writes)) == others
        elif what in ("large", "section"):
            bits = 16 if what == "large" else 20
            first = (start << 12 & -(1 << bits)) & 0xFFFF_FFFF
            world.open_windows()
            size = 1 << bits - 12
            held = [page for table in (side.reads, side.writes) for page in entries(table)]
            if rights & EXECUTE:
                space.unmap(first, bits)
            else:
                space.map(first, frame << 12, bits, rights)
            gone = range(first >> 12, (first >> 12) + size)
            assert not any(side.reads.distances[gone.start : gone.stop])
            assert not any(side.writes.distances[gone.start : gone.stop])
            assert world.windows(side) == ({(1 << 64) - 1} if any(page in gone for page in held) else {OPEN})
        elif what == "fill":
            side.fill(start)
            entry = space.pages.get(start, 0)
            assert side.reads.distances[start] == world.distance(start, entry)
        elif what == "watch" and frame != DEVICE >> 12 and frame not in world.watched:
            world.watched[frame] = side, start
            world.native.watch(frame, side, start)
        elif what == "unwatch" and frame in world.watched:
            world.native.unwatch(frame, *world.watched.pop(frame))
        world.check()


def step(world: World, side: NativeSpace, page: int, entry: int) -> None:
    """Change one mapping, and compare with the rule."""
    reads, writes = entries(side.reads), entries(side.writes)
    lost = put(reads, page, world.distance(page, entry))
    lost = put(writes, page, world.write_distance(page, entry) if entry & READ else 0) or lost
    world.open_windows()
    if entry:
        side.space.map(page << 12, entry >> 4 << 12, 12, entry & 7)
    else:
        side.space.unmap(page << 12, 12)
    assert (entries(side.reads), entries(side.writes)) == (reads, writes)
    assert world.windows(side) == ({(1 << 64) - 1} if lost else {OPEN})
    assert all(world.windows(one) == {OPEN} for one in world.sides if one is not side)


def test_code_closes_a_page_wherever_it_is_mapped(world: World) -> None:
    """Also where more than one entry led to it."""
    physical = (RAM[0][0] >> 12) + 200
    for side in world.sides:
        for page in (300, 302):
            side.space.map(page << 12, physical << 12, 12, READ | WRITE)
            assert side.writes.has(page)
    assert world.native.writers.get(physical) == Writer.MANY
    world.native.watch(physical, world.sides[0], 300)
    for side in world.sides:
        for page in (300, 302):
            assert side.reads.has(page)
            assert not side.writes.has(page)
    world.native.unwatch(physical, world.sides[0], 300)
    for side in world.sides:
        for page in (300, 302):
            assert side.fill(page)
            side.space.unmap(page << 12, 12)
    world.check()


def test_a_closed_space_writes_nothing() -> None:
    world = World()
    gone, stays = world.sides
    for page in range(5, 9):
        gone.space.map(page << 12, RAM[0][0] + (page << 12), 12, READ | WRITE)
    stays.space.map(0x6000, RAM[0][0], 12, READ | WRITE)
    gone.space.close()
    assert [word for words in world.native.writers.words for word in words if word] == [stays.number << 20 | 6]


@pytest.mark.parametrize("bits", [12, 16])
def test_what_was_derived_from_a_page_goes_with_it(bits: int) -> None:
    """And nothing of other pages."""
    world = World()
    side, space = world.sides[0], world.spaces[0]
    for page in (0x0F, 0x10, 0x1F, 0x20):
        space.map(page << 12, RAM[0][0] + (page << 12), 12, READ)
        side.look(page, "a name")
    space.map(0x10000, RAM[1][0], bits, READ)
    assert sorted(side.looked) == ([0x0F, 0x20] if bits == 16 else [0x0F, 0x1F, 0x20])
    space.unmap(0x10000 if bits == 16 else 0x1F000, bits)
    assert sorted(side.looked) == [0x0F, 0x20]
    space.unmap(0x20000, bits)
    space.unmap(0x0F000 & -(1 << bits), bits)
    assert not side.looked


def test_without_native_code_there_is_nothing_to_follow() -> None:
    """Before the first region, and where nothing can be compiled."""
    memory = PhysicalMemory(RAM)
    native, space = Native(memory), AddressSpace(memory)
    side = native.space(space)
    space.map(0x5000, RAM[0][0], 12, READ | WRITE)
    side.look(5, "a name")
    native.watch(RAM[0][0] >> 12, side, 5)
    space.map(0x100000, RAM[0][0], 20, READ | WRITE)
    space.unmap(0x5000, 12)
    assert not side.looked
    assert not any(side.reads.distances[:0x200])
    native.unwatch(RAM[0][0] >> 12, side, 5)
    space.close()
    assert not any(any(words) for words in native.writers.words)
