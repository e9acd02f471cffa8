"""The ways in which a kernel entry can fail, and the only places where one family turns into another.

* `LookupFailure`: a value that says why a capability pointer leads nowhere (manual 3.4).
* `LookupFailed`: raised by lookups; `failed_lookup` turns it into a refusal, the trap path into a cap fault.
* `Refused`: an invocation that decode rejects: error number, message words, a sentence (manual 10.1).
* `Preempted`: a long operation met a pending interrupt at a preemption point; the system call restarts.
* `KernelDied`: the real kernel would halt or crash here (a failed assertion of a debug build, for example).

Faults (what a thread does wrong, sent to its fault handler) are values too; see `retrap.kernel.faults`.
Any other exception is a bug in this engine.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.wire import Error, LookupKind


@final
class LookupFailure:
    """Why a lookup failed; `words()` is its encoding in messages, `sentence()` is for people."""

    __slots__ = ("bits_found", "bits_left", "guard_found", "kind")

    def __init__(self, kind: int, bits_left: int = 0, bits_found: int = 0, guard_found: int = 0) -> None:
        self.kind: Final = kind
        self.bits_left: Final = bits_left
        self.bits_found: Final = bits_found
        self.guard_found: Final = guard_found

    def words(self) -> list[int]:
        if self.kind == LookupKind.MISSING_CAPABILITY:
            return [self.kind, self.bits_left]
        if self.kind == LookupKind.DEPTH_MISMATCH:
            return [self.kind, self.bits_left, self.bits_found]
        if self.kind == LookupKind.GUARD_MISMATCH:
            return [self.kind, self.bits_left, self.guard_found, self.bits_found]
        return [self.kind]

    def sentence(self) -> str:
        if self.kind == LookupKind.INVALID_ROOT:
            return "the root capability is not a CNode"
        if self.kind == LookupKind.MISSING_CAPABILITY:
            return f"no capability there, {self.bits_left} bits left"
        if self.kind == LookupKind.DEPTH_MISMATCH:
            return f"depth mismatch: {self.bits_left} bits left, the CNode resolves {self.bits_found}"
        return (
            f"guard mismatch: {self.bits_left} bits left, "
            f"the guard is {self.guard_found:#x} of {self.bits_found} bits"
        )


INVALID_ROOT: Final = LookupFailure(LookupKind.INVALID_ROOT)


def missing_capability(bits_left: int) -> LookupFailure:
    return LookupFailure(LookupKind.MISSING_CAPABILITY, bits_left)


class LookupFailed(Exception):
    """A capability pointer leads nowhere. Callers turn it into a fault or a refusal."""

    def __init__(self, failure: LookupFailure) -> None:
        self.failure: Final = failure


class Refused(Exception):
    """Decode refuses an invocation: the reply carries `error` as label and `words` as message."""

    def __init__(self, error: int, words: list[int], reason: str) -> None:
        self.error: Final = error
        self.words: Final = words
        self.reason: Final = reason


class Preempted(Exception):
    """A preemption point found an interrupt pending. What is done is kept; the rest is done on restart."""


class KernelDied(Exception):
    """The modelled kernel would halt here, for the reason given."""


def invalid_argument(number: int, reason: str) -> Refused:
    """seL4_InvalidArgument: `number` counts the message words."""
    return Refused(Error.INVALID_ARGUMENT, [number], reason)


def invalid_capability(number: int, reason: str) -> Refused:
    """seL4_InvalidCapability: 0 is the invoked capability, n the n-th extra one."""
    return Refused(Error.INVALID_CAPABILITY, [number], reason)


def illegal_operation(reason: str) -> Refused:
    return Refused(Error.ILLEGAL_OPERATION, [], reason)


def range_error(low: int, high: int, reason: str) -> Refused:
    """seL4_RangeError: the bounds are inclusive."""
    return Refused(Error.RANGE, [low & 0xFFFF_FFFF, high & 0xFFFF_FFFF], reason)


def alignment_error(reason: str) -> Refused:
    return Refused(Error.ALIGNMENT, [], reason)


def truncated_message(reason: str) -> Refused:
    return Refused(Error.TRUNCATED_MESSAGE, [], reason)


def delete_first(reason: str) -> Refused:
    return Refused(Error.DELETE_FIRST, [], reason)


def revoke_first(reason: str) -> Refused:
    return Refused(Error.REVOKE_FIRST, [], reason)


def not_enough_memory(available: int, reason: str) -> Refused:
    return Refused(Error.NOT_ENOUGH_MEMORY, [available], reason)


def failed_lookup(source: bool, failure: LookupFailure, reason: str = "") -> Refused:
    """seL4_FailedLookup: `source` says which of the two lookups of an invocation it was."""
    side = "source" if source else "target"
    sentence = reason or f"the lookup of the {side} failed: {failure.sentence()}"
    return Refused(Error.FAILED_LOOKUP, [int(source), *failure.words()], sentence)
