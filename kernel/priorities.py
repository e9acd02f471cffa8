"""Who may set which priority (fact `priority_authority`), and how TCB_Configure carried priorities until 8.0.0."""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import ThreadCap
from retrap.kernel.failures import illegal_operation, invalid_capability, range_error
from retrap.kernel.message import Message
from retrap.kernel.state import KernelState
from retrap.kernel.structures import Tcb

_EIGHT_BITS: Final = 0xFF


class PriorityRule:
    """One release's rule. `authority_caps`: how many extra capabilities the invocations take for it."""

    __slots__ = ()
    authority_caps = 0
    configures = True
    """Whether TCB_Configure's second word is a priority (and a maximum)."""

    def checked(self, state: KernelState, message: Message, priority: int) -> int:
        """The priority that a word of a message names, if the caller may set it. Raises `Refused`."""
        raise NotImplementedError

    def configured(self, state: KernelState, message: Message, word: int) -> tuple[int | None, int | None]:
        """The maximum and the priority in the second word of TCB_Configure, if the caller may set them."""
        raise NotImplementedError


@final
class OwnPriority(PriorityRule):
    """Nobody sets a priority above his own (until 3.2.0). The word is cut to eight bits first."""

    __slots__ = ()

    def checked(self, state: KernelState, message: Message, priority: int) -> int:
        priority &= _EIGHT_BITS
        own = state.current.priority
        if priority > own:
            raise illegal_operation(f"priority {priority} is above the caller's own, {own}")
        return priority

    def configured(self, state: KernelState, message: Message, word: int) -> tuple[int | None, int | None]:
        return None, self.checked(state, message, word)


@final
class OwnMaximum(PriorityRule):
    """Nobody sets one above his own maximum controlled priority (4.0.0 to 8.0.0)."""

    __slots__ = ()

    def checked(self, state: KernelState, message: Message, priority: int) -> int:
        return _limited(state.current, priority)

    def configured(self, state: KernelState, message: Message, word: int) -> tuple[int | None, int | None]:
        priority = _limited(state.current, word & _EIGHT_BITS)
        return _limited(state.current, word >> 8 & _EIGHT_BITS), priority


@final
class Authority(PriorityRule):
    """Nobody sets one above the maximum of a thread to which he shows a capability (since 9.0.0)."""

    __slots__ = ()
    authority_caps = 1
    configures = False

    def checked(self, state: KernelState, message: Message, priority: int) -> int:
        cap = message.caps[0].cap
        if not isinstance(cap, ThreadCap):
            raise invalid_capability(1, "the authority is not a thread capability")
        authority = state.objects[cap.address]
        assert isinstance(authority, Tcb)
        return _limited(authority, priority)


def _limited(authority: Tcb, priority: int) -> int:
    highest = authority.max_priority
    if priority > highest:
        raise range_error(0, highest, f"priority {priority} is above the authority's maximum, {highest}")
    return priority


RULES: Final[dict[str, PriorityRule]] = {
    "own-priority": OwnPriority(),
    "own-mcp": OwnMaximum(),
    "capability": Authority(),
}
"""By the value of the fact."""
