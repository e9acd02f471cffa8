"""The release tables against numbers read independently from the tags, and laws that hold in every table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from retrap.kernel.abi import RELEASES, UnknownRelease, bootable, release, releases
from retrap.kernel.abi.bootinfo import resized
from retrap.kernel.abi.release import Release
from retrap.machine.context import Slot

GOLDEN = Path(__file__).parent / "golden"
TAGGED = [r for r in RELEASES if r.tag != "paper"]
ids = [r.name for r in RELEASES]
tagged_ids = [r.name for r in TAGGED]


def golden(name: str) -> dict[str, dict[str, int]]:
    """Release → row name → number."""
    columns: dict[str, dict[str, int]] = {}
    with (GOLDEN / f"{name}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for tag, value in row.items():
                if tag != "name" and value:
                    columns.setdefault(tag, {})[row["name"]] = int(value)
    return columns


LABELS, SYSCALLS, BOOTINFO = golden("labels"), golden("syscalls"), golden("bootinfo")


def test_the_golden_files_and_the_catalog_name_the_same_releases() -> None:
    assert set(LABELS) == set(SYSCALLS) == set(BOOTINFO) == {r.tag for r in TAGGED}


@pytest.mark.parametrize("table", TAGGED, ids=tagged_ids)
def test_labels_are_those_of_the_tag(table: Release) -> None:
    assert table.label_numbers() == LABELS[table.tag]


@pytest.mark.parametrize("table", TAGGED, ids=tagged_ids)
def test_system_calls_are_those_of_the_tag(table: Release) -> None:
    in_debug_builds = {"", "printing", "debug", "tls-self"}
    mine = {call.spelling: call.number for call in table.syscalls if call.requires in in_debug_builds}
    assert mine == SYSCALLS[table.tag]


@pytest.mark.parametrize("table", TAGGED, ids=tagged_ids)
def test_boot_information_is_laid_out_as_the_compiler_does(table: Release) -> None:
    layout = table.bootinfo
    mine = {f.name: f.offset for f in (*layout.fields, *layout.lists)}
    mine["TOTAL"] = layout.size
    mine.update({f"desc_{f.name}": f.offset for f in layout.untyped_desc})
    assert mine == BOOTINFO[table.tag]
    assert layout.untyped_list_offset == layout.lists[0].offset


def test_signatures_are_those_of_the_interface_descriptions() -> None:
    order = [r.tag for r in TAGGED]
    history: dict[str, list[tuple[int, str, str]]] = {}
    with (GOLDEN / "signatures.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            change = (order.index(row["since"]), row["method"], row["parameters"])
            history.setdefault(row["label"], []).append(change)
    compared = 0
    for number, table in enumerate(TAGGED):
        for invocation in table.invocations[1:]:
            _, method, parameters = max(change for change in history[invocation.label] if change[0] <= number)
            mine = "; ".join(f"{'out ' if p.out else ''}{p.name}:{p.kind}:{p.bits}" for p in invocation.parameters)
            assert (invocation.method, mine) == (method, parameters), (table.name, invocation.label)
            compared += 1
    assert compared == sum(len(r.invocations) - 1 for r in TAGGED)


@pytest.mark.parametrize("table", RELEASES, ids=ids)
def test_every_table_is_well_formed(table: Release) -> None:
    labels = [i.label for i in table.invocations]
    assert labels[0] == "InvalidInvocation"
    assert len(set(labels)) == len(labels)
    assert all(i.method.startswith(f"seL4_{i.interface}_") for i in table.invocations[1:])
    numbers = [call.number for call in table.syscalls]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) == -1
    assert all(call.spelling.startswith("seL4_Sys") for call in table.syscalls)
    assert [kind.name for kind in table.object_types][:3] == ["Untyped", "TCB", "Endpoint"]
    assert len({kind.name for kind in table.object_types}) == len(table.object_types)
    assert table.errors[0] == "seL4_NoError"
    assert len(table.errors) == 11
    assert len(set(table.fault_labels.values())) == len(table.fault_labels)
    assert len(set(table.cap_types.values())) == len(table.cap_types)
    assert table.boot_slots[:3] == ("seL4_CapNull", "seL4_CapInitThreadTCB", "seL4_CapInitThreadCNode")
    assert len(set(table.user_context)) == len(table.user_context)
    assert table.user_context[:3] == (Slot.PC, Slot.SP, -1)


@pytest.mark.parametrize("table", TAGGED, ids=tagged_ids)
def test_sizes_of_objects(table: Release) -> None:
    """`libsel4/**/constants.h` (once types.h): all sizes but the TCB's never changed."""
    sizes = {kind.name: kind.size_bits for kind in table.object_types}
    tcb = sizes.pop("TCB")
    assert sizes == {
        "Untyped": None,
        "Endpoint": 4,
        "Notification": 4,
        "CapTable": None,
        "SmallPage": 12,
        "LargePage": 16,
        "Section": 20,
        "SuperSection": 24,
        "PageTable": 10,
        "PageDirectory": 14,
    }
    assert tcb == 9


def test_the_size_of_a_tcb_follows_release_and_build() -> None:
    def bits(name: str, *, fpu: bool, debug: bool) -> int | None:
        (tcb,) = (kind for kind in release(name).object_types if kind.name == "TCB")
        return tcb.bits(fpu=fpu, debug=debug)

    assert [bits("5.2.0", fpu=f, debug=d) for f, d in ((False, False), (False, True), (True, True))] == [9, 9, 9]
    assert [bits("6.0.0", fpu=f, debug=d) for f, d in ((False, False), (False, True), (True, False))] == [9, 10, 10]
    assert [bits("9.0.0", fpu=f, debug=d) for f, d in ((False, False), (False, True), (True, False))] == [9, 9, 10]
    assert bits("16.0.0", fpu=True, debug=True) == 10


def test_object_numbers_moved_in_13() -> None:
    old, new = release("12.1.0").object_numbers(), release("13.0.0").object_numbers()
    assert (old["SmallPage"], old["PageDirectory"]) == (5, 10)
    assert (new["SmallPage"], new["PageDirectory"]) == (6, 5)


def test_context_lengths() -> None:
    lengths = {name: len(release(name).user_context) for name in ("1.0.3", "10.1.1", "11.0.0", "12.0.0", "16.0.0")}
    assert lengths == {"1.0.3": 17, "10.1.1": 17, "11.0.0": 18, "12.0.0": 19, "16.0.0": 19}


def test_fixed_slots() -> None:
    """The first dynamic slot of the initial CNode: 12, then 14, then 16."""
    counts = {name: len(release(name).boot_slots) for name in ("1.0.3", "11.0.0", "12.0.0", "12.1.0", "13.0.0")}
    assert counts == {"1.0.3": 12, "11.0.0": 12, "12.0.0": 14, "12.1.0": 14, "13.0.0": 16}


def test_lists_of_boot_information_can_have_other_lengths() -> None:
    old = resized(release("3.2.0").bootinfo, 50, 20)
    offsets = {f.name: f.offset for f in (*old.fields, *old.lists)}
    assert offsets["untypedSizeBitsList"] == 64 + 4 * 50
    assert offsets["initThreadCNodeSizeBits"] == 64 + 5 * 50
    assert offsets["numDeviceRegions"] == 316  # the next multiple of four
    assert offsets["initThreadDomain"] == 316 + 4 + 16 * 20
    new = release("16.0.0").bootinfo
    assert resized(new, 230, 0) == new
    assert resized(new, 10, 0).size == 84 + 8 * 10


# --- names


def test_the_default_release_is_bootable_and_all_bootable_ones_have_tables() -> None:
    assert release().name in bootable()
    assert set(bootable()) <= set(releases())


def test_releases_are_listed_oldest_first() -> None:
    names = releases()
    assert names[0] == "2006"
    assert names[1:] == tuple(sorted(names[1:], key=lambda n: [int(p) for p in n.split(".")]))
    wanted = "1.0.3 1.0.4 2.0.0 2.1.0 3.0.0 3.1.0 3.2.0 4.0.0 5.0.0 5.1.0 5.2.0 6.0.0 7.0.0 8.0.0 9.0.0 9.0.1"
    wanted += " 10.0.0 10.1.0 10.1.1 11.0.0 12.0.0 12.1.0 13.0.0 14.0.0 15.0.0 16.0.0"
    assert set(wanted.split()) <= set(names)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, "16.0.0"),
        ("16.0.0", "16.0.0"),
        ("16", "16.0.0"),
        ("v16.0", "16.0.0"),
        ("seL4-12.1.0", "12.1.0"),
        ("12", "12.1.0"),
        ("12.0", "12.0.0"),
        ("1", "1.0.4"),
        ("9", "9.0.1"),
        ("10.1", "10.1.1"),
        (" 3.2.0 ", "3.2.0"),
        ("2006", "2006"),
        ("2", "2.1.0"),
    ],
)
def test_names_and_beginnings_are_resolved(asked: str | None, found: str) -> None:
    assert release(asked).name == found


@pytest.mark.parametrize(
    "asked", ["", "17", "1.", "16.0.0.0", "16-", "16.0.0-nonsense", "20", "200", "latest", "é", "-"]
)
def test_unknown_names_are_refused_with_the_known_ones(asked: str) -> None:
    with pytest.raises(UnknownRelease) as error:
        release(asked)
    text = str(error.value)
    assert repr(asked) in text
    assert all(name in text for name in releases())
    assert isinstance(error.value, KeyError)


def test_the_2006_design_has_six_object_types_and_no_reply() -> None:
    paper = release("2006")
    names = [kind.name for kind in paper.object_types]
    assert names == ["Untyped", "TCB", "Endpoint", "AsyncEndpoint", "CapTable", "UserData"]
    assert not {"Reply", "ReplyRecv"} & {call.name for call in paper.syscalls}
    assert "num_objects" not in {p.name for p in paper.invocations[1].parameters}
    assert not any(i.interface.startswith(("ARM", "IRQ", "Domain")) for i in paper.invocations)
