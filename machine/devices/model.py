"""What a device is: registers that answer loads and stores, a time at which it acts by itself, interrupt lines.

A device of one's own derives from `Model` and defines what it needs (docs/devices.md has an example). All that a
device can see is virtual time (`port.now`) and the serial line: so a run stays repeatable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, final

from retrap.machine.clock import NEVER, Clock
from retrap.machine.devices.serial import Serial

__all__ = ["NEVER", "DeviceFailure", "Model", "Port", "Timer"]

NANOSECONDS: Final = 1_000_000_000


class DeviceFailure(Exception):
    """A device's own code raised an exception: `device` names it, `reason` says what was raised and where."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(f"device {device}: {reason}")
        self.device = device
        self.reason = reason


@final
class Port:
    """What a device is connected to. Times are retired instructions, as everywhere in retrap."""

    def __init__(
        self, name: str, clock: Clock, serial: Serial, base: int = 0, size: int = 0x1000,
        warn: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self.name: Final = name
        self.base: Final = base
        self.size: Final = size
        self.serial: Final = serial
        self.clock: Final = clock
        self._warn: Final = warn

    @property
    def now(self) -> int:
        """The time of the access or event under way."""
        return self.clock.now

    @property
    def now_ns(self) -> int:
        """The same in virtual nanoseconds."""
        return self.clock.now * NANOSECONDS // self.clock.hz

    def after_ns(self, nanoseconds: int) -> int:
        """The first time that is at least so many virtual nanoseconds from now."""
        return self.clock.now + -(-nanoseconds * self.clock.hz // NANOSECONDS)

    def cycles(self, hz: int) -> int:
        """How often something of this frequency has ticked until now."""
        return self.clock.now * hz // self.clock.hz

    def time_of(self, cycle: int, hz: int) -> int:
        """The first time at which `cycles(hz)` is at least `cycle`."""
        return min(-(-cycle * self.clock.hz // hz), NEVER)

    def warn(self, text: str) -> None:
        """Tell the user something about this device."""
        if self._warn is not None:
            self._warn(text)


class Model:
    """A device. `read` and `write` get offsets from the device's base and 1, 2 or 4 bytes, naturally aligned.

    After each access and each `event`, retrap asks for `lines` and `next_event`; they should be cheap and change
    nothing.
    """

    serial: ClassVar[bool] = False
    """Whether it is a serial port: the first one of a machine receives the input."""

    def __init__(self, port: Port) -> None:
        self.port: Final = port

    def read(self, offset: int, size: int) -> int:
        """The value that a load returns."""
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """What a store does."""

    def lines(self) -> int:
        """Which of its interrupt lines the device holds up: bit n is the n-th number in its `irqs`."""
        return 0

    def next_event(self) -> int:
        """The time at which `event` is to be called because `lines` may change; `NEVER` if nothing will."""
        return NEVER

    def event(self) -> None:
        """The time of `next_event` has come."""


@final
class Timer:
    """A counter that goes up by one with every cycle of a clock, can be stopped, set, and run at another frequency.

    It has no width: whoever uses it wraps it round. What many timers have in common.
    """

    __slots__ = ("_from", "_port", "_value", "hz")

    def __init__(self, port: Port, hz: int) -> None:
        self._port: Final = port
        self._value = 0
        self._from = -1  # the cycle at which it had that value; -1: it stands still
        self.hz = hz

    @property
    def running(self) -> bool:
        """Whether it counts."""
        return self._from >= 0

    @property
    def value(self) -> int:
        """What it shows now."""
        if self._from < 0:
            return self._value
        return self._value + self._port.cycles(self.hz) - self._from

    def set(self, value: int) -> None:
        """Go on from `value`."""
        self._value = value
        if self._from >= 0:
            self._from = self._port.cycles(self.hz)

    def run(self, running: bool, hz: int = 0) -> None:
        """Count, or stand still; with `hz`, at that frequency from now on."""
        value = self.value
        if hz:
            self.hz = hz
        self._value = value
        self._from = self._port.cycles(self.hz) if running else -1

    def time_of(self, value: int) -> int:
        """When it shows `value` (not below the present one): `NEVER` if it stands still."""
        if self._from < 0:
            return NEVER
        return self._port.time_of(self._from + value - self._value, self.hz)
