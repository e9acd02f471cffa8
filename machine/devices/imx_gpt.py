"""i.MX general purpose timer (GPT; i.MX 6Dual/6Quad reference manual, chapter 30); no input capture."""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import NEVER, Model, Port, Timer

CR: Final = 0x00
PR: Final = 0x04
SR: Final = 0x08
IR: Final = 0x0C
OCR1: Final = 0x10
OCR3: Final = 0x18
CNT: Final = 0x24

EN: Final = 1 << 0
ENMOD: Final = 1 << 1
FRR: Final = 1 << 9
SWR: Final = 1 << 15
KEPT: Final = 0x1FF & ~(7 << 3)  # CR bits that a software reset keeps
ROV: Final = 1 << 5

IPG: Final = 66_000_000
CRYSTAL: Final = 24_000_000
SOURCES: Final = (0, IPG, IPG, 0, 32_768, CRYSTAL // 8, 0, CRYSTAL)
"""Frequency of each CR.CLKSRC: off, ipg_clk, ipg_clk_highfreq, external, low reference, crystal / 8, -, crystal."""

ROUND: Final = 1 << 32


@final
class ImxGpt(Model):
    """One line. The counter goes up; compare events are where it meets OCR1 … OCR3 or rolls over."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._timer: Final = Timer(port, IPG)
        self._seen = 0  # the counter's value, not wrapped, up to which events have been raised
        self._reset(0)

    def _reset(self, control: int) -> None:
        self._control = control
        self._prescaler = 0
        self._status = 0
        self._enabled = 0
        self._compare = [ROUND - 1] * 3
        self._start(0)

    def _start(self, value: int) -> None:
        """The counter goes on from `value`."""
        self._timer.set(value)
        self._seen = value

    def _rate(self) -> int:
        """Cycles in a second, 0 without a clock."""
        source = self._control >> 6 & 7
        hz = SOURCES[source]
        if source in (5, 7):
            hz //= (self._prescaler >> 12 & 15) + 1
        return hz // ((self._prescaler & 0xFFF) + 1)

    def _run(self) -> None:
        hz = self._rate()
        self._timer.run(bool(self._control & EN and hz), hz)

    def _period(self) -> int:
        """After how many cycles the counter starts again."""
        return ROUND if self._control & FRR else self._compare[0] or ROUND

    def _events(self) -> list[tuple[int, int]]:
        """Where in a round which status bit is set: OF1 … OF3, and ROV where the counter rolls over."""
        period = self._period()
        found = [(value or period, 1 << n) for n, value in enumerate(self._compare) if value <= period]
        if period == ROUND:
            found.append((ROUND, ROV))
        return found

    def _catch_up(self) -> None:
        """Set the status bits for what the counter has passed since it was last looked at."""
        now, seen, period = self._timer.value, self._seen, self._period()
        if now <= seen:
            return
        for position, bit in self._events():
            # The first time after `seen` that the counter stands at `position`.
            if seen + ((position - seen) % period or period) <= now:
                self._status |= bit
        self._start(now % period)

    def read(self, offset: int, size: int) -> int:
        self._catch_up()
        match offset & ~3:
            case 0x00:
                return self._control
            case 0x04:
                return self._prescaler
            case 0x08:
                return self._status
            case 0x0C:
                return self._enabled
            case 0x10 | 0x14 | 0x18:
                return self._compare[(offset - OCR1) >> 2]
            case 0x24:
                return self._timer.value % ROUND
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        self._catch_up()
        match offset & ~3:
            case 0x00:
                if value & SWR:
                    self._reset(value & KEPT)
                else:
                    if value & EN and not self._control & EN and value & ENMOD:
                        self._start(0)
                    self._control = value
                self._run()
            case 0x04:
                self._prescaler = value & 0xFFFF
                self._run()
            case 0x08:
                self._status &= ~value
            case 0x0C:
                self._enabled = value & 0x3F
            case 0x10 | 0x14 | 0x18:
                self._compare[(offset - OCR1) >> 2] = value
                if offset == OCR1 and not self._control & FRR:
                    self._start(0)

    def lines(self) -> int:
        return 1 if self._status & self._enabled else 0

    def next_event(self) -> int:
        wanted = self._enabled & ~self._status
        if not self._timer.running or not wanted:
            return NEVER
        period, seen = self._period(), self._seen
        due = [
            self._timer.time_of(seen + ((position - seen) % period or period))
            for position, bit in self._events()
            if bit & wanted
        ]
        return max(min(due, default=NEVER), self.port.now + 1)

    def event(self) -> None:
        self._catch_up()
