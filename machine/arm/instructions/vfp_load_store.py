"""Extension register loads and stores: ARM ARM A7.6. Element and structure loads are in `neon_load_store`.

Addresses are word-aligned, or the access gives an alignment fault (A3.2.1), whatever SCTLR.A says. A doubleword is
one access here: two words would be indistinguishable, since both lie in one aligned pair or one page each.
"""

from __future__ import annotations

from retrap.machine.arm.instructions.vfp_state import (
    doubleword,
    read_d,
    read_s,
    require_enabled,
    singleword,
    write_d,
    write_s,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def _address(b: Builder, i: Decoded) -> Value:
    """Base register plus or minus offset; a PC base is word-aligned."""
    base = b.reg(i["Rn"])
    if i["Rn"] == 15:
        base = base & ~3
    offset = i["imm8"] << 2
    return base + offset if i["U"] else base - offset


@instruction("VLDR", "A8.8.333", """
    double  T1/A1  cond 1101 U D 01 Rn Vd 1011 imm8
    single  T2/A2  cond 1101 U D 01 Rn Vd 1010 imm8  single=1
""")  # fmt: skip
def vldr(b: Builder, i: Decoded) -> None:
    require_enabled(b)
    if "single" in i:
        write_s(b, singleword(i, "d"), b.load(_address(b, i), 4, 4))
    else:
        write_d(b, doubleword(i, "d"), b.load(_address(b, i), 8, 4))


@instruction("VSTR", "A8.8.413", """
    double  T1/A1  cond 1101 U D 00 Rn Vd 1011 imm8
    single  T2/A2  cond 1101 U D 00 Rn Vd 1010 imm8  single=1
""")  # fmt: skip
def vstr(b: Builder, i: Decoded) -> None:
    i.unpredictable_if(i.thumb and i["Rn"] == 15)
    require_enabled(b)
    if "single" in i:
        b.store(_address(b, i), read_s(b, singleword(i, "d")), 4, 4)
    else:
        b.store(_address(b, i), read_d(b, doubleword(i, "d")), 8, 4)


def _first_address(b: Builder, i: Decoded) -> Value:
    """Where a multiple transfer starts; also schedules the write-back of the base."""
    base, offset = b.reg(i["Rn"]), i["imm8"] << 2
    if i["Rn"] == 15:
        base = base & ~3
    first = base if i["U"] else base - offset
    if i["W"]:
        b.set_reg(i["Rn"], base + offset if i["U"] else first)
    return first


def _range(i: Decoded) -> tuple[int, int]:
    """First register and count. Doubleword forms with an odd imm8 are FLDMX, FSTMX: a word more is skipped."""
    i.unpredictable_if(i["Rn"] == 15 and (i["W"] == 1 or i.thumb))
    if "single" in i:
        first, count = singleword(i, "d"), i["imm8"]
    else:
        first, count = doubleword(i, "d"), i["imm8"] >> 1
        i.unpredictable_if(count > 16)
    i.unpredictable_if(count == 0 or first + count > 32)
    return first, count


@instruction("VLDM, VPOP, FLDMX", "A8.8.332, A8.8.367", """
    VLDMIA double  T1/A1  cond 110 01 D W:1 1 Rn Vd 1011 imm8  U=1
    VLDMDB double  T1/A1  cond 110 10 D 1 1 Rn Vd 1011 imm8  U=0 W=1
    VLDMIA single  T2/A2  cond 110 01 D W:1 1 Rn Vd 1010 imm8  U=1 single=1
    VLDMDB single  T2/A2  cond 110 10 D 1 1 Rn Vd 1010 imm8  U=0 W=1 single=1
    VPOP double    T1/A1  cond 110 01 D 1 1 1101 Vd 1011 imm8  U=1 W=1 Rn=13
    VPOP single    T2/A2  cond 110 01 D 1 1 1101 Vd 1010 imm8  U=1 W=1 Rn=13 single=1
""")  # fmt: skip
def vldm(b: Builder, i: Decoded) -> None:
    first, count = _range(i)
    require_enabled(b)
    address = _first_address(b, i)
    for index in range(count):
        if "single" in i:
            write_s(b, first + index, b.load(address + 4 * index, 4, 4))
        else:
            write_d(b, first + index, b.load(address + 8 * index, 8, 4))


@instruction("VSTM, VPUSH, FSTMX", "A8.8.412, A8.8.368", """
    VSTMIA double  T1/A1  cond 110 01 D W:1 0 Rn Vd 1011 imm8  U=1
    VSTMDB double  T1/A1  cond 110 10 D 1 0 Rn Vd 1011 imm8  U=0 W=1
    VSTMIA single  T2/A2  cond 110 01 D W:1 0 Rn Vd 1010 imm8  U=1 single=1
    VSTMDB single  T2/A2  cond 110 10 D 1 0 Rn Vd 1010 imm8  U=0 W=1 single=1
    VPUSH double   T1/A1  cond 110 10 D 1 0 1101 Vd 1011 imm8  U=0 W=1 Rn=13
    VPUSH single   T2/A2  cond 110 10 D 1 0 1101 Vd 1010 imm8  U=0 W=1 Rn=13 single=1
""")  # fmt: skip
def vstm(b: Builder, i: Decoded) -> None:
    first, count = _range(i)
    require_enabled(b)
    address = _first_address(b, i)
    for index in range(count):
        if "single" in i:
            b.store(address + 4 * index, read_s(b, first + index), 4, 4)
        else:
            b.store(address + 8 * index, read_d(b, first + index), 8, 4)
