"""How bad trace files are reported: one exception for callers, one for the code that meets the bytes."""

from __future__ import annotations


class TraceError(Exception):
    """A trace cannot be read or written. `str` is one line: file, place, reason."""

    def __init__(self, file: str, place: str, reason: str) -> None:
        super().__init__(file, place, reason)
        self.file = file
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        parts = (self.file, self.place, self.reason) if self.place else (self.file, self.reason)
        return ": ".join(parts)


class Malformed(Exception):
    """Bytes that do not follow the format. Internal: the reader adds file and offset and raises `TraceError`."""
