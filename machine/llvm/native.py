"""The compiled regions of all address spaces: the library that they come from, what is compiled, kept and dropped.

What one address space needs is `native_space`'s.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from retrap.machine.arm.templates import recall, worth_keeping
from retrap.machine.llvm import helpers
from retrap.machine.llvm.arena import Arena
from retrap.machine.llvm.layout import Env, Sheet, Writer
from retrap.machine.llvm.lower import Lowering, Shape
from retrap.machine.llvm.native_space import Compiled, NativeSpace
from retrap.machine.llvm.region import Code, Region, discover
from retrap.machine.llvm.sheets import HANDLERS, INTERPRETER, RESUME, Sheets
from retrap.machine.llvm.store import Record, Store, digest_of
from retrap.machine.llvm.tables import MISS, host_address
from retrap.machine.llvm.tables import text as miss_text
from retrap.machine.llvm.writers import Writers
from retrap.machine.log import InstructionLog
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import AddressSpace

if TYPE_CHECKING:
    from retrap.machine.llvm.compiler import Compiler
    from retrap.machine.llvm.trampoline import Relay

_ENTRY: Final = 1 << 32
"""Marks a head where a kept region can be entered."""

_DOOR: Final = "door "
_ENTER: Final = "enter"
_INTERPRETER: Final = "interpreter"
_TEMPLATES: Final = "templates"
"""What the store calls the evaluator's templates, which serve every guest."""

QUICK_LIMIT: Final = 160
TUNED_LIMIT: Final = 1200
"""Guest instructions of a region."""

CODE_LIMIT: Final = 64 << 20
"""Bytes of compiled code after which all of it is dropped, and what is still hot compiled again."""


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
        self.writers: Final = Writers(memory)
        """Which entries of tables for stores lead to a page of RAM."""
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
        self._shelved: Final[dict[str, tuple[int, ...]]] = {}  # name in the store → the keys found there
        self.ways: tuple[int, int] | None = None
        """Host addresses of the functions of `trampoline` and `change`, once they are there."""
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
        self.sheets: Sheets | None = None
        """What the interpreter has of the guest's code, if earlier runs are of use."""
        self._interpreter: tuple[int, int] | None = None  # host addresses of its two ways in
        self._handlers: Final = mmap.mmap(-1, 8 * len(HANDLERS))  # their addresses
        self._life: Final[set[int]] = set()
        self._compiler: Compiler | None = None
        self.unavailable = ""
        """Why there is no compiler, as a sentence."""
        memory.watcher = self.wrote
        if store is not None:
            sheets = self.sheets = Sheets(store)
            # (A set stands for this object, to which there can be no weak reference when it is compiled ahead.)
            weakref.finalize(self._life, _save, store, self.library, sheets, self.reached)
            recall(_templates_of(store))

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
        if self.ways is not None:
            made.open(*self.ways)
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
            self._close(physical)
        sources.add(native.number << 20 | page)

    def _close(self, physical: int) -> None:
        """No table may let native code write this page."""
        writer = self.writers.get(physical)
        self.writers.put(physical, Writer.CODE)
        if writer == Writer.MANY:
            for native in self.spaces.values():
                for page, entry in native.space.pages.items():
                    if entry >> 4 == physical:
                        native.refresh(page)
        elif writer != Writer.NOBODY:
            self.spaces[writer >> 20].refresh(writer & 0xFFFFF)

    def unwatch(self, physical: int, native: NativeSpace, page: int) -> None:
        """No code from this virtual page any more."""
        sources = self.sources[physical]
        sources.discard(native.number << 20 | page)
        if not sources:
            del self.sources[physical]
            self.memory.watched.discard(physical)
            self.writers.put(physical, Writer.NOBODY)

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
        name = store.page_name(page, content) if content is not None else ""
        native.look(page, name)
        if content is not None:
            if name not in self._shelved:
                records = store.regions(name)
                self._shelved[name] = tuple(record.key for record in records)
                for record in records:
                    self.shelf.setdefault(record.key, []).append(record)
            self._open_sheet(native, page, name, content)
        return name

    def _open_sheet(self, native: NativeSpace, page: int, name: str, content: bytes) -> None:
        """Let the interpreter run what the store has on tape of a page."""
        sheets = self.sheets
        sheet = sheets.open(name, page, content) if sheets is not None else None
        if sheet is None or not self._make_interpreter():
            return
        interpreter = self._interpreter
        assert interpreter is not None
        native.add_sheet(page, sheet, interpreter)
        for key in self._shelved[name]:
            sheet.set_count(key, Sheet.ENOUGH)  # what is compiled already shall not be interpreted

    def look_up(self, native: NativeSpace, page: int) -> bool:
        """Look for what earlier runs have kept of a page that has not been looked up; whether the interpreter can
        run some of it."""
        if self.sheets is None or page in native.looked:
            return False
        self._name(native, page)
        return page in native.sheets

    def _fetch(self, native: NativeSpace, record: Record, code: tuple[bytes, ...]) -> bool:
        if self.ways is None and not self._make_enter():
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
        if self.ways is None:
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
        from retrap.machine.llvm import change, trampoline

        made = self._at_door(_ENTER, _enter_text, [trampoline.NAME, change.NAME, MISS, helpers.MISSING])
        if made is None:
            return False
        address, changing, self.miss, missing = made
        self.helpers = [missing] * len(helpers.INDEX)
        self.ways = address, changing
        for native in self.spaces.values():
            self.equip(native.env)
            native.open(address, changing)
        return True

    def _make_interpreter(self) -> bool:
        """The interpreter; whether there is one."""
        if self._interpreter is None:
            if self.ways is None and not self._make_enter():
                return False
            made = self._at_door(_INTERPRETER, _interpreter_text, [INTERPRETER, RESUME, *HANDLERS])
            if made is None:
                return False
            self._handlers[:] = struct.pack(f"={len(HANDLERS)}Q", *made[2:])
            self._interpreter = made[0], made[1]
        return True

    def _make_helpers(self) -> None:
        """What regions call for floating point."""
        if not self._helping:
            self._helping = True
            made = self._at_door("helpers", helpers.text, [helpers.name_of(key) for key in helpers.INDEX])
            if made is not None:
                self.helpers = made
                for native in self.spaces.values():
                    self.equip(native.env)

    def _at_door(self, what: str, text: Callable[[], str], names: list[str]) -> list[int] | None:
        """Host addresses of functions that belong to no guest; None where nothing can be compiled."""
        store, title = self.store, self.store.special(_DOOR + what) if self.store is not None else ""
        data = store.read(title) if store is not None else None
        if data is None:
            compiler = self.compiler()
            if compiler is None:
                return None
            data = compiler.compile(text(), Shape.TUNED)
            if store is not None:
                store.write(title, data)
        return [address for address, _ in self._door.load(data, names)]

    def equip(self, env: memoryview) -> None:
        """Tell an environment where these functions are."""
        env[Env.MISS >> 3] = self.miss
        env[Env.RAM >> 3] = self.writers.address
        env[Env.HANDLERS >> 3] = host_address(self._handlers)
        for index, address in enumerate(self.helpers):
            env[(Env.HELPERS >> 3) + index] = address

    def make_relay(self) -> Relay | None:
        """The function of `machine.llvm.relay`; none where nothing can be compiled, or instructions are logged."""
        from retrap.machine.llvm import relay, trampoline

        made = self._at_door("relay", relay.text, [relay.NAME]) if self.log is None else None
        return None if made is None else trampoline.make_callable(made[0])

    def flush(self) -> None:
        """Drop all compiled code."""
        self.flushes += 1
        for native in tuple(self.spaces.values()):
            native.clear()
        self.library.clear()
        self.arena = Arena()


def _keep_interpreter(store: Store) -> None:
    """A run that finds sheets shall not have to make what reads them."""
    for what, text in ((_ENTER, _enter_text), (_INTERPRETER, _interpreter_text)):
        title = store.special(_DOOR + what)
        if not store.has(title):
            try:
                from retrap.machine.llvm.compiler import Compiler

                store.write(title, Compiler().compile(text(), Shape.TUNED))
            except (ImportError, OSError, RuntimeError):
                return


def _enter_text() -> str:
    from retrap.machine.llvm import change, trampoline

    return trampoline.text() + change.text() + miss_text() + helpers.missing_text()


def _interpreter_text() -> str:
    from retrap.machine.llvm import interpreter

    return interpreter.text()


def _templates_of(store: Store) -> Callable[[], bytes | None]:
    return lambda: store.read(store.special(_TEMPLATES))


def _save(store: Store, library: dict[int, list[Compiled]], sheets: Sheets, reached: set[int]) -> None:
    """Keep for later runs what this one compiled, and what else it ran."""
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
    taped = sheets.keep(reached)
    if taped:
        _keep_interpreter(store)
    templates = worth_keeping()
    if templates is not None:
        store.write(store.special(_TEMPLATES), templates)
    if files or taped or templates is not None:
        store.trim()
