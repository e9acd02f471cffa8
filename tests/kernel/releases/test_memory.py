"""What changed in Retype, Recycle and numbering: each trigger on the release before and the one after."""

from __future__ import annotations

import pytest
from kernel_driver import ASID_POOL, CNODE, DEVICE_UNTYPED, TCB, UNTYPED, VSPACE
from release_driver import Guests
from retrap.kernel import derivation
from retrap.kernel.abi import release, releases
from retrap.kernel.caps import VM_READ_WRITE, CNodeCap, FrameCap, PageDirectoryCap, PageTableCap, Tag, ThreadCap
from retrap.kernel.effects import Outcome
from retrap.kernel.structures import ThreadState
from retrap.kernel.wire import Error

NAMES = tuple(name for name in releases() if name != "2006" and not release(name).mcs)
SMALL = UNTYPED  # of 1 MiB


def retype(k: Guests, untyped: int, kind: str, size_bits: int, slot: int | None = None, count: int = 1) -> int:
    target = k.free_slot() if slot is None else slot
    return k.call(untyped, "UntypedRetype", k.objects[kind], size_bits, 0, 0, target, count, caps=(CNODE,))


@pytest.mark.parametrize(
    ("name", "bits", "error", "words"),
    [
        ("3.2.0", 30, 0, []),
        ("3.2.0", 31, Error.RANGE, [0, 30]),
        ("4.0.0", 30, Error.RANGE, [0, 29]),
        ("8.0.0", 30, Error.RANGE, [0, 29]),
        ("9.0.0", 30, 0, []),
        ("9.0.0", 31, 0, []),
        ("9.0.0", 32, Error.RANGE, [0, 29]),
    ],
)
def test_the_size_of_what_has_none(name: str, bits: int, error: int, words: list[int]) -> None:
    k = Guests(name)
    retype(k, SMALL, "Endpoint", bits)
    assert (k.effects.error, k.effects.error_words) == (error, words)


@pytest.mark.parametrize("bits", [26, 27, 28, 29])
def test_huge_cnodes(bits: int) -> None:
    for name, error, words in (
        ("8.0.0", Error.NOT_ENOUGH_MEMORY, [1 << 20]),
        ("9.0.0", Error.RANGE, [0, 29]),
    ):
        k = Guests(name)
        retype(k, SMALL, "CapTable", bits)
        assert (k.effects.error, k.effects.error_words) == (error, words)
        # 9.0.0 looks at the size before it looks at the slots.
        retype(k, SMALL, "CapTable", bits, slot=VSPACE)
        assert k.effects.error == (Error.DELETE_FIRST if name == "8.0.0" else Error.RANGE)


@pytest.mark.parametrize(("name", "error"), [("3.2.0", None), ("4.0.0", Error.INVALID_ARGUMENT)])
def test_device_untypeds_since_4(name: str, error: int | None) -> None:
    k = Guests(name)
    assert (k.cap(DEVICE_UNTYPED).tag == Tag.UNTYPED) == (error is not None)
    if error is not None:
        retype(k, DEVICE_UNTYPED, "TCB", 0)
        assert (k.effects.error, k.effects.error_words) == (error, [1])
        assert retype(k, DEVICE_UNTYPED, "SmallPage", 0) == 0


@pytest.mark.parametrize(("name", "cleared_before"), [("3.2.0", False), ("4.0.0", True)])
def test_when_memory_is_cleared(name: str, cleared_before: bool) -> None:
    k = Guests(name)
    first = k.make("Untyped", 14, SMALL)
    address = k.cap(first).address
    frame = k.make("SmallPage", 0, first, count=4)
    for page in range(4):
        k.memory.write_word(address + page * 0x1000, 0x55)
    assert k.revoke(first) == 0
    assert retype(k, first, "SmallPage", 0, slot=frame) == 0
    # The first page is cleared by both; the others only by what clears the untyped before its first object.
    words = [k.memory.read_word(address + page * 0x1000) for page in range(4)]
    assert words == ([0] * 4 if cleared_before else [0, 0x55, 0x55, 0x55])
    assert retype(k, first, "SmallPage", 0, slot=frame + 1, count=3) == 0
    assert [k.memory.read_word(address + page * 0x1000) for page in range(4)] == [0] * 4


def test_untypeds_of_boot_are_cleared_since_4() -> None:
    for name in ("3.2.0", "4.0.0"):
        k = Guests(name)
        k.memory.write_word(0x4010_8000, 1)
        assert retype(k, SMALL, "Endpoint", 0) == 0
        assert k.memory.read_word(0x4010_8000) == (1 if name == "3.2.0" else 0)


def test_recycling_until_3_2() -> None:
    for name in ("3.2.0", "4.0.0"):
        k = Guests(name)
        label = release("3.2.0").label_numbers()["CNodeRecycle"]
        assert label == 15
        frame = k.make("SmallPage")
        k.memory.write_word(k.cap(frame).address, 7)
        assert k.call(CNODE, label, frame, 32) == 0
        if name == "3.2.0":
            assert isinstance(k.cap(frame), FrameCap) and k.memory.read_word(k.cap(frame).address) == 0
        else:
            # The number is Delete's now.
            assert k.cap(frame).tag == Tag.NULL
            other = k.make("SmallPage")
            assert k.call(CNODE, label + 1, other, 32) == Error.ILLEGAL_OPERATION


@pytest.mark.parametrize("name", ["1.0.3", "1.0.4", "2.1.0", "3.2.0"])
def test_what_recycling_does_to_each_kind(name: str) -> None:
    k = Guests(name)

    def recycle(slot: int) -> int:
        error = k.call(CNODE, "CNodeRecycle", slot, 32)
        k.check()
        return error

    thread = k.thread(30)
    cptr = k.tcbs[thread.number]
    assert k.call(cptr, "TCBResume") == 0
    copy = k.copy(cptr)
    assert recycle(copy) == 0 and k.kernel.threads[-1] is thread  # not the last capability: nothing happens
    assert k.delete(copy) == 0
    assert recycle(cptr) == 0
    assert isinstance(k.cap(cptr), ThreadCap) and not thread.live
    fresh = k.kernel.threads[-1]
    assert fresh.address == thread.address and fresh.state == ThreadState.INACTIVE and fresh.priority == 0
    assert k.configure(cptr, 0, 20, 0, 2) == 0

    node = k.make("CapTable", 4)
    guarded = k.free_slot()
    assert k.call(CNODE, "CNodeMutate", guarded, 32, node, 32, 8 << 3, caps=(CNODE,)) == 0
    inner = k.copy(cptr)
    assert k.call(CNODE, "CNodeMove", guarded, 32, inner, 32, caps=(CNODE,)) == Error.DELETE_FIRST
    assert recycle(guarded) == 0
    assert isinstance(k.cap(guarded), CNodeCap) and k.cnode(guarded).guard_bits == 0

    table, page = k.make("PageTable"), k.make("SmallPage")
    assert k.table_map(table, 0x20_0000) == 0 and k.page_map(page, 0x20_0000) == 0
    assert recycle(table) == 0
    assert k.cap(table) == PageTableCap(k.cap(table).address)
    assert 0x200 not in k.kernel.space.pages
    assert k.table_map(table, 0x20_0000) == 0

    root = k.new_space()
    kept = k.copy(root)
    assert k.table_map(k.make("PageTable"), 0x30_0000, root) == 0
    assert recycle(kept) == 0
    cap = k.cap(root)
    assert isinstance(cap, PageDirectoryCap) and cap.mapped  # another capability keeps the ASID
    assert k.delete(kept) == 0
    assert recycle(root) == 0
    cap = k.cap(root)
    assert isinstance(cap, PageDirectoryCap) and not cap.mapped
    assert k.call(ASID_POOL, "ARMASIDPoolAssign", caps=(root,)) == 0

    notification = k.make("Notification")
    k.send(notification)
    assert recycle(notification) == 0
    assert k.recv(notification).outcome == Outcome.DONE and k.runs(k.main)  # the signal is still there
    endpoint = k.make("Endpoint")
    assert recycle(endpoint) == 0
    assert recycle(k.copy(endpoint, 3)) == Error.ILLEGAL_OPERATION
    assert recycle(k.copy(page, 2)) == Error.ILLEGAL_OPERATION
    assert recycle(11) == Error.ILLEGAL_OPERATION
    assert recycle(k.free_slot()) == Error.ILLEGAL_OPERATION


@pytest.mark.parametrize("name", ["1.0.3", "3.2.0"])
def test_recycling_device_memory_kills_the_kernel(name: str) -> None:
    # 3.2.0: src/arch/arm/32/object/objecttype.c, Arch_recycleCap: clearMemory at the address that the frame would
    # have in the kernel's window. A debug kernel of 3.2.0 on QEMU (zynq7000) says "KERNEL DATA ABORT!".
    k = Guests(name)
    slot = k.free_slot()
    derivation.place_root(k.slot(slot), FrameCap(0x0900_0000, 12, True, VM_READ_WRITE))
    k.call(CNODE, "CNodeRecycle", slot, 32)
    assert k.kernel.halted and "data abort in the kernel" in k.kernel.crashed


def test_register_counts() -> None:
    for name, count in (("10.1.1", 17), ("11.0.0", 18), ("12.0.0", 19)):
        k = Guests(name)
        thread = k.thread(5)
        cptr = k.tcbs[thread.number]
        assert k.call(cptr, "TCBReadRegisters", 0, count) == 0
        k.call(cptr, "TCBReadRegisters", 0, count + 1)
        assert (k.effects.error, k.effects.error_words) == (Error.RANGE, [1, count])


def test_object_number_5() -> None:
    for name, bits in (("12.1.0", 12), ("13.0.0", 14)):
        k = Guests(name)
        before = k.cap(SMALL).key()
        assert k.call(SMALL, "UntypedRetype", 5, 0, 0, 0, k.free_slot(), 1, caps=(CNODE,)) == 0
        assert k.cap(SMALL).key() != before
        assert k.cap(SMALL).key()[-1] == 1 << bits


def test_labels_moved() -> None:
    for name, copies in (("13.0.0", False), ("14.0.0", False)):
        k = Guests(name)
        label = k.labels["CNodeCopy"]
        endpoint = k.make("Endpoint")
        target = k.free_slot()
        # What was Copy up to 13.0.0 is CancelBadgedSends since 14.0.0.
        error = k.call(CNODE, 19, target, 32, endpoint, 32, 15, caps=(CNODE,))
        assert (error == 0) == (label == 19) == (name == "13.0.0"), copies


def test_arm_labels_moved() -> None:
    page_map = {name: release(name).label_numbers() for name in ("14.0.0", "15.0.0")}
    assert page_map["14.0.0"]["ARMPageMap"] == 37 == page_map["15.0.0"]["ARMPageTableMap"]


@pytest.mark.parametrize("name", NAMES)
def test_every_release_runs_a_little_of_everything(name: str) -> None:
    k = Guests(name)
    endpoint = k.make("Endpoint")
    server, client = k.thread(100), k.thread(50)
    k.run(server, client)
    k.recv(endpoint)
    k.ipc_call(endpoint, 1, 2, 3, 4, 5, 6)
    assert k.runs(server) and k.buffer(server)[5:7].tolist() == [5, 6]
    k.reply(9)
    k.recv(endpoint)
    assert k.runs(client) and client.context.words[2] == 9
    k.check()
    k.recv(endpoint)
    assert k.runs(k.main)
    assert k.revoke(UNTYPED + 4) == 0
    k.tick(12)
    assert k.runs(k.main)
    k.check()
    assert TCB == 1
