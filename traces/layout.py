"""The bytes of a trace record, declared once.

`encode` and `decode` work with structs made from these declarations; `schema` makes a construct declaration from
them; a test proves that both read and write the same bytes. Everything is little-endian.

What repeats from trap to trap (who trapped, into what, on which capability, with what outcome, which registers
the kernel wrote) is a *shape*: it is written in full where it first occurs in a frame and by its index from then
on. What varies is written as a difference (exclusive or) to what it most likely is, so that it is mostly zero:

* registers at a trap, to those at the same thread's previous trap in the frame (at first, to zero);
* a value that the kernel wrote to a register, to what the trapping thread had in the register of that name (a
  message is a copy of it). Slot -1, the packed CPSR, is compared with the last word of the context.

That makes a message-passing trace four times smaller than the registers as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONTEXT_WORDS: Final = 32
"""Words of a register context that a record holds: all but D0 to D31, which no kernel entry reads."""

CONTEXT_BYTES: Final = CONTEXT_WORDS * 4

DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Number:
    """An integer; `code` is its `struct` format letter."""

    name: str
    code: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Exactly `size` bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8, after its length in bytes (16 bits)."""

    name: str


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes, after their count (32 bits)."""

    name: str


@dataclass(frozen=True, slots=True)
class Words:
    """32-bit words, after their count (16 bits)."""

    name: str


@dataclass(frozen=True, slots=True)
class Many:
    """A sequence of elements, each made of `fields`, after their count (`code` is that count's letter)."""

    name: str
    fields: tuple[Field, ...]
    code: str = "H"


Field = Number | Raw | Text | Bytes | Words | Many

CAPABILITY: Final[tuple[Field, ...]] = (
    Text("type"),  # "" = nothing was found
    Number("address", "I"),
    Number("badge", "I"),
)

REGISTER: Final[tuple[Field, ...]] = (
    Number("thread", "i"),
    Number("slot", "b"),  # -1 is the packed CPSR
)

SHAPE: Final[tuple[Field, ...]] = (
    Number("thread", "i"),
    Number("next_thread", "i"),
    Number("kind", "B"),
    Number("outcome", "B"),
    Number("error", "I"),
    Number("badge", "I"),
    Number("sections", "H"),
    Text("fault"),
    Text("reason"),
    Many("target", CAPABILITY),
    Many("extra_caps", CAPABILITY),
    Many("registers", REGISTER),
)
"""A shape. `target` has no or one element; `registers` says which slots the record's values belong to."""

HEAD: Final[tuple[Field, ...]] = (
    Number("shape", "I"),  # the number of shapes so far in the frame: a new one follows this head
    Number("elapsed", "Q"),  # retired instructions since the record before
    Raw("context", CONTEXT_BYTES),  # registers at the trap, as a difference
)
"""What every record starts with. The values of `SHAPE.registers` (32 bits each, as differences) come next."""

BUFFER_WORDS: Final[tuple[Field, ...]] = (
    Number("thread", "i"),
    Number("index", "H"),
    Words("words"),
)

THREAD: Final[tuple[Field, ...]] = (
    Number("number", "I"),
    Number("address", "I"),
    Text("name"),
)

ARRIVAL: Final[tuple[Field, ...]] = (
    Number("time", "Q"),
    Bytes("data"),
)

WARNING: Final[tuple[Field, ...]] = (Text("text"),)

SECTIONS: Final[tuple[tuple[Field, ...], ...]] = (
    (Number("address", "I"), Number("status", "I")),
    (Many("reads", BUFFER_WORDS),),
    (Many("buffer_writes", BUFFER_WORDS),),
    (Words("error_words"),),
    (Words("fault_words"),),
    (Bytes("console"),),
    (Many("threads", THREAD),),
    (Words("interrupts"),),
    (Raw("digest", DIGEST_BYTES),),
    (Many("arrived", ARRIVAL),),
    (Many("warnings", WARNING),),
    (Number("work", "I"),),
)
"""What a record may hold besides. Section n is there if bit n of the shape's `sections` is set."""


class Section:
    """Bits of `sections`: the positions in `SECTIONS`."""

    ABORT: Final = 1 << 0
    READS: Final = 1 << 1
    BUFFER_WRITES: Final = 1 << 2
    ERROR_WORDS: Final = 1 << 3
    FAULT_WORDS: Final = 1 << 4
    CONSOLE: Final = 1 << 5
    THREADS: Final = 1 << 6
    INTERRUPTS: Final = 1 << 7
    DIGEST: Final = 1 << 8
    ARRIVED: Final = 1 << 9
    WARNINGS: Final = 1 << 10
    WORK: Final = 1 << 11
    ALL: Final = (1 << 12) - 1


FRAME_START: Final[tuple[Field, ...]] = (Many("threads", THREAD, "I"),)
"""What a frame starts with: the threads known so far, so that it can be read without the frames before."""


def struct_format(fields: tuple[Field, ...]) -> str:
    """The `struct` format of fields of fixed size, without the byte order. Raises ValueError for any other."""
    letters = []
    for field in fields:
        if isinstance(field, Number):
            letters.append(field.code)
        elif isinstance(field, Raw):
            letters.append(f"{field.size}s")
        else:
            raise ValueError(f"{field.name} has no fixed size")
    return "".join(letters)
