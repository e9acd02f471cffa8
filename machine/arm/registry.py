"""The list of instructions: each has one definition and the encodings it is written in.

`@instruction` reads encodings the way the ARM ARM prints them, one a line:

    [form ...] LABEL   bits and fields, most significant first   [name=value ...]

* `LABEL` is A1, A2 … (A32), T1 … (T32), or `T1/A1` for VFP and Advanced SIMD encodings that differ between the
  two only in their top bits (the A32 diagram is given; the T32 one follows by A7.4/A6.3 of the ARM ARM).
* `0101` are fixed bits. `(0)(1)` are should-be bits: other values are UNPREDICTABLE.
* `Rn`, `imm12`, `type`, `registers:13` are fields. Widths follow the manual (`WIDTHS`, digits after `imm`), a
  name not known there is one bit wide, and `name:n` says it outright.
* `name!=value` leaves out the words that have `value` in that field: they are another encoding's.
* `name=value` adds a constant field, so that encodings that lack a field look like those that have it.
  `S=it` stands for the 16-bit encodings that set the flags outside an IT block only (value `FLAGS_OUTSIDE_IT`).

Where two encodings match the same word, the one with more fixed bits is meant: so the manual's "SEE" notes need
no text. `decode` builds its tables from here, and the tests check that no overlap is left undecided.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final, final

from retrap.machine.ir.builder import Builder

FLAGS_OUTSIDE_IT: Final = 2
"""Value of the constant field S of an encoding that sets the flags only outside an IT block."""

WIDTHS: Final = {
    "cond": 4, "Rn": 4, "Rd": 4, "Rm": 4, "Rt": 4, "Rt2": 4, "Ra": 4, "Rs": 4, "RdLo": 4, "RdHi": 4,
    "Vd": 4, "Vn": 4, "Vm": 4, "type": 2, "size": 2, "rotate": 2, "imm4H": 4, "imm4L": 4, "cmode": 4,
    "coproc": 4, "CRn": 4, "CRm": 4, "CRd": 4, "opc1": 3, "opc2": 3, "option": 4, "align": 2,
}  # fmt: skip

# 16-bit encodings name a register that is both operand and destination once.
_BOTH: Final = {"Rdn": ("Rd", "Rn"), "Rdm": ("Rd", "Rm")}


class Undefined(Exception):
    """While a definition runs: this word is UNDEFINED in this form."""


class Unpredictable(Undefined):
    """While a definition runs: this word is UNPREDICTABLE. The model takes it as UNDEFINED."""


@final
class Decoded:
    """One instruction word, its fields named: `i["Rn"]`; `"imm5" in i`; `i.get("P", 1)`."""

    __slots__ = ("encoding", "fields", "thumb", "word")

    def __init__(self, word: int, thumb: bool, encoding: Encoding, fields: dict[str, int]) -> None:
        self.word: Final = word  # a 32-bit Thumb instruction has its first halfword on top
        self.thumb: Final = thumb
        self.encoding: Final = encoding
        self.fields: Final = fields

    def __getitem__(self, name: str) -> int:
        return self.fields[name]

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def get(self, name: str, default: int = 0) -> int:
        return self.fields.get(name, default)

    def join(self, *names: str) -> int:
        """The named fields as one number, first name most significant; names that are absent are left out."""
        value = 0
        widths = self.encoding.widths
        for name in names:
            if name in widths:
                value = value << widths[name] | self.fields[name]
        return value

    def undefined_if(self, condition: bool) -> None:
        """`if condition then UNDEFINED` of the manual's decode text."""
        if condition:
            raise Undefined

    def unpredictable_if(self, condition: bool) -> None:
        """`if condition then UNPREDICTABLE` of the manual's decode text."""
        if condition:
            raise Unpredictable

    @property
    def condition(self) -> int:
        """The cond field, or 14 (always) where there is none: then an IT block decides."""
        return self.fields.get("cond", 14)


Definition = Callable[[Builder, Decoded], None]


@final
class Instruction:
    """One definition. `name` as in the manual's headings, `section` its place there."""

    __slots__ = ("_diagrams", "_made", "definition", "name", "section")

    def __init__(self, name: str, section: str, definition: Definition, encodings: str) -> None:
        """`encodings`: as `instruction` takes them."""
        self.name: Final = name
        self.section: Final = section
        self.definition: Final = definition
        self._diagrams: Final = [
            diagram for line in encodings.splitlines() if line.strip() for diagram in _diagrams(line)
        ]
        self._made: Final[dict[int, Encoding]] = {}

    def encodings_of(self, thumb: bool) -> list[Encoding]:
        """Those of one instruction set. Diagrams are read when somebody asks: most programs use one of the two."""
        return [
            self._made.get(n) or self._make(n)
            for n, (_, label, _) in enumerate(self._diagrams)
            if label.startswith("T") == thumb
        ]

    @property
    def encodings(self) -> tuple[Encoding, ...]:
        """All, in the order in which they are written."""
        return tuple(self._made.get(n) or self._make(n) for n in range(len(self._diagrams)))

    def _make(self, n: int) -> Encoding:
        form, label, diagram = self._diagrams[n]
        part = 1 + sum(earlier[:2] == (form, label) for earlier in self._diagrams[:n])
        made = self._made[n] = Encoding(self, form, label, part, diagram)
        return made

    def __repr__(self) -> str:
        return f"Instruction({self.name})"


@final
class Encoding:
    """One diagram: which words it matches and where its fields are."""

    __slots__ = (
        "conditional", "constants", "diagram", "excluded", "fixed", "form", "instruction", "label", "layout",
        "mask", "part", "should_mask", "should_value", "size", "thumb", "value", "widths",
    )  # fmt: skip

    def __init__(self, instruction: Instruction, form: str, label: str, part: int, diagram: str) -> None:
        """`part`: 1, 2 … where the manual prints several diagrams under one label."""
        self.instruction: Final = instruction
        self.form: Final = form
        self.label: Final = label
        self.part: Final = part
        self.diagram: Final = diagram
        self.thumb: Final = label.startswith("T")
        layout: list[tuple[str, int, int]] = []  # name, lowest bit, width
        constants: list[tuple[str, int]] = []
        excluded: list[tuple[str, int]] = [("cond", 15)] if not self.thumb else []
        mask = value = should_mask = should_value = length = 0
        for token in diagram.split():
            if "!=" in token:
                name, _, text = token.partition("!=")
                excluded.append((name, int(text, 0)))
                continue
            if "=" in token:
                name, _, text = token.partition("=")
                constants.append((name, FLAGS_OUTSIDE_IT if text == "it" else int(text, 0)))
                continue
            name, width, fixed, should, number = _bits(token)
            if name:
                layout.append((name, -length - width, width))
            mask = mask << width | fixed
            value = value << width | (number & fixed)
            should_mask = should_mask << width | should
            should_value = should_value << width | (number & should)
            length += width
        if length not in (16, 32) or (length == 16 and not self.thumb):
            raise ValueError(f"{instruction.name} {form} {label}: {length} bits")
        names = [name for name, _, _ in layout] + [name for name, _ in constants]
        if len(set(names)) != len(names):
            raise ValueError(f"{instruction.name} {form} {label}: a field twice")
        self.size: Final = length // 8
        self.mask: Final = mask
        self.value: Final = value
        self.should_mask: Final = should_mask
        self.should_value: Final = should_value
        self.fixed: Final = mask.bit_count()
        self.layout: Final = tuple((name, below + length, width) for name, below, width in layout)
        self.constants: Final = tuple(constants)
        self.widths: Final = {name: width for name, _, width in layout}
        self.conditional: Final = "cond" in self.widths
        places = {name: (low, (1 << width) - 1) for name, low, width in self.layout}
        self.excluded: Final = tuple(
            (places[name][1] << places[name][0], value << places[name][0])
            for name, value in excluded
            if name in places
        )

    def __repr__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """For example `ADC (immediate) A1`."""
        form = f" ({self.form})" if self.form else ""
        part = f" #{self.part}" if self.part > 1 else ""
        return f"{self.instruction.name}{form} {self.label}{part}"

    def matches(self, word: int) -> bool:
        """Whether `word` is written in this encoding, other things (more specific ones) being absent.

        A cond field of 1111 is never meant in A32: it selects the unconditional space (A5.7).
        """
        if word & self.mask != self.value:
            return False
        return all(word & mask != value for mask, value in self.excluded)

    def decode(self, word: int) -> Decoded:
        fields = {name: word >> low & ((1 << width) - 1) for name, low, width in self.layout}
        for both, (first, second) in _BOTH.items():
            if both in fields:
                fields[first] = fields[second] = fields[both]
        fields.update(self.constants)
        return Decoded(word, self.thumb, self, fields)


INSTRUCTIONS: Final[list[Instruction]] = []
"""Every instruction, in the order of definition."""


def instruction(name: str, section: str, encodings: str) -> Callable[[Definition], Definition]:
    """Register the decorated function as the definition of `name`, written in `encodings` (see above)."""

    def register(definition: Definition) -> Definition:
        INSTRUCTIONS.append(Instruction(name, section, definition, encodings))
        return definition

    return register


_LINE: Final = re.compile(r"\s*(?P<form>.*?)\s*\b(?P<label>[AT]\d+(?:/A\d+)?)\s+(?P<diagram>[01(A-Za-z].*?)\s*")


def _diagrams(line: str) -> list[tuple[str, str, str]]:
    """(form, label, diagram) of a line; two of them for a label like `T1/A1`."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"not an encoding: {line!r}")
    form, label, diagram = match["form"], match["label"], match["diagram"]
    thumb, _, arm = label.partition("/")
    if not arm:
        return [(form, label, diagram)]
    return [(form, arm, diagram), (form, thumb, _thumb_diagram(diagram))]


def _thumb_diagram(arm: str) -> str:
    """The T32 form of a VFP or Advanced SIMD diagram (ARM ARM A7.4: data, A7.7: element loads, A7.5: VFP)."""
    tokens = arm.split()
    if tokens[0] == "cond":
        return " ".join(["1110", *tokens[1:]])
    if tokens[0] == "1111001":
        return " ".join(["111", tokens[1], "1111", *tokens[2:]])
    if tokens[0].startswith("1111001") and len(tokens[0]) >= 8:
        return " ".join(["111" + tokens[0][7] + "1111" + tokens[0][8:], *tokens[1:]])
    if tokens[0].startswith("11110100"):
        return " ".join(["11111001" + tokens[0][8:], *tokens[1:]])
    if tokens[0].startswith("1111"):
        return arm  # 1111 1110 …: the same in both (VSEL-like and VRINT-like spaces)
    raise ValueError(f"no T32 counterpart of {arm!r}")


@cache
def _bits(token: str) -> tuple[str, int, int, int, int]:
    """(name of the field or the empty string, width, which bits are fixed, which should be, their values)."""
    bits = token.replace("(", "").replace(")", "")
    if bits.strip("01"):
        name, width = _field(token)
        return name, width, 0, 0, 0
    width, number = len(bits), int(bits, 2)
    every = (1 << width) - 1
    return ("", width, 0, every, number) if token.startswith("(") else ("", width, every, 0, number)


def _field(token: str) -> tuple[str, int]:
    name, colon, width = token.partition(":")
    if colon:
        return name, int(width)
    if name in WIDTHS:
        return name, WIDTHS[name]
    if name.startswith("imm") and name[3:].isdigit():
        return name, int(name[3:])
    return name, 1
