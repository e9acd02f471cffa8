"""What encoding and decoding of records share: structs made from `layout`, shapes, and predictions.

The layout is `layout`'s; `encode` and `decode` only make it fast. (`struct` needs a hundredth of the time that
construct takes.) Like guest memory, contexts are words of the host, which has to be little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

from retrap.traces import layout
from retrap.traces.layout import CONTEXT_WORDS
from retrap.traces.record import Capability

U16: Final = struct.Struct("<H")
U32: Final = struct.Struct("<I")
HEAD_FORMAT: Final = "<" + layout.struct_format(layout.HEAD)
HEAD: Final = struct.Struct(HEAD_FORMAT)
SHAPE_NUMBERS: Final = struct.Struct("<" + layout.struct_format(layout.SHAPE[:7]))
REGISTER: Final = struct.Struct("<" + layout.struct_format(layout.REGISTER))
ANSWERED: Final = struct.Struct("<H" + 2 * layout.struct_format(layout.REGISTER))
"""The registers of the empty reply: 2, and both."""
ABORT: Final = struct.Struct("<" + layout.struct_format(layout.SECTIONS[0]))
ARRIVAL: Final = struct.Struct("<" + layout.struct_format(layout.ARRIVAL[:1]) + "I")
"""An arrival's time and the count of its bytes."""
PLACE: Final = struct.Struct("<" + layout.struct_format(layout.BUFFER_WORDS[:2]))
THREAD: Final = struct.Struct("<" + layout.struct_format(layout.THREAD[:2]))
CAPABILITY: Final = struct.Struct("<" + layout.struct_format(layout.CAPABILITY[1:]))
CAPABILITIES: Final = tuple(
    struct.Struct(f"<H{length}s{layout.struct_format(layout.CAPABILITY[1:])}") for length in range(24)
)
"""A capability whose type's name has so many bytes."""
CONTEXT: Final = struct.Struct(f"<{CONTEXT_WORDS}I")

READY: Final = 64
"""Structs for this many words and fewer are made beforehand (a context transfer writes about 20)."""

HEAD_AND_VALUES: Final = tuple(struct.Struct(f"{HEAD_FORMAT}{count}I").pack for count in range(READY))
"""Packs a head and register values in one call."""

VALUES: Final = tuple(struct.Struct(f"<{count}I") for count in range(READY))

HEAD_AND_ANSWER: Final = struct.Struct(f"{HEAD_FORMAT}8s").pack
"""Packs a head and the two values of the empty reply."""

ONE_ENTRY: Final = tuple(
    struct.Struct("<H" + layout.struct_format(layout.BUFFER_WORDS[:2]) + f"H{count}I").pack
    for count in range(READY)
)
"""Packs a section of buffer words with one entry: 1, its place, the count of its words, the words."""

_PLACE_FORMAT: Final = layout.struct_format(layout.BUFFER_WORDS[:2]) + "H"

ANSWER_AND_1: Final = struct.Struct(f"{HEAD_FORMAT}8sH{_PLACE_FORMAT}I").pack
"""Packs a head, the two values of the empty reply, and a section of buffer words with one entry of one word."""

ANSWER_AND_1_1: Final = struct.Struct(f"{HEAD_FORMAT}8sH{_PLACE_FORMAT}I{_PLACE_FORMAT}I").pack
"""The same with two entries of one word each."""

ANSWER_AND_1_2: Final = struct.Struct(f"{HEAD_FORMAT}8sH{_PLACE_FORMAT}I{_PLACE_FORMAT}II").pack
"""The same with two entries, of one word and of two."""

Shape = tuple[
    int, int, int, int, int, int, int, str, str, Capability | None, tuple[Capability | None, ...],
    tuple[int, ...], tuple[int, ...],
]  # fmt: skip
"""The fields of `layout.SHAPE` in order, the registers as two columns: threads and slots."""

Picker = Callable[[Sequence[int]], tuple[int, ...]]
"""Picks from a context's words those that the values of a shape are compared with."""


TWO_ENTRIES: Final[dict[int, Callable[..., bytes]]] = {}
"""The same of two entries, by the counts of their words: first << 8 | second. Made when they are needed."""


def two_entries(first: int, second: int) -> Callable[..., bytes]:
    """Packs a section of buffer words with two entries of so many words (each below `READY`)."""
    found = TWO_ENTRIES.get(first << 8 | second)
    if found is None:
        place = layout.struct_format(layout.BUFFER_WORDS[:2])
        found = TWO_ENTRIES[first << 8 | second] = struct.Struct(f"<H{place}H{first}I{place}H{second}I").pack
    return found


def picker_of(slots: tuple[int, ...]) -> Picker | None:
    """The picker for values that were written to these slots; None if there are none."""
    if not slots:
        return None
    # An itemgetter of one index would return no tuple; the second one is for that only.
    first, *rest = (slot % CONTEXT_WORDS for slot in slots)
    return itemgetter(first, *(rest or (first,)))
