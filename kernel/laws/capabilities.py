"""Laws of capabilities: the derivation lists, what capabilities refer to, where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from retrap.kernel.caps import (
    AsidPoolCap,
    CNodeCap,
    IrqHandlerCap,
    NotificationCap,
    ReplyCap,
    Tag,
    ZombieCap,
)
from retrap.kernel.derivation import is_parent
from retrap.kernel.laws.survey import Survey
from retrap.kernel.slots import Slot
from retrap.kernel.structures import (
    NEAR,
    TCB_BUFFER,
    TCB_CALLER,
    TCB_CTABLE,
    TCB_REPLY,
    TCB_VTABLE,
    CNode,
    Tcb,
    ThreadState,
)
from retrap.kernel.vspace import AsidPool


def derivation_lists_are_well_formed(survey: Survey) -> Iterator[str]:
    """Neighbours agree about each other; only occupied slots of live objects are in the lists; no cycles."""
    heads = 0
    for slot in survey.slots:
        if slot.cap.tag == Tag.NULL:
            if slot.next is not None or slot.prev is not None or slot.revocable or slot.first_badged:
                yield f"{slot!r} is empty but has relatives"
            continue
        after = slot.next
        if after is not None:
            if after.prev is not slot:
                yield f"{slot!r} is followed by {after!r}, which says otherwise"
            if id(after) not in survey.known:
                yield f"{slot!r} is followed by {after!r}, which is in no live object"
            if after.cap.tag == Tag.NULL:
                yield f"{slot!r} is followed by an empty slot"
        if slot.prev is None:
            heads += 1
        elif slot.prev.next is not slot:
            yield f"{slot!r} is preceded by {slot.prev!r}, which says otherwise"
    visited: set[int] = set()
    for head in survey.occupied:
        slot2: Slot | None = head if head.prev is None else None
        while slot2 is not None and id(slot2) not in visited:
            visited.add(id(slot2))
            slot2 = slot2.next
    if len(visited) != len(survey.occupied):
        yield f"{len(survey.occupied) - len(visited)} capabilities are in no derivation list that has a start"


def descendants_are_contiguous(survey: Survey) -> Iterator[str]:
    """Descendants directly follow their ancestor: nobody's descendant comes after a stranger."""
    for head in survey.occupied:
        if head.prev is not None:
            continue
        closed: list[Slot] = []
        ancestors: list[Slot] = []
        slot: Slot | None = head
        steps = 0
        while slot is not None and steps <= len(survey.occupied):
            steps += 1
            while ancestors and not is_parent(ancestors[-1], slot):
                closed.append(ancestors.pop())
            # Only the most recently closed can be checked without quadratic cost; they are where bugs show.
            for stranger in closed[-4:]:
                if (
                    _near(stranger, slot)
                    and is_parent(stranger, slot)
                    and not _same_region_sibling(stranger, ancestors)
                ):
                    yield f"{slot!r} descends from {stranger!r}, but other capabilities are between them"
            if slot.revocable:
                ancestors.append(slot)
            slot = slot.next


def _near(parent: Slot, child: Slot) -> bool:
    """Whether the one could be the other's parent by address: cheaper than `is_parent`, never wrongly False."""
    cap = parent.cap
    extent = cap.extent
    if extent is None:
        return True
    return extent[0] <= child.cap.address < extent[0] + (1 << extent[1])


def _same_region_sibling(stranger: Slot, ancestors: list[Slot]) -> bool:
    """Whether an ancestor still open refers to the same object: then descent is told by the badge only."""
    return any(each.cap.same_region(stranger.cap) for each in ancestors)


def capabilities_refer_to_live_objects(survey: Survey) -> Iterator[str]:
    """No capability dangles: its object exists and is of its kind."""
    state = survey.state
    objects = state.objects
    for slot in survey.occupied:
        cap = slot.cap
        if cap.tag in _OBJECT_KINDS:
            item = objects.get(cap.address)
            if item is None or item.tag != cap.tag:
                yield f"{slot!r}: there is no such object"
            elif isinstance(cap, CNodeCap) and isinstance(item, CNode) and item.radix != cap.radix:
                yield f"{slot!r}: the CNode has radix {item.radix}"
            elif isinstance(cap, CNodeCap) and isinstance(item, CNode) and not _leads_to(cap, item):
                yield f"{slot!r}: lookups go to another CNode"
            elif isinstance(cap, AsidPoolCap) and isinstance(item, AsidPool) and item.base != cap.base:
                yield f"{slot!r}: the pool's base is {item.base:#x}"
        elif isinstance(cap, ReplyCap):
            if not isinstance(objects.get(cap.address), Tcb):
                yield f"{slot!r}: there is no such thread"
        elif isinstance(cap, ZombieCap):
            if not isinstance(objects.get(cap.address), Tcb | CNode):
                yield f"{slot!r}: there is nothing left to delete"
        elif isinstance(cap, IrqHandlerCap) and cap.irq not in state.irq_slots:
            yield f"{slot!r}: the interrupt is not active"
    live = {slot.cap.address for slot in survey.occupied if slot.cap.tag in _OBJECT_KINDS}
    live |= {slot.cap.address for slot in survey.occupied if slot.cap.tag == Tag.ZOMBIE}
    for address, item in objects.items():
        if address not in live:
            yield f"the object at {address:#010x} (kind {item.tag}) exists without a capability to it"


def _leads_to(cap: CNodeCap, node: CNode) -> bool:
    """Whether what the capability keeps for lookups is the CNode's."""
    return cap.node is node and cap.near is node.near and cap.reach == (0 if cap.guard else len(node.near))


_OBJECT_KINDS: Final = frozenset(
    {
        Tag.ENDPOINT,
        Tag.NOTIFICATION,
        Tag.ASYNC_ENDPOINT,
        Tag.CNODE,
        Tag.THREAD,
        Tag.PAGE_TABLE,
        Tag.PAGE_DIRECTORY,
        Tag.ASID_POOL,
    }
)


def slots_know_their_place(survey: Survey) -> Iterator[str]:
    """Every slot is where it says, and the threads' own slots hold what the kernel puts there."""
    for item in survey.state.objects.values():
        if isinstance(item, CNode):
            for index, slot in item.slots.items():
                if slot.owner != item.address or slot.index != index or index >> item.radix:
                    yield f"{slot!r} is slot {index} of the CNode at {item.address:#010x}"
                elif index < NEAR and item.near[index] is not slot:
                    yield f"{slot!r} is not what lookups of slot {index} find"
    nodes_are_spaces = survey.state.facts.address_space == "capabilities"
    for thread in survey.threads:
        for index, kinds in _TCB_KINDS.items():
            cap = thread.slots[index].cap
            if index == TCB_VTABLE and nodes_are_spaces:
                kinds = _TCB_KINDS[TCB_CTABLE]
            if cap.tag not in kinds:
                yield f"slot {index} of thread {thread.number} holds {cap!r}"
        reply = thread.slots[TCB_REPLY].cap
        if isinstance(reply, ReplyCap) and (not reply.master or reply.address != thread.address):
            yield f"thread {thread.number}'s reply slot holds {reply!r}"


_TCB_KINDS: Final = {
    TCB_CTABLE: frozenset({Tag.NULL, Tag.CNODE, Tag.ZOMBIE, Tag.THREAD}),  # the latter two under deletion
    TCB_VTABLE: frozenset({Tag.NULL, Tag.PAGE_DIRECTORY}),  # or what a CSpace root may be, in the 2006 design
    TCB_REPLY: frozenset({Tag.NULL, Tag.REPLY}),
    TCB_CALLER: frozenset({Tag.NULL, Tag.REPLY}),
    TCB_BUFFER: frozenset({Tag.NULL, Tag.FRAME}),
}


def reply_capabilities_are_unique(survey: Survey) -> Iterator[str]:
    """At most one right to answer a thread exists, and only while the thread waits for an answer."""
    answerable: set[int] = set()
    for slot in survey.occupied:
        cap = slot.cap
        if isinstance(cap, ReplyCap) and not cap.master:
            thread = survey.state.objects.get(cap.address)
            if cap.address in answerable:
                yield f"{slot!r} is a second right to answer that thread"
            answerable.add(cap.address)
            if not isinstance(thread, Tcb) or thread.state != ThreadState.BLOCKED_ON_REPLY:
                yield f"{slot!r}: the thread does not wait for an answer"


def interrupts_signal_notifications(survey: Survey) -> Iterator[str]:
    """What the kernel keeps for an active interrupt is a notification capability, or nothing."""
    handled = {slot.cap.irq for slot in survey.occupied if isinstance(slot.cap, IrqHandlerCap)}
    for irq, slot in survey.state.irq_slots.items():
        if slot.cap.tag != Tag.NULL and not isinstance(slot.cap, NotificationCap):
            yield f"interrupt {irq} would signal {slot.cap!r}"
        if irq not in handled:
            yield f"interrupt {irq} is active but nobody may handle it"
        if irq in survey.state.plan.kernel_irqs:
            yield f"interrupt {irq} is the kernel's own but has a handler"
