"""What changed between releases, as programs: each sample on the release before a change and the one after."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from release_rows import ELSEWHERE, ROWS
from retrap.kernel.abi import bootable, release
from retrap.tools import BootResult, boot, diff
from retrap.traces.reader import Reader
from retrap.traces.show import Formatter

FOLDER = Path(__file__).resolve().parents[2] / "samples" / "releases"
DOCUMENT = FOLDER.parents[1] / "docs" / "release-samples.md"
BUILDS = [(row, name) for row, runs in ROWS.items() for name in runs]


def image(row: str, built_for: str) -> Path:
    return FOLDER / "prebuilt" / f"{row}-{built_for}.elf"


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@cache
def run(folder: Path, row: str, name: str) -> tuple[BootResult, list[str], list[str], Path]:
    """A build on its own release: the result, the lines that it printed, those of its trace, and the trace."""
    path = folder / f"{row}-{name}.trace"
    console = bytearray()
    manifest = FOLDER / f"{row}.toml"
    result = boot(
        image(row, name),
        manifest=manifest if manifest.exists() else None,
        kernel=name,
        trace=path,
        backend="evaluate",
        console=console.extend,
    )
    with Reader(path) as reader:
        assert reader.complete
        formatter = Formatter(release(name))
        lines = [line for record in reader for line in formatter.lines(record)]
    # Without "[      time] ".
    return result, console.decode("ascii").splitlines(), [line.partition("] ")[2] for line in lines], path


def test_every_sample_is_listed_and_built() -> None:
    rows = {path.stem for path in FOLDER.glob("row-*.c")}
    assert rows == set(ROWS)
    listed = dict(re.findall(r"^(row-\S+) := (.*)$", (FOLDER / "builds.mk").read_text(encoding="utf-8"), re.M))
    assert {row: names.split() for row, names in listed.items()} == {row: list(runs) for row, runs in ROWS.items()}
    assert {path.name for path in (FOLDER / "prebuilt").iterdir()} == {image(*build).name for build in BUILDS}
    assert {name for _, name in BUILDS} <= set(bootable())


@pytest.mark.parametrize("row", ROWS)
def test_every_sample_says_what_changed(row: str) -> None:
    number = int(row.split("-")[1])
    text = (FOLDER / f"{row}.c").read_text(encoding="utf-8")
    assert text.startswith(f"/* row {number}: ")
    (line,) = re.findall(rf"^\| {number} \| .*$", DOCUMENT.read_text(encoding="utf-8"), re.M)
    assert f"`{row}`" in line
    assert all(name in line for name in ROWS[row])


@pytest.mark.parametrize("build", BUILDS, ids="-".join)
def test_images_are_small_and_tell_nothing_about_where_they_were_built(build: tuple[str, str]) -> None:
    data = image(*build).read_bytes()
    assert len(data) < 8192
    assert not re.search(rb"/(home|tmp|root|usr|work)/|GCC: \(|20[0-9]{2}-[0-9]{2}", data)
    with image(*build).open("rb") as file:
        segments = [s.header for s in ELFFile(file).iter_segments() if s.header.p_type == "PT_LOAD"]
    assert [segment.p_flags for segment in segments] == [5, 6]


@pytest.mark.parametrize("build", BUILDS, ids="-".join)
def test_output_and_trace_show_the_outcome(build: tuple[str, str], traces: Path) -> None:
    row, name = build
    expected = ROWS[row][name]
    result, prints, lines, _ = run(traces, row, name)
    assert result.outcome == expected.outcome
    # Addresses of code are the compiler's business.
    wanted = [line.replace("{ip}", "[0-9a-f]+") if "{ip}" in line else re.escape(line) for line in expected.prints]
    assert len(prints) == len(wanted)
    assert [line for line, pattern in zip(prints, wanted, strict=True) if not re.fullmatch(pattern, line)] == []
    following = iter(lines)
    for pattern in expected.trace:
        assert any(re.search(pattern, line) for line in following), (pattern, lines)


@pytest.mark.parametrize("row", ROWS)
def test_a_diff_of_the_old_and_the_new_trace_shows_it(row: str, traces: Path) -> None:
    for old, new in pairwise(ROWS[row]):
        if ROWS[row][old] == ROWS[row][new]:
            continue
        report = diff(run(traces, row, old)[3], run(traces, row, new)[3])
        assert report.behaviour > 0
        assert report.first is not None


@pytest.mark.parametrize("case", ELSEWHERE, ids="-".join)
def test_the_same_program_goes_another_way_elsewhere(case: tuple[str, str, str, str, str], traces: Path) -> None:
    row, name, elsewhere, call, what = case
    report = diff(run(traces, row, name)[3], kernel=elsewhere)
    found = [d for d in report.differences if d.call.endswith(call) and not d.incidental]
    assert any(d.kind == what or what in {f.field for f in d.fields} for d in found)


def test_the_modelled_crash_is_a_death_with_a_reason(traces: Path) -> None:
    result, _, lines, _ = run(traces, "row-35-flushing-what-is-not-mapped", "15.0.0")
    assert result.status == 3
    assert lines[-1].endswith("data abort in the kernel: cache operation on an unmapped page")
