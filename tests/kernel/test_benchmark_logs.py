"""Logs of kernels built to measure themselves (options `tracepoints`, `track_kernel_entries`)."""

from __future__ import annotations

import struct

import pytest
from kernel_driver import CNODE, CODE, FREE, IRQ_CONTROL, TCB, VSPACE
from releases.release_driver import Guests
from retrap.kernel.caps import NULL as NULL_CAP
from retrap.kernel.effects import Effects, Outcome
from retrap.kernel.structures import TCB_VTABLE
from retrap.machine.traps import INTERRUPT, SVC, UNDEFINED, Trap, TrapKind

MEGABYTE = 1 << 20
USER_LOGS = ("4.0.0", "5.0.0", "10.1.1", "11.0.0", "12.0.0", "13.0.0", "14.0.0", "16.0.0")
KERNEL_LOGS = ("1.0.3", "1.0.4", "2.0.0", "3.1.0", "3.2.0")
ILLEGAL = 3
ENDPOINT = 4  # kinds as the kernel numbers them
THREAD = 12
CNODE_KIND = 10
NULL = 0
TIMER = 27


def tracing(name: str, **options: object) -> Guests:
    return Guests(name, benchmarks="tracepoints", **options)  # type: ignore[arg-type]


def tracking(name: str, **options: object) -> Guests:
    return Guests(name, benchmarks="track_kernel_entries", **options)  # type: ignore[arg-type]


def answer(guests: Guests, call: str, cptr: int = 77) -> list[int]:
    """What the call writes to r0."""
    effects = guests.system_call(f"Benchmark{call}", cptr)
    assert all((thread, slot) == (0, 0) for thread, slot, _ in effects.registers)
    return [value for _, _, value in effects.registers]


def section(guests: Guests) -> tuple[int, int]:
    """A megabyte frame and its physical address."""
    cptr = guests.make("Section")
    cap = guests.cap(cptr)
    return cptr, cap.address  # type: ignore[attr-defined]


def records(guests: Guests, log: int, first: int, count: int) -> list[list[int]]:
    return [laid_out(guests.memory.read(log + 24 * number, 24)) for number in range(first, first + count)]


def laid_out(data: bytes) -> list[int]:
    """Start (two words), duration, and path and fields as one number; then comes nothing."""
    start, duration, path, fields, rest = struct.unpack("<QIBI7s", data)
    assert rest == bytes(7) and path < 8 and fields < 1 << 29
    return [start & 0xFFFF_FFFF, start >> 32, duration, path | fields << 3]


# --- the buffer


@pytest.mark.parametrize("name", USER_LOGS)
def test_a_log_needs_a_buffer(name: str) -> None:
    guests = tracing(name)
    effects = guests.system_call("BenchmarkResetLog", 77)
    assert effects.outcome == Outcome.ERROR and effects.registers == [(0, 0, ILLEGAL)]
    cptr, _ = section(guests)
    assert answer(guests, "SetLogBuffer", cptr) == [0]
    assert answer(guests, "ResetLog") == [0]
    assert answer(guests, "FinalizeLog") == ([] if name == "4.0.0" else [0])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("", "the log buffer must be a frame"),
        ("SmallPage", "the log buffer must be a frame of a megabyte"),
        ("LargePage", "the log buffer must be a frame of a megabyte"),
        ("SuperSection", "the log buffer must be a frame of a megabyte"),
        ("Endpoint", "the log buffer must be a frame"),
    ],
)
def test_only_a_megabyte_frame_can_be_the_log(kind: str, reason: str) -> None:
    guests = tracing("16.0.0")
    untyped = 27 if kind == "SuperSection" else 24
    cptr = guests.make(kind, untyped=untyped) if kind else FREE + 900
    effects = guests.system_call("BenchmarkSetLogBuffer", cptr)
    assert effects.outcome == Outcome.ERROR and effects.registers == [(0, 0, ILLEGAL)]
    assert effects.reason == reason
    assert answer(guests, "ResetLog") == [ILLEGAL]


def test_a_pointer_that_leads_nowhere_and_a_refusal_leave_the_buffer() -> None:
    guests = tracing("16.0.0")
    cptr, log = section(guests)
    assert answer(guests, "SetLogBuffer", cptr) == [0]
    assert answer(guests, "SetLogBuffer", 0x5000) == [ILLEGAL]
    assert answer(guests, "SetLogBuffer", TCB) == [ILLEGAL]
    assert guests.state.benchmarks.numbers() == [log, 0]
    assert answer(guests, "ResetLog") == [0]


@pytest.mark.parametrize("name", ["4.0.0", "16.0.0"])
def test_deleting_a_mapped_capability_ends_the_log(name: str) -> None:
    guests = tracing(name)
    cptr, _ = section(guests)
    unmapped = guests.copy(cptr)
    mapped = guests.copy(cptr)
    assert answer(guests, "SetLogBuffer", cptr) == [0]
    # An unmapped capability, and unmapping, change nothing.
    assert guests.delete(unmapped) == 0
    assert guests.call(mapped, "ARMPageMap", 0x1000_0000, 3, 3, caps=(VSPACE,)) == 0
    assert guests.call(mapped, "ARMPageUnmap") == 0
    assert answer(guests, "ResetLog") == [0]
    # A mapped one ends the log, though two others remain.
    assert guests.call(mapped, "ARMPageMap", 0x1000_0000, 3, 3, caps=(VSPACE,)) == 0
    assert guests.delete(mapped) == 0
    assert answer(guests, "ResetLog") == [ILLEGAL]


def test_deleting_another_frame_does_not() -> None:
    guests = tracing("16.0.0")
    cptr, _ = section(guests)
    other, _ = section(guests)
    assert answer(guests, "SetLogBuffer", cptr) == [0]
    assert guests.call(other, "ARMPageMap", 0x1000_0000, 3, 3, caps=(VSPACE,)) == 0
    assert guests.delete(other) == 0
    assert answer(guests, "ResetLog") == [0]


@pytest.mark.parametrize("kind", ["none", "generic", "track_utilisation"])
def test_kernels_without_a_log_do_not_know_the_calls(kind: str) -> None:
    guests = Guests("16.0.0", benchmarks=kind)  # type: ignore[arg-type]
    assert guests.system_call("BenchmarkSetLogBuffer", 0).fault == "UnknownSyscall"
    guests = Guests("3.2.0", benchmarks=kind)  # type: ignore[arg-type]
    assert guests.system_call("BenchmarkLogSize", 0).fault == "UnknownSyscall"


def test_trace_points_write_nothing() -> None:
    guests = tracing("16.0.0")
    cptr, log = section(guests)
    answer(guests, "SetLogBuffer", cptr)
    answer(guests, "ResetLog")
    guests.system_call("Yield", 0)
    assert answer(guests, "FinalizeLog") == [0]
    assert not any(guests.memory.read(log, MEGABYTE))


# --- entries


def fields(name: str, word: int) -> tuple[int, int, int, int, int]:
    """Path, system call, kind of capability, fast path, label."""
    bits = 3 if name == "3.2.0" else 4
    return (
        word & 7,
        word >> 3 & (1 << bits) - 1,
        word >> 3 + bits & 31,
        word >> 8 + bits & 1,
        word >> 9 + bits,
    )


def log_of(guests: Guests) -> int:
    """Let there be an empty log; the call that empties it is its first record."""
    cptr, log = section(guests)
    assert answer(guests, "SetLogBuffer", cptr) == [0]
    assert answer(guests, "ResetLog") == [0]
    return log


@pytest.mark.parametrize(
    ("name", "syscall", "unknown", "unknown_fast"),
    [
        ("4.0.0", 5, 5, 1),
        ("5.0.0", 5, 1, 1),
        ("10.1.1", 5, 1, 1),
        ("11.0.0", 5, 1, 1),
        ("12.0.0", 5, 1, 0),
        ("13.0.0", 5, 1, 0),
        ("14.0.0", 6, 2, 0),
        ("16.0.0", 6, 2, 0),
    ],
)
def test_system_calls_are_logged(name: str, syscall: int, unknown: int, unknown_fast: int) -> None:
    guests = tracking(name)
    log = log_of(guests)
    began = guests.time
    guests.call(TCB, "TCBResume")
    guests.system_call("NBSend", CNODE, 0xF_1234)
    guests.system_call("NBSend", FREE + 900, 5)
    guests.system_call("DebugPutChar", TCB, 9)
    slow = 1 if name == "4.0.0" else 0
    found = records(guests, log, 0, 5)
    assert [record[:3] for record in found] == [[began + 10 * n, 0, 0] for n in range(5)]
    reset = -guests.calls["BenchmarkResetLog"] & 15
    resume = guests.labels["TCBResume"]
    assert [fields(name, record[3]) for record in found] == [
        (unknown, reset, NULL, unknown_fast, 0),
        (syscall, 1, THREAD, slow, resume),
        (syscall, 4, CNODE_KIND, slow, 0x7_1234),
        (syscall, 4, NULL, slow, 5),
        (unknown, -guests.calls["DebugPutChar"] & 15, THREAD, unknown_fast, 9),
    ]
    assert answer(guests, "FinalizeLog") == ([] if name == "4.0.0" else [5])
    assert records(guests, log, 6, 1) == [[0, 0, 0, 0]]


@pytest.mark.parametrize("name", ["4.0.0", "5.0.0", "8.0.0", "11.0.0", "12.0.0", "16.0.0"])
def test_what_takes_the_fast_path_is_said(name: str) -> None:
    guests = tracking(name)
    endpoint = guests.make("Endpoint")
    pair = guests.thread(50), guests.thread(50)
    log = log_of(guests)
    guests.run(*pair)
    server = guests.kernel.current
    (client,) = (thread for thread in pair if thread is not server)
    guests.recv(endpoint)
    assert guests.runs(client)
    before = guests.state.benchmarks.numbers()[1]
    guests.ipc_call(endpoint, 1, 2, 3, 4)
    assert guests.runs(server)
    guests.system_call("ReplyRecv", endpoint)
    assert guests.runs(client)
    guests.ipc_call(endpoint, 1, 2, 3, 4, 5)
    assert guests.runs(server)
    guests.system_call("ReplyRecv", endpoint, 0, (1, 2, 3, 4, 5))
    assert guests.runs(client)
    # A client that could not run any more is not for the fast path either.
    guests.ipc_call(endpoint, 1)
    client.slots[TCB_VTABLE].cap = NULL_CAP
    guests.system_call("ReplyRecv", endpoint)
    slow = 1 if name == "4.0.0" else 0
    found = [fields(name, record[3])[1:4] for record in records(guests, log, before, 6)]
    assert found[:2] == [(1, ENDPOINT, 1), (2, ENDPOINT, 1)]
    assert found[2:4] == [(1, ENDPOINT, slow), (2, ENDPOINT, slow)]
    assert found[4:] == [(1, ENDPOINT, 1), (2, ENDPOINT, slow)]


@pytest.mark.parametrize(("name", "fast"), [("5.0.0", 0), ("7.0.0", 0), ("8.0.0", 1), ("16.0.0", 1)])
def test_a_less_urgent_client_is_for_the_fast_path_since_8(name: str, fast: int) -> None:
    guests = tracking(name)
    endpoint = guests.make("Endpoint")
    client, server = guests.thread(50), guests.thread(60)
    log = log_of(guests)
    guests.run(client, server)
    guests.recv(endpoint)
    guests.ipc_call(endpoint, 1)
    before = guests.state.benchmarks.numbers()[1]
    guests.system_call("ReplyRecv", endpoint)
    assert guests.runs(client)
    assert fields(name, records(guests, log, before, 1)[0][3])[1:4] == (2, ENDPOINT, fast)


@pytest.mark.parametrize("name", ["4.0.0", "10.1.1", "11.0.0", "12.0.0", "13.0.0", "14.0.0", "16.0.0"])
def test_interrupts_and_faults_are_logged_over_what_was_there(name: str) -> None:
    guests = tracking(name)
    handler = guests.thread(100)
    endpoint = guests.make("Endpoint")
    victim = guests.thread(50, handler=endpoint)
    log = log_of(guests)
    guests.run(handler, victim)
    first = guests.state.benchmarks.numbers()[1]
    guests.recv(endpoint)
    assert guests.runs(victim)
    guests.enter(INTERRUPT)
    victim.context.words[15] = 0x1234_5678
    guests.enter(Trap(TrapKind.DATA_ABORT, 0x4000, 5))
    recv, tick, fault = (record[3] for record in records(guests, log, first, 3))
    vm = guests.state.release.facts.entry_paths
    paths = {"interrupt-first": (5, 0, 4), "unknown-first": (6, 1, 5)}[vm]
    assert (recv & 7, tick & 7, fault & 7) == paths
    address = 0x1234_5680
    if guests.state.facts.entry_core_field:
        core = 0 if guests.state.facts.entry_sets_core else 5  # the low bits of what was the call's number: Recv
        assert tick >> 3 == TIMER << 3 | core
        word = address & 0x3FF_FFFF
        expected = word << 6 | core << 3
        if guests.state.facts.entry_sets_core:
            expected &= ~(1 << 12)
        assert fault & ~7 == expected
    else:
        assert tick >> 3 == TIMER
        assert fault >> 3 == address & 0x1FFF_FFFF


@pytest.mark.parametrize(
    ("trap", "thumb", "link"),
    [
        (UNDEFINED, 0, 4),
        (UNDEFINED, 1, 2),
        (Trap(TrapKind.PREFETCH_ABORT, 0, 5), 0, 4),
        (Trap(TrapKind.PREFETCH_ABORT, 0, 5), 1, 4),
        (Trap(TrapKind.DATA_ABORT, 0x4000, 5), 1, 8),
    ],
)
def test_the_word_of_a_fault_is_the_link_register(trap: Trap, thumb: int, link: int) -> None:
    guests = tracking("10.1.1")
    log = log_of(guests)
    words = guests.main.context.words
    words[15] = 0x0012_3450
    guests.main.context.cpsr = 0x20 if thumb else 0
    guests.enter(trap)
    path = 2 if trap.kind is TrapKind.UNDEFINED else 4
    assert records(guests, log, 1, 1)[0][3] == path | (0x0012_3450 + link) << 3


def test_an_interrupt_that_waits_is_an_entry_of_its_own() -> None:
    guests = tracking("16.0.0")
    handler = guests.free_slot()
    assert guests.call(IRQ_CONTROL, "IRQIssueIRQHandler", 40, handler, 32, caps=(CNODE,)) == 0
    log = log_of(guests)
    guests.kernel.raise_irq(40)
    guests.system_call("Yield", 0)
    first, second = records(guests, log, 1, 2)
    assert first[0] == second[0] == guests.time
    assert fields("16.0.0", first[3])[:2] == (6, 7)
    assert second[3] == 1 | 40 << 6
    # And one that is there at an entry for interrupts gives that its number.
    assert guests.call(handler, "IRQAckIRQ") == 0
    guests.kernel.raise_irq(40)
    guests.enter(INTERRUPT)
    assert records(guests, log, 4, 2)[0][3] == 1 | 40 << 6
    assert records(guests, log, 5, 1) == [[0, 0, 0, 0]]


def test_the_log_fills_and_ends_with_its_frame() -> None:
    guests = tracking("16.0.0")
    cptr, log = section(guests)
    after, behind = section(guests)
    assert behind == log + MEGABYTE
    guests.system_call("BenchmarkSetLogBuffer", cptr)
    guests.system_call("BenchmarkResetLog", 0)
    guests.state.benchmarks.index = 43689  # type: ignore[attr-defined]
    assert answer(guests, "FinalizeLog") == [43689]
    assert records(guests, log, 43689, 1)[0][0] == guests.time
    assert answer(guests, "FinalizeLog") == [43690]
    assert answer(guests, "FinalizeLog") == [43690]
    assert not any(guests.memory.read(behind, 64))
    assert answer(guests, "ResetLog") == [0]
    assert guests.call(cptr, "ARMPageMap", 0x1000_0000, 3, 3, caps=(VSPACE,)) == 0
    assert answer(guests, "FinalizeLog") == [2]
    assert guests.delete(cptr) == 0
    assert records(guests, log, 3, 1) == [[0, 0, 0, 0]]
    assert answer(guests, "FinalizeLog") == [3]
    # Another buffer continues where the first one stopped.
    assert answer(guests, "SetLogBuffer", after) == [0]
    assert records(guests, behind, 3, 1)[0][0] == guests.time


def test_start_times_have_32_bits() -> None:
    guests = tracking("16.0.0")
    log = log_of(guests)
    guests.time = 0x1_2345_6789
    guests.system_call("Yield", 0)
    assert records(guests, log, 1, 1)[0][:3] == [0x2345_6793, 0, 0]


def test_a_log_in_device_memory_goes_to_the_device() -> None:
    written: list[tuple[int, int, int]] = []

    class Recorder:
        def read(self, offset: int, size: int) -> int:
            return 0

        def write(self, offset: int, size: int, value: int) -> None:
            written.append((offset, size, value))

    guests = tracking("16.0.0")
    cptr = guests.make("Section", untyped=26)
    address = guests.cap(cptr).address  # type: ignore[attr-defined]
    assert answer(guests, "SetLogBuffer", cptr) == [0]  # nothing there: nothing is kept
    guests.memory.attach(Recorder(), address, MEGABYTE)
    guests.system_call("Yield", 0)
    assert [(offset, size) for offset, size, _ in written] == [
        *((24 + place, 1) for place in range(12, 17)), (24, 4), (28, 4), (32, 4),
    ]  # fmt: skip
    assert written[5][2] == guests.time and written[0][2] == 6


def test_a_kernel_that_halts_logs_no_return() -> None:
    guests = tracking("16.0.0")
    log = log_of(guests)
    guests.system_call("DebugHalt", 0)
    assert records(guests, log, 1, 1) == [[0, 0, 0, 0]]


# --- the log in the kernel


def dump(guests: Guests, start: int, size: int) -> Effects:
    """DumpLog: its second argument is in r1."""
    number = guests.calls["BenchmarkDumpLog"]
    words = guests.kernel.current.context.words
    words[0], words[1], words[7] = start, size, number & 0xFFFF_FFFF
    return guests.enter(SVC)


@pytest.mark.parametrize("name", KERNEL_LOGS)
def test_the_old_log_of_trace_points_is_empty(name: str) -> None:
    guests = tracing(name)
    assert answer(guests, "ResetLog") == []
    guests.system_call("Yield", 0)
    if "BenchmarkFinalizeLog" in guests.calls:
        assert answer(guests, "FinalizeLog") == []
    assert answer(guests, "LogSize") == [0]
    effects = dump(guests, 0, 100)
    assert effects.registers == [(0, 0, 0)] and effects.buffer_writes == []
    effects = dump(guests, 1, 100)
    assert effects.outcome == Outcome.IGNORED and effects.registers == []


@pytest.mark.parametrize("kind", ["generic", "track_utilisation"])
def test_dumping_no_log_does_nothing(kind: str) -> None:
    guests = Guests("3.2.0", benchmarks=kind)  # type: ignore[arg-type]
    effects = dump(guests, 0, 1)
    assert effects.outcome == Outcome.DONE and effects.registers == [] and not effects.buffer_writes


def test_the_old_log_of_entries() -> None:
    guests = tracking("3.2.0", debug=False)
    endpoint = guests.make("Endpoint")
    client, server = guests.thread(50), guests.thread(60)
    guests.run(client, server)
    guests.recv(endpoint)
    assert answer_of(guests, "ResetLog") == []
    began = guests.time
    assert guests.runs(client)
    guests.ipc_call(endpoint, 1)
    guests.system_call("ReplyRecv", endpoint, 3, (1,))
    assert guests.runs(client)
    guests.system_call("NBSend", CODE, 5, (1,))
    guests.system_call("ReplyRecv", endpoint, 9)  # nobody to answer: the slow path, with the fast path's marks
    assert guests.kernel.current is guests.main
    guests.enter(INTERRUPT)
    guests.system_call("Yield", 0)
    guests.system_call("Reply", 0)
    assert answer_of(guests, "FinalizeLog") == []
    assert answer_of(guests, "LogSize") == [7]
    effects = dump(guests, 0, 100)
    assert effects.registers == [(0, 0, 7)]
    ((thread, index, words),) = effects.buffer_writes
    assert (thread, index, len(words)) == (0, 1, 42)
    raw = [words[at : at + 6] for at in range(0, 42, 6)]
    found = [laid_out(struct.pack("<6I", *each)) for each in raw]
    assert [record[:3] for record in found] == [[began + 10 * (n + 1), 0, 0] for n in range(7)]
    call, reply_recv, send, slow, tick, yielded, reply = (record[3] for record in found)
    small_page = guests.state.release.cap_types["small-frame"]
    assert fields("3.2.0", call) == (4, -1 & 7, ENDPOINT, 1, 0)
    assert fields("3.2.0", reply_recv) == (4, -2 & 7, ENDPOINT, 1, 3)
    assert fields("3.2.0", send) == (4, -4 & 7, small_page, 0, 5)
    assert fields("3.2.0", slow) == (4, -2 & 7, ENDPOINT, 1, 9)
    assert tick == TIMER << 3
    assert yielded == 4 | (-7 & 7) << 3 | TIMER << 3 & ~0x3F
    assert fields("3.2.0", reply)[:3] == (4, -6 & 7, NULL)
    # A part, beyond the end, and a log that has been reset after it was finished.
    assert dump(guests, 5, 1).buffer_writes == [(0, 1, raw[5])]
    assert dump(guests, 8, 1).outcome == Outcome.IGNORED
    assert dump(guests, 7, 1).registers == [(0, 0, 0)]
    assert answer_of(guests, "ResetLog") == []
    effects = dump(guests, 0, 3)
    assert effects.registers == [(0, 0, 3)] and effects.buffer_writes == []


def answer_of(guests: Guests, call: str) -> list[int]:
    effects = guests.system_call(f"Benchmark{call}", 77)
    return [value for _, slot, value in effects.registers if slot == 0]


def test_the_old_log_of_faults_and_unknown_calls() -> None:
    guests = tracking("3.2.0")
    endpoint = guests.make("Endpoint")
    server, victim = guests.thread(60), guests.thread(50, handler=endpoint)
    guests.run(server, victim)
    guests.recv(endpoint)
    assert guests.runs(victim)
    answer_of(guests, "ResetLog")
    guests.enter(UNDEFINED)
    assert guests.runs(server)
    guests.system_call("DebugPutChar", 65)  # not logged, but it leaves its number
    guests.system_call("Yield", 0)
    guests.enter(Trap(TrapKind.PREFETCH_ABORT, 0, 5))
    guests.enter(Trap(TrapKind.DATA_ABORT, 0x4000, 5))
    log = guests.state.benchmarks.records  # type: ignore[attr-defined]
    left = guests.calls["DebugPutChar"] << 3 & 0xFFFF_FFC0
    assert [record[1] for record in log] == [2, 4 | (-7 & 7) << 3 | left, 3 | 1 << 3, 3]


def test_the_old_log_gives_out_21_records_at_once() -> None:
    guests = tracking("3.2.0")
    answer_of(guests, "ResetLog")
    for _ in range(40):
        guests.enter(INTERRUPT)
    answer_of(guests, "FinalizeLog")
    effects = dump(guests, 2, 100)
    assert effects.registers == [(0, 0, 21)] and len(effects.buffer_writes[0][2]) == 6 * 21


def test_a_thread_without_a_buffer_gets_no_log() -> None:
    guests = tracing("3.1.0")
    assert guests.call(TCB, "TCBSetIPCBuffer", 0, caps=(FREE + 900,)) == 0
    effects = dump(guests, 0, 1)
    assert effects.outcome == Outcome.IGNORED and effects.registers == []
    assert effects.reason == "the caller has no IPC buffer"
