"""Several threads on a kernel of any release: the initial thread stays the most urgent until it steps aside."""

from __future__ import annotations

from typing import Final

from kernel_driver import CNODE, TCB, VSPACE, Driver
from retrap.kernel.caps import CNodeCap, EndpointCap
from retrap.kernel.effects import Effects
from retrap.kernel.engine import Kernel
from retrap.kernel.registers import send_buffer
from retrap.kernel.structures import Tcb
from retrap.machine.memory import PhysicalMemory

FIRST_BUFFER: Final = 0x20_0000


class Guests(Driver):
    """A release by its name. Threads are made stopped; `run` starts them and lowers the initial thread."""

    def __init__(self, name: str, **options: int) -> None:
        super().__init__(name=name, **options)
        self.tcbs: dict[int, int] = {0: TCB}
        self.next_buffer = FIRST_BUFFER

    @classmethod
    def on(cls, kernel: Kernel, memory: PhysicalMemory) -> Guests:
        """The same on a kernel that somebody else has booted."""
        made = cls.__new__(cls)
        made.adopt(kernel, memory)
        made.tcbs = {0: TCB}
        made.next_buffer = FIRST_BUFFER
        return made

    @property
    def main(self) -> Tcb:
        return self.kernel.threads[0]

    def buffer(self, thread: Tcb) -> memoryview:
        words = send_buffer(self.state, thread)
        return memoryview(bytearray(512)).cast("I") if words is None else words

    def configure(self, cptr: int, handler: int, priority: int, address: int, frame: int) -> int:
        """TCB_Configure as this release has it: until 8.0.0 with a priority (and, from 4.0.0 on, a maximum)."""
        words = [handler, 0, 0, address]
        configures = self.state.facts.priority_authority != "capability"
        if configures:
            words.insert(1, priority)
        error = self.call(cptr, "TCBConfigure", *words, caps=(CNODE, VSPACE, frame))
        if error == 0 and not configures:
            error = self.set_priority(cptr, priority)
        return error

    def set_priority(self, cptr: int, priority: int) -> int:
        """TCB_SetPriority, with the initial thread's TCB as authority where that is asked for."""
        return self.call(cptr, "TCBSetPriority", priority, caps=(TCB,))

    def thread(self, priority: int, *, handler: int = 0) -> Tcb:
        """A stopped thread in the initial CSpace and VSpace, with a buffer of its own."""
        cptr = self.make("TCB")
        frame = self.make("SmallPage")
        assert self.configure(cptr, handler, priority, self.next_buffer, frame) == 0, self.effects.reason
        self.next_buffer += 0x1000
        thread = self.kernel.threads[-1]
        thread.context.words[15] = thread.context.words[30] = 0x1_0000
        self.tcbs[thread.number] = cptr
        return thread

    def run(self, *threads: Tcb, below: int = 1) -> None:
        """Resume the threads, then let the initial thread have the priority `below`."""
        for thread in threads:
            assert self.call(self.tcbs[thread.number], "TCBResume") == 0
        assert self.set_priority(TCB, below) == 0

    def runs(self, thread: Tcb) -> bool:
        return self.kernel.current is thread

    def mint(self, source: int, badge: int, rights: int = 15) -> int:
        target = self.free_slot()
        error = self.call(CNODE, "CNodeMint", target, 32, source, 32, rights, badge, caps=(CNODE,))
        assert error == 0, self.effects.reason
        return target

    def recv(self, cptr: int) -> Effects:
        return self.system_call("Recv", cptr)

    def send(self, cptr: int, *words: int, caps: tuple[int, ...] = ()) -> Effects:
        return self.system_call("Send", cptr, 0, words, caps)

    def ipc_call(self, cptr: int, *words: int, caps: tuple[int, ...] = ()) -> Effects:
        return self.system_call("Call", cptr, 0, words, caps)

    def reply(self, *words: int, caps: tuple[int, ...] = ()) -> Effects:
        return self.system_call("Reply", 0, 0, words, caps)

    def receive_into(self, thread: Tcb, slot: int) -> None:
        words = self.buffer(thread)
        words[125], words[126], words[127] = CNODE, slot, 32

    def endpoint(self, index: int) -> EndpointCap:
        cap = self.cap(index)
        assert isinstance(cap, EndpointCap)
        return cap

    def cnode(self, index: int) -> CNodeCap:
        cap = self.cap(index)
        assert isinstance(cap, CNodeCap)
        return cap
