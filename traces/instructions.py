"""Instruction traces: the address of every instruction that retired, which thread retired it, in a file.

A file of its own beside the trace of kernel entries (`docs/instruction-trace.md` describes it). The same run gives
the same bytes, whatever the backend.
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, final

from retrap.traces.compression import compress, decompress
from retrap.traces.errors import Malformed, TraceError

MAGIC: Final = b"\x89RTPC\r\n\x1a"
VERSION: Final = 1
_START: Final = struct.Struct("<II")  # version, bytes of the header
_FRAME: Final = struct.Struct("<4I")  # instructions, stretches, compressed bytes of either
_END: Final = struct.Struct("<4IQ")  # four zeroes, then all instructions
MAX_HEADER: Final = 1 << 20
MAX_FRAME: Final = 1 << 24
"""Instructions, or stretches, of a frame that a reader believes."""


@final
class InstructionWriter:
    """Writes a file. It is `NAME.partial` until it is closed."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        """Raises `TraceError` if the file cannot be written."""
        self.path: Final = path
        self.partial: Final = path.with_name(path.name + ".partial")
        self.instructions = 0
        self._threads: Final = array("I")
        self._counts: Final = array("I")
        text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
        try:
            self._file: Final[BinaryIO] = self.partial.open("wb")
            self._file.write(MAGIC + _START.pack(VERSION, len(text)) + text)
        except OSError as error:
            raise self._failed(error) from None

    def stretch(self, thread: int, count: int) -> None:
        """The next `count` instructions were this thread's; a kernel entry followed, or the frame is full."""
        self._threads.append(thread)
        self._counts.append(count)

    def frame(self, addresses: memoryview) -> None:
        """Write a frame: words of addresses, as the stretches since the last one say."""
        pairs = array("I", (x for pair in zip(self._threads, self._counts, strict=True) for x in pair))
        count, stretches = len(addresses), len(self._threads)
        if not count and not stretches:
            return
        words, switches = compress(_little(addresses.cast("B"))), compress(_little(memoryview(pairs).cast("B")))
        del self._threads[:], self._counts[:]
        self.instructions += count
        try:
            self._file.write(_FRAME.pack(count, stretches, len(words), len(switches)) + words + switches)
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Write the end mark and give the file its name."""
        try:
            self._file.write(_END.pack(0, 0, 0, 0, self.instructions))
            self._file.close()
            self.partial.replace(self.path)
        except OSError as error:
            raise self._failed(error) from None

    def abandon(self) -> None:
        """Leave the `.partial` as it is."""
        self._file.close()

    def _failed(self, error: OSError) -> TraceError:
        return TraceError(str(self.path), "", f"cannot be written: {error.strerror or error}")


def _little(data: memoryview) -> bytes:
    if sys.byteorder == "little":
        return bytes(data)
    words = array("I", bytes(data))
    words.byteswap()
    return words.tobytes()


@final
class InstructionReader:
    """Reads a file. `header` is what the writer was given; `frames` are read as they are asked for."""

    def __init__(self, path: Path) -> None:
        """Raises `TraceError` for what is no instruction trace."""
        self.path: Final = path
        self.complete = False
        """After `frames`: whether the end mark was there."""
        try:
            self._file: Final[BinaryIO] = path.open("rb")
        except OSError as error:
            raise TraceError(str(path), "", f"cannot be read: {error.strerror or error}") from None
        try:
            self.header: Final = self._head()
        except TraceError:
            self._file.close()
            raise

    def __enter__(self) -> InstructionReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _head(self) -> dict[str, Any]:
        name = str(self.path)
        head = self._file.read(len(MAGIC) + _START.size)
        if head[: len(MAGIC)] != MAGIC or len(head) < len(MAGIC) + _START.size:
            raise TraceError(name, "", "is no instruction trace")
        version, length = _START.unpack_from(head, len(MAGIC))
        if version != VERSION:
            raise TraceError(name, "header", f"version {version}; this retrap reads {VERSION}")
        text = self._file.read(min(length, MAX_HEADER))
        try:
            header = json.loads(text)
        except ValueError:
            header = None
        if length > MAX_HEADER or not isinstance(header, dict):
            raise TraceError(name, "header", "is damaged")
        return header

    def frames(self) -> Iterator[tuple[array[int], list[tuple[int, int]]]]:
        """(addresses, [(thread, count), …]) of each frame. Ends at the last whole frame of a torn file; raises
        `TraceError` for a damaged one."""
        total = 0
        while True:
            at = self._file.tell()
            head = self._file.read(_FRAME.size)
            if len(head) < _FRAME.size:
                return
            count, stretches, first, second = _FRAME.unpack(head)
            if not count and not stretches:
                end = self._file.read(8)
                self.complete = len(end) == 8 and int.from_bytes(end, "little") == total
                if len(end) == 8 and not self.complete:
                    raise TraceError(str(self.path), f"byte {at}", "the end mark counts other instructions")
                return
            if count > MAX_FRAME or stretches > MAX_FRAME or max(first, second) > 8 * MAX_FRAME:
                raise TraceError(str(self.path), f"byte {at}", "a frame of impossible size")
            data = self._file.read(first + second)
            if len(data) < first + second:
                return
            try:
                words = _words(decompress(data[:first], 4 * count))
                pairs = _words(decompress(data[first:], 8 * stretches))
            except Malformed as error:
                raise TraceError(str(self.path), f"byte {at}", str(error)) from None
            switches = list(zip(pairs[::2], pairs[1::2], strict=True))
            if sum(n for _, n in switches) != count:
                raise TraceError(str(self.path), f"byte {at}", "its threads' instructions do not add up")
            total += count
            yield words, switches


def _words(data: bytes) -> array[int]:
    words = array("I", data)
    if sys.byteorder == "big":
        words.byteswap()
    return words
