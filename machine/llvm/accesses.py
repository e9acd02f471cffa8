"""Loads and stores of a region: checks against the page tables, then the host's own.

An access that native code may not do leaves the region *before* its instruction, with nothing of it committed, and
the evaluator performs it: so faults, devices and code that modifies itself have one definition.

In `Shape.QUICK` each check looks at the page table. In `Shape.TUNED` it compares with the window of the address's
base register (`tables`). Loops that call nothing take it from registers, where it is while the region runs; other
code takes it from the environment. Where a loop's is older it holds too, as page tables do not change meanwhile.
"""

from __future__ import annotations

from typing import Final

from retrap.machine.ir.ops import Access, Inst, Op
from retrap.machine.llvm.blocks import Span
from retrap.machine.llvm.frame import WORD, Frame, Step
from retrap.machine.llvm.groups import NO_BASE, Group, Plan
from retrap.machine.llvm.layout import WINDOW_SLACK, Env, Exit, Window
from retrap.machine.llvm.rules import Operand

_WINDOW_PARTS: Final = (("s", "i32", Window.START), ("l", "i64", Window.LIMIT), ("d", "i64", Window.DISTANCE))


class Accesses(Frame):
    """Lowers memory accesses."""

    def __init__(self, first: Step, tuned: bool) -> None:
        super().__init__(first, tuned)
        self.windows: Final[set[int]] = set()  # TUNED: those used
        self._plan = Plan([])
        self._checked: dict[Group, str] = {}  # groups checked on the way here: host address of their lowest byte
        self._aligned: set[tuple[Group, int, int]] = set()  # (group, offset from its lowest byte, alignment)
        self._spans: dict[tuple[int, Op], Span] = {}
        self._affine: dict[int, tuple[int, int]] = {}
        self._circling = False

    def _load(self, inst: Inst) -> None:
        access = inst.extra
        assert isinstance(access, Access)
        pointer, bits = self._access(inst), access.size * 8
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
        # A guard that turns out to be constant is not among the accesses that are checked together.
        if inst.c < 0:
            pointer = self._access(inst)
            self.out.append(f"store i{bits} {text}, ptr {pointer}, align 1")
            return
        # The alignment is demanded in any case, the page only if the store happens.
        address = self.force(self.values[inst.a])
        self._align(address, access.alignment)
        self.fresh += 1
        after = f"g{self.fresh}"
        self.out.append(f"br i1 {self.force(guard)}, label %{after}do, label %{after}")
        self._label(f"{after}do")
        base = self._plan.bases.get((self._step.address, inst.a, Op.STORE), NO_BASE)
        pointer = self._checked_pointer(address, access.size, base, Op.STORE)
        self.out.append(f"store i{bits} {text}, ptr {pointer}, align 1")
        self.out.append(f"br label %{after}")
        self._label(after)

    def _access(self, inst: Inst) -> str:
        """The host address of an unconditional load or store, after the checks; leaves the region if they fail.

        Accesses of one instruction at constant distances (LDM, PUSH, LDRD …) are checked together.
        """
        root, offset = self._affine.get(inst.a, (inst.a, 0))
        span = self._spans[root, inst.op]
        if not span.base:
            self._check_span(span, inst.op)
        return self._beyond(span.base, offset - span.low)

    def _beyond(self, pointer: str, distance: int) -> str:
        return self.define(f"getelementptr i8, ptr {pointer}, i64 {distance}") if distance else pointer

    def _check_span(self, span: Span, op: Op) -> None:
        """Check a span of the current instruction, together with what else is in its group."""
        place = self._step.address, span.root, op
        found = self._plan.places.get(place)
        group, distance = found if found is not None else (Group(span.low, span.high, op), 0)
        root, offset = self.values[span.root], span.low + distance - group.low
        if span.alignment > 1 and (group, offset, span.alignment) not in self._aligned:
            self._align(self._sum(root, span.low), span.alignment)
            self._aligned.add((group, offset, span.alignment))
        pointer = self._checked.get(group)
        if pointer is None:
            address = self._sum(root, group.low - distance)
            base = self._plan.bases.get(place, NO_BASE)
            pointer = self._checked_pointer(address, group.high - group.low, base, group.op)
            self._checked[group] = pointer
        span.base = self._beyond(pointer, offset)

    def _sum(self, value: Operand, distance: int) -> str:
        text = self.force(self.make(Op.ADD, 32, 0, value, distance & WORD, 0) if distance else value)
        return self.define(f"add i32 {text}, 0") if text.isdigit() else text

    def _align(self, address: str, alignment: int) -> None:
        """Leave for the evaluator if an address is not aligned."""
        if alignment > 1:
            odd = self.define(f"icmp ne i32 {self.define(f'and i32 {address}, {alignment - 1}')}, 0")
            self._unless(odd, address)

    def _unless(self, bad: str, touched: str) -> None:
        """Leave for the evaluator if `bad`."""
        self.fresh += 1
        label = f"m{self.fresh}"
        self.out.append(f"br i1 {bad}, label %{label}x, label %{label}, !prof !0")
        self._aside(f"{label}x", self._step.address, Exit.TOUCH, self._unused, touched)
        self._label(label)

    def _checked_pointer(self, address: str, size: int, base: int, op: Op) -> str:
        """The host address of `size` bytes that native code may access; leaves the region if it may not."""
        if self.tuned:
            return self._through_window(address, size, base * 2 + (op is Op.STORE))
        crossing = ""
        if size > 1:
            low = self.define(f"and i32 {address}, 4095")
            crossing = self.define(f"icmp ugt i32 {low}, {4096 - size}")
        entry = self._entry(address, op)
        bad = self.define(f"icmp eq i64 {entry}, 0")
        if crossing:
            bad = self.define(f"or i1 {bad}, {crossing}")
        self.fresh += 1
        label = f"m{self.fresh}"
        self.out.append(f"br i1 {bad}, label %{label}x, label %{label}, !prof !0")
        if crossing:
            self._try_across(label, address, size, entry, op)
        self._aside(f"{label}{'y' if crossing else 'x'}", self._step.address, Exit.TOUCH, self._unused, address)
        self._label(label)
        return self._host(entry, address)

    def _host(self, distance: str, address: str) -> str:
        wide = self.define(f"zext i32 {address} to i64")
        return self.define(f"inttoptr i64 {self.define(f'add i64 {distance}, {wide}')} to ptr")

    # -- by the page table -------------------------------------------------------------------------------

    def _entry(self, address: str, op: Op) -> str:
        """The page table's entry for an address."""
        page = self.define(f"lshr i32 {address}, 12")
        index = self.define(f"zext i32 {page} to i64")
        at = self.define(f"getelementptr i64, ptr %{'r' if op is Op.LOAD else 'w'}t, i64 {index}")
        return self.define(f"load i64, ptr {at}, !invariant.load !1")

    def _try_across(self, label: str, address: str, size: int, entry: str, op: Op) -> None:
        """A side path for what may reach into the next page: where that lies behind this one in the host's memory
        too, their entries are equal, and all is well."""
        side, pointers = self.enter_side(True), self._pointers
        self._label(f"{label}x")
        last = self.define(f"add i32 {address}, {size - 1}")
        same = self.define(f"icmp eq i64 {self._entry(last, op)}, {entry}")
        there = self.define(f"icmp ne i64 {entry}, 0")
        good = self.define(f"and i1 {same}, {there}")
        self.out.append(f"br i1 {good}, label %{label}, label %{label}y")
        self.leave_side(side)
        self._pointers = pointers

    # -- by windows --------------------------------------------------------------------------------------

    def _window(self, window: int, part: tuple[str, str, int]) -> str:
        """A word of a window. Loops have it in registers; elsewhere the host's cache does."""
        letter, kind, offset = part
        if self._circling:
            return self.define(f"load {kind}, ptr %q{window}{letter}")
        at = self.define(f"getelementptr i8, ptr %e, i64 {Env.WINDOWS + window * Window.SIZE + offset}")
        return self.define(f"load {kind}, ptr {at}")

    def _through_window(self, address: str, size: int, window: int) -> str:
        if self._circling:
            self.windows.add(window)
        start = self._window(window, _WINDOW_PARTS[0])
        inside = self.define(f"zext i32 {self.define(f'sub i32 {address}, {start}')} to i64")
        if size > WINDOW_SLACK:
            inside = self.define(f"add i64 {inside}, {size - WINDOW_SLACK}")
        limit = self._window(window, _WINDOW_PARTS[1])
        beyond = self.define(f"icmp sgt i64 {inside}, {limit}")
        self.fresh += 1
        label = f"m{self.fresh}"
        self.out.append(f"br i1 {beyond}, label %{label}x, label %{label}, !prof !0")
        side, pointers = self.enter_side(True), self._pointers
        self._label(f"{label}x")
        at = self.define(f"getelementptr i8, ptr %e, i64 {Env.MISS}")
        miss = self.define(f"load ptr, ptr {at}")
        arguments = f"ptr %e, i32 {address}, i32 {size}, i32 {window}"
        distance = self.define(f"call preserve_mostcc i64 {miss}({arguments})")
        if self._circling:
            self._load_window(window, self.out)
            self.out.append(f"store i64 {distance}, ptr %q{window}d")
        bad = self.define(f"icmp eq i64 {distance}, 0")
        self.out.append(f"br i1 {bad}, label %{label}y, label %{label}, !prof !0")
        self.leave_side(side)
        self._pointers = pointers
        self._aside(f"{label}y", self._step.address, Exit.TOUCH, self._unused, address)
        self._label(label)
        return self._host(self._window(window, _WINDOW_PARTS[2]), address)

    def _load_window(self, window: int, out: list[str]) -> None:
        """Take a window from the environment into registers."""
        at = Env.WINDOWS + window * Window.SIZE
        for letter, kind, offset in _WINDOW_PARTS:
            self.fresh += 1
            out.append(f"%v{self.fresh}p = getelementptr i8, ptr %e, i64 {at + offset}")
            out.append(f"%v{self.fresh} = load {kind}, ptr %v{self.fresh}p")
            out.append(f"store {kind} %v{self.fresh}, ptr %q{window}{letter}")

    def _window_frame(self) -> list[str]:
        """The windows at the region's entry."""
        lines: list[str] = []
        for window in sorted(self.windows):
            lines += [f"%q{window}s = alloca i32", f"%q{window}l = alloca i64", f"%q{window}d = alloca i64"]
            self._load_window(window, lines)
        return lines
