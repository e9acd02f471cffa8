"""The way into native code: a CPython function, written in LLVM IR, that runs regions until one has to come back.

There is one for each address space, which it belongs to. `enter(context, budget)` takes the handle of a context
(`machine.context.handle_of`) and a number of instructions, and returns how many of them were executed if it ended
with a system call; otherwise ~(instructions executed << 8 | `Exit`), which is negative. With a third argument,
whatever it is, user mode is entered first (`machine.context.enter_user`); with a fourth one, only the interpreter
is called, which may begin in the middle of a basic block. It looks PC up in the jump cache and calls the region
there, or else the interpreter if the address space has one, again and again while these end with `Exit.CHAIN`.
CPython calls it as METH_FASTCALL (PEP 590's older form, in the limited API since 3.10): no argument tuple, no
conversion by name, about 50 ns.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any, Final

from retrap.machine.context import Slot
from retrap.machine.llvm.layout import JUMP_SEARCH, Env, Exit

Relay = Callable[[int, int], int]

NAME: Final = "enter"

CONTENT: Final = bytes.__basicsize__ - 1
"""Where in a bytes object its bytes are."""


def handle(name: str, index: int) -> str:
    """`%name`: the host address that the argument with this index is the handle of."""
    return f"""%{name}.a = getelementptr i8, ptr %args, i64 {8 * index}
%{name}.o = load ptr, ptr %{name}.a
%{name}.c = getelementptr i8, ptr %{name}.o, i64 {CONTENT}
%{name} = load ptr, ptr %{name}.c"""


def number(name: str, index: int) -> str:
    """`%name`: the argument with this index, a number."""
    return f"""%{name}.a = getelementptr i8, ptr %args, i64 {8 * index}
%{name}.o = load ptr, ptr %{name}.a
%{name} = call i64 %as(ptr %{name}.o)"""


def belongs_to() -> str:
    """`%e`: the host address of the environment that the function belongs to."""
    return f"""%ep = getelementptr i8, ptr %self, i64 {CONTENT + 16}
%e = load ptr, ptr %ep"""


def conversions() -> str:
    """`%as` and `%from`: the functions that `make_callable` gives."""
    return f"""%asp = getelementptr i8, ptr %self, i64 {CONTENT}
%as = load ptr, ptr %asp
%fromp = getelementptr i8, ptr %self, i64 {CONTENT + 8}
%from = load ptr, ptr %fromp"""


def text() -> str:
    """The function. Its `self` is a bytes object with the host addresses that `make_callable` gives."""
    chain, lookup, svc = int(Exit.CHAIN), int(Exit.LOOKUP), int(Exit.SVC)
    return f"""
define ptr @{NAME}(ptr %self, ptr %args, i64 %count) #0 {{
entry:
{conversions()}
{handle("c", 0)}
{belongs_to()}
{number("budget", 1)}
store i64 %budget, ptr %e
%pcp = getelementptr i8, ptr %c, i64 {Slot.PC * 4}
%tp = getelementptr i8, ptr %c, i64 {Slot.THUMB * 4}
%itp = getelementptr i8, ptr %c, i64 {Slot.IT * 4}
%bep = getelementptr i8, ptr %c, i64 {Slot.BIG_ENDIAN * 4}
%rp = getelementptr i8, ptr %e, i64 {Env.REGION}
%jp = getelementptr i8, ptr %e, i64 {Env.JUMP_CACHE}
%j = load ptr, ptr %jp
%exclusivep = getelementptr i8, ptr %c, i64 {Slot.EXCLUSIVE * 4}
%thumb = load i32, ptr %tp
%pc0 = load i32, ptr %pcp
%kind = trunc i64 %count to i8
switch i8 %kind, label %ready [i8 3, label %user i8 4, label %middle]
middle:
%mp = getelementptr i8, ptr %e, i64 {Env.RESUME}
%m = load ptr, ptr %mp
%no = icmp eq ptr %m, null
br i1 %no, label %out, label %rest
rest:
%rr = call i64 %m(ptr %c, ptr %e)
%rnext64 = lshr i64 %rr, 32
%rnext = trunc i64 %rnext64 to i32
store i32 %rnext, ptr %pcp
%rwhy = and i64 %rr, 255
br label %out
user:
store i32 0, ptr %exclusivep
%half = shl i32 %thumb, 1
%mask = or i32 %half, -4
%aligned = and i32 %pc0, %mask
store i32 %aligned, ptr %pcp
br label %ready
ready:
%pc1 = phi i32 [%pc0, %entry], [%aligned, %user]
%it = load i32, ptr %itp
%be = load i32, ptr %bep
%special = or i32 %it, %be
%plain = icmp eq i32 %special, 0
br i1 %plain, label %loop, label %missing
loop:
%pc = phi i32 [%pc1, %ready], [%next, %ran]
%t = load i32, ptr %tp
%key = or i32 %pc, %t
{JUMP_SEARCH}
br i1 %hit, label %go, label %missing
missing:
%ip = getelementptr i8, ptr %e, i64 {Env.INTERPRETER}
%i = load ptr, ptr %ip
%none = icmp eq ptr %i, null
br i1 %none, label %out, label %call
go:
%fp = getelementptr i8, ptr %slot, i64 8
%f0 = load ptr, ptr %fp
br label %call
call:
%f = phi ptr [%f0, %go], [%i, %missing]
store ptr %f, ptr %rp
%r = call i64 %f(ptr %c, ptr %e)
%next64 = lshr i64 %r, 32
%next = trunc i64 %next64 to i32
store i32 %next, ptr %pcp
br label %ran
ran:
%low = and i64 %r, 4294967295
%chained = icmp eq i64 %low, {chain}
br i1 %chained, label %loop, label %end
end:
%unused = lshr i64 %low, 8
%left0 = load i64, ptr %e
%left1 = add i64 %left0, %unused
store i64 %left1, ptr %e
%why1 = and i64 %low, 255
br label %out
out:
%why = phi i64 [{lookup}, %missing], [{lookup}, %middle], [%rwhy, %rest], [%why1, %end]
%left = load i64, ptr %e
%used = sub i64 %budget, %left
%used8 = shl i64 %used, 8
%coded = or i64 %used8, %why
%other = xor i64 %coded, -1
%called = icmp eq i64 %why, {svc}
%result = select i1 %called, i64 %used, i64 %other
%object = call ptr %from(i64 %result)
ret ptr %object
}}
"""


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_METH_FASTCALL: Final = 0x80


_methods: Final[list[_Method]] = []
"""CPython keeps pointers to these."""


def make_callable(address: int, environment: int = 0) -> Any:
    """The compiled function at a host address as a Python callable. `environment`: see `belongs_to`."""
    method = _Method(NAME.encode(), address, _METH_FASTCALL, None)
    _methods.append(method)
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    api = ctypes.pythonapi
    python = (_address(api.PyLong_AsUnsignedLongLong), _address(api.PyLong_FromLongLong))
    return new(ctypes.addressof(method), struct.pack("=QQQ", *python, environment), None)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0
