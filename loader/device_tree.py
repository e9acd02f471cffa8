"""Flattened device trees (Devicetree Specification 0.4): verified, read, given the root task's arguments.

The only importer of fdt. A tree is walked here before that library sees it, so that sizes, offsets and
nesting are known to be sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from retrap.loader import layouts
from retrap.loader.errors import InputError
from retrap.loader.platform import ADDRESS_SPACE, PAGE, Span

MAX_DEPTH: Final = 64
MAX_NODES: Final = 1 << 15
MAX_TOKENS: Final = 1 << 18
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
    if header.structure_offset % 4:
        raise InputError(name, "device tree structure block", "is not aligned to 4 bytes")
    _verify_reservations(name, data, header)
    for _ in _walk(name, data, header):
        pass
    return data


def _verify_reservations(name: str, data: bytes, header: layouts.FdtHeader) -> None:
    at = header.reserve_offset
    while any(data[at : at + 16]):
        at += 16
        if at + 16 > len(data):
            raise InputError(name, "device tree reservation block", "has no end")


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a tree. `path` names it from the root ("/soc/serial@1000"); properties are raw bytes."""

    path: str
    parent: Node | None
    properties: dict[str, bytes] = field(default_factory=dict)

    def strings(self, name: str) -> tuple[str, ...]:
        """A property that is a list of strings; empty if absent."""
        parts = self.properties.get(name, b"").rstrip(b"\0").split(b"\0")
        return tuple(part.decode("ascii", "backslashreplace") for part in parts if part)

    def cells(self, name: str, default: int) -> int:
        """A property that is one 32-bit number."""
        value = self.properties.get(name, b"")
        return int.from_bytes(value, "big") if len(value) == 4 else default

    def registers(self) -> tuple[tuple[int, int], ...]:
        """The (address, size) pairs of `reg`, in the parent's cells (section 2.3.6)."""
        parent = self.parent
        addresses = 4 * (parent.cells("#address-cells", 2) if parent else 2)
        sizes = 4 * (parent.cells("#size-cells", 1) if parent else 1)
        value = self.properties.get("reg", b"")
        step = addresses + sizes
        if not 0 < step <= 32:
            return ()
        return tuple(
            (
                int.from_bytes(value[at : at + addresses], "big"),
                int.from_bytes(value[at + addresses : at + step], "big"),
            )
            for at in range(0, len(value) - step + 1, step)
        )

    def interrupts(self) -> tuple[int, ...]:
        """The interrupts of `interrupts` in a GIC's three cells: kind (0: shared, 1: private), number, flags."""
        value = self.properties.get("interrupts", b"")
        if len(value) % 12:
            return ()
        triples = (value[at : at + 12] for at in range(0, len(value), 12))
        return tuple(
            int.from_bytes(triple[4:8], "big") + (16 if triple[3] else 32)
            for triple in triples
            if triple[:4] in (bytes(4), b"\0\0\0\1") and triple[4:6] == b"\0\0"
        )


def nodes(name: str, data: bytes) -> tuple[Node, ...]:
    """All nodes of a tree, children before parents. Raises `InputError` for a tree that is not sound."""
    data = verify(name, data)
    return tuple(_walk(name, data, layouts.fdt_header(data)))


def memory(name: str, data: bytes) -> tuple[Span, ...]:
    """The RAM that a tree describes, as seL4's build reads it: memory nodes without the reserved parts.

    Ascending, within 32 bits, in whole pages. Raises `InputError` if there is none.
    """
    found: list[Span] = []
    reserved: list[Span] = []
    for node in nodes(name, data):
        if node.strings("device_type")[:1] == ("memory",):
            found += _spans(node)
        elif node.parent is not None and node.parent.path == "/reserved-memory" and "no-map" in node.properties:
            reserved += _spans(node)
    pieces: list[Span] = []
    for span in found:
        pieces += _without(span, reserved)
    merged: list[Span] = []
    for span in sorted(pieces, key=lambda s: s.base):
        start, end = -(-span.base // PAGE) * PAGE, span.end // PAGE * PAGE
        if start >= end:
            continue
        if merged and merged[-1].end == start:
            start = merged.pop().base
        merged.append(Span(start, end - start))
    if not merged:
        raise InputError(name, "device tree", "describes no memory")
    return tuple(merged)


@dataclass(frozen=True, slots=True)
class TreeDevice:
    """A device of a tree: where the processor finds its registers, and its interrupts as the GIC numbers them."""

    path: str
    compatible: tuple[str, ...]
    spans: tuple[Span, ...]
    irqs: tuple[int, ...]
    enabled: bool


def devices(name: str, data: bytes) -> tuple[TreeDevice, ...]:
    """The devices with registers that the processor can reach, by address. Raises `InputError` as `nodes` does."""
    found = []
    for node in nodes(name, data):
        compatible = node.strings("compatible")
        spans = tuple(span for pair in node.registers() if (span := _seen_by_cpu(node, *pair)) is not None)
        inside = node.parent is not None and "reg" in node.parent.properties  # a part of that device's registers
        if compatible and spans and not inside and node.strings("device_type")[:1] != ("memory",):
            enabled = node.strings("status")[:1] in ((), ("okay",), ("ok",))
            found.append(TreeDevice(node.path, compatible, spans, node.interrupts(), enabled))
    return tuple(sorted(found, key=lambda device: (device.spans[0].base, device.path)))


def reserved(name: str, data: bytes) -> tuple[Span, ...]:
    """Memory that a tree keeps from the system, in its reservation block and `/reserved-memory`."""
    data = verify(name, data)
    at = layouts.fdt_header(data).reserve_offset
    found = []
    while any(entry := data[at : at + 16]):
        base, size = int.from_bytes(entry[:8], "big"), int.from_bytes(entry[8:], "big")
        if size and base < ADDRESS_SPACE:
            found.append(Span(base, min(size, ADDRESS_SPACE - base)))
        at += 16
    for node in nodes(name, data):
        if node.parent is not None and node.parent.path == "/reserved-memory":
            found += _spans(node)
    return tuple(sorted(found, key=lambda span: (span.base, span.size)))


def _seen_by_cpu(node: Node, base: int, size: int) -> Span | None:
    """A span of a node's `reg`, through the `ranges` of the buses above it (section 2.3.8); None if it is not
    mapped, or not within 32 bits."""
    bus = node.parent
    while bus is not None and bus.parent is not None:
        ranges = bus.properties.get("ranges")
        if ranges is None:
            return None
        if ranges:
            above = bus.parent.cells("#address-cells", 2)
            widths = [4 * n for n in (bus.cells("#address-cells", 2), above, bus.cells("#size-cells", 1))]
            if not 0 < sum(widths) <= 64:
                return None
            step = sum(widths)
            for at in range(0, len(ranges) - step + 1, step):
                entry = ranges[at : at + step]
                child = int.from_bytes(entry[: widths[0]], "big")
                parent = int.from_bytes(entry[widths[0] : widths[0] + widths[1]], "big")
                if child <= base and base + size <= child + int.from_bytes(entry[step - widths[2] :], "big"):
                    base += parent - child
                    break
            else:
                return None
        bus = bus.parent
    return Span(base, size) if size and base >= 0 and base + size <= ADDRESS_SPACE else None


def _spans(node: Node) -> list[Span]:
    return [
        Span(address, min(size, ADDRESS_SPACE - address))
        for address, size in node.registers()
        if size and address < ADDRESS_SPACE
    ]


def _without(span: Span, reserved: Sequence[Span]) -> list[Span]:
    pieces = [span]
    for taken in reserved:
        pieces = [
            piece
            for whole in pieces
            for piece in (
                Span(whole.base, min(whole.end, taken.base) - whole.base),
                Span(max(whole.base, taken.end), whole.end - max(whole.base, taken.end)),
            )
            if piece.size > 0
        ]
    return pieces


def _walk(name: str, data: bytes, header: layouts.FdtHeader) -> Iterator[Node]:
    """Walks the tokens once: nesting closed and bounded, every name and value inside its block."""
    place = "device tree structure block"
    end = header.structure_offset + header.structure_size
    structure = data[:end]
    strings = data[header.strings_offset : header.strings_offset + header.strings_size]
    at = header.structure_offset
    open_nodes: list[Node] = []
    count = tokens = 0
    try:
        while True:
            tokens += 1
            if count > MAX_NODES or tokens > MAX_TOKENS:
                raise InputError(name, place, f"has more than {MAX_NODES} nodes or {MAX_TOKENS} tokens")
            token = layouts.fdt_token(structure, at)
            at += 4
            if token == _BEGIN_NODE:
                terminator = data.find(b"\0", at, end)
                if terminator < 0:
                    raise InputError(name, place, "a node's name has no end")
                parent = open_nodes[-1] if open_nodes else None
                if parent is None and count:
                    raise InputError(name, place, "has more than one root")
                text = data[at:terminator].decode("ascii", "backslashreplace")
                path = "/" if parent is None else f"{parent.path.rstrip('/')}/{text}"
                open_nodes.append(Node(path, parent))
                count += 1
                if len(open_nodes) > MAX_DEPTH:
                    raise InputError(name, place, f"nested more than {MAX_DEPTH} nodes deep")
                at = _aligned(terminator + 1)
            elif token == _END_NODE:
                if not open_nodes:
                    raise InputError(name, place, "closes a node that was never opened")
                yield open_nodes.pop()
            elif token == _PROPERTY:
                size, string = layouts.fdt_property(structure, at)
                if not open_nodes:
                    raise InputError(name, place, "has a property outside any node")
                if at + 8 + size > end:
                    raise InputError(name, place, f"a property of {size} bytes does not fit")
                terminator = strings.find(b"\0", string)
                if terminator < 0:
                    raise InputError(name, "device tree strings block", "a property's name has no end")
                key = strings[string:terminator].decode("ascii", "backslashreplace")
                open_nodes[-1].properties[key] = data[at + 8 : at + 8 + size]
                at = _aligned(at + 8 + size)
            elif token == _END:
                break
            elif token != _NOP:
                raise InputError(name, place, f"unknown token {token:#x} at {at - 4:#x}")
    except layouts.LayoutError as error:
        raise InputError(name, place, f"has no end: {error}") from error
    if open_nodes:
        raise InputError(name, place, f"ends with {len(open_nodes)} nodes open")
    if not count:
        raise InputError(name, place, "has no root node")


def _aligned(at: int) -> int:
    return (at + 3) & ~3


def _parse(name: str, data: bytes) -> Any:
    import fdt

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
    import fdt

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
