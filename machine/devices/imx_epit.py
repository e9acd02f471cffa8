"""i.MX enhanced periodic interrupt timer (EPIT; i.MX 6Dual/6Quad reference manual, chapter 24)."""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import NEVER, Model, Port, Timer

EN: Final = 1 << 0
ENMOD: Final = 1 << 1
OCIEN: Final = 1 << 2
RLD: Final = 1 << 3
SWR: Final = 1 << 16
IOVW: Final = 1 << 17
KEPT: Final = EN | ENMOD | 1 << 18 | 1 << 19 | 1 << 21 | 3 << 24  # CR bits that a software reset keeps

SOURCES: Final = (0, 66_000_000, 66_000_000, 32_768)
"""Frequency of each CR.CLKSRC: off, ipg_clk, ipg_clk_highfreq, low reference."""

TOP: Final = 0xFFFF_FFFF


@final
class ImxEpit(Model):
    """One line. The counter goes down, from LR (set and forget mode) or from the top, and meets CMPR on its way."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._timer: Final = Timer(port, SOURCES[1])  # goes up: how far the counter has gone down
        self._control = 0
        self._reset()

    def _reset(self) -> None:
        self._control &= KEPT
        self._status = 0
        self._load = TOP
        self._compare = 0
        self._round = TOP  # the value that the counter went down from
        self._timer.set(0)
        self._seen = 0

    def _begin(self, value: int) -> None:
        """The counter goes down from `value`."""
        self._round = value
        self._timer.set(0)
        self._seen = 0

    def _top(self) -> int:
        return self._load if self._control & RLD else TOP

    def _value(self) -> int:
        """What the counter shows, and whether it has met CMPR since it was last looked at."""
        gone = self._timer.value
        if self._meets(self._seen) <= gone:
            self._status = 1
        while gone > self._round:
            # It has gone round: the next round starts at the load value.
            gone -= self._round + 1
            self._round = self._top()
            if gone > self._round:
                gone %= self._round + 1
            self._timer.set(gone)
        self._seen = gone
        return self._round - gone

    def _meets(self, seen: int) -> int:
        """How far the counter has to go, from the start of this round, to meet CMPR after `seen`."""
        if self._compare <= self._round and self._round - self._compare > seen:
            return self._round - self._compare
        if self._compare <= self._top():
            return self._round + 1 + self._top() - self._compare
        return NEVER

    def _run(self) -> None:
        hz = SOURCES[self._control >> 24 & 3] // ((self._control >> 4 & 0xFFF) + 1)
        self._timer.run(bool(self._control & EN and hz), hz)

    def read(self, offset: int, size: int) -> int:
        value = self._value()
        match offset & ~3:
            case 0x00:
                return self._control
            case 0x04:
                return self._status
            case 0x08:
                return self._load
            case 0x0C:
                return self._compare
            case 0x10:
                return value
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        self._value()
        match offset & ~3:
            case 0x00:
                if value & SWR:
                    self._control = value
                    self._reset()
                else:
                    before, self._control = self._control, value
                    if value & EN and not before & EN and value & ENMOD:
                        self._begin(self._top())
                self._run()
            case 0x04:
                self._status &= ~value
            case 0x08:
                self._load = value
                if self._control & IOVW:
                    self._begin(value)
            case 0x0C:
                self._compare = value

    def lines(self) -> int:
        return 1 if self._status and self._control & OCIEN else 0

    def next_event(self) -> int:
        if not self._timer.running or self._status or not self._control & OCIEN:
            return NEVER
        return max(self._timer.time_of(self._meets(self._seen)), self.port.now + 1)

    def event(self) -> None:
        self._value()
