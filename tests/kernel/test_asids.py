"""ASID pools: making, filling, taking back."""

from __future__ import annotations

import pytest
from kernel_driver import ASID_CONTROL, ASID_POOL, CNODE, DEVICE_UNTYPED, UNTYPED, VSPACE, Driver
from retrap.kernel.caps import AsidPoolCap, PageDirectoryCap, UntypedCap
from retrap.kernel.wire import Error

MAKE = "ARMASIDControlMakePool"


def refused(driver: Driver) -> tuple[int, list[int]]:
    return driver.effects.error, driver.effects.error_words


@pytest.fixture
def driver() -> Driver:
    return Driver()


def make_pool(driver: Driver) -> int:
    slot = driver.free_slot()
    assert driver.call(ASID_CONTROL, MAKE, slot, 32, caps=(driver.make("Untyped", 12), CNODE)) == 0
    return slot


def test_make_pool_checks_in_order(driver: Driver) -> None:
    untyped = driver.make("Untyped", 12)
    driver.call(ASID_CONTROL, MAKE, 99, caps=(untyped, CNODE))
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    driver.call(ASID_CONTROL, MAKE, 99, 32, caps=(untyped,))
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    device = driver.make("Untyped", 12, untyped=DEVICE_UNTYPED)
    for wrong in (CNODE, driver.make("Untyped", 13), device):
        driver.call(ASID_CONTROL, MAKE, 99, 99, caps=(wrong, VSPACE))
        assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    used = driver.make("Untyped", 12)
    driver.make("Endpoint", untyped=used)
    driver.call(ASID_CONTROL, MAKE, 99, 99, caps=(used, VSPACE))
    assert refused(driver) == (Error.REVOKE_FIRST, [])
    driver.call(ASID_CONTROL, MAKE, 99, 99, caps=(untyped, VSPACE))
    assert refused(driver) == (Error.FAILED_LOOKUP, [0, 1])
    driver.call(ASID_CONTROL, MAKE, 99, 33, caps=(untyped, CNODE))
    assert refused(driver) == (Error.RANGE, [1, 32])
    driver.call(ASID_CONTROL, MAKE, CNODE, 32, caps=(untyped, CNODE))
    assert refused(driver) == (Error.DELETE_FIRST, [])


def test_a_pool_takes_the_whole_untyped(driver: Driver) -> None:
    untyped = driver.make("Untyped", 12)
    pool = driver.free_slot()
    assert driver.call(ASID_CONTROL, MAKE, pool, 32, caps=(untyped, CNODE)) == 0
    cap, source = driver.cap(pool), driver.cap(untyped)
    assert isinstance(cap, AsidPoolCap) and isinstance(source, UntypedCap)
    assert (cap.address, cap.base, source.free) == (source.address, 1024, 4096)
    driver.call(untyped, "UntypedRetype", driver.objects["Endpoint"], 0, 0, 0, 99, 1, caps=(CNODE,))
    assert refused(driver) == (Error.NOT_ENOUGH_MEMORY, [0])
    assert driver.revoke(untyped) == 0
    assert driver.cap(pool).tag == 0
    driver.make("Endpoint", untyped=untyped)
    driver.check()


@pytest.mark.parametrize("count", [3, 128])
def test_there_is_a_limit_to_pools(count: int) -> None:
    driver = Driver({"asid_pool_count": count})
    pools = [make_pool(driver) for _ in range(count - 1)]
    untyped = driver.make("Untyped", 12)
    driver.call(ASID_CONTROL, MAKE, 4000, 32, caps=(CNODE, CNODE))
    assert refused(driver) == (Error.DELETE_FIRST, [])
    # A pool that is gone makes room for one with the same ASIDs.
    assert driver.delete(pools[0]) == 0
    assert driver.call(ASID_CONTROL, MAKE, 4000, 32, caps=(untyped, CNODE)) == 0
    cap = driver.cap(4000)
    assert isinstance(cap, AsidPoolCap) and cap.base == 1024
    driver.check()


def test_assign_checks_in_order(driver: Driver) -> None:
    driver.call(ASID_POOL, "ARMASIDPoolAssign")
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    for wrong in (CNODE, VSPACE):
        driver.call(ASID_POOL, "ARMASIDPoolAssign", caps=(wrong,))
        assert refused(driver) == (Error.INVALID_CAPABILITY, [1])


def test_asids_are_given_out_lowest_first_and_reused(driver: Driver) -> None:
    def asid(slot: int) -> int:
        cap = driver.cap(slot)
        assert isinstance(cap, PageDirectoryCap)
        return cap.asid

    spaces = [driver.new_space() for _ in range(4)]
    assert [asid(slot) for slot in spaces] == [2, 3, 4, 5]
    pool = make_pool(driver)
    other = driver.make("PageDirectory")
    assert driver.call(pool, "ARMASIDPoolAssign", caps=(other,)) == 0
    assert asid(other) == 1024
    assert driver.delete(spaces[2]) == 0
    assert driver.delete(spaces[0]) == 0
    assert [asid(driver.new_space()) for _ in range(3)] == [2, 4, 6]
    driver.check()


def test_a_full_pool_is_refused(driver: Driver) -> None:
    for position in range(1022):
        directory = driver.make("PageDirectory", untyped=UNTYPED + 5)
        assert driver.call(ASID_POOL, "ARMASIDPoolAssign", caps=(directory,)) == 0, position
    driver.call(ASID_POOL, "ARMASIDPoolAssign", caps=(driver.make("PageDirectory", untyped=UNTYPED + 5),))
    assert refused(driver) == (Error.DELETE_FIRST, [])
    driver.check()
    assert driver.revoke(UNTYPED + 5) == 0
    driver.check()
    assert driver.new_space()


def test_copies_of_a_pool_keep_it_alive(driver: Driver) -> None:
    pool = make_pool(driver)
    copy = driver.copy(pool)
    directory = driver.make("PageDirectory")
    assert driver.call(copy, "ARMASIDPoolAssign", caps=(directory,)) == 0
    assert driver.delete(pool) == 0
    assert driver.call(directory, "ARMPDClean_Data", 0, 4) == 0
    assert driver.delete(copy) == 0
    driver.call(directory, "ARMPDClean_Data", 0, 4)
    assert refused(driver) == (Error.FAILED_LOOKUP, [0, 1])
    driver.check()
