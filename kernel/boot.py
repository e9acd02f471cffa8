"""What the kernel is booted from: the boundary type that a loader makes and `retrap.kernel` consumes.

A `BootPlan` is complete and already laid out by the release's own boot rules (which are data in
`retrap.kernel.abi`): every address, every capability slot, every untyped. The kernel only instantiates it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from retrap.kernel.abi.release import Release


class CapKind(Enum):
    """Kinds of capability that the initial CNode can hold at boot."""

    TCB = "thread"
    CNODE = "cnode"
    PAGE_DIRECTORY = "page-directory"
    PAGE_TABLE = "page-table"
    FRAME = "frame"
    UNTYPED = "untyped"
    IRQ_CONTROL = "irq-control"
    ASID_CONTROL = "asid-control"
    ASID_POOL = "asid-pool"
    DOMAIN = "domain"
    SPACE_NODE = "space-node"  # a CNode of an address space, where those are made of CNodes; `size_bits` its radix


@dataclass(frozen=True, slots=True)
class BootCap:
    """One capability in the initial CNode. Fields that do not apply to a kind keep their defaults.

    `address` is the object's physical address; `size_bits` its size (frames, untypeds) or radix (the CNode).
    `mapped_at` is the virtual address at which the root task's address space maps it (frames, page tables).
    """

    slot: int
    kind: CapKind
    address: int = 0
    size_bits: int = 0
    device: bool = False
    mapped_at: int | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """A page of the root task's image or boot data: virtual, physical, user rights (machine.space bits)."""

    virtual: int
    physical: int
    size_bits: int
    rights: int


@dataclass(frozen=True, slots=True)
class Load:
    """Bytes to put into physical memory before the first instruction."""

    address: int
    data: bytes
    name: str  # "segment 0", "bootinfo", "extra bootinfo"


@dataclass(frozen=True, slots=True)
class Region:
    """A named range `[start, end)` of physical addresses, for people and for the memory map."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DeviceRegion:
    """A device's registers `[base, base + size)`, page-aligned, and the model that behaves there ("" = plain)."""

    name: str
    base: int
    size: int
    model: str = ""
    irqs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GenericTimer:
    """The ARM generic timer: frequency of its counters, interrupts of the physical and the virtual timer."""

    hz: int
    physical_irq: int = 30
    virtual_irq: int = 27


@dataclass(frozen=True, slots=True)
class PerformanceMonitors:
    """The processor's performance monitors: the architecture's version of them, and PMCR after reset."""

    version: int = 2
    identification: int = 0x410F_3000


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The kernel's build configuration, as far as user code can see it (manifest `[kernel]`)."""

    printing: bool = True  # CONFIG_PRINTING: DebugPutChar …
    debug: bool = True  # CONFIG_DEBUG_BUILD: DebugHalt, NameThread, CapIdentify …
    fpu: bool = True  # CONFIG_HAVE_FPU
    set_tls_base_self: bool = False  # CONFIG_SET_TLS_BASE_SELF: the SetTLSBase system call
    tls_register: str = "tpidrurw"  # CONFIG_ARM_TLS_REG_…: what SetTLSBase writes, tpidrurw or tpidruro
    root_cnode_bits: int = 12
    max_untypeds: int = 230
    num_domains: int = 1
    num_priorities: int = 256
    time_slice_ticks: int = 5
    timer_tick_ms: int = 2
    retype_fan_out_limit: int = 256
    max_work_units: int = 100
    reset_chunk_bits: int = 8
    export_pcnt_user: bool = False  # CONFIG_EXPORT_PCNT_USER: user code reads CNTPCT
    export_vcnt_user: bool = False  # CONFIG_EXPORT_VCNT_USER: … CNTVCT
    export_ptmr_user: bool = False  # CONFIG_EXPORT_PTMR_USER: user code has the physical timer
    export_vtmr_user: bool = False  # CONFIG_EXPORT_VTMR_USER: … the virtual one
    export_pmu_user: bool = False  # CONFIG_EXPORT_PMU_USER: user code has the performance monitors
    start_cycle_counter: bool = False  # CONFIG_ENABLE_BENCHMARKS: the cycle counter runs from boot on
    benchmarks: str = "none"  # KernelBenchmarks: generic, track_utilisation …: the Benchmark system calls


@dataclass(frozen=True, slots=True)
class BootPlan:
    """Everything the kernel needs to start the initial thread."""

    release: Release
    options: BuildOptions
    platform: str
    ram: tuple[tuple[int, int], ...]  # (base, size) pairs, ascending
    kernel_base: int  # first virtual address that user space cannot use (seL4_UserTop, exclusive)
    max_irq: int
    clock_hz: int  # retired instructions per virtual second
    loads: tuple[Load, ...]
    caps: tuple[BootCap, ...]
    mappings: tuple[Mapping, ...]
    entry: int  # virtual address; bit 0 set = Thumb
    bootinfo_address: int  # virtual; passed in R0
    ipc_buffer_address: int  # virtual
    ipc_buffer_frame: int  # physical
    tcb_address: int  # physical, of the initial thread's TCB
    empty_slots: tuple[int, int]  # first and past-the-last free slot of the initial CNode
    kernel_irqs: tuple[int, ...] = (27,)  # interrupts that the kernel keeps for itself (its timer)
    globals_frame: int = 0  # physical; of the page at 0xffffc000 that shows the IPC buffer, until 3.2.0
    kernel_pages: tuple[int, ...] = ()  # virtual addresses where the kernel maps devices for itself
    devices: tuple[DeviceRegion, ...] = field(default=())
    generic_timer: GenericTimer | None = None
    performance_monitors: PerformanceMonitors | None = None
    serial_input: bytes = b""  # what arrives on the serial line
    regions: tuple[Region, ...] = field(default=())  # the memory map, for display and for the invariants
