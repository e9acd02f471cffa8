"""The ABI of every release, as data: `release("16.0.0")`, `releases()`, `compare(a, b)`."""

from __future__ import annotations

from retrap.kernel.abi.catalog import BOOTABLE, RELEASES
from retrap.kernel.abi.comparison import Change, compare
from retrap.kernel.abi.release import Release


class UnknownRelease(KeyError):
    """No kernel of that name. Its text says what was asked for and which names there are."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"unknown kernel release {self.name!r}: known are {', '.join(releases())}"


def releases() -> tuple[str, ...]:
    """The names of all kernels that have a table, oldest first."""
    return tuple(r.name for r in RELEASES)


def bootable() -> tuple[str, ...]:
    """The names of those that the engine models, so that they can be booted, oldest first."""
    return tuple(r.name for r in RELEASES if r.name in BOOTABLE)


def release(name: str | None = None) -> Release:
    """The release of that name; `None`: the newest without MCS.

    An unambiguous beginning will do: "16" and "16.0" mean 16.0.0, "5" the newest of 5.x; a leading "v" or
    "seL4-" is ignored. Raises `UnknownRelease`.
    """
    if name is None:
        return max((r for r in RELEASES if not r.mcs and "." in r.name), key=_order)
    wanted = name.strip().lower().removeprefix("sel4-").removeprefix("v")
    for candidate in RELEASES:
        if candidate.name == wanted:
            return candidate
    beginning, dash, flavour = wanted.partition("-")
    matches = [
        r
        for r in RELEASES
        if beginning and r.name.startswith(beginning + ".") and r.name.partition("-")[2] == flavour
    ]
    if not matches or (dash and not flavour):
        raise UnknownRelease(name)
    return max(matches, key=_order)


def _order(r: Release) -> tuple[int, ...]:
    return tuple(int(part) for part in r.name.partition("-")[0].split("."))


__all__ = ["RELEASES", "Change", "Release", "UnknownRelease", "bootable", "compare", "release", "releases"]
