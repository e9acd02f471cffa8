"""The performance monitors: what they count, to the instruction, and who may use them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrap.machine.access import SystemRegister
from retrap.machine.clock import NEVER
from retrap.machine.context import Counters, Slot
from retrap.machine.devices import Bus, Port, Serial
from retrap.machine.devices.performance_monitors import PerformanceMonitorsModel
from retrap.machine.memory import PhysicalMemory
from retrap.machine.traps import TrapKind
from test_cpu import CODE, NOP, SVC, Machine

A9, A15 = (1, 0x4109_3000), (2, 0x410F_3000)
CYCLES = 1 << 31
BOTH = Counters.MONITORS | Counters.MONITORS_2

# Register → (CRm, opc2) of its encoding in c9.
PLACES = {
    "PMCR": (12, 0), "PMCNTENSET": (12, 1), "PMCNTENCLR": (12, 2), "PMOVSR": (12, 3), "PMSWINC": (12, 4),
    "PMSELR": (12, 5), "PMCEID0": (12, 6), "PMCEID1": (12, 7), "PMCCNTR": (13, 0), "PMXEVTYPER": (13, 1),
    "PMXEVCNTR": (13, 2), "PMUSERENR": (14, 0), "PMINTENSET": (14, 1), "PMINTENCLR": (14, 2), "PMOVSSET": (14, 3),
}  # fmt: skip


def read(name: str, rt: int = 0) -> int:
    """MRC p15, 0, Rt, c9, …"""
    crm, opc2 = PLACES[name]
    return 0xEE19_0F10 | rt << 12 | opc2 << 5 | crm


def write(name: str, rt: int = 0) -> int:
    """MCR p15, 0, Rt, c9, …"""
    return read(name, rt) & ~(1 << 20)


class Unit:
    """The model alone, with a clock that the test sets."""

    def __init__(self, version: int = 2, identification: int = 0x410F_3000, counting: bool = False) -> None:
        bus = Bus(PhysicalMemory([(0x4000_0000, 0x1000)]))
        self.clock = bus.clock
        model = PerformanceMonitorsModel(Port("test", bus.clock, Serial()), version, identification, counting)
        bus.attach_monitors("test", model)
        device = bus.memory.monitors
        assert device is not None
        self.bus, self.device = bus, device

    def __getitem__(self, name: str) -> int:
        return self.device.read(getattr(SystemRegister, name), 8)

    def __setitem__(self, name: str, value: int) -> None:
        self.device.write(getattr(SystemRegister, name), 8, value)

    def event(self, number: int, kind: int) -> None:
        """Let an event counter count something, from 0 on."""
        self["PMSELR"] = number
        self["PMXEVTYPER"], self["PMXEVCNTR"], self["PMCNTENSET"] = kind, 0, 1 << number


def test_cycles_are_counted_while_both_enables_are_set() -> None:
    unit = Unit()
    unit.clock.now = 100
    assert unit["PMCCNTR"] == 0
    unit["PMCNTENSET"] = CYCLES
    unit.clock.now = 200
    assert unit["PMCCNTR"] == 0
    unit["PMCR"] = 1
    unit.clock.now = 210
    assert unit["PMCCNTR"] == 10
    unit["PMCNTENCLR"] = CYCLES
    unit.clock.now = 300
    assert unit["PMCCNTR"] == 10
    unit["PMCNTENSET"] = CYCLES
    unit.clock.now = 305
    unit["PMCR"] = 0
    unit.clock.now = 400
    assert unit["PMCCNTR"] == 15


def test_time_without_instructions_is_not_counted() -> None:
    unit = Unit(counting=True)
    unit.clock.now = 50
    assert unit["PMCCNTR"] == 50
    unit.clock.now, unit.clock.idle = 1_000_060, 1_000_000
    assert unit["PMCCNTR"] == 60


def test_a_kernel_with_benchmarks_has_started_the_cycle_counter() -> None:
    unit = Unit(counting=True)
    assert (unit["PMCR"], unit["PMCNTENSET"]) == (0x410F_3001, CYCLES)
    assert (Unit()["PMCR"], Unit()["PMCNTENSET"]) == (0x410F_3000, 0)


def test_the_divider_counts_every_64th_cycle() -> None:
    unit = Unit()
    unit["PMCNTENSET"], unit["PMCR"] = CYCLES, 1 | 1 << 3
    unit.event(0, 0x11)
    seen = []
    for unit.clock.now in range(1, 641):
        seen.append(unit["PMCCNTR"])
    assert seen[-1] == 10 and sorted(seen) == seen and set(seen) == set(range(11))
    assert unit["PMXEVCNTR"] == 640  # it divides nothing else


def test_pmcr_keeps_what_can_be_written_and_resets() -> None:
    unit = Unit()
    unit["PMCCNTR"] = 7
    unit.event(2, 0)
    unit["PMXEVCNTR"] = 9
    unit["PMCR"] = 0xFFFF_FFF9
    assert unit["PMCR"] == 0x410F_3039
    assert (unit["PMCCNTR"], unit["PMXEVCNTR"]) == (7, 9)
    unit["PMCR"] = 2
    assert (unit["PMCR"], unit["PMCCNTR"], unit["PMXEVCNTR"]) == (0x410F_3000, 7, 0)
    unit["PMXEVCNTR"] = 9
    unit["PMCR"] = 4
    assert (unit["PMCCNTR"], unit["PMXEVCNTR"]) == (0, 9)


def test_overflow_wraps_and_is_remembered() -> None:
    unit = Unit()
    unit["PMCCNTR"] = 0xFFFF_FFF0
    unit.event(3, 0x08)
    unit["PMXEVCNTR"] = 0xFFFF_FFFF
    unit["PMCNTENSET"], unit["PMCR"] = CYCLES, 1
    unit.clock.now = 15
    assert (unit["PMCCNTR"], unit["PMOVSR"]) == (0xFFFF_FFFF, 8)
    unit.clock.now = 16
    assert (unit["PMCCNTR"], unit["PMXEVCNTR"], unit["PMOVSR"]) == (0, 15, CYCLES | 8)
    unit["PMOVSR"] = 8
    assert unit["PMOVSR"] == unit["PMOVSSET"] == CYCLES
    unit["PMOVSSET"] = 0xFFFF_FFFF
    assert unit["PMOVSR"] == CYCLES | 0x3F
    unit.clock.now = 3 << 32  # many times round
    assert unit["PMCCNTR"] == (3 << 32) - 16 & 0xFFFF_FFFF
    assert unit.bus.next_event == NEVER and unit.bus.lines == 0


def test_software_increments() -> None:
    unit = Unit()
    unit.event(0, 0)
    unit.event(1, 0x08)
    unit.event(2, 0)
    unit["PMCNTENCLR"] = 4
    unit["PMSWINC"] = 7  # not enabled
    unit["PMCR"] = 1
    for value in (7, 1, 0xFFFF_FFFF, 2):
        unit["PMSWINC"] = value
    counts = []
    for unit["PMSELR"] in range(3):
        counts.append(unit["PMXEVCNTR"])
    assert counts == [3, 0, 0]
    unit["PMSELR"], unit["PMXEVCNTR"] = 0, 0xFFFF_FFFF
    unit["PMSWINC"] = 1
    assert (unit["PMXEVCNTR"], unit["PMOVSR"]) == (0, 1)


@pytest.mark.parametrize(("kind", "counted"), [(0x08, 10), (0x11, 10), (0x00, 0), (0x10, 0), (0xFF, 0)])
def test_events(kind: int, counted: int) -> None:
    unit = Unit()
    unit["PMCR"] = 1
    unit.event(5, kind)
    unit.clock.now = 10
    assert unit["PMXEVCNTR"] == counted
    assert bool(unit["PMCEID0"] >> kind & 1) == (kind in (0x00, 0x08, 0x11))


@pytest.mark.parametrize(("bits", "counted"), [(0, 10), (1 << 30, 0), (1 << 31, 10), (7 << 27, 10)])
def test_filters(bits: int, counted: int) -> None:
    for unit in (Unit(), Unit(*A9)):
        unit["PMCR"], unit["PMCNTENSET"] = 1, CYCLES
        unit.event(0, bits | 8)
        events = unit["PMXEVTYPER"]
        unit["PMSELR"] = 31
        unit["PMXEVTYPER"] = bits
        cycles = unit["PMXEVTYPER"]
        unit.clock.now = 10
        unit["PMSELR"] = 0
        if unit["PMCR"] >> 16 & 0xFF == 0x09:  # PMUv1 has no filters
            assert (events, cycles, unit["PMXEVCNTR"], unit["PMCCNTR"]) == (8, 0, 10, 10)
        else:
            assert (events, cycles, unit["PMXEVCNTR"], unit["PMCCNTR"]) == (bits | 8, bits, counted, counted)


def test_counters_that_are_not_there_read_as_zero() -> None:
    unit = Unit(2, 0x4107_2000)
    assert unit["PMCR"] == 0x4107_2000
    unit["PMCNTENSET"] = 0xFFFF_FFFF
    assert unit["PMCNTENSET"] == unit["PMCNTENCLR"] == CYCLES | 0xF
    for unit["PMSELR"] in (4, 5, 30, 31, 0xFFFF_FFFF):
        unit["PMXEVTYPER"], unit["PMXEVCNTR"] = 0xFF, 0x1234
        assert (unit["PMXEVTYPER"], unit["PMXEVCNTR"]) == (0, 0)
    assert unit["PMSELR"] == 31


@given(st.lists(st.tuples(st.sampled_from(sorted(PLACES)), st.integers(0, 0xFFFF_FFFF), st.integers(0, 200))))
def test_looking_changes_nothing(steps: list[tuple[str, int, int]]) -> None:
    one, two = Unit(), Unit()
    registers = [name for name in PLACES if hasattr(SystemRegister, name)]
    for name, value, time in steps:
        for unit in (one, two):
            unit.clock.now += time
            if name in registers:
                unit[name] = value
        for other in registers:
            two[other]
    assert [one[name] for name in registers] == [two[name] for name in registers]


# -- from user code ------------------------------------------------------------------------------------------


@pytest.fixture(params=["evaluate", "llvm"])
def machine(request: pytest.FixtureRequest) -> Machine:
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    made = Machine(request.param)
    bus = Bus(made.memory)
    bus.attach_monitors("test", PerformanceMonitorsModel(Port("test", bus.clock, Serial()), *A15))
    return made


@pytest.mark.parametrize("name", sorted(PLACES))
@pytest.mark.parametrize("thumb", [False, True])
def test_what_user_code_may_do(machine: Machine, name: str, thumb: bool) -> None:
    """Rows of the access table of C12, for both states of PMUSERENR.EN and both versions."""
    second = name in ("PMCEID0", "PMCEID1", "PMOVSSET")
    kernels = name in ("PMINTENSET", "PMINTENCLR")
    for counters in (0, 0x0F, Counters.MONITORS, BOTH):
        exported = bool(counters & (Counters.MONITORS_2 if second else Counters.MONITORS))
        readable = name == "PMUSERENR" or (exported and not kernels and name != "PMSWINC")
        writable = exported and not kernels and name not in ("PMUSERENR", "PMCEID0", "PMCEID1")
        for word, allowed in ((read(name), readable), (write(name), writable)):
            if thumb:
                machine.thumb(word >> 16, word & 0xFFFF, 0xDF00)
            else:
                machine.arm(word, SVC)
            machine.words[Slot.PC], machine.words[0] = CODE, 0
            machine.words[Slot.COUNTERS] = counters
            trap = machine.run()
            assert trap.kind is (TrapKind.SVC if allowed else TrapKind.UNDEFINED), (counters, hex(word))
            assert machine.words[Slot.PC] == CODE + (4 if allowed else 0)
        if name == "PMUSERENR":
            machine.words[Slot.PC] = CODE
            machine.thumb(read(name) >> 16, read(name) & 0xFFFF, 0xDF00) if thumb else machine.arm(read(name), SVC)
            machine.run()
            assert machine.words[0] == int(exported)


@pytest.mark.parametrize("name", ["PMCCNTR", "PMCR"])
def test_the_program_counter_is_no_operand(machine: Machine, name: str) -> None:
    machine.words[Slot.COUNTERS] = BOTH
    for word in (read(name, 15), write(name, 15)):
        machine.arm(word)
        assert machine.run().kind is TrapKind.UNDEFINED


def test_a_failed_condition_reads_nothing(machine: Machine) -> None:
    machine.words[Slot.COUNTERS], machine.words[0] = 0, 77
    machine.arm(read("PMCCNTR") & 0x0FFF_FFFF, SVC)  # mrceq
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[0] == 77


LOOP = 5_000


def test_a_loop_is_counted_to_the_instruction(machine: Machine) -> None:
    """Native code runs most of it; the counters are as exact as without."""
    machine.words[Slot.COUNTERS] = BOTH
    machine.words[0], machine.words[1], machine.words[2], machine.words[3] = 1, CYCLES | 1, 8, LOOP
    machine.arm(
        write("PMXEVTYPER", 2), write("PMCNTENSET", 1), write("PMCR", 0), read("PMCCNTR", 4),
        0xE2533001, 0x1AFFFFFD,  # subs r3, r3, #1; bne .-4
        read("PMCCNTR", 5), read("PMXEVCNTR", 6), SVC,
    )  # fmt: skip
    assert machine.run(3 * LOOP).kind is TrapKind.SVC
    # The instruction that enables the counters is the first that they count.
    assert machine.words[4:7].tolist() == [1, 2 + 2 * LOOP, 3 + 2 * LOOP]
    assert machine.cpu.retired == 2 * LOOP + 7


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 64])
def test_budgets_do_not_show(machine: Machine, budget: int) -> None:
    machine.words[Slot.COUNTERS] = BOTH
    machine.words[0], machine.words[1], machine.words[3] = 1, CYCLES, 40
    machine.arm(
        write("PMCNTENSET", 1), write("PMCR", 0),
        read("PMCCNTR", 4), NOP, 0xE0855004, 0xE2533001, 0x1AFFFFFA,  # add r5, r5, r4; subs; bne: sum of readings
        SVC,
    )  # fmt: skip
    while machine.run(budget).kind is TrapKind.INTERRUPT:
        pass
    assert machine.words[5] == sum(1 + 5 * turn for turn in range(40))
