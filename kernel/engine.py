"""The kernel as the rest of the program sees it: boot it, hand it traps, read what it did."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Final, final

from retrap.kernel.boot import BootPlan
from retrap.kernel.digest import digest
from retrap.kernel.effects import Effects, Outcome
from retrap.kernel.failures import KernelDied
from retrap.kernel.fault_handling import handle_fault
from retrap.kernel.faults import UnknownSyscall, UserException, VmFault
from retrap.kernel.invariants import check
from retrap.kernel.objects.irq import deliver, next_pending
from retrap.kernel.policies import MADE
from retrap.kernel.registers import (
    PC,
    R7,
    RESTART_PC,
    THUMB,
    send_buffer,
)
from retrap.kernel.scheduler import activate, schedule, timer_tick
from retrap.kernel.startup import boot
from retrap.kernel.state import RESUME, Change, KernelState
from retrap.kernel.structures import Tcb, ThreadState
from retrap.kernel.syscalls import handle_invocation, handlers
from retrap.machine.context import Context, ContextArena
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import INTERRUPT, SVC, FaultStatus, Trap, TrapKind

_SVC: Final = TrapKind.SVC
_INTERRUPT: Final = TrapKind.INTERRUPT

# The states of a thread that waits are neighbours.
_FIRST_BLOCKED: Final = ThreadState.BLOCKED_ON_RECEIVE
_LAST_BLOCKED: Final = ThreadState.BLOCKED_ON_NOTIFICATION


_ANY: Final = Change.ANY
_DONE: Final = Outcome.DONE
_RESTART: Final = ThreadState.RESTART


@final
class Kernel:
    """One booted kernel. `state` is for the kernel's own files, for tests, and for the run loop, to which the
    properties below would cost too much."""

    def __init__(self, plan: BootPlan, memory: PhysicalMemory, arena: ContextArena) -> None:
        """Instantiate the plan: objects, capabilities, mappings, loaded bytes, the initial thread."""
        self.state: Final[KernelState] = boot(plan, memory, arena)
        self.effects: Final[Effects] = self.state.effects
        self._handlers: Final = handlers(self.state)
        number = next((call.number for call in plan.release.syscalls if call.name == "Call"), None)
        self._call: Final = -1 if number is None else number & 0xFFFF_FFFF  # as r7 has it
        self._call_number: Final = 0 if number is None else number
        self._measures: Final = self.state.benchmarks.measures
        self._settles: Final = (
            self.state.address_spaces.keeps or self.state.thread_registers.loads or self._measures
        )

    @property
    def current(self) -> Tcb:
        """The thread that runs, or the idle thread (`number` IDLE)."""
        return self.state.current

    @property
    def context(self) -> Context:
        """The registers of the thread that runs."""
        return self.state.current.context

    @property
    def space(self) -> AddressSpace:
        """The address space that the processor uses."""
        return self.state.space

    @property
    def threads(self) -> list[Tcb]:
        """Every thread that ever was, by number."""
        return self.state.threads

    @property
    def halted(self) -> bool:
        """Whether the machine has stopped: by DebugHalt, or because the kernel died (`crashed`)."""
        return self.state.halted

    @property
    def crashed(self) -> str:
        """Why the modelled kernel died, or the empty string."""
        return self.state.crashed

    @property
    def died(self) -> list[tuple[int, str]]:
        """Threads that stopped with a fault that nobody handles: (number, description), oldest first."""
        return self.state.died

    @property
    def interrupt_pending(self) -> bool:
        """Whether a device's interrupt waits to be taken."""
        return self.state.interrupt_pending()

    @property
    def masked_irqs(self) -> int:
        """Interrupts that cannot be taken now, one bit each."""
        return self.state.masked_irqs

    @property
    def edge_irqs(self) -> int:
        """Interrupts that wait from their rising edge on, not while the line is up; one bit each."""
        return self.state.edge_irqs

    def waits_for_time(self) -> bool:
        """Whether a timer tick can make an idle system run again: threads of another domain are ready."""
        # (A ready thread of the only domain does not count: until 7.0.0 one of priority 0 that an interrupt woke
        # waits for the next decision, and ticks of the idle thread make none.)
        state = self.state
        return (state.options.num_domains > 1 and any(state.ready_bitmaps)) or state.interrupt_pending()

    def raise_irq(self, irq: int) -> None:
        """A device's interrupt waits: if it is not masked, the next entry is for it instead of a timer tick."""
        if 0 <= irq <= self.state.plan.max_irq:
            self.state.pending_irqs |= 1 << irq

    def on_work(self, worked: Callable[[], None] | None) -> None:
        """Have `worked` called whenever a long operation comes to a preemption point, before it looks for
        interrupts: it may raise one."""
        self.state.worked = worked

    def enter(self, trap: Trap, time: int) -> int:
        """Handle the trap that the running thread took at `time` (retired instructions). What it did: a `Change`.

        Afterwards `effects` says what was read, decided and written, and `current` runs next.
        """
        state = self.state
        if state.retired:
            self._give_back_contexts()
        thread = state.current
        effects = state.effects
        words = thread.context.words
        if self._measures:
            state.benchmarks.enter(state, time, trap)
        if effects.watched:
            effects.begin(time, thread.number, trap)
            effects.context = thread.context.head.tobytes()
        effects.target = None
        effects.outcome = _DONE
        effects.why = None
        if effects.log:
            effects.log = []
        if effects.buffer_writes:
            effects.buffer_writes = []
        if effects.console:
            effects.console = bytearray()
        change = _ANY
        try:
            if trap is SVC or trap.kind is _SVC:
                # The kernel takes the system call to be four bytes before where it returns to, which in Thumb
                # state is the instruction before it.
                pc = words[PC]
                if words[THUMB]:
                    words[PC] = pc + 2 & 0xFFFF_FFFF
                    words[RESTART_PC] = pc - 2 & 0xFFFF_FFFF
                else:
                    words[PC] = pc + 4 if pc < 0xFFFF_FFFC else pc & 3
                    words[RESTART_PC] = pc
                number = words[R7]
                if number == self._call:
                    # Nearly always: without the table.
                    effects.syscall = self._call_number
                    change = handle_invocation(state, True, True)
                else:
                    effects.syscall = number if number < 0x8000_0000 else number - 0x1_0000_0000
                    handler = self._handlers.get(number)
                    if handler is None:
                        handle_fault(state, thread, UnknownSyscall(number))
                    else:
                        change = handler(state)
                if change == _ANY:
                    if state.action != RESUME:
                        schedule(state)
                    if state.current.state == _RESTART:
                        activate(state)
            else:
                tick = trap.kind is _INTERRUPT and not state.pending_irqs
                self._exception(trap, thread)
                schedule(state)
                activate(state)
                if tick and state.current is thread:
                    change = Change.TIME  # also if its time slice ended: nobody else was ready for its turn
            if state.pending_irqs and state.pending_irqs & ~state.masked_irqs:
                change = _ANY
                self._take_irqs(time)
            if self._settles:
                if state.address_spaces.keeps:
                    state.address_spaces.settle(state)
                if state.thread_registers.loads:
                    state.thread_registers.leaving(state, thread)
                if self._measures:
                    state.benchmarks.leave(state, thread)
        except KernelDied as died:
            change = _ANY
            state.crashed = str(died)
            state.halted = True
            effects.outcome = Outcome.CRASHED
            effects.reason = state.crashed
        if thread.state >= _FIRST_BLOCKED and thread.state <= _LAST_BLOCKED and effects.outcome == _DONE:
            effects.outcome = Outcome.BLOCKED
        if effects.watched:
            effects.next_thread = state.current.number
        return change

    def _exception(self, trap: Trap, thread: Tcb) -> None:
        """Everything but system calls. The restart PC is what the exception vectors compute (ARM ARM B1.8.3)."""
        state = self.state
        words = thread.context.words
        kind = trap.kind
        pc = words[PC]
        words[RESTART_PC] = pc
        if kind is TrapKind.INTERRUPT:
            irq = next_pending(state) if state.pending_irqs else None
            if irq is None:
                timer_tick(state)
            else:
                deliver(state, irq)
        elif kind is TrapKind.DATA_ABORT:
            rights = WRITE if trap.status & FaultStatus.WRITE else READ
            status = state.address_spaces.access(state, trap.address, rights, trap.status)
            if status != MADE:
                handle_fault(state, thread, VmFault(trap.address, status, False))
        elif kind is TrapKind.UNDEFINED:
            if words[THUMB]:
                words[RESTART_PC] = pc - 2 & 0xFFFF_FFFF  # as for system calls
            handle_fault(state, thread, UserException())
        else:
            status = state.address_spaces.access(state, pc, EXECUTE, trap.status)
            if status != MADE:
                handle_fault(state, thread, VmFault(pc, status, True))

    def _take_irqs(self, time: int) -> None:
        """Interrupts that wait are taken as soon as the kernel would return: each an entry of its own."""
        state = self.state
        irq = next_pending(state)
        while irq is not None:
            if self._measures:
                state.benchmarks.leave(state, state.current)
                state.benchmarks.enter(state, time, INTERRUPT)
            words = state.current.context.words
            words[RESTART_PC] = words[PC]
            deliver(state, irq)
            schedule(state)
            activate(state)
            irq = next_pending(state)

    def _give_back_contexts(self) -> None:
        """Contexts of threads that the last entry deleted: their registers could be looked at until now."""
        state = self.state
        for thread in state.retired:
            context = thread.context
            thread.context = state.idle.context
            state.arena.release(context)
        state.retired.clear()

    def write_buffer(self, thread_number: int, word_index: int, words: list[int]) -> bool:
        """Put words into a thread's IPC buffer, as user code would have; False if it has none.

        For replaying: the recorded inputs of an entry are placed this way before it.
        """
        thread = self.state.threads[thread_number]
        buffer = send_buffer(self.state, thread)
        if buffer is None:
            return False
        buffer[word_index : word_index + len(words)] = memoryview(array("I", words))
        if self.state.memory.watched:
            self.state.memory.notice(thread.buffer_physical + 4 * word_index, 4 * len(words))
        return True

    def digest(self) -> bytes:
        """16 bytes that depend on all kernel state, and on nothing of the host."""
        return digest(self.state)

    def check(self, level: str) -> list[str]:
        """Violated invariants, as sentences. `level` is "cheap" or "full"."""
        return check(self.state, level)
