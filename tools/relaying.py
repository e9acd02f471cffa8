"""Runs of messages that native code passes on by itself, in a session: `retrap.kernel.relays` with a recorder.

What the guest sees, what is recorded and what is counted is the same with and without; only the time that it takes
is not.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.engine import Kernel
from retrap.kernel.relays import Relays
from retrap.machine.context import enter_user
from retrap.machine.cpu import Cpu
from retrap.machine.relay import JOURNAL_BYTES, RECORD_LIMIT, Block
from retrap.machine.traps import INTERRUPT, SVC, Trap
from retrap.traces.writer import FRAME_BYTES, Recorder

MANY: Final = 1 << 30
"""Messages without coming back, where nothing is recorded."""


@final
class Relaying:
    """One session's. `recorder`: the only watcher, or None if there is none."""

    def __init__(self, kernel: Kernel, cpu: Cpu, recorder: Recorder | None, enabled: bool = True) -> None:
        self.kernel: Final = kernel
        self.cpu: Final = cpu
        self.recorder: Final = recorder
        self.relays: Final = Relays(kernel, cpu, enabled)
        self._memory: Final = kernel.state.memory
        self._frame = 0
        self.answered = 0
        """System calls that the last `run` answered."""

    def ready(self) -> bool:
        """Whether native code may go on by itself: something for it to do, and nothing that it must not."""
        relays = self.relays
        at = relays.at
        if at is None or not at.steps or self.kernel.interrupt_pending:
            return False
        watched = self._memory.watched
        if watched and not watched.isdisjoint(relays.pages):
            return False
        recorder = self.recorder
        return recorder is None or recorder.room() > 0

    def run(self, budget: int) -> Trap | None:
        """As `Cpu.run` for the thread that runs, but answer what is in the table on the way (`answered`).

        None: the budget is used up by a system call that was answered.
        """
        kernel, cpu, relays, recorder = self.kernel, self.cpu, self.relays, self.recorder
        table = relays.table
        words = table.words
        at = relays.at
        assert at is not None
        context = kernel.context
        enter_user(context)
        words[Block.CONTEXT] = context.address
        words[Block.ENVIRONMENT] = cpu.environment(kernel.space)
        words[Block.NODE] = at.address
        room = MANY
        if recorder is None:
            words[Block.JOURNAL] = 0
        else:
            encoder = recorder.encoder
            room = recorder.room()
            if self._frame != encoder.frame:
                self._frame = encoder.frame
                relays.forget_shapes()
            for index, thread in enumerate(relays.threads):
                table.area(index)[:] = memoryview(encoder.context(thread.number)).cast("I")
            start = table.journal_address
            words[Block.JOURNAL] = start
            size = min(JOURNAL_BYTES, FRAME_BYTES - 1 - encoder.size) - RECORD_LIMIT
            words[Block.JOURNAL_LIMIT] = start + size if size > 0 else 1
            words[Block.SINCE] = cpu.retired - encoder.time
        words[Block.ROOM] = room
        end = cpu.retired + budget
        called = cpu.relay(table, budget)
        self.answered = answered = room - words[Block.ROOM]
        if answered:
            relays.catch_up(words[Block.NODE])
            if recorder is not None:
                length = words[Block.JOURNAL] - table.journal_address
                contexts = {thread.number: table.area(index) for index, thread in enumerate(relays.threads)}
                recorder.append(table.journal[:length], answered, contexts, cpu.retired - words[Block.SINCE])
        if called:
            return SVC
        budget = end - cpu.retired
        if budget:
            return cpu.resume(kernel.context, kernel.space, budget)
        return None if answered and words[Block.SINCE] == 0 else INTERRUPT

    def after(self, change: int) -> None:
        """A kernel entry was handled, and recorded, that `Relays.observe` has to see."""
        relays = self.relays
        relays.observe(change)
        step, recorder = relays.step, self.recorder
        if step is not None and recorder is not None:
            encoder = recorder.encoder
            if self._frame != encoder.frame:
                self._frame = encoder.frame
                relays.forget_shapes()
            elif encoder.shape >= 0:
                relays.set_shape(step, self.kernel.state.hop.length, encoder.shape)
