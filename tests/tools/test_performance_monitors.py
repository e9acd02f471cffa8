"""A guest that measures itself: booted, recorded, replayed, on both backends."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from elf_builder import Elf, Load, R, W, X
from retrap.tools import boot, diff, replay
from retrap.traces.reader import Reader
from retrap.traces.record import Record

CODE, STACK = 0x10000, 0x30000

# Enable the cycle counter, count, and halt with the count in R4 (seL4_DebugHalt is -11).
MEASURE = (
    0xE3A01102, 0xEE091F3C,  # mov r1, #0x80000000; mcr PMCNTENSET
    0xE3A01001, 0xEE091F1C,  # mov r1, #1; mcr PMCR
    0xE3A03B03, 0xE2433001,  # mov r3, #0xc00; sub r3, r3, #1
    0xE2533001, 0x1AFFFFFD,  # subs r3, r3, #1; bne .-4
    0xEE194F1D,  # mrc r4, PMCCNTR
    0xE3E0700A, 0xEF000000,
)  # fmt: skip
COUNTED = 1 + 2 + 2 * 0xBFF  # the instruction that enables, two, the loop


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "measure.elf"
    code = struct.pack(f"<{len(MEASURE)}I", *MEASURE)
    segments = (Load(CODE, code, flags=R | X), Load(STACK, b"\0" * 4096, flags=R | W))
    path.write_bytes(Elf(segments=segments).build())
    return path


def register(record: Record, number: int) -> int:
    """What it was when the thread trapped."""
    return int.from_bytes(record.context[4 * number :][:4], "little")


def manifest(path: Path, *options: str) -> Path:
    path.write_text("\n".join(('[kernel]', 'release = "16.0.0"', *options)) + "\n")
    return path


@pytest.mark.parametrize("backend", ["evaluate", "llvm"])
def test_a_run_that_measures_itself_is_repeatable(image: Path, tmp_path: Path, backend: str) -> None:
    exporting = manifest(tmp_path / "m.toml", "export_pmu_user = true")
    trace = tmp_path / f"{backend}.rtr"
    result = boot(image, manifest=exporting, trace=trace, backend=backend, cache=False)
    assert result.outcome == "halted"
    with Reader(trace) as reader:
        *_, record = reader.records()
    assert register(record, 4) == COUNTED
    assert result.instructions == len(MEASURE) - 2 + 2 * 0xBFF
    report = replay(trace, cpu=True, backend=backend, cache=False)
    assert report.same
    again = tmp_path / "again.rtr"
    boot(image, manifest=exporting, trace=again, backend="auto", cache=False)
    assert diff(trace, again).same and trace.read_bytes() == again.read_bytes()


def test_a_kernel_that_exports_nothing_makes_it_undefined(image: Path, tmp_path: Path) -> None:
    result = boot(image, trace=tmp_path / "t.rtr")
    assert result.outcome == "died" and result.instructions == 1


def test_the_processor_decides_which_monitors_there_are(image: Path, tmp_path: Path) -> None:
    # mrc r4, PMCR; DebugHalt
    code = struct.pack("<3I", 0xEE194F1C, 0xE3E0700A, 0xEF000000)
    image.write_bytes(Elf(segments=(Load(CODE, code, flags=R | X),)).build())
    seen = {}
    for platform in ("qemu-arm-virt", "sabre", "zynq7000"):
        exporting = manifest(tmp_path / "m.toml", "export_pmu_user = true", "start_cycle_counter = true")
        trace = tmp_path / f"{platform}.rtr"
        assert boot(image, manifest=exporting, platform=platform, trace=trace).outcome == "halted"
        with Reader(trace) as reader:
            *_, record = reader.records()
        seen[platform] = register(record, 4)
    assert seen == {"qemu-arm-virt": 0x410F_3001, "sabre": 0x4109_3001, "zynq7000": 0x4109_3001}
