"""Settings of a process that runs one guest."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

BUFFERS = """
import resource
from retrap.tools.process import keep_buffers
keep_buffers()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytes(bytearray(b"x") * 4_000_000)
before = faults()
for _ in range(50):
    bytes(bytearray(b"x") * 4_000_000)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no mallopt")
def test_buffers_that_come_and_go_cost_no_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", BUFFERS], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 1000  # of 100,000 pages
