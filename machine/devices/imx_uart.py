"""i.MX UART (i.MX 6Dual/6Quad reference manual, chapter 64): both directions, with interrupts; no DMA.

What is sent leaves at once, whether or not the transmitter is enabled: firmware has set it up. A byte that has
arrived makes the receiver ready (RRDY) whatever RXTL says, as in QEMU.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import Model, Port
from retrap.machine.devices.registers import RegisterFile

URXD: Final = 0x00
UTXD: Final = 0x40
UCR1: Final = 0x80
UCR2: Final = 0x84
UCR3: Final = 0x88
UCR4: Final = 0x8C
UFCR: Final = 0x90
USR1: Final = 0x94
USR2: Final = 0x98
UBRC: Final = 0xAC
UTS: Final = 0xB4

CHARRDY: Final = 1 << 15  # URXD

TXMPTYEN: Final = 1 << 6  # UCR1
RRDYEN: Final = 1 << 9
TRDYEN: Final = 1 << 13
SRST: Final = 1 << 0  # UCR2
RXEN: Final = 1 << 1
ATEN: Final = 1 << 3
DREN: Final = 1 << 0  # UCR4
TCEN: Final = 1 << 3

AGTIM: Final = 1 << 8  # USR1
RRDY: Final = 1 << 9
TRDY: Final = 1 << 13
RDR: Final = 1 << 0  # USR2
TXDC: Final = 1 << 3
DCDIN: Final = 1 << 5
TXFE: Final = 1 << 14
RXEMPTY: Final = 1 << 5  # UTS
TXEMPTY: Final = 1 << 6

FIFO: Final = 32


@final
class ImxUart(Model):
    """One line: all interrupts together."""

    serial = True

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._registers: Final = RegisterFile()
        self._fifo: Final[list[int]] = []
        self._open = True  # until the guest says otherwise
        self._reset()

    def _reset(self) -> None:
        words = self._registers.words
        words.clear()
        words[UCR2 >> 2] = SRST
        words[UCR3 >> 2] = 0x700
        words[UCR4 >> 2] = 0x8000
        words[UFCR >> 2] = 0x801
        words[UBRC >> 2] = 4
        self._fifo.clear()

    def _get(self, register: int) -> int:
        return self._registers.words.get(register >> 2, 0)

    def _fill(self) -> None:
        """Take from the line what the FIFO has room for."""
        if not self._open:
            return
        serial, fifo = self.port.serial, self._fifo
        while serial.waiting and len(fifo) < FIFO:
            byte = serial.receive()
            if byte is not None:
                fifo.append(byte)

    def _usr1(self) -> int:
        return TRDY | (RRDY if self._fifo else 0)

    def _usr2(self) -> int:
        return TXFE | TXDC | DCDIN | (RDR if self._fifo else 0)

    def read(self, offset: int, size: int) -> int:
        register = offset & ~3
        if register in (URXD, USR1, USR2, UTS):
            self._fill()
        match register:
            case 0x00:  # URXD
                return CHARRDY | self._fifo.pop(0) if self._fifo else 0
            case 0x94:  # USR1
                return self._usr1()
            case 0x98:  # USR2
                return self._usr2()
            case 0xB4:  # UTS
                return TXEMPTY | (0 if self._fifo else RXEMPTY)
        return self._registers.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        register = offset & ~3
        if register == UTXD:
            self.port.serial.send(value & 0xFF)
        elif register == UCR2:
            if not value & SRST:
                self._reset()
                value |= SRST
            self._open = bool(value & RXEN)
            self._registers.write(offset, size, value)
        elif register not in (URXD, USR1, USR2):  # status that can be cleared is not modelled
            self._registers.write(offset, size, value)

    def lines(self) -> int:
        ucr1, ucr4 = self._get(UCR1), self._get(UCR4)
        if ucr1 & RRDYEN or ucr4 & DREN or self._get(UCR2) & ATEN:
            self._fill()
        aged = bool(self._fifo) and bool(self._get(UCR2) & ATEN)
        return int(
            bool(self._usr1() & ucr1 & (TRDYEN | RRDYEN))
            or bool(ucr1 & TXMPTYEN)
            or bool(self._usr2() & ucr4 & (TCEN | DREN))
            or aged
        )
