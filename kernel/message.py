"""What an invocation is made of: the message as the kernel read it, and the value that decode returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from retrap.kernel.failures import truncated_message
from retrap.kernel.slots import Slot

if TYPE_CHECKING:
    from retrap.kernel.state import KernelState


@final
class Message:
    """One invocation's arguments. `words` has `length` entries; `caps` are the slots of the extra caps."""

    __slots__ = ("blocking", "call", "caps", "cptr", "label", "words")

    def __init__(
        self, label: int, words: list[int], caps: list[Slot], cptr: int, call: bool, blocking: bool
    ) -> None:
        self.label: Final = label
        self.words: Final = words
        self.caps: Final = caps
        self.cptr: Final = cptr
        self.call: Final = call
        self.blocking: Final = blocking

    def require(self, words: int, caps: int = 0) -> None:
        """Raise seL4_TruncatedMessage unless there are at least that many words and extra capabilities."""
        if len(self.words) < words:
            raise truncated_message(f"the message has {len(self.words)} words, {words} are needed")
        if len(self.caps) < caps:
            raise truncated_message(f"the message has {len(self.caps)} extra capabilities, {caps} are needed")


class Invocation:
    """What decode returns: everything resolved, nothing done. Immutable; one final subclass per operation.

    `perform` does it. It cannot refuse; it may raise `Preempted`, and is decoded and performed again then.
    It returns the words of a reply (sent to a caller that used Call, and only then), or None for
    the empty reply.
    """

    __slots__ = ()

    def perform(self, state: KernelState) -> list[int] | None:
        raise NotImplementedError
