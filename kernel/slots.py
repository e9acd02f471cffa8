"""Capability slots: where capabilities live, with the derivation links of the kernel's mapping database.

A slot belongs to a CNode or a TCB (`owner` = that object's address) and has an `index` in it. Links and flags
are written only by `retrap.kernel.derivation`.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import NULL, Cap

IRQ_NODE: Final = -1
"""`owner` of the slots that hold the notification of each interrupt (they are in no user-visible object)."""


@final
class Slot:
    """One slot: a capability, its neighbours in derivation order, and the two flags of the mapping database.

    `revocable`: this capability may have descendants. `first_badged`: it starts a badge of its own, so that a
    badged sibling before it is not its parent.
    """

    __slots__ = ("cap", "first_badged", "index", "next", "owner", "prev", "revocable")

    def __init__(self, owner: int, index: int) -> None:
        self.owner: Final = owner
        self.index: Final = index
        self.cap: Cap = NULL
        self.prev: Slot | None = None
        self.next: Slot | None = None
        self.revocable = False
        self.first_badged = False

    def __repr__(self) -> str:
        return f"Slot({self.owner:#x}[{self.index}]: {self.cap!r})"
