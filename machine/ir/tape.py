"""A block as a tape: eight bytes an operation, for who runs blocks without making code of them.

An operation on tape is its number in `CODES`, then `d`, `a`, `b` (one byte each: numbers of values, all of 64 bits
with the unused ones zero), then `imm` (32 bits). What a template leaves open is numbered, too: such an operation
has the number of a hole for `imm`, and whoever runs the tape has a list of the word's numbers beside it.

Whatever may not happen comes first: a load that fails, a store that would (`check`), a condition for a trap. Then
memory is written (`put`), then registers. So who runs a tape can stop at any `leave`, and nothing has happened yet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, final

from retrap.machine.ir.ops import Block, Inst, Op
from retrap.machine.ir.symbols import hole_of
from retrap.machine.ir.written import needed
from retrap.machine.traps import TrapKind

BYTES: Final = 8
"""Of an operation."""

VALUES: Final = 256
"""Values that a tape has at most."""

_WIDTHS: Final = {
    **dict.fromkeys((Op.ADD, Op.SUB, Op.MUL, Op.UDIV, Op.SDIV, Op.SHL, Op.LSHR, Op.ASHR, Op.ROR, Op.CLZ), (32, 64)),
    **dict.fromkeys((Op.RBIT,), (32, 64)),
    **dict.fromkeys((Op.AND, Op.OR, Op.XOR, Op.NOT, Op.EQ, Op.NE), (1, 32, 64)),
    **dict.fromkeys((Op.ULT, Op.ULE, Op.SLT, Op.SLE), (32, 64)),
}
"""Pure operations that are on tape as they are, for each width."""

SIZES: Final = (1, 2, 4, 8)
"""Bytes that are loaded or stored."""

PURE: Final = tuple((op, width) for op, widths in _WIDTHS.items() for width in widths)

NAMES: Final = (
    "next",  # the instruction is done, and the next one is behind it
    "done",  # it is done, and a basic block with it
    "unless",  # if a is 0, pass over imm operations
    "pass",  # pass over imm operations
    "call",  # a system call: leave, the instruction having retired
    "leave",  # leave: the instruction is for somebody else
    "leave_if",  # the same, if a
    "const",  # d := imm
    "upper",  # d := d + imm * 2^32
    "hole",  # d := hole imm
    "get", "get_hole",  # d := context word imm, or that of the number that hole imm has
    "set", "set_hole",  # that word := a
    "get64", "get64_hole", "set64", "set64_hole",  # two words
    "select",  # d := b if a else imm (a value)
    "mask",  # d := a & imm
    "extend32", "extend64",  # d := a shifted up by imm, and down again with its sign, as 32 or 64 bits
    *(f"load{size}" for size in SIZES),  # d := memory at a, a & imm being 0; or leave
    *(f"check{size}" for size in SIZES),  # d := host address of a, which can be written and a & imm is 0; or leave
    *(f"put{size}" for size in SIZES),  # memory at host address a := b
    *(f"put{size}_if" for size in SIZES),  # the same if imm (a value)
    *(f"{op.name.lower()}{width}" for op, width in PURE),
)  # fmt: skip

CODES: Final = {name: number for number, name in enumerate(NAMES)}
"""Name → number of each operation on tape."""

_PURE_CODES: Final = {pure: CODES[f"{pure[0].name.lower()}{pure[1]}"] for pure in PURE}

_ROW: Final = struct.Struct("<4BI")


class Unfit(Exception):
    """The block does what tapes have no operation for: it is the evaluator's."""


@final
class _Taper:
    def __init__(self, holes: tuple[str, ...]) -> None:
        self.holes: Final = {name: number for number, name in enumerate(holes)}
        self.same: Final[dict[int, int]] = {}  # value → the value that it equals
        self.rows: list[bytes] = []
        self.puts: list[bytes] = []
        self.sets: list[bytes] = []
        self.fresh = 0

    def value(self, number: int) -> int:
        return self.same.get(number, number)

    def row(self, name: str, d: int = 0, a: int = 0, b: int = 0, imm: int = 0) -> bytes:
        if max(d, a, b) >= VALUES:
            raise Unfit
        return _ROW.pack(CODES[name], d, a, b, imm)

    def slot(self, i: Inst, name: str, d: int = 0, a: int = 0) -> bytes:
        """An operation whose attribute may be a hole."""
        hole = hole_of(i)
        if hole is None:
            return self.row(name, d, a, 0, i.imm)
        return self.row(f"{name}_hole", d, a, 0, self.holes[hole.name])

    def part(self, insts: tuple[Inst, ...]) -> list[bytes]:
        """The rows of a straight line."""
        self.rows, self.puts, self.sets = [], [], []
        for i in insts:
            _WRITE.get(i.op, _pure)(self, i)
        return [*self.rows, *self.puts, *self.sets]


def _pure(t: _Taper, i: Inst) -> None:
    code = _PURE_CODES.get((i.op, i.width))
    a, b = t.value(i.a), t.value(i.b) if i.b >= 0 else 0
    if code is None or max(i.d, a, b) >= VALUES:
        raise Unfit
    t.rows.append(_ROW.pack(code, i.d, a, b, 0))


def _const(t: _Taper, i: Inst) -> None:
    hole = hole_of(i)
    if hole is not None:
        if hole.high >> 32:
            raise Unfit
        t.rows.append(t.row("hole", i.d, imm=t.holes[hole.name]))
        return
    t.rows.append(t.row("const", i.d, imm=i.imm & 0xFFFFFFFF))
    if i.imm >> 32:
        t.rows.append(t.row("upper", i.d, imm=i.imm >> 32))


def _get(t: _Taper, i: Inst) -> None:
    if t.sets:
        raise Unfit
    t.rows.append(t.slot(i, "get" if i.op is Op.GET else "get64", d=i.d))


def _set(t: _Taper, i: Inst) -> None:
    t.sets.append(t.slot(i, "set" if i.op is Op.SET else "set64", a=t.value(i.a)))


def _load(t: _Taper, i: Inst) -> None:
    if t.puts or t.sets:
        raise Unfit
    t.rows.append(t.row(f"load{i.extra.size}", i.d, t.value(i.a), imm=i.extra.alignment - 1))


def _store(t: _Taper, i: Inst) -> None:
    if t.sets:
        raise Unfit
    size, place = i.extra.size, t.fresh
    t.fresh += 1
    t.rows.append(t.row(f"check{size}", place, t.value(i.a), imm=i.extra.alignment - 1))
    if i.c < 0:
        t.puts.append(t.row(f"put{size}", a=place, b=t.value(i.b)))
    else:
        t.puts.append(t.row(f"put{size}_if", a=place, b=t.value(i.b), imm=t.value(i.c)))


def _trap(t: _Taper, i: Inst) -> None:
    if t.puts:
        raise Unfit
    if i.a >= 0:
        t.rows.append(t.row("leave_if", a=t.value(i.a)))
    elif i.imm == TrapKind.SVC:
        t.sets.append(t.row("call"))
    else:
        t.rows.append(t.row("leave"))


def _select(t: _Taper, i: Inst) -> None:
    t.rows.append(t.row("select", i.d, t.value(i.a), t.value(i.b), t.value(i.c)))


def _same(t: _Taper, i: Inst) -> None:
    t.same[i.d] = t.value(i.a)


def _truncate(t: _Taper, i: Inst) -> None:
    t.rows.append(t.row("mask", i.d, t.value(i.a), imm=(1 << i.imm) - 1))


def _extend(t: _Taper, i: Inst) -> None:
    t.rows.append(t.row(f"extend{i.imm}", i.d, t.value(i.a), imm=i.imm - i.width))


def _unfit(t: _Taper, i: Inst) -> None:
    raise Unfit


_WRITE: Final[dict[Op, Callable[[_Taper, Inst], None]]] = {
    Op.CONST: _const,
    Op.GET: _get,
    Op.GET64: _get,
    Op.SET: _set,
    Op.SET64: _set,
    Op.LOAD: _load,
    Op.STORE: _store,
    Op.TRAP: _trap,
    Op.SELECT: _select,
    Op.ZEXT: _same,
    Op.SEXT: _extend,
    Op.TRUNC: _truncate,
    Op.CALL: _unfit,
    Op.RESULT: _unfit,
    Op.COUNTER: _unfit,
    Op.SYSTEM_GET: _unfit,
    Op.SYSTEM_SET: _unfit,
}


def tape_of(block: Block, holes: tuple[str, ...] = ()) -> bytes | None:
    """The tape of a block, or of a template's pattern with holes of these names; None if there is none."""
    taper = _Taper(holes)
    taper.fresh = block.values
    wanted = set(needed((*block.prologue, *block.body, *block.skipped), block.condition))

    def part(insts: tuple[Inst, ...]) -> list[bytes]:
        return taper.part(tuple(i for i in insts if i in wanted))

    try:
        end = [taper.row("done" if block.branches or block.trap >= 0 else "next")]
        rows = part(block.prologue)
        body = part(block.body)
        if block.condition >= 0:
            skipped = part(block.skipped)
            # Not taken, a branch ends its basic block, too.
            rows.append(taper.row("unless", a=taper.value(block.condition), imm=len(body) + 1))
            body += [taper.row("pass", imm=len(skipped)), *skipped]
        return b"".join([*rows, *body, *end])
    except Unfit:
        return None
