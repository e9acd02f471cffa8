"""The system calls of kernels that measure themselves (CONFIG_ENABLE_BENCHMARKS, manual 10.2).

Times are retired instructions: the kernel's cycle counter counts nothing else here, so the kernel itself takes no
time. They do not wrap after 2^32, as if the counter's overflow interrupt were handled at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from retrap.kernel import benchmark_logs
from retrap.kernel.caps import ThreadCap
from retrap.kernel.debug_calls import debug_threads
from retrap.kernel.failures import KernelDied, LookupFailed
from retrap.kernel.lookup import lookup_slot
from retrap.kernel.objects.tcb import thread_of
from retrap.kernel.policies import Benchmarks
from retrap.kernel.registers import R0, receive_buffer, write_buffer, write_register
from retrap.kernel.state import Change, KernelState
from retrap.kernel.structures import Tcb
from retrap.kernel.wire import BUFFER_MESSAGE
from retrap.machine.traps import Trap

_WORD: Final = 0xFFFF_FFFF


@final
class Usage:
    """What a thread has used: instructions while it was the one that ran, how often it became that, and how often
    the kernel was left to it. The kernel's own time is zero."""

    __slots__ = ("entries", "schedules", "started", "used")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.used = 0
        self.schedules = 0
        self.entries = 0
        self.started = 0


@final
class Utilisation(Benchmarks):
    """CONFIG_BENCHMARK_TRACK_UTILISATION: what each thread uses, between ResetLog and FinalizeLog."""

    __slots__ = ("_end", "_entered", "_entries", "_on", "_schedules", "_start", "_usage")
    measures = True

    def __init__(self) -> None:
        self._usage: Final[dict[int, Usage]] = {}  # by the thread's number
        self._on = False
        self._entered = 0
        self._start = 0
        self._end = 0
        self._entries = 0
        self._schedules = 0

    def usage(self, thread: Tcb) -> Usage:
        """A thread's."""
        found = self._usage.get(thread.number)
        if found is None:
            found = self._usage[thread.number] = Usage()
        return found

    def enter(self, state: KernelState, time: int, trap: Trap) -> None:
        self._entered = time

    def leave(self, state: KernelState, before: Tcb) -> None:
        if self._on:
            self.usage(state.current).entries += 1
            self._entries += 1

    def switch(self, state: KernelState, old: Tcb, new: Tcb) -> None:
        if not self._on:
            return
        usage = self.usage(old)
        if self._entered > usage.started:
            usage.used += self._entered - usage.started
        usage = self.usage(new)
        usage.started = self._entered
        usage.schedules += 1
        self._schedules += 1

    def numbers(self) -> list[int]:
        found = [int(self._on), self._entered, self._start, self._end, self._entries, self._schedules]
        for number, usage in sorted(self._usage.items()):
            found += (number, usage.used, usage.schedules, usage.entries, usage.started)
        return found

    def reset_log(self, state: KernelState) -> int:
        self._on = True
        if state.facts.utilisation == "counts":
            self.usage(state.idle).reset()
        elif state.facts.reset_log_answers:  # (one change of the kernel's)
            self.usage(state.idle).used = 0
        usage = self.usage(state.current)
        usage.started = self._start = self._entered
        usage.schedules += 1
        self._entries = 0
        self._schedules = 1
        return 0

    def finalise_log(self, state: KernelState) -> None:
        self.switch(state, state.current, state.idle)
        self._end = self._entered
        self._on = False

    def report(self, state: KernelState, thread: Tcb) -> list[int]:
        """What GetThreadUtilisation says of a thread, each number of 64 bits."""
        idle = self.usage(state.idle)
        usage = self.usage(thread)
        total = self._end - self._start & 0xFFFF_FFFF_FFFF_FFFF
        if state.facts.utilisation == "times":
            return [usage.used, idle.used, total]
        if state.facts.utilisation == "times-by-core":
            return [usage.used, idle.used, idle.used, total]
        mine = [usage.used, usage.schedules, 0, usage.entries]
        unused = [idle.used, idle.used, idle.schedules, 0, idle.entries]
        return [*mine, *unused, total, self._schedules, 0, self._entries]

    def text(self, state: KernelState) -> str:
        """What DumpAllThreadsUtilisation prints."""
        lines = [
            "{",
            f'  "BENCHMARK_TOTAL_UTILISATION":{self._end - self._start & _WORD},',
            '  "BENCHMARK_TOTAL_KERNEL_UTILISATION":0,',
            f'  "BENCHMARK_TOTAL_NUMBER_KERNEL_ENTRIES":{self._entries},',
            f'  "BENCHMARK_TOTAL_NUMBER_SCHEDULES":{self._schedules},',
            '  "BENCHMARK_TCB_": [',
        ]
        threads = [
            "    {\n"
            f'      "NAME":"{name}",\n'
            f'      "UTILISATION":{self.usage(thread).used & _WORD},\n'
            f'      "NUMBER_SCHEDULES":{self.usage(thread).schedules & _WORD},\n'
            '      "KERNEL_UTILISATION":0,\n'
            f'      "NUMBER_KERNEL_ENTRIES":{self.usage(thread).entries & _WORD}\n'
            "    }"
            for thread, name in debug_threads(state)
        ]
        return "\n".join(lines) + "\n" + ",\n".join(threads) + "\n  ]\n}\n"


LOGS: Final = ("track_kernel_entries", "tracepoints")
"""What kernels with a log are built with."""

LOG_CALLS: Final = ("BenchmarkSetLogBuffer", "BenchmarkLogSize")
"""What only kernels with a log have."""


def choose(state: KernelState) -> Benchmarks:
    """What the kernel measures, by its option `benchmarks`."""
    kind = state.options.benchmarks
    if kind in LOGS:
        return benchmark_logs.choose(state, kind == "track_kernel_entries")
    return Utilisation() if kind == "track_utilisation" else Benchmarks()


def _nothing(state: KernelState) -> int:
    """FlushCaches and NullSyscall: caches have no state here."""
    return Change.TIME


def _reset_log(state: KernelState) -> int:
    """ResetLog: the log or the counters begin anew."""
    error = state.benchmarks.reset_log(state)
    if state.facts.reset_log_answers:
        write_register(state, state.current, R0, error)
    return Change.TIME


def _finalise_log(state: KernelState) -> int:
    """FinalizeLog: what has been measured can be read."""
    state.benchmarks.finalise_log(state)
    return Change.TIME


def _set_log_buffer(state: KernelState) -> int:
    """SetLogBuffer(frame): where the log is to be."""
    write_register(state, state.current, R0, state.benchmarks.set_log_buffer(state))
    return Change.TIME


def _dump_log(state: KernelState) -> int:
    """DumpLog(start, size), until 3.2.0."""
    state.benchmarks.dump_log(state)
    return Change.TIME


def _log_size(state: KernelState) -> int:
    """LogSize, until 3.2.0."""
    state.benchmarks.log_size(state)
    return Change.TIME


def _thread(state: KernelState) -> Tcb | None:
    """The thread that r0 names, if it names one; else debug kernels complain, and nothing happens."""
    try:
        cap = lookup_slot(state, state.current, state.current.context.words[R0]).cap
    except LookupFailed:
        return None
    if not isinstance(cap, ThreadCap):
        return None
    return thread_of(state, cap)


def _get_thread_utilisation(state: KernelState) -> int:
    """GetThreadUtilisation(thread): numbers of 64 bits in the caller's IPC buffer, from message word 0 on."""
    thread = _thread(state)
    if thread is None:
        return Change.TIME
    assert isinstance(state.benchmarks, Utilisation)
    buffer = receive_buffer(state, state.current)
    if buffer is None:
        raise KernelDied("data abort in the kernel: GetThreadUtilisation of a thread without an IPC buffer")
    words: list[int] = []
    for number in state.benchmarks.report(state, thread):
        words += (number & _WORD, number >> 32)
    write_buffer(state, state.current, buffer, BUFFER_MESSAGE, words)
    return Change.TIME


def _reset_thread_utilisation(state: KernelState) -> int:
    """ResetThreadUtilisation(thread): its counters are zero again."""
    thread = _thread(state)
    if thread is not None:
        assert isinstance(state.benchmarks, Utilisation)
        state.benchmarks.usage(thread).reset()
    return Change.TIME


def _dump_all(state: KernelState) -> int:
    """DumpAllThreadsUtilisation: the same of all threads, printed."""
    assert isinstance(state.benchmarks, Utilisation)
    if state.options.printing:
        state.effects.console += state.benchmarks.text(state).encode("utf-8", "replace")
    return Change.TIME


def _reset_all(state: KernelState) -> int:
    """ResetAllThreadsUtilisation."""
    assert isinstance(state.benchmarks, Utilisation)
    for thread, _ in debug_threads(state):
        state.benchmarks.usage(thread).reset()
    return Change.TIME


HANDLERS: Final[dict[str, Callable[[KernelState], int]]] = {
    "BenchmarkFlushCaches": _nothing,
    "BenchmarkResetLog": _reset_log,
    "BenchmarkFinalizeLog": _finalise_log,
    "BenchmarkSetLogBuffer": _set_log_buffer,
    "BenchmarkNullSyscall": _nothing,
    "BenchmarkDumpLog": _dump_log,
    "BenchmarkLogSize": _log_size,
    "BenchmarkGetThreadUtilisation": _get_thread_utilisation,
    "BenchmarkResetThreadUtilisation": _reset_thread_utilisation,
    "BenchmarkDumpAllThreadsUtilisation": _dump_all,
    "BenchmarkResetAllThreadsUtilisation": _reset_all,
}
