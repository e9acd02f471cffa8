"""One integer instruction on one state: what a case is, how it runs here, how results are compared.

The guest's memory: three pages of code with the instruction near the middle, two pages of data with nothing
around them, one page that may only be read. Cases put registers near the edges of all these.
"""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass, field, replace
from functools import cache

from retrap.machine.arm.decode import decode, disassemble, find, to_bytes
from retrap.machine.arm.registry import Encoding, Undefined, Unpredictable
from retrap.machine.context import ContextArena, Slot
from retrap.machine.cpu import Cpu
from retrap.machine.ir.builder import Builder
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import TrapKind

CODE, CODE_SIZE = 0x00010000, 0x3000
PC = CODE + 0x1800
DATA, DATA_SIZE = 0x00200000, 0x2000
CONST, CONST_SIZE = 0x00300000, 0x1000
RAM = 0x40000000
BEFORE, CODE_LENGTH = 8, 32

STOP = {False: bytes.fromhex("f000f0e7") * 2, True: bytes.fromhex("00de") * 6}
"""What follows the instruction: undefined instructions, where a CPU that goes on too far is caught."""

BOUNDARIES = (
    0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000,
    0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFF8000, 0xFFFF7FFF, 0x7FFF8000, 0x80007FFF, 0x80008000,
    0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFF80, 0x00FF00FF, 0x7F807F80, 0x80808080, 0x40000000, 0xC0000000,
)  # fmt: skip

_MEMORY = random.Random(20).randbytes(DATA_SIZE + CONST_SIZE)
DATA_BYTES, CONST_BYTES = _MEMORY[:DATA_SIZE], _MEMORY[DATA_SIZE:]

ALIGNED = ("LDM", "STM", "LDRD", "STRD", "LDREX", "STREX", "PUSH", "POP", "SWP")
"""Instructions whose misaligned accesses abort, by the beginnings of their names."""


@dataclass(frozen=True)
class Case:
    """An instruction word and the state before it."""

    encoding: Encoding
    word: int
    core: tuple[int, ...]  # R0 … R14
    nzcvq: int
    ge: int
    it: int = 0
    big_endian: int = 0
    prefix: bytes = b""  # one instruction that runs before (a load exclusive)
    free: int = -1  # a register that the prefix loads, not compared

    @property
    def thumb(self) -> bool:
        return self.encoding.thumb

    def code(self) -> bytes:
        """What lies at PC - BEFORE: zeroes, the prefix, the instruction, undefined instructions, zeroes."""
        before = (bytes(BEFORE) + self.prefix)[-BEFORE:]
        return (before + to_bytes(self.word, self.thumb) + STOP[self.thumb]).ljust(CODE_LENGTH, b"\0")

    def describe(self) -> str:
        registers = " ".join(f"r{n}={x:08x}" for n, x in enumerate(self.core))
        text = disassemble(self.word, self.thumb, PC)
        return (
            f"{self.encoding.title} {self.word:#010x} [{text}] nzcvq={self.nzcvq:05b} ge={self.ge:04b} "
            f"it={self.it:02x} e={self.big_endian} prefix={self.prefix.hex()}\n  {registers}"
        )


@dataclass
class Outcome:
    """The state after; or the trap. `trap`: "" | "UNDEFINED" | "SVC" | "BREAKPOINT" | "DATA_ABORT" …"""

    trap: str = ""
    address: int = 0  # of a data abort
    write: bool = False
    status: int = 0
    core: list[int] = field(default_factory=list)
    pc: int = 0
    thumb: int = 0
    nzcvq: int = 0
    ge: int = 0
    it: int = 0
    big_endian: int = 0
    memory: bytes = b""

    def difference(self, other: Outcome, ignore: frozenset[str] = frozenset(), skip: tuple[int, ...] = ()) -> str:
        """The fields that differ, for people; empty if none does."""
        if self == other:
            return ""
        lines = []
        for name in ("trap", "pc", "thumb", "nzcvq", "ge", "it", "big_endian"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs and name not in ignore:
                lines.append(
                    f"{name}: {mine!r} / {theirs!r}" if name == "trap" else f"{name}: {mine:#x} / {theirs:#x}"
                )
        if "core" not in ignore:
            for n, (mine, theirs) in enumerate(zip(self.core, other.core, strict=True)):
                if mine != theirs and n not in skip:
                    lines.append(f"r{n}: {mine:#010x} / {theirs:#010x}")
        if "memory" not in ignore and self.memory != other.memory:
            at = next(n for n in range(len(self.memory)) if self.memory[n] != other.memory[n])
            lines.append(
                f"memory at +{at:#x}: {self.memory[at : at + 8].hex()} / {other.memory[at : at + 8].hex()}"
            )
        return "; ".join(lines)


class Ours:
    """Runs cases on this package's CPU."""

    def __init__(self, backend: str = "evaluate") -> None:
        self.memory = PhysicalMemory([(RAM, 1 << 20)])
        self.space = AddressSpace(self.memory)
        base = RAM
        for virtual, size, rights in (
            (CODE, CODE_SIZE, READ | EXECUTE),
            (DATA, DATA_SIZE, READ | WRITE),
            (CONST, CONST_SIZE, READ),
        ):
            for offset in range(0, size, 0x1000):
                self.space.map(virtual + offset, base + offset, 12, rights)
            base += size
        self.data = RAM + CODE_SIZE
        self.memory.write(self.data, DATA_BYTES)
        self.memory.write(self.data + DATA_SIZE, CONST_BYTES)
        self.context = ContextArena().allocate()
        self.cpu = Cpu(self.memory, backend)

    def run(self, case: Case) -> Outcome:
        words, memory = self.context.words, self.memory
        memory.write(RAM + PC - BEFORE - CODE, case.code())
        words[:15] = array("I", case.core)
        words[Slot.PC] = PC - len(case.prefix)
        for slot, bit in _FLAGS:
            words[slot] = case.nzcvq >> bit & 1
        words[Slot.GE] = case.ge
        words[Slot.IT] = case.it
        words[Slot.BIG_ENDIAN] = case.big_endian
        words[Slot.THUMB] = case.thumb
        trap = self.cpu.run(self.context, self.space, 2 if case.prefix else 1)
        out = Outcome(
            trap="" if trap.kind is TrapKind.INTERRUPT else trap.kind.name,
            address=trap.address,
            write=trap.status & 0x800 != 0,
            status=trap.status,
            core=words[:15].tolist(),
            pc=words[Slot.PC],
            thumb=words[Slot.THUMB],
            nzcvq=sum(words[slot] << bit for slot, bit in _FLAGS),
            ge=words[Slot.GE],
            it=words[Slot.IT],
            big_endian=words[Slot.BIG_ENDIAN],
            memory=memory.read(self.data, DATA_SIZE),
        )
        if out.memory != DATA_BYTES:
            memory.write(self.data, DATA_BYTES)
        return out


_FLAGS = ((Slot.N, 4), (Slot.Z, 3), (Slot.C, 2), (Slot.V, 1), (Slot.Q, 0))
# -- making cases --------------------------------------------------------------------------------------------


def well_formed(encoding: Encoding, word: int) -> bool:
    """Whether `word` is this encoding's, and neither UNDEFINED nor UNPREDICTABLE (outside IT blocks)."""
    decoded = decode(word, encoding.thumb)
    if decoded is None or decoded.encoding is not encoding:
        return False
    if word & encoding.should_mask != encoding.should_value:
        return False
    return defined(encoding, word, 0)


def defined(encoding: Encoding, word: int, it: int) -> bool:
    decoded = decode(word, encoding.thumb)
    assert decoded is not None
    try:
        encoding.instruction.definition(Builder(encoding.thumb, encoding.size, it), decoded)
    except Unpredictable:
        return False
    except Undefined:
        return encoding.instruction.name == "UDF"  # all that it is there for
    return True


def random_word(r: random.Random, encoding: Encoding) -> int | None:
    """A random well-formed word, or None if fifty tries found none."""
    for _ in range(50):
        word = r.getrandbits(8 * encoding.size)
        # Fewer extremes than chance gives: few bits set, all bits set.
        if r.random() < 0.15:
            word &= r.getrandbits(8 * encoding.size)
        word = word & ~encoding.mask & ~encoding.should_mask | encoding.value | encoding.should_value
        if "Rm2" in encoding.widths:
            word = word & ~0xF0000 | (word & 15) << 16
        if encoding.conditional and not encoding.thumb and r.random() < 0.6:
            word = word & 0x0FFFFFFF | 0xE0000000
        if find(word, encoding.thumb) is encoding and well_formed(encoding, word):
            return word
    return None


def random_case(r: random.Random, encoding: Encoding, word: int) -> Case:
    """A random state for `word`: registers at boundaries, and pointers near the edges of pages."""
    aligned = encoding.instruction.name.startswith(ALIGNED)
    pool = _pool("aligned" if aligned else "addresses" if is_memory(encoding) else "numbers")
    place = int(r.random() * (len(pool) - 15))
    core = pool[place : place + 15]
    decoded = decode(word, encoding.thumb)
    assert decoded is not None
    fields = decoded.fields
    if is_memory(encoding) and "Rm" in fields and "Rn" in fields and fields["Rm"] < 15 and r.random() < 0.8:
        core[fields["Rm"]] = r.choice((0, 1, 2, 4, 8, 12, 16, 0xFFFFFFFC, 0xFFFFFFFF, r.randrange(64)))
    it = 0
    if encoding.thumb and r.random() < 0.3:
        # The last instruction of a block, or one in the middle.
        condition = r.randrange(15)
        it = condition << 4 | r.choice((0b1000, 0b0100, 0b1100, 0b0110, 0b1010))
        if not defined(encoding, word, it):
            it = 0
    big_endian = int(is_memory(encoding) and it == 0 and r.random() < 0.1)
    case = Case(encoding, word, tuple(core), r.getrandbits(5), r.getrandbits(4), it, big_endian)
    if encoding.instruction.name.startswith("STREX"):
        if r.random() < 0.8:
            return _after_load_exclusive(r, case, fields)
        return replace(case, it=0, prefix=_CLREX[case.thumb])
    return case


_CLREX = {False: bytes.fromhex("1ff07ff5"), True: bytes.fromhex("bff32f8f")}


_LOAD_EXCLUSIVE = {"STREX": 0x01900F9F, "STREXB": 0x01D00F9F, "STREXH": 0x01F00F9F, "STREXD": 0x01B00F9F}


def _after_load_exclusive(r: random.Random, case: Case, fields: dict[str, int]) -> Case:
    """The same, after a load exclusive from the same address, or another one, into registers not used."""
    name = case.encoding.instruction.name
    used = {fields[f] for f in ("Rd", "Rn", "Rt", "Rt2") if f in fields}
    if "Rt2" not in fields:
        used.add(fields["Rt"] + 1)
    free = next(n for n in range(0, 12, 2) if n not in used and n + 1 not in used)
    base = next(n for n in range(12, -1, -1) if n not in used and n not in (free, free + 1))
    core = list(case.core)
    address = core[fields["Rn"]] + 4 * fields.get("imm8", 0) & 0xFFFFFFFF
    core[base] = r.choice((address, address, address, address ^ 16)) & ~7
    if r.random() < 0.2:
        core[base] |= r.choice((1, 2, 4))
    if case.thumb:
        word = {
            "STREX": 0xE8500F00, "STREXB": 0xE8D00F4F, "STREXH": 0xE8D00F5F, "STREXD": 0xE8D0007F | (free + 1) << 8,
        }[name] | base << 16 | free << 12  # fmt: skip
    else:
        word = 0xE0000000 | _LOAD_EXCLUSIVE[name] | base << 16 | free << 12
    return replace(case, core=tuple(core), it=0, prefix=to_bytes(word, case.thumb), free=free)


def is_memory(encoding: Encoding) -> bool:
    return encoding.instruction.name.startswith(("LD", "ST", "PUSH", "POP", "PL", "SWP", "TBB"))


@cache
def _pool(kind: str) -> list[int]:
    """Values that cases draw from, in runs: to make each anew takes longer than to run a case."""
    r = random.Random(kind)
    pointers = 0.1 if kind == "numbers" else 0.65
    return [_pointer(r, kind == "aligned") if r.random() < pointers else _number(r) for _ in range(20000)]


def _number(r: random.Random) -> int:
    kind = r.random()
    if kind < 0.5:
        return r.choice(BOUNDARIES)
    if kind < 0.65:
        return r.choice(BOUNDARIES) + r.randrange(-2, 3) & 0xFFFFFFFF
    if kind < 0.75:
        return 1 << r.randrange(32)
    return r.getrandbits(32)


def _pointer(r: random.Random, aligned: bool) -> int:
    edge = r.choice((DATA, DATA + 0x1000, DATA + DATA_SIZE, DATA + 0x800, DATA + 0x1800, CONST + 0x80, CODE + 0x40))
    value = edge + r.choice((0, 0, 1, -1)) * r.randrange(72) & 0xFFFFFFFF
    return value & ~7 if aligned and r.random() < 0.9 else value
