"""Runs a static ARM Linux executable on the CPU: as much of the kernel's interface as C libraries use to compute
and print. For the tests only: it gives the instruction set programs that compilers made.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from retrap.machine.access import Abort, load
from retrap.machine.context import ContextArena, Slot
from retrap.machine.cpu import Cpu
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import TrapKind

RAM, RAM_SIZE = 0x80000000, 64 << 20
STACK_TOP, STACK_SIZE = 0x7F000000, 1 << 20
MAPPINGS = 0x60000000
KERNEL_PAGE = 0xFFFF0000
ENOSYS, ENOENT, ENOMEM = -38, -2, -12


class Died(Exception):
    """The program did what ends a process: a fault, or a system call that is not here."""


@dataclass
class Result:
    """What a program came to."""

    output: bytes
    status: int
    retired: int


class Process:
    """One process: memory, a context, the system calls."""

    def __init__(self, path: Path, arguments: tuple[str, ...] = (), backend: str = "evaluate") -> None:
        self.memory = PhysicalMemory([(RAM, RAM_SIZE)])
        self.space = AddressSpace(self.memory)
        self.context = ContextArena().allocate()
        self.words = self.context.words
        self.words[Slot.FPEXC_EN] = 1
        self.cpu = Cpu(self.memory, backend)
        self.output = bytearray()
        self.next_frame = RAM
        self.next_mapping = MAPPINGS
        self.exit: int | None = None
        with path.open("rb") as file:
            elf = ELFFile(file)
            self._load(elf)
            entry = elf["e_entry"]
            headers = elf["e_phoff"], elf["e_phentsize"], elf["e_phnum"]
        self._map(STACK_TOP - STACK_SIZE, STACK_SIZE, READ | WRITE)
        self._kernel_page()
        self._stack(path.name, arguments, entry, headers)
        self.words[Slot.PC] = entry & ~1
        self.words[Slot.THUMB] = entry & 1

    def run(self, limit: int = 1_000_000_000) -> Result:
        """Until the program exits. Raises `Died`."""
        while self.exit is None:
            if self.cpu.retired >= limit:
                raise Died("it does not end")
            trap = self.cpu.run(self.context, self.space, limit - self.cpu.retired)
            if trap.kind is TrapKind.SVC:
                self.words[Slot.PC] += 2 if self.words[Slot.THUMB] else 4
                self.words[0] = self._call(self.words[7], self.words[0:6].tolist()) & 0xFFFFFFFF
            elif trap.kind is not TrapKind.INTERRUPT:
                raise Died(f"{trap!r} at {self.words[Slot.PC]:#x} after {self.cpu.retired} instructions")
        return Result(bytes(self.output), self.exit, self.cpu.retired)

    # -- memory ------------------------------------------------------------------------------------------------

    def _load(self, elf: ELFFile) -> None:
        end = 0
        self.base = 0
        for segment in elf.iter_segments("PT_LOAD"):
            address, size = segment["p_vaddr"], segment["p_memsz"]
            if segment["p_offset"] == 0:
                self.base = address
            self._map(address, size, READ | WRITE | EXECUTE)
            self.write(address, segment.data())
            end = max(end, address + size)
        self.break_ = (end + 0xFFF) & ~0xFFF

    def _map(self, address: int, size: int, rights: int) -> None:
        for page in range(address >> 12, (address + size + 0xFFF) >> 12):
            if page not in self.space.pages:
                if self.next_frame >= RAM + RAM_SIZE:
                    raise Died("out of memory")
                self.space.map(page << 12, self.next_frame, 12, rights)
                self.next_frame += 0x1000

    def write(self, address: int, data: bytes) -> None:
        for n in range(len(data)):
            frame = self.space.pages[address + n >> 12] >> 4
            self.memory.write(frame << 12 | (address + n & 0xFFF), data[n : n + 1])

    def read(self, address: int, size: int) -> bytes:
        try:
            return bytes(load(self.space, address + n & 0xFFFFFFFF, 1, 1, 0) for n in range(size))
        except Abort as abort:
            raise Died(f"a system call reads {abort.address:#x}") from None

    def _kernel_page(self) -> None:
        self._map(KERNEL_PAGE, 0x1000, READ | WRITE | EXECUTE)
        for offset, words in (
            (0xFA0, (0xF57FF05F, 0xE12FFF1E)),  # dmb; bx lr
            # Compare and exchange: ldrex r3, [r2]; subs r3, r0; strexeq r3, r1, [r2]; teqeq r3, #1; beq; rsbs
            (0xFC0, (0xE1923F9F, 0xE0533000, 0x01823F91, 0x03330001, 0x0AFFFFFA, 0xE2730000, 0xE12FFF1E)),
            (0xFE0, (0xEE1D0F70, 0xE12FFF1E)),  # the thread pointer
            (0xFFC, (5,)),
        ):
            self.write(KERNEL_PAGE + offset, struct.pack(f"<{len(words)}I", *words))
        self.space.map(KERNEL_PAGE, (self.space.pages[KERNEL_PAGE >> 12] >> 4) << 12, 12, READ | EXECUTE)

    def _stack(self, name: str, arguments: tuple[str, ...], entry: int, headers: tuple[int, int, int]) -> None:
        top = STACK_TOP - 0x1000
        strings = []
        for text in (name, *arguments):
            strings.append(top)
            self.write(top, text.encode() + b"\0")
            top += len(text) + 1
        random = (top + 16) & ~15
        self.write(random, bytes(range(16)))
        offset, size, count = headers
        auxiliary = (
            (3, self.base + offset),
            (4, size),
            (5, count),
            (6, 0x1000),
            (9, entry),
            (25, random),
            (16, 0x8B0D7),
        )
        words = [len(strings), *strings, 0, 0]  # no environment
        for pair in (*auxiliary, (11, 1000), (12, 1000), (13, 1000), (14, 1000), (23, 0), (0, 0)):
            words += pair
        sp = (STACK_TOP - 0x1000 - 4 * len(words)) & ~7
        self.write(sp, struct.pack(f"<{len(words)}I", *words))
        self.words[Slot.SP] = sp

    # -- system calls ------------------------------------------------------------------------------------------

    def _call(self, number: int, a: list[int]) -> int:
        match number:
            case 1 | 248:  # exit, exit_group
                self.exit = a[0] & 0xFF
                return 0
            case 4:  # write
                self.output += self.read(a[1], a[2])
                return a[2]
            case 146:  # writev
                total = 0
                for n in range(a[2]):
                    base, size = struct.unpack("<II", self.read(a[1] + 8 * n, 8))
                    self.output += self.read(base, size)
                    total += size
                return total
            case 45:  # brk
                if a[0] > self.break_:
                    self._map(self.break_, a[0] - self.break_, READ | WRITE)
                    self.break_ = (a[0] + 0xFFF) & ~0xFFF
                return a[0] or self.break_
            case 192:  # mmap2, anonymous
                address = self.next_mapping
                size = (a[1] + 0xFFF) & ~0xFFF
                self._map(address, size, READ | WRITE)
                self.next_mapping += size
                return address
            case 0xF0005:  # set_tls
                self.words[Slot.TPIDRURO] = a[0]
                return 0
            case 91 | 125 | 174 | 175 | 338 | 172 | 340:  # munmap, mprotect, signals, robust list: nothing to do
                return 0
            case 256:  # set_tid_address
                return 1
            case 20 | 224:  # getpid, gettid
                return 1
            case 384:  # getrandom
                self.write(a[0], bytes(n * 7 & 0xFF for n in range(a[1])))
                return a[1]
            case 122:  # uname
                self.write(
                    a[0], b"".join(t.ljust(65, b"\0") for t in (b"Linux", b"t", b"6.1.0", b"#1", b"armv7l", b""))
                )
                return 0
            case 191:  # ugetrlimit
                self.write(a[1], struct.pack("<II", 8 << 20, 0xFFFFFFFF))
                return 0
            case (
                54 | 197 | 397 | 369 | 398 | 263 | 327 | 403 | 78 | 386 | 439
            ):  # ioctl, stat, prlimit, rseq, clocks …
                return ENOSYS
            case 332 | 85 | 322 | 5 | 33:  # readlink, open, access
                return ENOENT
        raise Died(f"system call {number}")


def run(path: Path, arguments: tuple[str, ...] = (), backend: str = "evaluate") -> Result:
    """A program from start to end. Raises `Died`."""
    return Process(path, arguments, backend).run()
