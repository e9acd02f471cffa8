"""Capabilities: immutable values, a closed sum of final classes, each with an integer `tag` for tables.

A capability refers to its object by physical address (`address`); objects live in `KernelState.objects`. (Those to
CNodes, which every lookup goes through, know the object itself, too.)
What depends on the capability's kind alone is a method here, so that each kind says it once:

* `masked(rights)`: the capability with fewer rights (Copy, Mint).
* `with_data(preserve, data)`: new badge or guard; `NULL` where the kind refuses.
* `derived()`: what a copy of it is; `NULL` where it cannot be copied; raises `Refused`.
* `same_region(other)` / `same_object(other)`: the two relations behind derivation and finality.
* `size_bits`: how much memory the object occupies from `address` on; `extent` is both, or None.

What also needs kernel state (decode, create, finalise) is in `retrap.kernel.objects`, dispatched by tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from retrap.kernel.failures import illegal_operation
from retrap.machine.compiled import mypyc_attr

if TYPE_CHECKING:
    from retrap.kernel.slots import Slot
    from retrap.kernel.structures import CNode


class Tag:
    """Dense numbers of the kinds, for dispatch tables. (The kernel's raw ones are `Release.cap_types`.)"""

    NULL: Final = 0
    UNTYPED: Final = 1
    ENDPOINT: Final = 2
    NOTIFICATION: Final = 3
    REPLY: Final = 4
    CNODE: Final = 5
    THREAD: Final = 6
    IRQ_CONTROL: Final = 7
    IRQ_HANDLER: Final = 8
    ZOMBIE: Final = 9
    DOMAIN: Final = 10
    FRAME: Final = 11
    PAGE_TABLE: Final = 12
    PAGE_DIRECTORY: Final = 13
    ASID_CONTROL: Final = 14
    ASID_POOL: Final = 15
    SGI_SIGNAL: Final = 16
    ASYNC_ENDPOINT: Final = 17


# Plain Python finds a module's names much faster than a class's.
_UNTYPED: Final = Tag.UNTYPED
_FRAME: Final = Tag.FRAME

TAGS: Final = 18
"""How many kinds there are: the length of every table by tag."""

KIND_NAMES: Final = (
    "Null", "Untyped", "Endpoint", "Notification", "Reply", "CNode", "TCB", "IRQControl", "IRQHandler",
    "Zombie", "Domain", "Frame", "PageTable", "PageDirectory", "ASIDControl", "ASIDPool", "SGISignal",
    "AsyncEndpoint",
)  # fmt: skip
"""Name of each kind, by tag: what `Effects.target` and traces show."""

# Capability rights, as seL4_CapRights holds them (manual 3.1.4).
WRITE: Final = 1
READ: Final = 2
GRANT: Final = 4
GRANT_REPLY: Final = 8
READ_WRITE: Final = READ | WRITE
ALL_RIGHTS: Final = 15

BADGE_MASK: Final = 0x0FFF_FFFF
"""A badge has 28 bits on AArch32."""

# Rights of a frame capability: not a set but three states (there is no write-only and no grant).
VM_KERNEL_ONLY: Final = 1
VM_READ_ONLY: Final = 2
VM_READ_WRITE: Final = 3

TCB_SIZE_BITS: Final = 10
TCB_EXTENT_BITS: Final = 9
"""The least that a TCB takes in any release and build: enough to tell which untyped it was made of."""
SLOT_SIZE_BITS: Final = 4
ENDPOINT_SIZE_BITS: Final = 4
NOTIFICATION_SIZE_BITS: Final = 4
ASYNC_ENDPOINT_SIZE_BITS: Final = 5
PAGE_TABLE_SIZE_BITS: Final = 10
PAGE_DIRECTORY_SIZE_BITS: Final = 14
ASID_POOL_SIZE_BITS: Final = 12

NO_MEMORY: Final = -1
"""`Cap.size_bits` of kinds whose objects occupy no memory."""

ZOMBIE_TCB: Final = -1
"""`ZombieCap.radix` of what remains of a TCB."""


@mypyc_attr(acyclic=True)
class Cap:
    """What every kind has; the defaults are those of the kinds without rights, data or memory.

    None of it ever changes. (It is not `Final` because the kinds that Retype makes most write it themselves: a
    call of this `__init__` costs plain Python as much as all else.)
    """

    __slots__ = ("address", "known", "size_bits", "tag")

    def __init__(self, tag: int, address: int, size_bits: int = NO_MEMORY) -> None:
        self.tag = tag
        self.address = address
        self.size_bits = size_bits  # log2 of the bytes
        self.known: tuple[str, int, int] | None = None
        """What `shown` returns, once it was asked for."""

    @property
    def extent(self) -> tuple[int, int] | None:
        """(First address, size in bits) of the memory that the object occupies, None if it occupies none."""
        return None if self.size_bits == NO_MEMORY else (self.address, self.size_bits)

    @property
    def shown_badge(self) -> int:
        """The badge; 0 for kinds that have none."""
        return 0

    def shown(self, names: tuple[str, ...]) -> tuple[str, int, int]:
        """As `Effects` shows it: kind (`names`: the kernel's, by tag), object, badge."""
        known = self.known
        if known is None:
            known = self.known = (names[self.tag], self.address, self.shown_badge)
        return known

    def masked(self, rights: int) -> Cap:
        return self

    def with_data(self, preserve: bool, data: int) -> Cap:
        return self

    def derived(self) -> Cap:
        return self

    def same_region(self, other: Cap) -> bool:
        return other.tag == self.tag and other.address == self.address

    def same_object(self, other: Cap) -> bool:
        return self.same_region(other)

    def key(self) -> tuple[int, ...]:
        """All fields as integers, tag first: equality, digests and dumps are made from it."""
        return (self.tag, self.address)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cap) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    def __repr__(self) -> str:
        fields = ", ".join(f"{value:#x}" for value in self.key()[1:])
        return f"{KIND_NAMES[self.tag]}({fields})"


@final
class NullCap(Cap):
    """The empty slot's content; `NULL` is the only one, so that it is known by identity."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Tag.NULL, 0)

    def same_region(self, other: Cap) -> bool:
        return False


NULL: Final = NullCap()


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class UntypedCap(Cap):
    """Memory to make objects from (manual 2.4.1). `free` is the watermark: bytes used from the start."""

    __slots__ = ("device", "free")

    def __init__(self, address: int, size_bits: int, device: bool, free: int) -> None:
        self.tag = _UNTYPED
        self.address = address
        self.size_bits = size_bits
        self.known = None
        self.device: Final = device
        self.free: Final = free

    def with_free(self, free: int) -> UntypedCap:
        cap = UntypedCap(self.address, self.size_bits, self.device, free)
        cap.known = self.known
        return cap

    def full(self) -> UntypedCap:
        """The same untyped with nothing left to hand out."""
        return UntypedCap(self.address, self.size_bits, self.device, 1 << self.size_bits)

    def same_region(self, other: Cap) -> bool:
        bits = other.size_bits
        if bits == NO_MEMORY:
            return False
        start = self.address
        other_start = other.address
        return start <= other_start and other_start + (1 << bits) <= start + (1 << self.size_bits)

    def same_object(self, other: Cap) -> bool:
        return False  # every untyped capability counts as final: its objects are what matters

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, self.size_bits, int(self.device), self.free)


@final
class EndpointCap(Cap):
    """Right to send to or receive from an endpoint (manual 4.2). `rights` as seL4_CapRights."""

    __slots__ = ("badge", "rights")

    def __init__(self, address: int, badge: int, rights: int) -> None:
        Cap.__init__(self, Tag.ENDPOINT, address, ENDPOINT_SIZE_BITS)
        self.badge: Final = badge
        self.rights: Final = rights

    @property
    def shown_badge(self) -> int:
        return self.badge

    def masked(self, rights: int) -> Cap:
        allowed = self.rights & rights
        return self if allowed == self.rights else EndpointCap(self.address, self.badge, allowed)

    def with_data(self, preserve: bool, data: int) -> Cap:
        if preserve or self.badge != 0:
            return NULL
        return EndpointCap(self.address, data & BADGE_MASK, self.rights)

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, self.badge, self.rights)


@final
class NotificationCap(Cap):
    """Right to signal (WRITE) or wait for (READ) a notification (manual 5)."""

    __slots__ = ("badge", "rights")

    def __init__(self, address: int, badge: int, rights: int) -> None:
        super().__init__(Tag.NOTIFICATION, address, NOTIFICATION_SIZE_BITS)
        self.badge: Final = badge
        self.rights: Final = rights

    @property
    def shown_badge(self) -> int:
        return self.badge

    def masked(self, rights: int) -> Cap:
        return NotificationCap(self.address, self.badge, self.rights & rights & (READ | WRITE))

    def with_data(self, preserve: bool, data: int) -> Cap:
        if preserve or self.badge != 0:
            return NULL
        return NotificationCap(self.address, data & BADGE_MASK, self.rights)

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, self.badge, self.rights)


@final
class AsyncEndpointCap(Cap):
    """Right to leave (WRITE) or take (READ) the message that an asynchronous endpoint of the 2006 design holds."""

    __slots__ = ("badge", "rights")

    def __init__(self, address: int, badge: int, rights: int) -> None:
        super().__init__(Tag.ASYNC_ENDPOINT, address, ASYNC_ENDPOINT_SIZE_BITS)
        self.badge: Final = badge
        self.rights: Final = rights

    @property
    def shown_badge(self) -> int:
        return self.badge

    def masked(self, rights: int) -> Cap:
        return AsyncEndpointCap(self.address, self.badge, self.rights & rights & (READ | WRITE))

    def with_data(self, preserve: bool, data: int) -> Cap:
        if preserve or self.badge != 0:
            return NULL
        return AsyncEndpointCap(self.address, data & BADGE_MASK, self.rights)

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, self.badge, self.rights)


@final
class ReplyCap(Cap):
    """Right to answer the thread at `address` once; the `master` one stays in that thread's reply slot."""

    __slots__ = ("grant", "master")

    def __init__(self, address: int, master: bool, grant: bool) -> None:
        super().__init__(Tag.REPLY, address)
        self.master: Final = master
        self.grant: Final = grant

    def masked(self, rights: int) -> Cap:
        return ReplyCap(self.address, self.master, self.grant and rights & GRANT != 0)

    def derived(self) -> Cap:
        return NULL

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, int(self.master), int(self.grant))


@final
class CNodeCap(Cap):
    """A table of 2^radix slots, behind a guard of `guard_bits` bits (manual 3.3).

    `node` is None in capabilities that are only compared or shown. The rest is what most lookups need: one of
    `bits` bits whose number is below `reach`, so that it fits a guard of zeroes, finds its slot in `near`.
    """

    __slots__ = ("bits", "guard", "guard_bits", "near", "node", "radix", "reach")

    def __init__(self, address: int, radix: int, guard_bits: int, guard: int, node: CNode | None = None) -> None:
        super().__init__(Tag.CNODE, address, radix + SLOT_SIZE_BITS)
        self.radix: Final = radix
        self.guard_bits: Final = guard_bits
        self.guard: Final = guard
        self.node: Final = node
        self.bits: Final = radix + guard_bits
        self.near: Final[list[Slot | None]] = [] if node is None else node.near
        self.reach: Final = len(self.near) if guard == 0 else 0

    def with_data(self, preserve: bool, data: int) -> Cap:
        guard_bits = data >> 3 & 31
        if guard_bits + self.radix > 32:
            return NULL
        guard = data >> 8 & 0x3FFFF & (1 << guard_bits) - 1
        return CNodeCap(self.address, self.radix, guard_bits, guard, self.node)

    def same_region(self, other: Cap) -> bool:
        return isinstance(other, CNodeCap) and other.address == self.address and other.radix == self.radix

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, self.radix, self.guard_bits, self.guard)


@final
class ThreadCap(Cap):
    """Control over the TCB at `address` (the start of its 1 KiB)."""

    __slots__ = ()

    def __init__(self, address: int) -> None:
        super().__init__(Tag.THREAD, address, TCB_EXTENT_BITS)


@final
class IrqControlCap(Cap):
    """Right to make IRQ handler capabilities; their parent in the derivation tree."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Tag.IRQ_CONTROL, 0)

    def derived(self) -> Cap:
        return NULL

    def same_region(self, other: Cap) -> bool:
        return other.tag == Tag.IRQ_CONTROL or other.tag == Tag.IRQ_HANDLER or other.tag == Tag.SGI_SIGNAL

    def same_object(self, other: Cap) -> bool:
        return False


@final
class IrqHandlerCap(Cap):
    """Right to handle interrupt `irq` (kept in `address` too, which names what it refers to)."""

    __slots__ = ("irq",)

    def __init__(self, irq: int) -> None:
        super().__init__(Tag.IRQ_HANDLER, irq)
        self.irq: Final = irq


@final
class SgiSignalCap(Cap):
    """Right to raise a software-generated interrupt on a set of cores."""

    __slots__ = ("irq", "target")

    def __init__(self, irq: int, target: int) -> None:
        super().__init__(Tag.SGI_SIGNAL, irq)
        self.irq: Final = irq
        self.target: Final = target

    def same_region(self, other: Cap) -> bool:
        return isinstance(other, SgiSignalCap) and other.irq == self.irq and other.target == self.target

    def same_object(self, other: Cap) -> bool:
        return False

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.irq, self.target)


@final
class ZombieCap(Cap):
    """A CNode (or TCB) under deletion: its slots `[0, number)` remain to be emptied."""

    __slots__ = ("number", "radix")

    def __init__(self, address: int, radix: int, number: int) -> None:
        bits = TCB_EXTENT_BITS if radix == ZOMBIE_TCB else radix + SLOT_SIZE_BITS
        super().__init__(Tag.ZOMBIE, address, bits)
        self.radix: Final = radix  # of the CNode, or ZOMBIE_TCB
        self.number: Final = number

    def derived(self) -> Cap:
        return NULL

    def same_region(self, other: Cap) -> bool:
        return False

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, self.radix, self.number)


@final
class DomainCap(Cap):
    """Right to put threads into scheduling domains."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Tag.DOMAIN, 0)


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class FrameCap(Cap):
    """Physical memory that can be mapped. `asid` 0: this capability maps nothing; `rights` is a VM_ state."""

    __slots__ = ("asid", "device", "mapped_at", "rights")

    def __init__(
        self, address: int, size_bits: int, device: bool, rights: int, asid: int = 0, mapped_at: int = 0
    ) -> None:
        self.tag = _FRAME
        self.address = address
        self.size_bits = size_bits
        self.known = None
        self.device: Final = device
        self.rights: Final = rights
        self.asid: Final = asid
        self.mapped_at: Final = mapped_at

    def mapped(self, asid: int, mapped_at: int) -> FrameCap:
        """The same frame, mapped at a virtual address of the space with `asid`."""
        cap = FrameCap(self.address, self.size_bits, self.device, self.rights, asid, mapped_at)
        cap.known = self.known
        return cap

    def masked(self, rights: int) -> Cap:
        if rights & READ_WRITE == READ_WRITE:
            return self
        allowed = mask_vm_rights(self.rights, rights)
        if allowed == self.rights:
            return self
        return FrameCap(self.address, self.size_bits, self.device, allowed, self.asid, self.mapped_at)

    def derived(self) -> Cap:
        return self if self.asid == 0 and self.mapped_at == 0 else self.mapped(0, 0)

    def same_region(self, other: Cap) -> bool:
        if not isinstance(other, FrameCap):
            return False
        end = self.address + (1 << self.size_bits)
        return self.address <= other.address and other.address + (1 << other.size_bits) <= end

    def same_object(self, other: Cap) -> bool:
        return (
            isinstance(other, FrameCap)
            and other.address == self.address
            and other.size_bits == self.size_bits
            and other.device == self.device
        )

    def key(self) -> tuple[int, ...]:
        device = int(self.device)
        return (self.tag, self.address, self.size_bits, device, self.rights, self.asid, self.mapped_at)


@final
class PageTableCap(Cap):
    """A second-level table of 256 entries; `mapped` into the space with `asid` at `mapped_at` or not."""

    __slots__ = ("asid", "mapped", "mapped_at")

    def __init__(self, address: int, mapped: bool = False, asid: int = 0, mapped_at: int = 0) -> None:
        super().__init__(Tag.PAGE_TABLE, address, PAGE_TABLE_SIZE_BITS)
        self.mapped: Final = mapped
        self.asid: Final = asid
        self.mapped_at: Final = mapped_at

    def derived(self) -> Cap:
        # A copy of an unmapped table could be mapped twice.
        if not self.mapped:
            raise illegal_operation("a page table capability can only be copied while it is mapped")
        return self

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, int(self.mapped), self.asid, self.mapped_at)


@final
class PageDirectoryCap(Cap):
    """A first-level table: an address space once it has an ASID (`mapped`)."""

    __slots__ = ("asid", "mapped")

    def __init__(self, address: int, mapped: bool = False, asid: int = 0) -> None:
        super().__init__(Tag.PAGE_DIRECTORY, address, PAGE_DIRECTORY_SIZE_BITS)
        self.mapped: Final = mapped
        self.asid: Final = asid

    def derived(self) -> Cap:
        if not self.mapped:
            raise illegal_operation("a page directory capability can only be copied once it has an ASID")
        return self

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, int(self.mapped), self.asid)


@final
class AsidControlCap(Cap):
    """Right to make ASID pools."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Tag.ASID_CONTROL, 0)


@final
class AsidPoolCap(Cap):
    """Right to give address spaces the ASIDs `[base, base + 1024)`."""

    __slots__ = ("base",)

    def __init__(self, address: int, base: int) -> None:
        super().__init__(Tag.ASID_POOL, address, ASID_POOL_SIZE_BITS)
        self.base: Final = base

    def key(self) -> tuple[int, ...]:
        return (self.tag, self.address, self.base)


def mask_vm_rights(vm_rights: int, rights: int) -> int:
    """Frame rights after masking with seL4_CapRights bits: without READ no user access is left at all."""
    if vm_rights == VM_READ_ONLY and rights & READ:
        return VM_READ_ONLY
    if vm_rights == VM_READ_WRITE and rights & READ:
        return VM_READ_WRITE if rights & WRITE else VM_READ_ONLY
    return VM_KERNEL_ONLY
