"""The laws campaign: random walks over several releases until so many steps are made; `make laws-campaign`.

Walk number n of a release is always the same: its steps come from a generator seeded with both. Progress is kept in
a file, so that a campaign that was stopped goes on where it was, and a longer one does not repeat a shorter one. At
the first violation the walk is shortened and printed as a call that repeats it, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

from laws_walk import STEP_LENGTH, Step, Violation, Walk, run, shorten

RELEASES = ("2006", "1.0.3", "3.2.0", "8.0.0", "10.1.1", "12.0.0", "16.0.0")
LENGTH = 400
"""Steps of a walk, if it goes that far."""


def steps_of(release: str, number: int) -> list[Step]:
    """The steps of a release's walk with that number."""
    generator = random.Random(f"{release} {number}")
    return [tuple(generator.getrandbits(16) for _ in range(STEP_LENGTH)) for _ in range(LENGTH)]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def walk(release: str, number: int, outcomes: dict[str, int]) -> int:
    """Make one walk; how many steps it had. Raises `Violation`."""
    system = Walk(release)
    for step in steps_of(release, number):
        if system.over:
            break
        try:
            system.step(step)
        except Violation:
            raise
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}") from error
        name = str(system.driver.effects.outcome)
        outcomes[name] = outcomes.get(name, 0) + 1
    return system.steps


def report(release: str, number: int, error: Violation) -> None:
    """The violation, and the shortest walk that has it."""
    say(f"{release}, walk {number}: {error}")
    steps = steps_of(release, number)
    for length in range(1, LENGTH + 1):
        try:
            run(release, steps[:length])
        except Violation:
            steps = steps[:length]
            break
    shortest = shorten(release, steps)
    try:
        run(release, shortest)
    except Violation as again:
        say(f"in {len(shortest)} steps: {again}")
    say(f"again: from laws_walk import run; run({release!r}, {shortest!r})")


OUTCOMES = (("0", "done"), ("1", "refused"), ("7", "ignored"), ("4", "blocked"), ("5", "preempted"), ("2", "fault"),
            ("3", "dead"))  # fmt: skip


def table(progress: dict[str, dict[str, dict[str, int]]]) -> None:
    say(f"{'release':<9}{'walks':>8}{'steps':>10}" + "".join(f"{name:>11}" for _, name in OUTCOMES))
    total: dict[str, int] = {}
    for release in (*progress, "all"):
        if release == "all":
            row = total
        else:
            row = {**progress[release]["outcomes"], **progress[release]["counts"]}
            for name, count in row.items():
                total[name] = total.get(name, 0) + count
        cells = "".join(f"{row.get(number, 0):>11,}" for number, _ in OUTCOMES)
        say(f"{release:<9}{row.get('walks', 0):>8,}{row.get('steps', 0):>10,}{cells}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000, help="in all, over all releases")
    parser.add_argument("--releases", nargs="*", default=list(RELEASES))
    parser.add_argument("--state", type=Path, help="file that keeps the progress")
    chosen = parser.parse_args()
    progress: dict[str, dict[str, dict[str, int]]] = {}
    if chosen.state is not None and chosen.state.exists():
        progress = json.loads(chosen.state.read_text(encoding="utf-8"))
    for release in chosen.releases:
        progress.setdefault(release, {"counts": {"walks": 0, "steps": 0}, "outcomes": {}})
    share = -(-chosen.steps // len(chosen.releases))
    saved = time.monotonic()
    while True:
        # The one that is furthest behind, so that a campaign that is stopped has done something of each.
        release = min(chosen.releases, key=lambda name: progress[name]["counts"]["steps"])
        counts = progress[release]["counts"]
        if counts["steps"] >= share:
            break
        try:
            made = walk(release, counts["walks"], progress[release]["outcomes"])
        except Violation as error:
            report(release, counts["walks"], error)
            return 1
        counts["steps"] += made
        counts["walks"] += 1
        if chosen.state is not None and time.monotonic() - saved > 10:
            saved = time.monotonic()
            chosen.state.write_text(json.dumps(progress), encoding="utf-8")
    if chosen.state is not None:
        chosen.state.parent.mkdir(parents=True, exist_ok=True)
        chosen.state.write_text(json.dumps(progress), encoding="utf-8")
    table(progress)
    return 0


if __name__ == "__main__":
    sys.exit(main())
