"""What each behaviour fact means, and the source that shows where it changed.

A note's `sources` has, for every release in which the fact's value differs from the release before, the file of
that tag's tree which shows it. A test holds the catalog and these notes together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class FactNote:
    """One sentence for people, and tag → path of each change."""

    meaning: str
    sources: Mapping[str, str]


_THREAD: Final = "src/kernel/thread.c"
_UNTYPED: Final = "src/object/untyped.c"
_BOOT: Final = "src/kernel/boot.c"
_ARM_BOOT: Final = "src/arch/arm/kernel/boot.c"
_VSPACE: Final = "src/arch/arm/32/kernel/vspace.c"
_TRACK_TYPES: Final = "libsel4/include/sel4/benchmark_track_types.h"

NOTES: Final[Mapping[str, FactNote]] = MappingProxyType(
    {
        "retype": FactNote(
            "Retype makes objects one after the other at a watermark, or divides the whole untyped into equal "
            "ones and refuses while any derived capability exists",
            {"1.0.3": _UNTYPED},
        ),
        "asynchronous": FactNote(
            "an asynchronous object accumulates badges (and once, a word), or holds one message until it is "
            "received",
            {"1.0.3": "src/object/asyncendpoint.c"},
        ),
        "address_space": FactNote(
            "virtual addresses go through page tables made by mapping, or through a tree of CNodes like any "
            "capability address",
            {"1.0.3": "src/arch/arm/kernel/vspace.c"},
        ),
        "reply": FactNote(
            "a Call of an endpoint gives the receiver a reply capability, or none",
            {"1.0.3": "src/object/endpoint.c"},
        ),
        "grant_reply": FactNote(
            "the GrantReply right (bit 3) exists: with it or Grant, a Call gets a reply capability; what a reply "
            "may transfer depends on the replier's Grant, and CancelBadgedSends needs all four rights",
            {"11.0.0": "src/object/endpoint.c"},
        ),
        "receive_only_diminishes": FactNote(
            "a receiver whose endpoint capability lacks the send right gets capabilities without write rights, "
            "and its callers get no reply capability",
            {"3.0.0": "src/object/endpoint.c"},
        ),
        "caller_survives_wait": FactNote(
            "waiting for something that is no endpoint leaves the caller capability alone; before, every Wait "
            "deleted it",
            {"1.0.4": "src/api/syscall.c"},
        ),
        "notification_delivers_word": FactNote(
            "asynchronous endpoints OR a data word besides the badge and deliver it in MR0 with length 1; an "
            "interrupt's word is 1 << (irq mod 32)",
            {"2.0.0": "src/object/notification.c"},
        ),
        "empty_reply_is_silent": FactNote(
            "Reply without a caller says nothing; before, debug kernels printed a complaint",
            {"13.0.0": "src/api/syscall.c"},
        ),
        "kept_fault_waits": FactNote(
            "a thread whose fault message was taken back (CancelBadgedSends, a deleted endpoint, Suspend) keeps "
            "the fault, and its next Send delivers that instead of its message: waiting for a reply as a Call "
            "does, or going on",
            {"11.0.0": "src/object/endpoint.c"},
        ),
        "ipc_buffer_pointer": FactNote(
            "who tells a thread where its IPC buffer is: the globals frame at 0xffffc000, the register TPIDRURW, "
            "or nobody (the root task reads its boot information)",
            {
                "4.0.0": "include/arch/arm/arch/32/mode/fastpath/fastpath.h",
                "11.0.0": "libsel4/include/sel4/functions.h",
            },
        ),
        "own_buffer_change_at_once": FactNote(
            "a thread that changes its own IPC buffer sees the new pointer at once, not after the next switch",
            {"4.0.0": "src/arch/arm/32/c_traps.c"},
        ),
        "boot_buffer_is_copy": FactNote(
            "the initial TCB holds an unmapped copy of the IPC buffer's frame capability; before, it held the "
            "mapped one, so that setting the buffer again unmapped the page",
            {"1.0.4": _BOOT},
        ),
        "tls_base_register": FactNote(
            "what TCB_SetTLSBase writes: nothing (no such call), TPIDRURO, TPIDRURW, or what the build names",
            {
                "10.1.0": "src/object/tcb.c",
                "11.0.0": "include/arch/arm/arch/32/mode/machine/registerset.h",
                "14.0.0": "include/arch/arm/arch/32/mode/machine/registerset.h",
            },
        ),
        "thread_id_registers": FactNote(
            "TPIDRURW and TPIDRURO: shared by all threads; written by the kernel at each return; TPIDRURW saved "
            "with the thread; both saved",
            {
                "4.0.0": "include/arch/arm/arch/32/mode/machine.h",
                "11.0.0": "include/arch/arm/arch/32/mode/machine.h",
                "12.0.0": "include/arch/arm/arch/32/mode/machine.h",
            },
        ),
        "fpu": FactNote(
            "floating-point registers belong to threads: not at all; saved when another thread first uses them "
            "(by a fault); saved by a TCB flag",
            {"6.0.0": "src/arch/arm/32/machine/fpu.c", "14.0.0": _THREAD},
        ),
        "resume_repeats_call": FactNote(
            "Suspend and Resume of a thread whose message has arrived but which has not run since repeat its "
            "system call, and the message is lost",
            {"11.0.0": _THREAD},
        ),
        "wakeup": FactNote(
            "after a wake-up: direct = Send, Call and Reply switch to a target of at least the current priority, "
            "other wake-ups to a higher one; candidate = the target runs if it has the highest priority, and at "
            "equal priority the current thread goes on",
            {"8.0.0": _THREAD},
        ),
        "priority_authority": FactNote(
            "what limits SetPriority: the caller's priority (else IllegalOperation), the caller's maximum "
            "controlled priority (else RangeError), that of a TCB capability which is passed (else RangeError)",
            {"4.0.0": "src/object/tcb.c", "9.0.0": "src/object/tcb.c"},
        ),
        "set_priority_preempts": FactNote(
            "SetPriority can change who runs: on oneself only; on any runnable thread, by choosing anew; on "
            "oneself by choosing anew, on others as a wake-up does",
            {"9.0.0": _THREAD, "11.0.0": _THREAD},
        ),
        "retype_size_limit": FactNote(
            "Retype's RangeError: size_bits above 30 whatever the type; above 29 whatever the type; above 31, or "
            "an object of more than 2^29 bytes",
            {"4.0.0": _UNTYPED, "9.0.0": _UNTYPED},
        ),
        "cleared_at": FactNote(
            "memory is zeroed when each object is made, or before the first of an untyped without children, from "
            "the top down and preemptibly",
            {"4.0.0": _UNTYPED},
        ),
        "device_untypeds": FactNote(
            "device memory is untyped memory that becomes frames and untypeds only, and no IPC buffers; before, "
            "the kernel made frames of it at boot",
            {"4.0.0": _UNTYPED},
        ),
        "boot_untypeds_dirty": FactNote(
            "the untypeds of boot count as used until their first Retype has cleared them",
            {"4.0.0": _BOOT},
        ),
        "execute_never": FactNote(
            "VM attribute bit 2 makes a page not executable; before, it was ignored",
            {"1.0.4": "src/arch/arm/kernel/vspace.c"},
        ),
        "page_map_remaps": FactNote(
            "Page_Map of a mapped frame at its own address changes rights and attributes; before, it was "
            "InvalidCapability and Page_Remap did that",
            {"11.0.0": _VSPACE},
        ),
        "page_flush_checks_mapping": FactNote(
            "a cache operation on a frame whose mapping is gone is InvalidCapability; before, it could stop the "
            "kernel",
            {"16.0.0": _VSPACE},
        ),
        "get_address_answers_calls_only": FactNote(
            "Page_GetAddress answers a Call, with length 1; before, it wrote the sender's registers even for a "
            "Send, and a Call's length was 0",
            {"13.0.0": _VSPACE},
        ),
        "asid_pool_count": FactNote(
            "how many ASID pools can exist, 1024 address spaces each",
            {"4.0.0": "include/arch/arm/arch/32/mode/object/structures.h"},
        ),
        "kernel_device_pages": FactNote(
            "which pages from 0xfff00000 on the kernel maps for its devices, so that user accesses are permission "
            "faults: those that its source names for the platform, or one after the other",
            {"11.0.0": "include/arch/arm/arch/32/mode/hardware.h"},
        ),
        "kernel_stack_page": FactNote(
            "the kernel's stack is mapped at 0xfffff000, so that user accesses are permission faults; after that, "
            "nothing is mapped there",
            {"5.0.0": "src/arch/arm/32/kernel/vspace.c"},
        ),
        "irq_number_bits": FactNote(
            "IRQControl cuts interrupt numbers to so many bits before it checks them (GIC platforms)",
            {"3.0.0": "src/object/interrupt.c", "8.0.0": "src/object/interrupt.c"},
        ),
        "boot_slot_order": FactNote(
            "the initial CNode's dynamic slots: untypeds, then frames of devices; untypeds of RAM, then of "
            "devices; untypeds of devices, then of RAM",
            {"4.0.0": _ARM_BOOT, "11.0.0": _ARM_BOOT},
        ),
        "root_objects_in_one_block": FactNote(
            "the initial thread's objects lie in one block at the top of RAM; before, each in the smallest free "
            "piece that fitted",
            {"11.0.0": _BOOT},
        ),
        "all_device_memory": FactNote(
            "device memory is every address that is not RAM; before, the regions of the platform's list",
            {"11.0.0": _BOOT},
        ),
        "device_tree": FactNote(
            "the extra boot information holds the device tree: not; ending on a page boundary; as long as it is",
            {"11.0.0": _ARM_BOOT, "13.0.0": _ARM_BOOT},
        ),
        "extra_bootinfo_exact": FactNote(
            "extra boot information takes the smallest power of two that holds it; before, twice that: the mask of "
            "its size is made from the count of leading zeros",
            {"12.0.0": _BOOT},
        ),
        "initial_domain": FactNote(
            "the initial thread's domain: the first one of the schedule, or 0", {"15.0.0": _BOOT}
        ),
        "debug_output_names": FactNote(
            "DebugSnapshot prints the name of the thread, and DebugDumpScheduler a column of processor cores",
            {"9.0.0": "include/api/debug.h"},
        ),
        "reset_log_answers": FactNote(
            "BenchmarkResetLog answers with an seL4_Error in r0, and the idle thread's time begins anew",
            {"4.0.0": "src/api/syscall.c"},
        ),
        "utilisation": FactNote(
            "what BenchmarkGetThreadUtilisation says: the times of the thread, of the idle thread and of all; the "
            "idle thread's of two cores; or how often each was scheduled and entered the kernel as well",
            {
                "8.0.0": "libsel4/include/sel4/benchmark_utilisation_types.h",
                "12.0.0": "libsel4/include/sel4/benchmark_utilisation_types.h",
            },
        ),
        "benchmark_log": FactNote(
            "the log of a benchmark build is a megabyte frame that user code names by BenchmarkSetLogBuffer; "
            "before, the kernel's own memory, copied out by BenchmarkDumpLog",
            {"4.0.0": "src/api/syscall.c"},
        ),
        "finalise_log_answers": FactNote(
            "BenchmarkFinalizeLog returns the number of records in r0; before, it left r0 alone",
            {"5.0.0": "src/api/syscall.c"},
        ),
        "entry_paths": FactNote(
            "a logged kernel entry's path counts from Unknown, Interrupt on; from Interrupt on; or so without a "
            "number for debug faults, and with three bits of the system call's number instead of four",
            {"4.0.0": _TRACK_TYPES, "14.0.0": _TRACK_TYPES},
        ),
        "entry_core_field": FactNote(
            "what a logged interrupt or fault says has 26 bits, above three for the processor core; before, 29",
            {"11.0.0": _TRACK_TYPES},
        ),
        "entry_sets_core": FactNote(
            "a logged interrupt names its core, and a logged VM fault has the fast path's bit clear, which lies "
            "inside the logged address; before, both are as the entry before left them, or as the address is",
            {"13.0.0": "src/arch/arm/c_traps.c"},
        ),
        "entry_fast_path": FactNote(
            "in logged kernel entries, the fast path's bit is set for what took the fast path; for that and for "
            "calls that are none of the API's; or, by a slip, for every system call, of which none is logged as "
            "unknown",
            {"5.0.0": "src/arch/arm/c_traps.c", "12.0.0": "src/arch/arm/c_traps.c"},
        ),
    }
)

IN_ALL_RELEASES: Final = (
    (
        "a system call in Thumb state restarts two bytes before its SVC (the kernel goes back four bytes from the "
        "next instruction, as is right in ARM state); likewise an undefined instruction in Thumb state",
        "src/arch/arm/32/traps.S",
    ),
    (
        "threads start and are resumed with new registers in ARM state: of a CPSR that user code writes, only "
        "bits 27-31 count",
        "include/arch/arm/arch/32/mode/kernel/thread.h",
    ),
)
"""Surprises that never changed: (what user code sees, path at tag 16.0.0)."""

PAPER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "retype": "sections 3.1 and 5",
        "asynchronous": "section 3.1",
        "address_space": "sections 3.1 and 4",
        "reply": "section 3.1",
        "device_untypeds": "section 1",
        "all_device_memory": "section 1",
    }
)
"""Where the 2006 paper says what it does; it is silent about the other facts."""

CORRECTIONS: Final = (
    (
        "A thread's own new IPC buffer shows at once since 4.0.0, not 6.0.0: on ARMv7 the pointer is in TPIDRURW, "
        "which every return to user code loads. 6.0.0 reschedules for the builds with a globals frame.",
        "4.0.0: src/arch/arm/32/c_traps.c",
    ),
    (
        "TCB_SetTLSBase writes TPIDRURW from 11.0.0 to 13.0.0; a build can choose the register since 14.0.0.",
        "14.0.0: src/arch/arm/config.cmake",
    ),
    (
        "From 4.0.0 to 10.1.1 TPIDRURW is loaded at every return to user code, not only at thread switches, so "
        "that what a thread writes there is lost at its next system call.",
        "10.1.1: src/arch/arm/32/c_traps.c",
    ),
    (
        "14.0.0 and 15.0.0 have the number of DebugSendIPI in debug builds, but the call itself only on several "
        "cores: on one it is an unknown system call.",
        "14.0.0: src/api/syscall.c",
    ),
    (
        "IRQHandler SetMode (1.0.4 to 2.1.0) answers a Call as any success does: the label's own branch sets the "
        "thread's state to Restart.",
        "2.1.0: src/object/interrupt.c",
    ),
)
"""What was believed of a release before its source was read again: (what is true, tag and path)."""
