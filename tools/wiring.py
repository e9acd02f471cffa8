"""Connects a boot plan's devices to a machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from retrap.kernel.boot import BootPlan
from retrap.machine.devices import MODELS, Bus, Model, PlainRegisters, Port, Serial
from retrap.machine.devices.generic_timer import GenericTimerModel


def connect(
    plan: BootPlan,
    bus: Bus,
    serial: Serial,
    models: Mapping[str, type[Model]],
    warn: Callable[[str], None],
) -> None:
    """Make every device of the plan and put it on the bus. `models`: the user's own, by the plan's name for them.

    The first serial port is the one that `serial` leads to; others hear nothing, and what they send is shown too.
    """
    clock = bus.clock
    clock.hz = plan.clock_hz
    open_line = True
    for region in plan.devices:
        kind = models.get(region.model) or MODELS.get(region.model, PlainRegisters)
        line = serial
        if kind.serial:
            line = serial if open_line else Serial(sent=serial.sent)
            open_line = False
        named = f"{region.name} at {region.base:#x}"
        port = Port(named, clock, line, region.base, region.size, _speaker(named, warn))
        model = bus.make(named, kind, port)
        bus.attach(named, model, region.base, region.size, _visible(plan, region.irqs))
    timer = plan.generic_timer
    if timer is not None:
        clock.counter_hz = timer.hz
        port = Port("generic timer", clock, serial)
        irqs = (timer.physical_irq, timer.virtual_irq)
        bus.attach_system("generic timer", GenericTimerModel(port), _visible(plan, irqs))


def _speaker(name: str, warn: Callable[[str], None]) -> Callable[[str], None]:
    def say(text: str) -> None:
        warn(f"device {name} {text}")

    return say


def _visible(plan: BootPlan, irqs: tuple[int, ...]) -> tuple[int, ...]:
    """The interrupts of a device as lines; those that the kernel keeps for itself lead nowhere."""
    return tuple(irq if irq not in plan.kernel_irqs and irq <= plan.max_irq else -1 for irq in irqs)
