"""Threads: registers, priorities, spaces, starting and stopping (manual 6.1, `seL4_TCB_…`)."""

from __future__ import annotations

from typing import Final, final

from retrap.kernel import derivation
from retrap.kernel.caps import (
    NULL,
    READ,
    TCB_SIZE_BITS,
    ZOMBIE_TCB,
    Cap,
    CNodeCap,
    FrameCap,
    NotificationCap,
    ThreadCap,
    ZombieCap,
)
from retrap.kernel.deletion import delete, long_running
from retrap.kernel.failures import (
    alignment_error,
    illegal_operation,
    invalid_capability,
    range_error,
    truncated_message,
)
from retrap.kernel.message import Invocation, Message
from retrap.kernel.notification import bind, unbind
from retrap.kernel.priorities import RULES
from retrap.kernel.registers import PC, RESTART_PC, read_register, sanitise, set_next_pc, write_register
from retrap.kernel.scheduler import reschedule_required, set_priority
from retrap.kernel.slots import Slot
from retrap.kernel.state import Creator, Decoder, KernelState
from retrap.kernel.structures import (
    TCB_BUFFER,
    TCB_CTABLE,
    TCB_SLOTS,
    TCB_VTABLE,
    Notification,
    Tcb,
)
from retrap.kernel.threads import restart, suspend
from retrap.kernel.wire import BUFFER_SIZE_BITS
from retrap.machine.context import Slot as ContextSlot

FRAME_REGISTERS: Final = 10
"""How many of seL4_UserContext's registers CopyRegisters moves as "frame"; the others are "integer"."""

FPU_DISABLED: Final = 1
"""seL4_TCBFlag_fpuDisabled, the only flag."""

NAME_LENGTH: Final = (1 << (TCB_SIZE_BITS - 1)) - TCB_SLOTS * 16 - 8 - 1
"""How many bytes of a thread's name debug builds keep."""


def thread_of(state: KernelState, cap: ThreadCap) -> Tcb:
    """The thread that a capability controls."""
    thread = state.objects[cap.address]
    assert isinstance(thread, Tcb)
    return thread


def _register_slots(state: KernelState) -> tuple[int, ...]:
    """Context slots in seL4_UserContext order. Its PC is the restart PC."""
    return tuple(RESTART_PC if slot == PC else slot for slot in state.release.user_context)


# --- registers


@final
class ReadRegisters(Invocation):
    """Return a thread's registers, after suspending it if wanted."""

    __slots__ = ("count", "suspend", "thread")

    def __init__(self, thread: Tcb, suspend_first: bool, count: int) -> None:
        self.thread: Final = thread
        self.suspend: Final = suspend_first
        self.count: Final = count

    def perform(self, state: KernelState) -> list[int] | None:
        if self.suspend:
            suspend(state, self.thread)
        slots = _register_slots(state)[: self.count]
        return [read_register(state, self.thread, slot) for slot in slots]


@final
class WriteRegisters(Invocation):
    """Set a thread's first registers, and resume it if wanted."""

    __slots__ = ("resume", "thread", "values")

    def __init__(self, thread: Tcb, resume: bool, values: list[int]) -> None:
        self.thread: Final = thread
        self.resume: Final = resume
        self.values: Final = values

    def perform(self, state: KernelState) -> list[int] | None:
        thread = self.thread
        for slot, value in zip(_register_slots(state), self.values, strict=False):
            write_register(state, thread, slot, sanitise(slot, value))
        set_next_pc(state, thread, thread.context.words[RESTART_PC])
        if self.resume:
            restart(state, thread)
        return None


@final
class CopyRegisters(Invocation):
    """Copy registers from one thread to another, suspending and resuming them if wanted."""

    __slots__ = ("frame", "integer", "resume", "source", "suspend", "target")

    def __init__(self, target: Tcb, source: Tcb, flags: int) -> None:
        self.target: Final = target
        self.source: Final = source
        self.suspend: Final = flags & 1 != 0
        self.resume: Final = flags & 2 != 0
        self.frame: Final = flags & 4 != 0
        self.integer: Final = flags & 8 != 0

    def perform(self, state: KernelState) -> list[int] | None:
        if self.suspend:
            suspend(state, self.source)
        if self.resume:
            restart(state, self.target)
        slots = _register_slots(state)
        if self.frame:
            for slot in slots[:FRAME_REGISTERS]:
                write_register(state, self.target, slot, read_register(state, self.source, slot))
            set_next_pc(state, self.target, self.target.context.words[RESTART_PC])
        if self.integer:
            for slot in slots[FRAME_REGISTERS:]:
                write_register(state, self.target, slot, read_register(state, self.source, slot))
        if self.target is state.current:
            reschedule_required(state)
        return None


def _decode_read(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_ReadRegisters(flags: bit 0 suspend, count)."""
    message.require(2)
    flags, count = message.words[:2]
    highest = len(state.release.user_context)
    if count < 1 or count > highest:
        raise range_error(1, highest, f"{count} registers cannot be read")
    thread = thread_of(state, cap)
    if thread is state.current:
        raise illegal_operation("a thread cannot read its own registers")
    return ReadRegisters(thread, flags & 1 != 0, count)


def _decode_write(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_WriteRegisters(flags: bit 0 resume, count, registers…)."""
    message.require(2)
    words = message.words
    flags, count = words[:2]
    if len(words) - 2 < count:
        raise truncated_message(f"the message has {len(words) - 2} registers, not {count}")
    thread = thread_of(state, cap)
    if thread is state.current:
        raise illegal_operation("a thread cannot write its own registers")
    return WriteRegisters(thread, flags & 1 != 0, words[2 : 2 + count])


def _decode_copy(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_CopyRegisters(flags; source): suspend source, resume target, frame, integer from bit 0 on."""
    message.require(1, 1)
    source = message.caps[0].cap
    if not isinstance(source, ThreadCap):
        raise invalid_capability(1, "the source is not a thread capability")
    return CopyRegisters(thread_of(state, cap), thread_of(state, source), message.words[0])


# --- starting, stopping, priorities


@final
class Suspend(Invocation):
    """Stop the thread."""

    __slots__ = ("thread",)

    def __init__(self, thread: Tcb) -> None:
        self.thread: Final = thread

    def perform(self, state: KernelState) -> list[int] | None:
        suspend(state, self.thread)
        return None


@final
class Resume(Invocation):
    """Start the thread, if it is stopped."""

    __slots__ = ("thread",)

    def __init__(self, thread: Tcb) -> None:
        self.thread: Final = thread

    def perform(self, state: KernelState) -> list[int] | None:
        restart(state, self.thread)
        return None


@final
class SetSchedParams(Invocation):
    """Set priority, maximum controlled priority, or both; None leaves one as it is."""

    __slots__ = ("max_priority", "priority", "thread")

    def __init__(self, thread: Tcb, max_priority: int | None, priority: int | None) -> None:
        self.thread: Final = thread
        self.max_priority: Final = max_priority
        self.priority: Final = priority

    def perform(self, state: KernelState) -> list[int] | None:
        if self.max_priority is not None:
            self.thread.max_priority = self.max_priority
        if self.priority is not None:
            set_priority(state, self.thread, self.priority)
        return None


def _decode_suspend(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    return Suspend(thread_of(state, cap))


def _decode_resume(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    return Resume(thread_of(state, cap))


def _decode_set_priority(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_SetPriority(priority; authority, since 9.0.0)."""
    rule = RULES[state.facts.priority_authority]
    message.require(1, rule.authority_caps)
    return SetSchedParams(thread_of(state, cap), None, rule.checked(state, message, message.words[0]))


def _decode_set_max(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_SetMCPriority(maximum; authority, since 9.0.0)."""
    rule = RULES[state.facts.priority_authority]
    message.require(1, rule.authority_caps)
    return SetSchedParams(thread_of(state, cap), rule.checked(state, message, message.words[0]), None)


def _decode_set_params(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_SetSchedParams(maximum, priority; authority)."""
    rule = RULES[state.facts.priority_authority]
    message.require(2, rule.authority_caps)
    maximum = rule.checked(state, message, message.words[0])
    return SetSchedParams(thread_of(state, cap), maximum, rule.checked(state, message, message.words[1]))


# --- spaces and the IPC buffer


@final
class Space:
    """The new roots of a thread, and the capability pointer of its fault handler."""

    __slots__ = ("croot", "croot_source", "fault_handler", "vroot", "vroot_source")

    def __init__(self, fault_handler: int, croot: Cap, croot_source: Slot, vroot: Cap, vroot_source: Slot) -> None:
        self.fault_handler: Final = fault_handler
        self.croot: Final = croot
        self.croot_source: Final = croot_source
        self.vroot: Final = vroot
        self.vroot_source: Final = vroot_source


@final
class Buffer:
    """A thread's new IPC buffer; `source` None: it is to have none."""

    __slots__ = ("address", "cap", "source")

    def __init__(self, address: int, cap: Cap, source: Slot | None) -> None:
        self.address: Final = address
        self.cap: Final = cap
        self.source: Final = source


@final
class Configure(Invocation):
    """Set a thread's spaces, its IPC buffer, or both. Deleting the old capabilities can be preempted.

    `params`: priorities to set first (TCB_Configure until 8.0.0).
    """

    __slots__ = ("buffer", "cap", "params", "slot", "space", "thread")

    def __init__(
        self,
        thread: Tcb,
        slot: Slot,
        cap: ThreadCap,
        space: Space | None,
        buffer: Buffer | None,
        params: SetSchedParams | None = None,
    ) -> None:
        self.params: Final = params
        self.thread: Final = thread
        self.slot: Final = slot
        self.cap: Final = cap
        self.space: Final = space
        self.buffer: Final = buffer

    def perform(self, state: KernelState) -> list[int] | None:
        thread = self.thread
        space = self.space
        if space is not None:
            thread.fault_handler = space.fault_handler
        if self.params is not None:
            self.params.perform(state)
        if space is not None:
            delete(state, thread.slots[TCB_CTABLE], True)
            self._install(space.croot, space.croot_source, TCB_CTABLE)
            delete(state, thread.slots[TCB_VTABLE], True)
            self._install(space.vroot, space.vroot_source, TCB_VTABLE)
        buffer = self.buffer
        if buffer is not None:
            delete(state, thread.slots[TCB_BUFFER], True)
            thread.buffer_address = buffer.address
            thread.buffer_cap = None
            thread.buffer_words = None
            if buffer.source is not None:
                self._install(buffer.cap, buffer.source, TCB_BUFFER)
            if thread is state.current and state.facts.own_buffer_change_at_once:
                reschedule_required(state)
        return None

    def _install(self, cap: Cap, source: Slot, index: int) -> None:
        """Put the new capability in, unless deleting the old one has deleted its source or the thread."""
        if cap.same_object(source.cap) and self.cap.same_object(self.slot.cap):
            derivation.insert(cap, source, self.thread.slots[index])


def _check_buffer(address: int, cap: Cap) -> None:
    """An IPC buffer lies in a frame of RAM, 512-byte aligned."""
    if not isinstance(cap, FrameCap):
        raise illegal_operation("the IPC buffer is not a frame capability")
    if cap.device:
        raise illegal_operation("a device frame cannot be an IPC buffer")
    if address & ((1 << BUFFER_SIZE_BITS) - 1):
        raise alignment_error(f"the IPC buffer address {address:#x} is not aligned to 512 bytes")


def _decode_buffer(address: int, slot: Slot) -> Buffer:
    if address == 0:
        return Buffer(0, slot.cap, None)
    cap = derivation.derive(slot, slot.cap)
    _check_buffer(address, cap)
    return Buffer(address, cap, slot)


def _decode_space(
    state: KernelState, thread: Tcb, handler: int, data: tuple[int, int], croot: Slot, vroot: Slot
) -> Space:
    """Check new roots. `data` changes their guards, where it is not 0."""
    if long_running(thread.slots[TCB_CTABLE]) or long_running(thread.slots[TCB_VTABLE]):
        raise illegal_operation("the thread's CSpace or VSpace is being deleted")
    croot_cap = croot.cap
    if data[0] != 0:
        croot_cap = croot_cap.with_data(False, data[0])
    croot_cap = derivation.derive(croot, croot_cap)
    if not isinstance(croot_cap, CNodeCap):
        raise illegal_operation("the CSpace root is not a CNode")
    vroot_cap = vroot.cap
    if data[1] != 0:
        vroot_cap = vroot_cap.with_data(False, data[1])
    vroot_cap = derivation.derive(vroot, vroot_cap)
    refusal = state.address_spaces.refusal(vroot_cap)
    if refusal:
        raise illegal_operation(refusal)
    return Space(handler, croot_cap, croot, vroot_cap, vroot)


def _decode_configure(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_Configure(fault handler, CSpace data, VSpace data, buffer; CSpace, VSpace, buffer frame).

    Until 8.0.0 there is a second word, with priorities, which are checked first.
    """
    rule = RULES[state.facts.priority_authority]
    message.require(5 if rule.configures else 4, 3)
    words = message.words
    thread = thread_of(state, cap)
    params: SetSchedParams | None = None
    if rule.configures:
        maximum, priority = rule.configured(state, message, words[1])
        params = SetSchedParams(thread, maximum, priority)
        words = words[:1] + words[2:]
    handler, croot_data, vroot_data, address = words[:4]
    croot, vroot, frame = message.caps
    buffer = _decode_buffer(address, frame)
    space = _decode_space(state, thread, handler, (croot_data, vroot_data), croot, vroot)
    return Configure(thread, slot, cap, space, buffer, params)


def _decode_set_buffer(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_SetIPCBuffer(buffer; buffer frame)."""
    message.require(1, 1)
    buffer = _decode_buffer(message.words[0], message.caps[0])
    return Configure(thread_of(state, cap), slot, cap, None, buffer)


def _decode_set_space(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_SetSpace(fault handler, CSpace data, VSpace data; CSpace, VSpace)."""
    message.require(3, 2)
    handler, croot_data, vroot_data = message.words[:3]
    croot, vroot = message.caps[:2]
    thread = thread_of(state, cap)
    space = _decode_space(state, thread, handler, (croot_data, vroot_data), croot, vroot)
    return Configure(thread, slot, cap, space, None)


# --- notifications, thread-local storage, flags


@final
class BindNotification(Invocation):
    """Bind a notification to the thread."""

    __slots__ = ("notification", "thread")

    def __init__(self, thread: Tcb, notification: Notification) -> None:
        self.thread: Final = thread
        self.notification: Final = notification

    def perform(self, state: KernelState) -> list[int] | None:
        bind(self.notification, self.thread)
        return None


@final
class UnbindNotification(Invocation):
    """Undo a binding."""

    __slots__ = ("thread",)

    def __init__(self, thread: Tcb) -> None:
        self.thread: Final = thread

    def perform(self, state: KernelState) -> list[int] | None:
        unbind(self.thread)
        return None


@final
class SetTlsBase(Invocation):
    """Set the register that holds the address of thread-local storage."""

    __slots__ = ("base", "thread")

    def __init__(self, thread: Tcb, base: int) -> None:
        self.thread: Final = thread
        self.base: Final = base

    def perform(self, state: KernelState) -> list[int] | None:
        write_register(state, self.thread, state.tls_register, self.base)
        if self.thread is state.current:
            reschedule_required(state)
        return None


@final
class SetFlags(Invocation):
    """Clear and set flags; the reply says what they are then."""

    __slots__ = ("flags", "thread")

    def __init__(self, thread: Tcb, flags: int) -> None:
        self.thread: Final = thread
        self.flags: Final = flags

    def perform(self, state: KernelState) -> list[int] | None:
        thread = self.thread
        thread.flags = self.flags
        if state.options.fpu:
            enabled = 0 if self.flags & FPU_DISABLED else 1
            write_register(state, thread, ContextSlot.FPEXC_EN, enabled)
        return [self.flags]


def _decode_bind(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_BindNotification(; notification)."""
    message.require(0, 1)
    thread = thread_of(state, cap)
    if thread.bound_notification is not None:
        raise illegal_operation("the thread already has a bound notification")
    given = message.caps[0].cap
    if not isinstance(given, NotificationCap):
        raise illegal_operation("not a notification capability")
    if not given.rights & READ:
        raise illegal_operation("the notification capability lacks the right to receive")
    notification = state.objects[given.address]
    assert isinstance(notification, Notification)
    if notification.head is not None or notification.bound_tcb is not None:
        raise illegal_operation("threads wait for the notification, or it is bound")
    return BindNotification(thread, notification)


def _decode_unbind(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    thread = thread_of(state, cap)
    if thread.bound_notification is None:
        raise illegal_operation("the thread has no bound notification")
    return UnbindNotification(thread)


def _decode_set_tls(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    message.require(1)
    return SetTlsBase(thread_of(state, cap), message.words[0])


def _decode_set_flags(state: KernelState, slot: Slot, cap: ThreadCap, message: Message) -> Invocation:
    """TCB_SetFlags(clear, set)."""
    message.require(2)
    thread = thread_of(state, cap)
    clear, add = message.words[:2]
    return SetFlags(thread, thread.flags & ~clear | add & FPU_DISABLED)


METHODS: Final[dict[str, Decoder]] = {
    "TCBReadRegisters": _decode_read,
    "TCBWriteRegisters": _decode_write,
    "TCBCopyRegisters": _decode_copy,
    "TCBConfigure": _decode_configure,
    "TCBSetPriority": _decode_set_priority,
    "TCBSetMCPriority": _decode_set_max,
    "TCBSetSchedParams": _decode_set_params,
    "TCBSetIPCBuffer": _decode_set_buffer,
    "TCBSetSpace": _decode_set_space,
    "TCBSuspend": _decode_suspend,
    "TCBResume": _decode_resume,
    "TCBBindNotification": _decode_bind,
    "TCBUnbindNotification": _decode_unbind,
    "TCBSetTLSBase": _decode_set_tls,
    "TCBSetFlags": _decode_set_flags,
}


def finalise(state: KernelState, cap: ThreadCap, final: bool) -> Cap:
    """The last capability stops the thread and becomes the zombie that empties its slots."""
    if not final:
        return NULL
    thread = thread_of(state, cap)
    unbind(thread)
    suspend(state, thread)
    return ZombieCap(cap.address, ZOMBIE_TCB, TCB_SLOTS)


def new_thread(state: KernelState, address: int) -> Tcb:
    """An inactive thread with an empty context, the next number, and no priority."""
    thread = Tcb(address, len(state.threads), state.arena.allocate())
    state.threads.append(thread)
    state.objects[address] = thread
    if state.options.fpu and state.facts.fpu != "none":
        thread.context.words[ContextSlot.FPEXC_EN] = 1
    thread.time_slice = state.options.time_slice_ticks
    thread.domain = state.domain
    return thread


def create(state: KernelState, address: int, size_bits: int, device: bool) -> Cap:
    """A new thread in the current domain; debug builds name it after the one that makes it."""
    thread = new_thread(state, address)
    if state.options.debug:
        name = f"child of: '{state.current.name}"[:NAME_LENGTH]
        thread.name = f"{name}'"[:NAME_LENGTH]
    return ThreadCap(address)


CREATORS: Final[dict[str, Creator]] = {"TCB": create}
