"""A native interpreter for code that runs too seldom to be compiled: it plays tapes (`machine.ir.tape`).

For each operation on tape there is one function, made of the operation's rule (`rules`). It does its work and
goes on, as a tail call, to the function of the next operation. `INTERPRETER` is called as a region is, and ends
as a region does; it may begin anywhere, and ends where there is no tape for what is in memory, where a basic
block begins that is compiled or ought to be, and before any instruction that is not all native code's business:
a page that native code may not touch yet, an access across pages, a trap that is no system call.
"""

from __future__ import annotations

from typing import Final

from retrap.machine.context import Slot
from retrap.machine.ir.ops import Op
from retrap.machine.ir.tape import BYTES, NAMES, PURE, SIZES, VALUES
from retrap.machine.llvm.layout import JUMP_SEARCH, Env, Exit, Sheet
from retrap.machine.llvm.nodes import Node
from retrap.machine.llvm.rules import RULES, Emitter
from retrap.machine.llvm.sheets import HANDLERS, INTERPRETER, RESUME

_ARGUMENTS: Final = "ptr %t, ptr %v, ptr %c, ptr %e, ptr %h, ptr %s"
"""Where on tape, values, register context, environment, numbers of the holes, sheet."""

_PASSED: Final = "ptr %v, ptr %c, ptr %e, ptr %h, ptr %s"


def text() -> str:
    """All functions."""
    parts = [_entry(INTERPRETER, True), _entry(RESUME, False)]
    for name, handler in zip(NAMES, HANDLERS, strict=True):
        parts.append(f"define i64 @{handler}({_ARGUMENTS}) #0 {{\n{_BODIES[name]}\n}}")
    return "\n".join(parts)


# -- pieces ------------------------------------------------------------------------------------------------------


def _field(name: str, offset: int, kind: str = "i8") -> str:
    """`%name`: a number of the operation, as 64 bits."""
    return (
        f"%{name}.p = getelementptr i8, ptr %t, i64 {offset}\n%{name}.n = load {kind}, ptr %{name}.p\n"
        f"%{name} = zext {kind} %{name}.n to i64"
    )


_A: Final = f"{_field('a', 2)}\n%va.p = getelementptr i64, ptr %v, i64 %a\n%va = load i64, ptr %va.p"
_B: Final = f"{_field('b', 3)}\n%vb.p = getelementptr i64, ptr %v, i64 %b\n%vb = load i64, ptr %vb.p"
_IMM: Final = _field("imm", 4, "i32")
_C: Final = f"{_IMM}\n%vc.p = getelementptr i64, ptr %v, i64 %imm\n%vc = load i64, ptr %vc.p"
_HOLE: Final = (
    f"{_IMM}\n%hole.p = getelementptr i32, ptr %h, i64 %imm\n%hole.n = load i32, ptr %hole.p\n"
    "%hole = zext i32 %hole.n to i64"
)


def _result(value: str) -> str:
    return f"{_field('d', 1)}\n%vd.p = getelementptr i64, ptr %v, i64 %d\nstore i64 {value}, ptr %vd.p"


def _handler(place: str) -> str:
    """`%go`: the function of the operation on tape at `place`."""
    return f"""%code = load i8, ptr {place}
%code64 = zext i8 %code to i64
%table.p = getelementptr i8, ptr %e, i64 {Env.HANDLERS}
%table = load ptr, ptr %table.p
%go.p = getelementptr ptr, ptr %table, i64 %code64
%go = load ptr, ptr %go.p"""


def _go(where: str = f"getelementptr i8, ptr %t, i64 {BYTES}") -> str:
    """On to the operation at `where`."""
    return f"""%next = {where}
{_handler("%next")}
%came = musttail call i64 %go(ptr %next, {_PASSED})
ret i64 %came"""


def _leave(why: Exit) -> str:
    """Back to who called, with PC where it stands."""
    name = f"leave{int(why)}"
    return f"""%{name}.p = getelementptr i8, ptr %c, i64 {Slot.PC * 4}
%{name}.pc = load i32, ptr %{name}.p
%{name}.wide = zext i32 %{name}.pc to i64
%{name}.high = shl i64 %{name}.wide, 32
%{name} = or i64 %{name}.high, {int(why)}
ret i64 %{name}"""


def _slot(name: str, number: str) -> str:
    return f"%{name} = getelementptr i32, ptr %c, i64 {number}"


assert Slot.IT == Slot.THUMB + 1  # both are read at once


def _fetch(head: bool) -> str:
    """Find the record of the instruction at PC, see whether it is what is in memory, and play its tape. `head`: a
    basic block begins here; others are only looked for, not counted."""
    counting = f"""br i1 %same, label %counts, label %nothing
counts:
%count.p = getelementptr i8, ptr %record, i64 {Sheet.COUNT}
%count = load i32, ptr %count.p
%enough = icmp uge i32 %count, {Sheet.ENOUGH}
br i1 %enough, label %nothing, label %counted
counted:
%count1 = add i32 %count, 1
store i32 %count1, ptr %count.p
br label %play"""
    return f"""{_slot("pc.p", str(int(Slot.PC)))}
%pc = load i32, ptr %pc.p
%page0 = lshr i32 %pc, 12
%page = zext i32 %page0 to i64
%sheets.p = getelementptr i8, ptr %e, i64 {Env.SHEETS}
%sheets = load ptr, ptr %sheets.p
%pair = getelementptr [2 x i64], ptr %sheets, i64 %page
%sheet = load ptr, ptr %pair
%have = icmp ne ptr %sheet, null
br i1 %have, label %there, label %nothing
there:
%half0 = lshr i32 %pc, 1
%half = and i32 %half0, {Sheet.ENTRIES - 1}
%half64 = zext i32 %half to i64
%entry.p = getelementptr i32, ptr %sheet, i64 %half64
%entry0 = load i32, ptr %entry.p
%some = icmp ne i32 %entry0, 0
br i1 %some, label %known, label %nothing
known:
%entry64 = zext i32 %entry0 to i64
%record = getelementptr i8, ptr %sheet, i64 %entry64
%distance.p = getelementptr i8, ptr %pair, i64 8
%distance = load i64, ptr %distance.p
%pc64 = zext i32 %pc to i64
%host0 = add i64 %distance, %pc64
%host = inttoptr i64 %host0 to ptr
%low = load i16, ptr %host
%low.p = getelementptr i8, ptr %record, i64 {Sheet.LOW}
%low1 = load i16, ptr %low.p
%state.p = getelementptr i8, ptr %record, i64 {Sheet.STATE}
%state1 = load i64, ptr %state.p, align 4
{_slot("thumb.p", str(int(Slot.THUMB)))}
%state = load i64, ptr %thumb.p, align 4
{_slot("big.p", str(int(Slot.BIG_ENDIAN)))}
%big = load i32, ptr %big.p
%little = icmp eq i32 %big, 0
%same0 = icmp eq i64 %state, %state1
%same1 = icmp eq i16 %low, %low1
%same2 = and i1 %same0, %same1
%same3 = and i1 %same2, %little
%wide.p = getelementptr i8, ptr %record, i64 {Sheet.WIDE}
%wide = load i32, ptr %wide.p
%short = icmp eq i32 %wide, 0
br i1 %short, label %judge, label %second
second:
%behind = getelementptr i8, ptr %host, i64 2
%high = load i16, ptr %behind
%high.p = getelementptr i8, ptr %record, i64 {Sheet.HIGH}
%high1 = load i16, ptr %high.p
%same4 = icmp eq i16 %high, %high1
%same5 = and i1 %same3, %same4
br label %judge
judge:
%same = phi i1 [%same3, %known], [%same5, %second]
{counting if head else "br i1 %same, label %play, label %nothing"}
play:
%tape.p = getelementptr i8, ptr %record, i64 {Sheet.TAPE}
%tape0 = load i32, ptr %tape.p
%tape64 = zext i32 %tape0 to i64
%tape = getelementptr i8, ptr %sheet, i64 %tape64
%holes = getelementptr i8, ptr %record, i64 {Sheet.HOLES}
{_handler("%tape")}"""


def _entry(name: str, head: bool) -> str:
    return f"""define i64 @{name}(ptr %c, ptr %e) #0 {{
%v = alloca [{VALUES} x i64]
%left = load i64, ptr %e
%more = icmp ne i64 %left, 0
br i1 %more, label %on, label %spent
spent:
{_leave(Exit.BUDGET)}
on:
{_fetch(head)}
%came = call i64 %go(ptr %tape, ptr %v, ptr %c, ptr %e, ptr %holes, ptr %sheet)
ret i64 %came
nothing:
{_leave(Exit.LOOKUP)}
}}"""


def _retire() -> str:
    """One instruction more is done; leave if it was the budget's last."""
    return f"""%left0 = load i64, ptr %e
%left = sub i64 %left0, 1
store i64 %left, ptr %e
%more = icmp ne i64 %left, 0
br i1 %more, label %on, label %spent
spent:
{_leave(Exit.BUDGET)}
on:"""


_PLAY: Final = """%came = musttail call i64 %go(ptr %tape, ptr %v, ptr %c, ptr %e, ptr %holes, ptr %sheet)
ret i64 %came"""


def _next() -> str:
    return f"{_retire()}\n{_fetch(False)}\n{_PLAY}\nnothing:\n{_leave(Exit.LOOKUP)}"


def _done() -> str:
    """As `next`; but what is compiled goes first."""
    return f"""{_retire()}
{_slot("here.p", str(int(Slot.PC)))}
%here = load i32, ptr %here.p
{_slot("mode.p", str(int(Slot.THUMB)))}
%mode0 = load i64, ptr %mode.p, align 4
%mode = trunc i64 %mode0 to i32
%it = lshr i64 %mode0, 32
%plain = icmp eq i64 %it, 0
%key = or i32 %here, %mode
%jp = getelementptr i8, ptr %e, i64 {Env.JUMP_CACHE}
%j = load ptr, ptr %jp
{JUMP_SEARCH}
%region = and i1 %hit, %plain
br i1 %region, label %compiled, label %seek
compiled:
{_leave(Exit.CHAIN)}
seek:
{_fetch(True)}
{_PLAY}
nothing:
{_leave(Exit.LOOKUP)}"""


def _pure(op: Op, width: int) -> str:
    """An operation by its rule."""
    emitter, kind = Emitter(), f"i{width}"
    operands = [name if width == 64 else emitter.define(f"trunc i64 {name} to {kind}") for name in ("%va", "%vb")]
    value = RULES[op](emitter, Node(op, width, width, operands[0], operands[1], 0, 1))
    bits = 1 if op in _COMPARISONS else width
    if bits < 64:
        value = emitter.define(f"zext i{bits} {value} to i64")
    return "\n".join((_A, _B, *emitter.out, _result(value), _go()))


_COMPARISONS: Final = frozenset((Op.EQ, Op.NE, Op.ULT, Op.ULE, Op.SLT, Op.SLE))


def _moves(name: str, number: str, operand: str) -> dict[str, str]:
    """Reading and writing of context words, whose number is `operand`."""
    words = _slot("word", operand)
    return {
        f"get{name}": f"""{number}\n{words}\n%got = load i32, ptr %word\n%got64 = zext i32 %got to i64
{_result("%got64")}\n{_go()}""",
        f"set{name}": f"""{_A}\n{number}\n{words}\n%low = trunc i64 %va to i32
store i32 %low, ptr %word\n{_go()}""",
        f"get64{name}": f"""{number}\n{words}\n%got = load i64, ptr %word, align 4\n{_result("%got")}\n{_go()}""",
        f"set64{name}": f"""{_A}\n{number}\n{words}\nstore i64 %va, ptr %word, align 4\n{_go()}""",
    }


def _access(size: int, table: int) -> str:
    """`%pointer` to memory at a, which native code may touch; else to `no`, where TOUCHED says what it was."""
    crossing = (
        f"%offset = and i64 %va, 4095\n%across = icmp ugt i64 %offset, {4096 - size}\n%bad1 = or i1 %bad0, %across"
        if size > 1
        else "%bad1 = or i1 %bad0, false"
    )
    return f"""{_A}
{_IMM}
%odd0 = and i64 %va, %imm
%bad0 = icmp ne i64 %odd0, 0
{crossing}
%pages.p = getelementptr i8, ptr %e, i64 {table}
%pages = load ptr, ptr %pages.p
%page = lshr i64 %va, 12
%far.p = getelementptr i64, ptr %pages, i64 %page
%far = load i64, ptr %far.p
%none = icmp eq i64 %far, 0
%bad = or i1 %bad1, %none
br i1 %bad, label %no, label %yes
no:
%touched = getelementptr i8, ptr %e, i64 {Env.TOUCHED}
%address = trunc i64 %va to i32
store i32 %address, ptr %touched
{_leave(Exit.TOUCH)}
yes:
%pointer0 = add i64 %far, %va
%pointer = inttoptr i64 %pointer0 to ptr"""


def _load(size: int) -> str:
    bits = size * 8
    wide = f"\n%wide = zext i{bits} %got to i64" if bits < 64 else ""
    result = _result("%wide" if bits < 64 else "%got")
    return f"{_access(size, Env.READ_TABLE)}\n%got = load i{bits}, ptr %pointer, align 1{wide}\n{result}\n{_go()}"


def _put(size: int, guarded: bool) -> str:
    bits = size * 8
    narrow = f"%part = trunc i64 %vb to i{bits}" if bits < 64 else "%part = or i64 %vb, 0"
    write = f"%pointer = inttoptr i64 %va to ptr\n{narrow}\nstore i{bits} %part, ptr %pointer, align 1"
    if guarded:
        test = f"{_C}\n%wanted = icmp ne i64 %vc, 0\nbr i1 %wanted, label %do, label %on"
        write = f"{test}\ndo:\n{write}\nbr label %on\non:"
    return f"{_A}\n{_B}\n{write}\n{_go()}"


def _extend(bits: int) -> str:
    kind = f"i{bits}"
    narrow = f"%x = trunc i64 %va to {kind}\n%n = trunc i64 %imm to {kind}" if bits < 64 else (
        "%x = or i64 %va, 0\n%n = or i64 %imm, 0"
    )
    back = "%wide = zext i32 %down to i64" if bits < 64 else "%wide = or i64 %down, 0"
    return (
        f"{_A}\n{_IMM}\n{narrow}\n%up = shl {kind} %x, %n\n%down = ashr {kind} %up, %n\n{back}\n"
        f"{_result('%wide')}\n{_go()}"
    )


_FORWARD: Final = f"""%by0 = add i64 %imm, 1
%by = mul i64 %by0, {BYTES}"""

_BODIES: Final[dict[str, str]] = {
    "next": _next(),
    "done": _done(),
    "unless": f"""{_A}\n{_IMM}\n{_FORWARD}\n%true = icmp ne i64 %va, 0
%by1 = select i1 %true, i64 {BYTES}, i64 %by\n{_go("getelementptr i8, ptr %t, i64 %by1")}""",
    "pass": f"{_IMM}\n{_FORWARD}\n{_go('getelementptr i8, ptr %t, i64 %by')}",
    "call": f"""%left0 = load i64, ptr %e\n%left = sub i64 %left0, 1\nstore i64 %left, ptr %e
{_leave(Exit.SVC)}""",
    "leave": _leave(Exit.STEP),
    "leave_if": f"""{_A}\n%true = icmp ne i64 %va, 0\nbr i1 %true, label %no, label %yes\nno:
{_leave(Exit.STEP)}\nyes:\n{_go()}""",
    "const": f"{_IMM}\n{_result('%imm')}\n{_go()}",
    "upper": f"""{_IMM}\n%high = shl i64 %imm, 32\n{_field("d", 1)}\n%vd.p = getelementptr i64, ptr %v, i64 %d
%old = load i64, ptr %vd.p\n%both = or i64 %old, %high\nstore i64 %both, ptr %vd.p\n{_go()}""",
    "hole": f"{_HOLE}\n{_result('%hole')}\n{_go()}",
    **_moves("", _IMM, "%imm"),
    **_moves("_hole", _HOLE, "%hole"),
    "select": f"""{_A}\n{_B}\n{_C}\n%true = icmp ne i64 %va, 0\n%chosen = select i1 %true, i64 %vb, i64 %vc
{_result("%chosen")}\n{_go()}""",
    "mask": f"{_A}\n{_IMM}\n%part = and i64 %va, %imm\n{_result('%part')}\n{_go()}",
    "extend32": _extend(32),
    "extend64": _extend(64),
    **{f"load{size}": _load(size) for size in SIZES},
    **{
        f"check{size}": f"{_access(size, Env.WRITE_TABLE)}\n{_result('%pointer0')}\n{_go()}" for size in SIZES
    },
    **{f"put{size}": _put(size, False) for size in SIZES},
    **{f"put{size}_if": _put(size, True) for size in SIZES},
    **{f"{op.name.lower()}{width}": _pure(op, width) for op, width in PURE},
}
