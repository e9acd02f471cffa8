"""Devices behind physical pages: one class and one file each (docs/devices.md), made by name (`MODELS`)."""

from __future__ import annotations

from typing import Final

from retrap.machine.devices.bus import Bus
from retrap.machine.devices.model import NEVER, DeviceFailure, Model, Port, Timer
from retrap.machine.devices.pl011 import Pl011
from retrap.machine.devices.registers import PlainRegisters
from retrap.machine.devices.serial import Serial

__all__ = ["MODELS", "NEVER", "Bus", "DeviceFailure", "Model", "PlainRegisters", "Port", "Serial", "Timer"]

MODELS: Final[dict[str, type[Model]]] = {
    "": PlainRegisters,
    "pl011": Pl011,
}
"""What platform files and manifests call a device. Any other name stands for plain registers."""
