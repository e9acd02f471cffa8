"""Which instructions are compiled together: all that constant jumps reach from an entry, up to a limit.

A region is a set of basic blocks: straight runs of instructions, each entered only at its head and left only
at its end. Calls end a region (they continue through the jump cache), so that a function's loops are whole and
a callee is compiled once.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.arm.translate import translate
from retrap.machine.context import Slot
from retrap.machine.ir.builder import advance_it
from retrap.machine.ir.ops import Block, Op
from retrap.machine.llvm.lower import Step, constant_target, lowerable
from retrap.machine.memory import RamRegion
from retrap.machine.space import EXECUTE, AddressSpace

MAX_INSTRUCTIONS: Final = 160
MAX_SPREAD: Final = 1 << 13
"""Bytes from the entry beyond which a jump leaves the region."""


@final
class Code:
    """Reads instruction words of one address space."""

    __slots__ = ("_data", "_page", "_region", "space")

    def __init__(self, space: AddressSpace) -> None:
        self.space: Final = space
        self._page = -1
        self._data = 0
        self._region: RamRegion | None = None

    def word(self, address: int, thumb: int) -> tuple[int, int] | None:
        """(word, size in bytes) of the instruction at `address`; None if it cannot be fetched from RAM."""
        if not thumb:
            low, high = self._half(address), self._half(address + 2)
            return None if low is None or high is None else (high << 16 | low, 4)
        first = self._half(address)
        if first is None:
            return None
        if first >> 11 < 0b11101:
            return first, 2
        second = self._half(address + 2)
        return None if second is None else (first << 16 | second, 4)

    def read(self, start: int, end: int) -> bytes | None:
        """The code bytes `[start, end)`, or None if some cannot be fetched from RAM."""
        parts = []
        while start < end:
            if self._half(start) is None:
                return None
            stop = min(end, (start | 0xFFF) + 1)
            assert self._region is not None
            at = self._data + (start & 0xFFF)
            parts.append(bytes(self._region.data[at : at + stop - start]))
            start = stop
        return b"".join(parts)

    def _half(self, address: int) -> int | None:
        page = address >> 12
        if page != self._page:
            entry = self.space.pages.get(page)
            if entry is None or not entry & EXECUTE:
                return None
            physical = entry >> 4
            region = self.space.memory.region(physical << 12)
            if region is None:
                return None
            self._region = region
            self._data = (physical << 12) - region.base
            self._page = page
        assert self._region is not None
        at = self._data + (address & 0xFFF)
        data = self._region.data
        return data[at] | data[at + 1] << 8


@final
class Region:
    """What to compile: `runs` of steps, the entry's first; and the code bytes that it stands for."""

    __slots__ = ("code", "entry", "instructions", "pages", "runs", "spans", "thumb")

    def __init__(self, entry: int, thumb: int, runs: list[list[Step]], code: Code) -> None:
        self.entry: Final = entry
        self.thumb: Final = thumb
        self.runs: Final = runs
        self.instructions: Final = sum(len(run) for run in runs)
        self.spans: Final = _merged(runs)
        """Virtual byte ranges [start, end) of the code, ascending, apart."""
        pages = {page for low, high in self.spans for page in range(low >> 12, (high + 4095) >> 12)}
        self.pages: Final = tuple(sorted(pages))
        self.code: Final = tuple(code.read(low, high) for low, high in self.spans)

    def matches(self, code: Code) -> bool:
        """Whether another address space has the same code at the same virtual addresses."""
        pairs = zip(self.spans, self.code, strict=True)
        return all(code.read(low, high) == expected for (low, high), expected in pairs)


def _merged(runs: list[list[Step]]) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for low, high in sorted((run[0].address, run[-1].address + run[-1].block.size) for run in runs):
        if spans and low <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(high, spans[-1][1]))
        else:
            spans.append((low, high))
    return tuple(spans)


def discover(space: AddressSpace, entry: int, thumb: int) -> Region | None:
    """The region entered at `entry`, outside an IT block; None if its first instruction cannot be compiled."""
    code = Code(space)
    steps: dict[int, Step] = {}
    heads = {entry}
    queue = [entry]
    while queue and len(steps) < MAX_INSTRUCTIONS:
        address, it = queue.pop(), 0
        while len(steps) < MAX_INSTRUCTIONS:
            if address in steps:
                heads.add(address)
                break
            fetched = code.word(address, thumb)
            if fetched is None:
                break
            block = translate(fetched[0], bool(thumb), it)
            if not lowerable(block) and not steps:
                return None
            step = Step(address, block, it, next_it(block, it))
            steps[address] = step
            if not lowerable(block) or (block.trap >= 0 and block.condition < 0):
                break
            following = address + block.size
            if block.branches:
                target = constant_target(block, address)
                inside = (
                    target is not None
                    and abs(target - entry) < MAX_SPREAD
                    and not writes(block, Slot.LR)
                    and not writes(block, Slot.THUMB)
                )
                if inside and target is not None and target not in heads:
                    heads.add(target)
                    queue.append(target)
                if block.condition < 0 and target != following:
                    break
                # A conditional branch goes on behind it; the rest is a new basic block.
                heads.add(following)
            if block.trap >= 0:
                heads.add(following)
            it = step.after
            address = following
    return Region(entry, thumb, _runs(entry, steps, heads), code)


def next_it(block: Block, it: int) -> int:
    """ITSTATE after a block: what it writes if it is an IT instruction, else advanced."""
    if it:
        return advance_it(it)
    known: dict[int, int] = {}
    for inst in block.body:
        if inst.op is Op.CONST:
            known[inst.d] = inst.imm
        elif inst.op is Op.SET and inst.imm == Slot.IT:
            return known.get(inst.a, 0)
    return 0


def writes(block: Block, slot: int) -> bool:
    """Whether the block's body may write a context slot."""
    return any(inst.op is Op.SET and inst.imm == slot for inst in block.body)


def _runs(entry: int, steps: dict[int, Step], heads: set[int]) -> list[list[Step]]:
    """Cut the steps into basic blocks. A head inside an IT block is none: it is reached only in sequence."""
    runs: list[list[Step]] = []
    previous: Step | None = None
    for address in sorted(steps):
        step = steps[address]
        joined = (
            previous is not None
            and previous.address + previous.block.size == address
            and not (previous.block.branches and previous.block.condition < 0)
            and lowerable(previous.block)
            and previous.block.trap < 0
        )
        if not joined or (address in heads and step.it == 0) or (previous and previous.block.branches):
            runs.append([])
        runs[-1].append(step)
        previous = step
    runs.sort(key=lambda run: run[0].address != entry)
    return runs
