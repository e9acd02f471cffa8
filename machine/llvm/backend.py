"""Runs guest code natively where that pays, and lets the evaluator do the rest.

Tiers are chosen by counts: a basic block that has been evaluated `HOT` times is compiled quickly, with what is
about as hot; a region in which `SAMPLES` slices of `SLICE` instructions ended is compiled again with care. What
is compiled when can be seen by nobody: native code and the evaluator give the same states at the same counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from retrap.machine.backend import Backend
from retrap.machine.context import Context, Slot, enter_user
from retrap.machine.evaluate import Evaluator
from retrap.machine.llvm.layout import Env, Exit, Sheet
from retrap.machine.llvm.lower import Shape
from retrap.machine.llvm.native import Native
from retrap.machine.llvm.native_space import NativeSpace
from retrap.machine.llvm.region import MAX_BLOCK
from retrap.machine.llvm.store import open_store
from retrap.machine.log import InstructionLog, LoggedEvaluator
from retrap.machine.memory import PhysicalMemory
from retrap.machine.relay import RelayTable
from retrap.machine.space import AddressSpace
from retrap.machine.traps import INTERRUPT, SVC, Trap, TrapKind

if TYPE_CHECKING:
    from retrap.machine.llvm.trampoline import Relay

HOT: Final = 64
"""Times that a basic block is evaluated before its region is compiled."""

BATCH: Final = 24
"""Regions compiled at once at most: a module costs about a millisecond, whatever is in it."""

SLICE: Final = 4_000_000
"""Instructions between two looks at what runs. Also bounds how long a host signal waits."""

SAMPLES: Final = 8
"""Slices that end in a region, at least, before it is compiled again, with care."""

WORTH: Final = 60
"""Guest instructions that may be compiled with care for each slice that has ended: about half a millisecond's work
each. So the time that this takes stays in proportion to the guest's."""

REFUSED: Final = 2000
"""Runs until a basic block that cannot be compiled is tried again."""

HEADS: Final = 1 << 16
"""Basic blocks counted at most; then counting starts afresh."""


_START: Final = -1  # nothing has run yet
_BUDGET: Final = int(Exit.BUDGET)
_LOOKUP: Final = int(Exit.LOOKUP)
_TOUCH: Final = int(Exit.TOUCH)
_SVC: Final = int(Exit.SVC)


def _parts(result: int) -> tuple[int, int]:
    """What `enter` of `trampoline` returned: instructions executed, and an `Exit`."""
    return (result, _SVC) if result >= 0 else (~result >> 8, ~result & 0xFF)


@final
class LlvmBackend(Backend):
    """Evaluates, interprets natively, and compiles."""

    def __init__(
        self,
        memory: PhysicalMemory,
        hot: int = HOT,
        period: int = SLICE,
        samples: int = SAMPLES,
        worth: int = WORTH,
        cache: bool = True,
        log: InstructionLog | None = None,
    ) -> None:
        """`hot`, `period`, `samples`, `worth`: see `HOT`, `SLICE`, `SAMPLES`, `WORTH`. `cache`: use `store`. Code
        that writes a `log` is other code, and is not kept there."""
        super().__init__()
        self.hot: Final = hot
        self.period: Final = max(period, 2 * MAX_BLOCK)  # any basic block is shorter
        self.samples: Final = samples
        self.worth: Final = worth
        self.native: Final = Native(memory, open_store() if cache and log is None else None, log=log)
        self._keeps: Final = self.native.store is not None
        plain = Evaluator(memory)
        self.evaluator: Final = plain if log is None else LoggedEvaluator(plain, log)
        self.clock: Final = memory.clock
        self.heads: Final[dict[int, int]] = {}
        """PC | Thumb → how often the basic block there has been evaluated, in any address space."""
        self._slice = self.period
        self._means = 0  # guest instructions that may be compiled with care
        self._relay: Relay | None = None

    @property
    def lacks(self) -> str:
        """Why nothing can be compiled, as a sentence; the empty string if all is well."""
        return self.native.unavailable

    def run(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        """See `Backend`."""
        return self._run(context, self.native.space(space), retired, retired + budget, _START)

    def enter(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        """See `Backend`."""
        # The way of most system calls: one call into native code, and back.
        listener = space.listener
        if listener is None or listener.enter is None:
            enter_user(context)
            return self._run(context, self.native.space(space), retired, retired + budget, _START)
        left = self._slice
        executed = listener.enter(context.handle, budget if budget < left else left, None)
        if executed >= 0:
            self._slice = left - executed
            self.retired = retired + executed
            return SVC
        why = ~executed & 0xFF
        executed = ~executed >> 8
        self._slice = left - executed
        return self._run(context, self.native.space(space), retired + executed, retired + budget, why)

    def environment(self, space: AddressSpace) -> int:
        """See `Backend`."""
        if self._relay is None:
            self._relay = self.native.make_relay()
        return 0 if self._relay is None else self.native.space(space).env_address

    def relay(self, table: RelayTable, retired: int, budget: int) -> bool:
        """See `Backend`."""
        relay = self._relay
        assert relay is not None
        result = relay(table.address, min(budget, self._slice))
        executed = result >> 8
        self._slice -= executed
        self.retired = retired + executed
        if result & 0xFF != _SVC:
            return False
        if self._slice <= 0:
            self._slice = self.period
        return True

    def _run(self, context: Context, native: NativeSpace, now: int, end: int, why: int) -> Trap:
        """Go on from where native code ended, because of `why`, or never began, until the clock stands at `end`."""
        evaluator, space = self.evaluator, native.space
        clock = self.clock
        while True:
            if self._slice <= 0 or (why == _BUDGET and self._slice < end - now):
                # A slice ended, not the budget: blocks are shorter than slices.
                self._slice = self.period
                self._sample(native, context)
            elif why != _START and why != _SVC and now < end:
                if why == _BUDGET and native.sheets and native.enter is not None:
                    # The rest of a basic block, from its middle on.
                    executed, reason = _parts(native.enter(context.handle, end - now, None, None))
                    if executed:
                        now += executed
                        self._slice -= executed
                        why = reason or _START
                        continue
                if not self._helped(native, context, why):
                    try:
                        if why == _LOOKUP:
                            trap = evaluator.run_blocks(context, space, now, end - now, self._leave)
                        else:
                            trap = evaluator.run(context, space, now, end - now if why == _BUDGET else 1)
                    finally:
                        self.retired = now = evaluator.retired
                    if trap.kind is not TrapKind.INTERRUPT or clock.stop:
                        return trap
            if why == _SVC or now >= end:
                self.retired = now
                return SVC if why == _SVC else INTERRUPT
            why = _LOOKUP
            if native.enter is not None:
                executed, why = _parts(native.enter(context.handle, min(end - now, self._slice)))
                now += executed
                self._slice -= executed

    def _helped(self, native: NativeSpace, context: Context, why: int) -> bool:
        """Native code came back: whether it can go on now."""
        if why == _LOOKUP:
            return self._look(native, context)
        if why != _TOUCH:
            return False
        page = native.env[Env.TOUCHED >> 3] >> 12 & 0xFFFFF
        first, second = native.fill(page), native.fill(page + 1 & 0xFFFFF)
        return first or second

    def _leave(self, context: Context, space: AddressSpace) -> bool:
        """Whether the evaluator is to come back, because there is native code for PC."""
        native = space.listener
        if not isinstance(native, NativeSpace):
            native = self.native.space(space)
        if self._look(native, context):
            return True
        if not native.sheets:
            return False
        words = context.words
        return not words[Slot.IT] | words[Slot.BIG_ENDIAN] and native.covers(words[Slot.PC] | words[Slot.THUMB])

    def _look(self, native: NativeSpace, context: Context) -> bool:
        """Nothing is in the jump cache for PC: is there now?"""
        words = context.words
        if words[Slot.IT] or words[Slot.BIG_ENDIAN]:
            return False
        key = words[Slot.PC] | words[Slot.THUMB]
        compiled = native.entries.get(key)
        if compiled is not None:
            native.remember(compiled)
            return True
        if self._keeps and key >> 12 not in native.looked and self.native.look_up(native, key >> 12):
            return True
        heads = self.heads
        count = heads.get(key)
        if count is None:
            if len(heads) >= HEADS:
                heads.clear()
            if self.native.find(native, key):
                return True
            count = 0
            self.native.reached.add(key)
        elif self.native.library.get(key) and self.native.find(native, key):
            return True
        heads[key] = count = count + 1
        sheet = native.sheets.get(key >> 12) if native.sheets else None
        if sheet is not None and count > 0 and sheet.count(key) >= Sheet.ENOUGH:
            count = self.hot  # interpreted often enough
        if count >= self.hot:
            if self.native.find(native, key):
                return True
            self._compile(native, key)
            if key in native.entries:
                return True
            # It starts with what the evaluator does; ask again when other code may be there.
            heads[key] = -REFUSED
            if sheet is not None:
                sheet.set_count(key, 0)
        return False

    def _compile(self, native: NativeSpace, key: int) -> None:
        """Compile the region at `key`, and others that are about to be wanted."""
        about, entries = self.hot // 2, native.entries
        keys = [key]
        for other, count in self.heads.items():
            if count > about and other not in entries and other != key:
                if self.native.library.get(other) and self.native.find(native, other):
                    continue  # compiled for another address space
                keys.append(other)
                if len(keys) >= BATCH:
                    break
        for one in keys:
            self.heads[one] = 0
        self.native.compile(native, keys)

    def _sample(self, native: NativeSpace, context: Context) -> None:
        """A slice ended here, natively: what runs is hot."""
        self._means += self.worth
        words = context.words
        address = native.env[Env.REGION >> 3]
        here = words[Slot.PC] | words[Slot.THUMB]
        for compiled in native.entries.values():
            if compiled.address == address and compiled.shape is Shape.QUICK:
                compiled.samples += 1
                if compiled.samples >= self.samples and compiled.cost <= self._means:
                    self.native.reached.add(here)
                    keys = [compiled.key] if here == compiled.key else [compiled.key, here]
                    compiled.cost = cost = self.native.compile(native, keys, Shape.TUNED, self._means)
                    if cost <= self._means:
                        self._means -= cost
                return
