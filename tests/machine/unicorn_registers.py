"""A set of unicorn's registers, read and written together. The binding makes an object for each; this does not."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence

import unicorn
from unicorn.unicorn_py3.unicorn import uclib


class Registers:
    """The registers `ids`, in this order; values have up to 64 bits. Write the mode (CPSR) before banked ones."""

    def __init__(self, machine: unicorn.Uc, ids: Sequence[int]) -> None:
        self._machine = machine
        self._count = len(ids)
        self._ids = (ctypes.c_int * len(ids))(*ids)
        values = (ctypes.c_uint64 * len(ids))()
        place = ctypes.addressof(values)
        self._places = (ctypes.c_void_p * len(ids))(*(place + 8 * n for n in range(len(ids))))
        self._values = memoryview(values).cast("B").cast("Q")
        self._zeroes = array("Q", bytes(8 * len(ids)))

    def write(self, values: Sequence[int]) -> None:
        """The first `len(values)` of them."""
        self._values[: len(values)] = array("Q", values)
        self._check(uclib.uc_reg_write_batch(self._machine._uch, self._ids, self._places, len(values)))

    def read(self) -> list[int]:
        self._values[:] = self._zeroes  # narrow registers leave the upper halves
        self._check(uclib.uc_reg_read_batch(self._machine._uch, self._ids, self._places, self._count))
        return self._values.tolist()

    def _check(self, status: int) -> None:
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)


class Pages:
    """Memory of the host that a machine has mapped, so that it can be looked at without a copy."""

    def __init__(self, machine: unicorn.Uc, address: int, contents: bytes, rights: int) -> None:
        """`address`, `len(contents)`: whole pages."""
        self._storage = ctypes.create_string_buffer(len(contents) + 0xFFF)  # lives as long as this
        start = (ctypes.addressof(self._storage) + 0xFFF) & ~0xFFF
        self.bytes = memoryview((ctypes.c_char * len(contents)).from_address(start)).cast("B")
        self.bytes[:] = contents
        machine.mem_map_ptr(address, len(contents), rights, start)
