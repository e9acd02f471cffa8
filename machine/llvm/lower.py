"""From a region's basic blocks to one LLVM function, as text.

There are two shapes. `Shape.QUICK` works on the context in memory and is cheap to compile without optimisation;
`Shape.TUNED` keeps the slots that a region uses in allocas, which LLVM turns into registers, and writes them back
on every way out. An access that is not a plain hit in the page tables leaves the region *before* its instruction,
with nothing of it committed, and the evaluator performs it: so faults, devices, page crossings and code that
modifies itself have one definition.

In `Shape.TUNED`, flags that nobody has asked for cross from one basic block to the next as what would compute them
(`shapes`): a block is lowered once for each form in which they reach it, up to `VERSIONS`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, final

from retrap.machine.context import Slot
from retrap.machine.ir.ops import Inst, Op
from retrap.machine.llvm import helpers
from retrap.machine.llvm.accesses import Accesses
from retrap.machine.llvm.blocks import plan_accesses
from retrap.machine.llvm.budgets import Budgets, circling
from retrap.machine.llvm.frame import Step as Step
from retrap.machine.llvm.groups import Plan
from retrap.machine.llvm.layout import Env, Exit
from retrap.machine.llvm.rules import PURE, Operand
from retrap.machine.llvm.shapes import Forms, describe, leaves_of, rebuild
from retrap.machine.llvm.sticky import CLEAR, MODE, STICKY, STICKY_FLOATS
from retrap.machine.softfloat.control import FZ, RMODE


class Shape(IntEnum):
    """How a region keeps the registers while it runs."""

    QUICK = 0  # in the context
    TUNED = 1  # in registers; every way out writes them back


VERSIONS: Final = 3
"""Forms of unwritten flags for which a basic block is lowered; in all others they are written first."""

PROFILE: Final = """attributes #0 = { nounwind "no-jump-tables"="true" }
!0 = !{!"branch_weights", i32 1, i32 2000}
!1 = !{}
!2 = !{!"branch_weights", i32 2000, i32 1}"""
"""#0: a function is all in its text, so that it can be copied. !0, !2: leaving a region in the middle is rare.
!1: page tables do not change while a region runs."""

STICKY_FORM: Final[Forms] = ((-1, (0, 1)),)
"""Comes first in the forms of a block that is lowered for `sticky` floating point."""


@final
class Lowering(Accesses):
    """Lowers one region. `text()` is the LLVM function."""

    def __init__(
        self,
        name: str,
        runs: list[list[Step]],
        shape: Shape,
        logs: bool = False,
        wanted: Container[int] = frozenset(),
        jumps: Mapping[int, list[int]] = MappingProxyType({}),
    ) -> None:
        """`runs`: the region's basic blocks, the entry's first; each a list of consecutive instructions. `logs`: it
        writes the instruction log. `wanted`: PC | Thumb where the region, if it is TUNED, is to be entered too;
        loops, and what calls return to, are such in any case. `jumps`: see `Region`."""
        super().__init__(runs[0][0], shape is Shape.TUNED)
        self.function: Final = name
        self.logs: Final = logs
        self.runs: Final = {run[0].key: run for run in runs}
        """By PC | Thumb, as is all that names basic blocks."""
        self.entry: Final = runs[0][0].key
        self.entries: Final[list[int]] = [self.entry]
        """Where the region may be entered: it looks at PC and Thumb in the context."""
        self._wanted: Final = wanted
        self._jumps: Final = jumps
        self._budgets = Budgets({}, (), False)
        self._rest = 0  # instructions paid for beyond the current basic block
        self._edges: list[tuple[str, int, str]] = []  # (label, instructions to give back, where to go on)
        self.helps = False  # it calls `helpers`
        self.plans: Final[dict[int, Plan]] = {}
        self.returns: Final[set[int]] = set()  # TUNED: what calls inside the region return to
        self.leaves: Final[dict[str, int]] = {}  # TUNED: allocas of what unwritten flags start from, and their bits
        self._versions: Final[dict[int, dict[Forms, str]]] = {key: {} for key in self.runs}
        self._queue: Final[list[tuple[int, Forms, str]]] = []
        self._fpscr = -1  # number of the value that is the FPSCR in this instruction
        self._controls: set[int] = set()  # of those that are VFP's control word, when `_sticky`
        self._results: Final[dict[int, tuple[str, ...]]] = {}  # of helpers called in this instruction

    def text(self) -> str:
        """The LLVM IR of the function."""
        if self.tuned:
            loops: set[int] = set()
            for run in self.runs.values():
                step = run[-1]
                if step.facts.calls and self._inside(step.following, 0):
                    self.returns.add(step.following)
                back = step.target
                if back is not None and back <= step.key and self._inside(back, 0):
                    loops.add(back)
            for key, run in self.runs.items():
                also = key in self.returns or key in loops or key in self._wanted
                if also and run[0].it == 0 and key != self.entry:
                    self.entries.append(key)
        doors = {way for ways in self._jumps.values() for way in ways}
        shared = self.tuned and not self.logs
        self._budgets = Budgets(self.runs, {*self.entries, *self.returns, *doors}, shared)
        for key in self.entries:
            self._version(key, ())
        jumps = {key: self._jumps.get(run[-1].key, []) for key, run in self.runs.items()}
        self._circles = circling(self.runs, jumps) if self.tuned else set()
        while self._queue:
            self._run(*self._queue.pop())
        return "\n".join([*self._head(), *self.main, *self.asides, *self._tail(), "}"])

    def _inside(self, target: int, it: int) -> bool:
        """Whether a basic block of the region starts here."""
        run = self.runs.get(target)
        return run is not None and run[0].it == it

    def _version(self, key: int, forms: Forms) -> str:
        """The label of a basic block, as lowered for one form of unwritten flags."""
        versions = self._versions[key]
        label = versions.get(forms)
        if label is None:
            label = versions[forms] = f"b{key:x}v{len(versions)}" if versions else f"b{key:x}"
            self._queue.append((key, forms, label))
        return label

    # -- frame -------------------------------------------------------------------------------------------

    def _head(self) -> list[str]:
        lines = [f"define i64 @{self.function}(ptr noalias %c, ptr noalias %e) #0 {{"]
        for table, offset in (("r", Env.READ_TABLE), ("w", Env.WRITE_TABLE)):
            lines.append(f"%{table}tp = getelementptr i8, ptr %e, i64 {offset}")
            lines.append(f"%{table}t = load ptr, ptr %{table}tp")
        if self.tuned:
            lines += ["%budget = alloca i64", "%why = alloca i64"]
            for slot in sorted(self.used):
                kind = _kind(slot)
                lines.append(f"%s{slot} = alloca {kind}")
                lines.append(f"%p{slot} = getelementptr i8, ptr %c, i64 {slot * 4}")
                lines.append(f"%l{slot} = load {kind}, ptr %p{slot}, align 4")
                lines.append(f"store {kind} %l{slot}, ptr %s{slot}")
            lines += [f"%{name} = alloca i{width}" for name, width in self.leaves.items()]
            lines += self._window_frame()
            lines.append("%budget0 = load i64, ptr %e")
            lines.append("store i64 %budget0, ptr %budget")
        if not self._dispatches():
            lines.append(f"br label %{self._version(self.entry, ())}")
        else:
            lines.append(f"%pcp = getelementptr i8, ptr %c, i64 {Slot.PC * 4}")
            lines.append("%pc = load i32, ptr %pcp")
            lines.append(f"%thumbp = getelementptr i8, ptr %c, i64 {Slot.THUMB * 4}")
            lines.append("%thumb = load i32, ptr %thumbp")
            lines.append("%key = or i32 %pc, %thumb")
            lines += ["%goes = alloca i32", "store i32 %key, ptr %goes", "br label %dispatch"]
        return lines

    def _dispatches(self) -> bool:
        """Whether it can be entered, or returned to, at several places or from inside."""
        return len(self.entries) > 1 or bool(self.returns)

    def _tail(self) -> list[str]:
        if not self.tuned:
            return []
        lines = []
        if self._dispatches():
            # One place for all: the fewer edges there are, the less there is to do for the register allocator.
            ways = " ".join(f"i32 {to}, label %{self._version(to, ())}" for to in self.entries)
            lines += ["dispatch:", "%to = load i32, ptr %goes", f"switch i32 %to, label %elsewhere [{ways}]"]
            lines += ["elsewhere:", "%topc = and i32 %to, -2", "%towide = zext i32 %topc to i64"]
            lines += ["%chain = shl i64 %towide, 32", "store i64 %chain, ptr %why", "br label %leave"]
        lines.append("leave:")
        for slot in sorted(self.dirty):
            kind = _kind(slot)
            lines.append(f"%w{slot} = load {kind}, ptr %s{slot}")
            lines.append(f"store {kind} %w{slot}, ptr %p{slot}, align 4")
        lines.append("%wb = load i64, ptr %budget")
        lines.append("store i64 %wb, ptr %e")
        lines.append("%wr = load i64, ptr %why")
        lines.append("ret i64 %wr")
        return lines

    # -- basic blocks ------------------------------------------------------------------------------------

    def _run(self, head: int, forms: Forms, label: str) -> None:
        """One basic block: check and take the budget, then its instructions."""
        run = self.runs[head]
        count = len(run)
        budget = "%budget" if self.tuned else "%e"
        plan = self.plans.get(head)
        if plan is None:
            # A plan costs about what it spares in code that is compiled without care.
            plan = self.plans[head] = Plan(run if self.tuned else [])
        self._plan, self._checked, self._aligned = plan, {}, set()
        self._circling = head in self._circles
        self._writers = {}
        self._label(label)
        self._sticky = forms[:1] == STICKY_FORM
        if self._sticky:
            forms = forms[1:]
        elif self.tuned and self._floats(head):
            self._try_sticky(head, forms, label)
        leaves = {n: self.define(f"load i{w}, ptr %f{n}_{w}") for n, w in leaves_of(forms).items()}
        self.pending = rebuild(forms, leaves)
        self.known = dict(self.pending)
        price = self._budgets.prices[head]
        self._rest = price - count
        if head not in self._budgets.paid:
            have = self.define(f"load i64, ptr {budget}")
            rest = self.define(f"sub i64 {have}, {price}")
            self.out.append(f"store i64 {rest}, ptr {budget}")
            short = self.define(f"icmp slt i64 {rest}, 0")
            self.out.append(f"br i1 {short}, label %o{label}, label %t{label}, !prof !0")
            self._aside(f"o{label}", run[0].address, Exit.BUDGET, price)
            self._label(f"t{label}")
            if self.logs:
                self._log(run, have)
        ended = False
        for index, step in enumerate(run):
            self._step, self._unused = step, price - index
            ended = self._instruction(step)
        if not ended:
            self._go(run[-1].following, run[-1].after)

    def _try_sticky(self, head: int, forms: Forms, label: str) -> None:
        """Go on in the same block as it is lowered for `sticky` floating point, if that is the mode now."""
        fpscr = self.define(f"load i32, ptr {self._pointer(Slot.FPSCR)}")
        mode = self.define(f"and i32 {fpscr}, {MODE}")
        enabled = self.define(f"load i32, ptr {self._pointer(Slot.FPEXC_EN)}")
        both = self.define(f"icmp eq i32 {mode}, {STICKY}"), self.define(f"icmp eq i32 {enabled}, 1")
        good = self.define(f"and i1 {both[0]}, {both[1]}")
        self.out.append(f"br i1 {good}, label %{self._version(head, STICKY_FORM + forms)}, label %n{label}")
        self._label(f"n{label}")

    def _log(self, run: list[Step], have: str) -> None:
        """Write a basic block's addresses to the instruction log: see `machine.log`. What is left of the budget
        says where they belong, so that those of instructions that are not reached are written over."""
        pointer = self.define(f"getelementptr i8, ptr %e, i64 {Env.LOG}")
        end, back = self.define(f"load ptr, ptr {pointer}"), self.define(f"sub i64 0, {have}")
        at = self.define(f"getelementptr i32, ptr {end}, i64 {back}")
        for index, step in enumerate(run):
            place = self.define(f"getelementptr i32, ptr {at}, i64 {index}")
            self.out.append(f"store i32 {step.key}, ptr {place}, align 4")

    def _instruction(self, step: Step) -> bool:
        """Lower one instruction; True if the flow does not go on behind it."""
        block, known = step.block, step.facts
        self._sticky = self._sticky and not known.modes
        if not known.lowerable:
            self._write_pending()
            self._exit(step.address, self._unused, Exit.STEP)
            return True
        self.values = {}
        self._fpscr, self._controls = -1, set()
        for inst in block.prologue:
            self._operation(inst)
        condition = self.values[block.condition] if block.condition >= 0 else 1
        if known.choice >= 0:
            for inst in block.body:
                if inst.op is not Op.SET:
                    self._operation(inst)
            return self._fork(step, self.values[known.choice])
        if isinstance(condition, int):
            if condition:
                return self._body(step)
            self._advance_it(step)
            return False
        if known.plain:
            self._predicated(step, condition)
            return False
        if step.target is not None and known.sets <= _FLOW:
            return self._fork(step, condition)
        return self._guarded(step, condition)

    def _fork(self, step: Step, condition: Operand) -> bool:
        """A conditional branch to a constant address. It ends its basic block."""
        taken = step.target
        assert taken is not None
        self._advance_it(step)
        if isinstance(condition, int):
            self._go(taken if condition else step.following, step.after)
            return True
        chosen, after = self.force(condition), step.after
        forms = self._hand_over([taken, step.following], after)
        ways = [self._edge(target, after, forms) for target in (taken, step.following)]
        self.out.append(f"br i1 {chosen}, label %{ways[0]}, label %{ways[1]}")
        for label, back, way in self._edges:
            self._label(label)
            self._give_back(back)
            self.out.append(f"br label %{way}")
        self._edges = []
        return True

    def _predicated(self, step: Step, condition: Operand) -> None:
        """A conditional body that touches slots only: do it, and choose what to keep."""
        writes = []
        for inst in step.block.body:
            if inst.op not in (Op.SET, Op.SET64):
                self._operation(inst)
            elif inst.imm != Slot.PC and inst.imm != Slot.IT:
                width = 64 if inst.op is Op.SET64 else 32
                old = self._get(inst.imm, width)
                value = self.make(Op.SELECT, width, 0, condition, self.values[inst.a], old)
                writes.append((inst.imm, width, value))
        for slot, width, value in writes:
            self._set(slot, width, value)
        self._advance_it(step)

    def _guarded(self, step: Step, condition: Operand) -> bool:
        """Any other conditional body: jump around it."""
        for slot in sorted(step.facts.sets.intersection(self.pending)):
            self._store(slot, 32, self.pending.pop(slot))
        self.fresh += 1
        chosen, here = self.force(condition), f"{self.fresh}"
        self.out.append(f"br i1 {chosen}, label %y{here}, label %n{here}")
        self._label(f"y{here}")
        side = self.enter_side(False)
        known, pending = dict(self.known), dict(self.pending)
        checked, aligned, writers = dict(self._checked), set(self._aligned), dict(self._writers)
        self._late = False
        if not self._body(step):
            self.out.append(f"br label %n{here}")
        self._late = True
        self.leave_side(side)
        self.known, self.pending = known, pending
        self._checked, self._aligned, self._writers = checked, aligned, writers
        for slot in step.facts.sets:
            self._forget(slot)
        self._label(f"n{here}")
        self._advance_it(step)
        return False

    def _body(self, step: Step) -> bool:
        """Lower a body; True if it ended the flow."""
        block = step.block
        target: Operand = step.following & ~1
        if any(inst.op in _ACCESSES for inst in block.body):
            self._spans, self._affine, _ = plan_accesses(block)
        for inst in block.body:
            if inst.op is Op.SET:
                if inst.imm == Slot.PC:
                    target = self.values[inst.a]
                elif inst.imm != Slot.IT:
                    self._set(inst.imm, 32, self.values[inst.a])
            elif inst.op is Op.TRAP and inst.a < 0:
                self._advance_it(step)  # a supervisor call is a completed instruction; others are not lowered
                self._write_pending()
                self._exit(step.address, self._unused - 1, Exit.SVC)
                return True
            else:
                self._operation(inst)
        if not block.branches:
            if self._late:
                self._advance_it(step)
            return False
        self._advance_it(step)
        constant = step.target
        if constant is not None:
            self._go(constant, step.after)
            return True
        where = self.force(target)
        if self._jumps.get(step.key) and not step.after:
            self._jump(where, step)
        else:
            self._write_pending()
            self._return(where, step)
        return True

    def _advance_it(self, step: Step) -> None:
        if step.it != step.after:
            self.known[Slot.IT] = self.pending[Slot.IT] = step.after

    # -- ways out ----------------------------------------------------------------------------------------

    def _go(self, target: int, it: int) -> None:
        """Continue at a constant place."""
        forms = self._hand_over([target], it)
        self._give_back(self._over(target, it))
        self.out.append(f"br label %{self._way(target, it, forms)}")

    def _edge(self, target: int, it: int, forms: Forms) -> str:
        """The label of a way to a constant place, by way of giving back what has been paid in vain."""
        way, back = self._way(target, it, forms), self._over(target, it)
        if not back:
            return way
        self.fresh += 1
        self._edges.append((f"e{self.fresh}", back, way))
        return f"e{self.fresh}"

    def _over(self, target: int, it: int) -> int:
        """Instructions paid for in vain if the flow goes on at `target`."""
        budgets = self._budgets
        return self._rest - (budgets.prices[target] if self._inside(target, it) and target in budgets.paid else 0)

    def _give_back(self, instructions: int) -> None:
        if instructions:
            have = self.define("load i64, ptr %budget")
            self.out.append(f"store i64 {self.define(f'add i64 {have}, {instructions}')}, ptr %budget")

    def _hand_over(self, targets: list[int], it: int) -> Forms:
        """Before going on at one of some places: leave unwritten flags for the next block, if it is in the region
        and lowered for that; else write them. The forms that are left."""
        inside = [key for key in targets if self._inside(key, it)]
        mode: Forms = STICKY_FORM if self._sticky else ()
        carried = None
        if self.tuned and self._late and inside:
            if Slot.IT in self.pending:
                self._store(Slot.IT, 32, self.pending.pop(Slot.IT))
            if self.pending and (self._sticky or not any(self._floats(key) for key in inside)):
                carried = describe(self.pending)
        if carried is not None:
            forms, leaves = mode + carried[0], carried[1]
            if all(self._welcome(key, forms) for key in inside):
                for index, (value, width) in enumerate(leaves):
                    self.leaves[f"f{index}_{width}"] = width
                    self.out.append(f"store i{width} {value}, ptr %f{index}_{width}")
                return forms
        self._write_pending()
        return mode if all(self._welcome(key, mode) for key in inside) else ()

    def _floats(self, key: int) -> bool:
        """Whether a basic block computes with helpers: then it is large, and lowered for as little as possible."""
        return any(step.facts.floats for step in self.runs[key])

    def _welcome(self, key: int, forms: Forms) -> bool:
        """Whether a block may be lowered for these, or is."""
        versions = self._versions[key]
        return forms in versions or len(versions) < VERSIONS

    def _way(self, target: int, it: int, forms: Forms) -> str:
        """The label of a way to a constant place."""
        if self._inside(target, it):
            return self._version(target, forms)
        self.fresh += 1
        label = f"z{self.fresh}"
        self._aside(label, target & ~1, Exit.LOOKUP if it else Exit.CHAIN, 0)
        return label

    def _return(self, where: str, step: Step) -> None:
        """Continue at an address known when the code runs."""
        self._give_back(self._rest)
        if self.returns and not step.after:
            # Calls inside the region return inside it.
            self.out.append(f"store i32 {self._key(where, step)}, ptr %goes")
            self.out.append("br label %dispatch")
            return
        self._elsewhere(where, step)

    def _key(self, where: str, step: Step) -> str:
        """The same address with the instruction set that it is in."""
        if Slot.THUMB in step.facts.sets:
            return self.define(f"or i32 {where}, {self.force(self._get(Slot.THUMB, 32))}")
        return self.define(f"or i32 {where}, 1") if step.key & 1 else where

    def _jump(self, where: str, step: Step) -> None:
        """Continue at one of some places in the region, or elsewhere."""
        ways, key = self._jumps[step.key], self._key(where, step)
        late, self._late = self._late, True  # nothing that is unwritten is set by this instruction
        forms = self._hand_over(ways, 0)
        self._late = late
        self._give_back(self._rest)
        self.fresh += 1
        label = f"j{self.fresh}"
        cases = " ".join(f"i32 {way}, label %{self._version(way, forms)}" for way in ways)
        self.out.append(f"switch i32 {key}, label %{label} [{cases}]")
        self._label(label)
        side = self.enter_side(False)
        self._write_all()
        self._elsewhere(where, step)
        self.leave_side(side)

    def _elsewhere(self, where: str, step: Step) -> None:
        """Leave for an address known when the code runs."""
        wide = self.define(f"zext i32 {where} to i64")
        value = self.define(f"shl i64 {wide}, 32")
        if step.after:
            value = self.define(f"or i64 {value}, {int(Exit.LOOKUP)}")
        self._finish(value)

    # -- operations --------------------------------------------------------------------------------------

    def _operation(self, inst: Inst) -> None:
        op, values = inst.op, self.values
        if op in PURE:
            a: Operand = values[inst.a]
            b: Operand = values[inst.b] if inst.b >= 0 else 0
            c: Operand = values[inst.c] if inst.c >= 0 else 0
            values[inst.d] = self.make(op, inst.width, inst.imm, a, b, c)
            if self._sticky:
                self._modes(inst, b)
        elif op is Op.CONST:
            values[inst.d] = inst.imm
        elif op is Op.GET:
            values[inst.d] = self._get(inst.imm, 32)
            if inst.imm == Slot.FPSCR:
                self._fpscr = inst.d
        elif op is Op.GET64:
            values[inst.d] = self._get(inst.imm, 64)
        elif op is Op.SET64:
            self._set(inst.imm, 64, values[inst.a])
        elif op is Op.LOAD:
            self._load(inst)
        elif op is Op.STORE:
            self._store_memory(inst)
        elif op is Op.TRAP:
            self._trap_if(values[inst.a])
        elif op is Op.CALL:
            self._call(inst)
        elif op is Op.RESULT:
            values[inst.d] = self._results[inst.a][inst.imm]
        else:
            raise AssertionError(f"{op.name} is not lowered here: `Facts.lowerable` keeps it out of regions")

    def _call(self, inst: Inst) -> None:
        """A helper's common case; the evaluator does the others."""
        assert isinstance(inst.extra, tuple)
        name, numbers, _ = inst.extra
        arguments = tuple(self.force(self.values[n]) for n in numbers)
        if numbers[-1] in self._controls:
            result, good, second = STICKY_FLOATS[name](self, arguments)
            self._results[inst.d] = result, "0"
        else:
            self.helps = True
            results, good = helpers.call(self, name, arguments)
            self._results[inst.d], second = results, None
        if good == "true":
            return
        self.fresh += 1
        label = f"u{self.fresh}"
        self.out.append(f"br i1 {good}, label %{label}, label %{label}x, !prof !2")
        if second is not None:
            side, pointers = self.enter_side(True), self._pointers
            self._label(f"{label}x")
            self.out.append(f"br i1 {second()}, label %{label}, label %{label}y")
            self.leave_side(side)
            self._pointers = pointers
        self._aside(f"{label}{'y' if second is not None else 'x'}", self._step.address, Exit.STEP, self._unused)
        self._label(label)

    def _modes(self, inst: Inst, b: Operand) -> None:
        """What `sticky` says of an operation's result."""
        if inst.op is Op.AND and inst.a == self._fpscr and isinstance(b, int):
            if not b & ~CLEAR:
                self.values[inst.d] = 0
            elif b & RMODE and b & FZ:
                self._controls.add(inst.d)
        elif inst.op is Op.OR and inst.a in self._controls and isinstance(b, int) and not b & FZ:
            self._controls.add(inst.d)

    def _trap_if(self, when: Operand) -> None:
        """The evaluator takes the trap, if there is one."""
        if when == 0:
            return
        text = self.force(when)
        self.fresh += 1
        label = f"u{self.fresh}"
        self.out.append(f"br i1 {text}, label %{label}x, label %{label}, !prof !0")
        self._aside(f"{label}x", self._step.address, Exit.STEP, self._unused)
        self._label(label)


_ACCESSES: Final = frozenset((Op.LOAD, Op.STORE))
_FLOW: Final = frozenset((int(Slot.PC), int(Slot.IT)))


def _kind(slot: int) -> str:
    return "i64" if slot >= Slot.D0 else "i32"
