"""Devices behind physical pages: how they are reached, when they act, which interrupts they raise."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from retrap.machine.clock import NEVER
from retrap.machine.devices import MODELS, Bus, DeviceFailure, Model, PlainRegisters, Port, Serial, Timer
from retrap.machine.devices.registers import RegisterFile
from retrap.machine.memory import PhysicalMemory

HZ = 100_000_000


class Board:
    """A bus with one device of a kind, and a clock that the test moves."""

    def __init__(self, kind: type[Model], arriving: bytes = b"", irqs: tuple[int, ...] = (40, 41, 42)) -> None:
        self.memory = PhysicalMemory([(0x4000_0000, 0x1000)])
        self.bus = Bus(self.memory)
        self.clock = self.bus.clock
        self.clock.hz = HZ
        self.serial = Serial(arriving)
        self.warnings: list[str] = []
        port = Port("test", self.clock, self.serial, 0x1000_0000, 0x4000, self.warnings.append)
        self.model = self.bus.make("test", kind, port)
        self.bus.attach("test", self.model, 0x1000_0000, 0x4000, irqs)
        self.device, _ = self.memory.devices[0x10000]

    def read(self, offset: int, size: int = 4) -> int:
        return self.device.read(offset, size)

    def write(self, offset: int, value: int, size: int = 4) -> None:
        self.device.write(offset, size, value)

    def run(self, until: int) -> None:
        """Time passes."""
        self.bus.serve(until)

    def run_ns(self, nanoseconds: int) -> None:
        self.run(self.clock.now + nanoseconds * HZ // 1_000_000_000)

    @property
    def up(self) -> list[int]:
        """Interrupt numbers of the lines that are up."""
        return [n for n in range(160) if self.bus.lines >> n & 1]


@given(st.lists(st.tuples(st.integers(0, 15), st.sampled_from([1, 2, 4]), st.integers(0, 0xFFFFFFFF))))
def test_plain_registers_are_memory(writes: list[tuple[int, int, int]]) -> None:
    device, model = RegisterFile(), bytearray(64)
    for index, size, value in writes:
        offset = index * size % 64
        device.write(offset, size, value)
        model[offset : offset + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    for offset in range(0, 64, 4):
        assert device.read(offset, 4) == int.from_bytes(model[offset : offset + 4], "little")
        assert device.read(offset + 1, 1) == model[offset + 1]


def test_a_device_without_model_warns_once() -> None:
    board = Board(PlainRegisters)
    assert not board.warnings
    board.write(8, 5)
    assert board.read(8) == 5
    assert board.warnings == ["has no model: its registers keep what is written to them, and nothing happens"]


def test_models_have_names() -> None:
    assert MODELS[""] is PlainRegisters
    assert all(issubclass(kind, Model) for kind in MODELS.values())


class Alarm(Model):
    """Offset 0: in how many instructions line 1 is to go up. Offset 4: put it down."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self.due = NEVER
        self.up = False

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == 0:
            self.due = self.port.now + value
        elif offset == 4:
            self.up = False
        else:
            raise ValueError(f"there is nothing at {offset:#x}")

    def lines(self) -> int:
        return 2 if self.up else 0

    def next_event(self) -> int:
        return self.due

    def event(self) -> None:
        self.up = True
        self.due = NEVER


def test_a_device_acts_at_its_time() -> None:
    board = Board(Alarm)
    assert board.bus.next_event == NEVER
    board.clock.now, board.clock.stop = 1000, False
    board.write(0, 50)
    assert board.clock.stop and board.bus.next_event == 1050
    board.run(1049)
    assert board.up == []
    board.run(1060)
    assert board.up == [41] and board.bus.next_event == NEVER and board.clock.now == 1060
    assert board.bus.pending(0) == board.bus.pending(1 << 41) == 1 << 41
    board.bus.taken(41)
    # A level stays, an edge is over.
    assert board.bus.pending(0) == 1 << 41 and board.bus.pending(1 << 41) == 0
    board.write(4, 0)
    assert board.bus.pending(0) == 0


def test_a_line_that_leads_nowhere_raises_nothing() -> None:
    board = Board(Alarm, irqs=(40, -1))
    board.write(0, 5)
    board.run(10)
    assert board.up == [] and board.bus.irqs == 1 << 40


def test_what_a_device_raises_names_it() -> None:
    board = Board(Alarm)
    told = r"device test: .*test_devices\.Alarm raised ValueError: there is nothing"
    with pytest.raises(DeviceFailure, match=told):
        board.write(8, 0)


class Stuck(Model):
    """Its event never gets anywhere."""

    def next_event(self) -> int:
        return 5


class Unmade(Model):
    def __init__(self, port: Port) -> None:
        raise KeyError("no")


def test_a_device_that_does_not_move_on_is_a_failure() -> None:
    board = Board(Stuck)
    with pytest.raises(DeviceFailure, match=r"after event\(\) at 5, next_event\(\) is 5: not later"):
        board.run(10)
    with pytest.raises(DeviceFailure, match="Unmade raised KeyError"):
        Board(Unmade)


@given(st.integers(1, 200_000_000), st.integers(1, 10**9), st.integers(0, 10**12))
def test_times_and_cycles_agree(hz: int, clock_hz: int, cycle: int) -> None:
    board = Board(PlainRegisters)
    board.clock.hz = clock_hz
    port = board.model.port
    time = port.time_of(cycle, hz)
    assume(time < NEVER)
    board.clock.now = time
    assert port.cycles(hz) >= cycle
    if time:
        board.clock.now = time - 1
        assert port.cycles(hz) < cycle


def test_a_timer_counts_stops_and_changes_its_pace() -> None:
    board = Board(PlainRegisters)
    timer = Timer(board.model.port, 1_000_000)  # a cycle is 100 instructions
    assert timer.value == 0 and not timer.running and timer.time_of(5) == NEVER
    timer.run(True)
    assert timer.time_of(5) == 500
    board.clock.now = 250
    assert timer.value == 2
    timer.set(10)
    assert timer.time_of(11) == 300
    board.clock.now = 1000
    assert timer.value == 18
    timer.run(True, 2_000_000)
    board.clock.now = 2000
    assert timer.value == 38
    timer.run(False)
    board.clock.now = 9000
    assert timer.value == 38
