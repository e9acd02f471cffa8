"""Scheduling domains: which thread is in which, and the schedule that switches between them (manual 6.4).

The schedule is a table whose last entry stays an end marker, (0, 0); the kernel walks it from `domain_start`
to the next end marker and around. Durations are timer ticks.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import DomainCap, ThreadCap
from retrap.kernel.failures import invalid_argument, range_error, truncated_message
from retrap.kernel.message import Invocation, Message
from retrap.kernel.scheduler import reschedule_required, set_domain
from retrap.kernel.slots import Slot
from retrap.kernel.state import Decoder, KernelState
from retrap.kernel.structures import Tcb

MAX_DURATION: Final = (1 << 56) - 1
"""A duration has 56 bits; the domain has the other eight of an entry."""

END: Final = (0, 0)


@final
class SetDomain(Invocation):
    """Move a thread to another domain."""

    __slots__ = ("domain", "thread")

    def __init__(self, thread: Tcb, domain: int) -> None:
        self.thread: Final = thread
        self.domain: Final = domain

    def perform(self, state: KernelState) -> list[int] | None:
        set_domain(state, self.thread, self.domain)
        return None


@final
class ConfigureSchedule(Invocation):
    """Write one entry of the schedule."""

    __slots__ = ("domain", "duration", "index")

    def __init__(self, index: int, domain: int, duration: int) -> None:
        self.index: Final = index
        self.domain: Final = domain
        self.duration: Final = duration

    def perform(self, state: KernelState) -> list[int] | None:
        state.domain_schedule[self.index] = (self.domain, self.duration)
        return None


@final
class SetScheduleStart(Invocation):
    """Begin again at another entry, at once."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index: Final = index

    def perform(self, state: KernelState) -> list[int] | None:
        state.domain_start = self.index
        # No time is left, and after the last entry but one comes the end marker: so the start is next.
        state.domain_time = 0
        state.domain_index = len(state.domain_schedule) - 2
        reschedule_required(state)
        return None


def _decode_set(state: KernelState, slot: Slot, cap: DomainCap, message: Message) -> Invocation:
    """DomainSet_Set(domain; thread). The domain is checked before it is known whether there is a thread."""
    message.require(1)
    domain = message.words[0]
    if domain >= state.options.num_domains:
        raise invalid_argument(0, f"there are only {state.options.num_domains} domains")
    if not message.caps:
        raise truncated_message("the thread is missing")
    thread_cap = message.caps[0].cap
    if not isinstance(thread_cap, ThreadCap):
        raise invalid_argument(1, "not a thread capability")
    thread = state.objects[thread_cap.address]
    assert isinstance(thread, Tcb)
    return SetDomain(thread, domain)


def _decode_configure(state: KernelState, slot: Slot, cap: DomainCap, message: Message) -> Invocation:
    """DomainSet_ScheduleConfigure(index, domain, duration as two words)."""
    message.require(4)
    index, domain, low, high = message.words[:4]
    duration = high << 32 | low
    last = len(state.domain_schedule) - 1
    if index >= last:
        raise range_error(0, last - 1, "the last entry must stay an end marker")
    if domain >= state.options.num_domains:
        raise range_error(0, state.options.num_domains - 1, f"there are only {state.options.num_domains} domains")
    if duration > MAX_DURATION:
        raise invalid_argument(2, "the duration does not fit 56 bits")
    # A zero duration is an end marker, which has no domain and cannot be where the schedule starts.
    if duration == 0 and domain != 0:
        raise invalid_argument(1, "an end marker has domain 0")
    if duration == 0 and index == state.domain_start:
        raise invalid_argument(2, "the schedule starts at this entry, so it cannot be an end marker")
    return ConfigureSchedule(index, domain, duration)


def _decode_set_start(state: KernelState, slot: Slot, cap: DomainCap, message: Message) -> Invocation:
    """DomainSet_ScheduleSetStart(index)."""
    message.require(1)
    index = message.words[0]
    if index >= len(state.domain_schedule):
        raise range_error(0, len(state.domain_schedule) - 1, "there is no such entry")
    if state.domain_schedule[index] == END:
        raise invalid_argument(0, "the entry is an end marker")
    return SetScheduleStart(index)


METHODS: Final[dict[str, Decoder]] = {
    "DomainSetSet": _decode_set,
    "DomainScheduleConfigure": _decode_configure,
    "DomainScheduleSetStart": _decode_set_start,
}


def install_schedule(state: KernelState, length: int) -> None:
    """At boot: domain 0 for ever, and only end markers after it; `length` entries in all."""
    state.domain_schedule[:] = [(0, MAX_DURATION)] + [END] * (length - 1)
    state.domain_index = 0
    state.domain_start = 0
    state.domain = 0
    state.domain_time = MAX_DURATION
