"""Measure what a user waits for: cold start, IPC round trips with and without recording, trace size, replay.

`python benchmarks/run.py [--rounds N] [--compiled DIR]`. Seconds and rates are of processor time, so that a busy
machine disturbs them less; compare figures of one run only. With `--compiled` (a copy that is compiled ahead, `make
compiled`) there are two columns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples" / "prebuilt"


def cold_start(cache: str, repeats: int = 7) -> float:
    """Median processor seconds of `retrap boot hello` in a new process."""
    command = [sys.executable, "-m", "retrap.tools.cli", "boot", str(SAMPLES / "hello-arm.elf")]
    seconds = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "RETRAP_CACHE": cache})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(seconds)


def figures(rounds: int) -> dict[str, float]:
    """Every figure, by its title, of the copy of retrap that this process imports."""
    from retrap.tools import boot, process, replay

    process.collect_rarely()  # as the command does
    process.keep_buffers()
    found: dict[str, float] = {}
    found["boot hello, without the code cache, s"] = cold_start("off")
    with tempfile.TemporaryDirectory() as cache:
        cold_start(cache, 1)
        found["boot hello, with it, s"] = cold_start(cache)
    image = SAMPLES / "pingpong-arm.elf"
    with tempfile.TemporaryDirectory() as place:
        trace = Path(place) / "pingpong.rtr"
        for backend in ("llvm", "evaluate"):
            count = rounds if backend == "llvm" else rounds // 10
            for what in ("", ", recording"):
                start = time.process_time()
                result = boot(image, arguments=f"rounds={count}", backend=backend, trace=trace if what else None)
                found[f"pingpong round trips/s, {backend}{what}"] = count / (time.process_time() - start)
            if backend == "llvm":
                found["trace bytes per trap"] = trace.stat().st_size / result.traps
                start = time.process_time()
                report = replay(trace)
                assert report.same
                found["replay traps/s, kernel only"] = report.records / (time.process_time() - start)
    return found


def measure(rounds: int, path: str) -> dict[str, float]:
    """The figures of the copy of retrap in a folder; of the checkout if it is empty."""
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, __file__, "--child", "--rounds", str(rounds)]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--compiled", type=Path, metavar="DIR", help="a copy that is compiled ahead")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    out = sys.stdout
    if options.child:
        out.write(json.dumps(figures(options.rounds)))
        return
    columns = {"plain": measure(options.rounds, os.environ.get("PYTHONPATH", ""))}
    if options.compiled is not None:
        columns["compiled ahead"] = measure(options.rounds, str(options.compiled.resolve()))
    out.write(" " * 44 + "".join(f"{name:>16}" for name in columns) + "\n")
    for title in columns["plain"]:
        values = [column[title] for column in columns.values()]
        out.write(f"{title:44}" + "".join(f"{v:16,.0f}" if v >= 1000 else f"{v:16.3f}" for v in values) + "\n")


if __name__ == "__main__":
    main()
