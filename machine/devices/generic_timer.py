"""The ARM generic timer as user code may use it (ARM ARM B8): two timers that compare with the counters."""

from __future__ import annotations

from typing import Final, final

from retrap.machine.access import SystemRegister
from retrap.machine.devices.model import NEVER, Model, Port

ENABLE: Final = 1
MASKED: Final = 2
STATUS: Final = 4

WORD: Final = 0xFFFF_FFFF
ALL: Final = 0xFFFF_FFFF_FFFF_FFFF


@final
class _Comparator:
    """CTL and CVAL of one timer; its condition holds when the counter has reached CVAL."""

    def __init__(self) -> None:
        self.control = 0
        self.compare = 0

    def met(self, count: int) -> bool:
        return bool(self.control & ENABLE) and count >= self.compare


@final
class GenericTimerModel(Model):
    """Behind CP15 (`SystemRegister`). Lines: the physical timer, the virtual one; the two counters are equal."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._timers: Final = (_Comparator(), _Comparator())

    def _count(self) -> int:
        return self.port.clock.count(self.port.now)

    def read(self, offset: int, size: int) -> int:
        timer = self._timers[offset >> 2]
        match offset & 3:
            case SystemRegister.CNTP_CTL:
                return timer.control | (STATUS if timer.met(self._count()) else 0)
            case SystemRegister.CNTP_TVAL:
                return timer.compare - self._count() & WORD
        return timer.compare

    def write(self, offset: int, size: int, value: int) -> None:
        timer = self._timers[offset >> 2]
        match offset & 3:
            case SystemRegister.CNTP_CTL:
                timer.control = value & (ENABLE | MASKED)
            case SystemRegister.CNTP_TVAL:
                # The value is signed: how far away the comparison is.
                timer.compare = self._count() + ((value & WORD ^ 1 << 31) - (1 << 31)) & ALL
            case _:
                timer.compare = value & ALL

    def lines(self) -> int:
        count = self._count()
        up = 0
        for number, timer in enumerate(self._timers):
            if timer.met(count) and not timer.control & MASKED:
                up |= 1 << number
        return up

    def next_event(self) -> int:
        count = self._count()
        return min(
            self.port.time_of(timer.compare, self.port.clock.counter_hz)
            if timer.control & (ENABLE | MASKED) == ENABLE and timer.compare > count
            else NEVER
            for timer in self._timers
        )
