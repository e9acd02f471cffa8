"""The UARTs: both directions and their interrupts, as the drivers of user level use them."""

from __future__ import annotations

from retrap.machine.devices.pl011 import RECEIVE_EMPTY, TRANSMIT_EMPTY, Pl011
from test_devices import Board


def test_the_pl011_sends_and_receives_in_order() -> None:
    uart = Board(Pl011, b"in")
    for byte in b"out":
        assert uart.read(0x18) & TRANSMIT_EMPTY
        uart.write(0, byte)
    assert uart.serial.sent == b"out"
    received = bytearray()
    while not uart.read(0x18) & RECEIVE_EMPTY:
        received.append(uart.read(0))
    assert received == b"in"
    assert uart.read(0) == 0
    assert [uart.read(0xFE0 + 4 * n) for n in range(4)] == [0x11, 0x10, 0x14, 0x00]
    uart.write(0x30, 0x301)
    assert uart.read(0x30) == 0x301


def test_the_pl011_interrupts_for_what_it_receives() -> None:
    uart = Board(Pl011, b"ab")
    assert uart.up == [] and uart.read(0x3C) == 0x10
    uart.write(0x38, 0x10)
    assert uart.up == [40] and uart.read(0x40) == 0x10
    uart.write(0x44, 0x10)
    assert uart.up == []  # acknowledged, though the byte is still there
    assert uart.read(0) == ord("a")
    assert uart.up == [40]
    assert uart.read(0) == ord("b")
    assert uart.up == [] and uart.read(0x18) & RECEIVE_EMPTY
    uart.serial.arrive(b"c")
    uart.bus.look(100)
    assert uart.up == [40]
    uart.write(0x38, 0)
    assert uart.up == []


def test_the_pl011_interrupts_for_what_it_has_sent() -> None:
    uart = Board(Pl011)
    uart.write(0x38, 0x20)
    assert uart.up == []
    uart.write(0, ord("x"))
    assert uart.up == [40]
    uart.write(0x44, 0x7FF)
    assert uart.up == []


def test_what_has_not_been_listened_to_is_not_lost() -> None:
    uart = Board(Pl011, bytes(range(40)))
    uart.write(0x30, 0)  # a driver sets the UART up
    assert uart.read(0x18) & RECEIVE_EMPTY
    uart.write(0x2C, 0x70)
    uart.write(0x38, 0x10)
    assert uart.up == []
    uart.write(0x30, 0x301)
    uart.bus.look(1)
    assert uart.up == [40] and uart.read(0x18) & 0x40
    assert [uart.read(0) for _ in range(40)] == list(range(40))
    assert uart.up == []
