"""ARM PrimeCell UART (PL011, ARM DDI 0183): both directions, with interrupts; no DMA.

What is sent leaves at once. The receive FIFO is filled from the line as soon as the guest looks at the UART or
allows its receive interrupt. As in QEMU, that interrupt comes with the first byte, whatever the FIFO's level.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import Model, Port
from retrap.machine.devices.registers import RegisterFile

DATA: Final = 0x000
FLAGS: Final = 0x018
LINE_CONTROL: Final = 0x02C
CONTROL: Final = 0x030
LEVELS: Final = 0x034
MASK: Final = 0x038
RAW: Final = 0x03C
MASKED: Final = 0x040
CLEAR: Final = 0x044
IDENTITY: Final = 0xFE0  # UARTPeriphID0 … UARTPCellID3

RECEIVE_EMPTY: Final = 1 << 4
RECEIVE_FULL: Final = 1 << 6
TRANSMIT_EMPTY: Final = 1 << 7

RECEIVED: Final = 1 << 4  # bits of the interrupt registers
SENT: Final = 1 << 5
TIMEOUT: Final = 1 << 6

FIFO_ENABLE: Final = 1 << 4
ENABLE: Final = 1 << 0  # of the control register
RECEIVE_ENABLE: Final = 1 << 9
FIFO: Final = 16

_IDENTITY: Final = (0x11, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1)
_LOOKS: Final = frozenset((DATA, FLAGS, RAW, MASKED))


@final
class Pl011(Model):
    """One line: UARTINTR, the interrupts together."""

    serial = True

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._registers: Final = RegisterFile()
        self._registers.words[CONTROL >> 2] = 0x300
        self._registers.words[LEVELS >> 2] = 0x12
        self._fifo: Final[list[int]] = []
        self._open = True  # until the guest says otherwise: firmware has set it up
        self._raw = 0
        self._mask = 0

    def _hear(self) -> None:
        """Notice what the kernel has sent."""
        serial = self.port.serial
        if serial.printed:
            serial.printed = False
            self._raw |= SENT

    def _fill(self) -> None:
        """Take from the line what the FIFO has room for."""
        serial, fifo = self.port.serial, self._fifo
        if not serial.waiting or not self._open:
            return
        room = FIFO if self._registers.words.get(LINE_CONTROL >> 2, 0) & FIFO_ENABLE else 1
        before = len(fifo)
        while len(fifo) < room:
            byte = serial.receive()
            if byte is None:
                break
            fifo.append(byte)
        if not before and fifo:
            self._raw |= RECEIVED

    def read(self, offset: int, size: int) -> int:
        register = offset & ~3
        self._hear()
        if register in _LOOKS:
            self._fill()
        if register == DATA:
            fifo = self._fifo
            byte = fifo.pop(0) if fifo else 0
            if not fifo:
                self._raw &= ~RECEIVED
                self._fill()
            return byte
        if register == FLAGS:
            fifo = self._fifo
            return TRANSMIT_EMPTY | (0 if fifo else RECEIVE_EMPTY) | (RECEIVE_FULL if len(fifo) == FIFO else 0)
        if register == MASK:
            return self._mask
        if register == RAW:
            return self._raw
        if register == MASKED:
            return self._raw & self._mask
        if register == CLEAR:
            return 0
        if register >= IDENTITY:
            return _IDENTITY[(register - IDENTITY) >> 2]
        return self._registers.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        register = offset & ~3
        self._hear()
        if register == DATA:
            self.port.serial.send(value & 0xFF)
            self._raw |= SENT
        elif register == MASK:
            self._mask = value & 0x7FF
        elif register == CLEAR:
            self._raw &= ~value
        elif register in (FLAGS, RAW, MASKED):
            pass  # read-only
        elif register == LINE_CONTROL:
            if (self._registers.words.get(LINE_CONTROL >> 2, 0) ^ value) & FIFO_ENABLE:
                self._fifo.clear()
                self._raw &= ~RECEIVED
            self._registers.write(offset, size, value)
        else:
            if register == CONTROL:
                self._open = value & (ENABLE | RECEIVE_ENABLE) == ENABLE | RECEIVE_ENABLE
            self._registers.write(offset, size, value)

    def lines(self) -> int:
        self._hear()
        if self._mask & (RECEIVED | TIMEOUT):
            self._fill()
        return 1 if self._raw & self._mask else 0
