"""Diff: equal runs are equal, differences are found where they are, and the rest is aligned again."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable

import booted
import pytest
import trace_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.kernel.effects import Outcome
from retrap.machine.traps import INTERRUPT
from retrap.traces.alignment import Symbols, ThreadKeys, align
from retrap.traces.diff import DiffReport, diff
from retrap.traces.diff_text import diff_lines
from retrap.traces.reader import Reader
from retrap.traces.record import Record

ENDPOINT = ("Endpoint", 0x4020_0000, 7)


def compare(a: Reader, b: Reader, **options: int | None) -> DiffReport:
    report = diff(a, b, samples.RELEASE, samples.RELEASE, **options)  # type: ignore[arg-type]
    json.dumps(report.to_json())
    text = diff_lines(report, a, b, samples.RELEASE, samples.RELEASE)
    assert all("\n" not in line for line in text)
    return report


def trace(records: Iterable[Record]) -> Reader:
    """A trace of copies of these records, numbered anew, 100 instructions apart."""
    copies = []
    for number, record in enumerate(records):
        twin = samples.copy(record)
        twin.number, twin.time = number, 100 * number + 100
        copies.append(twin)
    return samples.read(samples.write_records(copies))


def call(label: int, thread: int = 0, **fields: object) -> Record:
    fields.setdefault("target", ENDPOINT)
    return samples.made("Call", label, (label, 2), 9, thread=thread, **fields)


def many(count: int) -> list[Record]:
    return [call(label % 50, thread=label % 3) for label in range(count)]


def kinds(report: DiffReport) -> list[tuple[str, int | None, int | None]]:
    return [
        (d.kind, None if d.a is None else d.a.number, None if d.b is None else d.b.number)
        for d in report.differences
        if not d.incidental
    ]


@pytest.mark.parametrize("sample", ["hello-arm", "preempt-thumb"])
def test_a_run_equals_itself(sample: str) -> None:
    report = compare(booted.reader(sample), booted.reader(sample))
    assert report.same
    assert report.aligned == report.equal == report.records_a
    assert report.first is None
    assert report.summary == {}
    lines = diff_lines(report, booted.reader(sample), booted.reader(sample), samples.RELEASE, samples.RELEASE)
    assert lines[-1] == f"no differences in {report.records_a} records"


def test_one_more_round_is_shown_as_that() -> None:
    a, b = booted.reader("pingpong-arm", "rounds=3"), booted.reader("pingpong-arm", "rounds=4")
    report = compare(a, b)
    assert [found.kind for found in report.differences if not found.incidental] == [
        "only in b", "only in b", "changed",
    ]  # fmt: skip
    assert report.first is report.differences[0]
    assert report.first.call == "seL4_Call"
    assert [f.field for f in report.headers] == ["manifest", "plan_digest"]
    text = diff_lines(report, a, b, samples.RELEASE, samples.RELEASE)
    assert sum(line.startswith("  + ") for line in text) == 2  # the call, and the server that it wakes
    assert any("console: 3 | 4" in line for line in text)
    backwards = compare(b, a)
    assert backwards.summary["only in a"] == report.summary["only in b"] == 2


def test_arm_and_thumb_differ_incidentally() -> None:
    report = compare(booted.reader("pingpong-arm"), booted.reader("pingpong-thumb"))
    # The images' sizes differ, so the first free slots do.
    assert report.behaviour * 10 < report.differing
    assert report.aligned == report.records_a == report.records_b
    assert {"image_name", "image_sha256"} <= {found.field for found in report.headers}


def remove(records: list[Record]) -> None:
    del records[500:507]


def insert(records: list[Record]) -> None:
    records[500:500] = [samples.made("Yield", thread=1)] * 3


def replace(records: list[Record]) -> None:
    records[500] = samples.copy(records[500])
    records[500].outcome = Outcome.ERROR
    records[500].error = 3


def swap_out(records: list[Record]) -> None:
    records[500:510] = [samples.made("NBRecv", thread=2, target=ENDPOINT)] * 40


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (remove, [("only in a", n, None) for n in range(500, 507)]),
        (insert, [("only in b", None, n) for n in range(500, 503)]),
        (replace, [("changed", 500, 500)]),
        (
            swap_out,
            [("only in a", n, None) for n in range(500, 510)] + [("only in b", None, n) for n in range(500, 540)],
        ),
    ],
)
def test_differences_are_where_they_are(
    change: Callable[[list[Record]], None], expected: list[tuple[str, int | None, int | None]]
) -> None:
    records = many(1000)
    other = list(records)
    change(other)
    report = compare(trace(records), trace(other))
    assert kinds(report) == expected
    assert report.first is not None
    assert [r.number for r in report.context_a] == [497, 498, 499]


def test_every_differing_field_is_collected() -> None:
    changed = call(7, outcome=Outcome.ERROR, error=4, error_words=[0, 9], next_thread=2, registers=[(0, 1, 0x4002)])
    report = compare(trace([call(1), call(7)]), trace([call(1), changed]))
    assert [found.field for found in report.differences[0].fields] == [
        "outcome", "error", "error words", "next thread", "register r1 of thread 0",
    ]  # fmt: skip
    assert report.summary["outcome"] == 1


def test_code_addresses_are_incidental() -> None:
    a = samples.made("Yield", pc=0x1000, registers=[(0, 15, 0x1004)], reason="at 0x1000")
    b = samples.made("Yield", pc=0x2000, registers=[(0, 15, 0x2004)], reason="at 0x2000")
    report = compare(trace([a]), trace([b]))
    assert report.behaviour == 0
    assert not report.same
    assert report.first is not None
    assert report.first.incidental


def moved(record: Record, offset: int) -> Record:
    twin = samples.copy(record)
    assert twin.target is not None
    twin.target = (twin.target[0], twin.target[1] + offset, twin.target[2])
    return twin


def test_objects_are_compared_by_role_and_not_by_address() -> None:
    first = [call(1, target=("Endpoint", a, 0)) for a in (0x100, 0x200, 0x100, 0x300, 0x200)]
    assert compare(trace(first), trace([moved(r, 0x40) for r in first])).same
    other = [moved(r, 0x40) for r in first]
    other[4] = moved(first[0], 0x40)
    report = compare(trace(first), trace(other))
    assert [found.field for found in report.differences[0].fields] == ["target"]
    assert kinds(report) == [("changed", 4, 4)]


def test_threads_are_compared_by_name() -> None:
    def run(numbers: tuple[int, int]) -> Reader:
        born = samples.made("Yield")
        born.threads = [(numbers[0], 1, "worker"), (numbers[1], 2, "server")]
        return trace([born, call(1, thread=numbers[0], next_thread=numbers[1]), call(2, thread=numbers[1])])

    assert compare(run((1, 2)), run((1, 2))).same
    report = compare(run((1, 2)), run((2, 1)))
    assert report.behaviour == 0


def test_threads_of_one_name_are_told_apart() -> None:
    threads = {n: (n, n, "worker") for n in (1, 2, 3)}
    keys = ThreadKeys(threads, threads)
    assert [keys.key(n) for n in (1, 2, 3, 4, -1)] == ["worker", "worker (2)", "worker (3)", "thread 4", "idle"]


def test_ends_are_compared() -> None:
    a, b = booted.recorded("hello-arm"), booted.recorded("hello-arm")
    torn = Reader(io.BytesIO(a[:-1]))
    report = compare(torn, Reader(io.BytesIO(b)))
    assert kinds(report) == [("end", None, None)]
    assert [f.field for f in report.differences[0].fields] == ["end mark"]
    assert compare(torn, Reader(io.BytesIO(a[:-2]))).same
    report = compare(booted.reader("preempt-arm", limit=200_000), booted.reader("preempt-arm", limit=200_001))
    assert report.first is not None
    assert [f.field for f in report.first.fields] == ["instructions in all"]
    assert report.behaviour == 0


def test_what_is_kept_is_bounded_and_what_is_counted_is_not() -> None:
    a, b = trace(many(400)), trace([call(1000 + n) for n in range(400)])
    report = compare(a, b, limit=10)
    assert len(report.differences) == 10
    assert report.differing == report.behaviour > 400
    assert len(compare(a, b, limit=None).differences) == report.differing
    text = diff_lines(report, a, b, samples.RELEASE, samples.RELEASE, shown=3)
    assert any(f"… and {report.behaviour - 4} more" in line for line in text)


def test_an_empty_trace_differs_from_a_full_one() -> None:
    empty, full = trace([]), trace(many(5))
    assert compare(empty, empty).same
    assert compare(empty, full).summary["only in b"] == 5
    assert compare(full, empty).summary["only in a"] == 5


def test_common_frames_are_passed_over_whole() -> None:
    records = many(5000)
    other = [*records[:4990], samples.made(trap=INTERRUPT), *records[4990:]]
    report = compare(trace(records), trace(other))
    assert kinds(report) == [("only in b", None, 4990)]
    assert report.equal == report.aligned == 5000


@given(st.lists(st.integers(0, 6), max_size=60), st.lists(st.integers(0, 6), max_size=60))
@settings(max_examples=60, deadline=None)
def test_alignment_covers_everything_once(left: list[int], right: list[int]) -> None:
    keys = ThreadKeys({}, {})
    numbers: dict[tuple[object, ...], int] = {}
    a, b = Symbols(samples.RELEASE, keys, numbers), Symbols(samples.RELEASE, keys, numbers)
    a.read([call(n) for n in left])
    b.read([call(n) for n in right])
    i = j = 0
    for first_a, end_a, first_b, end_b in align(a, b):
        assert (first_a, first_b) == (i, j)
        count_a, count_b = end_a - first_a, end_b - first_b
        assert count_a == count_b > 0 or 0 in (count_a, count_b)
        i, j = end_a, end_b
    assert (i, j) == (len(left), len(right))


@given(samples.record_lists(8), samples.record_lists(8))
@settings(max_examples=30, deadline=None)
def test_any_two_traces_can_be_compared(left: list[Record], right: list[Record]) -> None:
    a, b = samples.read(samples.write_records(left)), samples.read(samples.write_records(right))
    report = compare(a, b, limit=None)
    assert report.same == (report.differing == 0)
    assert report.aligned + report.summary.get("only in a", 0) == len(left)
    assert report.aligned + report.summary.get("only in b", 0) == len(right)
    assert compare(a, a).same
