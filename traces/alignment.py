"""Which records of two traces belong together.

Every record has a symbol: who trapped, with which call (by its name in all releases), on what kind of object,
with what outcome. While the two sequences of symbols agree they run side by side. Where they part, the nearest
place is sought where `RUN` symbols in a row agree again, in windows that grow, so that the cost is in proportion
to what is skipped. Inside a gap, records are paired by who and which call alone (difflib), so that a call that
came out differently is shown as changed and not as lost and new.

Memory: 4 bytes a record for each of two symbols; records themselves are read again when they are compared.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Final, final

from retrap.kernel.abi.release import Release
from retrap.kernel.effects import IDLE
from retrap.traces.calls import IPC_TARGETS
from retrap.traces.record import Record, ThreadEntry

RUN: Final = 4
"""Symbols in a row that have to agree before two sequences count as together again."""

_FIRST_WINDOW: Final = 32
_GROWTH: Final = 8
_PAIRING_LIMIT: Final = 1 << 20
"""Largest gap (records of one trace times records of the other) in which records are paired."""

_END: Final = 0  # symbol of what comes after the last record

Block = tuple[int, int, int, int]
"""Records `[a, a_end)` of one trace against `[b, b_end)` of the other: as many of both, pair by pair, or a gap in
which one of the ranges is empty."""


@final
class ThreadKeys:
    """What a thread is called when two traces are compared: its last name if both traces have it, else its number.

    Several threads of one name are told apart by their order.
    """

    def __init__(self, own: dict[int, ThreadEntry], other: dict[int, ThreadEntry]) -> None:
        """Both traces' threads, as they are at the end."""
        names = {name for _, _, name in other.values() if name}
        self._keys: Final[dict[int, str]] = {IDLE: "idle"}
        seen: dict[str, int] = {}
        for number in sorted(own):
            name = own[number][2]
            if name in names:
                seen[name] = seen.get(name, 0) + 1
                self._keys[number] = name if seen[name] == 1 else f"{name} ({seen[name]})"

    def key(self, number: int) -> str:
        """The thread's name for comparing."""
        return self._keys.get(number) or f"thread {number}"


@final
class Symbols:
    """The symbols of one trace's records, as numbers shared with the other trace's through `numbers`."""

    def __init__(
        self, release: Release, threads: ThreadKeys, numbers: dict[tuple[object, ...], int]
    ) -> None:
        self._threads: Final = threads
        self._numbers: Final = numbers
        self._calls: Final = {call.number: call.name for call in release.syscalls}
        self._labels: Final = [invocation.label for invocation in release.invocations]
        self.strong: Final = array("I")
        self.weak: Final = array("I")

    def read(self, records: Iterable[Record]) -> None:
        """Append the symbols of records in order."""
        numbers = self._numbers
        known: dict[tuple[object, ...], tuple[int, int]] = {}
        for record in records:
            target = record.target
            kind = target[0] if target is not None else ""
            # R0 tells a printed character, R1 the label: both matter only to system calls.
            words = record.words_in
            raw = (
                record.thread, record.kind, words[7], words[1] >> 12, kind, record.outcome, record.error,
                record.fault, words[0] if record.console else 0,
            )  # fmt: skip
            pair = known.get(raw)
            if pair is None:
                weak, strong = self._symbols(record, kind)
                pair = (
                    numbers.setdefault(weak, len(numbers) + 1),
                    numbers.setdefault(strong, len(numbers) + 1),
                )
                known[raw] = pair
            self.weak.append(pair[0])
            self.strong.append(pair[1])

    def _symbols(self, record: Record, kind: str) -> tuple[tuple[object, ...], tuple[object, ...]]:
        thread = self._threads.key(record.thread)
        detail: object = None
        if record.kind:
            call: object = record.kind
        else:
            call = self._calls.get(record.syscall, record.syscall)
            if call in ("Call", "Send", "NBSend"):
                label = record.label
                if kind not in IPC_TARGETS and 0 < label < len(self._labels):
                    call = (call, self._labels[label])
                else:
                    detail = label
            elif record.console:
                detail = record.cptr
        weak = (thread, call)
        return weak, (*weak, kind, detail, record.outcome, record.error, record.fault)


def align(a: Symbols, b: Symbols) -> Iterator[Block]:
    """Blocks that cover both sequences, in order: pairs (ranges of equal length) and gaps (one range empty)."""
    left = _with_end(a.strong)
    right = _with_end(b.strong)
    a_count, b_count = len(a.strong), len(b.strong)
    i = j = 0
    while i < a_count or j < b_count:
        same = _common(left, right, i, j, min(a_count - i, b_count - j))
        if same:
            yield i, i + same, j, j + same
            i, j = i + same, j + same
            continue
        skip_a, skip_b = _resume(left, right, i, j, a_count, b_count)
        yield from _pair(a.weak, b.weak, i, i + skip_a, j, j + skip_b)
        i, j = i + skip_a, j + skip_b


def _with_end(symbols: array[int]) -> bytes:
    return symbols.tobytes() + bytes(symbols.itemsize * RUN)


def _common(left: bytes, right: bytes, i: int, j: int, most: int) -> int:
    """How many symbols from positions `i` and `j` on are equal, up to `most`."""
    count = 0
    step = 1024
    while count < most:
        size = min(step, most - count)
        start, other = 4 * (i + count), 4 * (j + count)
        if left[start : start + 4 * size] == right[other : other + 4 * size]:
            count += size
        elif size == 1:
            return count
        else:
            step = max(1, size // 2)
    return count


def _resume(left: bytes, right: bytes, i: int, j: int, a_count: int, b_count: int) -> tuple[int, int]:
    """How many records of each to skip until the sequences agree again; all that is left if they never do."""
    a_left, b_left = a_count - i, b_count - j
    window = _FIRST_WINDOW
    while True:
        found = _nearest(left, right, i, j, min(window, a_left), min(window, b_left))
        if found is not None:
            return found
        if window >= a_left and window >= b_left:
            return a_left, b_left
        window *= _GROWTH


def _nearest(left: bytes, right: bytes, i: int, j: int, a_most: int, b_most: int) -> tuple[int, int] | None:
    """The least skip, in records of both together, after which `RUN` symbols agree (the ends of both count)."""
    size = 4 * RUN
    first: dict[bytes, int] = {}
    for skip in range(a_most + 1):
        start = 4 * (i + skip)
        first.setdefault(left[start : start + size], skip)
    best: tuple[int, int] | None = None
    least = a_most + b_most + 1
    for skip in range(b_most + 1):
        if skip >= least:
            break
        start = 4 * (j + skip)
        found = first.get(right[start : start + size])
        if found is not None and found + skip < least:
            least = found + skip
            best = found, skip
    return best


def _pair(weak_a: array[int], weak_b: array[int], a: int, a_end: int, b: int, b_end: int) -> Iterator[Block]:
    """Pairs and gaps within a stretch in which the sequences differ."""
    if (a_end - a) * (b_end - b) > _PAIRING_LIMIT:
        yield a, a_end, b, b
        yield a_end, a_end, b, b_end
        return
    matcher = SequenceMatcher(None, weak_a[a:a_end], weak_b[b:b_end], autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            yield a + i, a + i_end, b + j, b + j_end
            continue
        if i < i_end:
            yield a + i, a + i_end, b + j, b + j
        if j < j_end:
            yield a + i_end, a + i_end, b + j, b + j_end
