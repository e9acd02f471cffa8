"""Words that differ in numbers only share the work of translating: one template stands for all of them.

A definition is run once on `Symbol`s in place of the word's fields (`trace`). What it decides are the template's
conditions, what it makes is a block with holes. Every other word of the encoding that meets the conditions has
this block, with its own numbers in the holes: `Template.block`, which equals what `translate` makes of the word.
There is no second meaning of anything here: the definitions are the same, and so is what writes blocks out.

For the evaluator a template is written out as Python once, as a function of the word: it answers with the
function that stands for the word's block, or with None if the conditions are not met. For a native interpreter
(`machine.llvm.interpreter`) it is put on tape once; a word then is the numbers in the holes (`on_tape`).
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType
from typing import Any, Final, cast, final

from retrap.machine.arm.decode import find, rivals
from retrap.machine.arm.registry import Decoded, Encoding
from retrap.machine.arm.translate import assemble, condition_of, translate
from retrap.machine.ir.builder import Value
from retrap.machine.ir.helpers import HELPERS
from retrap.machine.ir.ops import Access, Block, Inst, Op
from retrap.machine.ir.symbols import Hole, Symbol, Trace, hole_of, value_of
from retrap.machine.ir.tape import tape_of
from retrap.machine.ir.written import Written, scope_of, write_out

Make = Callable[[int], Written | None]
"""The word → the function that stands for its block, or None if the word does not fit."""

Fill = Callable[[int], tuple[int, ...] | None]
"""The word → the numbers in the holes of the template, or None if the word does not fit."""

_HOLED: Final = frozenset((Op.CONST, Op.GET, Op.SET, Op.GET64, Op.SET64))
"""Operations whose attribute may differ from word to word; others' say what they are."""


class _Scanned(dict[Any, Value]):
    """A table whose keys may hold symbols: whether two are the same is asked one by one, and so noted."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[Any] = []
        self._values: list[Value] = []

    def _find(self, key: Any) -> int:
        for n, known in enumerate(self._keys):
            if known == key:
                return n
        return -1

    def get(self, key: Any, default: Any = None) -> Any:
        n = self._find(key)
        return default if n < 0 else self._values[n]

    def __getitem__(self, key: Any) -> Value:
        return self._values[self._find(key)]

    def __setitem__(self, key: Any, value: Value) -> None:
        n = self._find(key)
        if n < 0:
            self._keys.append(key)
            self._values.append(value)
        else:
            self._values[n] = value

    def __contains__(self, key: object) -> bool:
        return self._find(key) >= 0

    def __iter__(self) -> Iterator[Any]:
        return iter(self._keys)


_HOLE: Final = re.compile(r"\b[ht]\d+\b")


@final
class Template:
    """The block of all words of an encoding that meet some conditions, with one ITSTATE and condition code."""

    __slots__ = ("_fill", "_noted", "_tests", "holes", "pattern")

    def __init__(self, pattern: Block, holes: dict[str, str], tests: list[str], noted: Trace) -> None:
        self.pattern: Final = pattern  # operations may have a `Hole` for `imm`
        self.holes: Final = holes  # name → expression
        self._tests: Final = tests  # conditions under which a word does not fit, before those that are noted
        self._noted: Final = noted
        self._fill: Fill | None = None

    def _lines(self, names: list[str]) -> list[str]:
        """Python that returns None if `w` does not fit, and sets these holes' names."""
        lines = [f"if {' or '.join(self._tests)}: return None"]
        lines += self._noted.lines([self.holes[name] for name in names], "return None")
        return lines + [f"{name} = {self.holes[name]}" for name in names if self.holes[name] != name]

    def source(self) -> tuple[str, dict[str, str]]:
        """Of the function `make`, a `Make`, and the helpers that it needs, by their names there."""
        run, helpers = write_out(self.pattern)
        mentioned = set(_HOLE.findall(run))
        names = [name for name in self.holes if name in mentioned]
        # As defaults they cost less than as names of the function around it.
        head, *rest = run.split("\n")
        head = head.replace("retired", ", ".join(["retired", *(f"{name}={name}" for name in names)]))
        return "\n ".join(["def make(w):", *self._lines(names), head, *rest, "return run"]), helpers

    def make(self) -> Make:
        source, helpers = self.source()
        scope = scope_of(helpers)
        exec(source, scope)  # made of the definitions' decisions and the table's lines: no input reaches it
        made: Make = scope["make"]
        return made

    def fill(self) -> Fill:
        """What gives the numbers in `holes`, in their order."""
        made = self._fill
        if made is None:
            scope: dict[str, Any] = {}
            numbers = "".join(f"{hole}, " for hole in self.holes)
            exec("\n ".join(["def fill(w):", *self._lines(list(self.holes)), f"return ({numbers})"]), scope)
            made = self._fill = cast(Fill, scope["fill"])
        return made

    def block(self, word: int) -> Block | None:
        """The block of `word`; None if the template is not its."""
        found = self.fill()(word)
        if found is None:
            return None
        filled = dict(zip(self.holes, found, strict=True))

        def put(i: Inst) -> Inst:
            hole = hole_of(i)
            return i if hole is None else Inst(i.op, i.width, i.d, i.a, i.b, i.c, filled[hole.name], i.extra)

        p = self.pattern
        parts = tuple(map(put, p.prologue)), p.condition, tuple(map(put, p.body)), tuple(map(put, p.skipped))
        return Block(*parts, p.values, p.size, p.branches, p.trap, p.text)


def trace(encoding: Encoding, word: int, it: int) -> Template:
    """The template of `word`, which is written in `encoding`.

    Raises `TypeError` where a definition does with fields what cannot be traced.
    """
    noted = Trace()
    symbol = noted.symbol(word, "w", 0, (1 << 8 * encoding.size) - 1)
    plain = encoding.decode(cast(int, symbol))
    names: dict[str, Any] = {}
    fields: dict[str, int] = {}
    for name, field in plain.fields.items():
        number: Any = field
        if number.__class__ is Symbol:
            text = number.text
            if text not in names:
                names[text] = noted.named(field)
            fields[name] = names[text]
        else:
            fields[name] = field
    block = assemble(Decoded(plain.word, plain.thumb, encoding, fields), word, encoding.thumb, it, _Scanned)
    holes: dict[str, Hole] = {}
    insts = [tuple(_sealed(i, holes) for i in part) for part in (block.prologue, block.body, block.skipped)]
    pattern = Block(
        insts[0], block.condition, insts[1], insts[2], block.values, block.size, bool(block.branches),
        value_of(block.trap), block.text,
    )  # fmt: skip
    # Fields that have to have one value are compared all at once, with the encoding's own bits.
    mask, value = encoding.mask, encoding.value
    for name, low, width in encoding.layout:
        text = getattr(fields[name], "text", "")
        for condition, outcome in list(noted.conditions.items()):
            left, _, right = condition.partition(" == ")
            if left == text and right.isdigit() and (outcome or width == 1):
                del noted.conditions[condition]
                mask |= ((1 << width) - 1) << low
                value |= (int(right) if outcome else 1 - int(right)) << low
    tests = [f"w & {mask} != {value}", *_elsewhere(encoding)]
    return Template(pattern, {hole.name: text for text, hole in holes.items()}, tests, noted)


@cache
def _elsewhere(encoding: Encoding) -> tuple[str, ...]:
    """Conditions under which `w`, which has the encoding's bits and the template's condition, is another's."""
    tests = [f"w & {mask} == {value}" for mask, value in encoding.excluded if encoding.thumb or mask >> 28 == 0]
    for rival in rivals(encoding):
        but = "".join(f" and w & {mask} != {value}" for mask, value in rival.excluded)
        tests.append(f"w & {rival.mask} == {rival.value}{but}")
    return tuple(tests)


def _sealed(i: Inst, holes: dict[str, Hole]) -> Inst:
    """The operation without symbols: a hole for what may differ, a number for what is fixed herewith."""
    imm: Any = i.imm
    if imm.__class__ is int and i.extra is None and i.width.__class__ is int:
        return i
    if imm.__class__ is Symbol:
        if i.op in _HOLED:
            hole = holes.get(imm.text)
            if hole is None:
                name = imm.text if imm.text.isidentifier() else f"h{len(holes)}"
                hole = holes[imm.text] = Hole(name, imm.low, imm.high)
            imm = hole
        else:
            imm = imm.fixed()
    extra: Any = i.extra
    if isinstance(extra, Access):
        extra = Access(value_of(extra.size), value_of(extra.alignment))
    elif extra is not None:
        extra = (extra[0], extra[1], tuple(value_of(width) for width in extra[2]))
    return Inst(i.op, value_of(i.width), i.d, i.a, i.b, i.c, imm, extra)


# -- finding a word's template ---------------------------------------------------------------------------------

PATIENCE: Final = 3
"""Words of a group that no template fits before one is made: it costs as much as translating so many."""

TEMPLATES: Final = 96
"""Templates of a family at most."""

WASTE: Final = 8
"""Templates of a family that may be made in vain: when so many serve few words, no others follow."""

FAMILIES: Final = 1 << 11
ROUTES: Final = 1 << 14
"""How many are remembered: then they start afresh. More than programs have."""

@final
class Taped:
    """A template on tape, which is made when somebody asks for it: one of this run, or what an earlier one kept."""

    __slots__ = ("_kept", "_made", "_template")

    def __init__(self, template: Template | None, kept: tuple[bytes, bytes] = (b"", b"")) -> None:
        self._template: Final = template
        self._kept: Final = kept
        self._made: tuple[Fill, bytes] | None = None

    def _make(self) -> tuple[Fill, bytes]:
        """What gives a word's numbers, and the tape; no bytes if it cannot be on tape."""
        made = self._made
        if made is None:
            template, (code, tape) = self._template, self._kept
            if template is not None:
                made = template.fill(), tape_of(template.pattern, tuple(template.holes)) or b""
            else:
                made = FunctionType(marshal.loads(code), {}), tape
            self._made = made
        return made

    def numbers(self, word: int) -> tuple[bytes, tuple[int, ...]] | None:
        """(Tape, numbers of its holes) of a word; None if it does not fit, or cannot be on tape."""
        fill, tape = self._made or self._make()
        found = fill(word) if tape else None
        return None if found is None else (tape, found)

    def keep(self) -> tuple[bytes, bytes]:
        """What a later run can be given."""
        if self._template is None:
            return self._kept
        fill, tape = self._make()
        return marshal.dumps(fill.__code__), tape


Fit = tuple[Make, bool, list[int], Taped]
"""A template as it is used: what makes functions of it; whether its words end a basic block: they write PC, or
always trap; how many words it has served, as a list of that one number; and the same on tape."""


# Routes: the bits of a word by which its templates are found. They are chosen to be few, and most of them the
# encoding's own; they are a hint, and only have to hold the condition.
_A32: Final = tuple(
    {0: 0xFFF00070, 3: 0xFFF00070, 5: 0xFF000000, 6: 0xFFF00F00, 7: 0xFFF00FD0}.get(n & 7, 0xFFF00000)
    if n < 0x78
    else 0xFFF00FD0
    for n in range(128)
)  # by bits 31:25
_T16: Final = tuple(
    {3: 0xFE00, 8: 0xFFC0, 10: 0xFE00, 11: 0xFE00, 22: 0xFFC0, 23: 0xFFC0, 26: 0xFF00, 27: 0xFF00}.get(n, 0xF800)
    for n in range(32)
)  # by bits 15:11
_T32: Final = tuple(
    0xFFF08000
    if n >> 2 == 30
    else (0xFFF00000, 0xFFF00030 if n < 0x78 else 0xFFF000F0, 0xFFF00FD0, 0xFFF00FD0)[n & 3]
    for n in range(128)
)  # by bits 31:25


@final
class _Family:
    """The templates of one encoding, ITSTATE and condition code. Some encodings are traced in vain, because the
    structure of their blocks differs from word to word (register lists)."""

    __slots__ = ("earlier", "failure", "made", "missed", "selector")

    def __init__(self, encoding: Encoding) -> None:
        self.made: Final[list[Fit]] = []
        self.earlier = 0  # how many of them earlier runs made
        self.failure = ""  # why the definition cannot be traced
        self.missed: Final[dict[int, int]] = {}  # by small fields: how many words no template fitted
        self.selector: Final = sum(((1 << width) - 1) << low for _, low, width in encoding.layout if width <= 2)

    def learn(self, encoding: Encoding, word: int, it: int) -> None:
        """No template fits `word`: perhaps make one."""
        group = word & self.selector
        missed = self.missed[group] = self.missed.get(group, 0) + 1
        made = len(self.made)
        if missed < PATIENCE or made >= TEMPLATES or self.failure:
            return
        if made >= WASTE and sum(fit[2][0] for fit in self.made) < WASTE * made:
            return
        self.missed[group] = 0
        try:
            template = trace(encoding, word, it)
        except (AttributeError, TypeError) as error:
            self.failure = str(error)
            return
        ends = template.pattern.branches or template.pattern.trap >= 0
        self.made.append((template.make(), ends, [0], Taped(template)))


_families: Final[dict[tuple[Encoding, int], _Family]] = {}
_arm_routes: Final[dict[int, list[Fit]]] = {}
_thumb_routes: Final[dict[int, list[Fit]]] = {}


def _route(word: int, thumb: bool, it: int) -> tuple[dict[int, list[Fit]], int]:
    """Where a word's templates are, if there have been any for it."""
    if thumb:
        return _thumb_routes, it << 32 | word & (_T32[word >> 25] if word > 0xFFFF else _T16[word >> 11])
    return _arm_routes, word & _A32[word >> 25]


def on_tape(word: int, thumb: bool, it: int) -> tuple[bytes, tuple[int, ...], bool] | None:
    """(Tape, numbers of its holes, whether it ends a basic block) of a word; None if it cannot be on tape."""
    if function_of(word, thumb, it) is not None:
        routes, key = _route(word, thumb, it)
        for make, ends, _, taped in routes.get(key, ()):  # there is nothing when `forget` has just been called
            if make(word) is not None:
                found = taped.numbers(word)
                return None if found is None else (*found, ends)
    block = translate(word, thumb, it)
    tape = tape_of(block)
    return None if tape is None else (tape, (), block.branches or block.trap >= 0)


def function_of(word: int, thumb: bool, it: int) -> tuple[Written, bool] | None:
    """What stands for the block of `word`, if a template has it, and whether it ends a basic block: it writes PC,
    or always traps. None: it has to be translated."""
    routes, key = _route(word, thumb, it)
    fits = routes.get(key)
    if fits is None:
        if len(routes) >= ROUTES:
            routes.clear()
        fits = routes[key] = []
    for make, ends, served, _ in fits:
        run = make(word)
        if run is not None:
            served[0] += 1
            return run, ends
    encoding = find(word, thumb)
    if encoding is None:
        return None
    # The condition's bits are among the route's: it is a family's premise, and no condition of its templates.
    premise = encoding, it << 4 | condition_of(word, thumb, it)
    family = _families.get(premise)
    if family is None:
        if len(_families) >= FAMILIES:
            forget()
        family = _families[premise] = _Family(encoding)
        for code, ends, helpers, taped in _recalled().get((encoding.title, premise[1]), ()):
            make = FunctionType(marshal.loads(code), scope_of(dict(helpers)))
            family.made.append((make, ends, [WASTE], Taped(None, taped)))
        family.earlier = len(family.made)
    known = len(family.made)
    for n in range(known + 1):
        if n == known:
            family.learn(encoding, word, it)
            if len(family.made) == known:
                return None
        fit = family.made[n]
        run = fit[0](word)
        if run is not None:
            fit[2][0] += 1
            fits.append(fit)
            return run, fit[1]
    return None


def forget() -> None:
    """Start afresh. What stands for words already goes on to do so."""
    _families.clear()
    _arm_routes.clear()
    _thumb_routes.clear()


# -- between runs ----------------------------------------------------------------------------------------------

KEPT: Final = 4096
"""Templates kept for later runs at most."""

_Kept = tuple[bytes, bool, tuple[tuple[str, str], ...], tuple[bytes, bytes]]
"""Code of a `Make`, whether its words end a basic block, the helpers that it needs; code of a `Fill`, the tape."""

_earlier: Final[dict[tuple[str, int], list[_Kept]]] = {}
"""What earlier runs made, by encoding and premise."""


_sources: Final[list[Callable[[], bytes | None]]] = []


def recall(source: Callable[[], bytes | None]) -> None:
    """Take over what `worth_keeping` gave in an earlier run of the same Python and the same definitions. `source`
    is asked for it when a template is wanted first."""
    _sources.append(source)


def _recalled() -> dict[tuple[str, int], list[_Kept]]:
    while _sources:
        data = _sources.pop()()
        if data is not None:
            _earlier.update(marshal.loads(data))
    return _earlier


def worth_keeping() -> bytes | None:
    """The templates that were of use, with those of earlier runs; None if there are no others than these."""
    names = {id(function): name for name, function in HELPERS.items()}
    kept, fresh = dict(_earlier), False
    total = sum(map(len, kept.values()))
    for (encoding, premise), family in _families.items():
        key = encoding.title, premise
        entries = list(_earlier.get(key, ()))
        for make, ends, served, taped in family.made[family.earlier :]:
            if served[0] > 1 and total < KEPT:
                assert isinstance(make, FunctionType)
                helpers = [(name, names[id(x)]) for name, x in make.__globals__.items() if id(x) in names]
                entries.append((marshal.dumps(make.__code__), ends, tuple(helpers), taped.keep()))
                fresh, total = True, total + 1
        if entries:
            kept[key] = entries
    return marshal.dumps(kept) if fresh else None
