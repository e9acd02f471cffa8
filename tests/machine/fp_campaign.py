"""The campaign's VFP and Advanced SIMD classes: batches of cases through the model, unicorn and qemu-arm."""

from __future__ import annotations

import random

import fp_qemu
from fp_oracle import Here, Oracle, Qemu, Unicorn, differences, random_cases
from isa_campaign import Batch
from retrap.machine.arm.registry import Encoding


class Runner:
    """Holds the CPUs."""

    def __init__(self) -> None:
        self.here = Here()
        self.oracles: dict[str, Oracle] = {"unicorn": Unicorn()}
        if fp_qemu.available():
            self.oracles["qemu"] = Qemu()

    def batch(self, encoding: Encoding, r: random.Random, count: int) -> Batch | None:
        """`count` cases (fewer where hardly any word is defined), or None if there are none."""
        cases = random_cases(encoding, r, count)
        if not cases:
            return None
        batch = Batch()
        for name, oracle in self.oracles.items():
            batch.compared[name] = len(cases)
            batch.unexplained += [f"{name}: {text}" for text in differences(encoding, cases, self.here, oracle)]
        return batch
