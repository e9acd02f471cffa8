"""The timers of a Cortex-A9 MPCore in its private memory region (ARM DDI 0407, chapters 2 and 4).

The kernel keeps this page for itself on the platforms that have it; a manifest can put the model elsewhere.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import NEVER, Model, Port, Timer
from retrap.machine.devices.registers import RegisterFile

HZ: Final = 333_333_333
"""PERIPHCLK, half of the processor's clock."""

GLOBAL: Final = 0x200
PRIVATE: Final = 0x600

ENABLE: Final = 1 << 0
COMPARE: Final = 1 << 1  # of the global timer
AUTO_RELOAD: Final = 1 << 1  # of the private one
INTERRUPT: Final = 1 << 2
AUTO_INCREMENT: Final = 1 << 3

WORD: Final = 0xFFFF_FFFF
LONG: Final = 0xFFFF_FFFF_FFFF_FFFF


@final
class _Private:
    """Counts down from the load value; at 0 its event flag is set, and it stops or starts again."""

    def __init__(self, port: Port) -> None:
        self._timer: Final = Timer(port, HZ)  # goes up: how far the counter has gone down
        self._port: Final = port
        self._from = 0
        self.load = 0
        self.control = 0
        self.event = 0

    def value(self) -> int:
        gone = self._timer.value
        if gone >= self._from and self._timer.running and self._from:
            self.event = 1
            if self.control & AUTO_RELOAD:
                # It shows 0 for a cycle before it starts again.
                gone = (gone - self._from) % (self.load + 1)
                self._from = self.load + 1
                self._timer.set(gone)
                return (self._from - gone) % self._from
            self._timer.run(False)
            self._from = 0
            return 0
        return self._from - gone if self._from else 0

    def set_load(self, value: int) -> None:
        self.load = value
        self.set_counter(value)

    def set_counter(self, value: int) -> None:
        self._from = value
        self._timer.set(0)
        self._run()

    def set_control(self, value: int) -> None:
        self.value()
        self.control = value
        if value & ENABLE and not self._from and value & AUTO_RELOAD:
            self._from = self.load
            self._timer.set(0)
        self._run()

    def _run(self) -> None:
        hz = max(HZ // ((self.control >> 8 & 0xFF) + 1), 1)
        self._timer.run(bool(self.control & ENABLE and self._from), hz)

    def next_event(self) -> int:
        if self.event or not self.control & INTERRUPT or not self._from:
            return NEVER
        return max(self._timer.time_of(self._from), self._port.now + 1) if self._timer.running else NEVER


@final
class _Global:
    """A 64-bit counter with a comparator."""

    def __init__(self, port: Port) -> None:
        self._timer: Final = Timer(port, HZ)
        self._port: Final = port
        self._compared = False
        self.control = 0
        self.event = 0
        self.compare = 0
        self.increment = 0

    def value(self) -> int:
        value = self._timer.value & LONG
        if self.control & COMPARE and self.control & ENABLE and not self._compared and value >= self.compare:
            self.event = 1
            if self.control & AUTO_INCREMENT and self.increment:
                steps = (value - self.compare) // self.increment + 1
                self.compare = self.compare + steps * self.increment & LONG
            else:
                self._compared = True
        return value

    def read(self, register: int) -> int:
        value = self.value()
        values = (
            value & WORD, value >> 32, self.control, self.event,
            self.compare & WORD, self.compare >> 32, self.increment,
        )  # fmt: skip
        return values[register] if register < len(values) else 0

    def write(self, register: int, value: int) -> None:
        count = self.value()
        match register:
            case 0:
                self._timer.set(count & ~WORD | value)
            case 1:
                self._timer.set(count & WORD | value << 32)
            case 2:
                self.control = value & 0xFF0F
                self._timer.run(bool(value & ENABLE), max(HZ // ((value >> 8 & 0xFF) + 1), 1))
            case 3:
                self.event &= ~value
            case 4:
                self.compare = self.compare & ~WORD | value
            case 5:
                self.compare = self.compare & WORD | value << 32
            case 6:
                self.increment = value
        if register in (0, 1, 2, 4, 5):
            self._compared = False

    def next_event(self) -> int:
        wanted = ENABLE | COMPARE | INTERRUPT
        if self.event or self._compared or self.control & wanted != wanted:
            return NEVER
        return max(self._timer.time_of(self.compare), self._port.now + 1)


@final
class A9Timers(Model):
    """Two lines: the global timer's (interrupt 27), the private timer's (29)."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._global: Final = _Global(port)
        self._private: Final = _Private(port)
        self._registers: Final = RegisterFile()

    def read(self, offset: int, size: int) -> int:
        if GLOBAL <= offset < GLOBAL + 0x20:
            return self._global.read((offset - GLOBAL) >> 2)
        if PRIVATE <= offset < PRIVATE + 0x10:
            value = self._private.value()
            return (self._private.load, value, self._private.control, self._private.event)[offset - PRIVATE >> 2]
        return self._registers.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        if GLOBAL <= offset < GLOBAL + 0x20:
            self._global.write((offset - GLOBAL) >> 2, value)
        elif PRIVATE <= offset < PRIVATE + 0x10:
            private = self._private
            private.value()
            match offset - PRIVATE >> 2:
                case 0:
                    private.set_load(value)
                case 1:
                    private.set_counter(value)
                case 2:
                    private.set_control(value)
                case _:
                    private.event &= ~value
        else:
            self._registers.write(offset, size, value)

    def lines(self) -> int:
        return (1 if self._global.event and self._global.control & INTERRUPT else 0) | (
            2 if self._private.event and self._private.control & INTERRUPT else 0
        )

    def next_event(self) -> int:
        return min(self._global.next_event(), self._private.next_event())

    def event(self) -> None:
        self._global.value()
        self._private.value()
