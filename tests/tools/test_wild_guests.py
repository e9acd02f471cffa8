"""The fourth door: what a guest does. Whatever it executes or passes to the kernel, a run ends in a documented way,
all invariants hold, and a recorded run replays."""

from __future__ import annotations

import gc
import struct
from pathlib import Path

import pytest
from elf_builder import Elf, Load, R, W, X
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from retrap.machine.llvm.store import open_store
from retrap.tools import boot, replay

CODE, TABLE, STACK = 0x10000, 0x20000, 0x30000
ENDS = {"halted", "quiescent", "died", "limit"}
NAME_THREAD = -14 & 0xFFFFFFFF  # the one call whose misuse stops a debug kernel: it is meant for debugging only
SLOW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

# mov r12, #TABLE; ldr r11, [r12], #4; loop: ldmia r12!, {r0-r7}; svc #0; subs r11, r11, #1; bne loop;
# then DebugHalt (r7 = -11).
SYSCALLS = struct.pack(
    "<8I", 0xE3A0C802, 0xE49CB004, 0xE8BC00FF, 0xEF000000, 0xE25BB001, 0x1AFFFFFB, 0xE3E0700A, 0xEF000000
)

words = st.integers(0, 0xFFFFFFFF)
small = st.integers(0, 90)
pointers = st.one_of(small, words, st.sampled_from([0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 0xFFFFFFFF, 0x80000000]))
infos = st.one_of(
    st.builds(
        lambda label, caps, length: label << 12 | caps << 7 | length,
        st.integers(0, 60),
        st.integers(0, 3),
        st.integers(0, 12),
    ),
    words,
)
numbers = st.one_of(st.integers(-35, 5).map(lambda n: n & 0xFFFFFFFF), words)
calls = st.tuples(pointers, infos, pointers, pointers, pointers, pointers, words, numbers)


def image(path: Path, code: bytes, table: bytes = b"\0" * 4) -> Path:
    path.write_bytes(
        Elf(
            segments=(
                Load(CODE, code, flags=R | X),
                Load(TABLE, table, flags=R),
                Load(STACK, b"\0" * 4096, flags=R | W),
            )
        ).build()
    )
    return path


@SLOW
@given(st.lists(calls, min_size=1, max_size=40))
def test_wild_arguments_to_every_system_call(tmp_path, sequence) -> None:
    table = struct.pack(f"<{1 + 8 * len(sequence)}I", len(sequence), *(word for call in sequence for word in call))
    file = image(tmp_path / "wild.elf", SYSCALLS, table)
    result = boot(file, trace=tmp_path / "wild.rtr", check="full", max_instructions=20_000)
    if result.outcome == "crashed":
        assert NAME_THREAD in {call[-1] for call in sequence}
    else:
        assert result.outcome in ENDS
    assert replay(tmp_path / "wild.rtr").same


@SLOW
@given(st.binary(min_size=4, max_size=400), st.booleans())
def test_garbage_as_code(tmp_path, code, thumb) -> None:
    file = tmp_path / "garbage.elf"
    segments = (Load(CODE, code.ljust(512, b"\xff"), flags=R | W | X), Load(STACK, b"\0" * 4096, flags=R | W))
    file.write_bytes(Elf(segments=segments, entry=CODE | thumb).build())
    ends = []
    for backend in ("evaluate", "llvm"):
        result = boot(file, check="cheap", max_instructions=20_000, backend=backend)
        assert result.outcome in ENDS
        ends.append((result.outcome, result.instructions, result.traps, result.state_digest))
    assert ends[0] == ends[1]


@settings(SLOW, max_examples=8)
@given(st.binary(min_size=4, max_size=400), st.booleans())
def test_what_a_run_keeps_of_garbage_changes_nothing_in_the_next(tmp_path, monkeypatch, code, thumb) -> None:
    monkeypatch.setenv("RETRAP_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "garbage.elf"
    segments = (Load(CODE, code.ljust(512, b"\xff"), flags=R | W | X), Load(STACK, b"\0" * 4096, flags=R | W))
    file.write_bytes(Elf(segments=segments, entry=CODE | thumb).build())
    traces, taped = [], 0
    for backend in ("evaluate", "auto", "auto"):
        taped = boot(file, trace=tmp_path / "run.rtr", max_instructions=20_000, backend=backend).code["taped"]
        traces.append((tmp_path / "run.rtr").read_bytes())
        gc.collect()  # what goes keeps what it has learned
    assert traces[0] == traces[1] == traces[2]
    assert taped or open_store() is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("jumps to nowhere", (0xE3A0F102,)),  # mov pc, #0x80000000
        ("jumps into the kernel", (0xE3A0F20A,)),  # mov pc, #0xa0000000
        ("jumps out of its segment", (0xEA000FFE,)),
        ("overflows its stack", (0xE3A0D803, 0xE92D4001, 0xEAFFFFFD)),  # mov sp, #STACK; push in a loop
        ("writes to its code", (0xE50F0008,)),
        ("loads through a wild pointer", (0xE3E00000, 0xE5901000)),
        ("executes its data", (0xE3A0F803,)),  # mov pc, #STACK
        ("runs off the end of its code", (0xE1A00000,) * 16),
    ],
)
def test_a_guest_that_loses_its_way_dies_with_one_line(tmp_path, name: str, code: tuple[int, ...]) -> None:
    result = boot(image(tmp_path / "lost.elf", struct.pack(f"<{len(code)}I", *code)), max_instructions=100_000)
    assert result.outcome == "died", name
    assert len(result.deaths) == 1
    assert "\n" not in result.deaths[0]
