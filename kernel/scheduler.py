"""Which thread runs: ready queues, the decision at the end of a kernel entry, time slices, domains.

Fixed priorities, first in first out within one; `state.action` collects what happened during the entry and
`schedule` decides once, at its end (manual 6.1). The rules for the head and the tail of a queue are visible to
users and kept exactly.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.policies import Wakeups
from retrap.kernel.registers import RESTART_PC, set_next_pc
from retrap.kernel.state import CHOOSE, RESUME, SWITCH, KernelState
from retrap.kernel.structures import Tcb, ThreadState
from retrap.kernel.vspace import set_vm_root
from retrap.machine.context import Slot as ContextSlot

_RUNNING: Final = ThreadState.RUNNING
_RESTART: Final = ThreadState.RESTART
_EXCLUSIVE: Final = ContextSlot.EXCLUSIVE


def is_runnable(thread: Tcb) -> bool:
    """Whether the thread can run."""
    return thread.state == _RUNNING or thread.state == _RESTART


def is_stopped(thread: Tcb) -> bool:
    """Whether the thread is inactive or waits."""
    return thread.state != _RUNNING and thread.state != _RESTART and thread.state != ThreadState.IDLE


def enqueue(state: KernelState, thread: Tcb) -> None:
    """Put the thread at the head of its ready queue, unless it is in it."""
    if thread.queued:
        return
    priority = thread.priority
    domain = thread.domain
    index = domain * state.options.num_priorities + priority
    head = state.ready_heads[index]
    thread.ready_prev = None
    thread.ready_next = head
    if head is None:
        state.ready_tails[index] = thread
        state.ready_bitmaps[domain] |= 1 << priority
    else:
        head.ready_prev = thread
    state.ready_heads[index] = thread
    thread.queued = True


def append(state: KernelState, thread: Tcb) -> None:
    """Put the thread at the tail of its ready queue, unless it is in it."""
    if thread.queued:
        return
    priority = thread.priority
    domain = thread.domain
    index = domain * state.options.num_priorities + priority
    tail = state.ready_tails[index]
    thread.ready_prev = tail
    thread.ready_next = None
    if tail is None:
        state.ready_heads[index] = thread
        state.ready_bitmaps[domain] |= 1 << priority
    else:
        tail.ready_next = thread
    state.ready_tails[index] = thread
    thread.queued = True


def dequeue(state: KernelState, thread: Tcb) -> None:
    """Take the thread out of its ready queue, if it is in it."""
    if not thread.queued:
        return
    priority = thread.priority
    domain = thread.domain
    index = domain * state.options.num_priorities + priority
    before = thread.ready_prev
    after = thread.ready_next
    if before is None:
        state.ready_heads[index] = after
        if after is None:
            state.ready_bitmaps[domain] &= ~(1 << priority)
    else:
        before.ready_next = after
    if after is None:
        state.ready_tails[index] = before
    else:
        after.ready_prev = before
    thread.ready_prev = None
    thread.ready_next = None
    thread.queued = False


def set_thread_state(state: KernelState, thread: Tcb, new: int) -> None:
    """Change what the thread does; if the running thread stops, another has to be chosen."""
    thread.state = new
    if thread is state.current and state.action == RESUME and new != _RUNNING and new != _RESTART:
        state.action = CHOOSE


def reschedule_required(state: KernelState) -> None:
    """Choose anew at the end of this entry; a thread that was about to be switched to queues first."""
    if state.action == SWITCH:
        candidate = state.candidate
        assert candidate is not None
        enqueue(state, candidate)
        state.candidate = None
    state.action = CHOOSE


def set_priority(state: KernelState, thread: Tcb, priority: int) -> None:
    """Change a thread's priority (TCB_SetPriority); a ready one is considered again."""
    dequeue(state, thread)
    thread.priority = priority
    state.reprioritise(state, thread)


def _reprioritise_candidate(state: KernelState, thread: Tcb) -> None:
    """A ready thread is treated as one that woke up (11.0.0)."""
    if is_runnable(thread):
        if thread is state.current:
            reschedule_required(state)
        else:
            state.wakeups.wake(state, thread)


def _reprioritise_runnable(state: KernelState, thread: Tcb) -> None:
    """Any ready thread's new priority makes the kernel choose anew (9.0.0 to 10.1.1)."""
    if is_runnable(thread):
        enqueue(state, thread)
        reschedule_required(state)


def _reprioritise_self(state: KernelState, thread: Tcb) -> None:
    """Others are only queued, and run when something else makes the kernel choose (until 8.0.0)."""
    if is_runnable(thread):
        enqueue(state, thread)
    if thread is state.current:
        reschedule_required(state)


def set_domain(state: KernelState, thread: Tcb, domain: int) -> None:
    """Move a thread to another domain (DomainSet_Set)."""
    dequeue(state, thread)
    thread.domain = domain
    if is_runnable(thread):
        enqueue(state, thread)
    if thread is state.current:
        reschedule_required(state)


def yield_current(state: KernelState) -> None:
    """The running thread goes to the tail of its queue."""
    dequeue(state, state.current)
    append(state, state.current)
    reschedule_required(state)


def timer_tick(state: KernelState) -> None:
    """One tick of the kernel's timer: the running thread's time slice, and the domain's time."""
    current = state.current
    if current.state == _RUNNING:
        if current.time_slice > 1:
            current.time_slice -= 1
        else:
            current.time_slice = state.options.time_slice_ticks
            append(state, current)
            reschedule_required(state)
    if state.options.num_domains > 1:
        state.domain_time -= 1
        if state.domain_time == 0:
            reschedule_required(state)


def make_current(state: KernelState, thread: Tcb) -> None:
    """Let `thread`, which is not the idle thread, be the one that runs."""
    if state.benchmarks.measures:
        state.benchmarks.switch(state, state.current, thread)
    set_vm_root(state, thread)
    dequeue(state, thread)
    state.current = thread
    state.thread_registers.switched(state, thread)


def _switch_to(state: KernelState, thread: Tcb) -> None:
    make_current(state, thread)
    thread.context.words[_EXCLUSIVE] = 0  # a thread switch opens the local monitor


def _next_domain(state: KernelState) -> None:
    """The domain's time is over: go on in the schedule, from its start after an end marker."""
    schedule = state.domain_schedule
    index = state.domain_index + 1
    if index >= len(schedule) or schedule[index] == (0, 0):
        index = state.domain_start
    state.domain_index = index
    state.work_units = 0
    state.domain, state.domain_time = schedule[index]


def _choose(state: KernelState) -> None:
    """Run the first thread of the highest priority in the current domain, or idle."""
    if state.domain_time == 0:
        _next_domain(state)
    domain = state.domain
    bitmap = state.ready_bitmaps[domain]
    if bitmap:
        thread = state.ready_heads[domain * state.options.num_priorities + bitmap.bit_length() - 1]
        assert thread is not None
        _switch_to(state, thread)
    else:
        if state.benchmarks.measures:
            state.benchmarks.switch(state, state.current, state.idle)
        set_vm_root(state, state.idle)
        state.current = state.idle
        state.thread_registers.switched(state, state.idle)


def schedule(state: KernelState) -> None:
    """Decide who runs, from what this kernel entry did."""
    action = state.action
    if action == RESUME:
        return
    current = state.current
    was_runnable = current.state == _RUNNING or current.state == _RESTART
    if was_runnable:
        enqueue(state, current)
    if action == CHOOSE:
        _choose(state)
    else:
        state.wakeups.settle(state, was_runnable)
        state.candidate = None
    state.action = RESUME


@final
class Candidate(Wakeups):
    """A thread that woke up runs if it has the highest priority; between equals the running thread goes on.

    Since 8.0.0. It waits unqueued in `state.candidate`; a second one in the same entry just queues, and so does
    the first.
    """

    __slots__ = ()

    def hand_over(self, state: KernelState, target: Tcb) -> None:
        self.wake(state, target)

    def takes_over(self, state: KernelState, target: Tcb) -> bool:
        priority = target.priority
        return target.domain == state.domain and (
            priority >= state.current.priority or not state.ready_bitmaps[state.domain] >> (priority + 1)
        )

    def wake(self, state: KernelState, target: Tcb) -> None:
        if target.domain != state.domain:
            enqueue(state, target)
        elif state.action != RESUME:
            reschedule_required(state)
            enqueue(state, target)
        else:
            state.action = SWITCH
            state.candidate = target

    def settle(self, state: KernelState, was_runnable: bool) -> None:
        current = state.current
        candidate = state.candidate
        assert candidate is not None
        priority = candidate.priority
        bitmap = state.ready_bitmaps[state.domain]
        if (current is state.idle or priority < current.priority) and bitmap >> (priority + 1):
            # Somebody else is ready at a higher priority.
            enqueue(state, candidate)
            _choose(state)
        elif was_runnable and priority == current.priority:
            # Between equals the running thread goes on; the candidate waits for its turn at the tail.
            append(state, candidate)
            _choose(state)
        else:
            _switch_to(state, candidate)


@final
class Direct(Wakeups):
    """Who is given a message runs at once, unless the running thread has a higher priority.

    Until 7.0.0. Who wakes up for another reason has to have a higher priority than the running thread, even one
    that has just blocked, and even the idle thread, whose priority is 0.
    """

    __slots__ = ()

    def hand_over(self, state: KernelState, target: Tcb) -> None:
        self._consider(state, target, target.priority >= state.current.priority)

    def takes_over(self, state: KernelState, target: Tcb) -> bool:
        return target.domain == state.domain and target.priority >= state.current.priority

    def wake(self, state: KernelState, target: Tcb) -> None:
        self._consider(state, target, target.priority > state.current.priority)

    def _consider(self, state: KernelState, target: Tcb, precedes: bool) -> None:
        if target.domain != state.domain:
            enqueue(state, target)
            return
        action = state.action
        if precedes and action == RESUME:
            state.action = SWITCH
            state.candidate = target
            return
        enqueue(state, target)
        if action == SWITCH:
            reschedule_required(state)

    def settle(self, state: KernelState, was_runnable: bool) -> None:
        candidate = state.candidate
        assert candidate is not None
        _switch_to(state, candidate)


_WAKEUPS: Final[dict[str, type[Wakeups]]] = {"candidate": Candidate, "direct": Direct}
_REPRIORITISE: Final = {
    "candidate": _reprioritise_candidate,
    "runnable": _reprioritise_runnable,
    "self": _reprioritise_self,
}


def choose_policies(state: KernelState) -> None:
    """Take the scheduling rules of the release, at boot."""
    state.wakeups = _WAKEUPS[state.facts.wakeup]()
    state.reprioritise = _REPRIORITISE[state.facts.set_priority_preempts]


def activate(state: KernelState) -> None:
    """Let the thread that runs next continue: one that is to restart goes back to its restart PC."""
    current = state.current
    if current.state == _RESTART:
        set_next_pc(state, current, current.context.words[RESTART_PC])
        current.state = _RUNNING
