"""What an image itself tells about the system it was built for, where the manifest leaves it open.

A packed boot image carries its kernel and device tree: they decide platform, memory, the kernel's extent and parts
of its build. A bare root task tells one thing, the thread-local storage register that it was compiled for.
The manifest and the command line win; where they contradict the image, somebody is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from retrap.loader import device_tree
from retrap.loader.errors import InputError
from retrap.loader.image import Image
from retrap.loader.kernel_image import KernelImage, read_kernel
from retrap.loader.kernel_release import in_words
from retrap.loader.manifest import Manifest, known_platforms
from retrap.loader.platform import KernelRegion, check
from retrap.machine.space import EXECUTE

Warn = Callable[[str], None]


def unheard(_text: str) -> None:
    """A `warn` that nobody listens to."""


def settle(manifest: Manifest, image: Image, warn: Warn = unheard) -> Manifest:
    """The manifest with what the image decides. Settling twice changes nothing more.

    Raises `InputError` if the image is for another platform than asked, or its kernel or device tree is unsound.
    """
    kernel = _kernel(manifest, image)
    if kernel is not None:
        manifest = _on_its_release(manifest, kernel)
    manifest = _with_release_defaults(manifest)
    tree_name, tree = _tree(manifest, image)
    if kernel is not None or tree is not None:
        manifest = _on_its_platform(manifest, image, kernel, tree_name, tree)
        manifest = _with_parts(manifest, image, kernel, tree_name, tree)
    return replace(manifest, options=replace(manifest.options, **_options(manifest, image, kernel, warn)))


_RELEASE_DEFAULTS: Final = {
    "root_cnode_bits": "CONFIG_ROOT_CNODE_SIZE_BITS",
    "max_untypeds": "CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS",
}
"""Build options whose defaults differ between releases."""


def _with_release_defaults(manifest: Manifest) -> Manifest:
    """The manifest with the release's own defaults where it leaves a build option open."""
    constants = manifest.release.constants
    told: dict[str, Any] = {
        option: constants[name]
        for option, name in _RELEASE_DEFAULTS.items()
        if name in constants and not manifest.sets(f"kernel.{option}")
    }
    return replace(manifest, options=replace(manifest.options, **told))


def _kernel(manifest: Manifest, image: Image) -> KernelImage | None:
    """The kernel that the layout follows: the manifest's, else the image's own."""
    release = manifest.release.name if manifest.sets("kernel.release") else None
    if manifest.kernel_file is not None:
        return read_kernel(Image(manifest.kernel_name, manifest.kernel_file), release)
    if image.packed is not None and image.packed.kernel is not None:
        entry = image.packed.kernel
        return read_kernel(Image(f"{image.path}: {entry.name}", entry.data), release)
    return None


def _on_its_release(manifest: Manifest, kernel: KernelImage) -> Manifest:
    """The manifest on the newest release that the kernel can be, unless a release was asked for."""
    path = kernel.image.path
    if kernel.hypervisor:
        raise InputError(path, "", "is a kernel for a hypervisor (ARM_HYP): only kernels without are modelled")
    if manifest.sets("kernel.release"):
        return manifest
    if kernel.mcs:
        raise InputError(
            path, "", "is a kernel with MCS: only kernels without are modelled; name a release (-k) to boot it on"
        )
    if not kernel.releases:
        slots = kernel.initial_slots
        what = "" if slots is None else f" (it has {slots} fixed slots in the initial CNode)"
        newest = manifest.release.name
        raise InputError(
            path, "", f"is none of the known kernels, up to {newest}{what}: name a release (-k) to boot it on"
        )
    if manifest.release.name in kernel.releases:
        return manifest
    return manifest.on_release(kernel.releases[-1])


def _tree(manifest: Manifest, image: Image) -> tuple[str, bytes | None]:
    """The device tree: the manifest's, else the image's own; with its name for messages."""
    if manifest.platform.device_tree is not None:
        return manifest.platform.device_tree_name, manifest.platform.device_tree
    if image.packed is not None and image.packed.device_tree is not None:
        entry = image.packed.device_tree
        return f"{image.path}: {entry.name}", entry.data
    return "", None


def _on_its_platform(
    manifest: Manifest, image: Image, kernel: KernelImage | None, tree_name: str, tree: bytes | None
) -> Manifest:
    """The manifest on the platform that a packed image was built for."""
    if image.packed is None:
        return manifest
    platforms = known_platforms()
    if tree is not None:
        root = next(node for node in device_tree.nodes(tree_name, tree) if node.parent is None)
        told = root.strings("compatible")
        names = [p.name for p in platforms if set(p.compatible) & set(told)]
        what = f"a device tree compatible with {', '.join(told) or 'nothing'}"
    elif kernel is not None:
        place = (kernel.base, kernel.virtual_base)
        names = [p.name for p in platforms if (p.kernel.base, p.kernel.virtual_base) == place]
        what = f"a kernel at {kernel.base:#x}, mapped at {kernel.virtual_base:#x}"
    else:
        return manifest
    if manifest.sets("platform.name"):
        asked = manifest.platform.name
        if names and asked not in names and asked in {p.name for p in platforms}:
            raise manifest.error("platform.name", f"{image.path} is for {names[0]} ({what}), not {asked}")
        return manifest
    if not names:
        raise InputError(image.path, "", f"holds {what}: no known platform; name one (-p)")
    return manifest.on_platform(names[0])


def _with_parts(
    manifest: Manifest, image: Image, kernel: KernelImage | None, tree_name: str, tree: bytes | None
) -> Manifest:
    """The manifest with RAM from the tree and the kernel's place from its image, unless it sets them itself."""
    platform = manifest.platform
    if tree is not None and image.packed is not None:
        platform = replace(platform, device_tree=tree, device_tree_name=tree_name)
        if not manifest.sets("platform.ram"):
            platform = replace(platform, ram=device_tree.memory(tree_name, tree))
    if kernel is not None:
        platform = replace(platform, kernel=_region(manifest, platform.kernel, kernel))
        if kernel.max_irq is not None and not manifest.sets("platform.max_irq"):
            platform = replace(platform, max_irq=kernel.max_irq)

    def fail(key: str, reason: str) -> InputError:
        set_here = manifest.sets("platform." + re.split(r"[.\[]", key)[0])
        return manifest.error(f"platform.{key}", reason) if set_here else InputError(image.path, key, reason)

    check(platform, fail)
    return replace(manifest, platform=platform)


def _region(manifest: Manifest, default: KernelRegion, kernel: KernelImage) -> KernelRegion:
    told: dict[str, int | None] = {
        "base": kernel.base,
        "virtual_base": kernel.virtual_base,
        "size": kernel.size,
        "boot_size": kernel.boot_size if kernel.boot_size is not None else min(default.boot_size, kernel.size),
    }
    changes: dict[str, Any] = {
        name: value
        for name, value in told.items()
        if value is not None and not manifest.sets(f"platform.kernel_region.{name}")
    }
    return replace(default, **changes)


def _options(manifest: Manifest, image: Image, kernel: KernelImage | None, warn: Warn) -> dict[str, Any]:
    """Build options that the kernel and the root task were compiled with, where the manifest is silent."""
    told: dict[str, Any] = {}
    if kernel is not None:
        told = build_options(kernel)
        _compare(manifest, kernel, warn)
    if reads_tpidruro(image):
        # The kernel's build couples the two (src/arch/arm/config.cmake).
        told |= {"tls_register": "tpidruro", "set_tls_base_self": True}
    chosen = {}
    for name, value in told.items():
        if not manifest.sets(f"kernel.{name}"):
            chosen[name] = value
        elif getattr(manifest.options, name) != value:
            wanted = getattr(manifest.options, name)
            warn(f"{image.path}: was built for a kernel with {name} = {value}, booted with {wanted}")
    return chosen


def build_options(kernel: KernelImage) -> dict[str, Any]:
    """What a kernel's image tells of its build options."""
    told: dict[str, Any] = {
        "printing": kernel.printing,
        "debug": kernel.debug,
        "fpu": kernel.fpu,
        "export_pmu_user": kernel.export_pmu_user,
        "start_cycle_counter": kernel.start_cycle_counter,
        "benchmarks": kernel.benchmarks,
    }
    for name in ("root_cnode_bits", "num_domains", "num_priorities"):
        value = getattr(kernel, name)
        if value is not None:
            told[name] = value
    return told | dict(kernel.exports or {})


def _compare(manifest: Manifest, kernel: KernelImage, warn: Warn) -> None:
    """Says what the kernel image shows to be another than the one that is booted."""
    release = manifest.release
    if kernel.smp:
        warn(f"{kernel.image.path}: is a kernel for several cores (SMP): one is modelled")
    if kernel.releases and release.name not in kernel.releases:
        warn(f"{kernel.image.path}: is a kernel {in_words(kernel.releases)}, booted as {release.name}")
        return
    if kernel.mcs is not None and kernel.mcs != release.mcs:
        flavour = "with" if kernel.mcs else "without"
        warn(f"{kernel.image.path}: is a kernel {flavour} MCS, booted as {release.name}")
    slots = kernel.initial_slots
    if slots is not None and slots != len(release.boot_slots):
        warn(
            f"{kernel.image.path}: has {slots} fixed slots in the initial CNode, {release.name} has "
            f"{len(release.boot_slots)}: it is another release"
        )


# MRC p15, 0, Rt, c13, c0, 2 and 3 read the TLS registers TPIDRURW and TPIDRURO (ARM ARM B4.1.150, B4.1.151):
# EE1D in the high halfword, Rt, F and one of these in the low one.
_TPIDRURW: Final = 0x50
_TPIDRURO: Final = 0x70
_HIGH: Final = b"\x1d\xee"


def _reads(code: bytes, virtual: int, register: int) -> bool:
    """Whether code reads a TLS register, in either instruction set."""
    at = code.find(_HIGH)
    while at >= 0:
        before, after = code[max(at - 2, 0) : at], code[at + 2 : at + 4]
        # An ARM instruction has its low halfword first and is aligned; a Thumb one has its high halfword first.
        arm = (virtual + at) % 4 == 2 and len(before) == 2 and before[0] == register and before[1] & 15 == 15
        thumb = (virtual + at) % 2 == 0 and len(after) == 2 and after[0] == register and after[1] & 15 == 15
        if arm or thumb:
            return True
        at = code.find(_HIGH, at + 1)
    return False


def reads_tpidruro(image: Image) -> bool:
    """Whether the root task was compiled for TPIDRURO as its TLS register: it reads that one and never TPIDRURW."""
    code = [(s.data, s.virtual) for s in image.segments if s.rights & EXECUTE]
    return any(_reads(data, virtual, _TPIDRURO) for data, virtual in code) and not any(
        _reads(data, virtual, _TPIDRURW) for data, virtual in code
    )
