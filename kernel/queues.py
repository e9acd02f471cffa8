"""Queues of threads that wait for an endpoint or a notification: first in, first out."""

from __future__ import annotations

from retrap.kernel.structures import Queue, Tcb


def append(queue: Queue, thread: Tcb) -> None:
    """Put the thread at the end."""
    tail = queue.tail
    thread.queue_prev = tail
    thread.queue_next = None
    if tail is None:
        queue.head = thread
    else:
        tail.queue_next = thread
    queue.tail = thread


def remove(queue: Queue, thread: Tcb) -> None:
    """Take the thread out; an emptied queue's object becomes idle (state 0)."""
    before = thread.queue_prev
    after = thread.queue_next
    if before is None:
        queue.head = after
    else:
        before.queue_next = after
    if after is None:
        queue.tail = before
    else:
        after.queue_prev = before
    thread.queue_prev = None
    thread.queue_next = None
    if queue.head is None:
        queue.state = 0


def take_all(queue: Queue) -> list[Tcb]:
    """Empty the queue, make its object idle, and return its threads in order."""
    threads: list[Tcb] = []
    thread = queue.head
    while thread is not None:
        threads.append(thread)
        following = thread.queue_next
        thread.queue_prev = None
        thread.queue_next = None
        thread = following
    queue.head = None
    queue.tail = None
    queue.state = 0
    return threads
