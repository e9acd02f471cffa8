"""Loads and stores of one register: ARM ARM A4.6. All addressing modes and the unprivileged forms.

In User mode an unprivileged load or store is the ordinary one; only the registers that it may name differ.
Word and halfword accesses may be unaligned (SCTLR.A is 0).
"""

from __future__ import annotations

from retrap.machine.arm.pseudocode import (
    PC,
    SP,
    aligned_pc,
    bad,
    ends_it,
    load_write_pc,
    plain_immediate,
    shifted_register,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def address_mode(b: Builder, i: Decoded) -> tuple[Value, Value | None]:
    """The address that an access goes to, and what is written back to Rn (None: nothing).

    P (default 1): index before the access; U (default 1): add; W (default 0): write back. Post-indexing always
    writes back. The offset is Rm, shifted, or an immediate.
    """
    n = i["Rn"]
    base = aligned_pc(b) if n == PC else b.reg(n)
    offset: Value | int
    if "Rm" in i:
        i.unpredictable_if(i["Rm"] == PC or (b.thumb and i.encoding.size == 4 and i["Rm"] == SP))
        offset = shifted_register(b, i)
    else:
        offset = plain_immediate(i)
    moved = base + offset if i.get("U", 1) else base - offset
    before = i.get("P", 1)
    return (moved if before else base), (moved if writes_back(i) else None)


def writes_back(i: Decoded) -> bool:
    return i.get("W") == 1 or i.get("P", 1) == 0


def _write_back(b: Builder, i: Decoded, moved: Value | None) -> None:
    if moved is not None:
        b.set_reg(i["Rn"], moved)


def _check(b: Builder, i: Decoded, store: bool, word: bool) -> None:
    """Which registers may be named. `word`: a whole register, so LDR may load PC and STR (A32) store it."""
    t, n = i["Rt"], i["Rn"]
    wide = b.thumb and i.encoding.size == 4
    # T32 has no store relative to PC, and no form without index and write-back.
    i.undefined_if(wide and ((store and n == PC) or ("P" in i and i["P"] == 0 and i["W"] == 0)))
    i.unpredictable_if(writes_back(i) and (n in (PC, t)))
    if "unprivileged" in i:
        i.unpredictable_if(t == PC or (wide and t == SP) or (not b.thumb and n == PC))
    elif not word or (store and b.thumb):
        i.unpredictable_if(t == PC or (wide and not word and t == SP))
    if t == PC:
        ends_it(b, i)


def _load(b: Builder, i: Decoded, size: int, signed: bool = False) -> None:
    _check(b, i, store=False, word=size == 4)
    address, moved = address_mode(b, i)
    value = b.load(address, size)
    _write_back(b, i, moved)
    if i["Rt"] == PC:
        load_write_pc(b, value)
    else:
        b.set_reg(i["Rt"], value.sign_extend(8 * size) if signed else value)


def _store(b: Builder, i: Decoded, size: int) -> None:
    _check(b, i, store=True, word=size == 4)
    address, moved = address_mode(b, i)
    b.store(address, b.reg(i["Rt"]), size)  # PC stores as the address of this instruction + 8
    _write_back(b, i, moved)


@instruction("LDR", "A8.8.62-A8.8.66", """
    immediate A1    cond 010 P U 0 W 1 Rn Rt imm12
    immediate T1    011 0 1 imm5 Rn:3 Rt:3  scale=4
    immediate T2    1001 1 Rt:3 imm8  Rn=13 scale=4
    immediate T3    11111 00 0 1 10 1 Rn Rt imm12  Rn!=15
    immediate T4    11111 00 0 0 10 1 Rn Rt 1 P U W imm8 Rn!=15
    literal T1      01001 Rt:3 imm8  Rn=15 scale=4
    literal T2      11111 00 0 U 10 1 1111 Rt imm12  Rn=15
    register A1     cond 011 P U 0 W 1 Rn Rt imm5 type 0 Rm
    register T1     0101 100 Rm:3 Rn:3 Rt:3
    register T2     11111 00 0 0 10 1 Rn Rt 0 00000 imm2 Rm Rn!=15
""")  # fmt: skip
def ldr(b: Builder, i: Decoded) -> None:
    _load(b, i, 4)


@instruction("LDRB", "A8.8.67-A8.8.70", """
    immediate A1    cond 010 P U 1 W 1 Rn Rt imm12
    immediate T1    011 1 1 imm5 Rn:3 Rt:3
    immediate T2    11111 00 0 1 00 1 Rn Rt imm12  Rn!=15
    immediate T3    11111 00 0 0 00 1 Rn Rt 1 P U W imm8 Rn!=15
    literal T1      11111 00 0 U 00 1 1111 Rt imm12  Rn=15
    register A1     cond 011 P U 1 W 1 Rn Rt imm5 type 0 Rm
    register T1     0101 110 Rm:3 Rn:3 Rt:3
    register T2     11111 00 0 0 00 1 Rn Rt 0 00000 imm2 Rm Rn!=15
""")  # fmt: skip
def ldrb(b: Builder, i: Decoded) -> None:
    _load(b, i, 1)


@instruction("LDRH", "A8.8.79-A8.8.82", """
    immediate A1    cond 000 P U 1 W 1 Rn Rt imm4H 1 01 1 imm4L
    immediate T1    100 0 1 imm5 Rn:3 Rt:3  scale=2
    immediate T2    11111 00 0 1 01 1 Rn Rt imm12  Rn!=15
    immediate T3    11111 00 0 0 01 1 Rn Rt 1 P U W imm8 Rn!=15
    literal T1      11111 00 0 U 01 1 1111 Rt imm12  Rn=15
    register A1     cond 000 P U 0 W 1 Rn Rt (0000) 1 01 1 Rm
    register T1     0101 101 Rm:3 Rn:3 Rt:3
    register T2     11111 00 0 0 01 1 Rn Rt 0 00000 imm2 Rm Rn!=15
""")  # fmt: skip
def ldrh(b: Builder, i: Decoded) -> None:
    _load(b, i, 2)


@instruction("LDRSB", "A8.8.84-A8.8.86", """
    immediate A1    cond 000 P U 1 W 1 Rn Rt imm4H 1 10 1 imm4L
    immediate T1    11111 00 1 1 00 1 Rn Rt imm12  Rn!=15
    immediate T2    11111 00 1 0 00 1 Rn Rt 1 P U W imm8 Rn!=15
    literal T1      11111 00 1 U 00 1 1111 Rt imm12  Rn=15
    register A1     cond 000 P U 0 W 1 Rn Rt (0000) 1 10 1 Rm
    register T1     0101 011 Rm:3 Rn:3 Rt:3
    register T2     11111 00 1 0 00 1 Rn Rt 0 00000 imm2 Rm Rn!=15
""")  # fmt: skip
def ldrsb(b: Builder, i: Decoded) -> None:
    _load(b, i, 1, signed=True)


@instruction("LDRSH", "A8.8.88-A8.8.90", """
    immediate A1    cond 000 P U 1 W 1 Rn Rt imm4H 1 11 1 imm4L
    immediate T1    11111 00 1 1 01 1 Rn Rt imm12  Rn!=15
    immediate T2    11111 00 1 0 01 1 Rn Rt 1 P U W imm8 Rn!=15
    literal T1      11111 00 1 U 01 1 1111 Rt imm12  Rn=15
    register A1     cond 000 P U 0 W 1 Rn Rt (0000) 1 11 1 Rm
    register T1     0101 111 Rm:3 Rn:3 Rt:3
    register T2     11111 00 1 0 01 1 Rn Rt 0 00000 imm2 Rm Rn!=15
""")  # fmt: skip
def ldrsh(b: Builder, i: Decoded) -> None:
    _load(b, i, 2, signed=True)


@instruction("STR", "A8.8.203-A8.8.205", """
    immediate A1    cond 010 P U 0 W 0 Rn Rt imm12
    immediate T1    011 0 0 imm5 Rn:3 Rt:3  scale=4
    immediate T2    1001 0 Rt:3 imm8  Rn=13 scale=4
    immediate T3    11111 00 0 1 10 0 Rn Rt imm12
    immediate T4    11111 00 0 0 10 0 Rn Rt 1 P U W imm8
    register A1     cond 011 P U 0 W 0 Rn Rt imm5 type 0 Rm
    register T1     0101 000 Rm:3 Rn:3 Rt:3
    register T2     11111 00 0 0 10 0 Rn Rt 0 00000 imm2 Rm
""")  # fmt: skip
def str_(b: Builder, i: Decoded) -> None:
    _store(b, i, 4)


@instruction("STRB", "A8.8.206-A8.8.208", """
    immediate A1    cond 010 P U 1 W 0 Rn Rt imm12
    immediate T1    011 1 0 imm5 Rn:3 Rt:3
    immediate T2    11111 00 0 1 00 0 Rn Rt imm12
    immediate T3    11111 00 0 0 00 0 Rn Rt 1 P U W imm8
    register A1     cond 011 P U 1 W 0 Rn Rt imm5 type 0 Rm
    register T1     0101 010 Rm:3 Rn:3 Rt:3
    register T2     11111 00 0 0 00 0 Rn Rt 0 00000 imm2 Rm
""")  # fmt: skip
def strb(b: Builder, i: Decoded) -> None:
    _store(b, i, 1)


@instruction("STRH", "A8.8.216-A8.8.218", """
    immediate A1    cond 000 P U 1 W 0 Rn Rt imm4H 1 01 1 imm4L
    immediate T1    100 0 0 imm5 Rn:3 Rt:3  scale=2
    immediate T2    11111 00 0 1 01 0 Rn Rt imm12
    immediate T3    11111 00 0 0 01 0 Rn Rt 1 P U W imm8
    register A1     cond 000 P U 0 W 0 Rn Rt (0000) 1 01 1 Rm
    register T1     0101 001 Rm:3 Rn:3 Rt:3
    register T2     11111 00 0 0 01 0 Rn Rt 0 00000 imm2 Rm
""")  # fmt: skip
def strh(b: Builder, i: Decoded) -> None:
    _store(b, i, 2)


# -- unprivileged: post-indexed in A32, an offset in T32 -----------------------------------------------------


@instruction("LDRT", "A8.8.92", """
    A1  cond 010 0 U 0 1 1 Rn Rt imm12  P=0 unprivileged=1
    A2  cond 011 0 U 0 1 1 Rn Rt imm5 type 0 Rm  P=0 unprivileged=1
    T1  11111 00 0 0 10 1 Rn Rt 1 110 imm8  unprivileged=1 Rn!=15
""")  # fmt: skip
def ldrt(b: Builder, i: Decoded) -> None:
    _load(b, i, 4)


@instruction("LDRBT", "A8.8.71", """
    A1  cond 010 0 U 1 1 1 Rn Rt imm12  P=0 unprivileged=1
    A2  cond 011 0 U 1 1 1 Rn Rt imm5 type 0 Rm  P=0 unprivileged=1
    T1  11111 00 0 0 00 1 Rn Rt 1 110 imm8  unprivileged=1 Rn!=15
""")  # fmt: skip
def ldrbt(b: Builder, i: Decoded) -> None:
    _load(b, i, 1)


@instruction("LDRHT", "A8.8.83", """
    A1  cond 000 0 U 1 1 1 Rn Rt imm4H 1 01 1 imm4L  P=0 unprivileged=1
    A2  cond 000 0 U 0 1 1 Rn Rt (0000) 1 01 1 Rm  P=0 unprivileged=1
    T1  11111 00 0 0 01 1 Rn Rt 1 110 imm8  unprivileged=1 Rn!=15
""")  # fmt: skip
def ldrht(b: Builder, i: Decoded) -> None:
    _load(b, i, 2)


@instruction("LDRSBT", "A8.8.87", """
    A1  cond 000 0 U 1 1 1 Rn Rt imm4H 1 10 1 imm4L  P=0 unprivileged=1
    A2  cond 000 0 U 0 1 1 Rn Rt (0000) 1 10 1 Rm  P=0 unprivileged=1
    T1  11111 00 1 0 00 1 Rn Rt 1 110 imm8  unprivileged=1 Rn!=15
""")  # fmt: skip
def ldrsbt(b: Builder, i: Decoded) -> None:
    _load(b, i, 1, signed=True)


@instruction("LDRSHT", "A8.8.91", """
    A1  cond 000 0 U 1 1 1 Rn Rt imm4H 1 11 1 imm4L  P=0 unprivileged=1
    A2  cond 000 0 U 0 1 1 Rn Rt (0000) 1 11 1 Rm  P=0 unprivileged=1
    T1  11111 00 1 0 01 1 Rn Rt 1 110 imm8  unprivileged=1 Rn!=15
""")  # fmt: skip
def ldrsht(b: Builder, i: Decoded) -> None:
    _load(b, i, 2, signed=True)


@instruction("STRT", "A8.8.220", """
    A1  cond 010 0 U 0 1 0 Rn Rt imm12  P=0 unprivileged=1
    A2  cond 011 0 U 0 1 0 Rn Rt imm5 type 0 Rm  P=0 unprivileged=1
    T1  11111 00 0 0 10 0 Rn Rt 1 110 imm8  unprivileged=1
""")  # fmt: skip
def strt(b: Builder, i: Decoded) -> None:
    """The A32 forms may store PC."""
    if i["Rt"] == PC and not b.thumb:
        i.unpredictable_if(writes_back(i) and i["Rn"] in (PC, i["Rt"]))
        address, moved = address_mode(b, i)
        b.store(address, b.reg(PC), 4)
        _write_back(b, i, moved)
    else:
        _store(b, i, 4)


@instruction("STRBT", "A8.8.209", """
    A1  cond 010 0 U 1 1 0 Rn Rt imm12  P=0 unprivileged=1
    A2  cond 011 0 U 1 1 0 Rn Rt imm5 type 0 Rm  P=0 unprivileged=1
    T1  11111 00 0 0 00 0 Rn Rt 1 110 imm8  unprivileged=1
""")  # fmt: skip
def strbt(b: Builder, i: Decoded) -> None:
    _store(b, i, 1)


@instruction("STRHT", "A8.8.219", """
    A1  cond 000 0 U 1 1 0 Rn Rt imm4H 1 01 1 imm4L  P=0 unprivileged=1
    A2  cond 000 0 U 0 1 0 Rn Rt (0000) 1 01 1 Rm  P=0 unprivileged=1
    T1  11111 00 0 0 01 0 Rn Rt 1 110 imm8  unprivileged=1
""")  # fmt: skip
def strht(b: Builder, i: Decoded) -> None:
    _store(b, i, 2)


# -- preload hints: no effect, and no fault ------------------------------------------------------------------


@instruction("PLD", "A8.8.126-A8.8.128", """
    immediate A1    1111 0101 U R 01 Rn (1111) imm12
    immediate T1    11111 00 0 1 0 W 1 Rn 1111 imm12  Rn!=15
    immediate T2    11111 00 0 0 0 W 1 Rn 1111 1100 imm8 Rn!=15
    literal T1      11111 00 0 U 0 (0) 1 1111 1111 imm12
    register A1     1111 0111 U R 01 Rn (1111) imm5 type 0 Rm
    register T1     11111 00 0 0 0 W 1 Rn 1111 0 00000 imm2 Rm Rn!=15
""")  # fmt: skip
def pld(b: Builder, i: Decoded) -> None:
    """PLD, and PLDW where R is 0 (A32) or W is 1 (T32)."""
    i.unpredictable_if("Rm" in i and (i["Rm"] == PC or (b.thumb and i["Rm"] == SP)))
    i.unpredictable_if(not b.thumb and i["Rn"] == PC and i["R"] == 0)


@instruction("PLI", "A8.8.129-A8.8.130", """
    immediate A1    1111 0100 U 1 01 Rn (1111) imm12
    immediate T1    11111 00 1 1 00 1 Rn 1111 imm12  Rn!=15
    immediate T2    11111 00 1 0 00 1 Rn 1111 1100 imm8 Rn!=15
    literal T3      11111 00 1 U 00 1 1111 1111 imm12
    register A1     1111 0110 U 1 01 Rn (1111) imm5 type 0 Rm
    register T1     11111 00 1 0 00 1 Rn 1111 0 00000 imm2 Rm Rn!=15
""")  # fmt: skip
def pli(b: Builder, i: Decoded) -> None:
    i.unpredictable_if("Rm" in i and (i["Rm"] == PC or (b.thumb and bad(i["Rm"]))))


@instruction("Unallocated memory hint", "A5.7.1, A6.3.8", """
    immediate A1    1111 0100 U 0 01 Rn any:16
    register A1     1111 0110 U 0 01 Rn any:11 0 any2:4
    immediate T1    11111 00 1 1 01 1 Rn 1111 imm12  Rn!=15
    immediate T2    11111 00 1 0 01 1 Rn 1111 1100 imm8 Rn!=15
    literal T1      11111 00 1 U 01 1 1111 1111 imm12
    register T1     11111 00 1 0 01 1 Rn 1111 0 00000 imm2 Rm Rn!=15
""")  # fmt: skip
def memory_hint(b: Builder, i: Decoded) -> None:
    """Executes as NOP."""
