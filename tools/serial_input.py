"""Serial input while a system runs: from a terminal or a pipe, or from the trace of a run that had one."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, final

from retrap.traces.reader import Reader

LOOK: Final = 0.1
"""Seconds between two looks at whether the user has interrupted a wait."""

CHUNK: Final = 4096
"""Bytes that are taken in at once."""


@final
class Live:
    """Bytes from a file descriptor, as they come. `stopped` says whether to give up waiting (Ctrl-C)."""

    def __init__(self, descriptor: int, stopped: Callable[[], bool]) -> None:
        self._descriptor: Final = descriptor
        self._stopped: Final = stopped
        self._open = True

    def poll(self, number: int, time: int) -> bytes:
        """See `tools.session.Source`."""
        if not self._open or not self._ready(0):
            return b""
        try:
            data = os.read(self._descriptor, CHUNK)
        except OSError:
            data = b""  # a terminal that has gone away
        self._open = bool(data)
        return data

    def wait(self, number: int, time: int) -> bool | None:
        """See `tools.session.Source`."""
        sys.stdout.flush()
        while self._open:
            if self._stopped():
                return None
            if self._ready(LOOK):
                return True
        return False

    def _ready(self, seconds: float) -> bool:
        return bool(select.select([self._descriptor], [], [], seconds)[0])


@final
class Recorded:
    """The same input again, from a trace."""

    def __init__(self, reader: Reader) -> None:
        """Raises `TraceError` where the trace is damaged."""
        self._arrivals: Final = deque(
            (record.number, time, data) for record in reader for time, data in record.arrived
        )
        self._stopped: Final = reader.end is not None and reader.end.outcome == "interrupted"

    def poll(self, number: int, time: int) -> bytes:
        """See `tools.session.Source`."""
        arrivals = self._arrivals
        if not arrivals or arrivals[0][0] != number or arrivals[0][1] > time:
            return b""
        return arrivals.popleft()[2]

    def wait(self, number: int, time: int) -> bool | None:
        """See `tools.session.Source`."""
        if self._arrivals and self._arrivals[0][0] == number:
            return True
        return None if self._stopped else False


def is_file(descriptor: int) -> bool:
    """Whether all input is there already."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


@contextlib.contextmanager
def unbuffered(descriptor: int) -> Iterator[None]:
    """Meanwhile a terminal hands over each key as it is pressed and does not show it; Ctrl-C still interrupts."""
    if not os.isatty(descriptor):
        yield
        return
    import termios

    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
