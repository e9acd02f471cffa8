"""How the values of a call look in text: numbers, rights, attributes, registers, capabilities."""

from __future__ import annotations

from typing import Final

from retrap.machine.traps import FaultStatus
from retrap.traces.calls import Argument, Names, Value

_RIGHTS: Final = ((2, "Read"), (1, "Write"), (4, "Grant"), (8, "GrantReply"))
_ATTRIBUTES: Final = ((1, "Cacheable"), (2, "Parity"), (4, "ExecuteNever"))
_ALL_RIGHTS: Final = 15

_ADDRESSES: Final = frozenset(
    (
        "vaddr", "buffer", "paddr", "start", "end", "tls_base", "badge", "cspace_root_data", "vspace_root_data",
        "ip", "sp", "lr", "cpsr", "fsr", "address", "cptr",
    )
)  # fmt: skip
"""Parameters that are read in hexadecimal, however small."""

_STATUS: Final = {
    FaultStatus.ALIGNMENT: "alignment",
    FaultStatus.DEBUG: "debug event",
    FaultStatus.TRANSLATION_SECTION: "translation, section",
    FaultStatus.TRANSLATION_PAGE: "translation, page",
    FaultStatus.EXTERNAL: "external abort",
    FaultStatus.PERMISSION_SECTION: "permission, section",
    FaultStatus.PERMISSION_PAGE: "permission, page",
}

ERROR_WORDS: Final = {
    1: ("argument",),
    2: ("capability",),
    4: ("min", "max"),
    6: ("source", "lookup"),
    10: ("available",),
}
"""What the words of an error reply mean, by seL4_Error (manual, table of errors)."""

FAULT_WORDS: Final = {
    "CapFault": ("ip", "cptr", "in_receive", "lookup", "bits_left", "guard_or_bits", "bits_found"),
    "VMFault": ("ip", "address", "prefetch", "fsr"),
    "UnknownSyscall": ("r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "ip", "sp", "lr", "cpsr", "syscall"),
    "UserException": ("ip", "sp", "cpsr", "number", "code"),
}
"""What the words of a fault message mean, by fault (manual, chapter 6)."""

LOOKUP_FAILURES: Final = ("none", "InvalidRoot", "MissingCapability", "DepthMismatch", "GuardMismatch")


def number(value: int, name: str = "") -> str:
    """A number: small ones in decimal, addresses and large ones in hexadecimal."""
    if -1000 < value < 1000 and (name not in _ADDRESSES or value == 0):
        return str(value)
    return f"{value:#x}"


def words(values: list[int]) -> str:
    """A list of message words."""
    return f"[{', '.join(number(value) for value in values)}]"


def named_words(names: tuple[str, ...], values: list[int]) -> str:
    """Words with the names that they have in a message; those beyond the names by position."""
    parts = []
    for index, value in enumerate(values):
        name = names[index] if index < len(names) else f"mr{index}"
        if name == "lookup" and value < len(LOOKUP_FAILURES):
            parts.append(f"{name}={LOOKUP_FAILURES[value]}")
        else:
            parts.append(f"{name}={number(value, name)}")
    return ", ".join(parts)


def flags(value: int, names: tuple[tuple[int, str], ...]) -> str:
    """A set of bits by name, what is left over as a number."""
    found = [name for bit, name in names if value & bit]
    rest = value & ~sum(bit for bit, _ in names)
    if rest or not found:
        found.append(number(rest))
    return "|".join(found)


def status(value: int) -> str:
    """A fault status register's value."""
    kind = _STATUS.get(value & 0x40F, "unknown")
    access = "write, " if value & FaultStatus.WRITE else ""
    return f"{value:#x} ({access}{kind})"


def value_text(value: Value, names: Names, ctype: str = "seL4_Word", name: str = "") -> str:
    """An argument's or result's value."""
    if value is None:
        return "nothing"
    if isinstance(value, tuple):
        return names.capability(value)
    if isinstance(value, list):
        return words(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{register}={number(word)}' for register, word in value.items())}}}"
    if isinstance(value, str):
        return f'"{_escaped(value)}"' if ctype == "string" else value
    return _integer(value, ctype, name)


def _integer(value: int, ctype: str, name: str) -> str:
    match ctype:
        case "seL4_CapRights_t":
            return "AllRights" if value == _ALL_RIGHTS else flags(value, _RIGHTS)
        case "seL4_ARM_VMAttributes":
            return flags(value, _ATTRIBUTES)
        case "char":
            return repr(chr(value))
        case "address":
            return f"{value:#x}"
        case "fault status":
            return status(value)
    return number(value, name)


def argument(given: Argument, names: Names) -> str:
    """`name=value`. A capability that was not found is shown as the pointer that was passed."""
    if given.value is None and given.pointer is not None:
        return f"{given.name}={given.pointer:#x}"
    return f"{given.name}={value_text(given.value, names, given.ctype, given.name)}"


def _escaped(text: str) -> str:
    """Text that stays on one line."""
    return text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
