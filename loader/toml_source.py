"""TOML text that remembers where its keys are, so that an error about a value can say the line.

tomllib parses; a small scanner of its own finds the lines of table headers and keys, statement by statement.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final, final

from retrap.loader.errors import InputError

_KEY_PART: Final = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")
_OPENERS: Final = ('"""', "'''", '"', "'")
_SYNTAX_PLACE: Final = re.compile(
    r"^(?P<reason>.*?)\s*\((?:at line (?P<line>\d+), column \d+|at end of document)\)$", re.S
)


@final
class TomlSource:
    """A parsed TOML file. `data` is what it says; `place` turns a key path into something people can find."""

    def __init__(self, name: str, text: bytes) -> None:
        """Raises `InputError` for anything that is not TOML."""
        self.name: Final = name
        try:
            self.text: Final = text.decode("utf-8")
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            raise InputError(name, f"line {line}", "is not UTF-8 text") from error
        try:
            self.data: Final[dict[str, Any]] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            match = _SYNTAX_PLACE.match(str(error))
            line_number = match["line"] if match and match["line"] else str(self.text.count("\n") + 1)
            reason = match["reason"] if match else str(error)
            raise InputError(name, f"line {line_number}", f"is not valid TOML: {reason}") from error
        except RecursionError as error:
            raise InputError(name, "", "is not valid TOML: nested too deeply") from error
        except (ValueError, OverflowError) as error:  # numbers and dates that Python refuses
            raise InputError(name, "", f"is not valid TOML: {error}") from error
        self._lines: dict[str, int] | None = None

    def error(self, key: str, reason: str) -> InputError:
        """An `InputError` about the value at a key path like `platform.ram[0].base`."""
        return InputError(self.name, self.place(key), reason)

    def place(self, key: str) -> str:
        """`key` with its line, or with the line of the nearest enclosing key that the file writes out."""
        if not key:
            return ""
        if self._lines is None:
            self._lines = _key_lines(self.text)
        enclosing = key
        while enclosing:
            line = self._lines.get(enclosing)
            if line is not None:
                return f"line {line}, {key}"
            enclosing = enclosing[: max(enclosing.rfind("."), enclosing.rfind("["), 0)]
        return key


def _key_lines(text: str) -> dict[str, int]:
    """Line of each table header and key, by full path; array tables are numbered `name[0]`, `name[1]` …"""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    at = 0
    number = 1
    while at < len(text):
        end = _statement_end(text, at)
        statement = text[at:end].strip()
        if statement.startswith("[["):
            name = _resolve(_dotted(statement[2:])[0], counts)
            index = counts.get(name, -1) + 1
            counts[name] = index
            table = f"{name}[{index}]"
            lines.setdefault(name, number)
            lines.setdefault(table, number)
        elif statement.startswith("["):
            table = _resolve(_dotted(statement[1:])[0], counts)
            lines.setdefault(table, number)
        elif statement and not statement.startswith("#"):
            path = table
            for part in _dotted(statement)[0]:
                path = f"{path}.{part}" if path else part
                lines.setdefault(path, number)
        number += text.count("\n", at, end)
        at = end
    return lines


def _resolve(parts: list[str], counts: dict[str, int]) -> str:
    """The path of a table header: a name that is an array of tables so far means its last element."""
    path = ""
    for position, part in enumerate(parts):
        path = f"{path}.{part}" if path else part
        if path in counts and position < len(parts) - 1:
            path = f"{path}[{counts[path]}]"
    return path


def _dotted(text: str) -> tuple[list[str], int]:
    """The parts of a dotted key at the start of `text`, and where it ends."""
    parts: list[str] = []
    at = 0
    while match := _KEY_PART.match(text, at):
        parts.append(next(group for group in match.groups() if group is not None))
        at = match.end()
        if at >= len(text) or text[at] != ".":
            break
        at += 1
    return parts, at


def _statement_end(text: str, at: int) -> int:
    """Where the statement that starts at `at` ends: the first line end outside strings and brackets."""
    depth = 0
    while at < len(text):
        character = text[at]
        if character == "\n" and depth <= 0:
            return at + 1
        if character == "#":
            at = text.find("\n", at)
            if at < 0:
                return len(text)
            continue
        if character in "\"'":
            at = _string_end(text, at)
            continue
        # A table header's own brackets balance on its line, so counting them does no harm.
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        at += 1
    return at


def _string_end(text: str, at: int) -> int:
    opener = next(o for o in _OPENERS if text.startswith(o, at))
    escapes = opener[0] == '"'
    at += len(opener)
    while at < len(text):
        if escapes and text[at] == "\\":
            at += 2
        elif text.startswith(opener, at):
            return at + len(opener)
        else:
            at += 1
    return len(text)
