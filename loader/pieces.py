"""How kernels until 10.1.1 divide memory when they boot: one object after the other, each where it fits best.

Two free pieces are kept (MAX_NUM_FREEMEM_REG of `include/kernel/boot.h`, tag 10.1.1); an object goes where the
least is left over, and what a third piece would hold is lost (`src/kernel/boot.c: alloc_region`).
The order of the objects is that of `src/arch/arm/kernel/boot.c: try_init_kernel`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from retrap.loader.boot_memory import PAGE_BITS, BootObjects, NoRoom, ObjectSizes
from retrap.loader.platform import Span

PIECES: Final = 2
SLOT_BITS: Final = 4


class Pieces:
    """Free memory, as the boot code keeps it: a fixed number of places, each empty or one piece."""

    def __init__(self, free: Sequence[Span]) -> None:
        self.places: Final[list[Span | None]] = [None] * PIECES
        for span in free:
            self._insert(span)

    def _insert(self, span: Span) -> None:
        """Into the first empty place; without one the memory is lost."""
        if span.size and None in self.places:
            self.places[self.places.index(None)] = span

    def allocate(self, bits: int) -> int:
        """The address of 2^bits aligned bytes. Raises `NoRoom`."""
        found: tuple[tuple[int, int], int, Span, Span] | None = None
        for index, piece in enumerate(self.places):
            if piece is None:
                continue
            start = _best_start(piece, bits)
            if start < piece.base or start + (1 << bits) > piece.end:
                continue
            below = Span(piece.base, start - piece.base)
            above = Span(start + (1 << bits), piece.end - start - (1 << bits))
            small, large = (below, above) if below.size < above.size else (above, below)
            # The smaller remainder should be small, then the larger one.
            if found is None or (small.size, large.size) < found[0]:
                found = ((small.size, large.size), index, small, large)
                address = start
        if found is None:
            raise NoRoom
        _, index, small, large = found
        self.places[index] = None
        self._insert(large)
        self._insert(small)
        return address

    def left(self) -> list[Span]:
        """What is free, in the order of the places."""
        return [piece for piece in self.places if piece is not None]


def _best_start(piece: Span, bits: int) -> int:
    """Where 2^bits aligned bytes would go: at the end of the piece that wastes less."""
    size = 1 << bits
    low = (piece.base + size - 1) & -size
    high = piece.end & -size
    return low if low - piece.base < piece.end - high else high - size


def place_in_pieces(
    free: list[Span], sizes: ObjectSizes, tables: int, max_irq: int
) -> tuple[BootObjects, list[Span]]:
    """The initial thread's objects and the free memory that remains. Raises `NoRoom`."""
    pieces = Pieces(free)
    cnode = pieces.allocate(sizes.cnode)
    # The kernel's own: slots for the interrupts' notifications, and below, the idle thread.
    pieces.allocate(max(PAGE_BITS, max_irq.bit_length() + SLOT_BITS))
    bootinfo = pieces.allocate(PAGE_BITS)
    vspace = pieces.allocate(sizes.vspace)
    page_tables = tuple(pieces.allocate(sizes.page_table) for _ in range(tables))
    ipc_buffer = pieces.allocate(PAGE_BITS)
    asid_pool = pieces.allocate(PAGE_BITS)
    pieces.allocate(sizes.tcb)
    tcb = pieces.allocate(sizes.tcb)
    objects = BootObjects(
        block=Span(cnode, 0),  # there is none
        cnode=cnode,
        vspace=vspace,
        asid_pool=asid_pool,
        ipc_buffer=ipc_buffer,
        bootinfo=bootinfo,
        tcb=tcb,
        extra_bootinfo=0,
        page_tables=page_tables,
    )
    return objects, pieces.left()


def device_frame_bits(region: Span) -> int:
    """Of the frames that kernels until 3.2.0 make of a device region: 1 MiB ones if it is made of whole ones."""
    megabyte = (1 << 20) - 1
    return 12 if region.base & megabyte or region.end & megabyte else 20


def device_frames(region: Span) -> Iterator[int]:
    """The addresses of a region's frames."""
    return iter(range(region.base, region.end, 1 << device_frame_bits(region)))
