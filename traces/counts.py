"""How often which call was made and what it cost: the table of `retrap show -c`, in the manner of `strace -c`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from retrap.kernel.effects import IDLE, Outcome
from retrap.traces.calls import Decoder
from retrap.traces.filters import FAILED
from retrap.traces.record import Record


@dataclass(slots=True)
class CountRow:
    """One kind of call. `instructions`: user instructions retired since the trap before, summed over the calls.

    `errors` counts refused invocations and faults, `blocked` the calls after which the caller had to wait.
    """

    name: str
    category: str
    calls: int = 0
    errors: int = 0
    blocked: int = 0
    instructions: int = 0


@final
class Counter:
    """Counts the calls of a trace. It must see every record, wanted or not, because time passes in all of them."""

    def __init__(self, decoder: Decoder, start_time: int = 0) -> None:
        """`start_time`: that of the trap before the first record."""
        self._decoder: Final = decoder
        self._rows: Final[dict[str, CountRow]] = {}
        self._time = start_time

    def see(self, record: Record, wanted: bool = True) -> None:
        """Take a record into account; count it if it is wanted."""
        elapsed = record.time - self._time if record.thread != IDLE else 0
        self._time = record.time
        if not wanted:
            return
        call = self._decoder.call(record)
        row = self._rows.get(call.name)
        if row is None:
            row = self._rows[call.name] = CountRow(call.name, call.category)
        row.calls += 1
        row.errors += record.outcome in FAILED
        row.blocked += record.outcome == Outcome.BLOCKED
        row.instructions += elapsed

    def rows(self) -> list[CountRow]:
        """The table's rows, most instructions first, then most calls, then by name."""
        return sorted(self._rows.values(), key=lambda row: (-row.instructions, -row.calls, row.name))


def counts_text(rows: list[CountRow]) -> list[str]:
    """The table as lines of text, with a total."""
    total = CountRow("total", "", *(sum(getattr(row, name) for row in rows) for name in _SUMMED))
    heads = zip(("%", "instructions", "per call", "calls", "errors", "blocked"), _WIDTHS, strict=True)
    lines = [" ".join(f"{head:>{width}}" for head, width in heads) + "  call", _RULE]
    lines += [_line(row, total.instructions) for row in rows]
    return [*lines, _RULE, _line(total, total.instructions)]


_SUMMED: Final = ("calls", "errors", "blocked", "instructions")
_WIDTHS: Final = (6, 14, 10, 9, 8, 8)
_RULE: Final = " ".join("-" * width for width in _WIDTHS) + "  " + "-" * 24


def _line(row: CountRow, total: int) -> str:
    share = 100 * row.instructions / total if total else 0.0
    per_call = row.instructions // row.calls if row.calls else 0
    return (
        f"{share:>6.2f} {row.instructions:>14} {per_call:>10} {row.calls:>9} {row.errors or '':>8} "
        f"{row.blocked or '':>8}  {row.name}"
    )
