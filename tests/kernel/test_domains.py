"""Domains: moving threads between them, and the schedule that gives them time."""

from __future__ import annotations

import pytest
from kernel_driver import CNODE, DOMAIN, IPC_BUFFER, TCB, VSPACE, Driver
from retrap.kernel.effects import IDLE
from retrap.kernel.objects.domain import MAX_DURATION
from retrap.kernel.wire import Error

SET, CONFIGURE, START = "DomainSetSet", "DomainScheduleConfigure", "DomainScheduleSetStart"


def refused(driver: Driver) -> tuple[int, list[int]]:
    return driver.effects.error, driver.effects.error_words


def thread(driver: Driver, priority: int = 255) -> int:
    """A started thread in the initial thread's spaces; the initial thread goes on."""
    slot = driver.make("TCB")
    assert driver.call(slot, "TCBConfigure", 0, 0, 0, IPC_BUFFER, caps=(CNODE, VSPACE, 10)) == 0
    assert driver.call(slot, "TCBSetPriority", priority, caps=(TCB,)) == 0
    assert driver.call(slot, "TCBResume") == 0
    return slot


@pytest.fixture
def driver() -> Driver:
    return Driver(num_domains=3)


def test_set_checks_in_order(driver: Driver) -> None:
    driver.call(DOMAIN, SET)
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    driver.call(DOMAIN, SET, 3)
    assert refused(driver) == (Error.INVALID_ARGUMENT, [0])
    driver.call(DOMAIN, SET, 2)
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    driver.call(DOMAIN, SET, 2, caps=(CNODE,))
    assert refused(driver) == (Error.INVALID_ARGUMENT, [1])


def test_configure_checks_in_order(driver: Driver) -> None:
    def configure(index: int, domain: int, duration: int) -> tuple[int, list[int]]:
        driver.call(DOMAIN, CONFIGURE, index, domain, duration & 0xFFFF_FFFF, duration >> 32)
        return refused(driver)

    driver.call(DOMAIN, CONFIGURE, 0, 0, 5)
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    assert configure(99, 3, MAX_DURATION + 1) == (Error.RANGE, [0, 98])
    assert configure(98, 3, MAX_DURATION + 1) == (Error.RANGE, [0, 2])
    assert configure(98, 2, MAX_DURATION + 1) == (Error.INVALID_ARGUMENT, [2])
    assert configure(0, 1, 0) == (Error.INVALID_ARGUMENT, [1])
    assert configure(0, 0, 0) == (Error.INVALID_ARGUMENT, [2])
    assert configure(1, 0, 0) == (0, [])
    assert configure(98, 2, MAX_DURATION) == (0, [])


def test_set_start_checks_in_order(driver: Driver) -> None:
    driver.call(DOMAIN, START)
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    driver.call(DOMAIN, START, 100)
    assert refused(driver) == (Error.RANGE, [0, 99])
    driver.call(DOMAIN, START, 99)
    assert refused(driver) == (Error.INVALID_ARGUMENT, [0])
    driver.call(DOMAIN, START, 0)
    assert refused(driver) == (0, [])


def test_one_domain_has_a_schedule_of_two_entries() -> None:
    driver = Driver()
    driver.call(DOMAIN, SET, 1, caps=(TCB,))
    assert refused(driver) == (Error.INVALID_ARGUMENT, [0])
    driver.call(DOMAIN, CONFIGURE, 1, 0, 5, 0)
    assert refused(driver) == (Error.RANGE, [0, 0])
    driver.call(DOMAIN, START, 2)
    assert refused(driver) == (Error.RANGE, [0, 1])
    driver.tick(20)
    assert driver.state.domain_time == MAX_DURATION


def test_a_thread_in_another_domain_waits_for_its_turn(driver: Driver) -> None:
    slot = thread(driver)
    assert driver.call(DOMAIN, SET, 1, caps=(slot,)) == 0
    driver.check()
    for _ in range(20):
        driver.tick()
        assert driver.kernel.current.number == 0


def test_the_running_thread_can_leave_its_domain(driver: Driver) -> None:
    driver.system_call("Call", DOMAIN, SET, (2,), (TCB,))
    assert driver.kernel.current.number == IDLE
    driver.check()


def test_the_schedule_goes_around(driver: Driver) -> None:
    slot = thread(driver)
    assert driver.call(DOMAIN, SET, 1, caps=(slot,)) == 0
    for index, domain, duration in ((1, 1, 2), (2, 2, 3), (3, 0, 4)):
        assert driver.call(DOMAIN, CONFIGURE, index, domain, duration, 0) == 0
    driver.system_call("Call", DOMAIN, START, (1,))
    running = []
    for _ in range(18):
        running.append((driver.state.domain, driver.kernel.current.number))
        driver.tick()
        driver.check()
    # Domain 2 has no thread: the processor idles through its time.
    turn = [(1, 1)] * 2 + [(2, IDLE)] * 3 + [(0, 0)] * 4
    assert running == turn * 2


def test_the_start_can_be_moved_and_entries_rewritten(driver: Driver) -> None:
    slot = thread(driver)
    assert driver.call(DOMAIN, SET, 1, caps=(slot,)) == 0
    assert driver.call(DOMAIN, CONFIGURE, 5, 1, 1, 0) == 0
    assert driver.call(DOMAIN, CONFIGURE, 6, 0, 1, 0) == 0
    driver.system_call("Call", DOMAIN, START, (5,))
    seen = []
    for _ in range(4):
        seen.append(driver.kernel.current.number)
        driver.tick()
    assert seen == [1, 0, 1, 0]
    # The other thread's turn: domain 0's entry becomes an end marker, so domain 1 keeps the processor.
    assert driver.kernel.current.number == 1
    assert driver.call(DOMAIN, CONFIGURE, 6, 0, 0, 0) == 0
    driver.tick(5)
    assert driver.kernel.current.number == 1
    driver.check()


def test_new_threads_are_in_their_makers_domain(driver: Driver) -> None:
    driver.call(DOMAIN, CONFIGURE, 1, 2, 5, 0)
    driver.call(DOMAIN, CONFIGURE, 2, 0, 5, 0)
    slot = thread(driver)
    assert driver.call(DOMAIN, SET, 2, caps=(slot,)) == 0
    driver.system_call("Call", DOMAIN, START, (1,))
    assert driver.kernel.current.number == 1
    driver.make("TCB")
    assert driver.kernel.threads[2].domain == 2
