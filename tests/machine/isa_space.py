"""The campaign's classes of unknown words: is a random word UNDEFINED here exactly when qemu-arm says so?

Words that the manual leaves UNPREDICTABLE are passed over; what defined words do, the other classes compare.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import qemu_cpu
from isa_campaign import Batch
from isa_oracle import DATA, Case, Ours, Outcome
from retrap.machine.arm.decode import decode, disassemble, find, is_wide
from retrap.machine.arm.registry import Encoding, Instruction, Undefined, Unpredictable
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder

CORE = tuple(DATA + 0x800 + 8 * n for n in range(15))


@dataclass(frozen=True)
class Space:
    """One of the three instruction spaces."""

    title: str
    thumb: bool
    wide: bool

    def word(self, r: random.Random) -> int:
        if not self.thumb:
            return r.getrandbits(28) | (0xF0000000 if r.randrange(3) == 0 else 0xE0000000)
        if self.wide:
            return r.choice((0b11101, 0b11110, 0b11111)) << 27 | r.getrandbits(27)
        while True:
            half = r.getrandbits(16)
            if not is_wide(half):
                return half


SPACES = (
    Space("any A32 word", False, True),
    Space("any 32-bit Thumb word", True, True),
    Space("any 16-bit Thumb word", True, False),
)

# What only says where to go on, or enters a kernel.
_LEFT_OUT = ("SVC", "BKPT", "UDF", "B", "BL", "BLX (immediate)", "CBZ, CBNZ", "TBB, TBH", "IT")
_HALTS = (0xBA80, 0xE1000070)  # HLT of later architectures, which QEMU takes as calls of its own


def _nothing(size: int, thumb: bool) -> Encoding:
    """Stands for the encoding of a word that has none."""
    bits = "0" * (8 * size)
    return Encoding(Instruction("undefined", "", lambda b, i: None), "", "T1" if thumb else "A1", 1, bits)


class Runner:
    """Holds the CPUs."""

    def __init__(self, oracles: frozenset[str]) -> None:
        self.ours = Ours()
        self.ours.context.words[Slot.FPEXC_EN] = 1
        self.qemu = qemu_cpu.Qemu() if "qemu" in oracles else None

    def batch(self, space: Space, r: random.Random, count: int) -> Batch | None:
        """`count` words, or None without qemu-arm."""
        if self.qemu is None:
            return None
        made: list[tuple[Case, Outcome]] = []
        while len(made) < count:
            word = space.word(r)
            encoding = find(word, space.thumb)
            if encoding is not None and (encoding.instruction.name in _LEFT_OUT or _unpredictable(word, encoding)):
                continue
            if (word & 0xFFC0 == _HALTS[0] and not space.wide) or (
                word & 0xFFF000F0 == _HALTS[1] and not space.thumb
            ):
                continue
            case = Case(encoding or _nothing(4 if space.wide else 2, space.thumb), word, CORE, 0, 0)
            mine = self.ours.run(case)
            if self.qemu.takes(case, mine):
                made.append((case, mine))
        batch = Batch()
        batch.compared["qemu"] = len(made)
        for (case, mine), theirs in zip(made, self.qemu.run(made), strict=True):
            if (mine.trap == "UNDEFINED") == (theirs.trap == "UNDEFINED"):
                continue
            known = _known(case)
            if known:
                batch.known[known] += 1
            else:
                text = disassemble(case.word, case.thumb)
                batch.unexplained.append(f"qemu: {case.word:#x} [{text}]: {mine.trap!r} / {theirs.trap!r}")
        return batch


def _unpredictable(word: int, encoding: Encoding) -> bool:
    if word & encoding.should_mask != encoding.should_value:
        return True
    decoded = decode(word, encoding.thumb)
    assert decoded is not None
    try:
        encoding.instruction.definition(Builder(encoding.thumb, encoding.size, 0), decoded)
    except Unpredictable:
        return True
    except Undefined:
        return False
    return False


def _known(case: Case) -> str:
    """Why QEMU executes a word that is UNDEFINED on this processor; empty if that is not known."""
    coprocessor = case.word >> 8 & 15
    if case.encoding.size == 4 and case.word >> 25 & 7 in (6, 7):
        if coprocessor == 9 and case.word >> 24 & 15 == 13:
            return "QEMU loads and stores half-precision registers, as ARMv8.2 does"
        if coprocessor in (1, 2) and not case.thumb:
            return "qemu-arm emulates the coprocessors of a floating-point unit before VFP"
    return ""
