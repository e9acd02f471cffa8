"""A board as the kernel sees it: RAM, the kernel's own region and devices, interrupts, clock. Checked data.

The values come from a platform file (`platforms/*.toml`) with what a manifest overrides;
`retrap.loader.manifest` reads both. What the checks refuse would make the real kernel fail to build or boot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from retrap.kernel.boot import GenericTimer, PerformanceMonitors
from retrap.loader.errors import InputError

PAGE: Final = 1 << 12
MEBIBYTE: Final = 1 << 20
SUPERSECTION: Final = 1 << 24
ADDRESS_SPACE: Final = 1 << 32

PPTR_TOP: Final = 0xFFF0_0000
"""End of the kernel's window onto physical memory (AArch32, every release)."""
MODE_RESERVED: Final = (0xFF00_0000, 0xFF10_0000)
"""Virtual addresses in that window whose page-directory slot holds the hardware ASID: no memory there."""


@dataclass(frozen=True, slots=True)
class Span:
    """Physical addresses `[base, base + size)`."""

    base: int
    size: int

    @property
    def end(self) -> int:
        return self.base + self.size

    def overlaps(self, other: Span) -> bool:
        """Whether the two have a byte in common."""
        return self.base < other.end and other.base < self.end

    def holds(self, other: Span) -> bool:
        """Whether `other` lies completely inside."""
        return self.base <= other.base and other.end <= self.end

    def __str__(self) -> str:
        return f"[{self.base:#010x}, {self.end:#010x})"


@dataclass(frozen=True, slots=True)
class KernelRegion:
    """Where the kernel image lies: physically at `base`, virtually at `virtual_base` (= end of user space).

    `size` is the whole image, `boot_size` its first part, which becomes an untyped after boot. Kernels until
    10.1.1 map their devices at the virtual addresses `device_pages`, and the console at `console_page` if they
    print; none: like later ones.
    """

    base: int
    virtual_base: int
    size: int
    boot_size: int
    device_pages: tuple[int, ...] = ()
    console_page: int = 0

    @property
    def offset(self) -> int:
        """Kernel virtual minus physical address, modulo 2^32."""
        return (self.virtual_base - self.base) % ADDRESS_SPACE

    @property
    def physical_top(self) -> int:
        """End of the physical memory that the kernel can address."""
        return self.base + PPTR_TOP - self.virtual_base


@dataclass(frozen=True, slots=True)
class Device:
    """Registers at a physical address. `kernel_only`: no untyped covers it. `model`: what behaves there."""

    name: str
    span: Span
    irqs: tuple[int, ...] = ()
    model: str = ""
    kernel_only: bool = False


@dataclass(frozen=True, slots=True)
class Platform:
    """A complete, checked description. `ram` is ascending."""

    name: str
    description: str
    cpu: str
    ram: tuple[Span, ...]
    kernel: KernelRegion
    devices: tuple[Device, ...]
    max_irq: int
    timer_irq: int
    clock_hz: int
    device_tree: bytes | None
    device_tree_name: str = ""
    listed: tuple[Span, ...] = ()  # what kernels until 10.1.1 name as devices; none: `devices`
    generic_timer: GenericTimer | None = None


_MONITORS: Final = {
    "cortex-a7": PerformanceMonitors(2, 0x4107_2000),
    "cortex-a8": PerformanceMonitors(1, 0x4100_2000),
    "cortex-a9": PerformanceMonitors(1, 0x4109_3000),
    "cortex-a15": PerformanceMonitors(2, 0x410F_3000),
}
"""By processor, from their technical reference manuals."""


def performance_monitors(cpu: str) -> PerformanceMonitors:
    """Those of a processor, as GCC's -mcpu names it; of one that is not known here, a Cortex-A15's."""
    return _MONITORS.get(cpu, _MONITORS["cortex-a15"])


Fail = Callable[[str, str], InputError]
"""Makes the error for a key path within the platform (`ram[0].base`) and a reason."""


def check(platform: Platform, fail: Fail) -> None:
    """Raises the error that `fail` makes for the first thing that no kernel could boot on."""
    _check_ram(platform.ram, fail)
    _check_kernel(platform, fail)
    _check_devices(platform, fail)


def _check_ram(ram: Iterable[Span], fail: Fail) -> None:
    spans = tuple(ram)
    if not spans:
        raise fail("ram", "has no RAM region")
    for index, span in enumerate(spans):
        _check_pages(f"ram[{index}]", span, fail)
        for earlier, other in enumerate(spans[:index]):
            if span.overlaps(other):
                raise fail(f"ram[{index}]", f"RAM {span} overlaps RAM {other} (ram[{earlier}])")


def _check_pages(key: str, span: Span, fail: Fail) -> None:
    if span.end > ADDRESS_SPACE:
        raise fail(key, f"{span} wraps round the end of the 32-bit address space")
    if span.base % PAGE:
        raise fail(f"{key}.base", f"{span.base:#x} is not a multiple of 4 KiB")
    if span.size % PAGE:
        raise fail(f"{key}.size", f"{span.size:#x} is not a multiple of 4 KiB")


def _check_kernel(platform: Platform, fail: Fail) -> None:
    kernel = platform.kernel
    key = "kernel_region"
    # The kernel maps its window with 16 MiB supersections, so both ends of the mapping have to fit them.
    if kernel.base % SUPERSECTION:
        raise fail(f"{key}.base", f"{kernel.base:#x} is not a multiple of 16 MiB")
    if kernel.virtual_base % SUPERSECTION or not SUPERSECTION <= kernel.virtual_base < MODE_RESERVED[0]:
        reason = f"{kernel.virtual_base:#x} is not a multiple of 16 MiB from 0x1000000 to 0xfe000000"
        raise fail(f"{key}.virtual_base", reason)
    for name, value in (("size", kernel.size), ("boot_size", kernel.boot_size)):
        if value % PAGE:
            raise fail(f"{key}.{name}", f"{value:#x} is not a multiple of 4 KiB")
    if kernel.boot_size > kernel.size:
        reason = f"{kernel.boot_size:#x} is more than the whole image, {kernel.size:#x}"
        raise fail(f"{key}.boot_size", reason)
    span = Span(kernel.base, kernel.size)
    if not any(region.holds(span) for region in platform.ram):
        raise fail(key, f"kernel {span} does not lie in RAM: {', '.join(map(str, platform.ram))}")
    if span.end > kernel.base + MODE_RESERVED[0] - kernel.virtual_base:
        raise fail(key, f"kernel {span} does not fit the kernel's part of the virtual address space")


def _check_devices(platform: Platform, fail: Fail) -> None:
    for index, device in enumerate(platform.devices):
        key = f"devices[{index}]"
        _check_pages(key, device.span, fail)
        for region in platform.ram:
            if device.span.overlaps(region):
                raise fail(key, f"device {device.name} {device.span} overlaps RAM {region}")
        for other in platform.devices[:index]:
            if device.span.overlaps(other.span):
                reason = f"device {device.name} {device.span} overlaps device {other.name} {other.span}"
                raise fail(key, reason)
        for irq in device.irqs:
            if irq > platform.max_irq:
                raise fail(f"{key}.irqs", f"interrupt {irq} is above the last one, {platform.max_irq}")
    if platform.timer_irq > platform.max_irq:
        raise fail("timer_irq", f"interrupt {platform.timer_irq} is above the last one, {platform.max_irq}")
