"""What changed in messages, replies and faults: each trigger on the release before and the one after."""

from __future__ import annotations

import pytest
from kernel_driver import CNODE, IRQ_CONTROL
from release_driver import Guests
from retrap.kernel.caps import GRANT, READ, WRITE, EndpointCap
from retrap.kernel.effects import Outcome
from retrap.kernel.structures import ThreadState
from retrap.kernel.wire import Error, message_info
from retrap.machine.traps import SVC, Trap, TrapKind


@pytest.mark.parametrize(("name", "word", "info"), [("1.0.4", 0x11, 1), ("2.0.0", 0x77, 0)])
def test_signals_carried_a_word_until_1_0_4(name: str, word: int, info: int) -> None:
    k = Guests(name)
    notification = k.make("Notification")
    five, two = k.mint(notification, 5), k.mint(notification, 2)
    k.send(five, 0x10)
    k.send(two, 1)
    words = k.main.context.words
    words[2] = 0x77
    k.system_call("Recv", notification, 0)
    assert (words[0], words[1], words[2]) == (7, info, word)


@pytest.mark.parametrize(("name", "word"), [("1.0.4", 1 << 18), ("2.0.0", 0x77)])
def test_interrupts_carried_a_word_until_1_0_4(name: str, word: int) -> None:
    k = Guests(name)
    notification, handler = k.make("Notification"), k.free_slot()
    assert k.call(IRQ_CONTROL, "IRQIssueIRQHandler", 50, handler, 32, caps=(CNODE,)) == 0
    assert k.call(handler, "IRQSetIRQHandler", caps=(notification,)) == 0
    k.kernel.raise_irq(50)
    k.tick()
    words = k.main.context.words
    words[2] = 0x77
    k.recv(notification)
    assert words[2] == word


def test_system_call_minus_8_printed_until_1_0_4() -> None:
    for name in ("1.0.4", "2.0.0"):
        k = Guests(name)
        words = k.main.context.words
        words[0], words[7] = ord("A"), -8 & 0xFFFF_FFFF
        effects = k.enter(SVC)
        if name == "1.0.4":
            assert bytes(effects.console) == b"A" and effects.fault == ""
        else:
            assert bytes(effects.console) == b"" and effects.fault == "CapFault"
            assert effects.fault_words[1:3] == [65, 1]


@pytest.mark.parametrize(("name", "answered"), [("1.0.3", False), ("1.0.4", True)])
def test_waiting_for_a_signal_gave_up_the_caller_in_1_0_3(name: str, answered: bool) -> None:
    k = Guests(name)
    endpoint, notification = k.make("Endpoint"), k.make("Notification")
    server, client = k.thread(100), k.thread(50)
    k.send(notification)
    k.run(server, client)
    k.recv(endpoint)
    assert k.runs(client)
    k.ipc_call(endpoint, 7)
    assert k.runs(server)
    k.recv(notification)
    assert k.runs(server)
    k.reply(8)
    assert (client.state == ThreadState.BLOCKED_ON_REPLY) != answered
    if answered:
        assert client.context.words[2] == 8


@pytest.mark.parametrize(("name", "diminishes"), [("2.1.0", True), ("3.0.0", False)])
def test_receive_only_servers_diminished_until_2_1(name: str, diminishes: bool) -> None:
    k = Guests(name)
    endpoint, gift = k.make("Endpoint"), k.make("Endpoint")
    frame = k.make("SmallPage")
    receive_only = k.copy(endpoint, READ)
    server, client = k.thread(100), k.thread(50)
    first, second = k.free_slot(), k.free_slot()
    k.run(server, client)
    k.receive_into(server, first)
    k.recv(receive_only)
    k.ipc_call(endpoint, caps=(gift,))
    assert k.runs(server)
    cap = k.cap(first)
    assert isinstance(cap, EndpointCap)
    assert cap.rights == (READ | GRANT if diminishes else READ | WRITE | GRANT)
    assert client.state == (ThreadState.INACTIVE if diminishes else ThreadState.BLOCKED_ON_REPLY)
    k.reply()
    assert (client.state == ThreadState.INACTIVE) == diminishes
    if not diminishes:
        return
    # Frames lose their write rights, too.
    assert k.call(k.tcbs[client.number], "TCBResume") == 0
    k.receive_into(server, second)
    k.recv(receive_only)
    assert k.runs(client)
    k.ipc_call(endpoint, caps=(frame,))
    assert k.cap(second).key()[4] == 2


@pytest.mark.parametrize(("name", "label"), [("3.2.0", 2), ("4.0.0", 5)])
def test_vm_faults_had_label_2_until_3_2(name: str, label: int) -> None:
    k = Guests(name)
    endpoint = k.make("Endpoint")
    thread, handler = k.thread(50, handler=endpoint), k.thread(100)
    k.run(thread, handler)
    k.recv(endpoint)
    assert k.runs(thread)
    k.enter(Trap(TrapKind.DATA_ABORT, 0x5000, 5))
    assert k.runs(handler)
    assert handler.context.words[1] == message_info(label, 0, 0, 4)
    assert handler.context.words[3] == 0x5000


@pytest.mark.parametrize(("name", "reply"), [("10.1.1", False), ("11.0.0", True)])
def test_grant_reply_since_11(name: str, reply: bool) -> None:
    k = Guests(name)
    endpoint = k.make("Endpoint")
    plain, grant_reply = k.copy(endpoint, WRITE), k.copy(endpoint, 9)
    server, client = k.thread(100), k.thread(50)
    k.run(server, client)
    k.recv(endpoint)
    k.ipc_call(plain)
    assert k.runs(server) and client.state == ThreadState.INACTIVE
    assert k.call(k.tcbs[client.number], "TCBResume") == 0
    k.recv(endpoint)
    k.ipc_call(grant_reply)
    assert client.state == (ThreadState.BLOCKED_ON_REPLY if reply else ThreadState.INACTIVE)


@pytest.mark.parametrize(("name", "transferred"), [("10.1.1", True), ("11.0.0", False)])
def test_replies_needed_no_grant_until_10(name: str, transferred: bool) -> None:
    k = Guests(name)
    endpoint, gift = k.make("Endpoint"), k.make("Endpoint")
    no_grant = k.copy(endpoint, READ | WRITE)
    server, client = k.thread(100), k.thread(50)
    target = k.free_slot()
    k.run(server, client)
    k.recv(no_grant)
    k.receive_into(client, target)
    k.ipc_call(endpoint)
    k.reply(caps=(gift,))
    assert (client.context.words[1] >> 7 & 3 == 1) == transferred
    assert isinstance(k.cap(target), EndpointCap) == transferred


@pytest.mark.parametrize(("name", "allowed"), [("10.1.1", True), ("11.0.0", False)])
def test_cancelling_takes_all_rights(name: str, allowed: bool) -> None:
    k = Guests(name)
    badged = k.mint(k.make("Endpoint"), 5, rights=7)
    error = k.call(CNODE, "CNodeCancelBadgedSends", badged, 32)
    assert error == (0 if allowed else Error.ILLEGAL_OPERATION)


@pytest.mark.parametrize(("name", "repeats"), [("10.1.1", True), ("11.0.0", False)])
def test_resuming_repeated_an_answered_call_until_10(name: str, repeats: bool) -> None:
    k = Guests(name)
    endpoint = k.mint(k.make("Endpoint"), 9)
    receiver, sender = k.thread(50), k.thread(100)
    k.run(receiver)
    k.recv(endpoint)
    assert k.call(k.tcbs[sender.number], "TCBResume") == 0
    assert k.runs(sender)
    k.send(endpoint, 0x42)
    assert receiver.state == ThreadState.RUNNING and k.runs(sender)
    after = receiver.context.words[15]
    assert k.call(k.tcbs[receiver.number], "TCBSuspend") == 0
    assert k.call(k.tcbs[receiver.number], "TCBResume") == 0
    k.recv(k.make("Endpoint"))
    assert k.runs(receiver)
    assert receiver.context.words[15] == (after - 4 if repeats else after)
    assert receiver.context.words[0] == 9 and receiver.context.words[2] == 0x42


@pytest.mark.parametrize("name", ["12.1.0", "13.0.0"])
def test_a_reply_to_nobody(name: str) -> None:
    k = Guests(name)
    effects = k.reply(1)
    assert effects.outcome == Outcome.IGNORED
    assert ("complains" in effects.reason) == (name == "12.1.0")


@pytest.mark.parametrize(
    ("name", "waits"), [("1.0.3", True), ("10.1.1", True), ("11.0.0", False), ("16.0.0", False)]
)
@pytest.mark.parametrize("receiver_waits", [True, False])
def test_a_fault_that_was_taken_back_is_what_the_next_send_delivers(
    name: str, waits: bool, receiver_waits: bool
) -> None:
    k = Guests(name)
    handler, endpoint = k.make("Endpoint"), k.make("Endpoint")
    thread, receiver = k.thread(50, handler=handler), k.thread(100)
    k.run(thread, *((receiver,) if receiver_waits else ()), below=20)
    if receiver_waits:
        k.recv(endpoint)
    assert k.runs(thread)
    k.enter(Trap(TrapKind.DATA_ABORT, 0x5000, 5))
    assert thread.state == ThreadState.BLOCKED_ON_SEND and k.runs(k.main)
    # The initial thread takes the message back. What made it fault is no more: it goes on with something else.
    assert k.call(k.tcbs[thread.number], "TCBSuspend") == 0
    assert k.call(k.tcbs[thread.number], "TCBResume") == 0
    assert k.runs(thread)
    k.send(endpoint, 7)
    if not receiver_waits:
        assert k.runs(k.main)
        assert k.call(k.tcbs[receiver.number], "TCBResume") == 0
        assert k.runs(receiver)
        k.recv(endpoint)
    assert receiver.context.words[1] == message_info(k.state.release.fault_labels["VMFault"], 0, 0, 4)
    assert receiver.context.words[3] == 0x5000
    assert thread.state == (ThreadState.BLOCKED_ON_REPLY if waits else ThreadState.RUNNING)
    assert k.runs(receiver)
    k.reply()
    # Without a reply to it, the fault stays.
    assert (thread.fault is None) == waits
    k.check()


def test_what_debug_calls_print_of_threads() -> None:
    for name in ("8.0.0", "9.0.0"):
        k = Guests(name)
        k.thread(50)
        rows = k.system_call("DebugDumpScheduler", 0).console.decode().splitlines()
        assert rows[1].endswith("\t Prio" if name == "8.0.0" else "\t Prio \t Core")
        assert {row.count("\t") for row in rows[3:]} == ({3} if name == "8.0.0" else {4})
        text = k.system_call("DebugSnapshot", 0).console.decode()
        assert ('"rootserver"' in text) == (name == "9.0.0")
