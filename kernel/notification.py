"""Signalling and waiting for notifications, bound or not (manual 5)."""

from __future__ import annotations

from retrap.kernel import queues
from retrap.kernel.registers import BADGE, FIRST_MR, INFO, write_register
from retrap.kernel.scheduler import set_thread_state
from retrap.kernel.state import KernelState
from retrap.kernel.structures import (
    NTFN_ACTIVE,
    NTFN_IDLE,
    NTFN_WAITING,
    Notification,
    Tcb,
    ThreadState,
)
from retrap.kernel.threads import cancel_ipc
from retrap.kernel.wire import message_info


def _deliver(state: KernelState, thread: Tcb, badge: int, word: int) -> None:
    """What a thread gets to see of a signal: the badge; in the oldest releases also a word of data."""
    write_register(state, thread, BADGE, badge)
    if state.facts.notification_delivers_word:
        write_register(state, thread, FIRST_MR, word)
        write_register(state, thread, INFO, message_info(0, 0, 0, 1))


def _wake(state: KernelState, thread: Tcb, badge: int, word: int) -> None:
    set_thread_state(state, thread, ThreadState.RUNNING)
    _deliver(state, thread, badge, word)
    state.wakeups.wake(state, thread)


def send_signal(state: KernelState, notification: Notification, badge: int, word: int = 0) -> None:
    """Wake who waits, or the bound thread if it waits on an endpoint, or remember the badge."""
    if notification.state == NTFN_WAITING:
        thread = notification.head
        assert thread is not None
        queues.remove(notification, thread)
        thread.blocked_on = None
        _wake(state, thread, badge, word)
    elif notification.state == NTFN_ACTIVE:
        notification.word |= badge
        notification.data |= word
    else:
        bound = notification.bound_tcb
        if bound is not None and bound.state == ThreadState.BLOCKED_ON_RECEIVE:
            cancel_ipc(state, bound)
            _wake(state, bound, badge, word)
        else:
            notification.word = badge
            notification.data = word
            notification.state = NTFN_ACTIVE


def complete_signal(state: KernelState, notification: Notification, thread: Tcb) -> None:
    """Give an active notification's badges to a thread."""
    _deliver(state, thread, notification.word, notification.data)
    notification.state = NTFN_IDLE
    notification.word = 0
    notification.data = 0


def receive_signal(state: KernelState, thread: Tcb, notification: Notification, blocking: bool) -> bool:
    """Take the badges, or wait; whether anything happened."""
    if notification.state == NTFN_ACTIVE:
        complete_signal(state, notification, thread)
        return True
    if not blocking:
        receive_failed(state, thread)
        return False
    thread.blocked_on = notification
    set_thread_state(state, thread, ThreadState.BLOCKED_ON_NOTIFICATION)
    queues.append(notification, thread)
    notification.state = NTFN_WAITING
    return True


def receive_failed(state: KernelState, thread: Tcb) -> None:
    """A receive that does not wait found nothing: the badge register says so, nothing else changes."""
    write_register(state, thread, BADGE, 0)


def bind(notification: Notification, thread: Tcb) -> None:
    """Let the thread receive the notification's signals while it waits on an endpoint."""
    notification.bound_tcb = thread
    thread.bound_notification = notification


def unbind(thread: Tcb) -> None:
    """Undo `bind`, if the thread has a bound notification."""
    notification = thread.bound_notification
    if notification is not None:
        notification.bound_tcb = None
        thread.bound_notification = None
