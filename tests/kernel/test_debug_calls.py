"""System calls of debug builds, and what other builds make of them."""

from __future__ import annotations

import pytest
from kernel_driver import ASID_CONTROL, ASID_POOL, BUFFER, CNODE, DOMAIN, FREE, IRQ_CONTROL, TCB, UNTYPED, VSPACE
from retrap.kernel.effects import Outcome
from retrap.machine.context import Slot
from retrap.machine.traps import SVC
from threads_driver import World


@pytest.fixture
def world() -> World:
    return World()


def test_put_char(world: World) -> None:
    effects = world.system_call("DebugPutChar", 0x141)
    assert effects.console == b"A" and effects.outcome == Outcome.DONE
    assert effects.registers == []
    assert world.main.context.words[15] == 0x1_0000 + 4 * (world.time // 10)


@pytest.mark.parametrize(
    ("cptr", "number"),
    [(TCB, 12), (CNODE, 10), (VSPACE, 9), (IRQ_CONTROL, 14), (ASID_CONTROL, 11), (ASID_POOL, 5), (BUFFER, 1),
     (DOMAIN, 62), (UNTYPED, 2), (FREE + 900, 0), (0x5000, 0)],
)  # fmt: skip
def test_cap_identify(world: World, cptr: int, number: int) -> None:
    world.system_call("DebugCapIdentify", cptr)
    assert world.main.context.words[0] == number


def test_cap_identify_of_made_objects(world: World) -> None:
    for name, number in (("Endpoint", 4), ("Notification", 6), ("PageTable", 7), ("LargePage", 3)):
        world.system_call("DebugCapIdentify", world.make(name))
        assert world.main.context.words[0] == number


def name(world: World, text: bytes) -> None:
    words = world.buffer(world.main)
    padded = text + bytes(-len(text) % 4 or 4)
    for index in range(len(padded) // 4):
        words[1 + index] = int.from_bytes(padded[4 * index : 4 * index + 4], "little")


def test_name_thread(world: World) -> None:
    name(world, b"worker")
    effects = world.system_call("DebugNameThread", TCB)
    assert world.main.name == "worker"
    assert effects.reads == [(0, 1, [0x6B72_6F77, 0x7265])]
    world.thread(start=False)
    assert world.kernel.threads[1].name == "child of: 'worker'"


def test_what_nobody_watches_is_not_kept(world: World) -> None:
    name(world, b"worker")
    world.kernel.effects.watched = False
    before = list(world.kernel.effects.reads)
    for _ in range(2):
        effects = world.system_call("DebugNameThread", TCB)
        assert world.main.name == "worker" and effects.reads == before


def test_misnaming_kills_the_kernel(world: World) -> None:
    effects = world.system_call("DebugNameThread", CNODE)
    assert effects.outcome == Outcome.CRASHED
    assert world.kernel.crashed and world.kernel.halted


def test_a_name_without_an_end_kills_the_kernel(world: World) -> None:
    name(world, b"x" * 480)
    assert world.system_call("DebugNameThread", TCB).outcome == Outcome.CRASHED


def test_halt(world: World) -> None:
    effects = world.system_call("DebugHalt", 0)
    assert effects.outcome == Outcome.HALTED and world.kernel.halted


def test_dump_and_snapshot(world: World) -> None:
    world.thread(start=False)
    text = world.system_call("DebugDumpScheduler", 0).console.decode()
    assert "child of: 'rootserver'" in text and "rootserver" in text.splitlines()[-1]
    text = world.system_call("DebugSnapshot", 0).console.decode()
    assert 'thread 0xa0018200 "rootserver"' in text


@pytest.mark.parametrize("call", ["DebugPutChar", "DebugHalt", "DebugCapIdentify", "DebugNameThread"])
def test_release_builds_do_not_have_them(call: str) -> None:
    world = World(debug=False, printing=False)
    effects = world.system_call(call, 0)
    assert effects.outcome == Outcome.DEAD and effects.fault == "UnknownSyscall"


def test_printing_without_debug() -> None:
    world = World(debug=False, printing=True)
    assert world.system_call("DebugPutChar", 65).console == b"A"
    assert world.system_call("DebugDumpScheduler", 0).console == b""
    assert world.system_call("DebugHalt", 0).fault == "UnknownSyscall"


@pytest.mark.parametrize("call", ["BenchmarkNullSyscall", "DebugRun", "SetTLSBase"])
def test_calls_that_default_builds_lack(world: World, call: str) -> None:
    assert world.system_call(call, 0).fault == "UnknownSyscall"


def test_set_tls_base_where_built() -> None:
    world = World(set_tls_base_self=True, tls_register="tpidruro")
    world.system_call("SetTLSBase", 0x4567)
    assert world.main.context.words[Slot.TPIDRURO] == 0x4567


@pytest.mark.parametrize("number", [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FF00, 0xFFFF_FFF0])
def test_other_numbers_are_unknown(world: World, number: int) -> None:
    world.main.context.words[7] = number
    effects = world.enter(SVC)
    assert effects.fault == "UnknownSyscall" and effects.fault_words[-1] == number
