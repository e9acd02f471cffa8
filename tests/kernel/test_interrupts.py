"""Interrupts: who gets one, how it arrives, masking, and software-generated ones."""

from __future__ import annotations

import pytest
from kernel_driver import CNODE, IRQ_CONTROL, VSPACE, Driver
from retrap.kernel.caps import IrqHandlerCap, SgiSignalCap
from retrap.kernel.structures import Notification
from retrap.kernel.wire import Error

GET, TRIGGER, SGI = "IRQIssueIRQHandler", "ARMIRQIssueIRQHandlerTrigger", "ARMIRQIssueSGISignal"


def refused(driver: Driver) -> tuple[int, list[int]]:
    return driver.effects.error, driver.effects.error_words


def handler(driver: Driver, irq: int) -> int:
    slot = driver.free_slot()
    assert driver.call(IRQ_CONTROL, GET, irq, slot, 32, caps=(CNODE,)) == 0
    return slot


def badged(driver: Driver, notification: int, badge: int, rights: int = 3) -> int:
    slot = driver.free_slot()
    words = (slot, 32, notification, 32, rights, badge)
    assert driver.call(CNODE, "CNodeMint", *words, caps=(CNODE,)) == 0
    return slot


def poll(driver: Driver, notification: int) -> int:
    """The badges that NBRecv finds."""
    driver.system_call("NBRecv", notification)
    return driver.context.words[0]


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.mark.parametrize(("label", "before"), [(GET, ()), (TRIGGER, (1,))])
def test_get_checks_in_order(driver: Driver, label: str, before: tuple[int, ...]) -> None:
    def get(irq: int, index: int, depth: int, root: int = CNODE) -> tuple[int, list[int]]:
        driver.call(IRQ_CONTROL, label, irq, *before, index, depth, caps=(root,))
        return refused(driver)

    driver.call(IRQ_CONTROL, label, 50, *before, 99, caps=(CNODE,))
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    driver.call(IRQ_CONTROL, label, 50, *before, 99, 32)
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    for irq in (160, 0x1_0032, 0xFFFF_FFFF):
        assert get(irq, 99, 33, VSPACE) == (Error.RANGE, [0, 159])
    handler(driver, 60)
    for irq in (60, 27):  # somebody's, the kernel's
        assert get(irq, 99, 33, VSPACE) == (Error.REVOKE_FIRST, [])
    assert get(50, 99, 33, VSPACE) == (Error.FAILED_LOOKUP, [0, 1])
    assert get(50, 99, 33) == (Error.RANGE, [1, 32])
    assert get(50, CNODE, 32) == (Error.DELETE_FIRST, [])
    assert get(159, 99, 32) == (0, [])
    driver.check()


def test_between_3_and_7_interrupt_numbers_had_16_bits() -> None:
    driver = Driver({"irq_number_bits": 16})
    assert driver.call(IRQ_CONTROL, GET, 0x1_0032, 99, 32, caps=(CNODE,)) == 0
    cap = driver.cap(99)
    assert isinstance(cap, IrqHandlerCap) and cap.irq == 50
    driver.call(IRQ_CONTROL, GET, 0x1_00A0, 98, 32, caps=(CNODE,))
    assert refused(driver) == (Error.RANGE, [0, 159])


def test_set_notification_checks(driver: Driver) -> None:
    irq = handler(driver, 40)
    driver.call(irq, "IRQSetIRQHandler")
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    reader = driver.copy(driver.make("Notification"), 2)
    for wrong in (CNODE, driver.make("Endpoint"), reader):
        driver.call(irq, "IRQSetIRQHandler", caps=(wrong,))
        assert refused(driver) == (Error.INVALID_CAPABILITY, [0])


def test_delivery_masks_until_acknowledged(driver: Driver) -> None:
    notification = driver.make("Notification")
    irq = handler(driver, 40)
    assert driver.call(irq, "IRQSetIRQHandler", caps=(badged(driver, notification, 0x40),)) == 0
    driver.kernel.raise_irq(40)
    driver.tick()
    assert poll(driver, notification) == 0x40
    assert poll(driver, notification) == 0
    driver.kernel.raise_irq(40)
    driver.tick()
    assert poll(driver, notification) == 0
    assert driver.kernel.interrupt_pending is False
    assert driver.call(irq, "IRQAckIRQ") == 0
    assert poll(driver, notification) == 0x40
    driver.check()


def test_several_interrupts_are_taken_lowest_first(driver: Driver) -> None:
    notification = driver.make("Notification")
    for number, badge in ((90, 1), (40, 2), (41, 4)):
        irq = handler(driver, number)
        assert driver.call(irq, "IRQSetIRQHandler", caps=(badged(driver, notification, badge),)) == 0
        driver.kernel.raise_irq(number)
    driver.tick()
    assert poll(driver, notification) == 7


def test_an_interrupt_without_notification_is_masked_and_forgotten(driver: Driver) -> None:
    irq = handler(driver, 40)
    driver.kernel.raise_irq(40)
    driver.tick()
    assert driver.state.masked_irqs >> 40 & 1 and not driver.state.pending_irqs
    notification = driver.make("Notification")
    assert driver.call(irq, "IRQSetIRQHandler", caps=(notification,)) == 0
    assert driver.call(irq, "IRQAckIRQ") == 0
    assert poll(driver, notification) == 0


def test_an_inactive_interrupt_stays_masked(driver: Driver) -> None:
    driver.kernel.raise_irq(40)
    driver.tick()
    assert driver.state.pending_irqs == 1 << 40
    # Whoever gets it finds it waiting.
    notification = driver.make("Notification")
    irq = handler(driver, 40)
    assert driver.call(irq, "IRQSetIRQHandler", caps=(badged(driver, notification, 8),)) == 0
    assert driver.call(irq, "IRQAckIRQ") == 0
    driver.check()


def test_setting_again_and_clearing_replace_the_kept_capability(driver: Driver) -> None:
    first, second = driver.make("Notification"), driver.make("Notification")
    irq = handler(driver, 40)
    for notification in (first, second):
        assert driver.call(irq, "IRQSetIRQHandler", caps=(notification,)) == 0
        driver.check()
    assert driver.state.irq_slots[40].cap.address == driver.cap(second).address
    assert driver.call(irq, "IRQClearIRQHandler") == 0
    assert driver.call(irq, "IRQClearIRQHandler") == 0
    assert driver.state.irq_slots[40].cap.tag == 0
    driver.check()


def test_the_kept_capability_keeps_the_notification_alive(driver: Driver) -> None:
    notification = driver.make("Notification")
    address = driver.cap(notification).address
    irq = handler(driver, 40)
    assert driver.call(irq, "IRQSetIRQHandler", caps=(notification,)) == 0
    assert driver.delete(notification) == 0
    assert isinstance(driver.state.objects[address], Notification)
    assert driver.delete(irq) == 0
    assert address not in driver.state.objects
    driver.check()


def test_the_last_handler_capability_frees_the_interrupt(driver: Driver) -> None:
    irq = handler(driver, 40)
    copy = driver.copy(irq)
    assert driver.delete(irq) == 0
    driver.call(IRQ_CONTROL, GET, 40, 99, 32, caps=(CNODE,))
    assert refused(driver) == (Error.REVOKE_FIRST, [])
    assert driver.delete(copy) == 0
    assert driver.state.masked_irqs >> 40 & 1
    handler(driver, 40)
    assert driver.revoke(IRQ_CONTROL) == 0
    handler(driver, 40)
    driver.check()


def test_irq_control_cannot_be_copied(driver: Driver) -> None:
    driver.call(CNODE, "CNodeCopy", 99, 32, IRQ_CONTROL, 32, 15, caps=(CNODE,))
    assert refused(driver) == (Error.ILLEGAL_OPERATION, [])


# --- software-generated interrupts


def test_issue_sgi_checks_in_order(driver: Driver) -> None:
    def issue(irq: int, core: int, index: int, depth: int, root: int = CNODE) -> tuple[int, list[int]]:
        driver.call(IRQ_CONTROL, SGI, irq, core, index, depth, caps=(root,))
        return refused(driver)

    driver.call(IRQ_CONTROL, SGI, 1, 0, 99, caps=(CNODE,))
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    assert issue(16, 8, 99, 33, VSPACE) == (Error.RANGE, [0, 15])
    assert issue(15, 8, 99, 33, VSPACE) == (Error.INVALID_ARGUMENT, [1])
    assert issue(15, 7, 99, 33, VSPACE) == (Error.FAILED_LOOKUP, [0, 1])
    assert issue(15, 7, CNODE, 32) == (Error.DELETE_FIRST, [])
    assert issue(15, 7, 99, 32) == (0, [])
    assert issue(15, 7, 98, 32) == (0, [])  # as often as one likes
    assert driver.cap(99) == SgiSignalCap(15, 7)
    driver.check()


@pytest.mark.parametrize(("core", "badge"), [(0, 0x40), (1, 0)])
def test_sending_reaches_this_core_at_once_acknowledged_or_not(driver: Driver, core: int, badge: int) -> None:
    notification = driver.make("Notification")
    irq = handler(driver, 5)
    assert driver.call(irq, "IRQSetIRQHandler", caps=(badged(driver, notification, 0x40),)) == 0
    assert driver.call(IRQ_CONTROL, SGI, 5, core, 99, 32, caps=(CNODE,)) == 0
    for label in (0, 1, 77):
        assert driver.call(99, label, 1, 2) == 0
        assert poll(driver, notification) == badge
    driver.check()


def test_a_signal_nobody_handles_is_lost(driver: Driver) -> None:
    assert driver.call(IRQ_CONTROL, SGI, 5, 0, 99, 32, caps=(CNODE,)) == 0
    assert driver.call(99, 0) == 0
    assert driver.state.pending_irqs == 0
    driver.check()
