"""One record of a trace: what went into one kernel entry and what came out of it."""

from __future__ import annotations

import struct
from typing import Final, final

from retrap.kernel.effects import Effects
from retrap.machine.context import Slot
from retrap.machine.traps import SVC, Trap, TrapKind
from retrap.traces.layout import CONTEXT_BYTES, CONTEXT_WORDS

Capability = tuple[str, int, int]
"""What a capability pointer resolved to: type name, object address, badge."""

BufferWords = tuple[int, int, list[int]]
"""Thread number, word index in its IPC buffer, words."""

RegisterWrite = tuple[int, int, int]
"""Thread number, context slot, value."""

ThreadEntry = tuple[int, int, str]
"""A thread that was created or renamed: number, address of its TCB, name."""

Arrival = tuple[int, bytes]
"""When bytes came in on the serial line, and which."""

NO_CONTEXT: Final = bytes(CONTEXT_BYTES)

_CONTEXT: Final = struct.Struct(f"<{CONTEXT_WORDS}I")

_BUFFER_MESSAGE: Final = 1  # word index of MR0 in the IPC buffer
_BUFFER_CAPS: Final = 122  # word index of the first extra capability pointer
_MESSAGE_REGISTERS: Final = 4  # MR0 … MR3 travel in R2 … R5
_MAX_LENGTH: Final = 120


@final
class Outside:
    """What came from outside the kernel since the entry before: devices' interrupts, serial input, warnings.

    `work`: at which of the entry's preemption points the interrupts came; 0: they were there before.
    """

    __slots__ = ("arrived", "interrupts", "warnings", "work")

    def __init__(
        self,
        interrupts: list[int] | None = None,
        arrived: list[Arrival] | None = None,
        warnings: list[str] | None = None,
        work: int = 0,
    ) -> None:
        self.work = work
        self.interrupts: Final[list[int]] = interrupts or []
        self.arrived: Final[list[Arrival]] = arrived or []
        self.warnings: Final[list[str]] = warnings or []


@final
class Record:
    """Inputs and outputs of one kernel entry; the names are those of `Effects`, which says what they mean.

    `number` counts from 0. `context` is the first 32 words of the trapping thread's registers as they were at
    the trap (`machine.context.Slot`, little-endian), all zero when no thread was running. `interrupts` are the
    device interrupts raised since the record before, `arrived` the serial input that came in while running (what
    was there from the start is an input of the trace), `warnings` what devices had to say; `threads` those created
    or renamed by this entry; `work` at which of its preemption points the interrupts came (0: before it);
    `digest` the kernel state's digest after it, where the recorder took one, else empty.
    """

    __slots__ = (
        "_words_in", "address", "arrived", "badge", "buffer_writes", "console", "context", "digest", "error",
        "error_words", "extra_caps", "fault", "fault_words", "interrupts", "kind", "next_thread", "number",
        "outcome", "reads", "reason", "registers", "status", "target", "thread", "threads", "time", "warnings",
        "work",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        time: int,
        thread: int,
        kind: int,
        context: bytes,
        outcome: int,
        next_thread: int,
        registers: list[RegisterWrite],
        target: Capability | None = None,
        extra_caps: tuple[Capability | None, ...] = (),
        badge: int = 0,
        error: int = 0,
        fault: str = "",
        reason: str = "",
    ) -> None:
        self.number = number
        self.time = time
        self.thread = thread
        self.kind = kind
        self.context = context
        self.outcome = outcome
        self.next_thread = next_thread
        self.registers = registers
        self.target = target
        self.extra_caps = extra_caps
        self.badge = badge
        self.error = error
        self.fault = fault
        self.reason = reason
        self.address = 0
        self.status = 0
        self.reads: list[BufferWords] = []
        self.buffer_writes: list[BufferWords] = []
        self.error_words: list[int] = []
        self.fault_words: list[int] = []
        self.console = b""
        self.threads: list[ThreadEntry] = []
        self.interrupts: list[int] = []
        self.arrived: list[Arrival] = []
        self.warnings: list[str] = []
        self.work = 0
        self.digest = b""
        self._words_in: tuple[int, ...] | None = None

    @property
    def outside(self) -> Outside | None:
        """What came from outside, if anything did."""
        if not (self.interrupts or self.arrived or self.warnings):
            return None
        return Outside(self.interrupts, self.arrived, self.warnings, self.work)

    @outside.setter
    def outside(self, outside: Outside | None) -> None:
        if outside is not None:
            self.interrupts = outside.interrupts
            self.arrived = outside.arrived
            self.warnings = outside.warnings
            self.work = outside.work

    # -- what the registers say ------------------------------------------------------------------------------

    @property
    def words_in(self) -> tuple[int, ...]:
        """The register context at the trap, by `Slot`."""
        words = self._words_in
        if words is None:
            words = self._words_in = _CONTEXT.unpack(self.context)
        return words

    @property
    def is_syscall(self) -> bool:
        return self.kind == 0  # TrapKind.SVC

    @property
    def syscall(self) -> int:
        """R7 as a signed number, 0 if the trap is not a system call."""
        if self.kind != 0:
            return 0
        value = self.words_in[7]
        return value - (1 << 32) if value >> 31 else value

    @property
    def cptr(self) -> int:
        """The capability pointer of a system call (R0)."""
        return self.words_in[0] if self.kind == 0 else 0

    @property
    def pc(self) -> int:
        return self.words_in[Slot.PC]

    @property
    def label(self) -> int:
        """The message label of a system call (R1, bits 12 to 31)."""
        return self.words_in[1] >> 12 if self.kind == 0 else 0

    @property
    def length(self) -> int:
        """The message length of a system call, as the kernel clamps it (R1, bits 0 to 6)."""
        return min(self.words_in[1] & 0x7F, _MAX_LENGTH) if self.kind == 0 else 0

    @property
    def extra_cap_count(self) -> int:
        """How many extra capabilities the message info announces (R1, bits 7 and 8)."""
        return self.words_in[1] >> 7 & 3 if self.kind == 0 else 0

    def message(self) -> list[int]:
        """The message registers of a system call, as far as the kernel read them: MR0 … MR3, then the buffer."""
        length = self.length
        words = list(self.words_in[2 : 2 + min(length, _MESSAGE_REGISTERS)])
        if length > _MESSAGE_REGISTERS and self.reads:
            buffer = self.buffer()
            for index in range(_BUFFER_MESSAGE + _MESSAGE_REGISTERS, _BUFFER_MESSAGE + length):
                if index not in buffer:
                    break
                words.append(buffer[index])
        return words

    def extra_cap_pointers(self) -> list[int]:
        """The pointers of the extra capabilities, as far as the kernel read them."""
        buffer = self.buffer()
        pointers = []
        for index in range(_BUFFER_CAPS, _BUFFER_CAPS + self.extra_cap_count):
            if index not in buffer:
                break
            pointers.append(buffer[index])
        return pointers

    def buffer(self) -> dict[int, int]:
        """What the kernel read of the trapping thread's IPC buffer: word index → value (the first one read)."""
        found: dict[int, int] = {}
        for thread, start, words in self.reads:
            if thread == self.thread:
                for offset, word in enumerate(words):
                    found.setdefault(start + offset, word)
        return found

    def trap(self) -> Trap:
        """The trap, to be given to a kernel again. Raises ValueError if `kind` names none."""
        if self.kind == 0 and not self.address and not self.status:
            return SVC
        return Trap(TrapKind(self.kind), self.address, self.status)

    # -- values ----------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and all(getattr(self, n) == getattr(other, n) for n in FIELDS)

    def __hash__(self) -> int:
        return hash((self.number, self.time, self.thread, self.context))

    def __repr__(self) -> str:
        return f"Record({', '.join(f'{name}={getattr(self, name)!r}' for name in FIELDS)})"


FIELDS: Final = (
    "number", "time", "thread", "kind", "address", "status", "context", "interrupts", "work", "arrived", "reads",
    "target", "badge", "extra_caps", "outcome", "error", "error_words", "fault", "fault_words", "reason",
    "registers", "buffer_writes", "console", "next_thread", "threads", "warnings", "digest",
)  # fmt: skip
"""Every field of a record, inputs first."""

OUTPUTS: Final = FIELDS[FIELDS.index("target") : FIELDS.index("threads")]
"""The fields that the kernel decides, in the order in which a report names them (digests are compared apart)."""


def record_of(number: int, effects: Effects, context: bytes) -> Record:
    """The record of a kernel entry. `context`: the 128 bytes taken before it. Shares nothing with `effects`."""
    trap = effects.trap
    if trap is None:
        raise ValueError("these effects belong to no trap")
    thread = effects.thread
    record = Record(
        number,
        effects.time,
        thread,
        int(trap.kind),
        context if thread >= 0 else NO_CONTEXT,
        effects.outcome,
        effects.next_thread,
        list(effects.registers),
        effects.target,
        tuple(effects.extra_caps),
        effects.badge,
        effects.error,
        effects.fault,
        effects.reason,
    )
    record.address = trap.address
    record.status = trap.status
    record.reads = [(owner, index, list(words)) for owner, index, words in effects.reads]
    record.buffer_writes = [(owner, index, list(words)) for owner, index, words in effects.buffer_writes]
    record.error_words = list(effects.error_words)
    record.fault_words = list(effects.fault_words)
    record.console = bytes(effects.console)
    return record


def effects_of(record: Record) -> Effects:
    """The effects that a record was made from, as far as records keep them. Raises ValueError for a bad trap."""
    effects = Effects()
    effects.begin(record.time, record.thread, record.trap())
    effects.syscall = record.syscall
    effects.target = record.target
    effects.extra_caps = list(record.extra_caps)
    effects.badge = record.badge
    effects.reads = list(record.reads)
    effects.registers = list(record.registers)
    effects.buffer_writes = list(record.buffer_writes)
    effects.console = bytearray(record.console)
    effects.outcome = record.outcome
    effects.error = record.error
    effects.error_words = list(record.error_words)
    effects.fault = record.fault
    effects.fault_words = list(record.fault_words)
    effects.reason = record.reason
    effects.next_thread = record.next_thread
    return effects
