"""Each law notices what it is there for: plant one violation at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kernel_driver import CNODE, IRQ_CONTROL, TCB, UNTYPED, VSPACE, Driver
from retrap.kernel import invariants, scheduler
from retrap.kernel.caps import (
    NULL,
    CNodeCap,
    EndpointCap,
    FrameCap,
    NotificationCap,
    PageTableCap,
    ReplyCap,
    ThreadCap,
    UntypedCap,
)
from retrap.kernel.structures import TCB_CTABLE, CNode, Endpoint, Tcb, ThreadState
from retrap.kernel.vspace import PageDirectory, PageTable

FRAME, TABLE, ENDPOINT, THREAD, HANDLER = 32, 33, 34, 35, 36


def busy_kernel() -> Driver:
    """A kernel with a mapped page, an endpoint, a second ready thread and an interrupt handler."""
    driver = Driver()
    assert driver.make("SmallPage") == FRAME
    assert driver.make("PageTable") == TABLE
    assert driver.make("Endpoint") == ENDPOINT
    assert driver.make("TCB") == THREAD
    assert driver.table_map(TABLE, 0x20_0000) == 0
    assert driver.page_map(FRAME, 0x20_0000) == 0
    assert driver.call(THREAD, "TCBSetPriority", 7, caps=(TCB,)) == 0
    assert driver.call(THREAD, "TCBResume") == 0
    assert driver.call(IRQ_CONTROL, "IRQIssueIRQHandler", 40, HANDLER, 32, caps=(CNODE,)) == 0
    driver.next_free = 40
    return driver


def second_thread(driver: Driver) -> Tcb:
    return driver.kernel.threads[1]


def table_of(driver: Driver) -> PageTable:
    table = driver.state.objects[driver.cap(TABLE).address]
    assert isinstance(table, PageTable)
    return table


def directory_of(driver: Driver) -> PageDirectory:
    directory = driver.state.objects[driver.cap(VSPACE).address]
    assert isinstance(directory, PageDirectory)
    return directory


def overlap(driver: Driver) -> None:
    driver.state.objects[driver.cap(FRAME).address] = Endpoint(driver.cap(FRAME).address)


def stray_object(driver: Driver) -> None:
    driver.state.objects[0x4300_0000] = Endpoint(0x4300_0000)


def unaccounted_memory(driver: Driver) -> None:
    driver.state.objects[0x4001_9000] = Endpoint(0x4001_9000)
    driver.slot(99).cap = EndpointCap(0x4001_9000, 0, 15)


def low_watermark(driver: Driver) -> None:
    slot = driver.slot(UNTYPED + 4)
    assert isinstance(slot.cap, UntypedCap)
    slot.cap = slot.cap.with_free(16)


def shared_memory(driver: Driver) -> None:
    cap = driver.cap(FRAME)
    driver.slot(FRAME).cap = FrameCap(cap.address + 0x800, 12, False, 3)


def broken_links(driver: Driver) -> None:
    driver.slot(ENDPOINT).prev = None


def occupied_list_without_cap(driver: Driver) -> None:
    driver.slot(ENDPOINT).cap = NULL


def dangling(driver: Driver) -> None:
    del driver.state.objects[driver.cap(ENDPOINT).address]


def misplaced_slot(driver: Driver) -> None:
    driver.root.slots[50] = driver.slot(FRAME)


def wrong_kind_in_thread(driver: Driver) -> None:
    second_thread(driver).slots[4].cap = ThreadCap(0x4001_8000)


def answer_nobody_waits_for(driver: Driver) -> None:
    driver.slot(99).cap = ReplyCap(second_thread(driver).address, False, True)


def interrupt_signals_endpoint(driver: Driver) -> None:
    driver.state.irq_slots[40].cap = driver.cap(ENDPOINT)


def interrupt_nobody_has(driver: Driver) -> None:
    driver.state.irq_slots[41] = driver.state.irq_slots.pop(40)


def not_in_queue(driver: Driver) -> None:
    scheduler.dequeue(driver.state, second_thread(driver))


def blocked_but_ready(driver: Driver) -> None:
    second_thread(driver).state = ThreadState.BLOCKED_ON_SEND


def wrong_bitmap(driver: Driver) -> None:
    driver.state.ready_bitmaps[0] = 0


def waits_without_queue(driver: Driver) -> None:
    thread = second_thread(driver)
    scheduler.dequeue(driver.state, thread)
    thread.state = ThreadState.BLOCKED_ON_RECEIVE


def endpoint_state(driver: Driver) -> None:
    endpoint = driver.state.objects[driver.cap(ENDPOINT).address]
    assert isinstance(endpoint, Endpoint)
    endpoint.state = 1


def runs_while_blocked(driver: Driver) -> None:
    driver.kernel.current.state = ThreadState.RESTART


def forgotten_asid(driver: Driver) -> None:
    directory_of(driver).asid = 9


def table_used_twice(driver: Driver) -> None:
    directory_of(driver).tables[7] = table_of(driver)


def wrong_table_cap(driver: Driver) -> None:
    driver.slot(TABLE).cap = PageTableCap(driver.cap(TABLE).address, True, 1, 0x30_0000)


def unclaimed_mapping(driver: Driver) -> None:
    cap = driver.cap(FRAME)
    assert isinstance(cap, FrameCap)
    driver.slot(FRAME).cap = cap.mapped(0, 0)


def half_a_large_page(driver: Driver) -> None:
    large = driver.make("LargePage")
    assert driver.page_map(large, 0x21_0000) == 0
    del table_of(driver).entries[0x1F]
    driver.kernel.space.unmap(0x21_F000, 12)


def stale_view(driver: Driver) -> None:
    driver.kernel.space.unmap(0x20_0000, 12)


def forgotten_table(driver: Driver) -> None:
    driver.kernel.space.set_table(0x20_0000, False)


def dead_space(driver: Driver) -> None:
    root = driver.new_space()
    directory = driver.state.objects[driver.cap(root).address]
    assert isinstance(directory, PageDirectory) and directory.space is not None
    driver.state.space = directory.space
    assert driver.delete(root) == 0
    driver.state.space = type(driver.state.space)(driver.memory)


def another_root(driver: Driver) -> None:
    slot = driver.state.current.slots[TCB_CTABLE]
    kept = slot.cap
    assert isinstance(kept, CNodeCap)
    other = CNode(kept.address, kept.radix)
    slot.cap = CNodeCap(kept.address, kept.radix, kept.guard_bits, kept.guard, other)


def another_buffer(driver: Driver) -> None:
    thread = driver.state.current
    assert thread.buffer_words is not None
    thread.buffer_address += 512


PLANTED: tuple[tuple[Callable[[Driver], None], str], ...] = (
    (overlap, "objects do not overlap"),
    (stray_object, "capabilities refer to live objects"),
    (unaccounted_memory, "objects lie in their untyped"),
    (low_watermark, "watermarks cover children"),
    (shared_memory, "memory is conserved"),
    (broken_links, "derivation lists are well formed"),
    (occupied_list_without_cap, "derivation lists are well formed"),
    (dangling, "capabilities refer to live objects"),
    (misplaced_slot, "slots know their place"),
    (wrong_kind_in_thread, "slots know their place"),
    (answer_nobody_waits_for, "reply capabilities are unique"),
    (interrupt_signals_endpoint, "interrupts signal notifications"),
    (interrupt_nobody_has, "interrupts signal notifications"),
    (not_in_queue, "ready queues agree with threads"),
    (blocked_but_ready, "ready queues agree with threads"),
    (wrong_bitmap, "ready queues agree with threads"),
    (waits_without_queue, "wait queues agree with threads"),
    (endpoint_state, "wait queues agree with threads"),
    (runs_while_blocked, "the current thread can run"),
    (forgotten_asid, "asids agree with directories"),
    (table_used_twice, "page tables agree with directories"),
    (wrong_table_cap, "page tables agree with directories"),
    (unclaimed_mapping, "mappings belong to capabilities"),
    (half_a_large_page, "mappings belong to capabilities"),
    (stale_view, "spaces show the tables"),
    (forgotten_table, "spaces show the tables"),
    (dead_space, "the visible space is live"),
    (another_root, "capabilities refer to live objects"),
    (another_buffer, "what threads keep is what their slots say"),
)


@pytest.mark.parametrize(("violate", "law"), PLANTED, ids=[violate.__name__ for violate, _ in PLANTED])
def test_a_violation_is_noticed(violate: Callable[[Driver], None], law: str) -> None:
    driver = busy_kernel()
    driver.check()
    violate(driver)
    assert any(fault.startswith(law) for fault in driver.kernel.check("full"))


def test_every_law_is_tested() -> None:
    planted = {law for _, law in PLANTED}
    laws = {law.__name__.replace("_", " ") for law in invariants.LAWS}
    # The last one is about the 2006 design: test_2006.py.
    assert laws - planted == {"descendants are contiguous", "the processor keeps what lookups find"}


def test_a_stranger_among_descendants_is_noticed() -> None:
    """Descent that skips a capability: an untyped's object behind another untyped's."""
    driver = busy_kernel()
    other = driver.make("Endpoint", untyped=UNTYPED + 5)
    first, stranger = driver.slot(THREAD), driver.slot(other)
    # Take the stranger out of its list and put it directly behind the thread's capability.
    assert stranger.prev is not None
    stranger.prev.next = stranger.next
    if stranger.next is not None:
        stranger.next.prev = stranger.prev
    stranger.prev, stranger.next = first, first.next
    assert first.next is not None
    first.next.prev = stranger
    first.next = stranger
    assert any(fault.startswith("descendants are contiguous") for fault in driver.kernel.check("full"))


def test_cheap_laws_are_laws() -> None:
    assert set(invariants.CHEAP) < set(invariants.LAWS)
    driver = busy_kernel()
    assert driver.kernel.check("cheap") == []
    not_in_queue(driver)
    assert driver.kernel.check("cheap") != []


def test_checking_changes_nothing() -> None:
    driver = busy_kernel()
    before = driver.kernel.digest()
    driver.check()
    assert driver.kernel.digest() == before


def test_notifications_too() -> None:
    driver = busy_kernel()
    notification = driver.make("Notification")
    assert driver.call(HANDLER, "IRQSetIRQHandler", caps=(notification,)) == 0
    assert isinstance(driver.state.irq_slots[40].cap, NotificationCap)
    assert driver.call(TCB, "TCBBindNotification", caps=(notification,)) == 0
    driver.check()
    driver.kernel.threads[0].bound_notification.bound_tcb = None  # type: ignore[union-attr]
    assert driver.kernel.check("cheap") != []
