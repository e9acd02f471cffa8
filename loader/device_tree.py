"""Flattened device trees (Devicetree Specification 0.4): verified, read, given the root task's arguments.

The only importer of fdt. A tree is walked here before that library sees it, so that sizes, offsets and
nesting are known to be sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import fdt
from retrap.loader import layouts
from retrap.loader.errors import InputError
from retrap.loader.platform import Span

MAX_DEPTH: Final = 64
MAX_SIZE: Final = 4 << 20

_BEGIN_NODE: Final = 1
_END_NODE: Final = 2
_PROPERTY: Final = 3
_NOP: Final = 4
_END: Final = 9


def verify(name: str, data: bytes) -> bytes:
    """The tree without what follows it in the file. Raises `InputError` for anything that is not sound."""
    try:
        header = layouts.fdt_header(data)
    except layouts.LayoutError as error:
        raise InputError(name, "device tree header", f"truncated: {error}") from error
    if header.magic != layouts.FDT_MAGIC:
        raise InputError(name, "device tree header", f"is not a device tree: starts with {data[:4].hex(' ')}")
    if header.version < 17 or header.compatible_version > 17:
        raise InputError(name, "device tree header", f"has format version {header.version}: 17 is needed")
    if header.total_size > MAX_SIZE:
        reason = f"claims {header.total_size} bytes: at most {MAX_SIZE} are read"
        raise InputError(name, "device tree header", reason)
    if header.total_size > len(data):
        reason = f"truncated: {header.total_size} bytes claimed, the file has {len(data)}"
        raise InputError(name, "device tree header", reason)
    data = data[: header.total_size]
    for part, offset, size in (
        ("structure block", header.structure_offset, header.structure_size),
        ("strings block", header.strings_offset, header.strings_size),
        ("reservation block", header.reserve_offset, 16),
    ):
        if offset < layouts.FDT_HEADER_SIZE or offset + size > len(data):
            reason = f"lies outside the tree: {size} bytes at {offset:#x}"
            raise InputError(name, f"device tree {part}", reason)
    _verify_reservations(name, data, header)
    _verify_structure(name, data, header)
    return data


def _verify_reservations(name: str, data: bytes, header: layouts.FdtHeader) -> None:
    at = header.reserve_offset
    while any(data[at : at + 16]):
        at += 16
        if at + 16 > len(data):
            raise InputError(name, "device tree reservation block", "has no end")


def _verify_structure(name: str, data: bytes, header: layouts.FdtHeader) -> None:
    """Walks the tokens once: nesting closed and bounded, every name and value inside its block."""
    place = "device tree structure block"
    end = header.structure_offset + header.structure_size
    strings = data[header.strings_offset : header.strings_offset + header.strings_size]
    at = header.structure_offset
    depth = nodes = 0
    try:
        while True:
            token = layouts.fdt_token(data[:end] if at + 4 > end else data, at)
            at += 4
            if token == _BEGIN_NODE:
                terminator = data.find(b"\0", at, end)
                if terminator < 0:
                    raise InputError(name, place, "a node's name has no end")
                at = _aligned(terminator + 1)
                depth += 1
                nodes += 1
                if depth > MAX_DEPTH:
                    raise InputError(name, place, f"nested more than {MAX_DEPTH} nodes deep")
                if depth == 1 and nodes > 1:
                    raise InputError(name, place, "has more than one root")
            elif token == _END_NODE:
                depth -= 1
                if depth < 0:
                    raise InputError(name, place, "closes a node that was never opened")
            elif token == _PROPERTY:
                size, string = layouts.fdt_property(data, at)
                if depth == 0:
                    raise InputError(name, place, "has a property outside any node")
                if at + 8 + size > end:
                    raise InputError(name, place, f"a property of {size} bytes does not fit")
                if strings.find(b"\0", string) < 0:
                    raise InputError(name, "device tree strings block", "a property's name has no end")
                at = _aligned(at + 8 + size)
            elif token == _END:
                break
            elif token != _NOP:
                raise InputError(name, place, f"unknown token {token:#x} at {at - 4:#x}")
    except layouts.LayoutError as error:
        raise InputError(name, place, f"has no end: {error}") from error
    if depth:
        raise InputError(name, place, f"ends with {depth} nodes open")
    if not nodes:
        raise InputError(name, place, "has no root node")


def _aligned(at: int) -> int:
    return (at + 3) & ~3


def _parse(name: str, data: bytes) -> Any:
    try:
        return fdt.parse_dtb(data)
    except Exception as error:  # the library raises bare Exception for names that it does not take
        raise InputError(name, "device tree", str(error)) from error


def with_arguments(name: str, data: bytes, arguments: str) -> bytes:
    """A verified tree with `/chosen/bootargs` set. Without arguments the bytes stay as they are."""
    if not arguments:
        return data
    tree = _parse(name, data)
    tree.set_property("bootargs", arguments, path="/chosen")
    return bytes(tree.to_dtb(version=17))


def minimal(platform: str, ram: Sequence[Span], arguments: str) -> bytes:
    """A small tree for a root task that was given arguments but no tree: root, memory, `/chosen/bootargs`."""
    tree = fdt.FDT()
    tree.set_property("#address-cells", 1)
    tree.set_property("#size-cells", 1)
    tree.set_property("compatible", f"retrap,{platform}")
    for span in ram:
        path = f"/memory@{span.base:x}"
        tree.set_property("device_type", "memory", path=path)
        tree.set_property("reg", [span.base, min(span.size, 0xFFFF_FFFF)], path=path)
    tree.set_property("bootargs", arguments, path="/chosen")
    return bytes(tree.to_dtb(version=17))
