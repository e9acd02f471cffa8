"""Pure operations as LLVM IR text: one rule per `Op`, and no meaning of any instruction.

Operations become `Node`s first, and text only when something needs them (`Emitter.force`): so what nobody
uses, such as flags that the next instruction overwrites, costs nothing further on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retrap.machine.ir.builder import MASK, fold
from retrap.machine.ir.ops import Inst, Op
from retrap.machine.llvm.nodes import Node as Node
from retrap.machine.llvm.nodes import Operand as Operand
from retrap.machine.llvm.nodes import comparison

DEEP: Final = 60
"""Operations that a node may stand on before it is written out: bounds recursion."""


class Emitter:
    """Writes LLVM instructions of one function. Code is a main path and side paths that branch off it."""

    def __init__(self) -> None:
        self.main: Final[list[str]] = []
        self.asides: Final[list[str]] = []
        self.out = self.main
        self.fresh = 0
        self._local: dict[Node, str] | None = None
        """On a side path: names that hold there only."""

    def name(self) -> str:
        """A new LLVM value's name."""
        self.fresh += 1
        return f"%v{self.fresh}"

    def define(self, text: str) -> str:
        """The name of a new value computed by `text`."""
        self.fresh += 1
        name = f"%v{self.fresh}"
        self.out.append(f"{name} = {text}")
        return name

    def make(self, op: Op, width: int, imm: int, a: Operand, b: Operand, c: Operand) -> Operand:
        """The result of a pure operation (unused operands are 0)."""
        if isinstance(a, int):
            if op is Op.SELECT:
                return b if a else c
            if isinstance(b, int) and isinstance(c, int):
                return folded(op, width, imm, a, b, c)
        elif isinstance(a, Node) and op is Op.TRUNC and a.op is Op.ZEXT and a.width == imm:
            return a.a
        elif b == 0 and op is Op.AND and isinstance(b, int):
            return 0
        elif b == 0 and op in (Op.OR, Op.XOR, Op.ADD, Op.SUB) and isinstance(b, int):
            return a
        if op in _ASKING and width == _ASKING[op]:
            found = comparison(op, a, b)
            if found is not None:
                op, a, b = found
                width = 32
        elif op is Op.XOR and (a is b or (isinstance(a, str) and a == b)):
            return 0
        depth = 1
        for x in (a, b, c):
            if isinstance(x, Node) and not x.name and x.depth >= depth:
                depth = x.depth + 1
        node = Node(op, width, imm, a, b, c, depth)
        if depth > DEEP:
            self.force(node)
        return node

    def force(self, x: Operand) -> str:
        """The operand as LLVM text, written out here if it has not been."""
        if isinstance(x, str):
            return x
        if isinstance(x, int):
            return str(x)
        if x.name:
            return x.name
        local = self._local
        if local is None:
            x.name = name = RULES[x.op](self, x)
            return name
        known = local.get(x)
        if known is None:
            known = RULES[x.op](self, x)
            local[x] = known
        return known

    def enter_side(self, asides: bool) -> tuple[list[str], dict[Node, str] | None]:
        """Write to a side path from here on, behind the function if `asides`. Give the result to `leave_side`."""
        state = self.out, self._local
        self._local = {} if self._local is None else dict(self._local)
        if asides:
            self.out = self.asides
        return state

    def leave_side(self, state: tuple[list[str], dict[Node, str] | None]) -> None:
        """Go on where the side path began."""
        self.out, self._local = state


_ASKING: Final = {Op.EQ: 32, Op.NE: 32, Op.AND: 1}
"""Operations that may ask for a comparison → bits of their operands."""


def folded(op: Op, width: int, imm: int, a: int, b: int, c: int) -> int:
    """The value of a pure operation on constants."""
    if op in (Op.ZEXT, Op.TRUNC):
        return a & MASK[imm]
    if op is Op.SEXT:
        return (a - (1 << width) if a >> (width - 1) & 1 else a) & MASK[imm]
    return fold(op, width, a, b, c)


def fold_inst(inst: Inst, a: int, b: int, c: int) -> int:
    """The same, of an `Inst`."""
    return folded(inst.op, inst.width, inst.imm, a, b, c)


# -- the rules: one per pure Op ------------------------------------------------------------------------------

Rule = Callable[[Emitter, Node], str]


def _binary(name: str) -> Rule:
    def rule(e: Emitter, n: Node) -> str:
        return e.define(f"{name} i{n.width} {e.force(n.a)}, {e.force(n.b)}")

    return rule


def _divide(name: str) -> Rule:
    signed = name == "sdiv"

    def rule(e: Emitter, n: Node) -> str:
        kind, x, y = f"i{n.width}", e.force(n.a), e.force(n.b)
        zero = special = e.define(f"icmp eq {kind} {y}, 0")
        if signed:
            # INT_MIN / -1 would trap on some hosts: dividing by 1 instead gives the same, INT_MIN.
            least = e.define(f"icmp eq {kind} {x}, {1 << (n.width - 1)}")
            minus = e.define(f"icmp eq {kind} {y}, {MASK[n.width]}")
            both = e.define(f"and i1 {least}, {minus}")
            special = e.define(f"or i1 {zero}, {both}")
        by = e.define(f"select i1 {special}, {kind} 1, {kind} {y}")
        quotient = e.define(f"{name} {kind} {x}, {by}")
        return e.define(f"select i1 {zero}, {kind} 0, {kind} {quotient}")

    return rule


def _not(e: Emitter, n: Node) -> str:
    return e.define(f"xor i{n.width} {e.force(n.a)}, {'true' if n.width == 1 else -1}")


def _shift(name: str) -> Rule:
    def rule(e: Emitter, n: Node) -> str:
        kind, width, x = f"i{n.width}", n.width, e.force(n.a)
        if isinstance(n.b, int):
            if n.b < width:
                return e.define(f"{name} {kind} {x}, {n.b}")
            return e.define(f"ashr {kind} {x}, {width - 1}") if name == "ashr" else "0"
        amount = e.force(n.b)
        far = e.define(f"icmp uge {kind} {amount}, {width}")
        if name == "ashr":
            near = e.define(f"select i1 {far}, {kind} {width - 1}, {kind} {amount}")
            return e.define(f"ashr {kind} {x}, {near}")
        near = e.define(f"and {kind} {amount}, {width - 1}")
        shifted = e.define(f"{name} {kind} {x}, {near}")
        return e.define(f"select i1 {far}, {kind} 0, {kind} {shifted}")

    return rule


def _ror(e: Emitter, n: Node) -> str:
    kind, x, amount = f"i{n.width}", e.force(n.a), e.force(n.b)
    return e.define(f"call {kind} @llvm.fshr.{kind}({kind} {x}, {kind} {x}, {kind} {amount})")


def _clz(e: Emitter, n: Node) -> str:
    kind = f"i{n.width}"
    return e.define(f"call {kind} @llvm.ctlz.{kind}({kind} {e.force(n.a)}, i1 false)")


def _rbit(e: Emitter, n: Node) -> str:
    # Not llvm.bitreverse, for which hosts want constants in memory: a function must be all in its text.
    kind, x = f"i{n.width}", e.force(n.a)
    for shift, mask in ((1, 0x55), (2, 0x33), (4, 0x0F)):
        every = int.from_bytes(bytes([mask]) * (n.width // 8), "little")
        high = e.define(f"and {kind} {e.define(f'lshr {kind} {x}, {shift}')}, {every}")
        low = e.define(f"shl {kind} {e.define(f'and {kind} {x}, {every}')}, {shift}")
        x = e.define(f"or {kind} {high}, {low}")
    return e.define(f"call {kind} @llvm.bswap.{kind}({kind} {x})")


def _compare(name: str) -> Rule:
    def rule(e: Emitter, n: Node) -> str:
        return e.define(f"icmp {name} i{n.width} {e.force(n.a)}, {e.force(n.b)}")

    return rule


def _select(e: Emitter, n: Node) -> str:
    kind, chosen = f"i{n.width}", e.force(n.a)
    return e.define(f"select i1 {chosen}, {kind} {e.force(n.b)}, {kind} {e.force(n.c)}")


def _convert(name: str) -> Rule:
    def rule(e: Emitter, n: Node) -> str:
        return e.define(f"{name} i{n.width} {e.force(n.a)} to i{n.imm}")

    return rule


RULES: Final[dict[Op, Rule]] = {
    Op.ADD: _binary("add"),
    Op.SUB: _binary("sub"),
    Op.MUL: _binary("mul"),
    Op.UDIV: _divide("udiv"),
    Op.SDIV: _divide("sdiv"),
    Op.AND: _binary("and"),
    Op.OR: _binary("or"),
    Op.XOR: _binary("xor"),
    Op.NOT: _not,
    Op.SHL: _shift("shl"),
    Op.LSHR: _shift("lshr"),
    Op.ASHR: _shift("ashr"),
    Op.ROR: _ror,
    Op.CLZ: _clz,
    Op.RBIT: _rbit,
    Op.EQ: _compare("eq"),
    Op.NE: _compare("ne"),
    Op.ULT: _compare("ult"),
    Op.ULE: _compare("ule"),
    Op.SLT: _compare("slt"),
    Op.SLE: _compare("sle"),
    Op.SELECT: _select,
    Op.ZEXT: _convert("zext"),
    Op.SEXT: _convert("sext"),
    Op.TRUNC: _convert("trunc"),
}

PURE: Final = frozenset(RULES)
STATEFUL: Final = frozenset(
    {Op.CONST, Op.GET, Op.SET, Op.GET64, Op.SET64, Op.LOAD, Op.STORE, Op.TRAP, Op.CALL, Op.RESULT, Op.COUNTER}
    | {Op.SYSTEM_GET, Op.SYSTEM_SET}
)
"""What `lower` takes care of itself. With `PURE` these are all operations."""

DECLARATIONS: Final = "\n".join(
    f"declare i{w} @llvm.{name}.i{w}({signature.format(w=w)})"
    for w in (32, 64)
    for name, signature in (
        ("ctlz", "i{w}, i1"),
        ("bswap", "i{w}"),
        ("fshr", "i{w}, i{w}, i{w}"),
    )
)
