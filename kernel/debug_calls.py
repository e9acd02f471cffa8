"""System calls of debug and printing builds, and SetTLSBase: they answer at once and never reschedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retrap.kernel.caps import Cap, FrameCap, Tag, ThreadCap
from retrap.kernel.effects import Outcome
from retrap.kernel.failures import KernelDied, LookupFailed
from retrap.kernel.lookup import lookup_slot
from retrap.kernel.objects.tcb import NAME_LENGTH, thread_of
from retrap.kernel.registers import R0, RESTART_PC, read_buffer, receive_buffer, write_register
from retrap.kernel.state import Change, KernelState
from retrap.kernel.structures import Tcb
from retrap.kernel.wire import BUFFER_MESSAGE, MAX_LENGTH

_RAW_KINDS: Final = {
    Tag.NULL: "null",
    Tag.UNTYPED: "untyped",
    Tag.ENDPOINT: "endpoint",
    Tag.NOTIFICATION: "notification",
    Tag.REPLY: "reply",
    Tag.CNODE: "cnode",
    Tag.THREAD: "thread",
    Tag.IRQ_CONTROL: "irq-control",
    Tag.IRQ_HANDLER: "irq-handler",
    Tag.ZOMBIE: "zombie",
    Tag.DOMAIN: "domain",
    Tag.FRAME: "frame",
    Tag.PAGE_TABLE: "page-table",
    Tag.PAGE_DIRECTORY: "page-directory",
    Tag.ASID_CONTROL: "asid-control",
    Tag.ASID_POOL: "asid-pool",
    Tag.SGI_SIGNAL: "sgi-signal",
    Tag.ASYNC_ENDPOINT: "async-endpoint",
}

_STATES: Final = (
    "inactive", "running", "restart", "blocked on recv", "blocked on send", "blocked on reply",
    "blocked on ntfn", "idle",
)  # fmt: skip

_TCB_OFFSET: Final = 0x200  # the kernel's pointer to a TCB points behind its slots


def put_char(state: KernelState) -> int:
    """DebugPutChar: one byte to the console."""
    state.effects.console.append(state.current.context.words[R0] & 0xFF)
    return Change.TIME


def _print(state: KernelState, text: str) -> None:
    state.effects.console += text.encode("utf-8", "replace")


def _row(thread: Tcb, name: str, core: str) -> str:
    pc = thread.context.words[RESTART_PC]
    where = f"{pc:#x}" if pc else "0"
    return f"{name:>40}\t{_STATES[thread.state]:>15}\t{where}\t{thread.priority:>20}{core}\n"


def debug_threads(state: KernelState) -> list[tuple[Tcb, str]]:
    """All threads with their names, the newest first, as debug builds have them in a list."""
    found = [(thread, thread.name) for thread in reversed(state.threads) if thread.live]
    # The idle thread is made before the initial one is in the list.
    at = next((index for index, (thread, _) in enumerate(found) if thread.number == 0), len(found))
    found.insert(at, (state.idle, "idle_thread"))
    return found


def dump_scheduler(state: KernelState) -> int:
    """DebugDumpScheduler: a table of all threads, the newest first; it takes a debug build."""
    if not state.options.debug:
        return Change.TIME
    title, core = (" \t Core", "\t0") if state.facts.debug_output_names else ("", "")
    columns = f"{'Name':<40}\t{'State':<15}\t{'IP':<20}\t Prio{title}\n"
    _print(state, f"Dumping all tcbs!\n{columns}{'-' * 86}\n")
    for thread, name in debug_threads(state):
        _print(state, _row(thread, name, core))
    return Change.TIME


def halt(state: KernelState) -> int:
    """DebugHalt: the machine stops."""
    state.halted = True
    state.effects.outcome = Outcome.HALTED
    return Change.TIME


def snapshot(state: KernelState) -> int:
    """DebugSnapshot: says who asked. (The dump of all objects that the kernel prints then is not modelled.)"""
    thread = state.current
    pointer = thread.address + _TCB_OFFSET - state.plan.ram[0][0] + state.plan.kernel_base
    name = f' "{thread.name}"' if state.facts.debug_output_names else ""
    _print(state, f"Debug snapshot syscall from user thread {pointer & 0xFFFF_FFFF:#x}{name}\n")
    return Change.TIME


def kind_number(state: KernelState, cap: Cap) -> int:
    """The kernel's own number of the capability's kind."""
    kind = _RAW_KINDS[cap.tag]
    if isinstance(cap, FrameCap):
        if "user-data" in state.release.cap_types:
            kind = "user-data"
        elif cap.size_bits == 12:
            kind = "small-frame"
    return state.release.cap_types[kind]


def cap_identify(state: KernelState) -> int:
    """DebugCapIdentify: the kernel's own number of the capability's kind, 0 if there is none."""
    thread = state.current
    cptr = thread.context.words[R0]
    number = state.release.cap_types["null"]
    try:
        number = kind_number(state, lookup_slot(state, thread, cptr).cap)
    except LookupFailed as failed:
        state.effects.reason = failed.failure.sentence()
    write_register(state, thread, R0, number)
    return Change.TIME


def name_thread(state: KernelState) -> int:
    """DebugNameThread: the name is in the IPC buffer, ended by a zero byte. The kernel halts on misuse."""
    thread = state.current
    cptr = thread.context.words[R0]
    try:
        cap = lookup_slot(state, thread, cptr).cap
    except LookupFailed as failed:
        raise KernelDied(f"DebugNameThread: {failed.failure.sentence()}") from None
    if not isinstance(cap, ThreadCap):
        raise KernelDied("DebugNameThread: not a thread capability")
    buffer = receive_buffer(state, thread)
    if buffer is None:
        raise KernelDied("DebugNameThread: the caller has no IPC buffer")
    text = bytes(buffer[BUFFER_MESSAGE : BUFFER_MESSAGE + MAX_LENGTH])
    length = text.find(0)
    used = length // 4 + 1 if length >= 0 else MAX_LENGTH
    read_buffer(state, thread, buffer, BUFFER_MESSAGE, used)  # for the log
    if length < 0:
        raise KernelDied("DebugNameThread: the name is too long")
    thread_of(state, cap).name = text[: min(length, NAME_LENGTH)].decode("utf-8", "replace")
    return Change.TIME


def set_tls_base(state: KernelState) -> int:
    """SetTLSBase: the caller's own TLS register."""
    thread = state.current
    write_register(state, thread, state.tls_register, thread.context.words[R0])
    return Change.TIME


HANDLERS: Final[dict[str, Callable[[KernelState], int]]] = {
    "DebugPutChar": put_char,
    "DebugDumpScheduler": dump_scheduler,
    "DebugHalt": halt,
    "DebugCapIdentify": cap_identify,
    "DebugSnapshot": snapshot,
    "DebugNameThread": name_thread,
    "SetTLSBase": set_tls_base,
}
