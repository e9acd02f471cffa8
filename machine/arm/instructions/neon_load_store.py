"""Element and structure loads and stores, VLD1 to VLD4 and VST1 to VST4: ARM ARM A7.7.

Elements need no alignment, unless the instruction asks for one of its base address (`:align`): then a misaligned
base gives an alignment fault before anything is transferred.

Structures of n elements lie one after the other in memory; element k of each goes to the k-th register. Here a
multiple transfer moves whole doublewords and sorts the elements in registers; an access of eight bytes with
CPSR.E set reverses them all, so the elements (each one's bytes now right) are put in order again.
"""

from __future__ import annotations

from retrap.machine.arm.instructions.neon_permute import reversed_elements
from retrap.machine.arm.instructions.neon_state import (
    doubleword,
    element,
    merge,
    read_d,
    require_enabled,
    split,
    write_d,
)
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder, Value


def _base(b: Builder, i: Decoded, transferred: int) -> Value:
    """The base address, whose write-back is scheduled: Rm 15 none, 13 by the bytes transferred, else by Rm."""
    i.unpredictable_if(i["Rn"] == 15)
    base = b.reg(i["Rn"])
    if i["Rm"] == 13:
        b.set_reg(i["Rn"], base + transferred)
    elif i["Rm"] != 15:
        b.set_reg(i["Rn"], base + b.reg(i["Rm"]))
    return base


def _big_endian(b: Builder) -> Value:
    return b.flag(Slot.BIG_ENDIAN)


def _in_memory_order(b: Builder, x: Value, size: int) -> Value:
    """The elements of a doubleword that was, or will be, one access: reversed if CPSR.E is set."""
    return x if size == 64 else b.select(_big_endian(b), reversed_elements(x, size), x)


def _load_doublewords(b: Builder, base: Value, count: int, size: int, alignment: int) -> list[Value]:
    """`count` doublewords of elements of `size` bits."""
    return [
        _in_memory_order(b, b.load(base + 8 * k, 8, 1 if k else alignment), size) for k in range(count)
    ]


def _store_doublewords(b: Builder, base: Value, values: list[Value], size: int, alignment: int) -> None:
    for k, value in enumerate(values):
        b.store(base + 8 * k, _in_memory_order(b, value, size), 8, 1 if k else alignment)


def _transposed(values: list[Value], size: int, structure: int, load: bool) -> list[Value]:
    """Doublewords of structures of `structure` elements to one doubleword per element of them, or (not `load`)
    back."""
    if structure == 1:
        return values
    lanes = split(values, size, False)
    count = len(lanes) // structure
    if load:
        order = [row * structure + column for column in range(structure) for row in range(count)]
    else:
        order = [column * count + row for row in range(count) for column in range(structure)]
    return merge([lanes[k] for k in order], size)


def _multiple(b: Builder, i: Decoded, structure: int, load: bool) -> None:
    """VLDn, VSTn (multiple n-element structures).

    `registers`: how many consecutive registers hold each element of the structures; `spacing`: from the register
    of one element to that of the next.
    """
    size, registers, spacing = 8 << i["size"], i.get("registers", 1), i.get("spacing", 1)
    count = registers * structure
    first = doubleword(i, "d")
    i.undefined_if(size == 64 and structure > 1)
    i.unpredictable_if(first + spacing * (structure - 1) + registers > 32)
    alignment = 1 if i["align"] == 0 else 4 << i["align"]
    require_enabled(b)
    base = _base(b, i, 8 * count)
    # The registers in groups that memory interleaves: one group, or (VLD2 of four) two.
    groups = [[first + k + spacing * column for column in range(structure)] for k in range(registers)]
    if structure == 1:
        groups = [[number for group in groups for number in group]]
    if load:
        loaded = _load_doublewords(b, base, count, size, alignment)
        for k, group in enumerate(groups):
            part = loaded[k * len(group) : (k + 1) * len(group)]
            for number, value in zip(group, _transposed(part, size, structure, True), strict=True):
                write_d(b, number, value)
    else:
        values = []
        for group in groups:
            values += _transposed([read_d(b, number) for number in group], size, structure, False)
        _store_doublewords(b, base, values, size, alignment)


@instruction("VLD1 (multiple single elements)", "A8.8.320", """
    1 register   T1/A1  11110100 0 D 10 Rn Vd 0111 size 0 align:1 Rm  registers=1
    2 registers  T1/A1  11110100 0 D 10 Rn Vd 1010 size align Rm      registers=2
    3 registers  T1/A1  11110100 0 D 10 Rn Vd 0110 size 0 align:1 Rm  registers=3
    4 registers  T1/A1  11110100 0 D 10 Rn Vd 0010 size align Rm      registers=4
""")  # fmt: skip
def vld1(b: Builder, i: Decoded) -> None:
    i.undefined_if(i["registers"] == 2 and i["align"] == 3)
    _multiple(b, i, 1, True)


@instruction("VST1 (multiple single elements)", "A8.8.404", """
    1 register   T1/A1  11110100 0 D 00 Rn Vd 0111 size 0 align:1 Rm  registers=1
    2 registers  T1/A1  11110100 0 D 00 Rn Vd 1010 size align Rm      registers=2
    3 registers  T1/A1  11110100 0 D 00 Rn Vd 0110 size 0 align:1 Rm  registers=3
    4 registers  T1/A1  11110100 0 D 00 Rn Vd 0010 size align Rm      registers=4
""")  # fmt: skip
def vst1(b: Builder, i: Decoded) -> None:
    i.undefined_if(i["registers"] == 2 and i["align"] == 3)
    _multiple(b, i, 1, False)


@instruction("VLD2 (multiple 2-element structures)", "A8.8.323", """
    2 registers         T1/A1  11110100 0 D 10 Rn Vd 1000 size align Rm
    2 registers spaced  T1/A1  11110100 0 D 10 Rn Vd 1001 size align Rm  spacing=2
    4 registers         T1/A1  11110100 0 D 10 Rn Vd 0011 size align Rm  registers=2 spacing=2
""")  # fmt: skip
def vld2(b: Builder, i: Decoded) -> None:
    i.undefined_if("registers" not in i and i["align"] == 3)
    _multiple(b, i, 2, True)


@instruction("VST2 (multiple 2-element structures)", "A8.8.406", """
    2 registers         T1/A1  11110100 0 D 00 Rn Vd 1000 size align Rm
    2 registers spaced  T1/A1  11110100 0 D 00 Rn Vd 1001 size align Rm  spacing=2
    4 registers         T1/A1  11110100 0 D 00 Rn Vd 0011 size align Rm  registers=2 spacing=2
""")  # fmt: skip
def vst2(b: Builder, i: Decoded) -> None:
    i.undefined_if("registers" not in i and i["align"] == 3)
    _multiple(b, i, 2, False)


@instruction("VLD3 (multiple 3-element structures)", "A8.8.326", """
    3 registers         T1/A1  11110100 0 D 10 Rn Vd 0100 size 0 align:1 Rm
    3 registers spaced  T1/A1  11110100 0 D 10 Rn Vd 0101 size 0 align:1 Rm  spacing=2
""")  # fmt: skip
def vld3(b: Builder, i: Decoded) -> None:
    _multiple(b, i, 3, True)


@instruction("VST3 (multiple 3-element structures)", "A8.8.408", """
    3 registers         T1/A1  11110100 0 D 00 Rn Vd 0100 size 0 align:1 Rm
    3 registers spaced  T1/A1  11110100 0 D 00 Rn Vd 0101 size 0 align:1 Rm  spacing=2
""")  # fmt: skip
def vst3(b: Builder, i: Decoded) -> None:
    _multiple(b, i, 3, False)


@instruction("VLD4 (multiple 4-element structures)", "A8.8.329", """
    4 registers         T1/A1  11110100 0 D 10 Rn Vd 0000 size align Rm
    4 registers spaced  T1/A1  11110100 0 D 10 Rn Vd 0001 size align Rm  spacing=2
""")  # fmt: skip
def vld4(b: Builder, i: Decoded) -> None:
    _multiple(b, i, 4, True)


@instruction("VST4 (multiple 4-element structures)", "A8.8.410", """
    4 registers         T1/A1  11110100 0 D 00 Rn Vd 0000 size align Rm
    4 registers spaced  T1/A1  11110100 0 D 00 Rn Vd 0001 size align Rm  spacing=2
""")  # fmt: skip
def vst4(b: Builder, i: Decoded) -> None:
    _multiple(b, i, 4, False)


# -- one lane ----------------------------------------------------------------------------------------------


def _lane(i: Decoded, structure: int) -> tuple[int, int, int, int]:
    """(bytes of an element, lane, spacing, alignment) from size and index_align. ARM ARM tables A8-7 to A8-10."""
    code, index_align = i["size"], i["index_align"]
    size = 1 << code
    index = index_align >> (code + 1)
    below = index_align & ((2 << code) - 1)  # code + 1 bits: perhaps spacing, then alignment
    spacing = 1
    if structure > 1 and code > 0:
        spacing += below >> code
        below &= (1 << code) - 1
    if structure == 1:
        # No alignment for bytes, one bit for halfwords, both of two equal for words.
        i.undefined_if(below not in ((0,), (0, 1), (0, 3))[code])
        return size, index, spacing, size if below else 1
    if structure == 2:
        i.undefined_if(below > 1)
        return size, index, spacing, 2 * size if below else 1
    if structure == 3:
        i.undefined_if(below != 0)
        return size, index, spacing, 1
    i.undefined_if(below == 3)
    return size, index, spacing, (4 * size if code < 2 else 4 << below) if below else 1


def _one_lane(b: Builder, i: Decoded, structure: int, load: bool) -> None:
    """VLDn, VSTn (single n-element structure to or from one lane)."""
    size, index, spacing, alignment = _lane(i, structure)
    first = doubleword(i, "d")
    i.unpredictable_if(first + spacing * (structure - 1) > 31)
    require_enabled(b)
    base = _base(b, i, structure * size)
    mask = (1 << 8 * size) - 1
    low = 8 * size * index
    for k in range(structure):
        number, address = first + k * spacing, base + size * k
        if load:
            loaded = b.load(address, size, 1 if k else alignment).zext(64)
            write_d(b, number, read_d(b, number) & ~(mask << low) | loaded << low)
        else:
            value = element(read_d(b, number), 8 * size, index).trunc(32)
            b.store(address, value, size, 1 if k else alignment)


def _sizes(template: str) -> str:
    """The lines once per element size. Size 11 would be another instruction: VLDn to all lanes, or UNDEFINED."""
    return "\n".join(
        f"{8 << code} {line.strip().replace('size', f'{code:02b}')}  size={code}"
        for line in template.strip().splitlines()
        for code in range(3)
    )


@instruction("VLD1 (single element to one lane)", "A8.8.321", _sizes("""
    T1/A1  11110100 1 D 10 Rn Vd size 00 index_align:4 Rm
"""))  # fmt: skip
def vld1_lane(b: Builder, i: Decoded) -> None:
    _one_lane(b, i, 1, True)


@instruction("VST1 (single element from one lane)", "A8.8.405", _sizes("""
    T1/A1  11110100 1 D 00 Rn Vd size 00 index_align:4 Rm
"""))  # fmt: skip
def vst1_lane(b: Builder, i: Decoded) -> None:
    _one_lane(b, i, 1, False)


@instruction("VLD2 (single 2-element structure to one lane)", "A8.8.324", _sizes("""
    T1/A1  11110100 1 D 10 Rn Vd size 01 index_align:4 Rm
"""))  # fmt: skip
def vld2_lane(b: Builder, i: Decoded) -> None:
    _one_lane(b, i, 2, True)


@instruction("VST2 (single 2-element structure from one lane)", "A8.8.407", _sizes("""
    T1/A1  11110100 1 D 00 Rn Vd size 01 index_align:4 Rm
"""))  # fmt: skip
def vst2_lane(b: Builder, i: Decoded) -> None:
    _one_lane(b, i, 2, False)


@instruction("VLD3 (single 3-element structure to one lane)", "A8.8.327", _sizes("""
    T1/A1  11110100 1 D 10 Rn Vd size 10 index_align:4 Rm
"""))  # fmt: skip
def vld3_lane(b: Builder, i: Decoded) -> None:
    _one_lane(b, i, 3, True)


@instruction("VST3 (single 3-element structure from one lane)", "A8.8.409", _sizes("""
    T1/A1  11110100 1 D 00 Rn Vd size 10 index_align:4 Rm
"""))  # fmt: skip
def vst3_lane(b: Builder, i: Decoded) -> None:
    _one_lane(b, i, 3, False)


@instruction("VLD4 (single 4-element structure to one lane)", "A8.8.330", _sizes("""
    T1/A1  11110100 1 D 10 Rn Vd size 11 index_align:4 Rm
"""))  # fmt: skip
def vld4_lane(b: Builder, i: Decoded) -> None:
    _one_lane(b, i, 4, True)


@instruction("VST4 (single 4-element structure from one lane)", "A8.8.411", _sizes("""
    T1/A1  11110100 1 D 00 Rn Vd size 11 index_align:4 Rm
"""))  # fmt: skip
def vst4_lane(b: Builder, i: Decoded) -> None:
    _one_lane(b, i, 4, False)


# -- all lanes ---------------------------------------------------------------------------------------------


def _all_lanes(b: Builder, i: Decoded, structure: int, size: int, alignment: int) -> None:
    """VLDn (single n-element structure to all lanes), or VLD1 to one register or two. `size` is in bytes."""
    first = doubleword(i, "d")
    targets = [[first, first + 1][: 1 + i["T"]]] if structure == 1 else [
        [first + k * (1 + i["T"])] for k in range(structure)
    ]  # fmt: skip
    i.unpredictable_if(targets[-1][-1] > 31)
    require_enabled(b)
    base = _base(b, i, structure * size)
    for k, numbers in enumerate(targets):
        loaded = b.load(base + size * k, size, 1 if k else alignment).zext(64)
        width = 8 * size
        while width < 64:
            loaded = loaded | loaded << width
            width *= 2
        for number in numbers:
            write_d(b, number, loaded)


@instruction("VLD1 (single element to all lanes)", "A8.8.322", """
    T1/A1  11110100 1 D 10 Rn Vd 1100 size T:1 a Rm
""")  # fmt: skip
def vld1_all(b: Builder, i: Decoded) -> None:
    i.undefined_if(i["size"] == 3 or (i["size"] == 0 and i["a"] == 1))
    size = 1 << i["size"]
    _all_lanes(b, i, 1, size, size if i["a"] else 1)


@instruction("VLD2 (single 2-element structure to all lanes)", "A8.8.325", """
    T1/A1  11110100 1 D 10 Rn Vd 1101 size T:1 a Rm
""")  # fmt: skip
def vld2_all(b: Builder, i: Decoded) -> None:
    i.undefined_if(i["size"] == 3)
    size = 1 << i["size"]
    _all_lanes(b, i, 2, size, 2 * size if i["a"] else 1)


@instruction("VLD3 (single 3-element structure to all lanes)", "A8.8.328", """
    T1/A1  11110100 1 D 10 Rn Vd 1110 size T:1 a Rm
""")  # fmt: skip
def vld3_all(b: Builder, i: Decoded) -> None:
    i.undefined_if(i["size"] == 3 or i["a"] == 1)
    _all_lanes(b, i, 3, 1 << i["size"], 1)


@instruction("VLD4 (single 4-element structure to all lanes)", "A8.8.331", """
    T1/A1  11110100 1 D 10 Rn Vd 1111 size T:1 a Rm
""")  # fmt: skip
def vld4_all(b: Builder, i: Decoded) -> None:
    """Words have two sizes: 10 asks for 8-byte alignment if a is set, 11 (a set) for 16."""
    i.undefined_if(i["size"] == 3 and i["a"] == 0)
    size = min(1 << i["size"], 4)
    alignment = (4 * size, 4 * size, 8, 16)[i["size"]] if i["a"] else 1
    _all_lanes(b, i, 4, size, alignment)
