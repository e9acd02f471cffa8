"""What a backend has compiled, for people: which tier runs an address, and how much memory code takes."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final, final

from retrap.machine.cpu import Backend
from retrap.machine.log import LoggedBackend


def _native(backend: Backend) -> Any:
    """The native half of a backend, or None."""
    inner = backend.inner if isinstance(backend, LoggedBackend) else backend
    return getattr(inner, "native", None)


@final
class Tiers:
    """The tier of each address at the end of a run: `evaluated`, `quick` or `tuned`."""

    def __init__(self, backend: Backend) -> None:
        native = _native(backend)
        spans = []
        if native is not None:
            for versions in native.library.values():
                for compiled in versions:
                    spans += [(low, high, int(compiled.shape)) for low, high in compiled.spans]
        self._spans: Final = sorted(spans)
        self._starts: Final = [low for low, _, _ in self._spans]
        self._longest: Final = max((high - low for low, high, _ in spans), default=0)

    def tier(self, key: int) -> str:
        """Of PC | Thumb."""
        address, best = key & ~1, -1
        index = bisect_right(self._starts, address) - 1
        while index >= 0 and self._starts[index] >= address - self._longest:
            low, high, shape = self._spans[index]
            if low <= address < high:
                best = max(best, shape)
            index -= 1
        return ("evaluated", "quick", "tuned")[best + 1]


def compiled_code(backend: Backend) -> dict[str, int]:
    """`bytes` of native code now held, at most `limit` (and what the next compilation adds); `regions` compiled so
    far; those `fetched` from the cache on the disk; how often all was dropped (`flushes`); bytes of cold code from
    the cache that the native interpreter has (`taped`)."""
    native = _native(backend)
    if native is None:
        return {"bytes": 0, "limit": 0, "regions": 0, "fetched": 0, "flushes": 0, "taped": 0}
    return {
        "bytes": native.arena.size,
        "limit": native.limit,
        "regions": native.compiled,
        "fetched": native.fetched,
        "flushes": native.flushes,
        "taped": native.sheets.size if native.sheets is not None else 0,
    }
