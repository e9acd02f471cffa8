"""CNode_Recycle, until 3.2.0: make the object behind a capability as good as new, and keep the capability.

Everything derived from it is revoked and what deleting the last capability would do is done; only then is the
object initialised again, if the capability was the last one. (`src/object/cnode.c: cteRecycle`,
`src/object/objecttype.c: recycleCap` and the architecture's `Arch_recycleCap`, tag 3.2.0.)
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel import deletion, derivation
from retrap.kernel.caps import (
    GRANT,
    READ,
    VM_READ_WRITE,
    WRITE,
    ZOMBIE_TCB,
    AsidPoolCap,
    Cap,
    CNodeCap,
    EndpointCap,
    FrameCap,
    NotificationCap,
    PageDirectoryCap,
    PageTableCap,
    Tag,
    ThreadCap,
    ZombieCap,
)
from retrap.kernel.endpoint import cancel_badged_sends
from retrap.kernel.failures import KernelDied
from retrap.kernel.message import Invocation
from retrap.kernel.objects.tcb import new_thread
from retrap.kernel.slots import Slot
from retrap.kernel.state import KernelState
from retrap.kernel.structures import CNode, Endpoint, Tcb
from retrap.kernel.vspace import (
    ASID_LOW_BITS,
    AsidPool,
    PageDirectory,
    PageTable,
    clear_directory,
    clear_table,
    release_pool,
)

_ALL: Final = WRITE | READ | GRANT


def may_recycle(cap: Cap) -> bool:
    """Whether the capability gives the right to: full rights where it has any, and there must be something."""
    if isinstance(cap, EndpointCap):
        return cap.rights & _ALL == _ALL
    if isinstance(cap, NotificationCap):
        return cap.rights == READ | WRITE
    if isinstance(cap, FrameCap):
        return cap.rights == VM_READ_WRITE
    return cap.tag != Tag.NULL and cap.tag != Tag.DOMAIN


@final
class Recycle(Invocation):
    """Revoke what is in `target`, and reinitialise its object."""

    __slots__ = ("target",)

    def __init__(self, target: Slot) -> None:
        self.target: Final = target

    def perform(self, state: KernelState) -> list[int] | None:
        target = self.target
        deletion.revoke(state, target)
        before = target.cap
        item = state.objects.get(before.address) if before.extent is not None else None
        deletion.finalise(state, target)
        left = target.cap
        if left.tag == Tag.NULL:
            return None
        # The object that its last capability's deletion would have ended goes on.
        if item is not None and before.address not in state.objects:
            state.objects[before.address] = item
        target.cap = _reinitialised(state, target, left)
        return None


def _reinitialised(state: KernelState, slot: Slot, cap: Cap) -> Cap:
    """Reset the object, as far as it is this capability's alone; the capability that the slot holds then."""
    if isinstance(cap, ZombieCap):
        return _revived(state, cap)
    if isinstance(cap, EndpointCap):
        endpoint = state.objects[cap.address]
        assert isinstance(endpoint, Endpoint)
        if cap.badge:
            cancel_badged_sends(state, endpoint, cap.badge)
        return cap
    if isinstance(cap, FrameCap):
        # The kernel clears through its own window on RAM, and there is no RAM behind a device's frame.
        if state.memory.region(cap.address) is None:
            raise KernelDied("data abort in the kernel: clearing a frame of device memory")
        state.memory.clear(cap.address, 1 << cap.size_bits)
        return cap.derived()
    final = derivation.is_final(slot)
    if isinstance(cap, PageTableCap):
        table = state.objects[cap.address]
        assert isinstance(table, PageTable)
        clear_table(table)
        return PageTableCap(cap.address) if final else cap
    if isinstance(cap, PageDirectoryCap):
        directory = state.objects[cap.address]
        assert isinstance(directory, PageDirectory)
        clear_directory(directory)
        return PageDirectoryCap(cap.address) if final else cap
    if isinstance(cap, AsidPoolCap):
        pool = state.objects[cap.address]
        assert isinstance(pool, AsidPool)
        number = cap.base >> ASID_LOW_BITS
        # A pool that was finalised has left the table of pools for good; another capability keeps it there.
        if state.asid_pools.get(number) is pool:
            release_pool(state, cap.base, pool)
            pool.first_free = 0
            state.asid_pools[number] = pool
    return cap


def _revived(state: KernelState, zombie: ZombieCap) -> Cap:
    """A TCB or CNode whose slots are empty: a new thread in the same memory, or the CNode without a guard."""
    if zombie.radix == ZOMBIE_TCB:
        old = state.objects[zombie.address]
        assert isinstance(old, Tcb)
        old.live = False
        state.retired.append(old)
        new_thread(state, zombie.address)
        return ThreadCap(zombie.address)
    node = state.objects[zombie.address]
    assert isinstance(node, CNode)
    node.occupied = None
    return CNodeCap(zombie.address, zombie.radix, 0, 0, node)
