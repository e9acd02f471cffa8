"""What each operation means: one line of Python per `Op`. The living definition of the IR.

A line is used in two ways. Constant folding and the evaluator's first runs of a block call it as one of
`STEPS`; a block that runs often is written out whole as one function (`machine.ir.written`).
In a line, `{d} {a} {b} {c}` are values, `{imm}` and `{width}` numbers, `{mask}` and `{sign}` the all-ones number
and the sign bit of `width`; `words` is the context, `space` the address space, `retired` the clock.
Signed reading of x is `(x ^ sign) - sign`. One-bit values may be Python's True and False.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from retrap.machine.access import load, store, system_read, system_write
from retrap.machine.ir.helpers import HELPERS
from retrap.machine.ir.ops import Inst, Op

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
    Op.EQ: "{d} = {a} == {b}",
    Op.NE: "{d} = {a} != {b}",
    Op.ULT: "{d} = {a} < {b}",
    Op.ULE: "{d} = {a} <= {b}",
    Op.SLT: "{d} = {a} ^ {sign} < {b} ^ {sign}",
    Op.SLE: "{d} = {a} ^ {sign} <= {b} ^ {sign}",
    Op.SELECT: "{d} = {b} if {a} else {c}",
    Op.ZEXT: "{d} = {a}",
    Op.SEXT: "{d} = ({a} ^ {sign}) - {sign} & (1 << {imm}) - 1",
    Op.TRUNC: "{d} = {a} & (1 << {imm}) - 1",
    Op.LOAD: "{d} = load(space, {a}, {size}, {alignment}, words[24])",
    Op.STORE: "store(space, {a}, {b}, {size}, {alignment}, words[24], {c})",
    Op.CALL: "{d} = {helper}({arguments})",
    Op.RESULT: "{d} = {a}[{imm}]",
    Op.TRAP: "if {a}: return {imm}",
    Op.COUNTER: "{d} = space.memory.clock.count(retired) >> 32 * {imm} & 0xffffffff",
    Op.SYSTEM_GET: "{d} = system_read(space, {imm})",
    Op.SYSTEM_SET: "system_write(space, {imm}, {a})",
}


def signed_divide(x: int, y: int) -> int:
    """Quotient towards zero; 0 when y is 0."""
    if y == 0:
        return 0
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


Step = Callable[[list[Any], Inst, Any, Any, int], "int | None"]
"""(values, operation, words, space, retired) → a trap kind, or None to go on. An absent operand is `values[-1]`,
which is to be 1: then a store or trap without condition always happens."""


def _steps() -> tuple[Step, ...]:
    """One function per operation, made from its line; indexed by `Op`."""
    names: dict[str, str] = {n: f"i.{n}" for n in ("imm", "width", "mask", "sign")}
    names.update({n: f"v[i.{n}]" for n in "abcd"})
    names.update(size="i.extra.size", alignment="i.extra.alignment")
    names.update(helper="HELPERS[i.extra[0]]", arguments="*[v[n] for n in i.extra[1]]")
    scope: dict[str, Any] = {"load": load, "store": store, "signed_divide": signed_divide, "HELPERS": HELPERS}
    scope.update(system_read=system_read, system_write=system_write)
    # The lines are the table above: no input reaches them.
    functions = (
        f"def {op.name}(v, i, words, space, retired):\n {line.format(**names)}" for op, line in MEANING.items()
    )
    exec("\n".join(functions), scope)
    return tuple(scope[op.name] for op in sorted(MEANING))


STEPS: Final = _steps()


def fold(op: Op, width: int, a: int, b: int, c: int) -> int:
    """The value of a pure operation on constants."""
    values = [a, b, c, 0]
    STEPS[op](values, Inst(op, width, 3, 0, 1, 2, 0), None, None, 0)
    result: int = values[3]
    return int(result) if result.__class__ is bool else result
