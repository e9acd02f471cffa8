"""unicorn (GPL, tests only; QEMU 5) as an oracle with VFP: single instructions on its Cortex-A15.

Each case runs until the address after its instruction, not for a count of one: unicorn loses count after an
exception and at instructions of IT blocks whose condition fails.
"""

from __future__ import annotations

import unicorn
from fp_oracle import CODE, CODE_BYTES, CPSR_SEEN, DATA, MEMORY, PC, Case, Outcome, padded
from retrap.machine.arm.decode import to_bytes
from unicorn import arm_const as arm
from unicorn_registers import Pages, Registers

_CORE = [getattr(arm, f"UC_ARM_REG_R{n}") for n in range(15)]
_DOUBLES = [getattr(arm, f"UC_ARM_REG_D{n}") for n in range(32)]
_MEMORY_ERRORS = (
    unicorn.UC_ERR_READ_UNMAPPED,
    unicorn.UC_ERR_WRITE_UNMAPPED,
    unicorn.UC_ERR_READ_PROT,
    unicorn.UC_ERR_WRITE_PROT,
)
_UNDEFINED = (unicorn.UC_ERR_INSN_INVALID, unicorn.UC_ERR_EXCEPTION)


class Unicorn:
    """Runs cases. A new emulator now and then, because translations of changed code pile up."""

    complete = False

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        machine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
        machine.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_A15)
        machine.mem_map(CODE, len(CODE_BYTES), unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        machine.mem_write(CODE, CODE_BYTES)
        self._pages = Pages(machine, DATA, MEMORY, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        machine.reg_write(arm.UC_ARM_REG_C1_C0_2, 0xF << 20)
        machine.reg_write(arm.UC_ARM_REG_FPEXC, 1 << 30)
        # The mode first: it selects the banked R13 and R14.
        ids = [arm.UC_ARM_REG_CPSR, arm.UC_ARM_REG_FPSCR, *_CORE, *_DOUBLES, arm.UC_ARM_REG_PC]
        self._registers = Registers(machine, ids)
        self._machine = machine
        self._code = b""
        self._runs = 0

    def run(self, cases: list[Case]) -> list[Outcome]:
        return [self._run(case) for case in cases]

    def _run(self, case: Case) -> Outcome:
        self._runs += 1
        if self._runs == 20000:
            self._start()
        machine, pages = self._machine, self._pages.bytes
        self._registers.write([case.cpsr, case.fpscr, *case.core, *case.doubles])
        code = padded(to_bytes(case.word, case.thumb), case.thumb)
        if code != self._code:
            machine.ctl_remove_cache(PC, PC + 16)
            machine.mem_write(PC, code)
            self._code = code
        trap = ""
        try:
            machine.emu_start(PC | case.thumb, PC + 4)
        except unicorn.UcError as error:
            if error.errno in _MEMORY_ERRORS:
                trap = "DATA_ABORT"
            elif error.errno in _UNDEFINED:
                trap = "UNDEFINED"
            else:
                raise
        memory = MEMORY
        if pages != MEMORY:
            memory = bytes(pages)
            pages[:] = MEMORY
        if trap:
            return Outcome(trap)
        read = self._registers.read()
        return Outcome("", read[2:17], read[49], read[0] & CPSR_SEEN, read[1], read[17:49], memory)
