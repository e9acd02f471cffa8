"""Makes the loader tests' ELF builder importable, and runs the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from retrap.tools.cli import run_command

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "loader"))


class Ran(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def samples() -> Path:
    """The committed sample images."""
    return ROOT / "samples" / "prebuilt"


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `retrap` with arguments; unexpected exceptions are not turned into a message."""
    monkeypatch.setenv("RETRAP_TRACEBACK", "1")

    def command(*arguments: str | Path) -> Ran:
        capfd.readouterr()
        status = run_command([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ran(status, out, err)

    return command
