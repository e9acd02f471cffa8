"""Compiled programs from start to end: output, exit status and exact instruction counts, as qemu-arm gave them.

The executables are built from `programs/*.c` by `programs.py --record`, which also builds many more.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from linux_process import Died, Process, run

KEPT = Path(__file__).with_name("programs") / "kept"
RESULTS = json.loads((KEPT / "results.json").read_text())


EVALUATED = ("integer-thumb-O2", "kernels-thumb-O2", "floating-vfp-arm-O2", "floating-neon-thumb-O2")


@pytest.mark.parametrize(
    ("name", "backend"), [(n, "auto") for n in sorted(RESULTS)] + [(n, "evaluate") for n in EVALUATED]
)
def test_gives_the_same_as_elsewhere(name: str, backend: str) -> None:
    done = run(KEPT / f"{name}.elf", backend=backend)
    expected = RESULTS[name]
    assert done.output.decode() == expected["output"]
    assert done.status == expected["status"]
    assert done.retired == expected["retired"]


def test_stops_at_any_count_and_goes_on() -> None:
    """Budgets that end anywhere change nothing."""
    name = "floating-vfp-thumb-O2"
    process = Process(KEPT / f"{name}.elf")
    limits = [1, 2, 3, 10, 1000, 1001, 12345]
    for limit in limits:
        with pytest.raises(Died, match="does not end"):
            process.run(limit)
        assert process.cpu.retired == limit
    assert process.run().output.decode() == RESULTS[name]["output"]
    assert process.cpu.retired == RESULTS[name]["retired"]
