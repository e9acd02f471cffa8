"""The campaign's integer classes: batches of cases through the model, unicorn and qemu-arm."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import qemu_cpu
from isa_differences import compare
from isa_oracle import Case, Ours, Outcome, random_case, random_word
from retrap.machine.arm.registry import Encoding

STATES_PER_WORD = 4


@dataclass
class Batch:
    """What some cases of one class came to."""

    compared: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)


class Runner:
    """Holds the CPUs."""

    def __init__(self, oracles: frozenset[str]) -> None:
        """`oracles`: of "unicorn" and "qemu", those to ask."""
        self.ours = Ours()
        self.unicorn = self.monitors = None
        if "unicorn" in oracles:
            from monitors_oracle import Monitors
            from unicorn_cpu import Unicorn

            self.unicorn, self.monitors = Unicorn(), Monitors()
        self.qemu = qemu_cpu.Qemu() if "qemu" in oracles else None

    def batch(self, encoding: Encoding, r: random.Random, count: int) -> Batch | None:
        """`count` cases, or None if no word of this encoding is defined."""
        made: list[tuple[Case, Outcome]] = []
        while len(made) < count:
            word = random_word(r, encoding)
            if word is None:
                return None
            for _ in range(min(STATES_PER_WORD, count - len(made))):
                case = random_case(r, encoding, word)
                made.append((case, self.ours.run(case)))
        batch = Batch()
        # unicorn takes IT and what follows for one instruction.
        if self.unicorn is not None and encoding.instruction.name != "IT":
            for case, mine in made:
                self._note(batch, "unicorn", case, mine, self.unicorn.run(case))
            if encoding.form.startswith("PM") and self.monitors is not None:
                # The same once more, where the kernel exports the performance monitors.
                for _ in range(count):
                    batch.compared["unicorn"] += 1
                    known, text = self.monitors.run(encoding, r)
                    batch.known.update([known] if known else [])
                    batch.unexplained += [text] if text else []
        if self.qemu is not None:
            taken = [(case, mine) for case, mine in made if self.qemu.takes(case, mine)]
            if taken:
                for (case, mine), theirs in zip(taken, self.qemu.run(taken), strict=True):
                    self._note(batch, "qemu", case, mine, theirs)
        return batch

    def _note(self, batch: Batch, oracle: str, case: Case, mine: Outcome, theirs: Outcome) -> None:
        batch.compared[oracle] += 1
        known, text = compare(case, mine, theirs, oracle)
        if known:
            batch.known[known] += 1
        if text:
            batch.unexplained.append(f"{oracle}: {case.describe()}\n  {text}")
