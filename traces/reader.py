"""Reading traces: whole, torn or damaged, by anyone's hand."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, final

from retrap.traces.compression import decompress
from retrap.traces.decode import decode_frame
from retrap.traces.errors import Malformed, TraceError
from retrap.traces.layout import CONTEXT_BYTES
from retrap.traces.record import Record, ThreadEntry
from retrap.traces.schema import (
    BLOCK_HEAD_BYTES,
    MAGIC,
    MAX_FRAME,
    MAX_RAW,
    VERSION,
    BlockHead,
    EndMark,
    Header,
    Tag,
    checksum,
    parse_block_head,
    parse_end,
    parse_header,
)  # fmt: skip

_START: Final = len(MAGIC) + 4


@final
class _Block:
    """A block's head and where its payload starts in the file."""

    __slots__ = ("head", "offset")

    def __init__(self, head: BlockHead, offset: int) -> None:
        self.head: Final = head
        self.offset: Final = offset


@final
class Reader:
    """A trace file. Iterating gives its `Record`s in order.

    Opening reads the header and the heads of all blocks; payloads are read and checked when they are asked for.
    A file without an end mark is not an error: `complete` is False and its whole frames can be read. Bytes that
    do not follow the format raise `TraceError`, on opening or when they are reached, and nothing else does.
    """

    def __init__(self, path: Path | BinaryIO) -> None:
        """`path` may be a binary stream that can seek; it is left open."""
        self.file: Final = str(path) if isinstance(path, Path) else "trace in memory"
        self._owned: Final = isinstance(path, Path)
        self._image: _Block | None = None
        self._inputs: list[_Block] = []
        self._frames: list[_Block] = []
        self._firsts: list[int] = []
        self._inflated: tuple[int, bytes] = (-1, b"")
        self.end: EndMark | None = None
        """The end mark of a complete trace."""
        try:
            self._stream: Final = path.open("rb") if isinstance(path, Path) else path
        except OSError as error:
            raise TraceError(self.file, "", error.strerror or str(error)) from None
        try:
            self.header: Final = self._open()
        except BaseException:
            self.close()
            raise

    @property
    def complete(self) -> bool:
        """Whether the run that wrote the trace closed it."""
        return self.end is not None

    @property
    def count(self) -> int:
        """Records that can be read."""
        if not self._frames:
            return 0
        last = self._frames[-1].head
        return last.first + last.count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Record]:
        return self.records()

    def records(self, start: int = 0) -> Iterator[Record]:
        """The records from number `start` on. Raises `TraceError` where the file is damaged."""
        index = bisect_right(self._firsts, start) - 1
        for frame in range(max(index, 0), len(self._frames)):
            for record in self._frame(frame)[1]:
                if record.number >= start:
                    yield record

    def record(self, number: int) -> Record:
        """One record. Raises `TraceError` if there is none of that number."""
        if not 0 <= number < self.count:
            raise TraceError(self.file, f"record {number}", f"the trace has {self.count} records, from 0 on")
        for record in self.records(number):
            return record
        raise TraceError(self.file, f"record {number}", "its frame ends before it")

    def threads_at(self, number: int) -> dict[int, ThreadEntry]:
        """The threads known just before record `number`, by thread number."""
        index = bisect_right(self._firsts, number) - 1
        if index < 0:
            return {}
        table, records = self._frame(index)
        threads = {entry[0]: entry for entry in table}
        for record in records:
            if record.number >= number:
                break
            threads.update((entry[0], entry) for entry in record.threads)
        return threads

    def image(self) -> bytes:
        """The embedded image file. Raises `TraceError` if it is damaged or not the one that the header names."""
        if self._image is None:
            raise TraceError(self.file, "", "the trace ends before its image")
        data = self._payload(self._image)
        if hashlib.sha256(data).digest() != self.header.image_sha256:
            raise self._bad(self._image.offset, "the image is not the one that the header names")
        return data

    def inputs(self) -> list[tuple[str, bytes]]:
        """The embedded inputs: name and bytes. Raises `TraceError` as `image` does."""
        if len(self._inputs) != len(self.header.inputs):
            raise TraceError(self.file, "", "the trace ends before its last input")
        found = []
        for (name, digest), block in zip(self.header.inputs, self._inputs, strict=True):
            data = self._payload(block)
            if hashlib.sha256(data).digest() != digest:
                raise self._bad(block.offset, f"input {name} is not the one that the header names")
            found.append((name, data))
        return found

    def raw_frames(self) -> Iterator[tuple[int, int, bytes]]:
        """Each frame: its first record's number, that past its last one, its uncompressed bytes."""
        for index, block in enumerate(self._frames):
            yield block.head.first, block.head.first + block.head.count, self._raw(index)

    def verify(self) -> int:
        """Read everything there is, compare all digests; returns the number of records. Raises `TraceError`."""
        if self._image is not None:
            self.image()
        if len(self._inputs) == len(self.header.inputs):
            self.inputs()
        digest = hashlib.blake2b(digest_size=32)
        count = 0
        for index in range(len(self._frames)):
            block = self._frames[index]
            digest.update(self._read(block.offset, block.head.stored))
            for _ in self._frame(index)[1]:
                count += 1
        if self.end is not None and digest.digest() != self.end.records_digest:
            raise TraceError(self.file, "end mark", "the records are not those that it was written for")
        return count

    def close(self) -> None:
        """Close the file, if this reader opened it."""
        if self._owned and hasattr(self, "_stream"):
            self._stream.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- blocks ----------------------------------------------------------------------------------------------

    def _open(self) -> Header:
        start = self._read(0, _START)
        if not start:
            raise TraceError(self.file, "", "the file is empty")
        if not start.startswith(MAGIC[: len(start)]):
            raise TraceError(self.file, "offset 0", "not a retrap trace")
        if len(start) < _START:
            raise self._bad(len(start), "the file ends within its first bytes")
        version = int.from_bytes(start[len(MAGIC) :], "little")
        if version != VERSION:
            reason = f"format version {version}; this program reads version {VERSION}"
            raise self._bad(len(MAGIC), reason)
        first = self._head(_START)
        if first is None or not self._whole(first):
            raise self._bad(_START, "the file ends within its header")
        if first.head.tag != Tag.HEADER:
            raise self._bad(_START, f"a {_name(first.head.tag)} block where the header belongs")
        try:
            header = parse_header(self._payload(first))
        except Malformed as error:
            raise self._bad(first.offset, f"header: {error}") from None
        self._scan(first.offset + first.head.stored, header)
        return header

    def _scan(self, offset: int, header: Header) -> None:
        """Note the blocks after the header, up to the end mark or the last whole block."""
        while True:
            block = self._head(offset)
            if block is None or not self._whole(block):
                return
            if self._image is None:
                expected = Tag.IMAGE
            elif len(self._inputs) < len(header.inputs):
                expected = Tag.INPUT
            else:
                expected = Tag.FRAME
            head = block.head
            if head.tag != expected and not (head.tag == Tag.END and expected == Tag.FRAME):
                raise self._bad(offset, f"a {_name(head.tag)} block where a {_name(expected)} block belongs")
            offset = block.offset + head.stored
            if head.tag == Tag.IMAGE:
                self._image = block
            elif head.tag == Tag.INPUT:
                self._inputs.append(block)
            elif head.tag == Tag.FRAME:
                self._add_frame(block)
            else:
                self._finish(block, offset)
                return

    def _add_frame(self, block: _Block) -> None:
        head = block.head
        if head.first != self.count:
            raise self._bad(block.offset, f"the frame starts with record {head.first} instead of {self.count}")
        if not head.count or head.count * CONTEXT_BYTES > head.raw:
            raise self._bad(block.offset, f"{head.raw} bytes cannot hold {head.count} records")
        self._frames.append(block)
        self._firsts.append(head.first)

    def _finish(self, block: _Block, offset: int) -> None:
        try:
            end = parse_end(self._payload(block))
        except Malformed as error:
            raise self._bad(block.offset, f"end mark: {error}") from None
        if end.records != self.count:
            raise self._bad(block.offset, f"the end mark counts {end.records} records, the frames {self.count}")
        if self._read(offset, 1):
            raise self._bad(offset, "there are bytes after the end mark")
        self.end = end

    def _head(self, offset: int) -> _Block | None:
        """The block at `offset`; None where the file ends before its head does."""
        data = self._read(offset, BLOCK_HEAD_BYTES)
        if len(data) < BLOCK_HEAD_BYTES:
            return None
        try:
            head = parse_block_head(data)
        except Malformed as error:
            raise self._bad(offset, str(error)) from None
        most = MAX_FRAME if head.tag == Tag.FRAME else MAX_RAW
        if head.raw > most:
            raise self._bad(offset, f"a block of {head.raw} bytes; the most is {most}")
        return _Block(head, offset + BLOCK_HEAD_BYTES)

    def _whole(self, block: _Block) -> bool:
        """Whether the file holds all of a block's payload."""
        head = block.head
        return not head.stored or len(self._read(block.offset + head.stored - 1, 1)) == 1

    def _payload(self, block: _Block) -> bytes:
        data = self._read(block.offset, block.head.stored)
        if checksum(data) != block.head.check:
            raise self._bad(block.offset, "the block is damaged (its checksum does not fit)")
        try:
            return decompress(data, block.head.raw)
        except Malformed as error:
            raise self._bad(block.offset, str(error)) from None

    def _raw(self, index: int) -> bytes:
        """A frame's uncompressed bytes; the last one is kept, for those who step through records one by one."""
        if self._inflated[0] != index:
            self._inflated = (index, self._payload(self._frames[index]))
        return self._inflated[1]

    def _frame(self, index: int) -> tuple[list[ThreadEntry], Iterator[Record]]:
        block = self._frames[index]
        head = block.head
        try:
            threads, records = decode_frame(self._raw(index), head.first, head.time, head.count)
        except Malformed as error:
            raise self._bad(block.offset, str(error)) from None
        return threads, self._guarded(records, block.offset)

    def _guarded(self, records: Iterator[Record], offset: int) -> Iterator[Record]:
        try:
            yield from records
        except Malformed as error:
            raise self._bad(offset, str(error)) from None

    def _read(self, offset: int, size: int) -> bytes:
        try:
            self._stream.seek(offset)
            return self._stream.read(size)
        except OSError as error:
            raise self._bad(offset, error.strerror or str(error)) from None

    def _bad(self, offset: int, reason: str) -> TraceError:
        return TraceError(self.file, f"offset {offset}", reason)


def _name(tag: bytes) -> str:
    """A block tag, for a message."""
    return tag.decode("ascii", "backslashreplace") if tag.isalnum() else repr(tag)
