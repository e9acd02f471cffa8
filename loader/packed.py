"""Packed boot images, as seL4's build leaves them: an ELF loader or an archive with kernel, tree, root task.

Names and order are those of the boot loader (seL4_tools elfloader, load_images): `kernel.elf`, `kernel.dtb` if
there is one, then the root task under any name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from retrap.loader import archive, layouts
from retrap.loader.archive import Entry
from retrap.loader.errors import InputError

KERNEL: Final = "kernel.elf"
DEVICE_TREE: Final = "kernel.dtb"
_HASHES: Final = frozenset(("kernel.bin", "app.bin"))
"""Digests that the boot loader can check; not images."""


@dataclass(frozen=True, slots=True)
class Packed:
    """The parts of a packed boot image. `container` says what holds them."""

    container: str
    root: Entry
    kernel: Entry | None
    device_tree: Entry | None
    others: tuple[Entry, ...]  # further root tasks and digests, which are not used

    def parts(self) -> tuple[tuple[str, Entry], ...]:
        """What each file of the archive is for, in the order of the archive."""
        named = (("kernel", self.kernel), ("device tree", self.device_tree), ("root task", self.root))
        found = [(role, entry) for role, entry in named if entry is not None]
        found += [("not used", entry) for entry in self.others]
        return tuple(sorted(found, key=lambda part: part[1].offset))


def unpack(file: str, data: bytes) -> Packed | None:
    """The parts of a packed boot image; None if `data` is none. Raises `InputError` for a damaged one."""
    if data.startswith(layouts.CPIO_MAGIC):
        start, container = 0, "CPIO archive"
    else:
        found = archive.find(data, KERNEL)
        if found is None:
            return None
        start, container = found, "ELF loader" if data.startswith(b"\x7fELF") else "boot loader"
    entries = archive.read(file, data, start)
    by_name = {entry.name: entry for entry in entries}
    roots = [e for e in entries if e.name not in (KERNEL, DEVICE_TREE) and e.name not in _HASHES]
    if not roots:
        names = ", ".join(by_name) or "nothing"
        raise InputError(file, "archive", f"has no root task: it holds {names}")
    used = {KERNEL, DEVICE_TREE, roots[0].name}
    return Packed(
        container=container,
        root=roots[0],
        kernel=by_name.get(KERNEL),
        device_tree=by_name.get(DEVICE_TREE),
        others=tuple(entry for entry in entries if entry.name not in used),
    )
