"""Branches: ARM ARM A4.3."""

from __future__ import annotations

from retrap.machine.arm.pseudocode import LR, PC, SP, aligned_pc, ends_it, in_it
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


def _long_offset(i: Decoded, low: str) -> int:
    """S:I1:I2:imm10:low:0, where I1 = NOT(J1 EOR S), I2 = NOT(J2 EOR S)."""
    s = i["S"]
    i1, i2 = ~(i["J1"] ^ s) & 1, ~(i["J2"] ^ s) & 1
    return _signed(((s << 1 | i1) << 1 | i2) << 22 | i["imm10"] << 12 | i[low] << (1 if low == "imm11" else 2), 25)


@instruction("B", "A8.8.18", """
    A1  cond 1010 imm24
    T1  1101 cond imm8
    T2  11100 imm11
    T3  11110 S cond imm6 10 J1 0 J2 imm11
    T4  11110 S imm10 10 J1 1 J2 imm11
""")  # fmt: skip
def b_(b: Builder, i: Decoded) -> None:
    match i.encoding.label:
        case "A1":
            offset = _signed(i["imm24"] << 2, 26)
        case "T1":
            offset = _signed(i["imm8"] << 1, 9)
        case "T2":
            offset = _signed(i["imm11"] << 1, 12)
        case "T3":
            i.undefined_if(i["cond"] >= 14)
            offset = _signed(i.join("S", "J2", "J1", "imm6", "imm11") << 1, 21)
        case _:
            offset = _long_offset(i, "imm11")
    if b.thumb and "cond" in i:
        i.unpredictable_if(in_it(b))
    ends_it(b, i)
    b.branch_to(b.pc() + (offset & 0xFFFFFFFF))


@instruction("BL", "A8.8.25", """
    A1  cond 1011 imm24
    T1  11110 S imm10 11 J1 1 J2 imm11
""")  # fmt: skip
def bl(b: Builder, i: Decoded) -> None:
    ends_it(b, i)
    offset = _long_offset(i, "imm11") if b.thumb else _signed(i["imm24"] << 2, 26)
    b.set_reg(LR, b.get(Slot.PC) + b.size | (1 if b.thumb else 0))
    b.branch_to(b.pc() + (offset & 0xFFFFFFFF))


@instruction("BLX (immediate)", "A8.8.25", """
    A2  1111 101 H imm24
    T2  11110 S imm10 11 J1 0 J2 imm10L:10 H
""")  # fmt: skip
def blx_immediate(b: Builder, i: Decoded) -> None:
    """Calls the other instruction set."""
    ends_it(b, i)
    if b.thumb:
        i.undefined_if(i["H"] == 1)
        offset = _long_offset(i, "imm10L")
    else:
        offset = _signed(i["imm24"] << 2 | i["H"] << 1, 26)
    b.set_reg(LR, b.get(Slot.PC) + b.size | (1 if b.thumb else 0))
    target = aligned_pc(b) + (offset & 0xFFFFFFFF)
    b.branch_exchange(target if b.thumb else target | 1)


@instruction("BLX (register)", "A8.8.26", """
    A1  cond 00010010 (111111111111) 0011 Rm
    T1  010001 11 1 Rm (000)
""")  # fmt: skip
def blx_register(b: Builder, i: Decoded) -> None:
    i.unpredictable_if(i["Rm"] == PC)
    ends_it(b, i)
    target = b.reg(i["Rm"])
    b.set_reg(LR, b.get(Slot.PC) + b.size | (1 if b.thumb else 0))
    b.branch_exchange(target)


@instruction("BX", "A8.8.27", """
    A1  cond 00010010 (111111111111) 0001 Rm
    T1  010001 11 0 Rm (000)
""")  # fmt: skip
def bx(b: Builder, i: Decoded) -> None:
    ends_it(b, i)
    b.branch_exchange(b.reg(i["Rm"]))


@instruction("BXJ", "A8.8.28", """
    A1  cond 00010010 (111111111111) 0010 Rm
    T1  11110 0 1111 00 Rm 10 (0) 0 (1111) (00000000)
""")  # fmt: skip
def bxj(b: Builder, i: Decoded) -> None:
    """The Jazelle extension is the trivial one: as BX (B1.11)."""
    i.unpredictable_if(i["Rm"] == PC or (b.thumb and i["Rm"] == SP))
    ends_it(b, i)
    b.branch_exchange(b.reg(i["Rm"]))


@instruction("CBZ, CBNZ", "A8.8.29", """
    T1  1011 op 0 i 1 imm5 Rn:3
""")  # fmt: skip
def cbz(b: Builder, i: Decoded) -> None:
    i.unpredictable_if(in_it(b))
    zero = b.reg(i["Rn"]).eq(0)
    target = b.pc() + (i.join("i", "imm5") << 1)
    b.branch_to(b.select(~zero if i["op"] else zero, target, b.get(Slot.PC) + b.size))


@instruction("TBB, TBH", "A8.8.236", """
    T1  11101 00 0 1101 Rn (1111) (0000) 000 H Rm
""")  # fmt: skip
def tbb(b: Builder, i: Decoded) -> None:
    """Branch forward by twice the byte or halfword at Rn[Rm]."""
    i.unpredictable_if(i["Rn"] == SP or i["Rm"] in (SP, PC))
    ends_it(b, i)
    index = b.reg(i["Rm"])
    entry = b.load(b.reg(i["Rn"]) + (index << 1), 2) if i["H"] else b.load(b.reg(i["Rn"]) + index, 1)
    b.branch_to(b.pc() + (entry << 1))
