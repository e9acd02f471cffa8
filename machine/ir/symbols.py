"""Numbers that stand for what an expression over the instruction word gives, in this word and in others like it.

An instruction definition decides by the fields of its word, and computes with them. When it runs on `Symbol`s in
place of these fields, each decision is noted as a condition (`Trace.steps`), and what ends up in the block is
either a number or an expression. For any other word for which the same conditions come out the same way, the
definition would do the same: its block is this one with the expressions' values put in. `machine.arm.templates`
makes use of this.

A symbol is no `int`, on purpose: whatever needs its number (an index, a range, a hash, a text) has to ask through
a method here, and the answer is noted as a condition. An operation that is not written here raises `TypeError`,
and the word is translated the ordinary way.
"""

from __future__ import annotations

import re
from typing import Any, Final, final

from retrap.machine.ir.ops import Inst

LONG: Final = 48
"""Characters of an expression that gets a name instead of being repeated."""

_NAME: Final = re.compile(r"\bt\d+\b")


@final
class Trace:
    """What was decided while a definition ran on symbols, in order."""

    def __init__(self) -> None:
        self.conditions: Final[dict[str, bool]] = {}
        """Condition (Python over the names and `w`, the word) → how it came out; in the order of decision."""
        self.names: Final[dict[str, str]] = {}
        """Name → the expression that it stands for."""

    def decide(self, condition: str, outcome: bool) -> bool:
        """Note that `condition` came out as `outcome`."""
        self.conditions.setdefault(condition, outcome)
        return outcome

    def symbol(self, value: int, text: str, low: int, high: int) -> Any:
        """A number that is `value` here and within low … high in any word."""
        if low == high:
            return low
        return Symbol(self, value, text, low, high)

    def named(self, symbol: Any) -> Any:
        """The same under a name."""
        if symbol.__class__ is not Symbol or _NAME.fullmatch(symbol.text):
            return symbol
        name = f"t{len(self.names)}"
        self.names[name] = symbol.text
        return Symbol(self, symbol.value, name, symbol.low, symbol.high)

    def lines(self, results: list[str], otherwise: str) -> list[str]:
        """Python that tests the conditions, doing `otherwise` if one comes out differently, and then makes the
        names that `results` mention. Nothing is computed before the conditions that were decided before it."""
        lines: list[str] = []
        made: set[str] = set()

        def make(text: str) -> None:
            for name in _NAME.findall(text):
                if name not in made:
                    made.add(name)
                    make(self.names[name])
                    lines.append(f"{name} = {self.names[name]}")

        tests: list[str] = []
        for condition, outcome in self.conditions.items():
            before = len(lines)
            make(condition)
            if len(lines) > before and tests:
                lines.insert(before, f"if {' or '.join(tests)}: {otherwise}")
                tests = []
            tests.append(f"not ({condition})" if outcome else condition)
        if tests:
            lines.append(f"if {' or '.join(tests)}: {otherwise}")
        for text in results:
            make(text)
        return lines


@final
class Hole:
    """What a symbol leaves in a block: the place of a number between `low` and `high`, which `name` will have."""

    __slots__ = ("high", "low", "name")

    def __init__(self, name: str, low: int, high: int) -> None:
        self.name: Final = name
        self.low: Final = low
        self.high: Final = high

    def __str__(self) -> str:
        return self.name


def hole_of(inst: Inst) -> Hole | None:
    """What an operation of a template has for its attribute, if that is a hole."""
    imm: object = inst.imm
    return imm if isinstance(imm, Hole) else None


@final
class Symbol:
    """An expression over the word. `value` is what it gives in the word that is traced.

    `low` … `high` is what it can be in words for which all decisions so far come out the same.
    """

    __slots__ = ("high", "low", "text", "trace", "value")

    def __init__(self, trace: Trace, value: int, text: str, low: int, high: int) -> None:
        self.trace: Final = trace
        self.value: Final = value
        self.low = low
        self.high = high
        if len(text) > LONG:
            name = f"t{len(trace.names)}"
            trace.names[name] = text
            text = name
        self.text: Final = text  # Python that can stand as an operand

    # -- decisions: what comes out is a number, and a condition ------------------------------------------------

    def fixed(self) -> int:
        """The number; from here on the trace is about words that have this very one."""
        value = self.value
        if self.low != self.high:
            self.trace.decide(f"{self.text} == {value}", True)
            self.low = self.high = value
        return value

    __index__ = __int__ = fixed

    def __bool__(self) -> bool:
        return self != 0

    def __hash__(self) -> int:
        return hash(self.fixed())

    def __str__(self) -> str:
        return str(self.fixed())

    __repr__ = __str__

    def __format__(self, form: str) -> str:
        return format(self.fixed(), form)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is Symbol:
            assert isinstance(other, Symbol)
            if other.text == self.text:
                return True
            if other.low > self.high or other.high < self.low:
                return False
            return self.trace.decide(f"{self.text} == {other.text}", self.value == other.value)
        if not isinstance(other, int):
            return NotImplemented
        if not self.low <= other <= self.high:
            return False
        if self.value == other:
            return self.fixed() == other
        self.trace.decide(f"{self.text} == {int(other)}", False)
        if self.low == other:
            self.low += 1
        elif self.high == other:
            self.high -= 1
        return False

    def _less(self, other: Any, swap: bool) -> Any:
        """self < other, or (`swap`) other < self."""
        text, value, low, high = _parts(other)
        if text is None:
            return NotImplemented
        if text == self.text:
            return False
        if swap:
            if high < self.low or low >= self.high:
                return high < self.low
            return self.trace.decide(f"{text} < {self.text}", value < self.value)
        if self.high < low or self.low >= high:
            return self.high < low
        return self.trace.decide(f"{self.text} < {text}", self.value < value)

    def __lt__(self, other: Any) -> Any:
        return self._less(other, False)

    def __gt__(self, other: Any) -> Any:
        return self._less(other, True)

    def __le__(self, other: Any) -> Any:
        more = self._less(other, True)
        return more if more is NotImplemented else not more

    def __ge__(self, other: Any) -> Any:
        less = self._less(other, False)
        return less if less is NotImplemented else not less

    # -- arithmetic: what comes out is an expression ----------------------------------------------------------

    def __and__(self, other: Any) -> Any:
        text, value, low, high = _parts(other)
        if text is None or (self.low < 0 and low < 0):
            return NotImplemented
        if self.low == self.high and low == high:
            return self.value & value
        if low == high and low & (low + 1) == 0 and self.low >= 0 and self.high <= low:
            return self  # a mask that masks nothing
        # Where one may be negative, the other bounds what comes out.
        most = min(self.high if self.low >= 0 else high, high if low >= 0 else self.high)
        return self._made(self.value & value, f"({self.text} & {text})", 0, most)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        text, value, low, high = _parts(other)
        if text is None:
            return NotImplemented
        if low == high == 0:
            return self
        if self.low == self.high and low == high:
            return self.value | value
        most = (1 << max(_most_bits(self.low, self.high), _most_bits(low, high))) - 1
        least = max(self.low, low) if self.low >= 0 and low >= 0 else ~most
        return self._made(self.value | value, f"({self.text} | {text})", least, most)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        text, value, low, high = _parts(other)
        if text is None:
            return NotImplemented
        if low == high == 0:
            return self
        if self.low == self.high and low == high:
            return self.value ^ value
        most = (1 << max(_most_bits(self.low, self.high), _most_bits(low, high))) - 1
        least = 0 if self.low >= 0 and low >= 0 else ~most
        return self._made(self.value ^ value, f"({self.text} ^ {text})", least, most)

    __rxor__ = __xor__

    def __invert__(self) -> Any:
        return self._made(~self.value, f"(~{self.text})", ~self.high, ~self.low)

    def __neg__(self) -> Any:
        return self._made(-self.value, f"(-{self.text})", -self.high, -self.low)

    def __add__(self, other: Any) -> Any:
        text, value, low, high = _parts(other)
        if text is None:
            return NotImplemented
        if low == high == 0:
            return self
        return self._made(self.value + value, f"({self.text} + {text})", self.low + low, self.high + high)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        text, value, low, high = _parts(other)
        if text is None:
            return NotImplemented
        if low == high == 0:
            return self
        return self._made(self.value - value, f"({self.text} - {text})", self.low - high, self.high - low)

    def __rsub__(self, other: Any) -> Any:
        text, value, low, high = _parts(other)
        if text is None:
            return NotImplemented
        return self._made(value - self.value, f"({text} - {self.text})", low - self.high, high - self.low)

    def __mul__(self, other: Any) -> Any:
        text, value, low, high = _parts(other)
        if text is None:
            return NotImplemented
        if low == high == 1:
            return self
        ends = (self.low * low, self.low * high, self.high * low, self.high * high)
        return self._made(self.value * value, f"({self.text} * {text})", min(ends), max(ends))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, int) or other <= 0:
            return self.fixed() // other
        return self._made(self.value // other, f"({self.text} // {other})", self.low // other, self.high // other)

    def __mod__(self, other: Any) -> Any:
        if not isinstance(other, int) or other <= 0:
            return self.fixed() % other
        if self.low == self.high:
            return self.value % other
        return self._made(self.value % other, f"({self.text} % {other})", 0, other - 1)

    def __rfloordiv__(self, other: int) -> int:
        return other // self.fixed()

    def __rmod__(self, other: int) -> int:
        return other % self.fixed()

    def bit_length(self) -> Any:
        least = self.low.bit_length() if self.low >= 0 else 0
        text = f"{self.text}.bit_length()"
        return self._made(self.value.bit_length(), text, least, _most_bits(self.low, self.high))

    def bit_count(self) -> Any:
        return self._made(self.value.bit_count(), f"{self.text}.bit_count()", 0, _most_bits(self.low, self.high))

    def __lshift__(self, other: Any) -> Any:
        return _shifted_left(self, other)

    def __rlshift__(self, other: Any) -> Any:
        return _shifted_left(other, self)

    def __rshift__(self, other: Any) -> Any:
        return _shifted_right(self, other)

    def __rrshift__(self, other: Any) -> Any:
        return _shifted_right(other, self)

    def _made(self, value: int, text: str, low: int, high: int) -> Any:
        return self.trace.symbol(value, text, low, high)


def _parts(x: Any) -> tuple[str | None, int, int, int]:
    """(text, value, least, most) of an operand; text None if it is no number."""
    if x.__class__ is Symbol:
        return x.text, x.value, x.low, x.high
    if isinstance(x, int):
        number = int(x)
        return (str(number) if number >= 0 else f"({number})"), number, number, number
    return None, 0, 0, 0


def _most_bits(low: int, high: int) -> int:
    return max(low.bit_length(), high.bit_length())


_WIDEST: Final = 128
"""Bits by which symbols shift at most: the definitions' numbers have 64."""


def _shifted_left(x: Any, amount: Any) -> Any:
    text, value, low, high = _parts(x)
    by, n, least, most = _parts(amount)
    if text is None or by is None:
        return NotImplemented
    if least < 0 or most > _WIDEST:
        return value_of(x) << value_of(amount)
    if least == most == 0:
        return x
    trace: Trace = (x if x.__class__ is Symbol else amount).trace
    ends = (low << least, low << most, high << least, high << most)
    return trace.symbol(value << n, f"({text} << {by})", min(ends), max(ends))


def _shifted_right(x: Any, amount: Any) -> Any:
    text, value, low, high = _parts(x)
    by, n, least, most = _parts(amount)
    if text is None or by is None:
        return NotImplemented
    if least < 0:
        return value_of(x) >> value_of(amount)
    if least == most == 0:
        return x
    trace: Trace = (x if x.__class__ is Symbol else amount).trace
    ends = (low >> least, low >> most, high >> least, high >> most)
    return trace.symbol(value >> n, f"({text} >> {by})", min(ends), max(ends))


def value_of(x: Any) -> int:
    """The number of an operand, fixed."""
    return x.fixed() if x.__class__ is Symbol else int(x)
