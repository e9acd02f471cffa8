"""Accesses that walk over the edges of pages in loops, compiled in both tiers or interpreted natively: faults,
bytes and registers agree."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from llvm_pair import CODE, DATA, TOP, Pair
from retrap.machine.context import Slot
from retrap.machine.llvm.sheets import Sheet, Taping, write
from retrap.machine.traps import Trap

SVC = 0xEF000000
CONST = 0x00300000
EDGES = {
    "two pages in a row": DATA + 0x1000,
    "unmapped behind": DATA + 0x2000,
    "unmapped before, no rights behind": DATA + 0x4000,
    "no rights, then a device": DATA + 0x5000,
    "a device, then nothing": DATA + 0x6000,
    "read only": CONST + 0x1000,
    "before read only": CONST,
    "the last page": TOP,
    "the end of the space": 0,
}

ARM = {
    "ldr r0, [r2]": 0xE5920000,
    "ldrsb r0, [r2]": 0xE1D200D0 & 0xFFFFFFBF | 0x40,
    "ldrsh r0, [r2, #2]": 0xE1D200F2,
    "ldrt r0, [r2], #4": 0xE4B20004,
    "ldrd r0, [r2, #-8]": 0xE14200D8,
    "ldm r2, {r0, r1, r3, r4, r6, r7}": 0xE89200DB,
    "ldmib r2!, {r0, r3}": 0xE9B20009,
    "str r0, [r2, #-4]!": 0xE5220004,
    "strh r0, [r2]": 0xE1C200B0,
    "strbt r0, [r2], #1": 0xE4E20001,
    "strd r0, [r2], #8": 0xE0C200F8,
    "stmda r2, {r0, r1, r3, r4}": 0xE802001B,
    "stmib r2!, {r0, r1}": 0xE9A20003,
    "ldrexd r0, r1, [r2]": 0xE1B20F9F,
    "strexh r0, r1, [r2]": 0xE1E20F91,
    "swpb r0, r1, [r2]": 0xE1420091,
    "vldr d3, [r2, #4]": 0xED923B01,
    "vstr s5, [r2]": 0xEDC22A00,
    "vldmdb r2!, {s0-s7}": 0xED320A08,
    "vstmia r2!, {d4-d7}": 0xECA24B08,
    "vld1.8 {d0-d3}, [r2]": 0xF422020F,
    "vst1.32 {d0-d2}, [r2]!": 0xF402068D,
    "vld4.16 {d0, d2, d4, d6}, [r2]": 0xF422014F,
    "vst1.8 {d0[3]}, [r2]": 0xF482006F,
}


def run(pair: Pair, **registers: int) -> Trap:
    """Run from CODE on both sides and compare everything."""
    pair.both(Slot.PC, CODE)
    pair.both(Slot.THUMB, 0)
    pair.both(Slot.FPEXC_EN, 1)
    for name, value in registers.items():
        pair.both(int(name[1:]), value)
    pair.compared = 15
    traps = [machine.run(pair.space, 10_000) for machine in pair.sides]
    pair.compare(traps[0], traps[1], f"r2 = {registers['r2']:#x}")
    return traps[0]


@pytest.mark.parametrize("word", ARM.values(), ids=list(ARM))
def test_a_loop_over_every_edge(word: int) -> None:
    """add r2, r2, r8; the access; subs r5, r5, #1; bne — upwards and downwards, in steps of 1, 4 and 16 bytes, hot
    enough to be compiled twice."""
    pair = Pair(word, hot=2, period=900)
    code = struct.pack("<5I", 0xE0822008, word, 0xE2555001, 0x1AFFFFFB, SVC)
    pair.load(code)
    for _ in range(40):
        run(pair, r0=1, r1=2, r2=DATA + 0x400, r5=60, r8=0)
    for edge in EDGES.values():
        for step in (1, 4, 16):
            for sign in (1, -1):
                start = edge - sign * (20 * step + 40)
                run(pair, r0=3, r1=4, r2=start & 0xFFFFFFFF, r5=50, r8=sign * step & 0xFFFFFFFF)
    shapes = {int(one.shape) for versions in pair.native.native.library.values() for one in versions}
    assert shapes
    if word in (ARM["ldr r0, [r2]"], ARM["strd r0, [r2], #8"], ARM["vldr d3, [r2, #4]"]):
        assert shapes == {0, 1}


@pytest.mark.parametrize("word", ARM.values(), ids=list(ARM))
def test_a_loop_over_every_edge_on_tape(word: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAP_CACHE", str(tmp_path))
    pair = Pair(word, hot=1 << 20, taped=True)
    code = struct.pack("<5I", 0xE0822008, word, 0xE2555001, 0x1AFFFFFB, SVC)
    pair.load(code)
    native = pair.native.native
    assert native._make_interpreter()
    assert native._interpreter is not None
    side = native.space(pair.sides[1].spaces[0])
    sheet = Sheet(write(CODE >> 12, code.ljust(4096, b"\0"), [CODE, CODE + 16], Taping())[0])
    side.looked[CODE >> 12] = "given"
    side.add_sheet(CODE >> 12, sheet, native._interpreter)
    evaluated = 0
    for edge in EDGES.values():
        for step in (1, 4, 16):
            for sign in (1, -1):
                start = edge - sign * (20 * step + 40)
                pair.native.evaluator.retired = -1
                sheet.set_count(CODE, 0)
                before = pair.sides[0].retired
                run(pair, r0=3, r1=4, r2=start & 0xFFFFFFFF, r5=50, r8=sign * step & 0xFFFFFFFF)
                evaluated += pair.native.evaluator.retired >= before
    assert native.compiled == 0
    assert evaluated > 0  # at the edges
