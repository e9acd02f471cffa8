"""What lowering and control-flow discovery need to know of one instruction's `Block`, worked out once."""

from __future__ import annotations

from typing import Final, final

from retrap.machine.access import WORD
from retrap.machine.context import Slot
from retrap.machine.ir.builder import advance_it, written_it
from retrap.machine.ir.ops import Access, Block, Inst, Op
from retrap.machine.llvm.floats import FLOATS
from retrap.machine.llvm.rules import PURE, fold_inst
from retrap.machine.traps import TrapKind

_EVALUATED: Final = frozenset((Op.COUNTER, Op.SYSTEM_GET, Op.SYSTEM_SET))


def _evaluated(inst: Inst) -> bool:
    """Whether no rule lowers the operation."""
    if inst.op is Op.CALL:
        extra = inst.extra
        return not isinstance(extra, tuple) or extra[0] not in FLOATS
    return inst.op in _EVALUATED or (inst.op is Op.SET and inst.imm == Slot.BIG_ENDIAN)


UNKNOWN: Final = -1


@final
class Facts:
    """Of a block, wherever it lies."""

    __slots__ = (
        "_target", "_target2", "calls", "choice", "computes", "ends", "floats", "forks", "it", "lowerable", "modes",
        "plain", "sets", "state", "switches",
    )  # fmt: skip

    def __init__(self, block: Block) -> None:
        insts = (*block.prologue, *block.body)
        read = {inst.imm for inst in insts if inst.op is Op.GET}
        self.lowerable: Final = (
            not any(_evaluated(inst) for inst in insts)
            and (block.trap < 0 or block.trap == TrapKind.SVC)
            and plan_accesses(block)[2]
        )
        """Compiled code performs it; otherwise the evaluator does."""
        self.sets: Final = frozenset(i.imm for i in block.body if i.op in (Op.SET, Op.SET64))
        """The slots that the body may write."""
        self.ends: Final = block.branches or block.trap >= 0 or not self.lowerable
        """No instruction after it belongs to the same basic block."""
        self.calls: Final = block.branches and Slot.LR in self.sets
        self.switches: Final = Slot.THUMB in self.sets
        """It may change the instruction set."""
        ways = (_way(block, 0), _way(block, 2)) if block.branches or self.switches else (_NOWHERE, _NOWHERE)
        self.state: Final = ways[0][1] if self.switches and ways[0][1] == ways[1][1] else -1
        """The instruction set that it goes on in, if it `switches` and that is constant: 1 for Thumb; else -1."""
        self.plain: Final = not self.ends and all(i.op in PURE or i.op in _MOVES for i in block.body)
        """The body can be done and dropped again: it touches nothing but slots."""
        self.floats: Final = any(i.op is Op.CALL for i in insts)
        """It computes with helpers: floating point, mostly."""
        self.modes: Final = Slot.FPSCR in self.sets and not self.floats
        """It may change more of the FPSCR than flags and condition."""
        self.it: Final = written_it(block)
        """ITSTATE that it writes, or UNKNOWN if none (it then advances)."""
        targets = ways[0][0], ways[1][0]
        chosen = _choice(block, self.sets) if targets == (None, None) else None
        self.choice: Final = -1 if chosen is None else chosen[0]
        """The value by which an unconditional body goes to `target`, or else on behind itself (CBZ); or -1."""
        self.forks: Final = block.condition >= 0 or chosen is not None
        """It may go on behind the instruction although it branches."""
        self._target: Final = targets[0] if chosen is None else chosen[1]
        self._target2: Final = targets[1] if chosen is None else chosen[1]

        plainly = self._target is None and not self.calls and Slot.LR not in read and Slot.SP not in read
        self.computes: Final = block.branches and plainly
        """It goes to a place that is neither constant nor, as far as registers tell, one to return to."""

    def target(self, address: int) -> int | None:
        """Where the block goes from `address` if it `forks` or is taken, where that is constant; else None.

        Places that are 2 beyond a word are another case: BLX from Thumb to ARM aligns PC.
        """
        distance = self._target2 if address & 2 else self._target
        return None if distance is None else address + distance & 0xFFFFFFFF

    def way(self, key: int) -> int | None:
        """The same from PC | Thumb to PC | Thumb."""
        target = self.target(key & ~1)
        if target is None or not self.switches:
            return None if target is None else target | key & 1
        return None if self.state < 0 else target | self.state


_MOVES: Final = frozenset((Op.CONST, Op.GET, Op.SET, Op.GET64, Op.SET64))

_known: Final[dict[Block, Facts]] = {}
_REMEMBERED: Final = 1 << 16


def facts(block: Block) -> Facts:
    """Cached by identity: `translate` gives the same block for the same word."""
    found = _known.get(block)
    if found is None:
        if len(_known) >= _REMEMBERED:
            _known.clear()
        found = _known[block] = Facts(block)
    return found


def next_it(block: Block, it: int) -> int:
    """ITSTATE after a block that runs with `it`."""
    if it:
        return advance_it(it)
    written = facts(block).it
    return 0 if written == UNKNOWN else written


def _way(block: Block, offset: int) -> tuple[int | None, int]:
    """Of a block at `offset` from a word boundary: what it writes to PC less its own address, if that is constant,
    else None; and what it writes to THUMB, if that is, else -1."""
    values = _Constants()
    first = values.run(block, _HERE + offset)
    state = values.state
    target = first - _HERE - offset if first is not None and block.branches else None
    # What comes out elsewhere must have moved along. If it is more than a sum, each bit of the address may matter.
    for here in _ELSEWHERE if _sums(block, _SUMS) else _EVERYWHERE:
        if target is None and state < 0:
            break
        values = _Constants()
        there = values.run(block, here + offset)
        if values.state != state:
            state = -1
        if there is None or target is None or (there - here - offset - target) & WORD:
            target = None
    return target, state


_ALIGNING: Final = frozenset((1, 2, 3, WORD ^ 1, WORD ^ 3))


def _sums(block: Block, operations: frozenset[Op]) -> bool:
    """Whether the body has only these operations, and those that only change the two lowest bits."""
    constants = {inst.d: inst.imm for inst in block.prologue if inst.op is Op.CONST}
    for inst in block.body:
        if inst.op is Op.CONST:
            constants[inst.d] = inst.imm
        elif inst.op in (Op.AND, Op.OR):
            if constants.get(inst.b, 0) not in _ALIGNING:
                return False
        elif inst.op not in operations:
            return False
        elif inst.op is Op.SELECT and {constants.get(inst.b, 0), constants.get(inst.c, 0)} <= _ALIGNING:
            constants[inst.d] = constants[inst.b]  # either is
    return True


_SUMS: Final = frozenset((Op.GET, Op.SET, Op.ADD, Op.SUB, Op.TRUNC, Op.SELECT))
_CHOICES: Final = _SUMS | {Op.EQ, Op.NE}
_NOWHERE: Final[tuple[int | None, int]] = (None, -1)


def _choice(block: Block, sets: frozenset[int]) -> tuple[int, int] | None:
    """Of a body that goes to a constant place or on behind itself: (value that decides, distance)."""
    selects = [inst for inst in block.body if inst.op is Op.SELECT]
    if not block.branches or block.condition >= 0 or len(selects) != 1 or sets != {Slot.PC}:
        return None
    if not _sums(block, _CHOICES):
        return None
    found = []
    for choice in (True, False):
        values = _Constants(choice)
        distances = {
            None if (to := values.run(block, here)) is None else to - here
            for here in (_HERE, _HERE + 2, _HERE + 0x1000)
        }
        if len(distances) > 1 or None in distances:
            return None
        found.append(distances.pop())
    taken, other = found
    return (selects[0].a, taken) if taken is not None and other == block.size else None


_HERE: Final = 0x40000000
_ELSEWHERE: Final = (_HERE + 0x1000,)
_EVERYWHERE: Final = (
    _HERE + 0x1000, 0, *(1 << bit for bit in range(2, 32)), 0x5A5A5A58, 0xA5A5A5A4, 0x12345678, 0xFEDCBA98,
)  # fmt: skip


@final
class _Constants:
    """Constant propagation through one block at one address. `choice`: what every SELECT takes."""

    def __init__(self, choice: bool | None = None) -> None:
        self._choice: Final = choice
        self.state = -1  # what was written to THUMB last, if that is constant

    def run(self, block: Block, address: int) -> int | None:
        known: dict[int, int] = {}
        target: int | None = None
        for inst in (*block.prologue, *block.body):
            if inst.op is Op.CONST:
                known[inst.d] = inst.imm
            elif inst.op is Op.GET and inst.imm == Slot.PC:
                known[inst.d] = address
            elif inst.op is Op.SET and inst.imm == Slot.PC:
                target = known.get(inst.a)
            elif inst.op is Op.SET and inst.imm == Slot.THUMB:
                self.state = known.get(inst.a, -1)
            elif inst.op is Op.SELECT and self._choice is not None:
                chosen = known.get(inst.b if self._choice else inst.c)
                if chosen is not None:
                    known[inst.d] = chosen
            elif inst.op in PURE and all(n < 0 or n in known for n in (inst.a, inst.b, inst.c)):
                known[inst.d] = fold_inst(inst, *(known.get(n, 0) for n in (inst.a, inst.b, inst.c)))
        return target


@final
class Span:
    """Bytes [low, high) from the value number `root` that one instruction accesses through one table."""

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


def plan_accesses(block: Block) -> tuple[dict[tuple[int, Op], Span], dict[int, tuple[int, int]], bool]:
    """The unconditional loads and stores of a body, grouped by what their addresses are constant distances from;
    for each such address (root, distance); and whether a check per group is enough."""
    spans: dict[tuple[int, Op], Span] = {}
    affine: dict[int, tuple[int, int]] = {}
    constants: dict[int, int] = {}
    accesses: list[tuple[Span, int, Access]] = []
    for inst in (*block.prologue, *block.body):
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
            root, offset = affine.get(inst.a, (inst.a, 0))
            span = spans.setdefault((root, inst.op), Span(root, offset))
            span.cover(offset, access)
            accesses.append((span, offset, access))
    # One check of a span's start stands for all its accesses: their distances must keep their alignment.
    coherent = all(
        (offset - span.low) % access.alignment == 0 and span.high - span.low <= 4096
        for span, offset, access in accesses
    )
    return spans, affine, coherent
