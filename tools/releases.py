"""`retrap kernels`: which kernels can be booted, and how two differ for user code."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from retrap.kernel import abi
from retrap.tools.display import table
from retrap.tools.errors import Status, UsageError


def command(a: str | None, b: str | None, as_json: bool) -> int:
    """List the kernels, or compare two; exit status 1 if those differ."""
    if a is None:
        return _list(as_json)
    if b is None:
        raise UsageError(f"kernels: name two kernels to compare; the known ones are {', '.join(abi.releases())}")
    try:
        left, right = abi.release(a), abi.release(b)
    except abi.UnknownRelease as error:
        raise UsageError(str(error)) from None
    changes = abi.compare(left, right)
    if as_json:
        sys.stdout.write(json.dumps([asdict(change) for change in changes], indent=2) + "\n")
    elif not changes:
        sys.stdout.write(f"{left.name} and {right.name}: no difference that user code can see\n")
    else:
        table(
            ("what", "name", left.name, right.name, "source"),
            [(c.category, c.name, c.old, c.new, c.source) for c in changes],
        )
    return Status.DIFFERENT if changes else Status.OK


def _list(as_json: bool) -> int:
    default = abi.release(None).name
    rows = [
        {
            "kernel": name,
            "tag": release.tag,
            "mcs": release.mcs,
            "syscalls": len(release.syscalls),
            "invocations": len(release.invocations),
            "object_types": len(release.object_types),
            "bootable": name in abi.bootable(),
            "default": name == default,
        }
        for name in abi.releases()
        for release in (abi.release(name),)
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return Status.OK
    table(
        ("kernel", "source tag", "system calls", "invocations", "object types", "boots"),
        [
            (
                row["kernel"], row["tag"], row["syscalls"], row["invocations"], row["object_types"],
                "default" if row["default"] else "yes" if row["bootable"] else "no: tables only",
            )
            for row in rows
        ],
        numeric=(2, 3, 4),
    )  # fmt: skip
    return Status.OK
