"""One definition per instruction, in files named after the ARM ARM's groups. To find one: its name is the first
argument of `@instruction`, as in the manual's heading (`grep -rn '"SMLAD' machine/arm/instructions`).

How to write one:

    @instruction("BFC", "A8.8.19", '''
        A1  cond 0111110 msb:5 Rd lsb:5 001 1111
        T1  11110 (0) 11 011 0 1111 0 imm3 Rd imm2 (0) msb:5
    ''')
    def bfc(b: Builder, i: Decoded) -> None:
        low = i["lsb"] if "lsb" in i else i.join("imm3", "imm2")
        i.unpredictable_if(i["Rd"] == 15 or i["msb"] < low)
        mask = ((1 << (i["msb"] + 1 - low)) - 1) << low
        b.set_reg(i["Rd"], b.reg(i["Rd"]) & ~mask)

* Encodings are written as the manual prints them; `registry` says how. VFP and Advanced SIMD: label `T1/A1` with
  the A32 diagram gives both. Fields are plain numbers: `i["Vd"]`, `i["D"] << 4 | i["Vd"]`, `i.get("Q")`.
* `i` is known when the instruction is translated: Python `if` may look at it, and at `b.thumb`, `b.it`. What the
  registers hold is a `Value`: it has operators, and `b.select`; it has no truth value.
* A definition is a function of the fields and keeps nothing between calls. It may be given symbols for them, to
  make one template for many words (`machine.arm.templates`): they compute and compare as numbers do, but are no
  `int`s, and each decision about them splits the words. Nothing has to be written for that.
* Reads (`b.reg`, `b.get(Slot.X)`, `b.get64(Slot.D0 + 2 * n)`) give the state before the instruction; writes
  (`b.set_reg`, `b.set`, `b.set64`) take effect after everything else, so a load that aborts changes nothing.
* Loads and stores: `b.load(address, size, alignment)`, `b.store(address, value, size, alignment, when)`.
* UNDEFINED: `i.undefined_if(...)`; UNPREDICTABLE: `i.unpredictable_if(...)` (taken as UNDEFINED). A trap that
  depends on registers: `b.trap(TrapKind.UNDEFINED, when=...)`, before any store.
* What IR cannot say is a helper: `b.call("name", (values...), (result widths...))`, registered with
  `machine.ir.helpers.helper`: a pure function on ints that returns a tuple of ints.
* The condition (cond field or IT block), the PC advance and ITSTATE are not a definition's business.

A new file must be added to the imports below: that is what makes its instructions exist.
"""

from retrap.machine.arm.instructions import (
    bitfield_extend,
    branch,
    data_processing,
    exclusive,
    load_store,
    load_store_multiple,
    multiply,
    neon_bitwise,
    neon_float,
    neon_integer,
    neon_load_store,
    neon_long,
    neon_miscellaneous,
    neon_permute,
    neon_scalar,
    neon_shift,
    parallel,
    saturating,
    system,
    vfp_arithmetic,
    vfp_compare_convert,
    vfp_load_store,
    vfp_transfer,
)

__all__ = [
    "bitfield_extend",
    "branch",
    "data_processing",
    "exclusive",
    "load_store",
    "load_store_multiple",
    "multiply",
    "neon_bitwise",
    "neon_float",
    "neon_integer",
    "neon_load_store",
    "neon_long",
    "neon_miscellaneous",
    "neon_permute",
    "neon_scalar",
    "neon_shift",
    "parallel",
    "saturating",
    "system",
    "vfp_arithmetic",
    "vfp_compare_convert",
    "vfp_load_store",
    "vfp_transfer",
]
