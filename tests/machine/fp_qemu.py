"""qemu-arm as an oracle with VFP: a small static driver (fp_driver.c) runs single instructions and reports.

The driver is built when first needed, by any ARM compiler. Linux does not let a signal handler set CPSR.E: cases
with it start at a SETEND before the instruction.
"""

from __future__ import annotations

import shutil
import signal
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

COMPILERS = ("arm-none-eabi-gcc", "arm-linux-gnueabi-gcc", "arm-linux-gnueabihf-gcc")
EMULATOR = "qemu-arm"
CASE = struct.Struct("<15I I I I 32Q I 20s")
OUTCOME = struct.Struct("<I I 16I I I 32Q I I 128s")
BIG_ENDIAN = {False: bytes.fromhex("000201f1"), True: bytes.fromhex("58b6")}
"""SETEND BE."""


def padded(code: bytes, thumb: bool) -> bytes:
    """An instruction and, up to 16 bytes, UDF after it."""
    filler = bytes.fromhex("00de") if thumb else bytes.fromhex("f000f0e7")
    return code + filler * ((16 - len(code)) // len(filler))


def available() -> bool:
    return shutil.which(EMULATOR) is not None and any(map(shutil.which, COMPILERS))


@cache
def driver() -> Path:
    """The driver's executable, built in a directory that lives as long as this process."""
    directory = tempfile.TemporaryDirectory(prefix="retrap-qemu-")
    _directories.append(directory)
    target = Path(directory.name) / "driver"
    compiler = next(name for name in COMPILERS if shutil.which(name))
    options = "-O1 -ffreestanding -fno-builtin -nostdlib -static -marm -march=armv7-a -mfloat-abi=soft"
    link = "-Wl,-Ttext-segment=0x50000000 -Wl,--build-id=none"
    source = Path(__file__).with_name("fp_driver.c")
    subprocess.run([compiler, *options.split(), *link.split(), str(source), "-o", str(target)], check=True)
    return target


_directories: list[tempfile.TemporaryDirectory[str]] = []


@dataclass(frozen=True)
class State:
    """Registers before or after. `core` is R0 … R14."""

    core: tuple[int, ...]
    pc: int
    cpsr: int
    fpscr: int
    doubles: tuple[int, ...]


@dataclass(frozen=True)
class Result:
    """How an instruction ended. `trap`: "" | "UNDEFINED" | "DATA_ABORT" | "ALIGNMENT" | another signal's name."""

    trap: str
    address: int
    state: State
    memory: bytes


class QemuArm:
    """Runs batches of cases. All share the code and data regions and the data's contents."""

    def __init__(self, code: tuple[int, int], data: tuple[int, int], contents: bytes) -> None:
        """`code`, `data`: (address, size) of regions in whole pages; `contents`: what data holds at first."""
        self.header = struct.pack("<4I", *code, *data) + contents
        self.contents = contents

    def run(self, cases: list[tuple[State, bytes]]) -> list[Result]:
        """Results of (state, code) pairs, in order; `code` is 16 bytes, the instruction first."""
        given = bytearray(self.header)
        for state, code in cases:
            thumb = state.cpsr >> 5 & 1 == 1
            prefix = BIG_ENDIAN[thumb] if state.cpsr >> 9 & 1 else b""
            before = padded(b"", True)[: 4 - len(prefix)] + prefix
            start = state.pc - len(prefix)
            registers = *state.core, start, state.cpsr & ~0x200, state.fpscr, *state.doubles
            given += CASE.pack(*registers, state.pc - 4, before + code)
        with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as written:
            file.write(given)
            file.seek(0)
            done = subprocess.run(
                [EMULATOR, "-cpu", "cortex-a15", str(driver())],
                stdin=file, stdout=written, stderr=subprocess.PIPE, check=False,
            )  # fmt: skip
            written.seek(0)
            output = written.read()
        if len(output) != OUTCOME.size * len(cases):
            raise RuntimeError(f"{len(output) // OUTCOME.size} of {len(cases)} cases: {done.stderr.decode()}")
        results = []
        for (state, _), record in zip(cases, OUTCOME.iter_unpack(output), strict=True):
            after = State(record[2:17], record[17], record[18], record[19], record[20:52])
            memory = self._memory(*record[52:])
            results.append(Result(_trap(record[0], state, after), record[1], after, memory))
        return results

    def _memory(self, first: int, length: int, changed: bytes) -> bytes:
        if not length:
            return self.contents
        assert length <= len(changed)  # no instruction stores more
        return self.contents[:first] + changed[:length] + self.contents[first + length :]


def _trap(number: int, before: State, after: State) -> str:
    if number == signal.SIGILL:
        return "UNDEFINED" if after.pc == before.pc else ""
    if number == signal.SIGSEGV:
        return "DATA_ABORT"
    if number == signal.SIGBUS:
        return "ALIGNMENT"
    return signal.Signals(number).name
