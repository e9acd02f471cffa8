"""How often Python looks for garbage in cycles.

The objects of a booted kernel live long, and what the trap path throws away is not in cycles. With the usual
thresholds a run of seL4's test suite spends a fifteenth of its time looking for what is not there.
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 50_000
"""Objects made, less those gone, between two looks at the youngest."""

ROUNDS: Final = 20
"""Looks at the younger between two at the older."""


def rarely() -> None:
    """Look for cycles rarely from now on: for a process that does nothing but run one guest."""
    gc.set_threshold(YOUNG, ROUNDS, ROUNDS)
