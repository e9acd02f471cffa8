"""Cadence triple timer counter of the Zynq-7000 (TTC; UG585, chapter 8 and appendix B.32): 16-bit counters.

The event timer and the waveform output are not modelled; their registers keep what is written.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import NEVER, Model, Port, Timer
from retrap.machine.devices.registers import RegisterFile

HZ: Final = 111_110_000
"""CPU_1x, which drives the counters, as firmware usually sets the clocks (and as seL4's public drivers expect)."""

CLOCK_CONTROL: Final = 0x00  # each: three words, one for a counter
COUNTER_CONTROL: Final = 0x0C
VALUE: Final = 0x18
INTERVAL: Final = 0x24
MATCH: Final = 0x30  # three times three
INTERRUPT: Final = 0x54
ENABLE: Final = 0x60

PRESCALE: Final = 1 << 0  # of the clock control
STOPPED: Final = 1 << 0  # of the counter control
BY_INTERVAL: Final = 1 << 1
DOWN: Final = 1 << 2
BY_MATCH: Final = 1 << 3
RESTART: Final = 1 << 4

INTERVAL_PASSED: Final = 1 << 0  # of the interrupt register
MATCHED: Final = 1 << 1  # … << 3
OVERFLOWN: Final = 1 << 4

ROUND: Final = 1 << 16


@final
class _Counter:
    """One of the three. `_timer` counts cycles since it began; what the counter shows follows from that."""

    def __init__(self, port: Port) -> None:
        self._port: Final = port
        self._timer: Final = Timer(port, HZ)
        self._seen = 0
        self.clock_control = 0
        self.control = 0x21
        self.interval = 0
        self.match: Final = [0, 0, 0]
        self.interrupt = 0
        self.enable = 0

    def _period(self) -> int:
        return self.interval + 1 if self.control & BY_INTERVAL else ROUND

    def _events(self) -> list[tuple[int, int]]:
        """After how many cycles of a period which interrupt comes."""
        period = self._period()
        found = [(period, INTERVAL_PASSED if self.control & BY_INTERVAL else OVERFLOWN)]
        if self.control & BY_MATCH:
            for number, value in enumerate(self.match):
                if value < period:
                    found.append((-value % period if self.control & DOWN else value, MATCHED << number))
        return found

    def catch_up(self) -> None:
        """Raise the interrupts of what has passed since the last time."""
        now, seen, period = self._timer.value, self._seen, self._period()
        if now <= seen:
            return
        for position, bit in self._events():
            if seen + ((position - seen) % period or period) <= now:
                self.interrupt |= bit
        self.begin(now % period)

    def begin(self, passed: int = 0) -> None:
        """So many cycles of the period have passed."""
        self._timer.set(passed)
        self._seen = passed

    def run(self) -> None:
        """Go at the rate, or stand still, as the control registers say."""
        hz = HZ
        if self.clock_control & PRESCALE:
            hz >>= (self.clock_control >> 1 & 15) + 1
        self._timer.run(not self.control & STOPPED, max(hz, 1))

    def value(self) -> int:
        """What the counter shows."""
        passed = self._timer.value % self._period()
        return -passed % self._period() if self.control & DOWN else passed

    def next_event(self) -> int:
        wanted = self.enable & ~self.interrupt
        if not self._timer.running or not wanted:
            return NEVER
        period, seen = self._period(), self._seen
        due = [
            self._timer.time_of(seen + ((position - seen) % period or period))
            for position, bit in self._events()
            if bit & wanted
        ]
        return max(min(due, default=NEVER), self._port.now + 1)


@final
class CadenceTtc(Model):
    """Three lines, one for each counter. Reading an interrupt register clears it."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._counters: Final = tuple(_Counter(port) for _ in range(3))
        self._registers: Final = RegisterFile()

    def read(self, offset: int, size: int) -> int:
        kind, number = divmod(offset >> 2, 3)
        counter = self._counters[number]
        counter.catch_up()
        match kind:
            case 0:
                return counter.clock_control
            case 1:
                return counter.control
            case 2:
                return counter.value()
            case 3:
                return counter.interval
            case 4 | 5 | 6:
                return counter.match[kind - 4]
            case 7:
                raised, counter.interrupt = counter.interrupt, 0
                return raised
            case 8:
                return counter.enable
        return self._registers.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        kind, number = divmod(offset >> 2, 3)
        counter = self._counters[number]
        counter.catch_up()
        match kind:
            case 0:
                counter.clock_control = value & 0x7F
                counter.run()
            case 1:
                counter.control = value & 0x7F & ~RESTART
                if value & RESTART:
                    counter.begin()
                counter.run()
            case 3:
                counter.interval = value & 0xFFFF
                counter.begin(counter.value() if not counter.control & DOWN else 0)
            case 4 | 5 | 6:
                counter.match[kind - 4] = value & 0xFFFF
            case 8:
                counter.enable = value & 0x3F
            case 2 | 7:
                pass  # read-only
            case _:
                self._registers.write(offset, size, value)

    def lines(self) -> int:
        return sum(1 << n for n, counter in enumerate(self._counters) if counter.interrupt & counter.enable)

    def next_event(self) -> int:
        return min(counter.next_event() for counter in self._counters)

    def event(self) -> None:
        for counter in self._counters:
            counter.catch_up()
