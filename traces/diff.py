"""What differs between two traces: record by record where they can be aligned, by canonical names.

Differences are of two kinds. Those of *behaviour* (which call, its arguments, what it came to, what it delivered,
who runs next) are what a diff is made for. *Incidental* ones (instructions in between, code addresses, registers
that the call does not use, wording) always accompany a changed program; they are counted and listed, but do not
decide what is shown as the first divergence if there is any of behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

from retrap.kernel.abi.release import Release
from retrap.traces.alignment import Symbols, ThreadKeys, align
from retrap.traces.comparison import Comparison, Difference, FieldDifference, Side
from retrap.traces.reader import Reader
from retrap.traces.record import Record


@final
@dataclass(slots=True)
class DiffReport:
    """What differs.

    `headers`: fields of the headers that differ (what was recorded, not how it went: these alone make no
    difference). `aligned`: pairs of records; `equal` those without any difference. `differing`: number of
    differences. `summary`: how often which field differs ("only in a", "outcome", …). `first`: the first difference
    of behaviour, else the first at all, with `context_a` and `context_b`, the records before it. `differences`:
    all of them, up to the limit that was asked for.
    """

    a: str
    b: str
    headers: list[FieldDifference] = field(default_factory=list)
    complete_a: bool = True
    complete_b: bool = True
    records_a: int = 0
    records_b: int = 0
    aligned: int = 0
    equal: int = 0
    differing: int = 0
    behaviour: int = 0
    summary: dict[str, int] = field(default_factory=dict)
    first: Difference | None = None
    context_a: list[Record] = field(default_factory=list)
    context_b: list[Record] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether the runs went the same way (headers apart)."""
        return self.differing == 0

    def to_json(self) -> dict[str, Any]:
        """The report in plain values, with all differences that it holds."""
        return {
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "complete": {"a": self.complete_a, "b": self.complete_b},
            "records": {"a": self.records_a, "b": self.records_b},
            "aligned": self.aligned,
            "equal": self.equal,
            "differing": self.differing,
            "differing_in_behaviour": self.behaviour,
            "summary": self.summary,
            "headers": [{"field": f.field, "a": f.a, "b": f.b} for f in self.headers],
            "first": None if self.first is None else self.first.to_json(),
            "differences": [found.to_json() for found in self.differences],
        }


def diff(
    a: Reader,
    b: Reader,
    release_a: Release,
    release_b: Release,
    *,
    context: int = 3,
    limit: int | None = 1000,
) -> DiffReport:
    """Compare two traces. Raises `TraceError` where one of them is damaged.

    `context`: records to keep from before the first divergence. `limit`: how many differences the report keeps
    (None: all); everything is counted in any case.
    """
    report = DiffReport(a.file, b.file, headers=_headers(a, b))
    report.complete_a, report.complete_b = a.complete, b.complete
    report.records_a, report.records_b = a.count, b.count
    start = _common_start(a, b, release_a, release_b)
    report.aligned = report.equal = start
    threads_a, threads_b = a.threads_at(a.count), b.threads_at(b.count)
    keys_a, keys_b = ThreadKeys(threads_a, threads_b), ThreadKeys(threads_b, threads_a)
    side_a, side_b = Side(a, release_a, keys_a, start), Side(b, release_b, keys_b, start)
    numbers: dict[tuple[object, ...], int] = {}
    symbols_a, symbols_b = Symbols(release_a, keys_a, numbers), Symbols(release_b, keys_b, numbers)
    symbols_a.read(a.records(start))
    symbols_b.read(b.records(start))
    comparison = Comparison(side_a, side_b)
    firsts = _Firsts()
    for first_a, end_a, first_b, end_b in align(symbols_a, symbols_b):
        for found in comparison.block(end_a - first_a, end_b - first_b):
            if found is None:
                report.aligned += 1
                report.equal += 1
                continue
            report.aligned += found.kind == "changed"
            _count(report, found, limit)
            firsts.see(found)
    ending = _end(a, b, side_a, side_b)
    if ending is not None:
        _count(report, ending, limit)
        firsts.see(ending)
    report.first = firsts.best
    if report.first is not None and context:
        report.context_a = _before(a, report.first.before_a, context)
        report.context_b = _before(b, report.first.before_b, context)
    return report


def _count(report: DiffReport, found: Difference, limit: int | None) -> None:
    report.differing += 1
    report.behaviour += not found.incidental
    if limit is None or len(report.differences) < limit:
        report.differences.append(found)
    summary = report.summary
    for name in [each.field for each in found.fields] if found.fields else [found.kind]:
        summary[name] = summary.get(name, 0) + 1


@final
class _Firsts:
    """The first difference at all, and the first of behaviour."""

    def __init__(self) -> None:
        self._any: Difference | None = None
        self._behaviour: Difference | None = None

    def see(self, found: Difference) -> None:
        if self._any is None:
            self._any = found
        if self._behaviour is None and not found.incidental:
            self._behaviour = found

    @property
    def best(self) -> Difference | None:
        return self._behaviour or self._any


def _before(reader: Reader, number: int, count: int) -> list[Record]:
    start = max(0, number - count)
    found = []
    for record in reader.records(start):
        if record.number >= number:
            break
        found.append(record)
    return found


# -- headers and ends ----------------------------------------------------------------------------------------------


def _headers(a: Reader, b: Reader) -> list[FieldDifference]:
    found = []
    for name in ("release", "platform", "clock_hz", "image_name", "image_sha256", "manifest", "plan_digest"):
        before, after = getattr(a.header, name), getattr(b.header, name)
        if before != after:
            found.append(FieldDifference(name, _plain(before), _plain(after)))
    for name in ("options", "settings", "inputs"):
        before, after = dict(getattr(a.header, name)), dict(getattr(b.header, name))
        for key in dict.fromkeys([*before, *after]):
            if before.get(key) != after.get(key):
                found.append(FieldDifference(f"{name}.{key}", _plain(before.get(key)), _plain(after.get(key))))
    return found


def _end(a: Reader, b: Reader, side_a: Side, side_b: Side) -> Difference | None:
    """How the end marks differ; a trace without one has ended in no way."""
    if a.end is None or b.end is None:
        if a.complete == b.complete:
            return None
        fields = [FieldDifference("end mark", a.complete, b.complete)]
    else:
        pairs: list[tuple[str, Any, Any, bool]] = [
            ("how the run ended", a.end.outcome, b.end.outcome, False),
            ("instructions in all", a.end.instructions, b.end.instructions, True),
        ]
        if a.header.release == b.header.release:
            pairs.append(("final state digest", a.end.state_digest.hex(), b.end.state_digest.hex(), False))
        fields = [FieldDifference(name, x, y, less) for name, x, y, less in pairs if x != y]
    if not fields:
        return None
    return Difference("end", "", "", side_a.position, side_b.position, fields=fields)


def _common_start(a: Reader, b: Reader, release_a: Release, release_b: Release) -> int:
    """How many records at the start are equal because whole frames are, byte for byte."""
    if release_a.name != release_b.name:
        return 0
    count = 0
    for (first, last, data), (first_b, last_b, data_b) in zip(a.raw_frames(), b.raw_frames(), strict=False):
        if (first, last) != (first_b, last_b) or data != data_b:
            break
        count = last
    return count


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
