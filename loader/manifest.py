"""Reads a boot manifest and its platform file, and puts them and the command line together: `load_manifest`.

A manifest may set everything and has to set nothing (`docs/manifest.md`). Command-line options arrive as
overrides: data merged over the file, so that they are checked like it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from retrap.kernel import abi
from retrap.kernel.abi.release import Release
from retrap.kernel.boot import BuildOptions, GenericTimer
from retrap.loader.errors import InputError
from retrap.loader.files import read_file
from retrap.loader.platform import Device, KernelRegion, Platform, Span, check
from retrap.loader.tables import (
    DeviceTable,
    Fail,
    GenericTimerTable,
    KernelPlaceTable,
    KernelRegionTable,
    ManifestFile,
    PlatformFile,
    PlatformTable,
    RegionTable,
    convert,
    given,
)
from retrap.loader.tables import manifest_schema as manifest_schema
from retrap.loader.tables import platform_schema as platform_schema
from retrap.loader.toml_source import TomlSource

MAX_MANIFEST: Final = 4 << 20
MAX_DEVICE_TREE: Final = 4 << 20
MAX_KERNEL: Final = 64 << 20
PLATFORMS: Final = Path(__file__).parent / "platforms"


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that says how to boot, complete and checked. Paths are resolved."""

    name: str  # of the file, for messages; "command line" without one
    image_path: str | None
    arguments: str
    permissions: str  # "elf" or "kernel"
    platform: Platform
    release: Release
    options: BuildOptions
    max_instructions: int | None
    serial_path: str | None
    kernel_file: bytes | None  # a kernel's ELF file that the layout follows
    kernel_name: str
    data: Mapping[str, Any]  # the merged manifest, as TOML or JSON would write it
    platform_data: Mapping[str, Any]  # the platform file, likewise
    source: _Source = field(repr=False, compare=False)

    def error(self, key: str, reason: str) -> InputError:
        """The `InputError` about a key path (`image.arguments`), with the line if the file sets it."""
        return self.source.error(key, reason)

    def sets(self, key: str) -> bool:
        """Whether the manifest or the command line sets a key path, rather than leaving its default."""
        at: Any = self.data
        for part in key.split("."):
            if not isinstance(at, Mapping) or part not in at:
                return False
            at = at[part]
        return True

    def on_platform(self, name: str) -> Manifest:
        """The same manifest for another of the known platforms, as if it had named it."""
        platform_source = _platform_source(name, self.source)
        return self._again("platform", "name", name, platform_source.data, platform_source.error)

    def on_release(self, name: str) -> Manifest:
        """The same manifest for another release, as if it had named it."""
        return self._again("kernel", "release", name, self.platform_data, self.source.error)

    def _again(
        self, table: str, key: str, value: str, platform_data: Mapping[str, Any], platform_error: Fail
    ) -> Manifest:
        data = copy.deepcopy(dict(self.data))
        data.setdefault(table, {})[key] = value
        document = convert(data, ManifestFile, self.source.error)
        files = _Files(
            self.platform.device_tree, self.platform.device_tree_name, self.kernel_file, self.kernel_name
        )
        return _manifest(document, data, platform_data, self.source, platform_error, files)


def platform_names() -> tuple[str, ...]:
    """The platforms that need no file of the user's."""
    return tuple(sorted(path.stem for path in PLATFORMS.glob("*.toml")))


def known_platforms() -> tuple[PlatformFile, ...]:
    """Their descriptions, as the files have them."""
    sources = (TomlSource(path.name, path.read_bytes()) for path in sorted(PLATFORMS.glob("*.toml")))
    return tuple(convert(source.data, PlatformFile, source.error) for source in sources)


def load_manifest(path: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Manifest:
    """The manifest at `path` (None: all defaults), with `overrides` by dotted key path over it.

    `overrides` is what the command line says: `{"kernel.release": "16.0.0", "image.path": "a.elf"}`; paths in
    it are relative to the working directory. Raises `InputError`.
    """
    toml = None if path is None else TomlSource(str(path), read_file(path, MAX_MANIFEST))
    source = _Source(toml, tuple(overrides or ()), Path(path).parent if path is not None else Path())
    data = copy.deepcopy(toml.data) if toml is not None else {}
    for key, value in (overrides or {}).items():
        if key == "devices" and isinstance(data.get(key), list):
            value = [*data[key], *value]  # more devices, not others
        _merge(data, key.split("."), value)
    document = convert(data, ManifestFile, source.error)
    platform_source = _platform_source(document.platform.name, source)
    tree_path = source.path("platform.device_tree", given(document.platform.device_tree))
    kernel_path = source.path("image.kernel", given(document.image.kernel))
    files = _Files(
        None if tree_path is None else read_file(tree_path, MAX_DEVICE_TREE),
        tree_path or "",
        None if kernel_path is None else read_file(kernel_path, MAX_KERNEL),
        kernel_path or "",
    )
    return _manifest(document, data, platform_source.data, source, platform_source.error, files)


def manifest_from_data(
    data: Mapping[str, Any],
    platform_data: Mapping[str, Any],
    device_tree: bytes | None = None,
    kernel_file: bytes | None = None,
) -> Manifest:
    """A manifest again, from the `data` and `platform_data` that a trace kept of one, and the files it named."""
    source = _Source(None, (), Path())
    document = convert(data, ManifestFile, source.error)
    files = _Files(device_tree, "device tree", kernel_file, "kernel")
    return _manifest(document, data, platform_data, source, source.error, files)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files that a manifest names, read."""

    device_tree: bytes | None
    device_tree_name: str
    kernel: bytes | None
    kernel_name: str


class _Source:
    """Makes errors about key paths: in the file with their line, or on the command line."""

    def __init__(self, toml: TomlSource | None, overridden: Sequence[str], directory: Path) -> None:
        self.toml: Final = toml
        self.overridden: Final = overridden
        self.directory: Final = directory
        self.name: Final = toml.name if toml is not None else "command line"

    def is_overridden(self, key: str) -> bool:
        return any(key == o or key.startswith((o + ".", o + "[")) for o in self.overridden)

    def error(self, key: str, reason: str) -> InputError:
        if self.toml is None or self.is_overridden(key):
            return InputError("command line", key, reason)
        return self.toml.error(key, reason)

    def path(self, key: str, value: str | None) -> str | None:
        """A path from where it counts: the manifest's folder, on the command line the working directory."""
        if value is None:
            return None
        return value if self.is_overridden(key) else str(self.directory / value)


def _merge(data: dict[str, Any], key: Sequence[str], value: Any) -> None:
    head, *rest = key
    if not rest:
        data[head] = value
        return
    # Something that is not a table stays, for the typed check to refuse.
    inner = data.setdefault(head, {})
    if isinstance(inner, dict):
        _merge(inner, rest, value)


def _platform_source(name: str, source: _Source) -> TomlSource:
    """The platform file that a manifest names."""
    known = PLATFORMS / f"{name}.toml"
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        if not known.is_file():
            names = ", ".join(platform_names())
            reason = f"unknown platform {name!r}: known are {names}, or the path of a .toml file"
            raise source.error("platform.name", reason)
        return TomlSource(known.name, known.read_bytes())
    if not name.endswith(".toml"):
        reason = f"{name!r} is neither the name of a platform nor the path of a .toml file"
        raise source.error("platform.name", reason)
    path = source.path("platform.name", name)
    assert path is not None
    return TomlSource(path, read_file(path, MAX_MANIFEST))


def _manifest(
    document: ManifestFile,
    data: Mapping[str, Any],
    platform_data: Mapping[str, Any],
    source: _Source,
    platform_error: Fail,
    files: _Files,
) -> Manifest:
    file = convert(platform_data, PlatformFile, platform_error)
    try:
        release = abi.release(document.kernel.release or None)
    except abi.UnknownRelease as error:
        raise source.error("kernel.release", str(error)) from error
    if release.name not in abi.bootable():
        known = ", ".join(abi.bootable())
        raise source.error(
            "kernel.release", f"kernel {release.name} has tables but no model yet: bootable are {known}"
        )
    options = BuildOptions(**{f.name: getattr(document.kernel, f.name) for f in fields(BuildOptions)})
    platform = _platform(file, document.platform, release, options)
    platform = _with_devices(platform, [_device(d) for d in document.devices])
    own_devices = len(platform.devices) - len(document.devices)
    platform = replace(platform, device_tree=files.device_tree, device_tree_name=files.device_tree_name)
    overridden = set(data.get("platform") or ()) & set(PlatformTable.__struct_fields__)

    def fail(key: str, reason: str) -> InputError:
        match = re.match(r"devices\[(\d+)\](.*)", key)
        if match is not None and int(match[1]) >= own_devices:
            return source.error(f"devices[{int(match[1]) - own_devices}]{match[2]}", reason)
        # The manifest's key if it has one of that name, else the platform file's.
        if re.split(r"[.\[]", key)[0] in overridden:
            return source.error(f"platform.{key}", reason)
        return platform_error(key.replace("kernel_region", "kernel"), reason)

    check(platform, fail)
    arguments = document.image.arguments
    if not all(" " <= c <= "~" for c in arguments):
        raise source.error("image.arguments", "holds a character that is not printable ASCII")
    return Manifest(
        name=source.name,
        image_path=source.path("image.path", given(document.image.path)),
        arguments=arguments,
        permissions=document.image.permissions,
        # Checked in the order written, for the messages; used in the order of addresses.
        platform=replace(platform, ram=tuple(sorted(platform.ram, key=lambda span: span.base))),
        release=release,
        options=options,
        max_instructions=given(document.limits.max_instructions),
        serial_path=source.path("input.serial", given(document.input.serial)),
        kernel_file=files.kernel,
        kernel_name=files.kernel_name,
        data=data,
        platform_data=platform_data,
        source=source,
    )


def _with_devices(platform: Platform, added: Sequence[Device]) -> Platform:
    """A platform with a manifest's devices: those that a new one overlaps make room."""
    kept = tuple(d for d in platform.devices if not any(d.span.overlaps(new.span) for new in added))
    unlisted = [d.span for d in added if not any(d.span.overlaps(span) for span in platform.listed)]
    # A kernel with a list of its own would name a new device in it.
    listed = (*platform.listed, *unlisted) if platform.listed else ()
    return replace(platform, devices=(*kept, *added), listed=listed)


def _generic_timer(file: PlatformFile) -> GenericTimer | None:
    table: GenericTimerTable | None = given(file.generic_timer)
    return None if table is None else GenericTimer(table.hz, table.physical_irq, table.virtual_irq)


def _platform(file: PlatformFile, table: PlatformTable, release: Release, options: BuildOptions) -> Platform:
    """The platform file with what the manifest replaces."""
    ram: list[RegionTable] | None = given(table.ram)
    devices: list[DeviceTable] | None = given(table.devices)
    return Platform(
        name=file.name,
        description=file.description,
        cpu=file.cpu,
        ram=tuple(Span(r.base, r.size) for r in _or(ram, file.ram)),
        kernel=_kernel_region(file.kernel, table.kernel_region, release, options),
        devices=tuple(_device(d) for d in _or(devices, file.devices)),
        generic_timer=_generic_timer(file),
        max_irq=_or(given(table.max_irq), file.max_irq),
        timer_irq=_or(given(table.timer_irq), file.timer_irq),
        clock_hz=_or(given(table.clock_hz), file.clock_hz),
        device_tree=None,
        # A manifest's devices are all that there are.
        listed=tuple(Span(r.base, r.size) for r in file.listed_regions) if devices is None else (),
    )


T = TypeVar("T")


def _or(override: T | None, default: T) -> T:
    return default if override is None else override


def _device(table: DeviceTable) -> Device:
    return Device(table.name, Span(table.base, table.size), tuple(table.irqs), table.model, table.kernel_only)


def _kernel_region(
    place: KernelPlaceTable, override: KernelRegionTable, release: Release, options: BuildOptions
) -> KernelRegion:
    """Where the kernel lies: the platform's extents for the build nearest to that asked for, overridden."""
    debug = options.debug or options.printing
    image = max(place.images, key=lambda i: (i.debug == debug, i.release == release.name, i.release))
    return KernelRegion(
        base=_or(given(override.base), place.base),
        virtual_base=_or(given(override.virtual_base), place.virtual_base),
        size=_or(given(override.size), image.size),
        boot_size=_or(given(override.boot_size), image.boot_size),
        device_pages=tuple(place.device_pages),
        console_page=place.console_page,
    )
