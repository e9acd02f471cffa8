"""From a region's basic blocks to one LLVM function, as text.

There are two shapes. `Shape.QUICK` works on the context in memory and is cheap to compile without optimisation;
`Shape.TUNED` keeps the slots that a region uses in allocas, which LLVM turns into registers, and writes them back
on every way out. An access that is not a plain hit in the page tables leaves the region *before* its instruction,
with nothing of it committed, and the evaluator performs it: so faults, devices, page crossings and code that
modifies itself have one definition.

Within a basic block, what has been read or written is known by name. Flags and ITSTATE are written late: when
the block ends, and on the side paths that leave it (`pending`); so most are never computed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, final

from retrap.machine.context import Slot
from retrap.machine.ir.ops import Access, Block, Inst, Op
from retrap.machine.llvm.blocks import Facts, Span, facts, plan_accesses
from retrap.machine.llvm.floats import FLOATS
from retrap.machine.llvm.layout import Env, Exit, packed
from retrap.machine.llvm.rules import PURE, Emitter, Operand


class Shape(IntEnum):
    """How a region keeps the registers while it runs."""

    QUICK = 0  # in the context
    TUNED = 1  # in registers; every way out writes them back


WORD: Final = 0xFFFFFFFF

PROFILE: Final = """attributes #0 = { nounwind "no-jump-tables"="true" }
!0 = !{!"branch_weights", i32 1, i32 2000}
!1 = !{}"""
"""#0: a function is all in its text, so that it can be copied. !0: leaving a region because of an access is rare.
!1: page tables do not change while a region runs."""

LATE: Final = frozenset({Slot.N, Slot.Z, Slot.C, Slot.V, Slot.IT})
"""Slots that are written when something can see them."""

DOUBLE: Final = 1 << 10
"""Added to a slot's number where its 64-bit form is meant."""


@final
class Step:
    """One guest instruction of a region: its address, its block, ITSTATE around it."""

    __slots__ = ("address", "after", "block", "facts", "it")

    def __init__(self, address: int, block: Block, it: int, after: int) -> None:
        self.address: Final = address
        self.block: Final = block
        self.it: Final = it
        self.after: Final = after
        self.facts: Final[Facts] = facts(block)

    @property
    def following(self) -> int:
        """The address after it."""
        return self.address + self.block.size & WORD


@final
class Lowering(Emitter):
    """Lowers one region. `text()` is the LLVM function."""

    def __init__(self, name: str, thumb: int, runs: list[list[Step]], shape: Shape) -> None:
        """`runs`: the region's basic blocks, the entry's first; each a list of consecutive instructions."""
        super().__init__()
        self.function: Final = name
        self.thumb: Final = thumb
        self.runs: Final = runs
        self.tuned: Final = shape is Shape.TUNED
        self.heads: Final = {run[0].address: run[0].it for run in runs}
        self.used: Final[set[int]] = set()  # TUNED: slots with an alloca
        self.dirty: Final[set[int]] = set()  # TUNED: those written back
        self.returns: Final[set[int]] = set()  # TUNED: addresses that calls inside the region return to
        self.known: dict[int, Operand] = {}
        self.pending: dict[int, Operand] = {}
        self.values: dict[int, Operand] = {}
        self._pointers: dict[int, str] = {}
        self._results: Final[dict[int, tuple[str, ...]]] = {}  # of helpers called in this instruction
        self._spans: dict[tuple[int, Op], Span] = {}
        self._affine: dict[int, tuple[int, int]] = {}
        self._step = runs[0][0]
        self._unused = 0  # instructions of the basic block from this one on
        self._late = True

    def text(self) -> str:
        """The LLVM IR of the function."""
        if self.tuned:
            for run in self.runs:
                step = run[-1]
                if step.facts.calls and self.heads.get(step.following) == 0:
                    self.returns.add(step.following)
        for run in self.runs:
            self._run(run)
        return "\n".join([*self._head(), *self.main, *self.asides, *self._tail(), "}"])

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
            lines.append("%budget0 = load i64, ptr %e")
            lines.append("store i64 %budget0, ptr %budget")
        lines.append(f"br label %b{self.runs[0][0].address:x}")
        return lines

    def _tail(self) -> list[str]:
        if not self.tuned:
            return []
        lines = ["leave:"]
        for slot in sorted(self.dirty):
            kind = _kind(slot)
            lines.append(f"%w{slot} = load {kind}, ptr %s{slot}")
            lines.append(f"store {kind} %w{slot}, ptr %p{slot}, align 4")
        lines.append("%wb = load i64, ptr %budget")
        lines.append("store i64 %wb, ptr %e")
        lines.append("%wr = load i64, ptr %why")
        lines.append("ret i64 %wr")
        return lines

    def _label(self, label: str) -> None:
        self.out.append(f"{label}:")
        self._pointers = {}

    # -- basic blocks ------------------------------------------------------------------------------------

    def _run(self, run: list[Step]) -> None:
        """One basic block: check and take the budget, then its instructions."""
        head, count = run[0].address, len(run)
        budget = "%budget" if self.tuned else "%e"
        self.known, self.pending = {}, {}
        self._label(f"b{head:x}")
        have = self.define(f"load i64, ptr {budget}")
        rest = self.define(f"sub i64 {have}, {count}")
        short = self.define(f"icmp slt i64 {rest}, 0")
        self.out.append(f"br i1 {short}, label %o{head:x}, label %t{head:x}, !prof !0")
        self._label(f"t{head:x}")
        self.out.append(f"store i64 {rest}, ptr {budget}")
        self._aside(f"o{head:x}", head, Exit.BUDGET, 0)
        ended = False
        for index, step in enumerate(run):
            self._step, self._unused = step, count - index
            ended = self._instruction(step)
        if not ended:
            self._write_pending()
            self._go(run[-1].following, run[-1].after)

    def _instruction(self, step: Step) -> bool:
        """Lower one instruction; True if the flow does not go on behind it."""
        block, known = step.block, step.facts
        if not known.lowerable:
            self._write_pending()
            self._exit(step.address, self._unused, Exit.STEP)
            return True
        self.values = {}
        for inst in block.prologue:
            self._operation(inst)
        condition = self.values[block.condition] if block.condition >= 0 else 1
        if isinstance(condition, int):
            if condition:
                return self._body(step)
            self._advance_it(step)
            return False
        if known.plain:
            self._predicated(step, condition)
            return False
        taken = known.target(step.address)
        if taken is not None and known.sets <= _FLOW:
            # A conditional branch ends its basic block.
            self._advance_it(step)
            self._write_pending()
            other = step.following
            self.out.append(f"br i1 {self.force(condition)}, label %{self._way(taken, step.after)}, "
                            f"label %{self._way(other, step.after)}")  # fmt: skip
            return True
        return self._guarded(step, condition)

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
        for slot in sorted(step.facts.sets & self.pending.keys()):
            self._store(slot, 32, self.pending.pop(slot))
        chosen, here = self.force(condition), f"{step.address:x}"
        self.out.append(f"br i1 {chosen}, label %y{here}, label %n{here}")
        self._label(f"y{here}")
        side = self.enter_side(False)
        known, pending = dict(self.known), dict(self.pending)
        self._late = False
        if not self._body(step):
            self.out.append(f"br label %n{here}")
        self._late = True
        self.leave_side(side)
        self.known, self.pending = known, pending
        for slot in step.facts.sets:
            self._forget(slot)
        self._label(f"n{here}")
        self._advance_it(step)
        return False

    def _body(self, step: Step) -> bool:
        """Lower a body; True if it ended the flow."""
        block, known = step.block, step.facts
        target: Operand = step.following
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
        constant = known.target(step.address)
        if constant is not None:
            self._write_pending()
            if known.switches:
                self._exit(constant, 0, Exit.LOOKUP if step.after else Exit.CHAIN)
            else:
                self._go(constant, step.after)
            return True
        where = self.force(target)
        self._write_pending()
        self._return(where, step)
        return True

    def _advance_it(self, step: Step) -> None:
        if step.it != step.after:
            self.known[Slot.IT] = self.pending[Slot.IT] = step.after

    # -- ways out ----------------------------------------------------------------------------------------

    def _go(self, target: int, it: int) -> None:
        """Continue at a constant address, with everything written."""
        if self.heads.get(target, -1) == it:
            self.out.append(f"br label %b{target:x}")
        else:
            self._exit(target, 0, Exit.LOOKUP if it else Exit.CHAIN)

    def _way(self, target: int, it: int) -> str:
        """The label of a way to a constant address."""
        if self.heads.get(target, -1) == it:
            return f"b{target:x}"
        self.fresh += 1
        label = f"z{self.fresh}"
        self._aside(label, target, Exit.LOOKUP if it else Exit.CHAIN, 0)
        return label

    def _return(self, where: str, step: Step) -> None:
        """Continue at an address known when the code runs."""
        if self.returns and not step.after:
            # Calls inside the region return inside it.
            key = where
            if Slot.THUMB in step.facts.sets:
                key = self.define(f"or i32 {where}, {self.force(self._get(Slot.THUMB, 32))}")
            elif self.thumb:
                key = self.define(f"or i32 {where}, 1")
            self.fresh += 1
            label = f"d{self.fresh}"
            ways = " ".join(f"i32 {to | self.thumb}, label %b{to:x}" for to in sorted(self.returns))
            self.out.append(f"switch i32 {key}, label %{label} [{ways}]")
            self._label(label)
        wide = self.define(f"zext i32 {where} to i64")
        value = self.define(f"shl i64 {wide}, 32")
        if step.after:
            value = self.define(f"or i64 {value}, {int(Exit.LOOKUP)}")
        self._finish(value)

    def _exit(self, pc: int, unused: int, why: Exit) -> None:
        self._finish(str(packed(pc, unused, why)))

    def _finish(self, value: str) -> None:
        if self.tuned:
            self.out.append(f"store i64 {value}, ptr %why")
            self.out.append("br label %leave")
        else:
            self.out.append(f"ret i64 {value}")

    def _aside(self, label: str, pc: int, why: Exit, unused: int, touched: str = "") -> None:
        """A side path that writes what is pending and leaves."""
        side, pointers = self.enter_side(True), self._pointers
        self._label(label)
        for slot, value in self.pending.items():
            self._store(slot, 32, value)
        if touched:
            at = self.define(f"getelementptr i8, ptr %e, i64 {Env.TOUCHED}")
            self.out.append(f"store i32 {touched}, ptr {at}")
        self._exit(pc, unused, why)
        self.leave_side(side)
        self._pointers = pointers

    # -- slots -------------------------------------------------------------------------------------------

    def _pointer(self, slot: int) -> str:
        """Where a slot is."""
        if self.tuned:
            if slot < Slot.D0:
                self.used.add(slot)
                return f"%s{slot}"
            self.used.add(slot & ~1)
            if slot % 2 == 0:
                return f"%s{slot}"
            return self.define(f"getelementptr i32, ptr %s{slot - 1}, i32 1")
        pointer = self._pointers.get(slot)
        if pointer is None:
            pointer = self._pointers[slot] = self.define(f"getelementptr i8, ptr %c, i64 {slot * 4}")
        return pointer

    def _get(self, slot: int, width: int) -> Operand:
        if slot == Slot.PC:
            return self._step.address
        key = slot if width == 32 else slot + DOUBLE
        value = self.known.get(key)
        if value is None:
            pointer = self._pointer(slot)
            value = self.known[key] = self.define(f"load i{width}, ptr {pointer}, align 4")
        return value

    def _set(self, slot: int, width: int, value: Operand) -> None:
        self._forget(slot)
        if self._late and slot in LATE:
            self.known[slot] = self.pending[slot] = value
            return
        self._store(slot, width, value)
        self.known[slot if width == 32 else slot + DOUBLE] = value

    def _store(self, slot: int, width: int, value: Operand) -> None:
        text, pointer = self.force(value), self._pointer(slot)
        if self.tuned:
            self.dirty.add(slot if slot < Slot.D0 else slot & ~1)
        self.out.append(f"store i{width} {text}, ptr {pointer}, align 4")

    def _forget(self, slot: int) -> None:
        """A slot is about to change: what is known of the words that it shares goes."""
        self.known.pop(slot, None)
        if slot >= Slot.D0:
            even = slot & ~1
            for key in (even, even + 1, even + DOUBLE):
                self.known.pop(key, None)

    def _write_pending(self) -> None:
        for slot, value in self.pending.items():
            self._store(slot, 32, value)
        self.pending = {}

    # -- operations --------------------------------------------------------------------------------------

    def _operation(self, inst: Inst) -> None:
        op, values = inst.op, self.values
        if op in PURE:
            a: Operand = values[inst.a]
            b: Operand = values[inst.b] if inst.b >= 0 else 0
            c: Operand = values[inst.c] if inst.c >= 0 else 0
            values[inst.d] = self.make(op, inst.width, inst.imm, a, b, c)
        elif op is Op.CONST:
            values[inst.d] = inst.imm
        elif op is Op.GET:
            values[inst.d] = self._get(inst.imm, 32)
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
        results, good = FLOATS[name](self, tuple(self.force(self.values[n]) for n in numbers))
        self._results[inst.d] = results
        if good != "true":
            self.fresh += 1
            label = f"u{self.fresh}"
            self.out.append(f"br i1 {good}, label %{label}, label %{label}x")
            self._aside(f"{label}x", self._step.address, Exit.STEP, self._unused)
            self._label(label)

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

    # -- memory ------------------------------------------------------------------------------------------

    def _load(self, inst: Inst) -> None:
        access = inst.extra
        assert isinstance(access, Access)
        pointer, bits = self._access(inst, access), access.size * 8
        value = self.define(f"load i{bits}, ptr {pointer}, align 1")
        if bits < inst.width:
            value = self.define(f"zext i{bits} {value} to i{inst.width}")
        self.values[inst.d] = value

    def _store_memory(self, inst: Inst) -> None:
        access = inst.extra
        assert isinstance(access, Access)
        guard = self.values[inst.c] if inst.c >= 0 else 1
        bits, value = access.size * 8, self.values[inst.b]
        if isinstance(value, int):
            text = str(value & ((1 << bits) - 1))
        else:
            text = self.force(value)
            if bits < inst.width:
                text = self.define(f"trunc i{inst.width} {text} to i{bits}")
        after = ""
        if guard != 1:
            # The alignment is demanded in any case, the page only if the store happens.
            address = self.force(self.values[inst.a])
            if access.alignment > 1:
                self._check(self.define(f"and i32 {address}, {access.alignment - 1}"), "ne i32", address)
            self.fresh += 1
            after = f"g{self.fresh}"
            self.out.append(f"br i1 {self.force(guard)}, label %{after}do, label %{after}")
            self._label(f"{after}do")
        pointer = self._access(inst, access)
        self.out.append(f"store i{bits} {text}, ptr {pointer}, align 1")
        if after:
            self.out.append(f"br label %{after}")
            self._label(after)

    def _access(self, inst: Inst, access: Access) -> str:
        """The host address of a load or store, after the checks; leaves the region if they fail.

        Accesses of one instruction at constant distances (LDM, PUSH, LDRD …) are checked together.
        """
        if inst.c >= 0:
            # A conditional store has a check of its own: it may not happen.
            span = Span(inst.a, 0)
            span.cover(0, access)
            self._check_span(span, inst.op)
            return span.base
        root, offset = self._affine.get(inst.a, (inst.a, 0))
        span = self._spans[root, inst.op]
        if not span.base:
            self._check_span(span, inst.op)
        if offset == span.low:
            return span.base
        return self.define(f"getelementptr i8, ptr {span.base}, i64 {offset - span.low}")

    def _check_span(self, span: Span, op: Op) -> None:
        root, size = self.values[span.root], span.high - span.low
        address = self.force(self.make(Op.ADD, 32, 0, root, span.low & WORD, 0) if span.low else root)
        if address.lstrip("-").isdigit():
            address = self.define(f"add i32 {address}, 0")
        odd = crossing = ""
        if span.alignment > 1:
            low = self.define(f"and i32 {address}, {span.alignment - 1}")
            odd = self.define(f"icmp ne i32 {low}, 0")
        if size > span.alignment:
            low = self.define(f"and i32 {address}, 4095")
            crossing = self.define(f"icmp ugt i32 {low}, {4096 - size}")
        entry = self._entry(address, op)
        bad = self.define(f"icmp eq i64 {entry}, 0")
        for other in (odd, crossing):
            if other:
                bad = self.define(f"or i1 {bad}, {other}")
        self.fresh += 1
        label = f"m{self.fresh}"
        self.out.append(f"br i1 {bad}, label %{label}x, label %{label}, !prof !0")
        if crossing:
            self._try_across(label, address, size, entry, odd, op)
        self._aside(f"{label}{'y' if crossing else 'x'}", self._step.address, Exit.TOUCH, self._unused, address)
        self._label(label)
        wide = self.define(f"zext i32 {address} to i64")
        host = self.define(f"add i64 {entry}, {wide}")
        span.base = self.define(f"inttoptr i64 {host} to ptr")

    def _entry(self, address: str, op: Op) -> str:
        """The page table's entry for an address."""
        page = self.define(f"lshr i32 {address}, 12")
        index = self.define(f"zext i32 {page} to i64")
        at = self.define(f"getelementptr i64, ptr %{'r' if op is Op.LOAD else 'w'}t, i64 {index}")
        return self.define(f"load i64, ptr {at}, !invariant.load !1")

    def _try_across(self, label: str, address: str, size: int, entry: str, odd: str, op: Op) -> None:
        """A side path for what may reach into the next page: where that lies behind this one in the host's memory
        too, their entries are equal, and all is well."""
        side, pointers = self.enter_side(True), self._pointers
        self._label(f"{label}x")
        last = self.define(f"add i32 {address}, {size - 1}")
        same = self.define(f"icmp eq i64 {self._entry(last, op)}, {entry}")
        there = self.define(f"icmp ne i64 {entry}, 0")
        good = self.define(f"and i1 {same}, {there}")
        if odd:
            good = self.define(f"and i1 {good}, {self.define(f'xor i1 {odd}, true')}")
        self.out.append(f"br i1 {good}, label %{label}, label %{label}y")
        self.leave_side(side)
        self._pointers = pointers

    def _check(self, value: str, comparison: str, touched: str) -> None:
        """Leave for the evaluator if `value` compares so with 0."""
        bad = self.define(f"icmp {comparison} {value}, 0")
        self.fresh += 1
        label = f"m{self.fresh}"
        self.out.append(f"br i1 {bad}, label %{label}x, label %{label}, !prof !0")
        self._aside(f"{label}x", self._step.address, Exit.TOUCH, self._unused, touched)
        self._label(label)


_ACCESSES: Final = frozenset((Op.LOAD, Op.STORE))
_FLOW: Final = frozenset((int(Slot.PC), int(Slot.IT)))


def _kind(slot: int) -> str:
    return "i64" if slot >= Slot.D0 else "i32"
