"""What `retrap kernels A B` is made of: changes between tables, behaviour facts, and their sources."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrap.kernel.abi import RELEASES, compare, release
from retrap.kernel.abi.document import document, main
from retrap.kernel.abi.fact_notes import NOTES
from retrap.kernel.abi.release import Facts

TAGGED = [r for r in RELEASES if r.tag != "paper"]
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "releases.md"
any_release = st.sampled_from(RELEASES)


@given(any_release)
def test_a_release_does_not_differ_from_itself(table) -> None:
    assert compare(table, table) == []


@given(any_release, any_release)
def test_the_other_way_round_the_same_rows_differ(left, right) -> None:
    there = {(c.category, c.name): (c.old, c.new) for c in compare(left, right)}
    back = {(c.category, c.name): (c.new, c.old) for c in compare(right, left)}
    assert there == back
    assert all(c.source and "?" not in c.source for c in compare(left, right))


@given(any_release, any_release, any_release)
def test_differences_compose(a, b, c) -> None:
    """A row that differs between a and c differs on the way there by b."""
    names = {(x.category, x.name) for x in compare(a, c)}
    assert names <= {(x.category, x.name) for x in (*compare(a, b), *compare(b, c))}


def test_every_fact_has_a_note_and_every_note_a_fact() -> None:
    assert set(NOTES) == {field.name for field in fields(Facts)}


def test_the_sources_of_a_fact_are_the_tags_where_it_changed() -> None:
    for name, note in NOTES.items():
        changed = {
            after.tag
            for before, after in pairwise(TAGGED)
            if getattr(before.facts, name) != getattr(after.facts, name)
        }
        assert changed == set(note.sources) - {"1.0.3"}, name
        assert changed or "1.0.3" in note.sources, name


def test_the_defaults_of_the_facts_are_the_newest_release() -> None:
    assert TAGGED[-1].facts == Facts()


def test_a_fact_changed_by_hand_is_found_with_its_sources() -> None:
    newest = release("16.0.0")
    other = replace(newest, facts=replace(newest.facts, wakeup="direct"))
    (change,) = compare(newest, other)
    assert (change.category, change.name, change.old, change.new) == ("behaviour", "wakeup", "candidate", "direct")
    assert change.source == "8.0.0: src/kernel/thread.c"


@pytest.mark.parametrize(
    ("old", "new", "category", "name", "texts", "source"),
    [
        (
            "1.0.4",
            "2.0.0",
            "syscalls",
            "NBRecv",
            ("-", "-8 seL4_SysNBRecv"),
            "2.0.0: libsel4/include/api/syscall.xml",
        ),
        (
            "1.0.4",
            "2.0.0",
            "syscalls",
            "Recv",
            ("-5 seL4_SysWait", "-5 seL4_SysRecv"),
            "2.0.0: libsel4/include/api/syscall.xml",
        ),
        (
            "3.2.0",
            "4.0.0",
            "fault labels",
            "VMFault",
            ("2", "5"),
            "4.0.0: libsel4/sel4_arch_include/aarch32/sel4/sel4_arch/types.bf",
        ),
        (
            "12.1.0",
            "13.0.0",
            "object types",
            "SmallPage",
            ("5 seL4_ARM_SmallPageObject 2^12", "6 seL4_ARM_SmallPageObject 2^12"),
            "13.0.0: libsel4/sel4_arch_include/aarch32/sel4/sel4_arch/objecttype.h",
        ),
        (
            "11.0.0",
            "12.0.0",
            "bootinfo",
            "seL4_UntypedDesc.sizeBits",
            ("+6", "+4"),
            "12.0.0: libsel4/include/sel4/bootinfo_types.h",
        ),
        (
            "10.1.1",
            "11.0.0",
            "user context",
            "tpidrurw",
            ("-", "17"),
            "11.0.0: src/arch/arm/32/machine/registerset.c",
        ),
        (
            "13.0.0",
            "14.0.0",
            "invocations",
            "ARMPDClean_Data",
            (
                "30 seL4_ARM_PageDirectory_Clean_Data(start=MR0, end=MR1)",
                "31 seL4_ARM_PageDirectory_Clean_Data(start=MR0, end=MR1)",
            ),
            "14.0.0: libsel4/sel4_arch_include/aarch32/interfaces/object-api-sel4-arch.xml",
        ),
        ("2.0.0", "2.1.0", "constants", "CONFIG_ROOT_CNODE_SIZE_BITS", ("16", "12"), "2.1.0: Kconfig"),
        ("7.0.0", "8.0.0", "behaviour", "irq_number_bits", ("16", "32"), "8.0.0: src/object/interrupt.c"),
        (
            "8.0.0",
            "11.0.0",
            "behaviour",
            "set_priority_preempts",
            ("self", "candidate"),
            "9.0.0: src/kernel/thread.c; 11.0.0: src/kernel/thread.c",
        ),
        (
            "2006",
            "1.0.3",
            "behaviour",
            "retype",
            ("split", "watermark"),
            "paper: sections 3.1 and 5; 1.0.3: src/object/untyped.c",
        ),
    ],
)
def test_known_changes(old: str, new: str, category: str, name: str, texts: tuple[str, str], source: str) -> None:
    changes = {(c.category, c.name): c for c in compare(release(old), release(new))}
    change = changes[category, name]
    assert (change.old, change.new) == texts
    assert change.source == source


def test_releases_that_changed_nothing() -> None:
    for old, new in (
        ("3.0.0", "3.0.1"),
        ("5.0.0", "5.1.0"),
        ("9.0.0", "9.0.1"),
        ("10.1.0", "10.1.1"),
        ("12.0.0", "12.1.0"),
    ):
        assert compare(release(old), release(new)) == []


def test_the_document_says_what_the_tables_say(tmp_path: Path) -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document()
    assert main(["--check", str(DOCUMENT)]) == 0
    copy = tmp_path / "releases.md"
    assert main(["--write", str(copy)]) == 0
    assert copy.read_bytes() == DOCUMENT.read_bytes()
    copy.write_text(copy.read_text(encoding="utf-8").replace("16.0.0", "17.0.0"), encoding="utf-8")
    assert main(["--check", str(copy)]) == 1
