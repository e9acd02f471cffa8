"""What an invocation is made of: the message as the kernel read it, and the value that decode returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from retrap.kernel.failures import truncated_message
from retrap.kernel.slots import Slot
from retrap.machine.compiled import mypyc_attr

if TYPE_CHECKING:
    from retrap.kernel.state import KernelState


@final
class Message:
    """An invocation's arguments: the words of the message and the slots of the extra capabilities.

    One object, filled anew for each invocation: decode takes from it what it needs.
    """

    __slots__ = ("blocking", "call", "caps", "label", "words")

    def __init__(self) -> None:
        self.label = 0
        self.words: list[int] = []
        self.caps: list[Slot] = []
        self.call = False
        self.blocking = False

    def require(self, words: int, caps: int = 0) -> None:
        """Raise seL4_TruncatedMessage unless there are at least that many words and extra capabilities."""
        if len(self.words) < words:
            raise truncated_message(f"the message has {len(self.words)} words, {words} are needed")
        if len(self.caps) < caps:
            raise truncated_message(f"the message has {len(self.caps)} extra capabilities, {caps} are needed")


@mypyc_attr(acyclic=True)
class Invocation:
    """What decode returns: everything resolved, nothing done. Immutable; one final subclass per operation.

    `perform` does it. It cannot refuse; it may raise `Preempted`, and is decoded and performed again then.
    It returns the words of a reply (sent to a caller that used Call, and only then), or None for
    the empty reply.
    """

    __slots__ = ()

    def perform(self, state: KernelState) -> list[int] | None:
        raise NotImplementedError
