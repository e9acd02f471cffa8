"""The shape of a release's table: everything that user code can see of one kernel release, as data.

One `Release` value per release (and per scheduler flavour) is complete by itself, so that comparing two values
*is* the ABI changelog. Wire numbers derive from order. Small behaviour differences are named facts (`Facts`);
structural ones are policy objects that the kernel chooses once at boot from those facts. Nothing outside
`retrap.kernel.abi` compares release names.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an invocation, in libsel4's order.

    `bits` is the width for argument packing (1, 8, 16, 32; 64 = two words, low first); capabilities and
    structures say so in `kind` ("word", "cap", "registers").
    """

    name: str
    kind: str = "word"
    bits: int = 32


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation label. Its number is its position in `Release.invocations`."""

    label: str  # as in libsel4's interface files without the arch prefix noise: "UntypedRetype"
    interface: str  # "Untyped", "TCB", "CNode", …
    method: str  # user-level name: "seL4_Untyped_Retype"
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Syscall:
    """A system call, its number (negative), and the build it needs ("", "printing", "debug", "benchmark")."""

    name: str
    number: int
    requires: str = ""


@dataclass(frozen=True, slots=True)
class ObjectType:
    """An object type as Untyped_Retype numbers it. The number is its position in `Release.object_types`.

    `size_bits` None: the user chooses (Untyped, SchedContext) or, for CapTable, slot bits + radix.
    """

    name: str
    size_bits: int | None


@dataclass(frozen=True, slots=True)
class BootInfoField:
    """One field of seL4_BootInfo: `offset` and `size` in bytes; `kind` "word", "region" (start, end), "list"."""

    name: str
    offset: int
    size: int
    kind: str = "word"


@dataclass(frozen=True, slots=True)
class BootInfoLayout:
    """seL4_BootInfo and the untyped descriptors, byte by byte."""

    fields: tuple[BootInfoField, ...]
    untyped_list_offset: int
    untyped_desc: tuple[BootInfoField, ...]  # paddr, sizeBits, isDevice within the 8 bytes
    untyped_desc_size: int = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """Named behaviour facts. Each field's comment says what user code sees. Sources: `docs/releases.md`."""

    notification_delivers_word: bool = False
    # … one line per fact; the table grows with the releases


@dataclass(frozen=True, slots=True)
class Release:
    """The complete user-visible table of one kernel release on AArch32."""

    name: str  # "16.0.0", "16.0.0-mcs", "2006"
    tag: str  # the source tag it was read from
    mcs: bool
    syscalls: tuple[Syscall, ...]
    invocations: tuple[Invocation, ...]
    object_types: tuple[ObjectType, ...]
    fault_labels: dict[str, int]
    errors: tuple[str, ...]
    cap_types: dict[str, int]  # raw kernel cap type numbers (DebugCapIdentify)
    boot_slots: tuple[str, ...]  # names of the initial CNode's fixed slots, by position; "" = unused
    bootinfo: BootInfoLayout
    user_context: tuple[int, ...]  # context slots in seL4_UserContext order (CPSR is Slot -1)
    constants: dict[str, int]  # seL4_MsgMaxLength, CONFIG_…: name → value, as user space sees them
    facts: Facts = field(default_factory=Facts)
