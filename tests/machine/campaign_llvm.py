"""The differential campaign of the llvm backend: random programs until so many basic blocks have been compiled.

`python tests/machine/campaign_llvm.py --blocks 1000000 --seed 0`: every difference is printed with its seed, and
makes the exit status 1. Blocks are counted as compiled: those compared by execution are many more.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from llvm_pair import Difference, Pair


def campaign(seed: int, programs: int = 6) -> Pair:
    """Some programs on one pair of machines, with a random tier policy. Raises `Difference`."""
    r = random.Random(seed)
    pair = Pair(seed, hot=r.choice((1, 2, 2, 3, 5)), period=r.choice((200, 500, 3000)))
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    options = parser.parse_args()
    seed, blocks, regions, retired, differences = options.seed, 0, 0, 0, 0
    start = time.monotonic()
    while blocks < options.blocks and time.monotonic() - start < options.seconds:
        try:
            pair = campaign(seed)
            native = pair.native.native
            blocks += native.blocks
            regions += native.compiled
            retired += pair.sides[0].retired
        except Difference as difference:
            differences += 1
            sys.stdout.write(f"{difference}\n")
        seed += 1
    sys.stdout.write(
        f"seeds {options.seed} … {seed - 1}: {blocks:,} blocks in {regions:,} regions compiled, "
        f"{retired:,} instructions on each side, {differences} differences\n"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
