"""Bit fields, extension, reversal, counting: ARM ARM A4.4.6–A4.4.8."""

from __future__ import annotations

from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder


@instruction("BFC", "A8.8.19", """
    A1  cond 0111110 msb:5 Rd lsb:5 001 1111
    T1  11110 (0) 11 011 0 1111 0 imm3 Rd imm2 (0) msb:5
""")  # fmt: skip
def bfc(b: Builder, i: Decoded) -> None:
    """Clear a bit field."""
    low = i["lsb"] if "lsb" in i else i.join("imm3", "imm2")
    i.unpredictable_if(i["Rd"] == 15 or (b.thumb and i["Rd"] == 13) or i["msb"] < low)
    mask = ((1 << (i["msb"] + 1 - low)) - 1) << low
    b.set_reg(i["Rd"], b.reg(i["Rd"]) & ~mask)
