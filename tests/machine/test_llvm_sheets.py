"""The native interpreter: it does what the evaluator does, on every encoding, and what is kept for it serves."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from isa_oracle import random_word
from llvm_pair import ALIAS, CODE, ENCODINGS, RAM, Pair
from retrap.machine.arm.decode import to_bytes
from retrap.machine.arm.templates import on_tape
from retrap.machine.arm.translate import translate
from retrap.machine.context import Slot
from retrap.machine.ir.ops import Op
from retrap.machine.ir.tape import CODES, tape_of
from retrap.machine.ir.written import needed
from retrap.machine.llvm.layout import Sheet as Layout
from retrap.machine.llvm.sheets import Sheet, Taping, write
from retrap.machine.llvm.store import open_store

EVALUATED = frozenset((Op.CALL, Op.COUNTER, Op.SYSTEM_GET, Op.SYSTEM_SET))

WORDS = 6
"""Of each encoding."""

PARTS = 4
"""All encodings, in so many tests."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAP_CACHE", str(tmp_path))


@pytest.fixture
def kept(cache: None) -> None:
    """For what comes from earlier runs."""
    if open_store() is None:
        pytest.skip("nothing is kept on this host (docs/native.md, Hosts)")


class OneByOne(Pair):
    """Runs single instructions, of which native code has a sheet."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, hot=1 << 20, taped=True)
        native = self.native.native
        assert native._make_interpreter()
        assert native._interpreter is not None
        self.interpreter = native._interpreter
        self.side = native.space(self.sides[1].spaces[0])
        self.starts, self.lengths = [0, 0], [64, 64]

    def page(self, words: list[int], thumb: bool) -> Sheet:
        """Put words into the page at CODE, 8 bytes apart, and their sheet before the interpreter."""
        content = b"".join(to_bytes(word, thumb).ljust(8, b"\0") for word in words).ljust(4096, b"\0")
        self.load(content)
        heads = [CODE + 8 * n | thumb for n in range(len(words))]
        sheet = Sheet(write(CODE >> 12, content, heads, Taping())[0])
        self.side.looked[CODE >> 12] = "given"
        self.side.add_sheet(CODE >> 12, sheet, self.interpreter)
        return sheet

    def step(self, n: int, thumb: bool, it: int = 0) -> bool:
        """Run word `n` on both sides and compare; whether the interpreter did it."""
        self.both(Slot.PC, CODE + 8 * n)
        self.both(Slot.THUMB, int(thumb))
        self.both(Slot.IT, it)
        self.both(Slot.BIG_ENDIAN, 0)
        self.both(Slot.EXCLUSIVE, self.r.randrange(2))
        evaluator = self.native.evaluator
        evaluator.retired = -1
        traps = [machine.run(0, 1) for machine in self.sides]
        interpreted = evaluator.retired == -1
        self.compare(traps[0], traps[1], f"word {n}")
        return interpreted


@pytest.mark.parametrize("part", range(PARTS))
def test_every_encoding_does_what_it_does_in_the_evaluator(part: int) -> None:
    pair = OneByOne(part)
    taped = interpreted = 0
    for thumb in (False, True):
        encodings = [e for e in ENCODINGS if e.thumb == thumb][part::PARTS]
        drawn = [random_word(pair.r, e) for e in encodings for _ in range(WORDS)]
        words = [word for word in drawn if word is not None]
        for first in range(0, len(words), 500):
            sheet = pair.page(words[first : first + 500], thumb)
            for n in range(len(words[first : first + 500])):
                for _ in range(3):
                    pair.registers()
                    native = pair.step(n, thumb)
                    taped += sheet.count(CODE + 8 * n | thumb) >= 0
                    interpreted += native
            pair.restore()
    # The others trap, touch what native code may not, or were written over by one before.
    assert interpreted > 0.5 * taped > 1500


def test_it_blocks_are_kept_with_the_state_they_ran_in() -> None:
    pair = OneByOne(1)
    # it eq; addeq r0, r1; it ne; subne r0, r2; … each pair in 8 bytes; the second has to be run on its own, too
    content = (struct.pack("<HHHH", 0xBF08, 0x4408, 0xBF18, 0x1A80) * 512)[:4096]
    pair.load(content)
    sheet = Sheet(write(CODE >> 12, content, [CODE | 1], Taping())[0])
    pair.side.looked[CODE >> 12] = "given"
    pair.side.add_sheet(CODE >> 12, sheet, pair.interpreter)
    for flags in range(4):
        pair.registers()
        pair.both(Slot.Z, flags & 1)
        pair.both(Slot.PC, CODE)
        pair.both(Slot.THUMB, 1)
        pair.both(Slot.IT, 0)
        for budget in (1, 1, 2, 3, 40):
            pair.native.evaluator.retired = -1
            traps = [machine.run(0, budget) for machine in pair.sides]
            assert pair.native.evaluator.retired == -1
            pair.compare(traps[0], traps[1], "it")
        # In another state than the one on tape, it is the evaluator's.
        pair.both(Slot.PC, CODE + 2)
        pair.both(Slot.IT, 0)
        traps = [machine.run(0, 1) for machine in pair.sides]
        assert pair.native.evaluator.retired == pair.sides[0].retired
        pair.compare(traps[0], traps[1], "no it")


def test_code_that_is_not_what_it_was_is_the_evaluators() -> None:
    pair = OneByOne(2)
    add, sub = 0xE2800001, 0xE2400001  # r0, r0, #1
    pair.page([add] * 4, False)
    for machine in pair.sides:
        machine.memory.write_word(RAM + 8, sub)
    pair.registers()
    assert pair.step(0, False)
    assert not pair.step(1, False)
    assert pair.step(2, False)
    # Whoever writes: here an instruction of the guest's, through another mapping.
    pair.page([0xE5821000, add], False)  # str r1, [r2]
    pair.both(1, sub)
    pair.both(2, ALIAS + 8)
    assert pair.step(0, False) or pair.step(0, False)
    before = pair.sides[0].context.words[0]
    assert not pair.step(1, False)
    assert pair.sides[1].context.words[0] == before - 1 & 0xFFFFFFFF
    # A page that goes takes its sheet with it.
    pair.page([add] * 4, False)
    assert pair.step(0, False)
    for machine in pair.sides:
        machine.spaces[0].unmap(CODE, 12)
    assert not pair.step(0, False)


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 7, 100])
def test_budgets_are_exact(budget: int) -> None:
    pair = OneByOne(3)
    words = [0xE2800001, 0xE0811000, 0xE2533001, 0x1AFFFFFB, 0xEF000000]  # add; add; subs; bne; svc
    content = struct.pack("<5I", *words).ljust(4096, b"\0")
    pair.load(content)
    pair.side.looked[CODE >> 12] = "given"
    sheet = Sheet(write(CODE >> 12, content, [CODE, CODE + 16], Taping())[0])
    pair.side.add_sheet(CODE >> 12, sheet, pair.interpreter)
    pair.registers()
    for slot, value in ((Slot.PC, CODE), (Slot.THUMB, 0), (Slot.IT, 0), (Slot.BIG_ENDIAN, 0), (3, 9)):
        pair.both(slot, value)
    for _ in range(60):
        pair.native.evaluator.retired = -1
        traps = [machine.run(0, budget) for machine in pair.sides]
        pair.compare(traps[0], traps[1], "loop")
        assert pair.native.evaluator.retired == -1
        if traps[0].kind.name == "SVC":
            break
    assert pair.sides[1].context.words[Slot.PC] == CODE + 16


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("seed", range(8))
def test_random_programs_under_a_random_host(seed: int) -> None:
    pair = Pair(9000 + seed, hot=(4, 64, 1 << 20)[seed % 3], period=(500, 3000)[seed & 1], taped=True)
    for _ in range(3):
        pair.random_program()
        for _ in range(6):
            pair.registers()
            pair.jump()
            pair.run(300)
            if pair.r.random() < 0.7:
                pair.disturb()
        pair.restore()


def test_what_runs_often_is_compiled_after_all() -> None:
    pair = OneByOne(4)
    words = [0xE2800001, 0xE2533001, 0x1AFFFFFC, 0xEF000000]
    content = struct.pack("<4I", *words).ljust(4096, b"\0")
    pair.load(content)
    pair.side.looked[CODE >> 12] = "given"
    sheet = Sheet(write(CODE >> 12, content, [CODE, CODE + 12], Taping())[0])
    pair.side.add_sheet(CODE >> 12, sheet, pair.interpreter)
    for slot, value in ((Slot.PC, CODE), (Slot.THUMB, 0), (Slot.IT, 0), (Slot.BIG_ENDIAN, 0), (3, 5000), (0, 0)):
        pair.both(slot, value)
    traps = [machine.run(0, 1 << 20) for machine in pair.sides]
    pair.compare(traps[0], traps[1], "loop")
    assert pair.sides[1].context.words[0] == 5000
    assert pair.native.native.compiled >= 1
    assert sheet.count(CODE) == Layout.ENOUGH


def test_a_template_on_tape_is_the_tape_of_its_words() -> None:
    """With the numbers put into the holes, it is what the word's own block gives."""
    r = random.Random(5)
    compared = 0
    for encoding in ENCODINGS:
        for _ in range(6):
            word = random_word(r, encoding)
            found = on_tape(word, encoding.thumb, 0) if word is not None else None
            if word is None or found is None:
                continue
            tape, numbers, ends = found
            block = translate(word, encoding.thumb, 0)
            own = tape_of(block)
            assert own is not None
            assert ends == (block.branches or block.trap >= 0)
            if numbers:
                compared += 1
                assert _filled(tape, numbers) == _filled(own, ())
            else:
                assert tape == own
    assert compared > 100


def _filled(tape: bytes, numbers: tuple[int, ...]) -> list[tuple[int, ...]]:
    plain = {CODES[f"{name}_hole"]: CODES[name] for name in ("get", "set", "get64", "set64")}
    plain[CODES["hole"]] = CODES["const"]
    rows = []
    for code, d, a, b, imm in struct.iter_unpack("<4BI", tape):
        rows.append((plain[code], d, a, b, numbers[imm]) if code in plain else (code, d, a, b, imm))
    return rows


def test_blocks_with_helpers_are_not_on_tape() -> None:
    r = random.Random(6)
    found = 0
    for encoding in ENCODINGS:
        word = random_word(r, encoding)
        block = translate(word, encoding.thumb, 0) if word is not None else None
        if block is not None and any(i.op in EVALUATED for i in needed(block.body, -1)):
            assert tape_of(block) is None
            found += 1
    assert found > 100


def test_any_page_can_be_put_on_tape() -> None:
    """What lies where a basic block began may be anything by the end of a run: another page was there."""
    r = random.Random(7)
    for _ in range(200):
        content = r.randbytes(4096)
        heads = [5 << 12 | r.randrange(4096) & ~3 for _ in range(6)]
        heads += [5 << 12 | r.randrange(4096) | 1 for _ in range(8)]
        sheet = Sheet(write(5, content, heads, Taping())[0])
        assert sheet.heads == set(heads)
        assert all(sheet.count(head) in (-1, 0) for head in heads)


RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import cold_start
seconds, registers, count = cold_start.ours(cold_start.program(600, 2), "auto")
known = "retrap.machine.arm.instructions" in sys.modules
print(registers, count, "definitions" if known else "no definitions")
"""


@pytest.mark.usefixtures("kept")
def test_a_second_run_decodes_nothing(tmp_path: Path) -> None:
    benchmarks = Path(__file__).resolve().parents[2] / "benchmarks"
    environment = {**os.environ, "RETRAP_CACHE": str(tmp_path / "cache")}
    outcomes = []
    for _ in range(3):
        command = [sys.executable, "-c", RUN, str(benchmarks)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True)
        outcomes.append(done.stdout)
        assert done.stderr == ""
    assert outcomes[0].endswith(" definitions\n")
    assert outcomes[1] == outcomes[2] == outcomes[0].replace(" definitions", " no definitions")


@pytest.mark.usefixtures("kept")
def test_a_store_of_another_page_has_no_sheet_for_it(tmp_path: Path) -> None:
    """Sheets are found by the page's bytes and address."""
    pair = Pair(7, taped=True)
    native = pair.native.native
    sheets, store = native.sheets, native.store
    assert sheets is not None and store is not None
    code = struct.pack("<2I", 0xE2800001, 0xEF000000).ljust(4096, b"\0")
    pair.load(code)
    pair.both(Slot.PC, CODE)
    pair.sides[1].run(0, 10)
    assert sheets.keep({CODE})
    fresh = Pair(8, taped=True)
    fresh.load(code)
    fresh.both(Slot.PC, CODE)
    fresh.sides[1].run(0, 10)
    side = fresh.native.native.space(fresh.sides[1].spaces[0])
    assert side.sheets[CODE >> 12].heads == {CODE}
    other = Pair(8, taped=True)
    other.load(code[:-1] + b"\1")
    other.both(Slot.PC, CODE)
    other.sides[1].run(0, 10)
    assert not other.native.native.space(other.sides[1].spaces[0]).sheets
