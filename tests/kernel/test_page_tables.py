"""Page tables and directories: mapping, unmapping, deletion, and what threads see of it."""

from __future__ import annotations

import pytest
from kernel_driver import ASID_POOL, CNODE, KERNEL_BASE, TABLE, TCB, UNTYPED, VSPACE, Driver
from retrap.kernel.caps import PageDirectoryCap, PageTableCap
from retrap.kernel.wire import Error

INVALID_ROOT = [0, 1]


def refused(driver: Driver) -> tuple[int, list[int]]:
    return driver.effects.error, driver.effects.error_words


@pytest.fixture
def driver() -> Driver:
    return Driver()


# --- PageTable_Map and _Unmap


def test_map_checks_in_order(driver: Driver) -> None:
    table = driver.make("PageTable")
    driver.call(table, "ARMPageTableMap", 0, caps=(VSPACE,))
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    driver.call(table, "ARMPageTableMap", 0, 0)
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    # A mapped table is refused before the directory is looked at.
    driver.table_map(TABLE, KERNEL_BASE, CNODE)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [0])
    driver.table_map(table, KERNEL_BASE, CNODE)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    driver.table_map(table, KERNEL_BASE, driver.make("PageDirectory"))
    assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    for virtual in (KERNEL_BASE, 0xFFFF_FFFF):
        driver.table_map(table, virtual)
        assert refused(driver) == (Error.INVALID_ARGUMENT, [0])
    driver.table_map(table, 0xF_FFFF)
    assert refused(driver) == (Error.DELETE_FIRST, [])
    assert driver.table_map(table, KERNEL_BASE - 1) == 0
    driver.check()


def test_the_low_bits_of_the_address_are_ignored(driver: Driver) -> None:
    table = driver.make("PageTable")
    assert driver.table_map(table, 0x2A_BCDE) == 0
    cap = driver.cap(table)
    assert isinstance(cap, PageTableCap)
    assert (cap.mapped, cap.asid, cap.mapped_at) == (True, 1, 0x20_0000)


def test_a_table_is_copied_only_while_mapped_and_unmapped_only_when_alone(driver: Driver) -> None:
    table = driver.make("PageTable")
    target = driver.free_slot()
    copy = (CNODE, "CNodeCopy", target, 32, table, 32, 15)
    assert driver.call(*copy, caps=(CNODE,)) == Error.ILLEGAL_OPERATION
    assert driver.table_map(table, 0x20_0000) == 0
    assert driver.call(*copy, caps=(CNODE,)) == 0
    for slot in (table, target):
        assert driver.call(slot, "ARMPageTableUnmap") == Error.REVOKE_FIRST
    assert driver.delete(table) == 0
    assert driver.call(target, "ARMPageTableUnmap") == 0
    assert driver.call(target, "ARMPageTableUnmap") == 0
    driver.check()


@pytest.mark.parametrize("pages", [1, 40])
def test_unmapping_a_table_hides_and_forgets_its_pages(driver: Driver, pages: int) -> None:
    table = driver.make("PageTable")
    before = dict(driver.kernel.space.pages)
    assert driver.table_map(table, 0x20_0000) == 0
    frames = driver.make("SmallPage", count=pages)
    for page in range(pages):
        assert driver.page_map(frames + page, 0x20_0000 + (page << 12)) == 0
    assert driver.call(table, "ARMPageTableUnmap") == 0
    assert driver.kernel.space.pages == before
    assert driver.table_map(table, 0x20_0000) == 0
    assert driver.kernel.space.pages == before
    # The frame still says where it was mapped: mapping it there again works.
    assert driver.page_map(frames, 0x20_0000) == 0
    driver.check()


def test_deleting_the_last_table_capability_unmaps(driver: Driver) -> None:
    table, frame = driver.make("PageTable"), driver.make("SmallPage")
    assert driver.table_map(table, 0x20_0000) == 0
    assert driver.page_map(frame, 0x20_0000) == 0
    copy = driver.copy(table)
    assert driver.delete(table) == 0
    assert 0x200 in driver.kernel.space.pages
    assert driver.delete(copy) == 0
    assert 0x200 not in driver.kernel.space.pages
    driver.check()
    assert driver.delete(frame) == 0
    driver.check()


# --- PageDirectory cache operations

FLUSHES = ("ARMPDClean_Data", "ARMPDInvalidate_Data", "ARMPDCleanInvalidate_Data", "ARMPDUnify_Instruction")


@pytest.mark.parametrize("operation", FLUSHES)
def test_directory_flush_checks_in_order(driver: Driver, operation: str) -> None:
    bare = driver.make("PageDirectory")
    driver.call(bare, operation, 0)
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    driver.call(bare, operation, KERNEL_BASE + 1, KERNEL_BASE)
    assert refused(driver) == (Error.INVALID_ARGUMENT, [1])
    for start, end in ((KERNEL_BASE, KERNEL_BASE + 1), (0, KERNEL_BASE + 1)):
        driver.call(bare, operation, start, end)
        assert refused(driver) == (Error.ILLEGAL_OPERATION, [])
    driver.call(bare, operation, 0, KERNEL_BASE)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [0])
    assert driver.call(VSPACE, operation, 0x5000_0000, KERNEL_BASE) == 0  # nothing is mapped at its start
    driver.call(VSPACE, operation, 0x1_0010, 0x1_1001)
    assert refused(driver) == (Error.RANGE, [0x1_0010, 0x1_0FFF])
    assert driver.call(VSPACE, operation, 0x1_0010, 0x1_1000) == 0


@pytest.mark.parametrize(
    ("kind", "virtual", "bits"),
    [("LargePage", 0x20_0000, 16), ("Section", 0x100_0000, 20), ("SuperSection", 0x200_0000, 24)],
)
def test_directory_flush_knows_how_big_pages_are(driver: Driver, kind: str, virtual: int, bits: int) -> None:
    assert driver.table_map(driver.make("PageTable"), 0x20_0000) == 0
    assert driver.page_map(driver.make(kind, untyped=UNTYPED + 5), virtual) == 0
    end = virtual + (1 << bits)
    assert driver.call(VSPACE, FLUSHES[0], virtual + 0x8000, end) == 0
    driver.call(VSPACE, FLUSHES[0], virtual + 0x8000, end + 1)
    assert refused(driver) == (Error.RANGE, [virtual + 0x8000, end - 1])


# --- spaces without an ASID


def orphan(driver: Driver) -> tuple[int, int, int]:
    """A directory with a table and a page whose ASID pool is gone."""
    pool = driver.free_slot()
    assert driver.call(5, "ARMASIDControlMakePool", pool, 32, caps=(driver.make("Untyped", 12), CNODE)) == 0
    root, table, frame = driver.make("PageDirectory"), driver.make("PageTable"), driver.make("SmallPage")
    assert driver.call(pool, "ARMASIDPoolAssign", caps=(root,)) == 0
    assert driver.table_map(table, 0x20_0000, root) == 0
    assert driver.page_map(frame, 0x20_0000, root=root) == 0
    assert driver.delete(pool) == 0
    return root, table, frame


def test_nothing_can_be_done_with_a_directory_whose_pool_is_gone(driver: Driver) -> None:
    root, table, frame = orphan(driver)
    driver.check()
    driver.call(root, FLUSHES[0], 0, 4)
    assert refused(driver) == (Error.FAILED_LOOKUP, INVALID_ROOT)
    driver.table_map(driver.make("PageTable"), 0x30_0000, root)
    assert refused(driver) == (Error.FAILED_LOOKUP, INVALID_ROOT)
    driver.call(ASID_POOL, "ARMASIDPoolAssign", caps=(root,))
    assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    # Its table and its page are free for another space once they are unmapped.
    driver.table_map(table, 0x20_0000)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [0])
    assert driver.call(table, "ARMPageTableUnmap") == 0
    assert driver.table_map(table, 0x20_0000) == 0
    driver.page_map(frame, 0x20_0000)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    assert driver.call(frame, "ARMPageUnmap") == 0
    assert driver.page_map(frame, 0x20_0000) == 0
    driver.check()


def test_an_asid_that_went_to_another_directory_is_refused(driver: Driver) -> None:
    root, _, _ = orphan(driver)
    pool = driver.free_slot()
    assert driver.call(5, "ARMASIDControlMakePool", pool, 32, caps=(driver.make("Untyped", 12), CNODE)) == 0
    second = driver.make("PageDirectory")
    assert driver.call(pool, "ARMASIDPoolAssign", caps=(second,)) == 0
    driver.call(root, FLUSHES[0], 0, 4)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [0])
    driver.table_map(driver.make("PageTable"), 0x30_0000, root)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    assert driver.delete(root) == 0
    assert driver.call(second, FLUSHES[0], 0, 4) == 0
    driver.check()


def test_a_directory_is_copied_only_with_an_asid(driver: Driver) -> None:
    bare = driver.make("PageDirectory")
    copy = (CNODE, "CNodeCopy", driver.free_slot(), 32, bare, 32, 15)
    assert driver.call(*copy, caps=(CNODE,)) == Error.ILLEGAL_OPERATION
    assert driver.call(ASID_POOL, "ARMASIDPoolAssign", caps=(bare,)) == 0
    assert driver.call(*copy, caps=(CNODE,)) == 0
    cap = driver.cap(bare)
    assert isinstance(cap, PageDirectoryCap) and cap.mapped and cap == driver.cap(copy[2])  # type: ignore[arg-type]


# --- what the processor sees


def test_deleting_the_directory_one_runs_in_leaves_an_empty_space(driver: Driver) -> None:
    assert driver.delete(VSPACE) == 0  # the thread's own copy keeps it alive
    assert driver.kernel.space.pages
    space = driver.kernel.space
    root = driver.new_space()
    assert driver.call(TCB, "TCBSetSpace", 0, 0, 0, caps=(CNODE, root)) == 0
    # The old directory went with its last capability, so the kernel looked at the root again.
    assert driver.kernel.space is not space
    assert driver.kernel.space.pages == {}
    driver.check()


def test_a_replaced_root_is_used_from_the_next_switch_on(driver: Driver) -> None:
    root = driver.new_space()
    space = driver.kernel.space
    assert driver.call(TCB, "TCBSetSpace", 0, 0, 0, caps=(CNODE, root)) == 0
    assert driver.kernel.space is space
    # A mapping operation in a third space ends with a look at the running thread's root.
    table = driver.make("PageTable")
    assert driver.table_map(table, 0x20_0000) == 0
    assert driver.kernel.space is space
    assert driver.call(table, "ARMPageTableUnmap") == 0
    assert driver.kernel.space is not space
    driver.check()


def test_revoking_the_pool_one_runs_on(driver: Driver) -> None:
    untyped, pool = driver.make("Untyped", 12), driver.free_slot()
    assert driver.call(5, "ARMASIDControlMakePool", pool, 32, caps=(untyped, CNODE)) == 0
    root = driver.make("PageDirectory")
    assert driver.call(pool, "ARMASIDPoolAssign", caps=(root,)) == 0
    assert driver.call(TCB, "TCBSetSpace", 0, 0, 0, caps=(CNODE, root)) == 0
    assert driver.revoke(untyped) == 0
    assert driver.kernel.space is driver.state.no_space
    driver.check()


def test_until_1_0_3_replacing_the_initial_buffer_unmapped_it() -> None:
    for copy in (True, False):
        driver = Driver({"boot_buffer_is_copy": copy})
        driver.check()
        assert driver.call(TCB, "TCBSetIPCBuffer", 0x1_1000, caps=(10,)) == 0
        assert (0x11 in driver.kernel.space.pages) is copy
        driver.check()
