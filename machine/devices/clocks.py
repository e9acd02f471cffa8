"""Blocks that only configure a board (clocks, resets): registers with the values that firmware leaves in them.

Drivers compute clock rates from these, so the values matter although writing them changes nothing.
"""

from __future__ import annotations

from typing import ClassVar, final

from retrap.machine.devices.model import Model, Port
from retrap.machine.devices.registers import RegisterFile


class Configured(Model):
    """Plain registers that start as `VALUES` says (by offset)."""

    VALUES: ClassVar[dict[int, int]] = {}

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._registers = RegisterFile()
        for offset, value in self.VALUES.items():
            self._registers.words[offset >> 2] = value

    def read(self, offset: int, size: int) -> int:
        return self._registers.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self._registers.write(offset, size, value)


@final
class ZynqSlcr(Configured):
    """System level control registers (UG585, appendix B.28); PLLs locked, reset values otherwise."""

    VALUES: ClassVar[dict[int, int]] = {
        0x00C: 1,  # SLCR_LOCKSTA
        0x100: 0x0002_8008, 0x104: 0x0002_0008, 0x108: 0x0001_E008,  # ARM, DDR, IO PLL_CTRL
        0x10C: 0x3F,  # PLL_STATUS
        0x110: 0x0017_7EA0, 0x114: 0x0017_7EA0, 0x118: 0x0017_7EA0,
        0x120: 0x1F00_0200,  # ARM_CLK_CTRL
        0x124: 0x1840_0003, 0x128: 0x0E03, 0x12C: 0x01FF_CCCD,
        0x150: 0x0000_1E03, 0x154: 0x0000_1402, 0x168: 0x0000_0501,  # SDIO, UART, PCAP
        0x170: 0x0010_1400, 0x180: 0x0010_1400, 0x190: 0x0010_1400, 0x1A0: 0x0010_1400,  # FPGAn_CLK_CTRL
        0x1C4: 0x0001,  # CLK_621_TRUE: 6:2:1
        0x258: 0x0040_0000,  # REBOOT_STATUS
    }  # fmt: skip


@final
class ImxCcm(Configured):
    """Clock controller (i.MX 6Dual/6Quad reference manual, chapter 18), reset values."""

    VALUES: ClassVar[dict[int, int]] = {
        0x00: 0x0401_16FF, 0x08: 0x10, 0x0C: 0x0100, 0x14: 0x0001_8D00, 0x18: 0x0002_2324, 0x1C: 0x00F0_0000,
        0x20: 0x0292_9202, 0x24: 0x0049_1B00, 0x28: 0x0EC1_02C1, 0x2C: 0x0007_36C1, 0x30: 0x3360_2FFF,
        0x34: 0x0002_A150, 0x38: 0x0002_A150, 0x3C: 0x0001_0841, 0x54: 0x79, 0x58: 0xFFFF_FFFF,
        0x60: 0x000A_0001, 0x64: 0x0000_FE62,
        **dict.fromkeys(range(104, 132, 4), 4294967295),  # all clock gates open
        0x88: 0xFFFF_FFFF,
    }  # fmt: skip


@final
class ImxAnatop(Configured):
    """Analog part of the clock controller: PLLs locked."""

    VALUES: ClassVar[dict[int, int]] = {
        0x00: 0x8001_3042, 0x10: 0x8001_2000, 0x20: 0x8001_2000, 0x30: 0x8000_2001, 0x40: 0, 0x50: 0x12,
        0x70: 0x8000_100C, 0x80: 0x05F5_E100, 0x90: 0x2964_619C, 0xA0: 0x8000_100C, 0xB0: 0x05F5_E100,
        0xC0: 0x2964_619C, 0xD0: 0x0001_0000, 0xE0: 0x8018_2001, 0xF0: 0x1311_100C, 0x100: 0x1018_101B,
        0x110: 0x0000_1073, 0x120: 0x0000_0F74, 0x130: 0x0000_0F74, 0x140: 0x0040_2010, 0x150: 0x0400_0000,
        0x260: 0x0063_0001,  # DIGPROG: i.MX 6Quad 1.1
    }  # fmt: skip

    def read(self, offset: int, size: int) -> int:
        # Each register has three more behind it, which set, clear and toggle its bits; they read as the first.
        return super().read(offset & ~0xC, size)

    def write(self, offset: int, size: int, value: int) -> None:
        first = offset & ~0xC
        before = super().read(first, size)
        match offset >> 2 & 3:
            case 1:
                value = before | value
            case 2:
                value = before & ~value
            case 3:
                value = before ^ value
        super().write(first, size, value)
