"""The rules of `floats` as host functions of their own, which regions call through the environment.

A region that wrote them out would be many times as large. `result helper(x, y, control, environment)`: the result,
zero-extended to 64 bits; the flags, or NOT_DONE, are in the environment (`Env.FLAGS`). They are compiled when the
first region wants them; until then, `missing` stands for all.
"""

from __future__ import annotations

from typing import Final

from retrap.machine.llvm.floats import FLOATS
from retrap.machine.llvm.layout import NOT_DONE, Env
from retrap.machine.llvm.rules import Emitter

MISSING: Final = "missing"


def _signatures() -> dict[str, tuple[str, tuple[int, ...], int]]:
    """Key → (helper, bits of its number operands, bits of its result)."""
    found: dict[str, tuple[str, tuple[int, ...], int]] = {
        "f32.to_f64": ("f32.to_f64", (32,), 64),
        "f64.to_f32": ("f64.to_f32", (64,), 32),
    }
    for w in (32, 64):
        for name in ("add", "sub", "mul", "div"):
            found[f"f{w}.{name}"] = f"f{w}.{name}", (w, w), w
        found[f"f{w}.sqrt"] = f"f{w}.sqrt", (w,), w
        found[f"f{w}.compare"] = f"f{w}.compare", (w, w), 32
        for unsigned in ("0", "1"):
            found[f"f{w}.to_fixed.{unsigned}"] = f"f{w}.to_fixed", (w,), 32
            found[f"f{w}.from_fixed.{unsigned}"] = f"f{w}.from_fixed", (32,), w
    return found


SIGNATURES: Final = _signatures()
INDEX: Final = {key: index for index, key in enumerate(SIGNATURES)}
assert Env.HELPERS + 8 * len(INDEX) <= Env.WINDOWS


def name_of(key: str) -> str:
    """The host function's name."""
    return "h_" + key.replace(".", "_")


def text() -> str:
    """All of them, in LLVM IR."""
    return "\n".join(_function(key) for key in SIGNATURES)


def missing_text() -> str:
    """What stands for those that are not there yet."""
    return f"""
define preserve_mostcc i64 @{MISSING}(i64 %x, i64 %y, i32 %control, ptr %e) #0 {{
%at = getelementptr i8, ptr %e, i64 {Env.FLAGS}
store i32 {NOT_DONE}, ptr %at
ret i64 0
}}
"""


def _function(key: str) -> str:
    name, widths, result_width = SIGNATURES[key]
    e = Emitter()
    numbers = []
    for argument, width in zip(("%x", "%y"), widths, strict=False):
        numbers.append(e.define(f"trunc i64 {argument} to i32") if width == 32 else argument)
    if "_fixed" in name:
        numbers += ["32", "0", key[-1]]
    elif name.endswith(".compare"):
        numbers.append("0")
    results, good = FLOATS[name](e, (*numbers, "%control"))
    result = results[0]
    if result_width == 32:
        result = e.define(f"zext i32 {result} to i64")
    flags = e.define(f"select i1 {good}, i32 {results[1]}, i32 {NOT_DONE}")
    at = e.define(f"getelementptr i8, ptr %e, i64 {Env.FLAGS}")
    body = "\n".join(e.main)
    return f"""
define preserve_mostcc i64 @{name_of(key)}(i64 %x, i64 %y, i32 %control, ptr %e) #0 {{
{body}
store i32 {flags}, ptr {at}
ret i64 {result}
}}
"""


def call(e: Emitter, name: str, arguments: tuple[str, ...], env: str = "%e") -> tuple[tuple[str, str], str]:
    """Call a helper from a region: ((result, flags), whether they hold), as a rule of `floats` would give them."""
    key = name
    if "_fixed" in name:
        if arguments[1:3] != ("32", "0"):
            return ("0", "0"), "false"
        key = f"{name}.{arguments[3]}"
    _, widths, result_width = SIGNATURES[key]
    operands = []
    for argument, width in zip(arguments, widths, strict=False):
        operands.append(e.define(f"zext i32 {argument} to i64") if width == 32 else argument)
    operands += ["0"] * (2 - len(operands))
    at = e.define(f"getelementptr i8, ptr {env}, i64 {Env.HELPERS + 8 * INDEX[key]}")
    function = e.define(f"load ptr, ptr {at}")
    passed = f"i64 {operands[0]}, i64 {operands[1]}, i32 {arguments[-1]}, ptr {env}"
    result = e.define(f"call preserve_mostcc i64 {function}({passed})")
    if result_width == 32:
        result = e.define(f"trunc i64 {result} to i32")
    flags_at = e.define(f"getelementptr i8, ptr {env}, i64 {Env.FLAGS}")
    flags = e.define(f"load i32, ptr {flags_at}")
    return (result, flags), e.define(f"icmp ne i32 {flags}, {NOT_DONE}")
