"""How the kernel divides physical memory when it boots (11.0.0 and later): kept, free, objects, untypeds.

The rules are those of the kernel's boot code (src/kernel/boot.c: init_freemem, create_rootserver_objects,
create_untypeds; src/arch/arm/kernel/boot.c: arch_init_freemem). It computes with the addresses of its own
window onto physical memory, modulo 2^32, and the alignment of those decides how regions are cut: so does this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from retrap.loader.layouts import Untyped
from retrap.loader.platform import ADDRESS_SPACE, MODE_RESERVED, KernelRegion, Span

PAGE_BITS: Final = 12
SECTION_BITS: Final = 20


@dataclass(frozen=True, slots=True)
class ObjectSizes:
    """Sizes of what the kernel makes for the initial thread, as log2 of bytes."""

    cnode: int
    vspace: int
    page_table: int
    tcb: int
    extra_bootinfo: int  # 0: none
    asid_pool: bool = True  # whether there is one

    @property
    def largest(self) -> int:
        """The alignment of the whole block."""
        return max(self.cnode, self.vspace, self.extra_bootinfo)


@dataclass(frozen=True, slots=True)
class BootObjects:
    """Physical addresses of the initial thread's objects. `block` is the memory that they take together."""

    block: Span
    cnode: int
    vspace: int
    asid_pool: int
    ipc_buffer: int
    bootinfo: int
    tcb: int
    extra_bootinfo: int  # 0: none
    page_tables: tuple[int, ...]


class NoRoom(Exception):
    """No free region can hold the initial thread's objects."""


def extra_bootinfo_bits(size: int, exact: bool) -> int:
    """log2 of the block for `size` bytes of extra boot information; 0 for none, else at least a page.

    Not `exact`: as 11.0.0 computes it, with a mask of as many bits as there are leading zeros.
    """
    if size == 0:
        return 0
    pages = -(-size >> PAGE_BITS) << PAGE_BITS
    bits = pages.bit_length() - 1
    if not exact:
        return bits + 1 if size & ((1 << 31 - bits) - 1) else bits
    # A power of two rounded down must not lose bytes.
    return bits if size <= 1 << bits else bits + 1


def page_table_addresses(start: int, end: int) -> tuple[int, ...]:
    """The virtual addresses, 1 MiB apart, whose page tables cover `[start, end)`."""
    first = start >> SECTION_BITS << SECTION_BITS
    return tuple(range(first, end, 1 << SECTION_BITS))


def free_regions(ram: Iterable[Span], kernel: KernelRegion, reserved: Iterable[Span]) -> list[Span]:
    """RAM inside the kernel's window without the reserved parts, ascending, contiguous pieces."""
    window = Span(kernel.base, kernel.physical_top - kernel.base)
    taken = [*reserved, mode_reserved(kernel)]
    pieces: list[Span] = []
    for region in ram:
        if region.overlaps(window):
            start, end = max(region.base, window.base), min(region.end, window.end)
            pieces += _without(Span(start, end - start), taken)
    return pieces


def mode_reserved(kernel: KernelRegion) -> Span:
    """The physical memory that the kernel cannot reach: it would be behind the slot of the hardware ASID."""
    start, end = MODE_RESERVED
    return Span((start - kernel.offset) % ADDRESS_SPACE, end - start)


def _without(region: Span, taken: Sequence[Span]) -> Iterator[Span]:
    at = region.base
    for other in sorted(taken, key=lambda span: span.base):
        if other.size and other.overlaps(region) and other.end > at:
            if other.base > at:
                yield Span(at, other.base - at)
            at = other.end
    if at < region.end:
        yield Span(at, region.end - at)


def place_objects(free: list[Span], sizes: ObjectSizes, tables: int) -> tuple[BootObjects, list[Span]]:
    """Puts the initial thread's objects at the top of the highest free region that can hold them.

    Returns them and the regions that remain, in the order that the kernel keeps them: what is left below and
    above the block, then the regions that were too small. Raises `NoRoom`.
    """
    total = (
        (1 << sizes.cnode)
        + (1 << sizes.vspace)
        + (1 << sizes.tcb)
        + (3 if sizes.asid_pool else 2) * (1 << PAGE_BITS)  # ASID pool, IPC buffer, boot information
        + (1 << sizes.extra_bootinfo if sizes.extra_bootinfo else 0)
        + tables * (1 << sizes.page_table)
    )
    for index in reversed(range(len(free))):
        region = free[index]
        start = (region.end - total) >> sizes.largest << sizes.largest
        if region.end - total >= 0 and start >= region.base:
            block = Span(start, total)
            below = Span(region.base, start - region.base)
            above = Span(block.end, region.end - block.end)
            return _objects(block, sizes, tables), [*free[:index], below, above, *free[index + 1 :]]
    raise NoRoom


def _objects(block: Span, sizes: ObjectSizes, tables: int) -> BootObjects:
    """Addresses within the block: larger objects first, so that each is aligned to its size."""
    order = [("cnode", sizes.cnode), ("vspace", sizes.vspace)]
    if sizes.cnode <= sizes.vspace:
        order.reverse()
    if sizes.extra_bootinfo:
        # Before the first object that is not larger than it.
        position = sum(bits > sizes.extra_bootinfo for _, bits in order)
        order.insert(position, ("extra_bootinfo", sizes.extra_bootinfo))
    if sizes.asid_pool:
        order.append(("asid_pool", PAGE_BITS))
    order += [("ipc_buffer", PAGE_BITS), ("bootinfo", PAGE_BITS)]
    paging = [("page_table", sizes.page_table)] * tables
    # The TCB goes where it is aligned: before page tables unless it is smaller.
    tcb = [("tcb", sizes.tcb)]
    order += tcb + paging if sizes.tcb >= sizes.page_table else paging + tcb
    at = block.base
    addresses: dict[str, list[int]] = {}
    for name, bits in order:
        addresses.setdefault(name, []).append(at)
        at += 1 << bits
    assert at == block.end, "the block is exactly its objects"
    return BootObjects(
        block=block,
        cnode=addresses["cnode"][0],
        vspace=addresses["vspace"][0],
        asid_pool=addresses.get("asid_pool", [0])[0],
        ipc_buffer=addresses["ipc_buffer"][0],
        bootinfo=addresses["bootinfo"][0],
        tcb=addresses["tcb"][0],
        extra_bootinfo=addresses.get("extra_bootinfo", [0])[0],
        page_tables=tuple(addresses["page_table"]),
    )


def device_regions(occupied: Iterable[Span], top: int) -> Iterator[Span]:
    """Physical addresses below `top` that nothing occupies, ascending: the device untypeds' regions."""
    at = 0
    for span in sorted(occupied, key=lambda s: s.base):
        if span.base > at:
            yield Span(at, span.base - at)
        at = max(at, span.end)
    if at < top:
        yield Span(at, top - at)


def cut(region: Span, kernel: KernelRegion, device: bool, smallest: int, largest: int) -> Iterator[Untyped]:
    """Cuts a region into untypeds from low to high, each as large as the rest and its alignment allow.

    Pieces below 2^smallest bytes are lost; none is larger than 2^largest.
    """
    at = (region.base + kernel.offset) % ADDRESS_SPACE
    left = region.size
    while left:
        bits = min(left.bit_length() - 1, largest)
        if at:
            bits = min(bits, (at & -at).bit_length() - 1)
        if bits >= smallest:
            yield Untyped((at - kernel.offset) % ADDRESS_SPACE, bits, device)
        at = (at + (1 << bits)) % ADDRESS_SPACE
        left -= 1 << bits
