"""Choosing records: the expressions of `retrap show -e`, in the manner of strace.

    -e seL4_Untyped_Retype,TCB     these calls (method, interface, label, system call; `*` and `?` match)
    -e trace=ipc,fault             these calls or classes: invocation ipc debug fault interrupt other
    -e '!debug', -e 'trace=!debug' all but these
    -e error=RangeError            refused with one of these errors ("any": with any error)
    -e outcome=blocked,dead        which ended so
    -e thread=server,2             of these threads, by name or number

Expressions are joined by "and".
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, final

from retrap.kernel.abi.release import Release
from retrap.kernel.effects import Outcome
from retrap.traces.calls import Call, Decoder, Names
from retrap.traces.record import Record
from retrap.traces.show import OUTCOME_NAMES, outcome_name

CLASSES: Final = ("invocation", "ipc", "debug", "fault", "interrupt", "other")

FAILED: Final = frozenset((Outcome.ERROR, Outcome.FAULT, Outcome.DEAD, Outcome.CRASHED))
"""Outcomes that `--failed` shows."""

_KEYS: Final = ("trace", "error", "outcome", "thread")
_EXCEPTIONS: Final = ("Undefined", "PrefetchAbort", "DataAbort", "Breakpoint", "Interrupt", "UnknownSyscall")


class FilterError(ValueError):
    """An expression that says nothing. `str` is one line."""


@final
class Clause:
    """One expression: a key, whether it is negated, and lower-case patterns."""

    __slots__ = ("key", "negated", "patterns")

    def __init__(self, key: str, negated: bool, patterns: tuple[str, ...]) -> None:
        self.key: Final = key
        self.negated: Final = negated
        self.patterns: Final = patterns


def parse(expression: str, release: Release) -> Clause:
    """The clause that an expression means. Raises `FilterError`; a call that the release lacks is an error."""
    key, equals, rest = expression.strip().partition("=")
    outer = key.startswith("!")
    key = key.removeprefix("!").strip().lower()
    if not equals:
        key, outer, rest = "trace", False, expression
    if key not in _KEYS:
        raise FilterError(f"{expression!r}: {key!r} is none of {', '.join(_KEYS)}")
    rest = rest.strip()
    negated = rest.startswith("!") != outer
    patterns = tuple(part.strip().lower() for part in rest.removeprefix("!").split(",") if part.strip())
    if not patterns:
        raise FilterError(f"{expression!r}: nothing to match")
    known = _known(key, release)
    for pattern in patterns:
        if known and not any(fnmatchcase(name, pattern) for name in known):
            raise FilterError(f"{expression!r}: {release.name} has nothing called {pattern!r}")
    return Clause(key, negated, patterns)


def _known(key: str, release: Release) -> set[str]:
    """The lower-case names that a key's patterns can match; empty if anything goes."""
    match key:
        case "outcome":
            return set(OUTCOME_NAMES)
        case "error":
            return {name.lower() for name in _error_names(release.errors)} | {"any", "all"}
        case "thread":
            return set()
    names = {*CLASSES, *_EXCEPTIONS, "all", "CapFault", "VMFault", "UserException"}
    for invocation in release.invocations:
        names |= set(_spellings(invocation.method, invocation.label, invocation.interface))
    for call in release.syscalls:
        names |= set(_spellings("seL4_" + call.spelling.removeprefix("seL4_Sys"), call.name))
    return {name.lower() for name in names if name}


def _spellings(*names: str) -> Iterable[str]:
    for name in names:
        yield name
        yield name.removeprefix("seL4_")


def _error_names(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        yield from (name, name.removeprefix("seL4_"))


@final
class Filter:
    """Whether a record is wanted. Records must be given in order, so that thread names are known."""

    def __init__(self, release: Release, expressions: Iterable[str] = (), *, failed: bool = False) -> None:
        """Raises `FilterError`."""
        self._clauses: Final = [parse(expression, release) for expression in expressions]
        self._failed: Final = failed

    def wants(self, record: Record, decoder: Decoder, names: Names) -> bool:
        """Whether all expressions hold for the record. Also notes the threads that it names."""
        names.update(record)
        if self._failed and record.outcome not in FAILED:
            return False
        if not self._clauses:
            return True
        call = decoder.call(record)
        return all(self._holds(clause, record, call, decoder, names) for clause in self._clauses)

    def _holds(self, clause: Clause, record: Record, call: Call, decoder: Decoder, names: Names) -> bool:
        match clause.key:
            case "thread":
                found = {str(record.thread), names.thread(record.thread)}
            case "outcome":
                found = {outcome_name(record.outcome)}
            case "error":
                found = {"any", "all", *_error_names((decoder.error(record.error),))} if record.error else set()
            case _:
                found = {"all", call.category, record.fault}
                found |= set(_spellings(call.name, call.canonical, call.interface, call.syscall))
                if record.fault:
                    found.add("fault")
        lowered = [name.lower() for name in found if name]
        held = any(fnmatchcase(name, pattern) for pattern in clause.patterns for name in lowered)
        return held != clause.negated
