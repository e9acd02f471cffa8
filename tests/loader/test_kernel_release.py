"""Which release a kernel is, and its build, from the names and texts in its ELF file."""

from __future__ import annotations

from typing import Any

import pytest
from elf_builder import Elf, Load, R, W, X, with_symbols
from packer import PARTS, boot_code, loader_elf, newc
from retrap.kernel import abi
from retrap.loader.errors import InputError
from retrap.loader.image import Image
from retrap.loader.kernel_image import KernelImage, read_kernel
from retrap.loader.kernel_release import TEXTS, VARIABLES, Mark, candidates, in_words
from retrap.loader.layout import plan
from retrap.loader.manifest import load_manifest

RELEASES = [name for name in abi.bootable() if "." in name]
OBJECT = 0x11  # a global symbol of type OBJECT


def order(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split(".")))


def has(mark: Mark, name: str) -> bool:
    """Whether a release has a mark."""
    first, last = mark.first or RELEASES[0], mark.last or RELEASES[-1]
    return order(first) <= order(name) <= order(last)


def variables_of(name: str, fpu: bool = True) -> dict[str, int]:
    return {mark.name: 4 for mark in VARIABLES if has(mark, name) and (fpu or not mark.fpu)}


def texts_of(name: str) -> bytes:
    return b"\0".join(mark.name.encode() for mark in TEXTS if has(mark, name))


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize("fpu", [True, False])
def test_a_printing_kernel_is_told_nearly_exactly(name: str, fpu: bool) -> None:
    found = candidates(variables_of(name, fpu), texts_of(name), True, fpu, None)
    assert name in found
    # From 10.1.0 on there is a text for each release that differs in its interface.
    assert len(found) <= (2 if order(name) >= (10, 1) else 8)
    assert found == tuple(r for r in RELEASES if order(found[0]) <= order(r) <= order(found[-1]))
    if order(name) >= (11,):
        assert found == (name,)


@pytest.mark.parametrize("name", RELEASES)
def test_a_silent_kernel_is_told_by_its_variables(name: str) -> None:
    found = candidates(variables_of(name), b"", False, True, None)
    assert name in found and len(found) <= 8
    # An absent text of a kernel that prints nothing says nothing, a present one neither.
    assert candidates(variables_of(name), texts_of("16.0.0"), False, True, None) == found


def test_without_evidence_every_release_is_possible() -> None:
    assert candidates({}, b"", False, True, None) == tuple(RELEASES)
    assert candidates({}, b"", True, True, None) == tuple(RELEASES)
    assert candidates({"other": 4}, b"", True, True, None) == tuple(RELEASES)


def test_the_fixed_slots_are_evidence() -> None:
    found = candidates({}, b"", False, True, 14)
    assert found and all(len(abi.release(name).boot_slots) == 14 for name in found)
    assert candidates({}, b"", False, True, 40) == ()


def test_a_kernel_between_two_releases_counts_as_the_one_whose_mark_it_has() -> None:
    mixed = texts_of("12.0.0") + b"\0" + texts_of("15.0.0")
    assert candidates({}, mixed, True, True, None) == ("15.0.0",)


def test_every_mark_is_of_known_releases() -> None:
    for mark in (*VARIABLES, *TEXTS):
        assert mark.first or mark.last
        assert {mark.first, mark.last} <= {"", *RELEASES}


def test_ranges_in_words() -> None:
    assert in_words(("13.0.0",)) == "13.0.0"
    assert in_words(("12.0.0", "12.1.0", "13.0.0")) == "12.0.0 to 13.0.0"


def kernel(variables: dict[str, int], content: bytes = b"", code: bytes = b"", name: str = "13.0.0") -> bytes:
    """A kernel's ELF file with a symbol table."""
    content = (code or boot_code(12)) + b"\0Bootstrapping kernel\0" + texts_of(name) + b"\0" + content
    load = Load(0xA000_0000, content, memory_size=0x10_0000, flags=R | W | X, physical=0x4000_0000)
    named = {**variables_of(name, fpu=False), **variables}
    return with_symbols(
        Elf(segments=(load,), entry=0xA000_0000),
        tuple((text, 0xA001_0000, size, OBJECT) for text, size in named.items()),
    )


def read(variables: dict[str, int], **more: Any) -> KernelImage:
    return read_kernel(Image("k.elf", kernel(variables, **more)))


def test_sizes_of_variables_tell_the_configuration() -> None:
    found = read({"ksReadyQueues": 4 * 256 * 8, "ksReadyQueuesL1Bitmap": 4 * 4, "intStateIRQTable": 93 * 4})
    assert (found.num_domains, found.num_priorities, found.max_irq) == (4, 256, 92)
    assert (found.mcs, found.smp, found.hypervisor, found.benchmarks) == (False, False, False, "none")
    assert found.releases == ("13.0.0",)


@pytest.mark.parametrize(
    ("queues", "bitmap"), [(0, 0), (4, 4), (2049, 4), (2048, 6), (2048, 0), (2048 * 2, 4), (8 * 300, 300 * 4)]
)
def test_sizes_that_make_no_sense_are_not_believed(queues: int, bitmap: int) -> None:
    found = read({"ksReadyQueues": queues, "ksReadyQueuesL1Bitmap": bitmap, "intStateIRQTable": queues | 1})
    assert (found.num_domains, found.num_priorities, found.max_irq) == (None, None, None)


def boot(variables: dict[str, int], heard: list[str], **options: Any) -> Any:
    packed = loader_elf(newc(("kernel.elf", kernel(variables)), *PARTS[1:]))
    manifest = load_manifest(None, {key.replace("__", "."): value for key, value in options.items()})
    return plan(Image("p.elf", packed), manifest, heard.append)


def test_a_packed_image_boots_on_its_kernels_release_and_build() -> None:
    heard: list[str] = []
    sizes = {"ksReadyQueues": 2 * 256 * 8, "ksReadyQueuesL1Bitmap": 8, "intStateIRQTable": 129 * 4}
    found = boot(sizes, heard)
    assert (found.release.name, found.options.num_domains, found.max_irq) == ("13.0.0", 2, 128)
    assert heard == []
    found = boot(sizes, heard, kernel__num_domains=1, platform__max_irq=159)
    assert (found.options.num_domains, found.max_irq) == (1, 159)
    assert heard == ["p.elf: was built for a kernel with num_domains = 2, booted with 1"]


def test_another_release_than_the_kernels_is_said() -> None:
    heard: list[str] = []
    assert boot({}, heard, kernel__release="16.0.0").release.name == "16.0.0"
    assert heard == ["p.elf: kernel.elf: is a kernel 13.0.0, booted as 16.0.0"]


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        ("benchmark_log_utilisation_enabled", "track_utilisation"),
        ("ksEntries", "tracepoints"),
        ("ksLog", "track_kernel_entries"),
        ("ksIdleThread", "none"),
    ],
)
def test_variables_tell_what_a_kernel_measures(variable: str, kind: str) -> None:
    assert read({variable: 4}).benchmarks == kind
    assert boot({variable: 4}, []).options.benchmarks == kind


def test_a_text_tells_a_stripped_kernel_that_tracks_utilisation() -> None:
    assert read({}, code=b"SysBenchmarkFinalizeLog: cap is not a TCB, halting\0").benchmarks == "track_utilisation"


def test_what_is_not_modelled_is_said() -> None:
    heard: list[str] = []
    boot({"ksSMP": 64}, heard)
    assert heard == ["p.elf: kernel.elf: is a kernel for several cores (SMP): one is modelled"]
    for variables, reason in (
        ({"ksCurSC": 4}, "is a kernel with MCS: only kernels without are modelled; name a release (-k)"),
        ({"armHSCurVCPU": 4}, "is a kernel for a hypervisor (ARM_HYP): only kernels without are modelled"),
    ):
        with pytest.raises(InputError) as caught:
            boot(variables, [])
        assert str(caught.value).startswith(f"p.elf: kernel.elf: {reason}")


def test_a_damaged_symbol_table_is_no_symbol_table() -> None:
    data = bytearray(kernel({"ksReadyQueues": 2048, "ksReadyQueuesL1Bitmap": 4}))
    assert Image("k.elf", bytes(data)).variables["ksReadyQueues"] == 2048
    data[48:50] = b"\xff\xff"  # more sections than the file has
    assert Image("k.elf", bytes(data)).variables == {}
    assert read_kernel(Image("k.elf", bytes(data))).num_domains is None
