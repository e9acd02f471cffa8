"""Starting and stopping threads, and taking them out of whatever they wait for (manual 6)."""

from __future__ import annotations

from retrap.kernel import derivation, queues
from retrap.kernel.caps import ReplyCap, Tag
from retrap.kernel.deletion import delete_one
from retrap.kernel.registers import PC, RESTART_PC, write_register
from retrap.kernel.scheduler import (
    dequeue,
    enqueue,
    is_stopped,
    reschedule_required,
    set_thread_state,
)
from retrap.kernel.state import KernelState
from retrap.kernel.structures import TCB_CALLER, TCB_REPLY, Queue, Tcb, ThreadState


def setup_reply_master(thread: Tcb) -> None:
    """Give the thread the master reply capability, from which those of its calls are derived."""
    slot = thread.slots[TCB_REPLY]
    if slot.cap.tag == Tag.NULL:
        derivation.place_root(slot, ReplyCap(thread.address, True, True))


def reply_cap_of(sender: Tcb, grant: bool) -> ReplyCap:
    """The right to answer the sender's call."""
    cap = sender.reply_cap_with_grant if grant else sender.reply_cap
    if cap is None:
        cap = ReplyCap(sender.address, False, grant)
        if grant:
            sender.reply_cap_with_grant = cap
        else:
            sender.reply_cap = cap
    return cap


def setup_caller_cap(state: KernelState, sender: Tcb, receiver: Tcb, grant: bool) -> None:
    """The sender waits for a reply; the receiver gets the right to give it."""
    set_thread_state(state, sender, ThreadState.BLOCKED_ON_REPLY)
    derivation.insert(reply_cap_of(sender, grant), sender.slots[TCB_REPLY], receiver.slots[TCB_CALLER])


def cancel_ipc(state: KernelState, thread: Tcb) -> None:
    """Take the thread out of what it waits for, if it waits: it is then inactive."""
    doing = thread.state
    if (
        doing == ThreadState.BLOCKED_ON_SEND
        or doing == ThreadState.BLOCKED_ON_RECEIVE
        or doing == ThreadState.BLOCKED_ON_NOTIFICATION
    ):
        queue = thread.blocked_on
        assert isinstance(queue, Queue)
        queues.remove(queue, thread)
        thread.blocked_on = None
        set_thread_state(state, thread, ThreadState.INACTIVE)
    elif doing == ThreadState.BLOCKED_ON_REPLY:
        # The state stays as it is: whoever cancels decides what the thread does next.
        thread.fault = None
        caller = thread.slots[TCB_REPLY].next
        if caller is not None:
            delete_one(state, caller)


def suspend(state: KernelState, thread: Tcb) -> None:
    """Stop the thread (TCB_Suspend)."""
    cancel_ipc(state, thread)
    if thread.state == ThreadState.RUNNING and not state.facts.resume_repeats_call:
        # Between system calls: it is to continue where it is. (Until 10.1.1 one that had not run since its system
        # call was answered repeated the call.)
        write_register(state, thread, RESTART_PC, thread.context.words[PC])
    dequeue(state, thread)
    set_thread_state(state, thread, ThreadState.INACTIVE)


def restart(state: KernelState, thread: Tcb) -> None:
    """Start the thread, if it is stopped, from its restart PC (TCB_Resume)."""
    if is_stopped(thread):
        cancel_ipc(state, thread)
        if state.facts.reply == "capability":
            setup_reply_master(thread)
        else:
            thread.fault = None  # being resumed is all the answer that a fault gets
        set_thread_state(state, thread, ThreadState.RESTART)
        enqueue(state, thread)
        state.wakeups.wake(state, thread)


def restart_all(state: KernelState, queue: Queue) -> None:
    """Let all threads that wait repeat their system call: what they wait for is gone."""
    if queue.head is None:
        return
    for thread in queues.take_all(queue):
        thread.blocked_on = None
        set_thread_state(state, thread, ThreadState.RESTART)
        enqueue(state, thread)
    reschedule_required(state)
