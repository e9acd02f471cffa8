"""Named helpers for `Op.CALL`: what is too long to say in IR (IEEE arithmetic, table look-ups).

A helper is a pure function: unsigned integers in, a tuple of unsigned integers out, each below 2^width of the
result that the caller declared. It sees no register and no memory, and raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Helper = Callable[..., tuple[int, ...]]

HELPERS: Final[dict[str, Helper]] = {}
"""Name → function. Filled while the instruction definitions are imported."""


def helper(name: str) -> Callable[[Any], Any]:
    """Register the decorated function under `name`; a name has one meaning."""

    def register(function: Helper) -> Helper:
        if name in HELPERS:
            raise ValueError(f"helper {name} is registered twice")
        HELPERS[name] = function
        return function

    return register
