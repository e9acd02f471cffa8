"""The system calls of each ABI group.

Numbers are assigned by position in `libsel4/include/api/syscall.xml` whether or not the build has the call,
so adding an unrelated debug call moves those after it: that is why numbers are written out here.
"""

from __future__ import annotations

from typing import Final

from retrap.kernel.abi.release import Syscall


def _number(names: tuple[str, ...], first: int, requires: str = "") -> tuple[Syscall, ...]:
    """Consecutive descending numbers, spelled as libsel4 spells them."""
    return tuple(Syscall(name, first - i, requires, f"seL4_Sys{name}") for i, name in enumerate(names))


_API_2: Final = _number(("Call", "ReplyRecv", "Send", "NBSend", "Recv", "Reply", "Yield", "NBRecv"), -1)
_DEBUG_6: Final = (
    *_number(("DebugPutChar", "DebugDumpScheduler"), -9, "printing"),
    *_number(("DebugHalt", "DebugCapIdentify", "DebugSnapshot", "DebugNameThread"), -11, "debug"),
)
_BENCHMARK_NAMES: Final = (
    "BenchmarkFlushCaches",
    "BenchmarkResetLog",
    "BenchmarkFinalizeLog",
    "BenchmarkSetLogBuffer",
    "BenchmarkNullSyscall",
)
_UTILISATION_NAMES: Final = ("BenchmarkGetThreadUtilisation", "BenchmarkResetThreadUtilisation")
_UTILISATION_ALL_NAMES: Final = ("BenchmarkDumpAllThreadsUtilisation", "BenchmarkResetAllThreadsUtilisation")

CALLS_16: Final[tuple[Syscall, ...]] = (
    *_API_2,
    *_DEBUG_6,
    *_number(("DebugRun",), -17, "code-injection"),
    *_number(_BENCHMARK_NAMES, -18, "benchmark"),
    *_number(_UTILISATION_NAMES, -23, "utilisation"),
    *_number(_UTILISATION_ALL_NAMES, -25, "debug+utilisation"),
    *_number(("SetTLSBase",), -30, "tls-self"),
)
"""16.0.0: DebugGetThreadAffinity (multi-core) took -16."""
