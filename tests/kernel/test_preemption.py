"""Long operations that an interrupt stops: what is kept, how they start again, who may finish them.

The order of steps is that of `16.0.0: src/object/cnode.c` (cteRevoke, finaliseSlot, reduceZombie),
`src/object/untyped.c` (resetUntypedCap) and `src/model/preemption.c`: a unit of work is a capability of a
revocation, a slot of a zombie, a cleared chunk; after each hundredth, a pending interrupt is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from kernel_driver import CNODE, IRQ_CONTROL, TCB, UNTYPED, Driver
from retrap.kernel.caps import NULL, ZombieCap
from retrap.kernel.effects import Outcome
from retrap.kernel.structures import ThreadState
from retrap.machine.traps import SVC
from threads_driver import World

POOL = UNTYPED + 4
RELEASES = ("1.0.3", "3.2.0", "8.0.0", "10.1.1", "12.0.0", "16.0.0")


def delete_node(driver: Driver) -> tuple[int, str, tuple[int, ...], tuple[int, ...]]:
    node = driver.make("CapTable", 10)
    assert driver.call(node, "CNodeCopy", 1000, 10, TCB, 32, 15, caps=(CNODE,)) == 0
    return CNODE, "CNodeDelete", (node, 32), ()


def revoke_badges(driver: Driver) -> tuple[int, str, tuple[int, ...], tuple[int, ...]]:
    endpoint = driver.make("Endpoint")
    for badge in range(1, 251):
        target = driver.free_slot()
        assert driver.call(CNODE, "CNodeMint", target, 32, endpoint, 32, 15, badge, caps=(CNODE,)) == 0
    return CNODE, "CNodeRevoke", (endpoint, 32), ()


def reset_memory(driver: Driver) -> tuple[int, str, tuple[int, ...], tuple[int, ...]]:
    frame = driver.make("Section")
    assert driver.delete(frame) == 0
    words = (driver.objects["SmallPage"], 0, 0, 0, driver.free_slot(), 1)
    return POOL, "UntypedRetype", words, (CNODE,)


Long = Callable[[Driver], tuple[int, str, tuple[int, ...], tuple[int, ...]]]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("prepare", [delete_node, revoke_badges, reset_memory])
def test_it_starts_again_by_itself(prepare: Long, release: str) -> None:
    """The thread is back at its system call, with the registers that it had: executing it again goes on."""
    driver = Driver(name=release)
    if prepare is reset_memory and driver.state.facts.cleared_at == "creation":
        return  # these releases clear each object as it is made, at once
    cptr, label, words, caps = prepare(driver)
    driver.state.work_units = 0
    thread = driver.kernel.current
    times = 0
    driver.state.tick_pending = True
    effects = driver.system_call("Call", cptr, label, words, caps)
    while effects.outcome == Outcome.PREEMPTED:
        times += 1
        driver.check()
        registers = thread.context.words
        assert driver.kernel.current is thread and thread.state == ThreadState.RUNNING
        assert registers[0] == cptr and registers[1] == driver.labels[label] << 12 | len(caps) << 7 | len(words)
        assert registers[15] == registers[30]  # the instruction that trapped, not the one after it
        assert registers[2 : 2 + min(4, len(words))].tolist() == list(words[:4])
        driver.state.tick_pending = True
        effects = driver.enter(SVC)
    assert effects.outcome == Outcome.DONE and times >= 2, effects.reason
    driver.check()


@pytest.mark.parametrize("work", [0, 1, 50, 98, 99])
def test_the_hundredth_unit_counts(work: int) -> None:
    driver = Driver()
    cptr, label, words, _ = revoke_badges(driver)
    driver.state.work_units = work
    driver.state.tick_pending = True
    before = sum(slot.cap is not NULL for slot in driver.root.slots.values())
    assert driver.system_call("Call", cptr, label, words).outcome == Outcome.PREEMPTED
    after = sum(slot.cap is not NULL for slot in driver.root.slots.values())
    assert before - after == 100 - work and driver.state.work_units == 0


def test_without_an_interrupt_nothing_is_preempted() -> None:
    driver = Driver()
    cptr, label, words, _ = revoke_badges(driver)
    assert driver.system_call("Call", cptr, label, words).outcome == Outcome.DONE


def with_irq_handler() -> tuple[World, int, int]:
    """A world whose thread 1, more urgent, waits for interrupt 40; the main thread has a large CNode."""
    world = World()
    notification = world.make("Notification")
    handler = world.free_slot()
    assert world.call(IRQ_CONTROL, "IRQIssueIRQHandler", 40, handler, 32, caps=(CNODE,)) == 0
    assert world.call(handler, "IRQSetIRQHandler", caps=(notification,)) == 0
    node = world.make("CapTable", 10)
    waiter = world.thread()
    assert world.runs(waiter)
    world.recv(notification)
    assert world.runs(world.main)
    world.state.work_units = 0
    return world, node, notification


def test_the_interrupt_is_handled_in_the_middle() -> None:
    world, node, notification = with_irq_handler()
    world.kernel.raise_irq(40)
    world.state.pending_irqs |= 1 << 40
    effects = world.system_call("Call", CNODE, "CNodeDelete", (node, 32))
    assert effects.outcome == Outcome.PREEMPTED
    zombie = world.cap(node)
    assert isinstance(zombie, ZombieCap) and zombie.number == 1024 - 100
    # Whoever the interrupt woke runs; the other is to start its system call again.
    assert world.kernel.current.number == 1
    assert world.main.state == ThreadState.RESTART
    world.check()
    world.recv(notification)
    assert world.runs(world.main)
    assert world.enter(SVC).outcome == Outcome.DONE
    assert world.cap(node) is NULL
    world.check()


def test_somebody_else_finishes_it() -> None:
    world, node, notification = with_irq_handler()
    world.state.pending_irqs |= 1 << 40
    assert world.system_call("Call", CNODE, "CNodeDelete", (node, 32)).outcome == Outcome.PREEMPTED
    assert world.kernel.current.number == 1
    assert world.delete(node) == 0 and world.cap(node) is NULL
    # And reuses the slot: the main thread's Delete then deletes what is there now.
    assert world.call(CNODE, "CNodeCopy", node, 32, TCB, 32, 15, caps=(CNODE,)) == 0
    world.recv(notification)
    assert world.runs(world.main) and world.enter(SVC).outcome == Outcome.DONE
    assert world.cap(node) is NULL
    world.check()


def test_deleting_oneself_is_not_repeated() -> None:
    """The thread is stopped before its slots are emptied: nobody is left to start the call again."""
    world = World()
    thread = world.thread()
    cptr = world.tcbs[1]
    assert world.runs(thread)
    world.state.work_units = 98
    world.state.tick_pending = True
    effects = world.system_call("Call", CNODE, "CNodeDelete", (cptr, 32))
    assert effects.outcome == Outcome.PREEMPTED
    assert thread.state == ThreadState.INACTIVE and world.runs(world.main)
    assert isinstance(world.cap(cptr), ZombieCap)
    world.check()
    # A zombie can be deleted by whoever finds it, and nothing else.
    assert world.call(cptr, "TCBResume") == 2
    assert world.delete(cptr) == 0 and world.cap(cptr) is NULL and not thread.live
    world.check()


def test_deleting_ones_own_thread_and_cspace_is_not_repeated() -> None:
    """The thread's own slot has the last capability to its CSpace: both go, and somebody else finishes it."""
    world = World()
    node = world.make("CapTable", 10)
    address = world.cap(node).address
    thread = world.thread(start=False)
    cptr = world.tcbs[1]
    assert world.call(node, "CNodeCopy", 5, 10, CNODE, 32, 15, caps=(CNODE,)) == 0
    guard = (32 - 10) << 3
    assert world.call(cptr, "TCBSetSpace", 0, guard, 0, caps=(node, 3)) == 0
    assert world.delete(node) == 0
    world.call(cptr, "TCBResume")
    assert world.runs(thread)
    world.state.work_units = 97
    world.state.tick_pending = True
    # Its slot 5 is the initial CNode, in which it deletes itself.
    effects = world.system_call("Call", 5, "CNodeDelete", (cptr, 32))
    assert effects.outcome == Outcome.PREEMPTED
    assert thread.state == ThreadState.INACTIVE and world.runs(world.main)
    assert isinstance(world.cap(cptr), ZombieCap)
    world.check()
    assert world.delete(cptr) == 0
    world.check()
    assert not thread.live and world.revoke(POOL) == 0
    assert address not in world.state.objects
    world.check()


@pytest.mark.parametrize("depth", [2, 5, 12])
@pytest.mark.parametrize("index", [0, 1])
def test_nested_nodes_preempted_at_every_step(depth: int, index: int) -> None:
    """Each CNode is the only content of the one before; the last contains the first: laws hold at every stop."""
    driver = Driver()
    nodes = [driver.make("CapTable", 1) for _ in range(depth)]
    assert driver.call(nodes[-1], "CNodeCopy", 1 - index, 1, nodes[0], 32, 15, caps=(CNODE,)) == 0
    for outer, inner in reversed(list(pairwise(nodes))):
        assert driver.call(outer, "CNodeMove", index, 1, inner, 32, caps=(CNODE,)) == 0
    stops = 0
    for label, slot in (("CNodeDelete", nodes[0]), ("CNodeRevoke", POOL)):
        while True:
            driver.state.work_units = 99
            driver.state.tick_pending = True
            outcome = driver.system_call("Call", CNODE, label, (slot, 32)).outcome
            driver.state.tick_pending = False
            driver.check()
            if outcome == Outcome.DONE:
                break
            assert outcome == Outcome.PREEMPTED
            stops += 1
            assert stops < 50 * depth
    assert stops >= depth
    assert not any(address >= 0x4100_0000 for address in driver.state.objects)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_rings_of_nodes_preempted_at_every_step(size: int) -> None:
    """Every CNode contains the next, the last the first, and itself: revoking their memory ends."""
    driver = Driver()
    nodes = [driver.make("CapTable", 2) for _ in range(size)]
    for position, node in enumerate(nodes):
        following = nodes[(position + 1) % size]
        for index, content in enumerate((following, node, TCB)):
            assert driver.call(node, "CNodeCopy", index, 2, content, 32, 15, caps=(CNODE,)) == 0
    for node in nodes:
        assert driver.delete(node) == 0
        driver.check()
    stops = 0
    while True:
        driver.state.work_units = 99
        driver.state.tick_pending = True
        outcome = driver.system_call("Call", CNODE, "CNodeRevoke", (POOL, 32)).outcome
        driver.check()
        if outcome == Outcome.DONE:
            break
        stops += 1
        assert stops < 200
    driver.state.tick_pending = False
    assert not any(address >= 0x4100_0000 for address in driver.state.objects)


def test_memory_being_reset_can_be_used_by_nobody() -> None:
    """The watermark goes down as chunks are cleared; what is cleared stays cleared over the stop."""
    driver = Driver()
    frame = driver.make("Section")
    address = driver.cap(frame).address
    assert driver.delete(frame) == 0
    driver.memory.write(address, b"low")
    driver.memory.write(address + (1 << 20) - 8, b"high")
    driver.state.work_units = 0
    driver.state.tick_pending = True
    slot = driver.free_slot()
    words = (driver.objects["Section"], 0, 0, 0, slot, 1)
    assert driver.system_call("Call", POOL, "UntypedRetype", words, (CNODE,)).outcome == Outcome.PREEMPTED
    # A hundred chunks of 256 bytes, from the top.
    assert driver.memory.read_word(address + (1 << 20) - 8) == 0
    assert driver.memory.read_word(address) != 0
    assert driver.slot(POOL).cap.key()[-1] == (1 << 20) - 100 * 256
    driver.check()
    assert driver.enter(SVC).outcome == Outcome.DONE
    assert driver.memory.read_word(address) == 0
    driver.check()


@pytest.mark.parametrize("prepare", [delete_node, revoke_badges, reset_memory])
def test_an_interrupt_may_come_at_any_preemption_point(prepare: Long) -> None:
    """Whoever keeps the time is told of each; the work before it is kept, and the interrupt is delivered."""
    driver = Driver()
    notification = driver.make("Notification", untyped=UNTYPED + 5)
    handler = driver.free_slot()
    assert driver.call(IRQ_CONTROL, "IRQIssueIRQHandler", 60, handler, 32, caps=(CNODE,)) == 0
    assert driver.call(handler, "IRQSetIRQHandler", caps=(notification,)) == 0
    cptr, label, words, caps = prepare(driver)
    driver.state.work_units = 0
    told = 0

    def worked() -> None:
        nonlocal told
        told += 1
        if told == 2:
            driver.kernel.raise_irq(60)

    driver.kernel.on_work(worked)
    effects = driver.system_call("Call", cptr, label, words, caps)
    assert effects.outcome == Outcome.PREEMPTED and told == 2
    assert driver.state.masked_irqs >> 60 & 1  # it has been delivered
    driver.check()
    before = told
    assert driver.enter(SVC).outcome == Outcome.DONE
    assert told > before or prepare is revoke_badges
    driver.kernel.on_work(None)
    driver.check()
