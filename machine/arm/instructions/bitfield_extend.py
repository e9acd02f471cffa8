"""Packing, extension, bit fields, reversal, counting: ARM ARM A4.4.6, A4.4.9."""

from __future__ import annotations

from retrap.machine.arm.pseudocode import ASR, LSL, bad, decode_imm_shift, no_bad_registers, shift_c
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


@instruction("PKH", "A8.8.125", """
    A1  cond 01101000 Rn Rd imm5 tb 01 Rm
    T1  11101 01 0110 0 Rn (0) imm3 Rd imm2 tb 0 Rm
""")  # fmt: skip
def pkh(b: Builder, i: Decoded) -> None:
    """PKHBT takes its top half from the shifted operand, PKHTB its bottom half."""
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    amount = i["imm5"] if "imm5" in i else i.join("imm3", "imm2")
    kind, amount = decode_imm_shift(ASR if i["tb"] else LSL, amount)
    operand, _ = shift_c(b, b.reg(i["Rm"]), kind, amount)
    top, bottom = (b.reg(i["Rn"]), operand) if i["tb"] else (operand, b.reg(i["Rn"]))
    b.set_reg(i["Rd"], top & 0xFFFF0000 | bottom & 0xFFFF)


# -- sign and zero extension ---------------------------------------------------------------------------------


def _rotated(b: Builder, i: Decoded) -> Value:
    m = b.reg(i["Rm"])
    return m.ror(8 * i["rotate"]) if i.get("rotate") else m


def _extend(b: Builder, i: Decoded, bits: int, signed: bool) -> None:
    """Rd := the low `bits` of the rotated Rm, plus Rn where there is one."""
    no_bad_registers(b, i, "Rd", "Rm")
    value = _rotated(b, i)
    value = value.sign_extend(bits) if signed else value & ((1 << bits) - 1)
    if "Rn" in i:
        no_bad_registers(b, i, "Rn")
        value = b.reg(i["Rn"]) + value
    b.set_reg(i["Rd"], value)


def _extend_pair(b: Builder, i: Decoded, signed: bool) -> None:
    """The same for bytes 0 and 2, as two halfwords."""
    no_bad_registers(b, i, "Rd", "Rm")
    value = _rotated(b, i)
    low, high = value & 0xFF, value.field(16, 8)
    if signed:
        low, high = low.sign_extend(8), high.sign_extend(8)
    if "Rn" in i:
        no_bad_registers(b, i, "Rn")
        n = b.reg(i["Rn"])
        low, high = low + n, high + (n >> 16)
    b.set_reg(i["Rd"], low & 0xFFFF | high << 16)


@instruction("SXTB", "A8.8.233", """
    A1  cond 01101010 1111 Rd rotate (00) 0111 Rm
    T1  1011 0010 01 Rm:3 Rd:3
    T2  11111 010 0100 1111 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def sxtb(b: Builder, i: Decoded) -> None:
    _extend(b, i, 8, True)


@instruction("SXTH", "A8.8.235", """
    A1  cond 01101011 1111 Rd rotate (00) 0111 Rm
    T1  1011 0010 00 Rm:3 Rd:3
    T2  11111 010 0000 1111 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def sxth(b: Builder, i: Decoded) -> None:
    _extend(b, i, 16, True)


@instruction("SXTB16", "A8.8.234", """
    A1  cond 01101000 1111 Rd rotate (00) 0111 Rm
    T1  11111 010 0010 1111 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def sxtb16(b: Builder, i: Decoded) -> None:
    _extend_pair(b, i, True)


@instruction("UXTB", "A8.8.274", """
    A1  cond 01101110 1111 Rd rotate (00) 0111 Rm
    T1  1011 0010 11 Rm:3 Rd:3
    T2  11111 010 0101 1111 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def uxtb(b: Builder, i: Decoded) -> None:
    _extend(b, i, 8, False)


@instruction("UXTH", "A8.8.276", """
    A1  cond 01101111 1111 Rd rotate (00) 0111 Rm
    T1  1011 0010 10 Rm:3 Rd:3
    T2  11111 010 0001 1111 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def uxth(b: Builder, i: Decoded) -> None:
    _extend(b, i, 16, False)


@instruction("UXTB16", "A8.8.275", """
    A1  cond 01101100 1111 Rd rotate (00) 0111 Rm
    T1  11111 010 0011 1111 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def uxtb16(b: Builder, i: Decoded) -> None:
    _extend_pair(b, i, False)


@instruction("SXTAB", "A8.8.230", """
    A1  cond 01101010 Rn Rd rotate (00) 0111 Rm
    T1  11111 010 0100 Rn 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def sxtab(b: Builder, i: Decoded) -> None:
    _extend(b, i, 8, True)


@instruction("SXTAH", "A8.8.232", """
    A1  cond 01101011 Rn Rd rotate (00) 0111 Rm
    T1  11111 010 0000 Rn 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def sxtah(b: Builder, i: Decoded) -> None:
    _extend(b, i, 16, True)


@instruction("SXTAB16", "A8.8.231", """
    A1  cond 01101000 Rn Rd rotate (00) 0111 Rm
    T1  11111 010 0010 Rn 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def sxtab16(b: Builder, i: Decoded) -> None:
    _extend_pair(b, i, True)


@instruction("UXTAB", "A8.8.271", """
    A1  cond 01101110 Rn Rd rotate (00) 0111 Rm
    T1  11111 010 0101 Rn 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def uxtab(b: Builder, i: Decoded) -> None:
    _extend(b, i, 8, False)


@instruction("UXTAH", "A8.8.273", """
    A1  cond 01101111 Rn Rd rotate (00) 0111 Rm
    T1  11111 010 0001 Rn 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def uxtah(b: Builder, i: Decoded) -> None:
    _extend(b, i, 16, False)


@instruction("UXTAB16", "A8.8.272", """
    A1  cond 01101100 Rn Rd rotate (00) 0111 Rm
    T1  11111 010 0011 Rn 1111 Rd 1 (0) rotate Rm
""")  # fmt: skip
def uxtab16(b: Builder, i: Decoded) -> None:
    _extend_pair(b, i, False)


# -- bit fields ----------------------------------------------------------------------------------------------


def _low_bit(i: Decoded) -> int:
    return i["lsb"] if "lsb" in i else i.join("imm3", "imm2")


@instruction("BFC", "A8.8.19", """
    A1  cond 0111110 msb:5 Rd lsb:5 001 1111
    T1  11110 (0) 11 011 0 1111 0 imm3 Rd imm2 (0) msb:5
""")  # fmt: skip
def bfc(b: Builder, i: Decoded) -> None:
    """Clear a bit field."""
    low = _low_bit(i)
    no_bad_registers(b, i, "Rd")
    i.unpredictable_if(i["msb"] < low)
    mask = ((1 << (i["msb"] + 1 - low)) - 1) << low
    b.set_reg(i["Rd"], b.reg(i["Rd"]) & (mask ^ 0xFFFFFFFF))


@instruction("BFI", "A8.8.20", """
    A1  cond 0111110 msb:5 Rd lsb:5 001 Rn
    T1  11110 (0) 11 011 0 Rn 0 imm3 Rd imm2 (0) msb:5
""")  # fmt: skip
def bfi(b: Builder, i: Decoded) -> None:
    """Insert a bit field."""
    low = _low_bit(i)
    no_bad_registers(b, i, "Rd")
    i.unpredictable_if(i["msb"] < low or (b.thumb and bad(i["Rn"])))
    mask = ((1 << (i["msb"] + 1 - low)) - 1) << low
    b.set_reg(i["Rd"], b.reg(i["Rd"]) & (mask ^ 0xFFFFFFFF) | b.reg(i["Rn"]) << low & mask)


@instruction("SBFX", "A8.8.164", """
    A1  cond 0111101 widthm1:5 Rd lsb:5 101 Rn
    T1  11110 (0) 11 010 0 Rn 0 imm3 Rd imm2 (0) widthm1:5
""")  # fmt: skip
def sbfx(b: Builder, i: Decoded) -> None:
    low, bits = _low_bit(i), i["widthm1"] + 1
    no_bad_registers(b, i, "Rd", "Rn")
    i.unpredictable_if(low + bits > 32)
    b.set_reg(i["Rd"], (b.reg(i["Rn"]) >> low).sign_extend(bits))


@instruction("UBFX", "A8.8.246", """
    A1  cond 0111111 widthm1:5 Rd lsb:5 101 Rn
    T1  11110 (0) 11 110 0 Rn 0 imm3 Rd imm2 (0) widthm1:5
""")  # fmt: skip
def ubfx(b: Builder, i: Decoded) -> None:
    low, bits = _low_bit(i), i["widthm1"] + 1
    no_bad_registers(b, i, "Rd", "Rn")
    i.unpredictable_if(low + bits > 32)
    b.set_reg(i["Rd"], b.reg(i["Rn"]).field(low, bits))


# -- reversal and counting -----------------------------------------------------------------------------------


def _operand(b: Builder, i: Decoded) -> Value:
    """Rm, which the 32-bit Thumb encodings write twice."""
    no_bad_registers(b, i, "Rd", "Rm")
    i.unpredictable_if("Rm2" in i and i["Rm2"] != i["Rm"])
    return b.reg(i["Rm"])


def _swap_bytes(value: Value) -> Value:
    """The bytes of each halfword exchanged."""
    return value >> 8 & 0x00FF00FF | value << 8 & 0xFF00FF00


@instruction("REV", "A8.8.145", """
    A1  cond 01101011 (1111) Rd (1111) 0011 Rm
    T1  1011 1010 00 Rm:3 Rd:3
    T2  11111 010 1001 Rm2:4 1111 Rd 1000 Rm
""")  # fmt: skip
def rev(b: Builder, i: Decoded) -> None:
    b.set_reg(i["Rd"], _swap_bytes(_operand(b, i)).ror(16))


@instruction("REV16", "A8.8.146", """
    A1  cond 01101011 (1111) Rd (1111) 1011 Rm
    T1  1011 1010 01 Rm:3 Rd:3
    T2  11111 010 1001 Rm2:4 1111 Rd 1001 Rm
""")  # fmt: skip
def rev16(b: Builder, i: Decoded) -> None:
    b.set_reg(i["Rd"], _swap_bytes(_operand(b, i)))


@instruction("REVSH", "A8.8.147", """
    A1  cond 01101111 (1111) Rd (1111) 1011 Rm
    T1  1011 1010 11 Rm:3 Rd:3
    T2  11111 010 1001 Rm2:4 1111 Rd 1011 Rm
""")  # fmt: skip
def revsh(b: Builder, i: Decoded) -> None:
    b.set_reg(i["Rd"], _swap_bytes(_operand(b, i)).sign_extend(16))


@instruction("RBIT", "A8.8.144", """
    A1  cond 01101111 (1111) Rd (1111) 0011 Rm
    T1  11111 010 1001 Rm2:4 1111 Rd 1010 Rm
""")  # fmt: skip
def rbit(b: Builder, i: Decoded) -> None:
    b.set_reg(i["Rd"], _operand(b, i).rbit())


@instruction("CLZ", "A8.8.33", """
    A1  cond 00010110 (1111) Rd (1111) 0001 Rm
    T1  11111 010 1011 Rm2:4 1111 Rd 1000 Rm
""")  # fmt: skip
def clz(b: Builder, i: Decoded) -> None:
    b.set_reg(i["Rd"], _operand(b, i).clz())
