"""Load and store exclusive, CLREX, and the old swaps: ARM ARM A3.4, A8.8.75 to A8.8.78, A8.8.212 to A8.8.215.

The local monitor remembers the address of the last load exclusive. A store exclusive succeeds if the monitor is
exclusive and the address is the same; either way it leaves the monitor open. Ordinary stores do not touch it; the
kernel, entered or left, does (`Cpu.run`). Implementation choices within A3.4.1: the tagged block is the address
itself, and its size is not compared.
"""

from __future__ import annotations

from retrap.machine.arm.pseudocode import PC, SP, bad
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder, Value


def _mark(b: Builder, address: Value) -> None:
    """SetExclusiveMonitors."""
    b.set(Slot.EXCLUSIVE, 1)
    b.set(Slot.EXCLUSIVE_ADDRESS, address)


def _pass(b: Builder, address: Value) -> Value:
    """ExclusiveMonitorsPass: whether the store may happen; the monitor is open afterwards."""
    b.set(Slot.EXCLUSIVE, 0)
    return b.flag(Slot.EXCLUSIVE) & b.get(Slot.EXCLUSIVE_ADDRESS).eq(address)


def _load_exclusive(b: Builder, i: Decoded, size: int) -> None:
    i.unpredictable_if(i["Rn"] == PC or i["Rt"] == PC or (b.thumb and i["Rt"] == SP))
    address = b.reg(i["Rn"]) + i.get("imm8") * 4
    value = b.load(address, size, size)
    _mark(b, address)
    b.set_reg(i["Rt"], value)


def _store_exclusive(b: Builder, i: Decoded, size: int) -> None:
    d, t, n = i["Rd"], i["Rt"], i["Rn"]
    i.unpredictable_if(PC in (d, t, n) or (b.thumb and SP in (d, t)) or d in (n, t))
    address = b.reg(n) + i.get("imm8") * 4
    passes = _pass(b, address)
    b.store(address, b.reg(t), size, size, when=passes)
    b.set_reg(d, (~passes).zext(32))


@instruction("LDREX", "A8.8.75", """
    A1  cond 00011001 Rn Rt (1111) 1001 (1111)
    T1  11101 00 0 0101 Rn Rt (1111) imm8
""")  # fmt: skip
def ldrex(b: Builder, i: Decoded) -> None:
    _load_exclusive(b, i, 4)


@instruction("LDREXB", "A8.8.76", """
    A1  cond 00011101 Rn Rt (1111) 1001 (1111)
    T1  11101 00 0 1101 Rn Rt (1111) 0100 (1111)
""")  # fmt: skip
def ldrexb(b: Builder, i: Decoded) -> None:
    _load_exclusive(b, i, 1)


@instruction("LDREXH", "A8.8.78", """
    A1  cond 00011111 Rn Rt (1111) 1001 (1111)
    T1  11101 00 0 1101 Rn Rt (1111) 0101 (1111)
""")  # fmt: skip
def ldrexh(b: Builder, i: Decoded) -> None:
    _load_exclusive(b, i, 2)


def _pair(b: Builder, i: Decoded) -> tuple[int, int]:
    t = i["Rt"]
    if b.thumb:
        i.unpredictable_if(bad(t) or bad(i["Rt2"]))
        return t, i["Rt2"]
    i.unpredictable_if(t & 1 == 1 or t == 14)
    return t, t + 1


@instruction("LDREXD", "A8.8.77", """
    A1  cond 00011011 Rn Rt (1111) 1001 (1111)
    T1  11101 00 0 1101 Rn Rt Rt2 0111 (1111)
""")  # fmt: skip
def ldrexd(b: Builder, i: Decoded) -> None:
    t, t2 = _pair(b, i)
    i.unpredictable_if(t == t2 or i["Rn"] == PC)
    address = b.reg(i["Rn"])
    value = b.load(address, 8, 8)
    low, high = value.trunc(32), (value >> 32).trunc(32)
    big_endian = b.flag(Slot.BIG_ENDIAN)
    _mark(b, address)
    # Rt is the word at the lower address, whatever the byte order.
    b.set_reg(t, b.select(big_endian, high, low))
    b.set_reg(t2, b.select(big_endian, low, high))


@instruction("STREX", "A8.8.212", """
    A1  cond 00011000 Rn Rd (1111) 1001 Rt
    T1  11101 00 0 0100 Rn Rt Rd imm8
""")  # fmt: skip
def strex(b: Builder, i: Decoded) -> None:
    _store_exclusive(b, i, 4)


@instruction("STREXB", "A8.8.213", """
    A1  cond 00011100 Rn Rd (1111) 1001 Rt
    T1  11101 00 0 1100 Rn Rt (1111) 0100 Rd
""")  # fmt: skip
def strexb(b: Builder, i: Decoded) -> None:
    _store_exclusive(b, i, 1)


@instruction("STREXH", "A8.8.215", """
    A1  cond 00011110 Rn Rd (1111) 1001 Rt
    T1  11101 00 0 1100 Rn Rt (1111) 0101 Rd
""")  # fmt: skip
def strexh(b: Builder, i: Decoded) -> None:
    _store_exclusive(b, i, 2)


@instruction("STREXD", "A8.8.214", """
    A1  cond 00011010 Rn Rd (1111) 1001 Rt
    T1  11101 00 0 1100 Rn Rt Rt2 0111 Rd
""")  # fmt: skip
def strexd(b: Builder, i: Decoded) -> None:
    t, t2 = _pair(b, i)
    d, n = i["Rd"], i["Rn"]
    i.unpredictable_if(d == PC or n == PC or (b.thumb and d == SP) or d in (n, t, t2))
    address = b.reg(n)
    passes = _pass(b, address)
    low, high = b.reg(t).zext(64), b.reg(t2).zext(64)
    value = b.select(b.flag(Slot.BIG_ENDIAN), low << 32 | high, high << 32 | low)
    b.store(address, value, 8, 8, when=passes)
    b.set_reg(d, (~passes).zext(32))


@instruction("CLREX", "A8.8.32", """
    A1  1111 0101 0111 (1111) (1111) (0000) 0001 (1111)
    T1  11110 0 111 01 1 (1111) 10 (0) 0 (1111) 0010 (1111)
""")  # fmt: skip
def clrex(b: Builder, i: Decoded) -> None:
    b.set(Slot.EXCLUSIVE, 0)


@instruction("SWP", "A8.8.229", """
    word A1  cond 00010 0 00 Rn Rt (0000) 1001 Rt2
    byte A1  cond 00010 1 00 Rn Rt (0000) 1001 Rt2  byte=1
""")  # fmt: skip
def swp(b: Builder, i: Decoded) -> None:
    """SWP, SWPB: deprecated, executed as if SCTLR.SW were 1."""
    n, t, t2 = i["Rn"], i["Rt"], i["Rt2"]
    i.unpredictable_if(PC in (n, t, t2) or n in (t, t2))
    size = 1 if "byte" in i else 4
    address = b.reg(n)
    value = b.load(address, size, size)
    b.store(address, b.reg(t2), size, size)
    b.set_reg(t, value)
