"""ARM PrimeCell UART (PL011, ARM DDI 0183): data, flags and identification, polled; interrupts are not raised."""

from __future__ import annotations

from typing import Final, Protocol, final

from retrap.machine.devices.registers import RegisterFile

DATA: Final = 0x000
FLAGS: Final = 0x018
IDENTITY: Final = 0xFE0  # UARTPeriphID0 … UARTPCellID3

RECEIVE_EMPTY: Final = 1 << 4
TRANSMIT_EMPTY: Final = 1 << 7

_IDENTITY: Final = (0x11, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1)


class SerialLine(Protocol):
    """What a UART is connected to."""

    @property
    def waiting(self) -> bool: ...

    def receive(self) -> int | None: ...

    def send(self, byte: int) -> None: ...


@final
class Pl011:
    """Sends at once and is always ready; receives what has arrived. Other registers are plain."""

    def __init__(self, serial: SerialLine) -> None:
        self._serial: Final = serial
        self._registers: Final = RegisterFile()

    def read(self, offset: int, size: int) -> int:
        """See `machine.memory.Device`."""
        register = offset & ~3
        if register == DATA:
            byte = self._serial.receive()
            return 0 if byte is None else byte
        if register == FLAGS:
            return TRANSMIT_EMPTY | (0 if self._serial.waiting else RECEIVE_EMPTY)
        if register >= IDENTITY:
            return _IDENTITY[(register - IDENTITY) >> 2]
        return self._registers.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """See `machine.memory.Device`."""
        if offset & ~3 == DATA:
            self._serial.send(value & 0xFF)
        else:
            self._registers.write(offset, size, value)
