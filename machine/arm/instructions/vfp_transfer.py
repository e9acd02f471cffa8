"""Transfers between core registers, the VFP/Advanced SIMD register bank and the FPSCR: ARM ARM A7.8, A7.9."""

from __future__ import annotations

from retrap.machine.arm.instructions.vfp_state import (
    doubleword,
    join,
    read_d,
    read_s,
    require_enabled,
    singleword,
    write_d,
    write_s,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder, Value
from retrap.machine.softfloat.control import WRITABLE


def _no_pc_or_thumb_sp(i: Decoded, *registers: int) -> None:
    i.unpredictable_if(15 in registers or (i.thumb and 13 in registers))


@instruction("VMOV (ARM core register to scalar)", "A8.8.341", """
    8   T1/A1  cond 1110 0 1 x:1 0 Vd Rt 1011 D y:2 1 (0000)
    16  T1/A1  cond 1110 0 0 x:1 0 Vd Rt 1011 D y:1 1 1 (0000)
    32  T1/A1  cond 1110 0 0 x:1 0 Vd Rt 1011 D 00 1 (0000)
""")  # fmt: skip
def vmov_to_scalar(b: Builder, i: Decoded) -> None:
    """Insert into one element; the others stay."""
    _no_pc_or_thumb_sp(i, i["Rt"])
    require_enabled(b)
    size = int(i.encoding.form)
    shift = i.join("x", "y") * size
    mask = (1 << size) - 1
    d = doubleword(i, "d")
    if size == 32:
        write_s(b, 2 * d + i["x"], b.reg(i["Rt"]))
        return
    element = (b.reg(i["Rt"]) & mask).zext(64)
    write_d(b, d, read_d(b, d) & ~(mask << shift) | element << shift)


@instruction("VMOV (scalar to ARM core register)", "A8.8.342", """
    8   T1/A1  cond 1110 U:1 1 x:1 1 Vn Rt 1011 N y:2 1 (0000)
    16  T1/A1  cond 1110 U:1 0 x:1 1 Vn Rt 1011 N y:1 1 1 (0000)
    32  T1/A1  cond 1110 0 0 x:1 1 Vn Rt 1011 N 00 1 (0000)
""")  # fmt: skip
def vmov_from_scalar(b: Builder, i: Decoded) -> None:
    """Extract one element, extended to 32 bits: with zeroes if U, else with its sign."""
    _no_pc_or_thumb_sp(i, i["Rt"])
    require_enabled(b)
    size = int(i.encoding.form)
    n, index = doubleword(i, "n"), i.join("x", "y")
    word = read_s(b, 2 * n + index * size // 32)
    if size == 32:
        b.set_reg(i["Rt"], word)
        return
    element = word.field(index * size % 32, size)
    b.set_reg(i["Rt"], element if i["U"] else element.sign_extend(size))


@instruction("VMOV (between ARM core register and single-precision register)", "A8.8.343", """
    T1/A1  cond 1110 000 op Vn Rt 1010 N (00) 1 (0000)
""")  # fmt: skip
def vmov_single(b: Builder, i: Decoded) -> None:
    _no_pc_or_thumb_sp(i, i["Rt"])
    require_enabled(b)
    n = singleword(i, "n")
    if i["op"]:
        b.set_reg(i["Rt"], read_s(b, n))
    else:
        write_s(b, n, b.reg(i["Rt"]))


@instruction("VMOV (between two ARM core registers and two single-precision registers)", "A8.8.344", """
    T1/A1  cond 1100 010 op Rt2 Rt 1010 00 M 1 Vm
""")  # fmt: skip
def vmov_two_singles(b: Builder, i: Decoded) -> None:
    m = singleword(i, "m")
    _no_pc_or_thumb_sp(i, i["Rt"], i["Rt2"])
    i.unpredictable_if(m == 31 or (i["op"] == 1 and i["Rt"] == i["Rt2"]))
    require_enabled(b)
    if i["op"]:
        b.set_reg(i["Rt"], read_s(b, m))
        b.set_reg(i["Rt2"], read_s(b, m + 1))
    else:
        write_s(b, m, b.reg(i["Rt"]))
        write_s(b, m + 1, b.reg(i["Rt2"]))


@instruction("VMOV (between two ARM core registers and a doubleword extension register)", "A8.8.345", """
    T1/A1  cond 1100 010 op Rt2 Rt 1011 00 M 1 Vm
""")  # fmt: skip
def vmov_doubleword(b: Builder, i: Decoded) -> None:
    _no_pc_or_thumb_sp(i, i["Rt"], i["Rt2"])
    i.unpredictable_if(i["op"] == 1 and i["Rt"] == i["Rt2"])
    require_enabled(b)
    m = doubleword(i, "m")
    if i["op"]:
        b.set_reg(i["Rt"], read_s(b, 2 * m))
        b.set_reg(i["Rt2"], read_s(b, 2 * m + 1))
    else:
        write_d(b, m, join(b.reg(i["Rt"]), b.reg(i["Rt2"])))


@instruction("VDUP (ARM core register)", "A8.8.314", """
    8   T1/A1  cond 11101 1 Q 0 Vd Rt 1011 D 0 0 1 (0000)
    16  T1/A1  cond 11101 0 Q 0 Vd Rt 1011 D 0 1 1 (0000)
    32  T1/A1  cond 11101 0 Q 0 Vd Rt 1011 D 0 0 1 (0000)
""")  # fmt: skip
def vdup_core(b: Builder, i: Decoded) -> None:
    """Every element becomes the low bits of Rt."""
    i.undefined_if(i["Q"] == 1 and i["Vd"] & 1 == 1)
    _no_pc_or_thumb_sp(i, i["Rt"])
    require_enabled(b)
    pattern = replicate(b.reg(i["Rt"]), int(i.encoding.form))
    d = doubleword(i, "d")
    for register in range(d, d + 1 + i["Q"]):
        write_d(b, register, pattern)


def replicate(element: Value, size: int) -> Value:
    """The low `size` (8, 16 or 32) bits of a word, as often as they fit in a doubleword."""
    wide = element.zext(64)
    if size < 32:
        wide = wide & ((1 << size) - 1)
    while size < 64:
        wide = wide | wide << size
        size *= 2
    return wide


@instruction("VMRS", "A8.8.348", """
    T1/A1  cond 11101111 0001 Rt 1010 (000) 1 (0000)
""")  # fmt: skip
def vmrs(b: Builder, i: Decoded) -> None:
    """FPSCR to Rt, or its condition flags to the APSR (Rt = 15). User mode has no other such register."""
    i.unpredictable_if(i.thumb and i["Rt"] == 13)
    require_enabled(b)
    fpscr = b.get(Slot.FPSCR)
    if i["Rt"] != 15:
        b.set_reg(i["Rt"], fpscr)
        return
    for slot, index in ((Slot.N, 31), (Slot.Z, 30), (Slot.C, 29), (Slot.V, 28)):
        b.set(slot, fpscr.field(index, 1))


@instruction("VMSR", "A8.8.349", """
    T1/A1  cond 11101110 0001 Rt 1010 (000) 1 (0000)
""")  # fmt: skip
def vmsr(b: Builder, i: Decoded) -> None:
    """Rt to FPSCR; its reserved bits stay zero."""
    _no_pc_or_thumb_sp(i, i["Rt"])
    require_enabled(b)
    b.set(Slot.FPSCR, b.reg(i["Rt"]) & WRITABLE)
