"""What can go wrong for a user of the tools, as exit statuses and one-line messages."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Exit statuses of every verb (docs/cli.md)."""

    OK = 0
    DIFFERENT = 1  # the compared things differ, or an engine bug
    BAD_INPUT = 2
    GUEST_DIED = 3
    LIMIT = 4
    INTERRUPTED = 130


class UsageError(Exception):
    """Options that do not go together, or a file that the tools themselves cannot read or write."""


class EngineBug(Exception):
    """An invariant of the kernel model does not hold: a bug in retrap, whatever the guest did."""
