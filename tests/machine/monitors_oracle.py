"""The performance monitors where the kernel exports them: instructions that reach them, here and on unicorn.

Each case starts from a random state of all their registers, set on both sides, runs one instruction, and compares
them all again. Counting itself is not compared: unicorn's counters follow the host's clock. qemu-arm cannot export
them; it says, in the classes' other cases, what is UNDEFINED without.
"""

from __future__ import annotations

import random
from dataclasses import replace

from isa_differences import compare
from isa_oracle import CODE, Case, Ours, Outcome, random_case, random_word
from retrap.machine.access import SystemRegister
from retrap.machine.arm.registry import Encoding
from retrap.machine.context import Counters, Slot
from retrap.machine.devices import Bus, Port, Serial
from retrap.machine.devices.performance_monitors import PerformanceMonitorsModel
from unicorn import arm_const as arm
from unicorn_cpu import Unicorn

IDENTIFICATION = 0x4100_2000  # unicorn's Cortex-A15: four event counters
KINDS = (0, 0, 0, 1, 0x1D, 0xFF)

# CRm and opc2, in the order in which a state is set: all stops, then the event counters, one after the other.
_COUNTERS = (
    ("PMCR", 12, 0), ("PMCNTENCLR", 12, 2), *4 * (("PMSELR", 12, 5), ("PMXEVTYPER", 13, 1), ("PMXEVCNTR", 13, 2)),
)  # fmt: skip
_SET = (
    ("PMSELR", 12, 5), ("PMXEVTYPER", 13, 1), ("PMCCNTR", 13, 0), ("PMOVSR", 12, 3), ("PMOVSSET", 14, 3),
    ("PMCNTENSET", 12, 1), ("PMSELR", 12, 5), ("PMCR", 12, 0),
)  # fmt: skip
_SHOWN = (
    ("PMCR", 12, 0), ("PMCNTENSET", 12, 1), ("PMOVSR", 12, 3), ("PMSELR", 12, 5), ("PMCCNTR", 13, 0),
    ("PMXEVTYPER", 13, 1), ("PMXEVCNTR", 13, 2),
)  # fmt: skip
_NEWER = {"PMCR": 0xC0, "PMXEVTYPER": 0x0700_FF00}
"""Bits that ARMv8 has."""
_UNSURE = {"PMCCNTR": 0xFFFF_FFFF, "PMOVSR": 1 << 31, "PMOVSSET": 1 << 31}
"""Bits that show how far unicorn's cycle counter has come, if it runs."""
_BLOCKS = {
    CODE + 0x100: (0xEE09_0F10, _COUNTERS),
    CODE + 0x200: (0xEE09_0F10, _SET),
    CODE + 0x300: (0xEE19_0F10, _SHOWN),
}
_SET_COUNTERS, _SET_REST, _SHOW = _BLOCKS



class _Theirs(Unicorn):
    """unicorn with PMUSERENR.EN set."""

    def _start(self) -> None:
        super()._start()
        self.started = True
        self.uc.reg_write(arm.UC_ARM_REG_CP_REG, (15, 0, 0, 9, 14, 0, 0, 1))
        for place, (top, registers) in _BLOCKS.items():
            code = (top | n << 12 | opc2 << 5 | crm for n, (_, crm, opc2) in enumerate(registers))
            self.uc.mem_write(place, b"".join(word.to_bytes(4, "little") for word in code))

    def restart(self) -> None:
        """Before the cases of a batch would do it in the middle of one."""
        self.runs = 0
        self._start()

    def set(self, place: int, values: list[int]) -> None:
        self.registers.write([0x10, *values])
        self.uc.emu_start(place, place + 4 * len(values))

    def show(self) -> list[int]:
        self.registers.write([0x10])
        self.uc.emu_start(_SHOW, _SHOW + 4 * len(_SHOWN))
        return [value & 0xFFFF_FFFF for value in self.registers.read()[1 : 1 + len(_SHOWN)]]


class Monitors:
    """Both sides."""

    def __init__(self) -> None:
        self.ours = Ours()
        self.ours.context.words[Slot.COUNTERS] = Counters.MONITORS | Counters.MONITORS_2
        self.theirs = _Theirs()

    def _reset(self) -> None:
        """A new unit here, as there."""
        bus = Bus(self.ours.memory)
        bus.attach_monitors("test", PerformanceMonitorsModel(Port("test", bus.clock, Serial()), 2, IDENTIFICATION))
        device = self.ours.memory.monitors
        assert device is not None
        self.device = device
        self.theirs.started = False

    def run(self, encoding: Encoding, r: random.Random) -> tuple[str, str]:
        """One case: (name of a known difference or "", text of an unexplained one or "")."""
        if self.theirs.runs > 10_000:
            self.theirs.restart()
        if self.theirs.started:
            self._reset()
        word = random_word(r, encoding)
        assert word is not None
        case = random_case(r, encoding, word)
        core = list(case.core)
        core[word >> 12 & 15] = _value(r, encoding.form)
        case = replace(case, core=tuple(core))
        counters = [6, 0xFFFF_FFFF]
        counters += [x for n in range(4) for x in (n, _value(r, "PMXEVTYPER"), _value(r, "PMXEVCNTR"))]
        values = [
            31, r.getrandbits(32), r.getrandbits(32), 0xFFFF_FFFF, r.getrandbits(32),
            r.getrandbits(32), _selection(r), r.getrandbits(6) & ~6,
        ]  # fmt: skip
        for (name, *_), value in zip(_COUNTERS + _SET, counters + values, strict=True):
            self.device.write(getattr(SystemRegister, name), 8, value)
        self.theirs.set(_SET_COUNTERS, counters)
        self.theirs.set(_SET_REST, values)
        counting = self._counts()
        mine, theirs = self.ours.run(case), self.theirs.run(case)
        counting = counting or self._counts()
        if counting and encoding.instruction.name == "MRC" and not mine.trap:
            rt, unsure = word >> 12 & 15, _UNSURE.get(encoding.form, 0)
            mine.core[rt] = mine.core[rt] & ~unsure | theirs.core[rt] & unsure
        known, text = compare(case, mine, theirs, "unicorn")
        if text:
            known, text = _settled(case, mine, theirs, text)
        if text or known or self.theirs.started:
            return known, f"unicorn, exported: {case.describe()}\n  {text}" if text else ""
        return self._compare_states(case, counting, counters + values)

    def _counts(self) -> bool:
        read = self.device.read
        return bool(read(SystemRegister.PMCR, 8) & 1 and read(SystemRegister.PMCNTENSET, 8) >> 31)

    def _compare_states(self, case: Case, counting: bool, values: list[int]) -> tuple[str, str]:
        known = ""
        shown = self.theirs.show()
        for (name, *_), theirs in zip(_SHOWN, shown, strict=True):
            mine = self.device.read(getattr(SystemRegister, name), 8)
            different = mine ^ theirs
            if counting:
                different &= ~_UNSURE.get(name, 0)
            if different and case.encoding.form == "PMSWINC" and name in ("PMXEVCNTR", "PMOVSR"):
                known = HYPERVISORS
            elif different & ~_NEWER.get(name, 0):
                before = " ".join(f"{n}={v:#x}" for (n, *_), v in zip(_COUNTERS + _SET, values, strict=True))
                text = f"{name}: {mine:#x} / {theirs:#x}"
                return "", f"unicorn, exported: {case.describe()}\n  from {before}\n  {text}"
            elif different:
                known = NEWER
        return known, ""


NEWER = "QEMU's PMCR and PMXEVTYPER have bits of ARMv8"
OLD_ITSTATE = "unicorn stops after a coprocessor write at the end of an IT block with the ITSTATE before it"
HYPERVISORS = "unicorn's event counters do not count: HDCR.HPMN is 0, so that all are the hypervisor's"
NO_IDENTIFICATION = "QEMU has no PMCEID0 and PMCEID1 before ARMv8"


def _settled(case: Case, mine: Outcome, theirs: Outcome, text: str) -> tuple[str, str]:
    form = case.encoding.form
    if form in ("PMCEID0", "PMCEID1") and theirs.trap == "UNDEFINED" and not mine.trap:
        return NO_IDENTIFICATION, ""
    if case.encoding.instruction.name == "MCR" and text == f"it: 0x0 / {case.it:#x}":
        return OLD_ITSTATE, ""
    pairs = [(x, y) for x, y in zip(mine.core, theirs.core, strict=True) if x != y]
    if len(pairs) == 1 and not (pairs[0][0] ^ pairs[0][1]) & ~_NEWER.get(form, 0) and text.count(";") == 0:
        return NEWER, ""
    return "", text


def _selection(r: random.Random) -> int:
    return r.choice((0, 1, 2, 3, 4, 5, 30, 31, 31, r.getrandbits(32)))


def _value(r: random.Random, form: str) -> int:
    if form == "PMXEVTYPER":
        return (r.getrandbits(32) & 0xFFFF_0000 if r.getrandbits(1) else 0) | r.choice(KINDS)
    return _selection(r) if form == "PMSELR" else r.choice((0, 1, 0xFFFF_FFFF, 1 << 31, r.getrandbits(32)))
