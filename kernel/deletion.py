"""Deleting and revoking capabilities (manual 3.1.4, CNode_Delete, CNode_Revoke).

Deleting the last capability to an object destroys it. A CNode or TCB holds capabilities itself, so its last
capability becomes a zombie that empties the object's slots one by one, from the end, preemptibly: what is left
to do is in the capability, so a restart continues where it stopped. Zombies may lie in slots of other zombies
or in their own; the two ways of reducing one keep the recursion bounded.
"""

from __future__ import annotations

from retrap.kernel import derivation
from retrap.kernel.caps import NULL, Cap, FrameCap, Tag, ZombieCap
from retrap.kernel.failures import Preempted
from retrap.kernel.slots import Slot
from retrap.kernel.state import KernelState
from retrap.kernel.structures import CNode, Tcb


def revoke(state: KernelState, slot: Slot) -> None:
    """Delete everything derived from the capability in `slot`. Raises `Preempted`."""
    following = slot.next
    while following is not None and derivation.is_parent(slot, following):
        delete(state, following, True)
        state.preemption_point()
        following = slot.next


def delete(state: KernelState, slot: Slot, exposed: bool) -> None:
    """Delete the capability in `slot`. Raises `Preempted`.

    `exposed`: the slot is reachable for users, and empty in the end. Otherwise it is a slot of a zombie, and
    a zombie that would only contain itself may be left in it for the outer deletion.
    """
    cleanup = _finalise_slot(state, slot, exposed)
    cap = slot.cap
    if cleanup is None or cap is NULL:
        return
    if isinstance(cap, ZombieCap):
        _forget(state, cap.address)
    derivation.remove(slot)
    if cleanup is not NULL:
        hook = state.cleanups[cleanup.tag]
        if hook is not None:
            hook(state, cleanup)


def delete_one(state: KernelState, slot: Slot) -> None:
    """Delete a capability whose deletion cannot be long: reply capabilities, IRQ notifications."""
    cap = slot.cap
    if cap is NULL:
        return
    finaliser = state.finalisers[cap.tag]
    if finaliser is not None:
        remainder = finaliser(state, cap, derivation.is_final(slot))
        assert remainder is NULL
    derivation.remove(slot)


def finalise(state: KernelState, slot: Slot) -> None:
    """Do what deleting the capability in `slot` does to its object, and leave in the slot what is left (Recycle).

    That is the capability itself, or an empty zombie. Raises `Preempted`.
    """
    _finalise_slot(state, slot, True)


def long_running(slot: Slot) -> bool:
    """Whether deleting the capability in `slot` could take many steps."""
    tag = slot.cap.tag
    if tag == Tag.THREAD or tag == Tag.ZOMBIE or tag == Tag.CNODE:
        return derivation.is_final(slot)
    return False


def zombie_slot(state: KernelState, zombie: ZombieCap, index: int) -> Slot:
    """Slot `index` of the object that a zombie stands for."""
    container = state.objects[zombie.address]
    if isinstance(container, CNode):
        return container.slot(index)
    assert isinstance(container, Tcb)
    return container.slots[index]


def _forget(state: KernelState, address: int) -> None:
    """A CNode's or TCB's last slot is empty: its memory is free."""
    gone = state.objects.pop(address)
    if isinstance(gone, Tcb):
        gone.live = False
        state.retired.append(gone)


def _finalise_slot(state: KernelState, slot: Slot, immediate: bool) -> Cap | None:
    """Reduce what is in `slot` until it can be removed; the capability to clean up after (or `NULL`).

    None: a zombie that contains itself is left, for the deletion of what contains it (not when immediate).
    """
    while True:
        cap = slot.cap
        if cap is NULL:
            return NULL
        final = derivation.is_final(slot)
        if isinstance(cap, FrameCap) and cap.asid == 0:
            return cap if final else NULL  # what most deletions are about: the finaliser would find nothing to undo
        finaliser = state.finalisers[cap.tag]
        remainder = NULL if finaliser is None else finaliser(state, cap, final)
        if not isinstance(remainder, ZombieCap):
            return cap if final else NULL
        inside_itself = slot.index == 0 and slot.owner == remainder.address
        if remainder.number == 0 or (remainder.number == 1 and inside_itself):
            return NULL
        slot.cap = remainder
        if not immediate and inside_itself:
            return None
        if immediate:
            _reduce(state, slot, remainder)
        else:
            _turn_inside_out(state, slot, remainder)
        state.preemption_point()


def _reduce(state: KernelState, slot: Slot, zombie: ZombieCap) -> None:
    """Empty the last slot that the zombie in `slot` still has."""
    number = _skip_empty(state, slot, zombie)
    last = zombie_slot(state, zombie, number - 1)
    delete(state, last, False)
    left = slot.cap
    if left is NULL:
        return
    assert isinstance(left, ZombieCap)
    if left.address == zombie.address and left.number == number and left.radix == zombie.radix:
        slot.cap = ZombieCap(zombie.address, zombie.radix, number - 1)
    # Otherwise deleting `last` has exchanged `slot` with a zombie that contains `slot`: go on with that one.


def _turn_inside_out(state: KernelState, slot: Slot, zombie: ZombieCap) -> None:
    """Exchange a zombie found inside another with the first slot of its own object.

    It then contains itself, and what was in that first slot is next to be deleted: no recursion.
    """
    first = zombie_slot(state, zombie, 0)
    assert first is not slot
    derivation.swap(first.cap, first, slot.cap, slot)


def _skip_empty(state: KernelState, slot: Slot, zombie: ZombieCap) -> int:
    """Pass over empty slots at the zombie's end, counting the work that the kernel would do for each.

    Returns the number of slots that remain; `slot` holds the zombie with that number.
    """
    number = zombie.number
    container = state.objects[zombie.address]
    if isinstance(container, CNode):
        target = _occupied_node_slots(container, number)
    else:
        assert isinstance(container, Tcb)
        target = number
        while target > 1 and container.slots[target - 1].cap is NULL:
            target -= 1
    empty = number - target
    if empty <= 0:
        return number
    done = state.work(empty)
    if done >= 0:
        slot.cap = ZombieCap(zombie.address, zombie.radix, number - done)
        raise Preempted
    slot.cap = ZombieCap(zombie.address, zombie.radix, target)
    return target


def _occupied_node_slots(node: CNode, number: int) -> int:
    """How many of a CNode's first `number` slots there are up to the last one that holds a capability.

    At least one: slot 0 is always visited, because exchanges put other capabilities there.
    """
    occupied = node.occupied
    if occupied is None:
        occupied = sorted(index for index, each in node.slots.items() if each.cap is not NULL)
        node.occupied = occupied
    while occupied:
        last = occupied[-1]
        if last < number and (last == 0 or node.slots[last].cap is not NULL):
            return last + 1
        occupied.pop()
    return 1
