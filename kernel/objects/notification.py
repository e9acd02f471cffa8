"""Notification capabilities: invoking one signals, whatever the label (manual 5)."""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import NULL, READ, WRITE, Cap, NotificationCap
from retrap.kernel.failures import invalid_capability
from retrap.kernel.message import Invocation, Message
from retrap.kernel.notification import send_signal, unbind
from retrap.kernel.slots import Slot
from retrap.kernel.state import Creator, KernelState
from retrap.kernel.structures import Notification
from retrap.kernel.threads import restart_all


@final
class Signal(Invocation):
    """Signal with the capability's badge. `word` is what the oldest releases deliver besides."""

    __slots__ = ("cap", "word")

    def __init__(self, cap: NotificationCap, word: int) -> None:
        self.cap: Final = cap
        self.word: Final = word

    def perform(self, state: KernelState) -> list[int] | None:
        notification = state.objects[self.cap.address]
        assert isinstance(notification, Notification)
        send_signal(state, notification, self.cap.badge, self.word)
        return None


def decode(state: KernelState, slot: Slot, cap: NotificationCap, message: Message) -> Invocation:
    """Who has the right to may signal."""
    if not cap.rights & WRITE:
        raise invalid_capability(0, "the notification capability lacks the right to signal")
    return Signal(cap, message.words[0] if message.words else 0)


def finalise(state: KernelState, cap: NotificationCap, final: bool) -> Cap:
    """With the notification go its binding and the waits for it."""
    if final:
        notification = state.objects.pop(cap.address)
        assert isinstance(notification, Notification)
        if notification.bound_tcb is not None:
            unbind(notification.bound_tcb)
        restart_all(state, notification)
    return NULL


def create(state: KernelState, address: int, size_bits: int, device: bool) -> Cap:
    """A notification without signals."""
    state.objects[address] = Notification(address)
    return NotificationCap(address, 0, READ | WRITE)


CREATORS: Final[dict[str, Creator]] = {"Notification": create}
