"""Devices behind physical pages: plain registers, the UART, and how guest code reaches them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from retrap.machine.devices import Serial, make
from retrap.machine.devices.pl011 import RECEIVE_EMPTY, TRANSMIT_EMPTY, Pl011
from retrap.machine.devices.registers import RegisterFile


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


def test_the_uart_sends_and_receives_in_order() -> None:
    serial = Serial(b"in")
    uart = Pl011(serial)
    for byte in b"out":
        assert uart.read(0x18, 4) & TRANSMIT_EMPTY
        uart.write(0, 4, byte)
    assert serial.sent == b"out"
    received = bytearray()
    while not uart.read(0x18, 4) & RECEIVE_EMPTY:
        received.append(uart.read(0, 4))
    assert received == b"in"
    assert uart.read(0, 4) == 0
    assert [uart.read(0xFE0 + 4 * n, 4) for n in range(4)] == [0x11, 0x10, 0x14, 0x00]
    uart.write(0x30, 4, 0x301)
    assert uart.read(0x30, 4) == 0x301


def test_devices_are_made_by_name() -> None:
    assert isinstance(make("pl011", Serial()), Pl011)
    assert isinstance(make("", Serial()), RegisterFile)
    assert isinstance(make("pl031", Serial()), RegisterFile)
