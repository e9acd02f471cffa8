"""What compiled code and its runtime agree on: the environment block, the jump cache, the ways out.

A region is a host function `i64 region(ptr context, ptr environment)`. What it returns says all about its end:
PC in bits 63:32, in bits 31:8 how many instructions of the block it had paid for were not executed, in
bits 7:0 the `Exit`. Registers and flags are in the context by then, except PC, which the caller stores.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Env:
    """Byte offset of each word of the environment, one block per address space."""

    BUDGET: Final = 0  # 64 bits: instructions that may still retire
    TOUCHED: Final = 8  # 32 bits: virtual address of the access that made a region leave with Exit.TOUCH
    READ_TABLE: Final = 16  # host address of 2^20 entries: host page - virtual page, 0 = not for native code
    WRITE_TABLE: Final = 24
    JUMP_CACHE: Final = 32  # host address of the jump cache
    REGION: Final = 40  # host address of the region that ran last
    SIZE: Final = 4096


JUMP_CACHE_BITS: Final = 14
"""2^14 entries of 16 bytes: key (PC | Thumb), then the region's host address. An empty entry has key -1.
The entry of a key is at its bits 14:1."""


class Exit(IntEnum):
    """Why a region ended. The context is exact in every case."""

    CHAIN = 0  # it goes on at PC, in another region
    BUDGET = 1  # the block at PC is longer than what is left
    LOOKUP = 2  # it goes on at PC, inside an IT block; from `enter`: nothing is compiled for PC
    STEP = 3  # the instruction at PC is for the evaluator
    TOUCH = 4  # the same; and the pages at Env.TOUCHED are not in the tables of native code
    SVC = 5  # the instruction at PC is a system call; it has retired


def packed(pc: int, unused: int, why: Exit) -> int:
    """The value that a region returns, as a signed 64-bit number."""
    value = pc << 32 | unused << 8 | why
    return value - (1 << 64) if value >> 63 else value
