"""The frame of a function that is a region: where registers are, what is known of them, and the ways out.

Within a basic block, what has been read or written is known by name. Flags and ITSTATE are written late: when
something can see them (`pending`); so most are never computed.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.context import Slot
from retrap.machine.ir.ops import Block
from retrap.machine.llvm.blocks import Facts, facts
from retrap.machine.llvm.layout import Env, Exit, packed
from retrap.machine.llvm.rules import Emitter, Operand

WORD: Final = 0xFFFFFFFF

LATE: Final = frozenset({Slot.N, Slot.Z, Slot.C, Slot.V, Slot.IT})
"""Slots that are written when something can see them."""

DOUBLE: Final = 1 << 10
"""Added to a slot's number where its 64-bit form is meant."""


@final
class Step:
    """One guest instruction of a region: its PC | Thumb, its block, ITSTATE around it."""

    __slots__ = ("address", "after", "block", "facts", "it", "key")

    def __init__(self, key: int, block: Block, it: int, after: int) -> None:
        self.key: Final = key
        self.address: Final = key & ~1
        self.block: Final = block
        self.it: Final = it
        self.after: Final = after
        self.facts: Final[Facts] = facts(block)

    @property
    def following(self) -> int:
        """PC | Thumb of the instruction after it."""
        return self.key + self.block.size & WORD

    @property
    def target(self) -> int | None:
        """PC | Thumb of where it goes if it branches, if that is constant."""
        return self.facts.way(self.key)


class Frame(Emitter):
    """What lowering a region keeps track of."""

    def __init__(self, first: Step, tuned: bool) -> None:
        """`first`: where the region is entered. `tuned`: see `lower.Shape`."""
        super().__init__()
        self.tuned: Final = tuned
        self.used: Final[set[int]] = set()  # TUNED: slots with an alloca
        self.dirty: Final[set[int]] = set()  # TUNED: those written back
        self.known: dict[int, Operand] = {}
        self.pending: dict[int, Operand] = {}
        self.values: dict[int, Operand] = {}
        self._pointers: dict[int, str] = {}
        self._step = first
        self._unused = 0  # instructions paid for, from this one on
        self._late = True
        self._sticky = False  # the FPSCR is known to be as `sticky` wants it, and FPEXC.EN to be 1
        self._writers: dict[tuple[tuple[int, Operand], ...], str] = {}
        """TUNED: what is pending → the label of a side path that writes it and leaves, on the way here."""

    def _label(self, label: str) -> None:
        self.out.append(f"{label}:")
        self._pointers = {}

    # -- ways out ----------------------------------------------------------------------------------------

    def _exit(self, pc: int, unused: int, why: Exit) -> None:
        self._finish(str(packed(pc, unused, why)))

    def _finish(self, value: str) -> None:
        if self.tuned:
            self.out.append(f"store i64 {value}, ptr %why")
            self.out.append("br label %leave")
        else:
            self.out.append(f"ret i64 {value}")

    def _aside(self, label: str, pc: int, why: Exit, unused: int, touched: str = "") -> None:
        """A side path that writes what is pending and leaves."""
        side, pointers = self.enter_side(True), self._pointers
        self._label(label)
        if touched:
            at = self.define(f"getelementptr i8, ptr %e, i64 {Env.TOUCHED}")
            self.out.append(f"store i32 {touched}, ptr {at}")
        if self.tuned and self.pending:
            # The side paths that write the same share it.
            key = tuple(self.pending.items())
            writer = self._writers.get(key)
            self.out.append(f"store i64 {packed(pc, unused, why)}, ptr %why")
            self.out.append(f"br label %{writer or label + 'w'}")
            if writer is None:
                self._writers[key] = label + "w"
                self._label(label + "w")
                self._write_all()
                self.out.append("br label %leave")
        else:
            self._write_all()
            self._exit(pc, unused, why)
        self.leave_side(side)
        self._pointers = pointers

    def _write_all(self) -> None:
        for slot, value in self.pending.items():
            self._store(slot, 32, value)

    # -- slots -------------------------------------------------------------------------------------------

    def _pointer(self, slot: int) -> str:
        """Where a slot is."""
        if self.tuned:
            if slot < Slot.D0:
                self.used.add(slot)
                return f"%s{slot}"
            self.used.add(slot & ~1)
            if slot % 2 == 0:
                return f"%s{slot}"
            return self.define(f"getelementptr i32, ptr %s{slot - 1}, i32 1")
        pointer = self._pointers.get(slot)
        if pointer is None:
            pointer = self._pointers[slot] = self.define(f"getelementptr i8, ptr %c, i64 {slot * 4}")
        return pointer

    def _get(self, slot: int, width: int) -> Operand:
        if slot == Slot.PC:
            return self._step.address
        if slot == Slot.FPEXC_EN and self._sticky:
            return 1
        key = slot if width == 32 else slot + DOUBLE
        value = self.known.get(key)
        if value is None:
            pointer = self._pointer(slot)
            value = self.known[key] = self.define(f"load i{width}, ptr {pointer}, align 4")
        return value

    def _set(self, slot: int, width: int, value: Operand) -> None:
        self._forget(slot)
        if self._late and slot in LATE:
            self.known[slot] = self.pending[slot] = value
            return
        self._store(slot, width, value)
        self.known[slot if width == 32 else slot + DOUBLE] = value

    def _store(self, slot: int, width: int, value: Operand) -> None:
        text, pointer = self.force(value), self._pointer(slot)
        if self.tuned:
            self.dirty.add(slot if slot < Slot.D0 else slot & ~1)
        self.out.append(f"store i{width} {text}, ptr {pointer}, align 4")

    def _forget(self, slot: int) -> None:
        """A slot is about to change: what is known of the words that it shares goes."""
        self.known.pop(slot, None)
        if slot >= Slot.D0:
            even = slot & ~1
            for key in (even, even + 1, even + DOUBLE):
                self.known.pop(key, None)

    def _write_pending(self) -> None:
        for slot, value in self.pending.items():
            self._store(slot, 32, value)
        self.pending = {}
