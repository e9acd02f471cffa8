"""The closed set of operations. A backend is a table over `Op`, and is checked to cover all of it.

Values are unsigned integers of 1, 32 or 64 bits. An instruction's meaning is a straight line of operations
(`Block`): there is no control flow inside. A block may carry a condition: when it is false nothing of the body
happens, except what `Block.skipped` says. Register writes come last, so that an abort leaves no trace of them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, final


class Op(IntEnum):
    """`d` is the result, `a b c` operands (value numbers), `imm` an attribute known at translation."""

    CONST = 0  # d := imm
    GET = 1  # d := context word imm (32 bit)
    SET = 2  # context word imm := a (32 bit)
    GET64 = 3  # d := context words imm, imm + 1 (low first)
    SET64 = 4  # context words imm, imm + 1 := a

    ADD = 5  # modulo 2^width, as are all below
    SUB = 6
    MUL = 7
    UDIV = 8  # x / 0 = 0 (ARM ARM A8.8.248)
    SDIV = 9  # truncates; x / 0 = 0; INT_MIN / -1 = INT_MIN (A8.8.165)
    AND = 10
    OR = 11
    XOR = 12
    NOT = 13
    SHL = 14  # amounts are unsigned; an amount ≥ width gives 0
    LSHR = 15  # an amount ≥ width gives 0
    ASHR = 16  # an amount ≥ width gives all sign bits
    ROR = 17  # amount modulo width
    CLZ = 18  # CLZ(0) = width
    RBIT = 19  # bit reversal

    EQ = 20  # comparisons give one bit
    NE = 21
    ULT = 22
    ULE = 23
    SLT = 24
    SLE = 25
    SELECT = 26  # d := b if a else c (a is one bit)
    ZEXT = 27  # to the width of d
    SEXT = 28
    TRUNC = 29  # keep the low bits

    LOAD = 30  # d := imm.size bytes at address a, zero-extended to d's width; faults
    STORE = 31  # imm.size bytes at address a := b; faults. With operand c (one bit): only if c
    CALL = 32  # results := helper imm.name(arguments); pure functions on integers
    RESULT = 33  # d := result imm of the CALL a
    TRAP = 34  # stop with trap kind imm. With operand a (one bit): only if a. Precedes all SETs but ITSTATE's
    COUNTER = 35  # d := low (imm 0) or high (imm 1) word of the generic timer's counter before this instruction
    SYSTEM_GET = 36  # d := the generic timer's register imm (`machine.access.SystemRegister`), 64 bits
    SYSTEM_SET = 37  # that register := a (64 bits)


@final
class Access:
    """Attributes of LOAD and STORE, packed: size in bytes, required alignment in bytes, unprivileged form."""

    __slots__ = ("alignment", "size")

    def __init__(self, size: int, alignment: int) -> None:
        self.size: Final = size  # 1, 2, 4 or 8
        self.alignment: Final = alignment  # 1: any address; otherwise a misaligned one raises an alignment fault


@final
class Inst:
    """One operation. Unused operands are -1. `extra`: LOAD, STORE: Access; CALL: (helper, arguments, widths)."""

    __slots__ = ("a", "b", "c", "d", "extra", "imm", "mask", "op", "sign", "width")

    def __init__(
        self, op: Op, width: int, d: int, a: int, b: int, c: int, imm: int, extra: object = None
    ) -> None:
        self.op: Final = op
        self.width: Final = width  # of d, or of the operands where there is no d; of the operands for comparisons
        self.d: Final = d
        self.a: Final = a
        self.b: Final = b
        self.c: Final = c
        self.imm: Final = imm
        self.extra: Final[Any] = extra
        self.mask: Final = (1 << width) - 1  # all ones, and the sign bit, of `width`: for who computes with Python
        self.sign: Final = 1 << (width - 1)

    def __repr__(self) -> str:
        operands = " ".join(f"v{x}" for x in (self.a, self.b, self.c) if x >= 0)
        result = f"v{self.d}:{self.width} = " if self.d >= 0 else ""
        return f"{result}{self.op.name} {operands} {self.imm:#x} {self.extra or ''}".strip()


@final
class Block:
    """What one instruction does.

    `prologue` computes `condition` (a value number; -1 = always). If it holds `body` runs, else `skipped`
    (SETs of PC and ITSTATE only). `values` is how many value numbers are used, over all three.
    """

    __slots__ = ("body", "branches", "condition", "prologue", "size", "skipped", "text", "trap", "values")

    def __init__(
        self,
        prologue: tuple[Inst, ...],
        condition: int,
        body: tuple[Inst, ...],
        skipped: tuple[Inst, ...],
        values: int,
        size: int,
        branches: bool,
        trap: int,
        text: str,
    ) -> None:
        self.prologue: Final = prologue
        self.condition: Final = condition
        self.body: Final = body
        self.skipped: Final = skipped
        self.values: Final = values
        self.size: Final = size  # bytes of the instruction, 2 or 4
        self.branches: Final = branches  # the body writes PC by itself
        self.trap: Final = trap  # kind of the unconditional TRAP at the body's end, or -1
        self.text: Final = text  # disassembly, for people
