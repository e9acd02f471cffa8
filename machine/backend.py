"""What runs user code: the base of all backends. (A class, not a protocol: compiled ahead, calls are direct.)"""

from __future__ import annotations

from retrap.machine.context import Context, enter_user
from retrap.machine.relay import RelayTable
from retrap.machine.space import AddressSpace
from retrap.machine.traps import Trap


class Backend:
    """Executes blocks. All backends agree on every register, byte, trap and count; they differ in speed."""

    def __init__(self) -> None:
        self.retired = 0
        """After `run`: instructions completed since the machine was made, those before the call included."""

    def run(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        """Execute up to `budget` (> 0) instructions, the clock standing at `retired`, until something traps.

        Counted are those completed, condition-failed ones and SVC included; not those that abort or are undefined.
        INTERRUPT says that the budget is used up, or that a device has set `Clock.stop`.
        """
        raise NotImplementedError

    def enter(self, context: Context, space: AddressSpace, retired: int, budget: int) -> Trap:
        """As `run`, from the kernel."""
        enter_user(context)
        return self.run(context, space, retired, budget)

    def environment(self, space: AddressSpace) -> int:
        """What a `RelayTable` has to know of an address space; 0: this backend answers no system calls."""
        return 0

    def relay(self, table: RelayTable, retired: int, budget: int) -> bool:
        """Execute from where the table's control block says, and answer the system calls that the table tells of.
        Only of a backend that knows environments.

        Whether it came back for another system call, which has retired, its PC being where it stands at a trap.
        Otherwise `run` has to go on, in the context and space that the control block names now.
        """
        raise NotImplementedError
