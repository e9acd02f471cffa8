"""The trace format as a construct declaration: the container, and the records made from `layout`.

This is the only module that knows construct. Headers and end marks are parsed and built with it; records only in
tests, which prove that `encode` and `decode` do the same faster. docs/trace-format.md says it in prose.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final, final

import construct as c
from retrap.traces import layout
from retrap.traces.errors import Malformed

MAGIC: Final = b"\x89RETRAP\r\n\x1a\n\x00"
"""First bytes of a trace: not text, and damaged by any transfer that changes line ends."""

VERSION: Final = 2

MAX_RAW: Final = 256 << 20
"""No block holds more bytes than this uncompressed (an embedded image is the largest)."""

MAX_FRAME: Final = 32 << 20
"""No frame of records does (the writer ends them far below)."""


class Tag:
    """What a block holds."""

    HEADER: Final = b"HEAD"  # Header
    IMAGE: Final = b"IMAG"  # the image file, byte for byte
    INPUT: Final = b"INPT"  # one embedded input, in the order in which the header names them
    FRAME: Final = b"FRAM"  # records
    END: Final = b"DONE"  # End


# -- blocks: [BlockHead][payload, one Zstandard frame] -------------------------------------------------------------

_BLOCK: Final = c.Struct(
    "tag" / c.Bytes(4),
    "stored" / c.Int32ul,  # bytes of payload
    "raw" / c.Int32ul,  # bytes of payload once decompressed
    "count" / c.Int32ul,  # records in a frame, else 0
    "first" / c.Int64ul,  # number of the frame's first record, else 0
    "time" / c.Int64ul,  # time of the record before the frame's first one, else 0
    "check" / c.Bytes(8),  # BLAKE2b of the payload, 8 bytes
    "guard" / c.Int32ul,  # CRC-32 of the fields above
)

BLOCK_HEAD_BYTES: Final[int] = _BLOCK.sizeof()


@dataclass(frozen=True, slots=True)
class BlockHead:
    """What precedes every block's payload."""

    tag: bytes
    stored: int
    raw: int
    count: int
    first: int
    time: int
    check: bytes


def checksum(payload: bytes) -> bytes:
    """The `check` of a block's payload."""
    return hashlib.blake2b(payload, digest_size=8).digest()


def build_block_head(head: BlockHead) -> bytes:
    """A block's head with its guard. Raises ValueError for a number that does not fit its place."""
    fields = {name: getattr(head, name) for name in BlockHead.__dataclass_fields__}
    body = _build(_BLOCK, {**fields, "guard": 0})[:-4]
    return body + struct.pack("<I", zlib.crc32(body))


def parse_block_head(data: bytes) -> BlockHead:
    """A block's head from its `BLOCK_HEAD_BYTES`. Raises `Malformed` if its guard does not fit."""
    found = _parse(_BLOCK, data)
    if zlib.crc32(data[:-4]) != found.guard:
        raise Malformed("the block's head is damaged (its checksum does not fit)")
    return BlockHead(found.tag, found.stored, found.raw, found.count, found.first, found.time, found.check)


# -- header and end ------------------------------------------------------------------------------------------------

_TEXT: Final = c.PascalString(c.Int32ul, "utf8")
_PAIRS: Final = c.PrefixedArray(c.Int16ul, c.Struct("name" / _TEXT, "value" / _TEXT))
_NAMED_INPUTS: Final = c.PrefixedArray(c.Int16ul, c.Struct("name" / _TEXT, "sha256" / c.Bytes(32)))

_HEADER: Final = c.Struct(
    "release" / _TEXT,
    "platform" / _TEXT,
    "clock_hz" / c.Int64ul,
    "digest_interval" / c.Int32ul,
    "plan_digest" / c.Bytes(32),
    "image_name" / _TEXT,
    "image_sha256" / c.Bytes(32),
    "manifest" / _TEXT,
    "options" / _PAIRS,
    "settings" / _PAIRS,
    "inputs" / _NAMED_INPUTS,
)

_END: Final = c.Struct(
    "records" / c.Int64ul,
    "instructions" / c.Int64ul,
    "outcome" / _TEXT,
    "state_digest" / c.Bytes(layout.DIGEST_BYTES),
    "records_digest" / c.Bytes(32),
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a trace says about its run before the first record.

    `options` are the kernel build options and `settings` whatever else the run depends on (limits), both as
    (name, value) texts in the caller's order. `digest_interval`: a record carries the state digest whenever its
    number plus one is a multiple of it. `plan_digest`: 32 bytes that identify the boot plan. `inputs`: (name,
    SHA-256) of each embedded input. Nothing here may depend on the machine or the time of day.
    """

    release: str
    platform: str
    clock_hz: int
    digest_interval: int
    plan_digest: bytes
    image_name: str
    image_sha256: bytes
    manifest: str
    options: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    inputs: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class EndMark:
    """What a complete trace says after the last record.

    `outcome`: how the run ended, in the words of the command line. `records_digest`: BLAKE2b, 32 bytes, of all
    frames' payloads as stored, in order.
    """

    records: int
    instructions: int
    outcome: str
    state_digest: bytes
    records_digest: bytes


def build_header(header: Header) -> bytes:
    """A header block's payload. Raises ValueError for a field that does not fit its place."""
    fields = {name: getattr(header, name) for name in Header.__dataclass_fields__}
    fields["options"] = [{"name": name, "value": value} for name, value in header.options]
    fields["settings"] = [{"name": name, "value": value} for name, value in header.settings]
    fields["inputs"] = [{"name": name, "sha256": digest} for name, digest in header.inputs]
    return _build(_HEADER, fields)


def parse_header(data: bytes) -> Header:
    """The header from its payload. Raises `Malformed`."""
    found = _parse_all(_HEADER, data)
    if not found.digest_interval:
        raise Malformed("the header's digest interval is 0")
    return Header(
        release=found.release,
        platform=found.platform,
        clock_hz=found.clock_hz,
        digest_interval=found.digest_interval,
        plan_digest=found.plan_digest,
        image_name=found.image_name,
        image_sha256=found.image_sha256,
        manifest=found.manifest,
        options=tuple((pair.name, pair.value) for pair in found.options),
        settings=tuple((pair.name, pair.value) for pair in found.settings),
        inputs=tuple((entry.name, entry.sha256) for entry in found.inputs),
    )


def build_end(end: EndMark) -> bytes:
    """An end block's payload."""
    return _build(_END, {name: getattr(end, name) for name in EndMark.__dataclass_fields__})


def parse_end(data: bytes) -> EndMark:
    """The end mark from its payload. Raises `Malformed`."""
    found = _parse_all(_END, data)
    return EndMark(found.records, found.instructions, found.outcome, found.state_digest, found.records_digest)


def _build(declaration: Any, fields: dict[str, object]) -> bytes:
    try:
        return bytes(declaration.build(fields))
    except c.ConstructError as error:
        raise ValueError(_reason(error)) from None


def _parse(declaration: Any, data: bytes) -> Any:
    try:
        return declaration.parse(data)
    except (c.ConstructError, UnicodeDecodeError) as error:
        raise Malformed(f"does not follow the format ({_reason(error)})") from None


def _parse_all(declaration: Any, data: bytes) -> Any:
    found = _parse(c.Struct("value" / declaration, "end" / c.Tell), data)
    if found.end != len(data):
        raise Malformed(f"{len(data) - found.end} bytes are left over")
    return found.value


def _reason(error: Exception) -> str:
    # construct's text is two lines, "Error in path …" and the reason.
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__


# -- records, from their declaration -------------------------------------------------------------------------------

_NUMBERS: Final = {
    "B": c.Int8ul, "b": c.Int8sl, "H": c.Int16ul, "I": c.Int32ul, "Q": c.Int64ul, "i": c.Int32sl,
}  # fmt: skip


def declare(fields: tuple[layout.Field, ...]) -> Any:
    """The construct Struct of a field list."""
    return c.Struct(*(field.name / _declare_one(field) for field in fields))


def _declare_one(field: layout.Field) -> Any:
    match field:
        case layout.Number(_, code):
            return _NUMBERS[code]
        case layout.Raw(_, size):
            return c.Bytes(size)
        case layout.Text():
            return c.PascalString(c.Int16ul, "utf8")
        case layout.Bytes():
            return c.Prefixed(c.Int32ul, c.GreedyBytes)
        case layout.Words():
            return c.PrefixedArray(c.Int16ul, c.Int32ul)
        case layout.Many(_, fields, code):
            return c.PrefixedArray(_NUMBERS[code], declare(fields))


@final
class DeclaredFrame:
    """A frame read and built with construct: slow, and plainly what `layout` says. For tests and for reference."""

    HEAD: Final = declare(layout.HEAD)
    SHAPE: Final = declare(layout.SHAPE)
    START: Final = declare(layout.FRAME_START)
    SECTIONS: Final = tuple(declare(fields) for fields in layout.SECTIONS)

    @classmethod
    def parse(cls, data: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The thread table and the records, as plain dictionaries. Raises `Malformed`."""
        import io

        stream = io.BytesIO(data)
        try:
            threads = _plain(cls.START.parse_stream(stream))["threads"]
            records: list[dict[str, Any]] = []
            shapes: list[dict[str, Any]] = []
            while stream.tell() < len(data):
                record = _plain(cls.HEAD.parse_stream(stream))
                if record["shape"] == len(shapes):
                    shapes.append(_plain(cls.SHAPE.parse_stream(stream)))
                shape = shapes[record["shape"]]
                values = c.Array(len(shape["registers"]), c.Int32ul).parse_stream(stream)
                record["shape"] = shape
                record["values"] = list(values)
                for bit, section in enumerate(cls.SECTIONS):
                    if shape["sections"] >> bit & 1:
                        record.update(_plain(section.parse_stream(stream)))
                records.append(record)
        except (c.ConstructError, UnicodeDecodeError, IndexError) as error:
            raise Malformed(_reason(error)) from None
        return threads, records

    @classmethod
    def build(cls, threads: list[dict[str, Any]], records: list[dict[str, Any]]) -> bytes:
        """The bytes of a frame; the inverse of `parse`."""
        parts = [cls.START.build({"threads": threads})]
        shapes: list[dict[str, Any]] = []
        for record in records:
            shape = record["shape"]
            known = shape in shapes
            index = shapes.index(shape) if known else len(shapes)
            parts.append(cls.HEAD.build({**record, "shape": index}))
            if not known:
                shapes.append(shape)
                parts.append(cls.SHAPE.build(shape))
            parts.append(c.Array(len(record["values"]), c.Int32ul).build(record["values"]))
            for bit, section in enumerate(cls.SECTIONS):
                if shape["sections"] >> bit & 1:
                    parts.append(section.build(record))
        return b"".join(parts)


def _plain(value: Any) -> Any:
    """construct's containers as dictionaries and lists."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
