"""Measure what a user waits for: cold start, IPC round trips with and without recording, trace size, replay.

`python benchmarks/run.py [--rounds N]`. Wall time of this machine; compare figures of one run only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from retrap.tools import boot, replay

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples" / "prebuilt"


def cold_start(repeats: int = 7) -> float:
    """Median seconds of `retrap boot hello` in a new process."""
    command = [sys.executable, "-m", "retrap.tools.cli", "boot", str(SAMPLES / "hello-arm.elf")]
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    """Print one line a figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20_000)
    rounds = parser.parse_args().rounds
    out = sys.stdout
    out.write(f"boot hello, cold start:              {cold_start():8.3f} s (median of 7)\n")
    image = SAMPLES / "pingpong-arm.elf"
    with tempfile.TemporaryDirectory() as place:
        trace = Path(place) / "pingpong.rtr"
        for backend in ("llvm", "evaluate"):
            count = rounds if backend == "llvm" else rounds // 10
            arguments = f"rounds={count}"
            plain = boot(image, arguments=arguments, backend=backend)
            recorded = boot(image, arguments=arguments, backend=backend, trace=trace)
            for what, result in (("", plain), (", recording", recorded)):
                rate = count / result.wall_s
                out.write(f"pingpong round trips/s, {backend}{what + ':':<13} {rate:10,.0f}\n")
            if backend == "llvm":
                size = trace.stat().st_size / recorded.traps
                start = time.perf_counter()
                report = replay(trace)
                seconds = time.perf_counter() - start
                assert report.same
                out.write(f"trace bytes per trap:                {size:8.2f}\n")
                out.write(f"replay traps/s (kernel only):        {report.records / seconds:10,.0f}\n")


if __name__ == "__main__":
    main()
