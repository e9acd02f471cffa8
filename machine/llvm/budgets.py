"""Who pays for which basic block of a region.

A block that is entered at several places, or by a jump back, takes its instructions from the budget when it is
entered, and leaves the region if there are too few. One that only blocks before it lead to is paid for by them, as
far as the longest way goes; who takes a shorter way gets the difference back. So a loop's round costs one check.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from retrap.machine.llvm.frame import Step

LONGEST: Final = 64
"""Instructions that are paid for at once at most, unless a single block is longer: what a budget that ends leaves
to the evaluator is less."""


@final
class Budgets:
    """Of one region."""

    __slots__ = ("paid", "prices")

    def __init__(self, runs: dict[int, list[Step]], entries: Collection[int], shared: bool) -> None:
        """`runs`: basic blocks by PC | Thumb. `entries`: those that may be entered from elsewhere. `shared`:
        whether blocks pay for others at all."""
        self.prices: Final[dict[int, int]] = {}
        """Block → instructions that have been paid for when its first begins."""
        self.paid: Final[set[int]] = set()
        """Blocks that others pay for."""
        ways = {address: _ways(run, runs) for address, run in runs.items()}
        before: dict[int, list[int]] = {address: [] for address in runs}
        for address, targets in ways.items():
            for target in targets:
                before[target].append(address)
        for address in sorted(runs, reverse=True):
            longest = max((self.prices[way] for way in ways[address] if way in self.paid), default=0)
            price = self.prices[address] = len(runs[address]) + longest
            if (
                shared
                and before[address]
                and address not in entries
                and all(one < address and len(runs[one]) + price <= LONGEST for one in before[address])
            ):
                self.paid.add(address)


def circling(runs: dict[int, list[Step]], jumps: dict[int, list[int]]) -> set[int]:
    """The basic blocks in loops that call nothing: those that lead back to themselves (Tarjan's algorithm).
    `jumps`: where computed jumps may go on, by what they end."""
    ways = {
        key: [] if run[-1].facts.calls else [*_ways(run, runs), *jumps.get(key, ())]
        for key, run in runs.items()
    }
    found: set[int] = set()
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    on: set[int] = set()
    for root in runs:
        if root in order:
            continue
        work = [(root, iter(ways[root]))]
        order[root] = low[root] = len(order)
        open_.append(root)
        on.add(root)
        while work:
            key, rest = work[-1]
            for way in rest:
                if way not in order:
                    order[way] = low[way] = len(order)
                    open_.append(way)
                    on.add(way)
                    work.append((way, iter(ways[way])))
                    break
                if way in on:
                    low[key] = min(low[key], order[way])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[key])
                if low[key] == order[key]:
                    group: list[int] = []
                    while not group or group[-1] != key:
                        group.append(open_.pop())
                        on.discard(group[-1])
                    if len(group) > 1 or key in ways[key]:
                        found.update(group)
    return found


def _ways(run: list[Step], runs: dict[int, list[Step]]) -> list[int]:
    """The basic blocks that a block may go on in, inside the region."""
    step = run[-1]
    found = []
    target = step.target
    if target is not None:
        found.append(target)
    if step.facts.forks or not step.facts.ends:
        found.append(step.following)
    return [way for way in dict.fromkeys(found) if way in runs and runs[way][0].it == step.after]
