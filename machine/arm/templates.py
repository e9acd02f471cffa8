"""Words that differ in numbers only share the work of translating: one template stands for all of them.

A definition is run once on `Symbol`s in place of the word's fields (`trace`). What it decides are the template's
conditions, what it makes is a block with holes. Every other word of the encoding that meets the conditions has
this block, with its own numbers in the holes: `Template.block`, which equals what `translate` makes of the word.
There is no second meaning of anything here: the definitions are the same, and so is what writes blocks out.

For the evaluator a template is written out as Python once, as a function of the word: it answers with the
function that stands for the word's block, or with None if the conditions are not met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, cast, final

from retrap.machine.arm.decode import find
from retrap.machine.arm.registry import Decoded, Encoding
from retrap.machine.arm.translate import assemble, condition_of
from retrap.machine.ir.builder import Value
from retrap.machine.ir.ops import Access, Block, Inst, Op
from retrap.machine.ir.symbols import Hole, Symbol, Trace, hole_of, value_of
from retrap.machine.ir.written import Written, write_out

Make = Callable[[int], Written | None]
"""The word → the function that stands for its block, or None if the word does not fit."""

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


@final
class Template:
    """The block of all words of an encoding that meet some conditions, with one ITSTATE and condition code."""

    __slots__ = ("_fill", "holes", "lines", "pattern")

    def __init__(self, pattern: Block, holes: tuple[str, ...], lines: list[str]) -> None:
        self.pattern: Final = pattern  # operations may have a `Hole` for `imm`
        self.holes: Final = holes
        self.lines: Final = lines  # of Python: return None if `w` does not fit, and set the holes' names
        self._fill: Callable[[int], tuple[int, ...] | None] | None = None

    def source(self) -> tuple[str, dict[str, Any]]:
        """Of the function `make`, a `Make`, and the names that it needs."""
        run, names = write_out(self.pattern)
        lines = ["def make(w):", *self.lines, *run.split("\n"), "return run"]
        return "\n ".join(lines), names

    def make(self) -> Make:
        source, scope = self.source()
        exec(source, scope)  # made of the definitions' decisions and the table's lines: no input reaches it
        made: Make = scope["make"]
        return made

    def block(self, word: int) -> Block | None:
        """The block of `word`; None if the template is not its."""
        if self._fill is None:
            scope: dict[str, Any] = {}
            numbers = "".join(f"{hole}, " for hole in self.holes)
            exec("\n ".join(["def fill(w):", *self.lines, f"return ({numbers})"]), scope)
            self._fill = scope["fill"]
        assert self._fill is not None
        found = self._fill(word)
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
    lines = noted.lines(list(holes), "return None")
    lines += [f"{hole.name} = {text}" for text, hole in holes.items() if hole.name != text]
    return Template(pattern, tuple(hole.name for hole in holes.values()), lines)


def _sealed(i: Inst, holes: dict[str, Hole]) -> Inst:
    """The operation without symbols: a hole for what may differ, a number for what is fixed herewith."""
    imm: Any = i.imm
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
    elif imm is i.imm and i.width.__class__ is int:
        return i
    return Inst(i.op, value_of(i.width), i.d, i.a, i.b, i.c, imm, extra)


# -- finding a word's template ---------------------------------------------------------------------------------

PATIENCE: Final = 4
"""Words of a group that no template fits before one is made: it costs as much as translating so many."""

TEMPLATES: Final = 96
"""Templates of a family at most."""

WASTE: Final = 8
"""Templates of a family that may be made in vain: when so many serve few words, no others follow."""


@final
class _Family:
    """The templates of one encoding, ITSTATE and condition code. Some encodings are traced in vain, because the
    structure of their blocks differs from word to word (register lists)."""

    __slots__ = ("failure", "made", "served")

    def __init__(self) -> None:
        self.made: Final[list[tuple[Make, bool]]] = []
        self.served = 0
        self.failure = ""  # why the definition cannot be traced


@final
class _Group:
    """Words of a family that are alike in small fields: what fits one of them is the likeliest to fit another."""

    __slots__ = ("family", "makes", "missed")

    def __init__(self, family: _Family) -> None:
        self.family: Final = family
        self.makes: Final[list[tuple[Make, bool]]] = []
        self.missed = 0


@final
class _Forms:
    """What is known of one encoding."""

    __slots__ = ("encoding", "families", "groups", "selector")

    def __init__(self, encoding: Encoding) -> None:
        self.encoding: Final = encoding
        # The condition's bits are among them: it is a family's premise, and no condition of its templates.
        selector = 0 if encoding.thumb else 0xF0000000
        for name, low, width in encoding.layout:
            if width <= 2 or name == "cond":
                selector |= ((1 << width) - 1) << low
        self.selector: Final = selector
        self.groups: Final[dict[int, _Group]] = {}
        self.families: Final[dict[int, _Family]] = {}

    def group(self, key: int, word: int, it: int) -> _Group:
        """The group of `word`, whose key is not in `groups` yet."""
        premise = it << 4 | condition_of(word, self.encoding.thumb, it)
        family = self.families.get(premise)
        if family is None:
            family = self.families[premise] = _Family()
        group = self.groups[key] = _Group(family)
        return group

    def miss(self, group: _Group, word: int, it: int) -> Found | None:
        """What stands for `word`, which no template of its group fits; None if it is to be translated."""
        family = group.family
        for pair in family.made:
            if pair not in group.makes:
                run = pair[0](word)
                if run is not None:
                    group.makes.append(pair)
                    return run, pair[1]
        group.missed += 1
        made = len(family.made)
        if group.missed < PATIENCE or made >= TEMPLATES or (made >= WASTE and family.served < WASTE * made):
            return None
        if family.failure:
            return None
        group.missed = 0
        try:
            template = trace(self.encoding, word, it)
        except (AttributeError, TypeError) as error:
            family.failure = str(error)
            return None
        make = template.make()
        pair = make, template.pattern.branches or template.pattern.trap >= 0
        family.made.append(pair)
        group.makes.append(pair)
        run = make(word)
        assert run is not None
        return run, pair[1]


Found = tuple[Written, bool]
"""What stands for a word's block; whether it ends a basic block: it writes PC, or always traps."""

_forms: Final[dict[Encoding, _Forms]] = {}


def function_of(word: int, thumb: bool, it: int) -> Found | None:
    """What stands for the block of `word`, if a template has it; else it has to be translated."""
    encoding = find(word, thumb)
    if encoding is None:
        return None
    forms = _forms.get(encoding)
    if forms is None:
        forms = _forms[encoding] = _Forms(encoding)
    key = it << 32 | word & forms.selector
    group = forms.groups.get(key)
    if group is None:
        group = forms.group(key, word, it)
    for make, ends in group.makes:
        run = make(word)
        if run is not None:
            group.family.served += 1
            return run, ends
    return forms.miss(group, word, it)
