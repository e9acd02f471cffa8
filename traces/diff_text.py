"""A diff report for people."""

from __future__ import annotations

import json
from typing import Any, Final

from retrap.kernel.abi.release import Release
from retrap.traces.calls import Names
from retrap.traces.comparison import Difference, FieldDifference
from retrap.traces.diff import DiffReport
from retrap.traces.reader import Reader
from retrap.traces.record import Record
from retrap.traces.show import Formatter

_WIDTH: Final = 100
"""Values longer than this are cut."""

SHOWN: Final = 20
"""Differences listed after the first one, unless the caller wants another number."""


def diff_lines(
    report: DiffReport, a: Reader, b: Reader, release_a: Release, release_b: Release, shown: int = SHOWN
) -> list[str]:
    """The report as lines: headers, the first divergence with what led to it, further ones, a summary."""
    lines = [_file("a", report.a, report.records_a, release_a, report.complete_a)]
    lines.append(_file("b", report.b, report.records_b, release_b, report.complete_b))
    lines += [f"header {_field(found)}" for found in report.headers]
    if report.same or report.first is None:
        return [*lines, f"no differences in {report.aligned} records"]
    lines += ["", *_first(report, a, b, release_a, release_b), ""]
    rest = [d for d in report.differences if d is not report.first and not d.incidental]
    if rest:
        lines.append("further differences:")
        for found in rest[:shown]:
            lines.append(f"  {_title(found)}")
            lines += [f"      {_field(each)}" for each in found.fields if not each.incidental]
        left = report.behaviour - min(len(rest), shown) - (not report.first.incidental)
        if left:
            lines.append(f"  … and {left} more")
        lines.append("")
    return lines + _summary(report)


def _file(side: str, name: str, records: int, release: Release, complete: bool) -> str:
    torn = "" if complete else ", incomplete"
    return f"{side}: {name} ({records} records, kernel {release.name}{torn})"


def _first(report: DiffReport, a: Reader, b: Reader, release_a: Release, release_b: Release) -> list[str]:
    first = report.first
    assert first is not None
    sort = "first divergence (incidental: the calls and results agree)" if first.incidental else "first divergence"
    lines = [f"{sort}: {_title(first)}"]
    formatter_a = _formatter(a, release_a, report.context_a, first.a, first.before_a)
    formatter_b = _formatter(b, release_b, report.context_b, first.b, first.before_b)
    for record in report.context_a:
        lines.append(f"    {formatter_a.lines(record)[0]}")
    for record in report.context_b:
        formatter_b.follow(record)
    for mark, formatter, record_or_none in (("-", formatter_a, first.a), ("+", formatter_b, first.b)):
        if record_or_none is not None:
            lines += [f"  {mark} {text}" for text in formatter.lines(record_or_none)]
    lines += [f"      {_field(found)}" for found in first.fields]
    return lines


def _formatter(
    reader: Reader, release: Release, context: list[Record], record: Record | None, number: int
) -> Formatter:
    start = context[0].number if context else record.number if record is not None else number
    return Formatter(release, Names(reader.threads_at(start)))


def _title(found: Difference) -> str:
    if found.kind == "end":
        return "the runs ended differently"
    where = []
    if found.a is not None:
        where.append(f"record {found.a.number} of a")
    if found.b is not None:
        where.append(f"record {found.b.number} of b")
    what = f"{found.thread}, {found.call}"
    return f"{', '.join(where)}: {what}{'' if found.kind == 'changed' else f' ({found.kind})'}"


def _field(found: FieldDifference) -> str:
    a, b = found.a, found.b
    if isinstance(a, str) and isinstance(b, str) and max(len(a), len(b)) > _WIDTH:
        # Show the place where two long texts part.
        start = max(0, _common(a, b) - _WIDTH // 4)
        a, b = ("…" * (start > 0) + text[start:] for text in (a, b))
    return f"{found.field}: {_value(a)} | {_value(b)}{' (incidental)' if found.incidental else ''}"


def _common(a: str, b: str) -> int:
    """How many characters two texts begin with in common."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _value(value: Any) -> str:
    if isinstance(value, str):
        text = value if value.isprintable() and value.strip() == value and value else json.dumps(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        text = _compound(value)
    else:
        text = _number(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _compound(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return str(value)


def _number(value: int) -> str:
    return str(value) if -1000 < value < 1000 else f"{value:#x}"


def _summary(report: DiffReport) -> list[str]:
    incidental = report.differing - report.behaviour
    lines = [
        f"{report.differing} differences: {report.behaviour} of behaviour, {incidental} incidental; "
        f"{report.equal} of {report.aligned} aligned records are equal"
    ]
    width = max(len(str(count)) for count in report.summary.values())
    for name, count in sorted(report.summary.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"  {count:>{width}}  {name}")
    return lines
