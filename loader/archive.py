"""CPIO archives in "newc" format, alone or inside another file, as seL4's boot loader carries them.

Read only: nothing is ever written to a file system, and names are refused that would mean a place in one.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import Final

from retrap.loader import layouts
from retrap.loader.errors import InputError

MAX_ENTRIES: Final = 1024
MAX_NAME: Final = 1024

_TRAILER: Final = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file of an archive."""

    name: str
    offset: int  # of its bytes, in the file that holds the archive
    data: bytes


def find(data: bytes, first_name: str) -> int | None:
    """Where the first archive starts whose first entry has that name; None if there is none.

    An archive with another first entry is passed over whole: a root task may carry one of its own.
    """
    wanted = first_name.encode() + b"\0"
    at = data.find(layouts.CPIO_MAGIC)
    while at >= 0:
        name_at = at + layouts.CPIO_HEADER_SIZE
        if data[name_at : name_at + len(wanted)] == wanted:
            return at
        at = data.find(layouts.CPIO_MAGIC, _past(data, at))
    return None


def _past(data: bytes, start: int) -> int:
    """The end of the entries that follow one another from `start`, as far as they are sound."""
    at = start
    while data.startswith(layouts.CPIO_MAGIC, at):
        try:
            header = layouts.cpio_header(data, at)
        except layouts.LayoutError:
            break
        content = start + _aligned(at + layouts.CPIO_HEADER_SIZE + header.name_size - start)
        following = start + _aligned(content + header.file_size - start)
        if following > len(data):
            break
        at = following
    return max(at, start + 1)


def read(file: str, data: bytes, start: int) -> tuple[Entry, ...]:
    """The regular files of the archive at `start`, in order. Raises `InputError` for a damaged or hostile one."""
    entries: list[Entry] = []
    seen: set[str] = set()
    at = start
    for number in range(MAX_ENTRIES):
        place = f"archive entry {number}"
        try:
            header = layouts.cpio_header(data, at)
        except layouts.LayoutError as error:
            raise InputError(file, place, f"truncated or damaged: {error}") from error
        if data[at : at + len(layouts.CPIO_MAGIC)] != layouts.CPIO_MAGIC:
            raise InputError(file, place, "does not start with the magic number 070701")
        name_at = at + layouts.CPIO_HEADER_SIZE
        if not 1 <= header.name_size <= MAX_NAME:
            raise InputError(file, place, f"has a name of {header.name_size} bytes")
        raw = data[name_at : name_at + header.name_size]
        # Names and contents are padded to four bytes, counted from the archive's start.
        content = start + _aligned(name_at + header.name_size - start)
        if len(raw) < header.name_size or content + header.file_size > len(data):
            size = header.file_size
            raise InputError(file, place, f"truncated: {size} bytes at {content:#x}, the file has {len(data)}")
        name = _name(file, place, raw)
        if name == _TRAILER:
            return tuple(entries)
        if stat.S_ISREG(header.mode) or not stat.S_IFMT(header.mode):
            if name in seen:
                raise InputError(file, place, f"a second file named {name}")
            seen.add(name)
            entries.append(Entry(name, content, data[content : content + header.file_size]))
        elif not stat.S_ISDIR(header.mode):
            raise InputError(file, place, f"{name} is not a regular file")
        at = start + _aligned(content + header.file_size - start)
    raise InputError(file, "archive", f"has no end within {MAX_ENTRIES} entries")


def _name(file: str, place: str, raw: bytes) -> str:
    name = raw.rstrip(b"\0").decode("utf-8", "backslashreplace").removeprefix("./")
    if not name or "\0" in name:
        raise InputError(file, place, "has an unusable name")
    if name.startswith("/") or ".." in name.split("/"):
        raise InputError(file, place, f"has the unsafe name {name}")
    return name


def _aligned(size: int) -> int:
    return (size + 3) & ~3
