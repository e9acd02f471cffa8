"""Numbers that user code sees in messages, each in one place (libsel4 `errors.h`, `shared_types.bf`)."""

from __future__ import annotations

from typing import Final


class Error:
    """seL4_Error: the label of an error reply. Unchanged in every release."""

    NONE: Final = 0
    INVALID_ARGUMENT: Final = 1
    INVALID_CAPABILITY: Final = 2
    ILLEGAL_OPERATION: Final = 3
    RANGE: Final = 4
    ALIGNMENT: Final = 5
    FAILED_LOOKUP: Final = 6
    TRUNCATED_MESSAGE: Final = 7
    DELETE_FIRST: Final = 8
    REVOKE_FIRST: Final = 9
    NOT_ENOUGH_MEMORY: Final = 10


class LookupKind:
    """seL4_LookupFailureType: first word of a lookup failure in a message."""

    NONE: Final = 0
    INVALID_ROOT: Final = 1
    MISSING_CAPABILITY: Final = 2
    DEPTH_MISMATCH: Final = 3
    GUARD_MISMATCH: Final = 4


# The IPC buffer, in words (seL4_IPCBuffer).
MESSAGE_REGISTERS: Final = 4  # MR0 … MR3 travel in r2 … r5
MAX_LENGTH: Final = 120
MAX_EXTRA_CAPS: Final = 3
BUFFER_MESSAGE: Final = 1  # word index of MR0
BUFFER_CAPS: Final = 122  # caps_or_badges
BUFFER_RECEIVE: Final = 125  # receiveCNode, receiveIndex, receiveDepth
BUFFER_SIZE_BITS: Final = 9


def message_info(label: int, unwrapped: int, extra_caps: int, length: int) -> int:
    """Pack a seL4_MessageInfo word."""
    return (label & 0xFFFFF) << 12 | unwrapped << 9 | extra_caps << 7 | length


def info_label(word: int) -> int:
    return word >> 12


def info_extra_caps(word: int) -> int:
    return word >> 7 & 3


def info_length(word: int) -> int:
    """The length field as the kernel takes it: never more than the message has room for."""
    length = word & 0x7F
    return length if length <= MAX_LENGTH else MAX_LENGTH
