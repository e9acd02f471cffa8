"""The UARTs: both directions and their interrupts, as the drivers of user level use them."""

from __future__ import annotations

from retrap.machine.devices.cadence_uart import CadenceUart
from retrap.machine.devices.imx_uart import ImxUart
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


def test_the_imx_uart_sends_and_receives() -> None:
    uart = Board(ImxUart, b"hi")
    uart.write(0x40, ord("x"))
    assert uart.serial.sent == b"x"
    assert uart.read(0x98) & 0x4009 == 0x4009  # TXFE, TXDC, RDR
    assert uart.read(0) == 0x8000 | ord("h")
    assert uart.read(0) == 0x8000 | ord("i")
    assert uart.read(0) == 0 and uart.read(0xB4) & 0x20 and not uart.read(0x98) & 1


def test_the_imx_uart_interrupts() -> None:
    uart = Board(ImxUart, b"h")
    uart.write(0x84, 0)  # software reset
    assert uart.read(0x84) == 1
    uart.write(0x84, 0x4027)
    assert uart.up == []
    uart.write(0x80, 0x201)  # RRDYEN
    assert uart.up == [40] and uart.read(0x94) & 0x200
    assert uart.read(0) & 0xFF == ord("h") and uart.up == []
    uart.serial.arrive(b"i")
    uart.bus.look(5)
    assert uart.up == [40]
    uart.write(0x80, 1)
    assert uart.up == []
    uart.write(0x8C, 1)  # DREN
    assert uart.up == [40]
    uart.read(0)
    for register, value in ((0x80, 0x2001), (0x80, 0x41), (0x8C, 8)):  # TRDYEN, TXMPTYEN, TCEN
        uart.write(register, value)
        assert uart.up == [40]
        uart.write(register, 0)
        assert uart.up == []


def test_the_cadence_uart_sends_and_receives() -> None:
    uart = Board(CadenceUart, b"hi")
    uart.write(0x30, ord("x"))
    assert uart.serial.sent == b"x"
    assert uart.read(0x2C) & 0xA == 0x8
    assert [uart.read(0x30), uart.read(0x30)] == [ord("h"), ord("i")]
    assert uart.read(0x2C) & 0xA == 0xA


def test_the_cadence_uart_interrupts_at_its_trigger() -> None:
    uart = Board(CadenceUart, b"hi")
    uart.write(0, 0x17)  # enabled, both FIFOs reset
    uart.write(0x20, 2)
    uart.write(0x0C, 0x1FFF)
    uart.write(0x14, 0x1FFF)
    uart.write(0x08, 1)
    assert uart.up == [40] and uart.read(0x14) & 1
    uart.read(0x30)
    assert uart.up == [40]  # latched
    uart.write(0x14, 1)
    assert uart.up == []
    uart.serial.arrive(b"!")
    uart.bus.look(9)
    assert uart.up == [40]
    uart.write(0x0C, 1)
    assert uart.up == [] and uart.read(0x10) == 0


def test_the_cadence_uart_times_out() -> None:
    uart = Board(CadenceUart, b"h")
    uart.write(0x1C, 10)
    uart.write(0x20, 32)
    uart.write(0x08, 0x100)
    assert uart.up == [] and uart.bus.next_event == 4 * 10 * 868
    uart.run(4 * 10 * 868)
    assert uart.up == [40]
    uart.read(0x30)
    uart.write(0x14, 0x100)
    assert uart.up == []
