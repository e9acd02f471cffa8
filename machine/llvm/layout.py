"""What compiled code and its runtime agree on: the environment block, the jump cache, the ways out."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Env:
    """Index of each 64-bit word of the environment that every region gets as its second argument."""

    BUDGET: Final = 0  # instructions that may still retire
    READ_TABLE: Final = 1  # host address of 2^20 entries: host page - virtual page, 0 = take the slow path
    WRITE_TABLE: Final = 2
    JUMP_CACHE: Final = 3  # host address of the jump cache
    TOUCHED: Final = 4  # virtual address of the access that made a region leave with Exit.STEP, or UNTOUCHED
    WHY: Final = 5  # scratch: the `Exit` on its way out
    WORDS: Final = 8


UNTOUCHED: Final = (1 << 64) - 1


JUMP_CACHE_BITS: Final = 14
"""2^14 entries of 16 bytes: key (PC | Thumb), then the region's host address. An empty entry has key -1."""


class Exit(IntEnum):
    """Why a region came back. The context is exact in every case."""

    BUDGET = 0  # the next block is longer than what is left
    LOOKUP = 1  # PC is not in the jump cache (or inside an IT block)
    STEP = 2  # the instruction at PC is for the evaluator: a fault, a device, a first touch, a rare operation
    SVC = 3  # the instruction at PC is a system call; it has retired
