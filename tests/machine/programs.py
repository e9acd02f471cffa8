"""Whole programs, built here by cross compilers in many ways, run on the CPU and under qemu-arm.

    python tests/machine/programs.py [--backend evaluate|llvm] [--only NAME] [--libraries] [--record]

Output, exit status and, for the programs without a C library, the number of instructions (which `qemu-arm
-singlestep` counts one by one) must be equal; so must be the outputs of programs that were built from the same
source for the same results. `--libraries` adds real ones (see `libraries.py`), `--record` writes the executables
and results that the tests keep. Compilers and sources that cannot be had are named, and their programs left out.

Exit status: 0, all the same; 1, a difference; 2, there is nothing to run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import libraries
from linux_process import Died, run

SOURCES = Path(__file__).with_name("programs")
KEPT = SOURCES / "kept"
BARE = (
    "arm-none-eabi-gcc",
    "-march=armv7-a",
    "-ffreestanding",
    "-fomit-frame-pointer",
    "-nostdlib",
    "-static",
    "-I",
    str(SOURCES),
)
SOFT = ("arm-linux-gnueabi-gcc", "-march=armv7-a", "-static")
HARD = ("arm-linux-gnueabihf-gcc", "-march=armv7-a", "-mfpu=neon-vfpv4", "-static")
HOSTED = {"soft": SOFT, "hard": HARD}
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
INTEGER = ("integer", "hashes", "inflate", "text", "kernels")
FLOATING = ("floating", "softfloat")
UNITS = {
    "soft": ("-mfloat-abi=soft",),
    "vfp": ("-mfloat-abi=hard", "-mfpu=vfpv3-d16"),
    "neon": ("-mfloat-abi=hard", "-mfpu=neon-vfpv4", "-ffast-math", "-ftree-vectorize"),
}


@dataclass(frozen=True)
class Build:
    """One executable: its name says source and options."""

    name: str
    compiler: tuple[str, ...]
    arguments: tuple[str, ...]
    counted: bool
    kept: bool = False
    family: str = ""
    """Builds of one family give the same output, whatever the options."""


def builds() -> list[Build]:
    """Without libraries."""
    found = []
    for mode in ("arm", "thumb"):
        for level in LEVELS:
            options = (f"-m{mode}", level)
            for program in INTEGER:
                arguments = (*options, str(SOURCES / f"{program}.c"), "-lgcc")
                kept = level == "-O2" if program == "integer" else level == _kept_level(program, mode)
                found.append(Build(f"{program}-{mode}{level}", BARE, arguments, True, kept, program))
            for program in FLOATING:
                for unit, choice in UNITS.items():
                    if program == "softfloat":  # in the order of IEEE 754
                        choice = tuple(c for c in choice if c != "-ffast-math")
                    arguments = (*options, *choice, str(SOURCES / f"{program}.c"), "-lgcc")
                    kept = level == "-O2" and unit != "soft" and program == "floating"
                    kept = kept or (program == "softfloat" and level == "-O1" and (mode, unit) in _KEPT_SOFTFLOAT)
                    found.append(Build(f"{program}-{unit}-{mode}{level}", BARE, arguments, True, kept))
        for abi, compiler in HOSTED.items():
            for level in ("-O0", "-O2", "-Os"):
                arguments = (f"-m{mode}", level, str(SOURCES / "library.c"), "-lm")
                found.append(Build(f"library-{abi}-{mode}{level}", compiler, arguments, False))
    return found


_KEPT_SOFTFLOAT = (("arm", "soft"), ("thumb", "neon"))


def _kept_level(program: str, mode: str) -> str:
    """Of each program two builds are kept: an optimised one and a small one, in turn for ARM and Thumb."""
    return ("-O2", "-Os")[(INTEGER.index(program) + (mode == "arm")) % 2]


def library_builds(sources: Path) -> list[Build]:
    """Raises `libraries.Unavailable`."""
    roots = libraries.fetch(sources, libraries.LIBRARIES)
    found = []
    for library in libraries.LIBRARIES:
        package = library.package
        for abi, compiler in HOSTED.items():
            for mode in ("arm", "thumb"):
                arguments = (f"-m{mode}", "-O2", *libraries.arguments(library, roots[package]))
                found.append(Build(f"{package}-{abi}-{mode}", compiler, arguments, False, False, package))
    return found


def compile_(build: Build, directory: Path) -> Path:
    path = directory / f"{build.name}.elf"
    subprocess.run([*build.compiler, "-s", "-o", str(path), *build.arguments], check=True)
    return path


def on_qemu(build: Build, path: Path) -> dict[str, object]:
    """Output, status, and the number of instructions if that is counted."""
    command = ["qemu-arm", "-cpu", "cortex-a15"]
    if not build.counted:
        done = subprocess.run([*command, str(path)], stdout=subprocess.PIPE, check=False)
        return {"output": done.stdout.decode("latin-1"), "status": done.returncode}
    # A line for each instruction, through a pipe: there are millions.
    reader, writer = os.pipe()
    command += ["-singlestep", "-d", "nochain,exec", "-D", f"/dev/fd/{writer}", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(writer,)) as process:
        os.close(writer)
        retired, rest = 0, b"\n"
        with os.fdopen(reader, "rb", buffering=0) as log:
            while block := log.read(1 << 16):
                retired += (rest + block).count(b"\nTrace")
                rest = block[-6:]
        assert process.stdout is not None
        output = process.stdout.read()
    return {"output": output.decode("latin-1"), "status": process.returncode, "retired": retired}


def here(path: Path, backend: str, counted: bool) -> dict[str, object]:
    done = run(path, backend=backend)
    result: dict[str, object] = {"output": done.output.decode("latin-1"), "status": done.status}
    if counted:
        result["retired"] = done.retired
    return result


COLUMNS = ("A32 soft", "A32 hard", "Thumb soft", "Thumb hard")


def table(verdicts: list[tuple[Build, bool]]) -> str:
    """Programs against instruction set and floating point: how many builds there were, how many the same."""
    cells: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for build, same in verdicts:
        program, _, options = build.name.partition("-")
        hard = any(unit in options for unit in ("hard", "vfp", "neon"))
        column = f"{'Thumb' if 'thumb' in options else 'A32'} {'hard' if hard else 'soft'}"
        cells[program][column].append(same)
    lines = [f"{'program':14}" + "".join(f"{column:>14}" for column in COLUMNS)]
    for program, found in cells.items():
        counts = (found[column] for column in COLUMNS)
        texts = (f"{sum(c)} of {len(c)}" if not all(c) else f"{len(c)} same" if c else "-" for c in counts)
        lines.append(f"{program:14}" + "".join(f"{text:>14}" for text in texts))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--only", default="", help="only programs whose names contain this")
    parser.add_argument("--record", action="store_true", help="write the executables and results of the tests")
    parser.add_argument("--libraries", action="store_true", help="also real libraries, from Debian's sources")
    parser.add_argument("--sources", type=Path, help="where the libraries' sources are kept between runs")
    options = parser.parse_args()
    if shutil.which("qemu-arm") is None:
        sys.stderr.write("there is no qemu-arm to compare with (Debian: qemu-user)\n")
        return 2
    different = 0
    recorded = {}
    verdicts: list[tuple[Build, bool]] = []
    outputs: dict[str, set[object]] = defaultdict(set)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        chosen = builds()
        if options.libraries:
            sources = (options.sources or directory / "sources").resolve()
            sources.mkdir(parents=True, exist_ok=True)
            try:
                chosen += library_builds(sources)
            except libraries.Unavailable as error:
                sys.stderr.write(f"no libraries: {error}; they are left out\n")
        chosen = [b for b in chosen if options.only in b.name and (b.kept or not options.record)]
        for compiler in sorted({b.compiler[0] for b in chosen}):
            if shutil.which(compiler) is None:
                sys.stderr.write(f"{compiler} is not installed: its programs are left out\n")
                chosen = [b for b in chosen if b.compiler[0] != compiler]
        if not chosen:
            sys.stderr.write("nothing to run\n")
            return 2
        for build in chosen:
            try:
                path = compile_(build, directory)
            except subprocess.CalledProcessError:
                sys.stdout.write(f"{build.name:28} cannot be built\n")
                different += 1
                verdicts.append((build, False))
                continue
            theirs = on_qemu(build, path)
            try:
                mine = here(path, options.backend, build.counted)
            except Died as error:
                mine = {"died": str(error)}
            same = mine == theirs
            different += not same
            verdicts.append((build, same))
            output = str(theirs["output"])
            if build.family:
                outputs[build.family].add(output)
            digest = hashlib.sha256(output.encode()).hexdigest()[:16]
            sys.stdout.write(
                f"{build.name:28} {digest} {theirs.get('retired', '-'):>10} {'same' if same else 'DIFFERENT'}\n"
            )
            if not same:
                sys.stdout.write(f"  here {mine}\n  qemu {theirs}\n")
            sys.stdout.flush()
            if options.record and same:
                KEPT.mkdir(exist_ok=True)
                shutil.copy(path, KEPT / path.name)
                recorded[build.name] = theirs
            path.unlink()
    if options.record:
        results = KEPT / "results.json"
        before = json.loads(results.read_text()) if results.exists() else {}
        results.write_text(json.dumps(before | recorded, indent=1) + "\n")
    sys.stdout.write("\n" + table(verdicts) + "\n\n")
    for family, seen in outputs.items():
        if len(seen) > 1:
            sys.stdout.write(f"{family}: its builds give {len(seen)} outputs\n")
            different += 1
    sys.stdout.write(f"{len(chosen)} programs, {different} different\n")
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
