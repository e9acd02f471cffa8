"""The evaluator: executes blocks one instruction at a time. The reference for every other backend.

A word runs as one Python function, made by a template (`machine.arm.templates`). A word that no template has is
translated, and its block run operation by operation (`Plain`); after `WRITE_OUT_AFTER` times, the lines of its
operations are put together into such a function (`machine.ir.written`). The instruction word is fetched each time,
so code may write code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from retrap.machine.access import WORD, Abort
from retrap.machine.arm.decode import REMEMBERED
from retrap.machine.arm.templates import function_of
from retrap.machine.arm.translate import translate
from retrap.machine.backend import Backend
from retrap.machine.clock import Untimed
from retrap.machine.context import Context
from retrap.machine.ir.meaning import STEPS
from retrap.machine.ir.ops import Block
from retrap.machine.ir.written import Written, written
from retrap.machine.memory import PhysicalMemory, RamRegion
from retrap.machine.space import EXECUTE, SECTION, AddressSpace
from retrap.machine.traps import INTERRUPT, SVC, UNDEFINED, FaultStatus, Trap, TrapKind

WRITE_OUT_AFTER: Final = 12
"""Runs of a block that cost about as much as writing it out."""

Look = Callable[[Context, AddressSpace], bool]
"""Asked where basic blocks begin, PC being there: whether to come back."""


@final
class Plain:
    """A block that is run operation by operation: what a new word runs as. It is entry `key` of `table`."""

    __slots__ = ("block", "key", "runs", "table")

    def __init__(self, block: Block, table: dict[int, Written], key: int) -> None:
        self.block: Final = block
        self.table: Final = table
        self.key: Final = key
        self.runs = 0

    def __call__(self, words: Any, space: AddressSpace, retired: int) -> int | None:
        self.runs += 1
        block = self.block
        if self.runs == WRITE_OUT_AFTER:
            self.table[self.key] = written(block)
        values: list[Any] = [0] * block.values
        values.append(1)  # operand -1, absent, reads as true
        for inst in block.prologue:
            STEPS[inst.op](values, inst, words, space, retired)
        for inst in block.body if block.condition < 0 or values[block.condition] else block.skipped:
            kind = STEPS[inst.op](values, inst, words, space, retired)
            if kind is not None:
                return kind
        return None


@final
class Evaluator(Backend):
    """The backend that needs nothing but Python."""

    def __init__(self, memory: PhysicalMemory) -> None:
        super().__init__()
        self.memory: Final = memory
        self.left = False
        """Whether `run_blocks` came back because of `look`."""
        self._known: Final[dict[int, Written]] = {}  # by word, and in Thumb | ITSTATE << 32 | 1 << 40
        self._ends: Final[set[int]] = set()  # of these keys, those that end a basic block

    def run(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        return self.run_blocks(context, space, retired, budget, None)

    def run_blocks(
        self, context: Context, space: AddressSpace, retired: int, budget: int, look: Look | None
    ) -> Trap:
        """As `run`, but comes back (with INTERRUPT) where a basic block ends and `look` says so."""
        end = retired + budget
        clock = self.memory.clock
        self.left = False
        while True:
            trap = self._run(context, space, retired, end, look)
            if trap is not None:
                return trap
            # The next instruction accesses a device, which has to know what time it is.
            retired = clock.now = self.retired
            clock.exact = True
            try:
                trap = self._run(context, space, retired, retired + 1, None)
            finally:
                clock.exact = False
            assert trap is not None
            retired = self.retired
            if trap is not INTERRUPT or clock.stop or retired == end:
                return trap

    def _run(
        self, context: Context, space: AddressSpace, retired: int, end: int, look: Look | None
    ) -> Trap | None:
        """Run until the clock stands at `end`. None: the instruction at PC has to be run with an exact clock."""
        words = context.words
        known, ends = self._known, self._ends
        page, delta = -1, 0
        code = halves = self.memory.regions[0].words
        kind: int | None = None
        try:
            while retired < end:
                pc = words[15]
                if pc >> 12 != page:
                    region, delta = _fetch(space, pc)
                    page, code, halves = pc >> 12, region.words, region.halves
                if not words[22]:
                    # The rest of the page, word by word as each is reached: only what ends a basic block goes on
                    # elsewhere than at the next word, or in Thumb.
                    at = pc + delta >> 2
                    for key in code[at : at + min(1024 - (pc >> 2 & 1023), end - retired)]:
                        runner = known.get(key)
                        if runner is None:
                            runner = self._learn(key)
                        kind = runner(words, space, retired)
                        if kind is not None:
                            break
                        retired += 1
                        if key in ends:
                            break
                    else:
                        continue
                    if kind is not None:
                        break
                else:
                    key = halves[pc + delta >> 1]
                    if key >= 0xE800:
                        if pc & 0xFFE == 0xFFE:
                            after, beyond = _fetch(space, pc + 2 & WORD)
                            key = key << 16 | after.halves[(pc + 2 & WORD) + beyond >> 1]
                        else:
                            key = key << 16 | halves[pc + delta + 2 >> 1]
                    key |= (words[23] | 256) << 32
                    runner = known.get(key)
                    if runner is None:
                        runner = self._learn(key)
                    kind = runner(words, space, retired)
                    if kind is not None:
                        break
                    retired += 1
                    if key not in ends:
                        continue
                if look is not None and look(context, space):
                    self.left = True
                    return INTERRUPT
            else:
                return INTERRUPT
        except Abort as abort:
            return Trap(TrapKind.DATA_ABORT, abort.address, abort.status)
        except PrefetchAbort as fetch:
            return Trap(TrapKind.PREFETCH_ABORT, words[15], fetch.status)
        except Untimed:
            return None
        finally:
            self.retired = retired
        if kind == TrapKind.SVC:
            # A supervisor call is an instruction completed; the others here are not.
            self.retired += 1
            return SVC
        return UNDEFINED if kind == TrapKind.UNDEFINED else Trap(TrapKind(kind), words[15], FaultStatus.DEBUG)

    def _learn(self, key: int) -> Written:
        """What stands for a new word."""
        table = self._known
        if len(table) >= REMEMBERED:
            table.clear()
            self._ends.clear()
        word, thumb, it = (key, False, 0) if key <= WORD else (key & WORD, True, key >> 32 & 255)
        runner: Written
        found = function_of(word, thumb, it)
        if found is not None:
            runner, ends = found
        else:
            block = translate(word, thumb, it)
            runner, ends = Plain(block, table, key), block.branches or block.trap >= 0
        if ends:
            self._ends.add(key)
        table[key] = runner
        return runner


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
