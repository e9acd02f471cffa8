"""How two releases differ for user code: every row of their tables and every fact, each with its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from retrap.kernel.abi.catalog import RELEASES
from retrap.kernel.abi.fact_notes import NOTES, PAPER
from retrap.kernel.abi.packing import Place, message_layout
from retrap.kernel.abi.release import BootInfoLayout, Facts, Invocation, Release, Syscall
from retrap.machine.context import Slot

ABSENT = "-"
"""Stands for a row that one of the two does not have."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `old` and `new` are for people; `source` is "tag: path", several separated by "; "."""

    category: str
    name: str
    old: str
    new: str
    source: str


def compare(left: Release, right: Release) -> list[Change]:
    """All differences, by category in the order of the tables, then the facts. Equal releases give none."""
    changes: list[Change] = []
    for category, rows in _TABLES.items():
        old, new = rows(left), rows(right)
        title = category.replace("_", " ")
        # Rows of the right-hand table in its order, then what it lacks.
        for name in (*new, *(name for name in old if name not in new)):
            if old.get(name) != new.get(name):
                source = f"{right.tag}: {right.sources[_source_key(category, name)]}"
                changes.append(Change(title, name, old.get(name, ABSENT), new.get(name, ABSENT), source))
    return changes + _facts(left, right)


def _source_key(category: str, name: str) -> str:
    """The key of `Release.sources` for one row: some tables come from several files."""
    if category == "invocations" and name.startswith("ARM"):
        return "invocations of aarch32" if name.startswith("ARMPD") else "invocations of arm"
    if category == "constants" and name.startswith("seL4_"):
        return "constants of libsel4"
    if category == "constants" and name == "CONFIG_PADDR_USER_DEVICE_TOP":
        return "constants of arm"
    return category


def _facts(left: Release, right: Release) -> list[Change]:
    changes = []
    for field in fields(Facts):
        old, new = getattr(left.facts, field.name), getattr(right.facts, field.name)
        if old != new:
            changes.append(
                Change("behaviour", field.name, shown(old), shown(new), _sources(field.name, left, right))
            )
    return changes


def shown(value: object) -> str:
    """A fact's value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "none"


def _sources(fact: str, left: Release, right: Release) -> str:
    """The sources of the changes between the two; of all changes, where no tag lies between them."""
    known = NOTES[fact].sources
    order = [release.tag for release in RELEASES]
    places = sorted(order.index(r.tag) if r.tag in order else -1 for r in (left, right))
    between = [tag for tag in known if places[0] < order.index(tag) <= places[1]]
    places_shown = [f"{tag}: {known[tag]}" for tag in between or known]
    if left.tag == "paper" or right.tag == "paper":
        places_shown.insert(0, f"paper: {PAPER.get(fact, 'silent')}")
    return "; ".join(places_shown)


# --- one function a table: its rows as name → text


def _syscalls(r: Release) -> dict[str, str]:
    def text(call: Syscall) -> str:
        return f"{call.number} {call.spelling}" + (f" ({call.requires})" if call.requires else "")

    return {call.name: text(call) for call in r.syscalls}


def _invocations(r: Release) -> dict[str, str]:
    return {
        invocation.label: f"{number} {signature(invocation, len(r.user_context))}"
        for number, invocation in enumerate(r.invocations)
        if invocation.method
    }


def signature(invocation: Invocation, registers: int) -> str:
    """An invocation as one line: function, capabilities, message words by number, results."""
    layout = message_layout(invocation, registers)
    parts = [f"{cap.name}=cap {number}" for number, cap in enumerate(layout.caps)]
    parts += [f"{place.parameter.name}={_where(place)}" for place in layout.inputs]
    inside = ", ".join(parts)
    results = ", ".join(p.parameter.name for p in layout.outputs)
    return f"{invocation.method}({inside})" + (f" -> {results}" if results else "")


def _where(place: Place) -> str:
    """A parameter's place: "MR1", of a narrow one its bits: "MR0[15:8]", of several words the first and last."""
    if place.words > 1:
        return f"MR{place.word}..{place.word + place.words - 1}"
    if place.parameter.bits == 32:
        return f"MR{place.word}"
    return f"MR{place.word}[{place.shift + place.parameter.bits - 1}:{place.shift}]"


def _object_types(r: Release) -> dict[str, str]:
    rows = {}
    for number, kind in enumerate(r.object_types):
        sizes = {
            "": kind.size_bits,
            " with FPU": kind.fpu_bits,
            " in debug builds": kind.debug_bits,
        }
        shown = ", ".join(f"2^{bits}{when}" for when, bits in sizes.items() if bits is not None)
        rows[kind.name] = f"{number} {kind.spelling}" + (f" {shown}" if shown else "")
    return rows


def _numbers(table: Mapping[str, int]) -> dict[str, str]:
    return {name: str(value) for name, value in table.items()}


def _bootinfo(r: Release) -> dict[str, str]:
    layout: BootInfoLayout = r.bootinfo
    rows = {f.name: f"+{f.offset}, {f.size} bytes" for f in (*layout.fields, *layout.lists)}
    rows.update({f"seL4_UntypedDesc.{f.name}": f"+{f.offset}" for f in layout.untyped_desc})
    rows["size"] = str(layout.size)
    return rows


def _user_context(r: Release) -> dict[str, str]:
    return {register_name(slot): str(number) for number, slot in enumerate(r.user_context)}


def register_name(slot: int) -> str:
    """A register of seL4_UserContext as libsel4 names it; the slot is of `machine.context`, -1 the CPSR."""
    return _REGISTERS.get(slot, f"r{slot}")


_REGISTERS = {
    -1: "cpsr",
    Slot.PC: "pc",
    Slot.SP: "sp",
    Slot.LR: "r14",
    Slot.TPIDRURW: "tpidrurw",
    Slot.TPIDRURO: "tpidruro",
}

_TABLES: dict[str, Callable[[Release], dict[str, str]]] = {
    "syscalls": _syscalls,
    "invocations": _invocations,
    "object_types": _object_types,
    "fault_labels": lambda r: _numbers(r.fault_labels),
    "errors": lambda r: {name: str(number) for number, name in enumerate(r.errors)},
    "cap_types": lambda r: _numbers(r.cap_types),
    "boot_slots": lambda r: {name: str(slot) for slot, name in enumerate(r.boot_slots) if name},
    "bootinfo": _bootinfo,
    "user_context": _user_context,
    "constants": lambda r: _numbers(r.constants),
}
