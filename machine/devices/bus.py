"""All devices of a machine: puts them behind their pages, and knows when the next one acts and which lines are up.

The run loop asks for `next_event` and `pending`; `Clock.stop` tells the processor that one of them has changed.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.clock import NEVER
from retrap.machine.devices.model import DeviceFailure, Model, Port
from retrap.machine.memory import PhysicalMemory


@final
class _Attached:
    """One device as the processor reaches it. `irqs`: where its lines lead, -1 for nowhere; `lines`: the interrupt
    numbers that it holds up, as bits."""

    def __init__(self, bus: Bus, name: str, model: Model, irqs: tuple[int, ...]) -> None:
        self.bus: Final = bus
        self.name: Final = name
        self.model: Final = model
        self.irqs: Final = irqs
        self.lines = 0
        self.event = NEVER

    def read(self, offset: int, size: int) -> int:
        """See `machine.memory.Device`."""
        try:
            value = int(self.model.read(offset, size))
        except Exception as error:
            raise self.failed(error) from error
        self.look()
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """See `machine.memory.Device`."""
        try:
            self.model.write(offset, size, value)
        except Exception as error:
            raise self.failed(error) from error
        self.look()

    def act(self) -> None:
        """The time of `event` has come."""
        try:
            self.model.event()
        except Exception as error:
            raise self.failed(error) from error
        self.look()

    def look(self) -> None:
        """Ask the model for its lines and its next event; tell the bus what has changed."""
        try:
            wires, event = self.model.lines(), max(self.model.next_event(), 0)
        except Exception as error:
            raise self.failed(error) from error
        lines = 0
        if wires:
            for number, irq in enumerate(self.irqs):
                if wires >> number & 1 and irq >= 0:
                    lines |= 1 << irq
        if lines != self.lines or event != self.event:
            self.lines = lines
            self.event = event
            self.bus.changed()

    def failed(self, error: Exception) -> DeviceFailure:
        """The failure that an exception of the model's code is."""
        return _failure(self.name, type(self.model), error)


def _failure(name: str, kind: type[Model], error: Exception) -> DeviceFailure:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" ({place.tb_frame.f_code.co_filename}, line {place.tb_lineno})" if place is not None else ""
    text = " ".join(str(error).split())
    raised = f"raised {type(error).__name__}: {text}{where}"
    return DeviceFailure(name, f"{kind.__module__}.{kind.__qualname__} {raised}")


@final
class Bus:
    """The devices of one machine. Interrupt numbers are the kernel's, sets of them are integers with bits."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self.memory: Final = memory
        self.clock: Final = memory.clock
        self.clock.exact = False
        self.next_event = NEVER
        """When `serve` is due."""
        self.lines = 0
        """Lines that are up."""
        self.risen = 0
        """Lines that have gone up since they were last `taken`."""
        self.irqs = 0
        """All lines that there are."""
        self._devices: Final[list[_Attached]] = []

    def make(self, name: str, kind: type[Model], port: Port) -> Model:
        """A device of this kind. Raises `DeviceFailure` if its code does."""
        try:
            return kind(port)
        except Exception as error:
            raise _failure(name, kind, error) from error

    def attach(self, name: str, model: Model, base: int, size: int, irqs: tuple[int, ...] = ()) -> None:
        """Put a device at `[base, base + size)`, both page-aligned; `irqs` are the numbers of its lines, -1 for one
        that leads nowhere."""
        device = self._add(name, model, irqs)
        self.memory.attach(device, base, size)
        device.look()

    def attach_system(self, name: str, model: Model, irqs: tuple[int, ...]) -> None:
        """Make a device the generic timer behind coprocessor 15."""
        device = self._add(name, model, irqs)
        self.memory.system = device
        device.look()

    def attach_monitors(self, name: str, model: Model) -> None:
        """Make a device the performance monitors behind coprocessor 15. They have no line."""
        device = self._add(name, model, ())
        self.memory.monitors = device
        device.look()

    def _add(self, name: str, model: Model, irqs: tuple[int, ...]) -> _Attached:
        device = _Attached(self, name, model, irqs)
        self._devices.append(device)
        for irq in irqs:
            if irq >= 0:
                self.irqs |= 1 << irq
        return device

    def changed(self) -> None:
        """A device has other lines or another next event."""
        lines, event = 0, NEVER
        for device in self._devices:
            lines |= device.lines
            event = min(event, device.event)
        self.risen |= lines & ~self.lines
        if lines != self.lines or event != self.next_event:
            self.lines = lines
            self.next_event = event
            self.clock.stop = True

    def serve(self, time: int) -> None:
        """Let every device act whose time has come until `time`, in order of time and then of attachment."""
        clock = self.clock
        while self.next_event <= time:
            due = self.next_event
            clock.now = due
            for device in self._devices:
                if device.event <= due:
                    before = device.event
                    device.act()
                    if device.event <= before:
                        kind = type(device.model)
                        raise DeviceFailure(
                            device.name,
                            f"{kind.__module__}.{kind.__qualname__}: after event() at {due}, next_event() is "
                            f"{device.event}: not later",
                        )
        clock.now = time

    def look(self, time: int) -> None:
        """Something outside has changed at `time` (a byte has arrived): ask every device."""
        self.clock.now = time
        for device in self._devices:
            device.look()

    def pending(self, edges: int) -> int:
        """Interrupts that wait: lines that are up, and of those in `edges`, the ones that have risen."""
        return self.lines & ~edges | self.risen & edges

    def taken(self, irq: int) -> None:
        """The interrupt is delivered."""
        self.risen &= ~(1 << irq)
