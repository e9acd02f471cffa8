"""The initial thread's address space, built as the boot plan lays it out."""

from __future__ import annotations

from typing import Final

from retrap.kernel.boot import BootPlan, CapKind, Mapping
from retrap.kernel.caps import VM_KERNEL_ONLY
from retrap.kernel.state import KernelState
from retrap.kernel.vspace import (
    ATTRIBUTE_CACHEABLE,
    ATTRIBUTE_PARITY,
    PRESENT,
    RIGHTS,
    SECTION_BITS,
    AsidPool,
    PageDirectory,
    PageTable,
    assign_asid,
    make_entry,
    map_frame,
    map_table,
)

INITIAL_ASID: Final = 1
"""The initial thread's address space; ASID 0 means "none"."""


def _only(plan: BootPlan, kind: CapKind) -> int:
    """Physical address of the one object of a kind that the plan has."""
    return next(cap.address for cap in plan.caps if cap.kind is kind)


def build(state: KernelState) -> PageDirectory:
    """Make the page directory, the ASID pool and the page tables of the plan, and map what it maps."""
    plan = state.plan
    directory = PageDirectory(_only(plan, CapKind.PAGE_DIRECTORY))
    pool = AsidPool(_only(plan, CapKind.ASID_POOL), 0)
    state.objects[directory.address] = directory
    state.objects[pool.address] = pool
    state.asid_pools[0] = pool
    assign_asid(state, pool, INITIAL_ASID, directory)
    for cap in plan.caps:
        if cap.kind is CapKind.PAGE_TABLE:
            table = PageTable(cap.address)
            state.objects[cap.address] = table
            if cap.mapped_at is not None:
                map_table(directory, cap.mapped_at >> SECTION_BITS, table)
    for mapping in plan.mappings:
        map_frame(directory, mapping.virtual, mapping.size_bits, _entry(mapping))
    return directory


def _entry(mapping: Mapping) -> int:
    """An entry with the plan's own rights, which may be finer than a frame capability's can be."""
    attributes = ATTRIBUTE_CACHEABLE | ATTRIBUTE_PARITY
    bare = make_entry(mapping.physical, mapping.size_bits, VM_KERNEL_ONLY, attributes)
    return bare | PRESENT | mapping.rights & RIGHTS
