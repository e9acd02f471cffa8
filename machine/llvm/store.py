"""The code cache on disk: compiled regions of earlier runs, found by the content of the page of their entry.

It lives in `$RETRAP_CACHE`, else `$XDG_CACHE_HOME/retrap`, else `~/.cache/retrap`; `RETRAP_CACHE=off` does
without. A file holds the regions that start in one page: its name is a digest of the page's bytes and address and
of everything that generated code depends on (format, library, host CPU, interpreter). A file that is torn,
altered, or someone else's is ignored. Files are replaced whole, so that any number of processes may share the
folder; the oldest go when it grows beyond `LIMIT`. A region is used only where the guest's bytes are those that
it was compiled from: `Record.digest`. Templates, which belong to no guest, are one file (`arm.templates`).
"""

from __future__ import annotations

import os
import platform
import struct
import sys
from contextlib import suppress
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Final, final

FORMAT: Final = 12
"""Raise it whenever generated code, `layout` or the file format changes its meaning."""

LIMIT: Final = 256 << 20
"""Bytes of all files."""

FILE_LIMIT: Final = 8 << 20
DIGEST: Final = 16


@final
class Record:
    """One region, as it is kept."""

    __slots__ = ("digest", "heads", "instructions", "key", "shape", "spans", "text")

    def __init__(
        self,
        shape: int,
        key: int,
        instructions: int,
        spans: tuple[tuple[int, int], ...],
        heads: tuple[int, ...],
        digest: bytes,
        text: bytes,
    ) -> None:
        self.shape: Final = shape  # | 2 if it calls `helpers`
        self.key: Final = key
        self.instructions: Final = instructions
        self.spans: Final = spans
        self.heads: Final = heads
        self.digest: Final = digest  # of the guest code that it stands for: `digest_of`
        self.text: Final = text  # host instructions, position-independent

    def pack(self) -> bytes:
        numbers = [x for span in self.spans for x in span] + list(self.heads)
        return b"".join(
            (
                _HEAD.pack(
                    self.shape, self.key, self.instructions, len(self.spans), len(self.heads), len(self.text)
                ),
                self.digest,
                struct.pack(f"<{len(numbers)}Q", *numbers),
                self.text,
            )
        )


_HEAD: Final = struct.Struct("<6I")


def digest_of(code: tuple[bytes, ...]) -> bytes:
    """Of the guest code in some spans."""
    return blake2b(b"".join(code), digest_size=DIGEST).digest()


def _unpack(data: bytes) -> list[Record]:
    """Raises `struct.error` for what is no list of records."""
    records, at = [], 0
    while at < len(data):
        shape, key, instructions, spans, heads, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        digest = data[at : at + DIGEST]
        at += DIGEST
        numbers = struct.unpack_from(f"<{2 * spans + heads}Q", data, at)
        at += 8 * len(numbers)
        pairs = tuple((numbers[2 * n], numbers[2 * n + 1]) for n in range(spans))
        text = data[at : at + length]
        at += length
        if len(text) != length:
            raise struct.error
        records.append(Record(shape, key, instructions, pairs, numbers[2 * spans :], digest, text))
    return records


def _host() -> str:
    """What generated code depends on besides the guest's."""
    features = ""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "model", "vendor_id")):
                features += line
            elif not line:
                break  # the first processor says it
    except OSError:
        features = platform.processor()
    return repr(
        (
            FORMAT,
            definitions(),
            _library(),
            sys.version,
            bytes.__basicsize__,
            platform.system(),
            platform.machine(),
            features,
        )
    )


def _library() -> bytes:
    """Identifies the installed llvmlite, without importing it (which takes longer than a warm start), nor the
    package database (which takes nearly as long). Raises `OSError` if there is none."""
    found = find_spec("llvmlite")
    if found is None or found.origin is None:
        raise FileNotFoundError("llvmlite")
    return Path(found.origin).with_name("_version.py").read_bytes()


def definitions() -> str:
    """Identifies what instructions mean and how they are lowered: code compiled from others must not be run."""
    machine = Path(__file__).parent.parent
    digest = blake2b(digest_size=DIGEST)
    for folder in ("arm", "ir", "llvm", "softfloat", "simd"):
        for path in sorted((machine / folder).rglob("*.py")):
            digest.update(path.relative_to(machine).as_posix().encode())
            digest.update(path.read_bytes())
    digest.update((machine / "context.py").read_bytes())
    return digest.hexdigest()


def default_folder() -> Path | None:
    """Where the cache is, as the environment says; None: nowhere."""
    said = os.environ.get("RETRAP_CACHE")
    if said is not None:
        return None if said in ("", "off", "0", "no") else Path(said)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        # A relative path is to be ignored (XDG Base Directory Specification).
        return Path(base) / "retrap" if base and Path(base).is_absolute() else Path.home() / ".cache" / "retrap"
    except RuntimeError:
        return None  # no home


@final
class Store:
    """The cache in one folder. No method raises for what is on the disk, or for a disk that is full."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder: Final = folder / "code"
        self.limit: Final = limit
        self._host: Final = blake2b(_host().encode(), digest_size=DIGEST).digest()

    def page_name(self, page: int, content: bytes) -> str:
        """The name under which regions that start in a virtual page with this content are kept."""
        return blake2b(self._host + page.to_bytes(4, "little") + content, digest_size=DIGEST).hexdigest()

    def regions(self, name: str) -> list[Record]:
        """What is kept under a name."""
        try:
            return _unpack(self.read(name) or b"")
        except struct.error:
            return []

    def add(self, name: str, records: list[Record]) -> None:
        """Keep these under a name, beside what is there; a later form of the same code replaces an earlier one."""
        kept: dict[tuple[int, bytes], Record] = {}
        for record in (*self.regions(name), *records):
            old = kept.get((record.key, record.digest))
            if old is None or record.shape & 1 >= old.shape & 1:
                kept[record.key, record.digest] = record
        data = b"".join(record.pack() for record in kept.values())
        if len(data) <= FILE_LIMIT:
            self.write(name, data)

    def special(self, title: str) -> str:
        """The name of something that belongs to this host, not to a guest."""
        return blake2b(self._host + title.encode(), digest_size=DIGEST).hexdigest()

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.folder / name).exists()

    def read(self, name: str) -> bytes | None:
        """The content of an intact file of ours."""
        try:
            with (self.folder / name).open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size > FILE_LIMIT + 64 or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
                    return None
                data = file.read()
        except OSError:
            return None
        content = data[DIGEST:]
        return content if self._sum(content) == data[:DIGEST] else None

    def _sum(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=DIGEST, key=self._host).digest()

    def write(self, name: str, data: bytes) -> None:
        """Put a file in its place at once."""
        import tempfile  # what it imports in turn takes longer than reading the cache

        temporary = ""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix="new-")
            with os.fdopen(handle, "wb") as file:
                file.write(self._sum(data) + data)
            Path(temporary).replace(self.folder / name)
        except OSError:
            if temporary:
                with suppress(OSError):
                    Path(temporary).unlink(missing_ok=True)

    def trim(self) -> None:
        """Drop the files written longest ago, until the rest is within the limit."""
        try:
            with os.scandir(self.folder) as found:
                files = sorted((e.stat().st_mtime_ns, e.stat().st_size, e.path) for e in found if e.is_file())
            total = sum(size for _, size, _ in files)
            for _, size, path in files:
                if total <= self.limit:
                    break
                Path(path).unlink(missing_ok=True)
                total -= size
        except OSError:
            return


def open_store() -> Store | None:
    """The cache that the environment asks for, if this host's code can be kept: see `arena`."""
    folder = default_folder()
    if folder is None or platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux":
        return None
    try:
        return Store(folder)
    except OSError:
        return None
