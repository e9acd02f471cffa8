"""Address spaces: page directories and page tables, and the pages that they make visible to user code.

The two levels of the short-descriptor format (ARM ARM B3.5): a page directory has 4096 entries of 1 MiB,
each free, a section, one of the 16 equal entries of a supersection, or a page table; a page table has 256
entries of 4 KiB, each free, a small page, or one of the 16 equal entries of a large page. Which entry may
replace which is decided by kind, as the kernel does it. What a directory with an ASID maps is mirrored into a
`machine.space.AddressSpace`, the only thing that the CPU looks at. All changes go through this file.

An entry is one integer: the physical address of the frame, with the flags below in the low bits.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import VM_KERNEL_ONLY, VM_READ_ONLY, VM_READ_WRITE, Cap, PageDirectoryCap, Tag
from retrap.kernel.policies import AddressSpaces
from retrap.kernel.state import KernelState
from retrap.kernel.structures import TCB_VTABLE, KernelObject, Tcb
from retrap.kernel.thread_registers import show_globals_frame
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace

SMALL_PAGE_BITS: Final = 12
LARGE_PAGE_BITS: Final = 16
SECTION_BITS: Final = 20
SUPERSECTION_BITS: Final = 24

RIGHTS: Final = READ | WRITE | EXECUTE
BIG: Final = 8  # one of 16 equal entries: a large page, a supersection
PRESENT: Final = 16
CACHEABLE: Final = 32
PARITY: Final = 64
ADDRESS: Final = 0xFFFF_F000

REPEATED: Final = 16
"""How many equal entries make a large page or a supersection."""

# VM attributes as Page_Map takes them (seL4_ARM_VMAttributes).
ATTRIBUTE_CACHEABLE: Final = 1
ATTRIBUTE_PARITY: Final = 2
ATTRIBUTE_EXECUTE_NEVER: Final = 4

ASID_LOW_BITS: Final = 10
ASIDS_PER_POOL: Final = 1 << ASID_LOW_BITS


@final
class PageTable(KernelObject):
    """A second-level table. `entries`: index (0 … 255) → entry; `directory` is the one that uses it."""

    __slots__ = ("directory", "entries", "index")

    def __init__(self, address: int) -> None:
        super().__init__(Tag.PAGE_TABLE, address)
        self.entries: Final[dict[int, int]] = {}
        self.directory: PageDirectory | None = None
        self.index = 0  # of the directory entry that points here


@final
class PageDirectory(KernelObject):
    """A first-level table. `sections` and `tables`: index (virtual address >> 20) → entry or page table.

    `space` is what its entries make visible; None without an ASID, because then nothing can run in it.
    """

    __slots__ = ("asid", "sections", "space", "tables")

    def __init__(self, address: int) -> None:
        super().__init__(Tag.PAGE_DIRECTORY, address)
        self.asid = 0
        self.sections: Final[dict[int, int]] = {}
        self.tables: Final[dict[int, PageTable]] = {}
        self.space: AddressSpace | None = None


@final
class AsidPool(KernelObject):
    """1024 ASIDs from `base` on. `directories`: low ten bits of an ASID → the directory that has it."""

    __slots__ = ("base", "directories", "first_free")

    def __init__(self, address: int, base: int) -> None:
        super().__init__(Tag.ASID_POOL, address)
        self.base: Final = base
        self.directories: Final[dict[int, PageDirectory]] = {}
        self.first_free = 0  # no lower index is free

    def free_index(self) -> int:
        """The lowest free index, ASIDS_PER_POOL if there is none. ASID 0 means "none": it is never free."""
        index = self.first_free
        while index < ASIDS_PER_POOL and (index in self.directories or self.base + index == 0):
            index += 1
        return index


USER_RIGHTS: Final = {
    VM_KERNEL_ONLY: 0,
    VM_READ_ONLY: READ | EXECUTE,
    VM_READ_WRITE: READ | WRITE | EXECUTE,
}
"""Whoever may read may execute, unless the attributes say otherwise (ARM ARM B3.7.2)."""

_KINDS: Final = {
    SMALL_PAGE_BITS: PRESENT,
    LARGE_PAGE_BITS: PRESENT | BIG,
    SECTION_BITS: PRESENT,
    SUPERSECTION_BITS: PRESENT | BIG,
}

_FRAME: Final = ADDRESS | PRESENT | BIG
"""What of an entry says which frame it is of."""

_ATTRIBUTES: Final = (0, CACHEABLE, PARITY, CACHEABLE | PARITY)


def make_entry(address: int, size_bits: int, vm_rights: int, attributes: int) -> int:
    """The entry (each of the equal entries) for a frame of 2^size_bits bytes with the effective `vm_rights`."""
    entry = address | _KINDS[size_bits] | USER_RIGHTS[vm_rights] | _ATTRIBUTES[attributes & 3]
    if attributes & ATTRIBUTE_EXECUTE_NEVER:
        entry &= ~EXECUTE
    if size_bits < SECTION_BITS:
        entry &= ~PARITY  # only first-level descriptors have the bit
    return entry


def directory_of(state: KernelState, asid: int) -> PageDirectory | None:
    """The page directory that has `asid`, or None."""
    return state.directories.get(asid)


def resolve(directory: PageDirectory, virtual: int) -> tuple[int, int] | None:
    """What is mapped at a virtual address: (frame's physical address, size in bits), or None."""
    index = virtual >> SECTION_BITS
    table = directory.tables.get(index)
    if table is not None:
        entry = table.entries.get(virtual >> SMALL_PAGE_BITS & 0xFF, 0)
        bits = LARGE_PAGE_BITS if entry & BIG else SMALL_PAGE_BITS
    else:
        entry = directory.sections.get(index, 0)
        bits = SUPERSECTION_BITS if entry & BIG else SECTION_BITS
    return (entry & ADDRESS, bits) if entry else None


def maps(directory: PageDirectory, virtual: int, address: int, size_bits: int) -> bool:
    """Whether that very frame, of that size, is mapped at a virtual address."""
    index = virtual >> SECTION_BITS
    if size_bits < SECTION_BITS:
        table = directory.tables.get(index)
        if table is None:
            return False
        entry = table.entries.get(virtual >> SMALL_PAGE_BITS & 0xFF, 0)
    else:
        entry = directory.sections.get(index, 0)
    return entry & _FRAME == address | _KINDS[size_bits]


def map_frame(directory: PageDirectory, virtual: int, size_bits: int, entry: int) -> None:
    """Write the entry or entries of a frame. The caller has checked that the kinds there allow it."""
    if size_bits < SECTION_BITS:
        entries = directory.tables[virtual >> SECTION_BITS].entries
        index = virtual >> SMALL_PAGE_BITS & 0xFF
    else:
        entries = directory.sections
        index = virtual >> SECTION_BITS
    if entry & BIG:
        for position in range(index, index + REPEATED):
            entries[position] = entry
    else:
        entries[index] = entry
    space = directory.space
    assert space is not None
    space.map(virtual, entry & ADDRESS, size_bits, entry & RIGHTS)


def unmap_frame(state: KernelState, asid: int, virtual: int, size_bits: int, address: int) -> None:
    """Remove a frame's mapping, if it still is what the capability says: its space, its place, its kind.

    Otherwise the mapping was replaced or went with its table or space before, and nothing is left to undo.
    """
    directory = directory_of(state, asid)
    if directory is None:
        return
    if not maps(directory, virtual, address, size_bits):
        return
    if size_bits < SECTION_BITS:
        entries = directory.tables[virtual >> SECTION_BITS].entries
        index = virtual >> SMALL_PAGE_BITS & 0xFF
    else:
        entries = directory.sections
        index = virtual >> SECTION_BITS
    if entries[index] & BIG:
        for position in range(index, index + REPEATED):
            entries.pop(position, None)
    else:
        del entries[index]
    space = directory.space
    assert space is not None
    space.unmap(virtual, size_bits)
    switch_for_flush(state, directory)


def map_table(directory: PageDirectory, index: int, table: PageTable) -> None:
    """Make a free directory entry point to an unused, empty table."""
    assert not table.entries
    directory.tables[index] = table
    assert directory.space is not None
    directory.space.set_table(index << SECTION_BITS, True)
    table.directory = directory
    table.index = index


def clear_table(table: PageTable) -> None:
    """Empty a table where it is: what it maps disappears, the table stays."""
    directory = table.directory
    if directory is not None:
        assert directory.space is not None
        for index in table.entries:
            directory.space.unmap((table.index << SECTION_BITS) + (index << SMALL_PAGE_BITS), SMALL_PAGE_BITS)
    table.entries.clear()


def clear_directory(directory: PageDirectory) -> None:
    """Empty a directory where it is. Its tables are cleared before any further use, so they are emptied, too."""
    space = directory.space
    for index in directory.sections:
        if space is not None:
            space.unmap(index << SECTION_BITS, SECTION_BITS)
    for index, table in directory.tables.items():
        clear_table(table)
        table.directory = None
        if space is not None:
            space.set_table(index << SECTION_BITS, False)
    directory.sections.clear()
    directory.tables.clear()


def unmap_table(state: KernelState, table: PageTable) -> None:
    """Take a table, with all that it maps, out of the directory that uses it, if one still does."""
    directory = table.directory
    if directory is None:
        return
    del directory.tables[table.index]
    space = directory.space
    assert space is not None
    base = table.index << SECTION_BITS
    space.set_table(base, False)
    if len(table.entries) > REPEATED:
        space.unmap(base, SECTION_BITS)
    else:
        for index in table.entries:
            space.unmap(base + (index << SMALL_PAGE_BITS), SMALL_PAGE_BITS)
    table.directory = None
    table.entries.clear()
    switch_for_flush(state, directory)


def assign_asid(state: KernelState, pool: AsidPool, index: int, directory: PageDirectory) -> None:
    """Give a directory the ASID `pool.base + index`: from now on threads can run in it."""
    assert not directory.sections and not directory.tables
    pool.directories[index] = directory
    pool.first_free = index + 1
    directory.asid = pool.base + index
    state.directories[directory.asid] = directory
    directory.space = AddressSpace(state.memory, state.window)
    show_globals_frame(state, directory.space)


def forget_space(state: KernelState, directory: PageDirectory) -> None:
    """The directory loses its ASID for ever.

    Its entries stay in the real object, but no operation can reach them: every one starts at an ASID, and
    the capability keeps the lost one. So they are dropped here, and so are those of its tables, which are
    cleared before any further use.
    """
    for table in directory.tables.values():
        table.directory = None
        table.entries.clear()
    directory.tables.clear()
    directory.sections.clear()
    del state.directories[directory.asid]
    directory.asid = 0
    if directory.space is not None:
        directory.space.close()
    directory.space = None


def release_asid(state: KernelState, asid: int, directory: PageDirectory) -> None:
    """The last capability to a directory goes: free its ASID, if it still has that one."""
    pool = state.asid_pools.get(asid >> ASID_LOW_BITS)
    if pool is None:
        return
    assert isinstance(pool, AsidPool)
    index = asid & (ASIDS_PER_POOL - 1)
    if pool.directories.get(index) is not directory:
        return
    del pool.directories[index]
    if index < pool.first_free:
        pool.first_free = index
    forget_space(state, directory)
    set_vm_root(state, state.current)


def release_pool(state: KernelState, base: int, pool: AsidPool) -> None:
    """The last capability to an ASID pool goes: all its directories lose their ASIDs."""
    number = base >> ASID_LOW_BITS
    if state.asid_pools.get(number) is not pool:
        return
    del state.asid_pools[number]
    for directory in pool.directories.values():
        forget_space(state, directory)
    pool.directories.clear()
    set_vm_root(state, state.current)


@final
class PageTables(AddressSpaces):
    """The address spaces of this file: a page directory with an ASID."""

    __slots__ = ()

    def refusal(self, cap: Cap) -> str:
        if isinstance(cap, PageDirectoryCap) and cap.mapped:
            return ""
        return "the VSpace root is not a page directory with an ASID"

    def of(self, state: KernelState, thread: Tcb) -> AddressSpace:
        root = thread.slots[TCB_VTABLE].cap
        if not isinstance(root, PageDirectoryCap) or not root.mapped:
            return state.no_space
        directory = directory_of(state, root.asid)
        if directory is None or directory.address != root.address or directory.space is None:
            return state.no_space
        return directory.space

    def access(self, state: KernelState, address: int, rights: int, status: int) -> int:
        return status


def set_vm_root(state: KernelState, thread: Tcb) -> None:
    """Make the processor use `thread`'s address space, as the kernel does at every switch of threads."""
    state.space = state.address_spaces.of(state, thread)


def switch_for_flush(state: KernelState, directory: PageDirectory) -> None:
    """The kernel cleaned caches or the TLB by virtual address in `directory`.

    To do so it switches to that space unless the current thread's root names it, and then switches back to
    what the current thread's root says *now*: a thread that replaced its own root begins to use the new one.
    """
    root = state.current.slots[TCB_VTABLE].cap
    if isinstance(root, PageDirectoryCap) and root.mapped and root.address == directory.address:
        return
    set_vm_root(state, state.current)
