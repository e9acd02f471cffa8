"""What an instruction word is: its encoding and fields; and its text.

The tables come from the definitions (`registry`): an encoding exists exactly where something defines it. They are
the ARM ARM's own diagrams, which is what tells UNDEFINED from defined; capstone, which folds aliases, drops
write-back and takes many undefined words for instructions, only writes the text that people read, and is the
tests' second opinion. It is called when a text is asked for, once per word and mode.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final, final

from retrap.machine.arm.registry import INSTRUCTIONS, Decoded, Encoding, Instruction


@final
class _Node:
    """Encodings that words with certain bits may be written in, most specific first.

    A few are tried in turn (`mask` is 0 then); of many, further bits choose. What is below is made when needed.
    """

    __slots__ = ("below", "encodings", "mask")

    def __init__(self, encodings: list[Encoding], known: int) -> None:
        """`known`: the bits that have chosen `encodings`."""
        self.encodings: Final = encodings
        self.mask: Final = _chosen(encodings, known) if len(encodings) > FEW else 0
        self.below: Final[dict[int, _Node]] = {}

    def grow(self, key: int, known: int) -> _Node:
        """The node for words whose bits `mask` are `key`."""
        mask = self.mask
        node = _Node([e for e in self.encodings if (key ^ e.value) & mask & e.mask == 0], known | mask)
        self.below[key] = node
        return node


FEW: Final = 2
"""Encodings that are tried in turn."""


def _chosen(encodings: list[Encoding], known: int) -> int:
    """Bits that tell the encodings apart and that most of them fix; 0 if none are left."""
    fixing: list[tuple[int, int]] = []
    for n in range(32):
        bit = 1 << n
        values = [e.value & bit for e in encodings if e.mask & bit]
        if not known & bit and values and ((any(values) and not all(values)) or len(values) < len(encodings)):
            fixing.append((len(values), bit))
    if not fixing:
        return 0
    most = max(count for count, _ in fixing)
    return sum(bit for count, bit in fixing if 8 * count >= 7 * most)


@final
class _Table:
    """The encodings of one instruction set and size."""

    __slots__ = ("root",)

    def __init__(self, encodings: list[Encoding]) -> None:
        """`encodings`: those with the most fixed bits first."""
        self.root: Final = _Node(encodings, 0)

    def find(self, word: int) -> Encoding | None:
        node, known = self.root, 0
        mask = node.mask
        while mask:
            key = word & mask
            below = node.below.get(key)
            if below is None:
                below = node.grow(key, known)
            known |= mask
            node = below
            mask = node.mask
        for encoding in node.encodings:
            if word & encoding.mask == encoding.value:
                for part, value in encoding.excluded:
                    if word & part == value:
                        break
                else:
                    return encoding
        return None


def instructions() -> list[Instruction]:
    """Every instruction, in the order of definition. The definitions are loaded when they are wanted first: a run
    whose code is all in the code cache does without."""
    import retrap.machine.arm.instructions  # noqa: F401  (fills the registry)

    return INSTRUCTIONS


@cache
def _table(thumb: bool, size: int) -> _Table:
    found = [e for i in instructions() for e in i.encodings_of(thumb) if e.size == size]
    found.sort(key=lambda e: -e.fixed)
    return _Table(found)


_decoded: Final[dict[int, Decoded | None]] = {}

REMEMBERED: Final = 1 << 16
"""How many words this and the caches after it remember: then they start afresh. More than programs have; a guest
that writes ever new code must not fill the host's memory."""


def find(word: int, thumb: bool) -> Encoding | None:
    """The encoding of a word, or None if there is none: UNDEFINED.

    `word`: 32 bits of A32; 16 bits of T32, or 32 with the first halfword on top.
    """
    return _table(thumb, 2 if thumb and word <= 0xFFFF else 4).find(word)


def rivals(encoding: Encoding) -> list[Encoding]:
    """The encodings that are meant instead of `encoding` where both match a word."""
    table = _table(encoding.thumb, encoding.size)
    first = table.root.encodings.index(encoding)
    mask, value = encoding.mask, encoding.value
    return [
        e
        for e in table.root.encodings[:first]
        if (e.value ^ value) & e.mask & mask == 0
        # The unconditional space of A32, for instance, is out of the way of the conditional.
        and not any(e.mask & part == part and e.value & part == other for part, other in encoding.excluded)
    ]


def decode(word: int, thumb: bool) -> Decoded | None:
    """The encoding and fields of a word, or None if it is UNDEFINED in every form. Cached."""
    key = word << 1 | thumb
    if key in _decoded:
        return _decoded[key]
    encoding = find(word, thumb)
    decoded = encoding.decode(word) if encoding is not None else None
    if len(_decoded) >= REMEMBERED:
        _decoded.clear()
    _decoded[key] = decoded
    return decoded


def all_encodings() -> tuple[Encoding, ...]:
    """Every encoding, in the same order."""
    return tuple(e for i in instructions() for e in i.encodings)


def is_wide(halfword: int) -> bool:
    """Whether a Thumb instruction that starts with `halfword` has a second one (ARM ARM A6.1)."""
    return halfword >> 11 >= 0b11101


@cache
def _disassembler(thumb: bool) -> Any:  # capstone has no types
    import capstone

    mode = (capstone.CS_MODE_THUMB if thumb else capstone.CS_MODE_ARM) | capstone.CS_MODE_LITTLE_ENDIAN
    return capstone.Cs(capstone.CS_ARCH_ARM, mode)


def to_bytes(word: int, thumb: bool) -> bytes:
    """The instruction as it lies in memory (little-endian halfwords in Thumb)."""
    if not thumb:
        return word.to_bytes(4, "little")
    if word <= 0xFFFF:
        return word.to_bytes(2, "little")
    return (word >> 16).to_bytes(2, "little") + (word & 0xFFFF).to_bytes(2, "little")


@lru_cache(maxsize=REMEMBERED)
def disassemble(word: int, thumb: bool, address: int = 0) -> str:
    """Text of an instruction at `address`, for people; `.inst` with the number where capstone knows none."""
    code = to_bytes(word, thumb)
    for _, size, mnemonic, operands in _disassembler(thumb).disasm_lite(code, address, 1):
        if size == len(code):
            return f"{mnemonic} {operands}".rstrip()
    return f".inst {word:#0{2 + 2 * len(code)}x}"
