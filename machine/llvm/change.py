"""What follows a change of mappings: native code's tables (`tables`), in LLVM IR.

`change(page, entry)` is a CPython function of one address space, like `trampoline`'s `enter`: it takes a virtual
page, and what is mapped there from now on, as in `AddressSpace.pages` (0: nothing). The tables for loads and for
stores then have that page, as far as native code may touch it, and no window has what they no longer have. With a
third argument, a number of pages, nothing is mapped at so many pages from `page` on. It returns whether anything
but pointers has been derived from the last of them (`Env.NOTED`).

Which pages are RAM, and where in host memory, is in rows of four words (`Ram`), which the environment points to;
the last row is empty. For each page of RAM there is a word that says who may store there (see `Writer`).
"""

from __future__ import annotations

from typing import Final

from retrap.machine.llvm.layout import WINDOW_COUNT, Env, Ram, Window, Writer
from retrap.machine.llvm.tables import LAST_PAGE, MERGED
from retrap.machine.llvm.trampoline import belongs_to, conversions, number
from retrap.machine.space import READ, WRITE

NAME: Final = "change"


def text() -> str:
    """The function, and what it calls."""
    return _run() + _page() + _change()


def _run() -> str:
    """Make a run of `count` pages; none is no run."""
    return """
define internal void @make_run(ptr %runs, i64 %first, i64 %count) #0 {
entry:
%high = shl i64 %first, 44
%low = shl i64 %count, 12
%extent = or i64 %high, %low
%end = add i64 %first, %count
br label %test
test:
%page = phi i64 [%first, %entry], [%next, %more]
%over = icmp uge i64 %page, %end
br i1 %over, label %out, label %more
more:
%at = getelementptr i64, ptr %runs, i64 %page
store i64 %extent, ptr %at
%next = add i64 %page, 1
br label %test
out:
ret void
}
"""


def _page() -> str:
    """Put a page's distance into a table, 0 to take it out; the distance that it had.

    What is left of its old run stays. Runs of one distance that are as long as each other join, up to `MERGED`
    pages: so no page is written often when many are mapped one after the other.
    """
    return f"""
define internal i64 @set_page(ptr %table, ptr %runs, i64 %page, i64 %distance) #0 {{
entry:
%at = getelementptr i64, ptr %table, i64 %page
%runat = getelementptr i64, ptr %runs, i64 %page
%held = load i64, ptr %at
%same = icmp eq i64 %held, %distance
br i1 %same, label %out, label %differs
differs:
store i64 %distance, ptr %at
%free = icmp eq i64 %held, 0
br i1 %free, label %put, label %split
split:
%extent = load i64, ptr %runat
%start = lshr i64 %extent, 44
%bytes = and i64 %extent, 4294967295
%count = lshr i64 %bytes, 12
%before = sub i64 %page, %start
call void @make_run(ptr %runs, i64 %start, i64 %before)
%next = add i64 %page, 1
%end = add i64 %start, %count
%after = sub i64 %end, %next
call void @make_run(ptr %runs, i64 %next, i64 %after)
br label %put
put:
%none = icmp eq i64 %distance, 0
br i1 %none, label %empty, label %join
empty:
store i64 0, ptr %runat
br label %out
join:
%first = phi i64 [%page, %put], [%left, %leftjoins], [%first, %rightjoins]
%length = phi i64 [1, %put], [%twice, %leftjoins], [%twice, %rightjoins]
%twice = shl i64 %length, 1
%full = icmp uge i64 %length, {MERGED}
br i1 %full, label %made, label %lookleft
lookleft:
%lowest = icmp eq i64 %first, 0
br i1 %lowest, label %lookright, label %neighbour
neighbour:
%lastleft = sub i64 %first, 1
%ldp = getelementptr i64, ptr %table, i64 %lastleft
%ld = load i64, ptr %ldp
%lrp = getelementptr i64, ptr %runs, i64 %lastleft
%lr = load i64, ptr %lrp
%left = lshr i64 %lr, 44
%lbytes = sub i64 %first, %left
%llike = icmp eq i64 %ld, %distance
%llong = icmp eq i64 %lbytes, %length
%lyes = and i1 %llike, %llong
br i1 %lyes, label %leftjoins, label %lookright
leftjoins:
br label %join
lookright:
%right = add i64 %first, %length
%rdp = getelementptr i64, ptr %table, i64 %right
%rd = load i64, ptr %rdp
%rrp = getelementptr i64, ptr %runs, i64 %right
%rr = load i64, ptr %rrp
%rbytes = and i64 %rr, 4294967295
%rlength = lshr i64 %rbytes, 12
%rlike = icmp eq i64 %rd, %distance
%rlong = icmp eq i64 %rlength, %length
%ryes = and i1 %rlike, %rlong
br i1 %ryes, label %rightjoins, label %made
rightjoins:
br label %join
made:
call void @make_run(ptr %runs, i64 %first, i64 %length)
br label %out
out:
ret i64 %held
}}
"""


def _change() -> str:
    fields = "".join(
        f"%{name}p = getelementptr i8, ptr %e, i64 {offset}\n%{name} = load {kind}, ptr %{name}p\n"
        for name, kind, offset in (
            ("rows", "ptr", Env.RAM),
            ("number", "i64", Env.NUMBER),
            ("reads", "ptr", Env.READ_TABLE),
            ("readruns", "ptr", Env.READ_RUNS),
            ("writes", "ptr", Env.WRITE_TABLE),
            ("writeruns", "ptr", Env.WRITE_RUNS),
        )
    )
    windows = "".join(
        f"%w{n} = getelementptr i8, ptr %e, i64 {Env.WINDOWS + n * Window.SIZE + Window.LIMIT}\n"
        f"store i64 -1, ptr %w{n}\n"
        for n in range(WINDOW_COUNT)
    )
    return f"""
define ptr @{NAME}(ptr %self, ptr %args, i64 %number_of_arguments) #0 {{
entry:
{conversions()}
{belongs_to()}
{number("page", 0)}
{number("mapped", 1)}
{fields}
%one = icmp eq i64 %number_of_arguments, 2
br i1 %one, label %rights, label %several
several:
{number("count", 2)}
br label %nothing
rights:
%physical = lshr i64 %mapped, 4
%readable0 = and i64 %mapped, {READ}
%readable = icmp ne i64 %readable0, 0
%within = icmp ne i64 %page, {LAST_PAGE}
%native = and i1 %readable, %within
br i1 %native, label %row, label %nothing
row:
%r = phi ptr [%rows, %rights], [%rnext, %other]
%rendp = getelementptr i8, ptr %r, i64 {Ram.END}
%rend = load i64, ptr %rendp
%rnext = getelementptr i8, ptr %r, i64 {Ram.SIZE}
%norow = icmp eq i64 %rend, 0
br i1 %norow, label %nothing, label %look
look:
%rfirst = load i64, ptr %r
%above = icmp uge i64 %physical, %rfirst
%below = icmp ult i64 %physical, %rend
%there = and i1 %above, %below
br i1 %there, label %ram, label %other
other:
br label %row
ram:
%hostp = getelementptr i8, ptr %r, i64 {Ram.HOST}
%host = load i64, ptr %hostp
%frame = sub i64 %physical, %page
%frame12 = shl i64 %frame, 12
%distance = add i64 %host, %frame12
%wordsp = getelementptr i8, ptr %r, i64 {Ram.WRITERS}
%words = load i64, ptr %wordsp
%place = shl i64 %physical, 3
%at = add i64 %words, %place
%word = inttoptr i64 %at to ptr
%writable0 = and i64 %mapped, {WRITE}
%readonly = icmp eq i64 %writable0, 0
%holder = load i64, ptr %word
%code = icmp eq i64 %holder, {Writer.CODE}
%nowrites = or i1 %readonly, %code
%writedistance = select i1 %nowrites, i64 0, i64 %distance
br label %each
nothing:
%size = phi i64 [%count, %several], [1, %rights], [1, %row]
br label %each
each:
%left = phi i64 [1, %ram], [%size, %nothing], [%left1, %following]
%p = phi i64 [%page, %ram], [%page, %nothing], [%p1, %following]
%d = phi i64 [%distance, %ram], [0, %nothing], [%d, %following]
%wd = phi i64 [%writedistance, %ram], [0, %nothing], [%wd, %following]
%new = phi ptr [%word, %ram], [null, %nothing], [null, %following]
%taken = phi i1 [false, %ram], [false, %nothing], [%taken1, %following]
%held = call i64 @set_page(ptr %reads, ptr %readruns, i64 %p, i64 %d)
%wheld = call i64 @set_page(ptr %writes, ptr %writeruns, i64 %p, i64 %wd)
%had = icmp ne i64 %held, 0
%differs = icmp ne i64 %held, %d
%lost = and i1 %had, %differs
%taken0 = or i1 %taken, %lost
%wsame = icmp eq i64 %wheld, %wd
br i1 %wsame, label %next, label %writer
writer:
%space = shl i64 %number, 20
%key = or i64 %space, %p
%p12 = shl i64 %p, 12
%from12 = add i64 %wheld, %p12
%whad = icmp ne i64 %wheld, 0
br i1 %whad, label %oldrow, label %begin
oldrow:
%o = phi ptr [%rows, %writer], [%onext, %oldother]
%oendp = getelementptr i8, ptr %o, i64 {Ram.END}
%oend = load i64, ptr %oendp
%onext = getelementptr i8, ptr %o, i64 {Ram.SIZE}
%onone = icmp eq i64 %oend, 0
br i1 %onone, label %begin, label %oldlook
oldlook:
%ofirst = load i64, ptr %o
%ohostp = getelementptr i8, ptr %o, i64 {Ram.HOST}
%ohost = load i64, ptr %ohostp
%ooffset = sub i64 %from12, %ohost
%ophysical = lshr i64 %ooffset, 12
%oabove = icmp uge i64 %ophysical, %ofirst
%obelow = icmp ult i64 %ophysical, %oend
%othere = and i1 %oabove, %obelow
br i1 %othere, label %old, label %oldother
oldother:
br label %oldrow
old:
%owordsp = getelementptr i8, ptr %o, i64 {Ram.WRITERS}
%owords = load i64, ptr %owordsp
%oplace = shl i64 %ophysical, 3
%oat = add i64 %owords, %oplace
%oword = inttoptr i64 %oat to ptr
%oholder = load i64, ptr %oword
%mine = icmp eq i64 %oholder, %key
br i1 %mine, label %leave, label %begin
leave:
store i64 {Writer.NOBODY}, ptr %oword
br label %begin
begin:
%ends = icmp eq i64 %wd, 0
br i1 %ends, label %next, label %enter
enter:
%already = load i64, ptr %new
%free = icmp eq i64 %already, {Writer.NOBODY}
%value = select i1 %free, i64 %key, i64 {Writer.MANY}
store i64 %value, ptr %new
br label %next
next:
%lost2 = phi i1 [false, %each], [%whad, %begin], [%whad, %enter]
%taken1 = or i1 %taken0, %lost2
%left1 = sub i64 %left, 1
%p1 = add i64 %p, 1
%last = icmp eq i64 %left1, 0
br i1 %last, label %done, label %following
following:
br label %each
done:
br i1 %taken1, label %flush, label %out
flush:
{windows}
br label %out
out:
%notedp = getelementptr i8, ptr %e, i64 {Env.NOTED}
%markp = getelementptr i8, ptr %notedp, i64 %p
%mark = load i8, ptr %markp
%mark64 = zext i8 %mark to i64
%object = call ptr %from(i64 %mark64)
ret ptr %object
}}
"""
