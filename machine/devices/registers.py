"""Plain registers: what was written can be read again, and nothing happens."""

from __future__ import annotations

from typing import Final, final

from retrap.machine.devices.model import Model, Port


@final
class RegisterFile:
    """Words that start as 0. Narrow accesses read and write their part of the word."""

    def __init__(self) -> None:
        self.words: Final[dict[int, int]] = {}

    def read(self, offset: int, size: int) -> int:
        """See `machine.memory.Device`."""
        shift = (offset & 3) * 8
        return self.words.get(offset >> 2, 0) >> shift & ((1 << 8 * size) - 1)

    def write(self, offset: int, size: int, value: int) -> None:
        """See `machine.memory.Device`."""
        shift, mask = (offset & 3) * 8, (1 << 8 * size) - 1
        old = self.words.get(offset >> 2, 0)
        self.words[offset >> 2] = old & ~(mask << shift) | (value & mask) << shift


@final
class PlainRegisters(Model):
    """A device that retrap has no model of. Its first use is worth a warning."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._registers: Final = RegisterFile()
        self._used = False

    def _use(self) -> None:
        if not self._used:
            self._used = True
            self.port.warn("has no model: its registers keep what is written to them, and nothing happens")

    def read(self, offset: int, size: int) -> int:
        self._use()
        return self._registers.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self._use()
        self._registers.write(offset, size, value)
