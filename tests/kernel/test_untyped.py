"""Untyped_Retype: refusals in order, placement, the watermark, clearing, preemption."""

from __future__ import annotations

import pytest
from kernel_driver import CNODE, DEVICE_UNTYPED, FREE, TCB, UNTYPED, Driver
from retrap.kernel.caps import NULL, FrameCap, UntypedCap
from retrap.kernel.effects import Outcome
from test_cnode import (
    DELETE_FIRST,
    FAILED_LOOKUP,
    ILLEGAL,
    INVALID_ARGUMENT,
    NO_MEMORY,
    RANGE,
    TRUNCATED,
    refused,
)

BASE = 0x4010_0000
BITS = 20


@pytest.fixture
def driver() -> Driver:
    return Driver()


def retype(driver: Driver, kind: int | str, size: int = 0, *, index: int = 0, depth: int = 0, offset: int = FREE,
           count: int = 1, root: int = CNODE, untyped: int = UNTYPED) -> int:  # fmt: skip
    number = driver.objects[kind] if isinstance(kind, str) else kind
    return driver.call(untyped, "UntypedRetype", number, size, index, depth, offset, count, caps=(root,))


def test_refusals_in_order(driver: Driver) -> None:
    driver.call(UNTYPED, "CNodeCopy")
    assert refused(driver, ILLEGAL)
    driver.call(UNTYPED, "UntypedRetype", 99, 99, 0, 0, 0, caps=(CNODE,))
    assert refused(driver, TRUNCATED)
    driver.call(UNTYPED, "UntypedRetype", 99, 99, 0, 0, 0, 0)
    assert refused(driver, TRUNCATED)
    retype(driver, 11, 99)
    assert refused(driver, INVALID_ARGUMENT, 0)
    for kind, size in (("Endpoint", 32), ("Untyped", 30), ("CapTable", 26), ("CapTable", 0xFFFF_FFFF)):
        retype(driver, kind, size, depth=99)
        assert refused(driver, RANGE, 0, 29)
    retype(driver, "CapTable", 0, depth=99)
    assert refused(driver, INVALID_ARGUMENT, 1)
    for size in (0, 3):
        retype(driver, "Untyped", size, depth=99)
        assert refused(driver, INVALID_ARGUMENT, 1)
    retype(driver, "Endpoint", 31, depth=99)
    assert refused(driver, RANGE, 1, 32)
    retype(driver, "Endpoint", root=TCB, offset=9999)
    assert refused(driver, FAILED_LOOKUP, 0, 2, 0)
    retype(driver, "Endpoint", root=TCB, depth=5, offset=9999)
    assert refused(driver, FAILED_LOOKUP, 0, 1)
    retype(driver, "Endpoint", index=TCB, depth=32, offset=9999)
    assert refused(driver, FAILED_LOOKUP, 0, 2, 32)
    retype(driver, "Endpoint", offset=4096, count=0)
    assert refused(driver, RANGE, 0, 4095)
    retype(driver, "Endpoint", count=0)
    assert refused(driver, RANGE, 1, 256)
    retype(driver, "Endpoint", count=257, offset=4095)
    assert refused(driver, RANGE, 1, 256)
    retype(driver, "Endpoint", count=2, offset=4095)
    assert refused(driver, RANGE, 1, 1)
    retype(driver, "SuperSection", count=2, offset=TCB)
    assert refused(driver, DELETE_FIRST)
    retype(driver, "SuperSection", untyped=DEVICE_UNTYPED, count=2)
    assert refused(driver, NO_MEMORY, 1 << 24)
    retype(driver, "Endpoint", untyped=DEVICE_UNTYPED)
    assert refused(driver, INVALID_ARGUMENT, 1)
    driver.check()


def test_placement_and_watermark(driver: Driver) -> None:
    assert retype(driver, "Endpoint", count=3) == 0
    assert [driver.cap(FREE + n).address for n in range(3)] == [BASE, BASE + 16, BASE + 32]
    assert retype(driver, "SmallPage", offset=FREE + 3) == 0
    assert driver.cap(FREE + 3).address == BASE + 0x1000
    cap = driver.cap(UNTYPED)
    assert isinstance(cap, UntypedCap) and cap.free == 0x2000
    # The free bytes are counted before aligning.
    retype(driver, "Section", offset=FREE + 4)
    assert refused(driver, NO_MEMORY, (1 << BITS) - 0x2000)
    # What is deleted is not reused while anything is left.
    for n in range(3):
        driver.delete(FREE + n)
    assert retype(driver, "Endpoint") == 0
    assert driver.cap(FREE).address == BASE + 0x2000
    driver.delete(FREE)
    driver.delete(FREE + 3)
    assert retype(driver, "Section") == 0
    assert driver.cap(FREE).address == BASE
    driver.check()


def test_later_objects_come_first_in_derivation_order(driver: Driver) -> None:
    retype(driver, "Endpoint", count=3)
    assert driver.slot(UNTYPED).next is driver.slot(FREE + 2)
    assert driver.slot(FREE + 2).next is driver.slot(FREE + 1)


def test_filling_exactly(driver: Driver) -> None:
    assert retype(driver, "SmallPage", count=256) == 0
    retype(driver, "Endpoint", offset=FREE + 256)
    assert refused(driver, NO_MEMORY, 0)
    assert driver.revoke(UNTYPED) == 0
    assert retype(driver, "Section") == 0
    driver.check()


def test_memory_is_cleared_when_reused(driver: Driver) -> None:
    assert retype(driver, "SmallPage", count=2) == 0
    driver.memory.write_word(BASE + 0x1FFC, 0x5555)
    driver.memory.write_word(BASE + 0x2000, 0x6666)
    driver.revoke(UNTYPED)
    assert retype(driver, "SmallPage", count=3) == 0
    assert driver.memory.read_word(BASE + 0x1FFC) == 0
    # Only what had been handed out is cleared.
    assert driver.memory.read_word(BASE + 0x2000) == 0x6666


def test_device_memory_is_left_alone(driver: Driver) -> None:
    assert retype(driver, "SmallPage", untyped=DEVICE_UNTYPED, count=2) == 0
    cap = driver.cap(FREE)
    assert isinstance(cap, FrameCap) and cap.device and cap.address == 0x0900_0000
    assert retype(driver, "Untyped", 12, untyped=DEVICE_UNTYPED, offset=FREE + 2) == 0
    smaller = driver.cap(FREE + 2)
    assert isinstance(smaller, UntypedCap) and smaller.device
    driver.revoke(DEVICE_UNTYPED)
    assert driver.cap(FREE) is NULL
    driver.check()


def test_every_type(driver: Driver) -> None:
    for name in driver.objects:
        size = {"Untyped": 12, "CapTable": 4}.get(name, 0)
        driver.make(name, size, untyped=UNTYPED + 7, count=2)
    driver.check()
    assert driver.revoke(UNTYPED + 7) == 0
    driver.check()
    assert set(driver.state.objects) == {0x4000_0000, 0x4001_0000, 0x4001_4000, 0x4001_8000, 0x4001_8400}


def test_a_node_found_through_the_root(driver: Driver) -> None:
    node = driver.make("CapTable", 4)
    assert retype(driver, "Endpoint", index=node, depth=32, offset=3, count=13) == 0
    retype(driver, "Endpoint", index=node, depth=32, offset=3, count=14)
    assert refused(driver, RANGE, 1, 13)
    driver.check()


def test_clearing_is_preemptible(driver: Driver) -> None:
    big = UNTYPED + 2
    size = 1 << 22
    driver.memory.write_word(0x4040_0000, 0x77)
    driver.memory.write_word(0x4040_0000 + size - 4, 0x88)
    driver.state.work_units = 0
    driver.state.tick_pending = True
    retype(driver, "Endpoint", untyped=big)
    assert driver.effects.outcome == Outcome.PREEMPTED
    cap = driver.cap(big)
    # A hundred chunks of 256 bytes are done, from the end.
    assert isinstance(cap, UntypedCap) and cap.free == size - 100 * 256
    assert driver.memory.read_word(0x4040_0000 + size - 4) == 0
    assert driver.memory.read_word(0x4040_0000) == 0x77
    assert not driver.state.tick_pending
    assert driver.cap(FREE) is NULL
    # The thread is back at its system call; doing it again finishes it.
    thread = driver.kernel.current
    assert thread.context.words[15] == thread.context.words[30]
    assert retype(driver, "Endpoint", untyped=big) == 0
    assert driver.memory.read_word(0x4040_0000) == 0
    driver.check()
