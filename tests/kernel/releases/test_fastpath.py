"""The path for common messages does what the general path does, on random systems, in every kind of release."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kernel_driver import CNODE, TCB
from release_driver import Guests
from retrap.kernel.effects import IDLE, Outcome
from retrap.kernel.state import Change
from retrap.kernel.structures import Tcb
from retrap.machine.traps import INTERRUPT, SVC
from retrap.traces.encode import Encoder
from retrap.traces.layout import CONTEXT_WORDS

RELEASES = ("16.0.0", "12.1.0", "9.0.1", "8.0.0", "7.0.0", "4.0.0", "3.2.0", "2.0.0")
"""Of each rule that messages depend on, one that has it."""

SEEN = (
    "badge", "buffer_writes", "console", "error", "error_words", "extra_caps", "fault", "fault_words",
    "next_thread", "outcome", "reads", "reason", "registers", "syscall", "target", "thread", "time",
)  # fmt: skip
"""Of the effects."""

CALLS = ("Call", "Call", "Call", "ReplyRecv", "ReplyRecv", "ReplyRecv", "Send", "NBSend", "Recv", "NBRecv", "Reply")


@dataclass(frozen=True)
class Act:
    """One kernel entry by whoever runs."""

    call: str  # a system call, "Yield", "tick", or "priority" of thread `target`
    target: int
    info: int
    words: tuple[int, ...]


@st.composite
def acts(draw: st.DrawFn) -> Act:
    kind = draw(st.sampled_from((*CALLS, *CALLS, "Yield", "tick", "priority")))
    length = draw(st.sampled_from((0, 1, 2, 3, 4, 4, 5, 9, 119, 120, 121, 127)))
    extra = draw(st.sampled_from((0, 0, 0, 0, 0, 1, 3)))
    unwrapped = draw(st.sampled_from((0, 0, 5)))
    label = draw(st.integers(0, 0xFFFFF))
    return Act(
        kind,
        draw(st.integers(0, 11)),
        label << 12 | unwrapped << 9 | extra << 7 | length,
        tuple(draw(st.lists(st.integers(0, 0xFFFF_FFFF), min_size=4, max_size=4))),
    )


class System:
    """Four threads, two endpoints with capabilities of several rights and badges, a notification."""

    def __init__(self, fast: bool, release: str, priorities: tuple[int, ...], bound: bool) -> None:
        world = self.world = Guests(release)
        world.state.fast = fast
        one, other, bell = world.make("Endpoint"), world.make("Endpoint"), world.make("Notification")
        self.caps = [one, other, *(world.copy(one, each) for each in (7, 3, 2, 1))]
        self.caps += [world.mint(one, 7), world.mint(other, 9, 13), bell, 0, CNODE]
        threads = [world.thread(priority) for priority in priorities]
        world.buffer(threads[2])[0] = 0
        self.tcbs = [TCB, *(world.tcbs[thread.number] for thread in threads)]
        if bound and "TCBBindNotification" in world.labels:
            assert world.call(self.tcbs[1], "TCBBindNotification", caps=(bell,)) == 0
        world.run(*threads, below=5)
        self.encoder = Encoder()
        self.encoder.start(0, [])
        self.fast = 0

    def act(self, act: Act) -> None:
        """Enter the kernel as the act says, and record the entry."""
        world = self.world
        kernel = world.kernel
        if kernel.current.number == IDLE or act.call == "tick":
            trap = INTERRUPT
        else:
            trap = SVC
            words = kernel.context.words
            words[2:6] = array("I", act.words)
            words[0] = self.caps[act.target % len(self.caps)]
            words[1] = act.info
            if act.call == "priority":
                if kernel.current is world.main:
                    world.set_priority(self.tcbs[1 + act.target % 3], 1 + act.words[0] % 20)
                    return
                words[7] = world.calls["Yield"] & 0xFFFF_FFFF
            else:
                words[7] = world.calls[act.call] & 0xFFFF_FFFF
        context = kernel.context.words[:CONTEXT_WORDS].tobytes()
        world.time += 10
        self.fast += kernel.enter(trap, world.time) == Change.HOP
        self.encoder.add(kernel.effects, context, [], None, b"")


def _contexts(threads: list[Tcb]) -> list[bytes]:
    return [thread.context.words.tobytes() for thread in threads]


def _compare(release: str, priorities: tuple[int, ...], bound: bool, script: list[Act]) -> int:
    fast, general = (System(way, release, priorities, bound) for way in (True, False))
    for act in script:
        for system in (fast, general):
            system.act(act)
        here, there = fast.world, general.world
        assert here.kernel.digest() == there.kernel.digest()
        assert here.kernel.space.pages == there.kernel.space.pages
        assert _contexts(here.kernel.threads) == _contexts(there.kernel.threads)
        ours, theirs = here.effects, there.effects
        for name in SEEN:
            assert getattr(ours, name) == getattr(theirs, name), name
        assert fast.encoder.buffer == general.encoder.buffer
        assert here.kernel.check("cheap") == []
        if here.kernel.crashed:
            break
    fast.world.check()
    assert general.fast == 0
    return fast.fast


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    release=st.sampled_from(RELEASES),
    priorities=st.tuples(*[st.integers(1, 20)] * 3),
    bound=st.booleans(),
    script=st.lists(acts(), min_size=10, max_size=60),
)
def test_random_systems_cannot_tell_the_paths_apart(
    release: str, priorities: tuple[int, ...], bound: bool, script: list[Act]
) -> None:
    """Digest, registers, effects and bytes of records after every entry."""
    _compare(release, priorities, bound, script)


@pytest.mark.parametrize("release", RELEASES)
def test_a_server_and_its_client_take_the_path(release: str) -> None:
    """Recv by one thread, then Call and ReplyRecv in turns by it and another of its priority, short and long."""
    turns = [Act("Call" if n % 2 else "ReplyRecv", 0, n << 12 | n % 130 & 127, (n, 2, 3, 4)) for n in range(1, 200)]
    script = [Act("Recv", 0, 0, (0, 0, 0, 0)), *turns]
    assert _compare(release, (20, 20, 20), False, script) > 150


def test_the_path_blocks_the_caller() -> None:
    """The outcome and the target are those of the general path."""
    world = Guests("16.0.0")
    endpoint = world.make("Endpoint")
    server = world.thread(100)
    world.run(server)
    world.recv(endpoint)
    effects = world.ipc_call(endpoint, 1, 2)
    assert world.change == Change.HOP and world.runs(server)
    assert effects.outcome == Outcome.BLOCKED and effects.target == ("Endpoint", world.cap(endpoint).address, 0)
    world.system_call("ReplyRecv", endpoint, 0, (3,))
    assert world.change == Change.HOP and world.runs(world.main)
    assert list(world.main.context.words[:3]) == [0, 1, 3]
