"""A kernel booted from a plan made by hand, driven by system calls without any instruction being executed.

The initial CNode is flat (a capability pointer is a slot number). Untypeds begin at slot `UNTYPED`, in the order
of `UNTYPEDS`; free slots begin at `FREE`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from retrap.kernel.abi import release
from retrap.kernel.abi.release import Facts
from retrap.kernel.boot import BootCap, BootPlan, BuildOptions, CapKind, Mapping
from retrap.kernel.caps import Cap
from retrap.kernel.effects import Effects
from retrap.kernel.engine import Kernel
from retrap.kernel.slots import Slot
from retrap.kernel.structures import CNode, Tcb
from retrap.machine.context import Context, ContextArena
from retrap.machine.memory import PhysicalMemory
from retrap.machine.traps import INTERRUPT, SVC, Trap

RAM_BASE: Final = 0x4000_0000
RAM_SIZE: Final = 0x0800_0000
KERNEL_BASE: Final = 0xA000_0000
IPC_BUFFER: Final = 0x0001_1000

TCB: Final = 1
CNODE: Final = 2
VSPACE: Final = 3
IRQ_CONTROL: Final = 4
ASID_CONTROL: Final = 5
ASID_POOL: Final = 6
BUFFER: Final = 10
DOMAIN: Final = 11
TABLE: Final = 16
CODE: Final = 17
UNTYPED: Final = 20
UNTYPEDS: Final = (
    (0x4010_0000, 20, False),
    (0x4020_0000, 21, False),
    (0x4040_0000, 22, False),
    (0x4080_0000, 23, False),
    (0x4100_0000, 24, False),
    (0x4200_0000, 25, False),
    (0x0900_0000, 24, True),
    (0x4400_0000, 26, False),
)
DEVICE_UNTYPED: Final = UNTYPED + 6
LARGEST_UNTYPED: Final = UNTYPED + 7
FREE: Final = 32


def boot_plan(facts: dict[str, object] | None = None, name: str = "16.0.0", **options: int) -> BootPlan:
    """A plan for a release, with some facts of other releases and some build options."""
    kernel_release = release(name)
    if facts:
        known: Facts = replace(kernel_release.facts, **facts)  # type: ignore[arg-type]
        kernel_release = replace(kernel_release, facts=known)
    caps = [
        BootCap(TCB, CapKind.TCB, 0x4001_8000),
        BootCap(CNODE, CapKind.CNODE, 0x4000_0000, 12),
        BootCap(VSPACE, CapKind.PAGE_DIRECTORY, 0x4001_0000),
        BootCap(IRQ_CONTROL, CapKind.IRQ_CONTROL),
        BootCap(ASID_CONTROL, CapKind.ASID_CONTROL),
        BootCap(ASID_POOL, CapKind.ASID_POOL, 0x4001_4000),
        BootCap(BUFFER, CapKind.FRAME, 0x4001_6000, 12, mapped_at=IPC_BUFFER),
        BootCap(DOMAIN, CapKind.DOMAIN),
        BootCap(TABLE, CapKind.PAGE_TABLE, 0x4001_8400, mapped_at=0),
        BootCap(CODE, CapKind.FRAME, 0x4001_7000, 12, mapped_at=0x1_0000),
        *(
            BootCap(UNTYPED + position, CapKind.UNTYPED, address, bits, device)
            for position, (address, bits, device) in enumerate(UNTYPEDS)
            if not device or kernel_release.facts.device_untypeds
        ),
    ]
    if kernel_release.facts.address_space == "capabilities":
        caps = _paper_caps()
    return BootPlan(
        release=kernel_release,
        options=replace(BuildOptions(), **options),  # type: ignore[arg-type]
        platform="test",
        ram=((RAM_BASE, RAM_SIZE),),
        kernel_base=KERNEL_BASE,
        max_irq=159,
        clock_hz=1_000_000,
        loads=(),
        caps=tuple(caps),
        mappings=(Mapping(0x1_0000, 0x4001_7000, 12, 5), Mapping(IPC_BUFFER, 0x4001_6000, 12, 3)),
        entry=0x1_0000,
        bootinfo_address=0x1_2000,
        ipc_buffer_address=IPC_BUFFER,
        ipc_buffer_frame=0x4001_6000,
        globals_frame=0x4001_9000 if kernel_release.facts.ipc_buffer_pointer == "globals-frame" else 0,
        tcb_address=0x4001_8000,
        empty_slots=(FREE, 4096),
    )


def _paper_caps() -> list[BootCap]:
    """What the 2006 design has of the plan, with CNodes for page tables, and its untyped memory."""
    return [
        BootCap(TCB, CapKind.TCB, 0x4001_8000),
        BootCap(CNODE, CapKind.CNODE, 0x4000_0000, 12),
        BootCap(VSPACE, CapKind.SPACE_NODE, 0x4004_0000, 12),
        BootCap(BUFFER, CapKind.FRAME, 0x4001_6000, 12, mapped_at=IPC_BUFFER),
        BootCap(TABLE, CapKind.SPACE_NODE, 0x4003_0000, 8, mapped_at=0),
        BootCap(CODE, CapKind.FRAME, 0x4001_7000, 12, mapped_at=0x1_0000),
        *(
            BootCap(UNTYPED + position, CapKind.UNTYPED, address, bits)
            for position, (address, bits, device) in enumerate(UNTYPEDS)
            if not device
        ),
    ]


class Driver:
    """Makes system calls as the running thread and looks at what came of them."""

    def __init__(self, facts: dict[str, object] | None = None, name: str = "16.0.0", **options: int) -> None:
        plan = boot_plan(facts, name, **options)
        memory = PhysicalMemory(plan.ram)
        self.adopt(Kernel(plan, memory, ContextArena()), memory)

    def adopt(self, kernel: Kernel, memory: PhysicalMemory) -> None:
        """Drive a kernel that was booted from `boot_plan`."""
        self.memory = memory
        self.kernel = kernel
        self.state = kernel.state
        release = self.state.release
        self.labels = release.label_numbers()
        self.objects = release.object_numbers()
        self.calls = release.syscall_numbers()
        self.next_free = FREE
        self.time = 0

    # --- system calls

    def call(self, cptr: int, label: str | int, *words: int, caps: tuple[int, ...] = ()) -> int:
        """seL4_Call with a message; the error that the kernel answered (0: success)."""
        self.system_call("Call", cptr, label, words, caps)
        return self.effects.error if not self.kernel.crashed else -1

    def system_call(
        self, name: str, cptr: int, label: str | int = 0, words: tuple[int, ...] = (), caps: tuple[int, ...] = ()
    ) -> Effects:
        """Any system call by the running thread."""
        number = self.labels[label] if isinstance(label, str) else label
        thread = self.kernel.current
        context = thread.context.words
        buffer = self.buffer(thread)
        for index, word in enumerate(words):
            if index < 4:
                context[2 + index] = word & 0xFFFF_FFFF
            else:
                buffer[1 + index] = word & 0xFFFF_FFFF
        for index, extra in enumerate(caps):
            buffer[122 + index] = extra
        context[0] = cptr
        context[1] = number << 12 | len(caps) << 7 | len(words)
        context[7] = self.calls[name] & 0xFFFF_FFFF
        self.effects.error = 0
        self.effects.error_words = []
        return self.enter(SVC)

    def enter(self, trap: Trap) -> Effects:
        self.time += 10
        self.change = self.kernel.enter(trap, self.time)
        return self.effects

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.enter(INTERRUPT)

    # --- what is there

    @property
    def effects(self) -> Effects:
        return self.kernel.effects

    @property
    def context(self) -> Context:
        return self.kernel.context

    @property
    def root(self) -> CNode:
        node = self.state.objects[0x4000_0000]
        assert isinstance(node, CNode)
        return node

    def slot(self, index: int) -> Slot:
        return self.root.slot(index)

    def cap(self, index: int) -> Cap:
        return self.root.slot(index).cap

    def buffer(self, thread: Tcb) -> memoryview:
        """128 words of the initial thread's IPC buffer (all threads here use it)."""
        region = self.memory.region(0x4001_6000)
        assert region is not None
        start = (0x4001_6000 - RAM_BASE) >> 2
        return region.words[start : start + 128]

    # --- common steps

    def free_slot(self) -> int:
        self.next_free += 1
        return self.next_free - 1

    def make(self, kind: str, size_bits: int = 0, untyped: int = UNTYPED + 4, count: int = 1) -> int:
        """Retype into fresh slots; the first of them."""
        first = self.next_free
        self.next_free += count
        error = self.call(
            untyped,
            "UntypedRetype",
            self.objects[kind],
            size_bits,
            0,
            0,
            first,
            count,
            caps=(CNODE,),
        )
        assert error == 0, (error, self.effects.reason)
        return first

    def copy(self, source: int, rights: int = 15) -> int:
        """Copy a capability into a fresh slot."""
        target = self.free_slot()
        error = self.call(CNODE, "CNodeCopy", target, 32, source, 32, rights, caps=(CNODE,))
        assert error == 0, (error, self.effects.reason)
        return target

    def delete(self, index: int) -> int:
        return self.call(CNODE, "CNodeDelete", index, 32)

    def revoke(self, index: int) -> int:
        return self.call(CNODE, "CNodeRevoke", index, 32)

    def page_map(self, frame: int, virtual: int, rights: int = 3, attributes: int = 3, root: int = VSPACE) -> int:
        return self.call(frame, "ARMPageMap", virtual, rights, attributes, caps=(root,))

    def table_map(self, table: int, virtual: int, root: int = VSPACE) -> int:
        return self.call(table, "ARMPageTableMap", virtual, 3, caps=(root,))

    def new_space(self) -> int:
        """A page directory with an ASID of the initial pool."""
        root = self.make("PageDirectory")
        assert self.call(ASID_POOL, "ARMASIDPoolAssign", caps=(root,)) == 0
        return root

    def check(self) -> None:
        assert self.kernel.check("full") == []
