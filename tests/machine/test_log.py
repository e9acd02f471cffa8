"""The instruction log: both backends write the same words, namely what retired."""

from __future__ import annotations

import struct

import pytest
from llvm_pair import CODE, RAM, Machine, Pair
from retrap.machine.context import ContextArena, Slot
from retrap.machine.cpu import make_backend
from retrap.machine.evaluate import Evaluator
from retrap.machine.llvm.backend import LlvmBackend
from retrap.machine.log import InstructionLog, LoggedBackend, LoggedEvaluator
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, AddressSpace
from retrap.machine.traps import TrapKind


def collecting(capacity: int) -> tuple[InstructionLog, list[int]]:
    log, found = InstructionLog(capacity), []
    log.full = lambda: found.extend(log.words[: log.at])
    return log, found


class Logged(Pair):
    """A pair of machines, both with a log."""

    def __init__(self, seed: int, capacity: int) -> None:
        super().__init__(seed)
        self.logs = []
        for machine in self.sides:
            log, found = collecting(capacity)
            self.logs.append((log, found))
            inner = (
                LoggedEvaluator(Evaluator(machine.memory), log)
                if machine.llvm is None
                else LlvmBackend(machine.memory, hot=2, period=500, samples=1, cache=False, log=log)
            )
            machine.backend = LoggedBackend(inner, log)
            for space in machine.spaces:
                space.listener = None

    def run(self, instructions: int) -> None:
        for _ in range(instructions // 40):
            budget = self.r.choice((1, 3, 17, 100, 400))
            traps = [self.whole(machine, budget) for machine in self.sides]
            self.compare(traps[0], traps[1], "logged")
            self.resume(traps[0])

    def whole(self, machine: Machine, budget: int):
        """Run through the early ends."""
        end = machine.retired + budget
        while True:
            trap = machine.run(self.space, end - machine.retired)
            if trap.kind is not TrapKind.INTERRUPT or machine.retired == end:
                return trap


@pytest.mark.parametrize("seed", range(12))
def test_both_backends_log_what_retires(seed: int) -> None:
    pair = Logged(seed, capacity=256)
    pair.random_program()
    pair.registers()
    pair.jump()
    for _ in range(6):
        pair.run(1500)
        pair.disturb()
    words = [[*found, *log.words[: log.at]] for log, found in pair.logs]
    assert len(words[0]) == pair.sides[0].retired > 100
    assert words[0] == words[1]


@pytest.mark.parametrize("backend", ["evaluate", "auto"])
def test_a_loop_is_logged_across_full_buffers(backend: str) -> None:
    log, found = collecting(1000)
    memory = PhysicalMemory([(RAM, 1 << 16)])
    memory.write(RAM, struct.pack("<5I", 0xE3A00000, 0xE0800005, 0xE2555001, 0x1AFFFFFC, 0xEF000000))
    space = AddressSpace(memory)
    space.map(CODE, RAM, 12, READ | EXECUTE)
    made = make_backend(backend, memory, log=log)
    context = ContextArena().allocate()
    context.words[5], context.words[Slot.PC] = 5000, CODE
    retired = 0
    while True:
        trap = made.run(context, space, retired, 1 << 40)
        retired = made.retired
        if trap.kind is TrapKind.SVC:
            break
    found.extend(log.words[: log.at])
    loop = [CODE + 4, CODE + 8, CODE + 12]
    assert found == [CODE, *(loop * 5000), CODE + 16]
    assert retired == len(found) == 15002
