"""System calls of kernels that measure themselves (option `benchmarks`)."""

from __future__ import annotations

import pytest
from kernel_driver import CNODE, FREE, IRQ_CONTROL, TCB
from retrap.kernel.effects import Outcome
from threads_driver import ROOT_PRIORITY, World

IDLE_AND_TOTAL = slice(4, None)


def measuring(name: str = "16.0.0", kind: str = "track_utilisation", **options: object) -> World:
    return World(name=name, benchmarks=kind, **options)  # type: ignore[arg-type]


def report(world: World, thread: int = TCB, count: int = 13) -> list[int]:
    """What GetThreadUtilisation writes: `count` numbers of 64 bits."""
    effects = world.system_call("BenchmarkGetThreadUtilisation", thread)
    assert effects.outcome == Outcome.DONE and effects.registers == []
    (written,) = effects.buffer_writes
    words = written[2]
    assert written[1] == 1 and len(words) == 2 * count
    assert world.buffer(world.main)[1 : 1 + len(words)].tolist() == words
    return [words[at] | words[at + 1] << 32 for at in range(0, len(words), 2)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Reset at 10, finalise at 30: two entries are left to the thread while it is measured.
        ("16.0.0", [20, 1, 0, 2, 0, 0, 1, 0, 0, 20, 2, 0, 2]),
        ("12.0.0", [20, 1, 0, 2, 0, 0, 1, 0, 0, 20, 2, 0, 2]),
        ("11.0.0", [20, 0, 0, 20]),
        ("8.0.0", [20, 0, 0, 20]),
        ("7.0.0", [20, 0, 20]),
        ("4.0.0", [20, 0, 20]),
        ("3.2.0", [20, 0, 20]),
    ],
)
def test_what_one_thread_uses(name: str, expected: list[int]) -> None:
    world = measuring(name)
    effects = world.system_call("BenchmarkResetLog", 77)
    answers = [(0, 0, 0)] if name != "3.2.0" else []
    assert effects.outcome == Outcome.DONE and effects.registers == answers
    world.system_call("DebugPutChar", 65)
    assert world.system_call("BenchmarkFinalizeLog", 77).registers == []
    world.system_call("DebugPutChar", 65)  # not measured any more
    assert report(world, TCB, len(expected)) == expected


def test_time_and_schedules_are_the_threads_own() -> None:
    world = measuring()
    other = world.thread(ROOT_PRIORITY)
    world.system_call("BenchmarkResetLog", 0)
    began = world.time
    world.system_call("Yield", 0)  # to the other, of the same priority
    assert world.runs(other)
    world.system_call("DebugPutChar", 65)
    world.system_call("Yield", 0)
    assert world.runs(world.main)
    world.system_call("BenchmarkFinalizeLog", 0)
    main, theirs = report(world), report(world, world.tcbs[other.number])
    assert main[:4] == [20, 2, 0, 2]  # reset to Yield, Yield to finalise; the entries that were left to it
    assert theirs[:4] == [20, 1, 0, 2]
    assert main[IDLE_AND_TOTAL] == theirs[IDLE_AND_TOTAL] == [0, 0, 1, 0, 0, 40, 4, 0, 4]
    assert world.time > began


def test_counters_are_reset_one_by_one_or_all() -> None:
    world = measuring()
    world.system_call("BenchmarkResetLog", 0)
    world.system_call("BenchmarkFinalizeLog", 0)
    assert report(world)[:4] == [10, 1, 0, 1]
    world.system_call("BenchmarkResetThreadUtilisation", TCB)
    assert report(world)[:4] == [0, 0, 0, 0]
    world.system_call("BenchmarkResetLog", 0)
    world.system_call("BenchmarkFinalizeLog", 0)
    assert report(world)[6] == 1
    world.system_call("BenchmarkResetAllThreadsUtilisation", 0)
    assert report(world)[:9] == [0] * 9


@pytest.mark.parametrize("cptr", [CNODE, FREE + 900, 0x5000_0000])
def test_what_is_no_thread_is_passed_over(cptr: int) -> None:
    world = measuring()
    for call in ("BenchmarkGetThreadUtilisation", "BenchmarkResetThreadUtilisation"):
        effects = world.system_call(call, cptr)
        assert effects.outcome == Outcome.DONE and not effects.buffer_writes and not effects.registers


def test_without_a_buffer_the_kernel_dies() -> None:
    world = measuring()
    other = world.thread(buffer=False)
    assert world.runs(other)
    effects = world.system_call("BenchmarkGetThreadUtilisation", TCB)
    assert effects.outcome == Outcome.CRASHED and "IPC buffer" in world.kernel.crashed


def test_all_threads_are_printed() -> None:
    world = measuring()
    world.thread(start=False)
    world.system_call("BenchmarkResetLog", 0)
    world.system_call("BenchmarkFinalizeLog", 0)
    text = world.system_call("BenchmarkDumpAllThreadsUtilisation", 0).console.decode()
    assert text.startswith('{\n  "BENCHMARK_TOTAL_UTILISATION":10,\n  "BENCHMARK_TOTAL_KERNEL_UTILISATION":0,\n')
    names = [line.split('"')[3] for line in text.splitlines() if "NAME" in line]
    assert names == ["child of: 'rootserver'", "idle_thread", "rootserver"]
    assert text.endswith('"NUMBER_KERNEL_ENTRIES":1\n    }\n  ]\n}\n')


@pytest.mark.parametrize("name", ["4.0.0", "9.0.1", "16.0.0"])
def test_a_generic_kernel_has_the_calls_and_measures_nothing(name: str) -> None:
    world = measuring(name, "generic")
    for call, written in (
        ("BenchmarkFlushCaches", []),
        ("BenchmarkNullSyscall", []),
        ("BenchmarkResetLog", [(0, 0, 0)]),
        ("BenchmarkFinalizeLog", []),
    ):
        effects = world.system_call(call, 5)
        assert effects.outcome == Outcome.DONE and effects.registers == written


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("none", "BenchmarkNullSyscall"),
        ("none", "BenchmarkResetLog"),
        ("generic", "BenchmarkSetLogBuffer"),
        ("generic", "BenchmarkGetThreadUtilisation"),
        ("track_utilisation", "BenchmarkSetLogBuffer"),
    ],
)
def test_calls_that_a_kernel_lacks_are_unknown(kind: str, call: str) -> None:
    world = measuring(kind=kind)
    effects = world.system_call(call, TCB)
    assert effects.outcome == Outcome.DEAD and effects.fault == "UnknownSyscall"


def test_printing_all_takes_a_debug_build() -> None:
    world = measuring(debug=False)
    assert world.system_call("BenchmarkDumpAllThreadsUtilisation", 0).fault == "UnknownSyscall"


def test_what_is_measured_is_state() -> None:
    first, second = measuring(), measuring()
    assert first.kernel.digest() == second.kernel.digest()
    first.system_call("BenchmarkResetLog", 0)
    second.system_call("BenchmarkNullSyscall", 0)
    first.main.context.words[0] = second.main.context.words[0] = 0
    assert first.kernel.digest() != second.kernel.digest()


def test_an_interrupt_that_waits_is_an_entry_of_its_own() -> None:
    world = measuring()
    slot = world.free_slot()
    assert world.call(IRQ_CONTROL, "IRQIssueIRQHandler", 50, slot, 32, caps=(CNODE,)) == 0
    world.system_call("BenchmarkResetLog", 0)
    world.kernel.raise_irq(50)
    world.system_call("BenchmarkNullSyscall", 0)
    world.system_call("BenchmarkFinalizeLog", 0)
    assert report(world)[:4] == [20, 1, 0, 3]
