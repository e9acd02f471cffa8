"""From a `BootPlan` to a running initial thread: what the kernel's boot code leaves behind (manual 9.1)."""

from __future__ import annotations

from typing import Final

from retrap.kernel import derivation, thread_registers
from retrap.kernel.boot import BootCap, BootPlan, CapKind, Mapping
from retrap.kernel.caps import (
    VM_KERNEL_ONLY,
    VM_READ_ONLY,
    VM_READ_WRITE,
    AsidControlCap,
    AsidPoolCap,
    Cap,
    CNodeCap,
    DomainCap,
    FrameCap,
    IrqControlCap,
    PageDirectoryCap,
    PageTableCap,
    ThreadCap,
    UntypedCap,
)
from retrap.kernel.lookup import WORD_BITS
from retrap.kernel.objects.domain import install_schedule
from retrap.kernel.objects.table import install
from retrap.kernel.objects.tcb import new_thread
from retrap.kernel.registers import PC, R0, RESTART_PC, THUMB
from retrap.kernel.scheduler import choose_policies
from retrap.kernel.slots import Slot
from retrap.kernel.state import KernelState
from retrap.kernel.structures import (
    TCB_BUFFER,
    TCB_CTABLE,
    TCB_VTABLE,
    CNode,
    Tcb,
    ThreadState,
)
from retrap.kernel.threads import setup_reply_master
from retrap.kernel.vspace import (
    ATTRIBUTE_CACHEABLE,
    ATTRIBUTE_EXECUTE_NEVER,
    ATTRIBUTE_PARITY,
    SECTION_BITS,
    AsidPool,
    PageDirectory,
    PageTable,
    assign_asid,
    make_entry,
    map_frame,
    map_table,
    set_vm_root,
)
from retrap.machine.context import ContextArena
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE

INITIAL_ASID: Final = 1
MANY_DOMAIN_SCHEDULES: Final = 100
"""CONFIG_NUM_DOMAIN_SCHEDULES with several domains; with one domain it is 2."""


def boot(plan: BootPlan, memory: PhysicalMemory, arena: ContextArena) -> KernelState:
    """The state in which the initial thread is about to execute its first instruction."""
    state = KernelState(plan, memory, arena)
    install(state)
    choose_policies(state)
    state.thread_registers = thread_registers.choose(state.facts)
    thread_registers.show_globals_frame(state, state.no_space)
    for load in plan.loads:
        memory.write(load.address, load.data)
    install_schedule(state, MANY_DOMAIN_SCHEDULES if plan.options.num_domains > 1 else 2)
    if state.facts.initial_domain == "schedule":
        # The schedule is compiled in, and the default one is domain 0 for one tick, over and over.
        state.domain_schedule[:] = [(0, 1)]
        state.domain_time = 1

    by_kind: dict[CapKind, list[BootCap]] = {}
    for cap in plan.caps:
        by_kind.setdefault(cap.kind, []).append(cap)
    root = by_kind[CapKind.CNODE][0]
    node = CNode(root.address, root.size_bits)
    state.objects[root.address] = node
    _make_vspace(state, by_kind, plan.mappings)
    thread = new_thread(state, plan.tcb_address)
    for boot_cap in plan.caps:
        derivation.place_root(node.slot(boot_cap.slot), _boot_cap(boot_cap, state.facts.boot_untypeds_dirty))
    _start(state, thread, node, by_kind)
    return state


def _make_vspace(state: KernelState, by_kind: dict[CapKind, list[BootCap]], mappings: tuple[Mapping, ...]) -> None:
    """The initial address space: its ASID pool, its directory, its tables, and its pages."""
    pool_cap = by_kind[CapKind.ASID_POOL][0]
    pool = AsidPool(pool_cap.address, 0)
    state.objects[pool_cap.address] = pool
    state.asid_pools[0] = pool
    directory_cap = by_kind[CapKind.PAGE_DIRECTORY][0]
    directory = PageDirectory(directory_cap.address)
    state.objects[directory_cap.address] = directory
    assign_asid(state, pool, INITIAL_ASID, directory)
    for cap in by_kind.get(CapKind.PAGE_TABLE, []):
        table = PageTable(cap.address)
        state.objects[cap.address] = table
        assert cap.mapped_at is not None
        map_table(directory, cap.mapped_at >> SECTION_BITS, table)
    for mapping in mappings:
        if mapping.rights & WRITE:
            vm_rights = VM_READ_WRITE
        else:
            vm_rights = VM_READ_ONLY if mapping.rights & (READ | EXECUTE) else VM_KERNEL_ONLY
        attributes = ATTRIBUTE_CACHEABLE | ATTRIBUTE_PARITY
        if not mapping.rights & EXECUTE:
            attributes |= ATTRIBUTE_EXECUTE_NEVER
        entry = make_entry(mapping.physical, mapping.size_bits, vm_rights, attributes)
        map_frame(directory, mapping.virtual, mapping.size_bits, entry)


def _boot_cap(boot: BootCap, dirty: bool) -> Cap:
    """The capability for one slot of the initial CNode."""
    kind = boot.kind
    address = boot.address
    if kind is CapKind.UNTYPED:
        # Marked full: the first Retype clears what the boot code may have left in it.
        free = 1 << boot.size_bits if dirty else 0
        return UntypedCap(address, boot.size_bits, boot.device, free)
    if kind is CapKind.FRAME:
        if boot.mapped_at is None:
            return FrameCap(address, boot.size_bits, boot.device, VM_READ_WRITE)
        return FrameCap(address, boot.size_bits, boot.device, VM_READ_WRITE, INITIAL_ASID, boot.mapped_at)
    if kind is CapKind.PAGE_TABLE:
        assert boot.mapped_at is not None
        return PageTableCap(address, True, INITIAL_ASID, boot.mapped_at)
    if kind is CapKind.CNODE:
        return CNodeCap(address, boot.size_bits, WORD_BITS - boot.size_bits, 0)
    if kind is CapKind.TCB:
        return ThreadCap(address)
    if kind is CapKind.PAGE_DIRECTORY:
        return PageDirectoryCap(address, True, INITIAL_ASID)
    if kind is CapKind.ASID_POOL:
        return AsidPoolCap(address, 0)
    if kind is CapKind.ASID_CONTROL:
        return AsidControlCap()
    if kind is CapKind.IRQ_CONTROL:
        return IrqControlCap()
    assert kind is CapKind.DOMAIN
    return DomainCap()


def _start(state: KernelState, thread: Tcb, node: CNode, by_kind: dict[CapKind, list[BootCap]]) -> None:
    """Give the initial thread its roots, its buffer, its priority and its first instruction."""
    plan = state.plan

    def slot_of(kind: CapKind) -> Slot:
        return node.slot(by_kind[kind][0].slot)

    cspace = slot_of(CapKind.CNODE)
    derivation.insert(cspace.cap, cspace, thread.slots[TCB_CTABLE])
    vspace = slot_of(CapKind.PAGE_DIRECTORY)
    derivation.insert(vspace.cap, vspace, thread.slots[TCB_VTABLE])
    for frame in by_kind.get(CapKind.FRAME, []):
        if frame.address == plan.ipc_buffer_frame and frame.mapped_at == plan.ipc_buffer_address:
            source = node.slot(frame.slot)
            # 1.0.3 put the capability itself there, mapping included: deleting it unmaps the buffer.
            copy = source.cap.derived() if state.facts.boot_buffer_is_copy else source.cap
            derivation.insert(copy, source, thread.slots[TCB_BUFFER])
    thread.buffer_address = plan.ipc_buffer_address
    setup_reply_master(thread)
    highest = plan.options.num_priorities - 1
    thread.priority = highest
    thread.max_priority = highest
    if plan.options.debug:
        thread.name = "rootserver"
    words = thread.context.words
    words[R0] = plan.bootinfo_address
    words[THUMB] = plan.entry & 1
    words[PC] = plan.entry & ~1
    words[RESTART_PC] = words[PC]
    thread.state = ThreadState.RUNNING
    state.current = thread
    set_vm_root(state, thread)
    state.thread_registers.switched(state, thread)
    state.thread_registers.leaving(state, thread)
