"""Several threads, each with an IPC buffer of its own, on the hand-made kernel of `kernel_driver`."""

from __future__ import annotations

from typing import Final

from kernel_driver import CNODE, TCB, VSPACE, Driver
from retrap.kernel.effects import Effects
from retrap.kernel.registers import send_buffer
from retrap.kernel.structures import Tcb
from retrap.kernel.wire import message_info

ROOT_PRIORITY: Final = 10
FIRST_BUFFER: Final = 0x20_0000


class World(Driver):
    """The initial thread runs at a low priority, so that threads it resumes run at once."""

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        assert self.call(TCB, "TCBSetPriority", ROOT_PRIORITY, caps=(TCB,)) == 0
        self.tcbs: Final[dict[int, int]] = {0: TCB}
        self.next_buffer = FIRST_BUFFER

    @property
    def main(self) -> Tcb:
        return self.kernel.threads[0]

    def buffer(self, thread: Tcb) -> memoryview:
        words = send_buffer(self.state, thread)
        return memoryview(bytearray(512)).cast("I") if words is None else words

    def thread(self, priority: int = 100, *, handler: int = 0, buffer: bool = True, start: bool = True) -> Tcb:
        """A new thread in the initial CSpace and VSpace; if it starts and is urgent enough, it runs now."""
        cptr = self.make("TCB")
        frame = self.make("SmallPage")
        address = self.next_buffer if buffer else 0
        self.next_buffer += 0x1000
        error = self.call(cptr, "TCBConfigure", handler, 0, 0, address, caps=(CNODE, VSPACE, frame))
        assert error == 0, self.effects.reason
        assert self.call(cptr, "TCBSetPriority", priority, caps=(TCB,)) == 0
        thread = self.kernel.threads[-1]
        thread.context.words[15] = 0x1_0000
        thread.context.words[30] = 0x1_0000
        self.tcbs[thread.number] = cptr
        if start:
            assert self.call(cptr, "TCBResume") == 0
        return thread

    def runs(self, thread: Tcb) -> bool:
        return self.kernel.current is thread

    # --- by the running thread

    def recv(self, cptr: int) -> Effects:
        return self.system_call("Recv", cptr)

    def send(self, cptr: int, *words: int, caps: tuple[int, ...] = (), label: int = 0) -> Effects:
        return self.system_call("Send", cptr, label, words, caps)

    def ipc_call(self, cptr: int, *words: int, caps: tuple[int, ...] = (), label: int = 0) -> Effects:
        return self.system_call("Call", cptr, label, words, caps)

    def reply(self, *words: int, caps: tuple[int, ...] = (), label: int = 0) -> Effects:
        return self.system_call("Reply", 0, label, words, caps)

    def reply_recv(self, cptr: int, *words: int, caps: tuple[int, ...] = (), label: int = 0) -> Effects:
        return self.system_call("ReplyRecv", cptr, label, words, caps)

    # --- what a thread sees

    @staticmethod
    def got(thread: Tcb, count: int = 0) -> tuple[int, int, list[int]]:
        """Badge, message info and first registers."""
        words = thread.context.words
        return words[0], words[1], list(words[2 : 2 + count])

    @staticmethod
    def info(label: int = 0, length: int = 0, extra: int = 0, unwrapped: int = 0) -> int:
        return message_info(label, unwrapped, extra, length)

    def receive_into(self, thread: Tcb, slot: int) -> None:
        """Name the slot where the thread wants a capability."""
        words = self.buffer(thread)
        words[125], words[126], words[127] = CNODE, slot, 32

    def mint(self, source: int, badge: int, rights: int = 15) -> int:
        target = self.free_slot()
        error = self.call(CNODE, "CNodeMint", target, 32, source, 32, rights, badge, caps=(CNODE,))
        assert error == 0, self.effects.reason
        return target
