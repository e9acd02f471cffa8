"""From a `BootPlan` to a running initial thread: what the kernel's boot code leaves behind (manual 9.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from retrap.kernel import benchmarks, derivation, thread_registers
from retrap.kernel.boot import BootCap, BootPlan, CapKind, Mapping
from retrap.kernel.capability_spaces import CapabilitySpaces
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
from retrap.kernel.policies import AddressSpaces
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
    PageTables,
    assign_asid,
    make_entry,
    map_frame,
    map_table,
    set_vm_root,
)
from retrap.machine.context import ContextArena
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, WRITE

_ByKind = dict[CapKind, list[BootCap]]

INITIAL_ASID: Final = 1
MANY_DOMAIN_SCHEDULES: Final = 100
"""CONFIG_NUM_DOMAIN_SCHEDULES with several domains; with one domain it is 2."""


def boot(plan: BootPlan, memory: PhysicalMemory, arena: ContextArena) -> KernelState:
    """The state in which the initial thread is about to execute its first instruction."""
    state = KernelState(plan, memory, arena)
    install(state)
    choose_policies(state)
    state.thread_registers = thread_registers.choose(state.facts)
    state.benchmarks = benchmarks.choose(state)
    thread_registers.show_globals_frame(state, state.no_space)
    for load in plan.loads:
        memory.write(load.address, load.data)
    install_schedule(state, MANY_DOMAIN_SCHEDULES if plan.options.num_domains > 1 else 2)
    if state.facts.initial_domain == "schedule":
        # The schedule is compiled in, and the default one is domain 0 for one tick, over and over.
        state.domain_schedule[:] = [(0, 1)]
        state.domain_time = 1

    by_kind: _ByKind = {}
    for cap in plan.caps:
        by_kind.setdefault(cap.kind, []).append(cap)
    root = by_kind[CapKind.CNODE][0]
    node = CNode(root.address, root.size_bits)
    state.objects[root.address] = node
    vspace = _SPACES[state.facts.address_space]
    state.address_spaces = vspace.policy()
    vspace.make(state, by_kind, plan.mappings)
    thread = new_thread(state, plan.tcb_address)
    for boot_cap in plan.caps:
        derivation.place_root(node.slot(boot_cap.slot), _boot_cap(state, boot_cap))
    vspace.fill(state, node, by_kind, plan.mappings)
    _start(state, thread, node, by_kind, vspace.root_kind)
    return state


def _make_page_tables(state: KernelState, by_kind: _ByKind, mappings: tuple[Mapping, ...]) -> None:
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
        vm_rights = _vm_rights(mapping.rights)
        attributes = ATTRIBUTE_CACHEABLE | ATTRIBUTE_PARITY
        if not mapping.rights & EXECUTE:
            attributes |= ATTRIBUTE_EXECUTE_NEVER
        entry = make_entry(mapping.physical, mapping.size_bits, vm_rights, attributes)
        map_frame(directory, mapping.virtual, mapping.size_bits, entry)


def _nothing_more(state: KernelState, node: CNode, by_kind: _ByKind, mappings: tuple[Mapping, ...]) -> None:
    """Page tables need no capabilities to show something."""


def _make_space_nodes(state: KernelState, by_kind: _ByKind, mappings: tuple[Mapping, ...]) -> None:
    """The CNodes of the initial address space, still empty."""
    for cap in by_kind[CapKind.SPACE_NODE]:
        state.objects[cap.address] = CNode(cap.address, cap.size_bits)


def _fill_space_nodes(state: KernelState, node: CNode, by_kind: _ByKind, mappings: tuple[Mapping, ...]) -> None:
    """Two levels of CNodes, the inner ones and the user data in them derived from the initial CNode's."""
    outer_cap, *inner_caps = by_kind[CapKind.SPACE_NODE]
    outer = state.objects[outer_cap.address]
    assert isinstance(outer, CNode)
    inner: dict[int, CNode] = {}
    for cap in inner_caps:
        assert cap.mapped_at is not None
        index = cap.mapped_at >> (WORD_BITS - outer.radix)
        source = node.slot(cap.slot)
        derivation.insert(source.cap, source, outer.slot(index))
        table = state.objects[cap.address]
        assert isinstance(table, CNode)
        inner[index] = table
    frames = {cap.address: node.slot(cap.slot) for cap in by_kind[CapKind.FRAME]}
    for mapping in mappings:
        source = frames[mapping.physical]
        data = source.cap
        assert isinstance(data, FrameCap)
        shown = FrameCap(data.address, data.size_bits, False, _vm_rights(mapping.rights))
        table = inner[mapping.virtual >> (WORD_BITS - outer.radix)]
        index = mapping.virtual >> mapping.size_bits & ((1 << table.radix) - 1)
        derivation.insert(shown, source, table.slot(index))


@final
class _InitialSpace:
    """How the initial address space is made: objects before the capabilities, contents after them."""

    def __init__(
        self,
        policy: Callable[[], AddressSpaces],
        make: Callable[[KernelState, _ByKind, tuple[Mapping, ...]], None],
        fill: Callable[[KernelState, CNode, _ByKind, tuple[Mapping, ...]], None],
        root_kind: CapKind,
    ) -> None:
        self.policy: Final = policy
        self.make: Final = make
        self.fill: Final = fill
        self.root_kind: Final = root_kind


_SPACES: Final = {
    "page-tables": _InitialSpace(PageTables, _make_page_tables, _nothing_more, CapKind.PAGE_DIRECTORY),
    "capabilities": _InitialSpace(
        CapabilitySpaces, _make_space_nodes, _fill_space_nodes, CapKind.SPACE_NODE
    ),
}
"""By fact `address_space`."""


def _vm_rights(rights: int) -> int:
    if rights & WRITE:
        return VM_READ_WRITE
    return VM_READ_ONLY if rights & (READ | EXECUTE) else VM_KERNEL_ONLY


def _boot_cap(state: KernelState, boot: BootCap) -> Cap:
    """The capability for one slot of the initial CNode."""
    kind = boot.kind
    address = boot.address
    if kind is CapKind.UNTYPED:
        # Marked full: the first Retype clears what the boot code may have left in it.
        free = 1 << boot.size_bits if state.facts.boot_untypeds_dirty else 0
        return UntypedCap(address, boot.size_bits, boot.device, free)
    if kind is CapKind.FRAME:
        if boot.mapped_at is None:
            return FrameCap(address, boot.size_bits, boot.device, VM_READ_WRITE)
        return FrameCap(address, boot.size_bits, boot.device, VM_READ_WRITE, INITIAL_ASID, boot.mapped_at)
    if kind is CapKind.PAGE_TABLE:
        assert boot.mapped_at is not None
        return PageTableCap(address, True, INITIAL_ASID, boot.mapped_at)
    if kind is CapKind.CNODE or kind is CapKind.SPACE_NODE:
        node = state.objects[address]
        assert isinstance(node, CNode)
        guard_bits = WORD_BITS - boot.size_bits if kind is CapKind.CNODE else 0
        return CNodeCap(address, boot.size_bits, guard_bits, 0, node)
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


def _start(
    state: KernelState,
    thread: Tcb,
    node: CNode,
    by_kind: _ByKind,
    vspace_kind: CapKind,
) -> None:
    """Give the initial thread its roots, its buffer, its priority and its first instruction."""
    plan = state.plan

    def slot_of(kind: CapKind) -> Slot:
        return node.slot(by_kind[kind][0].slot)

    cspace = slot_of(CapKind.CNODE)
    derivation.insert(cspace.cap, cspace, thread.slots[TCB_CTABLE])
    vspace = slot_of(vspace_kind)
    derivation.insert(vspace.cap, vspace, thread.slots[TCB_VTABLE])
    for frame in by_kind.get(CapKind.FRAME, []):
        if frame.address == plan.ipc_buffer_frame and frame.mapped_at == plan.ipc_buffer_address:
            source = node.slot(frame.slot)
            # 1.0.3 put the capability itself there, mapping included: deleting it unmaps the buffer.
            copy = source.cap.derived() if state.facts.boot_buffer_is_copy else source.cap
            derivation.insert(copy, source, thread.slots[TCB_BUFFER])
    thread.buffer_address = plan.ipc_buffer_address
    if state.facts.reply == "capability":
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
