"""A short name for the state of the kernel: equal states have equal digests, on every host and in every run.

What counts: capabilities and the derivation order, objects and their queues, address spaces, the scheduler,
interrupts. What does not: the contents of frames, registers, names of threads, and what only makes the model
faster (caches, slots that were looked at and are empty).
"""

from __future__ import annotations

import sys
from array import array
from hashlib import blake2b
from typing import Final

from retrap.kernel.caps import Tag
from retrap.kernel.faults import CapFault, UnknownSyscall, UserException, VmFault
from retrap.kernel.objects.async_endpoint import AsyncEndpoint
from retrap.kernel.slots import Slot
from retrap.kernel.state import KernelState
from retrap.kernel.structures import CNode, Endpoint, Fault, KernelObject, Notification, Queue, Tcb
from retrap.kernel.vspace import AsidPool, PageDirectory, PageTable

DIGEST_SIZE: Final = 16
"""Bytes."""

_NOTHING: Final = -2
"""Stands for an absent object, thread or neighbour (thread numbers begin at -1, the idle thread's)."""


def digest(state: KernelState) -> bytes:
    """The digest of the kernel's state, `DIGEST_SIZE` bytes of blake2b over it as a list of 64-bit numbers."""
    numbers: list[int] = []
    objects = state.objects
    for address in sorted(objects):
        _describe(numbers, objects[address])
    for irq in sorted(state.irq_slots):
        _describe_slot(numbers, state.irq_slots[irq])
    _describe_scheduler(numbers, state)
    numbers.extend(state.benchmarks.numbers())
    words = array("q", numbers)
    if sys.byteorder == "big":
        words.byteswap()
    return blake2b(words, digest_size=DIGEST_SIZE).digest()


def _describe(numbers: list[int], item: KernelObject) -> None:
    numbers.append(item.tag)
    numbers.append(item.address)
    if isinstance(item, CNode):
        numbers.append(item.radix)
        slots = item.slots
        for index in sorted(slots):
            slot = slots[index]
            if slot.cap.tag != Tag.NULL:
                _describe_slot(numbers, slot)
    elif isinstance(item, PageTable):
        numbers.append(_NOTHING if item.directory is None else item.directory.address)
        _describe_entries(numbers, item.entries)
    elif isinstance(item, Tcb):
        _describe_thread(numbers, item)
    elif isinstance(item, AsyncEndpoint):
        held = item.words
        if held is None:
            numbers.append(_NOTHING)
        else:
            numbers.extend((item.badge, item.label, len(held), *held))
    elif isinstance(item, Queue):
        _describe_queue(numbers, item)
    elif isinstance(item, PageDirectory):
        numbers.append(item.asid)
        _describe_entries(numbers, item.sections)
        _describe_entries(numbers, {index: table.address for index, table in item.tables.items()})
    elif isinstance(item, AsidPool):
        numbers.append(item.base)
        _describe_entries(numbers, {index: each.address for index, each in item.directories.items()})


def _describe_slot(numbers: list[int], slot: Slot) -> None:
    """A slot with its place, its capability and what follows it (what precedes is said there)."""
    after = slot.next
    numbers.append(slot.owner)
    numbers.append(slot.index)
    numbers.append(slot.revocable << 1 | slot.first_badged)
    numbers.extend(slot.cap.key())
    if after is None:
        numbers.append(_NOTHING)
    else:
        numbers.append(after.owner)
        numbers.append(after.index)


def _describe_entries(numbers: list[int], entries: dict[int, int]) -> None:
    numbers.append(len(entries))
    for index in sorted(entries):
        numbers.append(index)
        numbers.append(entries[index])


def _describe_queue(numbers: list[int], queue: Queue) -> None:
    numbers.append(queue.state)
    thread = queue.head
    while thread is not None:
        numbers.append(thread.number)
        thread = thread.queue_next
    if isinstance(queue, Notification):
        bound = queue.bound_tcb
        numbers.extend((queue.word, queue.data, _NOTHING if bound is None else bound.number))
    else:
        assert isinstance(queue, Endpoint)


def _describe_thread(numbers: list[int], thread: Tcb) -> None:
    waits_for = thread.blocked_on
    numbers.extend(
        (
            thread.number,
            thread.state,
            _NOTHING if waits_for is None else waits_for.address,
            thread.priority,
            thread.max_priority,
            thread.domain,
            thread.time_slice,
            thread.queued,
            thread.fault_handler,
            thread.buffer_address,
            thread.flags,
        )
    )
    if thread.blocked_on is not None:
        numbers.append(thread.block_badge)
        numbers.append(thread.block_can_grant << 2 | thread.block_can_grant_reply << 1 | thread.block_is_call)
    if thread.fault is not None:
        numbers.extend(_fault_numbers(thread.fault))
    for slot in thread.slots:
        if slot.cap.tag != Tag.NULL:
            _describe_slot(numbers, slot)


def _fault_numbers(fault: Fault) -> tuple[int, ...]:
    if isinstance(fault, CapFault):
        return (1, fault.cptr, fault.receiving, *fault.failure.words())
    if isinstance(fault, VmFault):
        return (2, fault.address, fault.instruction, fault.status)
    if isinstance(fault, UnknownSyscall):
        return (3, fault.number)
    assert isinstance(fault, UserException)
    return (4, fault.number, fault.code)


def _describe_scheduler(numbers: list[int], state: KernelState) -> None:
    current = state.current
    numbers.extend((current.number, state.domain, state.domain_time, state.domain_index, state.domain_start))
    for domain, duration in state.domain_schedule:
        numbers.append(domain)
        numbers.append(duration)
    numbers.append(state.work_units)
    numbers.append(state.halted << 1 | bool(state.crashed))
    # Interrupt numbers go beyond 64, so the mask is given as the numbers that are not masked.
    open_lines = ~state.masked_irqs & (1 << (state.plan.max_irq + 1)) - 1
    while open_lines:
        lowest = open_lines & -open_lines
        numbers.append(lowest.bit_length() - 1)
        open_lines ^= lowest
    priorities = state.options.num_priorities
    for domain, bitmap in enumerate(state.ready_bitmaps):
        left = bitmap
        while left:
            priority = left.bit_length() - 1
            left ^= 1 << priority
            numbers.append(domain << 8 | priority)
            thread = state.ready_heads[domain * priorities + priority]
            while thread is not None:
                numbers.append(thread.number)
                thread = thread.ready_next
