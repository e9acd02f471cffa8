"""Page tables: the second level of an address space (manual 7, `seL4_ARM_PageTable_…`)."""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import NULL, Cap, PageDirectoryCap, PageTableCap
from retrap.kernel.derivation import is_final
from retrap.kernel.failures import (
    INVALID_ROOT,
    delete_first,
    failed_lookup,
    invalid_argument,
    invalid_capability,
    revoke_first,
)
from retrap.kernel.message import Invocation, Message
from retrap.kernel.slots import Slot
from retrap.kernel.state import Creator, Decoder, KernelState
from retrap.kernel.vspace import SECTION_BITS, PageDirectory, PageTable, directory_of, map_table, unmap_table


@final
class PageTableMap(Invocation):
    """Point the directory's entry to the table; the capability remembers where."""

    __slots__ = ("asid", "cap", "directory", "index", "slot", "table")

    def __init__(
        self, slot: Slot, cap: PageTableCap, table: PageTable, directory: PageDirectory, asid: int, index: int
    ) -> None:
        self.slot: Final = slot
        self.cap: Final = cap
        self.table: Final = table
        self.directory: Final = directory
        self.asid: Final = asid
        self.index: Final = index

    def perform(self, state: KernelState) -> list[int] | None:
        self.slot.cap = PageTableCap(self.cap.address, True, self.asid, self.index << SECTION_BITS)
        map_table(self.directory, self.index, self.table)
        return None


@final
class PageTableUnmap(Invocation):
    """Take the table out of its directory and clear it."""

    __slots__ = ("cap", "slot", "table")

    def __init__(self, slot: Slot, cap: PageTableCap, table: PageTable) -> None:
        self.slot: Final = slot
        self.cap: Final = cap
        self.table: Final = table

    def perform(self, state: KernelState) -> list[int] | None:
        cap = self.cap
        if cap.mapped:
            unmap_table(state, self.table)
        # Only the flag is cleared: the ASID and the address stay in the capability, without meaning.
        self.slot.cap = PageTableCap(cap.address, False, cap.asid, cap.mapped_at)
        return None


def _table(state: KernelState, cap: PageTableCap) -> PageTable:
    table = state.objects[cap.address]
    assert isinstance(table, PageTable)
    return table


def _decode_unmap(state: KernelState, slot: Slot, cap: PageTableCap, message: Message) -> Invocation:
    # With another capability to the table around, that one would still say "mapped".
    if not is_final(slot):
        raise revoke_first("there are other capabilities to the page table")
    return PageTableUnmap(slot, cap, _table(state, cap))


def _decode_map(state: KernelState, slot: Slot, cap: PageTableCap, message: Message) -> Invocation:
    """PageTable_Map(vaddr, attributes; page directory). The attributes have no effect that users can see."""
    message.require(2, 1)
    if cap.mapped:
        raise invalid_capability(0, "the page table is already mapped")
    root = message.caps[0].cap
    if not isinstance(root, PageDirectoryCap) or not root.mapped:
        raise invalid_capability(1, "not a page directory with an ASID")
    virtual = message.words[0]
    if virtual >= state.plan.kernel_base:
        raise invalid_argument(0, "the address is in the kernel's part of the address space")
    directory = directory_of(state, root.asid)
    if directory is None:
        raise failed_lookup(False, INVALID_ROOT, "the page directory's ASID is no longer in use")
    if directory.address != root.address:
        raise invalid_capability(1, "the page directory's ASID now belongs to another one")
    # The low 20 bits of the address are ignored.
    index = virtual >> SECTION_BITS
    if index in directory.tables or index in directory.sections:
        raise delete_first("the page directory already has an entry for the address")
    return PageTableMap(slot, cap, _table(state, cap), directory, root.asid, index)


METHODS: Final[dict[str, Decoder]] = {"ARMPageTableMap": _decode_map, "ARMPageTableUnmap": _decode_unmap}


def finalise(state: KernelState, cap: PageTableCap, final: bool) -> Cap:
    """The last capability takes the table out of its directory, and the object with it."""
    if final:
        table = _table(state, cap)
        if cap.mapped:
            unmap_table(state, table)
        del state.objects[cap.address]
    return NULL


def create(state: KernelState, address: int, size_bits: int, device: bool) -> Cap:
    state.objects[address] = PageTable(address)
    return PageTableCap(address)


CREATORS: Final[dict[str, Creator]] = {"PageTable": create}
