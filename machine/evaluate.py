"""The evaluator: executes blocks one instruction at a time. The reference for every other backend.

A block runs from a tuple of prepared operations (`Plain`). When it has run `WRITE_OUT_AFTER` times its lines
(`machine.ir.meaning`) are put together into one Python function, which then stands for it: the same lines, with
names for values, so nothing is said twice. The instruction word is fetched each time, so code may write code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from retrap.machine.access import WORD, Abort, load, store
from retrap.machine.arm.decode import REMEMBERED
from retrap.machine.arm.translate import translate
from retrap.machine.context import Context
from retrap.machine.ir.meaning import Quick, signed_divide, write_out
from retrap.machine.ir.ops import Block
from retrap.machine.memory import PhysicalMemory, RamRegion
from retrap.machine.space import EXECUTE, SECTION, AddressSpace
from retrap.machine.traps import INTERRUPT, SVC, UNDEFINED, FaultStatus, Trap, TrapKind

WRITE_OUT_AFTER: Final = 60
"""Runs of a block that cost about as much as writing it out."""

Runner = Callable[[Any, AddressSpace, int], "int | None"]
"""(context words, space, retired instructions) → the kind of a trap, or None when the instruction is done."""


@final
class Plain:
    """A block as prepared operations: what a new word runs as. It is entry `key` of `table`."""

    __slots__ = ("block", "body", "condition", "key", "prologue", "runs", "skipped", "table", "values")

    def __init__(self, block: Block, table: dict[int, Runner], key: int) -> None:
        self.block: Final = block
        self.table: Final = table
        self.key: Final = key
        self.condition: Final = block.condition
        self.prologue: Final = tuple(Quick(inst) for inst in block.prologue)
        self.body: Final = tuple(Quick(inst) for inst in block.body)
        self.skipped: Final = tuple(Quick(inst) for inst in block.skipped)
        self.values: Final = block.values
        self.runs = 0

    def __call__(self, words: Any, space: AddressSpace, retired: int) -> int | None:
        self.runs += 1
        if self.runs == WRITE_OUT_AFTER:
            self.table[self.key] = written_out(self.block)
        values: list[Any] = [0] * self.values
        values.append(1)  # operand -1, absent, reads as true
        for q in self.prologue:
            q.step(values, q, words, space, retired)
        for q in self.body if self.condition < 0 or values[self.condition] else self.skipped:
            kind = q.step(values, q, words, space, retired)
            if kind is not None:
                return kind
        return None


def written_out(block: Block) -> Runner:
    """The block as one Python function."""
    scope: dict[str, Any] = {"load": load, "store": store, "signed_divide": signed_divide}
    lines = ["def run(words, space, retired):"]
    lines += [f" {line}" for line in write_out(block.prologue, scope)]
    if block.condition < 0:
        lines += [f" {line}" for line in write_out(block.body, scope)]
    else:
        lines += [f" if v{block.condition}:", *(f"  {line}" for line in write_out(block.body, scope)), " else:"]
        lines += [f"  {line}" for line in write_out(block.skipped, scope)]
    exec("\n".join(lines), scope)  # made of the table's lines and of numbers only
    runner: Runner = scope["run"]
    return runner


@final
class Evaluator:
    """The backend that needs nothing but Python. See `machine.cpu.Backend`."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self.memory: Final = memory
        self.retired = 0
        self._arm: Final[dict[int, Runner]] = {}  # by word
        self._thumb: Final[dict[int, Runner]] = {}  # by ITSTATE << 32 | word

    def run(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        words = context.words
        arm, thumb = self._arm, self._thumb
        end = retired + budget
        page, delta = -1, 0
        code = halves = self.memory.regions[0].words
        kind: int | None = None
        try:
            while retired < end:
                pc = words[15]
                if pc >> 12 != page:
                    region, delta = _fetch(space, pc)
                    page, code, halves = pc >> 12, region.words, region.halves
                if words[22]:
                    key = halves[pc + delta >> 1]
                    if key >= 0xE800:
                        if pc & 0xFFE == 0xFFE:
                            after, beyond = _fetch(space, pc + 2 & WORD)
                            key = key << 16 | after.halves[(pc + 2 & WORD) + beyond >> 1]
                        else:
                            key = key << 16 | halves[pc + delta + 2 >> 1]
                    key |= words[23] << 32
                    runner = thumb.get(key)
                    if runner is None:
                        runner = _learn(thumb, key, translate(key & WORD, True, key >> 32))
                else:
                    key = code[pc + delta >> 2]
                    runner = arm.get(key)
                    if runner is None:
                        runner = _learn(arm, key, translate(key, False, 0))
                kind = runner(words, space, retired)
                if kind is not None:
                    break
                retired += 1
            else:
                return INTERRUPT
        except Abort as abort:
            return Trap(TrapKind.DATA_ABORT, abort.address, abort.status)
        except PrefetchAbort as abort:
            return Trap(TrapKind.PREFETCH_ABORT, words[15], abort.status)
        finally:
            self.retired = retired
        if kind == TrapKind.SVC:
            # A supervisor call is an instruction completed; the others here are not.
            self.retired += 1
            return SVC
        return UNDEFINED if kind == TrapKind.UNDEFINED else Trap(TrapKind(kind), words[15], FaultStatus.DEBUG)


def _learn(table: dict[int, Runner], key: int, block: Block) -> Plain:
    if len(table) >= REMEMBERED:
        table.clear()
    plain = Plain(block, table, key)
    table[key] = plain
    return plain


@final
class PrefetchAbort(Exception):
    """The instruction at PC cannot be fetched; `status` as IFSR holds it."""

    def __init__(self, status: int) -> None:
        self.status = status


def _fetch(space: AddressSpace, pc: int) -> tuple[RamRegion, int]:
    """The RAM that holds the code at `pc`, and what to add to a virtual address of the page for its offset there.

    Raises `PrefetchAbort` when the page is not mapped, not executable, or not RAM.
    """
    entry = space.pages.get(pc >> 12)
    if entry is None:
        raise PrefetchAbort(space.translation_status(pc))
    if not entry & EXECUTE:
        raise PrefetchAbort(FaultStatus.PERMISSION_SECTION if entry & SECTION else FaultStatus.PERMISSION_PAGE)
    region = space.memory.region((entry >> 4) << 12)
    if region is None:
        raise PrefetchAbort(FaultStatus.EXTERNAL)
    return region, ((entry >> 4) << 12) - region.base - (pc & ~0xFFF)
