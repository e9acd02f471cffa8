"""What a boot manifest and a platform file may say: typed tables, their JSON Schema, checked conversion.

The only importer of msgspec. `retrap.loader.manifest` reads the files and puts the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from retrap.kernel.boot import BuildOptions
from retrap.loader.errors import InputError

DEFAULT_PLATFORM: Final = "qemu-arm-virt"

Address = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
Size = Annotated[int, Meta(ge=1, le=1 << 32)]
Irq = Annotated[int, Meta(ge=0, le=1019)]
Count = Annotated[int, Meta(ge=1, le=1 << 62)]
Hertz = Annotated[int, Meta(ge=1000, le=100_000_000_000)]
FilePath = Annotated[str, Meta(min_length=1, max_length=4096)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    """A TOML table: unknown keys are errors."""


class RegionTable(_Table, frozen=True):
    """A region of physical memory."""

    base: Annotated[Address, Meta(description="First physical address; a multiple of 4 KiB.")]
    size: Annotated[Size, Meta(description="Bytes; a multiple of 4 KiB.")]


class DeviceTable(_Table, frozen=True):
    """A device's registers."""

    name: Annotated[Name, Meta(description="Name for people.")]
    base: Annotated[Address, Meta(description="First physical address; a multiple of 4 KiB.")]
    size: Annotated[Size, Meta(description="Bytes; a multiple of 4 KiB.")] = 0x1000
    model: Annotated[str, Meta(description="What behaves there; empty: plain registers.")] = ""
    irqs: Annotated[list[Irq], Meta(description="Interrupts that it can raise.")] = msgspec.field(
        default_factory=list
    )
    kernel_only: Annotated[bool, Meta(description="Kept by the kernel: no device untyped covers it.")] = False


class GenericTimerTable(_Table, frozen=True):
    """The ARM generic timer of the processor."""

    hz: Annotated[Hertz, Meta(description="Frequency of its counters (CNTFRQ), in virtual time.")]
    physical_irq: Annotated[Irq, Meta(description="Interrupt of the physical timer.")] = 30
    virtual_irq: Annotated[Irq, Meta(description="Interrupt of the virtual timer.")] = 27


class KernelImageTable(_Table, frozen=True):
    """Extents of one kernel binary."""

    release: Annotated[Name, Meta(description="Kernel release.")]
    debug: Annotated[bool, Meta(description="Built with debugging and printing.")]
    size: Annotated[Size, Meta(description="Bytes of the whole image in memory.")]
    boot_size: Annotated[Size, Meta(description="Bytes of its first part, given back after boot.")]


class KernelPlaceTable(_Table, frozen=True, kw_only=True):
    """Where kernels lie on a platform."""

    base: Annotated[Address, Meta(description="Physical address of the image.")]
    virtual_base: Annotated[Address, Meta(description="Its virtual address; user space ends there.")]
    device_pages: Annotated[
        list[Address],
        Meta(
            description="Virtual addresses where kernels until 10.1.1 map their devices (kernel_devices); "
            "empty: from 0xfff00000 on, as later ones."
        ),
    ] = msgspec.field(default_factory=list)
    console_page: Annotated[Address, Meta(description="The same for the console, if they print.")] = 0
    images: Annotated[list[KernelImageTable], Meta(min_length=1, description="Extents by release and build.")]


class PlatformFile(_Table, frozen=True, kw_only=True):
    """A platform: one file of `loader/platforms`, or a path given as `platform.name`."""

    name: Annotated[Name, Meta(description="What `-p` and the manifest call it.")]
    description: Annotated[str, Meta(description="One line for people.")] = ""
    cpu: Annotated[str, Meta(description="Processor, as GCC's -mcpu names it.")] = "cortex-a15"
    compatible: Annotated[
        list[Name], Meta(description="What the root of its device tree is compatible with, any of these.")
    ] = msgspec.field(default_factory=list)
    ram: Annotated[list[RegionTable], Meta(description="RAM regions.")]
    kernel: Annotated[KernelPlaceTable, Meta(description="Where kernels lie.")]
    devices: Annotated[list[DeviceTable], Meta(description="Devices.")] = msgspec.field(default_factory=list)
    listed_regions: Annotated[
        list[RegionTable],
        Meta(
            description="What kernels until 10.1.1 hand out as device memory, in their order (dev_p_regs); "
            "empty: the devices above."
        ),
    ] = msgspec.field(default_factory=list)
    generic_timer: Annotated[
        GenericTimerTable | UnsetType, Meta(description="Its ARM generic timer; without: there is none.")
    ] = UNSET
    max_irq: Annotated[Irq, Meta(description="Highest interrupt number.")]
    timer_irq: Annotated[Irq, Meta(description="Interrupt of the kernel's own timer.")]
    clock_hz: Annotated[Hertz, Meta(description="Instructions retired in a virtual second.")]


class ImageTable(_Table, frozen=True):
    """The root task."""

    path: Annotated[
        FilePath | UnsetType, Meta(description="The root task's ELF file, relative to the manifest.")
    ] = UNSET
    kernel: Annotated[
        FilePath | UnsetType,
        Meta(
            description="Kernel ELF file that the system was built with, relative to the manifest. It is not run: "
            "its extent and build decide the memory layout. A packed boot image has its own."
        ),
    ] = UNSET
    arguments: Annotated[
        str,
        Meta(
            description="Passed to the root task as /chosen/bootargs of the device tree in its extra boot "
            "information.",
            max_length=65536,
        ),
    ] = ""
    permissions: Annotated[
        Literal["elf", "kernel"],
        Meta(
            description="Rights that the root task's own pages are mapped with: those of the ELF segments, or "
            "read, write and execute everywhere, as the real kernel maps them."
        ),
    ] = "elf"


class KernelRegionTable(_Table, frozen=True):
    """Overrides where the kernel lies."""

    base: Annotated[Address | UnsetType, Meta(description="Physical address; a multiple of 16 MiB.")] = UNSET
    virtual_base: Annotated[
        Address | UnsetType, Meta(description="Virtual address, where user space ends; a multiple of 16 MiB.")
    ] = UNSET
    size: Annotated[Size | UnsetType, Meta(description="Bytes of the image; a multiple of 4 KiB.")] = UNSET
    boot_size: Annotated[
        Size | UnsetType, Meta(description="Bytes of its first part, which becomes an untyped.")
    ] = UNSET


class PlatformTable(_Table, frozen=True):
    """The board, and what differs from its platform file."""

    name: Annotated[Name, Meta(description="A known platform, or the path of a platform file (.toml).")] = (
        DEFAULT_PLATFORM
    )
    device_tree: Annotated[
        FilePath | UnsetType, Meta(description="Device tree (.dtb) for the root task; relative to the manifest.")
    ] = UNSET
    ram: Annotated[list[RegionTable] | UnsetType, Meta(description="Replaces the platform's RAM regions.")] = UNSET
    kernel_region: Annotated[KernelRegionTable, Meta(description="Overrides where the kernel lies.")] = (
        KernelRegionTable()
    )
    devices: Annotated[list[DeviceTable] | UnsetType, Meta(description="Replaces the platform's devices.")] = UNSET
    max_irq: Annotated[Irq | UnsetType, Meta(description="Highest interrupt number.")] = UNSET
    timer_irq: Annotated[Irq | UnsetType, Meta(description="Interrupt of the kernel's own timer.")] = UNSET
    clock_hz: Annotated[Hertz | UnsetType, Meta(description="Instructions retired in a virtual second.")] = UNSET


_OPTION_KEYS: Final[dict[str, tuple[Any, str]]] = {
    "printing": (bool, "CONFIG_PRINTING: seL4_DebugPutChar exists."),
    "debug": (bool, "CONFIG_DEBUG_BUILD: seL4_DebugHalt, seL4_DebugCapIdentify and so on exist."),
    "fpu": (bool, "CONFIG_HAVE_FPU: threads have floating-point registers, and TCBs are larger."),
    "set_tls_base_self": (bool, "CONFIG_SET_TLS_BASE_SELF: seL4_SetTLSBase exists."),
    "tls_register": (
        Literal["tpidrurw", "tpidruro"],
        "CONFIG_ARM_TLS_REG_TPIDRU or CONFIG_ARM_TLS_REG_TPIDRURO: the register that holds the TLS base.",
    ),
    "root_cnode_bits": (
        Annotated[int, Meta(ge=8, le=27)],
        "CONFIG_ROOT_CNODE_SIZE_BITS: the initial CNode has 2^n slots.",
    ),
    "max_untypeds": (
        Annotated[int, Meta(ge=1, le=501)],
        "CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS: longest untyped list.",
    ),
    "num_domains": (Annotated[int, Meta(ge=1, le=256)], "CONFIG_NUM_DOMAINS."),
    "num_priorities": (Annotated[int, Meta(ge=1, le=256)], "CONFIG_NUM_PRIORITIES."),
    "time_slice_ticks": (Annotated[int, Meta(ge=1, le=1 << 20)], "CONFIG_TIME_SLICE: ticks in a time slice."),
    "timer_tick_ms": (Annotated[int, Meta(ge=1, le=1000)], "CONFIG_TIMER_TICK_MS: milliseconds in a tick."),
    "retype_fan_out_limit": (
        Annotated[int, Meta(ge=1, le=1 << 20)],
        "CONFIG_RETYPE_FAN_OUT_LIMIT: most objects that one Retype makes.",
    ),
    "max_work_units": (
        Annotated[int, Meta(ge=1, le=1 << 20)],
        "CONFIG_MAX_NUM_WORK_UNITS_PER_PREEMPTION: work between two preemption points.",
    ),
    "reset_chunk_bits": (
        Annotated[int, Meta(ge=4, le=29)],
        "CONFIG_RESET_CHUNK_BITS: log2 of the bytes that are cleared between preemption points.",
    ),
    "export_pcnt_user": (bool, "CONFIG_EXPORT_PCNT_USER: user code reads CNTPCT, the generic timer's counter."),
    "export_vcnt_user": (bool, "CONFIG_EXPORT_VCNT_USER: user code reads CNTVCT."),
    "export_ptmr_user": (bool, "CONFIG_EXPORT_PTMR_USER: user code has the generic timer's physical timer."),
    "export_vtmr_user": (bool, "CONFIG_EXPORT_VTMR_USER: user code has the virtual one."),
    "export_pmu_user": (
        bool,
        "CONFIG_EXPORT_PMU_USER: user code has the performance monitors. CONFIG_ENABLE_BENCHMARKS implies it.",
    ),
    "start_cycle_counter": (
        bool,
        "CONFIG_ENABLE_BENCHMARKS: the cycle counter runs from boot on.",
    ),
    "benchmarks": (
        Literal["none", "generic", "track_kernel_entries", "tracepoints", "track_utilisation"],
        "KernelBenchmarks: which of the Benchmark system calls exist. Before 3.2.0 there were only tracepoints.",
    ),
}
"""Type and meaning of each field of BuildOptions, which has the defaults."""


def _kernel_table() -> Any:
    release = ("release", Annotated[Name, Meta(description="Which kernel; `retrap kernels` lists them.")], "")
    options = [
        (f.name, Annotated[_OPTION_KEYS[f.name][0], Meta(description=_OPTION_KEYS[f.name][1])], f.default)
        for f in fields(BuildOptions)
    ]
    return msgspec.defstruct(
        "KernelTable",
        [release, *options],
        bases=(_Table,),
        namespace={"__doc__": "The kernel and its build options."},
    )


KernelTable: Any = _kernel_table()


class LimitsTable(_Table, frozen=True):
    """When to stop."""

    max_instructions: Annotated[
        Count | UnsetType, Meta(description="Stop after so many retired user instructions.")
    ] = UNSET


class InputTable(_Table, frozen=True):
    """What the outside world sends."""

    serial: Annotated[
        FilePath | UnsetType,
        Meta(description="File whose bytes the first UART receives; relative to the manifest."),
    ] = UNSET


class ManifestFile(_Table, frozen=True):
    """A boot manifest of retrap."""

    image: Annotated[ImageTable, Meta(description="The root task.")] = ImageTable()
    platform: Annotated[PlatformTable, Meta(description="The board.")] = PlatformTable()
    kernel: Annotated[KernelTable, Meta(description="The kernel and its build options.")] = KernelTable()
    limits: Annotated[LimitsTable, Meta(description="When to stop.")] = LimitsTable()
    input: Annotated[InputTable, Meta(description="What the outside world sends.")] = InputTable()
    devices: Annotated[
        list[DeviceTable],
        Meta(
            description="More devices than the platform has; one replaces those of the platform that it overlaps. "
            "`model` may be a Python class here, `module:Class` or `file.py:Class` (docs/devices.md)."
        ),
    ] = msgspec.field(default_factory=list)


_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def manifest_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a manifest."""
    schema = msgspec.json.schema(ManifestFile)
    return {"$schema": _DIALECT, "title": "retrap boot manifest", **schema}


def platform_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a platform file."""
    schema = msgspec.json.schema(PlatformFile)
    return {"$schema": _DIALECT, "title": "retrap platform", **schema}


T = TypeVar("T")
Fail = Callable[[str, str], InputError]
"""Makes the error about a key path and a reason."""

_AT: Final = re.compile(r"^(?P<reason>.*?) - at `\$\.?(?P<key>.*)`$", re.S)
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.S)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.S)


def convert(data: Mapping[str, Any], kind: type[T], error: Fail) -> T:
    """`data` as a typed structure, or the error about the first key that does not fit."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as problem:
        match = _AT.match(str(problem))
        reason, key = (match["reason"], match["key"]) if match else (str(problem), "")
        if unknown := _UNKNOWN.match(reason):
            key = f"{key}.{unknown['name']}" if key else unknown["name"]
            reason = "unknown key"
        elif missing := _MISSING.match(reason):
            reason = f"needs the key `{missing['name']}`"
        raise error(key, _readable(reason)) from problem
    except (RecursionError, OverflowError) as problem:
        raise error("", f"is not a {kind.__doc__ or 'manifest'}: {problem}") from problem


def _readable(reason: str) -> str:
    """msgspec's wording, in TOML's words."""
    for theirs, ours in (
        ("`object`", "a table"),
        ("`array`", "an array"),
        ("`int`", "an integer"),
        ("`bool`", "true or false"),
        ("`str`", "a string"),
        ("`float`", "a number with a fraction"),
        ("`null`", "nothing"),
    ):
        reason = reason.replace(theirs, ours)
    return reason[:1].lower() + reason[1:]


def given(value: T | UnsetType) -> T | None:
    """The value of an optional key; None where the file does not set it."""
    return None if isinstance(value, UnsetType) else value
