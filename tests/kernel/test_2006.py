"""The kernel of the 2006 paper: each of its rules, and each choice where it is silent (docs/kernel-2006.md)."""

from __future__ import annotations

import pytest
from kernel_driver import BUFFER, CNODE, CODE, TCB, UNTYPED, VSPACE
from paper_driver import INNER, OUTER, TABLE, Paper
from retrap.kernel.caps import NULL, CNodeCap, FrameCap, Tag, UntypedCap
from retrap.kernel.effects import Outcome
from retrap.kernel.objects.async_endpoint import AsyncEndpoint
from retrap.kernel.structures import TCB_REPLY, ThreadState
from retrap.machine.traps import FaultStatus, Trap, TrapKind

POOL = UNTYPED + 4
"""16 MiB that `Paper.make` leaves alone."""

NO_ERROR, INVALID_ARGUMENT, INVALID_CAPABILITY, ILLEGAL, RANGE = 0, 1, 2, 3, 4
FAILED_LOOKUP, TRUNCATED, DELETE_FIRST, REVOKE_FIRST, NOT_ENOUGH = 6, 7, 8, 9, 10


@pytest.fixture
def paper() -> Paper:
    return Paper()


# --- section 3.1: six types of objects


def test_there_are_six_types(paper: Paper) -> None:
    slot = paper.free_slot()
    assert paper.call(POOL, "UntypedRetype", 6, 12, 0, 0, slot, caps=(CNODE,)) == INVALID_ARGUMENT
    assert len(paper.state.creators) == 6


def test_boot_gives_what_the_paper_has(paper: Paper) -> None:
    kinds = {slot.cap.tag for slot in paper.root.slots.values()} - {Tag.NULL}
    assert kinds == {Tag.THREAD, Tag.CNODE, Tag.FRAME, Tag.UNTYPED}
    assert paper.kernel.threads[0].slots[TCB_REPLY].cap is NULL
    paper.check()


def test_the_kernel_makes_no_object_by_itself(paper: Paper) -> None:
    """Section 4: what exists is what was retyped, or was there at boot."""
    before = set(paper.state.objects)
    node = paper.make("CapTable", 4)
    thread = paper.make("TCB")
    box = paper.make("AsyncEndpoint")
    made = {paper.cap(each).address for each in (node, thread, box)}
    assert set(paper.state.objects) - before == made


# --- sections 3.1 and 5: Retype


@pytest.mark.parametrize(
    ("kind", "size_bits", "object_bits"),
    [("Untyped", 18, 18), ("UserData", 16, 16), ("CapTable", 14, 18), ("CapTable", 20, 24), ("Untyped", 24, 24)],
)
def test_retype_divides_all_of_it(paper: Paper, kind: str, size_bits: int, object_bits: int) -> None:
    first = paper.next_free
    assert paper.divide(POOL, kind, size_bits, first) == 0, paper.effects.reason
    count = 1 << (24 - object_bits)
    addresses = [paper.cap(first + index).address for index in range(count)]
    assert addresses == [0x4100_0000 + (index << object_bits) for index in range(count)]
    assert paper.cap(first + count) is NULL
    paper.check()


def test_retype_is_refused_while_anything_derived_remains(paper: Paper) -> None:
    first = paper.next_free
    paper.next_free += 16
    assert paper.divide(POOL, "UserData", 20, first) == 0
    copy = paper.copy(first + 3)
    spare = paper.free_slot()
    for slot in (*range(first, first + 16), copy):
        before = paper.kernel.digest()
        assert paper.divide(POOL, "Untyped", 23, spare) == REVOKE_FIRST
        assert paper.kernel.digest() == before
        assert paper.delete(slot) == 0
    assert paper.divide(POOL, "Untyped", 24, spare) == 0
    paper.check()


def test_revoke_makes_it_free(paper: Paper) -> None:
    first = paper.next_free
    for kind, size in (("TCB", 9), ("UserData", 16), ("Untyped", 20), ("Untyped", 24)):
        bits = 17 if kind == "TCB" else 24
        pool = POOL if bits == 24 else paper.piece(bits)
        first = paper.next_free
        paper.next_free += 256
        assert paper.divide(pool, kind, size, first) == 0, paper.effects.reason
        inner = [each for each in range(first, first + 256) if isinstance(paper.cap(each), UntypedCap)]
        if inner:
            assert paper.divide(inner[0], "UserData", 18, paper.next_free) == 0
        assert paper.revoke(pool) == 0
        assert all(paper.cap(each) is NULL for each in range(first, paper.next_free + 64))
        paper.check()


def test_a_copy_of_untyped_memory_counts_as_derived(paper: Paper) -> None:
    copy = paper.copy(POOL)
    spare = paper.free_slot()
    assert paper.divide(POOL, "UserData", 24, spare) == REVOKE_FIRST
    assert paper.divide(copy, "UserData", 24, spare) == 0
    assert paper.revoke(POOL) == 0
    assert paper.cap(copy) is NULL and paper.cap(spare) is NULL
    paper.check()


def test_the_refusals_of_retype_in_order(paper: Paper) -> None:
    slot = paper.free_slot()
    assert paper.call(POOL, "UntypedRetype", 5, 12, 0, 0, caps=(CNODE,)) == TRUNCATED
    assert paper.call(POOL, "UntypedRetype", 5, 12, 0, 0, slot) == TRUNCATED
    assert paper.divide(POOL, "UserData", 11, slot) == INVALID_ARGUMENT
    assert paper.divide(POOL, "Untyped", 3, slot) == INVALID_ARGUMENT
    assert paper.divide(POOL, "CapTable", 0, slot) == INVALID_ARGUMENT
    assert paper.divide(POOL, "Untyped", 31, slot) == RANGE
    assert paper.divide(POOL, "UserData", 24, slot, root=TCB) == FAILED_LOOKUP
    assert paper.divide(POOL, "UserData", 25, slot) == NOT_ENOUGH
    assert paper.effects.error_words == [1 << 24]
    assert paper.divide(POOL, "UserData", 24, 4096) == RANGE
    assert paper.divide(POOL, "UserData", 15, slot) == RANGE  # 512 at once
    assert paper.effects.error_words == [1, 256]
    assert paper.divide(POOL, "UserData", 23, 4095) == RANGE
    assert paper.divide(POOL, "UserData", 24, TCB) == DELETE_FIRST
    assert paper.divide(POOL, "UserData", 24, slot) == 0


def test_new_objects_are_cleared(paper: Paper) -> None:
    data = paper.free_slot()
    assert paper.divide(POOL, "UserData", 24, data) == 0
    paper.memory.write(0x4100_0000, b"secret")
    assert paper.delete(data) == 0
    assert paper.divide(POOL, "UserData", 24, data) == 0
    assert paper.memory.read_word(0x4100_0000) == 0


# --- section 3.1: asynchronous endpoints


def box_of(paper: Paper, slot: int) -> AsyncEndpoint:
    item = paper.state.objects[paper.cap(slot).address]
    assert isinstance(item, AsyncEndpoint)
    return item


def test_a_message_is_held_until_it_is_received(paper: Paper) -> None:
    box = paper.make("AsyncEndpoint")
    badged = paper.free_slot()
    assert paper.call(CNODE, "CNodeMint", badged, 32, box, 32, 15, 7, caps=(CNODE,)) == 0
    effects = paper.system_call("Send", badged, 99, (11, 12, 13, 14, 15))
    assert effects.outcome == Outcome.DONE and paper.kernel.current.number == 0
    assert box_of(paper, box).words == [11, 12, 13, 14]
    before = paper.kernel.digest()
    assert paper.call(badged, 1, 1) == NOT_ENOUGH
    assert paper.system_call("Send", badged, 1, (1,)).outcome == Outcome.IGNORED
    assert paper.kernel.digest() == before
    paper.system_call("Recv", box)
    words = paper.context.words
    assert words[0:6].tolist() == [7, 99 << 12 | 4, 11, 12, 13, 14]
    assert paper.system_call("Recv", box).outcome == Outcome.IGNORED
    assert words[0:2].tolist() == [0, 0] and paper.kernel.current.number == 0
    paper.check()


def test_the_rights_of_a_mailbox(paper: Paper) -> None:
    box = paper.make("AsyncEndpoint")
    reader, writer = paper.copy(box, 2), paper.copy(box, 1)
    assert paper.call(reader, 0, 1) == INVALID_CAPABILITY
    assert paper.call(writer, 0, 1) == 0
    effects = paper.system_call("Recv", writer)
    assert effects.fault == "CapFault" and effects.outcome == Outcome.DEAD


def test_badged_mailboxes_are_derived_from_the_first(paper: Paper) -> None:
    box = paper.make("AsyncEndpoint")
    first, second = paper.free_slot(), paper.free_slot()
    assert paper.call(CNODE, "CNodeMint", first, 32, box, 32, 15, 1, caps=(CNODE,)) == 0
    assert paper.call(CNODE, "CNodeMint", second, 32, first, 32, 15, 2, caps=(CNODE,)) == ILLEGAL
    assert paper.revoke(box) == 0
    assert paper.cap(first) is NULL and paper.cap(box) is not NULL
    assert paper.delete(box) == 0
    paper.check()


# --- no replies


def test_a_call_of_an_endpoint_is_a_send(paper: Paper) -> None:
    endpoint = paper.make("Endpoint")
    thread = paper.thread()
    assert paper.kernel.current is thread
    paper.system_call("Recv", endpoint)
    assert paper.kernel.current.number == 0
    paper.system_call("Call", endpoint, 5, (21, 22))
    main = paper.kernel.threads[0]
    # Nobody waits: the caller goes on, and its registers are as they were.
    assert main.state == ThreadState.RUNNING and main.context.words[0] == endpoint
    assert thread.context.words[0:4].tolist() == [0, 5 << 12 | 2, 21, 22]
    paper.check()


def test_there_are_no_system_calls_for_replies(paper: Paper) -> None:
    assert {"Reply", "ReplyRecv"}.isdisjoint(paper.calls)
    paper.context.words[7] = -2 & 0xFFFF_FFFF
    effects = paper.enter(Trap(TrapKind.SVC))
    assert effects.fault == "UnknownSyscall"


def test_a_faulting_thread_waits_to_be_resumed(paper: Paper) -> None:
    handler = paper.make("Endpoint")
    writer = paper.copy(handler, 1)  # no right to grant is needed
    thread = paper.thread(handler=writer)
    assert paper.kernel.current is thread
    assert not paper.touch(0x5000_0000)
    assert thread.state == ThreadState.BLOCKED_ON_SEND
    paper.system_call("Recv", handler)
    assert paper.context.words[1] == 2 << 12 | 4  # VMFault
    assert paper.context.words[3] == 0x5000_0000
    assert thread.state == ThreadState.INACTIVE
    paper.check()
    assert paper.call(paper.last, "TCBResume") == 0
    # It repeats the access; the next message is not the old fault again.
    assert thread.fault is None
    paper.check()


# --- sections 3, 3.1 and 4: address spaces


def test_the_first_access_is_an_invocation(paper: Paper) -> None:
    assert paper.page(0x1_0000) is None
    assert paper.touch(0x1_0004)
    assert paper.effects.target == ("UserData", 0x4001_7000, 0)
    assert paper.page(0x1_0000) == 0x4001_7000 + 5  # read-only, and executable
    paper.check()


def test_rights_decide(paper: Paper) -> None:
    assert not paper.touch(0x1_0004, write=True)
    assert paper.effects.fault_words[3] == FaultStatus.PERMISSION_PAGE | FaultStatus.WRITE


@pytest.mark.parametrize("bits", [12, 13, 16, 20])
def test_user_data_of_any_power_of_two(paper: Paper, bits: int) -> None:
    data = paper.make("UserData", bits)
    depth = 32 - bits
    address = 0x1000_0000
    if bits < 20:
        # A CNode that resolves as many bits as are left above the object.
        node = paper.make("CapTable", 20 - bits)
        assert paper.show(node, address, depth=OUTER) == 0
    assert paper.show(data, address, depth=depth) == 0, paper.effects.reason
    assert paper.touch(address + (1 << bits) - 4, write=True)
    assert paper.page(address + (1 << bits) - 4) == paper.cap(data).address + (1 << bits) - 0x1000 + 7
    paper.check()


def test_an_object_must_fill_its_place(paper: Paper) -> None:
    large = paper.make("UserData", 13)
    assert paper.show(large, 0x2_0000) == 0
    assert not paper.touch(0x2_0000)


def test_copies_show_the_same_object(paper: Paper) -> None:
    data = paper.make("UserData", 12)
    assert paper.show(data, 0x2_0000) == 0 and paper.show(data, 0x3_0000, 2) == 0
    assert paper.touch(0x2_0000) and paper.touch(0x3_0000)
    assert paper.page(0x2_0000) == paper.cap(data).address + 7
    assert paper.page(0x3_0000) == paper.cap(data).address + 5
    # The address space's CNode is an ordinary one: the same slot from the inside.
    assert paper.call(TABLE, "CNodeDelete", 0x20, 8) == 0
    assert paper.page(0x2_0000) is None and paper.page(0x3_0000) is not None
    paper.check()


def gone_by_delete(paper: Paper, data: int) -> None:
    assert paper.hide(0x2_0000) == 0


def gone_by_move(paper: Paper, data: int) -> None:
    slot = paper.free_slot()
    assert paper.call(CNODE, "CNodeMove", slot, 32, 0x20, INNER, caps=(VSPACE,)) == 0


def gone_by_revoke(paper: Paper, data: int) -> None:
    source = next(each for each in paper.root.slots.values() if each.next is not None and each.index == data)
    parent = source.prev
    assert parent is not None
    assert paper.revoke(parent.index) == 0


def gone_with_its_node(paper: Paper, data: int) -> None:
    assert paper.call(VSPACE, "CNodeDelete", 0, OUTER) == 0


def gone_by_another_root(paper: Paper, data: int) -> None:
    node = paper.make("CapTable", 12)
    assert paper.call(TCB, "TCBSetSpace", 0, 0, 0, caps=(CNODE, node)) == 0


@pytest.mark.parametrize(
    "go", [gone_by_delete, gone_by_move, gone_by_revoke, gone_with_its_node, gone_by_another_root]
)
def test_what_is_taken_away_is_gone_at_once(paper: Paper, go: object) -> None:
    data = paper.make("UserData", 12)
    assert paper.show(data, 0x2_0000) == 0
    assert paper.touch(0x2_0000)
    go(paper, data)  # type: ignore[operator]
    assert paper.page(0x2_0000) is None
    paper.check()
    assert not paper.touch(0x2_0000)


def test_guards_are_part_of_addresses(paper: Paper) -> None:
    node = paper.make("CapTable", 4)
    data = paper.make("UserData", 16)
    root = paper.free_slot()
    # 12 bits of guard 0x123, 4 bits of index, 16 bits of data.
    guard = 0x123 << 8 | 12 << 3
    assert paper.call(CNODE, "CNodeMint", root, 32, node, 32, 15, guard, caps=(CNODE,)) == 0
    assert paper.call(CNODE, "CNodeCopy", 5, 4, data, 32, 3, caps=(CNODE,)) == FAILED_LOOKUP
    assert paper.call(node, "CNodeCopy", 5, 4, data, 32, 3, caps=(CNODE,)) == 0, paper.effects.reason
    cap = paper.cap(root)
    assert isinstance(cap, CNodeCap) and cap.guard == 0x123
    assert paper.call(TCB, "TCBSetSpace", 0, 0, 0, caps=(CNODE, root)) == 0
    assert paper.touch(0x1235_0000)
    paper.check()
    assert not paper.touch(0x1245_0000)


def test_the_kernels_part_is_never_user_data(paper: Paper) -> None:
    data = paper.make("UserData", 20)
    assert paper.show(data, 0xF000_0000, depth=OUTER) == 0
    assert not paper.touch(0xF000_0000)
    assert paper.effects.fault_words[3] & 0x40F == FaultStatus.PERMISSION_SECTION or paper.effects.fault


def test_only_cnodes_are_roots(paper: Paper) -> None:
    assert paper.call(TCB, "TCBSetSpace", 0, 0, 0, caps=(CNODE, CODE)) == ILLEGAL


def test_a_cyclic_address_space_ends_with_the_address(paper: Paper) -> None:
    node = paper.make("CapTable", 1)
    assert paper.call(node, "CNodeCopy", 0, 1, node, 32, 15, caps=(CNODE,)) == 0
    assert paper.call(TCB, "TCBSetSpace", 0, 0, 0, caps=(CNODE, node)) == 0
    data = paper.make("UserData", 12)
    assert paper.call(node, "CNodeCopy", 1, 1, data, 32, 3, caps=(CNODE,)) == 0
    assert paper.touch(0x1000)  # nineteen times slot 0, then slot 1
    paper.check()
    assert not paper.touch(0x2000)


def test_the_buffer_is_user_data(paper: Paper) -> None:
    assert paper.call(TCB, "TCBSetIPCBuffer", 0x1_1000, caps=(CNODE,)) == ILLEGAL
    assert paper.call(TCB, "TCBSetIPCBuffer", 0x1_1000, caps=(BUFFER,)) == 0


def test_many_pieces_make_room_for_each_other(paper: Paper) -> None:
    data = paper.make("UserData", 24)
    cap = paper.cap(data)
    assert isinstance(cap, FrameCap)
    # 16 MiB need eight bits of address above them.
    root, outer = paper.make("CapTable", 1), paper.make("CapTable", 7)
    assert paper.call(root, "CNodeCopy", 0, 1, outer, 32, 15, caps=(CNODE,)) == 0
    for index in range(2):
        assert paper.call(outer, "CNodeCopy", index, 7, data, 32, 3, caps=(CNODE,)) == 0
    assert paper.call(TCB, "TCBSetSpace", 0, 0, 0, caps=(CNODE, root)) == 0
    for address in range(0, 1 << 25, 1 << 16):
        assert paper.touch(address, write=True)
    assert paper.page(0) is None and paper.page((1 << 25) - 4) is not None
    paper.check()


def test_the_law_of_kept_pieces_can_fail(paper: Paper) -> None:
    assert paper.touch(0x1_0000)
    paper.check()
    law = "the processor keeps what lookups find"
    paper.kernel.space.pages[0x10] |= 2
    assert any(fault.startswith(law) for fault in paper.kernel.check("full"))
    paper.kernel.space.pages[0x10] &= ~2
    paper.kernel.space.pages[0x99] = 7
    assert any(fault.startswith(law) for fault in paper.kernel.check("full"))
    del paper.kernel.space.pages[0x99]
    table = paper.state.objects[paper.cap(TABLE).address]
    table.slots[0x10].cap = FrameCap(0x4001_6000, 12, False, 3)  # type: ignore[attr-defined]
    assert any(fault.startswith(law) for fault in paper.kernel.check("full"))
