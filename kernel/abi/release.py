"""The shape of a release's table: everything that user code can see of one kernel release, as data.

One `Release` value per release (and per scheduler flavour) is complete by itself, so that comparing two
values *is* the ABI changelog. Wire numbers derive from order. Small behaviour differences are named facts
(`Facts`); structural ones are policy objects that the kernel chooses once at boot from those facts. Nothing
outside `retrap.kernel.abi` compares release names.

Names. Every row has a *canonical* name, the same in every release that has the thing (`"ReplyRecv"`,
`"Notification"`, `"CNodeRecycle"`), which the engine dispatches on, and the *spelling* of that release's own
libsel4 (`"seL4_SysReplyWait"`, `"seL4_AsyncEndpointObject"`), which headers and people see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an invocation, in libsel4's order.

    `kind`: "word" (packed into message registers), "cap" (an extra capability), "registers" (a
    seL4_UserContext). `bits` is the width for argument packing (1, 8, 16, 32; 64 = two words, low first).
    `ctype` is libsel4's type of it. `out`: the kernel returns it, the caller does not pass it.
    """

    name: str
    kind: str = "word"
    bits: int = 32
    ctype: str = "seL4_Word"
    out: bool = False


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation label. Its number is its position in `Release.invocations`."""

    label: str  # libsel4's identifier of the label, the same in every release: "UntypedRetype", "ARMPageMap"
    interface: str  # "Untyped", "TCB", "CNode", "ARM_Page", …
    method: str  # user-level function: "seL4_Untyped_Retype"; "" for InvalidInvocation
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Syscall:
    """A system call, its number (negative), and the build it needs.

    `requires`: "" always there, "printing", "debug", "benchmark", "utilisation", "debug+utilisation",
    "tls-self" (build options which `BuildOptions` names). `spelling` is libsel4's enumerator.
    """

    name: str
    number: int
    requires: str = ""
    spelling: str = ""


@dataclass(frozen=True, slots=True)
class ObjectType:
    """An object type as Untyped_Retype numbers it. The number is its position in `Release.object_types`.

    `size_bits` (log2 of bytes): None for Untyped and SchedContext (the user chooses) and, for CapTable, slot
    bits + radix. `fpu_bits`, `debug_bits`: the size in a build with FPU support, in a debug build, where
    that differs: the TCB's only. `bits()` decides.
    """

    name: str  # "Untyped", "TCB", "Endpoint", "Notification", "CapTable", "PageDirectory", "SmallPage", …
    spelling: str  # "seL4_UntypedObject", "seL4_ARM_SmallPageObject"
    size_bits: int | None
    fpu_bits: int | None = None
    debug_bits: int | None = None

    def bits(self, *, fpu: bool, debug: bool) -> int | None:
        """Size of the object (log2 of bytes) in a kernel built with or without FPU support and debugging."""
        if fpu and self.fpu_bits is not None:
            return self.fpu_bits
        if debug and self.debug_bits is not None:
            return self.debug_bits
        return self.size_bits


@dataclass(frozen=True, slots=True)
class BootInfoField:
    """One field of a boot-information structure: `offset` and `size` in bytes.

    `kind`: "word" (unsigned little-endian of `size` bytes), "region" (two words: start, end), "list"
    (`size` bytes per entry).
    """

    name: str
    offset: int
    size: int
    kind: str = "word"


@dataclass(frozen=True, slots=True)
class BootInfoMember:
    """A field before it has an offset: members in order, with the rules of C, give the layout.

    `repeat` names what a list has one entry per: "untypeds", "devices"; "" for what is no list.
    """

    name: str
    size: int  # of one entry, in bytes
    alignment: int
    kind: str = "word"
    repeat: str = ""


@dataclass(frozen=True, slots=True)
class BootInfoLayout:
    """seL4_BootInfo and the untyped descriptors, byte by byte, for the release's default list lengths.

    From 4.0.0 on the untyped list is one list of descriptors at `untyped_list_offset`, the last member.
    Before, there are parallel lists (`lists`), and fields after them: those move when a build has other list
    lengths, and `bootinfo.resized` makes the layout of such a build from `members`.
    """

    fields: tuple[BootInfoField, ...]
    untyped_list_offset: int  # of the descriptors, or of the list of physical addresses
    untyped_desc: tuple[BootInfoField, ...]  # paddr, sizeBits, isDevice; none before 4.0.0
    untyped_desc_size: int = 8
    lists: tuple[BootInfoField, ...] = ()  # every list, in order
    packed: bool = False  # fields follow one another without alignment
    members: tuple[BootInfoMember, ...] = ()
    size: int = 0  # of the whole structure


@dataclass(frozen=True, slots=True)
class Facts:
    """Named behaviour facts. Each field's comment says what user code sees; sources are in `fact_notes`.

    The defaults are the newest release's behaviour.
    """

    # Structure: what the 2006 design does otherwise.
    retype: Literal["watermark", "split"] = "watermark"  # objects one after the other, or all at once, equal
    asynchronous: Literal["notification", "message"] = "notification"  # what an asynchronous object holds
    address_space: Literal["page-tables", "capabilities"] = "page-tables"  # what virtual addresses go through
    reply: Literal["capability", "none"] = "capability"  # how a Call of an endpoint is answered
    # Messages.
    grant_reply: bool = True  # right bit 3 exists, lets a Call have its reply; replies need Grant to carry caps
    receive_only_diminishes: bool = False  # a receiver without send right: caps lose write, callers no reply
    caller_survives_wait: bool = True  # a Recv that finds no endpoint leaves the caller capability alone
    notification_delivers_word: bool = False  # the state ORs a data word too; it arrives in MR0, with length 1
    empty_reply_is_silent: bool = True  # before, debug kernels printed a complaint about Reply without a caller
    kept_fault_waits: bool = False  # a Send that delivers a fault taken back earlier waits for a reply, as a Call
    # Threads.
    ipc_buffer_pointer: Literal["user", "tpidrurw", "globals-frame"] = "user"  # who tells a thread where it is
    own_buffer_change_at_once: bool = True  # SetIPCBuffer on oneself: before, shown at the next thread switch
    boot_buffer_is_copy: bool = True  # the initial TCB holds an unmapped copy of the IPC buffer's frame cap
    tls_base_register: Literal["", "tpidruro", "tpidrurw", "build"] = "build"  # what SetTLSBase writes
    thread_id_registers: Literal["shared", "written", "tpidrurw", "both"] = "both"  # saved with each thread
    fpu: Literal["none", "on-fault", "by-flag"] = "by-flag"  # floating point belongs to threads, since when how
    resume_repeats_call: bool = False  # Suspend and Resume of a thread with a message not yet seen: call again
    # Scheduling.
    wakeup: Literal["direct", "candidate"] = "candidate"  # who runs after a wake-up (see docs/releases.md)
    priority_authority: Literal["own-priority", "own-mcp", "capability"] = "capability"  # limits SetPriority
    set_priority_preempts: Literal["self", "runnable", "candidate"] = "candidate"  # when it can change who runs
    # Memory.
    retype_size_limit: Literal["argument-30", "argument-29", "object-29"] = "object-29"  # what is a RangeError
    cleared_at: Literal["creation", "reset"] = "reset"  # memory is zeroed with each object, or before the first
    device_untypeds: bool = True  # device memory is untyped memory; before, ready-made frames
    boot_untypeds_dirty: bool = True  # untypeds of boot are cleared before their first use
    # Address spaces.
    execute_never: bool = True  # VM attribute bit 2 makes a page not executable
    page_map_remaps: bool = True  # Page_Map on a mapped frame changes its rights (before: Page_Remap did)
    page_flush_checks_mapping: bool = True  # a stale frame capability is refused; before, the kernel crashed
    get_address_answers_calls_only: bool = True  # before: Page_GetAddress wrote r1 and r2 even for a Send
    asid_pool_count: int = 128  # how many ASID pools can exist
    kernel_device_pages: Literal["platform", "in-order"] = "in-order"  # which of the last megabyte's are mapped
    kernel_stack_page: bool = False  # the kernel's stack is a page at 0xfffff000
    # Interrupts.
    irq_number_bits: int = 32  # IRQControl looks at that many bits of the interrupt number, GIC platforms
    # Booting.
    boot_slot_order: Literal["frames", "ram-first", "devices-first"] = "devices-first"  # of untypeds and devices
    root_objects_in_one_block: bool = True  # at the top of RAM; before, each in the smallest piece that fits
    all_device_memory: bool = True  # every address that is not RAM; before, the platform's list
    device_tree: Literal["", "page-aligned", "exact"] = "exact"  # in the extra boot information, how long
    extra_bootinfo_exact: bool = True  # extra boot information takes the smallest power of two; before, twice that
    initial_domain: Literal["schedule", "zero"] = "zero"  # of the initial thread
    # Debugging.
    debug_output_names: bool = True  # DebugSnapshot prints the thread's name, DebugDumpScheduler a column of cores
    # Benchmark builds.
    reset_log_answers: bool = True  # ResetLog answers in r0, and the idle thread's time begins anew
    utilisation: Literal["times", "times-by-core", "counts"] = "counts"  # what GetThreadUtilisation says
    benchmark_log: Literal["kernel", "user-frame"] = "user-frame"  # where the log is
    finalise_log_answers: bool = True  # FinalizeLog returns how many records there are
    entry_paths: Literal["no-debug", "interrupt-first", "unknown-first"] = "unknown-first"  # why the kernel ran
    entry_core_field: bool = True  # the word of an interrupt or a fault is 26 bits above the processor core's three
    entry_sets_core: bool = True  # interrupts set that field, VM faults the fast path's bit; before, leftovers
    entry_fast_path: Literal["never-cleared", "cleared-if-known", "exact"] = "exact"  # the bit for the fast path


@dataclass(frozen=True, slots=True)
class Release:
    """The complete user-visible table of one kernel release on AArch32."""

    name: str  # "16.0.0", "16.0.0-mcs", "2006"
    tag: str  # the source tag it was read from
    mcs: bool
    syscalls: tuple[Syscall, ...]
    invocations: tuple[Invocation, ...]
    object_types: tuple[ObjectType, ...]
    fault_labels: Mapping[str, int]
    errors: tuple[str, ...]
    cap_types: Mapping[str, int]  # raw kernel cap type numbers (DebugCapIdentify)
    boot_slots: tuple[str, ...]  # names of the initial CNode's fixed slots, by position; "" = unused
    bootinfo: BootInfoLayout
    user_context: tuple[int, ...]  # context slots in seL4_UserContext order (CPSR is Slot -1)
    constants: Mapping[str, int]  # seL4_MsgMaxLength, CONFIG_…: name → value, as user space sees them
    facts: Facts = field(default_factory=Facts)
    sources: Mapping[str, str] = field(default_factory=dict)  # category (field name) → path in the tag's tree

    def label_numbers(self) -> dict[str, int]:
        """Wire number of each invocation label."""
        return {invocation.label: number for number, invocation in enumerate(self.invocations)}

    def object_numbers(self) -> dict[str, int]:
        """Wire number of each object type, by canonical name."""
        return {kind.name: number for number, kind in enumerate(self.object_types)}

    def syscall_numbers(self) -> dict[str, int]:
        """Number of each system call, by canonical name, whatever build it needs."""
        return {call.name: call.number for call in self.syscalls}
