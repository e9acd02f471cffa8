"""Kernel objects that more than one file works on: threads, CNodes, endpoints, notifications.

Objects are mutable and live in `KernelState.objects`, keyed by physical address. Kinds that only one file
touches (page tables, ASID pools, …) subclass `KernelObject` in that file. Frames have no object: a frame is
its memory. What an object can do is in `retrap.kernel.objects` and in the files named after each concern.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from retrap.kernel.caps import Cap, ReplyCap, Tag
from retrap.kernel.slots import Slot
from retrap.machine.context import Context

if TYPE_CHECKING:
    from retrap.kernel.state import KernelState


class KernelObject:
    """An object at `address`, of the kind whose capabilities have `tag`."""

    __slots__ = ("address", "tag")

    def __init__(self, tag: int, address: int) -> None:
        self.tag: Final = tag
        self.address: Final = address


NEAR: Final = 1 << 14
"""How many of a CNode's slots lookups find in a list, which is several times as fast as in a `dict`."""


@final
class CNode(KernelObject):
    """2^radix slots. `Slot`s are made when they are first looked at, so a large CNode costs little.

    `slots` are those that were made; `near` are the first of them by index.
    """

    __slots__ = ("near", "occupied", "radix", "slots")

    def __init__(self, address: int, radix: int) -> None:
        super().__init__(Tag.CNODE, address)
        self.radix: Final = radix
        self.occupied: list[int] | None = None  # while it is deleted: indices that may not be empty, ascending
        self.slots: Final[dict[int, Slot]] = {}
        self.near: Final[list[Slot | None]] = [None] * min(1 << radix, NEAR)

    def slot(self, index: int) -> Slot:
        """The slot with `index`, which is below 2^radix."""
        found = self.near[index] if index < NEAR else self.slots.get(index)
        if found is None:
            found = self.slots[index] = Slot(self.address, index)
            if index < NEAR:
                self.near[index] = found
        return found


class ThreadState:
    """What a thread is doing (`thread_state_t`)."""

    INACTIVE: Final = 0
    RUNNING: Final = 1
    RESTART: Final = 2  # will repeat its system call or instruction from the restart PC
    BLOCKED_ON_RECEIVE: Final = 3
    BLOCKED_ON_SEND: Final = 4
    BLOCKED_ON_REPLY: Final = 5
    BLOCKED_ON_NOTIFICATION: Final = 6
    IDLE: Final = 7


STATE_NAMES: Final = (
    "inactive", "running", "restart", "blocked on receive", "blocked on send", "blocked on reply",
    "blocked on notification", "idle",
)  # fmt: skip

# Slots of a TCB.
TCB_CTABLE: Final = 0
TCB_VTABLE: Final = 1
TCB_REPLY: Final = 2
TCB_CALLER: Final = 3
TCB_BUFFER: Final = 4
TCB_SLOTS: Final = 5


class Fault:
    """What a thread did wrong: made by `retrap.kernel.faults`. `name` is a key of `Release.fault_labels`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: Final = name

    def words(self, state: KernelState, thread: Tcb) -> list[int]:
        """The message that the handler gets."""
        raise NotImplementedError

    def describe(self) -> str:
        """For people."""
        raise NotImplementedError


@final
class Tcb(KernelObject):
    """A thread. `address` is the start of the TCB's 1 KiB; `number` counts threads in order of creation."""

    __slots__ = (
        "block_badge", "block_can_grant", "block_can_grant_reply", "block_diminish", "block_is_call", "blocked_on",
        "bound_notification", "buffer_address", "buffer_cap", "buffer_physical", "buffer_words", "context",
        "domain", "fault", "fault_handler", "flags", "live", "max_priority", "name",
        "number", "priority", "queue_next", "queue_prev", "queued", "ready_next", "ready_prev", "reply_cap",
        "reply_cap_with_grant", "slots", "state", "time_slice",
    )  # fmt: skip

    def __init__(self, address: int, number: int, context: Context) -> None:
        super().__init__(Tag.THREAD, address)
        self.number: Final = number
        self.name = ""
        self.live = True  # False once its memory is free again
        self.context = context
        self.slots: Final = [Slot(address, index) for index in range(TCB_SLOTS)]
        # The two capabilities that a call of this thread can give: values, made when they are first needed.
        self.reply_cap: ReplyCap | None = None
        self.reply_cap_with_grant: ReplyCap | None = None
        self.state = ThreadState.INACTIVE
        # While blocked on an endpoint or a notification: on which, and what the sender may do.
        self.blocked_on: KernelObject | None = None
        self.block_badge = 0
        self.block_can_grant = False
        self.block_can_grant_reply = False
        self.block_is_call = False
        self.block_diminish = False  # of a receiver: what it gets lacks the write right
        # Place in the queue of an endpoint or a notification.
        self.queue_next: Tcb | None = None
        self.queue_prev: Tcb | None = None
        # Scheduling.
        self.priority = 0
        self.max_priority = 0
        self.domain = 0
        self.time_slice = 0
        self.queued = False  # in its ready queue
        self.ready_next: Tcb | None = None
        self.ready_prev: Tcb | None = None
        # Fault handling.
        self.fault_handler = 0  # capability pointer in its own CSpace
        self.fault: Fault | None = None
        self.bound_notification: Notification | None = None
        self.flags = 0
        # The IPC buffer: virtual address; and, cached for one buffer capability, its 128 words.
        self.buffer_address = 0
        self.buffer_cap: Cap | None = None
        self.buffer_words: memoryview | None = None
        self.buffer_physical = 0


class Queue(KernelObject):
    """An object that threads wait for, first in, first out. The links are in the threads."""

    __slots__ = ("head", "state", "tail")

    def __init__(self, tag: int, address: int) -> None:
        super().__init__(tag, address)
        self.state = 0
        self.head: Tcb | None = None
        self.tail: Tcb | None = None


EP_IDLE: Final = 0
EP_SEND: Final = 1
EP_RECEIVE: Final = 2


@final
class Endpoint(Queue):
    """`state` is EP_IDLE, EP_SEND (senders wait) or EP_RECEIVE (receivers wait)."""

    __slots__ = ()

    def __init__(self, address: int) -> None:
        super().__init__(Tag.ENDPOINT, address)


NTFN_IDLE: Final = 0
NTFN_WAITING: Final = 1
NTFN_ACTIVE: Final = 2


@final
class Notification(Queue):
    """`state`: NTFN_IDLE, NTFN_WAITING (threads wait), NTFN_ACTIVE (`word` holds the badges signalled)."""

    __slots__ = ("bound_tcb", "data", "word")

    def __init__(self, address: int) -> None:
        super().__init__(Tag.NOTIFICATION, address)
        self.word = 0
        self.data = 0  # what the signals said besides, where notifications carry data (the oldest releases)
        self.bound_tcb: Tcb | None = None
