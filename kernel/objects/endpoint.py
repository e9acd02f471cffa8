"""Endpoint capabilities: invoking one sends, whatever the label (manual 4)."""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import GRANT, GRANT_REPLY, NULL, WRITE, Cap, EndpointCap
from retrap.kernel.effects import Outcome
from retrap.kernel.endpoint import send_ipc
from retrap.kernel.failures import invalid_capability
from retrap.kernel.message import Invocation, Message
from retrap.kernel.slots import Slot
from retrap.kernel.state import Creator, KernelState
from retrap.kernel.structures import Endpoint, ThreadState
from retrap.kernel.threads import restart_all


@final
class Send(Invocation):
    """Send the running thread's message."""

    __slots__ = ("blocking", "call", "cap")

    def __init__(self, cap: EndpointCap, blocking: bool, call: bool) -> None:
        self.cap: Final = cap
        self.blocking: Final = blocking
        self.call: Final = call

    def perform(self, state: KernelState) -> list[int] | None:
        cap = self.cap
        endpoint = state.objects[cap.address]
        assert isinstance(endpoint, Endpoint)
        rights = cap.rights
        happened = send_ipc(
            state,
            state.current,
            endpoint,
            cap.badge,
            self.blocking,
            self.call,
            rights & GRANT != 0,
            rights & GRANT_REPLY != 0,
        )
        if not happened:
            state.effects.outcome = Outcome.IGNORED
            state.effects.reason = "nobody waits to receive, so the message is dropped"
        return None


def decode(state: KernelState, slot: Slot, cap: EndpointCap, message: Message) -> Invocation:
    """Any message may be sent by who has the right to."""
    if not cap.rights & WRITE:
        raise invalid_capability(0, "the endpoint capability lacks the right to send")
    return Send(cap, message.blocking, message.call)


@final
class SendOnly(Invocation):
    """Send the running thread's message where there are no replies: a Call is a Send, and nothing comes back."""

    __slots__ = ("blocking", "cap")

    def __init__(self, cap: EndpointCap, blocking: bool) -> None:
        self.cap: Final = cap
        self.blocking: Final = blocking

    def perform(self, state: KernelState) -> list[int] | None:
        cap = self.cap
        endpoint = state.objects[cap.address]
        assert isinstance(endpoint, Endpoint)
        thread = state.current
        if not send_ipc(
            state, thread, endpoint, cap.badge, self.blocking, False, cap.rights & GRANT != 0, False
        ):
            state.effects.outcome = Outcome.IGNORED
            state.effects.reason = "nobody waits to receive, so the message is dropped"
        if thread.state == ThreadState.RESTART:
            thread.state = ThreadState.RUNNING  # there is no answer, not even an empty one
        return None


def decode_without_reply(state: KernelState, slot: Slot, cap: EndpointCap, message: Message) -> Invocation:
    """As `decode`, where a Call of an endpoint is a Send (fact `reply`)."""
    if not cap.rights & WRITE:
        raise invalid_capability(0, "the endpoint capability lacks the right to send")
    return SendOnly(cap, message.blocking)


def finalise(state: KernelState, cap: EndpointCap, final: bool) -> Cap:
    """With the endpoint go the waits for it."""
    if final:
        endpoint = state.objects.pop(cap.address)
        assert isinstance(endpoint, Endpoint)
        restart_all(state, endpoint)
    return NULL


def create(state: KernelState, address: int, size_bits: int, device: bool) -> Cap:
    """An endpoint that nobody waits for."""
    state.objects[address] = Endpoint(address)
    return EndpointCap(address, 0, state.all_rights)


CREATORS: Final[dict[str, Creator]] = {"Endpoint": create}
