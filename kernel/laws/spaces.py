"""Laws of address spaces: ASIDs, tables, mappings, and what the CPU sees of them."""

from __future__ import annotations

from collections.abc import Iterator

from retrap.kernel.capability_spaces import CapabilitySpaces, find
from retrap.kernel.caps import CNodeCap, FrameCap, PageDirectoryCap, PageTableCap
from retrap.kernel.laws.survey import Survey
from retrap.kernel.thread_registers import GLOBALS_FRAME
from retrap.kernel.vspace import (
    ADDRESS,
    ASID_LOW_BITS,
    ASIDS_PER_POOL,
    BIG,
    LARGE_PAGE_BITS,
    REPEATED,
    RIGHTS,
    SECTION_BITS,
    SMALL_PAGE_BITS,
    SUPERSECTION_BITS,
    USER_RIGHTS,
    AsidPool,
    PageDirectory,
    PageTable,
    directory_of,
)
from retrap.machine.space import EXECUTE, READ, SECTION


def asids_agree_with_directories(survey: Survey) -> Iterator[str]:
    """A directory with an ASID is where its pool says; capabilities name no other directory's live ASID."""
    state = survey.state
    for number, pool in state.asid_pools.items():
        assert isinstance(pool, AsidPool)
        if state.objects.get(pool.address) is not pool or pool.base != number << ASID_LOW_BITS:
            yield f"ASID pool {number} is not the object it should be"
        for index, directory in pool.directories.items():
            if directory.asid != pool.base + index or state.objects.get(directory.address) is not directory:
                yield f"ASID {pool.base + index:#x} leads to a directory that does not have it"
            if not 0 <= index < ASIDS_PER_POOL or directory.asid == 0:
                yield f"ASID {pool.base + index:#x} cannot be given out"
            if directory_of(state, pool.base + index) is not directory:
                yield f"the table of ASIDs does not have {pool.base + index:#x}"
        if any(index not in pool.directories and pool.base + index for index in range(pool.first_free)):
            yield f"ASID pool {number} overlooks a free ASID"
    owners = [item for item in state.objects.values() if isinstance(item, PageDirectory) and item.asid]
    if len(state.directories) != len(owners):
        yield "the table of ASIDs has others than the directories that have one"
    for item in state.objects.values():
        if isinstance(item, PageDirectory):
            if (item.space is None) != (item.asid == 0):
                yield f"the page directory at {item.address:#010x} has an ASID or a space but not both"
            if item.asid and directory_of(state, item.asid) is not item:
                yield f"the page directory at {item.address:#010x} does not own its ASID"
            if not item.asid and (item.tables or item.sections):
                yield f"the page directory at {item.address:#010x} maps something without an ASID"
    for slot in survey.occupied:
        cap = slot.cap
        if isinstance(cap, PageDirectoryCap):
            directory2 = state.objects.get(cap.address)
            if isinstance(directory2, PageDirectory) and directory2.asid not in (0, cap.asid):
                yield f"{slot!r}: the directory has ASID {directory2.asid:#x}"


def page_tables_agree_with_directories(survey: Survey) -> Iterator[str]:
    """Tables and the directory entries that point to them agree, and so do the capabilities to the tables."""
    state = survey.state
    for item in state.objects.values():
        if isinstance(item, PageDirectory):
            for index, table in item.tables.items():
                if table.directory is not item or table.index != index:
                    yield f"the page table at {table.address:#010x} is used where it does not know"
                if state.objects.get(table.address) is not table:
                    yield f"the page directory at {item.address:#010x} uses a page table that is gone"
                if index in item.sections:
                    yield f"entry {index} of the page directory at {item.address:#010x} is of two kinds"
        elif isinstance(item, PageTable):
            if item.directory is None:
                if item.entries:
                    yield f"the page table at {item.address:#010x} has entries without being used"
            elif item.directory.tables.get(item.index) is not item:
                yield f"the page table at {item.address:#010x} is not used where it believes"
    for slot in survey.occupied:
        cap = slot.cap
        if isinstance(cap, PageTableCap):
            table2 = state.objects.get(cap.address)
            if isinstance(table2, PageTable) and table2.directory is not None:
                used_at = (table2.directory.asid, table2.index << SECTION_BITS)
                if not cap.mapped or (cap.asid, cap.mapped_at) != used_at:
                    yield f"{slot!r}: the table is mapped at {used_at[1]:#010x} with ASID {used_at[0]:#x}"


def mappings_belong_to_capabilities(survey: Survey) -> Iterator[str]:
    """Every mapping has a capability that undoes it when it goes; 16 equal entries come and go together."""
    claims = {
        (cap.asid, cap.mapped_at, cap.size_bits, cap.address)
        for cap in (slot.cap for slot in survey.occupied)
        if isinstance(cap, FrameCap) and cap.asid
    }
    for directory in _directories(survey):
        for virtual, bits, entry in _mapped_entries(directory):
            base = virtual & ~((1 << bits) - 1)
            if (directory.asid, base, bits, entry & ADDRESS) not in claims:
                yield f"no frame capability claims the mapping of {entry & ADDRESS:#010x} at {virtual:#010x}"
        for entries, origin in [(directory.sections, 0)] + [
            (table.entries, index) for index, table in directory.tables.items()
        ]:
            for index, entry in entries.items():
                first = index & ~(REPEATED - 1)
                if entry & BIG and any(entries.get(first + each) != entry for each in range(REPEATED)):
                    yield f"a big mapping near entry {index} of table {origin} is incomplete"


def spaces_show_the_tables(survey: Survey) -> Iterator[str]:
    """What the CPU sees of an address space is what its tables say, page by page."""
    for directory in _directories(survey):
        expected: dict[int, int] = {}
        if survey.state.plan.globals_frame:
            # The kernel's own page, which user code may read and execute.
            expected[GLOBALS_FRAME >> SMALL_PAGE_BITS] = survey.state.plan.globals_frame >> 12 << 4 | READ | EXECUTE
        for virtual, bits, entry in _mapped_entries(directory):
            page_bits = SECTION_BITS if bits >= SECTION_BITS else SMALL_PAGE_BITS
            inside = virtual & ((1 << bits) - 1)
            frame = ((entry & ADDRESS) + inside) >> SMALL_PAGE_BITS
            flags = entry & RIGHTS | (SECTION if bits >= SECTION_BITS else 0)
            first = virtual >> SMALL_PAGE_BITS
            for page in range(1 << (page_bits - SMALL_PAGE_BITS)):
                expected[first + page] = (frame + page) << 4 | flags
        assert directory.space is not None
        if directory.space.pages != expected:
            pages = directory.space.pages
            wrong = min(page for page in {*pages, *expected} if pages.get(page) != expected.get(page))
            yield f"the space of ASID {directory.asid:#x} is wrong about page {wrong:#x}"
        if directory.space.tables != directory.tables.keys():
            yield f"the space of ASID {directory.asid:#x} is wrong about where page tables are"


def _directories(survey: Survey) -> Iterator[PageDirectory]:
    for item in survey.state.objects.values():
        if isinstance(item, PageDirectory) and item.space is not None:
            yield item


def _mapped_entries(directory: PageDirectory) -> Iterator[tuple[int, int, int]]:
    """(virtual address, log2 of the frame's size, entry) of each entry; big frames have 16 of them."""
    for index, entry in directory.sections.items():
        yield index << SECTION_BITS, SUPERSECTION_BITS if entry & BIG else SECTION_BITS, entry
    for index, table in directory.tables.items():
        base = index << SECTION_BITS
        for small, entry in table.entries.items():
            bits = LARGE_PAGE_BITS if entry & BIG else SMALL_PAGE_BITS
            yield base + (small << SMALL_PAGE_BITS), bits, entry


def the_visible_space_is_live(survey: Survey) -> Iterator[str]:
    """What the CPU translates with belongs to a directory that has an ASID, or is the empty space."""
    state = survey.state
    if state.space is state.no_space:
        if len(state.no_space.pages) != bool(state.plan.globals_frame):
            yield "the empty space maps something"
    elif state.space is not state.address_spaces.of(state, state.current) and all(
        directory.space is not state.space for directory in _directories(survey)
    ):
        yield "the CPU uses an address space that is gone"


def the_processor_keeps_what_lookups_find(survey: Survey) -> Iterator[str]:
    """Where address spaces are CNodes: all that the CPU can access is what looking it up again would find."""
    state = survey.state
    spaces = state.address_spaces
    if not isinstance(spaces, CapabilitySpaces):
        return
    kept: dict[int, int] = {}
    for (key, virtual), piece in spaces.pieces.items():
        root = spaces.roots.get(key)
        if root is None or root.space is not piece.space:
            yield f"the piece at {virtual:#010x} is kept for an address space that is gone"
            continue
        _, address, radix, guard_bits, guard = key
        found = find(state, CNodeCap(address, radix, guard_bits, guard), virtual)
        count = 1 << (piece.bits - SMALL_PAGE_BITS)
        kept[id(piece.space)] = kept.get(id(piece.space), 0) + count
        if found is None:
            yield f"the CPU can access {virtual:#010x}, where a lookup finds nothing"
            continue
        data = found[0]
        for page in range(count):
            at = virtual + (page << SMALL_PAGE_BITS)
            physical = data.address + (at & ((1 << data.size_bits) - 1))
            if piece.space.pages.get(at >> SMALL_PAGE_BITS) != physical >> 12 << 4 | USER_RIGHTS[data.rights]:
                yield f"the CPU is wrong about the user data at {at:#010x}"
    for root in spaces.roots.values():
        if len(root.space.pages) != kept.get(id(root.space), 0):
            yield f"the CPU can access more of the space of {root.node.address:#010x} than is kept"
