"""Multiply and divide: ARM ARM A4.4.3, A4.4.8 (DSP multiplies included)."""

from __future__ import annotations

from retrap.machine.arm.pseudocode import no_bad_registers, set_nz, set_q, sets_flags
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def _half(value: Value, top: int) -> Value:
    """One halfword of a register, sign-extended to 32 bits."""
    return value.asr(16) if top else value.sign_extend(16)


def _add_overflow(x: Value, y: Value, total: Value) -> Value:
    return ((x ^ total) & (y ^ total)).bit(31)


def _long_result(b: Builder, i: Decoded, result: Value) -> None:
    """RdHi:RdLo := result."""
    i.unpredictable_if(i["RdHi"] == i["RdLo"])
    b.set_reg(i["RdLo"], result.trunc(32))
    b.set_reg(i["RdHi"], (result >> 32).trunc(32))
    if sets_flags(b, i):
        set_nz(b, result)


def _long_operand(b: Builder, i: Decoded) -> Value:
    return b.reg(i["RdHi"]).zext(64) << 32 | b.reg(i["RdLo"]).zext(64)


@instruction("MUL", "A8.8.114", """
    A1  cond 0000000 S Rd (0000) Rm 1001 Rn
    T1  010000 1101 Rn:3 Rdm:3  S=it
    T2  11111 0110 000 Rn 1111 Rd 0000 Rm
""")  # fmt: skip
def mul(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    result = b.reg(i["Rn"]) * b.reg(i["Rm"])
    b.set_reg(i["Rd"], result)
    if sets_flags(b, i):
        set_nz(b, result)


@instruction("MLA", "A8.8.100", """
    A1  cond 0000001 S Rd Ra Rm 1001 Rn
    T1  11111 0110 000 Rn Ra Rd 0000 Rm
""")  # fmt: skip
def mla(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm", "Ra")
    result = b.reg(i["Rn"]) * b.reg(i["Rm"]) + b.reg(i["Ra"])
    b.set_reg(i["Rd"], result)
    if sets_flags(b, i):
        set_nz(b, result)


@instruction("MLS", "A8.8.101", """
    A1  cond 00000110 Rd Ra Rm 1001 Rn
    T1  11111 0110 000 Rn Ra Rd 0001 Rm
""")  # fmt: skip
def mls(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm", "Ra")
    b.set_reg(i["Rd"], b.reg(i["Ra"]) - b.reg(i["Rn"]) * b.reg(i["Rm"]))


@instruction("UMULL", "A8.8.257", """
    A1  cond 0000100 S RdHi RdLo Rm 1001 Rn
    T1  11111 0111 010 Rn RdLo RdHi 0000 Rm
""")  # fmt: skip
def umull(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "RdHi", "RdLo", "Rn", "Rm")
    _long_result(b, i, b.reg(i["Rn"]).zext(64) * b.reg(i["Rm"]).zext(64))


@instruction("UMLAL", "A8.8.256", """
    A1  cond 0000101 S RdHi RdLo Rm 1001 Rn
    T1  11111 0111 110 Rn RdLo RdHi 0000 Rm
""")  # fmt: skip
def umlal(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "RdHi", "RdLo", "Rn", "Rm")
    _long_result(b, i, b.reg(i["Rn"]).zext(64) * b.reg(i["Rm"]).zext(64) + _long_operand(b, i))


@instruction("UMAAL", "A8.8.255", """
    A1  cond 00000100 RdHi RdLo Rm 1001 Rn
    T1  11111 0111 110 Rn RdLo RdHi 0110 Rm
""")  # fmt: skip
def umaal(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "RdHi", "RdLo", "Rn", "Rm")
    product = b.reg(i["Rn"]).zext(64) * b.reg(i["Rm"]).zext(64)
    _long_result(b, i, product + b.reg(i["RdHi"]).zext(64) + b.reg(i["RdLo"]).zext(64))


@instruction("SMULL", "A8.8.189", """
    A1  cond 0000110 S RdHi RdLo Rm 1001 Rn
    T1  11111 0111 000 Rn RdLo RdHi 0000 Rm
""")  # fmt: skip
def smull(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "RdHi", "RdLo", "Rn", "Rm")
    _long_result(b, i, b.reg(i["Rn"]).sext(64) * b.reg(i["Rm"]).sext(64))


@instruction("SMLAL", "A8.8.178", """
    A1  cond 0000111 S RdHi RdLo Rm 1001 Rn
    T1  11111 0111 100 Rn RdLo RdHi 0000 Rm
""")  # fmt: skip
def smlal(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "RdHi", "RdLo", "Rn", "Rm")
    _long_result(b, i, b.reg(i["Rn"]).sext(64) * b.reg(i["Rm"]).sext(64) + _long_operand(b, i))


# -- signed halfword multiplies: N and M choose the top half of Rn and Rm ------------------------------------


@instruction("SMLA<x><y>", "A8.8.176", """
    A1  cond 00010000 Rd Ra Rm 1 M N 0 Rn
    T1  11111 0110 001 Rn Ra Rd 00 N M Rm
""")  # fmt: skip
def smlaxy(b: Builder, i: Decoded) -> None:
    """SMLABB, SMLABT, SMLATB, SMLATT."""
    no_bad_registers(b, i, "Rd", "Rn", "Rm", "Ra")
    product = _half(b.reg(i["Rn"]), i["N"]) * _half(b.reg(i["Rm"]), i["M"])
    total = product + b.reg(i["Ra"])
    b.set_reg(i["Rd"], total)
    set_q(b, _add_overflow(product, b.reg(i["Ra"]), total))


@instruction("SMUL<x><y>", "A8.8.188", """
    A1  cond 00010110 Rd (0000) Rm 1 M N 0 Rn
    T1  11111 0110 001 Rn 1111 Rd 00 N M Rm
""")  # fmt: skip
def smulxy(b: Builder, i: Decoded) -> None:
    """SMULBB, SMULBT, SMULTB, SMULTT."""
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    b.set_reg(i["Rd"], _half(b.reg(i["Rn"]), i["N"]) * _half(b.reg(i["Rm"]), i["M"]))


@instruction("SMLAW<y>", "A8.8.181", """
    A1  cond 00010010 Rd Ra Rm 1 M 00 Rn
    T1  11111 0110 011 Rn Ra Rd 000 M Rm
""")  # fmt: skip
def smlawy(b: Builder, i: Decoded) -> None:
    """SMLAWB, SMLAWT: bits 47:16 of the product, plus Ra."""
    no_bad_registers(b, i, "Rd", "Rn", "Rm", "Ra")
    product = _wide_half(b, i)
    total = product + b.reg(i["Ra"])
    b.set_reg(i["Rd"], total)
    set_q(b, _add_overflow(product, b.reg(i["Ra"]), total))


@instruction("SMULW<y>", "A8.8.190", """
    A1  cond 00010010 Rd (0000) Rm 1 M 10 Rn
    T1  11111 0110 011 Rn 1111 Rd 000 M Rm
""")  # fmt: skip
def smulwy(b: Builder, i: Decoded) -> None:
    """SMULWB, SMULWT."""
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    b.set_reg(i["Rd"], _wide_half(b, i))


def _wide_half(b: Builder, i: Decoded) -> Value:
    product = b.reg(i["Rn"]).sext(64) * _half(b.reg(i["Rm"]), i["M"]).sext(64)
    return (product >> 16).trunc(32)


@instruction("SMLAL<x><y>", "A8.8.179", """
    A1  cond 00010100 RdHi RdLo Rm 1 M N 0 Rn
    T1  11111 0111 100 Rn RdLo RdHi 10 N M Rm
""")  # fmt: skip
def smlalxy(b: Builder, i: Decoded) -> None:
    """SMLALBB, SMLALBT, SMLALTB, SMLALTT."""
    no_bad_registers(b, i, "RdHi", "RdLo", "Rn", "Rm")
    product = _half(b.reg(i["Rn"]), i["N"]) * _half(b.reg(i["Rm"]), i["M"])
    _long_result(b, i, product.sext(64) + _long_operand(b, i))


# -- dual multiplies: M swaps the halves of Rm ---------------------------------------------------------------


def _dual(b: Builder, i: Decoded) -> tuple[Value, Value]:
    """Products of the low and of the high halves."""
    n = b.reg(i["Rn"])
    m = b.reg(i["Rm"]).ror(16) if i["M"] else b.reg(i["Rm"])
    return _half(n, 0) * _half(m, 0), _half(n, 1) * _half(m, 1)


def _sum_to_32(b: Builder, i: Decoded, total: Value) -> None:
    """Rd := the low word of a 64-bit sum; Q if that loses anything."""
    result = total.trunc(32)
    b.set_reg(i["Rd"], result)
    set_q(b, total.ne(result.sext(64)))


@instruction("SMLAD", "A8.8.177", """
    A1  cond 01110000 Rd Ra Rm 00 M 1 Rn
    T1  11111 0110 010 Rn Ra Rd 000 M Rm
""")  # fmt: skip
def smlad(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm", "Ra")
    low, high = _dual(b, i)
    _sum_to_32(b, i, low.sext(64) + high.sext(64) + b.reg(i["Ra"]).sext(64))


@instruction("SMUAD", "A8.8.187", """
    A1  cond 01110000 Rd 1111 Rm 00 M 1 Rn
    T1  11111 0110 010 Rn 1111 Rd 000 M Rm
""")  # fmt: skip
def smuad(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    low, high = _dual(b, i)
    _sum_to_32(b, i, low.sext(64) + high.sext(64))


@instruction("SMLSD", "A8.8.182", """
    A1  cond 01110000 Rd Ra Rm 01 M 1 Rn
    T1  11111 0110 100 Rn Ra Rd 000 M Rm
""")  # fmt: skip
def smlsd(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm", "Ra")
    low, high = _dual(b, i)
    _sum_to_32(b, i, low.sext(64) - high.sext(64) + b.reg(i["Ra"]).sext(64))


@instruction("SMUSD", "A8.8.191", """
    A1  cond 01110000 Rd 1111 Rm 01 M 1 Rn
    T1  11111 0110 100 Rn 1111 Rd 000 M Rm
""")  # fmt: skip
def smusd(b: Builder, i: Decoded) -> None:
    """Cannot overflow."""
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    low, high = _dual(b, i)
    b.set_reg(i["Rd"], low - high)


@instruction("SMLALD", "A8.8.180", """
    A1  cond 01110100 RdHi RdLo Rm 00 M 1 Rn
    T1  11111 0111 100 Rn RdLo RdHi 110 M Rm
""")  # fmt: skip
def smlald(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "RdHi", "RdLo", "Rn", "Rm")
    low, high = _dual(b, i)
    _long_result(b, i, low.sext(64) + high.sext(64) + _long_operand(b, i))


@instruction("SMLSLD", "A8.8.183", """
    A1  cond 01110100 RdHi RdLo Rm 01 M 1 Rn
    T1  11111 0111 101 Rn RdLo RdHi 110 M Rm
""")  # fmt: skip
def smlsld(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "RdHi", "RdLo", "Rn", "Rm")
    low, high = _dual(b, i)
    _long_result(b, i, low.sext(64) - high.sext(64) + _long_operand(b, i))


# -- most significant word multiplies: R rounds --------------------------------------------------------------


def _most_significant(i: Decoded, value: Value) -> Value:
    return ((value + 0x80000000 if i["R"] else value) >> 32).trunc(32)


@instruction("SMMUL", "A8.8.186", """
    A1  cond 01110101 Rd 1111 Rm 00 R 1 Rn
    T1  11111 0110 101 Rn 1111 Rd 000 R Rm
""")  # fmt: skip
def smmul(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    b.set_reg(i["Rd"], _most_significant(i, b.reg(i["Rn"]).sext(64) * b.reg(i["Rm"]).sext(64)))


@instruction("SMMLA", "A8.8.184", """
    A1  cond 01110101 Rd Ra Rm 00 R 1 Rn
    T1  11111 0110 101 Rn Ra Rd 000 R Rm
""")  # fmt: skip
def smmla(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm", "Ra")
    product = b.reg(i["Rn"]).sext(64) * b.reg(i["Rm"]).sext(64)
    b.set_reg(i["Rd"], _most_significant(i, (b.reg(i["Ra"]).zext(64) << 32) + product))


@instruction("SMMLS", "A8.8.185", """
    A1  cond 01110101 Rd Ra Rm 11 R 1 Rn
    T1  11111 0110 110 Rn Ra Rd 000 R Rm
""")  # fmt: skip
def smmls(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm", "Ra")
    product = b.reg(i["Rn"]).sext(64) * b.reg(i["Rm"]).sext(64)
    b.set_reg(i["Rd"], _most_significant(i, (b.reg(i["Ra"]).zext(64) << 32) - product))


# -- divide: a division by zero gives zero (SCTLR.DZ applies to ARMv7-R only) --------------------------------


@instruction("SDIV", "A8.8.165", """
    A1  cond 01110001 Rd (1111) Rm 0001 Rn
    T1  11111 0111 001 Rn (1111) Rd 1111 Rm
""")  # fmt: skip
def sdiv(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    b.set_reg(i["Rd"], b.reg(i["Rn"]).sdiv(b.reg(i["Rm"])))


@instruction("UDIV", "A8.8.248", """
    A1  cond 01110011 Rd (1111) Rm 0001 Rn
    T1  11111 0111 011 Rn (1111) Rd 1111 Rm
""")  # fmt: skip
def udiv(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    b.set_reg(i["Rd"], b.reg(i["Rn"]).udiv(b.reg(i["Rm"])))
