"""The hand-made kernel of `kernel_driver`, booted as the 2006 design."""

from __future__ import annotations

from typing import Final

from kernel_driver import CNODE, TABLE, TCB, UNTYPED, UNTYPEDS, VSPACE, Driver
from retrap.kernel.structures import Tcb
from retrap.machine.traps import FaultStatus, Trap, TrapKind

OUTER: Final = 12
INNER: Final = 20
"""Depths at which the initial address space's slots lie: one a MiB, one a page."""


class Paper(Driver):
    """Memory is halved until a piece is as large as the object."""

    def __init__(self, **options: int) -> None:
        super().__init__(name="2006", **options)
        assert self.call(TCB, "TCBSetPriority", 200) == 0
        self.pieces: dict[int, list[int]] = {}
        for position, (_, bits, device) in enumerate(UNTYPEDS):
            if not device and position != 4:  # the fifth is the tests' own
                self.pieces.setdefault(bits, []).append(UNTYPED + position)

    def divide(self, untyped: int, kind: str, size_bits: int, first: int, root: int = CNODE) -> int:
        """Retype; the error."""
        words = (self.objects[kind], size_bits, 0, 0, first)
        return self.call(untyped, "UntypedRetype", *words, caps=(root,))

    def piece(self, bits: int) -> int:
        """An untyped of exactly 2^bits bytes."""
        size = min(each for each, found in self.pieces.items() if each >= bits and found)
        untyped = self.pieces[size].pop()
        while size > bits:
            size -= 1
            halves = self.next_free
            self.next_free += 2
            assert self.divide(untyped, "Untyped", size, halves) == 0, self.effects.reason
            self.pieces.setdefault(size, []).append(halves + 1)
            untyped = halves
        return untyped

    def make(self, kind: str, size_bits: int = 0, untyped: int = 0, count: int = 1) -> int:
        """One object in a fresh slot."""
        assert count == 1
        bits = {"TCB": 9, "Endpoint": 4, "AsyncEndpoint": 5, "CapTable": size_bits + 4}.get(kind, size_bits)
        source = self.piece(bits)
        slot = self.free_slot()
        assert self.divide(source, kind, size_bits, slot) == 0, self.effects.reason
        return slot

    def show(self, data: int, address: int, rights: int = 3, depth: int = INNER) -> int:
        """Put user data at a virtual address; the error."""
        return self.call(
            VSPACE, "CNodeCopy", address >> (32 - depth), depth, data, 32, rights, caps=(CNODE,)
        )

    def hide(self, address: int, depth: int = INNER) -> int:
        return self.call(VSPACE, "CNodeDelete", address >> (32 - depth), depth)

    def touch(self, address: int, write: bool = False) -> bool:
        """An access that aborts because nothing is known of the address; whether it can be repeated."""
        status = FaultStatus.TRANSLATION_SECTION | (FaultStatus.WRITE if write else 0)
        effects = self.enter(Trap(TrapKind.DATA_ABORT, address, status))
        return effects.fault == ""

    def page(self, address: int) -> int | None:
        """What the processor knows of an address: physical address and rights."""
        entry = self.kernel.space.pages.get(address >> 12)
        return None if entry is None else (entry >> 4 << 12) + (entry & 7)

    def thread(self, priority: int = 200, handler: int = 0, start: bool = True) -> Tcb:
        """A thread in the initial spaces; it shares the initial thread's IPC buffer."""
        cptr = self.make("TCB")
        self.last = cptr
        words = (handler, priority, 0, 0, 0x1_1000)
        assert self.call(cptr, "TCBConfigure", *words, caps=(CNODE, VSPACE, 10)) == 0, self.effects.reason
        thread = self.kernel.threads[-1]
        thread.context.words[15] = 0x1_0000
        thread.context.words[30] = 0x1_0000
        if start:
            assert self.call(cptr, "TCBResume") == 0
            self.system_call("Yield", 0)
        return thread


__all__ = ["INNER", "OUTER", "TABLE", "Paper"]
