"""All laws after every step of random walks, on releases of every shape; and that each law can fail."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from hypothesis.stateful import rule as step_rule
from laws_campaign import RELEASES, steps_of
from laws_walk import ACTIONS, STEP_LENGTH, Violation, Walk, run, shorten
from retrap.kernel import capability_spaces, deletion, derivation, endpoint, queues, scheduler
from retrap.kernel.caps import EndpointCap, FrameCap, Tag, UntypedCap
from retrap.kernel.objects import cnode, division, table, untyped
from retrap.kernel.structures import NTFN_WAITING
from retrap.tools.build import compiled_ahead

steps = st.binary(min_size=2 * STEP_LENGTH, max_size=2 * STEP_LENGTH).map(
    lambda data: struct.unpack(f"<{STEP_LENGTH}H", data)
)


class Laws(RuleBasedStateMachine):
    """One kernel entry a step; `laws_walk` says what must be true then."""

    release = ""

    def __init__(self) -> None:
        super().__init__()
        self.walk = Walk(self.release)

    @step_rule(step=steps)
    def make(self, step: tuple[int, ...]) -> None:
        if self.walk.over:
            self.walk = Walk(self.release)
        self.walk.step(step)


@pytest.mark.parametrize("name", RELEASES)
def test_the_laws_hold(name: str) -> None:
    """Seven releases, and 1500 steps of each: more than 10,000."""
    machine = type(f"Laws{name.replace('.', '_')}", (Laws,), {"release": name})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_walk_repeats_itself() -> None:
    walks = [Walk("16.0.0") for _ in range(2)]
    for step in steps_of("16.0.0", 7)[:60]:
        for walk in walks:
            walk.step(step)
        assert walks[0].driver.kernel.digest() == walks[1].driver.kernel.digest()


def test_walks_do_all_sorts_of_things() -> None:
    outcomes: set[int] = set()
    done: set[int] = set()
    for number in range(12):
        walk = Walk("16.0.0")
        for step in steps_of("16.0.0", number):
            walk.step(step)
            if walk.over:
                break
            effects = walk.driver.effects
            outcomes.add(effects.outcome)
            if effects.outcome == 0 and not effects.error:
                done.add(step[0] % ACTIONS)
    assert {0, 1, 3, 4, 7} <= outcomes
    assert len(done) >= ACTIONS - 2


# --- each law can fail: the engine is broken in one place, and a walk notices

Patch = Callable[[Any], None]


def never_unlinked(patch: Any) -> None:
    def remove(slot: Any) -> None:
        slot.cap = derivation.NULL

    patch.setattr(derivation, "remove", remove)


def badge_groups_forgotten(patch: Any) -> None:
    original = derivation.insert_new

    def insert_new(parent: Any, target: Any, cap: Any) -> None:
        original(parent, target, cap)
        if target.next is not None:
            target.next.prev = None

    patch.setattr(derivation, "insert_new", insert_new)


def rights_not_masked(patch: Any) -> None:
    def masked(self: Any, rights: int) -> Any:
        return EndpointCap(self.address, self.badge, self.rights & rights if self.rights & 4 else 15)

    patch.setattr(EndpointCap, "masked", masked)


def frame_rights_not_masked(patch: Any) -> None:
    patch.setattr(FrameCap, "masked", lambda self, rights: FrameCap(self.address, self.size_bits, False, 3))


def badges_changed(patch: Any) -> None:
    patch.setattr(
        EndpointCap, "with_data", lambda self, preserve, data: EndpointCap(self.address, data & 0xFFF, self.rights)
    )


def watermark_stays(patch: Any) -> None:
    patch.setattr(UntypedCap, "with_free", lambda self, free: self)


def endpoint_outlives_its_capabilities(patch: Any) -> None:
    patch.setitem(table._FINALISERS, Tag.ENDPOINT, lambda state, cap, final: derivation.NULL)


def mapping_outlives_its_capability(patch: Any) -> None:
    patch.setitem(table._FINALISERS, Tag.FRAME, lambda state, cap, final: derivation.NULL)


def lookups_count_as_work(patch: Any) -> None:
    original = cnode.operand_slot

    def operand_slot(state: Any, source: bool, root: Any, index: int, depth: int) -> Any:
        state.work_units += 1
        return original(state, source, root, index, depth)

    patch.setattr(cnode, "operand_slot", operand_slot)


def copying_raises(patch: Any) -> None:
    original = derivation.derive

    def derive(slot: Any, cap: Any) -> Any:
        if cap.tag == Tag.THREAD and slot.owner != 0x4000_0000:
            raise ValueError("a bug")
        return original(slot, cap)

    patch.setattr(derivation, "derive", derive)


def revoke_stops_early(patch: Any) -> None:
    def revoke(state: Any, slot: Any) -> None:
        if slot.next is not None and derivation.is_parent(slot, slot.next):
            deletion.delete(state, slot.next, True)

    patch.setattr(cnode.deletion, "revoke", revoke)


def anybodys_capability(patch: Any) -> None:
    original = cnode.source_slot

    def source_slot(state: Any, root: Any, index: int, depth: int) -> Any:
        found = original(state, root, index, depth)
        return state.objects[0x4000_0000].slot(1) if found.cap.tag == Tag.THREAD else found

    patch.setattr(cnode, "source_slot", source_slot)


def anybodys_slot(patch: Any) -> None:
    original = cnode.operand_slot

    def operand_slot(state: Any, source: bool, root: Any, index: int, depth: int) -> Any:
        found = original(state, source, root, index, depth)
        return state.objects[0x4000_0000].slot(3000 + index % 64) if depth == 32 and not source else found

    patch.setattr(cnode, "operand_slot", operand_slot)


def waits_in_two_queues(patch: Any) -> None:
    original = queues.remove

    def remove(queue: Any, thread: Any) -> None:
        state, head = queue.state, queue.head
        original(queue, thread)
        if queue.head is None and state == NTFN_WAITING:
            queue.state, queue.head = state, head

    patch.setattr(queues, "remove", remove)


def ready_although_blocked(patch: Any) -> None:
    original = scheduler.set_thread_state

    def set_thread_state(state: Any, thread: Any, new: int) -> None:
        original(state, thread, new)
        if new == 4:
            scheduler.enqueue(state, thread)

    patch.setattr(endpoint, "set_thread_state", set_thread_state)


def memory_divided_twice(patch: Any) -> None:
    patch.setattr(division.derivation, "ensure_no_children", lambda slot: None)


def kept_although_gone(patch: Any) -> None:
    patch.setattr(capability_spaces.CapabilitySpaces, "settle", lambda self, state: None)


def reset_with_children(patch: Any) -> None:
    patch.setattr(untyped.derivation, "has_children", lambda slot: False)


def transferred_without_grant(patch: Any) -> None:
    original = endpoint.transfer

    def transfer(state: Any, sender: Any, to: Any, badge: int, grant: bool, receiver: Any, diminish: bool) -> None:
        original(state, sender, to, badge, True, receiver, diminish)
        # Who receives something also gets the initial thread's CNode.
        free = state.objects[0x4000_0000].slot(3100)
        if free.cap.tag == Tag.NULL:
            derivation.insert(sender.slots[0].cap, sender.slots[0], free)

    patch.setattr(endpoint, "transfer", transfer)


def replies_twice(patch: Any) -> None:
    original = endpoint.setup_caller_cap

    def setup_caller_cap(state: Any, sender: Any, receiver: Any, grant: bool) -> None:
        original(state, sender, receiver, grant)
        sender.state = 1

    patch.setattr(endpoint, "setup_caller_cap", setup_caller_cap)


MUTATIONS: tuple[tuple[Patch, str, str], ...] = (
    (never_unlinked, "16.0.0", "derivation lists are well formed"),
    (badge_groups_forgotten, "12.0.0", "derivation lists are well formed"),
    (rights_not_masked, "16.0.0", "confinement"),
    (frame_rights_not_masked, "2006", "confinement"),
    (badges_changed, "8.0.0", "confinement"),
    (watermark_stays, "3.2.0", ""),
    (endpoint_outlives_its_capabilities, "1.0.3", "capabilities refer to live objects"),
    (mapping_outlives_its_capability, "16.0.0", "mappings belong to capabilities"),
    (lookups_count_as_work, "10.1.1", "refused, but the state has changed"),
    (copying_raises, "16.0.0", "ValueError"),
    (revoke_stops_early, "16.0.0", "was revoked"),
    (anybodys_capability, "16.0.0", "confinement"),
    (anybodys_slot, "12.0.0", "confinement"),
    (waits_in_two_queues, "16.0.0", "queue"),
    (ready_although_blocked, "16.0.0", "run"),
    (memory_divided_twice, "2006", ""),
    (kept_although_gone, "2006", "the processor keeps what lookups find"),
    (reset_with_children, "16.0.0", ""),
    (transferred_without_grant, "16.0.0", "confinement"),
    (replies_twice, "16.0.0", ""),
)
"""What is broken, on which release, and how the violation reads."""


@pytest.mark.skipif(compiled_ahead(), reason="a compiled kernel cannot be broken from outside")
@pytest.mark.parametrize(("mutate", "name", "text"), MUTATIONS, ids=[each[0].__name__ for each in MUTATIONS])
def test_a_broken_engine_is_noticed(
    mutate: Patch, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    for number in range(60):
        walk = steps_of(name, number)
        try:
            run(name, walk)
        except Violation as error:
            assert text in str(error)
            return
        except AssertionError:
            assert not text  # it could not even be set up
            return
    pytest.fail("no walk noticed")


@pytest.mark.skipif(compiled_ahead(), reason="a compiled kernel cannot be broken from outside")
def test_a_violation_is_made_short(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups_count_as_work(monkeypatch)
    walk = steps_of("16.0.0", 0)
    short = shorten("16.0.0", walk)
    assert len(short) <= 2
    with pytest.raises(Violation, match="refused, but the state has changed"):
        run("16.0.0", short)


