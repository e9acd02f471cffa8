"""Saturating arithmetic: ARM ARM A4.4.4 (saturate), A4.4.5 (saturating add and subtract)."""

from __future__ import annotations

from retrap.machine.arm.pseudocode import (
    ASR,
    LSL,
    decode_imm_shift,
    no_bad_registers,
    set_q,
    shift_c,
    signed_saturate,
    unsigned_saturate,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def _doubled(value: Value) -> tuple[Value, Value]:
    """SignedSatQ(2 * value, 32), as a 64-bit number, and whether it saturated."""
    return signed_saturate(value.builder, value.sext(64) << 1, 32)


def _saturated(b: Builder, i: Decoded, total: Value, before: Value | None = None) -> None:
    result, saturated = signed_saturate(b, total, 32)
    b.set_reg(i["Rd"], result.trunc(32))
    set_q(b, saturated if before is None else saturated | before)


@instruction("QADD", "A8.8.134", """
    A1  cond 00010000 Rn Rd (0000) 0101 Rm
    T1  11111 010 1000 Rn 1111 Rd 1000 Rm
""")  # fmt: skip
def qadd(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    _saturated(b, i, b.reg(i["Rm"]).sext(64) + b.reg(i["Rn"]).sext(64))


@instruction("QSUB", "A8.8.141", """
    A1  cond 00010010 Rn Rd (0000) 0101 Rm
    T1  11111 010 1000 Rn 1111 Rd 1010 Rm
""")  # fmt: skip
def qsub(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    _saturated(b, i, b.reg(i["Rm"]).sext(64) - b.reg(i["Rn"]).sext(64))


@instruction("QDADD", "A8.8.138", """
    A1  cond 00010100 Rn Rd (0000) 0101 Rm
    T1  11111 010 1000 Rn 1111 Rd 1001 Rm
""")  # fmt: skip
def qdadd(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    doubled, before = _doubled(b.reg(i["Rn"]))
    _saturated(b, i, b.reg(i["Rm"]).sext(64) + doubled, before)


@instruction("QDSUB", "A8.8.139", """
    A1  cond 00010110 Rn Rd (0000) 0101 Rm
    T1  11111 010 1000 Rn 1111 Rd 1011 Rm
""")  # fmt: skip
def qdsub(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    doubled, before = _doubled(b.reg(i["Rn"]))
    _saturated(b, i, b.reg(i["Rm"]).sext(64) - doubled, before)


def _shifted(b: Builder, i: Decoded) -> Value:
    """Rn shifted as SSAT and USAT do: LSL by 0 … 31 or ASR by 1 … 32."""
    amount = i["imm5"] if "imm5" in i else i.join("imm3", "imm2")
    # T32: ASR by 0 is the encoding of SSAT16 and USAT16, which match first when well formed.
    i.undefined_if(b.thumb and i["sh"] == 1 and amount == 0)
    kind, amount = decode_imm_shift(ASR if i["sh"] else LSL, amount)
    return shift_c(b, b.reg(i["Rn"]), kind, amount)[0]


@instruction("SSAT", "A8.8.193", """
    A1  cond 0110101 sat_imm:5 Rd imm5 sh 01 Rn
    T1  11110 (0) 1100 sh 0 Rn 0 imm3 Rd imm2 (0) sat_imm:5
""")  # fmt: skip
def ssat(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn")
    result, saturated = signed_saturate(b, _shifted(b, i), i["sat_imm"] + 1)
    b.set_reg(i["Rd"], result)
    set_q(b, saturated)


@instruction("USAT", "A8.8.266", """
    A1  cond 0110111 sat_imm:5 Rd imm5 sh 01 Rn
    T1  11110 (0) 1110 sh 0 Rn 0 imm3 Rd imm2 (0) sat_imm:5
""")  # fmt: skip
def usat(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn")
    result, saturated = unsigned_saturate(b, _shifted(b, i), i["sat_imm"])
    b.set_reg(i["Rd"], result)
    set_q(b, saturated)


@instruction("SSAT16", "A8.8.194", """
    A1  cond 01101010 sat_imm:4 Rd (1111) 0011 Rn
    T1  11110 (0) 110010 Rn 0 000 Rd 00 (00) sat_imm:4
""")  # fmt: skip
def ssat16(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn")
    n = b.reg(i["Rn"])
    low, below = signed_saturate(b, n.sign_extend(16), i["sat_imm"] + 1)
    high, above = signed_saturate(b, n.asr(16), i["sat_imm"] + 1)
    b.set_reg(i["Rd"], low & 0xFFFF | high << 16)
    set_q(b, below | above)


@instruction("USAT16", "A8.8.267", """
    A1  cond 01101110 sat_imm:4 Rd (1111) 0011 Rn
    T1  11110 (0) 111010 Rn 0 000 Rd 00 (00) sat_imm:4
""")  # fmt: skip
def usat16(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn")
    n = b.reg(i["Rn"])
    low, below = unsigned_saturate(b, n.sign_extend(16), i["sat_imm"])
    high, above = unsigned_saturate(b, n.asr(16), i["sat_imm"])
    b.set_reg(i["Rd"], low & 0xFFFF | high << 16)
    set_q(b, below | above)
