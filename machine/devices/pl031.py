"""ARM PrimeCell real time clock (PL031, ARM DDI 0224). Virtual time starts at second 0, not at a date."""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import NEVER, Model, Port, Timer

IDENTITY: Final = 0xFE0
_IDENTITY: Final = (0x31, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1)


@final
class Pl031(Model):
    """One line: the match interrupt."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._timer: Final = Timer(port, 1)
        self._timer.run(True)
        self._match = 0
        self._load = 0
        self._mask = 0
        self._raised = 0
        self._seen = 0

    def _seconds(self) -> int:
        now = self._timer.value
        if self._seen < self._match <= now:
            self._raised = 1
        self._seen = now
        return now & 0xFFFF_FFFF

    def read(self, offset: int, size: int) -> int:
        seconds = self._seconds()
        if offset >= IDENTITY:
            return _IDENTITY[(offset - IDENTITY) >> 2]
        shown = {0: seconds, 4: self._match, 8: self._load, 0xC: 1, 0x10: self._mask, 0x14: self._raised}
        return self._raised & self._mask if offset == 0x18 else shown.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        self._seconds()
        match offset:
            case 4:
                self._match = value
            case 8:
                self._load = value
                self._timer.set(value)
                self._seen = value
            case 0x10:
                self._mask = value & 1
            case 0x1C:
                self._raised &= ~value

    def lines(self) -> int:
        return self._raised & self._mask

    def next_event(self) -> int:
        if not self._mask or self._raised or self._match <= self._seen:
            return NEVER
        return max(self._timer.time_of(self._match), self.port.now + 1)

    def event(self) -> None:
        self._seconds()
