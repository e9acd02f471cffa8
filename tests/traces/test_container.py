"""The file as a whole: round trip, determinism, names, torn and damaged files, hostile bytes."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
import trace_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.traces.compression import compress
from retrap.traces.errors import TraceError
from retrap.traces.reader import Reader
from retrap.traces.record import NO_CONTEXT, Record, record_of
from retrap.traces.schema import (
    BLOCK_HEAD_BYTES,
    MAGIC,
    MAX_FRAME,
    BlockHead,
    Tag,
    build_block_head,
    checksum,
    parse_block_head,
)  # fmt: skip
from retrap.traces.writer import FRAME_RECORDS, Recorder


def read_all(data: bytes) -> tuple[int, bool]:
    """Read a trace in every way there is; only `TraceError` may come out."""
    reader = samples.read(data)
    reader.verify()
    reader.inputs()
    for _ in reader:
        pass
    return reader.count, reader.complete


def blocks(data: bytes) -> list[tuple[int, BlockHead]]:
    """Offset and head of every block."""
    found = []
    offset = len(MAGIC) + 4
    while offset < len(data):
        head = parse_block_head(data[offset : offset + BLOCK_HEAD_BYTES])
        found.append((offset, head))
        offset += BLOCK_HEAD_BYTES + head.stored
    return found


def replaced(data: bytes, tag: bytes, content: bytes, **fields: int) -> bytes:
    """The trace with the first block of that kind carrying other bytes, all checksums right."""
    offset, head = next((o, h) for o, h in blocks(data) if h.tag == tag)
    payload = compress(content)
    new = BlockHead(
        tag, len(payload), fields.get("raw", len(content)), fields.get("count", head.count),
        fields.get("first", head.first), fields.get("time", head.time), checksum(payload),
    )  # fmt: skip
    rest = data[offset + BLOCK_HEAD_BYTES + head.stored :]
    return data[:offset] + build_block_head(new) + payload + rest


def test_a_run_reads_back_as_it_was_recorded() -> None:
    entries = samples.sample_entries()
    reader = samples.read(samples.record_entries(entries, interval=4))
    expected = []
    for number, (context, effects) in enumerate(entries):
        record = record_of(number, effects, context.words[:32].tobytes())
        if number % 4 == 3:
            record.digest = bytes(16)
        expected.append(record)
    assert list(reader) == expected
    assert reader.complete
    assert reader.end is not None
    assert (reader.end.records, reader.end.instructions, reader.end.outcome) == (10, 2_000_002, "halted")
    assert reader.header == samples.header(4)
    assert reader.image() == samples.IMAGE
    assert reader.verify() == 10


@given(samples.record_lists())
@settings(max_examples=30, deadline=None)
def test_any_records_read_back(records: list[Record]) -> None:
    reader = samples.read(samples.write_records(records))
    assert list(reader) == records
    assert reader.verify() == len(records)


def test_no_thread_means_no_registers() -> None:
    context, effects = samples.entry(trap=samples.INTERRUPT, thread=-1, next_thread=-1)
    context.words[3] = 99
    assert samples.read(samples.record_entries([(context, effects)])).record(0).context == NO_CONTEXT


def test_equal_runs_give_equal_bytes() -> None:
    first = samples.record_entries(samples.sample_entries(), inputs=(("a", b"abc"),))
    assert first == samples.record_entries(samples.sample_entries(), inputs=(("a", b"abc"),))


def test_inputs_are_embedded() -> None:
    given_inputs = (("disk", b"\x00" * 5000), ("", b""))
    reader = samples.read(samples.record_entries(samples.sample_entries(), inputs=given_inputs))
    assert reader.inputs() == list(given_inputs)


def test_many_frames_can_be_entered_anywhere() -> None:
    context, effects = samples.entry("Yield")
    stream = io.BytesIO()
    threads = [samples.FakeThread(0, 0x4000_0000, "init")]
    recorder = Recorder(stream, samples.header(1000), samples.IMAGE, threads, samples.RELEASE, lambda: b"d" * 16)
    total = 2 * FRAME_RECORDS + 10
    for number in range(total):
        effects.time = 7 * number
        context.words[4] = number
        if number == FRAME_RECORDS + 5:
            threads.append(samples.FakeThread(1, 0x4000_1000, "late"))
        effects.context = context.head.tobytes()
        recorder.after(effects)
    assert recorder.records == total
    recorder.close(effects.time, "halted", bytes(16))
    reader = samples.read(stream.getvalue())
    assert len(reader) == total
    for number in (0, 1, FRAME_RECORDS - 1, FRAME_RECORDS, 2 * FRAME_RECORDS, total - 1):
        record = reader.record(number)
        assert (record.number, record.time, record.words_in[4]) == (number, 7 * number, number)
        assert bool(record.digest) == (number % 1000 == 999)
    assert reader.record(FRAME_RECORDS + 5).threads == [(1, 0x4000_1000, "late")]
    assert set(reader.threads_at(FRAME_RECORDS + 5)) == {0}
    assert set(reader.threads_at(FRAME_RECORDS + 6)) == {0, 1}
    assert set(reader.threads_at(total)) == {0, 1}
    assert [r.number for r in reader.records(total - 3)] == [total - 3, total - 2, total - 1]
    for number in (-1, total):
        with pytest.raises(TraceError, match="records, from 0 on"):
            reader.record(number)


def test_renamed_threads_are_noted() -> None:
    threads = [samples.FakeThread(0, 0x4000_0000, "init")]
    stream = io.BytesIO()
    recorder = Recorder(stream, samples.header(), samples.IMAGE, threads, samples.RELEASE, lambda: bytes(16))
    context, effects = samples.entry("DebugNameThread")
    threads[0].name = "root"
    effects.context = context.head.tobytes()
    recorder.after(effects)
    recorder.close(0, "halted", bytes(16))
    reader = samples.read(stream.getvalue())
    assert reader.record(0).threads == [(0, 0x4000_0000, "root")]
    assert reader.threads_at(0)[0][2] == "init"


def test_a_file_is_partial_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "run.rtr"
    recorder = Recorder(path, samples.header(), samples.IMAGE, [], samples.RELEASE, lambda: bytes(16))
    context, effects = samples.entry("Yield")
    effects.context = context.head.tobytes()
    recorder.after(effects)
    assert [p.name for p in tmp_path.iterdir()] == ["run.rtr.partial"]
    recorder.close(100, "halted", bytes(16))
    assert [p.name for p in tmp_path.iterdir()] == ["run.rtr"]
    with Reader(path) as reader:
        assert reader.complete
        assert len(list(reader)) == 1


def test_an_abandoned_run_can_be_read_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.rtr"
    recorder = Recorder(path, samples.header(), samples.IMAGE, [], samples.RELEASE, lambda: bytes(16))
    for context, effects in samples.sample_entries():
        effects.context = context.head.tobytes()
        recorder.after(effects)
    recorder.abandon()
    assert not path.exists()
    with Reader(tmp_path / "run.rtr.partial") as reader:
        assert not reader.complete
        assert reader.verify() == 10


def test_a_place_that_cannot_be_written_is_a_trace_error(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "run.rtr"
    with pytest.raises(TraceError, match=r"run\.rtr: No such file or directory"):
        Recorder(path, samples.header(), samples.IMAGE, [], samples.RELEASE, lambda: bytes(16))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty", b"", "the file is empty"),
        ("text", b"hello world\n", "offset 0: not a retrap trace"),
        ("elf", samples.IMAGE, "offset 0: not a retrap trace"),
        ("short", MAGIC[:5], "offset 5: the file ends within its first bytes"),
        ("new", MAGIC + b"\x09\x00\x00\x00", "format version 9; this program reads version 2"),
    ],
)
def test_what_is_not_a_trace_is_refused(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TraceError) as caught:
        Reader(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        Reader(tmp_path / "none")
    with pytest.raises(TraceError, match="directory"):
        Reader(tmp_path)


def test_a_trace_cut_anywhere_is_readable_or_refused() -> None:
    data = samples.record_entries(samples.sample_entries(), inputs=(("a", b"abc"),))
    found = dict(blocks(data))
    header_end = sorted(found)[1]
    frame_end = sorted(found)[-1]
    for size in range(len(data)):
        if size < header_end:
            with pytest.raises(TraceError):
                samples.read(data[:size])
            continue
        reader = samples.read(data[:size])
        assert not reader.complete
        assert reader.count == (10 if size >= frame_end else 0)
        assert len(list(reader)) == reader.verify() == reader.count


def test_every_flipped_bit_is_noticed() -> None:
    data = samples.record_entries(samples.sample_entries(), inputs=(("a", b"abc"),))
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(TraceError) as caught:
            read_all(bytes(damaged))
        assert str(caught.value).startswith("trace in memory: ")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_mutated_bytes_never_escape_as_another_exception(data: st.DataObject) -> None:
    original = samples.record_entries(samples.sample_entries())
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, min(len(original), start + 40)))
    mutated = original[:start] + data.draw(st.binary(max_size=40)) + original[end:]
    if mutated != original:
        with contextlib.suppress(TraceError):
            assert read_all(mutated)[1] is False


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_hostile_frames_with_right_checksums_are_refused_or_read(data: st.DataObject) -> None:
    original = samples.record_entries(samples.sample_entries())
    frame = bytearray(next(samples.read(original).raw_frames())[2])
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(frame) - 1))
        frame[position : position + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"\xff", b"\xff\xff\xff\xff", b"\x00", b"\x7f"]) | st.binary(max_size=4)
        )
    count = data.draw(st.sampled_from([10, 10, 9, 11, 1]))
    hostile = replaced(original, Tag.FRAME, bytes(frame), count=count)
    hostile = hostile[: blocks(hostile)[-1][0]]
    try:
        for record in samples.read(hostile):
            record.message()
            record.trap()
    except TraceError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=300), st.sampled_from([Tag.HEADER, Tag.END]))
@settings(max_examples=100, deadline=None)
def test_hostile_headers_and_ends_are_refused_or_read(payload: bytes, tag: bytes) -> None:
    try:
        read_all(replaced(samples.record_entries(samples.sample_entries()), tag, payload))
    except TraceError as error:
        assert "\n" not in str(error)


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    data = samples.record_entries(samples.sample_entries())
    with pytest.raises(TraceError, match="a block of"):
        samples.read(replaced(data, Tag.FRAME, b"x", raw=MAX_FRAME + 1))
    # A small block whose compressed data claims far more than the block does.
    payload = compress(bytes(64 << 20))
    offset, head = next((o, h) for o, h in blocks(data) if h.tag == Tag.FRAME)
    new = BlockHead(Tag.FRAME, len(payload), 4096, head.count, 0, 0, checksum(payload))
    bomb = data[:offset] + build_block_head(new) + payload
    with pytest.raises(TraceError, match="compressed data states 67108864 bytes, its block 4096"):
        list(samples.read(bomb))


def test_blocks_out_of_place_are_refused() -> None:
    data = samples.record_entries(samples.sample_entries())
    heads = blocks(data)
    (_, _), (image, _), (frame, _), (end, _) = heads
    with pytest.raises(TraceError, match="a FRAM block where a IMAG block belongs"):
        samples.read(data[:image] + data[frame:])
    with pytest.raises(TraceError, match="the frame starts with record 0 instead of 10"):
        samples.read(data[:end] + data[frame:])
    with pytest.raises(TraceError, match="the end mark counts 10 records, the frames 0"):
        samples.read(data[:frame] + data[end:])
    with pytest.raises(TraceError, match="bytes after the end mark"):
        samples.read(data + b"\x00")
    with pytest.raises(TraceError, match="cannot hold"):
        samples.read(replaced(data, Tag.FRAME, b"xx", count=1 << 30))


def test_swapped_images_are_noticed() -> None:
    data = replaced(samples.record_entries(samples.sample_entries()), Tag.IMAGE, b"another image")
    with pytest.raises(TraceError, match="the image is not the one that the header names"):
        samples.read(data).image()
    frame = bytearray(next(samples.read(data).raw_frames())[2])
    frame[14] ^= 1  # a letter of the first thread's name
    data = replaced(samples.record_entries(samples.sample_entries()), Tag.FRAME, bytes(frame))
    with pytest.raises(TraceError, match="the records are not those"):
        samples.read(data).verify()


def test_the_recorder_refuses_an_image_that_the_header_does_not_name() -> None:
    with pytest.raises(TraceError, match="the image is not the one that the header names"):
        Recorder(io.BytesIO(), samples.header(), b"?", [], samples.RELEASE, lambda: bytes(16))


def test_whole_frames_are_in_the_file_before_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "run.rtr"
    recorder = Recorder(path, samples.header(), samples.IMAGE, [], samples.RELEASE, lambda: bytes(16))
    context, effects = samples.entry("Yield")
    for _ in range(FRAME_RECORDS + 1):
        effects.context = context.head.tobytes()
        recorder.after(effects)
    with Reader(tmp_path / "run.rtr.partial") as reader:
        assert (reader.complete, len(reader)) == (False, FRAME_RECORDS)
    recorder.abandon()


def test_what_is_missing_from_a_torn_file_is_said() -> None:
    data = samples.record_entries(samples.sample_entries(), inputs=(("a", b"abc"),))
    offsets = [offset for offset, _ in blocks(data)]
    with pytest.raises(TraceError, match="the trace ends before its image"):
        samples.read(data[: offsets[1] + 5]).image()
    with pytest.raises(TraceError, match="the trace ends before its last input"):
        samples.read(data[: offsets[2] + 5]).inputs()


@pytest.mark.parametrize("place", ["path", "frame", "close"])
def test_a_full_disk_is_a_trace_error(place: str) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

        full = place == "path"

    stream = Full()
    context, effects = samples.entry("Yield")
    with pytest.raises(TraceError, match="trace in memory: No space left on device"):
        recorder = Recorder(stream, samples.header(), samples.IMAGE, [], samples.RELEASE, lambda: bytes(16))
        stream.full = True
        for _ in range(FRAME_RECORDS if place == "frame" else 1):
            effects.context = context.head.tobytes()
            recorder.after(effects)
        recorder.close(0, "halted", bytes(16))
