"""What a system call costs end to end: the mix of seL4's own test suite, made by a guest, in plain Python and
compiled ahead, with and without a trace.

    python benchmarks/mix.py [--rounds N] [--compiled DIR]

A root task (`guests/mix.c`, with the samples' runtime) makes the calls of the suite in its proportions, 237 a
round. Everything counts: the guest's instructions, the way from the trap into the kernel and back, what page
tables have to follow, cleared frames, and the trace with its compression and digests. Processor time of whole
processes with many rounds less those with few, so that starting does not count; the least of `TURNS`, the copies
in turn. Needs gcc-arm-none-eabi.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = ROOT / "samples" / "runtime"
COMPILER = "arm-none-eabi-gcc"
FEW = 50
TURNS = 5


def build(folder: Path) -> Path:
    """The root task."""
    header = [sys.executable, "-m", "retrap.kernel.abi.header", "-k", "16.0.0", "-o", str(folder / "sel4.h")]
    subprocess.run(header, check=True)
    image = folder / "mix.elf"
    sources = [ROOT / "benchmarks" / "guests" / "mix.c", RUNTIME / "start.S"]
    sources += [RUNTIME / f"{name}.c" for name in ("root", "console", "objects")]
    flags = ["-std=gnu11", "-march=armv7-a", "-mfloat-abi=soft", "-marm", "-Os", "-ffreestanding", "-fno-pic"]
    flags += ["-fno-tree-loop-distribute-patterns", "-mno-unaligned-access", f"-I{RUNTIME}", f"-I{folder}"]
    link = ["-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-z,max-page-size=0x1000"]
    link.append(f"-Wl,-T,{RUNTIME / 'image.ld'}")
    command = [COMPILER, *flags, *link, "-o", str(image), *map(str, sources), "-lgcc"]
    subprocess.run(command, check=True)
    return image


def seconds(path: str, arguments: list[str]) -> tuple[float, int]:
    """(Processor time, traps) of one run, in a new process."""
    code = "from retrap.tools.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": path}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, "boot", *arguments, "--stats"], env=environment, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    (traps,) = (line.split()[-1] for line in done.stderr.splitlines() if line.startswith("retrap: traps:"))
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, int(traps.replace(",", ""))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--compiled", type=Path, metavar="DIR", help="a copy that is compiled ahead")
    options = parser.parse_args()
    if shutil.which(COMPILER) is None:
        sys.stdout.write(f"{COMPILER} is not installed: nothing to measure\n")
        return
    copies = {"plain Python": ""}
    if options.compiled is not None:
        copies["compiled ahead"] = str(options.compiled.resolve())
    with tempfile.TemporaryDirectory() as folder:
        image = build(Path(folder))
        kinds: dict[str, list[str]] = {"": [], "recorded": ["-o", str(Path(folder) / "mix.rtr")]}
        least: dict[tuple[str, str, int], tuple[float, int]] = {}
        for _ in range(TURNS):
            for name, path in copies.items():
                for kind, more in kinds.items():
                    for rounds in (FEW, options.rounds):
                        found = seconds(path, [str(image), "--arguments", f"rounds={rounds}", *more])
                        key = name, kind, rounds
                        least[key] = min(least.get(key, found), found)
    sys.stdout.write("microseconds of processor time per system call, end to end\n")
    for name in copies:
        for kind in kinds:
            (few, base), (many, traps) = least[name, kind, FEW], least[name, kind, options.rounds]
            title = f"{name}, {kind}" if kind else name
            sys.stdout.write(f"{title:<30}{(many - few) / (traps - base) * 1e6:8.2f}\n")


if __name__ == "__main__":
    main()
