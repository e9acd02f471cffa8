"""An example of a device of one's own: eight lamps that blink (docs/devices.md).

    retrap boot IMAGE --device samples/led.py:Lamps@0x0b000000,irq=100
"""

from __future__ import annotations

from retrap.machine.devices import NEVER, Model, Port

LAMPS = 0x00  # a bit a lamp
PERIOD = 0x04  # microseconds between two changes; 0: they stand still
STATUS = 0x08  # bit 0: they have changed since it was last written


class Lamps(Model):
    """Every PERIOD all lamps change, and line 0 goes up until STATUS is written."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self.lamps = 0
        self.period = 0
        self.changed = False
        self.due = NEVER

    def read(self, offset: int, size: int) -> int:
        if offset == STATUS:
            return int(self.changed)
        return self.lamps if offset == LAMPS else self.period

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == LAMPS:
            self.lamps = value & 0xFF
        elif offset == PERIOD:
            self.period = value
            self.due = self.port.after_ns(1000 * value) if value else NEVER
        elif offset == STATUS:
            self.changed = False
        else:
            self.port.warn(f"has nothing at {offset:#x}")

    def lines(self) -> int:
        return int(self.changed)

    def next_event(self) -> int:
        return self.due

    def event(self) -> None:
        self.lamps ^= 0xFF
        self.changed = True
        self.due = self.port.after_ns(1000 * self.period)
