"""Frames: physical memory of four sizes that can be mapped into address spaces (manual 7, `seL4_ARM_Page_…`).

A frame has no kernel object: the capability says where it is mapped, and its memory is the user's.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import (
    NULL,
    Cap,
    FrameCap,
    PageDirectoryCap,
    mask_vm_rights,
)
from retrap.kernel.failures import (
    INVALID_ROOT,
    KernelDied,
    alignment_error,
    delete_first,
    failed_lookup,
    illegal_operation,
    invalid_argument,
    invalid_capability,
    missing_capability,
)
from retrap.kernel.message import Invocation, Message
from retrap.kernel.registers import FIRST_MR, INFO, write_register
from retrap.kernel.slots import Slot
from retrap.kernel.state import Decoder, KernelState
from retrap.kernel.vspace import (
    ATTRIBUTE_EXECUTE_NEVER,
    BIG,
    PRESENT,
    REPEATED,
    SECTION_BITS,
    SMALL_PAGE_BITS,
    SUPERSECTION_BITS,
    PageDirectory,
    directory_of,
    make_entry,
    map_frame,
    maps,
    resolve,
    switch_for_flush,
    unmap_frame,
)
from retrap.kernel.wire import message_info
from retrap.machine.compiled import mypyc_attr

_WORD: Final = 0xFFFF_FFFF


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class PageMap(Invocation):
    """Write the frame's entries and remember the place in the invoked capability."""

    __slots__ = ("asid", "cap", "directory", "entry", "slot", "virtual")

    def __init__(
        self, slot: Slot, cap: FrameCap, directory: PageDirectory, asid: int, virtual: int, entry: int
    ) -> None:
        self.slot: Final = slot
        self.cap: Final = cap
        self.directory: Final = directory
        self.asid: Final = asid
        self.virtual: Final = virtual
        self.entry: Final = entry

    def perform(self, state: KernelState) -> list[int] | None:
        self.slot.cap = self.cap.mapped(self.asid, self.virtual)
        map_frame(self.directory, self.virtual, self.cap.size_bits, self.entry)
        return None


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class PageUnmap(Invocation):
    """Remove the mapping, if there still is one; the capability forgets the place."""

    __slots__ = ("cap", "slot")

    def __init__(self, slot: Slot, cap: FrameCap) -> None:
        self.slot: Final = slot
        self.cap: Final = cap

    def perform(self, state: KernelState) -> list[int] | None:
        cap = self.cap
        if cap.asid != 0:
            unmap_frame(state, cap.asid, cap.mapped_at, cap.size_bits, cap.address)
        self.slot.cap = cap.mapped(0, 0)
        return None


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class CacheFlush(Invocation):
    """A cache operation on `[start, end)` of a space. Memory is always coherent here: no data changes.

    `mapped`: all of it is known to be mapped.
    """

    __slots__ = ("directory", "end", "mapped", "start")

    def __init__(self, directory: PageDirectory, start: int, end: int, mapped: bool) -> None:
        self.directory: Final = directory
        self.start: Final = start
        self.end: Final = end
        self.mapped: Final = mapped

    def perform(self, state: KernelState) -> list[int] | None:
        # Its range is inclusive and must not be empty as such: one byte flushes nothing.
        if self.end - self.start == 1:
            return None
        # The kernel names the lines by user address: an address without a mapping aborts inside the kernel.
        if not self.mapped:
            for page in range(self.start >> SMALL_PAGE_BITS, ((self.end - 1) >> SMALL_PAGE_BITS) + 1):
                if resolve(self.directory, page << SMALL_PAGE_BITS) is None:
                    raise KernelDied("data abort in the kernel: cache operation on an unmapped page")
        switch_for_flush(state, self.directory)
        return None


@final
class PageGetAddress(Invocation):
    """Reply with the frame's physical address."""

    __slots__ = ("address",)

    def __init__(self, address: int) -> None:
        self.address: Final = address

    def perform(self, state: KernelState) -> list[int] | None:
        if state.facts.get_address_answers_calls_only:
            return [self.address]
        # The old kernel wrote its answer into the registers whatever the system call was, and left it to the
        # empty reply of a Call to overwrite the message info and the badge.
        write_register(state, state.current, FIRST_MR, self.address)
        write_register(state, state.current, INFO, message_info(0, 0, 0, 1))
        return None


def _valid_directory(state: KernelState, cap: Cap) -> PageDirectory:
    """The directory behind extra capability 1 of Map and Remap, still the owner of its ASID."""
    assert isinstance(cap, PageDirectoryCap)
    directory = directory_of(state, cap.asid)
    if directory is None:
        raise failed_lookup(False, INVALID_ROOT, "the page directory's ASID is no longer in use")
    if directory.address != cap.address:
        raise invalid_capability(1, "the page directory's ASID now belongs to another one")
    return directory


def _decode_map(state: KernelState, slot: Slot, cap: FrameCap, message: Message) -> Invocation:
    """Page_Map(vaddr, rights, attributes; page directory)."""
    words = message.words
    if len(words) < 3 or not message.caps:
        message.require(3, 1)
    virtual = words[0]
    root = message.caps[0].cap
    remaps = state.facts.page_map_remaps

    # Before Map could change a mapping, a mapped capability had to be unmapped (or remapped) first.
    if not remaps and cap.asid != 0:
        raise invalid_capability(0, "the frame is already mapped through this capability")
    if not isinstance(root, PageDirectoryCap) or not root.mapped:
        raise invalid_capability(1, "not a page directory with an ASID")
    if not remaps:
        directory = _valid_directory(state, root)
        _check_top(state, cap, virtual)
    else:
        # A mapped capability may be mapped again only at the same place, with other rights or attributes.
        if cap.asid != 0:
            if cap.asid != root.asid:
                raise invalid_capability(1, "the frame is mapped in another address space")
            if cap.mapped_at != virtual:
                raise invalid_argument(0, "the frame is mapped at another address")
        else:
            _check_top(state, cap, virtual)
        directory = _valid_directory(state, root)
    return _place(state, slot, cap, directory, root.asid, virtual, words[1], words[2])


def _decode_remap(state: KernelState, slot: Slot, cap: FrameCap, message: Message) -> Invocation:
    """Page_Remap(rights, attributes; page directory), until 10.1.1: change a mapping where it is."""
    message.require(2, 1)
    root = message.caps[0].cap
    if not isinstance(root, PageDirectoryCap) or not root.mapped:
        raise invalid_capability(1, "not a page directory with an ASID")
    if cap.asid == 0:
        raise invalid_capability(0, "the frame is not mapped through this capability")
    directory = directory_of(state, cap.asid)
    if directory is None:
        raise failed_lookup(False, INVALID_ROOT, "the ASID of the mapping is no longer in use")
    if directory.address != root.address or root.asid != cap.asid:
        raise invalid_capability(1, "the frame is mapped in another address space")
    return _place(state, slot, cap, directory, cap.asid, cap.mapped_at, message.words[0], message.words[1])


def _check_top(state: KernelState, cap: FrameCap, virtual: int) -> None:
    """Refuse a frame whose last byte is the kernel's. The sum wraps; only misaligned addresses get past."""
    if (virtual + (1 << cap.size_bits) - 1) & _WORD >= state.plan.kernel_base:
        raise invalid_argument(0, "the frame would reach into the kernel's part of the address space")


def _place(
    state: KernelState,
    slot: Slot,
    cap: FrameCap,
    directory: PageDirectory,
    asid: int,
    virtual: int,
    rights: int,
    attributes: int,
) -> Invocation:
    """The checks that depend on the size of the frame, and on what is mapped there by kind."""
    bits = cap.size_bits
    if virtual & ((1 << bits) - 1):
        raise alignment_error("the virtual address is not a multiple of the frame's size")
    index = virtual >> SECTION_BITS
    if bits < SECTION_BITS:
        table = directory.tables.get(index)
        if table is None:
            raise failed_lookup(False, missing_capability(SECTION_BITS), "no page table is mapped there")
        index = virtual >> SMALL_PAGE_BITS & 0xFF
        if bits == SMALL_PAGE_BITS:
            # A small page replaces a small page without a word.
            if table.entries.get(index, 0) & BIG:
                raise delete_first("a large page is mapped there")
        else:
            entries = table.entries
            for position in range(index, index + REPEATED):
                entry = entries.get(position, 0)
                if entry & PRESENT and not entry & BIG:
                    raise delete_first("a small page is mapped in the way")
    else:
        big = bits == SUPERSECTION_BITS
        for position in range(index, index + (REPEATED if big else 1)):
            if position in directory.tables:
                raise delete_first("a page table is mapped there")
            entry = directory.sections.get(position, 0)
            if entry & PRESENT and (entry & BIG != 0) != big:
                raise delete_first("a section of the other size is mapped there")
    if not state.facts.execute_never:
        attributes &= ~ATTRIBUTE_EXECUTE_NEVER
    entry = make_entry(cap.address, bits, mask_vm_rights(cap.rights, rights), attributes)
    return PageMap(slot, cap, directory, asid, virtual, entry)


def _decode_unmap(state: KernelState, slot: Slot, cap: FrameCap, message: Message) -> Invocation:
    return PageUnmap(slot, cap)


def _decode_flush(state: KernelState, slot: Slot, cap: FrameCap, message: Message) -> Invocation:
    """Page_Clean_Data … Page_Unify_Instruction(start, end): offsets in the frame, which must be mapped."""
    words = message.words
    if len(words) < 2:
        message.require(2)
    # Caches are cleaned by user address, so there must be one, in a space that still exists.
    if cap.asid == 0:
        raise illegal_operation("the frame is not mapped through this capability")
    directory = directory_of(state, cap.asid)
    if directory is None:
        raise failed_lookup(False, INVALID_ROOT, "the ASID of the mapping is no longer in use")
    start = words[0]
    end = words[1]
    if end <= start:
        raise invalid_argument(1, "the end of the range is not after its start")
    virtual = cap.mapped_at
    checks = state.facts.page_flush_checks_mapping
    if checks and not maps(directory, virtual, cap.address, cap.size_bits):
        raise invalid_capability(0, "the frame is no longer mapped where this capability says")
    size = 1 << cap.size_bits
    if start >= size or end > size:
        raise invalid_argument(0, "the range is not inside the frame")
    return CacheFlush(directory, virtual + start, virtual + end, checks)


def _decode_get_address(state: KernelState, slot: Slot, cap: FrameCap, message: Message) -> Invocation:
    return PageGetAddress(cap.address)


METHODS: Final[dict[str, Decoder]] = {
    "ARMPageMap": _decode_map,
    "ARMPageRemap": _decode_remap,
    "ARMPageUnmap": _decode_unmap,
    "ARMPageClean_Data": _decode_flush,
    "ARMPageInvalidate_Data": _decode_flush,
    "ARMPageCleanInvalidate_Data": _decode_flush,
    "ARMPageUnify_Instruction": _decode_flush,
    "ARMPageGetAddress": _decode_get_address,
}


def finalise(state: KernelState, cap: FrameCap, final: bool) -> Cap:
    """Every frame capability undoes its own mapping, the last one or not."""
    if cap.asid != 0:
        state.benchmarks.frame_deleted(state, cap)
        unmap_frame(state, cap.asid, cap.mapped_at, cap.size_bits, cap.address)
    return NULL


OBJECT_TYPES: Final = ("SmallPage", "LargePage", "Section", "SuperSection")
"""The names of the types that Retype makes: without a creator, because their capability is all there is to make."""
