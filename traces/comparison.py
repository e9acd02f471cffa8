"""Comparing two records that belong together, field by field, by canonical names.

Objects are compared by what they are to each trace, not by address: the first time that two aligned records name
objects of one type, those are taken to correspond, and from then on they have to. Threads are compared by the
names that both traces have for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, final

from retrap.kernel.abi.release import Release
from retrap.machine.context import Slot
from retrap.traces.alignment import ThreadKeys
from retrap.traces.calls import Argument, Decoder, Names, Value, register_name
from retrap.traces.reader import Reader
from retrap.traces.record import Capability, Record
from retrap.traces.show import capability_json, outcome_name

_CODE_SLOTS: Final = frozenset((Slot.PC, Slot.RESTART_PC))
_CODE_WORDS: Final = {"CapFault": 1, "VMFault": 1, "UserException": 1}
"""How many leading words of a fault message are code addresses."""


@final
@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field that differs, with its values in both traces (plain: numbers, texts, lists, dictionaries)."""

    field: str
    a: Any
    b: Any
    incidental: bool = False


@final
@dataclass(slots=True)
class Difference:
    """One difference, in order of the traces.

    `kind`: "changed" (a pair of records that differ in `fields`), "only in a", "only in b" (a record without a
    partner), "end" (how the runs ended; no records). `a`, `b`: the records; `thread` and `call` say whose and
    which it is. `before_a`, `before_b`: numbers of the records that come next in each trace, for the missing side.
    """

    kind: str
    thread: str
    call: str
    before_a: int
    before_b: int
    a: Record | None = None
    b: Record | None = None
    fields: list[FieldDifference] = field(default_factory=list)

    @property
    def incidental(self) -> bool:
        """Whether it says nothing about behaviour."""
        return bool(self.fields) and all(found.incidental for found in self.fields)

    def to_json(self) -> dict[str, Any]:
        """The difference in plain values."""
        return {
            "kind": self.kind,
            "a": None if self.a is None else self.a.number,
            "b": None if self.b is None else self.b.number,
            "thread": self.thread,
            "call": self.call,
            "incidental": self.incidental,
            "fields": [
                {"field": f.field, "a": f.a, "b": f.b, "incidental": f.incidental} for f in self.fields
            ],
        }


@final
class Side:
    """One of the two traces, read in order."""

    def __init__(self, reader: Reader, release: Release, threads: ThreadKeys, start: int) -> None:
        self.threads: Final = threads
        self.decoder: Final = Decoder(release)
        self.names: Final = Names(reader.threads_at(start))
        self.release: Final = release.name
        self._records: Final = reader.records(start)
        self.position = start
        self._time = reader.record(start - 1).time if start else 0

    def next(self) -> tuple[Record, int]:
        """The next record and the instructions since the one before."""
        record = next(self._records)
        elapsed = record.time - self._time
        self._time = record.time
        self.position = record.number + 1
        self.names.update(record)
        return record, elapsed


@final
class Comparison:
    """Compares aligned records, and remembers which objects of the two traces correspond."""

    def __init__(self, a: Side, b: Side) -> None:
        self._a: Final = a
        self._b: Final = b
        self._same_release: Final = a.release == b.release
        self._partner_of_a: Final[dict[tuple[str, int], int]] = {}
        self._partner_of_b: Final[dict[tuple[str, int], int]] = {}

    def block(self, count_a: int, count_b: int) -> Iterator[Difference | None]:
        """The differences of the next records, None for each pair without any."""
        if count_a == count_b:
            for _ in range(count_a):
                yield self._pair()
            return
        for _ in range(count_a):
            yield self._only(self._a, "only in a")
        for _ in range(count_b):
            yield self._only(self._b, "only in b")

    def _only(self, side: Side, kind: str) -> Difference:
        before_a, before_b = self._a.position, self._b.position
        record, _ = side.next()
        found = Difference(
            kind, side.names.thread(record.thread), side.decoder.call(record).name, before_a, before_b
        )
        if side is self._a:
            found.a = record
        else:
            found.b = record
        return found

    def _pair(self) -> Difference | None:
        before_a, before_b = self._a.position, self._b.position
        a, elapsed_a = self._a.next()
        b, elapsed_b = self._b.next()
        fields = self._fields(a, b)
        if elapsed_a != elapsed_b:
            fields.append(FieldDifference("instructions since the trap before", elapsed_a, elapsed_b, True))
        if not fields:
            return None
        name = self._a.names.thread(a.thread)
        return Difference("changed", name, self._a.decoder.call(a).name, before_a, before_b, a, b, fields)

    def _fields(self, a: Record, b: Record) -> list[FieldDifference]:
        found: list[FieldDifference] = []
        if _equal(a, b):
            # Byte for byte the same entry; only the numbering of threads could still mean different ones.
            if a.next_thread != a.thread:
                self._next(a, b, found)
            return found
        if not (self._same_release and _equal_calls(a, b)):
            self._calls(a, b, found)
        if _equal_results(a, b):
            self._next(a, b, found)
        else:
            self._results(a, b, found)
        self._incidental(a, b, found)
        return found

    def _calls(self, a: Record, b: Record, found: list[FieldDifference]) -> None:
        call_a, call_b = self._a.decoder.call(a), self._b.decoder.call(b)
        if call_a.canonical != call_b.canonical:
            found.append(FieldDifference("call", call_a.name, call_b.name))
        if not self._corresponds(call_a.target, call_b.target):
            found.append(
                FieldDifference("target", capability_json(call_a.target), capability_json(call_b.target))
            )
        arguments_a = {given.name: given for given in call_a.arguments}
        arguments_b = {given.name: given for given in call_b.arguments}
        for name in dict.fromkeys([*arguments_a, *arguments_b]):
            # The target, compared above; the character, compared as console output.
            if name in ("src", "dest") or (name == "c" and a.console and b.console):
                continue
            before, after = arguments_a.get(name), arguments_b.get(name)
            if not self._same_argument(before, after):
                shown_a, shown_b = _shown(before), _shown(after)
                if isinstance(shown_a, dict) and isinstance(shown_b, dict):
                    shown_a, shown_b = _only_differing(shown_a, shown_b)
                found.append(FieldDifference(name, shown_a, shown_b, name == "pc"))

    def _same_argument(self, a: Argument | None, b: Argument | None) -> bool:
        if a is None or b is None:
            return a is b
        if isinstance(a.value, tuple) and isinstance(b.value, tuple):
            return self._corresponds(a.value, b.value)
        return a.value == b.value

    def _corresponds(self, a: Capability | None, b: Capability | None) -> bool:
        """Whether two capabilities are the same to both traces. Takes objects that are new to be partners."""
        if a is None or b is None:
            return a is b
        if a[0] != b[0] or a[2] != b[2]:
            return False
        key_a, key_b = (a[0], a[1]), (b[0], b[1])
        partner_a, partner_b = self._partner_of_a.get(key_a), self._partner_of_b.get(key_b)
        same = a[1] == b[1] or (
            (partner_a is None or partner_a == b[1]) and (partner_b is None or partner_b == a[1])
        )
        self._partner_of_a[key_a] = b[1]
        self._partner_of_b[key_b] = a[1]
        return same

    def _results(self, a: Record, b: Record, found: list[FieldDifference]) -> None:
        key_a, key_b = self._a.threads.key, self._b.threads.key
        pairs: list[tuple[str, Any, Any]] = [
            ("outcome", outcome_name(a.outcome), outcome_name(b.outcome)),
            ("error", self._a.decoder.error(a.error), self._b.decoder.error(b.error)),
            ("error words", a.error_words, b.error_words),
            ("fault", a.fault, b.fault),
            ("console", a.console.decode("latin-1"), b.console.decode("latin-1")),
            ("interrupts", a.interrupts, b.interrupts),
            ("threads", _threads(a), _threads(b)),
            (
                "buffer words written",
                [[key_a(t), i, w] for t, i, w in a.buffer_writes],
                [[key_b(t), i, w] for t, i, w in b.buffer_writes],
            ),
            ("buffer words read", _reads(a, self._a.threads), _reads(b, self._b.threads)),
        ]
        found.extend(FieldDifference(name, x, y) for name, x, y in pairs if x != y)
        code = _CODE_WORDS.get(a.fault, 0)
        if a.fault_words[code:] != b.fault_words[code:]:
            found.append(FieldDifference("fault words", a.fault_words, b.fault_words))
        elif a.fault_words != b.fault_words:
            found.append(FieldDifference("code address of the fault", a.fault_words[:1], b.fault_words[:1], True))
        self._next(a, b, found)
        if self._same_release and a.digest and b.digest and a.digest != b.digest:
            found.append(FieldDifference("state digest", a.digest.hex(), b.digest.hex()))
        self._registers(a, b, found)

    def _next(self, a: Record, b: Record, found: list[FieldDifference]) -> None:
        before, after = self._a.threads.key(a.next_thread), self._b.threads.key(b.next_thread)
        if before != after:
            found.append(FieldDifference("next thread", before, after))

    def _registers(self, a: Record, b: Record, found: list[FieldDifference]) -> None:
        """What the kernel wrote to registers; code addresses are incidental."""
        wrote_a = {(self._a.threads.key(t), s): v for t, s, v in a.registers}
        wrote_b = {(self._b.threads.key(t), s): v for t, s, v in b.registers}
        for key in dict.fromkeys([*wrote_a, *wrote_b]):
            before, after = wrote_a.get(key), wrote_b.get(key)
            if before != after:
                thread, slot = key
                name = f"register {register_name(slot)} of {thread}"
                found.append(FieldDifference(name, before, after, slot in _CODE_SLOTS))

    def _incidental(self, a: Record, b: Record, found: list[FieldDifference]) -> None:
        if a.reason != b.reason:
            found.append(FieldDifference("reason", a.reason, b.reason, True))
        if a.context != b.context:
            differing = [
                (register_name(slot), before, after)
                for slot, (before, after) in enumerate(zip(a.words_in, b.words_in, strict=True))
                if before != after
            ]
            before_all = {name: before for name, before, _ in differing}
            after_all = {name: after for name, _, after in differing}
            found.append(FieldDifference("registers at the trap", before_all, after_all, True))


def _equal(a: Record, b: Record) -> bool:
    """Whether two records agree in everything but when they were made."""
    return (
        a.context == b.context
        and a.thread == b.thread
        and a.address == b.address
        and a.status == b.status
        and a.reason == b.reason
        and _equal_calls(a, b)
        and _equal_results(a, b)
    )


def _equal_calls(a: Record, b: Record) -> bool:
    """Whether everything that a call is decoded from is equal: R0 to R5, R7, and what was read and found."""
    if a.kind != b.kind or a.target != b.target or a.extra_caps != b.extra_caps or a.reads != b.reads:
        return False
    if a.kind:
        return a.context == b.context and a.address == b.address and a.status == b.status
    return a.context[:24] == b.context[:24] and a.context[28:32] == b.context[28:32]


def _equal_results(a: Record, b: Record) -> bool:
    """Whether what came out of the kernel is equal, threads by number."""
    return (
        a.registers == b.registers
        and a.thread == b.thread
        and a.next_thread == b.next_thread
        and a.outcome == b.outcome
        and a.error == b.error
        and a.buffer_writes == b.buffer_writes
        and a.reads == b.reads
        and a.badge == b.badge
        and a.fault == b.fault
        and a.fault_words == b.fault_words
        and a.error_words == b.error_words
        and a.console == b.console
        and a.threads == b.threads
        and a.interrupts == b.interrupts
        and (a.digest == b.digest or not a.digest or not b.digest)
    )


def _threads(record: Record) -> list[str]:
    return [name for _, _, name in record.threads]


def _reads(record: Record, threads: ThreadKeys) -> list[Any]:
    """What was read from other threads' buffers; the trapping thread's are its arguments."""
    return [[threads.key(t), i, w] for t, i, w in record.reads if t != record.thread]


def _only_differing(a: dict[str, Any], b: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two dictionaries without what they have in common."""
    return (
        {name: value for name, value in a.items() if name not in b or b[name] != value},
        {name: value for name, value in b.items() if name not in a or a[name] != value},
    )


def _shown(argument: Argument | None) -> Any:
    if argument is None:
        return None
    value: Value = argument.value
    return capability_json(value) if isinstance(value, tuple) else value
