"""Functions that the ARM ARM's pseudocode shares between instructions, over IR values. Names follow the manual."""

from __future__ import annotations

from typing import Final

from retrap.machine.arm.registry import FLAGS_OUTSIDE_IT, Decoded, Unpredictable
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder, Value

SP: Final = 13
LR: Final = 14
PC: Final = 15

LSL: Final = 0
LSR: Final = 1
ASR: Final = 2
ROR: Final = 3
RRX: Final = 4


# -- IT blocks and flags -------------------------------------------------------------------------------------


def in_it(b: Builder) -> bool:
    """InITBlock (A2.5.2)."""
    return b.it & 15 != 0


def last_in_it(b: Builder) -> bool:
    """LastInITBlock (A2.5.2)."""
    return b.it & 15 == 8


def ends_it(b: Builder, i: Decoded) -> None:
    """A branch may only be the last instruction of an IT block."""
    i.unpredictable_if(in_it(b) and not last_in_it(b))


def sets_flags(b: Builder, i: Decoded) -> bool:
    """The S bit; 16-bit instructions set the flags outside IT blocks only."""
    s = i.get("S")
    return not in_it(b) if s == FLAGS_OUTSIDE_IT else s == 1


def bad(register: int) -> bool:
    """BadReg: R13 and R15, which most 32-bit Thumb instructions do not take (A6.1.2)."""
    return register in (SP, PC)


def no_bad_registers(b: Builder, i: Decoded, *names: str) -> None:
    """In Thumb none of the named fields may be R13 or R15; in ARM none may be R15."""
    for name in names:
        i.unpredictable_if(i[name] == PC or (b.thumb and i[name] == SP))


def set_nz(b: Builder, result: Value) -> None:
    """N and Z of a 32- or 64-bit result."""
    b.set(Slot.N, result.bit(result.width - 1))
    b.set(Slot.Z, result.eq(0))


def set_nzcv(b: Builder, result: Value, carry: Value, overflow: Value) -> None:
    set_nz(b, result)
    b.set(Slot.C, carry)
    b.set(Slot.V, overflow)


# -- arithmetic ----------------------------------------------------------------------------------------------


def add(b: Builder, x: Value, y: Value) -> tuple[Value, Value, Value]:
    """AddWithCarry(x, y, 0): result, carry, overflow (A2.2.1)."""
    result = x + y
    return result, result.ult(x), ((x ^ result) & (y ^ result)).bit(31)


def subtract(b: Builder, x: Value, y: Value) -> tuple[Value, Value, Value]:
    """AddWithCarry(x, NOT y, 1)."""
    result = x - y
    return result, y.ule(x), ((x ^ y) & (x ^ result)).bit(31)


def add_with_carry(b: Builder, x: Value, y: Value) -> tuple[Value, Value, Value]:
    """AddWithCarry(x, y, APSR.C)."""
    wide = x.zext(64) + y.zext(64) + b.get(Slot.C).zext(64)
    result = wide.trunc(32)
    return result, (wide >> 32).trunc(1), ((x ^ result) & (y ^ result)).bit(31)


# -- immediates ----------------------------------------------------------------------------------------------


def _ror(value: int, amount: int) -> int:
    return (value >> amount | value << (32 - amount)) & 0xFFFFFFFF if amount else value


def arm_expand_imm(imm12: int) -> tuple[int, int | None]:
    """ARMExpandImm_C (A5.2.4): the value and its carry; None = the carry flag stays."""
    amount = 2 * (imm12 >> 8)
    value = _ror(imm12 & 0xFF, amount)
    return value, value >> 31 if amount else None


def thumb_expand_imm(imm12: int) -> tuple[int, int | None]:
    """ThumbExpandImm_C (A6.3.2)."""
    imm8 = imm12 & 0xFF
    if imm12 >> 10 == 0:
        pattern = imm12 >> 8
        if pattern and not imm8:
            raise Unpredictable
        return imm8 * (0x00000001, 0x00010001, 0x01000100, 0x01010101)[pattern], None
    value = _ror(0x80 | (imm12 & 0x7F), imm12 >> 7)
    return value, value >> 31


# -- shifts --------------------------------------------------------------------------------------------------


def decode_imm_shift(kind: int, imm5: int) -> tuple[int, int]:
    """DecodeImmShift (A8.4.3): kind and amount."""
    if imm5:
        return kind, imm5
    return ((LSL, 0), (LSR, 32), (ASR, 32), (RRX, 1))[kind]


def shift_c(b: Builder, value: Value, kind: int, amount: int) -> tuple[Value, Value | None]:
    """Shift_C (A8.4.3) by a constant: the result and the carry out; None = the carry flag stays."""
    if kind == RRX:
        return value >> 1 | b.get(Slot.C) << 31, value.bit(0)
    if amount == 0:
        return value, None
    if kind == LSL:
        return value << amount, value.bit(32 - amount)
    if kind == LSR:
        return (value >> amount if amount < 32 else b.const(0)), value.bit(amount - 1)
    if kind == ASR:
        return value.asr(min(amount, 31)), value.bit(amount - 1)
    result = value.ror(amount)
    return result, result.bit(31)


def shift_c_register(b: Builder, value: Value, kind: int, register: Value) -> tuple[Value, Value]:
    """Shift_C by the low byte of a register."""
    amount = register & 0xFF
    wide = amount.zext(64)
    if kind == LSL:
        result = value << amount
        carry = (value.zext(64) << wide >> 32).trunc(1)
    elif kind == LSR:
        result = value >> amount
        carry = (value.zext(64) << 1 >> wide).trunc(1)
    elif kind == ASR:
        result = value.asr(amount)
        carry = (value.sext(64) << 1).asr(wide).trunc(1)
    else:
        result = value.ror(amount)
        carry = result.bit(31)
    return result, b.select(amount.eq(0), b.flag(Slot.C), carry)


def immediate_shift(i: Decoded) -> tuple[int, int]:
    """The shift that the fields of a register operand give: (kind, amount)."""
    if "imm5" in i:
        return decode_imm_shift(i.get("type"), i["imm5"])
    if "imm2" in i:  # T32: imm3:imm2, or imm2 alone where only LSL by 0 … 3 is there
        return decode_imm_shift(i.get("type"), i.join("imm3", "imm2"))
    return LSL, 0


def shifted_register(b: Builder, i: Decoded) -> Value:
    """Rm shifted by an immediate, where the carry is of no interest (addresses)."""
    kind, amount = immediate_shift(i)
    return shift_c(b, b.reg(i["Rm"]), kind, amount)[0]


def operand2(b: Builder, i: Decoded) -> tuple[Value, Value | None]:
    """The second operand of a data-processing instruction, whatever its form: value and carry out (or None)."""
    if "Rs" in i:  # register-shifted register
        return shift_c_register(b, b.reg(i["Rm"]), i["type"], b.reg(i["Rs"]))
    if "Rm" in i:
        kind, amount = immediate_shift(i)
        return shift_c(b, b.reg(i["Rm"]), kind, amount)
    if "plain" in i:  # not a modified immediate constant
        return b.const(plain_immediate(i)), None
    if b.thumb:
        number, carry = thumb_expand_imm(i.join("i", "imm3", "imm8"))
    else:
        number, carry = arm_expand_imm(i["imm12"])
    return b.const(number), None if carry is None else b.const(carry, 1)


def plain_immediate(i: Decoded) -> int:
    """An immediate that is just a number, times the encoding's `scale`."""
    return i.join("imm4H", "imm4L", "imm4", "i", "imm3", "imm5", "imm7", "imm8", "imm12") * i.get("scale", 1)


# -- PC ------------------------------------------------------------------------------------------------------


def alu_write_pc(b: Builder, address: Value) -> None:
    """ALUWritePC (A2.3.1): interworks in ARM, does not in Thumb."""
    if b.thumb:
        b.branch_to(address)
    else:
        b.branch_exchange(address)


def load_write_pc(b: Builder, address: Value) -> None:
    """LoadWritePC (A2.3.1)."""
    b.branch_exchange(address)


def aligned_pc(b: Builder) -> Value:
    """Align(PC, 4)."""
    return b.pc() & 0xFFFFFFFC if b.thumb else b.pc()


# -- saturation ----------------------------------------------------------------------------------------------


def signed_saturate(b: Builder, value: Value, bits: int) -> tuple[Value, Value]:
    """SignedSatQ (A2.2.1) of a 32- or 64-bit signed number: the result, same width, and whether it saturated."""
    width = value.width
    high = (1 << (bits - 1)) - 1
    low = (1 << width) - (1 << (bits - 1))
    above = b.const(high, width).slt(value)
    below = value.slt(low)
    return b.select(above, b.const(high, width), b.select(below, b.const(low, width), value)), above | below


def unsigned_saturate(b: Builder, value: Value, bits: int) -> tuple[Value, Value]:
    """UnsignedSatQ of a signed number."""
    width = value.width
    high = (1 << bits) - 1
    above = b.const(high, width).slt(value)
    below = value.slt(0)
    return b.select(above, b.const(high, width), b.select(below, b.const(0, width), value)), above | below


def set_q(b: Builder, saturated: Value) -> None:
    """APSR.Q is sticky."""
    b.set(Slot.Q, b.get(Slot.Q) | saturated.zext(32))
