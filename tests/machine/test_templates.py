"""Templates: tracing a definition and filling in another word's numbers gives what translating that word gives."""

from __future__ import annotations

import random
from typing import Any

import pytest
from retrap.machine.arm import templates
from retrap.machine.arm.decode import all_encodings, find, is_wide, rivals
from retrap.machine.arm.registry import Encoding
from retrap.machine.arm.templates import Template, trace
from retrap.machine.arm.translate import condition_of, translate
from retrap.machine.context import WORDS, Slot
from retrap.machine.evaluate import Plain
from retrap.machine.ir.ops import Access, Block, Inst
from retrap.machine.ir.symbols import Symbol, Trace

from .test_ir import environment, outcome

PARTS = 6
"""All encodings, in so many tests."""

ITSTATES = (0x08, 0x18, 0x04, 0x1C, 0xA8, 0xE8, 0xC4, 0xD1)


def contents(block: Block) -> tuple[Any, ...]:
    """All of a block, to compare."""

    def of(i: Inst) -> tuple[Any, ...]:
        extra = (i.extra.size, i.extra.alignment) if isinstance(i.extra, Access) else i.extra
        return i.op, i.width, i.d, i.a, i.b, i.c, i.imm, i.imm.__class__, extra, i.mask, i.sign

    parts = [tuple(map(of, part)) for part in (block.prologue, block.body, block.skipped)]
    return *parts, block.condition, block.values, block.size, block.branches, block.trap, block.text


def draw(r: random.Random, encoding: Encoding) -> int:
    """A word of the encoding, mostly with its should-be bits right and, in A32, often without a condition."""
    while True:
        word = r.getrandbits(8 * encoding.size)
        if not encoding.thumb and r.random() < 0.5:
            word = word & 0x0FFFFFFF | 0xE0000000
        word = word & ~encoding.mask | encoding.value
        if r.random() < 0.9:
            word = word & ~encoding.should_mask | encoding.should_value
        if find(word, encoding.thumb) is encoding:
            return word


def near(r: random.Random, encoding: Encoding, word: int) -> int:
    """A word that differs in a few bits, or in all that are not fixed."""
    if r.random() < 0.3:
        return draw(r, encoding)
    for _ in range(r.randrange(1, 6)):
        word ^= 1 << r.randrange(8 * encoding.size)
    return word


def itstate(r: random.Random, encoding: Encoding) -> int:
    if not encoding.thumb or r.random() < 0.5:
        return 0
    return r.getrandbits(8) if r.random() < 0.2 else r.choice(ITSTATES)


def drawn(r: random.Random, encoding: Encoding, others: int) -> tuple[int, Template, list[int]]:
    """ITSTATE, the template of a random word, and words for which it may be asked, that word first."""
    word, it = draw(r, encoding), itstate(r, encoding)
    thumb = encoding.thumb
    words = [word] + [
        other
        for other in (near(r, encoding, word) for _ in range(others))
        if find(other, thumb) is encoding and condition_of(other, thumb, it) == condition_of(word, thumb, it)
    ]
    return it, trace(encoding, word, it), words


@pytest.mark.parametrize("part", range(PARTS))
def test_a_template_has_the_block_that_translation_makes(part: int) -> None:
    """The law of templates, on every encoding: none is left that could not be traced."""
    r = random.Random(part)
    fitting = 0
    for encoding in all_encodings()[part::PARTS]:
        it, template, words = drawn(r, encoding, 6)
        for n, word in enumerate(words):
            block = template.block(word)
            assert block is not None or n > 0
            if block is not None:
                fitting += n > 0
                expected = translate(word, encoding.thumb, it)
                assert contents(block) == contents(expected), (encoding, hex(words[0]), hex(word), it)
    assert fitting > 150


def test_a_template_refuses_what_another_encoding_means() -> None:
    """Words that differ in fixed bits, or are a more specific encoding's."""
    r = random.Random(2)
    others = 0
    for encoding in all_encodings()[::2]:
        thumb, size = encoding.thumb, encoding.size
        word = draw(r, encoding)
        template = trace(encoding, word, 0)
        candidates = [word ^ 1 << r.randrange(8 * size) ^ 1 << r.randrange(8 * size) for _ in range(10)]
        candidates += [r.getrandbits(8 * size) & ~e.mask | e.value for e in rivals(encoding)]
        for other in candidates:
            same_size = not thumb or (size == 4) == is_wide(other >> 16 if size == 4 else other)
            same_premise = (thumb or other >> 28 == word >> 28) and condition_of(other, thumb, 0) == condition_of(
                word, thumb, 0
            )
            if same_size and same_premise and find(other, thumb) is not encoding:
                others += 1
                assert template.block(other) is None, (encoding, hex(word), hex(other))
    assert others > 1000


@pytest.mark.parametrize("seed", range(4))
def test_what_a_template_makes_runs_as_the_block_does(seed: int) -> None:
    """The function against the block's operations one by one: same context, memory and answer, aborts included."""
    r = random.Random(seed)
    words, space, memory = environment()
    memory.write(0, r.randbytes(0x3000))
    for encoding in r.sample(all_encodings(), 120):
        it, template, candidates = drawn(r, encoding, 4)
        make = template.make()
        for word in candidates:
            run = make(word)
            assert (run is None) == (template.block(word) is None)
            if run is None:
                continue
            for slot in range(16):
                words[slot] = r.choice((r.getrandbits(32), 0x1000 + 16 * r.randrange(16), 1 << r.randrange(32)))
            for slot in range(16, 24):
                words[slot] = r.getrandbits(4) if slot == Slot.GE else r.getrandbits(1) if slot != Slot.IT else it
            for slot in range(Slot.D0, Slot.D0 + 64):
                words[slot] = r.getrandbits(32)
            words[Slot.FPEXC_EN], words[Slot.FPSCR] = 1, 0
            before, bytes_before = words.tolist(), memory.read(0, 0x3000)
            block = translate(word, encoding.thumb, it)
            first = outcome(Plain(block, {}, 0), words, space)
            after, bytes_after = words.tolist(), memory.read(0, 0x3000)
            for n in range(WORDS):
                words[n] = before[n]
            memory.write(0, bytes_before)
            assert outcome(run, words, space) == first
            assert words.tolist() == after
            assert memory.read(0, 0x3000) == bytes_after
            if first == ("done", None) and not block.branches and block.trap < 0:
                # The evaluator relies on it within a basic block.
                assert words[Slot.PC] == before[Slot.PC] + encoding.size & 0xFFFFFFFF
                assert words[Slot.THUMB] == before[Slot.THUMB]


def test_what_stands_for_a_word_does_not_depend_on_those_before_it() -> None:
    """Found among the templates that other words have left, in whatever order they came, or not found."""
    r = random.Random(3)
    titles = ("ADD (register) A1", "LDM A1", "B T1", "VADD (integer) T1")
    encodings = [e for e in all_encodings() if e.title in titles]
    assert len(encodings) == 4
    pairs = [(e, draw(r, e)) for e in encodings for _ in range(200)]
    words, space, _ = environment()
    results: list[dict[tuple[int, bool], Any]] = []
    served = []
    for _ in range(2):
        templates.forget()
        r.shuffle(pairs)
        seen: dict[tuple[int, bool], Any] = {}
        for encoding, word in pairs:
            found = templates.function_of(word, encoding.thumb, 0)
            block = translate(word, encoding.thumb, 0)
            if found is not None:
                assert found[1] == (block.branches or block.trap >= 0)
            run = Plain(block, {}, 0) if found is None else found[0]
            for n in range(WORDS):
                words[n] = 0x1000 + n if n < 16 or n >= Slot.D0 else n & 1
            words[Slot.IT] = 0
            seen[(word, encoding.thumb)] = (outcome(run, words, space), words.tolist())
        results.append(seen)
        counts = dict.fromkeys(titles, 0)
        for (encoding, _), family in templates._families.items():
            counts[encoding.title] += sum(fit[2][0] for fit in family.made)
        served.append(counts)
    assert results[0] == results[1]
    assert all(s["ADD (register) A1"] > 20 and s["B T1"] > 20 for s in served)


def test_encodings_whose_blocks_all_differ_are_given_up() -> None:
    templates.forget()
    r = random.Random(5)
    for _ in range(300):  # LDM with random register lists
        templates.function_of(0xE8900000 | r.getrandbits(16), False, 0)
    (family,) = templates._families.values()
    assert 0 < len(family.made) <= templates.WASTE


def test_templates_of_an_earlier_run_serve_from_the_first_word_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_earlier", {})
    templates.forget()
    r = random.Random(8)
    titles = ("ADD (register) A1", "STR (immediate) A1", "VADD (floating-point, VFP) A2", "SETEND A1", "B A1")
    encodings = [e for e in all_encodings() if e.title in titles]
    words = [(draw(r, e) & 0x0FFFFFFF | (0xF if e.title == "SETEND A1" else 0xE) << 28, e) for e in encodings * 60]
    for word, _ in words:
        templates.function_of(word, False, 0)
    kept = templates.worth_keeping()
    assert kept is not None
    templates.forget()
    templates.recall(lambda: kept)
    assert templates.worth_keeping() is None

    def fail(*_: object) -> Template:
        raise AssertionError

    monkeypatch.setattr(templates, "trace", fail)
    monkeypatch.setattr(templates, "PATIENCE", 1000)
    context, space, _ = environment()
    served = dict.fromkeys(titles, 0)
    for word, encoding in words:
        found = templates.function_of(word, False, 0)
        if found is None:
            continue
        served[encoding.title] += 1
        block = translate(word, False, 0)
        assert found[1] == (block.branches or block.trap >= 0)
        results = []
        for run in (Plain(block, {}, 0), found[0]):
            for n in range(WORDS):
                context[n] = 0x1000 + n if n < 16 else 0
            context[Slot.FPEXC_EN] = 1
            results.append((outcome(run, context, space), context.tolist()))
        assert results[0] == results[1]
    assert all(count > 30 for count in served.values()), served
    assert templates.worth_keeping() is None
    templates.forget()


# -- symbols -----------------------------------------------------------------------------------------------


def symbol(value: int, bits: int = 8) -> tuple[Trace, Any]:
    noted = Trace()
    return noted, noted.symbol(value, "w", 0, (1 << bits) - 1)


def test_what_needs_the_number_of_a_symbol_notes_it() -> None:
    for use in (
        lambda x: (10, 11, 12, 13)[x],
        lambda x: list(range(x)),
        lambda x: {2: "two"}[x],
        lambda x: f"f{x}",
        lambda x: str(x),
        lambda x: int(x),
        lambda x: 64 // x,
        lambda x: 1 << -x if x < 0 else 5 // x,
        lambda x: bytes(x),
    ):
        noted, x = symbol(2)
        use(x)
        assert noted.conditions == {"w == 2": True}
        # From here on it is that number: nothing more is noted.
        assert x == 2 and x != 3 and x < 7 and x & 1 == 0
        assert noted.conditions == {"w == 2": True}


def test_decisions_are_noted_once_and_bounds_need_none() -> None:
    noted, x = symbol(5)
    assert x != 256 and x <= 255 and x >= 0 and not x < 0 and x != -1
    assert not noted.conditions
    assert (x & 255) is x and (x | 0) is x and (x >> 0) is x and x >> 8 == 0 and x * 0 == 0
    assert not noted.conditions
    assert 7 not in (y for y in (3, x)) and x not in (3, 4) and x
    assert noted.conditions == {"w == 7": False, "w == 3": False, "w == 4": False, "w == 0": False}
    assert x > 2 and min(x, 9) is x
    assert noted.conditions.keys() >= {"2 < w", "9 < w"}


def test_a_symbol_is_no_number_that_could_be_taken_unasked() -> None:
    _, x = symbol(3)
    assert not isinstance(x, int)
    for use in (lambda: x / 2, lambda: x**2, lambda: x @ x, lambda: x < "a"):
        with pytest.raises(TypeError):
            use()


def test_expressions_give_in_every_word_what_they_gave_in_this_one() -> None:
    """Random expressions of the operations that definitions use, and their bounds."""
    r = random.Random(11)
    operations = (
        lambda a, b: a + b, lambda a, b: a - b, lambda a, b: b - a, lambda a, b: a * b,
        lambda a, b: a & 0xFFF & b, lambda a, b: a | b, lambda a, b: a ^ b, lambda a, b: ~a, lambda a, b: -a,
        lambda a, b: (a & 0xFFFF) << (b & 7), lambda a, b: a >> (b & 15), lambda a, b: 3 << (b & 31),
        lambda a, b: a // 4, lambda a, b: a % 8, lambda a, b: a.bit_length(), lambda a, b: (a & 0xFFFF).bit_count(),
        lambda a, b: 0xABCD >> (b & 7),
    )  # fmt: skip

    def compute(chosen: list[Any], word: Any) -> Any:
        values = [word, word >> 4 & 15, word & 15, 7]
        for n, operation in enumerate(chosen):
            values.append(operation(values[-1], values[(n * 7) % len(values)]))
        return values[-1]

    for _ in range(400):
        chosen = [r.choice(operations) for _ in range(r.randrange(1, 7))]
        noted, x = symbol(r.getrandbits(16), 16)
        result = compute(chosen, x)
        if not isinstance(result, Symbol):
            continue
        lines = noted.lines([result.text], "return None")
        scope: dict[str, Any] = {}
        exec("\n ".join(["def f(w):", *lines, f"return {result.text}"]), scope)
        for _ in range(8):
            word = r.getrandbits(16)
            found = scope["f"](word)
            if found is not None:
                assert found == compute(chosen, word)
                assert result.low <= found <= result.high
