"""The performance monitors as user code may use them (ARM ARM C12): counters of what the processor does.

What can be counted here is instructions. A cycle is an instruction, kernel entries take no time, and while nothing
runs the processor's clock stands still: so a count is that of the user instructions retired, exactly.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.access import SystemRegister
from retrap.machine.devices.model import Model, Port

# PMCR.
ENABLE: Final = 1 << 0
RESET_EVENTS: Final = 1 << 1
RESET_CYCLES: Final = 1 << 2
DIVIDE: Final = 1 << 3  # the cycle counter counts every 64th cycle
KEPT: Final = 0x39  # DP, X, D, E: the rest is read-only, or acts when it is written

CYCLES: Final = 31
"""Number of the cycle counter, among the enable and overflow bits and in PMSELR."""

# PMXEVTYPER.
EVENT: Final = 0xFF
FILTERS: Final = 0xF800_0000  # P, U, NSK, NSU, NSH (PMUv2)
NOT_USER: Final = 1 << 30  # U: nothing that happens in User mode counts, and nothing else happens here

SOFTWARE_INCREMENT: Final = 0x00
INSTRUCTIONS: Final = (0x08, 0x11)
"""Events that happen once an instruction: instruction architecturally executed, cycle."""
_EVENTS: Final = sum(1 << event for event in (SOFTWARE_INCREMENT, *INSTRUCTIONS))

WORD: Final = 0xFFFF_FFFF


@final
class PerformanceMonitorsModel(Model):
    """Behind CP15 (`SystemRegister`, from PMCR on). No line: only a kernel can ask for the overflow interrupt."""

    def __init__(self, port: Port, version: int, identification: int, counting: bool = False) -> None:
        """`identification`: PMCR after reset, which tells the number of event counters; `counting`: the kernel has
        started the cycle counter."""
        super().__init__(port)
        number = identification >> 11 & 31
        self._identification: Final = identification & ~0x7FF
        self._implemented: Final = 1 << CYCLES | (1 << number) - 1
        self._filters: Final = FILTERS if version >= 2 else 0
        self._control = ENABLE if counting else 0
        self._enabled = 1 << CYCLES if counting else 0
        self._overflows = 0
        self._selected = 0
        self._types: Final = [0] * number
        self._values: Final = [0] * number
        self._cycle_filter = 0
        self._cycles = 0
        self._counted_until = 0  # instructions retired by then

    def read(self, offset: int, size: int) -> int:
        self._count()
        selected = self._selected
        match offset:
            case SystemRegister.PMCR:
                return self._identification | self._control
            case SystemRegister.PMCNTENSET | SystemRegister.PMCNTENCLR:
                return self._enabled
            case SystemRegister.PMOVSR | SystemRegister.PMOVSSET:
                return self._overflows
            case SystemRegister.PMSELR:
                return selected
            case SystemRegister.PMCEID0:
                return _EVENTS
            case SystemRegister.PMCCNTR:
                return self._cycles
            case SystemRegister.PMXEVTYPER if selected == CYCLES:
                return self._cycle_filter
            case SystemRegister.PMXEVTYPER if selected < len(self._types):
                return self._types[selected]
            case SystemRegister.PMXEVCNTR if selected < len(self._values):
                return self._values[selected]
        return 0  # PMCEID1; what belongs to a counter that is not there

    def write(self, offset: int, size: int, value: int) -> None:
        self._count()
        value &= WORD
        selected = self._selected
        match offset:
            case SystemRegister.PMCR:
                self._control = value & KEPT
                if value & RESET_EVENTS:
                    self._values[:] = [0] * len(self._values)
                if value & RESET_CYCLES:
                    self._cycles = 0
            case SystemRegister.PMCNTENSET:
                self._enabled |= value & self._implemented
            case SystemRegister.PMCNTENCLR:
                self._enabled &= ~value
            case SystemRegister.PMOVSR:
                self._overflows &= ~value
            case SystemRegister.PMOVSSET:
                self._overflows |= value & self._implemented
            case SystemRegister.PMSWINC:
                for number in range(len(self._values)):
                    if value >> number & 1:
                        self._happened(number, (SOFTWARE_INCREMENT,), 1)
            case SystemRegister.PMSELR:
                self._selected = value & 31
            case SystemRegister.PMCCNTR:
                self._cycles = value
            case SystemRegister.PMXEVTYPER if selected == CYCLES:
                self._cycle_filter = value & self._filters
            case SystemRegister.PMXEVTYPER if selected < len(self._types):
                self._types[selected] = value & (self._filters | EVENT)
            case SystemRegister.PMXEVCNTR if selected < len(self._values):
                self._values[selected] = value

    def _count(self) -> None:
        """Bring all counters up to date. Nothing else can see them."""
        clock = self.port.clock
        before, now = self._counted_until, clock.now - clock.idle
        self._counted_until = now
        if not self._control & ENABLE or not self._enabled:
            return
        if self._enabled >> CYCLES and not self._cycle_filter & NOT_USER:
            cycles = now // 64 - before // 64 if self._control & DIVIDE else now - before
            self._cycles = self._add(CYCLES, self._cycles, cycles)
        for number in range(len(self._values)):
            self._happened(number, INSTRUCTIONS, now - before)

    def _happened(self, number: int, events: tuple[int, ...], times: int) -> None:
        """These events have happened so often: does the counter count them?"""
        kind = self._types[number]
        enabled = self._control & ENABLE and self._enabled >> number & 1
        if enabled and kind & EVENT in events and not kind & NOT_USER:
            self._values[number] = self._add(number, self._values[number], times)

    def _add(self, number: int, value: int, times: int) -> int:
        value += times
        if value > WORD:
            self._overflows |= 1 << number
        return value & WORD
