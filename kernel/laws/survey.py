"""The kernel's state as the laws need it: all slots, and which untyped each piece of memory came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, final

from retrap.kernel.caps import TCB_EXTENT_BITS, ZOMBIE_TCB, Cap, Tag, ThreadCap, UntypedCap, ZombieCap
from retrap.kernel.slots import Slot
from retrap.kernel.state import KernelState
from retrap.kernel.structures import CNode, Tcb

Region = tuple[int, int]
"""(first address, size in bytes)."""


@final
class Survey:
    """One look at the state. Threads are always there; the rest after `take_stock`, which reads every slot."""

    def __init__(self, state: KernelState) -> None:
        self.state: Final = state
        types = state.release.object_numbers()
        self.thread_bits: Final = state.object_bits[types["TCB"]] if "TCB" in types else TCB_EXTENT_BITS
        self.threads: Final[list[Tcb]] = [each for each in state.objects.values() if isinstance(each, Tcb)]
        self.slots: Final[list[Slot]] = []
        self.occupied: Final[list[Slot]] = []
        self.known: Final[set[int]] = set()
        """ids of all slots."""
        self.origin: Final[dict[int, UntypedCap]] = {}
        """id of a slot → the capability of the nearest untyped that it is derived from."""
        self.untypeds: Final[dict[Region, UntypedCap]] = {}
        """Untyped memory by region, with the furthest watermark among the capabilities to it."""
        self.children: Final[dict[Region, set[Region]]] = {}
        """Untyped region → the regions directly inside it that capabilities refer to."""

    def take_stock(self) -> None:
        """Collect all slots and find the origin of everything."""
        self.slots.extend(_all_slots(self.state))
        self.known.update(id(slot) for slot in self.slots)
        self.occupied.extend(slot for slot in self.slots if slot.cap.tag != Tag.NULL)
        for slot in self.occupied:
            cap = slot.cap
            if isinstance(cap, UntypedCap):
                region = (cap.address, 1 << cap.size_bits)
                known = self.untypeds.get(region)
                if known is None or known.free < cap.free:
                    self.untypeds[region] = cap
        self._find_origins()

    def _find_origins(self) -> None:
        seen: set[int] = set()
        for head in self.occupied:
            if head.prev is not None:
                continue
            # Only untypeds are looked for, so that being derived from one is a matter of regions (`is_parent`).
            ancestors: list[tuple[int, int, UntypedCap]] = []
            slot: Slot | None = head
            while slot is not None and id(slot) not in seen:
                seen.add(id(slot))
                cap = slot.cap
                if ancestors:
                    extent = cap.extent
                    if extent is None:
                        ancestors.clear()
                    else:
                        start, end = extent[0], extent[0] + (1 << extent[1])
                        while ancestors and not (ancestors[-1][0] <= start and end <= ancestors[-1][1]):
                            ancestors.pop()
                        if ancestors:
                            self._add_child(slot, ancestors[-1][2])
                if isinstance(cap, UntypedCap) and slot.revocable:
                    ancestors.append((cap.address, cap.address + (1 << cap.size_bits), cap))
                slot = slot.next

    def _add_child(self, slot: Slot, origin: UntypedCap) -> None:
        self.origin[id(slot)] = origin
        inside = self.region_of(slot.cap)
        outside = (origin.address, 1 << origin.size_bits)
        if inside is not None and inside != outside:
            self.children.setdefault(outside, set()).add(inside)

    def region_of(self, cap: Cap) -> Region | None:
        """The memory that a capability refers to, if any; a TCB's depends on release and build."""
        if isinstance(cap, ThreadCap) or (isinstance(cap, ZombieCap) and cap.radix == ZOMBIE_TCB):
            return (cap.address, 1 << self.thread_bits)
        extent = cap.extent
        return None if extent is None else (extent[0], 1 << extent[1])


Law = Callable[[Survey], Iterator[str]]


def _all_slots(state: KernelState) -> Iterator[Slot]:
    for item in state.objects.values():
        if isinstance(item, CNode):
            yield from item.slots.values()
        elif isinstance(item, Tcb):
            yield from item.slots
    yield from state.irq_slots.values()
