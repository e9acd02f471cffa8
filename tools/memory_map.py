"""What `retrap boot --dry-run` prints: the physical memory map, the initial address space, CNode and bootinfo."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from retrap.kernel.boot import BootCap, BootPlan, CapKind, Mapping
from retrap.tools.booting import Prepared
from retrap.tools.display import table

_KINDS = {False: "", True: "device"}
_RIGHTS = ((1, "r"), (2, "w"), (4, "x"))


def print_plan(prepared: Prepared) -> None:
    """Print how a system would start, to standard output."""
    plan, out = prepared.plan, sys.stdout
    out.write(f"image     {prepared.image.path}\n")
    out.write(f"kernel    {plan.release.name} on {plan.platform}, {plan.clock_hz:,} instructions a second\n")
    out.write(f"entry     {plan.entry & ~1:#010x} ({'Thumb' if plan.entry & 1 else 'ARM'})\n")
    out.write(f"user top  {plan.kernel_base:#010x}\n")
    out.write("\nPhysical memory\n")
    table(
        ("start", "end", "size", "what"),
        [(f"{r.start:#010x}", f"{r.end:#010x}", size_text(r.end - r.start), r.name) for r in plan.regions],
        numeric=(2,),
    )
    out.write("\nInitial address space\n")
    table(
        ("virtual", "end", "physical", "rights"),
        [(f"{v:#010x}", f"{v + size:#010x}", f"{p:#010x}", rights) for v, p, size, rights in runs(plan.mappings)],
    )
    out.write(f"bootinfo at {plan.bootinfo_address:#010x}, IPC buffer at {plan.ipc_buffer_address:#010x}\n")
    out.write("\nInitial CNode\n")
    table(("slots", "capability"), list(slots(plan)))
    out.write("\nUntyped memory\n")
    rows = [
        (cap.slot, f"{cap.address:#010x}", cap.size_bits, size_text(1 << cap.size_bits), _KINDS[cap.device])
        for cap in plan.caps
        if cap.kind is CapKind.UNTYPED
    ]
    table(("slot", "paddr", "bits", "size", ""), rows, numeric=(0, 2, 3))


def runs(mappings: tuple[Mapping, ...]) -> Iterator[tuple[int, int, int, str]]:
    """Mappings that continue each other, joined: (virtual, physical, bytes, rights)."""
    start: Mapping | None = None
    size = 0
    for mapping in sorted(mappings, key=lambda m: m.virtual):
        if (
            start is not None
            and mapping.virtual == start.virtual + size
            and mapping.physical == start.physical + size
            and mapping.rights == start.rights
        ):
            size += 1 << mapping.size_bits
            continue
        if start is not None:
            yield start.virtual, start.physical, size, rights_text(start.rights)
        start, size = mapping, 1 << mapping.size_bits
    if start is not None:
        yield start.virtual, start.physical, size, rights_text(start.rights)


def slots(plan: BootPlan) -> Iterator[tuple[str, str]]:
    """The slots of the initial CNode, equal kinds in a row joined: (slot or range, what)."""
    names = plan.release.boot_slots
    first: BootCap | None = None
    last = 0
    for cap in plan.caps:
        if first is not None and cap.kind is first.kind and cap.slot == last + 1 and cap.slot >= len(names):
            last = cap.slot
            continue
        if first is not None:
            yield _slot_row(first, last, names)
        first, last = cap, cap.slot
    if first is not None:
        yield _slot_row(first, last, names)
    low, high = plan.empty_slots
    yield f"{low}…{high - 1}", "empty"


def _slot_row(first: BootCap, last: int, names: tuple[str, ...]) -> tuple[str, str]:
    if first.slot < len(names):
        return str(first.slot), f"{first.kind.value} ({names[first.slot]})"
    if first.slot == last:
        return str(first.slot), first.kind.value
    return f"{first.slot}…{last}", f"{first.kind.value} x {last - first.slot + 1}"


def rights_text(rights: int) -> str:
    """`rwx` with dashes, from `machine.space` bits."""
    return "".join(letter if rights & bit else "-" for bit, letter in _RIGHTS)


def size_text(size: int) -> str:
    """Bytes with a binary unit: 16 B, 4 KiB, 1 MiB, 2.5 MiB."""
    for bits, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << bits:
            return f"{size / (1 << bits):.4g} {unit}"
    return f"{size} B"
