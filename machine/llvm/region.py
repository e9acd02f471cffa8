"""Which instructions are compiled together: all that constant jumps reach from an entry, up to a limit.

A region is a set of basic blocks: straight runs of instructions, each entered only at its head and left only
at its end. Usually a call ends a region (it continues through the jump cache), so that a function's loops are whole
and a callee is compiled once; very hot regions take callees in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Sequence
from typing import Final, final

from retrap.machine.arm.translate import translate
from retrap.machine.llvm.blocks import facts, next_it
from retrap.machine.llvm.lower import Step
from retrap.machine.memory import RamRegion
from retrap.machine.space import EXECUTE, AddressSpace

MAX_SPREAD: Final = 1 << 13
"""Bytes from the entry beyond which a jump leaves the region."""

JUMP_BACK: Final = 512
JUMP_AHEAD: Final = 2048
"""Bytes before and after a computed jump in which its targets are looked for."""

JUMP_WAYS: Final = 40
"""Targets of a computed jump at most."""

MAX_BLOCK: Final = 128
"""Instructions of a compiled basic block at most, but for those that finish an IT block."""


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

    __slots__ = ("code", "instructions", "jumps", "key", "runs", "spans")

    def __init__(self, key: int, runs: list[list[Step]], jumps: dict[int, list[int]], code: Code) -> None:
        self.key: Final = key  # PC | Thumb of its entry
        self.runs: Final = runs
        self.jumps: Final = jumps
        """PC | Thumb of a computed jump → where it may go on in the region."""
        self.instructions: Final = sum(len(run) for run in runs)
        self.spans: Final = _merged(runs)
        """Virtual byte ranges [start, end) of the code, ascending, apart."""
        self.code: Final = tuple(code.read(low, high) or b"" for low, high in self.spans)


def _merged(runs: list[list[Step]]) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for low, high in sorted((run[0].address, run[-1].address + run[-1].block.size) for run in runs):
        if spans and low <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(high, spans[-1][1]))
        else:
            spans.append((low, high))
    return tuple(spans)


def discover(
    space: AddressSpace,
    key: int,
    reached: Container[int],
    limit: int,
    inline: bool,
    doors: Sequence[int] = (),
) -> Region | None:
    """The region entered at PC | Thumb `key`, outside an IT block; None if it starts with what the evaluator does.

    Basic blocks that were not `reached` (PC | Thumb of their heads) stay out: most code never runs. `inline`: calls
    to constant addresses belong to the region. `doors`: PC | Thumb of what has been jumped to from other regions,
    ascending: computed jumps may go to those that are near.
    """
    code = Code(space)
    steps: dict[int, Step] = {}
    heads = {key}
    queue = [key]
    jumps: dict[int, list[int]] = {}
    while queue and len(steps) < limit:
        here, it = queue.pop(0), 0
        while len(steps) < limit:
            if here in steps:
                heads.add(here)
                break
            fetched = code.word(here & ~1, here & 1)
            if fetched is None:
                break
            block = translate(fetched[0], bool(here & 1), it)
            known = facts(block)
            if not known.lowerable and not steps:
                return None
            step = Step(here, block, it, next_it(block, it))
            steps[here] = step
            following = step.following
            if known.ends:
                if not known.lowerable:
                    break
                ways = []
                if block.branches:
                    target = step.target
                    if target is not None and (inline or not (known.calls or known.switches)):
                        ways.append(target)
                    if known.calls and inline:
                        ways.append(following)
                if known.forks:
                    ways.append(following)
                if known.computes and doors:
                    jumps[here] = found = _near(here, doors)
                    ways += found
                for way in ways:
                    near = abs(way - key) < MAX_SPREAD or inline
                    if way not in heads and step.after == 0 and near and way in reached:
                        heads.add(way)
                        queue.append(way)
                break
            it = step.after
            here = following
    if not steps:
        return None
    runs = _runs(key, steps, heads)
    inside = {run[0].key for run in runs if run[0].it == 0}
    return Region(key, runs, {at: [way for way in ways if way in inside] for at, ways in jumps.items()}, code)


def _near(here: int, doors: Sequence[int]) -> list[int]:
    """Where a jump at `here` may go: a table's branches lie around it, most behind it."""
    low, high = bisect_left(doors, here - JUMP_BACK), bisect_left(doors, here + JUMP_AHEAD)
    return [door for door in doors[low:high] if (door ^ here) & 1 == 0][:JUMP_WAYS]


def _runs(entry: int, steps: dict[int, Step], heads: set[int]) -> list[list[Step]]:
    """Cut the steps into basic blocks. A head inside an IT block is none: it is reached only in sequence."""
    runs: list[list[Step]] = []
    previous: Step | None = None
    for key in sorted(steps, key=lambda key: (key & 1, key)):
        step = steps[key]
        joined = (
            previous is not None
            and not previous.facts.ends
            and previous.following == key
            and previous.after == step.it
            and not (step.it == 0 and (key in heads or len(runs[-1]) >= MAX_BLOCK))
        )
        if not joined:
            runs.append([])
        runs[-1].append(step)
        previous = step
    runs.sort(key=lambda run: run[0].key != entry)
    return runs
