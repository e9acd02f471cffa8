"""What suits a process that runs one guest and does nothing else."""

from __future__ import annotations

import gc
import sys
from typing import Final

YOUNG: Final = 50_000
"""Objects made, less those gone, between two looks at the youngest."""

ROUNDS: Final = 20
"""Looks at the younger between two at the older."""


def collect_rarely() -> None:
    """Look for garbage in cycles rarely from now on.

    The objects of a booted kernel live long, and what the trap path throws away is not in cycles. With the usual
    thresholds a run of seL4's test suite spends a fifteenth of its time looking for what is not there.
    """
    gc.set_threshold(YOUNG, ROUNDS, ROUNDS)


LARGE: Final = 16 << 20
"""Bytes of a buffer that is given back to the host as soon as it is free."""

IDLE: Final = 64 << 20
"""Bytes at the heap's end that may lie idle."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


def keep_buffers() -> None:
    """Let the C library keep the buffers that come and go with every frame of a trace: memory that is given back
    and taken again costs a page fault for each page, a tenth of the time of recording messages."""
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # not all C libraries have it
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_TRIM_THRESHOLD, IDLE)
