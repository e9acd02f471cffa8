"""Guest speed side by side: retrap, qemu-arm user mode, and unicorn, on the same binaries in one run.

    python benchmarks/guest_speed.py [--quick] [NAME ...]

Needs gcc-arm-none-eabi; qemu-arm and the Python package unicorn if they are to be compared with. Speeds are in
millions of guest instructions per second of processor time; the number of instructions is retrap's exact count.
Start-up of qemu-arm (measured with an almost empty run) is taken off; of each program the best of `ROUNDS` runs
counts. "first" is the first run with nothing compiled, compilation included.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("RETRAP_CACHE", "off")

from retrap.machine.context import ContextArena, Slot
from retrap.machine.cpu import make_backend
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import TrapKind

SOURCE = Path(__file__).with_name("guests") / "guests.c"
RAM = 0x40000000
ROUNDS = 3
PROGRAMS = {
    "integer loop": (0, 40_000),
    "crc": (1, 40_000),
    "strings": (2, 80_000),
    "sort": (3, 2_500),
    "sieve": (4, 5_000),
    "matrix": (5, 1_500),
    "state machine": (6, 5_000),
    "recursion": (7, 15_000),
}
FLOATING = {"float hard": (8, 4_000), "float soft": (8, 1_000)}
STATES = {"arm": "-marm", "thumb": "-mthumb"}


def build(folder: Path, name: str, program: int, rounds: int, state: str) -> Path:
    """An ELF for qemu-arm and for the loaders below."""
    path = folder / f"{name.replace(' ', '-')}-{state}-{rounds}.elf"
    floating = ["-mfloat-abi=hard", "-mfpu=vfpv3-d16"] if "hard" in name else ["-mfloat-abi=soft"]
    command = ["arm-none-eabi-gcc", "-O2", "-march=armv7-a", *floating, STATES[state], "-ffreestanding"]
    command += ["-nostdlib", "-fno-tree-loop-distribute-patterns"]
    command += [f"-DPROGRAM={program}", f"-DROUNDS={rounds}", str(SOURCE)]
    command += ["-Wl,-Ttext=0x10000", "-Wl,--build-id=none", "-o", str(path), "-lgcc"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return path


def segments(path: Path) -> tuple[int, list[tuple[int, bytes, int]]]:
    """Entry, and (address, bytes, size in memory) of what is loaded."""
    data = path.read_bytes()
    entry, table = struct.unpack_from("<II", data, 24)
    size, count = struct.unpack_from("<HH", data, 42)
    found = []
    for n in range(count):
        kind, offset, address, _, stored, total = struct.unpack_from("<6I", data, table + n * size)
        if kind == 1:
            found.append((address, data[offset : offset + stored], total))
    return entry, found


def ours(path: Path, backend_name: str = "llvm", rounds: int = ROUNDS) -> tuple[int, int, list[float]]:
    """(Result, instructions, seconds of each run) on this package's CPU."""
    memory = PhysicalMemory([(RAM, 1 << 20)])
    space = AddressSpace(memory)
    space.map(0, RAM, 20, READ | WRITE | EXECUTE)
    entry, parts = segments(path)
    backend = make_backend(backend_name, memory)
    context = ContextArena().allocate()
    words, times, retired = context.words, [], 0
    for _ in range(rounds):
        for address, data, total in parts:
            if not times or (address >> 12) != (entry >> 12):
                memory.write(RAM + address, data.ljust(total, b"\0"))
        words[Slot.FPEXC_EN] = 1
        words[Slot.PC], words[Slot.THUMB] = entry & ~1, entry & 1
        start = time.process_time()
        trap = backend.run(context, space, 0, 1 << 40)
        times.append(time.process_time() - start)
        retired = backend.retired
        if trap.kind is not TrapKind.SVC:
            raise SystemExit(f"{path.name}: {trap} at {words[Slot.PC]:#x}")
    return words[0], retired, times


def qemu(path: Path, rounds: int = ROUNDS) -> tuple[int, float]:
    """(Exit status, best seconds) under qemu-arm."""
    best = math.inf
    status = 0
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = subprocess.run(["qemu-arm", "-cpu", "cortex-a15", str(path)], check=False).returncode
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return status, best


def unicorn(path: Path) -> tuple[int, float]:
    """(Result, seconds) under unicorn; the second of two runs, its code is translated then."""
    from unicorn import UC_ARCH_ARM, UC_HOOK_INTR, UC_MODE_ARM, Uc
    from unicorn.arm_const import UC_ARM_REG_C1_C0_2, UC_ARM_REG_FPEXC, UC_ARM_REG_R0

    engine = Uc(UC_ARCH_ARM, UC_MODE_ARM)
    engine.mem_map(0, 1 << 20)
    engine.reg_write(UC_ARM_REG_C1_C0_2, 0xF << 20)
    engine.reg_write(UC_ARM_REG_FPEXC, 1 << 30)
    entry, parts = segments(path)

    def stop(uc: Any, *_: object) -> None:
        uc.emu_stop()

    engine.hook_add(UC_HOOK_INTR, stop)
    spent = 0.0
    for n in range(2):
        for address, data, total in parts:
            if n == 0 or (address >> 12) != (entry >> 12):
                engine.mem_write(address, data.ljust(total, b"\0"))
        start = time.process_time()
        engine.emu_start(entry, 0xFFFFFFFE)
        spent = time.process_time() - start
    result: int = engine.reg_read(UC_ARM_REG_R0)
    return result, spent


def mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true", help="a tenth of the length")
    parser.add_argument("--no-unicorn", action="store_true")
    options = parser.parse_args()
    have_qemu = shutil.which("qemu-arm") is not None
    have_unicorn = not options.no_unicorn
    ratios: dict[str, list[float]] = {"qemu": [], "unicorn": []}
    say = sys.stdout.write
    say(f"{'program':22}{'Minstr':>8}{'retrap':>9}{'first':>8}{'qemu-arm':>10}{'unicorn':>9}{'/qemu':>8}{'/unicorn':>9}\n")
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        idle = qemu(build(folder, "idle", 0, 0, "arm"))[1] if have_qemu else 0.0
        for name, (program, rounds) in {**PROGRAMS, **FLOATING}.items():
            if options.names and name not in options.names:
                continue
            for state in STATES:
                path = build(folder, name, program, rounds // (10 if options.quick else 1), state)
                result, count, times = ours(path)
                speed = count / min(times) / 1e6
                line = f"{name + ' ' + state:22}{count / 1e6:8.1f}{speed:9.0f}{count / times[0] / 1e6:8.0f}"
                other = {}
                if have_qemu:
                    status, spent = qemu(path)
                    if status != result & 0xFF:
                        raise SystemExit(f"{path.name}: {result & 0xFF:#x} here, {status:#x} under qemu-arm")
                    other["qemu"] = count / max(spent - idle, 1e-3) / 1e6
                if have_unicorn:
                    theirs, spent = unicorn(path)
                    if theirs != result:
                        raise SystemExit(f"{path.name}: {result:#x} here, {theirs:#x} under unicorn")
                    other["unicorn"] = count / spent / 1e6
                for key, width in (("qemu", 10), ("unicorn", 9)):
                    line += f"{other.get(key, math.nan):{width}.0f}"
                for key, width in (("qemu", 8), ("unicorn", 9)):
                    if key in other:
                        ratios[key].append(speed / other[key])
                        line += f"{speed / other[key]:{width}.2f}"
                say(line + "\n")
    say("geometric mean of the ratios: " + ", ".join(f"{mean(v):.2f} x {k}" for k, v in ratios.items() if v) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
