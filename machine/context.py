"""Register contexts: one per thread, each an array at a host address that every backend knows.

A context is `WORDS` 32-bit words; `Slot` names each. Flags are kept apart (one word each, 0 or 1), so that
no backend packs and unpacks the CPSR per instruction. ARM ARM B1.3 (registers), A2.4 (APSR).
"""

from __future__ import annotations

import sys
from array import array
from typing import Final, final

WORDS: Final = 128
"""Words per context; a context is 512 bytes."""

HEAD_WORDS: Final = 32
"""The first words of a context, `Context.head`: all but D0 to D31."""


class Slot:
    """Word index of each architectural register in a context."""

    R0: Final = 0  # R0 … R14 are 0 … 14
    SP: Final = 13
    LR: Final = 14
    PC: Final = 15  # address of the next instruction to execute; at a trap, of the trapping instruction
    N: Final = 16
    Z: Final = 17
    C: Final = 18
    V: Final = 19
    Q: Final = 20
    GE: Final = 21  # four bits
    THUMB: Final = 22  # CPSR.T
    IT: Final = 23  # CPSR.IT, eight bits
    BIG_ENDIAN: Final = 24  # CPSR.E
    TPIDRURW: Final = 25
    TPIDRURO: Final = 26
    FPSCR: Final = 27
    EXCLUSIVE: Final = 28  # local monitor: 0 open, 1 exclusive
    EXCLUSIVE_ADDRESS: Final = 29
    RESTART_PC: Final = 30  # kernel's: where the current system call or fault restarts (seL4 FaultIP)
    FPEXC_EN: Final = 31  # 1 when this thread may use VFP/Advanced SIMD
    D0: Final = 32  # D0 … D31, two words each, low word first
    MODE: Final = 96  # CPSR.M, A, I and F, which user code cannot change: the arena's `user_mode`
    COUNTER_HZ: Final = 97  # CNTFRQ: the arena's `counter_hz`
    COUNTERS: Final = 98  # which timers and counters user code may use, `Counters`: the arena's `counters`


class Counters:
    """Bits of `Slot.COUNTERS`, after CNTKCTL (ARM ARM B8.1, B4.1.26) and PMUSERENR (C12)."""

    VIRTUAL: Final = 1  # PL0VCTEN: CNTVCT
    PHYSICAL: Final = 2  # PL0PCTEN: CNTPCT
    VIRTUAL_TIMER: Final = 4  # PL0VTEN: CNTV_CVAL, CNTV_TVAL, CNTV_CTL
    PHYSICAL_TIMER: Final = 8  # PL0PTEN: CNTP_CVAL, CNTP_TVAL, CNTP_CTL
    MONITORS: Final = 16  # PMUSERENR.EN: the performance monitors
    MONITORS_2: Final = 32  # … and they are PMUv2: PMCEID0, PMCEID1, PMOVSSET


def handle_of(address: int) -> bytes:
    """A host address as native code takes it from Python: it reads the bytes where they are. (From a number above
    2^30 CPython makes them one by one, which takes it more than a hundred host instructions.)"""
    return address.to_bytes(8, sys.byteorder)


@final
class Context:
    """One thread's registers. `words[Slot.X]` reads and writes 32-bit values."""

    __slots__ = ("address", "handle", "head", "words")

    def __init__(self) -> None:
        # (An array, not a memoryview: compiled ahead, its items cost half. It never changes its size, so it stays.)
        self.words: Final = array("I", bytes(WORDS * 4))
        self.head: Final = memoryview(self.words)[:HEAD_WORDS]
        self.address: Final = self.words.buffer_info()[0]  # host address of word 0, for compiled code
        self.handle: Final = handle_of(self.address)

    @property
    def cpsr(self) -> int:
        """The CPSR as user mode with the reserved and mode bits zero (N Z C V Q IT GE E T)."""
        w = self.words
        it = w[Slot.IT]
        return (
            w[Slot.N] << 31
            | w[Slot.Z] << 30
            | w[Slot.C] << 29
            | w[Slot.V] << 28
            | w[Slot.Q] << 27
            | (it & 3) << 25
            | w[Slot.GE] << 16
            | (it >> 2) << 10
            | w[Slot.BIG_ENDIAN] << 9
            | w[Slot.THUMB] << 5
        )

    @cpsr.setter
    def cpsr(self, value: int) -> None:
        w = self.words
        w[Slot.N] = value >> 31 & 1
        w[Slot.Z] = value >> 30 & 1
        w[Slot.C] = value >> 29 & 1
        w[Slot.V] = value >> 28 & 1
        w[Slot.Q] = value >> 27 & 1
        w[Slot.IT] = (value >> 25 & 3) | (value >> 10 & 0x3F) << 2
        w[Slot.GE] = value >> 16 & 0xF
        w[Slot.BIG_ENDIAN] = value >> 9 & 1
        w[Slot.THUMB] = value >> 5 & 1


def enter_user(context: Context) -> None:
    """What returning to user mode does to the registers."""
    words = context.words
    # Entering user mode leaves the local monitor open, as the kernel's CLREX does, and a PC that the
    # instruction set cannot have loses its low bits (ARM ARM A3.4.1, B1.9.1).
    words[Slot.EXCLUSIVE] = 0
    pc = words[Slot.PC]
    if pc & 3:
        words[Slot.PC] = pc & (0xFFFFFFFE if words[Slot.THUMB] else 0xFFFFFFFC)


@final
class ContextArena:
    """Hands out zeroed contexts at stable host addresses; freed ones are reused, last freed first."""

    def __init__(self) -> None:
        self.user_mode = 0x10
        """Mode and mask bits of the CPSR in every context allocated from now on."""
        self.counters = 0
        """`Counters` that user code may use, in every context allocated from now on."""
        self.counter_hz = 0
        """CNTFRQ in every context allocated from now on."""
        self._free: Final[list[Context]] = []

    def allocate(self) -> Context:
        """A context of zeroes."""
        context = self._free.pop() if self._free else Context()
        words = context.words
        words[Slot.MODE] = self.user_mode
        words[Slot.COUNTER_HZ] = self.counter_hz
        words[Slot.COUNTERS] = self.counters
        return context

    def release(self, context: Context) -> None:
        """Give a context back; its words are cleared here."""
        context.words[:] = _ZEROES
        self._free.append(context)


_ZEROES: Final = array("I", bytes(WORDS * 4))
