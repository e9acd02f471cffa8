"""Capability pointers to slots: guarded, multi-level lookup (manual 3.3, 3.4)."""

from __future__ import annotations

from typing import Final

from retrap.kernel.caps import Cap, CNodeCap
from retrap.kernel.failures import (
    INVALID_ROOT,
    LookupFailed,
    LookupFailure,
    failed_lookup,
    range_error,
)
from retrap.kernel.slots import Slot
from retrap.kernel.state import KernelState
from retrap.kernel.structures import TCB_CTABLE, Tcb
from retrap.kernel.wire import LookupKind

WORD_BITS: Final = 32


def resolve(root: Cap, cptr: int, bits: int) -> tuple[Slot, int]:
    """The slot that the top of `cptr`'s low `bits` bits leads to, and how many bits are left over.

    Leftover bits mean that a slot without a CNode was met early. Raises `LookupFailed`.
    """
    if not isinstance(root, CNodeCap):
        raise LookupFailed(INVALID_ROOT)
    while True:
        guard_bits = root.guard_bits
        radix = root.radix
        level_bits = radix + guard_bits
        # The guard is compared before the depth: a guard longer than what is left is a guard mismatch.
        if guard_bits > bits or (cptr >> (bits - guard_bits)) & ((1 << guard_bits) - 1) != root.guard:
            raise LookupFailed(LookupFailure(LookupKind.GUARD_MISMATCH, bits, guard_bits, root.guard))
        if level_bits > bits:
            raise LookupFailed(LookupFailure(LookupKind.DEPTH_MISMATCH, bits, level_bits))
        bits -= level_bits
        node = root.node
        assert node is not None
        index = (cptr >> bits) & ((1 << radix) - 1)
        slot = node.slot(index)
        if bits == 0:
            return slot, 0
        inner = slot.cap
        if not isinstance(inner, CNodeCap):
            return slot, bits
        root = inner


def lookup_slot(state: KernelState, thread: Tcb, cptr: int) -> Slot:
    """The slot that `cptr` names in the thread's CSpace; it may be empty. Raises `LookupFailed`."""
    cap = thread.slots[TCB_CTABLE].cap
    # Nearly always that is in one CNode: as `resolve` would find it.
    if isinstance(cap, CNodeCap) and cptr < cap.reach and cap.bits == WORD_BITS:
        slot = cap.near[cptr]
        if slot is not None:
            return slot
    return resolve(cap, cptr, WORD_BITS)[0]


def operand_slot(state: KernelState, source: bool, root: Cap, index: int, depth: int) -> Slot:
    """The slot `index` of `depth` bits under `root`, for an operation. Raises `Refused`.

    `source`: failures are reported as those of the source (or pivot), otherwise as those of the destination.
    """
    if not isinstance(root, CNodeCap):
        raise failed_lookup(source, INVALID_ROOT)
    # As in `lookup_slot`.
    if index < root.reach and depth == root.bits:
        found = root.near[index]
        if found is not None:
            return found
    if depth < 1 or depth > WORD_BITS:
        raise range_error(1, WORD_BITS, f"a depth of {depth} is not between 1 and {WORD_BITS}")
    try:
        slot, left = resolve(root, index, depth)
    except LookupFailed as failed:
        raise failed_lookup(source, failed.failure) from None
    if left != 0:
        # The path ends early; the kernel reports the bits that are left as a depth mismatch that found none.
        raise failed_lookup(source, LookupFailure(LookupKind.DEPTH_MISMATCH, left, 0))
    return slot


def target_slot(state: KernelState, root: Cap, index: int, depth: int) -> Slot:
    """As `operand_slot`, for an operation's destination."""
    return operand_slot(state, False, root, index, depth)


def source_slot(state: KernelState, root: Cap, index: int, depth: int) -> Slot:
    """As `operand_slot`, for an operation's source (and pivot)."""
    return operand_slot(state, True, root, index, depth)
