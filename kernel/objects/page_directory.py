"""Page directories: address spaces (manual 7, `seL4_ARM_PageDirectory_…`)."""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import NULL, Cap, PageDirectoryCap
from retrap.kernel.failures import (
    INVALID_ROOT,
    failed_lookup,
    illegal_operation,
    invalid_argument,
    invalid_capability,
    range_error,
)
from retrap.kernel.message import Invocation, Message
from retrap.kernel.objects.frame import CacheFlush
from retrap.kernel.slots import Slot
from retrap.kernel.state import Creator, Decoder, KernelState
from retrap.kernel.vspace import PageDirectory, directory_of, release_asid, resolve


@final
class NothingToFlush(Invocation):
    """No page is mapped there, so nothing of it can be in a cache: a success without effect."""

    __slots__ = ()

    def perform(self, state: KernelState) -> list[int] | None:
        return None


def _decode_flush(state: KernelState, slot: Slot, cap: PageDirectoryCap, message: Message) -> Invocation:
    """PageDirectory_Clean_Data … _Unify_Instruction(start, end): virtual addresses within one page."""
    message.require(2)
    start, end = message.words[0], message.words[1]
    if end <= start:
        raise invalid_argument(1, "the end of the range is not after its start")
    kernel_base = state.plan.kernel_base
    if start >= kernel_base or end > kernel_base:
        raise illegal_operation("the range reaches into the kernel's part of the address space")
    if not cap.mapped:
        raise invalid_capability(0, "the page directory has no ASID")
    directory = directory_of(state, cap.asid)
    if directory is None:
        raise failed_lookup(False, INVALID_ROOT, "the page directory's ASID is no longer in use")
    if directory.address != cap.address:
        raise invalid_capability(0, "the page directory's ASID now belongs to another one")
    found = resolve(directory, start)
    if found is None:
        return NothingToFlush()
    bits = found[1]
    if start >> bits != (end - 1) >> bits:
        base = start >> bits << bits
        raise range_error(start, base + (1 << bits) - 1, "the range crosses a page boundary")
    return CacheFlush(directory, start, end, True)


METHODS: Final[dict[str, Decoder]] = {
    "ARMPDClean_Data": _decode_flush,
    "ARMPDInvalidate_Data": _decode_flush,
    "ARMPDCleanInvalidate_Data": _decode_flush,
    "ARMPDUnify_Instruction": _decode_flush,
}


def finalise(state: KernelState, cap: PageDirectoryCap, final: bool) -> Cap:
    """The last capability gives the ASID back, and the object goes with it."""
    if final:
        directory = state.objects[cap.address]
        assert isinstance(directory, PageDirectory)
        if cap.mapped:
            release_asid(state, cap.asid, directory)
        del state.objects[cap.address]
    return NULL


def create(state: KernelState, address: int, size_bits: int, device: bool) -> Cap:
    state.objects[address] = PageDirectory(address)
    return PageDirectoryCap(address)


CREATORS: Final[dict[str, Creator]] = {"PageDirectory": create}
