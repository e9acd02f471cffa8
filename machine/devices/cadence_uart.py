"""Cadence UART of the Zynq-7000 (UG585, chapter 19 and appendix B.33): both directions, with interrupts.

What is sent leaves at once, so the transmit FIFO is always empty.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import NEVER, Model, Port
from retrap.machine.devices.registers import RegisterFile

CONTROL: Final = 0x00
INTERRUPT_ENABLE: Final = 0x08
INTERRUPT_DISABLE: Final = 0x0C
INTERRUPT_MASK: Final = 0x10
INTERRUPT_STATUS: Final = 0x14
RECEIVE_TIMEOUT: Final = 0x1C
RECEIVE_TRIGGER: Final = 0x20
STATUS: Final = 0x2C
DATA: Final = 0x30
TRANSMIT_TRIGGER: Final = 0x44

RXRES: Final = 1 << 0  # of the control register
TXRES: Final = 1 << 1
RXEN: Final = 1 << 2
RXDIS: Final = 1 << 3
RSTTO: Final = 1 << 6

RTRIG: Final = 1 << 0  # of the interrupt and (the first five) the status register
REMPTY: Final = 1 << 1
RFUL: Final = 1 << 2
TEMPTY: Final = 1 << 3
TIMEOUT: Final = 1 << 8
ALL: Final = 0x1FFF

FIFO: Final = 64
BIT_NS: Final = 8680  # at 115200 baud


@final
class CadenceUart(Model):
    """One line: all interrupts together."""

    serial = True

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._registers: Final = RegisterFile()
        words = self._registers.words
        words[CONTROL >> 2] = 0x114  # enabled by firmware
        words[RECEIVE_TRIGGER >> 2] = 0x20
        words[TRANSMIT_TRIGGER >> 2] = 0x20
        self._fifo: Final[list[int]] = []
        self._open = True
        self._mask = 0
        self._raised = 0
        self._times_out = NEVER
        self._settle()

    def _get(self, register: int) -> int:
        return self._registers.words.get(register >> 2, 0)

    def _fill(self) -> None:
        """Take from the line what the FIFO has room for."""
        serial, fifo = self.port.serial, self._fifo
        if not self._open or not serial.waiting or len(fifo) >= FIFO:
            return
        while len(fifo) < FIFO:
            byte = serial.receive()
            if byte is None:
                break
            fifo.append(byte)
        self._restart_timeout()
        self._settle()

    def _restart_timeout(self) -> None:
        """The receiver times out after four bit times for each in its timeout register."""
        timeout = self._get(RECEIVE_TIMEOUT) & 0xFF
        self._times_out = self.port.after_ns(4 * timeout * BIT_NS) if timeout and self._fifo else NEVER

    def _status(self) -> int:
        count = len(self._fifo)
        trigger = self._get(RECEIVE_TRIGGER) & 0x3F
        return (
            TEMPTY
            | (RTRIG if trigger and count >= trigger else 0)
            | (REMPTY if not count else 0)
            | (RFUL if count == FIFO else 0)
        )

    def _settle(self) -> None:
        """What the status shows raises the interrupts of the same name, which stay until they are cleared."""
        self._raised |= self._status()

    def read(self, offset: int, size: int) -> int:
        register = offset & ~3
        if register in (DATA, STATUS, INTERRUPT_STATUS):
            self._fill()
        match register:
            case 0x30:  # DATA
                byte = self._fifo.pop(0) if self._fifo else 0
                self._restart_timeout()
                self._settle()
                return byte
            case 0x2C:  # STATUS
                return self._status()
            case 0x14:  # INTERRUPT_STATUS
                return self._raised
            case 0x10:  # INTERRUPT_MASK
                return self._mask
            case 0x08 | 0x0C:  # write-only
                return 0
        return self._registers.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        match offset & ~3:
            case 0x30:  # DATA
                self.port.serial.send(value & 0xFF)
            case 0x08:  # INTERRUPT_ENABLE
                self._mask |= value & ALL
            case 0x0C:  # INTERRUPT_DISABLE
                self._mask &= ~value
            case 0x14:  # INTERRUPT_STATUS
                self._raised &= ~value
            case 0x00:  # CONTROL
                if value & RXRES:
                    self._fifo.clear()
                if value & RSTTO:
                    self._restart_timeout()
                self._open = bool(value & RXEN) and not value & RXDIS
                self._registers.write(offset, size, value & ~(RXRES | TXRES | RSTTO))
            case 0x10 | 0x2C:  # read-only
                pass
            case _:
                self._registers.write(offset, size, value)
        self._settle()

    def lines(self) -> int:
        if self._mask & (RTRIG | RFUL | TIMEOUT):
            self._fill()
        return 1 if self._raised & self._mask else 0

    def next_event(self) -> int:
        return self._times_out if self._mask & TIMEOUT else NEVER

    def event(self) -> None:
        self._times_out = NEVER
        self._raised |= TIMEOUT
