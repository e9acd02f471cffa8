"""The differential campaign of the llvm backend: random programs until so many basic blocks have been compiled.

`python tests/machine/campaign_llvm.py --blocks 1000000 --seed 0 --state build/native-campaign.json`: every
difference is printed with its seed, and makes the exit status 1. With a state file it goes on where it was stopped,
unless the code under test has changed since. Blocks are counted as compiled: those compared by execution are more.
Every fourth program finds all its code on tape, so that the native interpreter has a part in it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from llvm_pair import Difference, Pair
from retrap.machine.llvm.store import definitions


def campaign(seed: int, programs: int = 16) -> Pair:
    """Some programs on one pair of machines, with a random tier policy. Raises `Difference`."""
    r = random.Random(seed)
    pair = Pair(seed, hot=r.choice((1, 2, 4, 8, 16)), period=r.choice((200, 500, 3000)), taped=seed % 4 == 3)
    for _ in range(programs):
        pair.random_program()
        for _ in range(8):
            pair.registers()
            pair.jump()
            pair.run(400)
            if r.random() < 0.7:
                pair.disturb()
        pair.restore()
    return pair


class Tally:
    """What a campaign has done; kept in a file, it can be resumed."""

    def __init__(self, file: Path | None, seed: int) -> None:
        self.file = file
        self.counts = {"seed": seed, "first": seed, "blocks": 0, "regions": 0, "instructions": 0, "differences": 0}
        self.code = definitions()
        if file is not None and file.exists():
            kept = json.loads(file.read_text())
            if kept.pop("code", "") == self.code:
                self.counts.update(kept)

    def add(self, **more: int) -> None:
        for name, number in more.items():
            self.counts[name] += number
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps({"code": self.code, **self.counts}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--state", type=Path, help="a file to go on from, and to keep the counts in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RETRAP_CACHE"] = cache
        return run(options)


def run(options: argparse.Namespace) -> int:
    """Go on until there are as many blocks as asked for; the exit status."""
    tally = Tally(options.state, options.seed)
    counts = tally.counts
    start = time.monotonic()
    while counts["blocks"] < options.blocks and time.monotonic() - start < options.seconds:
        try:
            pair = campaign(counts["seed"])
            native, retired = pair.native.native, pair.sides[0].retired
            tally.add(blocks=native.blocks, regions=native.compiled, instructions=retired, seed=1)
        except Difference as difference:
            sys.stdout.write(f"{difference}\n")
            tally.add(differences=1, seed=1)
    sys.stdout.write(
        f"seeds {counts['first']} … {counts['seed'] - 1}: {counts['blocks']:,} blocks in {counts['regions']:,} "
        f"regions compiled, {counts['instructions']:,} instructions on each side, "
        f"{counts['differences']} differences\n"
    )
    return 1 if counts["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
