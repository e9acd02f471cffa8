"""CNodes: copying, moving, deleting and revoking capabilities (manual 3.1, `seL4_CNode_…`)."""

from __future__ import annotations

from typing import Final, final

from retrap.kernel import deletion, derivation
from retrap.kernel.caps import (
    ALL_RIGHTS,
    NULL,
    Cap,
    CNodeCap,
    EndpointCap,
    ReplyCap,
    ZombieCap,
)
from retrap.kernel.endpoint import cancel_badged_sends
from retrap.kernel.failures import (
    failed_lookup,
    illegal_operation,
    missing_capability,
    truncated_message,
)
from retrap.kernel.lookup import operand_slot, source_slot
from retrap.kernel.message import Invocation, Message
from retrap.kernel.objects.recycle import Recycle, may_recycle
from retrap.kernel.slots import Slot
from retrap.kernel.state import Creator, Decoder, KernelState
from retrap.kernel.structures import TCB_CALLER, CNode, Endpoint
from retrap.machine.compiled import mypyc_attr


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class Insert(Invocation):
    """Put a copy of what is in `source`, changed to `cap`, into `target` (Copy, Mint)."""

    __slots__ = ("cap", "source", "target")

    def __init__(self, cap: Cap, source: Slot, target: Slot) -> None:
        self.cap: Final = cap
        self.source: Final = source
        self.target: Final = target

    def perform(self, state: KernelState) -> list[int] | None:
        derivation.insert(self.cap, self.source, self.target)
        return None


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class Move(Invocation):
    """Move what is in `source`, changed to `cap`, to `target` (Move, Mutate)."""

    __slots__ = ("cap", "source", "target")

    def __init__(self, cap: Cap, source: Slot, target: Slot) -> None:
        self.cap: Final = cap
        self.source: Final = source
        self.target: Final = target

    def perform(self, state: KernelState) -> list[int] | None:
        derivation.move(self.cap, self.source, self.target)
        return None


@final
class Rotate(Invocation):
    """Move the pivot's capability to `target` and the source's to the pivot; equal ends exchange."""

    __slots__ = ("pivot", "pivot_cap", "source", "source_cap", "target")

    def __init__(self, source_cap: Cap, pivot_cap: Cap, source: Slot, pivot: Slot, target: Slot) -> None:
        self.source_cap: Final = source_cap
        self.pivot_cap: Final = pivot_cap
        self.source: Final = source
        self.pivot: Final = pivot
        self.target: Final = target

    def perform(self, state: KernelState) -> list[int] | None:
        if self.source is self.target:
            derivation.swap(self.source_cap, self.source, self.pivot_cap, self.pivot)
        else:
            derivation.move(self.pivot_cap, self.pivot, self.target)
            derivation.move(self.source_cap, self.source, self.pivot)
        return None


@final
class Revoke(Invocation):
    """Delete everything derived from what is in `target`."""

    __slots__ = ("target",)

    def __init__(self, target: Slot) -> None:
        self.target: Final = target

    def perform(self, state: KernelState) -> list[int] | None:
        deletion.revoke(state, self.target)
        return None


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class Delete(Invocation):
    """Delete what is in `target`."""

    __slots__ = ("target",)

    def __init__(self, target: Slot) -> None:
        self.target: Final = target

    def perform(self, state: KernelState) -> list[int] | None:
        deletion.delete(state, self.target, True)
        return None


@final
class SaveCaller(Invocation):
    """Move the reply capability of the running thread's last caller to `target`, if there is one."""

    __slots__ = ("target",)

    def __init__(self, target: Slot) -> None:
        self.target: Final = target

    def perform(self, state: KernelState) -> list[int] | None:
        slot = state.current.slots[TCB_CALLER]
        cap = slot.cap
        if isinstance(cap, ReplyCap) and not cap.master:
            derivation.move(cap, slot, self.target)
        return None


@final
class CancelBadgedSends(Invocation):
    """Let senders that wait with the capability's badge start again."""

    __slots__ = ("cap",)

    def __init__(self, cap: EndpointCap) -> None:
        self.cap: Final = cap

    def perform(self, state: KernelState) -> list[int] | None:
        if self.cap.badge:
            endpoint = state.objects[self.cap.address]
            assert isinstance(endpoint, Endpoint)
            cancel_badged_sends(state, endpoint, self.cap.badge)
        return None


def _target(state: KernelState, cap: CNodeCap, message: Message) -> Slot:
    """The slot that the first two words name in the invoked CNode: common to all invocations."""
    words = message.words
    if len(words) < 2:
        raise truncated_message("index and depth of the slot are missing")
    return operand_slot(state, False, cap, words[0], words[1])


def _source(state: KernelState, target: Slot, message: Message) -> Slot:
    """The occupied slot that Copy, Mint, Move and Mutate take from, after checking that `target` is empty."""
    words = message.words
    if len(words) < 4 or not message.caps:
        raise truncated_message("index, depth or root of the source slot is missing")
    derivation.ensure_empty(target)
    depth = words[3]
    source = operand_slot(state, True, message.caps[0].cap, words[2], depth)
    if source.cap is NULL:
        raise failed_lookup(True, missing_capability(depth), "the source slot is empty")
    return source


_INVALID: Final = "a capability of this kind cannot be copied or changed in this way"


def _decode_copy(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    target = _target(state, cap, message)
    source = _source(state, target, message)
    if len(message.words) < 5:
        raise truncated_message("the rights are missing")
    new = derivation.derive(source, source.cap.masked(message.words[4] & ALL_RIGHTS))
    if new is NULL:
        raise illegal_operation(_INVALID)
    return Insert(new, source, target)


def _decode_mint(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    target = _target(state, cap, message)
    source = _source(state, target, message)
    words = message.words
    if len(words) < 6:
        raise truncated_message("the rights or the badge are missing")
    changed = source.cap.masked(words[4] & ALL_RIGHTS).with_data(False, words[5])
    new = derivation.derive(source, changed)
    if new is NULL:
        raise illegal_operation(_INVALID)
    return Insert(new, source, target)


def _decode_move(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    target = _target(state, cap, message)
    source = _source(state, target, message)
    return Move(source.cap, source, target)


def _decode_mutate(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    target = _target(state, cap, message)
    source = _source(state, target, message)
    if len(message.words) < 5:
        raise truncated_message("the badge is missing")
    new = source.cap.with_data(True, message.words[4])
    if new is NULL:
        raise illegal_operation(_INVALID)
    return Move(new, source, target)


def _decode_rotate(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    """CNode_Rotate: target, pivot's new data, pivot, source's new data, source; roots of pivot and source."""
    target = _target(state, cap, message)
    message.require(8, 2)
    _, _, pivot_data, pivot_index, pivot_depth, source_data, source_index, source_depth = message.words[:8]
    # The source is looked up first; a failure to find the pivot is reported as the source's, too.
    source = source_slot(state, message.caps[1].cap, source_index, source_depth)
    pivot = source_slot(state, message.caps[0].cap, pivot_index, pivot_depth)
    if pivot is source or pivot is target:
        raise illegal_operation("the pivot slot is the source or the destination")
    if source is not target:
        derivation.ensure_empty(target)
    if source.cap is NULL:
        raise failed_lookup(True, missing_capability(source_depth), "the source slot is empty")
    if pivot.cap is NULL:
        raise failed_lookup(False, missing_capability(pivot_depth), "the pivot slot is empty")
    new_source = source.cap.with_data(True, source_data)
    new_pivot = pivot.cap.with_data(True, pivot_data)
    if new_source is NULL:
        raise illegal_operation("the source capability cannot be changed in this way")
    if new_pivot is NULL:
        raise illegal_operation("the pivot capability cannot be changed in this way")
    return Rotate(new_source, new_pivot, source, pivot, target)


def _decode_revoke(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    return Revoke(_target(state, cap, message))


def _decode_delete(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    return Delete(_target(state, cap, message))


def _decode_save_caller(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    target = _target(state, cap, message)
    derivation.ensure_empty(target)
    return SaveCaller(target)


def _decode_cancel(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    target = _target(state, cap, message)
    # Cancelling others' sends takes all rights to the endpoint.
    if not isinstance(target.cap, EndpointCap) or target.cap.rights != state.all_rights:
        raise illegal_operation("not an endpoint capability with all rights")
    return CancelBadgedSends(target.cap)


def _decode_recycle(state: KernelState, slot: Slot, cap: CNodeCap, message: Message) -> Invocation:
    target = _target(state, cap, message)
    if not may_recycle(target.cap):
        raise illegal_operation("nothing to recycle, or not with all rights")
    return Recycle(target)


METHODS: Final[dict[str, Decoder]] = {
    "CNodeRecycle": _decode_recycle,
    "CNodeRevoke": _decode_revoke,
    "CNodeDelete": _decode_delete,
    "CNodeCancelBadgedSends": _decode_cancel,
    "CNodeCopy": _decode_copy,
    "CNodeMint": _decode_mint,
    "CNodeMove": _decode_move,
    "CNodeMutate": _decode_mutate,
    "CNodeRotate": _decode_rotate,
    "CNodeSaveCaller": _decode_save_caller,
}


def finalise(state: KernelState, cap: CNodeCap, final: bool) -> Cap:
    """The last capability becomes the zombie that empties the slots."""
    return ZombieCap(cap.address, cap.radix, 1 << cap.radix) if final else NULL


def finalise_zombie(state: KernelState, cap: ZombieCap, final: bool) -> Cap:
    """A zombie stays until its slots are empty."""
    return cap


def create(state: KernelState, address: int, size_bits: int, device: bool) -> Cap:
    """A CNode of 2^size_bits slots."""
    node = state.objects[address] = CNode(address, size_bits)
    return CNodeCap(address, size_bits, 0, 0, node)


CREATORS: Final[dict[str, Creator]] = {"CapTable": create}
