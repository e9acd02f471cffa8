"""`docs/releases.md`, made from the tables.

python -m retrap.kernel.abi.document --write docs/releases.md
python -m retrap.kernel.abi.document --check docs/releases.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from retrap.kernel.abi import RELEASES, compare, design2006
from retrap.kernel.abi.comparison import ABSENT, Change, shown
from retrap.kernel.abi.fact_notes import CORRECTIONS, IN_ALL_RELEASES, NOTES, PAPER
from retrap.kernel.abi.release import Facts, Release

_INTRODUCTION = """\
# Releases

Made from the tables in `kernel/abi` by `python -m retrap.kernel.abi.document`; do not edit.

What user code can see of each seL4 release on AArch32 (one core, no hypervisor, no SMMU, without MCS) is one
complete table, `retrap.kernel.abi.release(NAME)`, and a set of named facts about behaviour. `retrap kernels A B`
prints every row and fact in which two releases differ. This page has the facts, and a summary of what each
release changed. A source is the release's tag in the seL4 repository and a path in its tree.

Every release boots on every platform, also on boards that are younger than it: the release gives the rules (what
boots where in memory, in which slots, described how), the platform gives RAM, devices and the kernel's place. Where
the platform's file has no measured extent of a release's kernel image, that of another release stands in; a
manifest's `[platform.kernel_region]` overrides it, and so does the kernel of a packed image. Until 3.2.0 the
globals frame is taken to be the last page of the kernel image.
"""


def document() -> str:
    """The whole page, in Markdown."""
    tagged = [release for release in RELEASES if release.tag != "paper"]
    lines = [_INTRODUCTION, *_overview(tagged), *_behaviour(tagged), *_everywhere(), *_corrections()]
    lines.append("## What each release changed\n")
    for before, after in pairwise(tagged):
        lines += _release(before, after)
    lines += _paper(tagged[0])
    return "\n".join(lines).rstrip() + "\n"


def _overview(releases: list[Release]) -> Iterator[str]:
    yield "## The tables\n"
    yield "| release | system calls | invocations | object types | TCB bytes (FPU) | boot slots | registers |"
    yield "|---|---|---|---|---|---|---|"
    for r in releases:
        (tcb,) = (kind for kind in r.object_types if kind.name == "TCB")
        sizes = {False: tcb.bits(fpu=False, debug=False), True: tcb.bits(fpu=True, debug=False)}
        plain, fpu = (1 << bits for bits in sizes.values() if bits is not None)
        counts = (len(r.syscalls), len(r.invocations) - 1, len(r.object_types), f"{plain} ({fpu})")
        row = (r.name, *counts, len(r.boot_slots), len(r.user_context))
        yield "| " + " | ".join(str(cell) for cell in row) + " |"
    yield "\nSystem calls include those of debug and benchmark builds; registers are those of seL4_UserContext.\n"


def _behaviour(releases: list[Release]) -> Iterator[str]:
    yield "## Behaviour\n"
    yield "The kernel engine chooses its policies from these facts at boot; nothing else compares releases.\n"
    yield "| fact | values | what user code sees | sources |"
    yield "|---|---|---|---|"
    for field in fields(Facts):
        note = NOTES[field.name]
        sources = "<br>".join(f"`{tag}: {path}`" for tag, path in note.sources.items())
        yield f"| `{field.name}` | {_values(field.name, releases)} | {note.meaning} | {sources} |"
    yield ""


def _values(fact: str, releases: list[Release]) -> str:
    """The values in order: "no; 4.0.0: yes"."""
    values = [(r.name, shown(getattr(r.facts, fact))) for r in releases]
    parts = [values[0][1]]
    parts += [f"{name}: {value}" for (_, old), (name, value) in pairwise(values) if value != old]
    return "; ".join(parts)


def _everywhere() -> Iterator[str]:
    yield "The same in every release, but surprising:\n"
    for meaning, path in IN_ALL_RELEASES:
        yield f"* {meaning} (`16.0.0: {path}`)"
    yield ""


def _corrections() -> Iterator[str]:
    yield "## Corrections\n"
    yield "What earlier notes on the releases had otherwise:\n"
    for text, source in CORRECTIONS:
        yield f"* {text} (`{source}`)"
    yield ""


def _release(before: Release, after: Release) -> Iterator[str]:
    changes = compare(before, after)
    yield f"### {after.name}\n"
    if not changes:
        yield f"Nothing that user code can see differs from {before.name}.\n"
        return
    for category in dict.fromkeys(change.category for change in changes):
        rows = [change for change in changes if change.category == category]
        yield from _NUMBERED.get(category, _plain)(rows)
    yield ""


def _plain(rows: list[Change]) -> Iterator[str]:
    for row in rows:
        yield f"* {row.category}: `{row.name}` {row.old} → {row.new} (`{row.source}`)"


def _numbered(rows: list[Change]) -> Iterator[str]:
    """Rows whose text begins with a number: those that only moved are counted, not listed."""
    moved = [r for r in rows if ABSENT not in (r.old, r.new) and _rest(r.old) == _rest(r.new)]
    yield from _plain([row for row in rows if row not in moved])
    if moved:
        first = moved[0]
        places = f"`{first.name}` {_number(first.old)} → {_number(first.new)}"
        more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
        yield f"* {first.category}: other number, {places}{more} (`{first.source}`)"


def _number(text: str) -> str:
    return text.partition(" ")[0]


def _rest(text: str) -> str:
    return text.partition(" ")[2]


_NUMBERED = {"syscalls": _numbered, "invocations": _numbered, "object types": _numbered}


def _paper(oldest: Release) -> Iterator[str]:
    yield "## 2006\n"
    yield (design2006.__doc__ or "").partition("\n\n")[2]
    yield "| fact | 2006 | " + oldest.name + " | in the paper |"
    yield "|---|---|---|---|"
    for field in fields(Facts):
        old, new = getattr(design2006.V2006.facts, field.name), getattr(oldest.facts, field.name)
        if old != new:
            yield f"| `{field.name}` | {shown(old)} | {shown(new)} | {PAPER.get(field.name, 'silent')} |"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check that the file says what the tables say (status 1 if not)."""
    parser = argparse.ArgumentParser(prog="python -m retrap.kernel.abi.document", description=__doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--write", type=Path)
    chosen.add_argument("--check", type=Path)
    options = parser.parse_args(arguments)
    text = document()
    if options.write is not None:
        options.write.write_text(text, encoding="utf-8", newline="\n")
        return 0
    return 0 if options.check.read_text(encoding="utf-8") == text else 1


if __name__ == "__main__":
    raise SystemExit(main())
