"""Call and ReplyRecv where a message meets a thread that waits for it: what most system calls of a system are.

The kernel has such a path itself, for the same reason: the sender stops, the receiver runs, nobody is queued, and
nothing else happens. What is done here is exactly what the general path does (`retrap.kernel.syscalls`, the
specification): the cases are recognised before anything is written, all others are the general path's, and tests
compare the two on random systems. Each case has three parts: whether it is one, what becomes of the message
(`_deliver`), and what becomes of the kernel's objects (`connect`, `answer`). The last part depends on no register,
so that `retrap.kernel.relays` can let native code do the first two and catch up on it later.
"""

from __future__ import annotations

from typing import Final

from retrap.kernel import derivation, queues
from retrap.kernel.caps import GRANT, GRANT_REPLY, READ, WRITE, Cap, EndpointCap, ReplyCap
from retrap.kernel.effects import Outcome
from retrap.kernel.failures import LookupFailed
from retrap.kernel.lookup import lookup_slot
from retrap.kernel.registers import (
    BADGE,
    FIRST_MR,
    INFO,
    R0,
    read_buffer,
    receive_buffer,
    send_buffer,
    write_buffer,
)
from retrap.kernel.scheduler import make_current
from retrap.kernel.state import Hop, KernelState
from retrap.kernel.structures import (
    EP_RECEIVE,
    EP_SEND,
    NTFN_ACTIVE,
    TCB_CALLER,
    TCB_REPLY,
    Endpoint,
    Tcb,
    ThreadState,
)
from retrap.kernel.threads import reply_cap_of
from retrap.kernel.wire import BUFFER_MESSAGE, MESSAGE_REGISTERS, info_length
from retrap.machine.context import Slot as ContextSlot

_EXTRA_CAPS: Final = 0x180
_EXCLUSIVE: Final = ContextSlot.EXCLUSIVE


def connect(state: KernelState, sender: Tcb, receiver: Tcb, endpoint: Endpoint, grant: bool) -> None:
    """A Call's part on objects: the receiver has the message and runs, the sender waits for its reply."""
    queues.remove(endpoint, receiver)
    receiver.blocked_on = None
    receiver.state = ThreadState.RUNNING
    sender.state = ThreadState.BLOCKED_ON_REPLY
    derivation.insert(reply_cap_of(sender, grant), sender.slots[TCB_REPLY], receiver.slots[TCB_CALLER])
    make_current(state, receiver)


def answer(state: KernelState, sender: Tcb, receiver: Tcb, endpoint: Endpoint, grant: bool) -> None:
    """A ReplyRecv's part on objects: the receiver has its reply and runs, the sender waits for a message."""
    derivation.remove(sender.slots[TCB_CALLER])
    receiver.state = ThreadState.RUNNING
    sender.blocked_on = endpoint
    sender.block_can_grant = grant
    sender.block_diminish = False
    sender.state = ThreadState.BLOCKED_ON_RECEIVE
    queues.append(endpoint, sender)
    endpoint.state = EP_RECEIVE
    make_current(state, receiver)


def _deliver(state: KernelState, sender: Tcb, receiver: Tcb, info: int, badge: int) -> None:
    """The message's words, its info and the badge: see `retrap.kernel.transfer.transfer`."""
    source = sender.context.words
    target = receiver.context.words
    length = info_length(info)
    log = state.effects.log
    number = receiver.number
    for slot in range(FIRST_MR, FIRST_MR + (length if length < MESSAGE_REGISTERS else MESSAGE_REGISTERS)):
        value = source[slot]
        target[slot] = value
        log.append((number, slot, value))
    if length > MESSAGE_REGISTERS:
        outgoing = send_buffer(state, sender)
        incoming = receive_buffer(state, receiver)
        if outgoing is None or incoming is None:
            length = MESSAGE_REGISTERS
        else:
            first = BUFFER_MESSAGE + MESSAGE_REGISTERS
            words = read_buffer(state, sender, outgoing, first, length - MESSAGE_REGISTERS)
            write_buffer(state, receiver, incoming, first, words)
    info = info & 0xFFFF_F000 | length
    target[INFO] = info
    log.append((number, INFO, info))
    target[BADGE] = badge
    log.append((number, BADGE, badge))
    target[_EXCLUSIVE] = 0  # a thread switch opens the local monitor


def call(state: KernelState, cap: Cap) -> bool:
    """A Call with a capability to an endpoint where a thread waits that runs next; False, and nothing done, if it
    is not one."""
    sender = state.current
    words = sender.context.words
    info = words[INFO]
    if info & _EXTRA_CAPS or not isinstance(cap, EndpointCap):
        return False
    cptr = words[R0]
    rights = cap.rights
    if not rights & WRITE or not rights & (GRANT | GRANT_REPLY):
        return False
    endpoint = state.objects[cap.address]
    assert isinstance(endpoint, Endpoint)
    if endpoint.state != EP_RECEIVE:
        return False
    receiver = endpoint.head
    assert receiver is not None
    if receiver.block_diminish or not state.wakeups.takes_over(state, receiver):
        return False

    badge = cap.badge
    effects = state.effects
    effects.target = cap.shown(state.kind_names)
    effects.badge = badge
    length = info_length(info)
    effects.outcome = Outcome.BLOCKED
    grant = receiver.block_can_grant
    _deliver(state, sender, receiver, info, badge)
    connect(state, sender, receiver, endpoint, grant)
    _note(state.hop, True, cptr, badge, length, sender, receiver, endpoint, grant)
    return True


def reply_recv(state: KernelState) -> bool:
    """A reply to a waiting caller that runs next, and then a wait for a message; False if it is not that."""
    sender = state.current
    words = sender.context.words
    info = words[INFO]
    if info & _EXTRA_CAPS:
        return False
    reply = sender.slots[TCB_CALLER].cap
    if not isinstance(reply, ReplyCap):
        return False
    receiver = state.objects[reply.address]
    assert isinstance(receiver, Tcb)
    if receiver.fault is not None:
        return False
    cptr = words[R0]
    try:
        cap = lookup_slot(state, sender, cptr).cap
    except LookupFailed:
        return False
    if not isinstance(cap, EndpointCap) or not cap.rights & READ:
        return False
    endpoint = state.objects[cap.address]
    assert isinstance(endpoint, Endpoint)
    bound = sender.bound_notification
    if endpoint.state == EP_SEND or (bound is not None and bound.state == NTFN_ACTIVE):
        return False
    facts = state.facts
    if facts.receive_only_diminishes and not cap.rights & WRITE:
        return False
    if not state.wakeups.takes_over(state, receiver):
        return False

    effects = state.effects
    length = info_length(info)
    effects.target = cap.shown(state.kind_names)
    effects.badge = cap.badge
    effects.outcome = Outcome.BLOCKED
    grant = cap.rights & GRANT != 0 or not facts.grant_reply
    _deliver(state, sender, receiver, info, 0)
    answer(state, sender, receiver, endpoint, grant)
    _note(state.hop, False, cptr, 0, length, sender, receiver, endpoint, grant)
    return True


def _note(
    hop: Hop,
    call: bool,
    cptr: int,
    badge: int,
    length: int,
    sender: Tcb,
    receiver: Tcb,
    endpoint: Endpoint,
    grant: bool,
) -> None:
    hop.call = call
    hop.cptr = cptr
    hop.badge = badge
    hop.length = length
    hop.sender = sender
    hop.receiver = receiver
    hop.endpoint = endpoint
    hop.grant = grant
