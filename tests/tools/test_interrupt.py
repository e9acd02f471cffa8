"""Ctrl-C ends a run at once, whatever the guest does: also in native loops that never enter the kernel."""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from elf_builder import Elf, Load, R, X

LOOPS = {
    "branch to itself": (0xEAFFFFFE,),
    "arithmetic": (0xE2800001, 0xE0811000, 0xE2522001, 0xEAFFFFFB),
}


VERBS = (("boot",), ("boot", "--backend", "evaluate"), ("boot", "--instructions", "i"), ("profile",))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_without_traps_is_interrupted(tmp_path: Path, verb: tuple[str, ...], loop: str) -> None:
    image = tmp_path / "spin.elf"
    code = struct.pack(f"<{len(LOOPS[loop])}I", *LOOPS[loop])
    image.write_bytes(Elf(segments=(Load(0x10000, code, flags=R | X),)).build())
    started = tmp_path / "started"
    # The process says when the guest runs: when its handler of Ctrl-C is in place.
    program = (
        "import signal, sys, pathlib; from retrap.tools.cli import run_command; was = signal.signal\n"
        "def told(*a):\n"
        f" pathlib.Path({str(started)!r}).touch(); signal.signal = was; return was(*a)\n"
        "signal.signal = told\n"
        f"sys.exit(run_command([{verb[0]!r}, {str(image)!r}, *{list(verb[1:])!r}]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while not started.exists():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)  # let it get hot
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
