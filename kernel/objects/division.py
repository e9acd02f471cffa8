"""Untyped memory of the 2006 design: Retype divides all of it into equal objects (paper, sections 3.1, 4, 5).

An untyped is free or it is not: while any capability derived from it remains, Retype is refused, and revoking is
what makes it free again. There is no watermark, so that no memory is ever lost to alignment. What the paper leaves
open: at most CONFIG_RETYPE_FAN_OUT_LIMIT objects are made at once, because no kernel operation may be long; smaller
ones are made in two steps, from smaller untypeds.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel import derivation
from retrap.kernel.caps import Cap, CNodeCap, Tag, UntypedCap
from retrap.kernel.failures import (
    delete_first,
    failed_lookup,
    invalid_argument,
    missing_capability,
    not_enough_memory,
    range_error,
    truncated_message,
)
from retrap.kernel.lookup import target_slot
from retrap.kernel.message import Invocation, Message
from retrap.kernel.slots import Slot
from retrap.kernel.state import ANY_SIZE, SLOT_SIZED, Decoder, KernelState
from retrap.kernel.structures import CNode

SLOT_BITS: Final = 4


@final
class Divide(Invocation):
    """Make `count` objects of one type of all the memory, with capabilities in slots from `offset` on."""

    __slots__ = ("count", "node", "object_bits", "object_type", "offset", "size_bits", "source")

    def __init__(
        self,
        source: Slot,
        object_type: int,
        size_bits: int,
        object_bits: int,
        node: CNode,
        offset: int,
        count: int,
    ) -> None:
        self.source: Final = source
        self.object_type: Final = object_type
        self.size_bits: Final = size_bits
        self.object_bits: Final = object_bits
        self.node: Final = node
        self.offset: Final = offset
        self.count: Final = count

    def perform(self, state: KernelState) -> list[int] | None:
        source = self.source
        untyped = source.cap
        assert isinstance(untyped, UntypedCap)
        source.cap = untyped.full()
        name = state.release.object_types[self.object_type].name
        if name != "Untyped":
            state.memory.clear(untyped.address, 1 << untyped.size_bits)
        creator = state.creators[self.object_type]
        assert creator is not None
        address = untyped.address
        # From the last to the first: each goes directly behind the untyped in the derivation list, which then has
        # them in the order of their addresses.
        for position in range(self.count - 1, -1, -1):
            cap = creator(state, address + (position << self.object_bits), self.size_bits, False)
            derivation.insert_new(source, self.node.slot(self.offset + position), cap)
        return None


def _object_bits(state: KernelState, object_type: int, size_bits: int) -> int:
    """Log2 of the object's size in bytes; the least sizes are those of the paper's section 3.1."""
    largest = state.max_untyped_bits
    if size_bits > largest:
        raise range_error(0, largest, f"objects of 2^{size_bits} bytes do not exist")
    bits = state.object_bits[object_type]
    if bits == SLOT_SIZED:
        if size_bits == 0:
            raise invalid_argument(1, "a CNode has at least two slots")
        return SLOT_BITS + size_bits
    if bits != ANY_SIZE:
        return bits
    if state.release.object_types[object_type].name == "UserData":
        least, what = state.release.constants["seL4_PageBits"], "user data"
    else:
        least, what = state.min_untyped_bits, "untyped memory"
    if size_bits < least:
        raise invalid_argument(1, f"{what} has at least 2^{least} bytes")
    return size_bits


def _decode_retype(state: KernelState, slot: Slot, cap: UntypedCap, message: Message) -> Invocation:
    """Untyped_Retype(type, size bits, index, depth, offset; root)."""
    words = message.words
    if len(words) < 5 or not message.caps:
        raise truncated_message("Retype takes five words and the root CNode")
    object_type, size_bits, index, depth, offset = words[:5]
    root = message.caps[0].cap
    if object_type >= len(state.creators):
        raise invalid_argument(0, f"there is no object type {object_type}")
    object_bits = _object_bits(state, object_type, size_bits)

    # Where the capabilities are to go: a CNode, found under the root; depth 0 means the root itself.
    node_cap: Cap = root if depth == 0 else target_slot(state, root, index, depth).cap
    if not isinstance(node_cap, CNodeCap):
        raise failed_lookup(False, missing_capability(depth), "the destination is not a CNode")

    # Section 5: the capabilities that point into the memory are invalidated first, and not by the kernel itself.
    derivation.ensure_no_children(slot)
    if object_bits > cap.size_bits:
        available = 1 << cap.size_bits
        raise not_enough_memory(available, f"an object of 2^{object_bits} bytes does not fit")

    count = 1 << (cap.size_bits - object_bits)
    node_size = 1 << node_cap.radix
    if offset > node_size - 1:
        raise range_error(0, node_size - 1, f"the destination CNode has no slot {offset}")
    fan_out = state.options.retype_fan_out_limit
    if count > fan_out:
        raise range_error(1, fan_out, f"{count} objects cannot be made at once: divide into larger untypeds first")
    if count > node_size - offset:
        raise range_error(1, node_size - offset, "the destination slots reach beyond the end of the CNode")
    node = state.objects[node_cap.address]
    assert isinstance(node, CNode)
    for position in range(offset, offset + count):
        occupied = node.slots.get(position)
        if occupied is not None and occupied.cap.tag != Tag.NULL:
            raise delete_first(f"slot {position} of the destination already contains a capability")
    return Divide(slot, object_type, size_bits, object_bits, node, offset, count)


METHODS: Final[dict[str, Decoder]] = {"UntypedRetype": _decode_retype}
