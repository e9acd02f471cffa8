"""All state of the kernel, in one object that every phase gets as its first argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from retrap.kernel.abi.release import Facts, Release
from retrap.kernel.boot import BootPlan, BuildOptions
from retrap.kernel.caps import KIND_NAMES, TAGS, Cap, Tag
from retrap.kernel.effects import IDLE, Effects
from retrap.kernel.failures import Preempted
from retrap.kernel.message import Invocation, Message
from retrap.kernel.policies import AddressSpaces, Benchmarks, ThreadRegisters, Wakeups
from retrap.kernel.slots import Slot
from retrap.kernel.structures import Endpoint, KernelObject, Tcb, ThreadState
from retrap.machine.context import ContextArena, Counters
from retrap.machine.context import Slot as ContextSlot
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import AddressSpace, KernelWindow

if TYPE_CHECKING:
    from retrap.kernel.vspace import PageDirectory

# The hooks by which an object's file plugs in; `retrap.kernel.objects.table` says which file offers which.
# `Any` stands for the capability class of the file's own kind.
Decoder = Callable[["KernelState", Slot, Any, Message], Invocation]
"""decode(state, slot of the invoked capability, the capability, message): returns an `Invocation` or raises
`Refused`. Writes nothing."""
Finaliser = Callable[["KernelState", Any, bool], Cap]
"""finalise(state, cap, final): the capability is about to be deleted; `final` says whether it is the last one
to its object. Undoes what the capability (mappings) or the object (queues) caused; returns what remains in the
slot: `NULL`, or a `ZombieCap` whose slots have to be emptied first."""
Cleanup = Callable[["KernelState", Any], None]
"""after_delete(state, cap): called once the slot that held the last capability is empty."""
Creator = Callable[["KernelState", int, int, bool], Cap]
"""create(state, address, size_bits as the user gave it, device): makes an object in zeroed memory, registers
it in `state.objects` (frames and untypeds have no object) and returns the first capability to it."""


Receiver = Callable[["KernelState", Tcb, Cap, bool], "bool | None"]
"""receive(state, thread, cap, blocking): Recv of a capability that is no endpoint and no notification. Whether
anything was received; None: the capability does not allow it."""


# What `schedule` has to do at the end of this kernel entry (`KernelState.action`).
RESUME: Final = 0
CHOOSE: Final = 1
SWITCH: Final = 2


def _tls_register(plan: BootPlan) -> str:
    fact = plan.release.facts.tls_base_register
    return plan.options.tls_register if fact == "build" else fact


def _kind_names(release: Release) -> tuple[str, ...]:
    """`KIND_NAMES` of a release: what others call frames is user data where that is a type of object."""
    names = list(KIND_NAMES)
    if any(kind.name == "UserData" for kind in release.object_types):
        names[Tag.FRAME] = "UserData"
    return tuple(names)


def _not_chosen(state: KernelState, thread: Tcb) -> None:
    raise NotImplementedError


def _window(plan: BootPlan, hole: int) -> KernelWindow:
    """What the kernel maps for itself."""
    pages = [*plan.kernel_pages, VECTORS]
    if plan.release.facts.kernel_stack_page:
        pages.append(STACK)
    return KernelWindow(plan.kernel_base, KERNEL_TABLE, frozenset(page >> 12 for page in pages), hole)


def _exported(plan: BootPlan) -> int:
    """What of the generic timer and of the performance monitors the kernel lets user code use: `Counters`."""
    options, found = plan.options, 0
    if plan.generic_timer is not None:
        found = (
            (Counters.VIRTUAL if options.export_vcnt_user else 0)
            | (Counters.PHYSICAL if options.export_pcnt_user else 0)
            | (Counters.VIRTUAL_TIMER if options.export_vtmr_user else 0)
            | (Counters.PHYSICAL_TIMER if options.export_ptmr_user else 0)
        )
    monitors = plan.performance_monitors
    if monitors is not None and options.export_pmu_user:
        found |= Counters.MONITORS | (Counters.MONITORS_2 if monitors.version >= 2 else 0)
    return found


ANY_SIZE: Final = -1  # the user chooses the size (Untyped)
SLOT_SIZED: Final = -2  # the user chooses the number of slots (CapTable)


KERNEL_TABLE: Final = 0xFFF0_0000
"""The last megabyte, which the kernel maps page by page: its devices from the bottom on, and the vectors."""

VECTORS: Final = 0xFFFF_0000
STACK: Final = 0xFFFF_F000

ASID_ENTRY: Final = 0xFF00_0000 >> 20
"""Of a directory with an ASID: it holds the hardware ASID there (PD_ASID_SLOT), and so maps nothing."""


class Change:
    """What a kernel entry did to the kernel's objects, for `retrap.kernel.relays`, and for the scheduler."""

    ANY: Final = 0  # the scheduler has to look at it
    TIME: Final = 1  # registers and memory apart, nothing but time slices and domains' time
    HOP: Final = 2  # what `KernelState.hop` says, and nothing else


@final
class Hop:
    """What the last entry did, if it took the path of `retrap.kernel.fastpath`. One object, filled each time."""

    __slots__ = ("badge", "call", "cptr", "endpoint", "grant", "length", "receiver", "sender")

    def __init__(self, idle: Tcb) -> None:
        self.call = False  # a Call; otherwise a ReplyRecv
        self.cptr = 0
        self.badge = 0  # as the receiver gets it
        self.length = 0  # of the message
        self.sender = idle
        self.receiver = idle
        self.endpoint: Endpoint | None = None
        self.grant = False  # whether replies may carry capabilities


@final
class KernelState:
    """Mutable. Tables by tag or label are filled once, by `retrap.kernel.objects.table.install`."""

    def __init__(self, plan: BootPlan, memory: PhysicalMemory, arena: ContextArena) -> None:
        self.plan: Final = plan
        self.options: Final[BuildOptions] = plan.options
        self.release: Final[Release] = plan.release
        self.facts: Final[Facts] = plan.release.facts
        # How this release decides; `retrap.kernel.startup` chooses.
        self.wakeups = Wakeups()
        self.thread_registers = ThreadRegisters()
        self.address_spaces = AddressSpaces()
        self.benchmarks = Benchmarks()
        self.reprioritise: Callable[[KernelState, Tcb], None] = _not_chosen
        self.all_rights: Final = 15 if plan.release.facts.grant_reply else 7
        self.memory: Final = memory
        self.arena: Final = arena
        self.effects: Final = Effects()

        self.message: Final = Message()

        # Dispatch, by capability tag.
        self.decoders: Final[list[Decoder | None]] = [None] * TAGS  # kinds that do not look at the label
        self.methods: Final[list[dict[int, Decoder]]] = [{}] * TAGS  # kinds that do: by label
        self.finalisers: Final[list[Finaliser | None]] = [None] * TAGS
        self.cleanups: Final[list[Cleanup | None]] = [None] * TAGS
        self.receivers: Final[list[Receiver | None]] = [None] * TAGS
        self.kind_names: Final = _kind_names(plan.release)
        # By object type number as Untyped_Retype counts them.
        self.creators: Final[list[Creator | None]] = []  # None: a frame, which is nothing but its capability
        self.object_bits: Final[list[int]] = []  # log2 of the size in bytes, or ANY_SIZE, or SLOT_SIZED
        self.device_types: Final[list[bool]] = []  # whether device memory can become one
        self.min_untyped_bits: Final = plan.release.constants["seL4_MinUntypedBits"]
        self.max_untyped_bits: Final = plan.release.constants["seL4_MaxUntypedBits"]

        # Objects and threads.
        self.objects: Final[dict[int, KernelObject]] = {}
        self.threads: Final[list[Tcb]] = []  # every thread that ever was, by number
        self.retired: Final[list[Tcb]] = []  # deleted in this entry: their contexts are given back in the next
        self.user_mode: Final = 0x50 if plan.options.debug else 0x150  # CPSR: user mode, F (and A) masked
        arena.user_mode = self.user_mode
        arena.counters = _exported(plan)
        if plan.generic_timer is not None:
            arena.counter_hz = plan.generic_timer.hz
        self.idle: Final = Tcb(0, IDLE, arena.allocate())
        self.idle.state = ThreadState.IDLE
        self.current: Tcb = self.idle
        self.hop: Final = Hop(self.idle)
        self.fast = self.facts.reply == "capability"  # whether `retrap.kernel.fastpath` is used; tests use both

        self.tls_register: Final = (
            ContextSlot.TPIDRURO if _tls_register(plan) == "tpidruro" else ContextSlot.TPIDRURW
        )

        # Address spaces: what the current thread sees; `no_space` is empty (invalid or no VSpace root).
        self.window: Final = _window(plan, ASID_ENTRY)
        self.no_space: Final = AddressSpace(memory, _window(plan, -1))
        self.space: AddressSpace = self.no_space
        self.asid_pools: Final[dict[int, KernelObject]] = {}  # pool number (ASID >> 10) → pool
        self.directories: Final[dict[int, PageDirectory]] = {}  # ASID → what the pools say

        # Scheduler. `action`: RESUME the current thread, CHOOSE anew, or SWITCH to `candidate` if it may run.
        self.action = RESUME
        self.candidate: Tcb | None = None
        priorities = plan.options.num_priorities
        domains = plan.options.num_domains
        self.ready_heads: Final[list[Tcb | None]] = [None] * (domains * priorities)
        self.ready_tails: Final[list[Tcb | None]] = [None] * (domains * priorities)
        self.ready_bitmaps: Final[list[int]] = [0] * domains  # bit p: queue of priority p is not empty
        self.domain = 0
        self.domain_time = 0
        self.domain_schedule: Final[list[tuple[int, int]]] = []  # (domain, duration in ticks), (0, 0) = end
        self.domain_index = 0
        self.domain_start = 0

        # Interrupts, one bit each. The session sets `pending_irqs`; `retrap.kernel.objects.irq` the rest.
        self.pending_irqs = 0
        self.masked_irqs = (1 << (plan.max_irq + 1)) - 1
        self.edge_irqs = 0  # those whose line counts when it rises, not while it is up
        self.irq_slots: Final[dict[int, Slot]] = {}  # IRQ → slot with its notification (owner IRQ_NODE)
        self.tick_pending = False  # the kernel's own timer interrupt waits to be taken

        self.work_units = 0  # since the last preemption check
        self.worked: Callable[[], None] | None = None  # told of each such check: who keeps the time
        self.halted = False
        self.crashed = ""  # why the modelled kernel died, or ""
        self.died: Final[list[tuple[int, str]]] = []  # threads with faults that nobody handles

    def interrupt_pending(self) -> bool:
        """Whether an interrupt waits: what a preemption point asks."""
        return self.tick_pending or (self.pending_irqs != 0 and self.pending_irqs & ~self.masked_irqs != 0)

    def stops(self) -> bool:
        """A preemption point's question, when enough work is done to ask: does an interrupt wait?"""
        if self.worked is not None:
            self.worked()
        return self.interrupt_pending()

    def work(self, units: int) -> int:
        """Do so many units of work at once. -1, or how many are done when an interrupt stops it."""
        limit = self.options.max_work_units
        done = limit - self.work_units
        while done <= units:
            if self.stops():
                self.work_units = 0
                return done
            if self.worked is None:
                break  # nothing can come
            done += limit
        self.work_units = (self.work_units + units) % limit
        return -1

    def preemption_point(self) -> None:
        """One unit of work is done; raise `Preempted` if enough are and an interrupt waits."""
        self.work_units += 1
        if self.work_units >= self.options.max_work_units:
            self.work_units = 0
            if self.stops():
                raise Preempted
