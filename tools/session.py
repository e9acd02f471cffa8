"""The run loop: one root task from boot to its end, on a CPU, with whoever wants to watch.

Time is retired instructions. A timer tick enters the kernel at exact multiples of the tick length, a device acts
at the exact time that it has said; limits stop the machine between instructions, without entering the kernel.
Nothing here depends on the host's clock, so the same plan gives the same sequence of traps on every backend.

An interrupt that is not masked is taken before the next instruction, each with a kernel entry of its own: the
timer's first, then devices' by number. A line that is still up when the handler acknowledges it is taken again.
What a terminal sends is looked at when the timer ticks and when nothing runs, and is part of the trace.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, final

from retrap.kernel.boot import BootPlan
from retrap.kernel.effects import Effects
from retrap.kernel.engine import Kernel
from retrap.kernel.state import Change
from retrap.machine.clock import NEVER
from retrap.machine.context import Context, ContextArena
from retrap.machine.cpu import Cpu
from retrap.machine.devices import Bus, DeviceFailure, Model, Serial
from retrap.machine.log import InstructionLog
from retrap.machine.memory import PhysicalMemory
from retrap.machine.traps import INTERRUPT, SVC, Trap, TrapKind
from retrap.tools.errors import EngineBug
from retrap.tools.relaying import Relaying
from retrap.tools.wiring import connect
from retrap.traces.writer import Recorder

WORK: Final = 10_000
"""What the kernel needs from one preemption point to the next, in instructions: about a hundred a unit of work."""


PRINTED: Final = 1 << 10
"""The console is given that many bytes at once, or a line."""
NEWLINE: Final = 0x0A

DELIVERY: Final = Trap(TrapKind.INTERRUPT)
"""For a device's interrupt: no time has come."""


class End(StrEnum):
    """Why a run ended."""

    HALTED = "halted"  # the guest asked the (debug) kernel to halt
    QUIESCENT = "quiescent"  # no thread can ever run again
    DIED = "died"  # quiescent, and at least one thread was stopped by a fault that nobody handles
    CRASHED = "crashed"  # the modelled kernel itself would have stopped the system
    LIMIT = "limit"  # --max-instructions
    INTERRUPTED = "interrupted"  # Ctrl-C
    DEVICE_FAILED = "device-failed"  # the code of a device raised an exception


class Watcher(Protocol):
    """Sees every kernel entry: `before` with the trapping thread's registers, `after` with what the kernel did.

    Before that: `interrupt` for a device's interrupt that it is for (or, followed by `worked`, that came at one of
    the entry's preemption points), `arrived` for serial input that came in at a
    time, `warned` for what devices had to say.
    """

    def interrupt(self, irq: int) -> None: ...

    def worked(self, checks: int) -> None: ...

    def arrived(self, data: bytes, time: int) -> None: ...

    def warned(self, text: str) -> None: ...

    def before(self, context: Context) -> None: ...

    def after(self, effects: Effects) -> None: ...


class Source(Protocol):
    """Where serial input comes from while a system runs. `number` is that of the kernel entry to come."""

    def poll(self, number: int, time: int) -> bytes:
        """What has arrived; nothing is waited for."""

    def wait(self, number: int, time: int) -> bool | None:
        """Nothing runs: wait. True: something may have arrived; False: nothing ever will; None: stopped."""


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What a run came to. `instructions` is the clock, `idle` how much of it passed while nothing ran: the rest are
    retired user instructions. `virtual_time_ns` follows from the clock."""

    end: End
    instructions: int
    traps: int
    virtual_time_ns: int
    state_digest: str
    deaths: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())
    failure: str = ""  # of a device
    idle: int = 0


@final
class Session:
    """A booted system: memory, CPU and kernel, ready to run."""

    def __init__(
        self,
        plan: BootPlan,
        backend: str = "auto",
        check: str = "off",
        cache: bool = True,
        models: Mapping[str, type[Model]] | None = None,
        source: Source | None = None,
        warn: Callable[[str], None] | None = None,
        log: InstructionLog | None = None,
    ) -> None:
        """`cache`: see `machine.cpu.make_backend`. `models`: devices of the user's own, by the name that the plan
        gives them. `source`: serial input besides that of the plan. `warn` hears of what devices do not do.
        `log` gets the address of every instruction that retires.

        Raises `retrap.machine.cpu.BackendUnavailable` for a backend that this installation lacks.
        """
        self.plan: Final = plan
        self.memory: Final = PhysicalMemory(plan.ram)
        self.kernel: Final = Kernel(plan, self.memory, ContextArena())
        self.cpu: Final = Cpu(self.memory, backend, cache, log)
        self.serial: Final = Serial(plan.serial_input)
        self.bus: Final = Bus(self.memory)
        self.source: Final = source
        self.check: Final = check
        self.traps = 0
        self.interrupted = False
        self.relay = True
        """Whether native code may answer messages by itself. Nobody can tell, but tests compare."""
        self.relayed = 0
        """Traps that were answered so."""
        self.tick: Final = max(1, plan.clock_hz * plan.options.timer_tick_ms // 1000)
        self.warnings: Final[list[str]] = []
        self.failure = ""
        self.idle = 0
        self._warn: Final = warn
        self._watchers: tuple[Watcher, ...] = ()
        self._printed: Final = bytearray()  # what the console has not been given yet
        self._arrived_before = -1  # the kernel entry before which input has arrived
        self._worked_in = -1  # the kernel entry that `_checks` belong to
        self._checks = 0
        self.kernel.on_work(self._work)
        connect(plan, self.bus, self.serial, models or {}, self._warned)

    def run(
        self,
        watchers: tuple[Watcher, ...] = (),
        console: Callable[[bytes], None] | None = None,
        max_instructions: int | None = None,
    ) -> SessionResult:
        """Run until the guest halts, dies, is quiescent, or `max_instructions` are retired."""
        self._watchers = watchers
        with self._interruptible():
            try:
                end = self._loop(watchers, console, max_instructions)
            except DeviceFailure as failure:
                self.failure = str(failure)
                end = End.DEVICE_FAILED
            finally:
                self._show(console)
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
            warnings=tuple(self.warnings),
            failure=self.failure,
            idle=self.idle,
        )

    def _loop(
        self, watchers: tuple[Watcher, ...], console: Callable[[bytes], None] | None, limit: int | None
    ) -> End:
        kernel, backend, tick, bus = self.kernel, self.cpu.backend, self.tick, self.bus
        state = kernel.state
        clock = self.memory.clock
        effects = kernel.effects
        idle, printed = state.idle, self._printed
        now = backend.retired
        next_tick = (now // tick + 1) * tick
        last = limit if limit is not None else NEVER
        interrupt = TrapKind.INTERRUPT
        sent, checking, hop = self.serial.sent, self.check != "off", Change.HOP
        pending = bus.pending(state.edge_irqs)
        deadline = min(next_tick, bus.next_event, last)
        relaying, live = self._relaying(watchers), False
        recorder = None  # of most runs the only watcher: compiled ahead, its methods are called directly
        others = watchers
        if len(watchers) == 1 and isinstance(watchers[0], Recorder):
            recorder = watchers[0]
            others = ()
        effects.watched = len(watchers) > 0
        while True:
            thread = state.current
            if pending and pending & ~state.masked_irqs:
                ready = pending & ~state.masked_irqs
                if now >= last:
                    return End.LIMIT
                irq = (ready & -ready).bit_length() - 1
                bus.taken(irq)
                pending = bus.pending(state.edge_irqs)
                for watcher in watchers:
                    watcher.interrupt(irq)
                kernel.raise_irq(irq)
                trap = DELIVERY
            elif now < deadline and thread is not idle:
                if live and relaying is not None and not sent and relaying.ready():
                    relayed = relaying.run(deadline - now)
                    self.traps += relaying.answered
                    self.relayed += relaying.answered
                    now = backend.retired
                    if relayed is None:
                        continue
                    trap = relayed
                else:
                    trap = backend.enter(thread.context, state.space, now, deadline - now)
                    now = backend.retired
                if now >= deadline and now >= bus.next_event and trap.kind is not interrupt:
                    # The instruction that trapped retired just when a device's event was due: its interrupt waits
                    # while the kernel works, and a long operation is preempted for it.
                    bus.serve(now)
                    self._raise_while_working(bus.pending(state.edge_irqs) & ~state.masked_irqs)
                    pending = bus.pending(state.edge_irqs)
                    deadline = min(next_tick, bus.next_event, last)
            elif thread is idle:
                self._show(console)
                wake = self._wake(next_tick, last)
                if isinstance(wake, End):
                    return wake
                # Nothing runs: time jumps to what comes next.
                self.idle += wake - now
                clock.idle += wake - now
                backend.retired = now = wake
                trap = INTERRUPT
                if next_tick < now:
                    next_tick = -(-now // tick) * tick  # ticks in between would have done nothing
            elif now >= last:
                return End.LIMIT
            else:
                # A system call has retired just when something is due, which comes before anything runs.
                trap = INTERRUPT
            if trap is not SVC and trap.kind is interrupt and trap is not DELIVERY:
                if now >= bus.next_event:
                    bus.serve(now)
                ticks = now >= next_tick
                if ticks:
                    if printed:
                        self._show(console)
                    next_tick += tick
                    if next_tick <= now:
                        next_tick = (now // tick + 1) * tick  # those that have passed meanwhile are one
                    if self.source is not None:
                        self._listen(now)
                clock.stop = False
                pending = bus.pending(state.edge_irqs)
                deadline = min(next_tick, bus.next_event, last)
                if not ticks:
                    # A device's business, the limit, or a backend that came back early.
                    if self.interrupted:
                        return End.INTERRUPTED
                    continue
            for watcher in others:
                watcher.before(state.current.context)
            change = kernel.enter(trap, now)
            self.traps += 1
            if backend.retired != now:
                now = backend.retired  # the kernel has worked for long
                pending = bus.pending(state.edge_irqs)
                deadline = min(next_tick, bus.next_event, last)
            if recorder is not None:
                recorder.after(effects)
            else:
                for watcher in others:
                    watcher.after(effects)
            if (live or change == hop) and relaying is not None:
                relaying.after(change)
                live = relaying.relays.live
            if effects.console:
                printed += effects.console
                if len(printed) >= PRINTED or NEWLINE in effects.console:
                    self._show(console)
                if not self.serial.printed:
                    # The kernel uses the same UART, whose transmitter may have an interrupt for that.
                    self.serial.printed = True
                    if bus.irqs & ~state.masked_irqs:
                        bus.look(now)
                        pending = bus.pending(state.edge_irqs)
                        deadline = min(next_tick, bus.next_event, last)
            if sent:
                # What went through a UART comes out at the next kernel entry.
                printed += sent
                sent.clear()
                self._show(console)
            if checking:
                self._verify()
            if state.halted:
                return End.CRASHED if state.crashed else End.HALTED
            if self.interrupted:
                return End.INTERRUPTED

    def _show(self, console: Callable[[bytes], None] | None) -> None:
        """Give the console what was printed: lines, and whatever there is when a timer ticks or nothing runs."""
        printed = self._printed
        if printed:
            data = bytes(printed)
            printed.clear()
            if console is not None:
                console(data)

    def _raise_while_working(self, ready: int) -> None:
        """Make interrupts known to the kernel before an entry that is not theirs."""
        while ready:
            irq = (ready & -ready).bit_length() - 1
            ready &= ready - 1
            self.bus.taken(irq)
            for watcher in self._watchers:
                watcher.interrupt(irq)
            self.kernel.raise_irq(irq)

    def _work(self) -> None:
        """The kernel comes to a preemption point. Its work takes time where that can be seen: where somebody waits
        for a device's interrupt, which may come meanwhile."""
        bus, kernel, cpu = self.bus, self.kernel, self.cpu
        if self._worked_in != self.traps:
            self._worked_in = self.traps
            self._checks = 0
        self._checks += 1
        if not bus.irqs & ~kernel.masked_irqs:
            return
        cpu.retired += WORK
        self.idle += WORK
        self.memory.clock.idle += WORK
        if bus.next_event <= cpu.retired:
            bus.serve(cpu.retired)
        ready = bus.pending(kernel.edge_irqs) & ~kernel.masked_irqs
        if ready:
            self._raise_while_working(ready)
            for watcher in self._watchers:
                watcher.worked(self._checks)

    def _wake(self, next_tick: int, last: int) -> int | End:
        """When an idle system has something to do again, or how the run ends."""
        kernel, bus = self.kernel, self.bus
        wake = next_tick if kernel.waits_for_time() else NEVER
        now = self.cpu.retired
        if self.source is not None and self._listen(now):
            return now
        if bus.irqs & ~kernel.masked_irqs:
            wake = min(wake, bus.next_event)
        if wake == NEVER:
            source = self.source
            # Input can only wake a system whose UART has an interrupt for it.
            if source is None or self._arrived_before == self.traps or not bus.irqs & ~kernel.masked_irqs:
                return End.QUIESCENT
            waited = source.wait(self.traps, now)
            if waited is None:
                return End.INTERRUPTED
            return now if waited else End.QUIESCENT
        return End.LIMIT if wake > last else max(wake, now)

    def _listen(self, time: int) -> bool:
        """Take in what has arrived on the serial line, once before each kernel entry; whether anything has."""
        source = self.source
        if source is None or self._arrived_before == self.traps:
            return False
        data = source.poll(self.traps, time)
        if not data:
            return False
        self._arrived_before = self.traps
        for watcher in self._watchers:
            watcher.arrived(data, time)
        self.serial.arrive(data)
        self.bus.look(time)
        return True

    def _warned(self, text: str) -> None:
        """A device has something to say."""
        self.warnings.append(text)
        for watcher in self._watchers:
            watcher.warned(text)
        if self._warn is not None:
            self._warn(text)

    def _relaying(self, watchers: tuple[Watcher, ...]) -> Relaying | None:
        """Native code may answer messages by itself where nobody but a recorder looks at every entry."""
        if self.check != "off" or len(watchers) > 1:
            return None
        watcher = watchers[0] if watchers else None
        if watcher is not None and not isinstance(watcher, Recorder):
            return None
        return Relaying(self.kernel, self.cpu, watcher, self.relay)

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
