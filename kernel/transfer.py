"""Moving a message from one thread to another: words, capabilities, badges, faults (manual 4.2)."""

from __future__ import annotations

from typing import Final

from retrap.kernel import derivation
from retrap.kernel.caps import GRANT, READ, EndpointCap, Tag
from retrap.kernel.failures import LookupFailed, Refused
from retrap.kernel.faults import reply_registers
from retrap.kernel.lookup import lookup_slot, target_slot
from retrap.kernel.registers import (
    BADGE,
    FIRST_MR,
    INFO,
    read_buffer,
    receive_buffer,
    sanitise,
    send_buffer,
    write_buffer,
    write_message,
    write_register,
)
from retrap.kernel.slots import Slot
from retrap.kernel.state import KernelState
from retrap.kernel.structures import Endpoint, Tcb
from retrap.kernel.wire import (
    BUFFER_CAPS,
    BUFFER_MESSAGE,
    BUFFER_RECEIVE,
    MESSAGE_REGISTERS,
    info_extra_caps,
    info_label,
    info_length,
    message_info,
)

_NO_WRITE: Final = READ | GRANT


def transfer(
    state: KernelState,
    sender: Tcb,
    endpoint: Endpoint | None,
    badge: int,
    grant: bool,
    receiver: Tcb,
    diminish: bool,
) -> None:
    """Give the sender's message, or the fault it is in, to the receiver. `endpoint` is None in replies.

    `diminish`: capabilities lose their write rights on the way.
    """
    fault = sender.fault
    if fault is not None:
        sent = write_message(state, receiver, fault.words(state, sender))
        label = state.release.fault_labels[fault.name]
        write_register(state, receiver, INFO, message_info(label, 0, 0, sent))
        write_register(state, receiver, BADGE, badge)
        return

    source = sender.context.words
    target = receiver.context.words
    info = source[INFO]
    caps: list[Slot] = []
    if grant and info_extra_caps(info):
        try:
            caps = lookup_extra_caps(state, sender, info)
        except ExtraCapFailed:
            caps = []

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
    if caps:
        info |= _transfer_caps(state, caps, endpoint, receiver, diminish)
    target[INFO] = info
    log.append((number, INFO, info))
    target[BADGE] = badge
    log.append((number, BADGE, badge))


class ExtraCapFailed(Exception):
    """An extra capability's pointer leads nowhere."""

    def __init__(self, cptr: int, failed: LookupFailed) -> None:
        self.cptr = cptr
        self.failure = failed.failure


def lookup_extra_caps(state: KernelState, thread: Tcb, info: int) -> list[Slot]:
    """The slots that the thread's extra capability pointers name: none without an IPC buffer.

    Raises `ExtraCapFailed`.
    """
    count = info >> 7 & 3
    if count == 0:
        return []
    buffer = send_buffer(state, thread)
    if buffer is None:
        return []
    if count == 1:  # nearly always
        cptr = buffer[BUFFER_CAPS]
        if state.effects.watched:
            state.effects.reads.append((thread.number, BUFFER_CAPS, [cptr]))
        try:
            return [lookup_slot(state, thread, cptr)]
        except LookupFailed as failed:
            raise ExtraCapFailed(cptr, failed) from None
    slots: list[Slot] = []
    for cptr in read_buffer(state, thread, buffer, BUFFER_CAPS, count):
        try:
            slots.append(lookup_slot(state, thread, cptr))
        except LookupFailed as failed:
            raise ExtraCapFailed(cptr, failed) from None
    return slots


def _receive_slot(state: KernelState, receiver: Tcb, buffer: memoryview) -> Slot | None:
    """The empty slot where the receiver wants a capability, None if it named no such slot."""
    root, index, depth = read_buffer(state, receiver, buffer, BUFFER_RECEIVE, 3)
    try:
        slot = target_slot(state, lookup_slot(state, receiver, root).cap, index, depth)
    except (LookupFailed, Refused):
        return None
    return slot if slot.cap.tag == Tag.NULL else None


def _transfer_caps(
    state: KernelState, caps: list[Slot], endpoint: Endpoint | None, receiver: Tcb, diminish: bool
) -> int:
    """Give capabilities to the receiver; the two fields of the message info that say what it got.

    A capability to the very endpoint of this message is unwrapped: only its badge is given. Of the others one
    can be received; the first that cannot ends the transfer.
    """
    buffer = receive_buffer(state, receiver)
    if buffer is None:
        return 0
    target = _receive_slot(state, receiver, buffer)
    unwrapped = 0
    count = 0
    for slot in caps:
        cap = slot.cap
        if endpoint is not None and isinstance(cap, EndpointCap) and cap.address == endpoint.address:
            write_buffer(state, receiver, buffer, BUFFER_CAPS + count, [cap.badge])
            unwrapped |= 1 << count
        else:
            if target is None:
                break
            try:
                derived = derivation.derive(slot, cap.masked(_NO_WRITE) if diminish else cap)
            except Refused:
                break
            if derived.tag == Tag.NULL:
                break
            derivation.insert(derived, slot, target)
            target = None
        count += 1
    return unwrapped << 9 | count << 7


def apply_fault_reply(state: KernelState, sender: Tcb, receiver: Tcb) -> bool:
    """Change the faulting thread's registers as its handler's reply says; whether it may go on."""
    fault = receiver.fault
    assert fault is not None
    slots = reply_registers(fault)
    if not slots:
        return True
    words = sender.context.words
    info = words[INFO]
    length = min(info_length(info), len(slots))
    values = words[FIRST_MR : FIRST_MR + min(length, MESSAGE_REGISTERS)].tolist()
    if length > MESSAGE_REGISTERS:
        buffer = send_buffer(state, sender)
        if buffer is not None:
            first = BUFFER_MESSAGE + MESSAGE_REGISTERS
            values += read_buffer(state, sender, buffer, first, length - MESSAGE_REGISTERS)
    for slot, value in zip(slots, values, strict=False):
        write_register(state, receiver, slot, sanitise(slot, value))
    return info_label(info) == 0
