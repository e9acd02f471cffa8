"""Replay finds nothing in a faithful trace, everything in a changed one, and survives any records at all."""

from __future__ import annotations

import io
import json
from typing import Any

import booted
import pytest
import trace_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.kernel.effects import IDLE, Outcome
from retrap.machine.context import Slot
from retrap.traces.reader import Reader
from retrap.traces.record import Record
from retrap.traces.replay import Comparer, ReplayReport, instruction_limit, replay
from retrap.traces.writer import Recorder

ALL = ["hello-arm", "retype-thumb", "pingpong-arm", "delegate-arm", "pager-thumb", "preempt-arm"]


def replayed(trace: Reader, *, go_on: bool = False) -> ReplayReport:
    return replay(trace, booted.fresh_kernel(trace), samples.RELEASE, go_on=go_on)


def changed(sample: str, change: dict[int, Any], drop: frozenset[int] = frozenset()) -> Reader:
    """A sample's trace with records changed (functions by number) or dropped, well-formed all the same."""
    original = booted.reader(sample)
    stream = io.BytesIO()
    head = original.header
    recorder = Recorder(stream, head, original.image(), [], samples.RELEASE, lambda: bytes(16), [])
    for record in original:
        if record.number in change:
            change[record.number](record)
        if record.number not in drop:
            recorder.write(record)
    assert original.end is not None
    recorder.close(original.end.instructions, original.end.outcome, original.end.state_digest)
    return Reader(io.BytesIO(stream.getvalue()))


def fields(report: ReplayReport, index: int = 0) -> list[str]:
    return [mismatch.field for mismatch in report.divergences[index].mismatches]


@pytest.mark.parametrize("sample", ALL)
def test_a_recorded_run_replays_without_a_cpu(sample: str) -> None:
    trace = booted.reader(sample)
    report = replayed(trace)
    assert report.divergences == []
    assert report.same
    assert report.records == len(trace) > 50
    assert report.digests >= 1


@pytest.mark.parametrize("sample", ["hello-thumb", "pingpong-thumb", "preempt-thumb"])
def test_a_recorded_run_repeats_on_the_cpu(sample: str) -> None:
    trace = booted.reader(sample)
    report = repeated(trace)
    assert report.divergences == []
    assert report.records == len(trace)


def repeated(trace: Reader, run: Reader | None = None) -> ReplayReport:
    """CPU replay: `run`'s image, compared with `trace`."""
    session = booted.fresh_session(run or trace)
    comparer = Comparer(trace, session.kernel.threads, samples.RELEASE, session.kernel.digest)
    result = session.run((comparer,), None, instruction_limit(run or trace))
    return comparer.finish(result.instructions, str(result.end), bytes.fromhex(result.state_digest))


def test_a_run_that_was_cut_off_repeats() -> None:
    trace = booted.reader("preempt-arm", limit=300_000)
    assert trace.end is not None
    assert trace.end.outcome == "limit"
    assert replayed(trace).same
    report = repeated(trace)
    assert report.divergences == []


def test_a_torn_trace_is_compared_as_far_as_it_goes() -> None:
    whole = booted.recorded("hello-arm")
    trace = Reader(io.BytesIO(whole[:-10]))
    assert not trace.complete
    for report in (replayed(trace), repeated(trace)):
        assert (report.same, report.complete, report.records) == (True, False, len(trace))


def test_a_trace_torn_before_its_first_frame_has_nothing_to_repeat() -> None:
    trace = samples.read(samples.write_records([])[:-10])
    assert (len(trace), instruction_limit(trace)) == (0, 0)


def test_another_run_is_found_out_on_the_cpu() -> None:
    report = repeated(booted.reader("pingpong-arm", "rounds=3"), booted.reader("pingpong-arm", "rounds=4"))
    assert report.diverging == 1
    assert fields(report)
    assert report.divergences[0].actual is not None


def test_a_run_that_goes_on_after_the_trace_is_found_out() -> None:
    session = booted.fresh_session(booted.reader("hello-arm"))
    short = changed("hello-arm", {}, frozenset(range(50, 10_000)))
    comparer = Comparer(short, session.kernel.threads, samples.RELEASE, session.kernel.digest)
    session.run((comparer,), None, None)
    assert fields(comparer.report) == ["record"]
    assert comparer.report.divergences[0].number == 50


def test_a_run_that_ends_before_the_trace_is_found_out() -> None:
    trace = booted.reader("hello-arm")
    session = booted.fresh_session(trace)
    comparer = Comparer(trace, session.kernel.threads, samples.RELEASE, session.kernel.digest)
    result = session.run((comparer,), None, 1000)
    report = comparer.finish(result.instructions, str(result.end), bytes.fromhex(result.state_digest))
    assert fields(report)[:3] == ["records at the end", "instructions at the end", "outcome at the end"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: setattr(r, "outcome", Outcome.IGNORED), ["outcome"]),
        (lambda r: setattr(r, "next_thread", 7), ["next_thread"]),
        (lambda r: setattr(r, "reason", "because"), ["reason"]),
        (lambda r: setattr(r, "error", 3) or setattr(r, "error_words", [1]), ["error", "error_words"]),
        (lambda r: setattr(r, "registers", r.registers[:-1]), None),
        (lambda r: setattr(r, "registers", [*r.registers, (0, 4, 9)]), ["register r4 of thread 0"]),
        (lambda r: setattr(r, "registers", r.registers[::-1]), ["order of register writes"]),
        (lambda r: setattr(r, "buffer_writes", [(0, 5, [1])]), ["buffer_writes"]),
        (lambda r: setattr(r, "threads", []), ["threads"]),
        (lambda r: setattr(r, "digest", b"\x01" * 16), ["digest"]),
        (lambda r: setattr(r, "extra_caps", ()), ["extra_caps"]),
        (lambda r: setattr(r, "target", ("TCB", 1, 2)), ["target"]),
        (lambda r: setattr(r, "console", b"x"), ["console"]),
        (lambda r: setattr(r, "fault", "VMFault") or setattr(r, "fault_words", [1]), ["fault", "fault_words"]),
    ],
)  # fmt: skip
def test_every_changed_output_is_a_mismatch(change: Any, expected: list[str] | None) -> None:
    """Record 5 of this run is a Retype that makes a thread."""
    number = next(r.number for r in booted.reader("pingpong-arm") if r.threads and r.extra_caps)
    report = replayed(changed("pingpong-arm", {number: change}))
    assert [found.number for found in report.divergences] == [number]
    if expected is not None:
        assert fields(report) == expected
    assert report.divergences[0].expected is not None


def test_all_divergences_are_found_when_going_on() -> None:
    numbers = [10, 20, 30]
    change = {number: lambda r: setattr(r, "reason", "no") for number in numbers}
    report = replayed(changed("hello-arm", change), go_on=True)
    assert [found.number for found in report.divergences] == numbers
    assert report.records == len(booted.reader("hello-arm"))
    plain = json.loads(json.dumps(report.to_json()))
    assert plain["same"] is False
    assert plain["diverging"] == 3
    assert plain["divergences"][0]["mismatches"] == [{"field": "reason", "expected": "no", "actual": ""}]


def test_a_missing_record_shows_in_the_final_state() -> None:
    number = next(r.number for r in booted.reader("pingpong-arm") if r.threads and r.extra_caps)
    report = replayed(changed("pingpong-arm", {}, frozenset([number])), go_on=True)
    assert report.diverging > 1
    assert fields(report, -1) == ["state_digest at the end"]
    assert report.divergences[-1].thread == IDLE


def with_flag(record: Record) -> None:
    context = bytearray(record.context)
    context[4 * Slot.N] = 2
    record.context = bytes(context)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: setattr(r, "thread", 3), "thread 3 cannot trap: thread 0 runs"),
        (lambda r: setattr(r, "thread", -1), "thread -1 cannot trap: thread 0 runs"),
        (with_flag, "its registers cannot exist (a flag has more than one bit)"),
        (lambda r: setattr(r, "reads", [(9, 1, [1])]), "words 1 to 1 of thread 9's IPC buffer do not exist"),
        (lambda r: setattr(r, "reads", [(-1, 1, [1])]), "words 1 to 1 of thread -1's IPC buffer do not exist"),
        (lambda r: setattr(r, "reads", [(0, 127, [1, 2])]),
         "words 127 to 128 of thread 0's IPC buffer do not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_applied_is_a_divergence(change: Any, reason: str) -> None:
    report = replayed(changed("hello-arm", {7: change}))
    assert [(m.field, m.actual) for m in report.divergences[0].mismatches] == [("record", reason)]


def test_nothing_happens_after_a_halt() -> None:
    original = booted.reader("hello-arm")
    twice = [*original, *original]
    stream = io.BytesIO()
    recorder = Recorder(stream, original.header, original.image(), [], samples.RELEASE, lambda: bytes(16))
    time = 0
    for record in twice:
        time = record.time = max(time, record.time)
        recorder.write(record)
    recorder.close(time, "halted", bytes(16))
    report = replayed(Reader(io.BytesIO(stream.getvalue())))
    assert [m.actual for m in report.divergences[0].mismatches] == ["the kernel has halted"]


def test_device_interrupts_are_inputs() -> None:
    trace = changed("hello-arm", {3: lambda r: setattr(r, "interrupts", [35, 1 << 31])})
    assert replayed(trace).same  # nothing handles them, and numbers that no line has are passed over
    assert fields(repeated(trace)) == ["interrupts"]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_records_can_break_a_replay(data: st.DataObject) -> None:
    """Records of a real run, with anything changed in some of them: only reports come out."""
    kinds = st.sampled_from(["context", "word", "reads", "kind", "interrupts", "abort"])

    def change(record: Record) -> None:
        match data.draw(kinds):
            case "context":
                record.context = data.draw(samples.contexts)
            case "word":
                slot = data.draw(st.integers(0, 31))
                value = data.draw(st.sampled_from([0, 1, 0x80, 0xFFFF_FFFF]) | samples.words)
                words = list(record.words_in)
                words[slot] = value & (0xFF if 16 <= slot < 25 else 0xFFFF_FFFF)
                record.context = b"".join(word.to_bytes(4, "little") for word in words)
            case "reads":
                record.reads = data.draw(samples.buffer_words)
            case "kind":
                record.kind = data.draw(st.integers(0, 5))
            case "interrupts":
                record.interrupts = data.draw(st.lists(samples.words, max_size=3))
            case "abort":
                record.address, record.status = data.draw(samples.words), data.draw(samples.words)

    sample = data.draw(st.sampled_from(["pager-arm", "pingpong-arm"]))
    size = len(booted.reader(sample))
    numbers = data.draw(st.lists(st.integers(0, size - 1), max_size=6, unique=True))
    report = replayed(changed(sample, dict.fromkeys(numbers, change)), go_on=True)
    json.dumps(report.to_json())
