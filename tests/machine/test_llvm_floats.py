"""Native floating point against softfloat, bit for bit, flags included: whole instructions on both backends."""

from __future__ import annotations

import random
import struct

import pytest
from llvm_pair import CODE, Pair
from retrap.machine.context import Slot
from retrap.machine.ir.helpers import HELPERS
from retrap.machine.llvm.floats import FLOATS
from retrap.machine.llvm.lower import Shape
from retrap.machine.llvm.sticky import STICKY_FLOATS
from retrap.machine.traps import TrapKind

SINGLE = {
    "vadd": 0xEE300A00, "vsub": 0xEE300A40, "vmul": 0xEE200A00, "vdiv": 0xEE800A00, "vmla": 0xEE000A00,
    "vsqrt": 0xEEB10AC0, "vcmp": 0xEEB40A40, "vcmpe": 0xEEB40AC0, "vcvt.s32": 0xEEBD0AC0, "vcvt.u32": 0xEEBC0AC0,
    "vcvtr.s32": 0xEEBD0A40, "from s32": 0xEEB80AC0, "from u32": 0xEEB80A40, "vcvt.f64.f32": 0xEEB70AC0,
}  # fmt: skip
"""The single-precision form, with Vd = 0; `word` chooses the others."""

EDGES = {
    32: (0, 1, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000, 0x3F800000, 0x3F800001, 0x3F7FFFFF,
         0x4B000000, 0x4B7FFFFF, 0x4EFFFFFF, 0x4F000000, 0x4F7FFFFF, 0x4F800000, 0x5F000000, 0x7E7FFFFF, 0x7F000000,
         0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x7F800001, 0x40490FDB, 0x3EAAAAAB, 0x20000000, 0x1FFFFFFF),
    64: (0, 1, 0x000FFFFFFFFFFFFF, 0x0010000000000000, 0x0010000000000001, 0x001FFFFFFFFFFFFF, 0x0020000000000000,
         0x3FF0000000000000, 0x3FF0000000000001, 0x3FEFFFFFFFFFFFFF, 0x4330000000000000, 0x41DFFFFFFFC00000,
         0x41E0000000000000, 0x41EFFFFFFFE00000, 0x41F0000000000000, 0x7FCFFFFFFFFFFFFF, 0x7FE0000000000000,
         0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, 0x7FF8000000000000, 0x7FF0000000000001, 0x400921FB54442D18,
         0x36A0000000000000, 0x3810000000000000, 0x380FFFFFFFFFFFFF, 0x47EFFFFFE0000000, 0x47EFFFFFF0000000),
}  # fmt: skip


def pattern(r: random.Random, width: int) -> int:
    """A number: an edge, a small integer, few significant bits, or anything."""
    kind, sign = r.random(), r.getrandbits(1) << (width - 1)
    if kind < 0.35:
        return r.choice(EDGES[width]) ^ sign
    if kind < 0.55:
        number = float(r.randrange(1 << r.randrange(1, 34))) / (1 << r.randrange(0, 8))
        form = "<f" if width == 32 else "<d"
        return int.from_bytes(struct.pack(form, number), "little") ^ sign
    if kind < 0.8:
        fraction = 23 if width == 32 else 52
        bias = 127 if width == 32 else 1023
        keep = r.randrange(fraction + 1)
        bits = r.getrandbits(fraction) >> keep << keep
        return sign | (bias + r.randrange(-30, 30)) << fraction | bits
    return r.getrandbits(width)


def word(name: str, width: int) -> int:
    """The instruction on d0/s0, d1/s2, d2/s4 (Vd, Vn, Vm)."""
    found = SINGLE[name] | (0x100 if width == 64 else 0)
    unary = name not in ("vadd", "vsub", "vmul", "vdiv", "vmla")
    return found | 2 if unary else found & ~0xF0000 | 1 << 16 | 2


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("name", SINGLE)
def test_results_and_flags_are_those_of_softfloat(name: str, width: int, shape: Shape) -> None:
    """In `Shape.TUNED`, Inexact is set already in most cases: see `sticky`."""
    r = random.Random(f"{name}{width}")
    pair = Pair(1, hot=1)
    pair.load(struct.pack("<2I", word(name, width), 0xEF000000))
    pair.both(Slot.FPEXC_EN, 1)
    native = pair.native.native
    native.compile(native.space(pair.sides[1].spaces[0]), [CODE], shape)
    alone = 0
    for n in range(800):
        pair.both(Slot.PC, CODE)
        for register in range(3):
            value = pattern(r, 64 if name.startswith("vcvt.f64") or width == 64 else 32)
            if name.startswith("from"):
                value = r.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x01000001, r.getrandbits(32)))
            pair.both(Slot.D0 + 2 * register, value & 0xFFFFFFFF)
            pair.both(Slot.D0 + 2 * register + 1, value >> 32)
        mode = 0 if r.random() < 0.8 else r.getrandbits(5)
        flags = r.choice((0x10, 0x10, 0x9F, 0) if shape is Shape.TUNED else (0, 0, 0x10, 0x9F))
        pair.both(Slot.FPSCR, mode << 22 | flags)
        pair.native.evaluator.retired = -1  # stays so if the evaluator is not asked
        traps = [machine.run(0, 10) for machine in pair.sides]
        alone += pair.native.evaluator.retired == -1
        pair.compare(traps[0], traps[1], f"{name} {width} number {n}")
        assert traps[0].kind is TrapKind.SVC
    assert alone > 15, "hardly anything was native"


def test_every_rule_is_a_helpers() -> None:
    assert FLOATS.keys() <= HELPERS.keys()
    assert FLOATS.keys() == STICKY_FLOATS.keys()
