"""Address spaces and interrupts in every release: what changed, and where exactly."""

from __future__ import annotations

import pytest
from kernel_driver import ASID_CONTROL, CNODE, CODE, IPC_BUFFER, IRQ_CONTROL, TCB, VSPACE, Driver
from retrap.kernel.abi import release, releases
from retrap.kernel.caps import IrqHandlerCap
from retrap.kernel.wire import Error
from retrap.machine.space import EXECUTE

NAMES = tuple(name for name in releases() if name != "2006" and not release(name).mcs)


def since(name: str, first: str) -> bool:
    """Whether a release is `first` or later."""
    return NAMES.index(name) >= NAMES.index(first)


def refused(driver: Driver) -> tuple[int, list[int]]:
    return driver.effects.error, driver.effects.error_words


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def driver(name: str) -> Driver:
    return Driver(name=name)


@pytest.fixture
def frame(driver: Driver) -> int:
    """A frame mapped at 2 MiB, in the page table made just before it."""
    table = driver.make("PageTable")
    slot = driver.make("SmallPage")
    assert driver.table_map(table, 0x20_0000) == 0
    assert driver.page_map(slot, 0x20_0000) == 0
    return slot


def test_replacing_the_initial_buffer_unmapped_it_in_1_0_3(driver: Driver, name: str) -> None:
    driver.check()
    assert driver.call(TCB, "TCBSetIPCBuffer", IPC_BUFFER, caps=(10,)) == 0
    assert (IPC_BUFFER >> 12 in driver.kernel.space.pages) == since(name, "1.0.4")


def test_execute_never_since_1_0_4(driver: Driver, name: str, frame: int) -> None:
    assert driver.call(frame, "ARMPageUnmap") == 0
    assert driver.page_map(frame, 0x20_0000, 3, 7) == 0
    executable = bool(driver.kernel.space.pages[0x200] & EXECUTE)
    assert executable != since(name, "1.0.4")


def test_map_changes_a_mapping_since_11(driver: Driver, name: str, frame: int) -> None:
    driver.page_map(frame, 0x20_0000, 2)
    if since(name, "11.0.0"):
        assert refused(driver) == (0, [])
        driver.page_map(frame, 0x20_1000, 2)
        assert refused(driver) == (Error.INVALID_ARGUMENT, [0])
        driver.page_map(frame, 0x20_0000, 2, root=driver.new_space())
        assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    else:
        assert refused(driver) == (Error.INVALID_CAPABILITY, [0])
    assert (driver.kernel.space.pages[0x200] & 2 == 0) == since(name, "11.0.0")
    assert ("ARMPageRemap" in driver.labels) != since(name, "11.0.0")


def test_remap_until_10(driver: Driver, name: str, frame: int) -> None:
    if since(name, "11.0.0"):
        assert "ARMPageRemap" not in driver.labels
        return
    remap = "ARMPageRemap"
    driver.call(frame, remap, 3, caps=(VSPACE,))
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    fresh = driver.make("SmallPage")
    driver.call(fresh, remap, 3, 3, caps=(CNODE,))
    assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    driver.call(fresh, remap, 3, 3, caps=(VSPACE,))
    assert refused(driver) == (Error.INVALID_CAPABILITY, [0])
    driver.call(frame, remap, 3, 3, caps=(driver.new_space(),))
    assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    assert driver.call(frame, remap, 2, 3, caps=(VSPACE,)) == 0
    assert driver.kernel.space.pages[0x200] & 2 == 0
    assert driver.call(frame, remap, 3, 3, caps=(VSPACE,)) == 0
    assert driver.kernel.space.pages[0x200] & 2 == 2
    driver.check()
    # Remap writes the entries again even where they are gone, if a page table is there.
    assert driver.call(frame - 1, "ARMPageTableUnmap") == 0
    driver.call(frame, remap, 3, 3, caps=(VSPACE,))
    assert refused(driver) == (Error.FAILED_LOOKUP, [0, 2, 20])
    assert driver.table_map(frame - 1, 0x20_0000) == 0
    assert driver.call(frame, remap, 3, 3, caps=(VSPACE,)) == 0
    assert 0x200 in driver.kernel.space.pages
    driver.check()


@pytest.mark.parametrize("name_of_call", ["Call", "Send"])
def test_get_address_since_13(driver: Driver, name: str, name_of_call: str) -> None:
    driver.system_call(name_of_call, CODE, "ARMPageGetAddress", (7,))
    words = driver.context.words
    seen = (words[0], words[1] & 0x7F, words[2])
    if name_of_call == "Call":
        assert seen == (0, 1 if since(name, "13.0.0") else 0, 0x4001_7000)
    else:
        assert seen == (CODE, 1, 7 if since(name, "13.0.0") else 0x4001_7000)


def test_a_stale_flush_since_16(driver: Driver, name: str, frame: int) -> None:
    assert driver.call(frame - 1, "ARMPageTableUnmap") == 0
    driver.call(frame, "ARMPageCleanInvalidate_Data", 0, 4096)
    if since(name, "16.0.0"):
        assert refused(driver) == (Error.INVALID_CAPABILITY, [0])
    else:
        assert driver.kernel.crashed


def test_how_many_pools(driver: Driver, name: str) -> None:
    made = 1
    while True:
        untyped, target = driver.make("Untyped", 12), driver.free_slot()
        if driver.call(ASID_CONTROL, "ARMASIDControlMakePool", target, 32, caps=(untyped, CNODE)):
            break
        made += 1
    assert refused(driver) == (Error.DELETE_FIRST, [])
    assert made == (128 if since(name, "4.0.0") else 256)


def test_interrupt_numbers_were_cut_between_3_and_7(driver: Driver, name: str) -> None:
    driver.call(IRQ_CONTROL, "IRQIssueIRQHandler", 0x1_0032, 3000, 32, caps=(CNODE,))
    if since(name, "3.0.0") and not since(name, "8.0.0"):
        cap = driver.cap(3000)
        assert isinstance(cap, IrqHandlerCap) and cap.irq == 50
    else:
        assert refused(driver) == (Error.RANGE, [0, 159])


def test_set_mode_answers_where_it_exists(driver: Driver, name: str) -> None:
    exists = since(name, "1.0.4") and not since(name, "3.0.0")
    assert ("IRQSetMode" in driver.labels) == exists
    if not exists:
        return
    assert driver.call(IRQ_CONTROL, "IRQIssueIRQHandler", 50, 3000, 32, caps=(CNODE,)) == 0
    driver.call(3000, "IRQSetMode", 0)
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    assert driver.call(3000, "IRQSetMode", 0, 0) == 0
    assert (driver.context.words[0], driver.context.words[1]) == (0, 0)
