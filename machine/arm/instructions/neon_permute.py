"""Moving elements about: VEXT, VTBL, VDUP, VREV, VSWP, VTRN, VUZP, VZIP. ARM ARM A7.4, A7.4.5."""

from __future__ import annotations

from retrap.machine.arm.instructions.neon_integer import bits
from retrap.machine.arm.instructions.neon_state import (
    doubleword,
    element,
    merge,
    quadword,
    read,
    read_d,
    replicate,
    require_enabled,
    split,
    write,
    write_d,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.ir.builder import Builder, Value


@instruction("VEXT", "A8.8.316", """
    T1/A1  1111001 0 1 D 11 Vn Vd imm4 N Q M 0 Vm
""")  # fmt: skip
def vext(b: Builder, i: Decoded) -> None:
    """The bytes of Vm:Vn from imm4 on."""
    count = quadword(i, "d", "n", "m")
    i.undefined_if(count == 1 and i["imm4"] > 7)
    require_enabled(b)
    source = read(b, i, "n", count) + read(b, i, "m", count)
    first, low = i["imm4"] >> 3, 8 * (i["imm4"] & 7)
    results = []
    for k in range(first, first + count):
        results.append(source[k] >> low | source[k + 1] << (64 - low) if low else source[k])
    write(b, i, results)


@instruction("VTBL, VTBX", "A8.8.419", """
    VTBL T1/A1  1111001 1 1 D 11 Vn Vd 10 len:2 N 0 M 0 Vm  keep=0
    VTBX T1/A1  1111001 1 1 D 11 Vn Vd 10 len:2 N 1 M 0 Vm  keep=1
""")  # fmt: skip
def vtbl(b: Builder, i: Decoded) -> None:
    """Bytes of a table of one to four registers by the indices in Dm; out of range: 0, or VTBX: unchanged."""
    first, length = doubleword(i, "n"), i["len"] + 1
    i.unpredictable_if(first + length > 32)
    require_enabled(b)
    otherwise = read(b, i, "d", 1)[0] if i["keep"] else b.const(0, 64)
    table = (read_d(b, first + k) for k in range(length))
    write(b, i, b.call("simd.tbl", (read(b, i, "m", 1)[0], otherwise, *table), (64,)))


@instruction("VDUP (scalar)", "A8.8.313", """
    8   T1/A1  1111001 1 1 D 11 index:3 1 Vd 1100 0 Q M 0 Vm  bits=8
    16  T1/A1  1111001 1 1 D 11 index:2 10 Vd 1100 0 Q M 0 Vm  bits=16
    32  T1/A1  1111001 1 1 D 11 index:1 100 Vd 1100 0 Q M 0 Vm  bits=32
""")  # fmt: skip
def vdup(b: Builder, i: Decoded) -> None:
    """One element of Dm in all elements of Vd."""
    count = quadword(i, "d")
    require_enabled(b)
    scalar = element(read(b, i, "m", 1)[0], i["bits"], i["index"])
    size = i["bits"]
    while size < 64:
        scalar = scalar | scalar << size
        size *= 2
    write(b, i, [scalar] * count)


@instruction("VREV16, VREV32, VREV64", "A8.8.386", """
    VREV64 T1/A1  1111001 1 1 D 11 size 00 Vd 0 0000 Q M 0 Vm  group=64
    VREV32 T1/A1  1111001 1 1 D 11 size 00 Vd 0 0001 Q M 0 Vm  group=32
    VREV16 T1/A1  1111001 1 1 D 11 size 00 Vd 0 0010 Q M 0 Vm  group=16
""")  # fmt: skip
def vrev(b: Builder, i: Decoded) -> None:
    """Reverse the elements of each group."""
    size, count = 8 << i["size"], quadword(i, "d", "m")
    i.undefined_if(size >= i["group"])
    require_enabled(b)
    write(b, i, [reversed_elements(x, size, i["group"]) for x in read(b, i, "m", count)])


def reversed_elements(x: Value, size: int, group: int = 64) -> Value:
    """A doubleword with the elements of each group (of bits) in reverse order: neighbours change places, then
    pairs of them, and so on."""
    while size < group:
        if size == 32:
            return x.ror(32)
        low = replicate((1 << size) - 1, 2 * size)
        x = (x & low) << size | x >> size & low
        size *= 2
    return x


def _write_both(b: Builder, i: Decoded, d: list[Value], m: list[Value]) -> None:
    """Write Vd and Vm. Where they are the same register the manual leaves the result open: Vd's is kept."""
    first = doubleword(i, "m")
    for k, value in enumerate(m):
        write_d(b, first + k, value)
    write(b, i, d)


@instruction("VSWP", "A8.8.418", """
    T1/A1  1111001 1 1 D 11 size 10 Vd 0 0000 Q M 0 Vm
""")  # fmt: skip
def vswp(b: Builder, i: Decoded) -> None:
    i.undefined_if(i["size"] != 0)
    count = quadword(i, "d", "m")
    require_enabled(b)
    _write_both(b, i, read(b, i, "m", count), read(b, i, "d", count))


@instruction("VTRN", "A8.8.420", """
    T1/A1  1111001 1 1 D 11 size 10 Vd 0 0001 Q M 0 Vm
""")  # fmt: skip
def vtrn(b: Builder, i: Decoded) -> None:
    """Transpose 2 by 2: the odd elements of Vd and the even ones of Vm change places."""
    size, count = bits(i), quadword(i, "d", "m")
    require_enabled(b)
    low = replicate((1 << size) - 1, 2 * size)
    high = low << size
    new_d, new_m = [], []
    for d, m in zip(read(b, i, "d", count), read(b, i, "m", count), strict=True):
        new_d.append(d & low | (m & low) << size)
        new_m.append(d >> size & low | m & high)
    _write_both(b, i, new_d, new_m)


def _lanes_of_both(b: Builder, i: Decoded) -> tuple[list[Value], list[Value], int]:
    """The elements of Vd and of Vm, and their width, for VUZP and VZIP."""
    size, count = bits(i), quadword(i, "d", "m")
    i.undefined_if(count == 1 and size == 32)
    require_enabled(b)
    d, m = (split(read(b, i, letter, count), size, False) for letter in "dm")
    return d, m, size


@instruction("VUZP", "A8.8.422", """
    T1/A1  1111001 1 1 D 11 size 10 Vd 0 0010 Q M 0 Vm
""")  # fmt: skip
def vuzp(b: Builder, i: Decoded) -> None:
    """Unzip: of Vm:Vd, the even elements to Vd, the odd ones to Vm."""
    d, m, size = _lanes_of_both(b, i)
    lanes = d + m
    _write_both(b, i, merge(lanes[::2], size), merge(lanes[1::2], size))


@instruction("VZIP", "A8.8.423", """
    T1/A1  1111001 1 1 D 11 size 10 Vd 0 0011 Q M 0 Vm
""")  # fmt: skip
def vzip(b: Builder, i: Decoded) -> None:
    """Zip: elements of Vd and Vm in turn, to Vm:Vd."""
    d, m, size = _lanes_of_both(b, i)
    lanes = [x for pair in zip(d, m, strict=True) for x in pair]
    half = len(d)
    _write_both(b, i, merge(lanes[:half], size), merge(lanes[half:], size))
