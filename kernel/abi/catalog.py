"""All releases: one complete value each. Read from top to bottom it is the history of the ABI.

Every release starts from the one before and names what it changed: tables by the ABI group they are from, facts
by name. What a release does not mention it has unchanged.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from retrap.kernel.abi import bootinfo as boot
from retrap.kernel.abi import calls, labels, numbers
from retrap.kernel.abi.design2006 import V2006
from retrap.kernel.abi.release import Facts, Release

_ARCH32: Final = "libsel4/sel4_arch_include/aarch32/sel4/sel4_arch"
_SOURCES_1: Final = MappingProxyType(
    {
        "syscalls": "libsel4/include/api/syscall.xml",
        "invocations": "libsel4/include/interfaces/sel4.xml",
        "invocations of arm": "libsel4/arch_include/arm/interfaces/sel4arch.xml",
        "invocations of aarch32": "libsel4/arch_include/arm/interfaces/sel4arch.xml",
        "object_types": "libsel4/arch_include/arm/sel4/arch/objecttype.h",
        "fault_labels": "libsel4/include/sel4/types.h",
        "errors": "libsel4/include/sel4/errors.h",
        "cap_types": "include/arch/arm/arch/object/structures.bf",
        "boot_slots": "libsel4/include/sel4/bootinfo.h",
        "bootinfo": "libsel4/include/sel4/bootinfo.h",
        "user_context": "src/arch/arm/machine/registerset.c",
        "constants": "Kconfig",
        "constants of libsel4": "libsel4/arch_include/arm/sel4/arch/types.h",
        "constants of arm": "Kconfig",
    }
)
"""The file of the tag's tree that each table was read from."""

V1_0_3: Final = Release(
    name="1.0.3",
    tag="1.0.3",
    mcs=False,
    syscalls=calls.CALLS_1_0_3,
    invocations=labels.LABELS_1_0_3,
    object_types=numbers.OBJECTS_1,
    fault_labels=numbers.FAULTS_1,
    errors=numbers.ERRORS,
    cap_types=numbers.CAP_TYPES,
    boot_slots=numbers.SLOTS_1,
    bootinfo=boot.BOOTINFO_1_0_3,
    user_context=numbers.CONTEXT_1,
    constants=numbers.CONSTANTS_1,
    facts=Facts(
        grant_reply=False,
        receive_only_diminishes=True,
        caller_survives_wait=False,
        notification_delivers_word=True,
        empty_reply_is_silent=False,
        kept_fault_waits=True,
        ipc_buffer_pointer="globals-frame",
        own_buffer_change_at_once=False,
        boot_buffer_is_copy=False,
        tls_base_register="",
        thread_id_registers="shared",
        fpu="none",
        resume_repeats_call=True,
        wakeup="direct",
        priority_authority="own-priority",
        set_priority_preempts="self",
        retype_size_limit="argument-30",
        cleared_at="creation",
        device_untypeds=False,
        boot_untypeds_dirty=False,
        execute_never=False,
        page_map_remaps=False,
        page_flush_checks_mapping=False,
        get_address_answers_calls_only=False,
        asid_pool_count=256,
        kernel_device_pages="platform",
        kernel_stack_page=True,
        irq_number_bits=32,
        boot_slot_order="frames",
        root_objects_in_one_block=False,
        extra_bootinfo_exact=False,
        all_device_memory=False,
        device_tree="",
        initial_domain="schedule",
        debug_output_names=False,
        reset_log_answers=False,
        utilisation="times",
        benchmark_log="kernel",
        finalise_log_answers=False,
        entry_paths="no-debug",
        entry_core_field=False,
        entry_sets_core=False,
        entry_fast_path="never-cleared",
    ),
    sources=_SOURCES_1,
)

V1_0_4: Final = replace(
    V1_0_3,
    name="1.0.4",
    tag="1.0.4",
    syscalls=calls.CALLS_1_0_4,
    invocations=labels.LABELS_1_0_4,
    bootinfo=boot.BOOTINFO_1_0_4,
    facts=replace(V1_0_3.facts, caller_survives_wait=True, boot_buffer_is_copy=True, execute_never=True),
)

V2_0_0: Final = replace(
    V1_0_4,
    name="2.0.0",
    tag="2.0.0",
    syscalls=calls.CALLS_2,
    invocations=labels.LABELS_2_0,
    object_types=numbers.OBJECTS_2,
    facts=replace(V1_0_4.facts, notification_delivers_word=False),
)

V2_1_0: Final = replace(
    V2_0_0,
    name="2.1.0",
    tag="2.1.0",
    invocations=labels.LABELS_2_1,
    constants=numbers.CONSTANTS_2_1,
    sources=MappingProxyType(
        {
            **_SOURCES_1,
            "invocations of aarch32": "libsel4/sel4_arch_include/aarch32/interfaces/sel4arch.xml",
            "constants of libsel4": f"{_ARCH32}/constants.h",
        }
    ),
)

V3_0_0: Final = replace(
    V2_1_0,
    name="3.0.0",
    tag="3.0.0",
    invocations=labels.LABELS_3,
    bootinfo=boot.BOOTINFO_3,
    facts=replace(V2_1_0.facts, receive_only_diminishes=False, irq_number_bits=16),
    sources=MappingProxyType(
        {
            **V2_1_0.sources,
            "cap_types": "include/arch/arm/arch/32/mode/object/structures.bf",
            "user_context": "src/arch/arm/32/machine/registerset.c",
        }
    ),
)
V3_0_1: Final = replace(V3_0_0, name="3.0.1", tag="3.0.1")
V3_1_0: Final = replace(V3_0_1, name="3.1.0", tag="3.1.0", syscalls=calls.CALLS_3_1)

V3_2_0: Final = replace(
    V3_1_0,
    name="3.2.0",
    tag="3.2.0",
    syscalls=calls.CALLS_3_2,
    bootinfo=boot.BOOTINFO_3_2,
    sources=MappingProxyType(
        {
            **V3_0_0.sources,
            "boot_slots": "libsel4/include/sel4/bootinfo_types.h",
            "bootinfo": "libsel4/include/sel4/bootinfo_types.h",
        }
    ),
)

V4_0_0: Final = replace(
    V3_2_0,
    name="4.0.0",
    tag="4.0.0",
    syscalls=calls.CALLS_4,
    invocations=labels.LABELS_4,
    fault_labels=numbers.FAULTS_4,
    bootinfo=boot.BOOTINFO_4,
    constants=numbers.CONSTANTS_4,
    facts=replace(
        V3_2_0.facts,
        reset_log_answers=True,
        ipc_buffer_pointer="tpidrurw",
        own_buffer_change_at_once=True,
        thread_id_registers="written",
        priority_authority="own-mcp",
        retype_size_limit="argument-29",
        cleared_at="reset",
        device_untypeds=True,
        boot_untypeds_dirty=True,
        asid_pool_count=128,
        boot_slot_order="ram-first",
        benchmark_log="user-frame",
        entry_paths="interrupt-first",
    ),
    sources=MappingProxyType(
        {
            **V3_2_0.sources,
            "fault_labels": f"{_ARCH32}/types.bf",
        }
    ),
)

V5_0_0: Final = replace(
    V4_0_0,
    name="5.0.0",
    tag="5.0.0",
    bootinfo=boot.BOOTINFO_5,
    facts=replace(
        V4_0_0.facts, kernel_stack_page=False, finalise_log_answers=True, entry_fast_path="cleared-if-known"
    ),
)
V5_1_0: Final = replace(V5_0_0, name="5.1.0", tag="5.1.0")
V5_2_0: Final = replace(V5_1_0, name="5.2.0", tag="5.2.0", syscalls=calls.CALLS_5_2)

V6_0_0: Final = replace(
    V5_2_0,
    name="6.0.0",
    tag="6.0.0",
    syscalls=calls.CALLS_6,
    object_types=numbers.OBJECTS_6,
    facts=replace(V5_2_0.facts, fpu="on-fault"),
    sources=MappingProxyType({**V4_0_0.sources, "object_types": f"{_ARCH32}/constants.h"}),
)

V7_0_0: Final = replace(
    V6_0_0,
    name="7.0.0",
    tag="7.0.0",
    bootinfo=boot.BOOTINFO_7,
    constants=numbers.CONSTANTS_7,
    sources=MappingProxyType(
        {**V6_0_0.sources, "constants": "config.cmake", "constants of arm": "src/arch/arm/config.cmake"}
    ),
)

V8_0_0: Final = replace(
    V7_0_0,
    name="8.0.0",
    tag="8.0.0",
    facts=replace(V7_0_0.facts, wakeup="candidate", irq_number_bits=32, utilisation="times-by-core"),
)

V9_0_0: Final = replace(
    V8_0_0,
    name="9.0.0",
    tag="9.0.0",
    invocations=labels.LABELS_9,
    object_types=numbers.OBJECTS_9,
    bootinfo=boot.BOOTINFO_9,
    facts=replace(
        V8_0_0.facts,
        priority_authority="capability",
        set_priority_preempts="runnable",
        retype_size_limit="object-29",
        debug_output_names=True,
    ),
)
V9_0_1: Final = replace(V9_0_0, name="9.0.1", tag="9.0.1")

V10_0_0: Final = replace(V9_0_1, name="10.0.0", tag="10.0.0", invocations=labels.LABELS_10)
V10_1_0: Final = replace(
    V10_0_0,
    name="10.1.0",
    tag="10.1.0",
    invocations=labels.LABELS_10_1,
    bootinfo=boot.BOOTINFO_10_1,
    facts=replace(V10_0_0.facts, tls_base_register="tpidruro"),
)
V10_1_1: Final = replace(V10_1_0, name="10.1.1", tag="10.1.1")

V11_0_0: Final = replace(
    V10_1_1,
    name="11.0.0",
    tag="11.0.0",
    syscalls=calls.CALLS_11,
    invocations=labels.LABELS_11,
    user_context=numbers.CONTEXT_11,
    constants=numbers.CONSTANTS_11,
    facts=replace(
        V10_1_1.facts,
        entry_core_field=True,
        grant_reply=True,
        kept_fault_waits=False,
        ipc_buffer_pointer="user",
        tls_base_register="tpidrurw",
        thread_id_registers="tpidrurw",
        resume_repeats_call=False,
        set_priority_preempts="candidate",
        page_map_remaps=True,
        boot_slot_order="devices-first",
        root_objects_in_one_block=True,
        all_device_memory=True,
        device_tree="page-aligned",
        kernel_device_pages="in-order",
    ),
)

V12_0_0: Final = replace(
    V11_0_0,
    name="12.0.0",
    tag="12.0.0",
    syscalls=calls.CALLS_12,
    boot_slots=numbers.SLOTS_12,
    bootinfo=boot.BOOTINFO_12,
    user_context=numbers.CONTEXT_12,
    facts=replace(
        V11_0_0.facts,
        thread_id_registers="both",
        extra_bootinfo_exact=True,
        utilisation="counts",
        entry_fast_path="exact",
    ),
)
V12_1_0: Final = replace(V12_0_0, name="12.1.0", tag="12.1.0")

V13_0_0: Final = replace(
    V12_1_0,
    name="13.0.0",
    tag="13.0.0",
    object_types=numbers.OBJECTS_13,
    boot_slots=numbers.SLOTS_13,
    facts=replace(
        V12_1_0.facts,
        entry_sets_core=True,
        empty_reply_is_silent=True,
        get_address_answers_calls_only=True,
        device_tree="exact",
    ),
    sources=MappingProxyType(
        {
            **V12_1_0.sources,
            "invocations": "libsel4/include/interfaces/object-api.xml",
            "invocations of arm": "libsel4/arch_include/arm/interfaces/object-api-arch.xml",
            "invocations of aarch32": ("libsel4/sel4_arch_include/aarch32/interfaces/object-api-sel4-arch.xml"),
            "object_types": f"{_ARCH32}/objecttype.h",
        }
    ),
)

V14_0_0: Final = replace(
    V13_0_0,
    name="14.0.0",
    tag="14.0.0",
    syscalls=calls.CALLS_14,
    invocations=labels.LABELS_14,
    cap_types=numbers.CAP_TYPES_14,
    facts=replace(V13_0_0.facts, fpu="by-flag", tls_base_register="build", entry_paths="unknown-first"),
)

V15_0_0: Final = replace(
    V14_0_0,
    name="15.0.0",
    tag="15.0.0",
    invocations=labels.LABELS_15,
    constants=numbers.CONSTANTS_15,
    facts=replace(V14_0_0.facts, initial_domain="zero"),
)

V16_0_0: Final = replace(
    V15_0_0,
    name="16.0.0",
    tag="16.0.0",
    syscalls=calls.CALLS_16,
    constants=numbers.CONSTANTS_16,
    facts=replace(V15_0_0.facts, page_flush_checks_mapping=True),
)

RELEASES: Final[tuple[Release, ...]] = (
    V2006,
    V1_0_3,
    V1_0_4,
    V2_0_0,
    V2_1_0,
    V3_0_0,
    V3_0_1,
    V3_1_0,
    V3_2_0,
    V4_0_0,
    V5_0_0,
    V5_1_0,
    V5_2_0,
    V6_0_0,
    V7_0_0,
    V8_0_0,
    V9_0_0,
    V9_0_1,
    V10_0_0,
    V10_1_0,
    V10_1_1,
    V11_0_0,
    V12_0_0,
    V12_1_0,
    V13_0_0,
    V14_0_0,
    V15_0_0,
    V16_0_0,
)
"""Oldest first."""

BOOTABLE: Final = tuple(release.name for release in RELEASES)
"""Releases whose boot and behaviour the engine models: all that have a table, so far."""
