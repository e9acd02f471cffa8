"""ASIDs: what makes a page directory an address space that threads can use (manual 7.1.3)."""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import (
    ASID_POOL_SIZE_BITS,
    NULL,
    AsidControlCap,
    AsidPoolCap,
    Cap,
    PageDirectoryCap,
    UntypedCap,
)
from retrap.kernel.derivation import ensure_empty, ensure_no_children, insert
from retrap.kernel.failures import (
    INVALID_ROOT,
    delete_first,
    failed_lookup,
    invalid_capability,
)
from retrap.kernel.lookup import target_slot
from retrap.kernel.message import Invocation, Message
from retrap.kernel.slots import Slot
from retrap.kernel.state import Decoder, KernelState
from retrap.kernel.vspace import (
    ASID_LOW_BITS,
    ASIDS_PER_POOL,
    AsidPool,
    PageDirectory,
    assign_asid,
    release_pool,
)


@final
class MakePool(Invocation):
    """Turn a 4 KiB untyped into a pool of 1024 ASIDs."""

    __slots__ = ("base", "target", "untyped", "untyped_slot")

    def __init__(self, untyped_slot: Slot, untyped: UntypedCap, target: Slot, base: int) -> None:
        self.untyped_slot: Final = untyped_slot
        self.untyped: Final = untyped
        self.target: Final = target
        self.base: Final = base

    def perform(self, state: KernelState) -> list[int] | None:
        untyped = self.untyped
        self.untyped_slot.cap = untyped.full()
        state.memory.clear(untyped.address, 1 << ASID_POOL_SIZE_BITS)
        pool = AsidPool(untyped.address, self.base)
        state.objects[untyped.address] = pool
        insert(AsidPoolCap(untyped.address, self.base), self.untyped_slot, self.target)
        state.asid_pools[self.base >> ASID_LOW_BITS] = pool
        return None


@final
class Assign(Invocation):
    """Give a page directory its ASID, in the capability that was passed."""

    __slots__ = ("directory", "index", "pool", "slot")

    def __init__(self, slot: Slot, directory: PageDirectory, pool: AsidPool, index: int) -> None:
        self.slot: Final = slot
        self.directory: Final = directory
        self.pool: Final = pool
        self.index: Final = index

    def perform(self, state: KernelState) -> list[int] | None:
        self.slot.cap = PageDirectoryCap(self.directory.address, True, self.pool.base + self.index)
        assign_asid(state, self.pool, self.index, self.directory)
        return None


def _decode_make_pool(state: KernelState, slot: Slot, cap: AsidControlCap, message: Message) -> Invocation:
    """ASIDControl_MakePool(index, depth; untyped, root)."""
    message.require(2, 2)
    number = 0
    while number in state.asid_pools:
        number += 1
    if number >= state.facts.asid_pool_count:
        raise delete_first("all ASID pools exist already")
    untyped_slot = message.caps[0]
    untyped = untyped_slot.cap
    # The pool takes the untyped whole, and the kernel writes to it: exactly the size, and not a device.
    if not isinstance(untyped, UntypedCap) or untyped.size_bits != ASID_POOL_SIZE_BITS or untyped.device:
        raise invalid_capability(1, "not a 4 KiB untyped of ordinary memory")
    ensure_no_children(untyped_slot)
    target = target_slot(state, message.caps[1].cap, message.words[0], message.words[1])
    ensure_empty(target)
    return MakePool(untyped_slot, untyped, target, number << ASID_LOW_BITS)


def _decode_assign(state: KernelState, slot: Slot, cap: AsidPoolCap, message: Message) -> Invocation:
    """ASIDPool_Assign(; page directory)."""
    message.require(0, 1)
    root_slot = message.caps[0]
    root = root_slot.cap
    if not isinstance(root, PageDirectoryCap) or root.mapped:
        raise invalid_capability(1, "not a page directory without an ASID")
    pool = state.asid_pools.get(cap.base >> ASID_LOW_BITS)
    if pool is None:
        raise failed_lookup(False, INVALID_ROOT, "the ASID pool is no longer in use")
    if pool.address != cap.address:
        raise invalid_capability(0, "another ASID pool has taken the place of this one")
    assert isinstance(pool, AsidPool)
    index = pool.free_index()
    if index == ASIDS_PER_POOL:
        raise delete_first("all ASIDs of the pool are in use")
    directory = state.objects[root.address]
    assert isinstance(directory, PageDirectory)
    return Assign(root_slot, directory, pool, index)


CONTROL_METHODS: Final[dict[str, Decoder]] = {"ARMASIDControlMakePool": _decode_make_pool}
POOL_METHODS: Final[dict[str, Decoder]] = {"ARMASIDPoolAssign": _decode_assign}


def finalise_pool(state: KernelState, cap: AsidPoolCap, final: bool) -> Cap:
    """With the last capability to a pool, all its address spaces lose their ASIDs."""
    if final:
        pool = state.objects[cap.address]
        assert isinstance(pool, AsidPool)
        release_pool(state, cap.base, pool)
        del state.objects[cap.address]
    return NULL
