"""Bitwise operations on registers, and everything with a modified immediate: ARM ARM A7.4.1, A7.4.6."""

from __future__ import annotations

from collections.abc import Callable

from retrap.machine.arm.instructions.neon_state import (
    ONES,
    quadword,
    read,
    replicate,
    require_enabled,
    write,
)
from retrap.machine.arm.instructions.vfp_arithmetic import expand_immediate
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


def _bitwise(b: Builder, i: Decoded, operation: Callable[[Value, Value], Value]) -> None:
    """Vd = operation(Vn, Vm)."""
    count = quadword(i, "d", "n", "m")
    require_enabled(b)
    n, m = read(b, i, "n", count), read(b, i, "m", count)
    write(b, i, [operation(x, y) for x, y in zip(n, m, strict=True)])


@instruction("VAND (register)", "A8.8.287", """
    T1/A1  1111001 0 0 D 00 Vn Vd 0001 N Q M 1 Vm
""")  # fmt: skip
def vand(b: Builder, i: Decoded) -> None:
    _bitwise(b, i, lambda n, m: n & m)


@instruction("VBIC (register)", "A8.8.289", """
    T1/A1  1111001 0 0 D 01 Vn Vd 0001 N Q M 1 Vm
""")  # fmt: skip
def vbic(b: Builder, i: Decoded) -> None:
    _bitwise(b, i, lambda n, m: n & ~m)


@instruction("VORR (register), VMOV (register, Advanced SIMD)", "A8.8.360, A8.8.340", """
    T1/A1  1111001 0 0 D 10 Vn Vd 0001 N Q M 1 Vm
""")  # fmt: skip
def vorr(b: Builder, i: Decoded) -> None:
    """Of a register with itself: VMOV."""
    _bitwise(b, i, lambda n, m: n | m)


@instruction("VORN (register)", "A8.8.358", """
    T1/A1  1111001 0 0 D 11 Vn Vd 0001 N Q M 1 Vm
""")  # fmt: skip
def vorn(b: Builder, i: Decoded) -> None:
    _bitwise(b, i, lambda n, m: n | ~m)


@instruction("VEOR", "A8.8.315", """
    T1/A1  1111001 1 0 D 00 Vn Vd 0001 N Q M 1 Vm
""")  # fmt: skip
def veor(b: Builder, i: Decoded) -> None:
    _bitwise(b, i, lambda n, m: n ^ m)


@instruction("VBIF, VBIT, VBSL", "A8.8.290", """
    VBSL T1/A1  1111001 1 0 D 01 Vn Vd 0001 N Q M 1 Vm  op=1
    VBIT T1/A1  1111001 1 0 D 10 Vn Vd 0001 N Q M 1 Vm  op=2
    VBIF T1/A1  1111001 1 0 D 11 Vn Vd 0001 N Q M 1 Vm  op=3
""")  # fmt: skip
def vbsl(b: Builder, i: Decoded) -> None:
    """VBSL: Vd chooses between Vn and Vm. VBIT, VBIF: Vm chooses what of Vn replaces Vd."""
    count = quadword(i, "d", "n", "m")
    require_enabled(b)
    results = []
    for d, n, m in zip(*(read(b, i, letter, count) for letter in "dnm"), strict=True):
        if i["op"] == 1:
            results.append((n & d) | (m & ~d))
        elif i["op"] == 2:
            results.append((n & m) | (d & ~m))
        else:
            results.append((d & m) | (n & ~m))
    write(b, i, results)


@instruction("VMVN (register)", "A8.8.354", """
    T1/A1  1111001 1 1 D 11 size 00 Vd 0 1011 Q M 0 Vm
""")  # fmt: skip
def vmvn(b: Builder, i: Decoded) -> None:
    i.undefined_if(i["size"] != 0)
    count = quadword(i, "d", "m")
    require_enabled(b)
    write(b, i, [~m for m in read(b, i, "m", count)])


# -- modified immediates -----------------------------------------------------------------------------------


def expand(i: Decoded, op: int, cmode: int) -> int:
    """AdvSIMDExpandImm: a doubleword. ARM ARM A7.4.6, table A7-15."""
    imm8 = i.join("i", "imm3", "imm4")
    # A shifted zero is UNPREDICTABLE: it should be written unshifted.
    i.unpredictable_if(imm8 == 0 and cmode >> 1 in (1, 2, 3, 5, 6))
    if cmode < 8:
        return replicate(imm8 << 8 * (cmode >> 1), 32)
    if cmode < 12:
        return replicate(imm8 << 8 * (cmode >> 1 & 1), 16)
    if cmode == 12:
        return replicate(imm8 << 8 | 0xFF, 32)
    if cmode == 13:
        return replicate(imm8 << 16 | 0xFFFF, 32)
    if cmode == 15:
        return replicate(expand_immediate(imm8, 32), 32)
    if op == 0:
        return replicate(imm8, 8)
    return sum(0xFF << 8 * bit for bit in range(8) if imm8 >> bit & 1)


def _immediate(b: Builder, i: Decoded, operation: Callable[[Value], Value]) -> None:
    """Vd = operation(Vd)."""
    count = quadword(i, "d")
    require_enabled(b)
    write(b, i, [operation(d) for d in read(b, i, "d", count)])


@instruction("VMOV (immediate, Advanced SIMD)", "A8.8.339", """
    I32          T1/A1  1111001 i 1 D 000 imm3 Vd 0 c:2 0 0 Q 0 1 imm4
    I16          T1/A1  1111001 i 1 D 000 imm3 Vd 10 c:1 0 0 Q 0 1 imm4
    I32 ones     T1/A1  1111001 i 1 D 000 imm3 Vd 110 c:1 0 Q 0 1 imm4
    I8           T1/A1  1111001 i 1 D 000 imm3 Vd 1110 0 Q 0 1 imm4
    F32          T1/A1  1111001 i 1 D 000 imm3 Vd 1111 0 Q 0 1 imm4
    I64          T1/A1  1111001 i 1 D 000 imm3 Vd 1110 0 Q 1 1 imm4  op=1
""")  # fmt: skip
def vmov(b: Builder, i: Decoded) -> None:
    count = quadword(i, "d")
    pattern = expand(i, i.get("op"), i.word >> 8 & 15)
    require_enabled(b)
    write(b, i, [pattern] * count)


@instruction("VMVN (immediate)", "A8.8.353", """
    I32       T1/A1  1111001 i 1 D 000 imm3 Vd 0 c:2 0 0 Q 1 1 imm4
    I16       T1/A1  1111001 i 1 D 000 imm3 Vd 10 c:1 0 0 Q 1 1 imm4
    I32 ones  T1/A1  1111001 i 1 D 000 imm3 Vd 110 c:1 0 Q 1 1 imm4
""")  # fmt: skip
def vmvn_immediate(b: Builder, i: Decoded) -> None:
    count = quadword(i, "d")
    pattern = expand(i, 1, i.word >> 8 & 15) ^ ONES
    require_enabled(b)
    write(b, i, [pattern] * count)


@instruction("VORR (immediate)", "A8.8.359", """
    I32  T1/A1  1111001 i 1 D 000 imm3 Vd 0 c:2 1 0 Q 0 1 imm4
    I16  T1/A1  1111001 i 1 D 000 imm3 Vd 10 c:1 1 0 Q 0 1 imm4
""")  # fmt: skip
def vorr_immediate(b: Builder, i: Decoded) -> None:
    pattern = expand(i, 0, i.word >> 8 & 15)
    _immediate(b, i, lambda d: d | pattern)


@instruction("VBIC (immediate)", "A8.8.288", """
    I32  T1/A1  1111001 i 1 D 000 imm3 Vd 0 c:2 1 0 Q 1 1 imm4
    I16  T1/A1  1111001 i 1 D 000 imm3 Vd 10 c:1 1 0 Q 1 1 imm4
""")  # fmt: skip
def vbic_immediate(b: Builder, i: Decoded) -> None:
    pattern = expand(i, 1, i.word >> 8 & 15) ^ ONES
    _immediate(b, i, lambda d: d & pattern)
