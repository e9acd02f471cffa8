"""Reading input files: whatever the operating system says becomes one `InputError`."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from retrap.loader.errors import InputError

_REASONS: Final = {
    errno.ENOENT: "no such file",
    errno.EISDIR: "is a directory",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENAMETOOLONG: "name too long",
    errno.ENOTDIR: "no such file: a part of the path is not a directory",
}


def read_file(path: str | Path, limit: int) -> bytes:
    """The bytes of a file of at most `limit` bytes. Raises `InputError`."""
    try:
        with Path(path).open("rb") as file:
            # Bounded, because /dev/zero and the like never end.
            data = file.read(limit + 1)
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or "cannot be read")
        raise InputError(str(path), "", reason) from error
    except (ValueError, MemoryError) as error:  # a NUL in the name; no host memory
        raise InputError(str(path), "", f"cannot be read: {error or 'out of memory'}") from error
    if len(data) > limit:
        raise InputError(str(path), "", f"larger than {limit >> 20} MiB")
    return data
