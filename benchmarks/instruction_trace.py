"""The address of every instruction: retrap's instruction log into a file, and unicorn's code hook in Python.

    python benchmarks/instruction_trace.py [--rounds N]

One guest loop (ARM: a call, a load, a store, a conditional branch; eight instructions a round), in one process,
processor time, best of three. retrap writes the compressed file of `boot --instructions`; unicorn's hook appends
each address to a list. The addresses are compared.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["RETRAP_CACHE"] = "off"

from retrap.machine.context import ContextArena, Slot
from retrap.machine.cpu import make_backend
from retrap.machine.log import InstructionLog
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import TrapKind
from retrap.tools.build import description
from retrap.traces.instructions import InstructionReader, InstructionWriter

RAM, CODE, DATA = 0x40000000, 0x10000, 0x20000
# loop: bl f; subs r5, r5, #1; bne loop; svc 0 — f: ldr r1, [r4]; add r1, r1, r5; str r1, [r4]; cmp r1, #0; bx lr
GUEST = struct.pack(
    "<9I", 0xEB000002, 0xE2555001, 0x1AFFFFFC, 0xEF000000,
    0xE5941000, 0xE0811005, 0xE5841000, 0xE3510000, 0xE12FFF1E,
)  # fmt: skip
TIMES = 3


def ours(rounds: int, file: Path) -> tuple[float, int]:
    """(Seconds, instructions) of a run that is written to a file."""
    memory = PhysicalMemory([(RAM, 1 << 16)])
    memory.write(RAM, GUEST)
    space = AddressSpace(memory)
    space.map(CODE, RAM, 12, READ | EXECUTE)
    space.map(DATA, RAM + 0x1000, 12, READ | WRITE)
    log, writer = InstructionLog(), InstructionWriter(file, {})

    def full() -> None:
        writer.stretch(0, log.at)
        writer.frame(log.words[: log.at])

    log.full = full
    backend = make_backend("auto", memory, log=log)
    context = ContextArena().allocate()
    words = context.words
    words[4], words[5], words[Slot.PC] = DATA, rounds, CODE
    start = time.process_time()
    retired = 0
    while backend.run(context, space, retired, 1 << 40).kind is not TrapKind.SVC:
        retired = backend.retired
    full()
    writer.close()
    return time.process_time() - start, backend.retired


def theirs(rounds: int) -> tuple[float, list[int]]:
    """(Seconds, addresses) with unicorn."""
    from unicorn import UC_ARCH_ARM, UC_HOOK_CODE, UC_MODE_ARM, Uc, arm_const

    engine = Uc(UC_ARCH_ARM, UC_MODE_ARM)
    engine.mem_map(CODE, 0x1000)
    engine.mem_map(DATA, 0x1000)
    engine.mem_write(CODE, GUEST)
    engine.reg_write(arm_const.UC_ARM_REG_R4, DATA)
    engine.reg_write(arm_const.UC_ARM_REG_R5, rounds)
    found: list[int] = []

    def seen(uc: Any, address: int, size: int, data: object) -> None:
        found.append(address)

    engine.hook_add(UC_HOOK_CODE, seen)
    start = time.process_time()
    engine.emu_start(CODE, CODE + 12)
    return time.process_time() - start, found


def main() -> None:
    """Print both speeds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4_000_000)
    rounds = parser.parse_args().rounds
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace"
        runs = [ours(rounds, file) for _ in range(TIMES)]
        seconds, count = min(runs)
        say(f"retrap ({description()}): {count / seconds / 1e6:8.1f} million addresses/s, ")
        say(f"{file.stat().st_size / count:.5f} bytes each in the file\n")
        try:
            fewer = max(rounds // 100, 1000)
            hooked = [theirs(fewer) for _ in range(TIMES)]
        except ImportError:
            say("unicorn is not installed\n")
            return
        spent, addresses = min(hooked)
        say(f"unicorn, UC_HOOK_CODE:  {len(addresses) / spent / 1e6:8.3f} million addresses/s\n")
        say(f"ratio: {count / seconds / (len(addresses) / spent):.0f}\n")
        _, short = ours(fewer, file)
        with InstructionReader(file) as reader:
            listed = [word for words, _ in reader.frames() for word in words]
    if listed[:-1] != addresses or len(listed) != short:
        raise SystemExit("the addresses differ")


if __name__ == "__main__":
    main()
