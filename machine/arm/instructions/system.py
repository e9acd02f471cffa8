"""Status registers, exceptions, hints, barriers, coprocessor access: ARM ARM A4.5, A4.8, A4.9, B9.3.

Privileged instructions in User mode: SMC, HVC and ERET are UNDEFINED, as are RFE, SRS, SUBS PC,LR and the S forms
of LDM and STM (UNPREDICTABLE in User mode): none has an encoding here. CPS is a NOP.
"""

from __future__ import annotations

from retrap.machine.arm.pseudocode import PC, arm_expand_imm, bad, in_it, no_bad_registers
from retrap.machine.arm.registry import Decoded, instruction
from retrap.machine.context import Slot
from retrap.machine.ir.builder import Builder
from retrap.machine.traps import TrapKind

# -- exceptions ----------------------------------------------------------------------------------------------


@instruction("SVC", "A8.8.228", """
    A1  cond 1111 imm24
    T1  11011111 imm8
""")  # fmt: skip
def svc(b: Builder, i: Decoded) -> None:
    b.trap(TrapKind.SVC)


@instruction("BKPT", "A8.8.24", """
    A1  cond 00010010 imm12 0111 imm4
    T1  1011 1110 imm8
""")  # fmt: skip
def bkpt(b: Builder, i: Decoded) -> None:
    i.unpredictable_if(i.condition != 14)
    b.trap(TrapKind.BREAKPOINT)


@instruction("UDF", "A8.8.247", """
    A1  1110 01111111 imm12 1111 imm4
    T1  1101 1110 imm8
    T2  11110 1111111 imm4 1010 imm12
""")  # fmt: skip
def udf(b: Builder, i: Decoded) -> None:
    i.undefined_if(True)


# -- IT ------------------------------------------------------------------------------------------------------


@instruction("IT", "A8.8.54", """
    T1  1011 1111 firstcond:4 mask:4
""")  # fmt: skip
def it(b: Builder, i: Decoded) -> None:
    first, mask = i["firstcond"], i["mask"]
    i.unpredictable_if(first == 15 or (first == 14 and mask.bit_count() != 1) or in_it(b))
    b.set(Slot.IT, first << 4 | mask)


# -- hints and barriers --------------------------------------------------------------------------------------


@instruction("Hints", "A8.8.119, A8.8.168, A8.8.42, A8.8.424-A8.8.426", """
    A1  cond 0011 0010 0000 (1111) (0000) hint:8
    T1  1011 1111 hint:4 0000
    T2  11110 0 111 01 0 (1111) 10 (0) 0 (0) 000 hint:8
""")  # fmt: skip
def hints(b: Builder, i: Decoded) -> None:
    """NOP, YIELD, WFE, WFI, SEV, DBG, and those not allocated, which execute as NOP.

    WFI and WFE may complete at any time; here they do so at once, so that time depends on instructions alone.
    """


@instruction("DMB", "A8.8.43", """
    A1  1111 0101 0111 (1111) (1111) (0000) 0101 option
    T1  11110 0 111 01 1 (1111) 10 (0) 0 (1111) 0101 option
""")  # fmt: skip
def dmb(b: Builder, i: Decoded) -> None:
    """Memory is sequentially consistent here."""


@instruction("DSB", "A8.8.44", """
    A1  1111 0101 0111 (1111) (1111) (0000) 0100 option
    T1  11110 0 111 01 1 (1111) 10 (0) 0 (1111) 0100 option
""")  # fmt: skip
def dsb(b: Builder, i: Decoded) -> None:
    """See DMB."""


@instruction("ISB", "A8.8.53", """
    A1  1111 0101 0111 (1111) (1111) (0000) 0110 option
    T1  11110 0 111 01 1 (1111) 10 (0) 0 (1111) 0110 option
""")  # fmt: skip
def isb(b: Builder, i: Decoded) -> None:
    """Instructions are fetched one by one here."""


# -- status register -----------------------------------------------------------------------------------------


@instruction("MRS", "A8.8.109", """
    A1  cond 00010 0 00 (1111) Rd (0000) 0000 (0000)
    T1  11110 0 1111 1 0 (1111) 10 (0) 0 Rd (00000000)
""")  # fmt: skip
def mrs(b: Builder, i: Decoded) -> None:
    """Reads N Z C V Q GE E, masks and mode; the execution state bits (IT, J, T) read as zero (B9.3.8).

    E, the masks and the mode are UNKNOWN to user code; here they are what they are, as processors give them.
    """
    no_bad_registers(b, i, "Rd")
    value = b.get(Slot.BIG_ENDIAN) << 9 | b.get(Slot.MODE)
    for slot, low in ((Slot.N, 31), (Slot.Z, 30), (Slot.C, 29), (Slot.V, 28), (Slot.Q, 27), (Slot.GE, 16)):
        value = value | b.get(slot) << low
    b.set_reg(i["Rd"], value)


@instruction("MSR", "A8.8.111-A8.8.112", """
    immediate A1    cond 00110 0 10 mask:4 (1111) imm12
    register A1     cond 00010 0 10 mask:4 (1111) (0000) 0000 Rn
    register T1     11110 0 1110 0 0 Rn 10 (0) 0 mask:4 (00000000)
""")  # fmt: skip
def msr(b: Builder, i: Decoded) -> None:
    """In User mode: flags (mask bit 3), GE (bit 2), E (bit 1); the rest is ignored (B9.3.9, CPSRWriteByInstr)."""
    mask = i["mask"]
    i.unpredictable_if(mask == 0)
    if "Rn" in i:
        i.unpredictable_if(i["Rn"] == PC or (b.thumb and bad(i["Rn"])))
        value = b.reg(i["Rn"])
    else:
        value = b.const(arm_expand_imm(i["imm12"])[0])
    if mask & 8:
        for slot, low in ((Slot.N, 31), (Slot.Z, 30), (Slot.C, 29), (Slot.V, 28), (Slot.Q, 27)):
            b.set(slot, value.field(low, 1))
    if mask & 4:
        b.set(Slot.GE, value.field(16, 4))
    if mask & 2:
        b.set(Slot.BIG_ENDIAN, value.field(9, 1))


@instruction("SETEND", "A8.8.167", """
    A1  1111 00010000 (000) 1 (000000) E (0) 0000 (0000)
    T1  1011 0110 010 (1) E (000)
""")  # fmt: skip
def setend(b: Builder, i: Decoded) -> None:
    i.unpredictable_if(in_it(b))
    b.set(Slot.BIG_ENDIAN, i["E"])


@instruction("CPS", "B9.3.2", """
    A1  1111 00010000 imod:2 M 0 (0000000) A I F (0) mode:5
    T1  1011 0110 011 im (0) A I F
    T2  11110 0 111 01 0 (1111) 10 (0) 0 (0) imod:2 M A I F mode:5
""")  # fmt: skip
def cps(b: Builder, i: Decoded) -> None:
    """Changes nothing in User mode."""
    if "imod" in i:
        i.unpredictable_if((i["mode"] != 0 and i["M"] == 0) or i["imod"] == 1)
        masks = i["A"] | i["I"] | i["F"]
        i.unpredictable_if((i["imod"] >> 1 == 1) != (masks == 1) or (i["imod"] == 0 and i["M"] == 0))
    else:
        i.unpredictable_if(i["A"] | i["I"] | i["F"] == 0)
    i.unpredictable_if(b.thumb and in_it(b))


# -- coprocessors 14 and 15: what User mode may reach; all else is UNDEFINED --------------------------------


@instruction("MRC", "A8.8.107, B3.17, B8.2, C11.11, C12", """
    TPIDRURW T1/A1    cond 1110 000 1 1101 Rt 1111 010 1 0000  slot=25
    TPIDRURO T1/A1    cond 1110 000 1 1101 Rt 1111 011 1 0000  slot=26
    CNTFRQ T1/A1      cond 1110 000 1 1110 Rt 1111 000 1 0000  slot=97 counters=3
    CNTP_TVAL T1/A1   cond 1110 000 1 1110 Rt 1111 000 1 0010  system=1 counters=8
    CNTP_CTL T1/A1    cond 1110 000 1 1110 Rt 1111 001 1 0010  system=0 counters=8
    CNTV_TVAL T1/A1   cond 1110 000 1 1110 Rt 1111 000 1 0011  system=5 counters=4
    CNTV_CTL T1/A1    cond 1110 000 1 1110 Rt 1111 001 1 0011  system=4 counters=4
    PMCR T1/A1        cond 1110 000 1 1001 Rt 1111 000 1 1100  system=16 counters=16
    PMCNTENSET T1/A1  cond 1110 000 1 1001 Rt 1111 001 1 1100  system=17 counters=16
    PMCNTENCLR T1/A1  cond 1110 000 1 1001 Rt 1111 010 1 1100  system=18 counters=16
    PMOVSR T1/A1      cond 1110 000 1 1001 Rt 1111 011 1 1100  system=19 counters=16
    PMSELR T1/A1      cond 1110 000 1 1001 Rt 1111 101 1 1100  system=21 counters=16
    PMCEID0 T1/A1     cond 1110 000 1 1001 Rt 1111 110 1 1100  system=22 counters=32
    PMCEID1 T1/A1     cond 1110 000 1 1001 Rt 1111 111 1 1100  system=23 counters=32
    PMCCNTR T1/A1     cond 1110 000 1 1001 Rt 1111 000 1 1101  system=24 counters=16
    PMXEVTYPER T1/A1  cond 1110 000 1 1001 Rt 1111 001 1 1101  system=25 counters=16
    PMXEVCNTR T1/A1   cond 1110 000 1 1001 Rt 1111 010 1 1101  system=26 counters=16
    PMUSERENR T1/A1   cond 1110 000 1 1001 Rt 1111 000 1 1110  enabled=4
    PMOVSSET T1/A1    cond 1110 000 1 1001 Rt 1111 011 1 1110  system=27 counters=32
    DBGDIDR T1/A1     cond 1110 000 1 0000 Rt 1110 000 1 0000  value=0x3515F021
    DBGDSCRint T1/A1  cond 1110 000 1 0000 Rt 1110 000 1 0001  value=0 flags=1
    DBGDRAR T1/A1     cond 1110 000 1 0001 Rt 1110 000 1 0000  value=0
    DBGDSAR T1/A1     cond 1110 000 1 0010 Rt 1110 000 1 0000  value=0
""")  # fmt: skip
def mrc(b: Builder, i: Decoded) -> None:
    """User code reads its thread registers, the counters' frequency if the kernel lets it read a counter, the
    timers and performance monitors that the kernel exports, whether it may use the latter (PMUSERENR), and the
    identification of a debug unit that is idle."""
    if "flags" in i and i["Rt"] == PC:
        # DBGDSCRint read into APSR_nzcv: none of its status bits is set.
        for slot in (Slot.N, Slot.Z, Slot.C, Slot.V):
            b.set(slot, 0)
        return
    no_bad_registers(b, i, "Rt")
    if "counters" in i:
        _need_counter(b, i["counters"])
    if "system" in i:
        b.set_reg(i["Rt"], b.system_get(i["system"]).trunc(32))
        return
    if "enabled" in i:
        b.set_reg(i["Rt"], b.get(Slot.COUNTERS).field(i["enabled"], 1))
        return
    b.set_reg(i["Rt"], b.get(i["slot"]) if "slot" in i else i["value"])


@instruction("MRRC", "A8.8.108, B8.2, C11.11", """
    CNTPCT T1/A1  cond 1100 0101 Rt2 Rt 1111 0000 1110  counter=2
    CNTVCT T1/A1  cond 1100 0101 Rt2 Rt 1111 0001 1110  counter=1
    CNTP_CVAL T1/A1  cond 1100 0101 Rt2 Rt 1111 0010 1110  counter=8 system=2
    CNTV_CVAL T1/A1  cond 1100 0101 Rt2 Rt 1111 0011 1110  counter=4 system=6
    DBGDRAR T1/A1  cond 1100 0101 Rt2 Rt 1110 0000 0001
    DBGDSAR T1/A1  cond 1100 0101 Rt2 Rt 1110 0000 0010
""")  # fmt: skip
def mrrc(b: Builder, i: Decoded) -> None:
    """The counters of the generic timer, which follow the retired instructions, and what its timers compare them
    with; UNDEFINED unless the kernel exports them. And the addresses of the debug unit: there is none (zero)."""
    no_bad_registers(b, i, "Rt", "Rt2")
    i.unpredictable_if(i["Rt"] == i["Rt2"])
    if "counter" not in i:
        b.set_reg(i["Rt"], 0)
        b.set_reg(i["Rt2"], 0)
        return
    _need_counter(b, i["counter"])
    if "system" in i:
        value = b.system_get(i["system"])
        low, high = value.trunc(32), (value >> 32).trunc(32)
    else:
        low, high = b.counter()
    b.set_reg(i["Rt"], low)
    b.set_reg(i["Rt2"], high)


@instruction("MCRR", "A8.8.99, B8.2", """
    CNTP_CVAL T1/A1  cond 1100 0100 Rt2 Rt 1111 0010 1110  counter=8 system=2
    CNTV_CVAL T1/A1  cond 1100 0100 Rt2 Rt 1111 0011 1110  counter=4 system=6
""")  # fmt: skip
def mcrr(b: Builder, i: Decoded) -> None:
    """What the generic timer's timers compare the counters with; UNDEFINED unless the kernel exports them."""
    no_bad_registers(b, i, "Rt", "Rt2")
    _need_counter(b, i["counter"])
    b.system_set(i["system"], b.reg(i["Rt"]).zext(64) | b.reg(i["Rt2"]).zext(64) << 32)


def _need_counter(b: Builder, mask: int) -> None:
    """UNDEFINED if user code may use none of `mask` (`machine.context.Counters`)."""
    b.trap(TrapKind.UNDEFINED, when=(b.get(Slot.COUNTERS) & mask).eq(0))


@instruction("MCR", "A8.8.98, B3.17, C12", """
    TPIDRURW T1/A1  cond 1110 000 0 1101 Rt 1111 010 1 0000  slot=25
    CP15ISB T1/A1   cond 1110 000 0 0111 Rt 1111 100 1 0101
    CP15DSB T1/A1   cond 1110 000 0 0111 Rt 1111 100 1 1010
    CP15DMB T1/A1   cond 1110 000 0 0111 Rt 1111 101 1 1010
    CNTP_TVAL T1/A1 cond 1110 000 0 1110 Rt 1111 000 1 0010  system=1 counters=8
    CNTP_CTL T1/A1  cond 1110 000 0 1110 Rt 1111 001 1 0010  system=0 counters=8
    CNTV_TVAL T1/A1 cond 1110 000 0 1110 Rt 1111 000 1 0011  system=5 counters=4
    CNTV_CTL T1/A1  cond 1110 000 0 1110 Rt 1111 001 1 0011  system=4 counters=4
    PMCR T1/A1       cond 1110 000 0 1001 Rt 1111 000 1 1100  system=16 counters=16
    PMCNTENSET T1/A1 cond 1110 000 0 1001 Rt 1111 001 1 1100  system=17 counters=16
    PMCNTENCLR T1/A1 cond 1110 000 0 1001 Rt 1111 010 1 1100  system=18 counters=16
    PMOVSR T1/A1     cond 1110 000 0 1001 Rt 1111 011 1 1100  system=19 counters=16
    PMSWINC T1/A1    cond 1110 000 0 1001 Rt 1111 100 1 1100  system=20 counters=16
    PMSELR T1/A1     cond 1110 000 0 1001 Rt 1111 101 1 1100  system=21 counters=16
    PMCCNTR T1/A1    cond 1110 000 0 1001 Rt 1111 000 1 1101  system=24 counters=16
    PMXEVTYPER T1/A1 cond 1110 000 0 1001 Rt 1111 001 1 1101  system=25 counters=16
    PMXEVCNTR T1/A1  cond 1110 000 0 1001 Rt 1111 010 1 1101  system=26 counters=16
    PMOVSSET T1/A1   cond 1110 000 0 1001 Rt 1111 011 1 1110  system=27 counters=32
""")  # fmt: skip
def mcr(b: Builder, i: Decoded) -> None:
    """The CP15 registers that User mode may write; the barriers are NOPs here (see DMB). Timers and performance
    monitors are UNDEFINED unless the kernel exports them; PMUSERENR, PMINTENSET and PMINTENCLR always are."""
    no_bad_registers(b, i, "Rt")
    if "system" in i:
        _need_counter(b, i["counters"])
        b.system_set(i["system"], b.reg(i["Rt"]).zext(64))
    if "slot" in i:
        b.set(i["slot"], b.reg(i["Rt"]))
