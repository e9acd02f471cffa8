"""What each operation means: one line of Python per `Op`. The living definition of the IR.

A line is used in two ways. Constant folding and the evaluator's first runs of a block execute it through
`STEPS`, one function per operation; a block that runs often is written out whole and compiled (`evaluate`).
In a line, `{d} {a} {b} {c}` are values, `{imm}` and `{width}` numbers, `{mask}` and `{sign}` the all-ones number
and the sign bit of `width`; `words` is the context, `space` the address space, `retired` the clock.
Signed reading of x is `(x ^ sign) - sign`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from retrap.machine.access import load, store
from retrap.machine.ir.helpers import HELPERS
from retrap.machine.ir.ops import Access, Inst, Op

MEANING: Final[dict[Op, str]] = {
    Op.CONST: "{d} = {imm}",
    Op.GET: "{d} = words[{imm}]",
    Op.SET: "words[{imm}] = {a}",
    Op.GET64: "{d} = words[{imm}] | words[{imm} + 1] << 32",
    Op.SET64: "words[{imm}] = {a} & 0xffffffff; words[{imm} + 1] = {a} >> 32",
    Op.ADD: "{d} = {a} + {b} & {mask}",
    Op.SUB: "{d} = {a} - {b} & {mask}",
    Op.MUL: "{d} = {a} * {b} & {mask}",
    Op.UDIV: "{d} = {a} // {b} if {b} else 0",
    Op.SDIV: "{d} = signed_divide(({a} ^ {sign}) - {sign}, ({b} ^ {sign}) - {sign}) & {mask}",
    Op.AND: "{d} = {a} & {b}",
    Op.OR: "{d} = {a} | {b}",
    Op.XOR: "{d} = {a} ^ {b}",
    Op.NOT: "{d} = {a} ^ {mask}",
    Op.SHL: "{d} = {a} << {b} & {mask} if {b} < {width} else 0",
    Op.LSHR: "{d} = {a} >> {b} if {b} < {width} else 0",
    Op.ASHR: "{d} = ({a} ^ {sign}) - {sign} >> ({b} if {b} < {width} else {width}) & {mask}",
    Op.ROR: "{d} = ({a} >> {b} % {width} | {a} << {width} - {b} % {width}) & {mask}",
    Op.CLZ: "{d} = {width} - {a}.bit_length()",
    Op.RBIT: "{d} = int(format({a}, 'b').zfill({width})[::-1], 2)",
    Op.EQ: "{d} = 1 if {a} == {b} else 0",
    Op.NE: "{d} = 1 if {a} != {b} else 0",
    Op.ULT: "{d} = 1 if {a} < {b} else 0",
    Op.ULE: "{d} = 1 if {a} <= {b} else 0",
    Op.SLT: "{d} = 1 if {a} ^ {sign} < {b} ^ {sign} else 0",
    Op.SLE: "{d} = 1 if {a} ^ {sign} <= {b} ^ {sign} else 0",
    Op.SELECT: "{d} = {b} if {a} else {c}",
    Op.ZEXT: "{d} = {a}",
    Op.SEXT: "{d} = ({a} ^ {sign}) - {sign} & (1 << {imm}) - 1",
    Op.TRUNC: "{d} = {a} & (1 << {imm}) - 1",
    Op.LOAD: "{d} = load(space, {a}, {size}, {alignment}, words[24])",
    Op.STORE: "store(space, {a}, {b}, {size}, {alignment}, words[24], {c})",
    Op.CALL: "{d} = {helper}({arguments})",
    Op.RESULT: "{d} = {a}[{imm}]",
    Op.TRAP: "if {a}: return {imm}",
    Op.COUNTER: "{d} = retired >> 32 * {imm} & 0xffffffff",
}


def signed_divide(x: int, y: int) -> int:
    """Quotient towards zero; 0 when y is 0."""
    if y == 0:
        return 0
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


@final
class Quick:
    """An `Inst` with what its line needs worked out. Absent operands a and c read as true (`values[-1]`)."""

    __slots__ = (
        "a", "alignment", "b", "c", "d", "helper", "imm", "mask", "numbers", "sign", "size", "step", "width",
    )  # fmt: skip

    def __init__(self, inst: Inst) -> None:
        self.step: Final = STEPS[inst.op]
        self.d: Final = inst.d
        self.a: Final = inst.a
        self.b: Final = inst.b
        self.c: Final = inst.c
        self.imm: Final = inst.imm
        self.width: Final = inst.width
        self.mask: Final = (1 << inst.width) - 1
        self.sign: Final = 1 << (inst.width - 1)
        extra = inst.extra
        self.size: Final = extra.size if isinstance(extra, Access) else 0
        self.alignment: Final = extra.alignment if isinstance(extra, Access) else 0
        if isinstance(extra, tuple):
            name, numbers, _ = extra
            self.helper: Any = HELPERS[name]
            self.numbers: tuple[int, ...] = numbers
        else:
            self.helper = None
            self.numbers = ()


Step = Callable[[list[Any], Quick, Any, Any, int], "int | None"]
"""(values, operation, words, space, retired) → a trap kind, or None to go on."""


def _steps() -> dict[Op, Step]:
    """One function per operation, made from its line."""
    names: dict[str, str] = {n: f"i.{n}" for n in ("imm", "width", "mask", "sign", "size", "alignment", "helper")}
    names.update({n: f"v[i.{n}]" for n in "abcd"})
    names["arguments"] = "*[v[n] for n in i.numbers]"
    scope: dict[str, Any] = {"load": load, "store": store, "signed_divide": signed_divide}
    steps: dict[Op, Step] = {}
    for op, line in MEANING.items():
        # The lines are the table above: no input reaches them.
        exec(f"def {op.name}(v, i, words, space, retired):\n {line.format(**names)}", scope)
        steps[op] = scope[op.name]
    return steps


STEPS: Final[dict[Op, Step]] = _steps()


def fold(op: Op, width: int, a: int, b: int, c: int) -> int:
    """The value of a pure operation on constants."""
    values = [a, b, c, 0]
    STEPS[op](values, Quick(Inst(op, width, 3, 0, 1, 2, 0)), None, None, 0)
    return values[3]


def write_out(insts: tuple[Inst, ...], names: dict[str, Any]) -> list[str]:
    """The lines of these operations, with the names of `values` as v0, v1 …; helpers are added to `names`."""
    lines = []
    for inst in insts:
        q = Quick(inst)
        fields = {"imm": q.imm, "width": q.width, "mask": q.mask, "sign": q.sign}
        fields.update(size=q.size, alignment=q.alignment, helper="", arguments="", d=f"v{q.d}", b=f"v{q.b}")
        fields.update(a=f"v{q.a}" if q.a >= 0 else "1", c=f"v{q.c}" if q.c >= 0 else "1")
        if q.helper is not None:
            fields["helper"] = f"helper_{id(q.helper)}"
            names[f"helper_{id(q.helper)}"] = q.helper
            fields["arguments"] = ", ".join(f"v{n}" for n in q.numbers)
        lines.append(MEANING[inst.op].format(**fields))
    return lines
