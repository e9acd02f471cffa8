"""Asynchronous endpoints of the 2006 design: a buffer that holds one message (paper, section 3.1).

Sending never blocks: the sender goes on, the message stays until somebody receives it. The object has no queue of
waiting threads, so that receiving never blocks either: without a message the receiver gets an empty one. What the
paper leaves open: a second message does not replace the first but is refused, and the buffer has room for the
message registers only, so that a longer message is cut to them and capabilities do not travel.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import NULL, READ, WRITE, AsyncEndpointCap, Cap, Tag
from retrap.kernel.failures import invalid_capability, not_enough_memory
from retrap.kernel.message import Invocation, Message
from retrap.kernel.registers import BADGE, INFO, write_message, write_register
from retrap.kernel.slots import Slot
from retrap.kernel.state import Creator, KernelState
from retrap.kernel.structures import KernelObject, Tcb
from retrap.kernel.wire import MESSAGE_REGISTERS, message_info


@final
class AsyncEndpoint(KernelObject):
    """`words` is the message that waits to be received, None if there is none."""

    __slots__ = ("badge", "label", "words")

    def __init__(self, address: int) -> None:
        super().__init__(Tag.ASYNC_ENDPOINT, address)
        self.badge = 0
        self.label = 0
        self.words: list[int] | None = None


def endpoint_of(state: KernelState, cap: AsyncEndpointCap) -> AsyncEndpoint:
    """The object behind the capability."""
    endpoint = state.objects[cap.address]
    assert isinstance(endpoint, AsyncEndpoint)
    return endpoint


@final
class Store(Invocation):
    """Keep the message until it is received."""

    __slots__ = ("badge", "endpoint", "label", "words")

    def __init__(self, endpoint: AsyncEndpoint, badge: int, label: int, words: list[int]) -> None:
        self.endpoint: Final = endpoint
        self.badge: Final = badge
        self.label: Final = label
        self.words: Final = words

    def perform(self, state: KernelState) -> list[int] | None:
        endpoint = self.endpoint
        endpoint.badge = self.badge
        endpoint.label = self.label
        endpoint.words = self.words
        return None


def decode(state: KernelState, slot: Slot, cap: AsyncEndpointCap, message: Message) -> Invocation:
    """Who has the right to may leave a message, whatever its label, if none is there."""
    if not cap.rights & WRITE:
        raise invalid_capability(0, "the asynchronous endpoint capability lacks the right to send")
    endpoint = endpoint_of(state, cap)
    if endpoint.words is not None:
        raise not_enough_memory(0, "the asynchronous endpoint still holds a message that nobody has received")
    return Store(endpoint, cap.badge, message.label, message.words[:MESSAGE_REGISTERS])


def receive(state: KernelState, thread: Tcb, cap: Cap, blocking: bool) -> bool | None:
    """Take the message; whether there was one. None: the capability lacks the right to receive."""
    assert isinstance(cap, AsyncEndpointCap)
    if not cap.rights & READ:
        return None
    endpoint = endpoint_of(state, cap)
    words = endpoint.words
    if words is None:
        write_register(state, thread, INFO, 0)
        write_register(state, thread, BADGE, 0)
        return False
    length = write_message(state, thread, words)
    write_register(state, thread, INFO, message_info(endpoint.label, 0, 0, length))
    write_register(state, thread, BADGE, endpoint.badge)
    endpoint.badge = 0
    endpoint.label = 0
    endpoint.words = None
    return True


def finalise(state: KernelState, cap: AsyncEndpointCap, final: bool) -> Cap:
    """With the object goes the message in it."""
    if final:
        del state.objects[cap.address]
    return NULL


def create(state: KernelState, address: int, size_bits: int, device: bool) -> Cap:
    """An asynchronous endpoint without a message."""
    state.objects[address] = AsyncEndpoint(address)
    return AsyncEndpointCap(address, 0, READ | WRITE)


CREATORS: Final[dict[str, Creator]] = {"AsyncEndpoint": create}
