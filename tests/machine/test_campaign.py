"""`make isa-campaign` and `make programs` as commands: what is missing, what is kept, what the exit status says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import campaign
import programs
import pytest
import qemu_cpu

HERE = Path(__file__).parent
WITHOUT_UNICORN = "import sys, runpy; sys.modules['unicorn'] = None; sys.argv[:] = sys.argv[1:]; "
NO_QEMU = "there is no qemu-arm (Debian: qemu-user)"
NO_UNICORN = "unicorn is not installed"

needs_qemu = pytest.mark.skipif(not qemu_cpu.available(), reason="qemu-arm or its cross compiler is not installed")


def run(
    *arguments: str | Path, path: str | Path | None = None, unicorn: bool = True, script: str = "campaign.py"
) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own; `path`: its PATH."""
    command = [sys.executable, str(HERE / script)]
    if not unicorn:
        start = WITHOUT_UNICORN + "runpy.run_path(sys.argv[0], run_name='__main__')"
        command = [sys.executable, "-c", start, str(HERE / script)]
    environment = os.environ | ({} if path is None else {"PATH": str(path)})
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=environment, check=False
    )


def test_without_qemu_unicorn_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    done = run("--cases", "4", "--class", "CLZ", "--state", tmp_path / "s.json", path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"{NO_QEMU}; the campaign goes on without\n"
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["class", "cases", "unicorn", "known", "unexplained"]
    assert lines[0].split() == ["CLZ", "A1", "4", "4", "0", "0"]
    assert "4 classes, 16 cases, 0 unexplained differences" in lines


def test_classes_that_only_qemu_knows_are_named(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    done = run("--cases", "4", "--class", "IT T1", "--state", tmp_path / "s.json", path=tmp_path)
    assert done.returncode == 0, done.stderr  # RBIT T1 was compared
    assert "compared with nothing, for want of the CPU that could: IT T1\n" in done.stdout
    done = run("--cases", "4", "--suite", "space", "--state", tmp_path / "s.json", path=tmp_path)
    assert done.returncode == 2
    assert "could: any 16-bit Thumb word, any 32-bit Thumb word, any A32 word\n" in done.stdout


@needs_qemu
def test_without_unicorn_qemu_is_asked(tmp_path: Path) -> None:
    done = run("--cases", "4", "--class", "(PMCR)", "--state", tmp_path / "s.json", unicorn=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(NO_UNICORN) and done.stderr.count("\n") == 1
    assert "MRC (PMCR) A1" in done.stdout and "4 classes, 16 cases, 0 unexplained differences" in done.stdout


def test_without_any_oracle_there_is_no_campaign(tmp_path: Path) -> None:
    state = tmp_path / "s.json"
    done = run("--cases", "4", "--class", "CLZ", "--state", state, path=tmp_path, unicorn=False)
    assert done.returncode == 2 and done.stdout == ""
    assert NO_UNICORN in done.stderr and NO_QEMU in done.stderr
    assert done.stderr.endswith("no independent CPU to compare with\n")
    assert not state.exists()


def test_a_compiler_that_does_not_work_is_named(tmp_path: Path) -> None:
    for name, text in (("qemu-arm", "exit 0"), (qemu_cpu.COMPILERS[0], "echo no C library >&2; exit 1")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    done = run("--cases", "4", "--class", "CLZ", "--state", tmp_path / "s.json", path=tmp_path, unicorn=False)
    assert done.returncode == 2
    assert f"{qemu_cpu.COMPILERS[0]} does not work here: no C library\n" in done.stderr


def test_a_campaign_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pytest.importorskip("unicorn")
    state = tmp_path / "s.json"
    monkeypatch.setattr(campaign.shutil, "which", lambda name: None)
    made: list[str] = []
    run_class = campaign.run_class

    def counted(chosen, *rest):
        if len(made) == 2 and not state.with_suffix(".resumed").exists():
            raise KeyboardInterrupt
        made.append(chosen.title)
        return run_class(chosen, *rest)

    monkeypatch.setattr(campaign, "run_class", counted)
    monkeypatch.setattr(sys, "argv", ["campaign.py", "--cases", "4", "--class", "CLZ", "--state", str(state)])
    with pytest.raises(KeyboardInterrupt):
        campaign.main()
    assert list(json.loads(state.read_text())["classes"]) == made == ["CLZ A1", "CLZ T1"]
    state.with_suffix(".resumed").touch()
    # A class with a difference is tried again, the others are not.
    kept = json.loads(state.read_text())
    kept["classes"]["CLZ T1"]["unexplained"] = 1
    state.write_text(json.dumps(kept))
    assert campaign.main() == 0
    assert made == ["CLZ A1", "CLZ T1", "CLZ T1", "VCLZ A1", "VCLZ T1"]
    assert "4 classes, 16 cases, 0 unexplained differences" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_cases(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    tables = []
    for name in "ab":
        state = tmp_path / f"{name}.json"
        done = run("--cases", "40", "--seed", "7", "--class", "SMLAD", "--state", state, path=tmp_path)
        assert done.returncode == 0, done.stdout
        tables.append(done.stdout.splitlines()[:-1])
    assert tables[0] == tables[1]


def test_no_such_class(tmp_path: Path) -> None:
    done = run("--class", "nothing of this name", "--state", tmp_path / "s.json")
    assert done.returncode == 2 and done.stderr.endswith("no such class\n")


def test_programs_want_qemu(tmp_path: Path) -> None:
    done = run(path=tmp_path, script="programs.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "there is no qemu-arm to compare with (Debian: qemu-user)\n"


def test_programs_without_compilers_and_sources(tmp_path: Path) -> None:
    (tmp_path / "qemu-arm").symlink_to(shutil.which("true") or "/bin/true")
    done = run("--libraries", path=tmp_path, script="programs.py")
    assert done.returncode == 2
    assert "no libraries: there is no apt-get to download Debian's sources with; they are left out\n" in done.stderr
    assert "arm-none-eabi-gcc is not installed: its programs are left out\n" in done.stderr
    assert done.stderr.endswith("nothing to run\n")


def test_the_table_of_programs() -> None:
    names = ("zlib-soft-arm", "zlib-hard-thumb", "floating-neon-arm-O2", "floating-vfp-arm-O0")
    verdicts = [(programs.Build(name, (), (), False), name != "floating-vfp-arm-O0") for name in names]
    assert [line.split() for line in programs.table(verdicts).splitlines()] == [
        ["program", "A32", "soft", "A32", "hard", "Thumb", "soft", "Thumb", "hard"],
        ["zlib", "1", "same", "-", "-", "1", "same"],
        ["floating", "-", "1", "of", "2", "-", "-"],
    ]
