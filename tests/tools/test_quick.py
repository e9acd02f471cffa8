"""`quick` understands a part of the command line, exactly as `verbs` does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from retrap.tools import booting, quick, replaying, verbs
from retrap.tools.errors import UsageError

VALUES = st.sampled_from(["a", "x.elf", "0", "7", "007", "+3", "-", "-1", "", "12345678901234567890", "off", "16"])
WORDS = st.lists(
    st.one_of(
        st.sampled_from([*quick._BOOT, *quick._REPLAY]),
        st.sampled_from(["--junit", "--device", "-h", "--", "--bad", "--stats=1", "-kx"]),
        VALUES,
    ),
    max_size=7,
)


def heard(run: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """What a verb's function was called with, and what came back; or the exception."""
    calls: list[object] = []
    with monkeypatch.context() as patch:
        for module in (booting, replaying):
            patch.setattr(module, "command", lambda *a, **k: calls.append((a, k)) or 0)
        try:
            status = run(arguments)
        except UsageError as error:
            return str(error)
    return status, calls


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(verb=st.sampled_from(["boot", "replay"]), words=WORDS)
def test_what_it_understands_means_the_same(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], verb: str, words: list[str]
) -> None:
    ours = heard(quick.run, [verb, *words], monkeypatch)
    if ours != (None, []):
        assert ours == heard(verbs.run, [verb, *words], monkeypatch)


@pytest.mark.parametrize("option", sorted(quick._BOOT))
def test_every_option_of_boot_is_understood(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    words = ["boot", "image", option, *(["7"] if quick._BOOT[option][1] is not None else [])]
    ours = heard(quick.run, words, monkeypatch)
    assert ours != (None, [])
    assert ours == heard(verbs.run, words, monkeypatch)


@pytest.mark.parametrize("option", sorted(quick._REPLAY))
def test_every_option_of_replay_is_understood(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    words = ["replay", "trace", option, *(["7"] if quick._REPLAY[option][1] is not None else [])]
    ours = heard(quick.run, words, monkeypatch)
    assert ours != (None, [])
    assert ours == heard(verbs.run, words, monkeypatch)


@pytest.mark.parametrize(
    "words", [[], ["boot", "-h"], ["--version"], ["boot", "a", "b"], ["boot", "--kernel"], ["show"]]
)
def test_the_rest_is_left_to_the_option_parser(words: list[str]) -> None:
    assert quick.run(words) is None


def test_booting_a_small_guest_loads_no_large_library(samples: Path) -> None:
    code = (
        "import sys; from retrap.tools.cli import run_command; "
        f"status = run_command(['boot', {str(samples / 'hello-arm.elf')!r}, '--backend', 'evaluate']); "
        "large = {'typer', 'pydantic', 'rich', 'lief', 'llvmlite', 'capstone', 'fdt'} & sys.modules.keys(); "
        "sys.exit(f'{status} {large}' if status or large else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
