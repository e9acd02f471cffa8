"""System calls: invocations, receiving, replying, yielding (manual 3 and 4, `libsel4/include/api/syscall.xml`).

An invocation has three phases: one that may fault (the capability pointers are looked up), one that may refuse
(decode, which writes nothing), one that cannot fail (perform), only be preempted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retrap.kernel import benchmarks, debug_calls, fastpath
from retrap.kernel.boot import BuildOptions
from retrap.kernel.caps import READ, EndpointCap, NotificationCap, Tag
from retrap.kernel.effects import Outcome
from retrap.kernel.endpoint import receive_ipc
from retrap.kernel.failures import (
    LookupFailed,
    LookupFailure,
    Preempted,
    Refused,
    illegal_operation,
    missing_capability,
)
from retrap.kernel.fault_handling import handle_fault
from retrap.kernel.faults import CapFault
from retrap.kernel.lookup import lookup_slot
from retrap.kernel.notification import receive_signal
from retrap.kernel.objects.irq import deliver, next_pending
from retrap.kernel.objects.reply import delete_caller_cap, reply_to_caller
from retrap.kernel.registers import (
    BADGE,
    FIRST_MR,
    INFO,
    MR1,
    MR2,
    MR3,
    R0,
    read_buffer,
    send_buffer,
    write_message,
)
from retrap.kernel.scheduler import timer_tick, yield_current
from retrap.kernel.slots import Slot
from retrap.kernel.state import Change, KernelState
from retrap.kernel.structures import Notification, ThreadState
from retrap.kernel.transfer import ExtraCapFailed, lookup_extra_caps
from retrap.kernel.wire import (
    BUFFER_MESSAGE,
    MAX_LENGTH,
    MESSAGE_REGISTERS,
    message_info,
)

SyscallHandler = Callable[[KernelState], int]
"""handler(state): does the call, and says by a `Change` what it came to."""

_NO_CAPS: Final[list[Slot]] = []

# (By their own names here: plain Python looks a class's constants up each time.)
_ANY: Final = Change.ANY
_HOP: Final = Change.HOP
_ENDPOINT: Final = Tag.ENDPOINT
_RESTART: Final = ThreadState.RESTART
_RUNNING: Final = ThreadState.RUNNING


def _cap_fault(state: KernelState, cptr: int, blocking: bool, failure: LookupFailure) -> None:
    """A capability pointer of an invocation leads nowhere: a fault, if the call may block."""
    fault = CapFault(cptr, False, failure)
    if blocking:
        handle_fault(state, state.current, fault)
    else:
        state.effects.outcome = Outcome.IGNORED
        state.effects.reason = fault.describe()


def handle_invocation(state: KernelState, call: bool, blocking: bool) -> int:
    """Send, NBSend and Call: invoke the capability that r0 names. What it came to: a `Change`."""
    thread = state.current
    words = thread.context.words
    cptr = words[R0]
    info = words[INFO]

    # The phase that may fault.
    try:
        slot = lookup_slot(state, thread, cptr)
    except LookupFailed as failed:
        _cap_fault(state, cptr, blocking, failed.failure)
        return Change.ANY
    cap = slot.cap
    tag = cap.tag
    label = info >> 12
    effects = state.effects
    message = state.message
    decoder = state.methods[tag].get(label)
    if decoder is None:
        # What is sent to does not look at the label, and may look at how it was sent.
        if tag == _ENDPOINT and call and state.fast and fastpath.call(state, cap):
            return _HOP
        decoder = state.decoders[tag]
        message.label = label
        message.call = call
        message.blocking = blocking
        effects.badge = cap.shown_badge
    effects.target = cap.known
    if effects.target is None:
        effects.target = cap.shown(state.kind_names)
    caps = _NO_CAPS
    length = info & 0x7F
    if info & 0x180:
        try:
            caps = lookup_extra_caps(state, thread, info)
        except ExtraCapFailed as missing:
            _cap_fault(state, missing.cptr, blocking, missing.failure)
            return Change.ANY
        if effects.watched:
            for extra in caps:
                given = extra.cap
                effects.extra_caps.append(given.known or given.shown(state.kind_names))
    message.caps = caps
    # The message: from registers, one by one, which is quicker than a slice; and from the IPC buffer.
    if length >= MESSAGE_REGISTERS:
        arguments = [words[FIRST_MR], words[MR1], words[MR2], words[MR3]]
        # (A message to an endpoint is read when it is transferred.)
        if length > MESSAGE_REGISTERS and tag != _ENDPOINT:
            buffer = send_buffer(state, thread)
            if buffer is not None:
                rest = (length if length < MAX_LENGTH else MAX_LENGTH) - MESSAGE_REGISTERS
                arguments += read_buffer(state, thread, buffer, BUFFER_MESSAGE + MESSAGE_REGISTERS, rest)
    elif length == 3:
        arguments = [words[FIRST_MR], words[MR1], words[MR2]]
    elif length == 2:
        arguments = [words[FIRST_MR], words[MR1]]
    elif length:
        arguments = [words[FIRST_MR]]
    else:
        arguments = []
    message.words = arguments

    try:
        # The phase that may refuse.
        if decoder is None:
            raise illegal_operation(f"a {state.kind_names[tag]} capability has no invocation {label}")
        invocation = decoder(state, slot, cap, message)
        # The phase that cannot fail.
        thread.state = _RESTART
        reply = invocation.perform(state)
    except Refused as refused:
        effects.error = refused.error
        effects.error_words = refused.words
        effects.reason = refused.reason
        if call:
            effects.outcome = Outcome.ERROR
            _reply_from_kernel(state, refused.error, refused.words)
        else:
            effects.outcome = Outcome.IGNORED
        return Change.ANY
    except Preempted:
        effects.outcome = Outcome.PREEMPTED
        effects.reason = "an interrupt was pending at a preemption point"
        _take_interrupt(state)
        return Change.ANY
    if thread.state == _RESTART:
        if call:
            if reply is None and not effects.log:
                # The empty reply, as in `_reply_from_kernel`.
                words[BADGE] = 0
                words[INFO] = 0
                effects.answered = True
            else:
                _reply_from_kernel(state, 0, reply)
        thread.state = _RUNNING
    return _ANY


def _reply_from_kernel(state: KernelState, label: int, message: list[int] | None) -> None:
    """The answer to a Call of the running thread: only the words of the message are written."""
    thread = state.current
    effects = state.effects
    log = effects.log
    number = thread.number
    words = thread.context.words
    words[BADGE] = 0
    if not message and not label:
        words[INFO] = 0
        if log:
            log.append((number, BADGE, 0))
            log.append((number, INFO, 0))
        else:
            effects.answered = True
        return
    log.append((number, BADGE, 0))
    length = write_message(state, thread, message) if message else 0
    info = message_info(label, 0, 0, length)
    words[INFO] = info
    log.append((number, INFO, info))


def _take_interrupt(state: KernelState) -> None:
    """The interrupt that a long operation stopped for."""
    if state.tick_pending:
        state.tick_pending = False
        timer_tick(state)
        return
    irq = next_pending(state)
    if irq is not None:
        deliver(state, irq)


def handle_recv(state: KernelState, blocking: bool) -> None:
    """Recv and NBRecv: wait for the endpoint or notification that r0 names."""
    thread = state.current
    effects = state.effects
    if not state.facts.caller_survives_wait:
        delete_caller_cap(state, thread)
    cptr = thread.context.words[R0]
    try:
        cap = lookup_slot(state, thread, cptr).cap
    except LookupFailed as failed:
        handle_fault(state, thread, CapFault(cptr, True, failed.failure))
        return
    shown = cap.shown(state.kind_names)
    effects.target = shown
    effects.badge = shown[2]
    if isinstance(cap, EndpointCap):
        if cap.rights & READ:
            delete_caller_cap(state, thread)
            if not receive_ipc(state, thread, cap, blocking):
                effects.outcome = Outcome.IGNORED
                effects.reason = "no message waits"
            return
    elif isinstance(cap, NotificationCap) and cap.rights & READ:
        notification = state.objects[cap.address]
        assert isinstance(notification, Notification)
        # A bound notification's signals are for the thread it is bound to.
        if notification.bound_tcb is None or notification.bound_tcb is thread:
            if not receive_signal(state, thread, notification, blocking):
                effects.outcome = Outcome.IGNORED
                effects.reason = "no signal waits"
            return
    receiver = state.receivers[cap.tag]
    if receiver is not None:
        received = receiver(state, thread, cap, blocking)
        if received is not None:
            if not received:
                effects.outcome = Outcome.IGNORED
                effects.reason = "no message waits"
            return
    handle_fault(state, thread, CapFault(cptr, True, missing_capability(0)))


_COMPLAINT: Final = "; a debug kernel of this release complains"


def _handle_reply(state: KernelState) -> None:
    """Reply, and the first half of ReplyRecv. Without a caller nothing happens."""
    effects = state.effects
    if not reply_to_caller(state):
        effects.outcome = Outcome.IGNORED
        effects.reason = "nobody waits for a reply from this thread"
        if state.options.debug and not state.facts.empty_reply_is_silent:
            effects.reason += _COMPLAINT


def _call(state: KernelState) -> int:
    return handle_invocation(state, True, True)


def _send(state: KernelState) -> int:
    return handle_invocation(state, False, True)


def _nb_send(state: KernelState) -> int:
    return handle_invocation(state, False, False)


def _recv(state: KernelState) -> int:
    handle_recv(state, True)
    return Change.ANY


def _nb_recv(state: KernelState) -> int:
    handle_recv(state, False)
    return Change.ANY


def _reply(state: KernelState) -> int:
    _handle_reply(state)
    return Change.ANY


def _reply_recv(state: KernelState) -> int:
    if state.fast and fastpath.reply_recv(state):
        return Change.HOP
    _handle_reply(state)
    effects = state.effects
    effects.outcome = Outcome.DONE
    if effects.reason and not effects.reason.endswith(_COMPLAINT):
        effects.reason = ""  # a server's first ReplyRecv has nobody to answer
    handle_recv(state, True)
    return Change.ANY


def _yield(state: KernelState) -> int:
    yield_current(state)
    return Change.ANY


_HANDLERS: Final[dict[str, SyscallHandler]] = {
    "Call": _call,
    "ReplyRecv": _reply_recv,
    "Send": _send,
    "NBSend": _nb_send,
    "Recv": _recv,
    "Reply": _reply,
    "Yield": _yield,
    "NBRecv": _nb_recv,
    **debug_calls.HANDLERS,
    **benchmarks.HANDLERS,
}


def _available(requires: str, options: BuildOptions) -> bool:
    """Whether the kernel's build has the calls with this requirement."""
    if requires == "printing":
        return options.printing
    if requires == "debug":
        return options.debug
    if requires == "benchmark":
        return options.benchmarks != "none"
    if requires == "utilisation":
        return options.benchmarks == "track_utilisation"
    if requires == "debug+utilisation":
        return options.benchmarks == "track_utilisation" and options.debug
    if requires == "tls-self":
        return options.set_tls_base_self
    return requires == ""


def handlers(state: KernelState) -> dict[int, SyscallHandler]:
    """The system calls that this release and build have, by the word in r7."""
    options = state.options
    without = () if options.benchmarks in benchmarks.LOGS else benchmarks.LOG_CALLS
    return {
        call.number & 0xFFFF_FFFF: _HANDLERS[call.name]
        for call in state.release.syscalls
        if _available(call.requires, options) and call.name in _HANDLERS and call.name not in without
    }
