"""What changed in priorities and in who runs next: each trigger on the release before and the one after."""

from __future__ import annotations

import pytest
from kernel_driver import BUFFER, CNODE, IPC_BUFFER, IRQ_CONTROL, TCB
from release_driver import Guests
from retrap.kernel.structures import ThreadState
from retrap.kernel.wire import Error
from retrap.machine.context import Slot

_REFUSALS = [("3.2.0", Error.ILLEGAL_OPERATION, []), ("4.0.0", Error.RANGE, [0, 120])]
_PREEMPTS = [("8.0.0", False), ("9.0.0", True), ("10.1.1", True), ("11.0.0", True)]


@pytest.mark.parametrize(("name", "error", "words"), _REFUSALS)
def test_priority_above_ones_own(name: str, error: int, words: list[int]) -> None:
    k = Guests(name)
    thread = k.thread(100)
    if name == "4.0.0":
        assert k.call(k.tcbs[thread.number], "TCBSetMCPriority", 120) == 0
    k.run(thread)
    assert k.runs(thread)
    k.call(k.tcbs[thread.number], "TCBSetPriority", 200)
    assert (k.effects.error, k.effects.error_words) == (error, words)
    # Within the limit of the release it can.
    error = k.call(k.tcbs[thread.number], "TCBSetPriority", 110)
    assert error == (Error.ILLEGAL_OPERATION if name == "3.2.0" else 0)


def test_only_eight_bits_of_a_priority_counted_until_3_2() -> None:
    k = Guests("3.2.0")
    thread = k.thread(100)
    assert k.call(k.tcbs[thread.number], "TCBSetPriority", 0x305) == 0
    assert thread.priority == 5


@pytest.mark.parametrize(("name", "receiver_first"), [("7.0.0", True), ("8.0.0", False)])
def test_sending_to_an_equal(name: str, receiver_first: bool) -> None:
    k = Guests(name)
    endpoint = k.make("Endpoint")
    sender, receiver = k.thread(50), k.thread(50)
    # The thread that is resumed last is at the head of its queue.
    k.run(sender, receiver)
    assert k.runs(receiver)
    k.recv(endpoint)
    assert k.runs(sender)
    k.system_call("NBSend", endpoint, 0, (1,))
    assert k.runs(receiver if receiver_first else sender)


def test_signalling_an_equal_never_switched() -> None:
    for name in ("7.0.0", "8.0.0"):
        k = Guests(name)
        notification = k.make("Notification")
        sender, receiver = k.thread(50), k.thread(50)
        k.run(sender, receiver)
        k.recv(notification)
        assert k.runs(sender)
        k.send(notification)
        assert k.runs(sender) and receiver.state == ThreadState.RUNNING
        # Who woke up first queues at the head until 7.0.0, at the tail since.
        k.system_call("Yield", 0)
        assert k.runs(receiver)


def test_an_idle_system_does_not_see_priority_0_wake_up_until_7() -> None:
    for name in ("7.0.0", "8.0.0"):
        k = Guests(name)
        notification, handler = k.make("Notification"), k.free_slot()
        assert k.call(IRQ_CONTROL, "IRQIssueIRQHandler", 50, handler, 32, caps=(CNODE,)) == 0
        assert k.call(handler, "IRQSetIRQHandler", caps=(notification,)) == 0
        assert k.set_priority(TCB, 0) == 0
        k.recv(notification)
        assert k.kernel.current is k.state.idle
        k.kernel.raise_irq(50)
        k.tick()
        assert k.main.state == ThreadState.RUNNING
        assert k.runs(k.main) == (name == "8.0.0")
        assert not k.kernel.waits_for_time()


@pytest.mark.parametrize(
    ("name", "at_once"), [("8.0.0", False), ("9.0.0", True), ("10.1.1", True), ("11.0.0", True)]
)
def test_raising_a_ready_thread_above_oneself(name: str, at_once: bool) -> None:
    k = Guests(name)
    low = k.thread(50)
    k.run(low, below=100)
    assert k.runs(k.main)
    assert k.set_priority(k.tcbs[low.number], 150) == 0
    assert k.runs(low) == at_once
    k.system_call("Yield", 0)
    assert k.runs(low)


@pytest.mark.parametrize(
    ("name", "goes_on"), [("8.0.0", True), ("9.0.0", True), ("10.1.1", True), ("11.0.0", True)]
)
def test_an_equal_raised_thread_lets_the_caller_go_on(name: str, goes_on: bool) -> None:
    k = Guests(name)
    low = k.thread(50)
    k.run(low, below=100)
    assert k.set_priority(k.tcbs[low.number], 100) == 0
    assert k.runs(k.main)


def test_setting_a_priority_takes_an_authority_since_9() -> None:
    old, new = Guests("8.0.0"), Guests("9.0.0")
    for k, error in ((old, 0), (new, Error.TRUNCATED_MESSAGE)):
        thread = k.thread(10)
        assert k.call(k.tcbs[thread.number], "TCBSetPriority", 20) == error
        frame = k.make("SmallPage")
        four = k.call(k.tcbs[thread.number], "TCBConfigure", 0, 0, 0, 0x30_0000, caps=(2, 3, frame))
        assert four == (Error.TRUNCATED_MESSAGE if k is old else 0)


def test_configure_checked_priorities_before_anything_else() -> None:
    k = Guests("8.0.0")
    low = k.thread(100)
    k.run(low)
    # A wrong buffer as well: the priority is what is complained about.
    k.call(k.tcbs[low.number], "TCBConfigure", 0, 0x0100 | 200, 0, 0, 4, caps=(2, 3, 2))
    assert (k.effects.error, k.effects.error_words) == (Error.RANGE, [0, 0])


@pytest.mark.parametrize("name", ["3.2.0", "4.0.0", "10.1.1", "11.0.0"])
def test_where_a_thread_finds_its_buffer(name: str) -> None:
    k = Guests(name)
    thread = k.thread(50)
    seen = {
        "3.2.0": lambda: k.memory.read_word(k.state.plan.globals_frame),
        "11.0.0": lambda: 0,
    }.get(name, lambda: k.context.words[Slot.TPIDRURW])
    expected = 0 if name == "11.0.0" else IPC_BUFFER
    assert seen() == expected
    # One's own new buffer shows at once in the register, at the next switch in the globals frame.
    assert k.call(TCB, "TCBSetIPCBuffer", IPC_BUFFER + 0x200, caps=(BUFFER,)) == 0
    assert seen() == (IPC_BUFFER if name == "3.2.0" else expected and IPC_BUFFER + 0x200)
    k.system_call("Yield", 0)
    assert seen() == (expected and IPC_BUFFER + 0x200)
    k.run(thread)
    assert k.runs(thread)
    assert seen() == (expected and thread.buffer_address)
    assert (0xFFFF_C000 >> 12 in k.kernel.space.pages) == (name == "3.2.0")
    k.check()


@pytest.mark.parametrize(("name", "value"), [("3.2.0", 0x1234), ("10.1.1", None), ("11.0.0", 0)])
def test_whose_the_thread_id_register_is(name: str, value: int | None) -> None:
    k = Guests(name)
    thread = k.thread(50)
    k.context.words[Slot.TPIDRURW] = 0x1234
    k.run(thread)
    assert k.runs(thread)
    assert k.context.words[Slot.TPIDRURW] == (thread.buffer_address if value is None else value)


@pytest.mark.parametrize(("name", "enabled"), [("5.2.0", 0), ("6.0.0", 1), ("13.0.0", 1)])
def test_floating_point_since_6(name: str, enabled: int) -> None:
    k = Guests(name)
    assert k.main.context.words[Slot.FPEXC_EN] == enabled
    assert k.thread(5).context.words[Slot.FPEXC_EN] == enabled


def test_domains_had_a_schedule_of_their_own_until_14() -> None:
    for name in ("14.0.0", "15.0.0"):
        k = Guests(name, num_domains=4)
        assert k.state.domain_schedule[0][1] == (1 if name == "14.0.0" else (1 << 56) - 1)
        k.tick(3)
        assert k.runs(k.main) and k.state.domain == 0
