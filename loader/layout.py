"""From an image and a manifest to a BootPlan: every address and capability slot that the kernel would choose.

Follows the boot loader's placement (seL4_tools elfloader: kernel, device tree, root task, each from the next
page) and then the kernel's own boot code (src/arch/arm/kernel/boot.c, try_init_kernel), step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from retrap.kernel.abi.bootinfo import OLD_DEVICES, resized
from retrap.kernel.boot import BootCap, BootPlan, CapKind, DeviceRegion, Load, Mapping, Region
from retrap.loader import device_tree, layouts
from retrap.loader.boot_memory import (
    BootObjects,
    NoRoom,
    ObjectSizes,
    cut,
    device_regions,
    extra_bootinfo_bits,
    free_regions,
    mode_reserved,
    page_table_addresses,
    place_objects,
)
from retrap.loader.errors import InputError
from retrap.loader.image import Image
from retrap.loader.manifest import Manifest
from retrap.loader.pieces import device_frame_bits, device_frames, place_in_pieces
from retrap.loader.platform import ADDRESS_SPACE, PAGE, PPTR_TOP, Platform, Span, performance_monitors
from retrap.loader.settle import Warn, settle, unheard
from retrap.machine.space import EXECUTE, READ, WRITE

FDT_CHUNK: Final = 6
"""SEL4_BOOTINFO_HEADER_FDT."""

OUTER_RADIX: Final = 12
INNER_RADIX: Final = 8
"""Where address spaces are made of CNodes, the initial one has two levels: one slot a MiB, one slot a page."""

_EVERYTHING: Final = READ | WRITE | EXECUTE


@dataclass(frozen=True, slots=True)
class _Placement:
    """Where things lie before the kernel starts, and the virtual addresses that follow from the image's."""

    kernel: Span
    tree: Span  # exact bytes; size 0: none
    image: Span  # whole pages
    image_virtual: int
    ipc_buffer: int
    bootinfo: int
    extra_bootinfo: int
    extra_size: int
    extra_bits: int

    @property
    def image_end(self) -> int:
        return self.image_virtual + self.image.size

    @property
    def virtual_end(self) -> int:
        """First address after everything that the initial thread finds mapped."""
        return self.extra_bootinfo + (1 << self.extra_bits if self.extra_bits else 0)


def plan(image: Image, manifest: Manifest, warn: Warn = unheard) -> BootPlan:
    """The complete boot of `image` as `manifest` says. `warn` hears what the kernel would only print.

    Raises `InputError` for what the real loader or kernel could not boot.
    """
    manifest = settle(manifest, image, warn)
    platform = manifest.platform
    tree = _root_task_tree(manifest, warn)
    placement = _place(image, manifest, tree)
    _check_placement(image, manifest, placement)
    sizes = _object_sizes(manifest, placement)
    tables = page_table_addresses(placement.image_virtual, placement.virtual_end)
    free = free_regions(platform.ram, platform.kernel, (placement.kernel, placement.tree, placement.image))
    reserved = (*free, placement.kernel, placement.tree, placement.image, mode_reserved(platform.kernel))
    try:
        if manifest.release.facts.root_objects_in_one_block:
            objects, free = place_objects(free, sizes, len(tables))
        else:
            objects, free = place_in_pieces(free, sizes, len(tables), platform.max_irq)
    except NoRoom:
        raise manifest.error(
            "platform.ram",
            f"no free RAM for the initial thread's objects (a CNode of {1 << sizes.cnode} bytes, "
            f"{len(tables)} page tables …)",
        ) from None
    untypeds = _untypeds(manifest, reserved, free, warn)
    caps = _Caps(manifest, placement, objects, tables, untypeds)
    extra = layouts.bootinfo_chunk(FDT_CHUNK, tree) if tree else b""
    return BootPlan(
        release=manifest.release,
        options=manifest.options,
        platform=platform.name,
        ram=tuple((span.base, span.size) for span in platform.ram),
        kernel_base=platform.kernel.virtual_base,
        max_irq=platform.max_irq,
        devices=tuple(
            DeviceRegion(device.name, device.span.base, device.span.size, device.model, device.irqs)
            for device in platform.devices
            if not device.kernel_only
        ),
        kernel_pages=_kernel_pages(manifest),
        generic_timer=platform.generic_timer,
        performance_monitors=performance_monitors(platform.cpu),
        clock_hz=platform.clock_hz,
        loads=tuple(_loads(image, placement, objects, caps.bootinfo, extra)),
        caps=tuple(caps.caps),
        mappings=tuple(_mappings(image, manifest, placement, objects)),
        entry=image.entry,
        bootinfo_address=placement.bootinfo,
        ipc_buffer_address=placement.ipc_buffer,
        ipc_buffer_frame=objects.ipc_buffer,
        tcb_address=objects.tcb,
        empty_slots=caps.empty,
        kernel_irqs=(platform.timer_irq,),
        globals_frame=_globals_frame(manifest),
        regions=tuple(_regions(platform, placement, objects, sizes)),
    )


def _root_task_tree(manifest: Manifest, warn: Warn) -> bytes:
    """The device tree that the root task receives, with the guest's arguments; empty: none."""
    handed_over = manifest.release.facts.device_tree
    if not handed_over:
        if manifest.arguments:
            warn(f"kernel {manifest.release.name} hands no device tree to the root task, and so no arguments")
        return b""
    tree = _tree_with_arguments(manifest)
    # Until 12.1.0 the kernel rounds the tree's end up to a page, and copies what lies between.
    return tree + bytes(-len(tree) % PAGE) if handed_over == "page-aligned" else tree


def _tree_with_arguments(manifest: Manifest) -> bytes:
    platform = manifest.platform
    if platform.device_tree is not None:
        name = platform.device_tree_name
        tree = device_tree.verify(name, platform.device_tree)
        return device_tree.with_arguments(name, tree, manifest.arguments)
    if manifest.arguments:
        return device_tree.minimal(platform.name, platform.ram, manifest.arguments)
    return b""


def _globals_frame(manifest: Manifest) -> int:
    """The kernel's page that shows IPC buffers: any one of the image will do. 0: there is none."""
    kernel = manifest.platform.kernel
    shown = manifest.release.facts.ipc_buffer_pointer == "globals-frame"
    return kernel.base + kernel.size - PAGE if shown else 0


def _kernel_pages(manifest: Manifest) -> tuple[int, ...]:
    """Virtual addresses of the kernel's own devices: where the platform says, or one after the other."""
    kernel, printing = manifest.platform.kernel, manifest.options.printing
    if kernel.device_pages and manifest.release.facts.kernel_device_pages == "platform":
        return (*kernel.device_pages, kernel.console_page) if printing else kernel.device_pages
    count = sum(device.kernel_only for device in manifest.platform.devices) + printing
    return tuple(PPTR_TOP + index * PAGE for index in range(count))


def _page_up(address: int) -> int:
    return -(-address // PAGE) * PAGE


def _place(image: Image, manifest: Manifest, tree: bytes) -> _Placement:
    """The boot loader's order in physical memory: kernel, device tree, root task, each from the next page."""
    kernel = Span(manifest.platform.kernel.base, manifest.platform.kernel.size)
    at = _page_up(kernel.end)
    tree_span = Span(at, len(tree))
    at = _page_up(tree_span.end)
    start = image.start // PAGE * PAGE
    size = _page_up(image.end) - start
    ipc_buffer = start + size
    extra_size = len(tree) + 8 if tree else 0
    return _Placement(
        kernel=kernel,
        tree=tree_span,
        image=Span(at, size),
        image_virtual=start,
        ipc_buffer=ipc_buffer,
        bootinfo=ipc_buffer + PAGE,
        extra_bootinfo=ipc_buffer + 2 * PAGE,
        extra_size=extra_size,
        extra_bits=extra_bootinfo_bits(extra_size, manifest.release.facts.extra_bootinfo_exact),
    )


def _check_placement(image: Image, manifest: Manifest, placement: _Placement) -> None:
    """What the boot loader and the kernel refuse before they lay out anything."""
    kernel = manifest.platform.kernel
    for segment in image.segments:
        if segment.end > kernel.virtual_base:
            raise InputError(
                image.path,
                f"segment {segment.index}",
                f"[{segment.virtual:#010x}, {segment.end:#010x}) reaches into the kernel's virtual addresses, "
                f"from {kernel.virtual_base:#010x}",
            )
    if placement.virtual_end >= kernel.virtual_base:
        raise InputError(
            image.path,
            "",
            f"no room between its end ({placement.image_end:#010x}) and the kernel's virtual addresses "
            f"({kernel.virtual_base:#010x}) for the IPC buffer and boot information",
        )
    home = next((span for span in manifest.platform.ram if span.holds(placement.kernel)), None)
    window = Span(kernel.base, manifest.platform.kernel.physical_top - kernel.base)
    below = mode_reserved(kernel).base
    for name, span in (("device tree", placement.tree), ("root task", placement.image)):
        if home is None or not home.holds(span) or not window.holds(span) or span.end > below:
            limit = min(home.end if home else 0, below)
            reason = f"the {name} needs {span.size} bytes at {span.base:#010x}, but RAM ends at {limit:#010x}"
            raise InputError(image.path, "", f"RAM is too small: {reason}")
    entry = image.segment_at(image.entry & ~1)
    if manifest.permissions == "elf" and (entry is None or not entry.rights & EXECUTE):
        where = f"segment {entry.index}" if entry else "no segment"
        reason = f"{image.entry:#010x} lies in {where}, which is not executable"
        raise InputError(image.path, "entry point", reason)


def _object_sizes(manifest: Manifest, placement: _Placement) -> ObjectSizes:
    options = manifest.options
    kinds = {kind.name: kind for kind in manifest.release.object_types}
    tcb = kinds["TCB"].bits(fpu=options.fpu, debug=options.debug)
    slot_bits = manifest.release.constants["seL4_SlotBits"]
    cnode = options.root_cnode_bits + slot_bits
    if manifest.release.facts.address_space == "capabilities":
        assert tcb is not None, "the same in every release"
        outer, inner = OUTER_RADIX + slot_bits, INNER_RADIX + slot_bits
        return ObjectSizes(cnode, outer, inner, tcb, placement.extra_bits, asid_pool=False)
    vspace = kinds["PageDirectory"].bits(fpu=options.fpu, debug=options.debug)
    table = kinds["PageTable"].bits(fpu=options.fpu, debug=options.debug)
    assert tcb is not None and vspace is not None and table is not None, "the same in every release"
    return ObjectSizes(cnode, vspace, table, tcb, placement.extra_bits)


def _untypeds(
    manifest: Manifest, reserved: tuple[Span, ...], free: list[Span], warn: Warn
) -> tuple[layouts.Untyped, ...]:
    """The untyped list in the kernel's order: the kernel's boot part and free memory, and before or after them
    the devices, if they are untypeds at all."""
    platform, release = manifest.platform, manifest.release
    facts = release.facts
    boot_part = Span(platform.kernel.base, platform.kernel.boot_size)
    smallest, largest = release.constants["seL4_MinUntypedBits"], release.constants["seL4_MaxUntypedBits"]
    sources = [(boot_part, False), *((span, False) for span in free)]
    if facts.all_device_memory:
        kernel_only = [device.span for device in platform.devices if device.kernel_only]
        top = release.constants.get("CONFIG_PADDR_USER_DEVICE_TOP", ADDRESS_SPACE)
        devices = [(span, True) for span in device_regions((*reserved, *kernel_only), top)]
    else:
        devices = [(span, True) for span in _listed_devices(platform)] if facts.device_untypeds else []
    sources = devices + sources if facts.boot_slot_order == "devices-first" else sources + devices
    found = [
        untyped for span, device in sources for untyped in cut(span, platform.kernel, device, smallest, largest)
    ]
    limit = manifest.options.max_untypeds
    if len(found) > limit:
        warn(f"{len(found)} untypeds, of which the kernel lists only the first {limit} (kernel.max_untypeds)")
    return tuple(found[:limit])


def _listed_devices(platform: Platform) -> list[Span]:
    """What kernels until 10.1.1 give to user code: its list, or the platform's devices."""
    return list(platform.listed) or [device.span for device in platform.devices if not device.kernel_only]


class _Caps:
    """The initial CNode's contents, slot by slot, and the boot information that describes them."""

    def __init__(
        self,
        manifest: Manifest,
        placement: _Placement,
        objects: BootObjects,
        tables: tuple[int, ...],
        untypeds: tuple[layouts.Untyped, ...],
    ) -> None:
        self.caps: list[BootCap] = list(_fixed_caps(manifest, placement, objects))
        self._manifest = manifest
        self._next = len(manifest.release.boot_slots)
        paging = self._provide(
            _table_cap(manifest, address, virtual)
            for address, virtual in zip(objects.page_tables, tables, strict=True)
        )
        extra_span = Span(objects.extra_bootinfo, placement.extra_size)
        extra = self._provide(_frames(extra_span, placement.extra_bootinfo))
        frames = self._provide(_frames(placement.image, placement.image_virtual))
        listed = self._provide(
            BootCap(0, CapKind.UNTYPED, untyped.paddr, untyped.size_bits, untyped.device) for untyped in untypeds
        )
        devices: list[layouts.DeviceRegion] = []
        lists = {each.name for each in manifest.release.bootinfo.lists}
        if not manifest.release.facts.device_untypeds and "deviceRegions" in lists:
            devices = [self._device(span) for span in _listed_devices(manifest.platform)]
        self.empty = (self._next, 1 << manifest.options.root_cnode_bits)
        values: dict[str, int | tuple[int, int]] = {
            "extraLen": placement.extra_size,
            "nodeID": 0,
            "numNodes": 1,
            "numIOPTLevels": 0,
            "ipcBuffer": placement.ipc_buffer,
            "empty": self.empty,
            "userImageFrames": frames,
            "userImagePaging": paging,
            "userImagePTs": paging,
            "numDeviceRegions": len(devices),
            # The kernel fills this field only if there is a chunk: the frame was cleared before.
            "extraBIPages": extra if placement.extra_size else (0, 0),
            "initThreadCNodeSizeBits": manifest.options.root_cnode_bits,
            "initThreadDomain": 0,
            "untyped": listed,
        }
        layout = manifest.release.bootinfo
        limit = manifest.release.constants["CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS"]
        if manifest.options.max_untypeds != limit:
            layout = resized(layout, manifest.options.max_untypeds, OLD_DEVICES if len(layout.lists) > 1 else 0)
        self.bootinfo = layouts.bootinfo(layout, values, untypeds, devices)
        if len(self.bootinfo) > PAGE:
            raise manifest.error(
                "kernel.max_untypeds", f"boot information of {len(self.bootinfo)} bytes does not fit its page"
            )

    def _device(self, span: Span) -> layouts.DeviceRegion:
        """Frames of a device that the platform lists, for the root task."""
        bits = device_frame_bits(span)
        slots = self._provide(BootCap(0, CapKind.FRAME, address, bits) for address in device_frames(span))
        return layouts.DeviceRegion(span.base, bits, *slots)

    def _provide(self, caps: Iterator[BootCap]) -> tuple[int, int]:
        """Puts capabilities into the next slots and returns the slots' region."""
        first = self._next
        slots = 1 << self._manifest.options.root_cnode_bits
        for cap in caps:
            if self._next >= slots:
                raise self._manifest.error(
                    "kernel.root_cnode_bits",
                    f"the initial CNode's {slots} slots do not hold all capabilities of this image",
                )
            self.caps.append(BootCap(self._next, cap.kind, cap.address, cap.size_bits, cap.device, cap.mapped_at))
            self._next += 1
        return first, self._next


_PAGE_TABLE_BITS: Final = 10


def _table_cap(manifest: Manifest, address: int, virtual: int) -> BootCap:
    """What covers a MiB of the initial address space."""
    if manifest.release.facts.address_space == "capabilities":
        return BootCap(0, CapKind.SPACE_NODE, address, INNER_RADIX, mapped_at=virtual)
    return BootCap(0, CapKind.PAGE_TABLE, address, _PAGE_TABLE_BITS, mapped_at=virtual)


def _frames(span: Span, virtual: int) -> Iterator[BootCap]:
    """4 KiB frames of a physical range, mapped from `virtual`."""
    for offset in range(0, span.size, PAGE):
        yield BootCap(0, CapKind.FRAME, span.base + offset, 12, mapped_at=virtual + offset)


def _fixed_caps(manifest: Manifest, placement: _Placement, objects: BootObjects) -> Iterator[BootCap]:
    options = manifest.options
    sizes = _object_sizes(manifest, placement)
    if manifest.release.facts.address_space == "capabilities":
        vspace = BootCap(0, CapKind.SPACE_NODE, objects.vspace, OUTER_RADIX)
    else:
        vspace = BootCap(0, CapKind.PAGE_DIRECTORY, objects.vspace, sizes.vspace)
    contents = {
        "seL4_CapInitThreadTCB": BootCap(0, CapKind.TCB, objects.tcb, sizes.tcb),
        "seL4_CapInitThreadCNode": BootCap(0, CapKind.CNODE, objects.cnode, options.root_cnode_bits),
        "seL4_CapInitThreadVSpace": vspace,
        "seL4_CapIRQControl": BootCap(0, CapKind.IRQ_CONTROL),
        "seL4_CapASIDControl": BootCap(0, CapKind.ASID_CONTROL),
        "seL4_CapInitThreadASIDPool": BootCap(0, CapKind.ASID_POOL, objects.asid_pool, 12),
        "seL4_CapBootInfoFrame": BootCap(0, CapKind.FRAME, objects.bootinfo, 12, mapped_at=placement.bootinfo),
        "seL4_CapInitThreadIPCBuffer": BootCap(
            0, CapKind.FRAME, objects.ipc_buffer, 12, mapped_at=placement.ipc_buffer
        ),
        "seL4_CapDomain": BootCap(0, CapKind.DOMAIN),
    }
    for slot, name in enumerate(manifest.release.boot_slots):
        if name in contents:
            cap = contents[name]
            yield BootCap(slot, cap.kind, cap.address, cap.size_bits, cap.device, cap.mapped_at)


def _mappings(image: Image, manifest: Manifest, placement: _Placement, objects: BootObjects) -> Iterator[Mapping]:
    """Every page that the initial thread finds mapped, with the rights that the manifest chooses."""
    data = _EVERYTHING if manifest.permissions == "kernel" else READ | WRITE
    yield Mapping(placement.bootinfo, objects.bootinfo, 12, READ | WRITE)
    for offset in range(0, placement.extra_size, PAGE):
        yield Mapping(placement.extra_bootinfo + offset, objects.extra_bootinfo + offset, 12, data)
    yield Mapping(placement.ipc_buffer, objects.ipc_buffer, 12, READ | WRITE)
    rights = _page_rights(image) if manifest.permissions == "elf" else {}
    default = 0 if manifest.permissions == "elf" else _EVERYTHING
    for offset in range(0, placement.image.size, PAGE):
        virtual = placement.image_virtual + offset
        yield Mapping(virtual, placement.image.base + offset, 12, rights.get(virtual // PAGE, default))


def _page_rights(image: Image) -> dict[int, int]:
    """The union of the segments' rights for each page number that a segment touches."""
    rights: dict[int, int] = {}
    for segment in image.segments:
        for page in range(segment.virtual // PAGE, _page_up(segment.end) // PAGE):
            rights[page] = rights.get(page, 0) | segment.rights
    return rights


def _loads(
    image: Image, placement: _Placement, objects: BootObjects, bootinfo: bytes, extra: bytes
) -> Iterator[Load]:
    for segment in image.segments:
        if segment.data:
            address = placement.image.base + segment.virtual - placement.image_virtual
            yield Load(address, segment.data, f"segment {segment.index}")
    yield Load(objects.bootinfo, bootinfo, "bootinfo")
    if extra:
        yield Load(objects.extra_bootinfo, extra, "extra bootinfo")


def _table_regions(objects: BootObjects, sizes: ObjectSizes) -> Iterator[Region]:
    """Page tables: in one row if the objects are in one block."""
    tables = objects.page_tables
    if objects.block.size:
        yield Region("page tables", tables[0], tables[0] + (len(tables) << sizes.page_table))
    else:
        for address in tables:
            yield Region("page table", address, address + (1 << sizes.page_table))


def _regions(
    platform: Platform, placement: _Placement, objects: BootObjects, sizes: ObjectSizes
) -> Iterator[Region]:
    """The memory map by physical address."""

    def named(name: str, base: int, size: int) -> Region:
        return Region(name, base, base + size)

    found = [named(f"RAM {index}", span.base, span.size) for index, span in enumerate(platform.ram)]
    found += [
        named("kernel boot code", platform.kernel.base, platform.kernel.boot_size),
        named(
            "kernel",
            platform.kernel.base + platform.kernel.boot_size,
            platform.kernel.size - platform.kernel.boot_size,
        ),
        named("device tree", placement.tree.base, placement.tree.size),
        named("root task", placement.image.base, placement.image.size),
        named("CNode", objects.cnode, 1 << sizes.cnode),
        named("page directory", objects.vspace, 1 << sizes.vspace),
        named("extra bootinfo", objects.extra_bootinfo, 1 << sizes.extra_bootinfo if sizes.extra_bootinfo else 0),
        named("ASID pool", objects.asid_pool, PAGE if sizes.asid_pool else 0),
        named("IPC buffer", objects.ipc_buffer, PAGE),
        named("bootinfo", objects.bootinfo, PAGE),
        named("TCB", objects.tcb, 1 << sizes.tcb),
        *_table_regions(objects, sizes),
    ]
    found += [named(f"device {device.name}", device.span.base, device.span.size) for device in platform.devices]
    yield from sorted((r for r in found if r.end > r.start), key=lambda r: (r.start, -r.end))
