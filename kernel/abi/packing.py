"""Where each parameter of an invocation travels: message word and bit position, or extra capability.

libsel4 packs word parameters in order. One of b bits goes to the next b-aligned bit position of the current
word if it fits there, else a new word starts; a 64-bit value takes two words, low first; a register structure
takes as many words as it has registers. Capabilities go, in order, into the extra capabilities.
Source: `libsel4/tools/syscall_stub_gen.py`, the same rule in every release.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from retrap.kernel.abi.release import Invocation, Parameter


@dataclass(frozen=True, slots=True)
class Place:
    """A parameter's place in the message: `bits` bits from `shift` on in message register `word`.

    For 64-bit values and register structures: `words` whole message registers from `word` on.
    """

    parameter: Parameter
    word: int
    shift: int
    words: int

    def extract(self, message: list[int]) -> int | None:
        """The value in a message (registers as words); `None` if the message is too short to hold it.

        Of a register structure, its first word.
        """
        if self.word >= len(message):
            return None
        value = message[self.word]
        if self.parameter.kind == "registers":
            return value
        if self.words == 2:
            return value | message[self.word + 1] << 32 if self.word + 1 < len(message) else None
        return value >> self.shift & (1 << self.parameter.bits) - 1


@dataclass(frozen=True, slots=True)
class MessageLayout:
    """An invocation's message: inputs, outputs, extra capabilities, and the input's length in words."""

    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    caps: tuple[Parameter, ...]
    length: int


def message_layout(invocation: Invocation, registers: int) -> MessageLayout:
    """The message of an invocation in a release whose seL4_UserContext has that many `registers`."""
    inputs, length = _places((p for p in invocation.parameters if not p.out), registers)
    outputs, _ = _places((p for p in invocation.parameters if p.out), registers)
    caps = tuple(p for p in invocation.parameters if p.kind == "cap")
    return MessageLayout(inputs, outputs, caps, length)


def _places(parameters: Iterable[Parameter], registers: int) -> tuple[tuple[Place, ...], int]:
    places: list[Place] = []
    position = 0  # in bits
    for parameter in parameters:
        if parameter.kind == "cap":
            continue
        bits = 32 * registers if parameter.kind == "registers" else parameter.bits
        unit = min(bits, 32)
        position = -(-position // unit) * unit
        places.append(Place(parameter, position // 32, position % 32, max(1, bits // 32)))
        position += bits
    return tuple(places), -(-position // 32)
