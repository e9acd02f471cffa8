"""CNode invocations: every refusal in the kernel's order, lookups through guards and levels, derivation."""

from __future__ import annotations

import pytest
from kernel_driver import ASID_CONTROL, CNODE, DOMAIN, FREE, IRQ_CONTROL, TCB, UNTYPED, VSPACE, Driver
from retrap.kernel.caps import NULL, CNodeCap, EndpointCap, NotificationCap, UntypedCap
from retrap.kernel.derivation import has_children, is_parent

INVALID_ARGUMENT, INVALID_CAPABILITY, ILLEGAL, RANGE, ALIGNMENT = 1, 2, 3, 4, 5
FAILED_LOOKUP, TRUNCATED, DELETE_FIRST, REVOKE_FIRST, NO_MEMORY = 6, 7, 8, 9, 10


@pytest.fixture
def driver() -> Driver:
    return Driver()


def refused(driver: Driver, error: int, *words: int) -> bool:
    assert driver.effects.error == error, driver.effects.reason
    assert driver.effects.error_words == list(words)
    context = driver.context.words
    assert context[0] == 0
    assert context[1] == error << 12 | len(words)
    return True


def test_unknown_label(driver: Driver) -> None:
    driver.call(CNODE, "UntypedRetype")
    assert refused(driver, ILLEGAL)
    driver.call(CNODE, 0xFFFFF)
    assert refused(driver, ILLEGAL)


@pytest.mark.parametrize(
    "method",
    ["CNodeRevoke", "CNodeDelete", "CNodeCopy", "CNodeRotate", "CNodeSaveCaller", "CNodeCancelBadgedSends"],
)
def test_every_method_needs_a_target(driver: Driver, method: str) -> None:
    driver.call(CNODE, method, 1)
    assert refused(driver, TRUNCATED)
    driver.call(CNODE, method, FREE, 0)
    assert refused(driver, RANGE, 1, 32)
    driver.call(CNODE, method, FREE, 33)
    assert refused(driver, RANGE, 1, 32)
    driver.call(CNODE, method, 0x1000, 32)
    assert refused(driver, FAILED_LOOKUP, 0, 4, 32, 0, 20)
    driver.call(CNODE, method, FREE, 31)
    # The guard has 20 bits, all zero; 11 bits remain for 12.
    assert refused(driver, FAILED_LOOKUP, 0, 3, 31, 32)


@pytest.mark.parametrize("method", ["CNodeCopy", "CNodeMint", "CNodeMove", "CNodeMutate"])
def test_order_of_refusals(driver: Driver, method: str) -> None:
    short = {"CNodeCopy": 4, "CNodeMint": 5, "CNodeMutate": 4}.get(method)
    enough = (FREE, 32, TCB, 32, 15, 0)
    driver.call(CNODE, method, *enough[:3], caps=(CNODE,))
    assert refused(driver, TRUNCATED)
    driver.call(CNODE, method, *enough)
    assert refused(driver, TRUNCATED)
    driver.call(CNODE, method, TCB, 32, 99, 0, caps=(CNODE,))
    assert refused(driver, DELETE_FIRST)
    driver.call(CNODE, method, FREE, 32, 99, 32, caps=(TCB,))
    assert refused(driver, FAILED_LOOKUP, 1, 1)
    driver.call(CNODE, method, FREE, 32, 99, 40, caps=(CNODE,))
    assert refused(driver, RANGE, 1, 32)
    driver.call(CNODE, method, FREE, 32, 99, 32, caps=(CNODE,))
    assert refused(driver, FAILED_LOOKUP, 1, 2, 32)
    if short is not None:
        driver.call(CNODE, method, *enough[:short], caps=(CNODE,))
        assert refused(driver, TRUNCATED)
    assert driver.call(CNODE, method, *enough, caps=(CNODE,)) == 0
    driver.check()


@pytest.mark.parametrize(
    ("source", "error"),
    [(IRQ_CONTROL, ILLEGAL), (TCB, 0), (CNODE, 0), (VSPACE, 0), (ASID_CONTROL, 0), (DOMAIN, 0), (UNTYPED, 0)],
)
def test_what_can_be_copied(driver: Driver, source: int, error: int) -> None:
    target = driver.free_slot()
    assert driver.call(CNODE, "CNodeCopy", target, 32, source, 32, 15, caps=(CNODE,)) == error
    assert (driver.cap(target) is NULL) == (error != 0)
    driver.check()


def test_copying_an_untyped(driver: Driver) -> None:
    target = driver.copy(UNTYPED)
    original, copy = driver.cap(UNTYPED), driver.cap(target)
    assert isinstance(original, UntypedCap) and original.free == 1 << original.size_bits
    assert isinstance(copy, UntypedCap) and has_children(driver.slot(UNTYPED))
    driver.call(CNODE, "CNodeCopy", driver.free_slot(), 32, UNTYPED, 32, 15, caps=(CNODE,))
    assert refused(driver, REVOKE_FIRST)
    driver.make("Endpoint", untyped=target)
    assert driver.revoke(UNTYPED) == 0
    assert driver.cap(target) is NULL and not has_children(driver.slot(UNTYPED))
    driver.check()


def test_badges(driver: Driver) -> None:
    endpoint = driver.make("Endpoint")
    target = driver.free_slot()
    assert driver.call(CNODE, "CNodeMint", target, 32, endpoint, 32, 15, 0x1234_5678, caps=(CNODE,)) == 0
    cap = driver.cap(target)
    assert isinstance(cap, EndpointCap) and cap.badge == 0x0234_5678
    for badge in (0, 1, 0x0234_5678):
        driver.call(CNODE, "CNodeMint", driver.free_slot(), 32, target, 32, 15, badge, caps=(CNODE,))
        assert refused(driver, ILLEGAL)
    driver.call(CNODE, "CNodeMutate", driver.free_slot(), 32, endpoint, 32, 0, caps=(CNODE,))
    assert refused(driver, ILLEGAL)
    # The badged one is a child of the original, a copy of it is a sibling.
    copy = driver.copy(target)
    slots = driver.slot(endpoint), driver.slot(target), driver.slot(copy)
    assert is_parent(slots[0], slots[1]) and is_parent(slots[0], slots[2])
    assert is_parent(slots[1], slots[2])
    assert driver.revoke(copy) == 0
    assert driver.cap(target) is not NULL
    assert driver.revoke(target) == 0
    assert driver.cap(copy) is NULL
    assert driver.revoke(endpoint) == 0
    assert driver.cap(target) is NULL and driver.cap(endpoint) is not NULL
    driver.check()


def test_two_groups_of_one_badge(driver: Driver) -> None:
    endpoint = driver.make("Endpoint")
    first, second = driver.free_slot(), driver.free_slot()
    for target in (first, second):
        assert driver.call(CNODE, "CNodeMint", target, 32, endpoint, 32, 15, 7, caps=(CNODE,)) == 0
    assert driver.revoke(second) == 0
    # Same badge, but minted separately: not its child.
    assert driver.cap(first) is not NULL
    # Deleting the start of a group lets its follower start it.
    assert driver.delete(second) == 0
    assert driver.slot(first).first_badged
    driver.check()


def test_rights(driver: Driver) -> None:
    endpoint = driver.make("Endpoint")
    notification = driver.make("Notification")
    for rights in range(16):
        cap = driver.cap(driver.copy(endpoint, rights | 0xF0))
        assert isinstance(cap, EndpointCap) and cap.rights == rights
        signal = driver.cap(driver.copy(notification, rights))
        assert isinstance(signal, NotificationCap) and signal.rights == rights & 3


def test_guards(driver: Driver) -> None:
    node = driver.make("CapTable", 4)
    target = driver.free_slot()
    # guard 0x2A of 6 bits
    assert driver.call(CNODE, "CNodeMint", target, 32, node, 32, 15, 0x2A << 8 | 6 << 3, caps=(CNODE,)) == 0
    assert driver.cap(target) == CNodeCap(driver.cap(node).address, 4, 6, 0x2A)
    endpoint = driver.make("Endpoint")
    assert driver.call(target, "CNodeCopy", 0x2A << 4 | 5, 10, endpoint, 32, 15, caps=(CNODE,)) == 0
    driver.call(target, "CNodeDelete", 0x2B << 4 | 5, 10)
    assert refused(driver, FAILED_LOOKUP, 0, 4, 10, 0x2A, 6)
    driver.call(target, "CNodeDelete", 5, 5)
    assert refused(driver, FAILED_LOOKUP, 0, 4, 5, 0x2A, 6)
    driver.call(target, "CNodeDelete", 0x2A << 2, 8)
    assert refused(driver, FAILED_LOOKUP, 0, 3, 8, 10)
    driver.call(target, "CNodeDelete", (0x2A << 4 | 5) << 3, 13)
    # Bits are left over at a slot that holds no CNode.
    assert refused(driver, FAILED_LOOKUP, 0, 3, 3, 0)
    driver.call(CNODE, "CNodeMint", driver.free_slot(), 32, node, 32, 15, 29 << 3, caps=(CNODE,))
    assert refused(driver, ILLEGAL)
    assert driver.call(CNODE, "CNodeMint", driver.free_slot(), 32, node, 32, 15, 28 << 3, caps=(CNODE,)) == 0
    driver.check()


def test_levels(driver: Driver) -> None:
    outer = driver.make("CapTable", 4)
    inner = driver.make("CapTable", 8)
    assert driver.call(outer, "CNodeCopy", 3, 4, inner, 32, 15, caps=(CNODE,)) == 0
    assert driver.call(outer, "CNodeCopy", 3 << 8 | 0x55, 12, TCB, 32, 15, caps=(CNODE,)) == 0
    assert driver.call(outer, "CNodeCopy", 3 << 8 | 0x56, 12, 0x55, 8, 15, caps=(inner,)) == 0
    driver.call(outer, "CNodeDelete", 0x355, 13)
    assert refused(driver, FAILED_LOOKUP, 0, 3, 9, 0) or driver.effects.error == FAILED_LOOKUP
    driver.check()


def test_moves(driver: Driver) -> None:
    endpoint = driver.make("Endpoint")
    target = driver.free_slot()
    child = driver.copy(endpoint)
    assert driver.call(CNODE, "CNodeMove", target, 32, endpoint, 32, caps=(CNODE,)) == 0
    assert driver.cap(endpoint) is NULL
    assert driver.slot(target).next is driver.slot(child)
    assert driver.call(CNODE, "CNodeMutate", endpoint, 32, CNODE, 32, 5 << 8 | 20 << 3, caps=(CNODE,)) == 0
    driver.check()


def rotate(driver: Driver, target: int, pivot: int, source: int, pivot_data: int = 0, source_data: int = 0) -> int:
    words = (target, 32, pivot_data, pivot, 32, source_data, source, 32)
    return driver.call(CNODE, "CNodeRotate", *words, caps=(CNODE, CNODE))


def test_rotate(driver: Driver) -> None:
    first = driver.make("CapTable", 2)
    second = driver.make("CapTable", 2)
    empty = driver.free_slot()
    driver.call(CNODE, "CNodeRotate", empty, 32, 0, second, 32, 0, first, caps=(CNODE, CNODE))
    assert refused(driver, TRUNCATED)
    driver.call(CNODE, "CNodeRotate", empty, 32, 0, second, 32, 0, first, 32, caps=(CNODE,))
    assert refused(driver, TRUNCATED)
    driver.call(CNODE, "CNodeRotate", empty, 32, 0, second, 0, 0, first, 40, caps=(CNODE, CNODE))
    assert refused(driver, RANGE, 1, 32)
    driver.call(CNODE, "CNodeRotate", empty, 32, 0, 0x1000, 32, 0, first, 32, caps=(CNODE, CNODE))
    assert refused(driver, FAILED_LOOKUP, 1, 4, 32, 0, 20)
    rotate(driver, empty, first, first)
    assert refused(driver, ILLEGAL)
    rotate(driver, second, second, first)
    assert refused(driver, ILLEGAL)
    rotate(driver, TCB, second, first)
    assert refused(driver, DELETE_FIRST)
    rotate(driver, empty, second, 99)
    assert refused(driver, FAILED_LOOKUP, 1, 2, 32)
    rotate(driver, empty, 99, first)
    assert refused(driver, FAILED_LOOKUP, 0, 2, 32)
    rotate(driver, empty, second, first, 0, 31 << 3)
    assert refused(driver, ILLEGAL)
    rotate(driver, empty, second, first, 31 << 3, 0)
    assert refused(driver, ILLEGAL)
    one, two = driver.cap(first).address, driver.cap(second).address
    assert rotate(driver, empty, second, first, 1 << 8 | 1 << 3, 3 << 8 | 2 << 3) == 0
    assert driver.cap(empty) == CNodeCap(two, 2, 1, 1)
    assert driver.cap(second) == CNodeCap(one, 2, 2, 3)
    assert driver.cap(first) is NULL
    # Equal ends: source and pivot change places.
    assert rotate(driver, second, empty, second, 0, 0) == 0
    assert driver.cap(empty) == CNodeCap(one, 2, 0, 0)
    assert driver.cap(second) == CNodeCap(two, 2, 0, 0)
    driver.check()


def test_rotating_neighbours_in_the_derivation_list(driver: Driver) -> None:
    node = driver.make("CapTable", 2)
    copy = driver.copy(node)
    assert driver.slot(node).next is driver.slot(copy)
    assert rotate(driver, copy, node, copy) == 0
    driver.check()
    assert driver.slot(copy).next is driver.slot(node)
    assert rotate(driver, copy, node, copy) == 0
    driver.check()


def test_invoking_nothing(driver: Driver) -> None:
    driver.call(FREE, "CNodeDelete", 1, 32)
    assert refused(driver, INVALID_CAPABILITY, 0)


def test_delete_of_an_empty_slot_succeeds(driver: Driver) -> None:
    assert driver.delete(FREE) == 0
    assert driver.revoke(FREE) == 0
