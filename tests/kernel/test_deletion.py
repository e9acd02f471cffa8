"""Deleting and revoking: zombies, cycles, preemption, what frees which memory."""

from __future__ import annotations

import pytest
from kernel_driver import CNODE, TCB, UNTYPED, Driver
from retrap.kernel.caps import NULL, EndpointCap, ZombieCap
from retrap.kernel.effects import Outcome
from retrap.kernel.structures import CNode
from threads_driver import World


@pytest.fixture
def driver() -> Driver:
    return Driver()


def put(driver: Driver, node: int, index: int, source: int, depth: int = 4) -> None:
    assert driver.call(node, "CNodeCopy", index, depth, source, 32, 15, caps=(CNODE,)) == 0, driver.effects.reason


def move_into(driver: Driver, node: int, index: int, source: int, depth: int = 4) -> None:
    assert driver.call(node, "CNodeMove", index, depth, source, 32, caps=(CNODE,)) == 0


def test_a_node_takes_its_contents_along(driver: Driver) -> None:
    node = driver.make("CapTable", 4)
    endpoint = driver.make("Endpoint")
    address = driver.cap(endpoint).address
    move_into(driver, node, 3, endpoint)
    put(driver, node, 9, TCB)
    assert driver.delete(node) == 0
    assert address not in driver.state.objects
    assert driver.cap(TCB) is not NULL
    driver.check()


def test_a_node_that_contains_itself(driver: Driver) -> None:
    for index in (0, 7, 15):
        node = driver.make("CapTable", 4)
        address = driver.cap(node).address
        put(driver, node, index, node)
        assert driver.delete(node) == 0
        # The copy inside is left: nobody can reach it, so it goes with the memory.
        driver.check()
        assert address in driver.state.objects
    assert driver.revoke(UNTYPED + 4) == 0
    driver.check()


def test_a_node_moved_into_itself(driver: Driver) -> None:
    for index in (0, 3):
        node = driver.make("CapTable", 4)
        move_into(driver, node, index, node)
        driver.check()
    assert driver.revoke(UNTYPED + 4) == 0
    driver.check()
    assert not any(address >= 0x4100_0000 for address in driver.state.objects)


@pytest.mark.parametrize("slots", [(0, 0), (0, 5), (5, 0), (5, 5)])
def test_two_nodes_that_contain_each_other(driver: Driver, slots: tuple[int, int]) -> None:
    first = driver.make("CapTable", 4)
    second = driver.make("CapTable", 4)
    put(driver, first, slots[0], second)
    put(driver, second, slots[1], first)
    assert driver.delete(first) == 0
    assert driver.delete(second) == 0
    driver.check()
    assert driver.revoke(UNTYPED + 4) == 0
    driver.check()


@pytest.mark.parametrize("index", [0, 1, 3])
def test_nested_last_capabilities(driver: Driver, index: int) -> None:
    outer = driver.make("CapTable", 2)
    nodes = [driver.make("CapTable", 2) for _ in range(6)]
    threads = [driver.make("TCB") for _ in range(2)]
    first = driver.cap(nodes[0]).address
    for inner, node in reversed(list(zip(nodes[1:], nodes, strict=False))):
        move_into(driver, node, index, inner, 2)
    move_into(driver, outer, index, nodes[0], 2)
    for position, thread in enumerate(threads):
        move_into(driver, outer, (index + 1 + position) % 4, thread, 2)
    assert driver.delete(outer) == 0
    driver.check()
    # The first inner node becomes a zombie in its own first slot: only revoking the memory finds it there.
    inner = driver.state.objects[first]
    assert isinstance(inner, CNode) and isinstance(inner.slot(0).cap, ZombieCap)
    assert driver.revoke(UNTYPED + 4) == 0
    driver.check()
    assert not any(address >= 0x4100_0000 for address in driver.state.objects)


def test_a_thread_whose_cspace_is_the_last(driver: Driver) -> None:
    node = driver.make("CapTable", 4)
    thread = driver.make("TCB")
    put(driver, node, 0, thread)
    assert driver.call(thread, "TCBSetSpace", 0, 0, 0, caps=(node, 3)) == 0
    assert driver.delete(node) == 0
    assert driver.delete(thread) == 0
    # Node and thread hold each other.
    driver.check()
    assert driver.revoke(UNTYPED + 4) == 0
    driver.check()
    assert not any(address >= 0x4100_0000 for address in driver.state.objects)


def test_deleting_what_the_caller_runs_on() -> None:
    world = World()
    node = world.make("CapTable", 12)
    thread = world.thread(start=False)
    cptr = world.tcbs[1]
    guard = 8 << 3
    assert world.call(node, "CNodeMint", 1, 12, CNODE, 32, 15, guard, caps=(CNODE,)) == 0
    assert world.call(cptr, "TCBSetSpace", 0, 0, 0, caps=(node, 3)) == 0
    assert world.delete(node) == 0
    world.call(cptr, "TCBResume")
    assert world.runs(thread)
    # Through its CSpace it reaches the initial CNode, where the last capability to itself is deleted.
    effects = world.system_call("Call", 1 << 20 | CNODE, "CNodeDelete", (cptr, 32))
    assert effects.outcome == Outcome.DONE, effects.reason
    assert not thread.live
    assert world.runs(world.main)
    world.check()


def test_revoking_the_untyped_that_the_caller_lives_in() -> None:
    world = World()
    thread = world.thread()
    assert world.runs(thread)
    effects = world.system_call("Call", CNODE, "CNodeRevoke", (UNTYPED + 4, 32))
    assert effects.outcome == Outcome.DONE
    assert not thread.live and world.runs(world.main)
    world.check()
    again = world.thread()
    assert world.runs(again) and again.number == 2 and again.address == thread.address


def test_deleting_a_large_node_is_preemptible(driver: Driver) -> None:
    node = driver.make("CapTable", 12)
    put(driver, node, 3000, TCB, 12)
    put(driver, node, 5, TCB, 12)
    driver.state.work_units = 0
    driver.state.tick_pending = True
    driver.delete(node)
    assert driver.effects.outcome == Outcome.PREEMPTED
    zombie = driver.cap(node)
    # A hundred slots are done, from the end.
    assert isinstance(zombie, ZombieCap) and zombie.number == 4096 - 100
    driver.check()
    # A zombie cannot be used, copied, or filled.
    assert driver.call(node, "CNodeDelete", 1, 12) == 2
    assert driver.call(CNODE, "CNodeCopy", driver.free_slot(), 32, node, 32, 15, caps=(CNODE,)) == 3
    for number in range(39):
        driver.state.tick_pending = True
        driver.delete(node)
        assert driver.effects.outcome == Outcome.PREEMPTED, number
    driver.delete(node)
    assert driver.effects.outcome == Outcome.DONE
    assert driver.cap(node) is NULL
    driver.check()


def test_the_same_work_is_counted_slot_by_slot(driver: Driver) -> None:
    """Skipping empty slots leaves the work counter where going through them would."""
    node = driver.make("CapTable", 10)
    driver.state.work_units = 0
    driver.delete(node)
    assert driver.state.work_units == 1024 % 100


def test_moving_a_zombie_and_finishing_it_elsewhere(driver: Driver) -> None:
    node = driver.make("CapTable", 10)
    driver.state.work_units = 0
    driver.state.tick_pending = True
    driver.delete(node)
    target = driver.free_slot()
    assert driver.call(CNODE, "CNodeMove", target, 32, node, 32, caps=(CNODE,)) == 0
    assert isinstance(driver.cap(target), ZombieCap)
    driver.check()
    driver.delete(target)
    assert driver.cap(target) is NULL
    driver.check()


def test_revoke_is_preemptible(driver: Driver) -> None:
    endpoint = driver.make("Endpoint")
    for badge in range(1, 151):
        target = driver.free_slot()
        assert driver.call(CNODE, "CNodeMint", target, 32, endpoint, 32, 15, badge, caps=(CNODE,)) == 0
    driver.state.work_units = 0
    driver.state.tick_pending = True
    driver.revoke(endpoint)
    assert driver.effects.outcome == Outcome.PREEMPTED
    assert sum(isinstance(slot.cap, EndpointCap) for slot in driver.root.slots.values()) == 51
    driver.revoke(endpoint)
    assert driver.effects.outcome == Outcome.DONE
    assert driver.slot(endpoint).next is None
    driver.check()


def test_large_empty_nodes_cost_nothing(driver: Driver) -> None:
    node = driver.make("CapTable", 20, untyped=UNTYPED + 5)
    put(driver, node, 0xFFFFF, TCB, 20)
    assert len(driver.state.objects[driver.cap(node).address].slots) == 1  # type: ignore[attr-defined]
    assert driver.delete(node) == 0
    driver.check()
