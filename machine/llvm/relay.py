"""The native half of `machine.relay`: runs regions, and answers the system calls that the table tells about.

`relay(block, budget)` is a CPython function like `trampoline`'s `enter`: it takes the host address of the table's
control block and a number of instructions, and returns the number of instructions executed << 8 | `Exit`. It comes
back with `Exit.SVC` for a system call that is not in the table; the control block then says which thread runs, in
which space, at which node. Registers are exact whatever the exit.
"""

from __future__ import annotations

from typing import Final

from retrap.machine.context import Slot
from retrap.machine.llvm.layout import JUMP_SEARCH, Env, Exit
from retrap.machine.llvm.trampoline import conversions, number
from retrap.machine.relay import AREA_WORDS, LENGTHS, RECORD_LIMIT, Block, Edge

NAME: Final = "relay"

_HEAD: Final = 12 + AREA_WORDS * 4
"""Bytes of a record before the values: its shape, the time elapsed, the registers."""

_FIRST: Final = 5
"""Word of an IPC buffer that holds the message's fifth word."""


def _word(name: str, base: str, index: int, size: int, kind: str) -> str:
    """Load a word of an array into `%name`; its address is `%name.p`."""
    return f"%{name}.p = getelementptr i8, ptr %{base}, i64 {index * size}\n%{name} = load {kind}, ptr %{name}.p"


def _slot(name: str, base: str, slot: int) -> str:
    return _word(name, base, slot, 4, "i32")


def _field(name: str, base: str, index: int, kind: str = "i64") -> str:
    return _word(name, base, index, 8, kind)


def text() -> str:
    """The function, in parts: going on in a context, a system call, the journal, the message, the way out."""
    parts = (_entry(), _run(), _system_call(), _journal(), _message(), _out())
    return "\n".join(parts)


def _entry() -> str:
    return f"""
define ptr @{NAME}(ptr %self, ptr %args, i64 %count) #0 {{
entry:
%context = alloca ptr
%space = alloca ptr
%node = alloca ptr
%journal = alloca ptr
%room = alloca i64
%clock = alloca i64
%answered = alloca i64
{conversions()}
{number("block", 0)}
{number("budget", 1)}
%b = inttoptr i64 %block to ptr
{_field("first.context", "b", Block.CONTEXT, "ptr")}
store ptr %first.context, ptr %context
{_field("first.space", "b", Block.ENVIRONMENT, "ptr")}
store ptr %first.space, ptr %space
{_field("first.node", "b", Block.NODE, "ptr")}
store ptr %first.node, ptr %node
{_field("first.journal", "b", Block.JOURNAL, "ptr")}
store ptr %first.journal, ptr %journal
{_field("limit", "b", Block.JOURNAL_LIMIT, "ptr")}
{_field("first.room", "b", Block.ROOM)}
store i64 %first.room, ptr %room
{_field("since", "b", Block.SINCE)}
%first.clock = add i64 %since, %budget
store i64 %first.clock, ptr %clock
store i64 %budget, ptr %first.space
br label %head"""


def _run() -> str:
    """From region to region, as in `trampoline`."""
    return f"""
head:
%c = load ptr, ptr %context
%e = load ptr, ptr %space
{_slot("pc0", "c", Slot.PC)}
{_slot("it", "c", Slot.IT)}
{_slot("be", "c", Slot.BIG_ENDIAN)}
%thumbp = getelementptr i8, ptr %c, i64 {Slot.THUMB * 4}
%regionp = getelementptr i8, ptr %e, i64 {Env.REGION}
%jp = getelementptr i8, ptr %e, i64 {Env.JUMP_CACHE}
%j = load ptr, ptr %jp
%special = or i32 %it, %be
%plain = icmp eq i32 %special, 0
br i1 %plain, label %loop, label %out
loop:
%pc = phi i32 [%pc0, %head], [%next, %ran]
%t = load i32, ptr %thumbp
%key = or i32 %pc, %t
{JUMP_SEARCH}
br i1 %hit, label %go, label %out
go:
%fp = getelementptr i8, ptr %slot, i64 8
%f = load ptr, ptr %fp
store ptr %f, ptr %regionp
%r = call i64 %f(ptr %c, ptr %e)
%next64 = lshr i64 %r, 32
%next = trunc i64 %next64 to i32
store i32 %next, ptr %pc0.p
br label %ran
ran:
%low = and i64 %r, 4294967295
%chained = icmp eq i64 %low, {int(Exit.CHAIN)}
br i1 %chained, label %loop, label %end
end:
%unused = lshr i64 %low, 8
%left0 = load i64, ptr %e
%left1 = add i64 %left0, %unused
store i64 %left1, ptr %e
%why1 = and i64 %low, 255
%svc = icmp eq i64 %why1, {int(Exit.SVC)}
br i1 %svc, label %called, label %out"""


def _system_call() -> str:
    """Find the edge; see whether it can be followed: no capabilities, a buffer if one is needed, room to record."""
    return f"""
called:
{_slot("r0", "c", 0)}
{_slot("r1", "c", 1)}
{_slot("r7", "c", 7)}
%cptr64 = zext i32 %r0 to i64
%cptrhigh = shl i64 %cptr64, 32
%number64 = zext i32 %r7 to i64
%wanted = or i64 %cptrhigh, %number64
%n = load ptr, ptr %node
%edges = load i64, ptr %n
br label %scan
scan:
%i = phi i64 [0, %called], [%i1, %other]
%more = icmp ult i64 %i, %edges
br i1 %more, label %look, label %out
look:
%offset0 = mul i64 %i, {Edge.WORDS * 8}
%offset = add i64 %offset0, {16 * 8}
%edge = getelementptr i8, ptr %n, i64 %offset
%have = load i64, ptr %edge
%same = icmp eq i64 %have, %wanted
br i1 %same, label %check, label %other
other:
%i1 = add i64 %i, 1
br label %scan
check:
%length = and i32 %r1, 511
%fits = icmp ule i32 %length, 120
%long = icmp ugt i32 %length, 4
{_field("outgoing", "edge", Edge.SEND_BUFFER, "ptr")}
{_field("incoming", "edge", Edge.RECEIVE_BUFFER, "ptr")}
%buffered = icmp ne ptr %outgoing, null
%short = xor i1 %long, true
%carried = or i1 %buffered, %short
%class = select i1 %long, i32 {LENGTHS - 1}, i32 %length
%class64 = zext i32 %class to i64
%shapes = getelementptr i8, ptr %edge, i64 {Edge.SHAPES * 8}
%shapep = getelementptr i64, ptr %shapes, i64 %class64
%roomleft = load i64, ptr %room
%hasroom = icmp ne i64 %roomleft, 0
%p = load ptr, ptr %journal
%silent = icmp eq ptr %p, null
%ok0 = and i1 %fits, %carried
%ok1 = and i1 %ok0, %hasroom
br i1 %ok1, label %known, label %out
known:
%shape = load i64, ptr %shapep
%shaped = icmp ne i64 %shape, -1
%space0 = icmp ule ptr %p, %limit
%recordable = and i1 %shaped, %space0
%ok2 = or i1 %silent, %recordable
%registers = select i1 %long, i32 4, i32 %length
%registers64 = zext i32 %registers to i64
%beyond = sub i32 %length, 4
%beyond64 = zext i32 %beyond to i64
%info = and i32 %r1, -4096
%newinfo = or i32 %info, %length
{_field("badge64", "edge", Edge.BADGE)}
%badge = trunc i64 %badge64 to i32
br i1 %ok2, label %follow, label %out
follow:
%before = load i64, ptr %clock
store i64 %left1, ptr %clock
br i1 %silent, label %message, label %journalled"""


def _journal() -> str:
    """The record: head, registers and values as differences, then the buffer words read and written."""
    return f"""
journalled:
%shape32 = trunc i64 %shape to i32
store i32 %shape32, ptr %p, align 1
%elapsed = sub i64 %before, %left1
%elapsedp = getelementptr i8, ptr %p, i64 4
store i64 %elapsed, ptr %elapsedp, align 1
{_field("last", "edge", Edge.LAST, "ptr")}
%now = load <{AREA_WORDS} x i32>, ptr %c, align 4
%then = load <{AREA_WORDS} x i32>, ptr %last, align 4
%change = xor <{AREA_WORDS} x i32> %now, %then
%changep = getelementptr i8, ptr %p, i64 12
store <{AREA_WORDS} x i32> %change, ptr %changep, align 1
store <{AREA_WORDS} x i32> %now, ptr %last, align 4
%values = getelementptr i8, ptr %p, i64 {_HEAD}
store <4 x i32> zeroinitializer, ptr %values, align 1
%infop = getelementptr i32, ptr %values, i64 %registers64
%infochange = xor i32 %newinfo, %r1
store i32 %infochange, ptr %infop, align 1
%badgep = getelementptr i8, ptr %infop, i64 4
%badgechange = xor i32 %badge, %r0
store i32 %badgechange, ptr %badgep, align 1
%ended = getelementptr i8, ptr %infop, i64 8
store ptr %ended, ptr %journal
br i1 %long, label %sections, label %message
sections:
{_field("numbers", "edge", Edge.THREADS)}
%sender = trunc i64 %numbers to i32
%receiver64 = lshr i64 %numbers, 32
%receiver = trunc i64 %receiver64 to i32
%beyond16 = trunc i32 %beyond to i16
%bytes = shl i64 %beyond64, 2
%taken = getelementptr i8, ptr %ended, i64 10
%second = getelementptr i8, ptr %taken, i64 %bytes
%given = getelementptr i8, ptr %second, i64 10
%finished = getelementptr i8, ptr %given, i64 %bytes
{_section_head("one", "ended", "sender")}
{_section_head("two", "second", "receiver")}
store ptr %finished, ptr %journal
%source0 = getelementptr i8, ptr %outgoing, i64 {_FIRST * 4}
br label %note
note:
%k = phi i64 [0, %sections], [%k1, %note]
%fromk = getelementptr i32, ptr %source0, i64 %k
%wordk = load i32, ptr %fromk
%takenk = getelementptr i32, ptr %taken, i64 %k
store i32 %wordk, ptr %takenk, align 1
%givenk = getelementptr i32, ptr %given, i64 %k
store i32 %wordk, ptr %givenk, align 1
%k1 = add i64 %k, 1
%notdone = icmp ult i64 %k1, %beyond64
br i1 %notdone, label %note, label %message"""


def _section_head(name: str, at: str, thread: str) -> str:
    """One entry: how many there are, whose buffer, from which word on, how many words."""
    return f"""store i16 1, ptr %{at}, align 1
%{name}.thread = getelementptr i8, ptr %{at}, i64 2
store i32 %{thread}, ptr %{name}.thread, align 1
%{name}.first = getelementptr i8, ptr %{at}, i64 6
store i16 {_FIRST}, ptr %{name}.first, align 1
%{name}.count = getelementptr i8, ptr %{at}, i64 8
store i16 %beyond16, ptr %{name}.count, align 1"""


def _message() -> str:
    """The caller goes on after its call, some day; the receiver gets the message and runs."""
    copies = []
    for index in range(4):
        copies.append(f"""{_slot(f"new{index}", "c", 2 + index)}
{_slot(f"old{index}", "to", 2 + index)}
%is{index} = icmp ugt i32 %registers, {index}
%mr{index} = select i1 %is{index}, i32 %new{index}, i32 %old{index}
store i32 %mr{index}, ptr %old{index}.p""")
    registers = "\n".join(copies)
    return f"""
message:
%thumb = load i32, ptr %thumbp
%width0 = shl i32 %thumb, 1
%width = sub i32 4, %width0
%following = add i32 %next, %width
store i32 %following, ptr %pc0.p
%restart = sub i32 %following, 4
%restartp = getelementptr i8, ptr %c, i64 {Slot.RESTART_PC * 4}
store i32 %restart, ptr %restartp
{_field("to", "edge", Edge.CONTEXT, "ptr")}
{registers}
{_slot("toinfo", "to", 1)}
store i32 %newinfo, ptr %toinfo.p
store i32 %badge, ptr %to
br i1 %long, label %words, label %switch
words:
%from0 = getelementptr i8, ptr %outgoing, i64 {_FIRST * 4}
%into0 = getelementptr i8, ptr %incoming, i64 {_FIRST * 4}
br label %copy
copy:
%m = phi i64 [0, %words], [%m1, %copy]
%fromm = getelementptr i32, ptr %from0, i64 %m
%wordm = load i32, ptr %fromm
%intom = getelementptr i32, ptr %into0, i64 %m
store i32 %wordm, ptr %intom
%m1 = add i64 %m, 1
%notall = icmp ult i64 %m1, %beyond64
br i1 %notall, label %copy, label %switch
switch:
%exclusivep = getelementptr i8, ptr %to, i64 {Slot.EXCLUSIVE * 4}
store i32 0, ptr %exclusivep
{_slot("topc", "to", Slot.PC)}
{_slot("tothumb", "to", Slot.THUMB)}
%mode = icmp ne i32 %tothumb, 0
%aligner = select i1 %mode, i32 -2, i32 -4
%aligned = and i32 %topc, %aligner
store i32 %aligned, ptr %topc.p
{_field("pointer", "edge", Edge.POINTER)}
%pointer32 = trunc i64 %pointer to i32
{_slot("topointer", "to", Slot.TPIDRURW)}
%loads = icmp uge i64 %pointer, 4294967296
%newpointer = select i1 %loads, i32 %pointer32, i32 %topointer
store i32 %newpointer, ptr %topointer.p
{_field("tospace", "edge", Edge.ENVIRONMENT, "ptr")}
store i64 %left1, ptr %tospace
{_field("tonode", "edge", Edge.NODE, "ptr")}
%roomless = sub i64 %roomleft, 1
store i64 %roomless, ptr %room
store ptr %to, ptr %context
store ptr %tospace, ptr %space
store ptr %tonode, ptr %node
br label %head"""


def _out() -> str:
    """What Python gets to know."""
    lookup, svc = int(Exit.LOOKUP), int(Exit.SVC)
    return f"""
out:
%why = phi i64 [{lookup}, %head], [{lookup}, %loop], [%why1, %end], [{svc}, %scan], [{svc}, %check], [{svc}, %known]
store ptr %c, ptr %first.context.p
store ptr %e, ptr %first.space.p
%at.node = load ptr, ptr %node
store ptr %at.node, ptr %first.node.p
%at.journal = load ptr, ptr %journal
store ptr %at.journal, ptr %first.journal.p
%at.room = load i64, ptr %room
store i64 %at.room, ptr %first.room.p
%left = load i64, ptr %e
%at.clock = load i64, ptr %clock
%at.since = sub i64 %at.clock, %left
store i64 %at.since, ptr %since.p
%used = sub i64 %budget, %left
%used8 = shl i64 %used, 8
%result = or i64 %used8, %why
%object = call ptr %from(i64 %result)
ret ptr %object
}}"""


assert RECORD_LIMIT >= _HEAD + 24 + 2 * (10 + 4 * 116)
