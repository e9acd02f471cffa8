"""Whole programs, built here by cross compilers in many ways, run on the CPU and under qemu-arm.

    python tests/machine/programs.py [--backend evaluate|llvm] [--only NAME] [--record]

Output, exit status and, for the programs without a C library, the number of instructions (which `qemu-arm
-singlestep` counts one by one) must be equal. `--record` writes the executables and results that the tests keep.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

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
HOSTED = ("arm-linux-gnueabi-gcc", "-march=armv7-a", "-static")


@dataclass(frozen=True)
class Build:
    """One executable: its name says source and options."""

    name: str
    source: str
    compiler: tuple[str, ...]
    options: tuple[str, ...]
    libraries: tuple[str, ...]
    counted: bool
    kept: bool = False


def builds() -> list[Build]:
    found = []
    for mode in ("arm", "thumb"):
        for level in ("-O0", "-O1", "-O2", "-O3", "-Os"):
            name = f"integer-{mode}{level}"
            options = (f"-m{mode}", level)
            found.append(Build(name, "integer.c", BARE, options, ("-lgcc",), True, level == "-O2"))
            for abi, unit in (
                ("soft", ()),
                ("vfp", ("-mfloat-abi=hard", "-mfpu=vfpv3-d16")),
                ("neon", ("-mfloat-abi=hard", "-mfpu=neon-vfpv4", "-ffast-math", "-ftree-vectorize")),
            ):
                name = f"floating-{abi}-{mode}{level}"
                options = (f"-m{mode}", level, "-mfloat-abi=soft" if abi == "soft" else "", *unit)
                kept = level == "-O2" and abi != "soft"
                found.append(Build(name, "floating.c", BARE, tuple(filter(None, options)), ("-lgcc",), True, kept))
        for level in ("-O0", "-O2", "-Os"):
            found.append(
                Build(f"library-{mode}{level}", "library.c", HOSTED, (f"-m{mode}", level), ("-lm",), False)
            )
    return found


def compile_(build: Build, directory: Path) -> Path:
    path = directory / f"{build.name}.elf"
    command = [*build.compiler, *build.options, "-s", "-o", str(path), str(SOURCES / build.source)]
    subprocess.run([*command, *build.libraries], check=True)
    return path


def on_qemu(build: Build, path: Path, directory: Path) -> dict[str, object]:
    """Output, status, and the number of instructions if that is counted."""
    command = ["qemu-arm", "-cpu", "cortex-a15"]
    log = directory / "trace.log"
    if build.counted:
        command += ["-singlestep", "-d", "nochain,exec", "-D", str(log)]
    done = subprocess.run([*command, str(path)], stdout=subprocess.PIPE, check=False)
    result: dict[str, object] = {"output": done.stdout.decode("latin-1"), "status": done.returncode}
    if build.counted:
        with log.open("rb") as lines:
            result["retired"] = sum(line.startswith(b"Trace") for line in lines)
        log.unlink()
    return result


def here(path: Path, backend: str, counted: bool) -> dict[str, object]:
    done = run(path, backend=backend)
    result: dict[str, object] = {"output": done.output.decode("latin-1"), "status": done.status}
    if counted:
        result["retired"] = done.retired
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--only", default="", help="only programs whose names contain this")
    parser.add_argument("--record", action="store_true", help="write the executables and results of the tests")
    options = parser.parse_args()
    different = 0
    recorded = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for build in builds():
            if options.only not in build.name or (options.record and not build.kept):
                continue
            path = compile_(build, directory)
            theirs = on_qemu(build, path, directory)
            try:
                mine = here(path, options.backend, build.counted)
            except Died as error:
                mine = {"died": str(error)}
            same = mine == theirs
            different += not same
            sys.stdout.write(
                f"{build.name:28} {theirs.get('retired', '-'):>10} {'same' if same else 'DIFFERENT'}\n"
            )
            if not same:
                sys.stdout.write(f"  here {mine}\n  qemu {theirs}\n")
            sys.stdout.flush()
            if options.record and same:
                KEPT.mkdir(exist_ok=True)
                shutil.copy(path, KEPT / path.name)
                recorded[build.name] = theirs
    if options.record:
        (KEPT / "results.json").write_text(json.dumps(recorded, indent=1) + "\n")
    sys.stdout.write(f"{different} different\n")
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
