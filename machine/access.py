"""Loads and stores of user code: translation, permission, alignment, page crossing, devices, byte order.

Order of checks as ARM ARM B3.12.3 (priority of aborts): the alignment that an instruction demands, then
translation and permission of each page that the access touches, then the bus. A store that crosses into a page
that faults writes nothing.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.clock import Untimed
from retrap.machine.memory import Device, PhysicalMemory
from retrap.machine.space import READ, SECTION, WRITE, AddressSpace
from retrap.machine.traps import FaultStatus

WORD: Final = 0xFFFFFFFF


@final
class Abort(Exception):
    """A data access that aborts: `address` as DFAR, `status` as DFSR hold them."""

    def __init__(self, address: int, status: int) -> None:
        self.address = address
        self.status = status


def load(space: AddressSpace, address: int, size: int, alignment: int, big_endian: int) -> int:
    """`size` bytes (1, 2, 4, 8) at `address`, zero-extended. Raises `Abort`."""
    entry = space.pages.get(address >> 12, 0)
    if entry & READ and size <= 4 and not address & (alignment - 1 | size - 1) and not big_endian:
        # The common case: naturally aligned, in the first RAM region.
        region = space.memory.regions[0]
        offset = ((entry >> 4) << 12 | address & 0xFFF) - region.base
        if 0 <= offset < region.size:
            if size == 4:
                return region.words[offset >> 2]
            return region.data[offset] if size == 1 else region.halves[offset >> 1]
    if address & (alignment - 1):
        raise Abort(address, FaultStatus.ALIGNMENT)
    first = translate(space, address, READ, 0)
    here = 0x1000 - (address & 0xFFF)
    if size <= here:
        data = _read(space.memory, first, size, address)
    else:
        beyond = (address + here) & WORD
        second = translate(space, beyond, READ, 0)
        data = _read(space.memory, first, here, address) + _read(space.memory, second, size - here, beyond)
    return int.from_bytes(data, "big" if big_endian else "little")


def store(
    space: AddressSpace, address: int, value: int, size: int, alignment: int, big_endian: int, when: int
) -> None:
    """The low `size` bytes of `value` to `address`, if `when`; alignment is checked in any case. Raises `Abort`."""
    if address & (alignment - 1):
        raise Abort(address, FaultStatus.ALIGNMENT | FaultStatus.WRITE)
    if not when:
        return
    memory = space.memory
    entry = space.pages.get(address >> 12, 0)
    if entry & WRITE and size <= 4 and not address & (size - 1) and not big_endian and not memory.watched:
        region = memory.regions[0]
        offset = ((entry >> 4) << 12 | address & 0xFFF) - region.base
        if 0 <= offset < region.size:
            if size == 4:
                region.words[offset >> 2] = value
            elif size == 1:
                region.data[offset] = value & 0xFF
            else:
                region.halves[offset >> 1] = value & 0xFFFF
            return
    data = (value & ((1 << 8 * size) - 1)).to_bytes(size, "big" if big_endian else "little")
    first = translate(space, address, WRITE, FaultStatus.WRITE)
    here = 0x1000 - (address & 0xFFF)
    if size <= here:
        _write(memory, first, data, address)
    else:
        beyond = (address + here) & WORD
        second = translate(space, beyond, WRITE, FaultStatus.WRITE)
        _write(memory, first, data[:here], address)
        _write(memory, second, data[here:], beyond)


def translate(space: AddressSpace, address: int, right: int, write: int) -> int:
    """The physical address of `address`. Raises `Abort` when the mapping or `right` is missing."""
    entry = space.pages.get(address >> 12)
    if entry is None:
        raise Abort(address, space.translation_status(address) | write)
    if not entry & right:
        status = FaultStatus.PERMISSION_SECTION if entry & SECTION else FaultStatus.PERMISSION_PAGE
        raise Abort(address, status | write)
    return (entry >> 4) << 12 | address & 0xFFF


def _read(memory: PhysicalMemory, physical: int, size: int, address: int) -> bytes:
    region = memory.region(physical)
    if region is not None:
        start = physical - region.base
        return bytes(region.data[start : start + size])
    device, base = _device(memory, physical, size, address, 0)
    step = min(size, 4)
    return b"".join(
        (device.read(physical + n - base, step) & ((1 << 8 * step) - 1)).to_bytes(step, "little")
        for n in range(0, size, step)
    )


def _write(memory: PhysicalMemory, physical: int, data: bytes, address: int) -> None:
    region = memory.region(physical)
    if region is not None:
        start = physical - region.base
        region.data[start : start + len(data)] = data
        if memory.watched:
            memory.notice(physical, len(data))
        return
    device, base = _device(memory, physical, len(data), address, FaultStatus.WRITE)
    step = min(len(data), 4)
    for n in range(0, len(data), step):
        device.write(physical + n - base, step, int.from_bytes(data[n : n + step], "little"))


def _device(
    memory: PhysicalMemory, physical: int, size: int, address: int, write: int
) -> tuple[Device, int]:
    """The device at `physical` and its base, for an access that it can take: naturally aligned (a doubleword: as
    two words). Device memory faults on others (ARM ARM A3.2.1); a place with nothing at it gives an external abort.
    """
    found = memory.device(physical)
    if found is None:
        raise Abort(address, FaultStatus.EXTERNAL | write)
    if size not in (1, 2, 4, 8) or physical & (min(size, 4) - 1):
        raise Abort(address, FaultStatus.ALIGNMENT | write)
    if not memory.clock.exact:
        raise Untimed
    return found


class SystemRegister:
    """Registers of devices that user code may reach through CP15: the generic timer's (ARM ARM B4.1.25 … B4.1.35),
    and from `MONITORS` on those of the performance monitors (C12)."""

    CNTP_CTL: Final = 0
    CNTP_TVAL: Final = 1
    CNTP_CVAL: Final = 2
    CNTV_CTL: Final = 4
    CNTV_TVAL: Final = 5
    CNTV_CVAL: Final = 6
    MONITORS: Final = 16
    PMCR: Final = 16
    PMCNTENSET: Final = 17
    PMCNTENCLR: Final = 18
    PMOVSR: Final = 19
    PMSWINC: Final = 20
    PMSELR: Final = 21
    PMCEID0: Final = 22
    PMCEID1: Final = 23
    PMCCNTR: Final = 24
    PMXEVTYPER: Final = 25
    PMXEVCNTR: Final = 26
    PMOVSSET: Final = 27


def system_read(space: AddressSpace, register: int) -> int:
    """The 64-bit value of a `SystemRegister`; 0 on a machine without such a device."""
    memory = space.memory
    device = memory.system if register < SystemRegister.MONITORS else memory.monitors
    if device is None:
        return 0
    if not memory.clock.exact:
        raise Untimed
    return device.read(register, 8)


def system_write(space: AddressSpace, register: int, value: int) -> None:
    """Write a `SystemRegister`."""
    memory = space.memory
    device = memory.system if register < SystemRegister.MONITORS else memory.monitors
    if device is None:
        return
    if not memory.clock.exact:
        raise Untimed
    device.write(register, 8, value)
