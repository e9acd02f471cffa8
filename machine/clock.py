"""The machine's clock as devices see it: retired instructions, and counters of other frequencies."""

from __future__ import annotations

from typing import Final, final

NEVER: Final = (1 << 62) - 1
"""A time that does not come: the largest number that compiled code keeps without an object."""


@final
class Clock:
    """Time is the number of retired instructions, `hz` of which are a virtual second.

    The processor does not keep `now` up to date: it is right while a device is accessed or served.
    """

    def __init__(self) -> None:
        self.hz = 1
        self.counter_hz = 1
        """Frequency of the generic timer's counter."""
        self.now = 0
        self.idle = 0
        """How much of the time passed without an instruction: nothing ran, or the kernel worked for long."""
        self.exact = True
        """False: `now` is not the time of the access under way. Whoever reaches a device raises `Untimed` then."""
        self.stop = False
        """A device wants its time or its interrupt to be looked at: the processor stops after this instruction."""

    def count(self, time: int) -> int:
        """What the generic timer's counter shows at `time`: CNTPCT, and CNTVCT (64 bits)."""
        return time * self.counter_hz // self.hz & 0xFFFF_FFFF_FFFF_FFFF


class Untimed(Exception):
    """The instruction under way accesses a device. It is to be started again with `Clock.now` set.

    Nothing that it has done so far can be told from doing it twice: registers are written last, and a store to RAM
    before one to a device stores the same again.
    """
