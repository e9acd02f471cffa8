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
    READ_RUNS: Final = 48  # host address of 2^20 entries: the run of pages that an entry of the table belongs to
    WRITE_RUNS: Final = 56
    MISS: Final = 64  # host address of `tables.miss`, which TUNED regions call
    LOG: Final = 80  # host address where the instruction log ends when the budget is used up
    FLAGS: Final = 72  # 32 bits: flags that a helper raised; NOT_DONE: it is the evaluator's
    INTERPRETER: Final = 88  # host address of the function `sheets.INTERPRETER`, 0 where there is no sheet
    SHEETS: Final = 96  # host address of 2^20 pairs: host address of the page's `Sheet`, host page - virtual page
    HANDLERS: Final = 104  # host address of the addresses of the interpreter's functions
    RESUME: Final = 112  # host address of the function `sheets.RESUME`, 0 where there is no sheet
    RAM: Final = 120  # host address of the rows `Ram`
    NUMBER: Final = 128  # names the address space in `Writer`s
    HELPERS: Final = 136  # host addresses of the functions in `helpers`
    WINDOWS: Final = 1024  # WINDOW_COUNT windows
    NOTED: Final = 4096  # 2^20 bytes: whether anything but pointers has been derived from a virtual page
    SIZE: Final = NOTED + (1 << 20)


NOT_DONE: Final = 0xFFFFFFFF


class Ram:
    """A region of RAM: byte offset of each word of a row. The last row is all zeroes."""

    FIRST: Final = 0  # its first physical page
    END: Final = 8  # the physical page behind it
    HOST: Final = 16  # host address - physical address
    WRITERS: Final = 24  # where the `Writer` of physical page 0 would be
    SIZE: Final = 32


class Writer:
    """The word of a physical page: which entry of a table for stores leads there. If it is none of these, it is the
    only one: number of its space << 20 | virtual page."""

    NOBODY: Final = 0
    MANY: Final = (1 << 64) - 1  # more than one, or there have been more than one
    CODE: Final = (1 << 64) - 2  # none may, as compiled code comes from that page


class Window:
    """Byte offset of each word of a window: a run of pages that an access found last, one for each base register
    and direction. An access in `[start, start + limit]` of at most `WINDOW_SLACK` bytes needs no other look."""

    START: Final = 0  # guest address of the run's first byte
    LIMIT: Final = 8  # its length less WINDOW_SLACK, signed; -1: the window is empty
    DISTANCE: Final = 16  # host address - guest address
    SIZE: Final = 32


WINDOW_SLACK: Final = 8
WINDOW_COUNT: Final = 32
"""Twice the base register's number, plus 1 for stores. PC's are those of addresses without a base."""


JUMP_CACHE_BITS: Final = 14
"""2^14 entries of 16 bytes: key (PC | Thumb), then the region's host address. An empty entry has key -1.
The entry of a key is at its bits 14:1."""

JUMP_SEARCH: Final = f"""%key64 = zext i32 %key to i64
%at0 = lshr i32 %key, 1
%at = and i32 %at0, {(1 << JUMP_CACHE_BITS) - 1}
%at64 = zext i32 %at to i64
%slot = getelementptr [2 x i64], ptr %j, i64 %at64
%found = load i64, ptr %slot
%hit = icmp eq i64 %found, %key64"""
"""LLVM IR that looks `%key` up in the jump cache at `%j`: whether there is a region (`%hit`), and its `%slot`."""


class Sheet:
    """A code page for the interpreter: for each halfword the offset of a record, 0 = none; then records and tapes
    (`machine.ir.tape`). Offsets are in bytes, from the sheet's start. These are the offsets within a record."""

    STATE: Final = 0  # 64 bits: Thumb | ITSTATE << 32 that the instruction was read in
    COUNT: Final = 8  # 32 bits: how often a basic block began here
    TAPE: Final = 12  # 32 bits: offset of the tape
    LOW: Final = 16  # 16 bits: the instruction's first halfword in memory
    HIGH: Final = 18  # 16 bits: the second one
    WIDE: Final = 20  # 32 bits: whether there is a second one
    HOLES: Final = 24  # 32 bits each: the word's numbers

    ENTRIES: Final = 2048
    ENOUGH: Final = 2000
    """A basic block that has begun so often is to be compiled, or is compiled already."""


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
