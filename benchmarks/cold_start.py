"""Cold start side by side: retrap without and with its code cache, and unicorn, on code that is run a few times.

    python benchmarks/cold_start.py [--instructions N] [--passes N] [--compiled DIR]

The guest is a generated ARM program of N instructions (functions with loops, branches, loads, stores and calls;
no two functions alike), each function called PASSES times. Every measurement is a new process, and is its
processor time: from the making of the processor on ("run"; definitions and native code are loaded then, if at
all), and of the whole process less that of an interpreter that does nothing ("process": imports and writing the
cache included). The median of `ROUNDS`, after one that is not counted, in which Python keeps what it has made of
the sources. `--compiled` measures a copy that is compiled ahead too (`make compiled`). unicorn is left out where
it is not installed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 5
RAM, CODE, DATA = 0x40000000, 0x10000, 0x800000
ROOT = Path(__file__).resolve().parents[1]


def function(r: random.Random, length: int) -> list[int]:
    """About `length` instructions: straight code, loops of two or three rounds, branches forward."""
    words = [0xE92D40F0, *(0xE3A00000 | n << 12 | r.randrange(256) for n in range(4))]  # push {r4-r7, lr}; mov

    def straight() -> int:
        d, n, m = r.randrange(7), r.randrange(7), r.randrange(7)
        kind = r.randrange(10)
        if kind < 4:  # and … orr, with a constant
            return 0xE2000000 | r.choice((0, 1, 2, 4, 12)) << 21 | n << 16 | d << 12 | r.randrange(4096)
        if kind < 7:  # with a shifted register, some setting flags
            operation = r.choice((0, 1, 2, 4, 5, 12)) << 21 | r.randrange(2) << 20
            return 0xE0000000 | operation | n << 16 | d << 12 | r.randrange(32) << 7 | r.randrange(3) << 5 | m
        if kind < 8:  # ldr from the data page
            return 0xE5980000 | d << 12 | r.randrange(1024) << 2
        if kind < 9:  # str
            return 0xE5880000 | d << 12 | r.randrange(1024) << 2
        return 0xE1500000 | n << 16 | m  # cmp

    while len(words) < length:
        words += [straight() for _ in range(r.randrange(2, 8))]
        if r.random() < 0.3:  # mov r7, #2 …; loop: …; subs r7, r7, #1; bne loop
            words.append(0xE3A07002 | r.randrange(2))
            body = [straight() for _ in range(r.randrange(3, 8))]
            words += [*body, 0xE2577001, 0x1A000000 | (-(len(body) + 3) & 0xFFFFFF)]
        else:  # a branch over a few instructions
            over = [straight() for _ in range(r.randrange(1, 4))]
            words += [r.randrange(14) << 28 | 0x0A000000 | len(over) - 1, *over]
    return [*words, 0xE8BD80F0]  # pop {r4-r7, pc}


def program(instructions: int, passes: int) -> bytes:
    """A caller at CODE, then the functions."""
    r = random.Random(1)
    functions: list[list[int]] = []
    while sum(map(len, functions)) < instructions:
        functions.append(function(r, r.randrange(20, 80)))
    head = [0xE3A08502, 0xE3A09000 | passes]  # mov r8, #DATA; mov r9, #passes
    at = len(head) + len(functions) + 3
    for body in functions:
        here = len(head)
        head.append(0xEB000000 | (at - here - 2) & 0xFFFFFF)
        at += len(body)
    head += [0xE2599001, 0x1A000000 | (-(len(functions) + 3) & 0xFFFFFF), 0xEF000000]
    words = head + [word for body in functions for word in body]
    return struct.pack(f"<{len(words)}I", *words)


def ours(code: bytes, backend_name: str) -> tuple[float, list[int], int]:
    """(Seconds, R0 … R7, instructions)."""
    from retrap.machine.context import ContextArena, Slot
    from retrap.machine.cpu import make_backend
    from retrap.machine.memory import PhysicalMemory
    from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace

    memory = PhysicalMemory([(RAM, 1 << 21)])
    space = AddressSpace(memory)
    memory.write(RAM, code)
    space.map(CODE, RAM, 16, READ | EXECUTE)
    for page in range(0x10000, 0x100000, 0x10000):
        space.map(CODE + page, RAM + page, 16, READ | EXECUTE)
    space.map(DATA, RAM + 0x100000, 16, READ | WRITE)
    context = ContextArena().allocate()
    context.words[Slot.PC], context.words[Slot.SP] = CODE, DATA + 0xFFF0
    start = time.process_time()
    backend = make_backend(backend_name, memory)
    backend.run(context, space, 0, 1 << 40)
    return time.process_time() - start, list(context.words[0:8]), backend.retired


def theirs(code: bytes) -> tuple[float, list[int], int]:
    """The same on unicorn."""
    from unicorn import UC_ARCH_ARM, UC_HOOK_INTR, UC_MODE_ARM, Uc, arm_const

    start = time.process_time()
    engine = Uc(UC_ARCH_ARM, UC_MODE_ARM)
    engine.mem_map(CODE, 1 << 20)
    engine.mem_map(DATA, 1 << 16)
    engine.mem_write(CODE, code)
    engine.reg_write(arm_const.UC_ARM_REG_SP, DATA + 0xFFF0)
    engine.hook_add(UC_HOOK_INTR, lambda uc, *_: uc.emu_stop())
    engine.emu_start(CODE, 0xFFFFFFFE)
    spent = time.process_time() - start
    return spent, [engine.reg_read(arm_const.UC_ARM_REG_R0 + n) for n in range(8)], 0


def child(kind: str, instructions: int, passes: int) -> None:
    """One measurement in a process of its own: prints seconds, registers, instructions."""
    code = program(instructions, passes)
    begun = time.process_time()
    spent, registers, count = theirs(code) if kind == "unicorn" else ours(code, kind)
    # What is done at the end (saving what was compiled) belongs to the process.
    import atexit

    def last() -> None:
        os.write(1, f"{spent} {time.process_time() - begun} {count} {registers}\n".encode())

    atexit._run_exitfuncs()
    last()
    os._exit(0)


def measure(
    kind: str, options: argparse.Namespace, path: str, cache: str, rounds: int = ROUNDS
) -> tuple[float, float, str]:
    """Medians of (run, process) in seconds, and what came out."""
    environment = {**os.environ, "RETRAP_CACHE": cache, "PYTHONPATH": path}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = options.bytecode
    command = [sys.executable, __file__, "--child", kind, "--instructions", str(options.instructions)]
    runs, wholes, result = [], [], ""
    for _ in range(rounds):
        done = subprocess.run(
            [*command, "--passes", str(options.passes)], env=environment, check=True, capture_output=True, text=True
        )
        spent, whole, result = done.stdout.strip().split(" ", 2)
        runs.append(float(spent))
        wholes.append(float(whole))
    return statistics.median(runs), statistics.median(wholes), result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=int, default=20_000)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--compiled", type=Path, metavar="DIR", help="a copy that is compiled ahead")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.instructions, options.passes)
        return
    copies = {"plain": ""}
    if options.compiled is not None:
        copies["compiled ahead"] = str(options.compiled.resolve())
    say: Callable[[str], int] = sys.stdout.write
    with tempfile.TemporaryDirectory() as options.bytecode:
        table(options, copies, say)


def table(options: argparse.Namespace, copies: dict[str, str], say: Callable[[str], int]) -> None:
    """Measure and print the rows."""
    say(f"{options.instructions:,} instructions, {options.passes} passes; milliseconds of processor time\n")
    say(f"{'':36}{'run':>10}{'process':>10}{'run / unicorn':>16}{'process / unicorn':>20}\n")
    base: tuple[float, float] | None = None
    outcomes = set()

    def row(title: str, found: tuple[float, float, str]) -> None:
        run, whole, result = found
        outcomes.add(result.split(" ", 1)[1])
        ratios = f"{run / base[0]:16.2f}{whole / base[1]:20.2f}" if base else ""
        say(f"{title:36}{run * 1e3:10.1f}{whole * 1e3:10.1f}{ratios}\n")

    try:
        import unicorn  # noqa: F401
    except ImportError:
        say("unicorn is not installed\n")
    else:
        measure("unicorn", options, "", "off", 1)
        found = measure("unicorn", options, "", "off")
        base = found[:2]
        row("unicorn", found)
    for name, path in copies.items():
        measure("auto", options, path, "off", 1)
        row(f"evaluator, {name}", measure("evaluate", options, path, "off"))
        row(f"no cache, {name}", measure("auto", options, path, "off"))
        with tempfile.TemporaryDirectory() as cache:
            row(f"filling the cache, {name}", measure("auto", options, path, cache, 1))
            row(f"cache, {name}", measure("auto", options, path, cache))
    if len(outcomes) != 1:
        raise SystemExit(f"results differ: {outcomes}")


if __name__ == "__main__":
    main()
