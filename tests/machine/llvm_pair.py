"""Two machines side by side, the evaluator and the llvm backend: random programs, random hosts, no differences.

A `Pair` runs the same code on both, with the same budgets, and does to both what a kernel may do in between:
write and clear memory, map, unmap and remap pages, change rights, move to another address space. After every
run it compares all context words, the trap, the clock, and at intervals all of memory.

A pair that is `taped` gives the llvm backend a sheet of every code page that it comes to, as if earlier runs had
been everywhere; so the native interpreter runs what is not compiled.
"""

from __future__ import annotations

import random
from array import array

from isa_oracle import defined, is_memory, random_word
from retrap.machine.arm.decode import all_encodings, to_bytes
from retrap.machine.arm.registry import Encoding
from retrap.machine.context import Context, ContextArena, Counters, Slot
from retrap.machine.cpu import Backend
from retrap.machine.devices import Bus, Port, Serial
from retrap.machine.devices.performance_monitors import PerformanceMonitorsModel
from retrap.machine.evaluate import Evaluator
from retrap.machine.ir.builder import advance_it
from retrap.machine.llvm.backend import LlvmBackend
from retrap.machine.llvm.layout import Sheet as Layout
from retrap.machine.llvm.region import Code
from retrap.machine.llvm.sheets import Sheet, Taping, write
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import Trap, TrapKind

RAM, PAGES = 0x40000000, 16
HIGH, HIGH_PAGES = 0x60000000, 2
DEVICE = 0x09000000
CODE, CODE_PAGES = 0x00010000, 3
DATA = 0x00200000
CONST = 0x00300000
ALIAS = 0x00400000  # the code pages again, writable
TOP = 0xFFFFF000
SPLIT = CODE + 0x1800  # ARM code below, Thumb code from here on
LAYOUT: tuple[tuple[int, int, int], ...] = (
    *((CODE + n * 0x1000, RAM + n * 0x1000, READ | EXECUTE) for n in range(3)),
    (DATA, RAM + 0x3000, READ | WRITE),
    (DATA + 0x1000, RAM + 0x4000, READ | WRITE),
    (DATA + 0x3000, HIGH, READ | WRITE),
    (DATA + 0x4000, RAM + 0x5000, 0),
    (DATA + 0x5000, DEVICE, READ | WRITE),
    (CONST, RAM + 0x6000, READ),
    *((ALIAS + n * 0x1000, RAM + n * 0x1000, READ | WRITE) for n in range(3)),
    (TOP, RAM + 0x7000, READ | WRITE | EXECUTE),
)
"""(virtual, physical, rights) of each page at first."""

COUNTERS = Counters.VIRTUAL | Counters.PHYSICAL | Counters.MONITORS | Counters.MONITORS_2

_NEAR = (0x3F800000, 0x3FF00000, 0x40400000, 0x3F000000)

ENCODINGS = tuple(e for e in all_encodings() if e.instruction.name not in ("SETEND",))


def arm_filling(size: int) -> bytes:
    """adds r4, r4, r5; ldr r6, [r8]; cmp r6, r4; svc"""
    return (b"\5\x40\x94\xe0" b"\0\x60\x98\xe5" b"\4\0\x56\xe1" b"\0\0\0\xef" * size)[:size]


def thumb_filling(size: int) -> bytes:
    """adds r4, r4, r5; cmp r6, r4; svc; bx lr"""
    return (b"\x64\x19" b"\xa6\x42" b"\0\xdf" b"\x70\x47" * size)[:size]


class Register:
    """A device that remembers what was done to it."""

    def __init__(self) -> None:
        self.state = 1

    def read(self, offset: int, size: int) -> int:
        self.state = (self.state * 1103515245 + offset + size) & 0xFFFFFFFF
        return self.state

    def write(self, offset: int, size: int, value: int) -> None:
        self.state = (self.state * 69069 + offset * 3 + size + value) & 0xFFFFFFFF


class Machine:
    """One side."""

    def __init__(self, native: bool, hot: int, period: int, cache: bool = False) -> None:
        self.memory = PhysicalMemory([(RAM, PAGES << 12), (HIGH, HIGH_PAGES << 12)])
        self.device = Register()
        self.memory.attach(self.device, DEVICE, 0x1000)
        self.spaces = [AddressSpace(self.memory), AddressSpace(self.memory)]
        bus = Bus(self.memory)
        self.monitors = PerformanceMonitorsModel(Port("monitors", bus.clock, Serial()), 2, 0x410F_3000)
        bus.attach_monitors("monitors", self.monitors)
        self.context: Context = ContextArena().allocate()
        self.context.words[Slot.COUNTERS] = COUNTERS
        self.retired = 0
        self.llvm: LlvmBackend | None = None
        if native:
            self.llvm = LlvmBackend(self.memory, hot, period, samples=1, worth=10_000, cache=cache)
        self.backend: Backend = self.llvm or Evaluator(self.memory)

    def run(self, space: int, budget: int) -> Trap:
        trap = self.backend.run(self.context, self.spaces[space], self.retired, budget)
        self.retired = self.backend.retired
        return trap

    def ram(self) -> bytes:
        return self.memory.read(RAM, PAGES << 12) + self.memory.read(HIGH, HIGH_PAGES << 12)


    def counters(self) -> dict[str, object]:
        """All state of the performance monitors."""
        return {name: value for name, value in vars(self.monitors).items() if name != "port"}


class Difference(AssertionError):
    """The two sides are not the same any more."""


class Pair:
    """Both sides, and the random host that drives them."""

    def __init__(self, seed: int, hot: int = 2, period: int = 500, taped: bool = False) -> None:
        """`taped` needs a code cache (`RETRAP_CACHE`), which may be empty."""
        self.r = random.Random(seed)
        self.seed = seed
        self.sides = [Machine(False, hot, period), Machine(True, hot, period, cache=taped)]
        self.tape = Taping() if taped else None
        self.space = 0
        self.compared = 0
        self.branches = 0.16
        self.filled = False
        self.traps: dict[str, int] = {}
        self.words: dict[Encoding, list[int]] = {}
        for machine in self.sides:
            for space in machine.spaces:
                for virtual, physical, rights in LAYOUT:
                    space.map(virtual, physical, 12, rights)

    @property
    def native(self) -> LlvmBackend:
        backend = self.sides[1].llvm
        assert backend is not None
        return backend

    # -- programs ----------------------------------------------------------------------------------------

    def load(self, code: bytes, at: int = CODE) -> None:
        """Put code into the pages at CODE, by their physical address."""
        for machine in self.sides:
            machine.memory.write(RAM + at - CODE, code)

    def random_program(self) -> None:
        """ARM code up to SPLIT, Thumb code behind it: where each program starts differs, and how many branches
        there are."""
        self.branches = self.r.choice((0.16, 0.3, 0.45))
        if not self.filled:
            # Who leaves a program by mistake shall not go through long rows of zeros, which are instructions.
            self.filled = True
            self.load(arm_filling(SPLIT - CODE) + thumb_filling((CODE_PAGES << 12) - SPLIT + CODE))
        arm, thumb = self._stream(False, 40), self._stream(True, 40)
        self.starts = [self.r.randrange(SPLIT - CODE - len(arm)) & ~3, 0]
        self.starts[1] = SPLIT - CODE + (self.r.randrange(0x1800 - len(thumb)) & ~1)
        if self.r.random() < 0.3:  # across a page's end
            self.starts[0] = 0x1000 - (self.r.randrange(len(arm)) & ~3)
            self.starts[1] = 0x2000 - (self.r.randrange(len(thumb)) & ~1)
        self.lengths = [len(arm), len(thumb)]
        for start, code in zip(self.starts, (arm, thumb), strict=True):
            self.load(code, CODE + start)

    def _stream(self, thumb: bool, count: int) -> bytes:
        r = self.r
        code = bytearray()
        it = 0
        kinds = [e for e in ENCODINGS if e.thumb == thumb]
        while count > 0 or it:
            count -= 1
            kind = r.random()
            if it == 0 and kind < self.branches:
                code += self._branch(thumb, len(code))
                continue
            if thumb and it == 0 and kind < self.branches + 0.08:
                condition, mask = r.randrange(14), r.randrange(1, 16)
                code += to_bytes(0xBF00 | condition << 4 | mask, True)
                it = condition << 4 | mask
                continue
            if kind > 0.97:
                word = 0xDF00 if thumb else r.randrange(15) << 28 | 0x0F000000
            elif kind > 0.955:
                word = r.getrandbits(32)
                if thumb and word >> 27 < 0b11101:
                    word >>= 16
            else:
                word = self._word(r.choice(kinds), it)
            code += to_bytes(word, thumb)
            it = advance_it(it) if it else 0
        # Back to the start, so that code gets hot.
        back = -(len(code) + 8 if not thumb else len(code) + 4)
        if thumb:
            offset = back >> 1
            s, i1, i2 = offset >> 31 & 1, offset >> 22 & 1, offset >> 21 & 1
            word = 0xF0009000 | s << 26 | (offset >> 11 & 0x3FF) << 16 | (1 - (i1 ^ s)) << 13 | (1 - (i2 ^ s)) << 11
            code += to_bytes(word | offset & 0x7FF, True)
        else:
            code += to_bytes(0xEA000000 | back >> 2 & 0xFFFFFF, False)
        return bytes(code)

    def _word(self, encoding: Encoding, it: int) -> int:
        """A random word of the encoding, mostly one that can be executed; memory accesses through R8 … R11, SP."""
        known = self.words.setdefault(encoding, [])
        if len(known) < 12:
            word = random_word(self.r, encoding)
            if word is None:
                known.append(0)
                return 0
            widths = encoding.widths
            if is_memory(encoding) and widths.get("Rn") == 4 and self.r.random() < 0.8:
                # Rn is in bits 19:16 of all 32-bit encodings.
                changed = word & ~(15 << 16) | self.r.choice((8, 9, 10, 11, 13)) << 16
                if encoding.matches(changed) and defined(encoding, changed, 0):
                    word = changed
            known.append(word)
        return self.r.choice(known)

    def _branch(self, thumb: bool, here: int) -> bytes:
        r = self.r
        delta = r.randrange(-40, 60)
        if here + delta * (2 if thumb else 4) < 0:
            delta = r.randrange(12)
        kind = r.random()
        if thumb:
            if kind < 0.5:
                return to_bytes(0xD000 | r.randrange(14) << 8 | delta & 0xFF, True)
            if kind < 0.6:
                return to_bytes(0xE000 | delta & 0x7FF, True)
            if kind < 0.7:
                return to_bytes(0xB100 | r.randrange(2) << 11 | r.randrange(24) << 3 | r.randrange(8), True)
            if kind < 0.8:
                return to_bytes(0xF000F800 | delta & 0x7FF | (0x07FF0000 if delta < 0 else 0), True)
            return to_bytes(0x4700 | r.choice((0x70, 0x60, 0xF0, 0xE0, 0x38)), True)  # bx lr, bx r12, blx …
        condition = r.randrange(15) << 28
        if kind < 0.6:
            return to_bytes(condition | 0x0A000000 | delta & 0xFFFFFF, False)
        if kind < 0.75:
            return to_bytes(condition | 0x0B000000 | delta & 0xFFFFFF, False)
        return to_bytes(condition | r.choice((0x012FFF1E, 0x012FFF1C, 0x012FFF3C, 0x012FFF17)), False)

    # -- driving -----------------------------------------------------------------------------------------

    def registers(self) -> None:
        """Fresh registers: some numbers, some pointers to page edges, some to code."""
        r = self.r
        edges = (0, 1, 2, 4, 31, 32, 0x80000000, 0x7FFFFFFF, 0xFFFFFFFF)
        values = [r.choice((*edges, r.getrandbits(32))) for _ in range(16)]
        for n in (8, 9, 10, 11, 13):
            if r.random() < 0.9:
                values[n] = self._pointer()
        for n in (7, 12, 14):
            values[n] = self._code_pointer() if r.random() < 0.8 else self._pointer()
        words = values[:15]
        words.append(self.sides[0].context.words[Slot.PC])
        flags = r.getrandbits(9)
        words += [flags & 1, flags >> 1 & 1, flags >> 2 & 1, flags >> 3 & 1, flags >> 4 & 1, flags >> 5]
        # Numbers near 1, as singles or as upper words of doubles, or anything. Mostly, Inexact is set already.
        bank = array("I")
        for _ in range(64):
            near = _NEAR[r.getrandbits(2)] + (r.getrandbits(20) >> r.getrandbits(5))
            other = r.getrandbits(32) if r.getrandbits(1) else 0
            bank.append((near, near, near ^ 0x80000000, other)[r.getrandbits(2)])
        control = r.choice((0, 0x10, 0x10, 0x10, r.getrandbits(32) & 0xFFC0009F))
        for machine in self.sides:
            machine.context.words[: Slot.THUMB] = array("I", words)
            machine.context.words[Slot.D0 : Slot.D0 + 64] = bank
        self.both(Slot.FPEXC_EN, int(r.random() < 0.9))
        self.both(Slot.FPSCR, control)

    def jump(self) -> None:
        """To the start of one of the two programs, or into its middle."""
        target = self._code_pointer(0.6)
        self.both(Slot.PC, target & ~1)
        self.both(Slot.THUMB, target & 1)
        self.both(Slot.IT, 0)
        self.both(Slot.BIG_ENDIAN, 0)

    def both(self, slot: int, value: int) -> None:
        for machine in self.sides:
            machine.context.words[slot] = value

    def _pointer(self) -> int:
        r = self.r
        page = r.choice(LAYOUT)[0] if r.random() < 0.5 else DATA + r.choice((0, 0, 0x1000, 0x2000))
        offset = r.choice((0, 0x100, 0x800, 0xFFC, 0xFC0)) + r.choice((0, 0, 0, 4, 8, r.randrange(64)))
        return page + offset & 0xFFFFFFFF

    def _code_pointer(self, start: float = 0.3) -> int:
        r = self.r
        thumb = r.randrange(2)
        offset = 0 if r.random() < start else r.randrange(self.lengths[thumb])
        return CODE + self.starts[thumb] + (offset & ~1 | 1 if thumb else offset & ~3)

    def run(self, instructions: int) -> None:
        """Run about so many instructions in random portions, and compare after each."""
        r = self.r
        end = self.sides[0].retired + instructions
        portions = 0
        while self.sides[0].retired < end and portions < instructions:
            portions += 1
            budget = r.choice((1, 2, 3, 5, 17, 100, 400, r.randrange(1, 64)))
            before = self.sides[0].retired
            if self.tape is not None:
                self._give_sheets(self.tape)
            traps = [machine.run(self.space, budget) for machine in self.sides]
            self.compare(traps[0], traps[1], f"after {before} + {budget}")
            self.resume(traps[0])

    def _give_sheets(self, tape: Taping) -> None:
        """Whatever code page native code comes to next, there is a sheet of it, as an earlier run would keep it."""
        native = self.native.native
        side, store, sheets = native.space(self.sides[1].spaces[self.space]), native.store, native.sheets
        assert store is not None and sheets is not None
        for page in (*range(CODE >> 12, (CODE >> 12) + CODE_PAGES), TOP >> 12):
            content = Code(side.space).read(page << 12, (page + 1) << 12)
            if page in side.looked or content is None:
                continue
            name = store.page_name(page, content)
            if sheets.known.get(name) is None:
                split = min(max(SPLIT - (page << 12), 0), 0x1000)
                heads = [*range(page << 12, (page << 12) + split, 4)]
                heads += [at | 1 for at in range((page << 12) + split, page + 1 << 12, 2)]
                sheet = sheets.known[name] = Sheet(write(page, content, heads, tape)[0])
                for head in self.r.choices(heads, k=60):
                    sheet.set_count(head, Layout.ENOUGH - self.r.randrange(4))  # soon to be compiled

    def resume(self, trap: Trap) -> None:
        """Go on after a trap, as some kernel might."""
        r = self.r
        words = self.sides[0].context.words
        self.traps[trap.kind.name] = self.traps.get(trap.kind.name, 0) + 1
        if trap.kind is TrapKind.INTERRUPT:
            return
        if trap.kind is TrapKind.PREFETCH_ABORT or r.random() < 0.3:
            self.registers()
            self.jump()
            return
        if trap.kind is TrapKind.DATA_ABORT and r.random() < 0.7:
            self.registers()
        size = 4
        if words[Slot.THUMB]:
            half = self.half(words[Slot.PC])
            size = 4 if half >> 11 >= 0b11101 else 2
        if words[Slot.IT] and trap.kind is not TrapKind.SVC:
            self.both(Slot.IT, advance_it(words[Slot.IT]))
        self.both(Slot.PC, words[Slot.PC] + size & 0xFFFFFFFF)
        self.both(Slot.EXCLUSIVE, 0)
        if words[Slot.BIG_ENDIAN] and r.random() < 0.5:
            self.both(Slot.BIG_ENDIAN, 0)

    def half(self, address: int) -> int:
        machine = self.sides[0]
        entry = machine.spaces[self.space].pages.get(address >> 12)
        if entry is None or machine.memory.region(entry >> 4 << 12) is None:
            return 0
        return int.from_bytes(machine.memory.read((entry >> 4 << 12) + (address & 0xFFE), 2), "little")

    def disturb(self) -> None:
        """One thing that a kernel may do between two runs."""
        r = self.r
        kind = r.randrange(8)
        page = r.randrange(CODE_PAGES)
        if kind == 0:
            offset = (page << 12) + r.randrange(0, 0x1000, 2)
            data = r.randbytes(r.choice((1, 2, 4, 40)))
            for machine in self.sides:
                machine.memory.write(RAM + offset, data)
        elif kind == 1:
            at = self.starts[0] + (r.randrange(self.lengths[0]) & ~3)
            word = self._word(r.choice([e for e in ENCODINGS if not e.thumb]), 0)
            for machine in self.sides:
                machine.memory.write_word(RAM + at, word)
        elif kind == 2:
            start, size = r.randrange(0, 0x2F00), r.choice((4, 64))
            for machine in self.sides:
                machine.memory.clear(RAM + start, size)
        elif kind == 3:
            self.space ^= 1
        elif kind == 4:
            virtual, physical, rights = r.choice(LAYOUT)
            fewer = (rights & ~WRITE, rights & ~READ, rights & ~EXECUTE, READ, 0)
            rights = r.choice((rights, rights, rights | WRITE, *fewer))
            for machine in self.sides:
                machine.spaces[self.space].map(virtual, physical, 12, rights)
        elif kind == 5:
            virtual = r.choice(LAYOUT)[0]
            for machine in self.sides:
                machine.spaces[self.space].unmap(virtual, 12)
        elif kind == 6:
            # Another frame at this address.
            virtual, _, rights = r.choice(LAYOUT)
            physical = r.choice(LAYOUT)[1]
            for machine in self.sides:
                machine.spaces[self.space].map(virtual, physical, 12, rights)
        else:
            self.restore()

    def restore(self) -> None:
        """The first layout again."""
        for machine in self.sides:
            for virtual, physical, rights in LAYOUT:
                machine.spaces[self.space].map(virtual, physical, 12, rights)

    # -- judging -----------------------------------------------------------------------------------------

    def compare(self, ours: Trap, theirs: Trap, where: str) -> None:
        one, two = self.sides
        self.compared += 1
        found = []
        if (ours.kind, ours.address, ours.status) != (theirs.kind, theirs.address, theirs.status):
            found.append(f"trap {ours} / {theirs}")
        if one.retired != two.retired:
            found.append(f"retired {one.retired} / {two.retired}")
        if one.context.words != two.context.words:
            for n, (x, y) in enumerate(zip(one.context.words, two.context.words, strict=True)):
                if x != y:
                    found.append(f"word {n}: {x:#x} / {y:#x}")
        if one.device.state != two.device.state:
            found.append("device")
        if one.counters() != two.counters():
            found.append(f"monitors {one.counters()} / {two.counters()}")
        if (found or self.compared % 16 == 0) and one.ram() != two.ram():
            at = next(n for n, (x, y) in enumerate(zip(one.ram(), two.ram(), strict=True)) if x != y)
            found.append(f"memory at {at:#x}")
        if found:
            raise Difference(f"seed {self.seed}, {where}, pc {one.context.words[Slot.PC]:#x}: " + "; ".join(found))
