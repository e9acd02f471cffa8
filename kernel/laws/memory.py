"""Laws of memory: objects, untypeds, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from retrap.kernel.boot import CapKind
from retrap.kernel.caps import FrameCap, Tag, UntypedCap
from retrap.kernel.laws.survey import Region, Survey
from retrap.kernel.structures import CNode

_SIZE_BITS: Final = {
    Tag.ENDPOINT: 4,
    Tag.NOTIFICATION: 4,
    Tag.ASYNC_ENDPOINT: 5,
    Tag.PAGE_TABLE: 10,
    Tag.PAGE_DIRECTORY: 14,
    Tag.ASID_POOL: 12,
}


def _object_region(survey: Survey, address: int) -> Region:
    """The memory of a live object."""
    item = survey.state.objects[address]
    if item.tag == Tag.THREAD:
        return (address, 1 << survey.thread_bits)
    if isinstance(item, CNode):
        return (address, 16 << item.radix)
    return (address, 1 << _SIZE_BITS[item.tag])


def objects_do_not_overlap(survey: Survey) -> Iterator[str]:
    """No byte belongs to two live objects; frames count as objects."""
    state = survey.state
    regions = {_object_region(survey, address) for address in state.objects}
    regions |= {
        (slot.cap.address, 1 << slot.cap.size_bits) for slot in survey.occupied if isinstance(slot.cap, FrameCap)
    }
    end = 0
    last = 0
    for address, size in sorted(regions):
        if address < end:
            yield f"the objects at {last:#010x} and {address:#010x} overlap"
        end = max(end, address + size)
        last = address


def objects_lie_in_their_untyped(survey: Survey) -> Iterator[str]:
    """A capability to memory that did not exist at boot descends from the smallest untyped around it.

    Deleting an untyped leaves what was made of it without a parent: then no untyped is around it any more.
    """
    boot_caps = survey.state.plan.caps
    at_boot = {cap.address for cap in boot_caps} | {survey.state.plan.tcb_address}
    given = [(cap.address, 1 << cap.size_bits) for cap in boot_caps if cap.kind is CapKind.UNTYPED]
    sizes = sorted({size for _, size in survey.untypeds})
    for slot in survey.occupied:
        region = survey.region_of(slot.cap)
        if region is None:
            continue
        origin = survey.origin.get(id(slot))
        if origin is None:
            orphan = _smallest_around(region, survey.untypeds, sizes) is None and any(
                _inside(region, each) for each in given
            )
            if region[0] not in at_boot and not orphan:
                yield f"{slot!r} refers to memory that no untyped was made into"
            continue
        around = (origin.address, 1 << origin.size_bits)
        if not _inside(region, around):
            yield f"{slot!r} is outside {origin!r} that it descends from"
        for size in sizes:
            if size >= around[1]:
                break
            if size > region[1] and (region[0] & -size, size) in survey.untypeds:
                yield f"{slot!r} lies in the untyped at {region[0] & -size:#010x} but descends from {origin!r}"
                break


def _inside(inner: Region, outer: Region) -> bool:
    return outer[0] <= inner[0] and inner[0] + inner[1] <= outer[0] + outer[1]


def _smallest_around(region: Region, untypeds: dict[Region, UntypedCap], sizes: list[int]) -> Region | None:
    """The smallest untyped that is larger than `region` and contains it. `sizes`: of all untypeds, ascending."""
    for size in sizes:
        if size > region[1]:
            around = (region[0] & ~(size - 1), size)
            if around in untypeds:
                return around
    return None


def watermarks_cover_children(survey: Survey) -> Iterator[str]:
    """Everything made of an untyped lies below its watermark."""
    for (address, size), children in survey.children.items():
        free = survey.untypeds[address, size].free
        for start, length in children:
            if start + length > address + free:
                yield f"the object at {start:#010x} is above the watermark of the untyped at {address:#010x}"


def memory_is_conserved(survey: Survey) -> Iterator[str]:
    """Every byte of an untyped is free, lost (to alignment, or to an object that is gone), or in one child."""
    for (address, size), children in survey.children.items():
        free = size - survey.untypeds[address, size].free
        used = 0
        lost = 0
        end = address
        for start, length in sorted(children):
            if start < end:
                yield f"two children of the untyped at {address:#010x} share memory at {start:#010x}"
            lost += max(0, start - end)
            used += length
            end = max(end, start + length)
        lost += max(0, address + size - free - end)
        if used + lost + free != size:
            yield f"of the untyped at {address:#010x}, {size - used - lost - free:#x} bytes are unaccounted for"
        if address & (size - 1):
            yield f"the untyped at {address:#010x} is not aligned to its size"
