"""Which accesses of a basic block lie at constant distances from each other, so that one check does for all.

A check that covers more than its own instruction's access may fail where that access alone would not: then the
region is left before its time, and the evaluator sees what there is to see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from retrap.machine.context import Slot
from retrap.machine.ir.ops import Inst, Op
from retrap.machine.llvm.blocks import Span, plan_accesses

if TYPE_CHECKING:
    from retrap.machine.llvm.lower import Step

REACH: Final = 1088
"""Bytes that one check covers at most, unless a single instruction accesses more."""

NO_BASE: Final = int(Slot.PC)
"""The base register of an address that has none."""

Place = tuple[int, int, Op]
"""Address of an instruction, value number of the root of one of its spans, LOAD or STORE."""


@final
class Group:
    """Bytes [low, high) from an origin that is known when the code runs; `op` is the right that they need."""

    __slots__ = ("high", "low", "op")

    def __init__(self, low: int, high: int, op: Op) -> None:
        self.low = low
        self.high = high
        self.op: Final = op


_Symbol = tuple[object, int]
"""A number known up to a constant: (origin, distance from it)."""


@final
class Plan:
    """Of one basic block: where its accesses belong."""

    __slots__ = ("bases", "places")

    def __init__(self, run: list[Step]) -> None:
        self.places: Final[dict[Place, tuple[Group, int]]] = {}
        """Unconditional spans → their group, and the distance from its origin to the span's root."""
        self.bases: Final[dict[Place, int]] = {}
        """All spans → the register that their address starts from."""
        found = self._spans(run)
        # What is stored to is readable too: one check for both directions.
        stored = {symbol[0] for (_, _, op), symbol, _ in found if op is Op.STORE}
        groups: dict[tuple[object, Op], Group] = {}
        for place, symbol, span in found:
            right = Op.STORE if symbol[0] in stored or self.bases[place] == Slot.SP else place[2]
            key, distance = (symbol[0], right), symbol[1]
            low, high = distance + span.low, distance + span.high
            group = groups.get(key)
            if group is None or max(group.high, high) - min(group.low, low) > REACH:
                group = groups[key] = Group(low, high, right)
            else:
                group.low, group.high = min(group.low, low), max(group.high, high)
            self.places[place] = (group, distance)

    def _spans(self, run: list[Step]) -> list[tuple[Place, _Symbol, Span]]:
        """The unconditional spans whose addresses are known up to a constant."""
        found = []
        registers: dict[int, _Symbol] = {slot: (slot, 0) for slot in range(15)}
        for step in run:
            block = step.block
            symbols: dict[int, _Symbol] = {}
            origin: dict[int, int] = {}
            accesses = False
            for inst in (*block.prologue, *block.body):
                if inst.op is Op.SET:
                    if inst.imm < Slot.PC:
                        known = symbols.get(inst.a) if block.condition < 0 else None
                        registers[inst.imm] = known if known is not None else ((step.address, inst.imm), 0)
                elif inst.op in (Op.LOAD, Op.STORE):
                    accesses = True
                    self.bases[step.address, inst.a, inst.op] = origin.get(inst.a, NO_BASE)
                elif inst.d >= 0:
                    _evaluate(inst, step.address, symbols, origin, registers)
            if not accesses or not step.facts.lowerable:
                continue
            for (root, op), span in plan_accesses(block)[0].items():
                place = step.address, root, op
                self.bases[place] = origin.get(root, NO_BASE)
                symbol = symbols.get(root)
                if symbol is not None and block.condition < 0:
                    found.append((place, symbol, span))
        return found


def _evaluate(
    inst: Inst,
    address: int,
    symbols: dict[int, _Symbol],
    origin: dict[int, int],
    registers: dict[int, _Symbol],
) -> None:
    """What is known of an operation's result."""
    op, d = inst.op, inst.d
    if op is Op.CONST:
        symbols[d] = ("", inst.imm)
    elif op is Op.GET:
        if inst.imm == Slot.PC:
            symbols[d] = ("", address)
        elif inst.imm < Slot.PC:
            symbols[d] = registers[inst.imm]
            origin[d] = inst.imm
    elif inst.width == 32 and op in (Op.ADD, Op.SUB, Op.AND):
        a, b = symbols.get(inst.a), symbols.get(inst.b)
        for operand in (inst.a, inst.b):
            if operand in origin and d not in origin:
                origin[d] = origin[operand]
        if a is not None and b is not None and b[0] == "":
            if op is Op.ADD:
                delta = b[1] - (1 << 32) if b[1] >> 31 else b[1]
                symbols[d] = (a[0], a[1] + delta)
            elif op is Op.SUB:
                symbols[d] = (a[0], a[1] - b[1])
            elif op is Op.AND and a[0] == "":
                symbols[d] = ("", a[1] & b[1])
