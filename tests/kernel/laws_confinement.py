"""Confinement, step by step: a capability that is new in a slot was derived from one that somebody taking part had.

`Before` remembers all capabilities before a kernel entry. Afterwards, whoever ran and whoever changed state took
part; what they could reach are the slots of all CNodes that their CSpace roots lead to. A new capability must be no
more than one of those: the same object, no more rights, the same badge or a first one, or made of untyped memory
that was within reach and that nothing else referred to. Capabilities under deletion move among what is deleted.
"""

from __future__ import annotations

from typing import Final

from retrap.kernel.caps import (
    NULL,
    AsyncEndpointCap,
    Cap,
    CNodeCap,
    EndpointCap,
    FrameCap,
    NotificationCap,
    ReplyCap,
    Tag,
    ThreadCap,
    UntypedCap,
    ZombieCap,
)
from retrap.kernel.slots import IRQ_NODE, Slot
from retrap.kernel.state import KernelState
from retrap.kernel.structures import TCB_CALLER, TCB_CTABLE, TCB_REPLY, CNode, Tcb

_BADGED = EndpointCap | NotificationCap | AsyncEndpointCap
_SINGLE: Final = (Tag.IRQ_CONTROL, Tag.ASID_CONTROL, Tag.DOMAIN)


def all_slots(state: KernelState) -> list[Slot]:
    """Every slot that there is."""
    found: list[Slot] = []
    for item in state.objects.values():
        if isinstance(item, CNode):
            found.extend(item.slots.values())
        elif isinstance(item, Tcb):
            found.extend(item.slots)
    found.extend(state.irq_slots.values())
    return found


class Before:
    """All capabilities before a kernel entry, and who did what."""

    def __init__(self, state: KernelState) -> None:
        self.caps: Final = {slot: slot.cap for slot in all_slots(state) if slot.cap is not NULL}
        self.objects: Final = dict(state.objects)
        self.current: Final = state.current
        self.doing: Final = [(thread, thread.state) for thread in state.threads if thread.live]

    def obtained(self, state: KernelState) -> list[str]:
        """Capabilities that came from nowhere, as sentences."""
        caps = self.caps
        new = [slot for slot in all_slots(state) if slot.cap is not NULL and slot.cap is not caps.get(slot)]
        if not new:
            return []
        taking_part = [self.current, *(thread for thread, was in self.doing if thread.state != was)]
        reach = self._reach(taking_part)
        threads = {thread.address for thread in taking_part}
        deleting = {slot.cap.address for slot in all_slots(state) if isinstance(slot.cap, ZombieCap)}
        controlled = {caps[slot].address for slot in reach if slot in caps and isinstance(caps[slot], ThreadCap)}
        places = {slot.owner for slot in reach} | controlled | threads | {IRQ_NODE}
        sources = [caps[slot] for slot in reach if slot in caps]
        known = {cap.address for cap in caps.values() if cap.tag != Tag.UNTYPED and cap.extent is not None}
        faults: list[str] = []
        for slot in new:
            old = caps.get(slot, NULL)
            cap = slot.cap
            if isinstance(cap, ZombieCap) or slot.owner in deleting:
                if not any(each.address == cap.address for each in caps.values()):
                    faults.append(f"confinement: {slot!r} is deleted but was never there")
            elif isinstance(cap, ReplyCap):
                if cap.address not in threads and not any(each == cap for each in sources):
                    faults.append(f"confinement: {slot!r} answers somebody who took no part")
                elif slot.owner not in places or (
                    slot.owner in self.objects
                    and isinstance(self.objects[slot.owner], Tcb)
                    and slot.index not in (TCB_REPLY, TCB_CALLER)
                ):
                    faults.append(f"confinement: {slot!r} is out of reach")
            elif slot.owner not in places and slot.owner in self.objects and not _less(cap, old, known):
                faults.append(f"confinement: {slot!r} was written by somebody who cannot reach it")
            elif not _less(cap, old, known) and not any(_less(cap, each, known) for each in sources):
                faults.append(f"confinement: {slot!r} was derived from nothing within reach")
        return faults

    def _reach(self, threads: list[Tcb]) -> set[Slot]:
        """The slots that these threads' capability spaces had."""
        found: set[Slot] = set()
        seen: set[int] = set()
        caps = self.caps
        todo = [caps.get(thread.slots[TCB_CTABLE], NULL) for thread in threads]
        for thread in threads:
            found.add(thread.slots[TCB_CALLER])
        while todo:
            cap = todo.pop()
            if not isinstance(cap, CNodeCap) or cap.address in seen:
                continue
            seen.add(cap.address)
            node = self.objects.get(cap.address)
            assert isinstance(node, CNode)
            for slot in node.slots.values():
                found.add(slot)
                inner = caps.get(slot)
                if isinstance(inner, CNodeCap):
                    todo.append(inner)
        return found


def _less(cap: Cap, source: Cap, known: set[int]) -> bool:
    """Whether `cap` is no more than `source`, or was made of it. `known`: addresses referred to before."""
    if source.tag == Tag.NULL:
        return False
    if isinstance(source, UntypedCap):
        extent = cap.extent
        if extent is None:
            return False
        end = extent[0] + (1 << extent[1])
        inside = source.address <= extent[0] and end <= source.address + (1 << source.size_bits)
        return inside and (cap.tag == Tag.UNTYPED or extent[0] not in known)
    if source.tag == Tag.IRQ_CONTROL and cap.tag in (Tag.IRQ_HANDLER, Tag.SGI_SIGNAL):
        return True
    if cap.tag != source.tag or cap.address != source.address:
        return False
    if isinstance(cap, _BADGED) and isinstance(source, _BADGED):
        return cap.rights & ~source.rights == 0 and source.badge in (0, cap.badge)
    if isinstance(cap, FrameCap) and isinstance(source, FrameCap):
        # VM rights 1, 2, 3 are none, read, read and write.
        return cap.size_bits == source.size_bits and cap.rights <= max(source.rights, 1)
    if isinstance(cap, CNodeCap) and isinstance(source, CNodeCap):
        return cap.radix == source.radix
    return True
