"""The instruction log: the address of every instruction that retires, in order, at native speed.

One 32-bit word an instruction: its address, bit 0 set in Thumb. Native code writes it by itself. As each
instruction takes exactly one word, a budget of instructions is a bound of the buffer, and needs no other check.
A backend that logs is a `LoggedBackend` around one whose evaluator is a `LoggedEvaluator`.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from retrap.machine.backend import Backend
from retrap.machine.context import Context, Slot
from retrap.machine.space import AddressSpace
from retrap.machine.traps import Trap, TrapKind

if TYPE_CHECKING:
    from retrap.machine.evaluate import Evaluator, Look

CAPACITY: Final = 1 << 18
"""Instructions that the buffer holds."""


@final
class InstructionLog:
    """A buffer that is handed on, whole, when it is full. `words[:at]` is what has not been handed on."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity: Final = capacity
        self._mapping: Final = mmap.mmap(-1, capacity * 4)
        self.words: Final = memoryview(self._mapping).cast("I")
        self.address: Final = ctypes.addressof(ctypes.c_char.from_buffer(self._mapping))
        self.at = 0
        self.full: Callable[[], None] | None = None
        """Called when the buffer is full; afterwards it counts as empty."""

    def room(self) -> int:
        """How many instructions may run now, at least one."""
        if self.at >= self.capacity:
            if self.full is not None:
                self.full()
            self.at = 0
        return self.capacity - self.at

    def logging(self, enter: Callable[..., int], place: int) -> Callable[..., int]:
        """`enter` of `llvm.trampoline` for regions that log. `place`: host address of `Env.LOG` there."""

        def run(context: bytes, budget: int, *user: object) -> int:
            # Regions count from where the log ends if all of the budget is used.
            ctypes.c_uint64.from_address(place).value = self.address + 4 * (self.at + budget)
            result = enter(context, budget, *user)
            self.at += result if result >= 0 else ~result >> 8
            return result

        return run


@final
class LoggedEvaluator(Backend):
    """An evaluator that logs: one instruction at a time."""

    def __init__(self, inner: Evaluator, log: InstructionLog) -> None:
        super().__init__()
        self.inner: Final = inner
        self.log: Final = log

    def run(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        """See `Backend`; the budget is at most the log's room."""
        return self.run_blocks(context, space, retired, budget, None)

    def run_blocks(
        self, context: Context, space: AddressSpace, retired: int, budget: int, look: Look | None
    ) -> Trap:
        """See `machine.evaluate.Evaluator`."""
        inner, log, words, end = self.inner, self.log, context.words, retired + budget
        clock = space.memory.clock
        self.retired = retired
        while True:
            address = words[Slot.PC] | words[Slot.THUMB]
            trap = inner.run_blocks(context, space, retired, 1, look)
            if inner.retired != retired:
                log.words[log.at] = address
                log.at += 1
                self.retired = retired = inner.retired
            if trap.kind is not TrapKind.INTERRUPT or retired >= end or clock.stop or inner.left:
                return trap


@final
class LoggedBackend(Backend):
    """Keeps a backend within the log's room: it comes back early, with INTERRUPT, when the buffer is full."""

    def __init__(self, inner: Backend, log: InstructionLog) -> None:
        super().__init__()
        self.inner: Final = inner
        self.log: Final = log

    def run(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        """See `Backend`."""
        inner = self.inner
        try:
            return inner.run(context, space, retired, min(budget, self.log.room()))
        finally:
            self.retired = inner.retired
