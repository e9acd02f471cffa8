"""All releases: one complete value each, put together from the tables of their ABI groups."""

from __future__ import annotations

from typing import Final

from retrap.kernel.abi.bootinfo import BOOTINFO_12
from retrap.kernel.abi.calls import CALLS_16
from retrap.kernel.abi.labels import LABELS_15
from retrap.kernel.abi.numbers import (
    CAP_TYPES_14,
    CONSTANTS_11,
    CONTEXT_12,
    ERRORS,
    FAULTS_4,
    OBJECTS_13,
    SLOTS_13,
)
from retrap.kernel.abi.release import Facts, Release

RELEASES: Final[tuple[Release, ...]] = (
    Release(
        name="16.0.0",
        tag="16.0.0",
        mcs=False,
        syscalls=CALLS_16,
        invocations=LABELS_15,
        object_types=OBJECTS_13,
        fault_labels=FAULTS_4,
        errors=ERRORS,
        cap_types=CAP_TYPES_14,
        boot_slots=SLOTS_13,
        bootinfo=BOOTINFO_12,
        user_context=CONTEXT_12,
        constants=CONSTANTS_11,
        facts=Facts(),
    ),
)
"""Oldest first."""
