"""Address spaces that are trees of CNodes: the 2006 design (paper, sections 3, 3.1 and 4).

A virtual address is looked up like a capability pointer of 32 bits, from the CNode in the thread's VSpace root:
guard by guard, level by level, to a slot with user data. As many bits must be left then as the user data has, and
they are the place in it. A load, a store or an instruction fetch is an invocation of the user data so found, and
its rights decide; there is nothing to map.

A processor cannot look up capabilities for each access, so it keeps what it found: the kernel is entered at the
first access to a piece of an object, looks it up, and lets the processor repeat the access. What is kept holds as
long as every capability on the way is the very same; that is verified after each invocation that could have
changed one. So a program cannot see that anything is kept, except by the kernel entries in a trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from retrap.kernel.caps import Cap, CNodeCap, FrameCap
from retrap.kernel.policies import MADE, AddressSpaces
from retrap.kernel.structures import TCB_VTABLE, CNode, Tcb
from retrap.kernel.vspace import USER_RIGHTS
from retrap.machine.space import WRITE, AddressSpace
from retrap.machine.traps import FaultStatus

if TYPE_CHECKING:
    from retrap.kernel.slots import Slot
    from retrap.kernel.state import KernelState

WORD_BITS: Final = 32
PIECE_BITS: Final = 16
"""Of an object larger than this, aligned pieces of this size are kept one by one."""
CAPACITY: Final = 256
"""How many pieces are kept; the oldest makes room."""

_TRANSLATION: Final = (
    FaultStatus.TRANSLATION_SECTION,
    FaultStatus.TRANSLATION_PAGE,
    FaultStatus.PERMISSION_SECTION,
    FaultStatus.PERMISSION_PAGE,
)
_STATUS: Final = 0x40F
"""The bits of a fault status register that say what happened."""

_CHANGING: Final = ("CNode", "TCB")
"""Kinds whose invocations can take away a capability. (Others only fill slots that were empty.)"""


@final
class Piece:
    """A piece of user data that a space shows, and the slots and capabilities that led to it."""

    __slots__ = ("bits", "space", "virtual", "way")

    def __init__(self, space: AddressSpace, virtual: int, bits: int, way: list[tuple[Slot, Cap]]) -> None:
        self.space: Final = space
        self.virtual: Final = virtual
        self.bits: Final = bits
        self.way: Final = way

    def holds(self) -> bool:
        """Whether looking it up again would lead to the same."""
        return all(slot.cap is cap for slot, cap in self.way)


@final
class Root:
    """What a CNode shows when it is the root of an address space with a certain guard."""

    __slots__ = ("node", "space")

    def __init__(self, node: CNode, space: AddressSpace) -> None:
        self.node: Final = node
        self.space: Final = space


def find(
    state: KernelState, root: CNodeCap, address: int
) -> tuple[FrameCap, list[tuple[Slot, Cap]]] | None:
    """The user data at a virtual address, and the way there; None if the lookup fails."""
    way: list[tuple[Slot, Cap]] = []
    bits = WORD_BITS
    while True:
        guard_bits = root.guard_bits
        radix = root.radix
        if guard_bits + radix > bits or address >> (bits - guard_bits) & ((1 << guard_bits) - 1) != root.guard:
            return None
        bits -= guard_bits + radix
        node = state.objects[root.address]
        assert isinstance(node, CNode)
        slot = node.slots.get(address >> bits & ((1 << radix) - 1))
        if slot is None:
            return None
        cap = slot.cap
        way.append((slot, cap))
        if isinstance(cap, CNodeCap):
            if bits == 0:
                return None
            root = cap
        elif isinstance(cap, FrameCap) and cap.size_bits == bits:
            return cap, way
        else:
            return None


@final
class CapabilitySpaces(AddressSpaces):
    """The policy, with what the processor keeps."""

    __slots__ = ("pieces", "roots")
    keeps = True

    def __init__(self) -> None:
        self.roots: Final[dict[tuple[int, ...], Root]] = {}
        """By the root capability's fields."""
        self.pieces: Final[dict[tuple[tuple[int, ...], int], Piece]] = {}
        """By root and virtual address, the oldest first."""

    def refusal(self, cap: Cap) -> str:
        return "" if isinstance(cap, CNodeCap) else "the VSpace root is not a CNode"

    def of(self, state: KernelState, thread: Tcb) -> AddressSpace:
        cap = thread.slots[TCB_VTABLE].cap
        if not isinstance(cap, CNodeCap):
            return state.no_space
        return self.shown(state, cap).space

    def shown(self, state: KernelState, cap: CNodeCap) -> Root:
        """What the capability shows as the root of an address space."""
        key = cap.key()
        node = state.objects[cap.address]
        root = self.roots.get(key)
        if root is None or root.node is not node:
            assert isinstance(node, CNode)
            root = Root(node, AddressSpace(state.memory, state.window))
            self.roots[key] = root
        return root

    def access(self, state: KernelState, address: int, rights: int, status: int) -> int:
        cap = state.current.slots[TCB_VTABLE].cap
        if status & _STATUS not in _TRANSLATION or not isinstance(cap, CNodeCap):
            return status
        if address >= state.plan.kernel_base:
            return status
        found = find(state, cap, address)
        if found is None:
            return status
        data, way = found
        allowed = USER_RIGHTS[data.rights]
        if rights & ~allowed:
            return FaultStatus.PERMISSION_PAGE | (FaultStatus.WRITE if rights & WRITE else 0)
        bits = min(data.size_bits, PIECE_BITS)
        virtual = address >> bits << bits
        inside = virtual & ((1 << data.size_bits) - 1)
        space = self.shown(state, cap).space
        pieces = self.pieces
        if len(pieces) >= CAPACITY:
            oldest = next(iter(pieces))
            self._drop(oldest)
        pieces[cap.key(), virtual] = Piece(space, virtual, bits, way)
        space.map(virtual, data.address + inside, bits, allowed)
        state.space = space
        effects = state.effects
        effects.target = (state.kind_names[data.tag], data.address, 0)
        return MADE

    def _drop(self, key: tuple[tuple[int, ...], int]) -> None:
        piece = self.pieces.pop(key)
        piece.space.unmap(piece.virtual, piece.bits)

    def settle(self, state: KernelState) -> None:
        target = state.effects.target
        if target is None or target[0] not in _CHANGING:
            return
        for key in [key for key, piece in self.pieces.items() if not piece.holds()]:
            self._drop(key)
        objects = state.objects
        for gone in [key for key, root in self.roots.items() if objects.get(root.node.address) is not root.node]:
            self.roots.pop(gone).space.close()
        state.space = self.of(state, state.current)
