"""Where releases decide differently, as objects that the kernel chooses once at boot from its facts.

What differs in one place only is asked there (`state.facts`); what several files go through is here: who runs after
a wake-up, what the processor's thread registers show, and what an address space is. Another flavour of scheduler
would add its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from retrap.kernel.caps import Cap, FrameCap
    from retrap.kernel.state import KernelState
    from retrap.kernel.structures import Tcb
    from retrap.machine.space import AddressSpace
    from retrap.machine.traps import Trap


class Wakeups:
    """What becomes of a thread that can run again (fact `wakeup`)."""

    __slots__ = ()

    def hand_over(self, state: KernelState, target: Tcb) -> None:
        """The running thread has just given `target` a message or a reply."""
        raise NotImplementedError

    def takes_over(self, state: KernelState, target: Tcb) -> bool:
        """Whether `target` runs next, nobody queued, if it is handed something and the running thread stops."""
        raise NotImplementedError

    def wake(self, state: KernelState, target: Tcb) -> None:
        """The target became ready for any other reason."""
        raise NotImplementedError

    def settle(self, state: KernelState, was_runnable: bool) -> None:
        """At the end of an entry: switch to `state.candidate`, or to somebody who goes first."""
        raise NotImplementedError


class ThreadRegisters:
    """What user code finds where it looks for its own IPC buffer (facts `ipc_buffer_pointer`,
    `thread_id_registers`). This one does nothing: the registers are the thread's own."""

    __slots__ = ()
    loads = False
    """Whether `leaving` has anything to do."""

    def switched(self, state: KernelState, thread: Tcb) -> None:
        """The kernel switched to a thread, or to the idle thread, or again to the one that ran."""

    def leaving(self, state: KernelState, before: Tcb) -> None:
        """The kernel is about to return to user code; `before` ran when it was entered."""


MADE: Final = -1
"""What `AddressSpaces.access` returns where there is no fault."""


class AddressSpaces:
    """What virtual addresses go through (fact `address_space`)."""

    __slots__ = ()
    keeps = False
    """Whether `settle` has anything to do."""

    def refusal(self, cap: Cap) -> str:
        """Why the capability cannot be a thread's VSpace root; empty if it can."""
        raise NotImplementedError

    def of(self, state: KernelState, thread: Tcb) -> AddressSpace:
        """What the thread's VSpace root shows now; the empty space if it is none."""
        raise NotImplementedError

    def access(self, state: KernelState, address: int, rights: int, status: int) -> int:
        """The running thread's access to `address` (`rights` of `machine.space`) was aborted with `status`.

        Returns the status of the fault that it is, or `MADE`: it can be made now.
        """
        raise NotImplementedError

    def settle(self, state: KernelState) -> None:
        """The end of a kernel entry, in which capabilities may have gone."""


class Benchmarks:
    """What the kernel measures of itself, and tells (option `benchmarks`). This one measures nothing."""

    __slots__ = ()
    measures = False
    """Whether `enter`, `leave` and `switch` have anything to do."""

    def enter(self, state: KernelState, time: int, trap: Trap) -> None:
        """The kernel is entered at `time` (retired instructions: what the cycle counter counts)."""

    def leave(self, state: KernelState, before: Tcb) -> None:
        """The kernel is about to return to user code; `before` ran when it was entered."""

    def switch(self, state: KernelState, old: Tcb, new: Tcb) -> None:
        """The kernel switches from one thread to another, or again to the one that ran."""

    def numbers(self) -> list[int]:
        """All that has been measured, for digests."""
        return []

    def reset_log(self, state: KernelState) -> int:
        """BenchmarkResetLog: begin to measure. The seL4_Error that it answers with."""
        return 0

    def finalise_log(self, state: KernelState) -> None:
        """BenchmarkFinalizeLog: stop."""

    def set_log_buffer(self, state: KernelState) -> int:
        """BenchmarkSetLogBuffer: only of kernels that write a log. The seL4_Error that it answers with."""
        raise NotImplementedError

    def frame_deleted(self, state: KernelState, cap: FrameCap) -> None:
        """A mapped capability to a frame is about to be deleted."""

    def dump_log(self, state: KernelState) -> None:
        """BenchmarkDumpLog: give out part of a log that is in the kernel. Those that have none do nothing."""

    def log_size(self, state: KernelState) -> None:
        """BenchmarkLogSize: how long that log is."""
