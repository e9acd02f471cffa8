"""The campaign's VFP and Advanced SIMD classes: batches of cases through the model, unicorn and qemu-arm."""

from __future__ import annotations

import random

from fp_oracle import Case, Here, Oracle, Outcome, Qemu, comparable, explained, random_cases
from isa_campaign import Batch
from retrap.machine.arm.decode import disassemble
from retrap.machine.arm.registry import Encoding


class Runner:
    """Holds the CPUs."""

    def __init__(self, oracles: frozenset[str]) -> None:
        """`oracles`: of "unicorn" and "qemu", those to ask."""
        self.here = Here()
        self.oracles: dict[str, Oracle] = {}
        if "unicorn" in oracles:
            from fp_unicorn import Unicorn

            self.oracles["unicorn"] = Unicorn()
        if "qemu" in oracles:
            self.oracles["qemu"] = Qemu()

    def batch(self, encoding: Encoding, r: random.Random, count: int) -> Batch | None:
        """`count` cases, or None if no word of this encoding is defined."""
        cases = random_cases(encoding, r, count)
        if not cases:
            return None
        ours = [self.here.run(case) for case in cases]
        batch = Batch()
        for name, oracle in self.oracles.items():
            pairs = [pair for pair in zip(cases, ours, strict=True) if comparable(*pair, oracle)]
            theirs = oracle.run([case for case, _ in pairs])
            batch.compared[name] += len(pairs)
            for (case, mine), other in zip(pairs, theirs, strict=True):
                _note(batch, name, encoding, case, mine, other)
        return batch


def _note(batch: Batch, oracle: str, encoding: Encoding, case: Case, ours: Outcome, theirs: Outcome) -> None:
    difference = ours.difference(theirs)
    if not difference:
        return
    known = explained(case, ours, theirs)
    if known:
        batch.known[known] += 1
    else:
        text = disassemble(case.word, case.thumb)
        batch.unexplained.append(f"{oracle}: {encoding.title}: {text}: {difference}\n{case.describe()}")
