"""Devices behind physical pages: one class and one file each (docs/devices.md), made by name (`MODELS`)."""

from __future__ import annotations

from typing import Final

from retrap.machine.devices.a9_timers import A9Timers
from retrap.machine.devices.bus import Bus
from retrap.machine.devices.cadence_ttc import CadenceTtc
from retrap.machine.devices.cadence_uart import CadenceUart
from retrap.machine.devices.clocks import ImxAnatop, ImxCcm, ZynqSlcr
from retrap.machine.devices.imx_epit import ImxEpit
from retrap.machine.devices.imx_gpt import ImxGpt
from retrap.machine.devices.imx_uart import ImxUart
from retrap.machine.devices.model import NEVER, DeviceFailure, Model, Port, Timer
from retrap.machine.devices.pl011 import Pl011
from retrap.machine.devices.pl031 import Pl031
from retrap.machine.devices.registers import PlainRegisters
from retrap.machine.devices.serial import Serial
from retrap.machine.devices.sp804 import Sp804

__all__ = ["MODELS", "NEVER", "Bus", "DeviceFailure", "Model", "PlainRegisters", "Port", "Serial", "Timer"]

MODELS: Final[dict[str, type[Model]]] = {
    "": PlainRegisters,
    "a9-timers": A9Timers,
    "cadence-ttc": CadenceTtc,
    "cadence-uart": CadenceUart,
    "imx-anatop": ImxAnatop,
    "imx-ccm": ImxCcm,
    "imx-epit": ImxEpit,
    "imx-gpt": ImxGpt,
    "imx-uart": ImxUart,
    "pl011": Pl011,
    "pl031": Pl031,
    "sp804": Sp804,
    "zynq-slcr": ZynqSlcr,
}
"""What platform files and manifests call a device. Any other name stands for plain registers."""
