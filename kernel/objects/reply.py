"""Reply capabilities: the right to answer a call, once (manual 4.2.4)."""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import ReplyCap, Tag
from retrap.kernel.deletion import delete_one
from retrap.kernel.failures import invalid_capability
from retrap.kernel.message import Invocation, Message
from retrap.kernel.scheduler import set_thread_state
from retrap.kernel.slots import Slot
from retrap.kernel.state import KernelState
from retrap.kernel.structures import TCB_CALLER, Tcb, ThreadState
from retrap.kernel.transfer import apply_fault_reply, transfer


def reply(state: KernelState, sender: Tcb, slot: Slot, cap: ReplyCap) -> None:
    """Answer the thread that waits for a reply: its call, or its fault. The capability in `slot` is used up."""
    receiver = state.objects[cap.address]
    assert isinstance(receiver, Tcb)
    if receiver.fault is None:
        transfer(state, sender, None, 0, cap.grant, receiver, False)
        delete_one(state, slot)
        set_thread_state(state, receiver, ThreadState.RUNNING)
        state.wakeups.hand_over(state, receiver)
        return
    delete_one(state, slot)
    goes_on = apply_fault_reply(state, sender, receiver)
    receiver.fault = None
    if goes_on:
        set_thread_state(state, receiver, ThreadState.RESTART)
        state.wakeups.hand_over(state, receiver)
    else:
        set_thread_state(state, receiver, ThreadState.INACTIVE)


def reply_to_caller(state: KernelState) -> bool:
    """Answer the running thread's last caller (system calls Reply, ReplyRecv); whether there was one."""
    thread = state.current
    slot = thread.slots[TCB_CALLER]
    cap = slot.cap
    if cap.tag == Tag.NULL:
        return False
    assert isinstance(cap, ReplyCap) and not cap.master
    reply(state, thread, slot, cap)
    return True


def delete_caller_cap(state: KernelState, thread: Tcb) -> None:
    """A thread that receives again gives up answering its last caller."""
    slot = thread.slots[TCB_CALLER]
    if slot.cap.tag != Tag.NULL:
        delete_one(state, slot)


@final
class Reply(Invocation):
    """Answer through a saved reply capability."""

    __slots__ = ("cap", "slot")

    def __init__(self, slot: Slot, cap: ReplyCap) -> None:
        self.slot: Final = slot
        self.cap: Final = cap

    def perform(self, state: KernelState) -> list[int] | None:
        reply(state, state.current, self.slot, self.cap)
        return None


def decode(state: KernelState, slot: Slot, cap: ReplyCap, message: Message) -> Invocation:
    """Only a thread's own reply slot holds a master capability, and it cannot be invoked."""
    if cap.master:
        raise invalid_capability(0, "a master reply capability cannot be invoked")
    return Reply(slot, cap)
