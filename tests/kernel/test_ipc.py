"""Messages between threads: words, badges, capabilities, replies, and who runs afterwards."""

from __future__ import annotations

import pytest
from kernel_driver import CNODE, TCB
from retrap.kernel.caps import NULL, CNodeCap, EndpointCap, ReplyCap
from retrap.kernel.effects import IDLE, Outcome
from retrap.kernel.structures import TCB_CALLER, ThreadState
from retrap.machine.traps import SVC
from threads_driver import World


@pytest.fixture
def world() -> World:
    return World()


def test_call_and_reply(world: World) -> None:
    endpoint = world.make("Endpoint")
    server = world.thread()
    assert world.runs(server)
    assert world.recv(endpoint).outcome == Outcome.BLOCKED
    assert world.runs(world.main)
    badged = world.mint(endpoint, 0x77)
    effects = world.ipc_call(badged, 1, 2, 3, label=5)
    assert effects.outcome == Outcome.BLOCKED
    assert effects.target is not None and effects.target[0] == "Endpoint" and effects.target[2] == 0x77
    assert world.runs(server)
    assert world.got(server, 3) == (0x77, world.info(5, 3), [1, 2, 3])
    assert world.main.state == ThreadState.BLOCKED_ON_REPLY
    effects = world.reply_recv(endpoint, 9, 8, label=6)
    assert effects.outcome == Outcome.BLOCKED
    assert world.runs(world.main)
    # The third message register keeps what the caller had in it.
    assert world.got(world.main, 3) == (0, world.info(6, 2), [9, 8, 3])
    world.check()


def test_a_waiting_sender_is_received_from_later(world: World) -> None:
    endpoint = world.make("Endpoint")
    badged = world.mint(endpoint, 3)
    client = world.thread()
    world.send(badged, *range(50, 60), label=2)
    assert client.state == ThreadState.BLOCKED_ON_SEND
    assert world.runs(world.main)
    effects = world.recv(endpoint)
    assert client.state == ThreadState.RUNNING
    assert world.runs(client)
    assert world.got(world.main, 4) == (3, world.info(2, 10), [50, 51, 52, 53])
    assert list(world.buffer(world.main)[5:11]) == list(range(54, 60))
    assert effects.reads == [(1, 5, list(range(54, 60)))]
    assert effects.buffer_writes == [(0, 5, list(range(54, 60)))]
    world.check()


def test_without_a_buffer_only_four_words_travel(world: World) -> None:
    endpoint = world.make("Endpoint")
    server = world.thread(buffer=False)
    world.recv(endpoint)
    world.send(endpoint, *range(1, 9))
    assert world.got(server, 4) == (0, world.info(0, 4), [1, 2, 3, 4])


def test_length_is_cut_to_120(world: World) -> None:
    endpoint = world.make("Endpoint")
    server = world.thread()
    world.recv(endpoint)
    context = world.main.context.words
    context[0], context[1], context[7] = endpoint, 127, -3 & 0xFFFF_FFFF
    world.enter(SVC)
    assert server.context.words[1] == world.info(0, 120)


def test_capability_transfer(world: World) -> None:
    endpoint = world.make("Endpoint")
    other = world.make("Endpoint")
    server = world.thread()
    slot = world.free_slot()
    world.receive_into(server, slot)
    world.recv(endpoint)
    world.send(endpoint, 1, caps=(other,))
    assert world.got(server) == (0, world.info(0, 1, extra=1), [])
    assert world.cap(slot) == world.cap(other)
    world.check()


def test_transfer_needs_grant(world: World) -> None:
    endpoint = world.make("Endpoint")
    without = world.copy(endpoint, rights=3)
    server = world.thread()
    slot = world.free_slot()
    world.receive_into(server, slot)
    world.recv(endpoint)
    world.send(without, 1, caps=(CNODE,))
    assert world.got(server) == (0, world.info(0, 1), [])
    assert world.cap(slot) is NULL


def test_a_capability_to_the_endpoint_itself_is_unwrapped(world: World) -> None:
    endpoint = world.make("Endpoint")
    badged = world.mint(endpoint, 0x123)
    other = world.make("Endpoint")
    server = world.thread()
    slot = world.free_slot()
    world.receive_into(server, slot)
    world.recv(endpoint)
    world.send(endpoint, caps=(badged, other, badged))
    assert world.got(server) == (0, world.info(0, 0, extra=3, unwrapped=0b101), [])
    assert list(world.buffer(server)[122:125:2]) == [0x123, 0x123]
    assert world.cap(slot) == world.cap(other)


@pytest.mark.parametrize("case", ["none named", "occupied", "second capability", "cannot be copied"])
def test_transfer_stops_quietly(world: World, case: str) -> None:
    endpoint = world.make("Endpoint")
    other = world.make("Endpoint")
    server = world.thread()
    slot = world.free_slot()
    world.receive_into(server, other if case == "occupied" else slot)
    if case == "none named":
        world.buffer(server)[125] = 4000
    world.recv(endpoint)
    given = {"second capability": (other, CNODE), "cannot be copied": (4,)}.get(case, (other,))
    world.send(endpoint, caps=given)
    received = 1 if case == "second capability" else 0
    assert world.got(server) == (0, world.info(0, 0, extra=received), [])


def test_extra_capability_pointer_to_nowhere_faults_the_sender(world: World) -> None:
    endpoint = world.make("Endpoint")
    short = world.make("CapTable", 4)
    client = world.thread(start=False)
    assert world.call(world.tcbs[1], "TCBSetSpace", 0, 0, 0, caps=(short, 3)) == 0
    assert world.call(CNODE, "CNodeCopy", endpoint, 32, 1, 32, 15, caps=(CNODE,)) == 8
    assert world.call(short, "CNodeCopy", 1, 4, endpoint, 32, 15, caps=(CNODE,)) == 0
    assert world.call(world.tcbs[1], "TCBResume") == 0
    assert world.runs(client)
    effects = world.send(1 << 28, 1, caps=(0x5000_0000,))
    # A CSpace of four bits: the rest of the pointer is ignored, so both lead to slots.
    assert effects.outcome == Outcome.BLOCKED
    world.check()


def test_reply_without_grant_gives_no_capabilities(world: World) -> None:
    endpoint = world.make("Endpoint")
    receive_only = world.copy(endpoint, rights=2)
    server = world.thread()
    world.recv(receive_only)
    slot = world.free_slot()
    world.receive_into(world.main, slot)
    world.ipc_call(endpoint)
    world.reply(caps=(CNODE,))
    assert world.cap(slot) is NULL
    assert server.state == ThreadState.RUNNING


def test_reply_with_grant_gives_capabilities(world: World) -> None:
    endpoint = world.make("Endpoint")
    world.thread()
    world.recv(endpoint)
    slot = world.free_slot()
    world.receive_into(world.main, slot)
    world.ipc_call(endpoint)
    world.reply(caps=(CNODE,))
    assert isinstance(world.cap(slot), CNodeCap)


def test_call_without_grant_or_grant_reply_waits_for_ever(world: World) -> None:
    endpoint = world.make("Endpoint")
    weak = world.copy(endpoint, rights=3)
    server = world.thread()
    world.recv(endpoint)
    world.ipc_call(weak, 1)
    assert world.main.state == ThreadState.INACTIVE
    assert server.slots[TCB_CALLER].cap is NULL
    world.recv(endpoint)
    assert world.kernel.current.number == IDLE


def test_call_with_grant_reply_alone_can_be_answered(world: World) -> None:
    endpoint = world.make("Endpoint")
    weak = world.copy(endpoint, rights=8 | 1)
    server = world.thread()
    world.recv(endpoint)
    world.ipc_call(weak, 1)
    assert server.slots[TCB_CALLER].cap == ReplyCap(world.main.address, False, True)


def test_save_caller_and_answer_later(world: World) -> None:
    endpoint = world.make("Endpoint")
    server = world.thread()
    world.recv(endpoint)
    saved = world.free_slot()
    world.ipc_call(endpoint, 1)
    assert world.call(CNODE, "CNodeSaveCaller", saved, 32) == 0
    assert isinstance(world.cap(saved), ReplyCap)
    # Answering now reaches nobody: the capability is elsewhere.
    assert world.reply(7).outcome == Outcome.IGNORED
    world.check()
    world.send(saved, 42)
    assert world.cap(saved) is NULL
    assert world.main.state == ThreadState.RUNNING
    assert world.main.context.words[2] == 42
    assert world.runs(server)


def test_save_caller_without_a_caller_does_nothing(world: World) -> None:
    saved = world.free_slot()
    assert world.call(CNODE, "CNodeSaveCaller", saved, 32) == 0
    assert world.cap(saved) is NULL
    assert world.call(CNODE, "CNodeSaveCaller", TCB, 32) == 8


def test_receiving_again_gives_up_the_caller(world: World) -> None:
    endpoint = world.make("Endpoint")
    world.thread()
    world.recv(endpoint)
    world.ipc_call(endpoint)
    world.recv(endpoint)
    assert world.main.state == ThreadState.BLOCKED_ON_REPLY
    assert world.kernel.current.number == IDLE
    world.check()


def test_nonblocking_calls(world: World) -> None:
    endpoint = world.make("Endpoint")
    effects = world.system_call("NBSend", endpoint, 0, (1,))
    assert effects.outcome == Outcome.IGNORED
    assert world.runs(world.main)
    words = world.main.context.words
    before = words[1]
    effects = world.system_call("NBRecv", endpoint)
    assert effects.outcome == Outcome.IGNORED
    assert words[0] == 0 and words[1] == before & ~0xFFF | 0
    effects = world.system_call("NBSend", 4000, 0, (1,))
    assert effects.outcome == Outcome.IGNORED and effects.error == 2
    assert world.runs(world.main)


@pytest.mark.parametrize("cptr", [TCB, CNODE, 0, 4000])
def test_receive_from_what_is_no_endpoint_is_a_fault(world: World, cptr: int) -> None:
    effects = world.recv(cptr)
    assert effects.outcome == Outcome.DEAD
    assert effects.fault == "CapFault"
    assert effects.fault_words[1:] == [cptr, 1, 2, 0]
    assert world.kernel.died[0][0] == 0
    assert world.kernel.current.number == IDLE


def test_rights_of_endpoints(world: World) -> None:
    endpoint = world.make("Endpoint")
    read_only = world.copy(endpoint, rights=2)
    write_only = world.copy(endpoint, rights=1)
    assert world.call(read_only, 0) == 2
    assert world.effects.error_words == [0]
    assert world.recv(write_only).fault == "CapFault"


def test_signals_collect_badges(world: World) -> None:
    notification = world.make("Notification")
    one = world.mint(notification, 1)
    two = world.mint(notification, 2)
    world.send(one)
    world.send(two)
    info = world.main.context.words[1]
    effects = world.recv(notification)
    assert effects.outcome == Outcome.DONE
    assert world.main.context.words[0] == 3
    # The message info is left alone.
    assert world.main.context.words[1] == info & ~0x7F | 0
    assert world.system_call("NBRecv", notification).outcome == Outcome.IGNORED


def test_waiters_are_woken_in_order(world: World) -> None:
    notification = world.make("Notification")
    first = world.thread()
    world.recv(notification)
    second = world.thread()
    world.recv(notification)
    badged = world.mint(notification, 4)
    world.send(badged)
    assert world.runs(first) and first.context.words[0] == 4
    world.recv(notification)
    assert world.runs(world.main)
    world.send(badged)
    assert world.runs(second)
    world.check()


def test_a_bound_notification_reaches_a_receiving_thread(world: World) -> None:
    endpoint = world.make("Endpoint")
    notification = world.make("Notification")
    badged = world.mint(notification, 8)
    server = world.thread(start=False)
    assert world.call(world.tcbs[1], "TCBBindNotification", caps=(notification,)) == 0
    assert world.call(world.tcbs[1], "TCBBindNotification", caps=(notification,)) == 3
    assert world.call(TCB, "TCBBindNotification", caps=(notification,)) == 3
    world.call(world.tcbs[1], "TCBResume")
    world.recv(endpoint)
    world.send(badged)
    assert world.runs(server) and server.context.words[0] == 8
    world.recv(endpoint)
    # While nobody receives, the badge waits, and comes before messages.
    world.call(world.tcbs[1], "TCBSuspend")
    world.send(badged)
    world.call(world.tcbs[1], "TCBResume")
    assert world.runs(server)
    world.recv(endpoint)
    assert server.context.words[0] == 8 and world.runs(server)
    # Others may not wait for it.
    world.recv(notification)
    assert world.runs(world.main)
    assert world.recv(notification).fault == "CapFault"
    world.check()


def test_unbind(world: World) -> None:
    notification = world.make("Notification")
    assert world.call(TCB, "TCBUnbindNotification") == 3
    assert world.call(TCB, "TCBBindNotification", caps=(notification,)) == 0
    assert world.call(TCB, "TCBUnbindNotification") == 0
    assert world.main.bound_notification is None
    assert world.call(TCB, "TCBBindNotification") == 7
    assert world.call(TCB, "TCBBindNotification", caps=(CNODE,)) == 3
    write_only = world.copy(notification, rights=1)
    assert world.call(TCB, "TCBBindNotification", caps=(write_only,)) == 3


def test_deleting_the_endpoint_restarts_who_waits(world: World) -> None:
    endpoint = world.make("Endpoint")
    client = world.thread()
    world.send(endpoint, 5)
    assert world.delete(endpoint) == 0
    assert world.runs(client)
    # It repeats its system call, four bytes before where it would have gone on.
    assert client.context.words[15] == 0x1_0000
    world.check()


def test_deleting_the_notification_unbinds_and_restarts(world: World) -> None:
    notification = world.make("Notification")
    world.call(TCB, "TCBBindNotification", caps=(notification,))
    assert world.delete(notification) == 0
    assert world.main.bound_notification is None
    other = world.make("Notification")
    client = world.thread()
    world.recv(other)
    assert world.delete(other) == 0
    assert world.runs(client) and client.context.words[15] == 0x1_0000
    world.check()


def test_cancel_badged_sends(world: World) -> None:
    endpoint = world.make("Endpoint")
    one = world.mint(endpoint, 1)
    two = world.mint(endpoint, 2)
    first = world.thread(100)
    world.send(one)
    second = world.thread(101)
    world.send(two)
    third = world.thread(102)
    world.send(one)
    weak = world.copy(one, rights=3)
    assert world.call(CNODE, "CNodeCancelBadgedSends", weak, 32) == 3
    assert world.call(CNODE, "CNodeCancelBadgedSends", endpoint, 32) == 0
    assert first.state == ThreadState.BLOCKED_ON_SEND
    assert world.call(CNODE, "CNodeCancelBadgedSends", one, 32) == 0
    assert world.runs(third)
    assert first.state == ThreadState.RESTART
    assert second.state == ThreadState.BLOCKED_ON_SEND
    cap = world.cap(endpoint)
    assert isinstance(cap, EndpointCap)
    assert world.state.objects[cap.address].head is second  # type: ignore[attr-defined]
    world.check()


def test_deleting_a_waiting_thread(world: World) -> None:
    endpoint = world.make("Endpoint")
    server = world.thread()
    world.recv(endpoint)
    assert world.delete(world.tcbs[1]) == 0
    assert not server.live
    world.ipc_call(endpoint)
    assert world.kernel.current.number == IDLE
    world.check()


def test_deleting_the_caller_removes_its_reply_capability(world: World) -> None:
    endpoint = world.make("Endpoint")
    client = world.thread(50)
    world.ipc_call(endpoint)
    world.recv(endpoint)
    assert isinstance(world.main.slots[TCB_CALLER].cap, ReplyCap)
    assert client.state == ThreadState.BLOCKED_ON_REPLY
    assert world.delete(world.tcbs[1]) == 0
    assert world.main.slots[TCB_CALLER].cap is NULL
    assert world.reply().outcome == Outcome.IGNORED
    world.check()


def test_a_thread_that_deletes_itself(world: World) -> None:
    client = world.thread()
    assert world.runs(client)
    effects = world.system_call("Call", CNODE, "CNodeDelete", (world.tcbs[1], 32))
    assert effects.outcome == Outcome.DONE
    assert not client.live
    assert world.runs(world.main)
    world.check()


def test_suspending_oneself(world: World) -> None:
    client = world.thread()
    world.call(world.tcbs[1], "TCBSuspend")
    assert client.state == ThreadState.INACTIVE and world.runs(world.main)
    client.context.words[0] = 0x55
    assert world.call(world.tcbs[1], "TCBResume") == 0
    # Self-suspension is not repeated: the state was Restart, so the call is executed again.
    assert world.runs(client) and client.context.words[15] == 0x1_0000
