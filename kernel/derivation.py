"""The capability derivation tree, kept as the kernel's mapping database keeps it (manual 3.1.4).

All capabilities with relatives are in doubly linked lists of slots. A capability's descendants follow it
directly, and whether a follower is a descendant is computed from flags, regions and badges. The order is
visible to users (revocation goes through it, preemption can stop it anywhere), so it is kept exactly.
Only this file writes `Slot.prev`, `next`, `revocable` and `first_badged`.
"""

from __future__ import annotations

from typing import Final

from retrap.kernel.caps import NULL, Cap, Tag, UntypedCap
from retrap.kernel.failures import delete_first, revoke_first
from retrap.kernel.slots import Slot

# (Plain Python finds a module's names much faster than a class's.)
_UNTYPED: Final = Tag.UNTYPED
_ENDPOINT: Final = Tag.ENDPOINT
_NOTIFICATION: Final = Tag.NOTIFICATION
_ASYNC_ENDPOINT: Final = Tag.ASYNC_ENDPOINT
_IRQ_HANDLER: Final = Tag.IRQ_HANDLER
_IRQ_CONTROL: Final = Tag.IRQ_CONTROL


def is_parent(parent: Slot, child: Slot) -> bool:
    """Whether the capability in `child`, somewhere after `parent` in the list, is derived from `parent`'s."""
    if not parent.revocable:
        return False
    a = parent.cap
    b = child.cap
    if not a.same_region(b):
        return False
    if a.tag == _UNTYPED:
        return True
    # Whoever has a badge is parent of those with the same only, as far as they do not start it anew.
    badge = a.shown_badge
    return badge == 0 or (badge == b.shown_badge and not child.first_badged)


def has_children(slot: Slot) -> bool:
    """Whether any capability is derived from the one in `slot`."""
    follower = slot.next
    return follower is not None and is_parent(slot, follower)


def ensure_no_children(slot: Slot) -> None:
    """Raise seL4_RevokeFirst if capabilities are derived from the one in `slot`."""
    if has_children(slot):
        raise revoke_first("capabilities derived from it exist: revoke it first")


def ensure_empty(slot: Slot) -> None:
    """Raise seL4_DeleteFirst if `slot` holds a capability."""
    if slot.cap is not NULL:
        raise delete_first("the destination slot already contains a capability")


def is_final(slot: Slot) -> bool:
    """Whether this is the last capability to its object: neither neighbour refers to the same one."""
    cap = slot.cap
    address = cap.address  # which tells most apart
    before = slot.prev
    if before is not None and before.cap.address == address and before.cap.same_object(cap):
        return False
    after = slot.next
    return after is None or after.cap.address != address or not cap.same_object(after.cap)


def derive(slot: Slot, cap: Cap) -> Cap:
    """What a copy of `cap`, a variant of the one in `slot`, would be; `NULL` if it cannot be copied.

    Raises `Refused`: RevokeFirst for an untyped with children, IllegalOperation for unmapped tables.
    """
    if cap.tag == _UNTYPED:
        ensure_no_children(slot)
        return cap
    return cap.derived()


def insert(cap: Cap, source: Slot, target: Slot) -> None:
    """Put `cap`, derived from the one in `source`, into the empty `target`, directly after `source`.

    An untyped that is copied whole is marked full, so that only the copy can hand out its memory.
    """
    original = source.cap
    tag = cap.tag
    revocable = False  # whether it can have descendants of its own
    if tag in (_ENDPOINT, _NOTIFICATION, _ASYNC_ENDPOINT):
        revocable = cap.shown_badge != original.shown_badge
    elif tag == _UNTYPED:
        revocable = True
        assert isinstance(original, UntypedCap)
        if cap.address == original.address and cap.size_bits == original.size_bits:
            source.cap = original.full()
    elif tag == _IRQ_HANDLER:
        revocable = original.tag == _IRQ_CONTROL
    after = source.next
    target.cap = cap
    target.prev = source
    target.next = after
    target.revocable = revocable
    target.first_badged = revocable
    source.next = target
    if after is not None:
        after.prev = target


def insert_new(parent: Slot, target: Slot, cap: Cap) -> None:
    """Put the first capability to a new object into the empty `target`, directly after its parent."""
    after = parent.next
    target.cap = cap
    target.prev = parent
    target.next = after
    target.revocable = True
    target.first_badged = True
    parent.next = target
    if after is not None:
        after.prev = target


def place_root(slot: Slot, cap: Cap) -> None:
    """Put a capability that has no parent (boot, reply masters) into an empty slot."""
    slot.cap = cap
    slot.revocable = True
    slot.first_badged = True


def move(cap: Cap, source: Slot, target: Slot) -> None:
    """Move the capability in `source` into the empty `target`, changed to `cap`; relatives stay relatives."""
    before = source.prev
    after = source.next
    target.cap = cap
    target.prev = before
    target.next = after
    target.revocable = source.revocable
    target.first_badged = source.first_badged
    source.cap = NULL
    source.prev = None
    source.next = None
    source.revocable = False
    source.first_badged = False
    if before is not None:
        before.next = target
    if after is not None:
        after.prev = target


def swap(cap1: Cap, slot1: Slot, cap2: Cap, slot2: Slot) -> None:
    """Exchange two slots' places in the lists; `slot1` receives `cap2` and `slot2` receives `cap1`."""
    slot1.cap = cap2
    slot2.cap = cap1

    # Neighbours of slot1 first, then slot1 takes what slot2 has *by then*: correct when the two are adjacent.
    prev1 = slot1.prev
    next1 = slot1.next
    revocable1 = slot1.revocable
    first1 = slot1.first_badged
    if prev1 is not None:
        prev1.next = slot2
    if next1 is not None:
        next1.prev = slot2

    prev2 = slot2.prev
    next2 = slot2.next
    slot1.prev = prev2
    slot1.next = next2
    slot1.revocable = slot2.revocable
    slot1.first_badged = slot2.first_badged
    slot2.prev = prev1
    slot2.next = next1
    slot2.revocable = revocable1
    slot2.first_badged = first1

    if prev2 is not None:
        prev2.next = slot1
    if next2 is not None:
        next2.prev = slot1


def remove(slot: Slot) -> None:
    """Empty `slot`. Its successor inherits the start of a badge group."""
    before = slot.prev
    after = slot.next
    if before is not None:
        before.next = after
    if after is not None:
        after.prev = before
        if slot.first_badged:
            after.first_badged = True
    slot.cap = NULL
    slot.prev = None
    slot.next = None
    slot.revocable = False
    slot.first_badged = False
