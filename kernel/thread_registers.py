"""How threads find their IPC buffers in the older releases, and who owns TPIDRURW there.

Until 3.2.0 a page that the kernel maps into every address space holds the pointer, and the kernel does not touch
the thread ID registers: all threads share them. From 4.0.0 to 10.1.1 every return to user code loads the pointer
into TPIDRURW. Since then the registers are the thread's (`ThreadRegisters` itself).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from retrap.kernel.effects import IDLE
from retrap.kernel.policies import ThreadRegisters
from retrap.machine.context import Slot
from retrap.machine.space import EXECUTE, READ

if TYPE_CHECKING:
    from retrap.kernel.abi.release import Facts
    from retrap.kernel.state import KernelState
    from retrap.kernel.structures import Tcb
    from retrap.machine.space import AddressSpace

GLOBALS_FRAME: Final = 0xFFFF_C000
"""seL4_GlobalsFrame: where every address space sees that page, to read."""


@final
class GlobalsFrame(ThreadRegisters):
    """The page's first word is the running thread's buffer address. Written at switches only."""

    __slots__ = ()
    loads = True

    def switched(self, state: KernelState, thread: Tcb) -> None:
        address = 0 if thread.number == IDLE else thread.buffer_address
        state.memory.write_word(state.plan.globals_frame, address)

    def leaving(self, state: KernelState, before: Tcb) -> None:
        after = state.current
        if after is not before:
            after.context.words[Slot.TPIDRURW] = before.context.words[Slot.TPIDRURW]


@final
class BufferInRegister(ThreadRegisters):
    """TPIDRURW is the buffer address whenever user code runs, whatever it wrote there."""

    __slots__ = ()
    loads = True

    def leaving(self, state: KernelState, before: Tcb) -> None:
        after = state.current
        after.context.words[Slot.TPIDRURW] = after.buffer_address


def choose(facts: Facts) -> ThreadRegisters:
    """The release's."""
    return {
        "globals-frame": GlobalsFrame,
        "tpidrurw": BufferInRegister,
        "user": ThreadRegisters,
    }[facts.ipc_buffer_pointer]()


def show_globals_frame(state: KernelState, space: AddressSpace) -> None:
    """Map the page into a new address space, in the releases that have it. Nothing forbids to execute it there."""
    if state.plan.globals_frame:
        space.map(GLOBALS_FRAME, state.plan.globals_frame, 12, READ | EXECUTE)
