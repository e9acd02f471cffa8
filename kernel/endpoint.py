"""Sending to and receiving from endpoints (manual 4.2)."""

from __future__ import annotations

from retrap.kernel import queues
from retrap.kernel.caps import GRANT, WRITE, EndpointCap
from retrap.kernel.notification import complete_signal, receive_failed
from retrap.kernel.scheduler import enqueue, reschedule_required, set_thread_state
from retrap.kernel.state import KernelState
from retrap.kernel.structures import EP_RECEIVE, EP_SEND, NTFN_ACTIVE, Endpoint, Tcb, ThreadState
from retrap.kernel.threads import setup_caller_cap
from retrap.kernel.transfer import transfer


def send_ipc(
    state: KernelState,
    thread: Tcb,
    endpoint: Endpoint,
    badge: int,
    blocking: bool,
    call: bool,
    can_grant: bool,
    can_grant_reply: bool,
) -> bool:
    """Send the thread's message to who waits, or wait; whether anything happened."""
    if endpoint.state != EP_RECEIVE:
        if not blocking:
            return False
        thread.blocked_on = endpoint
        thread.block_badge = badge
        thread.block_can_grant = can_grant
        thread.block_can_grant_reply = can_grant_reply
        thread.block_is_call = call
        set_thread_state(state, thread, ThreadState.BLOCKED_ON_SEND)
        queues.append(endpoint, thread)
        endpoint.state = EP_SEND
        return True

    receiver = endpoint.head
    assert receiver is not None
    queues.remove(endpoint, receiver)
    diminish = receiver.block_diminish
    transfer(state, thread, endpoint, badge, can_grant, receiver, diminish)
    reply_can_grant = receiver.block_can_grant
    receiver.blocked_on = None
    set_thread_state(state, receiver, ThreadState.RUNNING)
    state.wakeups.hand_over(state, receiver)
    if call or (thread.fault is not None and state.facts.kept_fault_waits):
        if (can_grant or can_grant_reply) and not diminish:
            setup_caller_cap(state, thread, receiver, reply_can_grant)
        else:
            # Nobody can answer: the caller waits for ever.
            set_thread_state(state, thread, ThreadState.INACTIVE)
    return True


def receive_ipc(state: KernelState, thread: Tcb, cap: EndpointCap, blocking: bool) -> bool:
    """Receive from who waits, or from the bound notification, or wait; whether anything happened."""
    endpoint = state.objects[cap.address]
    assert isinstance(endpoint, Endpoint)
    bound = thread.bound_notification
    if bound is not None and bound.state == NTFN_ACTIVE:
        complete_signal(state, bound, thread)
        return True

    # Before grant-reply rights, every reply could carry capabilities. Until 2.1.0, who cannot send to an endpoint
    # could receive neither write rights nor reply capabilities through it.
    facts = state.facts
    reply_can_grant = cap.rights & GRANT != 0 or not facts.grant_reply
    diminish = facts.receive_only_diminishes and not cap.rights & WRITE

    if endpoint.state != EP_SEND:
        if not blocking:
            receive_failed(state, thread)
            return False
        thread.blocked_on = endpoint
        thread.block_can_grant = reply_can_grant
        thread.block_diminish = diminish
        set_thread_state(state, thread, ThreadState.BLOCKED_ON_RECEIVE)
        queues.append(endpoint, thread)
        endpoint.state = EP_RECEIVE
        return True

    sender = endpoint.head
    assert sender is not None
    queues.remove(endpoint, sender)
    transfer(state, sender, endpoint, sender.block_badge, sender.block_can_grant, thread, diminish)
    sender.blocked_on = None
    if sender.block_is_call or (sender.fault is not None and facts.kept_fault_waits):
        if (sender.block_can_grant or sender.block_can_grant_reply) and not diminish:
            setup_caller_cap(state, sender, thread, reply_can_grant)
        else:
            set_thread_state(state, sender, ThreadState.INACTIVE)
    else:
        set_thread_state(state, sender, ThreadState.RUNNING)
        state.wakeups.wake(state, sender)
    return True


def cancel_badged_sends(state: KernelState, endpoint: Endpoint, badge: int) -> None:
    """Let the senders with this badge repeat their system call; it fails if their capability is gone."""
    if endpoint.state != EP_SEND:
        return
    thread = endpoint.head
    while thread is not None:
        following = thread.queue_next
        if thread.block_badge == badge:
            queues.remove(endpoint, thread)
            thread.blocked_on = None
            set_thread_state(state, thread, ThreadState.RESTART)
            enqueue(state, thread)
        thread = following
    reschedule_required(state)
