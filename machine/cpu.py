"""The CPU: runs a context in an address space until it traps. What the kernel and the tools see of `machine`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol, final

from retrap.machine.context import Context, Slot
from retrap.machine.evaluate import Evaluator
from retrap.machine.log import InstructionLog, LoggedBackend, LoggedEvaluator
from retrap.machine.memory import PhysicalMemory
from retrap.machine.relay import RelayTable
from retrap.machine.space import AddressSpace
from retrap.machine.traps import Trap


class Backend(Protocol):
    """Executes blocks. All backends agree on every register, byte, trap and count; they differ in speed."""

    retired: int
    """After `run`: instructions completed since the machine was made, those before the call included."""

    def run(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        """Execute up to `budget` (> 0) instructions, the clock standing at `retired`, until something traps.

        Counted are those completed, condition-failed ones and SVC included; not those that abort or are undefined.
        INTERRUPT says that the budget is used up, or that a device has set `Clock.stop`.
        """


class Answering(Protocol):
    """A backend that can answer system calls by itself (`machine.relay`)."""

    retired: int

    def environment(self, space: AddressSpace) -> int:
        """What a `RelayTable` has to know of an address space; 0: not possible here."""

    def relay(self, table: RelayTable, retired: int, budget: int) -> bool:
        """Execute from where the table's control block says, and answer the system calls that the table tells of.

        Whether it came back for another system call, which has retired, its PC being where it stands at a trap.
        Otherwise `run` has to go on, in the context and space that the control block names now.
        """


class BackendUnavailable(Exception):
    """The backend asked for is unknown, or this installation lacks what it needs."""


def _evaluator(memory: PhysicalMemory, cache: bool, log: InstructionLog | None) -> Backend:
    return Evaluator(memory) if log is None else LoggedEvaluator(Evaluator(memory), log)


def _llvm(memory: PhysicalMemory, cache: bool, log: InstructionLog | None) -> Backend:
    try:
        # Not needed before something is hot; but who asks for it by name shall hear at once that it is missing.
        import_module("retrap.machine.llvm.compiler")
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendUnavailable(f"backend llvm is not available: {error}") from None
    return _auto(memory, cache, log)


def _auto(memory: PhysicalMemory, cache: bool, log: InstructionLog | None) -> Backend:
    if find_spec("llvmlite") is None:
        return _evaluator(memory, cache, log)
    from retrap.machine.llvm.backend import LlvmBackend

    return LlvmBackend(memory, cache=cache, log=log)


BACKENDS: Final[dict[str, Callable[[PhysicalMemory, bool, InstructionLog | None], Backend]]] = {
    "auto": _auto,
    "evaluate": _evaluator,
    "llvm": _llvm,
}


def make_backend(
    name: str, memory: PhysicalMemory, cache: bool = True, log: InstructionLog | None = None
) -> Backend:
    """The backend called `name`; "auto" is the fastest that this installation has. `cache`: it may keep compiled
    code on the disk (`machine.llvm.store`). With a `log` it writes there what it executes."""
    make = BACKENDS.get(name)
    if make is None:
        raise BackendUnavailable(f"no backend called {name!r}: one of {', '.join(BACKENDS)}")
    made = make(memory, cache, log)
    return made if log is None else LoggedBackend(made, log)


def lacks(backend: Backend) -> str:
    """Why a backend that was chosen by itself is not as fast as it could be, as a sentence; else nothing."""
    if isinstance(backend, LoggedBackend):
        return lacks(backend.inner)
    if isinstance(backend, Evaluator | LoggedEvaluator):
        return "" if find_spec("llvmlite") is not None else "llvmlite is not installed"
    why: str = getattr(backend, "lacks", "")
    return why


@final
class Cpu:
    """One processor. Its clock is `retired`, the instructions completed; whoever idles may set it forward."""

    def __init__(
        self,
        memory: PhysicalMemory,
        backend: str = "auto",
        cache: bool = True,
        log: InstructionLog | None = None,
    ) -> None:
        """See `make_backend`. Raises `BackendUnavailable`."""
        self.memory: Final = memory
        self.backend: Final = make_backend(backend, memory, cache, log)
        answering: Any = self.backend if hasattr(self.backend, "relay") else None
        self._answering: Final[Answering | None] = answering
        self.retired = 0

    def run(self, context: Context, space: AddressSpace, budget: int) -> Trap:
        """Run user code for at most `budget` instructions (> 0). See `Trap` for what holds afterwards."""
        self.enter_user(context)
        return self.resume(context, space, budget)

    def enter_user(self, context: Context) -> None:
        """What returning to user mode does to the registers."""
        words = context.words
        # Entering user mode leaves the local monitor open, as the kernel's CLREX does, and a PC that the
        # instruction set cannot have loses its low bits (ARM ARM A3.4.1, B1.9.1).
        words[Slot.EXCLUSIVE] = 0
        pc = words[Slot.PC]
        if pc & 3:
            words[Slot.PC] = pc & (0xFFFFFFFE if words[Slot.THUMB] else 0xFFFFFFFC)

    def resume(self, context: Context, space: AddressSpace, budget: int) -> Trap:
        """As `run`, for user code that was stopped without entering the kernel (after `relay`)."""
        backend = self.backend
        try:
            return backend.run(context, space, self.retired, budget)
        finally:
            self.retired = backend.retired

    def environment(self, space: AddressSpace) -> int:
        """See `Answering`; 0 for a backend that is not."""
        answering = self._answering
        return 0 if answering is None else answering.environment(space)

    def relay(self, table: RelayTable, budget: int) -> bool:
        """See `Answering`: only for a table that knows this backend's environments."""
        answering = self._answering
        assert answering is not None
        called = answering.relay(table, self.retired, budget)
        self.retired = answering.retired
        return called
