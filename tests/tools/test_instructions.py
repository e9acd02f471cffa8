"""`retrap boot --instructions` and `retrap instructions`: every instruction, in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from retrap.machine.log import InstructionLog
from retrap.tools import booting
from retrap.traces.errors import TraceError
from retrap.traces.instructions import InstructionReader


@pytest.mark.parametrize("sample", ["pingpong-thumb", "pager-arm", "preempt-arm"])
def test_both_backends_write_the_same_bytes(run, samples, tmp_path: Path, sample: str) -> None:
    files = []
    for backend in ("evaluate", "auto"):
        file, summary = tmp_path / backend, tmp_path / "s.json"
        run("boot", samples / f"{sample}.elf", "--backend", backend, "--instructions", file, "--summary", summary)
        files.append(file)
    assert files[0].read_bytes() == files[1].read_bytes()
    with InstructionReader(files[0]) as reader:
        frames = list(reader.frames())
    assert reader.complete
    booted = json.loads(summary.read_text())
    assert sum(len(words) for words, _ in frames) == booted["instructions"]
    assert sum(len(stretches) for _, stretches in frames) >= booted["traps"]
    assert reader.header["image_sha256"] == booted["image_sha256"]


def test_what_is_traced_runs_as_ever(run, samples, tmp_path: Path) -> None:
    results = []
    for extra in ((), ("--instructions", tmp_path / "i")):
        run("boot", samples / "preempt-arm.elf", "-o", tmp_path / "t.rtr", *extra)
        results.append((tmp_path / "t.rtr").read_bytes())
    assert results[0] == results[1]


def test_small_frames(run, samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("boot", samples / "hello-arm.elf", "--instructions", tmp_path / "whole")
    monkeypatch.setattr(booting, "InstructionLog", lambda: InstructionLog(100))
    run("boot", samples / "hello-arm.elf", "--instructions", tmp_path / "pieces")
    with InstructionReader(tmp_path / "whole") as whole, InstructionReader(tmp_path / "pieces") as pieces:
        (expected, _), *_ = list(whole.frames())
        frames = list(pieces.frames())
    assert {len(words) for words, _ in frames[:-1]} == {100}
    assert [word for words, _ in frames for word in words] == list(expected)


def test_it_is_printed(run, samples, tmp_path: Path) -> None:
    file, image = tmp_path / "i", samples / "hello-arm.elf"
    run("boot", image, "--instructions", file)
    ran = run("instructions", file, "--count", "2", "--image", image)
    assert ran.out.split() == ["0", "0", "0x00010000", "arm", "_start", "1", "0", "0x00010004", "arm", "_start+0x4"]
    (line,) = run("instructions", file, "--from", "5", "--count", "1", "--json").out.splitlines()
    assert json.loads(line)["number"] == 5
    assert run("instructions", file, "--thread", "9").out == ""


def test_torn_and_damaged_files(run, samples, tmp_path: Path) -> None:
    file = tmp_path / "i"
    run("boot", samples / "hello-arm.elf", "--instructions", file)
    data = file.read_bytes()
    for length in (*range(0, 300, 7), len(data) // 2, len(data) - 1):
        file.write_bytes(data[:length])
        try:
            with InstructionReader(file) as reader:
                assert not (list(reader.frames()) and reader.complete)
        except TraceError as error:
            assert str(file) in str(error)
    for at in range(0, len(data), 5):
        file.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            with InstructionReader(file) as reader:
                for words, stretches in reader.frames():
                    assert len(words) == sum(count for _, count in stretches)
        except TraceError as error:
            assert str(file) in str(error)
    file.write_bytes(b"something else")
    ran = run("instructions", file)
    assert (ran.status, ran.err) == (2, f"retrap: {file}: is no instruction trace\n")
    assert run("instructions", tmp_path / "none").status == 2


def test_a_file_that_cannot_be_written(run, samples, tmp_path: Path) -> None:
    ran = run("boot", samples / "hello-arm.elf", "--instructions", tmp_path / "no" / "file")
    assert (ran.status, len(ran.err.splitlines())) == (2, 1)
