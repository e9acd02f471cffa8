"""The run loop: one root task from boot to its end, on a CPU, with whoever wants to watch.

Time is retired instructions. A timer tick enters the kernel at exact multiples of the tick length; limits stop
the machine between instructions, without entering the kernel. Nothing here depends on the host's clock, so the
same plan gives the same sequence of traps on every backend.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, final

from retrap.kernel.boot import BootPlan
from retrap.kernel.effects import IDLE, Effects
from retrap.kernel.engine import Kernel
from retrap.machine.context import Context, ContextArena
from retrap.machine.cpu import Cpu
from retrap.machine.devices import Serial, make
from retrap.machine.memory import PhysicalMemory
from retrap.machine.traps import INTERRUPT, TrapKind
from retrap.tools.errors import EngineBug


class End(StrEnum):
    """Why a run ended."""

    HALTED = "halted"  # the guest asked the (debug) kernel to halt
    QUIESCENT = "quiescent"  # no thread can ever run again
    DIED = "died"  # quiescent, and at least one thread was stopped by a fault that nobody handles
    CRASHED = "crashed"  # the modelled kernel itself would have stopped the system
    LIMIT = "limit"  # --max-instructions
    INTERRUPTED = "interrupted"  # Ctrl-C


class Watcher(Protocol):
    """Sees every kernel entry: `before` with the trapping thread's registers, `after` with what the kernel did."""

    def before(self, context: Context) -> None: ...

    def after(self, effects: Effects) -> None: ...


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What a run came to. `instructions` are retired user instructions; `virtual_time_ns` follows from them."""

    end: End
    instructions: int
    traps: int
    virtual_time_ns: int
    state_digest: str
    deaths: tuple[str, ...] = field(default=())


@final
class Session:
    """A booted system: memory, CPU and kernel, ready to run."""

    def __init__(self, plan: BootPlan, backend: str = "auto", check: str = "off", cache: bool = True) -> None:
        """Raises `retrap.machine.cpu.BackendUnavailable` for a backend that this installation lacks."""
        self.plan: Final = plan
        self.memory: Final = PhysicalMemory(plan.ram)
        self.kernel: Final = Kernel(plan, self.memory, ContextArena())
        self.cpu: Final = Cpu(self.memory, backend, cache)
        self.serial: Final = Serial(plan.serial_input)
        for device in plan.devices:
            self.memory.attach(make(device.model, self.serial), device.base, device.size)
        self.check: Final = check
        self.traps = 0
        self.interrupted = False
        self.tick: Final = max(1, plan.clock_hz * plan.options.timer_tick_ms // 1000)

    def run(
        self,
        watchers: tuple[Watcher, ...] = (),
        console: Callable[[bytes], None] | None = None,
        max_instructions: int | None = None,
    ) -> SessionResult:
        """Run until the guest halts, dies, is quiescent, or `max_instructions` are retired."""
        with self._interruptible():
            end = self._loop(watchers, console, max_instructions)
        kernel = self.kernel
        deaths = tuple(f"{_name(kernel, number)} died: {text}" for number, text in kernel.died)
        if end is End.QUIESCENT and deaths:
            end = End.DIED
        now = self.cpu.retired
        return SessionResult(
            end=end,
            instructions=now,
            traps=self.traps,
            virtual_time_ns=now * 1_000_000_000 // self.plan.clock_hz,
            state_digest=kernel.digest().hex(),
            deaths=deaths,
        )

    def _loop(
        self, watchers: tuple[Watcher, ...], console: Callable[[bytes], None] | None, limit: int | None
    ) -> End:
        kernel, cpu, tick = self.kernel, self.cpu, self.tick
        effects = kernel.effects
        next_tick = (cpu.retired // tick + 1) * tick
        last = limit if limit is not None else 1 << 62
        interrupt = TrapKind.INTERRUPT
        sent = self.serial.sent
        while True:
            now = cpu.retired
            if self.interrupted:
                return End.INTERRUPTED
            if kernel.current.number == IDLE:
                if not kernel.waits_for_time():
                    return End.QUIESCENT
                # Nothing runs: time jumps to the next tick.
                if next_tick > last:
                    return End.LIMIT
                cpu.retired = now = next_tick
                trap = INTERRUPT
            else:
                if now >= last:
                    return End.LIMIT
                # A system call may retire exactly at the tick: then the interrupt is due before anything runs.
                budget = (next_tick if next_tick < last else last) - now
                trap = cpu.run(kernel.context, kernel.space, budget) if budget else INTERRUPT
                now = cpu.retired
            if trap.kind is interrupt:
                if now < next_tick:
                    continue  # the limit, or a backend that came back early
                next_tick += tick
            for watcher in watchers:
                watcher.before(kernel.context)
            kernel.enter(trap, now)
            self.traps += 1
            for watcher in watchers:
                watcher.after(effects)
            if effects.console and console is not None:
                console(bytes(effects.console))
            if sent:
                # What went through a UART comes out at the next kernel entry.
                if console is not None:
                    console(bytes(sent))
                sent.clear()
            if self.check != "off":
                self._verify()
            if kernel.crashed:
                return End.CRASHED
            if kernel.halted:
                return End.HALTED

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C stops the run between two kernel entries, so that a trace of it is whole; twice, at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: object) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _verify(self) -> None:
        broken = self.kernel.check(self.check)
        if broken:
            raise EngineBug(f"after trap {self.traps}: {broken[0]}")


def _name(kernel: Kernel, number: int) -> str:
    """A thread for people: its debug name, if it has one, and its number."""
    name = kernel.threads[number].name
    if not name.isprintable():
        name = ascii(name)
    return f"thread {number} ({name})" if name else f"thread {number}"
