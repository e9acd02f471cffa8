"""System calls that native code answers by itself, because it has been told what becomes of them.

The kernel decides what a system call does; that takes microseconds. When threads send messages back and forth, the
same decision is made again and again: in this state of the kernel's objects, that call by the running thread hands
its message registers to that other thread, which runs next. A `RelayTable` holds such decisions for native code: a
`node` stands for a state of the kernel's objects, an edge for a system call (its number and its capability pointer)
with the thread that gets the message and the node that follows. Native code follows edges without coming back; what
it does not find here, and everything else, it leaves to Python, which learns from the node that is reached what
has happened. Who fills the table (`retrap.kernel.relays`) answers for its truth, and empties it when it ends.

If asked to, native code keeps a journal: the bytes of one trace record for each system call, as
`docs/trace-format.md` has them. It knows no more of records than messages need: a head, differences, buffer words.

All numbers are 64-bit words unless it says otherwise; addresses are the host's.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Final, final

from retrap.machine.context import Context


class Block:
    """Words of the control block."""

    CONTEXT: Final = 0  # of the running thread
    ENVIRONMENT: Final = 1  # native environment of the address space in use
    NODE: Final = 2
    JOURNAL: Final = 3  # where the next record goes, 0: no journal
    JOURNAL_LIMIT: Final = 4  # the journal is full when it goes beyond
    ROOM: Final = 5  # how many more system calls may be answered
    SINCE: Final = 6  # instructions since the last system call, or record
    WORDS: Final = 8


class Edge:
    """Words of an edge."""

    KEY: Final = 0  # r0 << 32 | r7
    CONTEXT: Final = 1  # of the receiver
    ENVIRONMENT: Final = 2
    NODE: Final = 3
    LAST: Final = 4  # the caller's 32 words of its last record
    SEND_BUFFER: Final = 5  # of the caller, 0: longer messages than four words are not for native code
    RECEIVE_BUFFER: Final = 6  # of the receiver
    BADGE: Final = 7  # that the receiver gets
    POINTER: Final = 8  # bit 32: TPIDRURW of the receiver becomes bits 31:0
    THREADS: Final = 9  # number of the receiver << 32 | of the caller
    SHAPES: Final = 10  # by length (four words: 4, more: 5): the record's shape in this frame, -1 if not known
    WORDS: Final = 16


LENGTHS: Final = 6
NODE_EDGES: Final = 4
NODE_WORDS: Final = 16 + NODE_EDGES * Edge.WORDS
"""A node is its number of edges, 15 words of nothing, and its edges."""

NODES: Final = 64
AREAS: Final = 16
"""Threads that one table can deal with."""

AREA_WORDS: Final = 32
"""32-bit words of a context that a record holds."""

UNKNOWN: Final = (1 << 64) - 1

JOURNAL_BYTES: Final = 4096 * 256
RECORD_LIMIT: Final = 12 + 128 + 24 + 2 * (10 + 116 * 4)
"""Bytes of the longest record."""


def _host(mapping: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


@final
class RelayTable:
    """The control block, nodes, edges, one area a thread for the journal, and the journal."""

    def __init__(self) -> None:
        areas_at = (Block.WORDS + NODES * NODE_WORDS) * 8
        self._map: Final = mmap.mmap(-1, areas_at + AREAS * AREA_WORDS * 4)
        self.words: Final = memoryview(self._map)[:areas_at].cast("Q")
        self.areas: Final = memoryview(self._map)[areas_at:].cast("I")
        self.address: Final = _host(self._map)
        self._areas_at: Final = self.address + areas_at
        self._journal_map: Final = mmap.mmap(-1, JOURNAL_BYTES)
        self.journal: Final = memoryview(self._journal_map)
        self.journal_address: Final = _host(self._journal_map)
        self.nodes = 0

    def clear(self) -> None:
        """Forget all nodes."""
        self.nodes = 0

    def add_node(self) -> int:
        """A node without edges: its address; 0 if there is no room."""
        if self.nodes == NODES:
            return 0
        at = Block.WORDS + self.nodes * NODE_WORDS
        self.nodes += 1
        self.words[at] = 0
        return self.address + at * 8

    def area(self, index: int) -> memoryview:
        """The words of a thread's last record."""
        return self.areas[index * AREA_WORDS : (index + 1) * AREA_WORDS]

    def add_edge(
        self,
        node: int,
        key: int,
        receiver: Context,
        environment: int,
        target: int,
        area: int,
        buffers: tuple[int, int],
        badge: int,
        pointer: int,
        threads: tuple[int, int],
    ) -> int:
        """An edge from a node, with no shape known: the index of its first word; -1 if there is no room.

        `buffers`: host addresses of the caller's and the receiver's IPC buffers, or zeroes. `pointer`: see `Edge`.
        `threads`: numbers of caller and receiver.
        """
        words = self.words
        at = (node - self.address) >> 3
        count = words[at]
        if count == NODE_EDGES:
            return -1
        words[at] = count + 1
        at += 16 + count * Edge.WORDS
        words[at + Edge.KEY] = key
        words[at + Edge.CONTEXT] = receiver.address
        words[at + Edge.ENVIRONMENT] = environment
        words[at + Edge.NODE] = target
        words[at + Edge.LAST] = self._areas_at + area * AREA_WORDS * 4
        words[at + Edge.SEND_BUFFER], words[at + Edge.RECEIVE_BUFFER] = buffers
        words[at + Edge.BADGE] = badge
        words[at + Edge.POINTER] = pointer
        words[at + Edge.THREADS] = threads[1] << 32 | threads[0]
        for length in range(LENGTHS):
            words[at + Edge.SHAPES + length] = UNKNOWN
        return at
