"""What a kernel's code tells of the generic timer that user code may use."""

from __future__ import annotations

import pytest
from packer import PARTS, boot_code, kernel, loader_elf, mov, newc, words
from retrap.loader.image import Image
from retrap.loader.kernel_image import read_kernel
from retrap.loader.layout import plan
from retrap.loader.manifest import load_manifest

SET_CNTKCTL = 0xEE0E_0F11
NAMES = ("export_pcnt_user", "export_vcnt_user", "export_vtmr_user", "export_ptmr_user")


def exports(*code: int) -> list[str] | None:
    image = Image("kernel.elf", kernel(code=boot_code(13) + words(*code)))
    found = read_kernel(image).exports
    return None if found is None else [name for name in NAMES if found[name]]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ((mov(3, 0), SET_CNTKCTL | 3 << 12), []),
        ((0xE300_3201, SET_CNTKCTL | 3 << 12), ["export_pcnt_user", "export_ptmr_user"]),  # movw r3, #0x201
        ((0xE300_2303, SET_CNTKCTL | 2 << 12), list(NAMES)),
        ((0xE3A0_4C01, SET_CNTKCTL | 4 << 12), ["export_vtmr_user"]),  # mov r4, #0x100
        ((0xE300_3201, SET_CNTKCTL | 4 << 12), None),  # another register
        ((mov(3, 1), SET_CNTKCTL | 3 << 12, mov(3, 2), SET_CNTKCTL | 3 << 12), None),  # two answers
        ((), None),
    ],
)
def test_the_constant_that_is_put_into_cntkctl_decides(code: tuple[int, ...], found: list[str] | None) -> None:
    assert exports(*code) == found


def test_the_plan_follows_the_kernel() -> None:
    code = boot_code(13) + words(0xE300_3201, SET_CNTKCTL | 3 << 12)
    image = Image("p.elf", loader_elf(newc(("kernel.elf", kernel(code=code)), *PARTS[1:])))
    options = plan(image, load_manifest()).options
    assert [getattr(options, name) for name in NAMES] == [True, False, False, True]
    options = plan(image, load_manifest(None, {"kernel.export_pcnt_user": False})).options
    assert [getattr(options, name) for name in NAMES] == [False, False, False, True]


SET_PMUSERENR, SET_PMCR = 0xEE09_0F1E, 0xEE09_0F1C


@pytest.mark.parametrize(
    ("code", "exported", "started"),
    [
        ((), False, False),
        ((SET_PMUSERENR | 3 << 12,), True, False),
        ((SET_PMUSERENR | 3 << 12, SET_PMCR | 2 << 12), True, True),
        ((SET_PMCR,), False, True),
        ((SET_PMUSERENR | 1 << 20, SET_PMCR | 1 << 20), False, False),  # reads
        ((0x0F1E_0000, 0x0000_EE09), False, False),  # in the middle of words
    ],
)
def test_a_kernel_that_writes_their_registers_exports_the_performance_monitors(
    code: tuple[int, ...], exported: bool, started: bool
) -> None:
    part = kernel(code=boot_code(13) + words(*code))
    found = read_kernel(Image("kernel.elf", part))
    assert (found.export_pmu_user, found.start_cycle_counter) == (exported, started)
    image = Image("p.elf", loader_elf(newc(("kernel.elf", part), *PARTS[1:])))
    made = plan(image, load_manifest())
    assert (made.options.export_pmu_user, made.options.start_cycle_counter) == (exported, started)
    assert found.benchmarks == made.options.benchmarks == ("generic" if started else "none")
