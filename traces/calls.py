"""What a record means in the words of the seL4 manual: which call, with which arguments, with what result.

All numbers are resolved through the tables of the release that the trace was recorded on, so that records of
different releases can be compared by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from retrap.kernel.abi.packing import MessageLayout, Place, message_layout
from retrap.kernel.abi.release import Invocation, Release
from retrap.kernel.effects import IDLE, Outcome
from retrap.machine.traps import FaultStatus, TrapKind
from retrap.traces.record import Capability, Record, ThreadEntry

IPC_TARGETS: Final = frozenset(("Endpoint", "Notification", "Reply"))
"""Kinds whose invocation is communication: the label is the user's own."""

INVOKING: Final = frozenset(("Call", "Send", "NBSend"))
"""System calls that can invoke a kernel object."""

SENDING: Final = INVOKING | {"Reply", "ReplyRecv", "NBSendRecv", "NBSendWait"}
RECEIVING: Final = frozenset(("Recv", "NBRecv", "ReplyRecv", "Wait", "NBWait", "NBSendRecv", "NBSendWait"))

Value = int | str | list[int] | dict[str, int] | Capability | None
"""An argument: a number, a symbol, message words, registers, or a capability (None: nothing was found)."""


@final
@dataclass(frozen=True, slots=True)
class Argument:
    """One named argument; `ctype` is libsel4's type of it. `pointer`: the capability pointer that was passed."""

    name: str
    value: Value
    ctype: str = "seL4_Word"
    pointer: int | None = None


@final
@dataclass(frozen=True, slots=True)
class Call:
    """What was asked of the kernel.

    `category`: "invocation", "ipc", "debug", "fault" (an exception, or an unknown system call), "interrupt",
    "other" (Yield, benchmark calls, accesses to user data in the 2006 design). `name` is the user-level name in
    this release ("seL4_Untyped_Retype"), `canonical` the same in all releases ("UntypedRetype"), `interface` the
    invocation's interface or "".
    `syscall` is the system call that carried it ("seL4_Call"), "" for other traps.
    """

    category: str
    name: str
    canonical: str
    interface: str
    syscall: str
    target: Capability | None
    arguments: tuple[Argument, ...]


@final
@dataclass(frozen=True, slots=True)
class Received:
    """A message that a thread received. `label` and `words` are None if only a badge was delivered."""

    thread: int
    badge: int | None
    label: int | None
    words: list[int] | None


@final
class Names:
    """Names of threads and capabilities, kept up to date record by record."""

    __slots__ = ("_by_address", "threads")

    def __init__(self, threads: dict[int, ThreadEntry] | None = None) -> None:
        """`threads`: those known beforehand (`Reader.threads_at`)."""
        self.threads: Final[dict[int, ThreadEntry]] = {}
        self._by_address: Final[dict[int, int]] = {}
        for entry in (threads or {}).values():
            self._add(entry)

    def update(self, record: Record) -> None:
        """Note the threads that a record creates or renames."""
        for entry in record.threads:
            self._add(entry)

    def thread(self, number: int) -> str:
        """A thread's name; its number where it has none."""
        if number == IDLE:
            return "idle"
        entry = self.threads.get(number)
        return entry[2] if entry is not None and entry[2] else f"thread {number}"

    def capability(self, capability: Capability) -> str:
        """What a capability refers to: "untyped@0x61000000", "tcb(worker)", "endpoint@0x40000000 badge 0x7"."""
        kind, address, badge = capability
        if kind == "TCB" and address in self._by_address:
            return f"tcb({self.thread(self._by_address[address])})"
        if kind in ("IRQHandler", "SGISignal"):
            return f"{kind.lower()} {address}"
        text = f"{kind.lower()}@{address:#x}" if address else kind.lower()
        return f"{text} badge {badge:#x}" if badge else text

    def _add(self, entry: ThreadEntry) -> None:
        self.threads[entry[0]] = entry
        self._by_address[entry[1]] = entry[0]


@final
class Decoder:
    """Decodes the records of one release."""

    def __init__(self, release: Release) -> None:
        self.release: Final = release
        self._calls: Final = {call.number: call for call in release.syscalls}
        registers = len(release.user_context)
        self._layouts: Final[list[tuple[Invocation, MessageLayout]]] = [
            (invocation, message_layout(invocation, registers)) for invocation in release.invocations
        ]

    def call(self, record: Record) -> Call:
        """What the record asked of the kernel."""
        if record.kind != TrapKind.SVC:
            return _exception(record)
        call = self._calls.get(record.syscall)
        if call is None or (record.fault == "UnknownSyscall" and record.outcome in (Outcome.FAULT, Outcome.DEAD)):
            arguments = (Argument("number", record.syscall, "int"),)
            return Call("fault", "unknown syscall", "UnknownSyscall", "", "", None, arguments)
        name = call.name
        spelling = "seL4_" + call.spelling.removeprefix("seL4_Sys")
        if name.startswith("Debug"):
            return Call("debug", spelling, name, "", spelling, None, _debug_arguments(record, name))
        if name not in SENDING and name not in RECEIVING:
            return Call("other", spelling, name, "", spelling, None, ())
        if name in INVOKING:
            invocation = self._invocation(record)
            if invocation is not None:
                described, layout = invocation
                return Call(
                    "invocation", described.method, described.label, described.interface, spelling, record.target,
                    self._arguments(record, layout),
                )  # fmt: skip
        return Call("ipc", spelling, name, "", spelling, record.target, _ipc_arguments(record, name))

    def error(self, number: int) -> str:
        """The name of a seL4_Error."""
        errors = self.release.errors
        return errors[number] if 0 <= number < len(errors) else f"error {number}"

    def outputs(self, record: Record) -> list[tuple[str, Value]]:
        """What a successful invocation returned to its caller."""
        invocation = self._invocation(record)
        if invocation is None:
            return []
        reply = received(record, record.thread)
        words = (reply.words if reply is not None else None) or []
        found: list[tuple[str, Value]] = []
        for place in invocation[1].outputs:
            value = self._value(place, words, len(self.release.user_context))
            if value is not None:
                found.append((place.parameter.name, value))
        return found

    def _invocation(self, record: Record) -> tuple[Invocation, MessageLayout] | None:
        """The invocation of a kernel object that a record's label names; None if it is none."""
        target = record.target
        if record.kind != TrapKind.SVC or (target is not None and target[0] in IPC_TARGETS):
            return None
        label = record.label
        if not 0 < label < len(self._layouts):
            return None
        return self._layouts[label]

    def _arguments(self, record: Record, layout: MessageLayout) -> tuple[Argument, ...]:
        """Arguments in libsel4's order; those that the message was too short for are left out."""
        words = record.message()
        pointers = record.extra_cap_pointers()
        places = {id(place.parameter): place for place in layout.inputs}
        found: list[Argument] = []
        caps = 0
        invocation = self._layouts[record.label][0]
        for parameter in invocation.parameters:
            if parameter.out:
                continue
            if parameter.kind == "cap":
                index, caps = caps, caps + 1
                if index < len(record.extra_caps) or index < len(pointers):
                    cap = record.extra_caps[index] if index < len(record.extra_caps) else None
                    pointer = pointers[index] if index < len(pointers) else None
                    found.append(Argument(parameter.name, cap, parameter.ctype, pointer))
                continue
            place = places.get(id(parameter))
            value = self._value(place, words, _count(found)) if place is not None else None
            if value is not None:
                if parameter.name == "type" and invocation.label == "UntypedRetype" and isinstance(value, int):
                    value = self._object_type(value)
                found.append(Argument(parameter.name, value, parameter.ctype))
        return tuple(found)

    def _value(self, place: Place, words: list[int], count: int) -> Value:
        """A parameter's value in a message, None if the message is too short; of registers the first `count`."""
        if place.parameter.kind != "registers":
            return place.extract(words)
        slots = self.release.user_context[:count]
        return {register_name(slot): word for slot, word in zip(slots, words[place.word :], strict=False)}

    def _object_type(self, number: int) -> Value:
        types = self.release.object_types
        return types[number].name if number < len(types) else number


def _count(arguments: list[Argument]) -> int:
    """How many registers the `count` argument announces."""
    for argument in arguments:
        if argument.name == "count" and isinstance(argument.value, int):
            return argument.value
    return 0


_REGISTER_NAMES: Final = {
    -1: "cpsr", 13: "sp", 14: "lr", 15: "pc", 16: "n", 17: "z", 18: "c", 19: "v", 20: "q", 21: "ge", 22: "thumb",
    23: "it", 24: "e", 25: "tpidrurw", 26: "tpidruro", 27: "fpscr", 28: "exclusive", 29: "exclusive_address",
    30: "restart_pc", 31: "fpexc_en",
}  # fmt: skip


def register_name(slot: int) -> str:
    """The name of a context slot; -1 is the packed CPSR."""
    return _REGISTER_NAMES.get(slot, f"r{slot}" if 0 <= slot < 13 else f"slot{slot}")


def received(record: Record, thread: int) -> Received | None:
    """The message that the record's writes put into a thread's registers and buffer; None if there is none."""
    badge: int | None = None
    info: int | None = None
    registers: dict[int, int] = {}
    for owner, slot, value in record.registers:
        if owner != thread:
            continue
        if slot == 0:
            badge = value
        elif slot == 1:
            info = value
        elif 2 <= slot <= 5:
            registers[slot] = value
    if badge is None and info is None:
        return None
    if info is None:
        return Received(thread, badge, None, None)
    length = min(info & 0x7F, 120)
    words = [registers[slot] for slot in range(2, 2 + min(length, 4)) if slot in registers]
    if length > 4:
        for owner, index, more in record.buffer_writes:
            if owner == thread and index == 5:
                words.extend(more[: length - 4])
                break
    return Received(thread, badge, info >> 12, words)


def _exception(record: Record) -> Call:
    """A trap that is no system call."""
    if record.kind == TrapKind.INTERRUPT:
        lines = record.interrupts
        arguments = (Argument("irq", list(lines), "irqs"),) if lines else ()
        return Call("interrupt", "interrupt", "Interrupt", "", "", None, arguments)
    kind = TrapKind(record.kind)
    found = [Argument("pc", record.pc, "address")]
    if kind in (TrapKind.DATA_ABORT, TrapKind.PREFETCH_ABORT):
        found.append(Argument("address", record.address, "address"))
        found.append(Argument("status", record.status, "fault status"))
        if record.target is not None:
            # What aborted was an invocation of user data, and is made now (the 2006 design).
            if kind == TrapKind.PREFETCH_ABORT:
                access = "fetch"
            else:
                access = "store" if record.status & FaultStatus.WRITE else "load"
            found[1:] = [found[1], Argument("of", record.target, "seL4_UserData")]
            return Call("other", access, access.title(), "", "", None, tuple(found))
    words = kind.name.lower().replace("_", " ")
    return Call("fault", words, kind.name.title().replace("_", ""), "", "", None, tuple(found))


def _debug_arguments(record: Record, name: str) -> tuple[Argument, ...]:
    if name == "DebugPutChar":
        return (Argument("c", record.cptr & 0xFF, "char"),)
    if name == "DebugCapIdentify":
        return (Argument("cap", record.target, "seL4_CPtr", record.cptr),)
    if name == "DebugNameThread":
        text = b"".join(
            word.to_bytes(4, "little")
            for thread, _, words in record.reads
            if thread == record.thread
            for word in words
        )
        name_text = text.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
        return (
            Argument("tcb", record.target, "seL4_TCB", record.cptr),
            Argument("name", name_text, "string"),
        )
    return ()


def _ipc_arguments(record: Record, name: str) -> tuple[Argument, ...]:
    found: list[Argument] = []
    if name != "Reply":
        found.append(Argument("src" if name in RECEIVING else "dest", record.target, "seL4_CPtr", record.cptr))
    signals = record.target is not None and record.target[0] == "Notification"
    if name in SENDING and not signals:
        found.append(Argument("label", record.label))
        found.append(Argument("words", record.message(), "words"))
        pointers = record.extra_cap_pointers()
        for index, capability in enumerate(record.extra_caps):
            pointer = pointers[index] if index < len(pointers) else None
            found.append(Argument(f"cap{index}", capability, "seL4_CPtr", pointer))
    return tuple(found)
