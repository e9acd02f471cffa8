"""Laws of threads: queues agree with states, and who runs may run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from retrap.kernel.caps import FrameCap
from retrap.kernel.laws.survey import Survey
from retrap.kernel.structures import (
    EP_IDLE,
    EP_RECEIVE,
    EP_SEND,
    NTFN_WAITING,
    TCB_BUFFER,
    Endpoint,
    Notification,
    Queue,
    Tcb,
    ThreadState,
)


def wait_queues_agree_with_threads(survey: Survey) -> Iterator[str]:
    """A thread is in the queue of what it waits for, once, and in no other; queues are linked both ways."""
    waiting: dict[int, int] = {}
    for item in survey.state.objects.values():
        if not isinstance(item, Queue):
            continue
        expected = _waiter_state(item)
        before: Tcb | None = None
        thread = item.head
        while thread is not None:
            if id(thread) in waiting:
                yield f"thread {thread.number} is in two places of queues"
                break
            waiting[id(thread)] = item.address
            if thread.queue_prev is not before:
                yield f"the queue of {item.address:#010x} is not linked back at thread {thread.number}"
            if thread.blocked_on is not item or thread.state != expected:
                yield f"thread {thread.number} is in the queue of {item.address:#010x} but does not wait there"
            before = thread
            thread = thread.queue_next
        if item.tail is not before:
            yield f"the queue of {item.address:#010x} ends elsewhere"
        if (item.head is not None) != (expected is not None):
            yield f"the object at {item.address:#010x} has state {item.state} but its queue says otherwise"
    for thread in survey.threads:
        if (thread.state in _WAITING_STATES) != (id(thread) in waiting):
            yield f"thread {thread.number} has state {thread.state} but its place in queues says otherwise"
        bound = thread.bound_notification
        if bound is not None and bound.bound_tcb is not thread:
            yield f"thread {thread.number} is bound to a notification that is not bound to it"


_WAITING_STATES: Final = (
    ThreadState.BLOCKED_ON_RECEIVE,
    ThreadState.BLOCKED_ON_SEND,
    ThreadState.BLOCKED_ON_NOTIFICATION,
)


def _waiter_state(queue: Queue) -> int | None:
    """The state of the threads in a queue, None if it must be empty."""
    if isinstance(queue, Endpoint):
        return {
            EP_SEND: ThreadState.BLOCKED_ON_SEND,
            EP_RECEIVE: ThreadState.BLOCKED_ON_RECEIVE,
            EP_IDLE: None,
        }[queue.state]
    assert isinstance(queue, Notification)
    return ThreadState.BLOCKED_ON_NOTIFICATION if queue.state == NTFN_WAITING else None


def ready_queues_agree_with_threads(survey: Survey) -> Iterator[str]:
    """Exactly the runnable threads that do not run are in the ready queues, each in that of its priority."""
    state = survey.state
    priorities = state.options.num_priorities
    queued: set[int] = set()
    occupied = sum(bitmap << domain * priorities for domain, bitmap in enumerate(state.ready_bitmaps))
    for index, head in enumerate(state.ready_heads):
        if head is None and state.ready_tails[index] is None and not occupied >> index & 1:
            continue
        domain, priority = divmod(index, priorities)
        if (head is not None) != (state.ready_bitmaps[domain] >> priority & 1 == 1):
            yield f"the bitmap is wrong about priority {priority} of domain {domain}"
        before: Tcb | None = None
        thread = head
        while thread is not None and id(thread) not in queued:
            queued.add(id(thread))
            if thread.ready_prev is not before:
                yield f"the ready queue is not linked back at thread {thread.number}"
            if not thread.queued or thread.priority != priority or thread.domain != domain or not thread.live:
                yield f"thread {thread.number} is in the wrong ready queue"
            if not _runnable(thread):
                yield f"thread {thread.number} is in a ready queue but cannot run"
            before = thread
            thread = thread.ready_next
        if thread is not None:
            yield f"thread {thread.number} is in two places of the ready queues"
        elif state.ready_tails[index] is not before:
            yield f"the ready queue of priority {priority} ends elsewhere"
    for thread in survey.threads:
        if thread.queued != (id(thread) in queued):
            yield f"thread {thread.number} is wrong about being queued"
        if _runnable(thread) and not thread.queued and thread is not state.current:
            yield f"thread {thread.number} can run but is in no ready queue"


def _runnable(thread: Tcb) -> bool:
    return thread.state in (ThreadState.RUNNING, ThreadState.RESTART)


def the_current_thread_can_run(survey: Survey) -> Iterator[str]:
    """Between kernel entries the current thread is running, alive, in its own space, and in no ready queue."""
    state = survey.state
    current = state.current
    if current is state.idle:
        if any(_runnable(thread) and thread.domain == state.domain for thread in survey.threads):
            yield "nobody runs although somebody could"
        return
    if not current.live or current.state != ThreadState.RUNNING:
        yield f"thread {current.number} runs in state {current.state}"
    if current.queued:
        yield f"thread {current.number} runs and is in a ready queue"


def what_threads_keep_is_what_their_slots_say(survey: Survey) -> Iterator[str]:
    """What a thread keeps of its IPC buffer, if of the capability in its slot, is that one's."""
    for thread in survey.threads:
        frame = thread.slots[TCB_BUFFER].cap
        if isinstance(frame, FrameCap) and frame is thread.buffer_cap and thread.buffer_words is not None:
            at = frame.address + (thread.buffer_address & ((1 << frame.size_bits) - 1))
            if thread.buffer_physical != at:
                yield f"thread {thread.number} has its IPC buffer elsewhere than its capability says"
