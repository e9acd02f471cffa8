"""What one kernel entry read, decided and wrote: filled by the engine, consumed by traces and by --strace.

One `Effects` object is reused for every trap (the kernel clears it), so that the trap path allocates little.
Threads are named by their `number`: 0 is the initial thread, others count up in order of creation.
"""

from __future__ import annotations

from typing import Final, final

from retrap.machine.traps import Trap

IDLE: Final = -1
"""Thread number of "no thread can run"."""

_BADGE: Final = 0
_INFO: Final = 1
"""Context slots in which a message's badge and message info arrive (`retrap.kernel.registers`)."""


class Outcome:
    """How a kernel entry ended for the thread that trapped (small integers: they go into traces)."""

    DONE: Final = 0  # completed; an invocation succeeded, a message was transferred, a tick was counted
    ERROR: Final = 1  # an invocation was refused: `error` and `error_words` say why
    FAULT: Final = 2  # the entry became a fault message to a handler (`fault` names the kind)
    DEAD: Final = 3  # a fault that nobody handles: the thread will not run again
    BLOCKED: Final = 4  # the thread waits (send, receive, reply)
    PREEMPTED: Final = 5  # a long operation stopped at a preemption point and will restart
    HALTED: Final = 6  # DebugHalt: the machine stops
    IGNORED: Final = 7  # a non-blocking operation that had no effect, or an unknown label sent without Call
    CRASHED: Final = 8  # the modelled kernel itself would have died here (`reason` says where)


_DONE: Final = Outcome.DONE


@final
class Why:
    """What is to be said of an entry that did not simply do what it was asked for."""

    __slots__ = ("error", "error_words", "fault", "fault_words", "reason")

    def __init__(self) -> None:
        self.error = 0
        self.error_words: list[int] = []
        self.fault = ""
        self.fault_words: list[int] = []
        self.reason = ""


_NO_REASON: Final = Why()
"""Of an entry that did; never written to."""


@final
class Effects:
    """Inputs and outputs of one kernel entry.

    `reads` and `buffer_writes`: (thread number, word index in its IPC buffer, words). `registers`: (thread
    number, context slot, value) in the order written, the trapping thread's and others'; most entries write the
    empty reply, whose two values are zero, so that is kept as `answered` instead, and what follows it in `log`.
    `target` and `extra_caps`: what the capability pointers resolved to, as (cap type name, object address, badge or
    0), `None` where the lookup failed or was not made. `error` is the seL4_Error of a refusal, `fault` the name of
    a fault ("CapFault", "VMFault", "UnknownSyscall", "UserException"), with the words of either; `reason` is a
    sentence for people: which check refused, in the manual's words.
    """

    __slots__ = (
        "answered", "badge", "buffer_writes", "console", "context", "extra_caps", "log", "next_thread", "outcome",
        "reads", "syscall", "target", "thread", "time", "trap", "watched", "why",
    )  # fmt: skip

    def __init__(self) -> None:
        self.watched = True
        """Whether anybody looks. If not, what only a watcher wants to know is not kept: `time`, `thread`, `trap`,
        `badge` and `next_thread`, and the inputs `context`, `extra_caps` and `reads`."""
        self.time = 0  # retired instructions at the trap
        self.thread = 0  # number of the thread that trapped
        self.context = b""
        """Its registers at the trap: the bytes of `machine.context.Context.head`."""
        self.trap: Trap | None = None
        self.syscall = 0  # r7 as a signed number; 0 if the trap is not a system call
        self.badge = 0
        self.target: tuple[str, int, int] | None = None
        self.extra_caps: list[tuple[str, int, int] | None] = []
        self.reads: list[tuple[int, int, list[int]]] = []
        self.answered = False
        """The first thing that was written is the empty reply: badge and message info of the trapping thread."""
        self.log: list[tuple[int, int, int]] = []
        """What was written to registers, after that."""
        self.buffer_writes: list[tuple[int, int, list[int]]] = []
        self.console = bytearray()
        self.outcome = Outcome.DONE
        self.why: Why | None = None
        """None if there is no error, no fault and no reason: then no need to ask for each."""
        self.next_thread = 0  # thread that runs next, or IDLE

    def begin(self, time: int, thread: int, trap: Trap) -> None:
        """Start the log of a new kernel entry: what only watchers want; the rest is `Kernel.enter`'s to reset. Used
        lists are replaced, not emptied: readers may keep them."""
        self.time = time
        self.thread = thread
        self.trap = trap
        self.syscall = 0
        self.badge = 0
        self.answered = False
        if self.extra_caps:
            self.extra_caps = []
        if self.reads:
            self.reads = []

    def _explain(self) -> Why:
        why = self.why
        if why is None:
            why = self.why = Why()
        return why

    @property
    def error(self) -> int:
        return (self.why or _NO_REASON).error

    @error.setter
    def error(self, number: int) -> None:
        self._explain().error = number

    @property
    def error_words(self) -> list[int]:
        return (self.why or _NO_REASON).error_words

    @error_words.setter
    def error_words(self, words: list[int]) -> None:
        self._explain().error_words = words

    @property
    def fault(self) -> str:
        return (self.why or _NO_REASON).fault

    @fault.setter
    def fault(self, name: str) -> None:
        self._explain().fault = name

    @property
    def fault_words(self) -> list[int]:
        return (self.why or _NO_REASON).fault_words

    @fault_words.setter
    def fault_words(self, words: list[int]) -> None:
        self._explain().fault_words = words

    @property
    def reason(self) -> str:
        return (self.why or _NO_REASON).reason

    @reason.setter
    def reason(self, sentence: str) -> None:
        self._explain().reason = sentence

    @property
    def registers(self) -> list[tuple[int, int, int]]:
        """Every register that was written: thread number, context slot, value."""
        thread = self.thread
        return [(thread, _BADGE, 0), (thread, _INFO, 0), *self.log] if self.answered else self.log

    @registers.setter
    def registers(self, written: list[tuple[int, int, int]]) -> None:
        self.answered = False
        self.log = written
