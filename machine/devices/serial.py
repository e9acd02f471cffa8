"""The outside of a serial line: bytes that are on their way to the machine, and bytes that it has sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, final


@final
class Serial:
    """Whoever sends waits until the machine listens: what has arrived stays on the line until a UART takes it."""

    def __init__(self, arriving: Iterable[int] = b"", sent: bytearray | None = None) -> None:
        """`sent`: where bytes go that the machine sends; lines may share it."""
        self._arriving: Final = deque(arriving)
        self.sent: Final = bytearray() if sent is None else sent
        self.printed = False
        """The kernel has sent something through the same UART since the UART last looked."""

    def arrive(self, data: bytes) -> None:
        """Bytes come in."""
        self._arriving.extend(data)

    def receive(self) -> int | None:
        """The next byte that arrives, or None."""
        return self._arriving.popleft() if self._arriving else None

    @property
    def waiting(self) -> bool:
        """Whether a byte can be received."""
        return bool(self._arriving)

    def send(self, byte: int) -> None:
        """The machine sends a byte."""
        self.sent.append(byte)
