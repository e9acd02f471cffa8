"""Macros that let one C source be compiled for many releases: what a release has, by name, never by number.

`RETRAP_HAS_…` names a system call or an invocation label, `RETRAP_BOOTINFO_…` a member of seL4_BootInfo,
`RETRAP_FACT_…` a behaviour fact (1 or 0, a number, or 1 for the choice that its name ends with). What a release
lacks is not defined, which `#if` takes for 0.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import fields

from retrap.kernel.abi.release import Facts, Release


def features(table: Release, syscalls: AbstractSet[str]) -> str:
    """The macros of one release, in whose build those system calls exist."""
    names = [f"RETRAP_HAS_{call.name}" for call in table.syscalls if call.name in syscalls]
    names += [f"RETRAP_HAS_{invocation.label}" for invocation in table.invocations]
    layout = table.bootinfo
    names += [f"RETRAP_BOOTINFO_{member.name}" for member in (*layout.fields, *layout.lists)]
    lines = [f"#define {name} 1" for name in names]
    for fact in fields(Facts):
        lines += _fact(fact.name, getattr(table.facts, fact.name))
    return "\n".join(lines) + "\n"


def _fact(name: str, value: bool | int | str) -> list[str]:
    """The macro of one fact; a choice that is none (the empty string) has no macro."""
    macro = f"RETRAP_FACT_{name.upper()}"
    if isinstance(value, str):
        return [f"#define {macro}_{value.upper().replace('-', '_')} 1"] if value else []
    return [f"#define {macro} {int(value)}"]


def new_names(table: Release, newest: Release) -> str:
    """The newest release's names for what this one has under an older name."""
    new_kinds = {kind.name: kind.spelling for kind in newest.object_types}
    new_methods = {i.label: i.method for i in newest.invocations}
    pairs = [(new_kinds.get(kind.name, kind.spelling), kind.spelling) for kind in table.object_types]
    pairs += [(new_methods.get(i.label, i.method), i.method) for i in table.invocations]
    return "".join(f"#define {new} {old}\n" for new, old in pairs if new != old and old)
