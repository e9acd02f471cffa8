"""What happens where llvmlite is missing or broken: the evaluator serves, and one line says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from retrap.machine.cpu import make_backend
from retrap.machine.evaluate import Evaluator
from retrap.machine.memory import PhysicalMemory


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without llvmlite."""
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.delitem(sys.modules, "retrap.machine.llvm.compiler", raising=False)


def test_the_evaluator_serves_with_one_notice(run, samples, missing) -> None:
    ran = run("boot", samples / "hello-arm.elf")
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "PASS")
    (line,) = ran.err.splitlines()
    assert line.startswith("retrap: warning: llvmlite is not installed: guest code was interpreted")


def test_who_asks_for_the_evaluator_gets_no_notice(run, samples, missing) -> None:
    assert run("boot", samples / "hello-arm.elf", "--backend", "evaluate").err == ""


def test_llvm_by_name_is_one_clear_error(run, samples, missing) -> None:
    for verb in (("boot", samples / "hello-arm.elf"),):
        ran = run(*verb, "--backend", "llvm")
        assert (ran.status, ran.out) == (2, "")
        (line,) = ran.err.splitlines()
        assert line.startswith("retrap: backend llvm is not available: ")


def test_traces_are_the_same_without(
    run, samples, missing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("boot", samples / "pingpong-arm.elf", "-o", tmp_path / "without.rtr")
    monkeypatch.undo()
    run("boot", samples / "pingpong-arm.elf", "-o", tmp_path / "with.rtr")
    assert (tmp_path / "without.rtr").read_bytes() == (tmp_path / "with.rtr").read_bytes()


def test_a_library_that_does_not_load_is_found_out_when_code_gets_hot(
    run, samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llvmlite is there, but its shared library is not: known only when it is imported."""
    monkeypatch.setitem(sys.modules, "retrap.machine.llvm.compiler", None)
    ran = run("boot", samples / "pingpong-arm.elf", "--no-cache")
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "PASS")
    (line,) = ran.err.splitlines()
    assert line.startswith("retrap: warning: llvmlite does not work: ")


def test_backends_by_name(missing) -> None:
    assert isinstance(make_backend("auto", PhysicalMemory([(0x40000000, 0x1000)])), Evaluator)


@pytest.mark.parametrize("verb", ["boot", "replay"])
def test_no_cache_leaves_the_folder_alone(
    run, samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    image, cache = samples / "pingpong-arm.elf", tmp_path / "cache"
    run("boot", image, "-o", tmp_path / "t.rtr")
    monkeypatch.setenv("RETRAP_CACHE", str(cache))
    arguments = (image,) if verb == "boot" else (tmp_path / "t.rtr", "--cpu")
    assert run(verb, *arguments, "--no-cache").status == 0
    assert not cache.exists()
    assert run(verb, *arguments).status == 0
