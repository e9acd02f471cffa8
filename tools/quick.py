"""The usual command lines of the usual verbs, understood without the option parser, which takes longer to load
than a small guest takes to boot.

What is here is a part of what `verbs` declares, with the same meaning (`tests/tools/test_quick.py` compares them).
Anything else (help, mistakes, rarer options) is left to it: then `run` returns None and nothing has happened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

Kind = Callable[[str], Any]


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < len(text) <= 18 or text[0] == "0":
        raise ValueError
    return int(text)


_RUN: Final[dict[str, tuple[str, Kind | None]]] = {
    "--backend": ("backend", str),
    "--kernel": ("kernel", str),
    "-k": ("kernel", str),
    "--no-cache": ("no_cache", None),
}
_BOOT: Final[dict[str, tuple[str, Kind | None]]] = {
    **_RUN,
    "--arguments": ("arguments", str),
    "--check": ("check", str),
    "--dry-run": ("dry_run", None),
    "--dtb": ("device_tree", Path),
    "--input": ("serial_input", Path),
    "--instructions": ("instructions", Path),
    "--kernel-elf": ("kernel_elf", Path),
    "--manifest": ("manifest", Path),
    "--max-instructions": ("max_instructions", _count),
    "--output": ("trace", Path),
    "--platform": ("platform", str),
    "--stats": ("stats", None),
    "--strace": ("strace", None),
    "--summary": ("summary", Path),
    "-m": ("manifest", Path),
    "-o": ("trace", Path),
    "-p": ("platform", str),
}
_REPLAY: Final[dict[str, tuple[str, Kind | None]]] = {
    **_RUN,
    "--cpu": ("cpu", None),
    "--json": ("json", None),
}
"""Option → (parameter of the verb's function, how its value is read; None: it has none)."""


def run(arguments: list[str]) -> int | None:
    """Run a command line and return its exit status; None if it is not one of the usual ones."""
    if not arguments:
        return None
    if arguments[0] == "boot":
        given = parse(arguments[1:], _BOOT, "image")
        return None if given is None else _boot(given)
    if arguments[0] == "replay":
        given = parse(arguments[1:], _REPLAY, "trace")
        return None if given is None or "trace" not in given else _replay(given)
    return None


def parse(words: list[str], options: dict[str, tuple[str, Kind | None]], place: str) -> dict[str, Any] | None:
    """The parameters that the words give; `place` is the word without an option. None: not understood."""
    given: dict[str, Any] = {}
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        value: Any = True
        if not word.startswith("-"):
            name, value = place, Path(word)
        else:
            if word not in options:
                return None
            name, kind = options[word]
            if kind is not None:
                if index == len(words) or words[index].startswith("-"):
                    return None
                try:
                    value = kind(words[index])
                except ValueError:
                    return None
                index += 1
        if name in given or not word:
            return None
        given[name] = value
    return given


def _boot(given: dict[str, Any]) -> int:
    from retrap.tools import booting

    return booting.command(
        image=given.get("image"),
        manifest=given.get("manifest"),
        kernel=given.get("kernel"),
        platform=given.get("platform"),
        trace=given.get("trace"),
        backend=given.get("backend", "auto"),
        max_instructions=given.get("max_instructions"),
        arguments=given.get("arguments"),
        serial_input=given.get("serial_input"),
        strace="strace" in given,
        stats="stats" in given,
        check=given.get("check", "off"),
        dry_run="dry_run" in given,
        summary_file=given.get("summary"),
        junit=None,
        cache="no_cache" not in given,
        devices=(),
        instructions=given.get("instructions"),
        kernel_elf=given.get("kernel_elf"),
        device_tree=given.get("device_tree"),
    )


def _replay(given: dict[str, Any]) -> int:
    from retrap.tools import replaying

    return replaying.command(
        given["trace"],
        kernel=given.get("kernel"),
        cpu="cpu" in given,
        backend=given.get("backend", "auto"),
        as_json="json" in given,
        cache="no_cache" not in given,
        devices=(),
    )
