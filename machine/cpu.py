"""The CPU: runs a context in an address space until it traps. What the kernel and the tools see of `machine`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Final, final

from retrap.machine.backend import Backend as Backend
from retrap.machine.context import Context
from retrap.machine.evaluate import Evaluator
from retrap.machine.log import InstructionLog, LoggedBackend, LoggedEvaluator
from retrap.machine.memory import PhysicalMemory
from retrap.machine.relay import RelayTable
from retrap.machine.space import AddressSpace
from retrap.machine.traps import Trap


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
        self.backend: Final[Backend] = make_backend(backend, memory, cache, log)

    @property
    def retired(self) -> int:
        """The clock, which the backend keeps."""
        return self.backend.retired

    @retired.setter
    def retired(self, time: int) -> None:
        self.backend.retired = time

    def run(self, context: Context, space: AddressSpace, budget: int) -> Trap:
        """Enter user mode and run for at most `budget` instructions (> 0). See `Trap` for what holds afterwards."""
        backend = self.backend
        return backend.enter(context, space, backend.retired, budget)

    def resume(self, context: Context, space: AddressSpace, budget: int) -> Trap:
        """As `run`, for user code that was stopped without entering the kernel (after `relay`)."""
        backend = self.backend
        return backend.run(context, space, backend.retired, budget)

    def environment(self, space: AddressSpace) -> int:
        """See `Backend`."""
        return self.backend.environment(space)

    def relay(self, table: RelayTable, budget: int) -> bool:
        """See `Backend`: only for a table that knows this backend's environments."""
        backend = self.backend
        return backend.relay(table, backend.retired, budget)
