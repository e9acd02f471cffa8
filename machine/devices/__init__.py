"""Devices behind physical pages: one small class each, made by name (`MODELS`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retrap.machine.devices.pl011 import Pl011
from retrap.machine.devices.registers import RegisterFile
from retrap.machine.memory import Device


class Serial:
    """The outside of a machine's serial line: bytes that arrive, and bytes that the guest has sent."""

    def __init__(self, arriving: bytes = b"") -> None:
        self.arriving: Final = arriving
        self.position = 0
        self.sent: Final = bytearray()

    def receive(self) -> int | None:
        """The next byte that arrives, or None."""
        if self.position == len(self.arriving):
            return None
        self.position += 1
        return self.arriving[self.position - 1]

    @property
    def waiting(self) -> bool:
        """Whether a byte can be received."""
        return self.position < len(self.arriving)

    def send(self, byte: int) -> None:
        """The guest sends a byte."""
        self.sent.append(byte)


MODELS: Final[dict[str, Callable[[Serial], Device]]] = {"pl011": Pl011}
"""Devices with a behaviour of their own, by the name that platform files and manifests use."""


def make(model: str, serial: Serial) -> Device:
    """The device called `model`; plain registers for a name that has no model."""
    maker = MODELS.get(model)
    return maker(serial) if maker is not None else RegisterFile()
