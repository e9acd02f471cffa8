"""The one exception that bad input can raise: what is wrong, where, in one line."""

from __future__ import annotations


class InputError(Exception):
    """An image, manifest, device tree or platform file that cannot be booted from.

    `file` names the input, `place` where in it (a line, a key path, a header or segment; may be empty),
    `reason` says what is wrong. Its text is the one line "file: place: reason".
    """

    def __init__(self, file: str, place: str, reason: str) -> None:
        super().__init__(file, place, reason)
        self.file = file
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return printable(": ".join(part for part in (self.file, self.place, self.reason) if part))


def printable(text: str) -> str:
    """`text` on one line: names and keys that come from hostile input may hold line ends and escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
