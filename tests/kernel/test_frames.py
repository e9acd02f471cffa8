"""Frames: every check of Page_Map and its relatives in the kernel's order, and what success does."""

from __future__ import annotations

import pytest
from kernel_driver import (
    ASID_POOL,
    CNODE,
    CODE,
    DEVICE_UNTYPED,
    KERNEL_BASE,
    LARGEST_UNTYPED,
    UNTYPED,
    VSPACE,
    Driver,
)
from retrap.kernel.caps import VM_KERNEL_ONLY, VM_READ_ONLY, FrameCap
from retrap.kernel.wire import Error
from retrap.machine.space import EXECUTE, READ, SECTION, WRITE

MISSING_TABLE = [0, 2, 20]  # target; MissingCapability, 20 bits left
INVALID_ROOT = [0, 1]


def refused(driver: Driver) -> tuple[int, list[int]]:
    return driver.effects.error, driver.effects.error_words


def frame_cap(driver: Driver, slot: int) -> FrameCap:
    cap = driver.cap(slot)
    assert isinstance(cap, FrameCap)
    return cap


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def table(driver: Driver) -> int:
    """A page table mapped at 2 MiB."""
    slot = driver.make("PageTable")
    assert driver.table_map(slot, 0x20_0000) == 0
    return slot


# --- Page_Map: refusals, in order


def test_map_needs_three_words_and_a_directory(driver: Driver) -> None:
    frame = driver.make("SmallPage")
    assert driver.call(frame, "ARMPageMap", 0x20_0000, 3, caps=(VSPACE,)) == Error.TRUNCATED_MESSAGE
    assert driver.call(frame, "ARMPageMap", 0x20_0000, 3, 3) == Error.TRUNCATED_MESSAGE


def test_map_needs_a_directory_with_an_asid_before_all_else(driver: Driver) -> None:
    frame = driver.make("SmallPage")
    bare = driver.make("PageDirectory")
    for root in (CNODE, bare, frame):
        driver.page_map(frame, KERNEL_BASE + 1, root=root)
        assert refused(driver) == (Error.INVALID_CAPABILITY, [1])


def test_a_mapped_frame_stays_in_its_space_and_at_its_address(driver: Driver, table: int) -> None:
    frame = driver.make("SmallPage")
    other = driver.new_space()
    assert driver.page_map(frame, 0x20_0000) == 0
    driver.page_map(frame, 0x20_1001, root=other)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    driver.page_map(frame, 0x20_1001)
    assert refused(driver) == (Error.INVALID_ARGUMENT, [0])
    driver.check()


def test_the_end_of_a_frame_must_be_below_the_kernel(driver: Driver) -> None:
    small = driver.make("SmallPage")
    big = driver.make("SuperSection", untyped=UNTYPED + 5)
    # Misaligned as well: the address is checked first.
    for frame, virtual in ((small, KERNEL_BASE - 0xFFF), (small, KERNEL_BASE), (big, KERNEL_BASE - 0x10_0000)):
        driver.page_map(frame, virtual)
        assert refused(driver) == (Error.INVALID_ARGUMENT, [0])
    driver.page_map(big, KERNEL_BASE - 0x100_0000 - 1)
    assert refused(driver) == (Error.ALIGNMENT, [])
    # The sum of address and size wraps around: then only the alignment is wrong.
    driver.page_map(small, 0xFFFF_F800)
    assert refused(driver) == (Error.ALIGNMENT, [])


def test_the_directory_must_still_own_its_asid(driver: Driver) -> None:
    untyped = driver.make("Untyped", 12)
    pool = driver.free_slot()
    assert driver.call(5, "ARMASIDControlMakePool", pool, 32, caps=(untyped, CNODE)) == 0
    root = driver.make("PageDirectory")
    assert driver.call(pool, "ARMASIDPoolAssign", caps=(root,)) == 0
    frame = driver.make("SmallPage")
    assert driver.delete(pool) == 0
    driver.page_map(frame, 0x20_0001, root=root)
    assert refused(driver) == (Error.FAILED_LOOKUP, INVALID_ROOT)
    # The next pool gets the same ASIDs, and another directory gets this one's.
    assert driver.call(5, "ARMASIDControlMakePool", pool, 32, caps=(driver.make("Untyped", 12), CNODE)) == 0
    second = driver.make("PageDirectory")
    assert driver.call(pool, "ARMASIDPoolAssign", caps=(second,)) == 0
    driver.page_map(frame, 0x20_0001, root=root)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [1])
    driver.check()


@pytest.mark.parametrize(
    ("kind", "bits"), [("SmallPage", 12), ("LargePage", 16), ("Section", 20), ("SuperSection", 24)]
)
def test_addresses_are_aligned_to_the_frame(driver: Driver, kind: str, bits: int) -> None:
    frame = driver.make(kind, untyped=UNTYPED + 5)
    driver.page_map(frame, (1 << bits) + (1 << (bits - 1)))
    assert refused(driver) == (Error.ALIGNMENT, [])


@pytest.mark.parametrize("kind", ["SmallPage", "LargePage"])
def test_pages_need_a_page_table(driver: Driver, kind: str) -> None:
    frame = driver.make(kind)
    driver.page_map(frame, 0x20_0000)
    assert refused(driver) == (Error.FAILED_LOOKUP, MISSING_TABLE)
    section = driver.make("Section", untyped=UNTYPED + 5)
    assert driver.page_map(section, 0x20_0000) == 0
    driver.page_map(frame, 0x20_0000)
    assert refused(driver) == (Error.FAILED_LOOKUP, MISSING_TABLE)


# --- what may replace what

SMALL, LARGE, SECTION_FRAME, SUPER, TABLE = "SmallPage", "LargePage", "Section", "SuperSection", "PageTable"


@pytest.mark.parametrize(
    ("there", "there_at", "new", "new_at", "error"),
    [
        (SMALL, 0x20_0000, SMALL, 0x20_0000, 0),
        (LARGE, 0x20_0000, SMALL, 0x20_F000, Error.DELETE_FIRST),
        (SMALL, 0x20_F000, LARGE, 0x20_0000, Error.DELETE_FIRST),
        (SMALL, 0x21_0000, LARGE, 0x20_0000, 0),
        (LARGE, 0x20_0000, LARGE, 0x20_0000, 0),
        (SECTION_FRAME, 0x100_0000, SECTION_FRAME, 0x100_0000, 0),
        (SECTION_FRAME, 0x1F0_0000, SUPER, 0x100_0000, Error.DELETE_FIRST),
        (SUPER, 0x100_0000, SECTION_FRAME, 0x1F0_0000, Error.DELETE_FIRST),
        (SUPER, 0x100_0000, SUPER, 0x100_0000, 0),
        (TABLE, 0x100_0000, SECTION_FRAME, 0x100_0000, Error.DELETE_FIRST),
        (TABLE, 0x1F0_0000, SUPER, 0x100_0000, Error.DELETE_FIRST),
        (SECTION_FRAME, 0x100_0000, TABLE, 0x100_0000, Error.DELETE_FIRST),
        (SUPER, 0x100_0000, TABLE, 0x1A0_0000, Error.DELETE_FIRST),
        (TABLE, 0x100_0000, TABLE, 0x100_0000, Error.DELETE_FIRST),
    ],
)
def test_occupancy_is_by_kind(
    driver: Driver, table: int, there: str, there_at: int, new: str, new_at: int, error: int
) -> None:
    def place(kind: str, virtual: int, untyped: int) -> int:
        slot = driver.make(kind, untyped=untyped)
        return driver.table_map(slot, virtual) if kind == TABLE else driver.page_map(slot, virtual)

    assert place(there, there_at, UNTYPED + 5) == 0
    assert place(new, new_at, LARGEST_UNTYPED) == error
    driver.check()


def test_replacing_a_page_leaves_a_stale_capability_that_harms_nobody(driver: Driver, table: int) -> None:
    first, second = driver.make("SmallPage"), driver.make("SmallPage")
    assert driver.page_map(first, 0x20_0000) == 0
    assert driver.page_map(second, 0x20_0000) == 0
    pages = driver.kernel.space.pages
    there = pages[0x200]
    assert there >> 4 == frame_cap(driver, second).address >> 12
    assert driver.call(first, "ARMPageUnmap") == 0
    assert pages[0x200] == there
    assert driver.delete(second) == 0
    assert 0x200 not in pages
    driver.check()


# --- what success does


@pytest.mark.parametrize(
    ("kind", "virtual", "pages"),
    [(SMALL, 0x20_3000, 1), (LARGE, 0x21_0000, 16), (SECTION_FRAME, 0x100_0000, 256), (SUPER, 0x200_0000, 4096)],
)
def test_mapping_shows_and_unmapping_hides_the_whole_frame(
    driver: Driver, table: int, kind: str, virtual: int, pages: int
) -> None:
    frame = driver.make(kind, untyped=UNTYPED + 5)
    before = dict(driver.kernel.space.pages)
    assert driver.page_map(frame, virtual) == 0
    cap = frame_cap(driver, frame)
    assert (cap.asid, cap.mapped_at) == (1, virtual)
    flags = READ | WRITE | EXECUTE | (SECTION if pages >= 256 else 0)
    new = {(virtual >> 12) + n: ((cap.address >> 12) + n) << 4 | flags for n in range(pages)}
    assert driver.kernel.space.pages == before | new
    driver.check()
    assert driver.call(frame, "ARMPageUnmap") == 0
    assert driver.kernel.space.pages == before
    assert (frame_cap(driver, frame).asid, frame_cap(driver, frame).mapped_at) == (0, 0)
    assert driver.call(frame, "ARMPageUnmap") == 0
    driver.check()


@pytest.mark.parametrize(
    ("cap_rights", "map_rights", "user"),
    [
        (3, 3, READ | WRITE | EXECUTE),
        (3, 15, READ | WRITE | EXECUTE),
        (3, 2, READ | EXECUTE),
        (2, 3, READ | EXECUTE),
        (3, 1, 0),
        (1, 3, 0),
        (0, 3, 0),
        (3, 0, 0),
    ],
)
def test_effective_rights(driver: Driver, table: int, cap_rights: int, map_rights: int, user: int) -> None:
    frame = driver.copy(driver.make("SmallPage"), cap_rights)
    assert driver.page_map(frame, 0x20_0000, map_rights) == 0
    assert driver.kernel.space.pages[0x200] & 15 == user


def test_execute_never(driver: Driver, table: int) -> None:
    frame = driver.make("SmallPage")
    assert driver.page_map(frame, 0x20_0000, 3, 7) == 0
    assert driver.kernel.space.pages[0x200] & 15 == READ | WRITE


def test_mapping_again_changes_rights_and_attributes(driver: Driver, table: int) -> None:
    frame = driver.make("SmallPage")
    for rights, attributes, user in ((3, 3, 7), (2, 3, 5), (2, 7, 1), (3, 0, 7)):
        assert driver.page_map(frame, 0x20_0000, rights, attributes) == 0
        assert driver.kernel.space.pages[0x200] & 15 == user
        driver.check()


def test_a_copy_is_not_mapped_and_maps_for_itself(driver: Driver, table: int) -> None:
    frame = driver.make("SmallPage")
    assert driver.page_map(frame, 0x20_0000) == 0
    copy = driver.copy(frame)
    assert frame_cap(driver, copy).asid == 0
    assert driver.page_map(copy, 0x20_5000, 2) == 0
    pages = driver.kernel.space.pages
    assert pages[0x200] >> 4 == pages[0x205] >> 4
    assert driver.delete(frame) == 0
    assert 0x200 not in pages and 0x205 in pages
    driver.check()


def test_masked_rights_stay_with_the_copy(driver: Driver) -> None:
    frame = driver.make("SmallPage")
    reader = driver.copy(frame, 2)
    assert frame_cap(driver, reader).rights == VM_READ_ONLY
    assert frame_cap(driver, driver.copy(reader, 3)).rights == VM_READ_ONLY
    writer = driver.copy(frame, 1)
    assert frame_cap(driver, writer).rights == VM_KERNEL_ONLY
    assert frame_cap(driver, driver.copy(writer, 3)).rights == VM_KERNEL_ONLY


def test_moving_a_mapped_frame_keeps_the_mapping(driver: Driver, table: int) -> None:
    frame = driver.make("SmallPage")
    assert driver.page_map(frame, 0x20_0000) == 0
    target = driver.free_slot()
    assert driver.call(CNODE, "CNodeMove", target, 32, frame, 32, caps=(CNODE,)) == 0
    assert frame_cap(driver, target).asid == 1
    driver.check()
    assert driver.delete(target) == 0
    assert 0x200 not in driver.kernel.space.pages


def test_device_frames_are_frames(driver: Driver, table: int) -> None:
    frame = driver.make("SmallPage", untyped=DEVICE_UNTYPED)
    assert frame_cap(driver, frame).device
    assert driver.page_map(frame, 0x20_0000) == 0
    assert driver.kernel.space.pages[0x200] >> 4 == 0x0900_0000 >> 12
    assert driver.call(1, "TCBSetIPCBuffer", 0x20_0000, caps=(frame,)) == Error.ILLEGAL_OPERATION


def test_revoking_the_untyped_unmaps_everything(driver: Driver, table: int) -> None:
    pages = dict(driver.kernel.space.pages)
    for index, kind in enumerate((SMALL, LARGE, SECTION_FRAME, SUPER)):
        frame = driver.make(kind, untyped=UNTYPED + 5)
        at = (0x20_0000, 0x21_0000, 0x100_0000, 0x200_0000)[index]
        assert driver.page_map(frame, at) == 0
    assert driver.revoke(UNTYPED + 5) == 0
    assert driver.kernel.space.pages == pages
    driver.check()


# --- cache operations and GetAddress

FLUSHES = ("ARMPageClean_Data", "ARMPageInvalidate_Data", "ARMPageCleanInvalidate_Data", "ARMPageUnify_Instruction")


@pytest.mark.parametrize("operation", FLUSHES)
def test_flush_checks_in_order(driver: Driver, table: int, operation: str) -> None:
    frame = driver.make("SmallPage")
    driver.call(frame, operation, 0)
    assert refused(driver) == (Error.TRUNCATED_MESSAGE, [])
    driver.call(frame, operation, 5, 0)
    assert refused(driver) == (Error.ILLEGAL_OPERATION, [])
    assert driver.page_map(frame, 0x20_0000) == 0
    driver.call(frame, operation, 0x1000, 0x1000)
    assert refused(driver) == (Error.INVALID_ARGUMENT, [1])
    driver.call(frame, operation, 0, 0x1001)
    assert refused(driver) == (Error.INVALID_ARGUMENT, [0])
    driver.call(frame, operation, 0x1000, 0x1001)
    assert refused(driver) == (Error.INVALID_ARGUMENT, [0])
    assert driver.call(frame, operation, 0, 0x1000) == 0
    assert driver.call(frame, operation, 0xFFF, 0x1000) == 0


def test_flush_refuses_stale_capabilities_before_it_looks_at_the_end(driver: Driver, table: int) -> None:
    frame, other = driver.make("SmallPage"), driver.make("SmallPage")
    assert driver.page_map(frame, 0x20_0000) == 0
    assert driver.page_map(other, 0x20_0000) == 0
    driver.call(frame, "ARMPageClean_Data", 0, 0x2000)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [0])
    assert driver.call(table, "ARMPageTableUnmap") == 0
    driver.call(other, "ARMPageClean_Data", 0, 0x1000)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [0])


def test_flush_needs_the_space_that_the_frame_was_mapped_in(driver: Driver) -> None:
    root = driver.new_space()
    table = driver.make("PageTable")
    assert driver.table_map(table, 0x20_0000, root) == 0
    frame = driver.make("SmallPage")
    assert driver.page_map(frame, 0x20_0000, root=root) == 0
    assert driver.delete(root) == 0
    driver.call(frame, "ARMPageClean_Data", 5, 0)
    assert refused(driver) == (Error.FAILED_LOOKUP, INVALID_ROOT)
    driver.check()


def test_before_16_a_stale_flush_killed_the_kernel() -> None:
    driver = Driver({"page_flush_checks_mapping": False})
    table, frame = driver.make("PageTable"), driver.make("SmallPage")
    assert driver.table_map(table, 0x20_0000) == 0
    assert driver.page_map(frame, 0x20_0000) == 0
    assert driver.call(table, "ARMPageTableUnmap") == 0
    assert driver.call(frame, "ARMPageCleanInvalidate_Data", 3, 4) == 0  # one byte: the kernel does nothing
    driver.call(frame, "ARMPageCleanInvalidate_Data", 0, 0x1000)
    assert "data abort in the kernel" in driver.kernel.crashed
    driver.check()


def test_get_address_answers_a_call(driver: Driver) -> None:
    assert driver.call(CODE, "ARMPageGetAddress") == 0
    words = driver.context.words
    assert (words[0], words[1], words[2]) == (0, 1, 0x4001_7000)


@pytest.mark.parametrize("name", ["Send", "NBSend"])
def test_get_address_is_silent_without_a_call(driver: Driver, name: str) -> None:
    driver.system_call(name, CODE, "ARMPageGetAddress", (7,))
    words = driver.context.words
    assert (words[0], words[1] & 0xFFF, words[2]) == (CODE, 1, 7)


def test_get_address_until_12() -> None:
    driver = Driver({"get_address_answers_calls_only": False})
    assert driver.call(CODE, "ARMPageGetAddress") == 0
    words = driver.context.words
    assert (words[0], words[1], words[2]) == (0, 0, 0x4001_7000)
    driver.system_call("Send", CODE, "ARMPageGetAddress", (7,))
    assert (words[0], words[1], words[2]) == (CODE, 1, 0x4001_7000)


def test_other_labels_are_refused(driver: Driver) -> None:
    for label in ("ARMPageTableMap", "ARMPDClean_Data", "UntypedRetype", 9999):
        assert driver.call(CODE, label, 1, 2, 3) == Error.ILLEGAL_OPERATION


# --- older releases


def test_until_10_a_mapped_frame_had_to_be_remapped() -> None:
    driver = Driver({"page_map_remaps": False})
    table, frame = driver.make("PageTable"), driver.make("SmallPage")
    assert driver.table_map(table, 0x20_0000) == 0
    assert driver.page_map(frame, 0x20_0000) == 0
    driver.page_map(frame, 0x20_0000, root=CNODE)
    assert refused(driver) == (Error.INVALID_CAPABILITY, [0])
    # The directory's ASID was looked up before the address was compared with the kernel's.
    fresh = driver.make("SmallPage")
    untyped, pool = driver.make("Untyped", 12), driver.free_slot()
    assert driver.call(5, "ARMASIDControlMakePool", pool, 32, caps=(untyped, CNODE)) == 0
    root = driver.make("PageDirectory")
    assert driver.call(pool, "ARMASIDPoolAssign", caps=(root,)) == 0
    assert driver.delete(pool) == 0
    driver.page_map(fresh, KERNEL_BASE, root=root)
    assert refused(driver) == (Error.FAILED_LOOKUP, INVALID_ROOT)


def test_until_1_0_3_everything_readable_was_executable() -> None:
    driver = Driver({"execute_never": False})
    table, frame = driver.make("PageTable"), driver.make("SmallPage")
    assert driver.table_map(table, 0x20_0000) == 0
    assert driver.page_map(frame, 0x20_0000, 3, 7) == 0
    assert driver.kernel.space.pages[0x200] & 15 == READ | WRITE | EXECUTE


def test_the_initial_pool_is_there(driver: Driver) -> None:
    assert driver.new_space() and driver.cap(ASID_POOL).address == 0x4001_4000
