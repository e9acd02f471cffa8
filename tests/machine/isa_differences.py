"""Compares an outcome here with an oracle's. Where an oracle is known to differ, the ARM ARM decides; each such
difference has a name, a section and a rule that says which cases it covers. `docs/instructions.md` explains them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isa_oracle import ALIGNED, CODE, CODE_SIZE, Case, Outcome


@dataclass(frozen=True)
class Known:
    """A settled difference. `covers(case, mine, theirs, text of the difference)`: whether it explains it."""

    name: str
    oracles: tuple[str, ...]
    section: str
    covers: Callable[[Case, Outcome, Outcome, str], bool]


def _name(case: Case) -> str:
    return case.encoding.instruction.name


def _alignment(mine: Outcome) -> bool:
    return mine.trap == "DATA_ABORT" and mine.status & 15 == 1


KNOWN = (
    Known(
        "unicorn checks no alignment of LDM, STM, LDRD, STRD, PUSH, POP and exclusives",
        ("unicorn",),
        "A3.2.1",
        lambda case, mine, theirs, text: _alignment(mine) and _name(case).startswith(ALIGNED),
    ),
    Known(
        "a store exclusive checks alignment before the monitor",
        ("qemu", "unicorn"),
        "B2.4.7 ExclusiveMonitorsPass",
        lambda case, mine, theirs, text: _alignment(mine) and not theirs.trap and _name(case).startswith("STREX"),
    ),
    Known(
        "CPSR.E is user-writable by MSR",
        ("qemu", "unicorn"),
        "B1.3.3 CPSRWriteByInstr",
        lambda case, mine, theirs, text: (
            _name(case) == "MSR" and text in ("big_endian: 0x1 / 0x0", "big_endian: 0x0 / 0x1")
        ),
    ),
    Known(
        "an interworking branch to an ARM address with bit 1 set is UNPREDICTABLE: here bit 1 is ignored",
        ("qemu", "unicorn"),
        "A2.3.1 BXWritePC",
        lambda case, mine, theirs, text: mine.thumb == 0 and text == f"pc: {mine.pc:#x} / {mine.pc | 2:#x}",
    ),
    Known(
        "M, A, I and F read by MRS are UNKNOWN in User mode",
        ("qemu", "unicorn"),
        "B9.3.8",
        lambda case, mine, theirs, text: _name(case) == "MRS" and _differs_in_masks(mine, theirs),
    ),
    Known(
        "qemu-arm keeps its own thread pointer in TPIDRURO",
        ("qemu",),
        "B4.1.150",
        lambda case, mine, theirs, text: case.encoding.form == "TPIDRURO" and not theirs.trap,
    ),
    Known(
        "unicorn stops at YIELD and WFE as at an exception",
        ("unicorn",),
        "A8.8.426",
        lambda case, mine, theirs, text: _name(case) == "Hints" and theirs.trap == "UNDEFINED",
    ),
    Known(
        "QEMU's debug unit lacks DBGDSCRint",
        ("qemu", "unicorn"),
        "C11.11.20",
        lambda case, mine, theirs, text: case.encoding.form == "DBGDSCRint" and theirs.trap == "UNDEFINED",
    ),
    Known(
        "qemu-arm's exception after a coprocessor access at the end of an IT block shows the ITSTATE before it",
        ("qemu",),
        "A2.5.2",
        lambda case, mine, theirs, text: (
            _name(case) in ("MRC", "MCR", "MRRC") and text == f"it: 0x0 / {case.it:#x}"
        ),
    ),
    Known(
        "unicorn sets Q when the sum of the products overflows, whatever the total",
        ("unicorn",),
        "A8.8.177, A8.8.182",
        lambda case, mine, theirs, text: (
            _name(case) in ("SMLAD", "SMLSD") and text == f"nzcvq: {mine.nzcvq:#x} / {mine.nzcvq | 1:#x}"
        ),
    ),
    Known(
        "unicorn's count of one runs on through the code that a computed branch goes to",
        ("unicorn",),
        "A2.5.2",
        lambda case, mine, theirs, text: (
            CODE <= mine.pc < theirs.pc <= CODE + CODE_SIZE and text == f"pc: {mine.pc:#x} / {theirs.pc:#x}"
        ),
    ),
    Known(
        "unicorn forgets ITSTATE at an ISB in an IT block",
        ("unicorn",),
        "A2.5.2",
        lambda case, mine, theirs, text: _name(case) == "ISB" and case.it != 0 and theirs.it == 0,
    ),
)


def _differs_in_masks(mine: Outcome, theirs: Outcome) -> bool:
    pairs = [(a, b) for a, b in zip(mine.core, theirs.core, strict=True) if a != b]
    return len(pairs) == 1 and (pairs[0][0] ^ pairs[0][1]) & ~0x1DF == 0


def compare(case: Case, mine: Outcome, theirs: Outcome, oracle: str) -> tuple[str, str]:
    """(name of a known difference or "", text of an unexplained one or "")."""
    ignore = set()
    if theirs.it < 0:
        ignore.add("it")  # the oracle could not tell
    if mine.trap == theirs.trap == "DATA_ABORT":
        # What an aborted load or store leaves in other registers than the base is UNKNOWN (B1.9.8); here: nothing.
        ignore |= {"core", "memory", "nzcvq", "ge", "it"}
        if oracle == "unicorn" and case.it:
            ignore.add("pc")  # which unicorn does not restore there
    if mine.trap == theirs.trap and mine.trap in ("UNDEFINED", "BREAKPOINT"):
        ignore.add("it")
    if oracle == "qemu" and case.big_endian:
        ignore.add("big_endian")  # its signal frames do not hold E
    if mine.trap == theirs.trap == "SVC" and oracle == "unicorn":
        ignore.add("it")
    text = mine.difference(theirs, frozenset(ignore), (case.free, case.free + 1) if case.free >= 0 else ())
    if not text and mine.trap == "DATA_ABORT" and theirs.address and theirs.address != mine.address:
        text = f"fault address {mine.address:#x} / {theirs.address:#x}"
    if not text:
        return "", ""
    for known in KNOWN:
        if oracle in known.oracles and known.covers(case, mine, theirs, text):
            return known.name, ""
    return "", text
