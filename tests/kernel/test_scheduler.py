"""Who runs: priorities, order within one, time slices, direct switches, domains."""

from __future__ import annotations

import pytest
from kernel_driver import CNODE, DOMAIN, TCB
from retrap.kernel.effects import IDLE
from retrap.kernel.structures import Tcb, ThreadState
from threads_driver import ROOT_PRIORITY, World


@pytest.fixture
def world() -> World:
    return World()


def ready(world: World, priority: int = 0) -> list[Tcb]:
    """The ready queue of a priority, checked in both directions."""
    found: list[Tcb] = []
    thread = world.state.ready_heads[priority]
    while thread is not None:
        found.append(thread)
        thread = thread.ready_next
    backwards: list[Tcb] = []
    thread = world.state.ready_tails[priority]
    while thread is not None:
        backwards.append(thread)
        thread = thread.ready_prev
    assert backwards[::-1] == found
    return found


def test_the_highest_priority_runs(world: World) -> None:
    low = world.thread(5)
    assert world.runs(world.main)
    high = world.thread(200)
    assert world.runs(high)
    world.call(world.tcbs[2], "TCBSuspend")
    assert world.runs(world.main)
    world.call(TCB, "TCBSuspend")
    assert world.runs(low)
    world.call(world.tcbs[1], "TCBSuspend")
    assert world.kernel.current.number == IDLE
    assert world.kernel.space is world.state.no_space
    world.check()


def test_yield_goes_to_the_tail(world: World) -> None:
    first = world.thread(ROOT_PRIORITY)
    second = world.thread(ROOT_PRIORITY)
    # Resume puts a thread at the head of its queue.
    assert ready(world, ROOT_PRIORITY) == [second, first]
    world.system_call("Yield", 0)
    assert world.runs(second)
    world.system_call("Yield", 0)
    assert world.runs(first)
    world.system_call("Yield", 0)
    assert world.runs(world.main)


def test_time_slices(world: World) -> None:
    other = world.thread(ROOT_PRIORITY)
    world.tick(4)
    assert world.runs(world.main)
    world.tick()
    assert world.runs(other)
    world.tick(5)
    assert world.runs(world.main)


def test_a_slice_is_not_renewed_by_blocking(world: World) -> None:
    notification = world.make("Notification")
    other = world.thread(ROOT_PRIORITY)
    world.tick(3)
    world.send(notification)
    world.recv(notification)
    assert world.main.time_slice == 2
    world.tick(2)
    assert world.runs(other)


def test_alone_the_slice_starts_again(world: World) -> None:
    world.tick(5)
    assert world.runs(world.main) and world.main.time_slice == 5


def test_interrupt_when_idle(world: World) -> None:
    world.call(TCB, "TCBSuspend")
    world.tick(12)
    assert world.kernel.current.number == IDLE
    assert not world.kernel.waits_for_time()


def test_send_between_equals_does_not_switch(world: World) -> None:
    endpoint = world.make("Endpoint")
    server = world.thread(ROOT_PRIORITY)
    world.system_call("Yield", 0)
    assert world.runs(server)
    world.recv(endpoint)
    world.send(endpoint, 1)
    assert world.runs(world.main)
    assert ready(world, ROOT_PRIORITY) == [server]


def test_call_between_equals_switches(world: World) -> None:
    endpoint = world.make("Endpoint")
    third = world.thread(ROOT_PRIORITY)
    server = world.thread(ROOT_PRIORITY)
    world.system_call("Yield", 0)
    assert world.runs(server)
    world.recv(endpoint)
    assert world.runs(third)
    world.system_call("Yield", 0)
    world.ipc_call(endpoint, 1)
    # Directly, past the thread that has been ready for longer.
    assert world.runs(server)
    assert ready(world, ROOT_PRIORITY) == [third]


def test_call_to_a_lower_priority_lets_a_middle_one_run(world: World) -> None:
    endpoint = world.make("Endpoint")
    server = world.thread(5)
    middle = world.thread(7)
    world.call(TCB, "TCBSetPriority", 3, caps=(TCB,))
    assert world.runs(middle)
    world.call(world.tcbs[2], "TCBSuspend")
    assert world.runs(server)
    world.recv(endpoint)
    assert world.runs(world.main)
    world.call(TCB, "TCBSetPriority", 20, caps=(TCB,))
    world.call(world.tcbs[2], "TCBResume")
    world.ipc_call(endpoint)
    assert world.runs(middle)
    assert ready(world, 5) == [server]


def test_raising_another_thread_switches_to_it(world: World) -> None:
    other = world.thread(5)
    assert world.call(world.tcbs[1], "TCBSetPriority", 50, caps=(TCB,)) == 0
    assert world.runs(other)
    assert ready(world, ROOT_PRIORITY) == [world.main]


def test_lowering_oneself_gives_way(world: World) -> None:
    other = world.thread(5)
    world.call(TCB, "TCBSetPriority", 4, caps=(TCB,))
    assert world.runs(other)


def test_lowering_oneself_to_an_equal_goes_first(world: World) -> None:
    world.thread(5)
    world.call(TCB, "TCBSetPriority", 5, caps=(TCB,))
    assert world.runs(world.main)


def test_priorities_are_bounded_by_the_authority(world: World) -> None:
    thread = world.thread(5, start=False)
    cptr = world.tcbs[1]
    assert world.call(cptr, "TCBSetMCPriority", 20, caps=(TCB,)) == 0
    assert thread.max_priority == 20
    assert world.call(TCB, "TCBSetPriority", 21, caps=(cptr,)) == 4
    assert world.effects.error_words == [0, 20]
    assert world.call(TCB, "TCBSetPriority", 0xFFFF_FFFF, caps=(TCB,)) == 4
    assert world.effects.error_words == [0, 255]
    assert world.call(TCB, "TCBSetMCPriority", 21, caps=(cptr,)) == 4
    assert world.call(cptr, "TCBSetSchedParams", 21, 3, caps=(cptr,)) == 4
    assert world.call(cptr, "TCBSetSchedParams", 3, 21, caps=(cptr,)) == 4
    assert world.call(cptr, "TCBSetSchedParams", 4, 20, caps=(cptr,)) == 0
    assert (thread.max_priority, thread.priority) == (4, 20)
    for method, words in (("TCBSetPriority", (1,)), ("TCBSetMCPriority", (1,)), ("TCBSetSchedParams", (1, 1))):
        assert world.call(cptr, method, *words, caps=(CNODE,)) == 2
        assert world.effects.error_words == [1]
        assert world.call(cptr, method, *words) == 7
        assert world.call(cptr, method, *words[1:], caps=(TCB,)) == 7


def test_two_wakeups_in_one_entry_queue_both(world: World) -> None:
    endpoint = world.make("Endpoint")
    server = world.thread(100)
    world.recv(endpoint)
    client = world.thread(50)
    world.ipc_call(endpoint)
    assert world.runs(server)
    sender = world.thread(60)
    assert world.runs(server)
    # Answering wakes the client, receiving wakes the next sender; both are below the server, which goes on.
    world.system_call("Yield", 0)
    world.send(endpoint) if world.runs(sender) else None
    world.reply_recv(endpoint)
    assert client.state == ThreadState.RUNNING
    world.check()


def test_domains() -> None:
    world = World(num_domains=2)
    assert len(world.state.domain_schedule) == 100
    assert world.call(DOMAIN, "DomainScheduleConfigure", 1, 1, 3, 0) == 0
    assert world.call(DOMAIN, "DomainScheduleConfigure", 0, 0, 2, 0) == 0
    other = world.thread(1, start=False)
    assert world.call(DOMAIN, "DomainSetSet", 1, caps=(world.tcbs[1],)) == 0
    world.call(world.tcbs[1], "TCBResume")
    assert world.runs(world.main)
    world.call(DOMAIN, "DomainScheduleSetStart", 0)
    # The schedule starts again at once: two ticks of domain 0, three of domain 1.
    assert world.runs(world.main)
    world.tick(2)
    assert world.runs(other)
    world.tick(3)
    assert world.runs(world.main)
    world.check()


def test_idle_domain_waits_for_time() -> None:
    world = World(num_domains=2)
    assert world.call(DOMAIN, "DomainScheduleConfigure", 1, 1, 3, 0) == 0
    assert world.call(DOMAIN, "DomainScheduleConfigure", 0, 0, 2, 0) == 0
    world.call(DOMAIN, "DomainScheduleSetStart", 0)
    world.tick(2)
    assert world.kernel.current.number == IDLE
    assert world.kernel.waits_for_time()
    world.tick(3)
    assert world.runs(world.main)
