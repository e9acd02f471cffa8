"""Writing traces: the container, and the recorder that a run reports its kernel entries to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol, final

from retrap.kernel.abi.release import Release
from retrap.kernel.effects import Effects
from retrap.machine.context import Context
from retrap.traces.compression import compress
from retrap.traces.encode import Encoder
from retrap.traces.errors import TraceError
from retrap.traces.record import Outside, Record, ThreadEntry, effects_of, record_of
from retrap.traces.schema import (
    MAGIC,
    MAX_RAW,
    VERSION,
    BlockHead,
    EndMark,
    Header,
    Tag,
    build_block_head,
    build_end,
    build_header,
    checksum,
)  # fmt: skip

FRAME_RECORDS: Final = 4096
"""A frame ends after this many records …"""

FRAME_BYTES: Final = 4 << 20
"""… or this many uncompressed bytes, whichever comes first."""

DIGEST_INTERVAL: Final = 32_768
"""Default number of records between two state digests."""

_NO_CALL: Final = 1  # no system call has a positive number

_NOBODY: Final[list[ThreadEntry]] = []


class ThreadLike(Protocol):
    """What a trace wants to know of a kernel's thread."""

    @property
    def number(self) -> int: ...

    @property
    def address(self) -> int: ...

    @property
    def name(self) -> str: ...


@final
class ThreadWatch:
    """Notices threads that a kernel entry created or renamed.

    It has to look only when `threads` are no longer as many as are `known`, or after a call of `name_thread`.
    """

    __slots__ = ("known", "name_thread", "threads")

    def __init__(self, threads: Sequence[ThreadLike], release: Release) -> None:
        """`threads`: the kernel's live list, by thread number; it only ever grows."""
        self.threads: Final = threads
        self.known: Final[list[ThreadEntry]] = [_entry(thread) for thread in threads]
        """Every thread so far."""
        numbers = [call.number for call in release.syscalls if call.name == "DebugNameThread"]
        self.name_thread: Final = numbers[0] if numbers else _NO_CALL

    def changes(self, effects: Effects) -> list[ThreadEntry]:
        """The threads that this entry created or renamed."""
        threads = self.threads
        known = self.known
        if len(threads) == len(known) and effects.syscall != self.name_thread:
            return _NOBODY
        changed = [_entry(thread) for thread in threads[len(known) :]]
        known.extend(changed)
        if effects.syscall == self.name_thread:
            for number, thread in enumerate(threads):
                if thread.name != known[number][2]:
                    known[number] = _entry(thread)
                    changed.append(known[number])
        return changed


def _entry(thread: ThreadLike) -> ThreadEntry:
    return thread.number, thread.address, thread.name


@final
class Gathered:
    """What comes from outside between two kernel entries."""

    __slots__ = ("outside",)

    def __init__(self) -> None:
        self.outside: Outside | None = None
        """All of it, if there is anything."""

    @property
    def now(self) -> Outside:
        """To be added to."""
        if self.outside is None:
            self.outside = Outside()
        return self.outside

    def take(self) -> Outside | None:
        """All of it; afterwards there is nothing."""
        outside = self.outside
        self.outside = None
        return outside


@final
class Watch:
    """Makes a `Record` of every kernel entry of a live run, for those who show or compare instead of storing."""

    def __init__(
        self, threads: Sequence[ThreadLike], release: Release, report: Callable[[Record], None]
    ) -> None:
        self._threads: Final = ThreadWatch(threads, release)
        self._report: Final = report
        self._gathered: Final = Gathered()
        self._number = 0

    def interrupt(self, irq: int) -> None:
        """A device's interrupt: the next kernel entry is for it."""
        self._gathered.now.interrupts.append(irq)

    def worked(self, checks: int) -> None:
        """The interrupts came at this of the entry's preemption points."""
        self._gathered.now.work = checks

    def arrived(self, data: bytes, time: int) -> None:
        """Serial input came in."""
        self._gathered.now.arrived.append((time, data))

    def warned(self, text: str) -> None:
        """A device has something to say."""
        self._gathered.now.warnings.append(text)

    def before(self, context: Context) -> None:
        """Nothing to do: the effects will have the registers."""

    def after(self, effects: Effects) -> None:
        """Report the entry."""
        record = record_of(self._number, effects, effects.context)
        record.threads = self._threads.changes(effects)
        record.outside = self._gathered.take()
        self._number += 1
        self._report(record)


@final
class Container:
    """The blocks of a trace, written to any binary stream. Knows nothing of where the records come from."""

    def __init__(self, stream: BinaryIO, header: Header, image: bytes, inputs: Sequence[bytes] = ()) -> None:
        """Writes everything that precedes the records. Raises ValueError for what does not fit the format."""
        if hashlib.sha256(image).digest() != header.image_sha256:
            raise ValueError("the image is not the one that the header names")
        if [hashlib.sha256(data).digest() for data in inputs] != [digest for _, digest in header.inputs]:
            raise ValueError("the inputs are not those that the header names")
        self._stream: Final = stream
        self._digest: Final = hashlib.blake2b(digest_size=32)
        self.records = 0
        stream.write(MAGIC + VERSION.to_bytes(4, "little"))
        self._block(Tag.HEADER, build_header(header))
        self._block(Tag.IMAGE, image)
        for data in inputs:
            self._block(Tag.INPUT, data)

    def frame(self, data: bytes | bytearray, count: int, time: int) -> None:
        """Write `count` records; `time` is that of the record before them."""
        self._digest.update(self._block(Tag.FRAME, data, count, self.records, time))
        self.records += count

    def end(self, instructions: int, outcome: str, state_digest: bytes) -> None:
        """Write the end mark."""
        end = EndMark(self.records, instructions, outcome, state_digest, self._digest.digest())
        self._block(Tag.END, build_end(end))

    def _block(self, tag: bytes, data: bytes | bytearray, count: int = 0, first: int = 0, time: int = 0) -> bytes:
        """Write a block; its payload as stored."""
        if len(data) > MAX_RAW:
            raise ValueError(f"{len(data)} bytes are more than a block holds ({MAX_RAW})")
        payload = compress(data)
        head = BlockHead(tag, len(payload), len(data), count, first, time, checksum(payload))
        self._stream.write(build_block_head(head))
        self._stream.write(payload)
        # Whole blocks reach the file even if this process is killed.
        self._stream.flush()
        return payload


@final
class Recorder:
    """Records a run: give it every kernel entry, then `close` it. A watcher in the sense of the run loop.

    The file is `path` + ".partial" until it is closed; what a run leaves behind that ends otherwise is a trace
    that can be read up to its last whole frame. Raises `TraceError` where the file cannot be written.
    """

    def __init__(
        self,
        path: Path | BinaryIO,
        header: Header,
        image: bytes,
        threads: Sequence[ThreadLike],
        release: Release,
        digest: Callable[[], bytes],
        inputs: Sequence[bytes] = (),
    ) -> None:
        """`path` may be a binary stream, which is left open. `threads` and `digest` are the kernel's."""
        self._path: Final = path if isinstance(path, Path) else None
        self._file: Final = str(path) if isinstance(path, Path) else "trace in memory"
        self._threads: Final = ThreadWatch(threads, release)
        # What `ThreadWatch.changes` looks at first: nearly always that is all.
        self._live: Final = threads
        self._known: Final = self._threads.known
        self._name_thread: Final = self._threads.name_thread
        self._digest: Final = digest
        self._interval: Final = header.digest_interval
        self._encoder: Final = Encoder()
        self._bytes: Final = self._encoder.out
        self._gathered: Final = Gathered()
        self._count = 0
        self._time = 0
        self._until_digest = self._interval
        try:
            self._stream: Final = _partial(path).open("wb") if isinstance(path, Path) else path
            self._container: Final = Container(self._stream, header, image, inputs)
        except (OSError, ValueError) as error:
            raise self._failed(error) from None
        self._encoder.start(0, self._threads.known)

    @property
    def records(self) -> int:
        """How many records there are so far."""
        return self._container.records + self._count

    def before(self, context: Context) -> None:
        """Nothing to do: the effects will have the registers."""

    def interrupt(self, irq: int) -> None:
        """A device's interrupt: the next kernel entry is for it."""
        self._gathered.now.interrupts.append(irq)

    def worked(self, checks: int) -> None:
        """The interrupts came at this of the entry's preemption points."""
        self._gathered.now.work = checks

    def arrived(self, data: bytes, time: int) -> None:
        """Serial input came in."""
        self._gathered.now.arrived.append((time, data))

    def warned(self, text: str) -> None:
        """A device has something to say."""
        self._gathered.now.warnings.append(text)

    def after(self, effects: Effects) -> None:
        """Record the kernel entry."""
        self._until_digest -= 1
        if (
            not self._until_digest
            or self._gathered.outside is not None
            or len(self._live) != len(self._known)
            or effects.syscall == self._name_thread
        ):
            digest = b""
            if not self._until_digest:
                self._until_digest = self._interval
                digest = self._digest()
            self._put(effects, effects.context, self._threads.changes(effects), self._gathered.take(), digest)
            return
        self._encoder.add_entry(effects, effects.context)
        self._count += 1
        if self._count == FRAME_RECORDS or len(self._bytes) >= FRAME_BYTES:
            self._end_frame(effects.time)

    @property
    def encoder(self) -> Encoder:
        """What encodes the records of the frame that is being filled."""
        return self._encoder

    def room(self) -> int:
        """How many records fit in before one that ends a frame, has a digest, or something from outside."""
        if self._gathered.outside is not None:
            return 0
        return min(FRAME_RECORDS - self._count, self._until_digest) - 1

    def append(self, records: memoryview, count: int, contexts: dict[int, memoryview], time: int) -> None:
        """Add `count` records that were encoded elsewhere, no more than there is room for (`Encoder.append`)."""
        self._encoder.append(records, contexts, time)
        self._count += count
        self._until_digest -= count

    def write(self, record: Record) -> None:
        """Add a record that exists already, digest and all (for tools that make traces from traces)."""
        self._put(effects_of(record), record.context, record.threads, record.outside, record.digest)

    def _put(
        self,
        effects: Effects,
        context: bytes,
        threads: list[ThreadEntry],
        outside: Outside | None,
        digest: bytes,
    ) -> None:
        encoder = self._encoder
        encoder.add(effects, context, threads, outside, digest)
        self._count += 1
        if self._count == FRAME_RECORDS or len(self._bytes) >= FRAME_BYTES:
            self._end_frame(effects.time)

    def _end_frame(self, time: int) -> None:
        self._flush()
        self._time = time
        self._encoder.start(time, self._threads.known)

    def _flush(self) -> None:
        try:
            self._container.frame(self._bytes.getvalue(), self._count, self._time)
        except (OSError, ValueError) as error:
            raise self._failed(error) from None
        self._count = 0

    def close(self, instructions: int, outcome: str, state_digest: bytes) -> None:
        """Write what is left and the end mark, and give the file its name."""
        if self._count:
            self._flush()
        try:
            self._container.end(instructions, outcome, state_digest)
            if self._path is not None:
                self._stream.close()
                _partial(self._path).replace(self._path)
        except OSError as error:
            raise self._failed(error) from None

    def abandon(self) -> None:
        """Write what is left without an end mark: the trace stays a `.partial` that says it is incomplete."""
        if self._count:
            self._flush()
        if self._path is not None:
            self._stream.close()

    def _failed(self, error: OSError | ValueError) -> TraceError:
        return TraceError(self._file, "", getattr(error, "strerror", None) or str(error))


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")
