"""`retrap info`: what a file is: an image, a manifest, or a trace; and what is in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrap.tools.display import table
from retrap.tools.errors import Status, UsageError

if TYPE_CHECKING:
    from retrap.loader.image import Image

_SNIFF = 4096


def command(file: Path, as_json: bool) -> int:
    """`retrap info`."""
    described, tables = describe(file)
    if as_json:
        sys.stdout.write(json.dumps(described, indent=2) + "\n")
        return Status.OK
    width = max(len(key) for key, value in described.items() if not isinstance(value, list | dict)) + 2
    for key, value in described.items():
        if not isinstance(value, list | dict):
            sys.stdout.write(f"{key.replace('_', ' '):<{width}}{_text(value, key in _ADDRESSES)}\n")
    for title, headers, rows, numeric in tables:
        if rows:
            sys.stdout.write(f"\n{title}\n")
            table(headers, rows, numeric)
    return Status.OK


Table = tuple[str, tuple[str, ...], list[tuple[object, ...]], tuple[int, ...]]


def describe(file: Path) -> tuple[dict[str, Any], list[Table]]:
    """What the file is, as JSON data, and the tables to print below its scalar fields."""
    from retrap.traces.schema import MAGIC

    try:
        with file.open("rb") as stream:
            head = stream.read(_SNIFF)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    if head.startswith(MAGIC[: len(head)]) and head:
        return _trace(file)
    if file.suffix == ".toml" or (not head.startswith(b"\x7fELF") and _is_text(head)):
        return _manifest(file)
    return _image(file)


def _is_text(data: bytes) -> bool:
    return bool(data) and b"\0" not in data and all(byte >= 32 or byte in b"\t\r\n" for byte in data)


def _image(file: Path) -> tuple[dict[str, Any], list[Table]]:
    from retrap.loader.image import load_image

    image = load_image(file)
    segments = [
        {
            "index": s.index,
            "virtual": s.virtual,
            "end": s.end,
            "file_size": s.file_size,
            "memory_size": s.memory_size,
            "rights": s.rights,
        }
        for s in image.segments
    ]
    described = {
        "kind": "root-task image (ELF32 ARM executable)",
        "file": str(file),
        "sha256": image.sha256,
        "entry": image.entry & ~1,
        "mode": "Thumb" if image.thumb else "ARM",
        "start": image.start,
        "end": image.end,
        "symbols": len(image.symbols),
        "segments": segments,
    }
    from retrap.tools.memory_map import rights_text, size_text

    rows: list[tuple[object, ...]] = [
        (
            s["index"], f"{s['virtual']:#010x}", f"{s['end']:#010x}", size_text(s["file_size"]),
            size_text(s["memory_size"]), rights_text(s["rights"]),
        )
        for s in segments
    ]  # fmt: skip
    headers = ("segment", "start", "end", "in file", "in memory", "rights")
    tables: list[Table] = [("Segments", headers, rows, (0, 3, 4))]
    if image.packed is not None:
        parts = [(role, entry.name, len(entry.data)) for role, entry in image.packed.parts()]
        described["kind"] = "packed boot image"
        described["parts"] = [{"role": role, "name": name, "size": size} for role, name, size in parts]
        tables.append(("Packed parts", ("role", "name", "size"), [(r, n, size_text(s)) for r, n, s in parts], (2,)))
        tables += _found(image, described)
    return described, tables


def _found(image: Image, described: dict[str, Any]) -> list[Table]:
    """What a packed image tells of the system it was built for: added to the data, and as tables."""
    from retrap.loader.findings import findings

    told = findings(image)
    described["found"] = [{"name": f.name, "value": f.value, "source": f.source} for f in told.found]
    described["devices"] = [
        {
            "path": d.path,
            "compatible": list(d.compatible),
            "registers": [{"base": span.base, "size": span.size} for span in d.spans],
            "irqs": list(d.irqs),
            "enabled": d.enabled,
        }
        for d in told.devices
    ]
    described["warnings"] = list(told.warnings)
    settings: list[tuple[object, ...]] = [
        (f.name.replace("_", " "), _text(f.value, False), f.source) for f in told.found
    ]
    devices: list[tuple[object, ...]] = [
        (
            d.path, d.compatible[0], ", ".join(map(str, d.spans)), ", ".join(map(str, d.irqs)),
            "" if d.enabled else "disabled",
        )
        for d in told.devices
    ]  # fmt: skip
    return [
        ("How it boots", ("setting", "value", "told by"), settings, ()),
        ("Devices of the device tree", ("path", "compatible", "registers", "interrupts", ""), devices, ()),
        ("Warnings", ("",), [(text,) for text in told.warnings], ()),
    ]


def _manifest(file: Path) -> tuple[dict[str, Any], list[Table]]:
    from retrap.loader.manifest import load_manifest

    manifest = load_manifest(file)
    described: dict[str, Any] = {
        "kind": "boot manifest",
        "file": str(file),
        "image": manifest.image_path,
        "arguments": manifest.arguments,
        "permissions": manifest.permissions,
        "kernel": manifest.release.name,
        "platform": manifest.platform.name,
        "clock_hz": manifest.platform.clock_hz,
        "max_instructions": manifest.max_instructions,
        "ram": [{"base": span.base, "size": span.size} for span in manifest.platform.ram],
    }
    rows: list[tuple[object, ...]] = [
        (f"{span.base:#010x}", f"{span.base + span.size:#010x}") for span in manifest.platform.ram
    ]
    return described, [("RAM", ("start", "end"), rows, ())]


def _trace(file: Path) -> tuple[dict[str, Any], list[Table]]:
    from retrap.traces.errors import TraceError
    from retrap.traces.reader import Reader

    with Reader(file) as trace:
        damage = ""
        try:
            readable = trace.verify()
        except TraceError as error:
            damage, readable = str(error), trace.count
        header, end = trace.header, trace.end
        described: dict[str, Any] = {
            "kind": "trace",
            "file": str(file),
            "complete": trace.complete,
            "damage": damage or "none",
            "records": readable,
            "kernel": header.release,
            "platform": header.platform,
            "clock_hz": header.clock_hz,
            "image": header.image_name,
            "image_sha256": header.image_sha256.hex(),
            "plan_digest": header.plan_digest.hex(),
            "bytes": file.stat().st_size,
        }
        if end is not None:
            described |= {
                "instructions": end.instructions,
                "outcome": end.outcome,
                "state_digest": end.state_digest.hex(),
                "records_digest": end.records_digest.hex(),
            }
        described["options"] = dict(header.options)
        described["inputs"] = [{"name": name, "sha256": digest.hex()} for name, digest in header.inputs]
        rows: list[tuple[object, ...]] = list(header.options)
        return described, [("Kernel build options", ("option", "value"), rows, ())]


_ADDRESSES = frozenset(("entry", "start", "end"))


def _text(value: object, address: bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:#010x}" if address else f"{value:,}"
    return "none" if value is None or value == "" else str(value)
