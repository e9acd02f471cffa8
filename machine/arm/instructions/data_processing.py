"""Standard data processing: ARM ARM A4.4.1. Immediate, register and register-shifted register forms together."""

from __future__ import annotations

from retrap.machine.arm.pseudocode import (
    PC,
    SP,
    add,
    add_with_carry,
    aligned_pc,
    alu_write_pc,
    bad,
    ends_it,
    immediate_shift,
    operand2,
    plain_immediate,
    set_nz,
    set_nzcv,
    sets_flags,
    subtract,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder, Value


def _check(b: Builder, i: Decoded, destination: bool = True, first: bool = True) -> None:
    """Which registers these instructions may name (A5.2.2, A6.1.2)."""
    forbidden: tuple[int, ...] = ()
    if b.thumb:
        forbidden = (SP, PC) if i.encoding.size == 4 else ()
    elif "Rs" in i:
        forbidden = (PC,)
    d = i.get("Rd")
    i.unpredictable_if(
        (destination and d in forbidden)
        or (first and i.get("Rn") in forbidden)
        or i.get("Rm") in forbidden
        or i.get("Rs") in forbidden
    )
    # SUBS PC, LR and the like return from an exception: UNPREDICTABLE in User mode (B9.3.20).
    i.unpredictable_if(destination and d == PC and sets_flags(b, i))


def _write(b: Builder, i: Decoded, result: Value) -> None:
    if i["Rd"] == PC:
        alu_write_pc(b, result)
    else:
        b.set_reg(i["Rd"], result)


def _logical(b: Builder, i: Decoded, result: Value, carry: Value | None, write: bool = True) -> None:
    """Write the result and, for a logical operation, N, Z and the shifter's carry."""
    if write:
        _write(b, i, result)
    if not write or sets_flags(b, i):
        set_nz(b, result)
        if carry is not None:
            b.set(Slot.C, carry)


def _arithmetic(b: Builder, i: Decoded, sums: tuple[Value, Value, Value]) -> None:
    _write(b, i, sums[0])
    if sets_flags(b, i):
        set_nzcv(b, *sums)


@instruction("AND", "A8.8.13-A8.8.15", """
    immediate A1                    cond 001 0000 S Rn Rd imm12
    immediate T1                    11110 i 0 0000 S Rn 0 imm3 Rd imm8
    register A1                     cond 000 0000 S Rn Rd imm5 type 0 Rm
    register T1                     010000 0000 Rm:3 Rdn:3  S=it
    register T2                     11101 01 0000 S Rn (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 0000 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def and_(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, carry = operand2(b, i)
    _logical(b, i, b.reg(i["Rn"]) & operand, carry)


@instruction("EOR", "A8.8.46-A8.8.48", """
    immediate A1                    cond 001 0001 S Rn Rd imm12
    immediate T1                    11110 i 0 0100 S Rn 0 imm3 Rd imm8
    register A1                     cond 000 0001 S Rn Rd imm5 type 0 Rm
    register T1                     010000 0001 Rm:3 Rdn:3  S=it
    register T2                     11101 01 0100 S Rn (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 0001 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def eor(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, carry = operand2(b, i)
    _logical(b, i, b.reg(i["Rn"]) ^ operand, carry)


@instruction("ORR", "A8.8.122-A8.8.124", """
    immediate A1                    cond 001 1100 S Rn Rd imm12
    immediate T1                    11110 i 0 0010 S Rn 0 imm3 Rd imm8
    register A1                     cond 000 1100 S Rn Rd imm5 type 0 Rm
    register T1                     010000 1100 Rm:3 Rdn:3  S=it
    register T2                     11101 01 0010 S Rn (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 1100 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def orr(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, carry = operand2(b, i)
    _logical(b, i, b.reg(i["Rn"]) | operand, carry)


@instruction("ORN", "A8.8.120-A8.8.121", """
    immediate T1    11110 i 0 0011 S Rn 0 imm3 Rd imm8
    register T1     11101 01 0011 S Rn (0) imm3 Rd imm2 type Rm
""")  # fmt: skip
def orn(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, carry = operand2(b, i)
    _logical(b, i, b.reg(i["Rn"]) | ~operand, carry)


@instruction("BIC", "A8.8.21-A8.8.23", """
    immediate A1                    cond 001 1110 S Rn Rd imm12
    immediate T1                    11110 i 0 0001 S Rn 0 imm3 Rd imm8
    register A1                     cond 000 1110 S Rn Rd imm5 type 0 Rm
    register T1                     010000 1110 Rm:3 Rdn:3  S=it
    register T2                     11101 01 0001 S Rn (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 1110 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def bic(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, carry = operand2(b, i)
    _logical(b, i, b.reg(i["Rn"]) & ~operand, carry)


@instruction("MVN", "A8.8.115-A8.8.117", """
    immediate A1                    cond 001 1111 S (0000) Rd imm12
    immediate T1                    11110 i 0 0011 S 1111 0 imm3 Rd imm8
    register A1                     cond 000 1111 S (0000) Rd imm5 type 0 Rm
    register T1                     010000 1111 Rm:3 Rd:3  S=it
    register T2                     11101 01 0011 S 1111 (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 1111 S (0000) Rd Rs 0 type 1 Rm
""")  # fmt: skip
def mvn(b: Builder, i: Decoded) -> None:
    _check(b, i, first=False)
    operand, carry = operand2(b, i)
    _logical(b, i, ~operand, carry)


@instruction("MOV", "A8.8.102-A8.8.104", """
    immediate A1    cond 001 1101 S (0000) Rd imm12
    immediate A2    cond 0011 0000 imm4 Rd imm12  plain=1
    immediate T1    00100 Rd:3 imm8  S=it plain=1
    immediate T2    11110 i 0 0010 S 1111 0 imm3 Rd imm8
    immediate T3    11110 i 10 0100 imm4 0 imm3 Rd imm8  plain=1
    register A1     cond 000 1101 S (0000) Rd 00000 000 Rm
    register T1     010001 10 D Rm:4 Rd:3  high=1
    register T2     000 00 00000 Rm:3 Rd:3  S=1
    register T3     11101 01 0010 S 1111 (0) 000 Rd 0000 Rm
""")  # fmt: skip
def mov(b: Builder, i: Decoded) -> None:
    d = i["Rd"]
    if "high" in i:
        d |= i["D"] << 3
        if d == PC:
            ends_it(b, i)
    elif i.encoding.title == "MOV (register) T2":
        i.unpredictable_if(b.it != 0)
    elif i.encoding.title == "MOV (register) T3":
        m = i["Rm"]
        i.unpredictable_if((bad(d) or bad(m)) if i["S"] else PC in (d, m) or (d == SP and m == SP))
    elif i.get("plain") and i.encoding.size == 4:  # MOVW
        i.unpredictable_if(d == PC or (b.thumb and d == SP))
    else:
        _check(b, i, first=False)
    operand, carry = operand2(b, i)
    if d == PC:
        alu_write_pc(b, operand)
    else:
        b.set_reg(d, operand)
    if sets_flags(b, i):
        i.unpredictable_if(d == PC)
        set_nz(b, operand)
        if carry is not None:
            b.set(Slot.C, carry)


@instruction("MOVT", "A8.8.106", """
    A1  cond 0011 0100 imm4 Rd imm12
    T1  11110 i 10 1100 imm4 0 imm3 Rd imm8
""")  # fmt: skip
def movt(b: Builder, i: Decoded) -> None:
    i.unpredictable_if(i["Rd"] == PC or (b.thumb and i["Rd"] == SP))
    b.set_reg(i["Rd"], b.reg(i["Rd"]) & 0xFFFF | plain_immediate(i) << 16)


def _shift(b: Builder, i: Decoded) -> None:
    """LSL, LSR, ASR, ROR and RRX are moves of a shifted register."""
    _check(b, i, first=False)
    operand, carry = operand2(b, i)
    _logical(b, i, operand, carry)


@instruction("LSL", "A8.8.94-A8.8.95", """
    immediate A1    cond 000 1101 S (0000) Rd imm5 000 Rm  type=0
    immediate T1    000 00 imm5 Rm:3 Rd:3  S=it type=0
    immediate T2    11101 01 0010 S 1111 (0) imm3 Rd imm2 00 Rm  type=0
    register A1     cond 000 1101 S (0000) Rd Rs 0001 Rm  type=0
    register T1     010000 0010 Rs:3 Rdm:3  S=it type=0
    register T2     11111 010 000 S Rm 1111 Rd 0000 Rs  type=0
""")  # fmt: skip
def lsl(b: Builder, i: Decoded) -> None:
    _shift(b, i)


@instruction("LSR", "A8.8.96-A8.8.97", """
    immediate A1    cond 000 1101 S (0000) Rd imm5 010 Rm  type=1
    immediate T1    000 01 imm5 Rm:3 Rd:3  S=it type=1
    immediate T2    11101 01 0010 S 1111 (0) imm3 Rd imm2 01 Rm  type=1
    register A1     cond 000 1101 S (0000) Rd Rs 0011 Rm  type=1
    register T1     010000 0011 Rs:3 Rdm:3  S=it type=1
    register T2     11111 010 001 S Rm 1111 Rd 0000 Rs  type=1
""")  # fmt: skip
def lsr(b: Builder, i: Decoded) -> None:
    _shift(b, i)


@instruction("ASR", "A8.8.16-A8.8.17", """
    immediate A1    cond 000 1101 S (0000) Rd imm5 100 Rm  type=2
    immediate T1    000 10 imm5 Rm:3 Rd:3  S=it type=2
    immediate T2    11101 01 0010 S 1111 (0) imm3 Rd imm2 10 Rm  type=2
    register A1     cond 000 1101 S (0000) Rd Rs 0101 Rm  type=2
    register T1     010000 0100 Rs:3 Rdm:3  S=it type=2
    register T2     11111 010 010 S Rm 1111 Rd 0000 Rs  type=2
""")  # fmt: skip
def asr(b: Builder, i: Decoded) -> None:
    _shift(b, i)


@instruction("ROR", "A8.8.149-A8.8.150", """
    immediate A1    cond 000 1101 S (0000) Rd imm5 110 Rm  type=3
    immediate T1    11101 01 0010 S 1111 (0) imm3 Rd imm2 11 Rm  type=3
    register A1     cond 000 1101 S (0000) Rd Rs 0111 Rm  type=3
    register T1     010000 0111 Rs:3 Rdm:3  S=it type=3
    register T2     11111 010 011 S Rm 1111 Rd 0000 Rs  type=3
""")  # fmt: skip
def ror(b: Builder, i: Decoded) -> None:
    _shift(b, i)


@instruction("RRX", "A8.8.151", """
    A1  cond 000 1101 S (0000) Rd 00000 110 Rm  imm5=0 type=3
    T1  11101 01 0010 S 1111 (0) 000 Rd 0011 Rm  imm5=0 type=3
""")  # fmt: skip
def rrx(b: Builder, i: Decoded) -> None:
    _shift(b, i)


@instruction("ADD", "A8.8.4-A8.8.7", """
    immediate A1                    cond 001 0100 S Rn Rd imm12
    immediate T1                    000 11 10 imm3 Rn:3 Rd:3  S=it plain=1
    immediate T2                    001 10 Rdn:3 imm8  S=it plain=1
    immediate T3                    11110 i 0 1000 S Rn 0 imm3 Rd imm8
    immediate T4                    11110 i 10 0000 Rn 0 imm3 Rd imm8  plain=1
    register A1                     cond 000 0100 S Rn Rd imm5 type 0 Rm
    register T1                     000 11 00 Rm:3 Rn:3 Rd:3  S=it
    register T2                     010001 00 DN Rm:4 Rdn:3
    register T3                     11101 01 1000 S Rn (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 0100 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def add_(b: Builder, i: Decoded) -> None:
    if "DN" in i:
        d = i["DN"] << 3 | i["Rdn"]
        i.unpredictable_if(d == PC and i["Rm"] == PC)
        if d == PC:
            ends_it(b, i)
        result = b.reg(d) + b.reg(i["Rm"])
        if d == PC:
            alu_write_pc(b, result)
        else:
            b.set_reg(d, result)
        return
    _check(b, i)
    operand, _ = operand2(b, i)
    _arithmetic(b, i, add(b, b.reg(i["Rn"]), operand))


@instruction("ADD (SP plus)", "A8.8.9-A8.8.10", """
    immediate T1    10101 Rd:3 imm8  Rn=13 scale=4 plain=1
    immediate T2    1011 0000 0 imm7  Rd=13 Rn=13 scale=4 plain=1
    immediate T3    11110 i 0 1000 S 1101 0 imm3 Rd imm8  Rn=13
    immediate T4    11110 i 10 0000 1101 0 imm3 Rd imm8  Rn=13 plain=1
    register T3     11101 01 1000 S 1101 (0) imm3 Rd imm2 type Rm  Rn=13
""")  # fmt: skip
def add_sp(b: Builder, i: Decoded) -> None:
    _check_sp(b, i)
    operand, _ = operand2(b, i)
    _arithmetic(b, i, add(b, b.reg(SP), operand))


def _check_sp(b: Builder, i: Decoded) -> None:
    """The Thumb forms with SP as first operand may also write SP, by a shift of at most LSL #3."""
    i.unpredictable_if(i["Rd"] == PC)
    if "Rm" in i:
        kind, amount = immediate_shift(i)
        i.unpredictable_if(bad(i["Rm"]) or (i["Rd"] == SP and (kind != 0 or amount > 3)))


@instruction("ADC", "A8.8.1-A8.8.3", """
    immediate A1                    cond 001 0101 S Rn Rd imm12
    immediate T1                    11110 i 0 1010 S Rn 0 imm3 Rd imm8
    register A1                     cond 000 0101 S Rn Rd imm5 type 0 Rm
    register T1                     010000 0101 Rm:3 Rdn:3  S=it
    register T2                     11101 01 1010 S Rn (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 0101 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def adc(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, _ = operand2(b, i)
    _arithmetic(b, i, add_with_carry(b, b.reg(i["Rn"]), operand))


@instruction("SUB", "A8.8.221-A8.8.224", """
    immediate A1                    cond 001 0010 S Rn Rd imm12
    immediate T1                    000 11 11 imm3 Rn:3 Rd:3  S=it plain=1
    immediate T2                    001 11 Rdn:3 imm8  S=it plain=1
    immediate T3                    11110 i 0 1101 S Rn 0 imm3 Rd imm8
    immediate T4                    11110 i 10 1010 Rn 0 imm3 Rd imm8  plain=1
    register A1                     cond 000 0010 S Rn Rd imm5 type 0 Rm
    register T1                     000 11 01 Rm:3 Rn:3 Rd:3  S=it
    register T2                     11101 01 1101 S Rn (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 0010 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def sub(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, _ = operand2(b, i)
    _arithmetic(b, i, subtract(b, b.reg(i["Rn"]), operand))


@instruction("SUB (SP minus)", "A8.8.225-A8.8.226", """
    immediate T1    1011 0000 1 imm7  Rd=13 Rn=13 scale=4 plain=1
    immediate T2    11110 i 0 1101 S 1101 0 imm3 Rd imm8  Rn=13
    immediate T3    11110 i 10 1010 1101 0 imm3 Rd imm8  Rn=13 plain=1
    register T1     11101 01 1101 S 1101 (0) imm3 Rd imm2 type Rm  Rn=13
""")  # fmt: skip
def sub_sp(b: Builder, i: Decoded) -> None:
    _check_sp(b, i)
    operand, _ = operand2(b, i)
    _arithmetic(b, i, subtract(b, b.reg(SP), operand))


@instruction("SBC", "A8.8.161-A8.8.163", """
    immediate A1                    cond 001 0110 S Rn Rd imm12
    immediate T1                    11110 i 0 1011 S Rn 0 imm3 Rd imm8
    register A1                     cond 000 0110 S Rn Rd imm5 type 0 Rm
    register T1                     010000 0110 Rm:3 Rdn:3  S=it
    register T2                     11101 01 1011 S Rn (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 0110 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def sbc(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, _ = operand2(b, i)
    _arithmetic(b, i, add_with_carry(b, b.reg(i["Rn"]), ~operand))


@instruction("RSB", "A8.8.152-A8.8.154", """
    immediate A1                    cond 001 0011 S Rn Rd imm12
    immediate T1                    010000 1001 Rn:3 Rd:3  S=it plain=1
    immediate T2                    11110 i 0 1110 S Rn 0 imm3 Rd imm8
    register A1                     cond 000 0011 S Rn Rd imm5 type 0 Rm
    register T1                     11101 01 1110 S Rn (0) imm3 Rd imm2 type Rm
    register-shifted register A1    cond 000 0011 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def rsb(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, _ = operand2(b, i)
    _arithmetic(b, i, subtract(b, operand, b.reg(i["Rn"])))


@instruction("RSC", "A8.8.155-A8.8.157", """
    immediate A1                    cond 001 0111 S Rn Rd imm12
    register A1                     cond 000 0111 S Rn Rd imm5 type 0 Rm
    register-shifted register A1    cond 000 0111 S Rn Rd Rs 0 type 1 Rm
""")  # fmt: skip
def rsc(b: Builder, i: Decoded) -> None:
    _check(b, i)
    operand, _ = operand2(b, i)
    _arithmetic(b, i, add_with_carry(b, ~b.reg(i["Rn"]), operand))


@instruction("TST", "A8.8.240-A8.8.242", """
    immediate A1                    cond 001 10001 Rn (0000) imm12
    immediate T1                    11110 i 0 0000 1 Rn 0 imm3 1111 imm8
    register A1                     cond 000 10001 Rn (0000) imm5 type 0 Rm
    register T1                     010000 1000 Rm:3 Rn:3
    register T2                     11101 01 0000 1 Rn (0) imm3 1111 imm2 type Rm
    register-shifted register A1    cond 000 10001 Rn (0000) Rs 0 type 1 Rm
""")  # fmt: skip
def tst(b: Builder, i: Decoded) -> None:
    _check(b, i, destination=False)
    operand, carry = operand2(b, i)
    _logical(b, i, b.reg(i["Rn"]) & operand, carry, write=False)


@instruction("TEQ", "A8.8.237-A8.8.239", """
    immediate A1                    cond 001 10011 Rn (0000) imm12
    immediate T1                    11110 i 0 0100 1 Rn 0 imm3 1111 imm8
    register A1                     cond 000 10011 Rn (0000) imm5 type 0 Rm
    register T1                     11101 01 0100 1 Rn (0) imm3 1111 imm2 type Rm
    register-shifted register A1    cond 000 10011 Rn (0000) Rs 0 type 1 Rm
""")  # fmt: skip
def teq(b: Builder, i: Decoded) -> None:
    _check(b, i, destination=False)
    operand, carry = operand2(b, i)
    _logical(b, i, b.reg(i["Rn"]) ^ operand, carry, write=False)


@instruction("CMP", "A8.8.37-A8.8.39", """
    immediate A1                    cond 001 10101 Rn (0000) imm12
    immediate T1                    001 01 Rn:3 imm8  plain=1
    immediate T2                    11110 i 0 1101 1 Rn 0 imm3 1111 imm8
    register A1                     cond 000 10101 Rn (0000) imm5 type 0 Rm
    register T1                     010000 1010 Rm:3 Rn:3
    register T2                     010001 01 N Rm:4 Rn:3
    register T3                     11101 01 1101 1 Rn (0) imm3 1111 imm2 type Rm
    register-shifted register A1    cond 000 10101 Rn (0000) Rs 0 type 1 Rm
""")  # fmt: skip
def cmp(b: Builder, i: Decoded) -> None:
    n = _compare_operand(b, i)
    operand, _ = operand2(b, i)
    set_nzcv(b, *subtract(b, b.reg(n), operand))


@instruction("CMN", "A8.8.34-A8.8.36", """
    immediate A1                    cond 001 10111 Rn (0000) imm12
    immediate T1                    11110 i 0 1000 1 Rn 0 imm3 1111 imm8
    register A1                     cond 000 10111 Rn (0000) imm5 type 0 Rm
    register T1                     010000 1011 Rm:3 Rn:3
    register T2                     11101 01 1000 1 Rn (0) imm3 1111 imm2 type Rm
    register-shifted register A1    cond 000 10111 Rn (0000) Rs 0 type 1 Rm
""")  # fmt: skip
def cmn(b: Builder, i: Decoded) -> None:
    n = _compare_operand(b, i)
    operand, _ = operand2(b, i)
    set_nzcv(b, *add(b, b.reg(n), operand))


def _compare_operand(b: Builder, i: Decoded) -> int:
    """The first operand's register; comparisons take SP there even in Thumb."""
    n = i["Rn"]
    if "N" in i:
        n |= i["N"] << 3
        i.unpredictable_if((n < 8 and i["Rm"] < 8) or PC in (n, i["Rm"]))
    elif b.thumb and i.encoding.size == 4:
        i.unpredictable_if(n == PC or ("Rm" in i and bad(i["Rm"])))
    else:
        _check(b, i, destination=False)
    return n


@instruction("ADR", "A8.8.12", """
    T1  10100 Rd:3 imm8  scale=4
    T2  11110 i 10 1010 1111 0 imm3 Rd imm8  subtract=1
    T3  11110 i 10 0000 1111 0 imm3 Rd imm8
""")  # fmt: skip
def adr(b: Builder, i: Decoded) -> None:
    """In ARM this is ADD or SUB with PC as first operand."""
    i.unpredictable_if(i.encoding.size == 4 and bad(i["Rd"]))
    offset = plain_immediate(i)
    base = aligned_pc(b)
    b.set_reg(i["Rd"], base - offset if "subtract" in i else base + offset)
