"""From a region of `Block`s to LLVM IR text: one rule per `Op`, and no meaning of any instruction.

There are two shapes. `Shape.QUICK` works on the context in memory and is cheap to compile without optimisation;
`Shape.TUNED` keeps the slots that a region uses in allocas, which LLVM turns into registers, and writes them back
on every way out. An access that is not a plain hit in the page tables leaves
the region *before* its instruction, with nothing of it committed, and the evaluator performs it: so faults,
devices, page crossings and code that modifies itself have one definition.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final, final

from retrap.machine.context import Slot
from retrap.machine.ir.builder import MASK, fold
from retrap.machine.ir.ops import Access, Block, Inst, Op
from retrap.machine.llvm.layout import JUMP_CACHE_BITS, Env, Exit
from retrap.machine.traps import TrapKind


class Shape(IntEnum):
    """How a region keeps the registers while it runs."""

    QUICK = 0  # in the context
    TUNED = 1  # in registers; every way out writes them back


Operand = int | str
"""A value number's meaning while lowering: a constant, or the name of an LLVM value."""

DECLARATIONS: Final = "\n".join(
    [
        f"declare i{w} @llvm.{name}.i{w}({signature.format(w=w)})"
        for w in (32, 64)
        for name, signature in (
            ("ctlz", "i{w}, i1"),
            ("bitreverse", "i{w}"),
            ("fshr", "i{w}, i{w}, i{w}"),
        )
    ]
)

PROFILE: Final = '!0 = !{!"branch_weights", i32 1, i32 2000}'
"""Leaving a region because of an access is rare."""


@final
class Step:
    """One guest instruction in a region: its address, its block, and its index within its basic block."""

    __slots__ = ("address", "after", "block", "index", "it", "run")

    def __init__(self, address: int, block: Block, it: int, after: int) -> None:
        self.address: Final = address
        self.block: Final = block
        self.it: Final = it  # ITSTATE before it
        self.after: Final = after  # ITSTATE after it
        self.index = 0  # instructions of the basic block before this one
        self.run = 0  # instructions of the whole basic block


@final
class Lowering:
    """Lowers one region. `text()` is the LLVM function."""

    def __init__(self, name: str, thumb: int, runs: list[list[Step]], shape: Shape, heat: int = 0) -> None:
        """`runs`: the region's basic blocks, the entry's first; each a list of consecutive instructions.

        `heat`: host address of the 64-bit word in which a QUICK region counts what it has executed.
        """
        self.heat: Final = heat
        self.name = name
        self.tuned: Final = shape is Shape.TUNED
        self.home: Final = "%s" if self.tuned else "%p"
        self.thumb = thumb
        self.runs = runs
        self.entries: Final = {run[0].address for run in runs}
        self.lines: list[str] = []
        self.slots: set[int] = set()
        self.dirty: set[int] = {Slot.PC}
        self.fresh = 0
        self.values: dict[int, Operand] = {}
        self.address = 0
        self.step: Step | None = None
        self.step_exit_used = False
        self.spans: dict[tuple[int, str], Span] = {}
        self.affine: dict[int, tuple[int, int]] = {}

    def text(self) -> str:
        """The LLVM IR of the whole function."""
        body: list[str] = []
        for run in self.runs:
            self._run(run)
            body.extend(self.lines)
            self.lines = []
        return "\n".join([*self._head(), *body, *self._tails(), "}"])

    # -- frame -------------------------------------------------------------------------------------------

    def _head(self) -> list[str]:
        lines = [f"define i64 @{self.name}(ptr noalias %ctx, ptr noalias %env) {{", "entry:"]
        used = sorted(self.slots | self.dirty)
        for slot in used:
            lines.append(f"%p{slot} = getelementptr i32, ptr %ctx, i32 {slot}")
        if self.tuned:
            lines.append("%budget = alloca i64")
            lines.append("%why = alloca i64")
            for slot in used:
                kind = f"i{_width(slot)}"
                lines.append(f"%s{slot} = alloca {kind}")
                lines.append(f"%l{slot} = load {kind}, ptr %p{slot}, align 4")
                lines.append(f"store {kind} %l{slot}, ptr %s{slot}")
            lines.append("%budget0 = load i64, ptr %env")
            lines.append("store i64 %budget0, ptr %budget")
        else:
            lines.append(f"%budget = getelementptr i64, ptr %env, i32 {Env.BUDGET}")
            lines.append(f"%why = getelementptr i64, ptr %env, i32 {Env.WHY}")
            lines.append(f"%heat = inttoptr i64 {self.heat} to ptr")
        for name, index in (("rt", Env.READ_TABLE), ("wt", Env.WRITE_TABLE)):
            lines.append(f"%{name}p = getelementptr i64, ptr %env, i32 {index}")
            lines.append(f"%{name} = load ptr, ptr %{name}p")
        lines.append(f"br label %b{self.runs[0][0].address:x}")
        return lines

    def _write_back(self, tail: str) -> list[str]:
        if not self.tuned:
            return []
        lines = []
        for slot in sorted(self.dirty):
            kind = f"i{_width(slot)}"
            lines.append(f"%{tail}{slot} = load {kind}, ptr %s{slot}")
            lines.append(f"store {kind} %{tail}{slot}, ptr %p{slot}, align 4")
        lines.append(f"%{tail}b = load i64, ptr %budget")
        lines.append(f"store i64 %{tail}b, ptr %env")
        return lines

    def _tails(self) -> list[str]:
        thumb = "%ct" if Slot.THUMB in self.slots | self.dirty else str(self.thumb)
        load_thumb = [f"%ct = load i32, ptr {self.home}{Slot.THUMB}"] if thumb == "%ct" else []
        return [
            "leave:",
            *self._write_back("w"),
            "%why1 = load i64, ptr %why",
            "ret i64 %why1",
            "chain:",
            *self._write_back("c"),
            *load_thumb,
            f"%cpc = load i32, ptr {self.home}{Slot.PC}",
            f"%ck = or i32 %cpc, {thumb}",
            "%ckey = zext i32 %ck to i64",
            "%ci0 = lshr i32 %ck, 1",
            f"%ci = and i32 %ci0, {(1 << JUMP_CACHE_BITS) - 1}",
            f"%cjp = getelementptr i64, ptr %env, i32 {Env.JUMP_CACHE}",
            "%cj = load ptr, ptr %cjp",
            "%ce = getelementptr [2 x i64], ptr %cj, i32 %ci",
            "%cek = load i64, ptr %ce",
            "%chit = icmp eq i64 %cek, %ckey",
            "br i1 %chit, label %go, label %miss",
            "go:",
            "%cfp = getelementptr i64, ptr %ce, i32 1",
            "%cf = load ptr, ptr %cfp",
            "%cr = musttail call i64 %cf(ptr noalias %ctx, ptr noalias %env)",
            "ret i64 %cr",
            "miss:",
            f"ret i64 {int(Exit.LOOKUP)}",
        ]

    # -- basic blocks ------------------------------------------------------------------------------------

    def _run(self, run: list[Step]) -> None:
        """One basic block: check and take the budget, then its instructions."""
        out = self.lines
        head, count = run[0].address, len(run)
        out.append(f"b{head:x}:")
        have, enough, rest = self._name(), self._name(), self._name()
        out.append(f"{have} = load i64, ptr %budget")
        out.append(f"{enough} = icmp uge i64 {have}, {count}")
        out.append(f"br i1 {enough}, label %t{head:x}, label %o{head:x}")
        out.append(f"o{head:x}:")
        self._leave(head, Exit.BUDGET, 0)
        out.append(f"t{head:x}:")
        out.append(f"{rest} = sub i64 {have}, {count}")
        out.append(f"store i64 {rest}, ptr %budget")
        if not self.tuned:
            cold, warm = self._name(), self._name()
            out.append(f"{cold} = load i64, ptr %heat")
            out.append(f"{warm} = add i64 {cold}, {count}")
            out.append(f"store i64 {warm}, ptr %heat")
        for index, step in enumerate(run):
            step.index, step.run = index, count
            self._instruction(step, index == count - 1)

    def _instruction(self, step: Step, last: bool) -> None:
        block, out = step.block, self.lines
        self.step, self.address, self.step_exit_used = step, step.address, False
        self.values = {}
        following = step.address + block.size
        if not lowerable(block):
            self._leave(step.address, Exit.STEP, step.run - step.index)
            return
        self._sequence(block.prologue)
        condition = self.values[block.condition] if block.condition >= 0 else 1
        ended = False
        if isinstance(condition, int):
            ended = self._body(block.body if condition else block.skipped, last)
        else:
            out.append(f"br i1 {condition}, label %y{step.address:x}, label %n{step.address:x}")
            out.append(f"y{step.address:x}:")
            saved = dict(self.values)
            taken = self._body(block.body, True)
            if not taken:
                out.append(f"br label %j{step.address:x}")
            self.values = saved
            out.append(f"n{step.address:x}:")
            self._body(block.skipped, False)
            out.append(f"br label %j{step.address:x}")
            out.append(f"j{step.address:x}:")
        if not ended and last:
            self._go(following)
        if self.step_exit_used:
            # The block that leaves before this instruction; the flow above has jumped over it or ended.
            resume = f"k{step.address:x}"
            if not (ended or last):
                out.append(f"br label %{resume}")
            out.append(f"x{step.address:x}:")
            self._leave(step.address, Exit.STEP, step.run - step.index)
            if not (ended or last):
                out.append(f"{resume}:")

    def _body(self, insts: tuple[Inst, ...], last: bool) -> bool:
        """Lower a body; True if it ended the flow (a branch or a trap)."""
        step = self.step
        assert step is not None
        out = self.lines
        target: Operand | None = None
        self._plan_accesses(insts)
        for inst in insts:
            if inst.op is Op.SET and inst.imm == Slot.PC:
                target = self.values[inst.a]
            elif inst.op is Op.TRAP and inst.a < 0:
                if inst.imm == TrapKind.SVC:
                    self._leave(step.address, Exit.SVC, step.run - step.index - 1)
                else:
                    self._exit_step()
                return True
            else:
                self._lower(inst)
        if not step.block.branches or target is None or target == step.address + step.block.size:
            return False
        unused = step.run - step.index - 1
        if unused:
            self._give_back(unused)
        if isinstance(target, int):
            self._go(target)
        else:
            out.append(f"store i32 {target}, ptr {self.home}{Slot.PC}")
            out.append("br label %chain")
        return True

    def _go(self, target: int) -> None:
        """Continue at a constant address: inside the region, or through the jump cache."""
        if target in self.entries and Slot.THUMB not in self._pending_thumb():
            self.lines.append(f"br label %b{target:x}")
            return
        assert self.step is not None
        if self.step.after:
            self._leave(target, Exit.LOOKUP, 0)  # regions are entered outside IT blocks
            return
        self.lines.append(f"store i32 {target}, ptr {self.home}{Slot.PC}")
        self.lines.append("br label %chain")

    def _pending_thumb(self) -> set[int]:
        step = self.step
        assert step is not None
        return {i.imm for i in step.block.body if i.op is Op.SET and i.imm == Slot.THUMB}

    def _leave(self, address: int, why: Exit, unused: int) -> None:
        """Out through the tail `leave`, with PC = address and `unused` instructions given back."""
        if unused:
            self._give_back(unused)
        self.lines.append(f"store i32 {address}, ptr {self.home}{Slot.PC}")
        self.lines.append(f"store i64 {int(why)}, ptr %why")
        self.lines.append("br label %leave")

    def _give_back(self, count: int) -> None:
        have, more = self._name(), self._name()
        self.lines.append(f"{have} = load i64, ptr %budget")
        self.lines.append(f"{more} = add i64 {have}, {count}")
        self.lines.append(f"store i64 {more}, ptr %budget")

    def _exit_step(self) -> None:
        """Leave before this instruction: the evaluator does it."""
        self.step_exit_used = True
        self.lines.append(f"br label %x{self.address:x}")

    # -- operations --------------------------------------------------------------------------------------

    def _sequence(self, insts: tuple[Inst, ...]) -> None:
        for inst in insts:
            self._lower(inst)

    def _lower(self, inst: Inst) -> None:
        _RULES[inst.op](self, inst)

    def _name(self) -> str:
        self.fresh += 1
        return f"%v{self.fresh}"

    def _operand(self, number: int) -> str:
        return str(self.values[number])

    def slot_pointer(self, slot: int) -> tuple[int, str]:
        """The slot that names a 32-bit slot's home, and a pointer into it: halves of D registers share one."""
        if slot < Slot.D0 or slot % 2 == 0:
            return slot, f"{self.home}{slot}"
        pointer = self._name()
        self.lines.append(f"{pointer} = getelementptr i32, ptr {self.home}{slot - 1}, i32 1")
        return slot - 1, pointer

    def define(self, inst: Inst, text: str) -> None:
        """`inst.d` is the LLVM value computed by `text`."""
        name = self._name()
        self.lines.append(f"{name} = {text}")
        self.values[inst.d] = name

    def constants(self, inst: Inst) -> tuple[int, int, int] | None:
        """The operands, if all of them are constants."""
        numbers = []
        for number in (inst.a, inst.b, inst.c):
            value = self.values[number] if number >= 0 else 0
            if not isinstance(value, int):
                return None
            numbers.append(value)
        return numbers[0], numbers[1], numbers[2]

    def access(self, inst: Inst, table: str) -> str:
        """The host address of a load or store, after the checks; leaves the region if they fail.

        Accesses of one instruction at constant distances (LDM, PUSH, LDRD …) are checked together.
        """
        root, offset = self.affine.get(inst.a, (inst.a, 0))
        span = self.spans.get((root, table)) if inst.c < 0 else None
        if span is None:
            # A conditional store has a check of its own: it may not happen.
            access = inst.extra
            assert isinstance(access, Access)
            span = Span(root, offset)
            span.cover(offset, access)
        out = self.lines
        if not span.base:
            self._check_span(span, table)
        pointer = self._name()
        out.append(f"{pointer} = getelementptr i8, ptr {span.base}, i32 {offset - span.low}")
        return pointer

    def _check_span(self, span: Span, table: str) -> None:
        out = self.lines
        root = self._operand(span.root)
        address = root
        if span.low:
            address = self._name()
            out.append(f"{address} = add i32 {root}, {span.low & 0xFFFFFFFF}")
        page, entry_at, entry, bad = self._name(), self._name(), self._name(), self._name()
        out.append(f"{page} = lshr i32 {address}, 12")
        out.append(f"{entry_at} = getelementptr i64, ptr %{table}, i32 {page}")
        out.append(f"{entry} = load i64, ptr {entry_at}")
        out.append(f"{bad} = icmp eq i64 {entry}, 0")
        size = span.high - span.low
        if span.alignment > 1:
            low, off, both = self._name(), self._name(), self._name()
            out.append(f"{low} = and i32 {address}, {span.alignment - 1}")
            out.append(f"{off} = icmp ne i32 {low}, 0")
            out.append(f"{both} = or i1 {bad}, {off}")
            bad = both
        if size > span.alignment:
            low, off, both = self._name(), self._name(), self._name()
            out.append(f"{low} = and i32 {address}, 4095")
            out.append(f"{off} = icmp ugt i32 {low}, {4096 - size}")
            out.append(f"{both} = or i1 {bad}, {off}")
            bad = both
        self.fresh += 1
        label = f"m{self.fresh}"
        self.step_exit_used = True
        wide, host, pointer, touched = self._name(), self._name(), self._name(), self._name()
        out.append(f"{wide} = zext i32 {address} to i64")
        out.append(f"br i1 {bad}, label %{label}x, label %{label}, !prof !0")
        out.append(f"{label}x:")
        out.append(f"{touched} = getelementptr i64, ptr %env, i32 {Env.TOUCHED}")
        out.append(f"store i64 {wide}, ptr {touched}")
        out.append(f"br label %x{self.address:x}")
        out.append(f"{label}:")
        out.append(f"{host} = add i64 {entry}, {wide}")
        out.append(f"{pointer} = inttoptr i64 {host} to ptr")
        span.base = pointer

    def _plan_accesses(self, insts: tuple[Inst, ...]) -> None:
        """Group the loads and stores of a body by what their addresses are constant distances from."""
        self.spans = {}
        self.affine = affine = {}
        constants = {n: v for n, v in self.values.items() if isinstance(v, int)}
        for inst in insts:
            if inst.op is Op.CONST:
                constants[inst.d] = inst.imm
            elif inst.op in (Op.ADD, Op.SUB) and inst.width == 32 and inst.b in constants:
                root, offset = affine.get(inst.a, (inst.a, 0))
                delta = constants[inst.b]
                if delta >> 31:
                    delta -= 1 << 32
                offset += delta if inst.op is Op.ADD else -delta
                if abs(offset) < 2048:
                    affine[inst.d] = (root, offset)
            elif inst.op in (Op.LOAD, Op.STORE) and inst.c < 0:
                access = inst.extra
                assert isinstance(access, Access)
                table = "rt" if inst.op is Op.LOAD else "wt"
                root, offset = affine.get(inst.a, (inst.a, 0))
                span = self.spans.setdefault((root, table), Span(root, offset))
                span.cover(offset, access)


@final
class Span:
    """Bytes [low, high) from the value `root` that one instruction accesses through one table."""

    __slots__ = ("alignment", "base", "high", "low", "root")

    def __init__(self, root: int, offset: int) -> None:
        self.root: Final = root
        self.low = offset
        self.high = offset
        self.alignment = 1
        self.base = ""  # LLVM pointer to `low`, once checked

    def cover(self, offset: int, access: Access) -> None:
        """Include one access."""
        self.low = min(self.low, offset)
        self.high = max(self.high, offset + access.size)
        self.alignment = max(self.alignment, access.alignment)


def _width(slot: int) -> int:
    return 64 if slot >= Slot.D0 else 32


def lowerable(block: Block) -> bool:
    """Whether compiled code performs this block; otherwise the evaluator does."""
    for inst in (*block.prologue, *block.body):
        if inst.op in _EVALUATED or (inst.op is Op.SET and inst.imm == Slot.BIG_ENDIAN):
            return False
    return True


def constant_target(block: Block, address: int) -> int | None:
    """Where a block that writes PC goes if that is known now; None if it is not."""
    values: dict[int, int] = {}
    target: int | None = None
    for inst in (*block.prologue, *block.body):
        if inst.op is Op.CONST:
            values[inst.d] = inst.imm
        elif inst.op is Op.GET and inst.imm == Slot.PC:
            values[inst.d] = address
        elif inst.op is Op.SET and inst.imm == Slot.PC:
            target = values.get(inst.a)
        elif inst.op in _PURE and all(n < 0 or n in values for n in (inst.a, inst.b, inst.c)):
            values[inst.d] = _fold(inst, *(values.get(n, 0) for n in (inst.a, inst.b, inst.c)))
    return target


def _fold(inst: Inst, a: int, b: int, c: int) -> int:
    if inst.op in (Op.ZEXT, Op.TRUNC):
        return a & MASK[inst.imm]
    if inst.op is Op.SEXT:
        return (a - (1 << inst.width) if a >> (inst.width - 1) & 1 else a) & MASK[inst.imm]
    return fold(inst.op, inst.width, a, b, c)


# -- the rules: one per Op -----------------------------------------------------------------------------------

Rule = Callable[[Lowering, Inst], None]


def _const(low: Lowering, inst: Inst) -> None:
    low.values[inst.d] = inst.imm


def _get(low: Lowering, inst: Inst) -> None:
    slot = inst.imm
    if slot == Slot.PC:
        low.values[inst.d] = low.address
        return
    home, pointer = low.slot_pointer(slot)
    low.slots.add(home)
    low.define(inst, f"load i32, ptr {pointer}")


def _set(low: Lowering, inst: Inst) -> None:
    home, pointer = low.slot_pointer(inst.imm)
    low.slots.add(home)
    low.dirty.add(home)
    low.lines.append(f"store i32 {low.values[inst.a]}, ptr {pointer}")


def _get64(low: Lowering, inst: Inst) -> None:
    low.slots.add(inst.imm)
    low.define(inst, f"load i64, ptr {low.home}{inst.imm}, align 4")


def _set64(low: Lowering, inst: Inst) -> None:
    low.slots.add(inst.imm)
    low.dirty.add(inst.imm)
    low.lines.append(f"store i64 {low.values[inst.a]}, ptr {low.home}{inst.imm}, align 4")


def _folding(emit: Rule) -> Rule:
    def rule(low: Lowering, inst: Inst) -> None:
        known = low.constants(inst)
        if known is not None:
            low.values[inst.d] = _fold(inst, *known)
        else:
            emit(low, inst)

    return rule


def _binary(name: str) -> Rule:
    def rule(low: Lowering, inst: Inst) -> None:
        low.define(inst, f"{name} i{inst.width} {low.values[inst.a]}, {low.values[inst.b]}")

    return _folding(rule)


def _divide(name: str) -> Rule:
    signed = name == "sdiv"

    def rule(low: Lowering, inst: Inst) -> None:
        kind, out = f"i{inst.width}", low.lines
        x, y = low.values[inst.a], low.values[inst.b]
        zero, by, quotient = low._name(), low._name(), low._name()
        out.append(f"{zero} = icmp eq {kind} {y}, 0")
        if signed:
            # INT_MIN / -1 would trap on some hosts: dividing by 1 instead gives the same, INT_MIN.
            least, minus, both, special = low._name(), low._name(), low._name(), low._name()
            out.append(f"{least} = icmp eq {kind} {x}, {1 << (inst.width - 1)}")
            out.append(f"{minus} = icmp eq {kind} {y}, {MASK[inst.width]}")
            out.append(f"{both} = and i1 {least}, {minus}")
            out.append(f"{special} = or i1 {zero}, {both}")
        else:
            special = zero
        out.append(f"{by} = select i1 {special}, {kind} 1, {kind} {y}")
        out.append(f"{quotient} = {name} {kind} {x}, {by}")
        low.define(inst, f"select i1 {zero}, {kind} 0, {kind} {quotient}")

    return _folding(rule)


def _not(low: Lowering, inst: Inst) -> None:
    low.define(inst, f"xor i{inst.width} {low.values[inst.a]}, {MASK[inst.width]}")


def _shift(name: str) -> Rule:
    def rule(low: Lowering, inst: Inst) -> None:
        kind, width = f"i{inst.width}", inst.width
        x, amount = low.values[inst.a], low.values[inst.b]
        if isinstance(amount, int):
            if amount < width:
                low.define(inst, f"{name} {kind} {x}, {amount}")
            elif name == "ashr":
                low.define(inst, f"ashr {kind} {x}, {width - 1}")
            else:
                low.values[inst.d] = 0
            return
        out = low.lines
        far = low._name()
        out.append(f"{far} = icmp uge {kind} {amount}, {width}")
        if name == "ashr":
            near = low._name()
            out.append(f"{near} = select i1 {far}, {kind} {width - 1}, {kind} {amount}")
            low.define(inst, f"ashr {kind} {x}, {near}")
            return
        near, shifted = low._name(), low._name()
        out.append(f"{near} = and {kind} {amount}, {width - 1}")
        out.append(f"{shifted} = {name} {kind} {x}, {near}")
        low.define(inst, f"select i1 {far}, {kind} 0, {kind} {shifted}")

    return _folding(rule)


def _ror(low: Lowering, inst: Inst) -> None:
    kind, x = f"i{inst.width}", low.values[inst.a]
    low.define(inst, f"call {kind} @llvm.fshr.{kind}({kind} {x}, {kind} {x}, {kind} {low.values[inst.b]})")


def _clz(low: Lowering, inst: Inst) -> None:
    kind = f"i{inst.width}"
    low.define(inst, f"call {kind} @llvm.ctlz.{kind}({kind} {low.values[inst.a]}, i1 false)")


def _rbit(low: Lowering, inst: Inst) -> None:
    kind = f"i{inst.width}"
    low.define(inst, f"call {kind} @llvm.bitreverse.{kind}({kind} {low.values[inst.a]})")


def _compare(name: str) -> Rule:
    def rule(low: Lowering, inst: Inst) -> None:
        low.define(inst, f"icmp {name} i{inst.width} {low.values[inst.a]}, {low.values[inst.b]}")

    return _folding(rule)


def _select(low: Lowering, inst: Inst) -> None:
    chosen, kind = low.values[inst.a], f"i{inst.width}"
    if isinstance(chosen, int):
        low.values[inst.d] = low.values[inst.b if chosen else inst.c]
        return
    low.define(inst, f"select i1 {chosen}, {kind} {low.values[inst.b]}, {kind} {low.values[inst.c]}")


def _convert(name: str) -> Rule:
    def rule(low: Lowering, inst: Inst) -> None:
        low.define(inst, f"{name} i{inst.width} {low.values[inst.a]} to i{inst.imm}")

    return _folding(rule)


def _load(low: Lowering, inst: Inst) -> None:
    pointer = low.access(inst, "rt")
    access = inst.extra
    assert isinstance(access, Access)
    bits = access.size * 8
    if bits == inst.width:
        low.define(inst, f"load i{bits}, ptr {pointer}, align 1")
        return
    narrow = low._name()
    low.lines.append(f"{narrow} = load i{bits}, ptr {pointer}, align 1")
    low.define(inst, f"zext i{bits} {narrow} to i{inst.width}")


def _store(low: Lowering, inst: Inst) -> None:
    guard = low.values[inst.c] if inst.c >= 0 else 1
    if guard == 0:
        return
    out = low.lines
    after = ""
    if isinstance(guard, str):
        low.fresh += 1
        after = f"g{low.fresh}"
        out.append(f"br i1 {guard}, label %{after}do, label %{after}")
        out.append(f"{after}do:")
    pointer = low.access(inst, "wt")
    access = inst.extra
    assert isinstance(access, Access)
    bits, value = access.size * 8, low.values[inst.b]
    if bits < inst.width:
        if isinstance(value, int):
            value = value & ((1 << bits) - 1)
        else:
            narrow = low._name()
            out.append(f"{narrow} = trunc i{inst.width} {value} to i{bits}")
            value = narrow
    out.append(f"store i{bits} {value}, ptr {pointer}, align 1")
    if after:
        out.append(f"br label %{after}")
        out.append(f"{after}:")


def _trap(low: Lowering, inst: Inst) -> None:
    when = low.values[inst.a]
    if when == 0:
        return
    low.step_exit_used = True
    low.fresh += 1
    label = f"u{low.fresh}"
    low.lines.append(f"br i1 {when}, label %x{low.address:x}, label %{label}")
    low.lines.append(f"{label}:")


def _never(low: Lowering, inst: Inst) -> None:
    raise AssertionError(f"{inst.op.name} is the evaluator's: `lowerable` keeps it out of regions")


_EVALUATED: Final = frozenset((Op.CALL, Op.RESULT, Op.COUNTER))

_RULES: Final[dict[Op, Rule]] = {
    Op.CONST: _const,
    Op.GET: _get,
    Op.SET: _set,
    Op.GET64: _get64,
    Op.SET64: _set64,
    Op.ADD: _binary("add"),
    Op.SUB: _binary("sub"),
    Op.MUL: _binary("mul"),
    Op.UDIV: _divide("udiv"),
    Op.SDIV: _divide("sdiv"),
    Op.AND: _binary("and"),
    Op.OR: _binary("or"),
    Op.XOR: _binary("xor"),
    Op.NOT: _folding(_not),
    Op.SHL: _shift("shl"),
    Op.LSHR: _shift("lshr"),
    Op.ASHR: _shift("ashr"),
    Op.ROR: _folding(_ror),
    Op.CLZ: _folding(_clz),
    Op.RBIT: _folding(_rbit),
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
    Op.LOAD: _load,
    Op.STORE: _store,
    Op.CALL: _never,
    Op.RESULT: _never,
    Op.TRAP: _trap,
    Op.COUNTER: _never,
}

_PURE: Final = frozenset(op for op in Op if Op.ADD <= op <= Op.TRUNC)
