"""Enumerations and constants of each ABI group: object types, faults, errors, cap types, slots, registers."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from retrap.kernel.abi.bootinfo import OLD_DEVICES, OLD_UNTYPEDS, UNTYPEDS
from retrap.kernel.abi.release import ObjectType
from retrap.machine.context import Slot

# --- object types (libsel4/include/sel4/objecttype.h and the two ARM ones; sizes: sel4_arch/constants.h)

_UNTYPED: Final = ObjectType("Untyped", "seL4_UntypedObject", None)
_TCB: Final = ObjectType("TCB", "seL4_TCBObject", 9)
_TCB_FPU_OR_DEBUG: Final = ObjectType("TCB", "seL4_TCBObject", 9, fpu_bits=10, debug_bits=10)
_TCB_FPU: Final = ObjectType("TCB", "seL4_TCBObject", 9, fpu_bits=10)
_ENDPOINT: Final = ObjectType("Endpoint", "seL4_EndpointObject", 4)
_ASYNC_ENDPOINT: Final = ObjectType("Notification", "seL4_AsyncEndpointObject", 4)
_NOTIFICATION: Final = ObjectType("Notification", "seL4_NotificationObject", 4)
_CAP_TABLE: Final = ObjectType("CapTable", "seL4_CapTableObject", None)
_PAGE_DIRECTORY: Final = ObjectType("PageDirectory", "seL4_ARM_PageDirectoryObject", 14)
_PAGES: Final = (
    ObjectType("SmallPage", "seL4_ARM_SmallPageObject", 12),
    ObjectType("LargePage", "seL4_ARM_LargePageObject", 16),
    ObjectType("Section", "seL4_ARM_SectionObject", 20),
    ObjectType("SuperSection", "seL4_ARM_SuperSectionObject", 24),
    ObjectType("PageTable", "seL4_ARM_PageTableObject", 10),
)

OBJECTS_1: Final = (_UNTYPED, _TCB, _ENDPOINT, _ASYNC_ENDPOINT, _CAP_TABLE, *_PAGES, _PAGE_DIRECTORY)
OBJECTS_2: Final = (_UNTYPED, _TCB, _ENDPOINT, _NOTIFICATION, _CAP_TABLE, *_PAGES, _PAGE_DIRECTORY)
OBJECTS_6: Final = (
    _UNTYPED,
    _TCB_FPU_OR_DEBUG,
    _ENDPOINT,
    _NOTIFICATION,
    _CAP_TABLE,
    *_PAGES,
    _PAGE_DIRECTORY,
)
"""6.0.0 to 8.0.0: a TCB has room for floating-point registers, and debug builds for its name."""
OBJECTS_9: Final = (_UNTYPED, _TCB_FPU, _ENDPOINT, _NOTIFICATION, _CAP_TABLE, *_PAGES, _PAGE_DIRECTORY)
OBJECTS_13: Final = (_UNTYPED, _TCB_FPU, _ENDPOINT, _NOTIFICATION, _CAP_TABLE, _PAGE_DIRECTORY, *_PAGES)
"""13.0.0 on: the page directory became a "mode" object and so precedes the pages."""

# --- fault labels (libsel4/sel4_arch_include/aarch32/sel4/sel4_arch/types.bf)

FAULTS_1: Final = MappingProxyType(
    {"NullFault": 0, "CapFault": 1, "VMFault": 2, "UnknownSyscall": 3, "UserException": 4}
)
FAULTS_4: Final = MappingProxyType(
    {"NullFault": 0, "CapFault": 1, "UnknownSyscall": 2, "UserException": 3, "VMFault": 5}
)
"""4.0.0 on, without MCS; 4 is the hardware debug API's DebugException."""

# --- errors (libsel4/include/sel4/errors.h): unchanged in all releases

ERRORS: Final = (
    "seL4_NoError",
    "seL4_InvalidArgument",
    "seL4_InvalidCapability",
    "seL4_IllegalOperation",
    "seL4_RangeError",
    "seL4_AlignmentError",
    "seL4_FailedLookup",
    "seL4_TruncatedMessage",
    "seL4_DeleteFirst",
    "seL4_RevokeFirst",
    "seL4_NotEnoughMemory",
)

# --- the kernel's own cap type numbers (include/arch/arm/arch/32/mode/object/structures.bf)

CAP_TYPES: Final = MappingProxyType(
    {
        "null": 0,
        "small-frame": 1,
        "untyped": 2,
        "frame": 3,
        "endpoint": 4,
        "asid-pool": 5,
        "notification": 6,
        "page-table": 7,
        "reply": 8,
        "page-directory": 9,
        "cnode": 10,
        "asid-control": 11,
        "thread": 12,
        "irq-control": 14,
        "irq-handler": 30,
        "zombie": 46,
        "domain": 62,
    }
)
CAP_TYPES_14: Final = MappingProxyType({**CAP_TYPES, "sgi-signal": 63})

# --- fixed slots of the initial CNode (libsel4/include/sel4/bootinfo_types.h), in the newest spelling

SLOTS_1: Final = (
    "seL4_CapNull",
    "seL4_CapInitThreadTCB",
    "seL4_CapInitThreadCNode",
    "seL4_CapInitThreadVSpace",
    "seL4_CapIRQControl",
    "seL4_CapASIDControl",
    "seL4_CapInitThreadASIDPool",
    "seL4_CapIOPortControl",
    "seL4_CapIOSpace",
    "seL4_CapBootInfoFrame",
    "seL4_CapInitThreadIPCBuffer",
    "seL4_CapDomain",
)
SLOTS_12: Final = (*SLOTS_1, "seL4_CapSMMUSIDControl", "seL4_CapSMMUCBControl")
SLOTS_13: Final = (*SLOTS_12, "seL4_CapInitThreadSC", "seL4_CapSMC")

# --- seL4_UserContext (libsel4/sel4_arch_include/aarch32/sel4/sel4_arch/types.h); -1 is the CPSR

CONTEXT_1: Final = (
    Slot.PC,
    Slot.SP,
    -1,
    Slot.R0,
    Slot.R0 + 1,
    *(Slot.R0 + n for n in range(8, 13)),
    *(Slot.R0 + n for n in range(2, 8)),
    Slot.LR,
)
CONTEXT_11: Final = (*CONTEXT_1, Slot.TPIDRURW)
CONTEXT_12: Final = (*CONTEXT_1, Slot.TPIDRURW, Slot.TPIDRURO)

# --- constants that user code is compiled with, besides the tables above

_COMMON: Final = {
    "seL4_MsgLengthBits": 7,
    "seL4_MsgExtraCapBits": 2,
    "seL4_MsgMaxLength": 120,
    "seL4_MsgMaxExtraCaps": 3,
    "seL4_FastMessageRegisters": 4,
    "seL4_IPCBufferSizeBits": 9,
    "seL4_WordBits": 32,
    "seL4_SlotBits": 4,
    "seL4_EndpointBits": 4,
    "seL4_NotificationBits": 4,
    "seL4_PageBits": 12,
    "seL4_LargePageBits": 16,
    "seL4_SectionBits": 20,
    "seL4_SuperSectionBits": 24,
    "seL4_PageTableBits": 10,
    "seL4_PageDirBits": 14,
    "seL4_ASIDPoolBits": 12,
    "seL4_ASIDPoolIndexBits": 10,
    "seL4_BootInfoFrameBits": 12,
    "seL4_MinPrio": 0,
    "seL4_MinUntypedBits": 4,
    "CONFIG_RETYPE_FAN_OUT_LIMIT": 256,
    "CONFIG_MAX_NUM_WORK_UNITS_PER_PREEMPTION": 100,
    "CONFIG_TIME_SLICE": 5,
    "CONFIG_TIMER_TICK_MS": 2,
    "CONFIG_NUM_PRIORITIES": 256,
    "CONFIG_NUM_DOMAINS": 1,
}
_OLD: Final = {
    **_COMMON,
    "seL4_CapRightsBits": 3,
    "seL4_NumASIDPoolsBits": 8,
    # No name in libsel4 before 4.0.0; include/object/untyped.h and src/object/untyped.c have the numbers.
    "seL4_MaxUntypedBits": 30,
    "CONFIG_ROOT_CNODE_SIZE_BITS": 16,
    "CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS": OLD_UNTYPEDS,
    "CONFIG_MAX_NUM_BOOTINFO_DEVICE_REGIONS": OLD_DEVICES,
}
_NOT_IN_2006: Final = (
    "seL4_LargePageBits",
    "seL4_SectionBits",
    "seL4_SuperSectionBits",
    "seL4_PageTableBits",
    "seL4_PageDirBits",
    "seL4_ASIDPoolBits",
    "seL4_ASIDPoolIndexBits",
    "CONFIG_RETYPE_FAN_OUT_LIMIT",
    "CONFIG_NUM_DOMAINS",
)
CONSTANTS_2006: Final = MappingProxyType(
    {
        **{name: value for name, value in _COMMON.items() if name not in _NOT_IN_2006},
        "seL4_NotificationBits": 5,
        "seL4_CapRightsBits": 3,
        "seL4_MaxUntypedBits": 30,
        "CONFIG_ROOT_CNODE_SIZE_BITS": 12,
        "CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS": UNTYPEDS,
    }
)
CONSTANTS_1: Final = MappingProxyType(_OLD)
CONSTANTS_2_1: Final = MappingProxyType({**_OLD, "CONFIG_ROOT_CNODE_SIZE_BITS": 12})
_RESETTING: Final = {
    **_COMMON,
    "seL4_CapRightsBits": 3,
    "seL4_NumASIDPoolsBits": 7,
    "seL4_MaxUntypedBits": 29,
    "CONFIG_RESET_CHUNK_BITS": 8,
    "CONFIG_ROOT_CNODE_SIZE_BITS": 12,
}
CONSTANTS_4: Final = MappingProxyType({**_RESETTING, "CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS": OLD_UNTYPEDS})
CONSTANTS_7: Final = MappingProxyType({**_RESETTING, "CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS": UNTYPEDS})
CONSTANTS_11: Final = MappingProxyType(
    {**CONSTANTS_7, "seL4_CapRightsBits": 4, "CONFIG_PADDR_USER_DEVICE_TOP": 0xFFFFFFFF}
)
CONSTANTS_15: Final = MappingProxyType({**CONSTANTS_11, "CONFIG_NUM_DOMAIN_SCHEDULES": 2})
"""15.0.0: a table of domain schedules, of two entries (one and the end mark) with a single domain."""
CONSTANTS_16: Final = MappingProxyType({**CONSTANTS_15, "CONFIG_PADDR_USER_DEVICE_TOP": 1 << 32})
"""16.0.0: device memory reaches to the very end of the address space."""
