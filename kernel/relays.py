"""What native code may answer for the kernel: messages between threads that do nothing else (`machine.relay`).

A *node* is a state of the kernel's objects as far as `retrap.kernel.fastpath` looks at it or changes it: who runs,
who waits for what, who may answer whom. While nothing but Calls and ReplyRecvs of that path happen, the kernel goes
from node to node, and few nodes recur for ever. So after some such entries in a row, nodes and the calls that lead
from one to the next are noted, as they happen, in a table for native code, which from then on follows them without
asking. It knows what to do with registers and messages; the kernel's objects stay as they were, and `catch_up` does
to them what happened since: not entry by entry, as any way to the same node leads to the same state.

Everything that the path's conditions depend on (capabilities, priorities, queues of ready threads, buffers) can
change only in another kind of kernel entry: such an entry drops the table. A timer tick that only counts does not.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel import fastpath
from retrap.kernel.engine import Kernel
from retrap.kernel.registers import receive_buffer, send_buffer
from retrap.kernel.state import Change, Hop, KernelState
from retrap.kernel.structures import TCB_CALLER, Endpoint, Tcb
from retrap.machine.cpu import Cpu
from retrap.machine.relay import AREAS, LENGTHS, UNKNOWN, Edge, RelayTable

PATIENCE: Final = 6
"""Entries of the fast path in a row before anything is noted."""

_POINTERS: Final = {"user": False, "tpidrurw": True}
"""Facts `ipc_buffer_pointer` that native code can deal with → whether it has to load TPIDRURW."""


@final
class Step:
    """An edge: what a system call does to the kernel's objects, and where it leads."""

    __slots__ = ("at", "call", "endpoint", "grant", "receiver", "sender", "target")

    def __init__(self, hop: Hop, target: Node, at: int) -> None:
        endpoint = hop.endpoint
        assert endpoint is not None
        self.call: Final = hop.call
        self.sender: Final = hop.sender
        self.receiver: Final = hop.receiver
        self.endpoint: Final[Endpoint] = endpoint
        self.grant: Final = hop.grant
        self.target: Final = target
        self.at: Final = at  # index of its words in the table

    def perform(self, state: KernelState) -> None:
        """Do to the objects what the system call does."""
        if self.call:
            fastpath.connect(state, self.sender, self.receiver, self.endpoint, self.grant)
        else:
            fastpath.answer(state, self.sender, self.receiver, self.endpoint, self.grant)


@final
class Node:
    """A state of the kernel's objects; `address` is native code's name for it."""

    __slots__ = ("address", "steps")

    def __init__(self, address: int) -> None:
        self.address: Final = address
        self.steps: Final[dict[int, Step]] = {}  # r0 << 32 | r7 → step


@final
class Relays:
    """The nodes that are known, and at which one the kernel's objects are."""

    def __init__(self, kernel: Kernel, cpu: Cpu, enabled: bool = True) -> None:
        state = kernel.state
        self.kernel: Final = kernel
        self.cpu: Final = cpu
        self.table: Final = RelayTable()
        self.at: Node | None = None
        self.step: Step | None = None
        """The step of the last entry, if it is in the table."""
        self.threads: Final[list[Tcb]] = []
        """The threads that take part: the index is that of their area in the table."""
        self.pages: Final[set[int]] = set()
        """Physical pages that native code writes messages to."""
        pointer = _POINTERS.get(state.facts.ipc_buffer_pointer)
        self._loads_pointer: Final = pointer is True
        keeps = state.address_spaces.keeps or state.benchmarks.measures
        self._usable: Final = enabled and pointer is not None and not keeps
        self._endpoints: Final[list[Endpoint]] = []
        self._nodes: Final[dict[tuple[object, ...], Node]] = {}
        self._addresses: Final[dict[int, Node]] = {}
        self._ways: Final[dict[tuple[int, int], list[Step]]] = {}
        self._in_a_row = 0
        self.live = False
        """Whether `observe` has to see the next entry even if it is of another kind."""

    def observe(self, change: int) -> None:
        """Look at what the last kernel entry did, if it was of the fast path or `live` is true. `change`: what
        `Kernel.enter` returned."""
        self.step = None
        if change == Change.TIME:
            return
        if change != Change.HOP:
            self._in_a_row = 0
            self.live = False
            if self.at is not None or self._nodes:
                self.forget()
            return
        self.live = True
        if self._in_a_row < PATIENCE:
            self._in_a_row += 1
            return
        hop = self.kernel.state.hop
        key = hop.cptr << 32 | (self.kernel.effects.syscall & 0xFFFF_FFFF)
        before = self.at
        if before is not None:
            known = before.steps.get(key)
            if known is not None:
                self.step = known
                self.at = known.target
                return
        if self._usable:
            self._note(before, key, hop)

    def forget(self) -> None:
        """Drop the table: its truth may have ended."""
        self.at = None
        self.step = None
        self.table.clear()
        self.threads.clear()
        self.pages.clear()
        self._endpoints.clear()
        self._nodes.clear()
        self._addresses.clear()
        self._ways.clear()

    def catch_up(self, address: int) -> None:
        """Native code is at another node: let the kernel's objects be there, too."""
        before = self.at
        assert before is not None
        if address == before.address:
            return
        way = self._ways.get((before.address, address))
        if way is None:
            way = self._find(before, address)
        state = self.kernel.state
        for step in way:
            step.perform(state)
        self.at = self._addresses[address]

    def _find(self, start: Node, address: int) -> list[Step]:
        """The shortest way from one node to another."""
        ways: dict[int, list[Step]] = {start.address: []}
        waiting = [start]
        for node in waiting:
            for step in node.steps.values():
                target = step.target
                if target.address not in ways:
                    ways[target.address] = [*ways[node.address], step]
                    waiting.append(target)
        way = self._ways[start.address, address] = ways[address]
        return way

    def _note(self, before: Node | None, key: int, hop: Hop) -> None:
        """Put the last entry into the table, as far as there is room."""
        endpoint = hop.endpoint
        assert endpoint is not None
        if hop.sender not in self.threads or hop.receiver not in self.threads or endpoint not in self._endpoints:
            # What nodes tell apart grows: those that are known say too little.
            threads = [*self.threads, *(t for t in (hop.sender, hop.receiver) if t not in self.threads)]
            endpoints = [*self._endpoints, *(e for e in (endpoint,) if e not in self._endpoints)]
            self.forget()
            if len(threads) > AREAS:
                self._in_a_row = 0
                return
            self.threads.extend(threads)
            self._endpoints.extend(endpoints)
            before = None
        after = self._node()
        if after is None:
            self.forget()
            self._in_a_row = 0
            return
        self.at = after
        if before is None:
            return
        state = self.kernel.state
        sender, receiver = hop.sender, hop.receiver
        outgoing, incoming = send_buffer(state, sender), receive_buffer(state, receiver)
        environment = self.cpu.environment(state.space)
        if not environment:
            return
        buffers = (0, 0)
        if outgoing is not None and incoming is not None:
            buffers = (self._host(sender), self._host(receiver))
            self.pages.add(receiver.buffer_physical >> 12)
        at = self.table.add_edge(
            before.address,
            key,
            receiver.context,
            environment,
            after.address,
            self.threads.index(sender),
            buffers,
            hop.badge,
            1 << 32 | receiver.buffer_address if self._loads_pointer else 0,
            (sender.number, receiver.number),
        )
        if at >= 0:
            self.step = before.steps[key] = Step(hop, after, at)

    def _host(self, thread: Tcb) -> int:
        region = self.kernel.state.memory.region(thread.buffer_physical)
        assert region is not None
        return region.host + thread.buffer_physical - region.base

    def _node(self) -> Node | None:
        """The node at which the kernel's objects are now; None if there is no room for it."""
        state = self.kernel.state
        parts: list[object] = [state.current.number, id(state.space)]
        for thread in self.threads:
            waits_for = thread.blocked_on
            cap = thread.slots[TCB_CALLER].cap
            parts.append((thread.state, waits_for and waits_for.address, thread.block_can_grant, cap.key()))
        for endpoint in self._endpoints:
            waiting: list[int] = []
            each = endpoint.head
            while each is not None:
                waiting.append(each.number)
                each = each.queue_next
            parts.append((endpoint.state, *waiting))
        name = tuple(parts)
        node = self._nodes.get(name)
        if node is None:
            address = self.table.add_node()
            if not address or state.space is not state.address_spaces.of(state, state.current):
                return None
            node = self._nodes[name] = self._addresses[address] = Node(address)
        return node

    def set_shape(self, step: Step, length: int, shape: int) -> None:
        """In this frame of the trace, records of the step with `length` words have the shape `shape`."""
        self.table.words[step.at + Edge.SHAPES + min(length, LENGTHS - 1)] = shape

    def forget_shapes(self) -> None:
        """A new frame begins."""
        words = self.table.words
        for node in self._addresses.values():
            for step in node.steps.values():
                for length in range(LENGTHS):
                    words[step.at + Edge.SHAPES + length] = UNKNOWN
