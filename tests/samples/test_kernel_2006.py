"""The samples for the kernel of the 2006 paper: they pass, under all laws, and their traces replay."""

from __future__ import annotations

from pathlib import Path

import pytest
from retrap.kernel.abi import release
from retrap.kernel.abi.header import c_header
from retrap.tools import booting, replaying
from retrap.tools.booting import boot
from retrap.traces.record import Record

HERE = Path(__file__).parents[2] / "samples" / "kernel-2006"
NAMES = tuple(sorted(path.stem for path in HERE.glob("*.c")))
STATES = ("arm", "thumb")


def run(image: Path, check: str = "cheap", **options: object) -> tuple[booting.BootResult, list[str], list[Record]]:
    console = bytearray()
    records: list[Record] = []
    result = boot(
        image,
        kernel="2006",
        check=check,
        max_instructions=5_000_000,
        console=console.extend,
        report=records.append,
        **options,  # type: ignore[arg-type]
    )
    return result, console.decode().splitlines(), records


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", NAMES)
def test_it_passes(name: str, state: str, tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    check = "full" if state == "arm" else "cheap"
    result, lines, _ = run(HERE / "prebuilt" / f"{name}-{state}.elf", check, trace=trace)
    assert result.outcome == "halted" and result.kernel == "2006"
    assert lines[-1] == "PASS" and not any(line.startswith("FAIL") for line in lines)
    for cpu in (False, True):
        assert replaying.replay(trace, cpu=cpu).same


def test_memory_is_divided_equally() -> None:
    _, lines, records = run(HERE / "prebuilt" / "memory-arm.elf")
    assert "65536 bytes are 128 x threads of 512" in lines
    assert "65536 bytes are 4 x user data of 16384" in lines
    refused = [record for record in records if record.error == 9]
    assert len(refused) == 5 + 16
    assert {record.reason for record in refused} == {"capabilities derived from it exist: revoke it first"}


def test_a_message_is_held() -> None:
    _, lines, records = run(HERE / "prebuilt" / "mailbox-thumb.elf")
    assert lines[:-1] == [f"received badge 77, {count} words" for count in (4, 2, 0)]
    assert any(record.target is not None and record.target[0] == "AsyncEndpoint" for record in records)


def test_loads_and_stores_are_invocations() -> None:
    _, lines, records = run(HERE / "prebuilt" / "loads-arm.elf")
    assert "store without the right: fault at 20000000, status 80f" in lines
    accesses = [record for record in records if record.kind != 0 and record.target is not None]
    assert accesses and all(record.target[0] == "UserData" for record in accesses)  # type: ignore[index]


def test_backends_agree() -> None:
    results = [run(HERE / "prebuilt" / "loads-thumb.elf", backend=name)[0] for name in ("evaluate", "auto")]
    assert results[0].state_digest == results[1].state_digest
    assert (results[0].instructions, results[0].traps) == (results[1].instructions, results[1].traps)


@pytest.mark.parametrize("sample", ["hello", "retype", "pingpong", "pager", "delegate", "preempt"])
def test_an_image_for_another_kernel_fails_legibly(sample: str) -> None:
    result, _, _ = run(HERE.parent / "prebuilt" / f"{sample}-arm.elf")
    assert result.outcome in ("died", "halted", "limit", "quiescent")
    assert result.outcome != "died" or "fault" in result.deaths[0]


def test_the_header_says_what_there_is() -> None:
    text = c_header(release("2006"))
    for name in ("seL4_AsyncEndpointObject", "seL4_UserDataObject", "seL4_SysWait", "UntypedRetype = 1"):
        assert name in text
    for name in ("seL4_Reply", "PageTable", "IRQHandler", "num_objects"):
        assert name not in text
