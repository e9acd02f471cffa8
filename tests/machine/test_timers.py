"""The timers: what they count, when they interrupt, how they are acknowledged. A cycle is so many instructions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.machine.access import SystemRegister
from retrap.machine.clock import NEVER
from retrap.machine.devices import Model
from retrap.machine.devices.a9_timers import A9Timers
from retrap.machine.devices.cadence_ttc import CadenceTtc
from retrap.machine.devices.clocks import ImxAnatop, ImxCcm, ZynqSlcr
from retrap.machine.devices.generic_timer import GenericTimerModel
from retrap.machine.devices.imx_epit import ImxEpit
from retrap.machine.devices.imx_gpt import ImxGpt
from retrap.machine.devices.pl031 import Pl031
from retrap.machine.devices.sp804 import Sp804
from test_devices import HZ, Board


def rises_at(board: Board, irq: int) -> int:
    """Move to the next event, at which the line goes up and not before."""
    due = board.bus.next_event
    assert due != NEVER and irq not in board.up
    board.run(due - 1)
    assert irq not in board.up
    board.run(due)
    assert irq in board.up
    return due


def after(start: int, cycles: int, hz: int) -> range:
    """The instructions after `start` at which so many cycles may have passed: rounding is within one cycle."""
    return range(start + (cycles - 1) * HZ // hz, start + -(-(cycles + 1) * HZ // hz) + 1)


# -- ARM generic timer -----------------------------------------------------------------------------------------


def test_the_generic_timer_compares_with_its_counter() -> None:
    timer = Board(GenericTimerModel)
    timer.clock.counter_hz = 62_500_000  # a cycle is 1.6 instructions
    timer.write(SystemRegister.CNTP_CVAL, 1000, 8)
    timer.write(SystemRegister.CNTP_CTL, 1, 8)
    assert timer.read(SystemRegister.CNTP_CTL, 8) == 1
    assert rises_at(timer, 40) == 1600
    assert timer.read(SystemRegister.CNTP_CTL, 8) == 5
    timer.write(SystemRegister.CNTP_CTL, 3, 8)
    assert timer.up == [] and timer.read(SystemRegister.CNTP_CTL, 8) == 7
    timer.write(SystemRegister.CNTP_TVAL, 100, 8)
    assert timer.read(SystemRegister.CNTP_CVAL, 8) == 1100
    assert timer.read(SystemRegister.CNTP_TVAL, 8) == 100
    timer.write(SystemRegister.CNTP_CTL, 1, 8)
    assert rises_at(timer, 40) == 1760
    timer.write(SystemRegister.CNTP_CVAL, (1 << 64) - 1, 8)
    assert timer.up == [] and timer.bus.next_event == NEVER
    timer.write(SystemRegister.CNTP_TVAL, 0xFFFFFFFF, 8)  # one cycle ago
    assert timer.up == [40]


def test_the_virtual_timer_is_another_line() -> None:
    timer = Board(GenericTimerModel)
    timer.clock.counter_hz = HZ
    timer.write(SystemRegister.CNTV_TVAL, 50, 8)
    timer.write(SystemRegister.CNTV_CTL, 1, 8)
    timer.write(SystemRegister.CNTP_TVAL, 70, 8)
    timer.write(SystemRegister.CNTP_CTL, 1, 8)
    assert rises_at(timer, 41) == 50
    assert rises_at(timer, 40) == 70
    assert timer.up == [40, 41]


# -- i.MX GPT and EPIT -----------------------------------------------------------------------------------------


def gpt(control: int, **registers: int) -> Board:
    timer = Board(ImxGpt)
    timer.write(0, 1 << 15)
    for name, value in registers.items():
        timer.write({"pr": 4, "ir": 0xC, "ocr1": 0x10, "ocr2": 0x14}[name], value)
    timer.write(0, control)
    return timer


def test_the_gpt_counts_freely_and_rolls_over() -> None:
    timer = gpt(0x243, pr=65, ir=0x20)  # ipg_clk 66 MHz / 66, free-running
    timer.run_ns(3_000_000)
    assert timer.read(0x24) == 3000
    due = rises_at(timer, 40)
    assert due in after(0, 1 << 32, 1_000_000)
    assert timer.read(8) & 0x20 and timer.read(0x24) == 0
    timer.write(8, 0x3F)
    assert timer.up == [] and timer.read(8) == 0


def test_the_gpt_restarts_at_its_first_comparison() -> None:
    timer = gpt(0x41, pr=65, ir=1, ocr1=1000, ocr2=400)
    first = rises_at(timer, 40)
    assert first in after(0, 1000, 1_000_000)
    assert timer.read(8) == 3 and timer.read(0x24) == 0  # it has met OCR2 on its way
    timer.write(8, 1)
    assert timer.up == []
    assert rises_at(timer, 40) in after(first, 1000, 1_000_000)
    timer.write(0xC, 2)
    assert timer.up == [40]
    timer.write(8, 3)
    assert rises_at(timer, 40) in after(first, 1400, 1_000_000)


def test_the_gpt_stops_and_resets() -> None:
    timer = gpt(0x243, pr=65)
    timer.run_ns(5_000)
    timer.write(0, 0x240)
    timer.run_ns(5_000)
    assert timer.read(0x24) == 5
    timer.write(0, 0x241)  # ENMOD = 0: goes on
    timer.run_ns(2_000)
    assert timer.read(0x24) == 7
    timer.write(0, 1 << 15 | 0x241)
    assert timer.read(4) == 0 and timer.read(0x10) == 0xFFFFFFFF and not timer.read(0) & 1 << 15


def test_the_epit_times_as_its_driver_asks() -> None:
    timer = Board(ImxEpit)
    timer.write(0, 1 << 16)
    assert timer.read(8) == 0xFFFFFFFF
    control = 1 << 24 | 65 << 4 | 1 << 17 | 4 | 2 | 1
    timer.write(0, control)
    timer.write(8, 2000)  # one shot: from 2000 down to CMPR = 0, at 1 MHz
    assert timer.read(0x10) == 2000
    first = rises_at(timer, 40)
    assert first in after(0, 2000, 1_000_000) and timer.read(4) == 1
    timer.write(4, 1)
    assert timer.up == [] and timer.read(4) == 0
    timer.write(0, control | 8)
    timer.write(8, 500)
    start = timer.clock.now
    second = rises_at(timer, 40)
    assert second in after(start, 500, 1_000_000)
    timer.write(4, 1)
    assert rises_at(timer, 40) in after(second, 501, 1_000_000)
    timer.write(0, 0)
    timer.write(4, 1)
    assert timer.bus.next_event == NEVER


def test_the_epit_goes_round_many_times_unseen() -> None:
    timer = Board(ImxEpit)
    timer.write(0, 1 << 24 | 65 << 4 | 1 << 17 | 8 | 2 | 1)
    timer.write(8, 9)
    timer.run_ns(1_234_500_000)
    assert timer.read(0x10) == 9 - 1_234_500 % 10
    assert timer.read(4) == 1


# -- Cadence TTC -----------------------------------------------------------------------------------------------


TTC_HZ = 111_110_000


def test_a_ttc_interval_is_periodic_and_read_to_clear() -> None:
    timer = Board(CadenceTtc)
    timer.write(0x04, 1 | 3 << 1)  # counter 2: / 16
    timer.write(0x28, 999)
    timer.write(0x64, 1)
    assert timer.bus.next_event == NEVER  # stopped after reset
    timer.write(0x10, 0x22 | 0x10)
    first = rises_at(timer, 41)
    assert first in after(0, 1000, TTC_HZ // 16)
    assert timer.read(0x58) == 1 and timer.read(0x58) == 0 and timer.up == []
    assert rises_at(timer, 41) in after(first, 1000, TTC_HZ // 16)


def test_a_ttc_overflows_at_16_bits_and_matches() -> None:
    timer = Board(CadenceTtc)
    timer.write(0x30, 500)
    timer.write(0x60, 0x12)
    timer.write(0x0C, 0x28 | 0x10)
    assert rises_at(timer, 40) in after(0, 500, TTC_HZ)
    assert timer.read(0x54) == 2
    assert rises_at(timer, 40) in after(0, 65536, TTC_HZ)
    assert timer.read(0x54) == 0x1C  # matches 2 and 3 are at 0


def test_a_ttc_counts_down() -> None:
    timer = Board(CadenceTtc)
    timer.write(0x24, 99)
    timer.write(0x0C, 0x26 | 0x10)
    timer.run(91)  # 101.1 cycles
    assert timer.read(0x18) == 99


# -- the others ------------------------------------------------------------------------------------------------


def test_the_private_timer_reloads() -> None:
    timer = Board(A9Timers)
    timer.write(0x600, 999)
    timer.write(0x608, 7)
    first = rises_at(timer, 41)
    assert first in after(0, 1000, 333_333_333)
    assert timer.read(0x60C) == 1
    timer.write(0x60C, 1)
    assert timer.up == []
    assert rises_at(timer, 41) in after(first, 1000, 333_333_333)


def test_the_private_timer_stops_after_one_shot() -> None:
    timer = Board(A9Timers)
    timer.write(0x608, 5)
    timer.write(0x600, 100)
    assert rises_at(timer, 41) in after(0, 100, 333_333_333)
    timer.write(0x60C, 1)
    timer.run_ns(1_000_000)
    assert timer.up == [] and timer.read(0x604) == 0 and timer.bus.next_event == NEVER


def test_the_global_timer_compares_and_increments() -> None:
    timer = Board(A9Timers)
    timer.write(0x210, 3000)
    timer.write(0x218, 1000)
    timer.write(0x208, 0xF)
    first = rises_at(timer, 40)
    assert first in after(0, 3000, 333_333_333)
    assert 3000 <= timer.read(0x200) <= 3004 and timer.read(0x204) == 0
    timer.write(0x20C, 1)
    assert rises_at(timer, 40) in after(0, 4000, 333_333_333)


@pytest.mark.parametrize("base", [0, 0x20])
def test_the_sp804_counts_down_and_starts_again(base: int) -> None:
    timer = Board(Sp804)
    timer.write(base, 1000)
    timer.write(base + 8, 0xE2)  # periodic, 32 bits
    line = 41 + base // 0x20
    first = rises_at(timer, line)
    assert first == 100_000 and timer.up == [40, line]
    assert timer.read(base + 0x14) == 1
    timer.write(base + 0xC, 1)
    assert timer.up == []
    assert rises_at(timer, line) == first + 100_100  # 1000, 999 … 0
    timer.write(base + 8, 0xE3)
    timer.write(base + 0xC, 0)
    timer.write(base, 5)
    rises_at(timer, line)
    timer.write(base + 0xC, 0)
    assert timer.bus.next_event == NEVER and timer.read(base + 4) == 0


def test_the_real_time_clock_counts_seconds() -> None:
    clock = Board(Pl031)
    clock.run_ns(3_500_000_000)
    assert clock.read(0) == 3
    clock.write(8, 1000)
    clock.write(4, 1002)
    clock.write(0x10, 1)
    assert rises_at(clock, 40) in range(5 * HZ, 6 * HZ)
    assert clock.read(0x18) == 1
    clock.write(0x1C, 1)
    assert clock.up == []


@pytest.mark.parametrize("kind", [ImxAnatop, ImxCcm, ZynqSlcr])
def test_clock_registers_start_as_firmware_leaves_them(kind: type[Model]) -> None:
    board = Board(kind)
    values = kind.VALUES  # type: ignore[attr-defined]
    assert all(board.read(offset) == value for offset, value in values.items())


def test_anatop_registers_have_set_clear_and_toggle() -> None:
    board = Board(ImxAnatop)
    board.write(0x34, 0x10)
    board.write(0x38, 0x01)
    board.write(0x3C, 0xFF00)
    assert board.read(0x30) == (0x80002001 | 0x10) & ~1 ^ 0xFF00


# -- whatever is done to them ----------------------------------------------------------------------------------


TIMERS = (ImxGpt, ImxEpit, CadenceTtc, A9Timers, Sp804, Pl031)
steps = st.lists(
    st.tuples(
        st.integers(0, 33) | st.integers(0x80, 0x87) | st.integers(0x180, 0x187),
        st.none() | st.integers(0, 0x3F) | st.integers(0, 0xFFFFFFFF),
        st.integers(0, 3000),
    ),
    max_size=20,
)


@pytest.mark.parametrize("kind", TIMERS)
@given(steps=steps)
@settings(max_examples=60, deadline=None)
def test_events_come_when_promised(kind: type[Model], steps: list[tuple[int, int | None, int]]) -> None:
    """A line goes up only at a time that the device has announced, however it is programmed."""
    board = Board(kind)
    for index, value, pause in steps:
        if value is None:
            board.read(4 * index)
        else:
            board.write(4 * index, value)
        end = board.clock.now + pause
        while board.bus.next_event <= end and pause:
            before, due = board.up, board.bus.next_event
            board.clock.now = due - 1
            board.bus.look(due - 1)
            assert board.up == before
            board.run(due)
        board.run(end)
