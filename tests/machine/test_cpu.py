"""The CPU and the evaluator: budgets, counts, traps, faults, byte order, devices, code that writes code."""

from __future__ import annotations

import pytest
from retrap.machine.context import Context, ContextArena, Slot
from retrap.machine.cpu import BackendUnavailable, Cpu
from retrap.machine.evaluate import WRITE_OUT_AFTER
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE, AddressSpace
from retrap.machine.traps import FaultStatus, Trap, TrapKind

RAM = 0x40000000
CODE, DATA, CONST, DEVICE, NOWHERE, NO_ACCESS = 0x8000, 0x20000, 0x30000, 0x50000, 0x51000, 0x52000
NOP, SVC, BX_LR, UDF = 0xE320F000, 0xEF000000, 0xE12FFF1E, 0xE7F000F0


class Log:
    """A device that remembers its accesses and reads as offset * 0x01010101."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int, int]] = []

    def read(self, offset: int, size: int) -> int:
        self.seen.append(("read", offset, size, 0))
        return offset * 0x01010101

    def write(self, offset: int, size: int, value: int) -> None:
        self.seen.append(("write", offset, size, value))


class Machine:
    """Code page, two data pages, a read-only page, a device, a page of nothing, a page without access."""

    def __init__(self, backend: str = "evaluate") -> None:
        self.memory = PhysicalMemory([(RAM, 1 << 20), (0x90000000, 0x10000)])
        self.device = Log()
        self.memory.attach(self.device, 0x10000000, 0x1000)
        self.space = AddressSpace(self.memory)
        self.space.map(CODE, RAM, 12, READ | WRITE | EXECUTE)
        self.space.map(CODE + 0x1000, RAM + 0x5000, 12, READ | WRITE | EXECUTE)
        self.space.map(DATA, RAM + 0x1000, 12, READ | WRITE)
        self.space.map(DATA + 0x1000, 0x90000000, 12, READ | WRITE)
        self.space.map(CONST, RAM + 0x3000, 12, READ)
        self.space.map(DEVICE, 0x10000000, 12, READ | WRITE)
        self.space.map(NOWHERE, 0x20000000, 12, READ | WRITE | EXECUTE)
        self.space.map(NO_ACCESS, RAM + 0x4000, 12, 0)
        self.context: Context = ContextArena().allocate()
        self.words = self.context.words
        self.words[Slot.PC] = CODE
        self.cpu = Cpu(self.memory, backend)

    def arm(self, *code: int, at: int = CODE) -> None:
        for n, word in enumerate(code):
            self.memory.write_word(RAM + at - CODE + 4 * n, word)

    def thumb(self, *code: int, at: int = CODE) -> None:
        self.memory.write(RAM + at - CODE, b"".join(half.to_bytes(2, "little") for half in code))
        self.words[Slot.THUMB] = 1

    def run(self, budget: int = 1000) -> Trap:
        return self.cpu.run(self.context, self.space, budget)


@pytest.fixture(params=["evaluate", "llvm"])
def machine(request: pytest.FixtureRequest) -> Machine:
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    return Machine(request.param)


def test_unknown_backend() -> None:
    with pytest.raises(BackendUnavailable, match="no backend called 'fast'"):
        Cpu(PhysicalMemory([(RAM, 0x1000)]), "fast")


def test_budget_ends_between_instructions(machine: Machine) -> None:
    machine.arm(*[NOP] * 20, SVC)
    for budget, pc in ((1, 4), (3, 16), (16, 80)):
        assert machine.run(budget).kind is TrapKind.INTERRUPT
        assert machine.words[Slot.PC] == CODE + pc
    assert machine.cpu.retired == 20
    trap = machine.run(1)
    assert trap.kind is TrapKind.SVC and machine.cpu.retired == 21
    assert machine.words[Slot.PC] == CODE + 80  # of the SVC itself


def test_condition_failed_instructions_are_counted(machine: Machine) -> None:
    machine.arm(0x03A00001, 0x13A01001, UDF)  # moveq r0, #1; movne r1, #1; udf
    machine.words[Slot.Z] = 0
    assert machine.run().kind is TrapKind.UNDEFINED
    assert machine.cpu.retired == 2
    assert (machine.words[0], machine.words[1]) == (0, 1)


def test_it_blocks_count_each_instruction(machine: Machine) -> None:
    machine.thumb(0xBF0C, 0x2001, 0x2102, 0xDE00)  # ite eq; moveq r0, #1; movne r1, #2; udf
    machine.words[Slot.Z] = 1
    assert machine.run().kind is TrapKind.UNDEFINED
    assert machine.cpu.retired == 3
    assert (machine.words[0], machine.words[1], machine.words[Slot.IT]) == (1, 0, 0)


def test_budget_may_end_inside_an_it_block(machine: Machine) -> None:
    machine.thumb(0xBF0C, 0x2001, 0x2102, 0xDE00)
    machine.words[Slot.Z] = 1
    assert machine.run(1).kind is TrapKind.INTERRUPT
    assert machine.words[Slot.IT] == 0x0C
    assert machine.context.cpsr == 1 << 30 | 0x20 | 0x0C >> 2 << 10
    assert machine.run(1).kind is TrapKind.INTERRUPT
    assert machine.words[Slot.IT] == 0x18
    assert machine.run().kind is TrapKind.UNDEFINED
    assert machine.words[1] == 0


def test_breakpoint(machine: Machine) -> None:
    machine.arm(NOP, 0xE1200070)
    trap = machine.run()
    assert (trap.kind, trap.address, trap.status) == (TrapKind.BREAKPOINT, CODE + 4, FaultStatus.DEBUG)
    assert machine.cpu.retired == 1


# -- fetching ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pc", "status"),
    [
        (0, FaultStatus.TRANSLATION_SECTION),
        (0x60000, FaultStatus.TRANSLATION_SECTION),
        (DATA, FaultStatus.PERMISSION_PAGE),
        (NO_ACCESS, FaultStatus.PERMISSION_PAGE),
        (0x100000, FaultStatus.PERMISSION_SECTION),
        (NOWHERE, FaultStatus.EXTERNAL),
        (DEVICE, FaultStatus.PERMISSION_PAGE),
        (0xFFFFFFFC, FaultStatus.TRANSLATION_SECTION),
    ],
)
@pytest.mark.parametrize("thumb", [0, 1])
def test_prefetch_abort(machine: Machine, pc: int, status: int, thumb: int) -> None:
    machine.space.map(0x100000, RAM, 20, READ)
    machine.words[Slot.PC], machine.words[Slot.THUMB] = pc, thumb
    trap = machine.run()
    assert (trap.kind, trap.address, trap.status) == (TrapKind.PREFETCH_ABORT, pc, status)
    assert machine.words[Slot.PC] == pc and machine.cpu.retired == 0


def test_a_page_table_makes_it_a_page_fault(machine: Machine) -> None:
    machine.space.set_table(0, True)
    machine.words[Slot.PC] = 0
    assert machine.run().status == FaultStatus.TRANSLATION_PAGE
    machine.space.set_table(0, False)
    assert machine.run().status == FaultStatus.TRANSLATION_SECTION


def test_running_off_the_last_page(machine: Machine) -> None:
    machine.arm(NOP, NOP, at=CODE + 0xFF8)
    machine.space.unmap(CODE + 0x1000, 12)
    machine.words[Slot.PC] = CODE + 0xFF8
    trap = machine.run()
    assert (trap.kind, trap.address) == (TrapKind.PREFETCH_ABORT, CODE + 0x1000)
    assert machine.cpu.retired == 2


def test_a_wide_instruction_may_lie_on_two_pages(machine: Machine) -> None:
    machine.thumb(0xF241, at=CODE + 0xFFE)  # movw r0, #0x1234, its halves on pages that lie apart
    machine.memory.write(RAM + 0x5000, (0x2034).to_bytes(2, "little"))
    machine.words[Slot.PC] = CODE + 0xFFE
    assert machine.run(1).kind is TrapKind.INTERRUPT
    assert machine.words[0] == 0x1234 and machine.words[Slot.PC] == CODE + 0x1002
    machine.space.unmap(CODE + 0x1000, 12)
    machine.words[Slot.PC] = CODE + 0xFFE
    trap = machine.run(1)
    assert (trap.kind, trap.address) == (TrapKind.PREFETCH_ABORT, CODE + 0xFFE)


@pytest.mark.parametrize(("thumb", "pc"), [(0, CODE + 1), (0, CODE + 3), (1, CODE + 1)])
def test_low_bits_of_pc_are_dropped_on_entry(machine: Machine, thumb: int, pc: int) -> None:
    if thumb:
        machine.thumb(0xBF00)
    else:
        machine.arm(NOP)
    machine.words[Slot.PC] = pc
    machine.run(1)
    assert machine.words[Slot.PC] == CODE + (2 if thumb else 4)


def test_interworking(machine: Machine) -> None:
    machine.arm(0xE12FFF30)  # blx r0
    machine.thumb(0x2007, 0x4770, at=CODE + 0x100)  # movs r0, #7; bx lr
    machine.arm(SVC, at=CODE + 4)
    machine.words[Slot.THUMB] = 0
    machine.words[0] = CODE + 0x101
    assert machine.run().kind is TrapKind.SVC
    assert (machine.words[0], machine.words[Slot.THUMB], machine.cpu.retired) == (7, 0, 4)


def test_code_may_write_code(machine: Machine) -> None:
    """An instruction that has been executed is overwritten, and what is there now executes."""
    machine.arm(
        0xE5801000,  # str r1, [r0]
        0xE3A02001,  # mov r2, #1  <- r0 points here
        SVC,
    )
    machine.words[0], machine.words[1] = CODE + 4, 0xE3A02063  # mov r2, #0x63
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[2] == 0x63
    machine.words[1] = 0xE3A02064
    machine.words[Slot.PC] = CODE
    machine.run()
    assert machine.words[2] == 0x64


def test_a_hot_word_keeps_its_meaning(machine: Machine) -> None:
    """Writing a block out does not change what it does."""
    machine.arm(0xE2800001, 0xE1500001, 0x1AFFFFFC, SVC)  # add r0, #1; cmp r0, r1; bne; svc
    machine.words[1] = 3 * WRITE_OUT_AFTER
    assert machine.run(10**6).kind is TrapKind.SVC
    assert machine.words[0] == 3 * WRITE_OUT_AFTER
    assert machine.cpu.retired == 9 * WRITE_OUT_AFTER + 1


# -- data accesses -------------------------------------------------------------------------------------------

LDR, STR, LDRH, STRH, LDRB, STRB = 0xE5910000, 0xE5810000, 0xE1D100B0, 0xE1C100B0, 0xE5D10000, 0xE5C10000
LDRD, STRD, LDM2, STM2, LDREXD = 0xE1C120D0, 0xE1C120F0, 0xE891000C, 0xE881000C, 0xE1B12F9F

WRITES = FaultStatus.WRITE


@pytest.mark.parametrize(
    ("code", "address", "fault", "status"),
    [
        (LDR, 0, 0, FaultStatus.TRANSLATION_SECTION),
        (STR, 0, 0, FaultStatus.TRANSLATION_SECTION | WRITES),
        (STR, CONST, CONST, FaultStatus.PERMISSION_PAGE | WRITES),
        (LDR, NO_ACCESS, NO_ACCESS, FaultStatus.PERMISSION_PAGE),
        (STRB, 0x100000, 0x100000, FaultStatus.PERMISSION_SECTION | WRITES),
        (LDR, NOWHERE, NOWHERE, FaultStatus.EXTERNAL),
        (STR, NOWHERE + 4, NOWHERE + 4, FaultStatus.EXTERNAL | WRITES),
        (LDR, DATA + 0x1FFE, DATA + 0x2000, FaultStatus.TRANSLATION_SECTION),
        (STRH, DATA + 0x1FFF, DATA + 0x2000, FaultStatus.TRANSLATION_SECTION | WRITES),
        (LDR, DATA - 1, DATA - 1, FaultStatus.TRANSLATION_SECTION),
        (LDR, 0xFFFFFFFF, 0xFFFFFFFF, FaultStatus.TRANSLATION_SECTION),
        (LDRD, DATA + 2, DATA + 2, FaultStatus.ALIGNMENT),
        (STRD, DATA + 1, DATA + 1, FaultStatus.ALIGNMENT | WRITES),
        (LDM2, DATA + 3, DATA + 3, FaultStatus.ALIGNMENT),
        (STM2, 0x2, 0x2, FaultStatus.ALIGNMENT | WRITES),  # alignment before translation
        (LDREXD, DATA + 4, DATA + 4, FaultStatus.ALIGNMENT),
        (LDR, DEVICE + 2, DEVICE + 2, FaultStatus.ALIGNMENT),
        (STRH, DEVICE + 1, DEVICE + 1, FaultStatus.ALIGNMENT | WRITES),
    ],
)
def test_data_abort(machine: Machine, code: int, address: int, fault: int, status: int) -> None:
    machine.space.map(0x100000, RAM, 20, READ)
    machine.arm(code)
    machine.words[1] = address
    before, memory = machine.words.tolist(), machine.memory.read(RAM, 0x6000)
    trap = machine.run()
    assert (trap.kind, trap.address, trap.status) == (TrapKind.DATA_ABORT, fault, status)
    assert machine.words.tolist() == before
    assert machine.memory.read(RAM, 0x6000) == memory
    assert machine.cpu.retired == 0


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize("place", [0x10, 0xFFD])
def test_unaligned_words_also_across_pages(machine: Machine, offset: int, place: int) -> None:
    """The two data pages are in different RAM regions."""
    machine.arm(STR, LDR & ~0xF000 | 0x2000, SVC)  # str r0, [r1]; ldr r2, [r1]
    machine.words[0], machine.words[1] = 0x11223344, DATA + place + offset
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[2] == 0x11223344
    both = machine.memory.read(RAM + 0x1000, 0x1000) + machine.memory.read(0x90000000, 0x1000)
    assert both[place + offset : place + offset + 4].hex() == "44332211"


def test_a_store_that_faults_on_its_second_page_stores_nothing(machine: Machine) -> None:
    machine.arm(STR)
    machine.space.unmap(DATA + 0x1000, 12)
    machine.words[0], machine.words[1] = 0xFFFFFFFF, DATA + 0xFFE
    trap = machine.run()
    assert (trap.kind, trap.address) == (TrapKind.DATA_ABORT, DATA + 0x1000)
    assert machine.memory.read(RAM + 0x1FFC, 4) == bytes(4)


def test_load_multiple_that_faults_in_the_middle_loads_nothing(machine: Machine) -> None:
    machine.arm(0xE8B103FC)  # ldm r1!, {r2-r9}
    machine.words[1] = DATA + 0x1FF0
    machine.memory.write(0x90000FF0, bytes(range(16)))
    before = machine.words.tolist()
    trap = machine.run()
    assert (trap.kind, trap.address) == (TrapKind.DATA_ABORT, DATA + 0x2000)
    assert machine.words.tolist() == before


def test_big_endian_data(machine: Machine) -> None:
    machine.arm(0xF1010200, STR, LDRH | 0x2000, LDRB | 0x3000, LDRD & ~0xF000 | 0x4000, SVC)
    machine.words[0], machine.words[1] = 0x11223344, DATA
    machine.memory.write(RAM + 0x1004, bytes.fromhex("55667788"))
    assert machine.run().kind is TrapKind.SVC
    assert machine.memory.read(RAM + 0x1000, 4).hex() == "11223344"
    assert machine.words[2:6].tolist() == [0x1122, 0x11, 0x11223344, 0x55667788]
    assert machine.words[Slot.BIG_ENDIAN] == 1


def test_devices(machine: Machine) -> None:
    machine.arm(LDR | 0x14, STRB | 0x3, STRH | 0x6, LDRD | 0x8, SVC)
    machine.words[1] = DEVICE
    assert machine.run().kind is TrapKind.SVC
    assert machine.device.seen == [
        ("read", 0x14, 4, 0),
        ("write", 3, 1, 0x14),
        ("write", 6, 2, 0x1414),
        ("read", 8, 4, 0),
        ("read", 12, 4, 0),
    ]
    assert machine.words[0] == 0x14141414


def test_writes_to_watched_pages_are_told(machine: Machine) -> None:
    told: list[tuple[int, int]] = []
    machine.memory.watcher = lambda address, size: told.append((address, size))
    machine.memory.watched.add(RAM + 0x1000 >> 12)
    machine.arm(STR, STRB, STR | 0xFFE, SVC)
    machine.words[1] = DATA
    assert machine.run().kind is TrapKind.SVC
    assert told == [(RAM + 0x1000, 4), (RAM + 0x1000, 1), (RAM + 0x1FFE, 2)]


# -- exclusives ----------------------------------------------------------------------------------------------

LDREX, STREX = 0xE1912F9F, 0xE1813F90  # ldrex r2, [r1]; strex r3, r0, [r1]


def test_a_store_exclusive_succeeds_once(machine: Machine) -> None:
    machine.arm(LDREX, STREX, 0xE1814F90, SVC)
    machine.words[0], machine.words[1] = 99, DATA
    machine.run()
    assert machine.words[3:5].tolist() == [0, 1]
    assert machine.memory.read_word(RAM + 0x1000) == 99


def test_an_entry_to_the_kernel_opens_the_monitor(machine: Machine) -> None:
    machine.arm(LDREX, STREX, SVC)
    machine.words[0], machine.words[1] = 99, DATA
    assert machine.run(1).kind is TrapKind.INTERRUPT
    machine.run()
    assert machine.words[3] == 1
    assert machine.memory.read_word(RAM + 0x1000) == 0


def test_a_store_exclusive_that_may_not_happen_does_not_touch_memory(machine: Machine) -> None:
    machine.arm(STREX, SVC)
    machine.words[0], machine.words[1] = 99, 0x70000  # not mapped
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[3] == 1


# -- system registers ----------------------------------------------------------------------------------------


def test_thread_registers(machine: Machine) -> None:
    machine.arm(0xEE0D0F50, 0xEE1D1F50, 0xEE1D2F70, SVC)  # write and read TPIDRURW, read TPIDRURO
    machine.words[0] = 0x1234
    machine.words[Slot.TPIDRURO] = 0x5678
    machine.run()
    assert machine.words[1:3].tolist() == [0x1234, 0x5678]


def test_counters_only_where_the_kernel_exports_them(machine: Machine) -> None:
    machine.arm(NOP, 0xEC510F1E, 0xEE1E2F10, SVC)  # CNTVCT, CNTFRQ
    assert machine.run().kind is TrapKind.UNDEFINED
    assert machine.words[Slot.PC] == CODE + 4
    machine.words[Slot.COUNTERS], machine.words[Slot.COUNTER_HZ] = 2, 100_000_000
    assert machine.run().kind is TrapKind.UNDEFINED  # the physical one only
    machine.words[Slot.COUNTERS] = 1
    assert machine.run().kind is TrapKind.SVC
    assert machine.words[0:3].tolist() == [1, 0, 100_000_000]


def test_cpsr(machine: Machine) -> None:
    machine.arm(0xE12FF000, 0xE10F1000, SVC)  # msr CPSR_fsxc, r0; mrs r1, cpsr
    machine.words[0] = 0xFFFFFFFF
    machine.run()
    assert machine.words[1] & 0xF80F0200 == 0xF80F0200
    assert machine.words[1] & 0x3F == 0x10  # user mode, ARM state: not writable
    assert machine.context.cpsr == 0xF80F0200
    machine.context.cpsr = 0
    assert machine.words[Slot.GE] == machine.words[Slot.N] == 0
