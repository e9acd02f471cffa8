"""Loads and stores of two and of many registers: ARM ARM A4.7, A8.8.72. Every word must be word-aligned.

Registers move in ascending order at ascending addresses. An abort in the middle leaves all registers as they
were, the base included; words stored before it stay stored (the instruction restarts from the beginning).
LDM with the S bit (user registers, exception return) is UNPREDICTABLE in User mode, and so has no encoding here.
"""

from __future__ import annotations

from retrap.machine.arm.instructions.load_store import address_mode, writes_back
from retrap.machine.arm.pseudocode import PC, SP, bad, ends_it, load_write_pc
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def _registers(i: Decoded) -> list[int]:
    """The numbers in the register list; encodings with few bits have LR (M) and PC (P) apart."""
    mask = i["registers"] | i.get("M") << 14 | i.get("P") << 15
    return [n for n in range(16) if mask >> n & 1]


def _check(b: Builder, i: Decoded, registers: list[int]) -> None:
    i.unpredictable_if(not registers or i["Rn"] == PC)
    if b.thumb and i.encoding.size == 4:
        i.unpredictable_if(len(registers) < 2)


def _load_multiple(b: Builder, i: Decoded, start: Value, end: Value) -> None:
    """Load the list from `start`; write `end` back if W (the 16-bit LDM: unless the base is loaded)."""
    n, registers = i["Rn"], _registers(i)
    _check(b, i, registers)
    back = n not in registers if "unless_loaded" in i else i["W"] == 1
    i.unpredictable_if(back and n in registers)
    if b.thumb:
        i.unpredictable_if(PC in registers and 14 in registers and i.encoding.size == 4)
    if PC in registers:
        ends_it(b, i)
    values = [b.load(start + 4 * k, 4, 4) for k in range(len(registers))]
    if back:
        b.set_reg(n, end)
    for register, value in zip(registers, values, strict=True):
        if register == PC:
            load_write_pc(b, value)
        else:
            b.set_reg(register, value)


def _store_multiple(b: Builder, i: Decoded, start: Value, end: Value) -> None:
    n, registers = i["Rn"], _registers(i)
    _check(b, i, registers)
    i.unpredictable_if(b.thumb and i.encoding.size == 4 and i["W"] == 1 and n in registers)
    # A base that is stored but not first, with write-back, is UNKNOWN in memory: here its old value.
    for k, register in enumerate(registers):
        b.store(start + 4 * k, b.reg(register), 4, 4)
    if i["W"]:
        b.set_reg(n, end)


def _bytes(i: Decoded) -> int:
    return 4 * len(_registers(i))


@instruction("LDM", "A8.8.57-A8.8.58", """
    A1  cond 100010 W 1 Rn registers:16
    T1  1100 1 Rn:3 registers:8  unless_loaded=1
    T2  11101 00 010 W 1 Rn P M (0) registers:13
""")  # fmt: skip
def ldm(b: Builder, i: Decoded) -> None:
    """LDMIA; POP of several registers in A32 and T2."""
    base = b.reg(i["Rn"])
    _load_multiple(b, i, base, base + _bytes(i))


@instruction("LDMDA", "A8.8.59", """
    A1  cond 100000 W 1 Rn registers:16
""")  # fmt: skip
def ldmda(b: Builder, i: Decoded) -> None:
    base = b.reg(i["Rn"])
    _load_multiple(b, i, base - _bytes(i) + 4, base - _bytes(i))


@instruction("LDMDB", "A8.8.60", """
    A1  cond 100100 W 1 Rn registers:16
    T1  11101 00 100 W 1 Rn P M (0) registers:13
""")  # fmt: skip
def ldmdb(b: Builder, i: Decoded) -> None:
    base = b.reg(i["Rn"])
    _load_multiple(b, i, base - _bytes(i), base - _bytes(i))


@instruction("LDMIB", "A8.8.61", """
    A1  cond 100110 W 1 Rn registers:16
""")  # fmt: skip
def ldmib(b: Builder, i: Decoded) -> None:
    base = b.reg(i["Rn"])
    _load_multiple(b, i, base + 4, base + _bytes(i))


@instruction("POP", "A8.8.131", """
    T1  1011 1 10 P registers:8  Rn=13 W=1
""")  # fmt: skip
def pop(b: Builder, i: Decoded) -> None:
    """The 16-bit form; the others are LDM and LDR."""
    base = b.reg(SP)
    _load_multiple(b, i, base, base + _bytes(i))


@instruction("STM", "A8.8.199", """
    A1  cond 100010 W 0 Rn registers:16
    T1  1100 0 Rn:3 registers:8  W=1
    T2  11101 00 010 W 0 Rn (0) M (0) registers:13
""")  # fmt: skip
def stm(b: Builder, i: Decoded) -> None:
    """STMIA."""
    base = b.reg(i["Rn"])
    _store_multiple(b, i, base, base + _bytes(i))


@instruction("STMDA", "A8.8.200", """
    A1  cond 100000 W 0 Rn registers:16
""")  # fmt: skip
def stmda(b: Builder, i: Decoded) -> None:
    base = b.reg(i["Rn"])
    _store_multiple(b, i, base - _bytes(i) + 4, base - _bytes(i))


@instruction("STMDB", "A8.8.201", """
    A1  cond 100100 W 0 Rn registers:16
    T1  11101 00 100 W 0 Rn (0) M (0) registers:13
""")  # fmt: skip
def stmdb(b: Builder, i: Decoded) -> None:
    """PUSH of several registers in A32 and T2."""
    base = b.reg(i["Rn"])
    _store_multiple(b, i, base - _bytes(i), base - _bytes(i))


@instruction("STMIB", "A8.8.202", """
    A1  cond 100110 W 0 Rn registers:16
""")  # fmt: skip
def stmib(b: Builder, i: Decoded) -> None:
    base = b.reg(i["Rn"])
    _store_multiple(b, i, base + 4, base + _bytes(i))


@instruction("PUSH", "A8.8.133", """
    T1  1011 0 10 M registers:8  Rn=13 W=1
""")  # fmt: skip
def push(b: Builder, i: Decoded) -> None:
    """The 16-bit form; the others are STMDB and STR."""
    base = b.reg(SP)
    _store_multiple(b, i, base - _bytes(i), base - _bytes(i))


# -- two registers -------------------------------------------------------------------------------------------


def _pair(b: Builder, i: Decoded) -> tuple[int, int]:
    """Rt and Rt2. A32 names an even register and means the next one too."""
    t = i["Rt"]
    if b.thumb:
        t2 = i["Rt2"]
        i.undefined_if(i["P"] == 0 and i["W"] == 0)  # the space of the exclusives and table branches
        i.unpredictable_if(bad(t) or bad(t2))
        i.unpredictable_if(writes_back(i) and i["Rn"] in (PC, t, t2))
    else:
        t2 = t + 1
        i.unpredictable_if(t & 1 == 1 or t2 == PC)
        i.unpredictable_if(i["P"] == 0 and i["W"] == 1)
        i.unpredictable_if(writes_back(i) and i["Rn"] in (PC, t, t2))
    return t, t2


@instruction("LDRD", "A8.8.72-A8.8.74", """
    immediate A1    cond 000 P U 1 W 0 Rn Rt imm4H 1101 imm4L
    immediate T1    11101 00 P U 1 W 1 Rn Rt Rt2 imm8  scale=4
    register A1     cond 000 P U 0 W 0 Rn Rt (0000) 1101 Rm
""")  # fmt: skip
def ldrd(b: Builder, i: Decoded) -> None:
    t, t2 = _pair(b, i)
    i.unpredictable_if(b.thumb and t == t2)
    i.unpredictable_if("Rm" in i and i["Rm"] in (t, t2))
    address, moved = address_mode(b, i)
    low, high = b.load(address, 4, 4), b.load(address + 4, 4, 4)
    if moved is not None:
        b.set_reg(i["Rn"], moved)
    b.set_reg(t, low)
    b.set_reg(t2, high)


@instruction("STRD", "A8.8.210-A8.8.211", """
    immediate A1    cond 000 P U 1 W 0 Rn Rt imm4H 1111 imm4L
    immediate T1    11101 00 P U 1 W 0 Rn Rt Rt2 imm8  scale=4
    register A1     cond 000 P U 0 W 0 Rn Rt (0000) 1111 Rm
""")  # fmt: skip
def strd(b: Builder, i: Decoded) -> None:
    t, t2 = _pair(b, i)
    i.unpredictable_if(b.thumb and i["Rn"] == PC)
    address, moved = address_mode(b, i)
    b.store(address, b.reg(t), 4, 4)
    b.store(address + 4, b.reg(t2), 4, 4)
    if moved is not None:
        b.set_reg(i["Rn"], moved)
