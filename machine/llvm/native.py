"""What compiled regions need around them: page tables of host pointers, the jump cache, and the library of regions.

All of it is derived from address spaces and RAM, and is cut as soon as those change.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from typing import TYPE_CHECKING, Final, final

from retrap.machine.arm.templates import recall, worth_keeping
from retrap.machine.llvm import helpers
from retrap.machine.llvm.arena import Arena
from retrap.machine.llvm.layout import JUMP_CACHE_BITS, Env
from retrap.machine.llvm.lower import Lowering, Shape
from retrap.machine.llvm.region import Code, Region, discover
from retrap.machine.llvm.store import Record, Store, digest_of
from retrap.machine.llvm.tables import EMPTY_WINDOWS, LAST_PAGE, MISS, REACH, PageTable, host_address
from retrap.machine.llvm.tables import text as miss_text
from retrap.machine.log import InstructionLog
from retrap.machine.memory import PhysicalMemory, RamRegion
from retrap.machine.space import READ, WRITE, AddressSpace

if TYPE_CHECKING:
    from retrap.machine.llvm.compiler import Compiler
    from retrap.machine.llvm.trampoline import Enter, Relay

CACHE_MASK: Final = (1 << JUMP_CACHE_BITS) - 1
CACHE_BYTES: Final = 16 << JUMP_CACHE_BITS
_ENTRY: Final = 1 << 32
"""Marks a head where a kept region can be entered."""

_TEMPLATES: Final = "templates"
"""What the store calls the evaluator's templates, which serve every guest."""

EMPTY: Final = (1 << 64) - 1

QUICK_LIMIT: Final = 160
TUNED_LIMIT: Final = 1200
"""Guest instructions of a region."""

CODE_LIMIT: Final = 64 << 20
"""Bytes of compiled code after which all of it is dropped, and what is still hot compiled again."""


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


class NativeSpace:
    """What native code needs of one address space. Tables fill on first use, like a TLB."""

    def __init__(self, space: AddressSpace, owner: Native) -> None:
        self.space: Final = space
        self.owner: Final = owner
        self._maps: Final = (mmap.mmap(-1, CACHE_BYTES), mmap.mmap(-1, Env.SIZE))
        self.reads: Final = PageTable()
        self.writes: Final = PageTable()
        self.cache: Final = memoryview(self._maps[0]).cast("Q")
        self.env: Final = memoryview(self._maps[1]).cast("Q")
        self.env_address: Final = host_address(self._maps[1])
        self._windows: Final = memoryview(self._maps[1])[Env.WINDOWS : Env.WINDOWS + len(EMPTY_WINDOWS)]
        self._windows[:] = EMPTY_WINDOWS
        env = self.env
        env[Env.READ_TABLE >> 3], env[Env.READ_RUNS >> 3] = self.reads.addresses()
        env[Env.WRITE_TABLE >> 3], env[Env.WRITE_RUNS >> 3] = self.writes.addresses()
        env[Env.JUMP_CACHE >> 3] = host_address(self._maps[0])
        owner.equip(env)
        self.entries: Final[dict[int, Compiled]] = {}
        self.code_pages: Final[dict[int, CodePage]] = {}
        self.writable: Final[dict[int, int]] = {}
        """Virtual page → physical page, of each entry in `writes`."""
        self.number: Final = owner.next_number()
        """Names this space in the owner's tables, for ever."""
        self.looked: Final[dict[int, str]] = {}
        """Virtual page → the store's name for it, of the pages that have been looked up there."""
        self.cache[:] = _EMPTY_CACHE

    def changed(self, first_page: int, count: int) -> None:
        """See `SpaceListener`: forget pointers to the pages, and the code that was read from them."""
        last = first_page + count - 1
        if self.reads.remove(first_page, last):
            self._windows[:] = EMPTY_WINDOWS
        if self.writable:
            self._close(first_page, last)
        if count == 1:
            if self.looked:
                self.looked.pop(first_page, None)
            if first_page in self.code_pages:
                self.drop(first_page, 0, 4096)
            self._enter(first_page)
            return
        if self.looked or self.code_pages:
            for page in range(first_page, last + 1):
                self.looked.pop(page, None)
                if page in self.code_pages:
                    self.drop(page, 0, 4096)

    def closed(self) -> None:
        """See `SpaceListener`: nothing will run here any more."""
        self.clear()
        writers = self.owner.writers
        for page, physical in self.writable.items():
            found = writers.get(physical)
            if found is not None:
                found.discard(self.number << 20 | page)
        self.writable.clear()
        self.owner.spaces.pop(self.number, None)

    def _enter(self, page: int) -> None:
        """A page that is mapped now is about to be used."""
        entry = self.space.pages.get(page, 0)
        if not entry & READ or page == LAST_PAGE:
            return
        physical = entry >> 4
        memory = self.space.memory
        region = memory.region(physical << 12)
        if region is None:
            return
        distance = _distance(region, physical, page)
        self.reads.add_page(page, distance)
        if entry & WRITE and physical not in memory.watched:
            self.writes.add_page(page, distance)
            self._writes_to(page, physical)

    def _writes_to(self, page: int, physical: int) -> None:
        """Native code writes to a page from now on."""
        self.writable[page] = physical
        key = self.number << 20 | page
        found = self.owner.writers.get(physical)
        if found is None:
            self.owner.writers[physical] = {key}
        else:
            found.add(key)

    def fill(self, page: int) -> None:
        """Let native code touch a virtual page directly, as far as its mapping allows."""
        entry = self.space.pages.get(page)
        if entry is None or page == LAST_PAGE:
            return
        physical = entry >> 4
        memory = self.space.memory
        region = memory.region(physical << 12)
        if region is None:
            return
        distance = _distance(region, physical, page)
        if entry & READ and not self.reads.has(page):
            first, last = self._row(page, region, READ, self.reads)
            self.reads.add(first, last, distance)
        if entry & _BOTH == _BOTH and physical not in memory.watched and not self.writes.has(page):
            first, last = self._row(page, region, _BOTH, self.writes)
            self.writes.add(first, last, distance)
            for one in range(first, last + 1):
                self._writes_to(one, physical + one - page)

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

    def close(self, page: int) -> None:
        """Native code must not write a page any more."""
        self._close(page, page)

    def _close(self, first: int, last: int) -> None:
        """Native code must not write pages `[first, last]` any more."""
        if not self.writes.remove(first, last):
            return
        self._windows[:] = EMPTY_WINDOWS
        owners, base = self.owner.writers, self.number << 20
        for page in range(first, last + 1):
            physical = self.writable.pop(page, -1)
            writers = owners.get(physical)
            if writers is not None:
                writers.discard(base | page)
                if not writers:
                    del owners[physical]

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
                self.owner.watch(physical, self, page)
            found.keys.add(compiled.key)
        self.entries[compiled.key] = compiled
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


_BOTH: Final = READ | WRITE


def _distance(region: RamRegion, physical: int, page: int) -> int:
    """From guest to host addresses in a virtual page, modulo 2^64."""
    return (region.host + (physical << 12) - region.base - (page << 12)) & 0xFFFFFFFFFFFFFFFF


_EMPTY_CACHE: Final = memoryview(b"\xff" * CACHE_BYTES).cast("Q")


@final
class Native:
    """The native half of a CPU: compiled regions of all address spaces of one physical memory."""

    def __init__(
        self,
        memory: PhysicalMemory,
        store: Store | None = None,
        limit: int = CODE_LIMIT,
        log: InstructionLog | None = None,
    ) -> None:
        self.store: Final = store
        self.log: Final = log
        """Where regions write what they execute, if anybody wants to know."""
        self.shelf: Final[dict[int, list[Record]]] = {}
        """PC | Thumb → what earlier runs compiled for code that started like this."""
        self.reached: Final[set[int]] = set()
        """PC | Thumb of the basic blocks that have run."""
        self.memory: Final = memory
        self.limit = limit
        self.writers: Final[dict[int, set[int]]] = {}
        """Physical page → number of a space << 20 | virtual page, of the write-table entries that point to it."""
        self.sources: Final[dict[int, set[int]]] = {}
        """Physical page → number of a space << 20 | virtual page from which compiled code was read. The watched
        pages."""
        self.spaces: Final[dict[int, NativeSpace]] = {}
        """Those that can still run, by number."""
        self._numbers = 0
        self.library: Final[dict[int, list[Compiled]]] = {}
        """PC | Thumb → everything compiled for that entry, whatever the address space."""
        self.arena = Arena()
        self._door: Final = Arena()  # where `enter` is: it outlives what is dropped
        self._shelved: Final[set[str]] = set()
        self.enter: Enter | None = None
        self.miss = 0
        """Host address of `tables.miss`, once it is there."""
        self.helpers: list[int] = [0] * len(helpers.INDEX)
        """Host addresses of `helpers`, in the order of `helpers.INDEX`."""
        self._helping = False
        self.compiled = 0
        """Regions compiled so far; with how many basic blocks and instructions."""
        self.blocks = 0
        self.instructions = 0
        self.flushes = 0
        self.fetched = 0
        """Regions that came from the store."""
        self._compiler: Compiler | None = None
        self.unavailable = ""
        """Why there is no compiler, as a sentence."""
        memory.watcher = self.wrote
        if store is not None:
            # (`reached` stands for this object, to which there can be no weak reference when it is compiled ahead.)
            weakref.finalize(self.reached, _save, store, self.library)
            templates = store.read(store.special(_TEMPLATES))
            if templates is not None:
                recall(templates)

    def next_number(self) -> int:
        """A name for a space."""
        self._numbers += 1
        return self._numbers

    def space(self, space: AddressSpace) -> NativeSpace:
        """The native side of an address space, made on first use."""
        listener = space.listener
        if isinstance(listener, NativeSpace):
            return listener
        made = NativeSpace(space, self)
        self.spaces[made.number] = made
        space.listener = made
        return made

    # -- code that changes -------------------------------------------------------------------------------

    def watch(self, physical: int, native: NativeSpace, page: int) -> None:
        """From now on a write to this page must be seen: no table may let native code write it."""
        sources = self.sources.get(physical)
        if sources is None:
            sources = self.sources[physical] = set()
            self.memory.watched.add(physical)
            for key in tuple(self.writers.get(physical, ())):
                self.spaces[key >> 20].close(key & 0xFFFFF)
        sources.add(native.number << 20 | page)

    def unwatch(self, physical: int, native: NativeSpace, page: int) -> None:
        """No code from this virtual page any more."""
        sources = self.sources[physical]
        sources.discard(native.number << 20 | page)
        if not sources:
            del self.sources[physical]
            self.memory.watched.discard(physical)

    def wrote(self, address: int, size: int) -> None:
        """RAM of watched pages has changed: forget the code that it overlaps."""
        end = address + size
        for page in range(address >> 12, (end + 4095) >> 12):
            sources = self.sources.get(page)
            if sources is not None:
                low, high = max(address - (page << 12), 0), min(end - (page << 12), 4096)
                for key in sorted(sources):
                    self.spaces[key >> 20].drop(key & 0xFFFFF, low, high)

    # -- compiling ---------------------------------------------------------------------------------------

    def find(self, native: NativeSpace, key: int) -> bool:
        """Install a region compiled from the same code at the same address, for another space or before."""
        for compiled in self.library.get(key, ()):
            if compiled.matches(Code(native.space)):
                native.install(compiled)
                return True
        if self.store is None:
            return False
        self._name(native, key >> 12)
        for record in self.shelf.get(key, ()):
            code = Code(native.space)
            parts = tuple(code.read(low, high) or b"" for low, high in record.spans)
            if digest_of(parts) == record.digest and self._fetch(native, record, parts):
                return True
        return False

    def _name(self, native: NativeSpace, page: int) -> str:
        """The store's name for a page, of which the shelf now has what the store has."""
        store, known = self.store, native.looked.get(page)
        if store is None or known is not None:
            return known or ""
        content = Code(native.space).read(page << 12, (page + 1) << 12)
        name = native.looked[page] = store.page_name(page, content) if content is not None else ""
        if content is not None and name not in self._shelved:
            self._shelved.add(name)
            for record in store.regions(name):
                self.shelf.setdefault(record.key, []).append(record)
        return name

    def _fetch(self, native: NativeSpace, record: Record, code: tuple[bytes, ...]) -> bool:
        if self.enter is None and not self._make_enter():
            return False
        if self.arena.size > self.limit:
            self.flush()
        try:
            address = self.arena.place(record.text)
        except OSError:
            return False
        shape, helps = Shape(record.shape & 1), bool(record.shape & 2)
        if helps:
            self._make_helpers()
        self.fetched += 1
        heads = tuple(head & 0xFFFFFFFF for head in record.heads)
        self.reached.update(heads)
        for key in [head & 0xFFFFFFFF for head in record.heads if head & _ENTRY]:
            made = Compiled(
                shape, key, address, 0, record.spans, code, heads, record.instructions, helps
            )
            self.library.setdefault(key, []).insert(0, made)
            if key == record.key or key not in native.entries:
                native.install(made)
        return True

    def compile(
        self, native: NativeSpace, keys: list[int], shape: Shape = Shape.QUICK, most: int = 1 << 20
    ) -> int:
        """Compile the regions entered at PC | Thumb `keys`, where these are not the evaluator's, if they are no
        more than `most` guest instructions. How many they are."""
        tuned = shape is Shape.TUNED
        limit = TUNED_LIMIT if tuned else QUICK_LIMIT
        regions: list[Region] = []
        inside: set[int] = set()
        doors = sorted(native.entries) if tuned else []
        for key in keys:
            # What lies in a region that is made now is most likely reached there only.
            region = None
            if key not in inside:
                region = discover(native.space, key, self.reached, limit, tuned, doors)
            if region is not None:
                regions.append(region)
                inside.update(run[0].key for run in region.runs)
        size = sum(region.instructions for region in regions)
        if not regions or size > most:
            return size
        if self.arena.size > self.limit:
            self.flush()
        names = [f"r{region.key:x}" for region in regions]
        wanted = frozenset(keys)
        lowerings = [
            Lowering(name, region.runs, shape, self.log is not None, wanted, region.jumps)
            for name, region in zip(names, regions, strict=True)
        ]
        texts = [lowering.text() for lowering in lowerings]
        compiler = self.compiler()
        if compiler is None:
            return 0
        data = compiler.compile("\n".join(texts), shape)
        if self.enter is None:
            self._make_enter()
        if any(lowering.helps for lowering in lowerings):
            self._make_helpers()
        placed = self.arena.load(data, names)
        for region, lowering, (address, length) in zip(regions, lowerings, placed, strict=True):
            self._add(native, region, address, length, lowering)
        return size

    def _add(
        self, native: NativeSpace, region: Region, address: int, size: int, lowering: Lowering
    ) -> None:
        shape = Shape.TUNED if lowering.tuned else Shape.QUICK
        heads = tuple(run[0].key for run in region.runs)
        self.compiled += 1
        self.blocks += len(region.runs)
        self.instructions += region.instructions
        for entry in lowering.entries:
            made = Compiled(
                shape, entry, address, size, region.spans, region.code, heads, region.instructions,
                lowering.helps,
            )  # fmt: skip
            if made.key == region.key:
                made.kept = self._name(native, region.key >> 12)
                made.entries = tuple(lowering.entries)
            self._keep(native, made)

    def _keep(self, native: NativeSpace, made: Compiled) -> None:
        versions = self.library.setdefault(made.key, [])
        # What the same code was compiled to before is not wanted any more.
        versions[:] = [one for one in versions if (one.spans, one.code) != (made.spans, made.code)]
        versions.insert(0, made)
        native.install(made)

    def compiler(self) -> Compiler | None:
        """The compiler, loaded when it is wanted first. None if it does not work here: `unavailable` says why."""
        if self._compiler is None and not self.unavailable:
            try:
                from retrap.machine.llvm.compiler import Compiler

                self._compiler = Compiler()
            except (ImportError, OSError, RuntimeError) as error:
                self.unavailable = f"llvmlite does not work: {error}"
        return self._compiler

    def _make_enter(self) -> bool:
        """The way into native code; whether there is one: not where nothing can be compiled."""
        from retrap.machine.llvm import trampoline

        text = trampoline.text() + miss_text() + helpers.missing_text()
        made = self._at_door(text, [trampoline.NAME, MISS, helpers.MISSING])
        if made is None:
            return False
        address, self.miss, missing = made
        self.helpers = [missing] * len(helpers.INDEX)
        for native in self.spaces.values():
            self.equip(native.env)
        enter = trampoline.make_callable(address)
        self.enter = enter if self.log is None else self.log.logging(enter, Env.LOG)
        return True

    def _make_helpers(self) -> None:
        """What regions call for floating point."""
        if not self._helping:
            self._helping = True
            made = self._at_door(helpers.text(), [helpers.name_of(key) for key in helpers.INDEX])
            if made is not None:
                self.helpers = made
                for native in self.spaces.values():
                    self.equip(native.env)

    def _at_door(self, text: str, names: list[str]) -> list[int] | None:
        """Host addresses of functions that belong to no guest; None where nothing can be compiled."""
        store, title = self.store, self.store.special(text) if self.store is not None else ""
        data = store.read(title) if store is not None else None
        if data is None:
            compiler = self.compiler()
            if compiler is None:
                return None
            data = compiler.compile(text, Shape.TUNED)
            if store is not None:
                store.write(title, data)
        return [address for address, _ in self._door.load(data, names)]

    def equip(self, env: memoryview) -> None:
        """Tell an environment where these functions are."""
        env[Env.MISS >> 3] = self.miss
        for index, address in enumerate(self.helpers):
            env[(Env.HELPERS >> 3) + index] = address

    def make_relay(self) -> Relay | None:
        """The function of `machine.llvm.relay`; none where nothing can be compiled, or instructions are logged."""
        from retrap.machine.llvm import relay, trampoline

        made = self._at_door(relay.text(), [relay.NAME]) if self.log is None else None
        return None if made is None else trampoline.make_callable(made[0])

    def flush(self) -> None:
        """Drop all compiled code."""
        self.flushes += 1
        for native in tuple(self.spaces.values()):
            native.clear()
        self.library.clear()
        self.arena = Arena()


def _save(store: Store, library: dict[int, list[Compiled]]) -> None:
    """Keep for later runs what this one compiled."""
    files: dict[str, list[Record]] = {}
    for versions in library.values():
        for made in versions:
            if made.kept and made.size:
                record = Record(
                    made.shape | made.helps << 1, made.key, made.instructions, made.spans,
                    tuple(head | _ENTRY if head in made.entries else head for head in made.heads),
                    digest_of(made.code), ctypes.string_at(made.address, made.size),
                )  # fmt: skip
                files.setdefault(made.kept, []).append(record)
    for name, records in files.items():
        store.add(name, records)
    templates = worth_keeping()
    if templates is not None:
        store.write(store.special(_TEMPLATES), templates)
    if files or templates is not None:
        store.trim()
