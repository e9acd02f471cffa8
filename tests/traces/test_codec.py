"""The fast codec does what the declaration says, byte for byte, in both directions; golden files pin the format."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import trace_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.machine.context import Slot
from retrap.traces import layout
from retrap.traces.decode import decode_frame
from retrap.traces.encode import Encoder
from retrap.traces.errors import Malformed
from retrap.traces.record import Record, ThreadEntry, effects_of
from retrap.traces.schema import DeclaredFrame

GOLDEN = Path(__file__).parent / "golden"

tables = st.lists(
    st.tuples(st.integers(0, 1000), samples.words, samples.texts), max_size=4
)


def encode(table: list[ThreadEntry], records: list[Record]) -> bytes:
    """In both ways of writing, which have to agree."""
    plain, compiled = encoders = (Encoder(False), Encoder(True))
    for encoder in encoders:
        encoder.start(0, table)
        for record in records:
            encoder.add(effects_of(record), record.context, record.threads, record.outside, record.digest)
    assert plain.buffer == compiled.buffer
    assert plain.size == len(plain.buffer)
    return plain.buffer


def as_record(declared: dict[str, Any], number: int, time: int, contexts: dict[int, list[int]]) -> Record:
    """The record that a declared one stands for; `contexts`: each thread's registers at its last trap."""
    shape = declared["shape"]
    changes = struct.unpack("<32I", declared["context"])
    before = contexts.get(shape["thread"], [0] * 32)
    context = contexts[shape["thread"]] = [old ^ change for old, change in zip(before, changes, strict=True)]
    writes = [
        (r["thread"], r["slot"], value ^ context[r["slot"] if r["slot"] >= 0 else 31])
        for r, value in zip(shape["registers"], declared["values"], strict=True)
    ]
    record = Record(
        number, time + declared["elapsed"], shape["thread"], shape["kind"], struct.pack("<32I", *context),
        shape["outcome"], shape["next_thread"], writes,
        next((capability(c) for c in shape["target"]), None), tuple(capability(c) for c in shape["extra_caps"]),
        shape["badge"], shape["error"], shape["fault"], shape["reason"],
    )  # fmt: skip
    record.address, record.status = declared.get("address", 0), declared.get("status", 0)
    for name in ("reads", "buffer_writes"):
        setattr(record, name, [(e["thread"], e["index"], e["words"]) for e in declared.get(name, [])])
    for name in ("error_words", "fault_words", "interrupts"):
        setattr(record, name, declared.get(name, []))
    record.console = declared.get("console", b"")
    record.threads = [(t["number"], t["address"], t["name"]) for t in declared.get("threads", [])]
    record.arrived = [(a["time"], a["data"]) for a in declared.get("arrived", [])]
    record.warnings = [w["text"] for w in declared.get("warnings", [])]
    record.work = declared.get("work", 0)
    record.digest = declared.get("digest", b"")
    return record


def capability(declared: dict[str, Any]) -> tuple[str, int, int] | None:
    return (declared["type"], declared["address"], declared["badge"]) if declared["type"] else None


@given(tables, samples.record_lists())
@settings(max_examples=40, deadline=None)
def test_codec_and_declaration_agree(table: list[ThreadEntry], records: list[Record]) -> None:
    data = encode(table, records)
    threads, declared = DeclaredFrame.parse(data)
    assert [(t["number"], t["address"], t["name"]) for t in threads] == table
    time = 0
    contexts: dict[int, list[int]] = {}
    for number, (record, other) in enumerate(zip(records, declared, strict=True)):
        assert as_record(other, number, time, contexts) == record
        time = record.time
    assert DeclaredFrame.build(threads, declared) == data
    found, decoded = decode_frame(data, 0, 0, len(records))
    assert found == table
    assert list(decoded) == records


@given(st.integers(0, 200), st.integers(0, 200))
@settings(max_examples=30, deadline=None)
def test_any_number_of_values_and_words(values: int, words: int) -> None:
    registers = [(1, 2, n) for n in range(values)]
    record = samples.made(registers=registers, fault_words=list(range(words)))
    _, decoded = decode_frame(encode([], [record]), 0, 0, 1)
    assert list(decoded) == [record]


def test_the_packed_cpsr_is_a_slot() -> None:
    record = samples.made(registers=[(3, -1, 0x8000_0150), (3, Slot.FPEXC_EN, 1)])
    _, decoded = decode_frame(encode([], [record]), 0, 0, 1)
    assert next(decoded).registers == [(3, -1, 0x8000_0150), (3, Slot.FPEXC_EN, 1)]


def test_a_repeated_shape_costs_its_index_only() -> None:
    record = samples.made(target=("Endpoint", 0x4000, 7), registers=[(1, 2, 9)])
    once, twice = encode([], [record]), encode([], [record, record])
    assert len(twice) - len(once) == struct.calcsize("<" + layout.struct_format(layout.HEAD)) + 4


@given(samples.record_lists(), st.lists(st.booleans(), min_size=20, max_size=20))
@settings(max_examples=40, deadline=None)
def test_the_empty_reply_is_two_registers(records: list[Record], ways: list[bool]) -> None:
    """However the kernel says that it wrote badge and message info, and whatever it wrote after them."""
    encoders = Encoder(False), Encoder(True), Encoder(False)
    for encoder in encoders:
        encoder.start(0, [])
    time = 0
    for record, answered in zip(records * 2, ways, strict=False):
        time += 10
        for encoder in encoders:
            record.registers = [(record.thread, 0, 0), (record.thread, 1, 0), *record.registers[2:3]]
            effects = effects_of(record)
            effects.time = time
            if answered and encoder is not encoders[2]:
                effects.log = record.registers[2:]
                effects.answered = True
            assert effects.registers == record.registers
            encoder.add(effects, record.context, record.threads, record.outside, record.digest)
    assert encoders[0].buffer == encoders[1].buffer == encoders[2].buffer


def test_many_shapes_of_one_target_are_told_apart() -> None:
    target = ("Endpoint", 0x4000, 7)
    calls = [samples.made(target=target, next_thread=n, registers=[(n, 2, 0xFFFF_FFF0)]) for n in range(40)]
    once, twice = encode([], calls), encode([], calls * 2)
    assert len(twice) - len(once) == 40 * (struct.calcsize("<" + layout.struct_format(layout.HEAD)) + 4)
    _, decoded = decode_frame(twice, 0, 0, 80)
    assert [record.next_thread for record in decoded] == [*range(40), *range(40)]


def test_text_of_any_kind_and_length_can_be_recorded() -> None:
    record = samples.made(reason="x" * 70_000, fault="é\ud800")
    _, decoded = decode_frame(encode([(1, 2, "ü" * 40_000)], [record]), 0, 0, 1)
    found = next(decoded)
    assert found.reason == "x" * 0xFFFF
    assert found.fault == "é\\ud800"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": 6}, "record 0 has trap kind 6; the last one is 5"),
        ({"sections": 1 << 12}, r"record 0 announces unknown sections \(0x1000\)"),
        ({"target": [{"type": "TCB", "address": 1, "badge": 0}] * 2}, "record 0 has 2 targets"),
    ],
)
def test_shapes_that_mean_nothing_are_malformed(change: dict[str, Any], reason: str) -> None:
    threads, declared = DeclaredFrame.parse(encode([], [samples.made()]))
    declared[0]["shape"] |= change
    _, decoded = decode_frame(DeclaredFrame.build(threads, declared), 0, 0, 1)
    with pytest.raises(Malformed, match=reason):
        list(decoded)


def test_sections_and_their_bits_match() -> None:
    names = [section[0].name for section in layout.SECTIONS]
    bits = [name for name in vars(layout.Section) if name.isupper() and name != "ALL"]
    assert [getattr(layout.Section, name) for name in bits] == [1 << n for n in range(len(names))]
    assert (1 << len(names)) - 1 == layout.Section.ALL
    assert [name.lower() for name in bits[1:]] == names[1:]


def test_only_fixed_fields_have_a_struct_format() -> None:
    with pytest.raises(ValueError, match="fault has no fixed size"):
        layout.struct_format(layout.SHAPE)


def test_the_golden_trace_is_written_and_read_as_ever(update_golden: bool) -> None:
    """Run pytest with RETRAP_UPDATE_GOLDEN=1 after a deliberate change of the format (and raise VERSION)."""
    path = GOLDEN / "sample.rtr"
    threads = [samples.FakeThread(0, 0x4000_0000, "init"), samples.FakeThread(1, 0x4000_1000, "server")]
    data = samples.record_entries(samples.sample_entries(), 4, (("disk", b"input bytes"),), threads)
    if update_golden:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    assert data == path.read_bytes()
    reader = samples.read(path.read_bytes())
    assert reader.verify() == 10
