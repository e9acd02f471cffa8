"""Untyped memory: making objects (manual 2.4.1, `seL4_Untyped_Retype`).

Objects are laid out one after another from the watermark, each aligned to its size; what alignment skips is
lost until nothing derived from the untyped is left. Then it starts again at its beginning, after clearing what
was used.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel import derivation
from retrap.kernel.caps import NULL, SLOT_SIZE_BITS, VM_READ_WRITE, Cap, CNodeCap, FrameCap, UntypedCap
from retrap.kernel.failures import (
    Preempted,
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
from retrap.kernel.state import ANY_SIZE, SLOT_SIZED, Creator, Decoder, KernelState
from retrap.machine.compiled import mypyc_attr


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class Retype(Invocation):
    """Make objects of one type from `address` on, one for each slot of `targets`."""

    __slots__ = ("address", "object_bits", "object_type", "reset", "size_bits", "source", "targets")

    def __init__(
        self,
        source: Slot,
        reset: bool,
        address: int,
        object_type: int,
        size_bits: int,
        object_bits: int,
        targets: list[Slot],
    ) -> None:
        self.source: Final = source
        self.reset: Final = reset
        self.address: Final = address
        self.object_type: Final = object_type
        self.size_bits: Final = size_bits
        self.object_bits: Final = object_bits
        self.targets: Final = targets

    def perform(self, state: KernelState) -> list[int] | None:
        source = self.source
        # Memory is cleared here all at once, or (until 3.2.0) with each object below.
        clears = state.facts.cleared_at == "creation" and state.object_bits[self.object_type] != ANY_SIZE
        if self.reset and state.facts.cleared_at == "reset":
            _reset(state, source)
        untyped = source.cap
        assert isinstance(untyped, UntypedCap)
        device = untyped.device
        address = self.address
        size = 1 << self.object_bits
        targets = self.targets
        source.cap = untyped.with_free(address + size * len(targets) - untyped.address)
        creator = state.creators[self.object_type]
        for target in targets:
            if clears:
                state.memory.clear(address, size)
            cap: Cap
            if creator is None:
                cap = FrameCap(address, self.object_bits, device, VM_READ_WRITE)
            else:
                cap = creator(state, address, self.size_bits, device)
            derivation.insert_new(source, target, cap)
            address += size
        return None


def _reset(state: KernelState, slot: Slot) -> None:
    """Clear what was used of an untyped that nothing is derived from. Raises `Preempted`.

    The kernel clears backwards in chunks, each a unit of work, and keeps its progress in the watermark.
    """
    cap = slot.cap
    assert isinstance(cap, UntypedCap)
    if cap.free == 0:
        return
    chunk_bits = state.options.reset_chunk_bits
    if cap.device or cap.size_bits < chunk_bits:
        if not cap.device:
            state.memory.clear(cap.address, 1 << cap.size_bits)
        slot.cap = cap.with_free(0)
        return
    chunks = (cap.free + (1 << chunk_bits) - 1) >> chunk_bits
    done = state.work(chunks)
    first = (chunks - done) << chunk_bits if done >= 0 else 0
    state.memory.clear(cap.address + first, (chunks << chunk_bits) - first)
    slot.cap = cap.with_free(first)
    if done >= 0:
        raise Preempted


def _chosen_bits(state: KernelState, bits: int, size_bits: int) -> int:
    """Log2 of an object's size in bytes, of a type whose size the user chooses or with a number that is large.

    `bits` is the type's entry in `KernelState.object_bits`. Raises `Refused` for sizes that cannot be; until 8.0.0
    that is for the number which the user gave, whatever the type.
    """
    object_bits = bits
    if bits == ANY_SIZE:
        object_bits = size_bits
    elif bits == SLOT_SIZED:
        object_bits = SLOT_SIZE_BITS + size_bits
    largest = state.max_untyped_bits
    if state.facts.retype_size_limit == "object-29":
        impossible = size_bits >= 32 or object_bits > largest
    else:
        impossible = size_bits > largest
    if impossible:
        raise range_error(0, largest, f"objects of 2^{object_bits} bytes do not exist")
    if bits == SLOT_SIZED and size_bits == 0:
        raise invalid_argument(1, "a CNode has at least two slots")
    if bits == ANY_SIZE and size_bits < state.min_untyped_bits:
        raise invalid_argument(1, f"an untyped has at least 2^{state.min_untyped_bits} bytes")
    return object_bits


def _decode_retype(state: KernelState, slot: Slot, cap: UntypedCap, message: Message) -> Invocation:
    words = message.words
    if len(words) < 6 or not message.caps:
        raise truncated_message("Retype takes six words and the root CNode")
    object_type = words[0]
    size_bits = words[1]
    index = words[2]
    depth = words[3]
    offset = words[4]
    count = words[5]
    root = message.caps[0].cap

    if object_type >= len(state.creators):
        raise invalid_argument(0, f"there is no object type {object_type}")

    object_bits = state.object_bits[object_type]
    if object_bits < 0 or size_bits > state.max_untyped_bits:
        object_bits = _chosen_bits(state, object_bits, size_bits)

    # Where the capabilities are to go: a CNode, found under the root; depth 0 means the root itself.
    node_cap: Cap = root if depth == 0 else target_slot(state, root, index, depth).cap
    if not isinstance(node_cap, CNodeCap):
        raise failed_lookup(False, missing_capability(depth), "the destination is not a CNode")
    last = (1 << node_cap.radix) - 1
    if offset > last:
        raise range_error(0, last, f"the destination CNode has no slot {offset}")
    fan_out = state.options.retype_fan_out_limit
    if count < 1 or count > fan_out:
        raise range_error(1, fan_out, f"{count} objects cannot be made at once")
    if count > last + 1 - offset:
        raise range_error(1, last + 1 - offset, "the destination slots reach beyond the end of the CNode")
    node = node_cap.node
    assert node is not None
    targets: list[Slot] = []
    for position in range(offset, offset + count):
        target = node.slot(position)
        if target.cap is not NULL:
            raise delete_first(f"slot {position} of the destination already contains a capability")
        targets.append(target)

    # Without children the whole untyped is free, whatever its watermark says. The free bytes are counted
    # from the unaligned watermark.
    reset = not derivation.has_children(slot)
    free = 0 if reset else cap.free
    available = (1 << cap.size_bits) - free
    if object_bits >= 32 or available >> object_bits < count:
        raise not_enough_memory(available, f"{count} objects of 2^{object_bits} bytes do not fit")

    # Devices have no memory for the kernel to keep objects in.
    if cap.device and not state.device_types[object_type]:
        raise invalid_argument(1, "a device untyped can only become frames and untypeds")

    size = 1 << object_bits
    start = (cap.address + free + size - 1) & -size
    return Retype(slot, reset, start, object_type, size_bits, object_bits, targets)


METHODS: Final[dict[str, Decoder]] = {"UntypedRetype": _decode_retype}


def create(state: KernelState, address: int, size_bits: int, device: bool) -> Cap:
    """A smaller untyped."""
    return UntypedCap(address, size_bits, device, 0)


CREATORS: Final[dict[str, Creator]] = {"Untyped": create}
