"""Devices and serial input from the command line: what users do, and what they get wrong."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from retrap.machine.devices import Bus, Port, Serial
from retrap.machine.memory import PhysicalMemory
from retrap.tools import boot, replay
from retrap.tools.cli import run_command
from retrap.tools.devices import load, parse
from retrap.tools.errors import UsageError
from retrap.traces.reader import Reader

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
ECHO = SAMPLES / "prebuilt" / "echo-arm.elf"
RETRAP = [sys.executable, "-m", "retrap.tools.cli"]


def uart_that(body: str) -> str:
    """A module with a device in place of the UART, which does `body` when it is written to."""
    return (
        "from retrap.machine.devices import Model\n"
        "class Mine(Model):\n"
        "    def write(self, offset, size, value):\n"
        f"        {body}\n"
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    status = run_command([str(a) for a in arguments])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_options_are_parsed() -> None:
    assert parse("led.py:Lamps@0x0b000000,irq=100,irq=0x65,size=0x2000") == {
        "name": "Lamps", "model": "led.py:Lamps", "base": 0x0B00_0000, "irqs": [100, 101], "size": 0x2000,
    }  # fmt: skip
    assert parse("sp804@4096") == {"name": "sp804", "model": "sp804", "base": 4096}


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("sp804", "expected MODEL@ADDRESS"),
        ("@0x1000", "expected MODEL@ADDRESS"),
        ("sp805@0x1000", "no model 'sp805': one of a9-timers, "),
        ("led.py:@0x1000", "'led.py:' is not MODULE:CLASS"),
        ("sp804@here", "'here' is no number"),
        ("sp804@0x1000,line=3", "'line=3' is neither irq=N nor size=BYTES"),
        ("sp804@0x1000,irq=x", "'x' is no number"),
    ],
)
def test_options_that_mean_nothing(option: str, reason: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--device {option}: ") + ".*" + re.escape(reason)):
        parse(option)


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("sp804@0x0b000010", "devices[0].base: 0xb000010 is not a multiple of 4 KiB"),
        ("sp804@0x40000000", "overlaps RAM"),
        ("sp804@0x0b000000,irq=500", "devices[0].irqs: interrupt 500 is above the last one, 159"),
        ("no_such_module_here:X@0x0b000000", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("missing.py:X@0x0b000000", "FileNotFoundError"),
        ("json:Nothing@0x0b000000", "json has no class Nothing"),
        ("json:JSONDecoder@0x0b000000", "JSONDecoder is not derived from retrap.machine.devices.Model"),
    ],
)
def test_devices_that_cannot_be(capsys: pytest.CaptureFixture[str], option: str, reason: str) -> None:
    status, _, error = run(capsys, "boot", ECHO, "--device", option)
    assert status == 2 and error.count("\n") == 1
    assert reason in error


def test_a_device_of_ones_own_replaces_the_uart(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    module = tmp_path / "mine.py"
    module.write_text(uart_that("self.port.warn(f'was told {value:#x}')"), encoding="utf-8")
    trace, summary = tmp_path / "t.rtr", tmp_path / "s.json"
    device = f"{module}:Mine"
    status, _, error = run(
        capsys, "boot", ECHO, "--device", f"{device}@0x09000000,irq=33", "-o", trace, "--summary", summary
    )
    assert status == 0
    told = "device Mine at 0x9000000 was told 0x7ff"
    assert f"retrap: warning: {told}\n" in error
    assert told in json.loads(summary.read_text())["warnings"]
    with Reader(trace) as reader:
        assert told in [text for record in reader for text in record.warnings]
    assert f"] warning: {told}\n" in run(capsys, "show", trace)[1]
    # The trace replays on the kernel as it is; with a CPU only for those who name the class.
    assert run(capsys, "replay", trace)[0] == 0
    status, _, error = run(capsys, "replay", "--cpu", trace)
    assert status == 2 and f"to load its class, say --device {device}" in error
    assert run(capsys, "replay", "--cpu", trace, "--device", device)[0] == 0


def test_an_error_in_a_device_names_it_and_leaves_a_whole_trace(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    module = tmp_path / "mine.py"
    module.write_text(uart_that("return self.nothing"), encoding="utf-8")
    traces = []
    for backend in ("evaluate", "llvm"):
        trace = tmp_path / f"{backend}.rtr"
        options = ("--device", f"{module}:Mine@0x09000000", "-o", trace, "--backend", backend)
        status, _, error = run(capsys, "boot", ECHO, *options)
        assert status == 2 and error.count("\n") == 1
        assert "device Mine at 0x9000000: mine.Mine raised AttributeError: 'Mine' object has no attribute" in error
        assert f"({module}, line 4)" in error
        with Reader(trace) as reader:
            assert reader.complete and reader.end is not None and reader.end.outcome == "device-failed"
            assert reader.verify() == reader.end.records
        traces.append(trace.read_bytes())
    assert traces[0] == traces[1]
    status, *_ = run(capsys, "replay", "--cpu", tmp_path / "llvm.rtr", "--device", f"{module}:Mine")
    assert status == 0


def test_a_device_that_cannot_be_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    module = tmp_path / "mine.py"
    module.write_text(uart_that("pass") + "    def __init__(self, port):\n        1 / 0\n", encoding="utf-8")
    status, _, error = run(capsys, "boot", ECHO, "--device", f"{module}:Mine@0x09000000")
    assert status == 2 and "mine.Mine raised ZeroDivisionError" in error


def test_manifests_name_devices_relative_to_themselves(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(uart_that("self.port.warn('is in use')"), encoding="utf-8")
    manifest = tmp_path / "m.toml"
    manifest.write_text(
        f'[image]\npath = "{ECHO}"\n[[devices]]\nname = "mine"\nmodel = "mine.py:Mine"\nbase = 0x0900_0000\n',
        encoding="utf-8",
    )
    status, _, error = run(capsys, "boot", "-m", manifest)
    assert status == 0 and "device mine at 0x9000000 is in use" in error


@pytest.mark.parametrize("backend", ["evaluate", "llvm"])
def test_a_run_with_interrupts_is_the_same_everywhere(tmp_path: Path, backend: str) -> None:
    typed = tmp_path / "typed"
    typed.write_bytes(b"one\ntwo\n")
    trace = tmp_path / "t.rtr"
    boot(ECHO, arguments="lines=2", serial_input=typed, trace=trace, backend=backend)
    for cpu, other in ((False, "auto"), (True, "evaluate"), (True, "llvm")):
        assert replay(trace, cpu=cpu, backend=other).same
    with Reader(trace) as reader:
        assert sum(record.interrupts == [33] for record in reader) >= 9


def retrap(*arguments: str | Path, **options: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [*RETRAP, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **options
    )


def test_input_from_a_pipe_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "t.rtr"
    child = retrap(
        "boot", ECHO, "--arguments", "lines=2", "--input", "-", "-o", trace, stdin=subprocess.PIPE
    )
    assert child.stdin is not None and child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.stdin.write(b"hello\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"HELLO\n"
    out, error = child.communicate(b"again\n", timeout=120)
    assert out == b"AGAIN\nby interrupts\nPASS\n" and child.returncode == 0 and not error
    with Reader(trace) as reader:
        assert b"".join(data for record in reader for _, data in record.arrived) == b"hello\nagain\n"
    assert "] serial input: 'hello\\n'\n" in run(capsys, "show", trace)[1]
    assert replay(trace).same and replay(trace, cpu=True).same


def test_the_end_of_input_ends_a_system_that_waits_for_it(tmp_path: Path) -> None:
    trace = tmp_path / "t.rtr"
    child = retrap("boot", ECHO, "--arguments", "lines=2", "--input", "-", "-o", trace, stdin=subprocess.PIPE)
    out, _ = child.communicate(b"hello\n", timeout=120)
    assert out == b"ready\nHELLO\n" and child.returncode == 0
    with Reader(trace) as reader:
        assert reader.end is not None and reader.end.outcome == "quiescent"
    assert replay(trace, cpu=True).same


def test_a_terminal_is_read_by_keys_and_interrupted(tmp_path: Path) -> None:
    trace = tmp_path / "t.rtr"
    ours, theirs = pty.openpty()
    child = retrap(
        "boot", ECHO, "--arguments", "lines=5", "--input", "-", "-o", trace, stdin=theirs, start_new_session=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    os.write(ours, b"abc\n")
    assert child.stdout.readline() == b"ABC\n"
    time.sleep(0.2)  # it waits for more
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert child.returncode == 130
    with Reader(trace) as reader:
        assert reader.end is not None and reader.end.outcome == "interrupted"
    assert replay(trace, cpu=True).same


def test_the_example_of_the_documentation_blinks() -> None:
    kind = load([f"{SAMPLES / 'led.py'}:Lamps"]).popitem()[1]
    memory = PhysicalMemory([(0x4000_0000, 0x1000)])
    bus = Bus(memory)
    bus.clock.hz = 100_000_000
    warnings: list[str] = []
    port = Port("lamps", bus.clock, Serial(), 0x0B00_0000, 0x1000, warnings.append)
    bus.attach("lamps", kind(port), 0x0B00_0000, 0x1000, (100,))
    found = memory.device(0x0B00_0000)
    assert found is not None
    lamps, _ = found
    lamps.write(0, 4, 0x0F)
    lamps.write(4, 4, 20)
    assert bus.next_event == 2000
    bus.serve(2000)
    assert lamps.read(0, 4) == 0xF0 and bus.lines == 1 << 100 and bus.next_event == 4000
    lamps.write(8, 4, 1)
    assert not bus.lines and lamps.read(4, 4) == 20
    lamps.write(0x20, 4, 1)
    assert warnings == ["has nothing at 0x20"]
    # The page shows the class as the file has it, shortened.
    page = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    shown = re.findall(r"```python\n(.*?)```", page, re.S)[0]
    source = (SAMPLES / "led.py").read_text(encoding="utf-8")
    assert all(line in source for line in shown.splitlines() if line.strip() != "…")
