"""Guest speed side by side: retrap, qemu-arm user mode, unicorn and icicle-emu, on the same binaries in one run.

    python benchmarks/guest_speed.py [--quick] [--rounds N] [--markdown] [NAME ...]

Needs gcc-arm-none-eabi; qemu-arm and the Python packages unicorn and icicle-emu (`pip install icicle-emu`) as far
as they are to be compared with: what is missing is left out, and said. Speeds are in millions of guest instructions
per second of processor time; the number of instructions is retrap's exact count, and the programs' results must be
the same everywhere; "-" is for what an engine does not run. The engines take turns, and of each program the best
of N rounds counts (the slow ones do two).
An engine that lives in this process keeps its translations from round to round; qemu-arm starts anew each time, and
an almost empty run of it is taken off. "first" is retrap's first round, compilation included.
"""

from __future__ import annotations

import argparse
import importlib.util
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

os.environ.setdefault("RETRAP_CACHE", "off")

from retrap.machine.context import ContextArena, Slot
from retrap.machine.cpu import make_backend
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import TrapKind

SOURCE = Path(__file__).with_name("guests") / "guests.c"
RAM = 0x40000000
ROUNDS = 5
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
FLOATING = {"float hard": (8, 150_000), "float soft": (8, 6_000)}
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


class CannotError(Exception):
    """An engine does not run the program."""


class Retrap:
    """This package's CPU."""

    def __init__(self, path: Path, backend: str = "llvm") -> None:
        self.memory = PhysicalMemory([(RAM, 1 << 20)])
        self.space = AddressSpace(self.memory)
        self.space.map(0, RAM, 20, READ | WRITE | EXECUTE)
        self.entry, self.parts = segments(path)
        self.backend = make_backend(backend, self.memory)
        self.context = ContextArena().allocate()
        self.fresh = True
        self.retired = 0

    def run(self) -> tuple[int, float]:
        """(Result, seconds) of one run from the start; its code is not written again."""
        words = self.context.words
        for address, data, total in self.parts:
            if self.fresh or (address >> 12) != (self.entry >> 12):
                self.memory.write(RAM + address, data.ljust(total, b"\0"))
        self.fresh = False
        words[Slot.FPEXC_EN] = 1
        words[Slot.PC], words[Slot.THUMB] = self.entry & ~1, self.entry & 1
        start = time.process_time()
        trap = self.backend.run(self.context, self.space, 0, 1 << 40)
        spent = time.process_time() - start
        self.retired = self.backend.retired
        if trap.kind is not TrapKind.SVC:
            raise SystemExit(f"{trap} at {words[Slot.PC]:#x}")
        return words[0], spent


class Qemu:
    """qemu-arm; its result is an exit status."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self) -> tuple[int, float]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = subprocess.run(["qemu-arm", "-cpu", "cortex-a15", str(self.path)], check=False).returncode
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return status, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


class Unicorn:
    def __init__(self, path: Path) -> None:
        from unicorn import UC_ARCH_ARM, UC_HOOK_INTR, UC_MODE_ARM, Uc
        from unicorn.arm_const import UC_ARM_REG_C1_C0_2, UC_ARM_REG_FPEXC, UC_ARM_REG_R0

        self.result = UC_ARM_REG_R0
        self.engine = engine = Uc(UC_ARCH_ARM, UC_MODE_ARM)
        engine.mem_map(0, 1 << 20)
        engine.reg_write(UC_ARM_REG_C1_C0_2, 0xF << 20)
        engine.reg_write(UC_ARM_REG_FPEXC, 1 << 30)
        engine.hook_add(UC_HOOK_INTR, lambda uc, *_: uc.emu_stop())
        self.entry, self.parts = segments(path)
        self.fresh = True

    def run(self) -> tuple[int, float]:
        for address, data, total in self.parts:
            if self.fresh or (address >> 12) != (self.entry >> 12):
                self.engine.mem_write(address, data.ljust(total, b"\0"))
        self.fresh = False
        start = time.process_time()
        self.engine.emu_start(self.entry, 0xFFFFFFFE)
        spent = time.process_time() - start
        return int(self.engine.reg_read(self.result)), spent


class Icicle:
    """icicle-emu. It cannot be started in Thumb state: two ARM instructions behind the program go there."""

    STUB = 0xF0000

    def __init__(self, path: Path) -> None:
        import icicle

        self.syscall = icicle.ExceptionCode.Syscall
        self.engine = icicle.Icicle("armv7a", jit=True)
        self.engine.mem_map(0, 1 << 20, icicle.MemoryProtection.ExecuteReadWrite)
        self.entry, self.parts = segments(path)
        # ldr r0, [pc]; bx r0
        self.engine.mem_write(self.STUB, struct.pack("<3I", 0xE59F0000, 0xE12FFF10, self.entry))
        self.fresh = True

    def run(self) -> tuple[int, float]:
        engine = self.engine
        for address, data, total in self.parts:
            if self.fresh or (address >> 12) != (self.entry >> 12):
                engine.mem_write(address, data.ljust(total, b"\0"))
        if "fpexc" in engine.reg_list():
            engine.reg_write("fpexc", 1 << 30)
        if not self.fresh:
            engine.reg_write("ISAModeSwitch", 0)
            engine.reg_write("TB", 0)
        self.fresh = False
        engine.pc = self.STUB
        start = time.process_time()
        status = engine.run()
        spent = time.process_time() - start
        if engine.exception_code != self.syscall:
            raise CannotError(f"{status}, {engine.exception_code} at {engine.pc:#x}")
        return int(engine.reg_read("r0")), spent


OTHERS = {"qemu-arm": Qemu, "unicorn": Unicorn, "icicle": Icicle}
SLOW = ("unicorn", "icicle")


def available(name: str) -> bool:
    """Whether an engine is on this machine."""
    if name == "qemu-arm":
        return shutil.which(name) is not None
    return importlib.util.find_spec(name) is not None


def measure(path: Path, others: list[str], rounds: int, idle: float) -> tuple[int, float, float, dict[str, float]]:
    """(Instructions, retrap's speed, its first run's, others' speeds) of one program."""
    own = Retrap(path)
    engines = {name: OTHERS[name](path) for name in others}
    result, first = own.run()
    best, spent = math.inf, dict.fromkeys(others, math.inf)
    for n in range(rounds):
        again, seconds = own.run()
        if again != result:
            raise SystemExit(f"{path.name}: {again:#x}, {result:#x} before")
        best = min(best, seconds)
        for name, engine in engines.items():
            if (n >= 2 and name in SLOW) or math.isnan(spent[name]):
                continue
            try:
                theirs, seconds = engine.run()
            except CannotError:
                spent[name] = math.nan
                continue
            if theirs != (result & 0xFF if name == "qemu-arm" else result):
                raise SystemExit(f"{path.name}: {result:#x} here, {theirs:#x} under {name}")
            spent[name] = min(spent[name], max(seconds - idle, 1e-4) if name == "qemu-arm" else seconds)
    count = own.retired / 1e6
    return own.retired, count / best, count / first, {name: count / seconds for name, seconds in spent.items()}


def mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true", help="a tenth of the length")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--without", action="append", default=[], choices=list(OTHERS), help="leave an engine out")
    parser.add_argument("--markdown", action="store_true", help="print the table for a document")
    options = parser.parse_args()
    others = [name for name in OTHERS if name not in options.without and available(name)]
    say = sys.stdout.write
    for name in OTHERS:
        if name not in others and name not in options.without:
            say(f"{name} is not here\n")
    titles = ["program", "Minstr", "retrap", "first", *others, *(f"/ {name}" for name in others)]
    row, widths = _text_row, [22, *[max(9, len(title) + 2) for title in titles[1:]]]
    if options.markdown:
        row = _markdown_row
    say(row(titles, widths))
    if options.markdown:
        say("|---" + "|---:" * (len(titles) - 1) + "|\n")
    ratios: dict[tuple[str, bool], list[float]] = {}
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        empty = Qemu(build(folder, "idle", 0, 0, "arm"))
        idle = min(empty.run()[1] for _ in range(5)) if "qemu-arm" in others else 0.0
        for name, (program, length) in {**PROGRAMS, **FLOATING}.items():
            if options.names and name not in options.names:
                continue
            for state in STATES:
                path = build(folder, name, program, length // (10 if options.quick else 1), state)
                count, speed, first, theirs = measure(path, others, options.rounds, idle)
                cells = [f"{name} {state}", f"{count / 1e6:.0f}", f"{speed:.0f}", f"{first:.0f}"]
                cells += ["-" if math.isnan(theirs[other]) else f"{theirs[other]:.0f}" for other in others]
                for other in others:
                    if math.isnan(theirs[other]):
                        cells.append("-")
                        continue
                    cells.append(f"{speed / theirs[other]:.2f}")
                    ratios.setdefault((other, name in FLOATING), []).append(speed / theirs[other])
                say(row(cells, widths))
                sys.stdout.flush()
    for other in others:
        whole, floating = ratios.get((other, False), []), ratios.get((other, True), [])
        say(f"x {other}, geometric mean: {mean(whole):.2f} integer, {mean(floating):.2f} floating point, ")
        say(f"{mean(whole + floating):.2f} all; least {min(whole + floating):.2f}\n")
    return 0


def _text_row(cells: list[str], widths: list[int]) -> str:
    return cells[0].ljust(widths[0]) + "".join(
        cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)
    ) + "\n"  # fmt: skip


def _markdown_row(cells: list[str], _: list[int]) -> str:
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    sys.exit(main())
