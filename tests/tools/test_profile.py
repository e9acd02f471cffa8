"""`retrap profile`: exact counts, call stacks, tiers."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from elf_builder import Elf, Load, R, X

# main: bl f; bl f; bl g; b . — f: mov r0, #10; loop: subs r0, r0, #1; bne loop; bx lr —
# g: push {lr}; bl f; pop {pc}
CODE = struct.pack(
    "<11I",
    0xEB000002, 0xEB000001, 0xEB000004, 0xEAFFFFFE,
    0xE3A0000A, 0xE2500001, 0x1AFFFFFD, 0xE12FFF1E,
    0xE52DE004, 0xEBFFFFF9, 0xE49DF004,
)  # fmt: skip
F = 1 + 2 * 10 + 1


def image(path: Path) -> Path:
    # The stack is not set up: SP starts in the same page, behind the code.
    code = struct.pack("<2I", 0xE28FD0E0, 0xE1A00000) + CODE
    elf = Elf(segments=(Load(0x10000, code.ljust(256, b"\0"), flags=R | X | 2),))
    path.write_bytes(elf.build())
    return path


def profile(run, *arguments: object) -> dict:
    ran = run("profile", *arguments, "--json")
    assert (ran.status, ran.err) == (0, "")
    return json.loads(ran.out)


def test_counts_are_exact_and_stacks_are_followed(run, tmp_path: Path) -> None:
    spent = 5 + 3 * F + 3 + 10
    folded = tmp_path / "folded"
    found = profile(run, image(tmp_path / "g.elf"), "--max-instructions", spent, "--folded", folded)
    assert (found["instructions"], found["outcome"]) == (spent, "limit")
    loop = max(found["blocks"], key=lambda block: block["runs"])
    assert (loop["address"], loop["instructions"], loop["runs"], loop["total"]) == (0x1001C, 2, 30, 60)
    assert sum(block["total"] for block in found["blocks"]) == spent
    assert sum(function["own"] for function in found["functions"]) == spent
    root = "thread 0 (rootserver);0x10000"
    lines = folded.read_text().splitlines()
    assert [line.split("(rootserver)")[1] for line in lines] == [
        ";0x10000 15",
        f";0x10000;0x10018 {2 * F}",
        ";0x10000;0x10028 3",
        f";0x10000;0x10028;0x10018 {F}",
    ], root
    by_name = {one["function"]: one for one in found["functions"]}
    assert by_name["0x10018"]["own"] == 3 * F
    assert by_name["0x10028"]["total"] == F + 3


@pytest.mark.parametrize("sample", ["pingpong-arm", "pager-thumb", "preempt-arm"])
def test_backends_agree_and_the_counts_are_those_of_the_run(run, samples, tmp_path: Path, sample: str) -> None:
    summary, results = tmp_path / "s.json", []
    run("boot", samples / f"{sample}.elf", "--summary", summary)
    for backend in ("evaluate", "auto"):
        found = profile(run, samples / f"{sample}.elf", "--backend", backend, "--folded", tmp_path / backend)
        results.append(
            [[(f["function"], f["own"], f["total"]) for f in found["functions"]]]
            + [[(b["address"], b["state"], b["instructions"], b["runs"]) for b in found["blocks"]]]
        )
        booted = json.loads(summary.read_text())
        assert (found["instructions"], found["traps"]) == (booted["instructions"], booted["traps"])
    assert results[0] == results[1]
    assert (tmp_path / "evaluate").read_bytes() == (tmp_path / "auto").read_bytes()
    lines = (tmp_path / "auto").read_text().splitlines()
    assert sum(int(line.rsplit(" ", 1)[1]) for line in lines) == booted["instructions"]


def test_a_trace_is_profiled_as_its_run(run, samples, tmp_path: Path) -> None:
    trace = tmp_path / "t.rtr"
    run("boot", samples / "pingpong-arm.elf", "-o", trace)
    drop = ("seconds", "mips", "code", "image")
    ours, theirs = (profile(run, file) for file in (trace, samples / "pingpong-arm.elf"))
    for found in (ours, theirs):
        for key in drop:
            del found[key]
        for one in (*found["functions"], *found["blocks"]):
            del one["tier"]
    assert ours == theirs


def test_functions_have_their_names_and_tiers(run, samples) -> None:
    found = profile(run, samples / "pingpong-arm.elf", "--no-cache")
    names = [one["function"] for one in found["functions"]]
    assert {"sample", "server", "root_main"} <= set(names)
    assert found["functions"][0]["tier"] in ("quick", "tuned")
    assert found["code"]["regions"] > 0
    assert 0 < found["code"]["bytes"] <= found["code"]["limit"]
    assert found["code"]["fetched"] == 0
    evaluated = profile(run, samples / "pingpong-arm.elf", "--backend", "evaluate")
    assert {one["tier"] for one in evaluated["functions"]} == {"evaluated"}


def test_people_get_tables(run, samples) -> None:
    ran = run("profile", samples / "hello-arm.elf", "--top", "3")
    assert ran.status == 0
    assert "MIPS" in ran.out.splitlines()[0]
    assert "PASS" not in ran.out  # the guest's console is not the question
    assert len(ran.out.splitlines()) == 2 + 2 * (1 + 1 + 3)


def test_bad_input_is_one_line(run, tmp_path: Path) -> None:
    for arguments in ((tmp_path / "missing.elf",), (), ("--backend", "steam", "x.elf")):
        ran = run("profile", *arguments)
        assert (ran.status, len(ran.err.splitlines())) == (2, 1)
