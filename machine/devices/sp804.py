"""ARM dual timer module (SP804, ARM DDI 0271): two counters that go down."""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import NEVER, Model, Port, Timer

HZ: Final = 1_000_000
"""TIMCLK as ARM's boards have it."""

ONE_SHOT: Final = 1 << 0  # of the control register
WIDE: Final = 1 << 1
INTERRUPT: Final = 1 << 5
PERIODIC: Final = 1 << 6
ENABLE: Final = 1 << 7

IDENTITY: Final = 0xFE0
_IDENTITY: Final = (0x04, 0x18, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1)


@final
class _Counter:
    """One of the two. `_timer` counts how far it has gone down from `_from`."""

    def __init__(self, port: Port) -> None:
        self._port: Final = port
        self._timer: Final = Timer(port, HZ)
        self._from = 0xFFFF_FFFF
        self.load = 0
        self.control = INTERRUPT
        self.raised = 0

    def _mask(self) -> int:
        return 0xFFFF_FFFF if self.control & WIDE else 0xFFFF

    def value(self) -> int:
        """What it shows; notes that it has reached 0 since the last time."""
        gone = self._timer.value
        if gone >= self._from and self._timer.running:
            self.raised = 1
            if self.control & ONE_SHOT:
                self._timer.run(False)
                self._timer.set(self._from)
                return 0
            if gone > self._from:
                # After 0 comes the load value, or the top.
                top = self.load & self._mask() if self.control & PERIODIC else self._mask()
                gone = (gone - self._from - 1) % (top + 1)
                self._from = top
                self._timer.set(gone)
        return self._from - gone

    def read(self, register: int) -> int:
        value = self.value()
        shown = self.raised if self.control & INTERRUPT else 0
        return (self.load, value, self.control, 0, self.raised, shown, self.load, 0)[register]

    def write(self, register: int, value: int) -> None:
        self.value()
        match register:
            case 0:
                self.load = value
                self._from = value & self._mask()
                self._timer.set(0)
                self._run()
            case 2:
                self.control = value & 0xEF
                self._run()
            case 3:
                self.raised = 0
            case 6:
                self.load = value  # the background load: from the next round on

    def _run(self) -> None:
        scale = (0, 4, 8, 8)[self.control >> 2 & 3]
        self._timer.run(bool(self.control & ENABLE), max(HZ >> scale, 1))

    def next_event(self) -> int:
        if not self._timer.running or self.raised or not self.control & INTERRUPT:
            return NEVER
        gone = self._timer.value
        if gone < self._from:
            return max(self._timer.time_of(self._from), self._port.now + 1)
        top = self.load & self._mask() if self.control & PERIODIC else self._mask()
        return max(self._timer.time_of(self._from + 1 + top), self._port.now + 1)

    @property
    def up(self) -> bool:
        return bool(self.raised and self.control & INTERRUPT)


@final
class Sp804(Model):
    """Three lines: both timers' together (TIMINTC), the first one's, the second one's."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._counters: Final = (_Counter(port), _Counter(port))

    def read(self, offset: int, size: int) -> int:
        if offset < 0x40:
            return self._counters[offset >> 5].read(offset >> 2 & 7)
        return _IDENTITY[(offset - IDENTITY) >> 2] if offset >= IDENTITY else 0

    def write(self, offset: int, size: int, value: int) -> None:
        if offset < 0x40:
            self._counters[offset >> 5].write(offset >> 2 & 7, value)

    def lines(self) -> int:
        first, second = (counter.up for counter in self._counters)
        return int(first or second) | first << 1 | second << 2

    def next_event(self) -> int:
        return min(counter.next_event() for counter in self._counters)

    def event(self) -> None:
        for counter in self._counters:
            counter.value()
