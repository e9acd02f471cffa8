"""Every integer encoding against unicorn: a few random words on random states. The campaign does many more."""

from __future__ import annotations

import random

import pytest
from isa_campaign import Runner
from retrap.machine.arm.decode import all_encodings
from retrap.machine.arm.registry import Encoding

CASES = 8

INTEGER = [
    encoding
    for encoding in all_encodings()
    if not encoding.instruction.definition.__module__.rpartition(".")[2].startswith(("vfp", "neon"))
]


@pytest.fixture(scope="module")
def runner() -> Runner:
    pytest.importorskip("unicorn")
    return Runner(frozenset(["unicorn"]))


@pytest.mark.parametrize("encoding", INTEGER, ids=str)
def test_agrees_with_unicorn(encoding: Encoding, runner: Runner) -> None:
    batch = runner.batch(encoding, random.Random(encoding.title), CASES)
    assert batch is not None
    assert batch.unexplained == []
