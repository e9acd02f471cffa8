"""What a packed boot image was found to be, what told it, and what had to be assumed: for people."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from retrap.kernel.boot import BuildOptions
from retrap.loader import device_tree
from retrap.loader.errors import InputError
from retrap.loader.image import Image
from retrap.loader.kernel_image import EXPORTS, KernelImage, read_kernel
from retrap.loader.kernel_release import in_words
from retrap.loader.manifest import load_manifest
from retrap.loader.settle import build_options, reads_tpidruro, settle

_SOURCES: Final = {
    "printing": "the kernel's texts",
    "debug": "the kernel's texts",
    "fpu": "the kernel's code",
    "root_cnode_bits": "the kernel's boot code",
    "num_domains": "the kernel's variables",
    "num_priorities": "the kernel's variables",
    **dict.fromkeys((*EXPORTS, "export_pmu_user", "start_cycle_counter", "benchmarks"), "the kernel's code"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that decides how an image boots. `source` says from what it was told, or that it is assumed."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Findings:
    """All of them; the devices of the device tree; and warnings, or why the image cannot be booted as it is."""

    found: tuple[Finding, ...]
    devices: tuple[device_tree.TreeDevice, ...]
    warnings: tuple[str, ...]


def findings(image: Image) -> Findings:
    """What is told by a packed image when nothing else is said. Raises `InputError` for damaged parts."""
    packed = image.packed
    assert packed is not None, "asked of packed images only"
    kernel = None
    if packed.kernel is not None:
        kernel = read_kernel(Image(f"{image.path}: {packed.kernel.name}", packed.kernel.data))
    found = [*_kernel_place(kernel)]
    devices: tuple[device_tree.TreeDevice, ...] = ()
    if packed.device_tree is not None:
        name, data = f"{image.path}: {packed.device_tree.name}", packed.device_tree.data
        devices = device_tree.devices(name, data)
        found += [Finding("reserved", str(span), "device tree") for span in device_tree.reserved(name, data)]
    warnings: list[str] = []
    try:
        manifest = settle(load_manifest(None), image, warnings.append)
    except InputError as error:
        return Findings(tuple(found), devices, (*warnings, str(error)))
    told = "device tree" if packed.device_tree is not None else "the kernel's place" if kernel else "assumed"
    release, source = manifest.release.name, "assumed: the newest"
    if kernel is not None and kernel.releases:
        several = len(kernel.releases) > 1
        source = "the kernel's variables, texts and code"
        source += f": {in_words(kernel.releases)}; the newest is assumed" if several else ""
    found.insert(0, Finding("kernel release", release, source))
    found.insert(1, Finding("platform", manifest.platform.name, told))
    memory_told = "device tree" if packed.device_tree is not None else "assumed: the platform's"
    found += [Finding("RAM", str(span), memory_told) for span in manifest.platform.ram]
    irq_told = "the kernel's variables" if kernel and kernel.max_irq is not None else "assumed: the platform's"
    found.append(Finding("highest interrupt", manifest.platform.max_irq, irq_told))
    options = build_options(kernel) if kernel is not None else {}
    tls = "the root task's code" if reads_tpidruro(image) else "assumed"
    for field in fields(BuildOptions):
        source = _SOURCES[field.name] if field.name in options else "assumed"
        if field.name in ("tls_register", "set_tls_base_self"):
            source = tls
        found.append(Finding(field.name, getattr(manifest.options, field.name), source))
    return Findings(tuple(found), devices, tuple(warnings))


def _kernel_place(kernel: KernelImage | None) -> list[Finding]:
    if kernel is None:
        return []
    place = f"[{kernel.base:#010x}, {kernel.base + kernel.size:#010x}) at {kernel.virtual_base:#010x}"
    found = [Finding("kernel image", place, "the kernel's segments")]
    if kernel.boot_size is not None:
        found.append(Finding("given back after boot", f"{kernel.boot_size:#x}", "the kernel's .boot section"))
    return found
