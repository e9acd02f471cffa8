"""Parallel addition and subtraction, SEL, sums of absolute differences: ARM ARM A4.4.7, A4.4.9.

Thirty-six instructions are six operations times six kinds of result. An operation is two or four lanes; a kind
says how a lane's exact sum becomes its result, and what GE it gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retrap.machine.arm.pseudocode import no_bad_registers, signed_saturate, unsigned_saturate
from retrap.machine.arm.registry import Decoded, Definition, instruction
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder, Value

ADD, SUBTRACT = False, True

# (lanes of Rn, lanes of Rm, operation) from low to high: the exchange forms cross the halves of Rm.
_OPERATIONS: Final = {
    "ADD16": (16, ((0, ADD), (1, ADD))),
    "ASX": (16, ((1, SUBTRACT), (0, ADD))),
    "SAX": (16, ((1, ADD), (0, SUBTRACT))),
    "SUB16": (16, ((0, SUBTRACT), (1, SUBTRACT))),
    "ADD8": (8, ((0, ADD), (1, ADD), (2, ADD), (3, ADD))),
    "SUB8": (8, ((0, SUBTRACT), (1, SUBTRACT), (2, SUBTRACT), (3, SUBTRACT))),
}

Kind = Callable[[Builder, Value, bool, int], "tuple[Value, Value | None]"]
"""(builder, exact 32-bit sum, was it a subtraction, lane width) → the lane's result, and its GE bit or None."""


def _modulo_signed(b: Builder, total: Value, subtract: bool, width: int) -> tuple[Value, Value | None]:
    return total, ~total.bit(31)  # GE: the sum is not negative


def _modulo_unsigned(b: Builder, total: Value, subtract: bool, width: int) -> tuple[Value, Value | None]:
    return total, ~total.bit(31) if subtract else total.bit(width)  # GE: no borrow, or a carry


def _saturate_signed(b: Builder, total: Value, subtract: bool, width: int) -> tuple[Value, Value | None]:
    return signed_saturate(b, total, width)[0], None


def _saturate_unsigned(b: Builder, total: Value, subtract: bool, width: int) -> tuple[Value, Value | None]:
    return unsigned_saturate(b, total, width)[0], None


def _halve(b: Builder, total: Value, subtract: bool, width: int) -> tuple[Value, Value | None]:
    return total.asr(1), None


# prefix: (kind, lanes are signed)
_KINDS: Final[dict[str, tuple[Kind, bool]]] = {
    "S": (_modulo_signed, True),
    "Q": (_saturate_signed, True),
    "SH": (_halve, True),
    "U": (_modulo_unsigned, False),
    "UQ": (_saturate_unsigned, False),
    "UH": (_halve, False),
}


def _lane(value: Value, index: int, width: int, signed: bool) -> Value:
    lane = value.field(index * width, width)
    return lane.sign_extend(width) if signed else lane


def _definition(prefix: str, operation: str) -> Definition:
    kind, signed = _KINDS[prefix]
    width, lanes = _OPERATIONS[operation]

    def define(b: Builder, i: Decoded) -> None:
        no_bad_registers(b, i, "Rd", "Rn", "Rm")
        n, m = b.reg(i["Rn"]), b.reg(i["Rm"])
        result, flags = b.const(0), b.const(0)
        per_lane = width // 8  # GE bits
        ge = False
        for index, (other, subtract) in enumerate(lanes):
            x, y = _lane(n, index, width, signed), _lane(m, other, width, signed)
            value, flag = kind(b, x - y if subtract else x + y, subtract, width)
            result = result | (value & ((1 << width) - 1)) << index * width
            if flag is not None:
                ge = True
                ones = ((1 << per_lane) - 1) << index * per_lane
                flags = flags | b.select(flag, b.const(ones), 0)
        b.set_reg(i["Rd"], result)
        if ge:
            b.set(Slot.GE, flags)

    return define


# Sections of the manual, and the encodings' two op fields: A1 op1 op2, T1 op1 op2 (A5.4.1, A5.4.2, A6.3.13-14).
_PREFIX_BITS: Final = {
    "S": ("001", "00"), "Q": ("010", "01"), "SH": ("011", "10"),
    "U": ("101", "00"), "UQ": ("110", "01"), "UH": ("111", "10"),
}  # fmt: skip
_OPERATION_BITS: Final = {
    "ADD16": ("000", "001"), "ASX": ("001", "010"), "SAX": ("010", "110"),
    "SUB16": ("011", "101"), "ADD8": ("100", "000"), "SUB8": ("111", "100"),
}  # fmt: skip
_SECTIONS: Final = {
    "S": ("A8.8.158", "A8.8.160", "A8.8.195", "A8.8.196", "A8.8.159", "A8.8.197"),
    "Q": ("A8.8.135", "A8.8.137", "A8.8.140", "A8.8.142", "A8.8.136", "A8.8.143"),
    "SH": ("A8.8.169", "A8.8.171", "A8.8.172", "A8.8.173", "A8.8.170", "A8.8.174"),
    "U": ("A8.8.243", "A8.8.245", "A8.8.268", "A8.8.269", "A8.8.244", "A8.8.270"),
    "UQ": ("A8.8.258", "A8.8.260", "A8.8.261", "A8.8.262", "A8.8.259", "A8.8.263"),
    "UH": ("A8.8.249", "A8.8.251", "A8.8.252", "A8.8.253", "A8.8.250", "A8.8.254"),
}

for _prefix, (_a1, _t1) in _PREFIX_BITS.items():
    for _index, (_operation, (_a2, _t2)) in enumerate(_OPERATION_BITS.items()):
        _u = "1" if _prefix.startswith("U") else "0"
        instruction(_prefix + _operation, _SECTIONS[_prefix][_index], f"""
            A1  cond 01100 {_a1} Rn Rd (1111) {_a2} 1 Rm
            T1  11111 010 1 {_t2} Rn 1111 Rd 0 {_u} {_t1} Rm
        """)(_definition(_prefix, _operation))  # fmt: skip


@instruction("SEL", "A8.8.166", """
    A1  cond 01101000 Rn Rd (1111) 1011 Rm
    T1  11111 010 1010 Rn 1111 Rd 1000 Rm
""")  # fmt: skip
def sel(b: Builder, i: Decoded) -> None:
    """Each byte from Rn where its GE bit is set, else from Rm."""
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    ge = b.get(Slot.GE)
    mask = b.const(0)
    for lane in range(4):
        mask = mask | b.select(ge.bit(lane), b.const(0xFF << 8 * lane), 0)
    b.set_reg(i["Rd"], b.reg(i["Rn"]) & mask | b.reg(i["Rm"]) & ~mask)


def _differences(b: Builder, i: Decoded) -> Value:
    n, m = b.reg(i["Rn"]), b.reg(i["Rm"])
    total = b.const(0)
    for lane in range(4):
        x, y = n.field(8 * lane, 8), m.field(8 * lane, 8)
        total = total + b.select(x.ult(y), y - x, x - y)
    return total


@instruction("USAD8", "A8.8.264", """
    A1  cond 01111000 Rd 1111 Rm 0001 Rn
    T1  11111 0110 111 Rn 1111 Rd 0000 Rm
""")  # fmt: skip
def usad8(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm")
    b.set_reg(i["Rd"], _differences(b, i))


@instruction("USADA8", "A8.8.265", """
    A1  cond 01111000 Rd Ra Rm 0001 Rn
    T1  11111 0110 111 Rn Ra Rd 0000 Rm
""")  # fmt: skip
def usada8(b: Builder, i: Decoded) -> None:
    no_bad_registers(b, i, "Rd", "Rn", "Rm", "Ra")
    b.set_reg(i["Rd"], b.reg(i["Ra"]) + _differences(b, i))
