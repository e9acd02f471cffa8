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


_WAIT_NAMES: Final = ("Wait", "Recv"), ("ReplyWait", "ReplyRecv")
"""Up to 1.0.4 libsel4 said Wait for what is Recv later."""


def _old_api() -> tuple[Syscall, ...]:
    spelled = {new: old for old, new in _WAIT_NAMES}
    names = ("Call", "ReplyRecv", "Send", "NBSend", "Recv", "Reply", "Yield")
    return tuple(Syscall(n, -1 - i, "", f"seL4_Sys{spelled.get(n, n)}") for i, n in enumerate(names))


_API_1: Final = _old_api()
_API_2: Final = _number(("Call", "ReplyRecv", "Send", "NBSend", "Recv", "Reply", "Yield", "NBRecv"), -1)
_DEBUG_1: Final = ("DebugPutChar", "DebugHalt", "DebugCapIdentify", "DebugSnapshot")
_DEBUG_6: Final = (
    *_number(("DebugPutChar", "DebugDumpScheduler"), -9, "printing"),
    *_number(("DebugHalt", "DebugCapIdentify", "DebugSnapshot", "DebugNameThread"), -11, "debug"),
)
_OLD_LOG: Final = ("BenchmarkResetLog", "BenchmarkDumpLog", "BenchmarkLogSize")
_BENCHMARK: Final = (
    "BenchmarkFlushCaches",
    "BenchmarkResetLog",
    "BenchmarkFinalizeLog",
    "BenchmarkSetLogBuffer",
    "BenchmarkNullSyscall",
)
_UTILISATION: Final = ("BenchmarkGetThreadUtilisation", "BenchmarkResetThreadUtilisation")
_UTILISATION_ALL: Final = ("BenchmarkDumpAllThreadsUtilisation", "BenchmarkResetAllThreadsUtilisation")


def _injection(number: int) -> tuple[Syscall, ...]:
    return _number(("DebugRun",), number, "code-injection")


def _measuring(first: int) -> tuple[Syscall, ...]:
    """The benchmark calls of 4.0.0 to 11.0.0, from `first` down."""
    return (
        *_number(_BENCHMARK, first, "benchmark"),
        *_number(_UTILISATION, first - len(_BENCHMARK), "utilisation"),
    )


def _measuring_12(first: int) -> tuple[Syscall, ...]:
    """The same from 12.0.0 on: two more in debug builds that measure."""
    after = first - len(_BENCHMARK) - len(_UTILISATION)
    return (*_measuring(first), *_number(_UTILISATION_ALL, after, "debug+utilisation"))


CALLS_1_0_3: Final[tuple[Syscall, ...]] = (
    *_API_1,
    *_number(_DEBUG_1, -8, "debug"),
    *_injection(-12),
    *_number(_OLD_LOG, -13, "benchmark"),
)
CALLS_1_0_4: Final[tuple[Syscall, ...]] = (
    *_API_1,
    *_number((*_DEBUG_1, "DebugNameThread"), -8, "debug"),
    *_injection(-13),
    *_number(_OLD_LOG, -14, "benchmark"),
)
CALLS_2: Final[tuple[Syscall, ...]] = (
    *_API_2,
    *_number((*_DEBUG_1, "DebugNameThread"), -9, "debug"),
    *_injection(-14),
    *_number((*_OLD_LOG, "BenchmarkFinalizeLog"), -15, "benchmark"),
)
"""2.0.0 on: Wait became Recv, and NBRecv took -8 from the debug calls."""
CALLS_3_1: Final[tuple[Syscall, ...]] = (
    *_API_2,
    *_number(_DEBUG_1, -9, "debug"),
    *_number(("DebugNameThread",), -13, "printing"),
    *_injection(-14),
    *_number((*_OLD_LOG, "BenchmarkFinalizeLog"), -15, "benchmark"),
)
CALLS_3_2: Final[tuple[Syscall, ...]] = (
    *CALLS_3_1,
    *_number(("BenchmarkGetThreadUtilisation",), -19, "utilisation"),
)
CALLS_4: Final[tuple[Syscall, ...]] = (
    *_API_2,
    *_number((*_DEBUG_1, "DebugNameThread"), -9, "debug"),
    *_injection(-14),
    *_measuring(-15),
)
CALLS_5_2: Final[tuple[Syscall, ...]] = (
    *_API_2,
    *_number(("DebugPutChar",), -9, "printing"),
    *_number((*_DEBUG_1[1:], "DebugNameThread"), -10, "debug"),
    *_injection(-14),
    *_measuring(-15),
)
"""5.2.0: printing is an option of its own."""
CALLS_6: Final[tuple[Syscall, ...]] = (*_API_2, *_DEBUG_6, *_injection(-15), *_measuring(-16))
"""6.0.0 on: DebugDumpScheduler took -10."""
CALLS_11: Final[tuple[Syscall, ...]] = (
    *_API_2,
    *_DEBUG_6,
    *_injection(-16),
    *_measuring(-17),
    *_number(("SetTLSBase",), -27, "tls-self"),
)
"""11.0.0: DebugSendIPI (multi-core only) took -15."""
CALLS_12: Final[tuple[Syscall, ...]] = (
    *_API_2,
    *_DEBUG_6,
    *_injection(-16),
    *_measuring_12(-17),
    *_number(("SetTLSBase",), -29, "tls-self"),
)
CALLS_14: Final[tuple[Syscall, ...]] = (
    *_API_2,
    *_DEBUG_6,
    *_number(("DebugSendIPI",), -15, "debug"),
    *_injection(-16),
    *_measuring_12(-17),
    *_number(("SetTLSBase",), -29, "tls-self"),
)
"""14.0.0 and 15.0.0: single-core debug builds have DebugSendIPI too."""
CALLS_16: Final[tuple[Syscall, ...]] = (
    *_API_2,
    *_DEBUG_6,
    *_injection(-17),
    *_measuring_12(-18),
    *_number(("SetTLSBase",), -30, "tls-self"),
)
"""16.0.0: DebugGetThreadAffinity (multi-core only) took -16."""
