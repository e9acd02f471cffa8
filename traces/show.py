"""Records as text, one line a trap in the manner of strace, and as JSON objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from retrap.kernel.abi.release import Release
from retrap.kernel.effects import Outcome
from retrap.traces.calls import (
    RECEIVING,
    Call,
    Decoder,
    Names,
    Received,
    Value,
    received,
    register_name,
)  # fmt: skip
from retrap.traces.record import Record
from retrap.traces.values import ERROR_WORDS, FAULT_WORDS, argument, named_words, number, value_text, words

OUTCOME_NAMES: Final = (
    "done", "error", "fault", "dead", "blocked", "preempted", "halted", "ignored", "crashed",
)  # fmt: skip
"""By `Outcome`, for JSON and for filters."""


def outcome_name(outcome: int) -> str:
    """An outcome's name; a number that is none (a trace can hold any) as `outcome 99`."""
    return OUTCOME_NAMES[outcome] if 0 <= outcome < len(OUTCOME_NAMES) else f"outcome {outcome}"


@final
class Formatter:
    """Formats the records of a trace in order, keeping names of threads and what each of them waits in."""

    def __init__(self, release: Release, names: Names | None = None) -> None:
        self.decoder: Final = Decoder(release)
        self.names: Final = names if names is not None else Names()
        self._waiting: Final[dict[int, str]] = {}

    def follow(self, record: Record) -> None:
        """Take note of a record that is not shown."""
        self.lines(record)

    def lines(self, record: Record) -> list[str]:
        """The record's line, and lines for what came from outside and for other threads whose call it completed."""
        call = self.decoder.call(record)
        self.names.update(record)
        self._waiting.pop(record.thread, None)
        text = [self._line(record, self.call_text(call) + self._result(record, call))]
        text.extend(f"[{time:>10}] serial input: {data.decode('latin-1')!r}" for time, data in record.arrived)
        text.extend(f"[{record.time:>10}] warning: {_one_line(warning)}" for warning in record.warnings)
        text.extend(self._resumed(record))
        if record.outcome in (Outcome.BLOCKED, Outcome.FAULT):
            waits = record.fault if record.outcome == Outcome.FAULT else call.syscall or call.name
            self._waiting[record.thread] = waits
        return text

    def call_text(self, call: Call) -> str:
        """A call with its arguments, without the result."""
        if call.category in ("fault", "interrupt"):
            inner = ", ".join(argument(given, self.names) for given in call.arguments)
            return f"--- {call.name} {{{inner}}} ---" if inner else f"--- {call.name} ---"
        parts = [argument(given, self.names) for given in call.arguments]
        if call.category == "invocation":
            target = value_text(call.target, self.names) if call.target is not None else "?"
            parts.insert(0, target)
        text = f"{call.name}({', '.join(parts)})"
        # Invocations are made with seL4_Call; the others get no answer and are worth telling apart.
        if call.category == "invocation" and call.syscall != "seL4_Call":
            text = f"{call.syscall}: {text}"
        return text

    def _line(self, record: Record, text: str, thread: int | None = None) -> str:
        name = self.names.thread(record.thread if thread is None else thread)
        return f"[{record.time:>10}] {name:<12} {text}"

    # -- results ---------------------------------------------------------------------------------------------

    def _result(self, record: Record, call: Call) -> str:
        text = self._outcome(record, call)
        # The words of a fault message say what its sentence would.
        if record.reason and record.outcome != Outcome.FAULT:
            text += f": {_one_line(record.reason)}"
        if record.console and call.canonical != "DebugPutChar":
            text += f" (console: {record.console.decode('utf-8', 'backslashreplace')!r})"
        if record.next_thread != record.thread:
            text += f"  -> {self.names.thread(record.next_thread)}"
        return text

    def _outcome(self, record: Record, call: Call) -> str:
        match record.outcome:
            case Outcome.DONE:
                return self._done(record, call)
            case Outcome.ERROR:
                return f" = {self.decoder.error(record.error)}{_error_words(record)}"
            case Outcome.FAULT:
                return f" = {record.fault}({_fault_words(record)}) to its handler"
            case Outcome.DEAD:
                return f" = {record.fault}({_fault_words(record)}), dead"
            case Outcome.BLOCKED:
                return " <blocked>"
            case Outcome.PREEMPTED:
                return " <preempted, will restart>"
        return f" = {outcome_name(record.outcome)}"

    def _done(self, record: Record, call: Call) -> str:
        if call.category in ("interrupt", "fault"):
            return ""
        if call.category == "invocation":
            if call.syscall != "seL4_Call":
                return ""
            outputs = self.decoder.outputs(record)
            shown = ", ".join(f"{name}={value_text(value, self.names, name=name)}" for name, value in outputs)
            return f" = 0 ({shown})" if shown else " = 0"
        if call.category == "debug":
            return f" = {_written(record, 0)}" if call.canonical == "DebugCapIdentify" else ""
        if call.canonical in RECEIVING or call.canonical == "Call":
            message = received(record, record.thread)
            return f" = {_message(message)}" if message is not None else ""
        return ""

    def _resumed(self, record: Record) -> list[str]:
        """Lines for the threads whose waiting this record ended: those that were sent something, and the next."""
        lines = []
        for thread, name in list(self._waiting.items()):
            message = received(record, thread)
            if message is None and record.next_thread != thread:
                continue
            del self._waiting[thread]
            result = f" = {_message(message)}" if message is not None and name.startswith("seL4_") else ""
            lines.append(self._line(record, f"<... {name} resumed>{result}", thread))
        return lines

    # -- JSON ------------------------------------------------------------------------------------------------

    def as_json(self, record: Record) -> dict[str, Any]:
        """The record as plain values: decoded call and result, and below "raw" what the trace holds."""
        call = self.decoder.call(record)
        self.names.update(record)
        found: dict[str, Any] = {
            "record": record.number,
            "time": record.time,
            "thread": {"number": record.thread, "name": self.names.thread(record.thread)},
            "pc": record.pc,
            "category": call.category,
            "call": call.name,
            "canonical": call.canonical,
            "syscall": call.syscall,
            "target": capability_json(call.target),
            "arguments": {given.name: _value_json(given.value) for given in call.arguments},
            "outcome": outcome_name(record.outcome),
            "error": self.decoder.error(record.error) if record.error else None,
            "error_words": record.error_words,
            "fault": record.fault or None,
            "fault_words": record.fault_words,
            "reason": record.reason,
            "next_thread": record.next_thread,
            "raw": raw_json(record),
        }
        outputs = self.decoder.outputs(record) if record.outcome == Outcome.DONE else []
        if outputs:
            found["outputs"] = {name: _value_json(value) for name, value in outputs}
        return found


def raw_json(record: Record) -> dict[str, Any]:
    """What the trace holds of a record, in plain values."""
    return {
        "kind": record.kind,
        "address": record.address,
        "status": record.status,
        "context": list(record.words_in),
        "badge": record.badge,
        "extra_caps": [capability_json(cap) for cap in record.extra_caps],
        "reads": [{"thread": t, "index": i, "words": w} for t, i, w in record.reads],
        "registers": [
            {"thread": t, "register": register_name(s), "value": v} for t, s, v in record.registers
        ],
        "buffer_writes": [{"thread": t, "index": i, "words": w} for t, i, w in record.buffer_writes],
        "console": record.console.decode("latin-1"),
        "interrupts": record.interrupts,
        "arrived": [{"time": time, "data": data.decode("latin-1")} for time, data in record.arrived],
        "warnings": record.warnings,
        "work": record.work,
        "threads": [{"number": n, "address": a, "name": name} for n, a, name in record.threads],
        "digest": record.digest.hex(),
    }


def capability_json(capability: tuple[str, int, int] | None) -> dict[str, Any] | None:
    """A capability as an object."""
    if capability is None:
        return None
    return {"type": capability[0], "address": capability[1], "badge": capability[2]}


def format_record(record: Record, release: Release, names: Names | None = None) -> str:
    """One record's line, without regard to those before it."""
    return Formatter(release, names).lines(record)[0]


def printer(release: Release, write: Callable[[str], None]) -> Callable[[Record], None]:
    """Something to be given records in order that writes each one's lines (for `boot --strace`)."""
    formatter = Formatter(release)

    def report(record: Record) -> None:
        for line in formatter.lines(record):
            write(line)

    return report


def _value_json(value: Value) -> Any:
    return capability_json(value) if isinstance(value, tuple) else value


def _error_words(record: Record) -> str:
    if not record.error_words:
        return ""
    return f"({named_words(ERROR_WORDS.get(record.error, ()), record.error_words)})"


def _fault_words(record: Record) -> str:
    return named_words(FAULT_WORDS.get(record.fault, ()), record.fault_words)


def _message(message: Received) -> str:
    parts = []
    if message.badge is not None:
        parts.append(f"badge={number(message.badge, 'badge')}")
    if message.label is not None:
        parts.append(f"label={number(message.label)}")
        parts.append(f"words={words(message.words or [])}")
    return ", ".join(parts)


def _written(record: Record, slot: int) -> str:
    """The last value that the kernel wrote to a register of the trapping thread."""
    values = [value for thread, register, value in record.registers if thread == record.thread and register == slot]
    return number(values[-1]) if values else "?"


def _one_line(text: str) -> str:
    return " ".join(text.split())

