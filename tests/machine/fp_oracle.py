"""One instruction on one state, here and on others: what the VFP and Advanced SIMD tests and campaign share."""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from fp_qemu import QemuArm, State, padded
from retrap.machine.arm.decode import decode, disassemble, find, instructions, to_bytes
from retrap.machine.arm.registry import Encoding, Undefined, Unpredictable
from retrap.machine.context import ContextArena, Slot
from retrap.machine.cpu import Cpu
from retrap.machine.ir.builder import Builder
from retrap.machine.memory import PhysicalMemory
from retrap.machine.softfloat.control import RMODE
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import FaultStatus, TrapKind

CODE, DATA, PAGES = 0x10000, 0x20000, 2
DATA_SIZE = PAGES << 12
PC = CODE + 0x400
RAM = 0x40000000

MEMORY = random.Random(2023).randbytes(DATA_SIZE)
"""What the data pages hold before every case."""


CODE_BYTES = padded(b"", True) * 256
"""What lies around the instruction: undefined as ARM and as Thumb code."""


@dataclass
class Case:
    """An instruction and the state before it."""

    word: int
    thumb: bool
    core: list[int]  # R0 … R14
    nzcv: int
    fpscr: int
    doubles: list[int]  # D0 … D31
    it: int = 0
    big_endian: int = 0

    def describe(self) -> str:
        core = " ".join(f"r{n}={x:#x}" for n, x in enumerate(self.core))
        doubles = " ".join(f"d{n}={x:#018x}" for n, x in enumerate(self.doubles))
        mode = f"thumb it={self.it:#04x}" if self.thumb else "arm"
        return (
            f"{self.word:#010x} {mode} fpscr={self.fpscr:#010x} nzcv={self.nzcv:#x} e={self.big_endian}"
            f"\n  {core}\n  {doubles}"
        )

    @property
    def cpsr(self) -> int:
        it = (self.it & 3) << 25 | (self.it >> 2) << 10
        return self.nzcv << 28 | it | self.big_endian << 9 | int(self.thumb) << 5 | 0x10


@dataclass
class Outcome:
    """The state after, or the trap instead. `trap` is "", "UNDEFINED", "DATA_ABORT" or "ALIGNMENT"."""

    trap: str
    core: list[int] = field(default_factory=list)
    pc: int = 0
    cpsr: int = 0  # N Z C V IT E T
    fpscr: int = 0
    doubles: list[int] = field(default_factory=list)
    memory: bytes = b""
    address: int | None = None  # of an abort, where the oracle tells

    def difference(self, other: Outcome) -> str:
        """What differs, for people; empty if nothing does."""
        if self == other:
            return ""
        if self.trap or other.trap:
            if self.trap != other.trap:
                return f"trap {self.trap!r} / {other.trap!r}"
            if None not in (self.address, other.address) and self.address != other.address:
                return f"fault address {self.address:#x} / {other.address:#x}"
            return ""
        lines = [
            f"{name} {ours:#x} / {theirs:#x}"
            for name, ours, theirs in (
                *((f"r{n}", a, b) for n, (a, b) in enumerate(zip(self.core, other.core, strict=True))),
                ("pc", self.pc, other.pc),
                ("cpsr", self.cpsr, other.cpsr),
                ("fpscr", self.fpscr, other.fpscr),
                *((f"d{n}", a, b) for n, (a, b) in enumerate(zip(self.doubles, other.doubles, strict=True))),
            )
            if ours != theirs
        ]
        if self.memory != other.memory:
            where = next(n for n, (a, b) in enumerate(zip(self.memory, other.memory, strict=True)) if a != b)
            lines.append(f"memory at {DATA + where:#x}")
        return ", ".join(lines)


CPSR_SEEN = 0xF600FE20


class Here:
    """The model."""

    def __init__(self, backend: str = "evaluate") -> None:
        memory = PhysicalMemory([(RAM, (PAGES + 1) << 12)])
        memory.write(RAM, CODE_BYTES)
        self.space = AddressSpace(memory)
        self.space.map(CODE, RAM, 12, READ | EXECUTE)
        for page in range(PAGES):
            self.space.map(DATA + (page << 12), RAM + ((page + 1) << 12), 12, READ | WRITE)
        self.memory = memory
        self.memory.write(RAM + 0x1000, MEMORY)
        self.cpu = Cpu(memory, backend)
        self.context = ContextArena().allocate()
        self.context.words[Slot.FPEXC_EN] = 1
        # D0 … D31 as they lie in the context, low word first: doublewords of a little-endian host.
        self.doubles = memoryview(self.context.words)[Slot.D0 : Slot.D0 + 64].cast("B").cast("Q")
        self.code = b""

    def run(self, case: Case) -> Outcome:
        words, doubles = self.context.words, self.doubles
        words[: Slot.PC] = array("I", case.core)
        words[Slot.PC] = PC
        self.context.cpsr = case.cpsr
        words[Slot.FPSCR] = case.fpscr
        doubles[:] = array("Q", case.doubles)
        code = padded(to_bytes(case.word, case.thumb), case.thumb)
        if code != self.code:
            self.memory.write(RAM + PC - CODE, code)
            self.code = code
        trap = self.cpu.run(self.context, self.space, 1)
        memory = self.memory.read(RAM + 0x1000, DATA_SIZE)
        if memory != MEMORY:
            self.memory.write(RAM + 0x1000, MEMORY)
        if trap.kind == TrapKind.DATA_ABORT:
            aligned = trap.status & ~FaultStatus.WRITE != FaultStatus.ALIGNMENT
            return Outcome("DATA_ABORT" if aligned else "ALIGNMENT", address=trap.address)
        if trap.kind != TrapKind.INTERRUPT:
            return Outcome(trap.kind.name)
        return Outcome(
            "",
            words[: Slot.PC].tolist(),
            words[Slot.PC],
            self.context.cpsr & CPSR_SEEN,
            words[Slot.FPSCR],
            doubles.tolist(),
            memory,
        )


class Oracle(Protocol):
    """An independent CPU."""

    complete: bool
    """Checks alignment, obeys CPSR.E, and counts failed instructions of IT blocks."""

    def run(self, cases: list[Case]) -> list[Outcome]: ...


class Qemu:
    """qemu-arm (user mode). `fp_qemu.available()` says whether it can be used."""

    complete = True

    def __init__(self) -> None:
        self.machine = QemuArm((CODE, 0x1000), (DATA, DATA_SIZE), MEMORY)

    def run(self, cases: list[Case]) -> list[Outcome]:
        given = [
            (
                State(tuple(case.core), PC, case.cpsr, case.fpscr, tuple(case.doubles)),
                padded(to_bytes(case.word, case.thumb), case.thumb),
            )
            for case in cases
        ]
        outcomes = []
        for result in self.machine.run(given):
            if result.trap:
                address = result.address if result.trap == "DATA_ABORT" else None
                outcomes.append(Outcome(result.trap, address=address))
            else:
                after = result.state
                outcomes.append(
                    Outcome(
                        "",
                        list(after.core),
                        after.pc,
                        after.cpsr & CPSR_SEEN,
                        after.fpscr,
                        list(after.doubles),
                        result.memory,
                    )
                )
        return outcomes


# -- cases -------------------------------------------------------------------------------------------------

SINGLES = (
    0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x00800000, 0x80800000, 0x3F800000, 0xBF800000, 0x3F800001,
    0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7F800001, 0xFFBFFFFF, 0x7FC00000, 0xFFC12345, 0x4F000000,
    0xCF000000, 0x4EFFFFFF, 0x4F800000, 0x3F000000, 0x3FC00000, 0x3EFFFFFF, 0x47000000, 0x477FE000, 0x477FF000,
    0x38800000, 0x387FC000, 0x33000000, 0x33000001, 0x7E800000, 0x7F000000,
)  # fmt: skip
BYTES = (0, 1, 2, 0x7F, 0x80, 0x81, 0xFE, 0xFF, 0x40, 0xC0)


def random_double(rng: random.Random) -> int:
    """64 bits that make sense to some instruction: floats of both sizes, halves, boundary lanes, noise."""
    kind = rng.randrange(8)
    if kind == 0:
        return rng.getrandbits(64)
    if kind == 1:
        return int.from_bytes(bytes(rng.choice(BYTES) for _ in range(8)), "little")
    if kind == 2:  # doubles close to each other's exponent, or at an end
        exponent = rng.choice((0, 1, 2, 0x3FF, 0x7FE, 0x7FF, 0x380, 0x369, 0x47E, 0x47F, rng.getrandbits(11)))
        exponent = max(0, min(0x7FF, exponent + rng.randrange(-1, 2)))
        fraction = rng.choice((0, 1, (1 << 52) - 1, 1 << 51, 0xFFFFFFE000000, 0x10000000, rng.getrandbits(52)))
        return rng.getrandbits(1) << 63 | exponent << 52 | fraction
    if kind == 3:
        return rng.choice(SINGLES) | rng.choice(SINGLES) << 32
    if kind == 4:
        return sum(
            (rng.getrandbits(1) << 31 | rng.randrange(0x70, 0x98) << 23 | rng.getrandbits(23)) << shift
            for shift in (0, 32)
        )
    if kind == 5:
        return rng.getrandbits(1) << 63 | rng.randrange(0x3F0, 0x42A) << 52 | rng.getrandbits(52)
    if kind == 6:  # small amounts in every lane, of some size
        size = rng.choice((8, 16, 32, 64))
        return sum((rng.randrange(-size - 2, size + 3) & ((1 << size) - 1)) << s for s in range(0, 64, size))
    size = rng.choice((16, 32, 64))
    edges = (0, 1, (1 << (size - 1)) - 1, 1 << (size - 1), (1 << size) - 1, (1 << (size - 1)) + 1)
    return sum(rng.choice(edges) << s for s in range(0, 64, size))


def random_fpscr(rng: random.Random) -> int:
    """Any settings and cumulative bits; short vectors off."""
    bits = rng.getrandbits(32)
    control = bits & 0x07C00000 if bits >> 8 & 3 else 0
    flags = bits & 0x9F if bits >> 10 & 3 == 0 else 0
    return bits & 0xF0000000 | (bits >> 12 & bits >> 13 & 1) << 27 | control | flags


def random_word(encoding: Encoding, rng: random.Random) -> int:
    """A word of `encoding`, its should-be bits right and its condition (if any) always."""
    free = ~(encoding.mask | encoding.should_mask) & ((1 << 8 * encoding.size) - 1)
    word = encoding.value | encoding.should_value | rng.getrandbits(8 * encoding.size) & free
    name = encoding.instruction.name
    if name.startswith(("VLDM", "VSTM")) and rng.randrange(4):
        word &= ~0xE0  # lists that fit in the bank
    if "Q" in encoding.widths and encoding.widths.get("Vd") and rng.randrange(4):
        word &= ~(0x11001 if word >> 6 & 1 and "Vn" in encoding.widths else 0x1001 if word >> 6 & 1 else 0)
    if "cond" in encoding.widths and (word >> 28 == 15 or rng.randrange(6)):
        word = word & 0x0FFFFFFF | 0xE0000000
    return word


def meaning_of(word: int, thumb: bool) -> str:
    """Whether the model takes `word` for "UNDEFINED" or "UNPREDICTABLE" (oracles may do anything then), or "".

    Also UNPREDICTABLE here: VTRN, VUZP, VZIP of a register with itself, whose result is UNKNOWN.
    """
    decoded = decode(word, thumb)
    if decoded is None:
        return "UNDEFINED"
    try:
        decoded.encoding.instruction.definition(Builder(thumb, decoded.encoding.size, 0), decoded)
    except Unpredictable:
        return "UNPREDICTABLE"
    except Undefined:
        return "UNDEFINED"
    same = "Vm" in decoded and decoded.join("D", "Vd") == decoded.join("M", "Vm")
    return "UNPREDICTABLE" if same and decoded.encoding.instruction.name in ("VTRN", "VUZP", "VZIP") else ""


def random_core(rng: random.Random) -> int:
    """An address in the data pages (some at their ends), mostly; or a number."""
    if rng.randrange(8):
        place = rng.choice((rng.randrange(0x400, DATA_SIZE - 0x400), rng.randrange(0xF80, 0x1080)))
        step = rng.choice((1, 4, 4, 8, 16, 32))
        if not rng.randrange(12):
            place = rng.choice((rng.randrange(0, 64), DATA_SIZE - rng.randrange(0, 64)))
        return DATA + place // step * step
    number = rng.getrandbits(32)
    if number >> 28 in (4, 5):
        number ^= 0x80000000  # where the driver and its stack lie under qemu-arm
    return rng.choice((number, rng.randrange(64), 0xFFFFFFFF - rng.randrange(64)))


class Pool:
    """Values that cases draw from, in runs: to make each anew takes longer than to run a case."""

    def __init__(self, seed: str, size: int = 20000) -> None:
        rng = random.Random(seed)
        self.core = [random_core(rng) for _ in range(size)]
        self.doubles = [random_double(rng) for _ in range(size)]


@cache
def common_pool() -> Pool:
    return Pool("VFP and Advanced SIMD")


def random_case(word: int, thumb: bool, rng: random.Random) -> Case:
    """A state for `word`. Core registers are addresses, or numbers."""
    pool = common_pool()
    place = int(rng.random() * (len(pool.core) - 32))
    core = pool.core[place : place + 15]
    place = int(rng.random() * (len(pool.doubles) - 32))
    doubles = pool.doubles[place : place + 32]
    if not rng.randrange(3):
        # Equal operands, and operands that cancel, are rare otherwise.
        bits = rng.getrandbits(16 * 7)
        for n in range(0, 32, 2):
            doubles[n] = doubles[bits & 31] ^ _CANCELS[bits >> 5 & 3]
            bits >>= 7
    case = Case(word, thumb, core, rng.getrandbits(4), random_fpscr(rng), doubles)
    if thumb and not rng.randrange(6):
        case.it = rng.randrange(15) << 4 | 8  # the last instruction of a block
    elif not rng.randrange(6) and word >> 16 & 15 != 15:  # not relative to PC: a SETEND may lie before it
        case.big_endian = 1
    return case


_CANCELS = (0, 1 << 63, 1 << 31 | 1 << 63, 1)


def encodings_of(*modules: str) -> list[Encoding]:
    """The encodings that the named files of `machine/arm/instructions` define (a name may be a beginning)."""
    found = []
    for instruction in instructions():
        module = instruction.definition.__module__.rpartition(".")[2]
        if any(module.startswith(name) for name in modules):
            found.extend(instruction.encodings)
    return found


def random_cases(encoding: Encoding, rng: random.Random, count: int) -> list[Case]:
    """`count` cases of `encoding` (fewer if it has hardly any words that the manual defines)."""
    cases: list[Case] = []
    states = 8 if count >= 100 else 1
    tries = undefined = 0
    while len(cases) < count and tries < 40 * count:
        tries += 1
        word = random_word(encoding, rng)
        if find(word, encoding.thumb) is not encoding:
            continue
        meaning = meaning_of(word, encoding.thumb)
        if meaning == "UNPREDICTABLE":
            continue
        if meaning == "UNDEFINED":
            undefined += 1
            if undefined > count // 8:
                continue
        for _ in range(min(states, count - len(cases))):
            cases.append(random_case(word, encoding.thumb, rng))
    return cases


def comparable(case: Case, ours: Outcome, oracle: Oracle) -> bool:
    """Whether the oracle can run `case` at all."""
    return oracle.complete or not (ours.trap == "ALIGNMENT" or case.big_endian)


def explained(case: Case, ours: Outcome, theirs: Outcome) -> str:
    """The name of a difference in which the oracle is known to be wrong (docs/instructions-fp.md), or nothing."""
    decoded = decode(case.word, case.thumb)
    assert decoded is not None
    encoding = decoded.encoding
    if ours.trap == "ALIGNMENT" and theirs.trap != "ALIGNMENT":
        assert ours.address is not None
        if decoded.get("align") == 3 and ours.address % 16 == 0:
            return "QEMU takes a demanded alignment of 32 bytes for one of 16"
    if "fixed-point, VFP" in encoding.instruction.name and encoding.form == "from fixed" and case.fpscr & RMODE:
        return "QEMU converts from fixed point by FPSCR.RMode, not to nearest"
    return ""


def differences(encoding: Encoding, cases: list[Case], ours: Here, theirs: Oracle) -> list[str]:
    """Run `cases` here and there; describe those in which the two do not agree, and should."""
    found = []
    pairs = [(case, outcome) for case in cases if comparable(case, outcome := ours.run(case), theirs)]
    for (case, outcome), other in zip(pairs, theirs.run([case for case, _ in pairs]), strict=True):
        difference = outcome.difference(other)
        if difference and not explained(case, outcome, other):
            text = disassemble(case.word, encoding.thumb)
            found.append(f"{encoding.title}: {text}: {difference}\n{case.describe()}")
    return found
