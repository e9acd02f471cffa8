"""Which function an address belongs to, by an image's symbol table."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from retrap.loader.image import Symbol


@final
class Symbols:
    """Functions by address. Labels without a type count too, where no function is; data does not."""

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        found: dict[int, Symbol] = {}
        for symbol in symbols:
            if symbol.kind == "object":
                continue
            old = found.get(symbol.address)
            # Of several names of one place a function's is kept, then the first in the alphabet.
            if old is None or (symbol.kind == "function", symbol.size > 0) > (old.kind == "function", old.size > 0):
                found[symbol.address] = symbol
        self._addresses: Final = sorted(found)
        self._symbols: Final = [found[address] for address in self._addresses]
        self._known: Final[dict[int, tuple[str, int] | None]] = {}

    def find(self, address: int) -> tuple[str, int] | None:
        """(function, its address), or None. A symbol without size reaches to the next one."""
        if address in self._known:
            return self._known[address]
        answer: tuple[str, int] | None = None
        index = bisect_right(self._addresses, address) - 1
        if index >= 0:
            symbol = self._symbols[index]
            limit = symbol.address + symbol.size if symbol.size else _next(self._addresses, index)
            if address < limit:
                answer = symbol.name, symbol.address
        if len(self._known) > 1 << 16:
            self._known.clear()
        self._known[address] = answer
        return answer

    def name(self, address: int) -> str | None:
        """The function's name."""
        found = self.find(address)
        return None if found is None else found[0]

    def place(self, address: int) -> str:
        """`function`, `function+0x12`, or nothing."""
        found = self.find(address)
        if found is None:
            return ""
        return found[0] if address == found[1] else f"{found[0]}+{address - found[1]:#x}"


def _next(addresses: list[int], index: int) -> int:
    """Where a symbol without size ends at the latest."""
    return addresses[index + 1] if index + 1 < len(addresses) else addresses[index] + 0x1000
