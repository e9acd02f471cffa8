"""unicorn (GPL, tests only) as an oracle: one instruction of a `Case` on its Cortex-A15, in User mode."""

from __future__ import annotations

import unicorn
from isa_oracle import (
    BEFORE,
    CODE,
    CODE_SIZE,
    CONST,
    CONST_BYTES,
    CONST_SIZE,
    DATA,
    DATA_BYTES,
    PC,
    Case,
    Outcome,
)
from unicorn import arm_const as arm
from unicorn_registers import Pages, Registers

_CORE = tuple(getattr(arm, f"UC_ARM_REG_R{n}") for n in range(15))


class Unicorn:
    """Runs cases. A new emulator now and then, because translations of changed code pile up."""

    def __init__(self) -> None:
        self.runs = 0
        self._start()

    def _start(self) -> None:
        uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
        uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_A15)
        uc.mem_map(CODE, CODE_SIZE, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        uc.mem_map(CONST, CONST_SIZE, unicorn.UC_PROT_READ)
        self.data = Pages(uc, DATA, DATA_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        uc.mem_write(CONST, CONST_BYTES)
        uc.hook_add(unicorn.UC_HOOK_INTR, self._interrupt)
        uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._invalid)
        # The mode first: it selects the banked R13 and R14.
        self.registers = Registers(uc, [arm.UC_ARM_REG_CPSR, *_CORE, arm.UC_ARM_REG_PC])
        self.uc = uc

    def _interrupt(self, uc: unicorn.Uc, number: int, _: object) -> None:
        if self.interrupt is None:
            self.interrupt = number
        uc.emu_stop()

    def _invalid(self, uc: unicorn.Uc, access: int, address: int, *_: object) -> bool:
        if self.fault is None:
            self.fault = (address, access in (unicorn.UC_MEM_WRITE_UNMAPPED, unicorn.UC_MEM_WRITE_PROT))
        return False

    def run(self, case: Case) -> Outcome:
        self.runs += 1
        if self.runs % 20000 == 0:
            self._start()
        uc = self.uc
        start = PC - len(case.prefix)
        uc.mem_write(PC - BEFORE, case.code())
        uc.ctl_flush_tb()
        self.interrupt: int | None = None
        self.fault: tuple[int, bool] | None = None
        cpsr = case.nzcvq << 27 | case.ge << 16 | case.big_endian << 9 | case.thumb << 5 | 0x10
        cpsr |= (case.it & 3) << 25 | (case.it >> 2) << 10
        self.registers.write([cpsr, *case.core])
        failed = ""
        try:
            uc.emu_start(start | case.thumb, 0xFFFFFFFF, count=2 if case.prefix else 1)
        except unicorn.UcError as error:
            failed = "UNDEFINED" if error.errno == unicorn.UC_ERR_INSN_INVALID else f"error {error.errno}"
        cpsr, *core, pc = self.registers.read()
        memory = DATA_BYTES
        if self.data.bytes != DATA_BYTES:
            memory = bytes(self.data.bytes)
            self.data.bytes[:] = DATA_BYTES
        trap = failed
        after = PC + case.encoding.size
        if self.fault is not None:
            trap = "DATA_ABORT"
            if pc == self.fault[0] and pc != PC:
                trap = ""  # the instruction is done; it is the next one that cannot be fetched
            elif pc == after:
                pc = PC  # some stores that abort leave it behind the instruction; qemu-arm says where they are
        elif self.interrupt is not None:
            trap = {2: "SVC", 4: "DATA_ABORT", 7: "BREAKPOINT", 1: "UNDEFINED"}.get(
                self.interrupt, f"interrupt {self.interrupt}"
            )
        # A condition-failed instruction of an IT block counts as none: it runs on into the SVCs that follow.
        # So does what follows in its block when that fails.
        went_on = (
            self.fault is None
            and case.it & 15 != 0
            and trap != "BREAKPOINT"
            and (not holds(case.it >> 4, case.nzcvq) or (case.it & 7 != 0 and after < pc <= after + 12))
        )
        if went_on:
            trap, pc = "", after
        elif trap == "UNDEFINED" and pc != PC:
            trap = ""  # the stop after the instruction
        if trap == "SVC":
            pc = PC  # it reports the address after
        out = Outcome(
            trap=trap,
            address=self.fault[0] if self.fault else 0,
            write=self.fault[1] if self.fault else False,
            core=core,
            pc=pc,
            thumb=cpsr >> 5 & 1,
            nzcvq=cpsr >> 27,
            ge=cpsr >> 16 & 15,
            it=(cpsr >> 25 & 3) | (cpsr >> 10 & 0x3F) << 2,
            big_endian=cpsr >> 9 & 1,
            memory=memory,
        )
        if went_on:
            out.it = -1
        if self.interrupt is not None and went_on:
            self._start()  # after an exception the next count is not kept
        return out


def holds(condition: int, nzcvq: int) -> bool:
    """Whether a condition of A8.3 holds."""
    n, z, c, v = (nzcvq >> bit & 1 for bit in (4, 3, 2, 1))
    tests = (z, c, n, v, c & ~z, n == v, n == v and not z, True)
    return bool(tests[condition >> 1]) != (condition & 1 == 1 and condition != 15)
