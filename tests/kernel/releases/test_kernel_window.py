"""What user code sees of the kernel's own mappings: the status of its faults there, which is in the fault message.

Each line was also seen on a debug kernel of the release on QEMU (zynq7000): an access to each megabyte from
0xd0000000 on, and a read, a write and a jump to each page of the last one.
"""

from __future__ import annotations

import pytest
from release_driver import Guests
from retrap.kernel.abi import release, releases
from retrap.machine.space import EXECUTE, READ
from retrap.machine.traps import FaultStatus

NAMES = tuple(name for name in releases() if name != "2006" and not release(name).mcs)
WITH_STACK_PAGE = ("1.0.3", "1.0.4", "2.0.0", "2.1.0", "3.0.0", "3.0.1", "3.1.0", "3.2.0", "4.0.0")


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_sections_have_a_hole_where_directories_keep_their_asid(name: str) -> None:
    # src/arch/arm/kernel/vspace.c (1.0.3), src/arch/arm/32/kernel/vspace.c (16.0.0): copyGlobalMappings leaves
    # PD_ASID_SLOT out, and storeHWASID puts an invalid entry there.
    space = Guests(name).state.space
    assert space.translation_status(0xFEFF_FFFF) == FaultStatus.PERMISSION_SECTION
    assert space.translation_status(0xFF00_0000) == FaultStatus.TRANSLATION_SECTION
    assert space.translation_status(0xFF0F_FFFF) == FaultStatus.TRANSLATION_SECTION
    assert space.translation_status(0xFF10_0000) == FaultStatus.PERMISSION_SECTION
    assert space.translation_status(0xFFEF_FFFF) == FaultStatus.PERMISSION_SECTION


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_own_directory_has_no_such_hole(name: str) -> None:
    # The same files: map_kernel_window fills every section of armKSGlobalPD. Threads without a VSpace run with it.
    space = Guests(name).state.no_space
    assert space.translation_status(0xFF00_0000) == FaultStatus.PERMISSION_SECTION


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_stack_had_a_page_of_its_own(name: str) -> None:
    # map_kernel_window maps PPTR_KERNEL_STACK until 4.0.0: src/arch/arm/32/kernel/vspace.c there and of 5.0.0.
    space = Guests(name).state.space
    mapped = FaultStatus.PERMISSION_PAGE if name in WITH_STACK_PAGE else FaultStatus.TRANSLATION_PAGE
    assert space.translation_status(0xFFFF_F000) == mapped
    assert space.translation_status(0xFFFF_FFFC) == mapped
    assert space.translation_status(0xFFFF_E000) == FaultStatus.TRANSLATION_PAGE
    assert space.translation_status(0xFFFF_0000) == FaultStatus.PERMISSION_PAGE  # the vectors, always


@pytest.mark.parametrize("name", NAMES)
def test_the_globals_frame_can_be_read_and_executed(name: str) -> None:
    # 3.2.0: src/arch/arm/32/kernel/vspace.c, map_kernel_frame: no execute-never bit, whatever the attributes say.
    k = Guests(name)
    page = k.state.space.pages.get(0xFFFF_C000 >> 12)
    if release(name).facts.ipc_buffer_pointer == "globals-frame":
        assert page == k.state.plan.globals_frame >> 12 << 4 | READ | EXECUTE
    else:
        assert page is None
