"""Runs guest code natively where that pays, and lets the evaluator do the rest.

Tiers are chosen by counts: a block head that has been reached `HOT` times is compiled. What is compiled when can
be seen by nobody: native code and the evaluator give the same states at the same instruction counts.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.context import Context, Slot
from retrap.machine.evaluate import Evaluator
from retrap.machine.llvm.layout import UNTOUCHED, Env, Exit
from retrap.machine.llvm.lower import Shape
from retrap.machine.llvm.native import Native
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import AddressSpace
from retrap.machine.traps import INTERRUPT, SVC, Trap, TrapKind

HOT: Final = 40
"""Times that a block head is reached in the evaluator before its region is compiled."""

VERY_HOT: Final = 20_000_000
"""Instructions that a region executes before it is compiled again, with care: that costs milliseconds."""


@final
class LlvmBackend:
    """See `machine.cpu.Backend`."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self.native: Final = Native(memory)
        self.evaluator: Final = Evaluator(memory)
        self.retired = 0

    def run(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        """Execute up to `budget` instructions; `retired` counts those completed."""
        native, evaluator, words = self.native.space(space), self.evaluator, context.words
        env, entries, heat = native.env, native.entries, native.heat
        end = retired + budget
        self.retired = now = retired
        while now < end:
            if not words[Slot.IT] and not words[Slot.BIG_ENDIAN]:
                key = words[Slot.PC] | words[Slot.THUMB]
                compiled = entries.get(key)
                if compiled is None:
                    count = heat.get(key, 0) + 1
                    heat[key] = count
                    if count == 1:
                        compiled = self.native.find(native, key)
                    elif count == HOT:
                        compiled = self.native.compile(native, key)
                if compiled is not None:
                    if compiled.shape is Shape.QUICK and self.native.executed(compiled) > VERY_HOT:
                        compiled = self.native.promote(native, compiled)
                    native.remember(compiled)
                    env[Env.BUDGET] = end - now
                    env[Env.TOUCHED] = UNTOUCHED
                    why = compiled.entry(context.address, native.env_address)
                    self.retired = now = end - env[Env.BUDGET]
                    if why == Exit.SVC:
                        return SVC
                    if why == Exit.LOOKUP:
                        continue
                    touched = env[Env.TOUCHED]
                    if why == Exit.STEP and touched != UNTOUCHED:
                        native.fill(touched >> 12)
                        native.fill((touched >> 12) + 1 & 0xFFFFF)
                    if now >= end:
                        break
            trap = evaluator.run(context, space, now, 1)
            self.retired = now = evaluator.retired
            if trap.kind is not TrapKind.INTERRUPT:
                return trap
        return INTERRUPT
