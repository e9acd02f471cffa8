"""The sample root tasks: what they are, that they pass, and that they can fail."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from retrap.tools import boot
from retrap.tools.booting import BootResult

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
NAMES = ("hello", "retype", "pingpong", "delegate", "pager", "preempt", "echo", "timer")
STATES = ("arm", "thumb")
IMAGES = [SAMPLES / "prebuilt" / f"{name}-{state}.elf" for name in NAMES for state in STATES]
image_ids = [image.stem for image in IMAGES]


def run(image: Path | None = None, manifest: Path | None = None, **options: object) -> tuple[BootResult, list[str]]:
    """The result and the lines that the guest printed."""
    console = bytearray()
    result = boot(image, manifest=manifest, console=console.extend, **options)  # type: ignore[arg-type]
    return result, console.decode("ascii").splitlines()


def manifest(folder: Path, image: str, text: str) -> Path:
    path = folder / "manifest.toml"
    path.write_text(f'[image]\npath = "{SAMPLES / "prebuilt" / image}"\n{text}', encoding="utf-8")
    return path


def test_every_source_has_its_images_and_every_image_its_source() -> None:
    assert {path.stem for path in SAMPLES.glob("*.c")} == set(NAMES)
    assert {path.name for path in (SAMPLES / "prebuilt").glob("*.elf")} == {image.name for image in IMAGES}


@pytest.mark.parametrize("name", NAMES)
def test_every_source_says_what_a_reader_learns(name: str) -> None:
    text = (SAMPLES / f"{name}.c").read_text(encoding="utf-8")
    assert text.startswith(f"/* {name}: ")
    assert "What a reader learns: " in text.partition("*/")[0]


@pytest.mark.parametrize("image", IMAGES, ids=image_ids)
def test_segments_have_exactly_their_rights_on_pages_of_their_own(image: Path) -> None:
    with image.open("rb") as file:
        segments = [s.header for s in ELFFile(file).iter_segments() if s.header.p_type == "PT_LOAD"]
    assert [segment.p_flags for segment in segments] == [5, 4, 6]  # R-X, R--, RW-
    for segment, following in pairwise(segments):
        assert segment.p_vaddr + segment.p_memsz <= following.p_vaddr
        assert following.p_vaddr % 0x1000 == 0
    assert segments[0].p_vaddr == 0x10000


@pytest.mark.parametrize("image", IMAGES, ids=image_ids)
def test_images_tell_nothing_about_where_they_were_built(image: Path) -> None:
    data = image.read_bytes()
    assert not re.search(rb"/(home|tmp|root|usr|work)/|GCC: \(|20[0-9]{2}-[0-9]{2}", data)


@pytest.mark.parametrize("name", NAMES)
def test_the_two_states_are_two_instruction_sets(name: str) -> None:
    """The C code of the Thumb image is Thumb code: its functions have bit 0 set."""
    modes = []
    for state in STATES:
        with (SAMPLES / "prebuilt" / f"{name}-{state}.elf").open("rb") as file:
            symbols = ELFFile(file).get_section_by_name(".symtab")
            (sample,) = symbols.get_symbol_by_name("sample")
            modes.append(sample.entry.st_value & 1)
    assert modes == [0, 1]


@pytest.mark.parametrize("image", IMAGES, ids=image_ids)
def test_a_sample_passes_and_says_so_once(image: Path) -> None:
    result, lines = run(image)
    assert result.outcome == "halted"
    assert lines[-1] == "PASS"
    assert sum(line.startswith(("PASS", "FAIL")) for line in lines) == 1
    assert result.instructions - result.idle < 5_000_000


def test_the_states_print_the_same() -> None:
    for name in NAMES:
        outputs = [run(SAMPLES / "prebuilt" / f"{name}-{state}.elf")[1] for state in STATES]
        assert outputs[0] == outputs[1], name


def test_arguments_come_from_the_command_or_the_manifest(tmp_path: Path) -> None:
    image = SAMPLES / "prebuilt" / "pingpong-arm.elf"
    assert run(image)[1] == ["100 round trips", "PASS"]
    assert run(image, arguments="rounds=7")[1] == ["7 round trips", "PASS"]
    assert run(image, arguments="xrounds=3 rounds=12 rounds=13")[1] == ["12 round trips", "PASS"]
    assert run(image, arguments="rounds")[1] == ["100 round trips", "PASS"]
    assert run(manifest=SAMPLES / "pingpong.toml")[1] == ["1000 round trips", "PASS"]


def test_shorter_slices_make_more_turns(tmp_path: Path) -> None:
    result, lines = run(manifest=SAMPLES / "preempt.toml")
    assert lines == ["the spinners took turns", "PASS"]
    assert result.instructions < run(SAMPLES / "prebuilt" / "preempt-arm.elf")[0].instructions


@pytest.mark.parametrize("permissions", ["elf", "kernel"])
def test_samples_do_not_depend_on_who_maps_the_image(tmp_path: Path, permissions: str) -> None:
    _, lines = run(manifest=manifest(tmp_path, "hello-thumb.elf", f'permissions = "{permissions}"\n'))
    assert lines[-1] == "PASS"


@pytest.mark.parametrize(
    ("name", "kernel", "reason"),
    [
        # A kernel with another limit than the header was made for.
        ("retype", "retype_fan_out_limit = 128", "FAIL: filling an untyped: range error (4) instead of no error"),
        # One without floating point: TCBs are half as large.
        ("retype", "fpu = false", "FAIL: TCB: the kernel says "),
    ],
)
def test_a_kernel_that_is_not_as_expected_is_noticed(tmp_path: Path, name: str, kernel: str, reason: str) -> None:
    result, lines = run(manifest=manifest(tmp_path, f"{name}-arm.elf", f"[kernel]\n{kernel}\n"))
    assert result.outcome == "halted"
    assert lines[-1].startswith(reason)
    assert "PASS" not in lines


def test_without_a_console_a_sample_dies_of_its_first_word(tmp_path: Path) -> None:
    text = "[kernel]\nprinting = false\ndebug = false\n"
    result, lines = run(manifest=manifest(tmp_path, "hello-arm.elf", text))
    assert (result.outcome, lines) == ("died", [])
    assert "unknown system call" in result.deaths[0].lower() or "UnknownSyscall" in result.deaths[0]


def test_the_echo_sends_back_lines_in_capitals(tmp_path: Path) -> None:
    typed = tmp_path / "typed"
    typed.write_bytes(b"hello\nWorld 42\nnot wanted\n")
    image = SAMPLES / "prebuilt" / "echo-thumb.elf"
    _, lines = run(image, arguments="lines=2", serial_input=typed)
    # All that is there is received at once, and sent back one by one.
    assert lines == ["ready", "HELLO", "WORLD 42", "NOT WANTED", "by interrupts", "PASS"]


def test_the_timer_sleeps_in_virtual_time() -> None:
    result, lines = run(SAMPLES / "prebuilt" / "timer-arm.elf", arguments="alarms=5")
    assert lines == [f"second {n * n}" for n in range(1, 6)] + ["PASS"]
    assert 25_000_000_000 <= result.virtual_time_ns < 25_001_000_000
    assert result.traps < 200  # the timer does not tick while nothing runs
