"""Register and IPC buffer access by the kernel: everything it reads from or writes to a thread is logged here.

Trap entry also saves where the thread stopped (`enter_pc`), as the kernel's exception vectors do; that is part of
taking the trap and not logged.
"""

from __future__ import annotations

from array import array
from typing import Final

from retrap.kernel.caps import VM_KERNEL_ONLY, VM_READ_WRITE, FrameCap
from retrap.kernel.state import KernelState
from retrap.kernel.structures import TCB_BUFFER, Tcb
from retrap.kernel.wire import BUFFER_MESSAGE, BUFFER_SIZE_BITS, MESSAGE_REGISTERS
from retrap.machine.context import Slot as ContextSlot

R0: Final = 0
R1: Final = 1
R2: Final = 2
R7: Final = 7
BADGE: Final = R0
INFO: Final = R1
FIRST_MR: Final = R2  # MR0 … MR3 are r2 … r5
MR1: Final = FIRST_MR + 1
MR2: Final = FIRST_MR + 2
MR3: Final = FIRST_MR + 3
PC: Final = ContextSlot.PC
RESTART_PC: Final = ContextSlot.RESTART_PC
THUMB: Final = ContextSlot.THUMB
CPSR: Final = -1
"""Stands for the packed CPSR where a context slot is named."""

_FLAGS: Final = 0xF800_0000  # N Z C V Q: all that one thread may set in another's CPSR
_BUFFER_WORDS: Final = 1 << (BUFFER_SIZE_BITS - 2)


def write_register(state: KernelState, thread: Tcb, slot: int, value: int) -> None:
    """Set a context slot (or `CPSR`, as it is) of a thread, and log it."""
    if slot == CPSR:
        thread.context.cpsr = value
    else:
        thread.context.words[slot] = value
    state.effects.log.append((thread.number, slot, value))


def read_register(state: KernelState, thread: Tcb, slot: int) -> int:
    """A context slot, or `CPSR` with the mode and mask bits that user code has."""
    if slot == CPSR:
        return thread.context.cpsr | state.user_mode
    return thread.context.words[slot]


def sanitise(slot: int, value: int) -> int:
    """What is left of a value that one thread gives another for a register: of the CPSR only the flags.

    In particular the Thumb bit is lost: a thread that is given a CPSR this way continues in ARM state.
    """
    return value & _FLAGS if slot == CPSR else value


def set_next_pc(state: KernelState, thread: Tcb, value: int) -> None:
    """Let the thread continue at `value`, aligned as an exception return aligns it (ARM ARM B1.8.10)."""
    words = thread.context.words
    value &= 0xFFFF_FFFE if words[THUMB] else 0xFFFF_FFFC
    words[PC] = value
    state.effects.log.append((thread.number, PC, value))


def _refresh_buffer(state: KernelState, thread: Tcb, cap: FrameCap) -> None:
    """Cache the 128 words behind the thread's IPC buffer capability."""
    thread.buffer_cap = cap
    thread.buffer_words = None
    if cap.device or cap.rights == VM_KERNEL_ONLY:
        return
    address = cap.address + (thread.buffer_address & ((1 << cap.size_bits) - 1))
    region = state.memory.region(address)
    if region is None:
        return
    start = (address - region.base) >> 2
    thread.buffer_words = region.words[start : start + _BUFFER_WORDS]
    thread.buffer_physical = address


def send_buffer(state: KernelState, thread: Tcb) -> memoryview | None:
    """The thread's IPC buffer to read from: its frame must be readable. None if it has none."""
    cap = thread.slots[TCB_BUFFER].cap
    if cap is not thread.buffer_cap:
        if not isinstance(cap, FrameCap):
            return None
        _refresh_buffer(state, thread, cap)
    return thread.buffer_words


def receive_buffer(state: KernelState, thread: Tcb) -> memoryview | None:
    """The thread's IPC buffer to write to: its frame must be writable. None if it has none."""
    cap = thread.slots[TCB_BUFFER].cap
    if not isinstance(cap, FrameCap) or cap.rights != VM_READ_WRITE:
        return None
    if cap is not thread.buffer_cap:
        _refresh_buffer(state, thread, cap)
    return thread.buffer_words


def read_buffer(state: KernelState, thread: Tcb, buffer: memoryview, index: int, count: int) -> list[int]:
    """`count` words of the thread's IPC buffer from word `index` on."""
    words: list[int]
    # One capability pointer, one or two words: what nearly every invocation reads, and slices are slow.
    if count == 1:
        words = [buffer[index]]
    elif count == 2:
        words = [buffer[index], buffer[index + 1]]
    else:
        words = buffer[index : index + count].tolist()
    if state.effects.watched:
        state.effects.reads.append((thread.number, index, words))
    return words


def write_buffer(state: KernelState, thread: Tcb, buffer: memoryview, index: int, words: list[int]) -> None:
    """Write words into the thread's IPC buffer from word `index` on."""
    buffer[index : index + len(words)] = memoryview(array("I", words))
    state.effects.buffer_writes.append((thread.number, index, words))
    memory = state.memory
    if memory.watched:
        memory.notice(thread.buffer_physical + 4 * index, 4 * len(words))


def write_message(state: KernelState, thread: Tcb, words: list[int]) -> int:
    """Put a message from the kernel into the thread's message registers; how many words fitted.

    The first four travel in registers; the others need an IPC buffer and are dropped without one.
    """
    length = len(words)
    context = thread.context.words
    log = state.effects.log
    number = thread.number
    slot = FIRST_MR
    for word in words[:MESSAGE_REGISTERS]:
        context[slot] = word
        log.append((number, slot, word))
        slot += 1
    if length > MESSAGE_REGISTERS:
        buffer = receive_buffer(state, thread)
        if buffer is None:
            return MESSAGE_REGISTERS
        write_buffer(state, thread, buffer, BUFFER_MESSAGE + MESSAGE_REGISTERS, words[MESSAGE_REGISTERS:])
    return length
