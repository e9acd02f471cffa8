"""Faults: what the handler is told, what its reply changes, and what happens without a handler."""

from __future__ import annotations

import pytest
from kernel_driver import CNODE
from retrap.kernel.effects import IDLE, Outcome
from retrap.kernel.structures import Tcb, ThreadState
from retrap.machine.context import Slot
from retrap.machine.traps import UNDEFINED, FaultStatus, Trap, TrapKind
from threads_driver import World

PC = 0x1_0000


@pytest.fixture
def world() -> World:
    return World()


def faulty(world: World) -> tuple[int, Tcb]:
    """A handler endpoint and a running thread whose faults go to it."""
    endpoint = world.make("Endpoint")
    badged = world.mint(endpoint, 0x99)
    thread = world.thread(handler=badged)
    assert world.runs(thread)
    return endpoint, thread


def registers(thread: Tcb) -> None:
    words = thread.context.words
    for number in range(15):
        words[number] = 0x100 + number
    words[Slot.PC] = PC


def handle(world: World, endpoint: int, length: int) -> list[int]:
    """The main thread receives the fault: its message."""
    assert world.runs(world.main)
    world.recv(endpoint)
    words = world.main.context.words
    assert words[1] & 0x7F == length
    return [*words[2 : 2 + min(4, length)], *world.buffer(world.main)[5 : 1 + length]]


def test_data_fault(world: World) -> None:
    endpoint, thread = faulty(world)
    registers(thread)
    effects = world.enter(Trap(TrapKind.DATA_ABORT, 0xDEAD_0000, FaultStatus.TRANSLATION_PAGE | FaultStatus.WRITE))
    assert effects.outcome == Outcome.FAULT and effects.fault == "VMFault"
    expected = [PC, 0xDEAD_0000, 0, 0x807]
    assert effects.fault_words == expected
    assert handle(world, endpoint, 4) == expected
    assert world.main.context.words[1] >> 12 == 5
    assert world.main.context.words[0] == 0x99
    world.reply(1, 2, 3, label=77)
    # Whatever the reply says, the instruction is repeated.
    assert world.runs(thread) and thread.context.words[Slot.PC] == PC
    assert thread.context.words[0] == 0x100
    world.check()


def test_code_fault(world: World) -> None:
    endpoint, thread = faulty(world)
    registers(thread)
    world.enter(Trap(TrapKind.PREFETCH_ABORT, PC, FaultStatus.TRANSLATION_SECTION))
    assert handle(world, endpoint, 4) == [PC, PC, 1, 5]


def test_unknown_system_call(world: World) -> None:
    endpoint, thread = faulty(world)
    registers(thread)
    thread.context.cpsr = 0xF000_0000
    thread.context.words[7] = 77
    effects = world.enter(Trap(TrapKind.SVC))
    assert effects.syscall == 77
    message = handle(world, endpoint, 13)
    assert message == [*range(0x100, 0x107), 77, PC, 0x10D, 0x10E, 0xF000_0050, 77]
    assert world.main.context.words[1] >> 12 == 2
    # The reply's words become registers; of the CPSR only the flags.
    world.reply(*range(8), PC + 4, 0x2000, 0x3000, 0x5000_003F)
    assert world.runs(thread)
    words = thread.context.words
    assert list(words[:8]) == list(range(8))
    assert words[Slot.PC] == PC + 4 and words[Slot.SP] == 0x2000 and words[Slot.LR] == 0x3000
    assert thread.context.cpsr == 0x5000_0000
    world.check()


def test_a_short_reply_leaves_the_other_registers(world: World) -> None:
    endpoint, thread = faulty(world)
    registers(thread)
    thread.context.words[7] = 77
    world.enter(Trap(TrapKind.SVC))
    handle(world, endpoint, 13)
    world.reply(1, 2)
    assert list(thread.context.words[:4]) == [1, 2, 0x102, 0x103]
    # It restarts at the system call.
    assert thread.context.words[Slot.PC] == PC


def test_reply_with_a_label_keeps_the_thread_stopped(world: World) -> None:
    endpoint, thread = faulty(world)
    thread.context.words[7] = 77
    world.enter(Trap(TrapKind.SVC))
    handle(world, endpoint, 13)
    world.reply(label=1)
    assert thread.state == ThreadState.INACTIVE and world.runs(world.main)
    assert thread.fault is None
    world.check()


@pytest.mark.parametrize(("thumb", "reported"), [(0, PC), (1, PC - 2)])
def test_undefined_instruction(world: World, thumb: int, reported: int) -> None:
    endpoint, thread = faulty(world)
    registers(thread)
    thread.context.words[Slot.THUMB] = thumb
    world.enter(UNDEFINED)
    message = handle(world, endpoint, 5)
    assert message == [reported, 0x10D, 0x50 | thumb << 5, 0, 0]
    assert world.main.context.words[1] >> 12 == 3
    world.reply(0x1_2343, 0x2000, 0)
    # The Thumb bit is lost with the CPSR, and the address is aligned for ARM state.
    assert world.runs(thread) and thread.context.words[Slot.PC] == 0x1_2340
    assert thread.context.words[Slot.THUMB] == 0


def test_capability_faults(world: World) -> None:
    endpoint, thread = faulty(world)
    registers(thread)
    effects = world.send(5000)
    assert effects.fault_words[:3] == [PC, 5000, 0]
    # The CSpace has 12 bits and no guard beyond: the guard does not match.
    message = handle(world, endpoint, 4 + 3)
    assert message == [PC, 5000, 0, 4, 32, 0, 20]
    assert world.main.context.words[1] >> 12 == 1
    world.reply()
    assert world.runs(thread) and thread.context.words[Slot.PC] == PC
    world.recv(CNODE)
    assert handle(world, endpoint, 5) == [PC, CNODE, 1, 2, 0]
    world.check()


def test_fault_in_the_receive_phase_after_a_reply(world: World) -> None:
    endpoint = world.make("Endpoint")
    thread = world.thread()
    world.recv(endpoint)
    world.ipc_call(endpoint)
    assert world.runs(thread)
    effects = world.reply_recv(4000, 1)
    assert effects.outcome == Outcome.DEAD
    assert world.runs(world.main) and world.main.context.words[2] == 1


@pytest.mark.parametrize("rights", [2, 1, 3])
def test_a_handler_needs_send_and_grant(world: World, rights: int) -> None:
    endpoint = world.make("Endpoint")
    weak = world.copy(endpoint, rights=rights)
    world.thread(handler=weak)
    effects = world.enter(UNDEFINED)
    assert effects.outcome == Outcome.DEAD
    assert "lacks the right" in effects.reason


@pytest.mark.parametrize("handler", [0, CNODE, 5000])
def test_without_a_handler_the_thread_dies(world: World, handler: int) -> None:
    thread = world.thread(handler=handler)
    effects = world.enter(Trap(TrapKind.DATA_ABORT, 0, 7))
    assert effects.outcome == Outcome.DEAD
    assert thread.state == ThreadState.INACTIVE
    assert world.kernel.died == [(1, effects.reason)]
    # Resumed, it repeats the instruction.
    assert world.call(world.tcbs[1], "TCBResume") == 0
    assert world.runs(thread) and thread.context.words[Slot.PC] == PC
    world.check()


def test_breakpoint_is_a_code_fault(world: World) -> None:
    endpoint, thread = faulty(world)
    registers(thread)
    world.enter(Trap(TrapKind.BREAKPOINT, PC, FaultStatus.DEBUG))
    assert handle(world, endpoint, 4) == [PC, PC, 1, 2]


def test_fault_message_without_a_buffer_is_cut(world: World) -> None:
    endpoint = world.make("Endpoint")
    handler = world.thread(buffer=False)
    world.recv(endpoint)
    world.call(1, "TCBSetSpace", endpoint, 0, 0, caps=(CNODE, 3))
    world.main.context.words[7] = 55
    world.enter(Trap(TrapKind.SVC))
    assert world.runs(handler)
    assert handler.context.words[1] == world.info(2, 4)
    world.recv(endpoint)
    assert world.kernel.current.number == IDLE
