"""Connects a boot plan's devices to a machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from retrap.kernel.boot import BootPlan
from retrap.machine.devices import MODELS, Bus, DeviceFailure, Model, PlainRegisters, Port, Serial
from retrap.machine.devices.generic_timer import GenericTimerModel
from retrap.machine.devices.performance_monitors import PerformanceMonitorsModel
from retrap.machine.memory import PAGE_SIZE
from retrap.tools.devices import foreign
from retrap.tools.errors import UsageError


def connect(
    plan: BootPlan,
    bus: Bus,
    serial: Serial,
    models: Mapping[str, type[Model]],
    warn: Callable[[str], None],
) -> None:
    """Make every device of the plan and put it on the bus. `models`: the user's own, by the plan's name for them.

    The first serial port is the one that `serial` leads to; others hear nothing, and what they send is shown too.
    Raises `UsageError` for a model of the user's that is not among `models`, or cannot be made.
    """
    for name in foreign(plan):
        if name not in models:
            raise UsageError(f"the run had a device of its user's own: to load its class, say --device {name}")
    try:
        _connect(plan, bus, serial, models, warn)
    except DeviceFailure as failure:
        raise UsageError(str(failure)) from failure


def _connect(
    plan: BootPlan,
    bus: Bus,
    serial: Serial,
    models: Mapping[str, type[Model]],
    warn: Callable[[str], None],
) -> None:
    clock = bus.clock
    clock.hz = plan.clock_hz
    serial.printed = True  # the boot loader has said something
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
    bus.memory.unknown = _unknown(bus, serial, warn)
    timer = plan.generic_timer
    if timer is not None:
        clock.counter_hz = timer.hz
        port = Port("generic timer", clock, serial)
        irqs = (timer.physical_irq, timer.virtual_irq)
        bus.attach_system("generic timer", GenericTimerModel(port), _visible(plan, irqs))
    monitors = plan.performance_monitors
    if monitors is not None and plan.options.export_pmu_user:
        port = Port("performance monitors", clock, serial)
        counting = plan.options.start_cycle_counter
        model = PerformanceMonitorsModel(port, monitors.version, monitors.identification, counting)
        bus.attach_monitors("performance monitors", model)


def _unknown(bus: Bus, serial: Serial, warn: Callable[[str], None]) -> Callable[[int], None]:
    """Puts plain registers on a page of device memory that nothing is known of, when it is first used."""

    def adopt(base: int) -> None:
        named = f"at {base:#x}"
        port = Port(named, bus.clock, serial, base, PAGE_SIZE, _speaker(named, warn))
        bus.attach(named, PlainRegisters(port), base, PAGE_SIZE)

    return adopt


def _speaker(name: str, warn: Callable[[str], None]) -> Callable[[str], None]:
    def say(text: str) -> None:
        warn(f"device {name} {text}")

    return say


def _visible(plan: BootPlan, irqs: tuple[int, ...]) -> tuple[int, ...]:
    """The interrupts of a device as lines; those that the kernel keeps for itself lead nowhere."""
    return tuple(irq if irq not in plan.kernel_irqs and irq <= plan.max_irq else -1 for irq in irqs)
