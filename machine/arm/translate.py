"""From an instruction word to its `Block`: the condition, the definition's body, the epilogue; each said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from retrap.machine.arm.decode import REMEMBERED, decode
from retrap.machine.arm.registry import Decoded, Undefined, Unpredictable
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder, Value, finish
from retrap.machine.ir.ops import Block, Inst
from retrap.machine.traps import TrapKind

ALWAYS: Final = 14

_blocks: Final[dict[int, Block]] = {}


def translate(word: int, thumb: bool, it: int) -> Block:
    """What `word` does. `it` is CPSR.IT before it (0 in ARM state). UNDEFINED words trap. Cached."""
    key = (it << 32 | word) << 1 | thumb
    block = _blocks.get(key)
    if block is None:
        block = _translate(word, thumb, it)
        if len(_blocks) >= REMEMBERED:
            _blocks.clear()
        _blocks[key] = block
    return block


def _translate(word: int, thumb: bool, it: int) -> Block:
    return assemble(decode(word, thumb), word, thumb, it)


def assemble(
    decoded: Decoded | None, word: int, thumb: bool, it: int, table: Callable[[], dict[Any, Value]] = dict
) -> Block:
    """The block of `word`, which is `decoded`: perhaps with symbols for fields, then `table` has to find them."""
    size = 2 if thumb and word <= 0xFFFF else 4
    condition = condition_of(word, thumb, it)
    text = "UNDEFINED"
    builder, prologue, number = _begin(thumb, size, it, condition, table)
    try:
        if decoded is None:
            raise Undefined
        encoding = decoded.encoding
        text = encoding.title
        if decoded.word & encoding.should_mask != encoding.should_value:
            raise Unpredictable
        encoding.instruction.definition(builder, decoded)
    except Undefined:
        # Also what a definition had begun to emit is dropped.
        builder, prologue, number = _begin(thumb, size, it, condition, table)
        builder.trap(TrapKind.UNDEFINED)
    return finish(builder, prologue, number, text)


def _begin(
    thumb: bool, size: int, it: int, condition: int, table: Callable[[], dict[Any, Value]]
) -> tuple[Builder, tuple[Inst, ...], int]:
    builder = Builder(thumb, size, it, table)
    number = -1
    if condition != ALWAYS:
        number = builder.number(holds(builder, condition))
    return builder, builder.take(), number


def condition_of(word: int, thumb: bool, it: int) -> int:
    """The condition under which `word` executes: 0 … 14. ARM ARM A8.3, CurrentCond()."""
    if not thumb:
        cond = word >> 28
        return ALWAYS if cond == 15 else cond
    if word >> 12 == 0b1101 and word >> 9 != 0b1101111:  # B T1
        return word >> 8 & 15
    if word >> 27 == 0b11110 and word & 0xD000 == 0x8000 and word >> 23 & 7 != 7:  # B T3
        return word >> 22 & 15
    if it & 15 == 0 or word >> 8 == 0b10111110:  # BKPT executes whatever the IT block says (A8.8.24)
        return ALWAYS
    cond = it >> 4
    return ALWAYS if cond == 15 else cond


def holds(b: Builder, condition: int) -> Value:
    """ConditionHolds (ARM ARM A8.3.1), as a one-bit value. `condition` is 0 … 13."""
    match condition >> 1:
        case 0:
            result = b.flag(Slot.Z)
        case 1:
            result = b.flag(Slot.C)
        case 2:
            result = b.flag(Slot.N)
        case 3:
            result = b.flag(Slot.V)
        case 4:
            result = b.flag(Slot.C) & ~b.flag(Slot.Z)
        case 5:
            result = b.get(Slot.N).eq(b.get(Slot.V))
        case _:
            result = b.get(Slot.N).eq(b.get(Slot.V)) & ~b.flag(Slot.Z)
    return ~result if condition & 1 else result
