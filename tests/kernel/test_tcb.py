"""TCB invocations besides scheduling: registers, spaces, buffers, flags."""

from __future__ import annotations

import pytest
from kernel_driver import ASID_POOL, CNODE, DEVICE_UNTYPED, TCB, VSPACE
from retrap.kernel.caps import NULL, CNodeCap, FrameCap
from retrap.kernel.structures import TCB_BUFFER, TCB_CTABLE, TCB_VTABLE, Tcb, ThreadState
from retrap.machine.context import Slot
from test_cnode import (
    ALIGNMENT,
    ILLEGAL,
    INVALID_CAPABILITY,
    RANGE,
    REVOKE_FIRST,
    TRUNCATED,
    refused,
)
from threads_driver import World

ORDER = (30, 13, -1, 0, 1, 8, 9, 10, 11, 12, 2, 3, 4, 5, 6, 7, 14, Slot.TPIDRURW, Slot.TPIDRURO)


@pytest.fixture
def world() -> World:
    return World()


def stopped(world: World) -> tuple[int, Tcb]:
    thread = world.thread(start=False)
    for number in range(15):
        thread.context.words[number] = 0x1000 + number
    thread.context.words[30] = 0x1_0100
    thread.context.cpsr = 0x8000_0000
    return world.tcbs[thread.number], thread


def expected(thread: Tcb) -> list[int]:
    words = thread.context.words
    return [thread.context.cpsr | 0x50 if slot == -1 else words[slot] for slot in ORDER]


def test_unknown_label(world: World) -> None:
    world.call(TCB, "CNodeCopy")
    assert refused(world, ILLEGAL)


def test_read_registers(world: World) -> None:
    cptr, thread = stopped(world)
    world.call(cptr, "TCBReadRegisters", 0)
    assert refused(world, TRUNCATED)
    for count in (0, 20, 0xFFFF_FFFF):
        world.call(cptr, "TCBReadRegisters", 0, count)
        assert refused(world, RANGE, 1, 19)
    world.call(TCB, "TCBReadRegisters", 0, 1)
    assert refused(world, ILLEGAL)
    for count in (1, 4, 10, 11, 19):
        assert world.call(cptr, "TCBReadRegisters", 0, count) == 0
        words = world.main.context.words
        assert words[1] == count
        read = [*words[2 : 2 + min(count, 4)], *world.buffer(world.main)[5 : 1 + count]]
        assert read == expected(thread)[:count]


def test_read_registers_may_suspend(world: World) -> None:
    thread = world.thread(5)
    assert world.call(world.tcbs[1], "TCBReadRegisters", 0, 1) == 0
    assert thread.state == ThreadState.RESTART
    assert world.call(world.tcbs[1], "TCBReadRegisters", 1, 1) == 0
    assert thread.state == ThreadState.INACTIVE
    world.check()


def test_sending_an_invocation_returns_nothing(world: World) -> None:
    cptr, _ = stopped(world)
    effects = world.system_call("Send", cptr, "TCBReadRegisters", (0, 4))
    assert effects.registers == []
    effects = world.system_call("Send", cptr, "TCBReadRegisters", (0, 99))
    assert effects.registers == [] and effects.error == RANGE


def test_write_registers(world: World) -> None:
    cptr, thread = stopped(world)
    world.call(cptr, "TCBWriteRegisters", 0)
    assert refused(world, TRUNCATED)
    world.call(cptr, "TCBWriteRegisters", 0, 3, 1, 2)
    assert refused(world, TRUNCATED)
    world.call(TCB, "TCBWriteRegisters", 0, 1, 1)
    assert refused(world, ILLEGAL)
    thread.context.words[Slot.THUMB] = 1
    values = [0x2_0003, 0x3000, 0xFFFF_FFFF, *range(0x500, 0x510), 0xAAAA]
    assert world.call(cptr, "TCBWriteRegisters", 0, 20, *values) == 0
    words = thread.context.words
    assert [words[slot] for slot in ORDER if slot != -1] == [values[0], values[1], *values[3:19]]
    assert thread.context.cpsr == 0xF800_0000
    # Without the Thumb bit the next instruction is at a word.
    assert words[15] == 0x2_0000
    assert thread.state == ThreadState.INACTIVE
    assert world.call(cptr, "TCBWriteRegisters", 1, 1, 0x4_0000) == 0
    assert world.runs(thread) and words[15] == 0x4_0000


def test_copy_registers(world: World) -> None:
    cptr, source = stopped(world)
    target = world.thread(start=False)
    other = world.tcbs[target.number]
    world.call(other, "TCBCopyRegisters", caps=(cptr,))
    assert refused(world, TRUNCATED)
    world.call(other, "TCBCopyRegisters", 0)
    assert refused(world, TRUNCATED)
    world.call(other, "TCBCopyRegisters", 0, caps=(CNODE,))
    assert refused(world, INVALID_CAPABILITY, 1)
    source.context.words[Slot.THUMB] = 1
    source.context.words[30] = 0x2_0002
    assert world.call(other, "TCBCopyRegisters", 4, caps=(cptr,)) == 0
    assert expected(target)[:10] == expected(source)[:10]
    assert expected(target)[10:17] == [0] * 7
    # Copied whole, the CPSR brings Thumb state along.
    assert target.context.words[Slot.THUMB] == 1 and target.context.words[15] == 0x2_0002
    assert world.call(other, "TCBCopyRegisters", 8, caps=(cptr,)) == 0
    assert expected(target) == expected(source)
    assert world.call(other, "TCBCopyRegisters", 3, caps=(other,)) == 0
    assert world.runs(target)
    world.check()


def test_configure_refusals_in_order(world: World) -> None:
    cptr, thread = stopped(world)
    frame = world.make("SmallPage")
    device = world.make("SmallPage", untyped=DEVICE_UNTYPED)
    bare = world.make("PageDirectory")
    badly = 0x2_0010

    def configure(buffer: int, croot: int, vroot: int, page: int, cdata: int = 0) -> int:
        return world.call(cptr, "TCBConfigure", 0, cdata, 0, buffer, caps=(croot, vroot, page))

    world.call(cptr, "TCBConfigure", 0, 0, 0, caps=(CNODE, VSPACE, frame))
    assert refused(world, TRUNCATED)
    world.call(cptr, "TCBConfigure", 0, 0, 0, 0, caps=(CNODE, VSPACE))
    assert refused(world, TRUNCATED)
    configure(badly, TCB, TCB, TCB)
    assert refused(world, ILLEGAL)
    configure(badly, TCB, TCB, device)
    assert refused(world, ILLEGAL)
    configure(badly, TCB, TCB, frame)
    assert refused(world, ALIGNMENT)
    configure(0, TCB, bare, TCB)
    assert refused(world, ILLEGAL)
    configure(0, CNODE, bare, TCB)
    assert refused(world, ILLEGAL)
    configure(0, CNODE, TCB, TCB)
    assert refused(world, ILLEGAL)
    # The initial CNode has 12 bits: no room for a guard of 21.
    configure(0, CNODE, VSPACE, TCB, 21 << 3)
    assert refused(world, ILLEGAL)
    world.make("Endpoint", untyped=20)
    configure(0x2_0000, CNODE, VSPACE, 20)
    assert refused(world, REVOKE_FIRST)
    assert configure(0x2_0200, CNODE, VSPACE, frame, 1 << 8 | 20 << 3) == 0
    assert thread.slots[TCB_CTABLE].cap == CNodeCap(0x4000_0000, 12, 20, 1)
    assert thread.slots[TCB_VTABLE].cap == world.cap(VSPACE)
    buffer = thread.slots[TCB_BUFFER].cap
    assert isinstance(buffer, FrameCap) and buffer.asid == 0
    assert thread.buffer_address == 0x2_0200
    assert configure(0, CNODE, VSPACE, TCB) == 0
    assert thread.slots[TCB_BUFFER].cap is NULL
    world.check()


def test_set_space_and_buffer(world: World) -> None:
    cptr, thread = stopped(world)
    space = world.new_space()
    world.call(cptr, "TCBSetSpace", 5, 0, caps=(CNODE, space))
    assert refused(world, TRUNCATED)
    world.call(cptr, "TCBSetSpace", 5, 0, 0, caps=(CNODE,))
    assert refused(world, TRUNCATED)
    world.call(cptr, "TCBSetSpace", 5, 0, 0, caps=(space, space))
    assert refused(world, ILLEGAL)
    assert world.call(cptr, "TCBSetSpace", 5, 0, 0, caps=(CNODE, space)) == 0
    assert thread.fault_handler == 5
    world.call(cptr, "TCBSetIPCBuffer", 0x1000)
    assert refused(world, TRUNCATED)
    world.call(cptr, "TCBSetIPCBuffer", 0x1000, caps=(ASID_POOL,))
    assert refused(world, ILLEGAL)
    frame = world.make("LargePage")
    assert world.call(cptr, "TCBSetIPCBuffer", 0x1_F200, caps=(frame,)) == 0
    cap = world.cap(frame)
    words = world.buffer(thread)
    words[5] = 0x1234
    # The kernel takes the offset within the frame, whatever is mapped where.
    assert world.memory.read_word(cap.address + 0xF200 + 20) == 0x1234
    assert world.call(cptr, "TCBSetIPCBuffer", 0, caps=(frame,)) == 0
    assert thread.slots[TCB_BUFFER].cap is NULL
    world.check()


@pytest.mark.parametrize(("rights", "received", "sent"), [(1, 4, 4), (2, 4, 6), (3, 6, 6)])
def test_buffer_rights(world: World, rights: int, received: int, sent: int) -> None:
    endpoint = world.make("Endpoint")
    thread = world.thread(start=False)
    frame = world.make("SmallPage")
    weak = world.copy(frame, rights)
    assert world.call(world.tcbs[1], "TCBSetIPCBuffer", 0x5000, caps=(weak,)) == 0
    world.call(world.tcbs[1], "TCBResume")
    world.recv(endpoint)
    world.send(endpoint, *range(6))
    assert thread.context.words[1] & 0x7F == received
    world.recv(endpoint)
    world.call(world.tcbs[1], "TCBSuspend")
    world.call(world.tcbs[1], "TCBResume")
    world.system_call("NBRecv", endpoint)
    world.send(endpoint, *range(6))
    assert world.runs(world.main)
    world.recv(endpoint)
    assert world.main.context.words[1] & 0x7F == sent


def test_replacing_ones_own_cspace(world: World) -> None:
    node = world.make("CapTable", 8)
    assert world.call(TCB, "TCBSetSpace", 0, 0, 0, caps=(node, VSPACE)) == 0
    assert world.main.slots[TCB_CTABLE].cap == world.cap(node)
    # The new root has a radix of eight and no guard: the pointer's top bits are what counts.
    effects = world.system_call("Call", 0, "CNodeDelete", (1, 32))
    assert effects.error == 2
    world.check()


def test_tls_and_flags(world: World) -> None:
    cptr, thread = stopped(world)
    world.call(cptr, "TCBSetTLSBase")
    assert refused(world, TRUNCATED)
    assert world.call(cptr, "TCBSetTLSBase", 0x1234) == 0
    assert thread.context.words[Slot.TPIDRURW] == 0x1234
    world.call(cptr, "TCBSetFlags", 0)
    assert refused(world, TRUNCATED)
    assert thread.context.words[Slot.FPEXC_EN] == 1
    assert world.call(cptr, "TCBSetFlags", 0, 0xFFFF_FFFF) == 0
    assert world.main.context.words[1:3].tolist() == [1, 1]
    assert thread.context.words[Slot.FPEXC_EN] == 0
    assert world.call(cptr, "TCBSetFlags", 1, 0) == 0
    assert world.main.context.words[1:3].tolist() == [1, 0]
    assert thread.context.words[Slot.FPEXC_EN] == 1


def test_suspended_between_system_calls_it_goes_on_where_it_was(world: World) -> None:
    notification = world.make("Notification")
    thread = world.thread(5)
    world.call(TCB, "TCBSetPriority", 3, caps=(TCB,))
    assert world.runs(thread)
    thread.context.words[15] = 0x1_0040
    world.recv(notification)
    assert world.runs(world.main)
    world.call(TCB, "TCBSetPriority", 20, caps=(TCB,))
    world.send(notification)
    assert thread.state == ThreadState.RUNNING
    world.call(world.tcbs[1], "TCBSuspend")
    world.call(world.tcbs[1], "TCBResume")
    # Its system call was done: it is not repeated.
    assert thread.context.words[30] == 0x1_0044
    world.check()
