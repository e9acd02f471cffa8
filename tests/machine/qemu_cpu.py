"""qemu-arm (user mode) as an oracle: batches of cases through a static driver, built here with a cross compiler."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from isa_oracle import (
    BEFORE,
    CODE,
    CODE_SIZE,
    CONST_BYTES,
    DATA_BYTES,
    DATA_SIZE,
    PC,
    Case,
    Outcome,
)

COMPILERS = ("arm-linux-gnueabi-gcc", "arm-linux-gnueabihf-gcc")
_IN = struct.Struct("<6I15I32s")
_OUT = struct.Struct("<4I15I2I128s")
_BIG_ENDIAN = {False: bytes.fromhex("000201f1"), True: bytes.fromhex("58b6")}  # SETEND BE
_DIRECT_BRANCHES = ("B", "BL", "BLX (immediate)", "CBZ, CBNZ", "TBB, TBH")
# Where the process has its stack, the driver, and the kernel's page.
_ITS_OWN = ((0x3F000000, 0x42000000), (0x5A000000, 0x5B000000), (0xFFFF0000, 1 << 32))
_NOT_FOR_THE_DRIVER = (0xBEAB, 0xDE01, 0xE7F001F0, 0xF7F0A000)
"""Semihosting (a Thumb BKPT that QEMU takes for itself); the UDFs that Linux takes for breakpoints."""
_SIGILL, _SIGTRAP, _SIGSEGV, _SIGALRM = 4, 5, 11, 14


def available() -> bool:
    return shutil.which("qemu-arm") is not None and any(map(shutil.which, COMPILERS))


def problem() -> str:
    """Why programs that are built here do not run under qemu-arm, for people; empty if they do."""
    compiler = next(c for c in COMPILERS if shutil.which(c))
    with tempfile.TemporaryDirectory() as directory:
        program = f"{directory}/program"
        for command in ([compiler, "-static", "-x", "c", "-", "-o", program], ["qemu-arm", program]):
            done = subprocess.run(command, input="int main(void) { return 0; }", capture_output=True, text=True)
            if done.returncode:
                said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
                return f"{command[0]} does not work here: {said}"
    return ""


class Qemu:
    """Runs batches. The driver is built once, in a directory of its own."""

    def __init__(self, cpu: str = "cortex-a15") -> None:
        self.cpu = cpu
        self.directory = tempfile.TemporaryDirectory()
        self.driver = str(Path(self.directory.name) / "driver")
        compiler = next(c for c in COMPILERS if shutil.which(c))
        source = Path(__file__).with_name("qemu_driver.c")
        subprocess.run(
            [compiler, "-O1", "-static", "-Wl,-Ttext-segment=0x5a340000", "-o", self.driver, str(source)],
            check=True,
        )

    def takes(self, case: Case, mine: Outcome) -> bool:
        """Whether the driver can run a case: no system call, no loop onto itself, nothing of the process's own."""
        if case.encoding.instruction.name == "SVC" or case.word in _NOT_FOR_THE_DRIVER:
            return False
        if any(low <= place < high for place in (mine.pc, mine.address) for low, high in _ITS_OWN):
            return False
        if not mine.trap and mine.pc == PC:
            return False
        if mine.thumb != case.thumb and mine.pc == PC + case.encoding.size:
            return False  # it goes on in the other instruction set, where the stop is no stop
        if case.big_endian and case.encoding.size == 4 and case.word >> 16 & 15 == 15:
            return False  # relative to PC: it may read the SETEND before it
        lands_in_code = CODE <= mine.pc < CODE + CODE_SIZE and mine.pc not in (PC, PC + case.encoding.size)
        if lands_in_code and case.encoding.instruction.name not in _DIRECT_BRANCHES:
            return False
        return not (case.big_endian and (case.it or case.prefix)) and not (
            PC - 8 <= mine.pc < PC + 24 and mine.pc not in (PC, PC + case.encoding.size)
        )

    def run(self, cases: list[tuple[Case, Outcome]]) -> list[Outcome]:
        """Outcomes of cases, each with what happened here (only to put a stop at the target of a branch)."""
        stream = [DATA_BYTES, CONST_BYTES]
        stream += [self._record(case, mine) for case, mine in cases]
        with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as written:
            file.writelines(stream)
            file.seek(0)
            command = ["qemu-arm", "-cpu", self.cpu, self.driver]
            done = subprocess.run(command, stdin=file, stdout=written, check=False)
            written.seek(0)
            output = written.read()
        if len(output) != len(cases) * _OUT.size:
            raise AssertionError(f"the driver ended with {done.returncode} after {len(output) // _OUT.size} cases")
        return [
            self._outcome(case, record) for (case, _), record in zip(cases, _OUT.iter_unpack(output), strict=True)
        ]

    def _record(self, case: Case, mine: Outcome) -> bytes:
        prefix = _BIG_ENDIAN[case.thumb] if case.big_endian else case.prefix
        code = (case if prefix == case.prefix else replace(case, prefix=prefix)).code()
        cpsr = case.nzcvq << 27 | case.ge << 16 | case.thumb << 5 | 0x10
        cpsr |= (case.it & 3) << 25 | (case.it >> 2) << 10
        stop = 0
        if not mine.trap and CODE <= mine.pc < CODE + CODE_SIZE - 4 and mine.pc != PC + case.encoding.size:
            stop = mine.pc
        return _IN.pack(PC - len(prefix), cpsr, PC - BEFORE, len(code), stop, mine.thumb, *case.core, code)

    def _outcome(self, case: Case, record: tuple) -> Outcome:
        signal, address, pc, cpsr = record[:4]
        core, (first, length, data) = list(record[4:19]), record[19:]
        after = PC + case.encoding.size
        trap, it = "", (cpsr >> 25 & 3) | (cpsr >> 10 & 0x3F) << 2
        if signal == _SIGALRM:
            trap = "LOOP"
        elif signal == _SIGTRAP:
            trap = "BREAKPOINT"
        elif signal == _SIGILL:
            trap = "UNDEFINED" if pc == PC else ""
            begun = case.it & 15 or case.encoding.instruction.name == "IT"
            if begun and after < pc <= after + 8:
                pc, it = after, -1  # skipped some of the undefined instructions after it
        elif not (signal == _SIGSEGV and address == pc != PC):
            trap = "DATA_ABORT"
        memory = DATA_BYTES
        if length:
            memory = DATA_BYTES[:first] + data[: min(length, 128)] + DATA_BYTES[first + length :]
            assert length <= 128 and len(memory) == DATA_SIZE
        return Outcome(
            trap=trap,
            address=address if trap == "DATA_ABORT" else 0,
            core=core,
            pc=pc,
            thumb=cpsr >> 5 & 1,
            nzcvq=cpsr >> 27,
            ge=cpsr >> 16 & 15,
            it=it,
            big_endian=cpsr >> 9 & 1,
            memory=memory,
        )
