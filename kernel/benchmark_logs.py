"""Logs of benchmark builds: trace points, and records of kernel entries (`include/benchmark/benchmark_track.h`).

Until 3.2.0 the log is the kernel's own memory, which user code copies out piece by piece; from 4.0.0 on it is a
megabyte frame that user code names. The model's kernel takes no time, so durations are 0: what a log tells is which
entries there were, why, and when. As its kernels come, seL4 has not one trace point in its code, so a log of those
stays empty until somebody adds some.

A record of an entry is 17 bytes, and seven that are not written: the cycle counter at the entry (64 bits; the
counter has 32), the duration (32 bits), and the entry (40 bits): a byte with the three bits `path`, and then,
because compilers begin what follows them in the packed C structure with the next byte, 29 bits of fields that
depend on the path, lowest first. The kernel fills the fields of one variable that it never clears, so what an
entry does not set is left from those before it; facts `entry_…` say what releases do otherwise.

What real kernels log and this one cannot: until 13.0.0 the first floating-point instruction of a thread enters the
kernel (`fpu` is "on-fault"), and here it does not. The kernel is taken to have its fast path (CONFIG_FASTPATH).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from retrap.kernel.caps import FrameCap, PageDirectoryCap
from retrap.kernel.debug_calls import kind_number
from retrap.kernel.effects import Outcome
from retrap.kernel.failures import LookupFailed
from retrap.kernel.lookup import lookup_slot
from retrap.kernel.objects.irq import next_pending
from retrap.kernel.policies import Benchmarks
from retrap.kernel.registers import (
    INFO,
    PC,
    R0,
    R1,
    R7,
    THUMB,
    receive_buffer,
    write_buffer,
    write_register,
)
from retrap.kernel.structures import TCB_CALLER, TCB_VTABLE, Tcb
from retrap.kernel.vspace import SECTION_BITS
from retrap.kernel.wire import BUFFER_MESSAGE, Error
from retrap.machine.traps import Trap, TrapKind

if TYPE_CHECKING:
    from retrap.kernel.abi.release import Facts
    from retrap.kernel.state import KernelState

LOG_BYTES: Final = 1 << 20
"""seL4_LogBufferSize."""

RECORD_BYTES: Final = 24
RECORDS: Final = LOG_BYTES // RECORD_BYTES
"""How many entries the log holds; later ones are not kept."""

DUMPED_RECORDS: Final = (512 - 4) // RECORD_BYTES
"""How many records one DumpLog puts into an IPC buffer, whose first word is for the message info."""

_WORD: Final = 0xFFFF_FFFF
_FAST_LENGTH: Final = 4  # the longest message that the kernel's fast path takes


def _refused(state: KernelState, reason: str) -> int:
    """There is one error for everything. It goes into r0: the calls of a benchmark build are no invocations."""
    effects = state.effects
    effects.outcome = Outcome.ERROR
    effects.error = Error.ILLEGAL_OPERATION
    effects.reason = reason
    return Error.ILLEGAL_OPERATION


class TracePoints(Benchmarks):
    """CONFIG_BENCHMARK_TRACEPOINTS from 4.0.0 on: a log in a user's frame, and nothing that writes to it."""

    __slots__ = ("buffer", "index")

    def __init__(self) -> None:
        self.buffer = 0
        """Physical address of the frame that is the log, or 0. (The kernel cannot tell a frame there from none.)"""
        self.index = 0
        """How many records there are."""

    def numbers(self) -> list[int]:
        return [self.buffer, self.index]

    def reset_log(self, state: KernelState) -> int:
        # There must be somewhere to log to.
        if self.buffer == 0:
            return _refused(state, "no log buffer has been set")
        self.index = 0
        return Error.NONE

    def finalise_log(self, state: KernelState) -> None:
        if state.facts.finalise_log_answers:
            write_register(state, state.current, R0, self.index)

    def set_log_buffer(self, state: KernelState) -> int:
        """The frame that r0 names becomes the log. What is refused leaves the old one; the index stays, too."""
        thread = state.current
        try:
            cap = lookup_slot(state, thread, thread.context.words[R0]).cap
        except LookupFailed as failed:
            return _refused(state, failed.failure.sentence())
        # It need not be mapped, nor writable, nor memory.
        if not isinstance(cap, FrameCap):
            return _refused(state, "the log buffer must be a frame")
        if cap.size_bits != SECTION_BITS:
            return _refused(state, "the log buffer must be a frame of a megabyte")
        self.buffer = cap.address
        return Error.NONE

    def frame_deleted(self, state: KernelState, cap: FrameCap) -> None:
        """Deleting any mapped capability to the frame, not only the last, ends the log; unmapping it does not."""
        if cap.address == self.buffer and cap.size_bits == SECTION_BITS:
            self.buffer = 0


_layout: Final[Callable[..., bytes]] = struct.Struct("<QIBI").pack


def _bytes_of(record: tuple[int, int]) -> bytes:
    """A record as it lies in memory, without what is not written at its end. `record`: time, and entry."""
    time, word = record
    return _layout(time, 0, word & 7, word >> 3)


# --- the entry's bit fields

_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "no-debug": ("interrupt", "unknown", "exception", "vm", "syscall"),
    "interrupt-first": ("interrupt", "unknown", "exception", "debug", "vm", "syscall"),
    "unknown-first": ("", "interrupt", "unknown", "exception", "debug", "vm", "syscall"),
}
"""Why the kernel was entered, as fact `entry_paths` numbers it."""

_NUMBER_BITS: Final = {"no-debug": 3, "interrupt-first": 4, "unknown-first": 4}
"""How many bits of the system call's number are logged, likewise."""

_CAP_TYPE_BITS: Final = 5


@final
class EntryWord:
    """ksKernelEntry: `value`, the path in its lowest three bits and the others above, and where its fields are.
    Setting one leaves the others."""

    __slots__ = (
        "cap_type_shift", "fast_shift", "label_bits", "number_bits", "paths", "value", "word_shift",
    )  # fmt: skip

    def __init__(self, facts: Facts) -> None:
        paths = facts.entry_paths
        core = facts.entry_core_field
        number_bits = _NUMBER_BITS[paths]
        self.value = 0
        self.paths: Final = {name: number for number, name in enumerate(_PATHS[paths])}
        self.number_bits: Final = number_bits
        self.word_shift: Final = 6 if core else 3
        self.cap_type_shift: Final = 3 + number_bits
        self.fast_shift: Final = self.cap_type_shift + _CAP_TYPE_BITS
        self.label_bits: Final = 31 - self.fast_shift

    def _set(self, shift: int, bits: int, value: int) -> None:
        mask = (1 << bits) - 1 << shift
        self.value = self.value & ~mask | value << shift & mask

    def set_path(self, name: str) -> None:
        self._set(0, 3, self.paths[name])

    def set_word(self, value: int) -> None:
        """What an interrupt or a fault has to say; as much of it as there is room for."""
        self._set(self.word_shift, 32 - self.word_shift, value)

    def set_core(self, value: int) -> None:
        """The processor core, where the word leaves room for it."""
        self._set(3, 3, value)

    def set_number(self, value: int) -> None:
        self._set(3, self.number_bits, value)

    def set_cap_type(self, value: int) -> None:
        self._set(self.cap_type_shift, _CAP_TYPE_BITS, value)

    def set_fast(self, value: int) -> None:
        self._set(self.fast_shift, 1, value)

    def set_label(self, value: int) -> None:
        self._set(self.fast_shift + 1, self.label_bits, value)


def _signed(number: int) -> int:
    return number if number < 0x8000_0000 else number - 0x1_0000_0000


def _named_kind(state: KernelState, thread: Tcb, cptr: int) -> int:
    """The kernel's number of the kind of capability that `cptr` names; 0 if it names none."""
    try:
        return kind_number(state, lookup_slot(state, thread, cptr).cap)
    except LookupFailed:
        return 0


def _known_calls(state: KernelState) -> dict[int, str]:
    """The system calls of the API, which are in every build, by number."""
    return {call.number: call.name for call in state.release.syscalls if call.requires == ""}


def _link_register(trap: Trap, pc: int, thumb: int) -> int:
    """The link register of the exception (ARM ARM B1.8.3), which is what the kernel logs of a fault."""
    if trap.kind is TrapKind.DATA_ABORT:
        return pc + 8 & _WORD
    if trap.kind is TrapKind.UNDEFINED and thumb:
        return pc + 2 & _WORD
    return pc + 4 & _WORD


def _interrupt(state: KernelState) -> int:
    """The number of the interrupt that is about to be taken: a device's, or the kernel's own timer's."""
    irq = next_pending(state) if state.pending_irqs else None
    return state.plan.kernel_irqs[0] if irq is None else irq


def _fast(state: KernelState) -> int:
    """Whether the entry that has just been made was one for the kernel's own fast path.

    `retrap.kernel.fastpath` recognises its cases, and does some more: long messages, and receivers without a
    page directory to switch to.
    """
    hop = state.hop
    if hop.endpoint is None or hop.length > _FAST_LENGTH:
        return 0
    root = hop.receiver.slots[TCB_VTABLE].cap
    return 1 if isinstance(root, PageDirectoryCap) and root.mapped else 0


@final
class KernelEntries(TracePoints):
    """CONFIG_BENCHMARK_TRACK_KERNEL_ENTRIES from 4.0.0 on: every return to user code logs why the kernel ran.

    The call that sets the buffer is the first to be logged; the one that resets the log becomes its first record,
    and what FinalizeLog answers does not count itself.
    """

    __slots__ = ("calls", "entered", "entry", "marks")

    measures = True

    def __init__(self, state: KernelState) -> None:
        super().__init__()
        facts = state.facts
        self.entry: Final = EntryWord(facts)
        self.marks: Final = facts.entry_fast_path
        self.calls: Final = _known_calls(state)
        self.entered = 0

    def numbers(self) -> list[int]:
        return [self.buffer, self.index, self.entered, self.entry.value]

    def enter(self, state: KernelState, time: int, trap: Trap) -> None:
        self.entered = time & _WORD
        entry = self.entry
        words = state.current.context.words
        kind = trap.kind
        if kind is TrapKind.SVC:
            number = _signed(words[R7])
            entry.set_path("syscall")
            entry.set_number(-number)
            entry.set_cap_type(_named_kind(state, state.current, words[R0]))
            entry.set_label(words[INFO] >> 12)
            # Calls that are none of the API's keep what is left in the other fields.
            known = number in self.calls
            if not known and self.marks != "never-cleared":
                entry.set_path("unknown")
            fast = self.marks == "never-cleared" or (self.marks == "cleared-if-known" and not known)
            entry.set_fast(1 if fast else 0)
            state.hop.endpoint = None
        elif kind is TrapKind.INTERRUPT:
            entry.set_path("interrupt")
            entry.set_word(_interrupt(state))
            if state.facts.entry_sets_core:
                entry.set_core(0)
        else:
            entry.set_path("exception" if kind is TrapKind.UNDEFINED else "vm")
            entry.set_word(_link_register(trap, words[PC], words[THUMB]))
            if kind is not TrapKind.UNDEFINED and state.facts.entry_sets_core:
                entry.set_fast(0)  # (in the middle of the address that has just been set)

    def leave(self, state: KernelState, before: Tcb) -> None:
        entry = self.entry
        if entry.value & 7 == entry.paths["syscall"] and _fast(state):
            entry.set_fast(1)
        if self.buffer == 0 or self.index >= RECORDS or state.halted:
            return
        place = self.buffer + RECORD_BYTES * self.index
        self.index += 1
        _store(state, place, _bytes_of((self.entered, entry.value)))


def _store(state: KernelState, address: int, record: bytes) -> None:
    """Write a record to physical memory, wherever that is: a device gets what is packed by bytes, then the
    words, and nowhere nothing."""
    memory = state.memory
    if memory.region(address) is not None:
        memory.write(address, record)
        return
    found = memory.device(address)
    if found is not None:
        device, base = found
        for position in range(12, 17):
            device.write(address + position - base, 1, record[position])
        for position in (0, 4, 8):
            device.write(address + position - base, 4, int.from_bytes(record[position : position + 4], "little"))


# --- until 3.2.0


class OldTracePoints(Benchmarks):
    """The log of trace points until 3.2.0, in the kernel's own memory. Nothing writes to it."""

    __slots__ = ("final", "records")

    def __init__(self) -> None:
        self.records: Final[list[tuple[int, int]]] = []  # time and the entry's word
        self.final = 0
        """How many records there were when FinalizeLog was called last."""

    def numbers(self) -> list[int]:
        return [self.final, *(word for record in self.records for word in record)]

    def reset_log(self, state: KernelState) -> int:
        self.records.clear()
        return Error.NONE

    def finalise_log(self, state: KernelState) -> None:
        self.final = len(self.records)

    def log_size(self, state: KernelState) -> None:
        write_register(state, state.current, R0, self.final)

    def dump_log(self, state: KernelState) -> None:
        """Copy records from number r0 on, r1 of them at most, to the IPC buffer; r0 says how many.

        What is refused changes nothing, not even r0.
        """
        thread = state.current
        start = thread.context.words[R0]
        effects = state.effects
        buffer = receive_buffer(state, thread)
        if buffer is None:
            effects.outcome = Outcome.IGNORED
            effects.reason = "the caller has no IPC buffer"
            return
        if start > self.final:
            effects.outcome = Outcome.IGNORED
            effects.reason = f"there are only {self.final} records"
            return
        size = min(thread.context.words[R1], DUMPED_RECORDS, self.final - start)
        # The log may have been reset since it was finished: nothing is copied then, and the answer is the same.
        if size and start + size <= len(self.records):
            found = self.records[start : start + size]
            data = b"".join(_bytes_of(record).ljust(RECORD_BYTES, b"\0") for record in found)
            write_buffer(state, thread, buffer, BUFFER_MESSAGE, memoryview(data).cast("I").tolist())
        write_register(state, thread, R0, size)


_INVOKING: Final = frozenset(("Call", "Send", "NBSend"))


@final
class OldKernelEntries(OldTracePoints):
    """CONFIG_BENCHMARK_TRACK_KERNEL_ENTRIES of 3.2.0: system calls that are none of the API's are not logged, and
    each system call sets only those fields that it comes across."""

    __slots__ = ("calls", "entered", "entry", "logs")

    measures = True

    def __init__(self, state: KernelState) -> None:
        super().__init__()
        self.entry: Final = EntryWord(state.facts)
        self.calls: Final = _known_calls(state)
        self.entered = 0
        self.logs = False

    def numbers(self) -> list[int]:
        return [*super().numbers(), self.entered, self.entry.value]

    def enter(self, state: KernelState, time: int, trap: Trap) -> None:
        self.entered = time & _WORD
        self.logs = True
        entry = self.entry
        kind = trap.kind
        if kind is TrapKind.SVC:
            self._enter_call(state, state.current)
        elif kind is TrapKind.INTERRUPT:
            entry.set_path("interrupt")
            entry.set_word(_interrupt(state))
        elif kind is TrapKind.UNDEFINED:
            entry.set_path("exception")
            entry.set_word(0)
        else:
            entry.set_path("vm")
            entry.set_word(0 if kind is TrapKind.DATA_ABORT else 1)

    def _enter_call(self, state: KernelState, thread: Tcb) -> None:
        entry = self.entry
        words = thread.context.words
        number = _signed(words[R7])
        name = self.calls.get(number)
        if name is None:
            self.logs = False
            if state.options.debug:
                entry.set_path("unknown")
                entry.set_word(number)
            return
        state.hop.endpoint = None
        entry.set_path("syscall")
        entry.set_number(number)
        if name in _INVOKING:
            entry.set_cap_type(_named_kind(state, thread, words[R0]))
            entry.set_label(words[INFO] >> 12)
            entry.set_fast(0)
        elif name == "Reply":
            entry.set_cap_type(kind_number(state, thread.slots[TCB_CALLER].cap))
        elif name != "Yield":
            entry.set_cap_type(_named_kind(state, thread, words[R0]))
            if name == "ReplyRecv":
                # The fast path looks first, and has set these when it gives up.
                entry.set_label(words[INFO] >> 12)
                entry.set_fast(1)

    def leave(self, state: KernelState, before: Tcb) -> None:
        if not self.logs or state.halted:
            return
        entry = self.entry
        if entry.value & 7 == entry.paths["syscall"] and _fast(state):
            entry.set_fast(1)
        if len(self.records) < RECORDS:
            self.records.append((self.entered, entry.value))


def choose(state: KernelState, entries: bool) -> Benchmarks:
    """The log of a kernel that logs its `entries`, or trace points."""
    if state.facts.benchmark_log == "kernel":
        return OldKernelEntries(state) if entries else OldTracePoints()
    return KernelEntries(state) if entries else TracePoints()
