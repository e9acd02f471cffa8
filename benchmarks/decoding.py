"""Decoding, by the piece: processor microseconds per distinct instruction word.

    python benchmarks/decoding.py [--words N] [--seed S]

The words are drawn from every encoding in turn, none twice: half A32, half T32, as wide a mix as there is.
Measured, each on words that this process has not seen: finding the encoding and its fields (`decode`); the same
again, which only looks the word up; translation into operations with decoding before it; and for comparison
capstone, plain (text) and with details (operands), which this package only calls for text that people read.
How long code takes that is run a few times, with all of this in it, is `cold_start.py`'s to measure.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable

import capstone
from retrap.machine.arm import decode as decoder
from retrap.machine.arm.translate import translate


def distinct_words(count: int, seed: int) -> list[tuple[int, bool]]:
    """(word, thumb) pairs that some encoding matches."""
    r = random.Random(seed)
    encodings = decoder.all_encodings()
    found: dict[tuple[int, bool], None] = {}
    while len(found) < count:
        for encoding in encodings:
            word = r.getrandbits(8 * encoding.size)
            word = word & ~(encoding.mask | encoding.should_mask) | encoding.value | encoding.should_value
            if decoder.find(word, encoding.thumb) is encoding:
                found[(word, encoding.thumb)] = None
    words = list(found)
    r.shuffle(words)
    return words[:count]


def each(work: Callable[[int, bool], object], words: list[tuple[int, bool]]) -> float:
    """Microseconds per word."""
    began = time.process_time()
    for word, thumb in words:
        work(word, thumb)
    return (time.process_time() - began) / len(words) * 1e6


def by_capstone(details: bool) -> Callable[[int, bool], object]:
    machines = {}
    for thumb, mode in ((False, capstone.CS_MODE_ARM), (True, capstone.CS_MODE_THUMB)):
        machines[thumb] = capstone.Cs(capstone.CS_ARCH_ARM, mode)
        machines[thumb].detail = details

    def plain(word: int, thumb: bool) -> object:
        return next(machines[thumb].disasm_lite(decoder.to_bytes(word, thumb), 0, 1), None)

    def detailed(word: int, thumb: bool) -> object:
        found = next(machines[thumb].disasm(decoder.to_bytes(word, thumb), 0, 1), None)
        return found and [(o.type, o.reg) for o in found.operands]

    return detailed if details else plain


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--words", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    words = distinct_words(2 * options.words, options.seed)
    first, second = words[: options.words], words[options.words :]
    rows = (
        ("decode: encoding and fields", each(decoder.decode, first)),
        ("decode again: the word is known", each(decoder.decode, first)),
        ("decode and translate to operations", each(lambda word, thumb: translate(word, thumb, 0), second)),
        ("capstone, text", each(by_capstone(False), first)),
        ("capstone, operands", each(by_capstone(True), first)),
    )
    sys.stdout.write(f"{options.words} distinct words, half of them Thumb: us per word\n")
    for name, figure in rows:
        sys.stdout.write(f"  {name:36} {figure:8.2f}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
