"""Compiled numeric code, VFP and Advanced SIMD, ARM and Thumb: the same hash here and under qemu-arm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from retrap.machine.context import ContextArena, Slot
from retrap.machine.cpu import Cpu
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import TrapKind

SOURCE = Path(__file__).with_name("fp_kernels.c")
COMPILER = "arm-none-eabi-gcc"
RAM, SIZE = 0x10000, 0x20000
STACK = RAM + SIZE
OPTIONS = [
    "-marm -O2 -mfloat-abi=hard -mfpu=vfpv3",
    "-mthumb -O2 -mfloat-abi=hard -mfpu=vfpv4",
    "-marm -O3 -ffast-math -mfloat-abi=hard -mfpu=neon",
    "-mthumb -O3 -mfloat-abi=softfp -mfpu=neon-vfpv4",
]

pytestmark = pytest.mark.skipif(
    shutil.which(COMPILER) is None or shutil.which("qemu-arm") is None, reason="needs a compiler and qemu-arm"
)


@pytest.mark.parametrize("backend", ["evaluate", "auto"])
@pytest.mark.parametrize("options", OPTIONS)
def test_kernels(options: str, backend: str, tmp_path: Path) -> None:
    program = tmp_path / "kernels"
    common = f"-march=armv7-a -ffreestanding -nostdlib -static -Wl,-Ttext-segment={RAM:#x} -Wl,--build-id=none"
    subprocess.run([COMPILER, *common.split(), *options.split(), SOURCE, "-o", program, "-lgcc"], check=True)
    emulated = subprocess.run(["qemu-arm", "-cpu", "cortex-a15", program], capture_output=True, check=True)
    assert hash_of(program, backend) == int.from_bytes(emulated.stdout, "little")


def hash_of(program: Path, backend: str) -> int:
    """Run the program here up to its first system call, and take what that would write."""
    memory = PhysicalMemory([(RAM, SIZE)])
    space = AddressSpace(memory)
    for page in range(RAM, RAM + SIZE, 0x1000):
        space.map(page, page, 12, READ | WRITE | EXECUTE)
    with program.open("rb") as file:
        elf = ELFFile(file)
        entry = elf["e_entry"]
        for segment in elf.iter_segments("PT_LOAD"):
            memory.write(segment["p_vaddr"], segment.data())
    words = ContextArena().allocate()
    words.words[Slot.PC], words.words[Slot.THUMB] = entry & ~1, entry & 1
    words.words[Slot.SP], words.words[Slot.FPEXC_EN] = STACK, 1
    cpu = Cpu(memory, backend)
    trap = cpu.run(words, space, 3_000_000)
    assert trap.kind == TrapKind.SVC
    return memory.read_word(words.words[1])
