"""The differential campaign: random instructions on random states, here and on independent CPUs.

    python tests/machine/campaign.py --cases 10000 [--seed 1] [--suite integer] [--class LDR] [--state FILE]

Every encoding is a class of its own, and so are the three spaces of words. Progress is kept in the state file after
each class, so that a campaign that was stopped goes on where it was; the table of all classes is printed at the
end. An oracle that is not installed is named, and the campaign goes on with the other. `--record
docs/isa-campaign.json` also keeps the counts, for the table in the documentation.

Some cases one CPU cannot be asked about. `--fill docs/isa-campaign.json` runs as many more, from another seed, as
each class lacks there to have been compared so often with each CPU that knows it, and adds them.

Exit status: 0, no unexplained differences; 1, some; 2, there is no oracle for any of the classes, or no such class;
130, interrupted.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import fp_campaign
import isa_campaign
import isa_space
import qemu_cpu
from retrap.machine.arm.decode import all_encodings

BATCH = 2500


@dataclass(frozen=True)
class Class:
    """What a line of the table is about: an encoding, or a space of words."""

    suite: str
    item: Any

    @property
    def title(self) -> str:
        return str(self.item.title)


SUITES: dict[str, Any] = {"integer": isa_campaign, "fp": fp_campaign, "space": isa_space}


def classes() -> list[Class]:
    found = []
    for encoding in all_encodings():
        module = encoding.instruction.definition.__module__.rpartition(".")[2]
        found.append(Class("fp" if module.startswith(("vfp", "neon")) else "integer", encoding))
    return found + [Class("space", space) for space in isa_space.SPACES]


def oracles() -> tuple[frozenset[str], list[str]]:
    """The independent CPUs that are here; and of those that are not, what they lack, for people."""
    found, lacks = {"unicorn", "qemu"}, []
    if importlib.util.find_spec("unicorn") is None:
        found.remove("unicorn")
        lacks.append("unicorn is not installed (pip install unicorn, or the extra `test`)")
    if shutil.which("qemu-arm") is None:
        found.remove("qemu")
        lacks.append("there is no qemu-arm (Debian: qemu-user)")
    elif not any(map(shutil.which, qemu_cpu.COMPILERS)):
        found.remove("qemu")
        lacks.append(f"qemu-arm needs {' or '.join(qemu_cpu.COMPILERS)} (Debian: gcc-arm-linux-gnueabi)")
    elif problem := qemu_cpu.problem():
        found.remove("qemu")
        lacks.append(problem)
    return frozenset(found), lacks


def run_class(
    chosen: Class, cases: int, seed: int | str, runners: dict[str, Any], asked: frozenset[str]
) -> dict[str, Any]:
    """Counts of one class: cases per oracle, known differences, the first few unexplained ones."""
    if chosen.suite not in runners:
        runners[chosen.suite] = SUITES[chosen.suite].Runner(asked)
    r = random.Random(f"{seed}/{chosen.title}")
    compared: Counter[str] = Counter()
    known: Counter[str] = Counter()
    unexplained: list[str] = []
    done = 0
    while done < cases:
        batch = runners[chosen.suite].batch(chosen.item, r, min(BATCH, cases - done))
        if batch is None:
            break  # no oracle for it
        compared.update(batch.compared)
        known.update(batch.known)
        unexplained += batch.unexplained
        done += min(BATCH, cases - done)
        if len(unexplained) > 20:
            break
    return {
        "cases": done,
        "compared": dict(sorted(compared.items())),
        "known": dict(sorted(known.items())),
        "unexplained": len(unexplained),
        "examples": unexplained[:3],
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    oracles = sorted({oracle for result in results.values() for oracle in result["compared"]})
    lines = [f"{'class':60} {'cases':>8} " + " ".join(f"{o:>9}" for o in oracles) + "    known  unexplained"]
    for title, result in sorted(results.items()):
        counts = " ".join(f"{result['compared'].get(o, 0):9}" for o in oracles)
        known = sum(result["known"].values())
        lines.append(f"{title:60} {result['cases']:8} {counts} {known:8} {result['unexplained']:12}")
    total = sum(result["cases"] for result in results.values())
    bad = sum(result["unexplained"] for result in results.values())
    lines.append(f"{len(results)} classes, {total} cases, {bad} unexplained differences")
    if idle := uncompared(results):
        lines.append(f"compared with nothing, for want of the CPU that could: {', '.join(idle)}")
    names: Counter[str] = Counter()
    for result in results.values():
        names.update(result["known"])
    lines += [f"  known: {count:8}  {name}" for name, count in sorted(names.items())]
    return "\n".join(lines)


def uncompared(results: dict[str, dict[str, Any]]) -> list[str]:
    """Classes that none of the CPUs that are here could be asked about."""
    return sorted(title for title, result in results.items() if not any(result["compared"].values()))


def keep(path: Path, state: dict[str, Any]) -> None:
    """Write the state file; whoever kills the campaign finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(state))
    new.replace(path)


def fill(path: Path, wanted: list[Class], cases: int, seed: int, asked: frozenset[str]) -> int:
    """Add to the counts in `path`, class by class, until each of them is `cases`."""
    recorded: dict[str, dict[str, int]] = json.loads(path.read_text())
    runners: dict[str, Any] = {}
    results = {}
    for one in wanted:
        counts = recorded.get(one.title, {})
        tried = 0
        while 0 < (least := min((n for oracle, n in counts.items() if oracle in asked), default=0)) < cases:
            if tried == 5:
                break
            more = (cases - least) * cases // least + 100
            result = run_class(one, more, f"{seed}, filling {tried}", runners, asked)
            results[f"{one.title}, filling {tried}"] = result
            tried += 1
            for oracle, n in result["compared"].items():
                counts[oracle] = counts.get(oracle, 0) + n
            if result["unexplained"]:
                sys.stdout.write("\n".join(result["examples"]) + "\n")
                break
            write_record(path, recorded)
    sys.stdout.write(table(results) + "\n")
    return 1 if any(result["unexplained"] for result in results.values()) else 0


def write_record(path: Path, recorded: dict[str, dict[str, int]]) -> None:
    lines = (f"  {json.dumps(title)}: {json.dumps(counts)}" for title, counts in sorted(recorded.items()))
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=1000, help="cases per class")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--class", dest="name", default="", help="only classes whose title contains this")
    parser.add_argument("--suite", choices=("all", *SUITES), default="all")
    parser.add_argument(
        "--part", default="1/1", help="K/N: one class of N, from the Kth on (for several processors)"
    )
    parser.add_argument("--state", type=Path, default=Path("out/isa-campaign.json"))
    parser.add_argument("--record", type=Path, help="write the counts per class here")
    parser.add_argument("--fill", type=Path, help="run what a record lacks of so many cases, and add it")
    options = parser.parse_args()
    asked, lacks = oracles()
    for lack in lacks:
        sys.stderr.write(f"{lack}; the campaign goes on without\n" if asked else f"{lack}\n")
    wanted = [c for c in classes() if options.name in c.title and options.suite in ("all", c.suite)]
    part, _, parts = options.part.partition("/")
    wanted = wanted[int(part) - 1 :: int(parts)]
    if not asked or not wanted:
        sys.stderr.write("no independent CPU to compare with\n" if wanted else "no such class\n")
        return 2
    if options.fill:
        return fill(options.fill, wanted, options.cases, options.seed, asked)
    key = f"seed {options.seed}, {options.cases} cases, {' and '.join(sorted(asked))}"
    state: dict[str, Any] = {}
    if options.state.exists():
        state = json.loads(options.state.read_text())
    if state.get("key") != key:
        state = {"key": key, "classes": {}}
    results: dict[str, dict[str, Any]] = state["classes"]
    runners: dict[str, Any] = {}
    began = time.monotonic()
    # What differed is tried again: somebody may have mended it.
    left = [one for one in wanted if results.get(one.title, {"unexplained": 1})["unexplained"]]
    if len(left) < len(wanted):
        sys.stderr.write(f"{len(wanted) - len(left)} classes are done already ({options.state})\n")
    for number, one in enumerate(left, 1):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number}/{len(left)} {one.title:72.72}")
        result = results[one.title] = run_class(one, options.cases, options.seed, runners, asked)
        if result["unexplained"]:
            sys.stdout.write(
                f"{one.title}: {result['unexplained']} unexplained\n" + "\n".join(result["examples"]) + "\n"
            )
            sys.stdout.flush()
        keep(options.state, state)
    if sys.stderr.isatty():
        sys.stderr.write("\r" + 84 * " " + "\r")
    chosen = {one.title: results[one.title] for one in wanted}
    sys.stdout.write(table(chosen) + "\n")
    sys.stdout.write(f"{time.monotonic() - began:.0f} s in this run\n")
    if options.record:
        recorded = json.loads(options.record.read_text()) if options.record.exists() else {}
        recorded.update((title, result["compared"]) for title, result in chosen.items())
        write_record(options.record, recorded)
    if len(uncompared(chosen)) == len(chosen):
        return 2
    return 1 if any(result["unexplained"] for result in chosen.values()) else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the same command goes on after the last class that was done\n")
        raise SystemExit(130) from None
