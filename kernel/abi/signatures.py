"""Every invocation's signature, once per shape it has had: name, libsel4 function, parameters in order.

Source: libsel4's interface descriptions (`libsel4/include/interfaces`, `libsel4/arch_include/arm/interfaces`,
`libsel4/sel4_arch_include/aarch32/interfaces`) of each tag. A signature that changed has one value per shape,
named for what is peculiar to it; `labels.py` puts them in each release's order.
"""

from __future__ import annotations

from typing import Final

from retrap.kernel.abi.release import Invocation, Parameter


def word(name: str) -> Parameter:
    """A full word."""
    return Parameter(name)


def result(name: str) -> Parameter:
    """A word that the kernel returns."""
    return Parameter(name, out=True)


def byte(name: str) -> Parameter:
    """An eight-bit value, packed with its neighbours into one word."""
    return Parameter(name, bits=8, ctype="seL4_Uint8")


def flag(name: str) -> Parameter:
    """A one-bit value, packed with its neighbours into one word."""
    return Parameter(name, bits=1, ctype="seL4_Bool")


def time(name: str) -> Parameter:
    """A 64-bit value: two words, low first."""
    return Parameter(name, bits=64, ctype="seL4_Time")


def cap(name: str, ctype: str = "seL4_CPtr") -> Parameter:
    """A capability, passed as an extra capability of the message."""
    return Parameter(name, "cap", ctype=ctype)


def _cnode(name: str) -> Parameter:
    return cap(name, "seL4_CNode")


_RIGHTS: Final = Parameter("rights", ctype="seL4_CapRights_t")
_ATTRIBUTES: Final = Parameter("attr", ctype="seL4_ARM_VMAttributes")
_REGISTERS: Final = Parameter("regs", "registers", ctype="seL4_UserContext")
_REGISTERS_OUT: Final = Parameter("regs", "registers", ctype="seL4_UserContext", out=True)
_SLOT: Final = (word("index"), byte("depth"))

INVALID: Final = Invocation("InvalidInvocation", "", "", ())

# --- Untyped

UNTYPED_RETYPE: Final = Invocation(
    "UntypedRetype",
    "Untyped",
    "seL4_Untyped_Retype",
    (
        word("type"),
        word("size_bits"),
        _cnode("root"),
        word("node_index"),
        word("node_depth"),
        word("node_offset"),
        word("num_objects"),
    ),
)


# --- TCB


def _tcb(label: str, method: str, *parameters: Parameter) -> Invocation:
    return Invocation(label, "TCB", f"seL4_TCB_{method}", parameters)


_AUTHORITY: Final = cap("authority", "seL4_TCB")
_SPACES: Final = (
    _cnode("cspace_root"),
    word("cspace_root_data"),
    cap("vspace_root"),
    word("vspace_root_data"),
)
_BUFFER: Final = (word("buffer"), cap("bufferFrame"))

TCB_READ_REGISTERS: Final = _tcb(
    "TCBReadRegisters",
    "ReadRegisters",
    flag("suspend_source"),
    byte("arch_flags"),
    word("count"),
    _REGISTERS_OUT,
)
TCB_WRITE_REGISTERS: Final = _tcb(
    "TCBWriteRegisters",
    "WriteRegisters",
    flag("resume_target"),
    byte("arch_flags"),
    word("count"),
    _REGISTERS,
)
TCB_COPY_REGISTERS: Final = _tcb(
    "TCBCopyRegisters",
    "CopyRegisters",
    cap("source", "seL4_TCB"),
    flag("suspend_source"),
    flag("resume_target"),
    flag("transfer_frame"),
    flag("transfer_integer"),
    byte("arch_flags"),
)
TCB_CONFIGURE: Final = _tcb("TCBConfigure", "Configure", word("fault_ep"), *_SPACES, *_BUFFER)
TCB_CONFIGURE_WITH_PRIORITY: Final = _tcb(
    "TCBConfigure", "Configure", word("fault_ep"), byte("priority"), *_SPACES, *_BUFFER
)
# 4.0.0 to 8.0.0: seL4_PrioProps, bits 0-7 the priority, bits 8-15 the maximum controlled priority.
TCB_CONFIGURE_WITH_PRIORITIES: Final = _tcb(
    "TCBConfigure", "Configure", word("fault_ep"), word("priority"), *_SPACES, *_BUFFER
)
TCB_SET_PRIORITY: Final = _tcb("TCBSetPriority", "SetPriority", _AUTHORITY, word("priority"))
TCB_SET_PRIORITY_OF_SELF: Final = _tcb("TCBSetPriority", "SetPriority", byte("priority"))
TCB_SET_MC_PRIORITY: Final = _tcb("TCBSetMCPriority", "SetMCPriority", _AUTHORITY, word("mcp"))
TCB_SET_MC_PRIORITY_OF_SELF: Final = _tcb("TCBSetMCPriority", "SetMCPriority", byte("mcp"))
TCB_SET_SCHED_PARAMS: Final = _tcb("TCBSetSchedParams", "SetSchedParams", _AUTHORITY, word("mcp"), word("priority"))
TCB_SET_IPC_BUFFER: Final = _tcb("TCBSetIPCBuffer", "SetIPCBuffer", *_BUFFER)
TCB_SET_SPACE: Final = _tcb("TCBSetSpace", "SetSpace", word("fault_ep"), *_SPACES)
TCB_SUSPEND: Final = _tcb("TCBSuspend", "Suspend")
TCB_RESUME: Final = _tcb("TCBResume", "Resume")
TCB_BIND_NOTIFICATION: Final = _tcb("TCBBindNotification", "BindNotification", cap("notification"))
TCB_UNBIND_NOTIFICATION: Final = _tcb("TCBUnbindNotification", "UnbindNotification")
TCB_SET_TLS_BASE: Final = _tcb("TCBSetTLSBase", "SetTLSBase", word("tls_base"))
TCB_SET_FLAGS: Final = _tcb("TCBSetFlags", "SetFlags", word("clear"), word("set"), result("flags"))


# --- CNode


def _cnode_op(label: str, method: str, *parameters: Parameter) -> Invocation:
    return Invocation(label, "CNode", f"seL4_CNode_{method}", parameters)


_DESTINATION: Final = (word("dest_index"), byte("dest_depth"))
_SOURCE: Final = (_cnode("src_root"), word("src_index"), byte("src_depth"))
_PIVOT: Final = (_cnode("pivot_root"), word("pivot_index"), byte("pivot_depth"))

CNODE_REVOKE: Final = _cnode_op("CNodeRevoke", "Revoke", *_SLOT)
CNODE_DELETE: Final = _cnode_op("CNodeDelete", "Delete", *_SLOT)
CNODE_CANCEL_BADGED_SENDS: Final = _cnode_op("CNodeCancelBadgedSends", "CancelBadgedSends", *_SLOT)
CNODE_RECYCLE: Final = _cnode_op("CNodeRecycle", "Recycle", *_SLOT)
CNODE_COPY: Final = _cnode_op("CNodeCopy", "Copy", *_DESTINATION, *_SOURCE, _RIGHTS)
CNODE_MINT: Final = _cnode_op("CNodeMint", "Mint", *_DESTINATION, *_SOURCE, _RIGHTS, word("badge"))
CNODE_MOVE: Final = _cnode_op("CNodeMove", "Move", *_DESTINATION, *_SOURCE)
CNODE_MUTATE: Final = _cnode_op("CNodeMutate", "Mutate", *_DESTINATION, *_SOURCE, word("badge"))
CNODE_ROTATE: Final = _cnode_op(
    "CNodeRotate", "Rotate", *_DESTINATION, word("dest_badge"), *_PIVOT, word("pivot_badge"), *_SOURCE
)
# MR5 of Rotate (`pivot_badge`) is the new data of the *source* cap, MR2 (`dest_badge`) that of the pivot cap.
CNODE_SAVE_CALLER: Final = _cnode_op("CNodeSaveCaller", "SaveCaller", *_SLOT)

# --- interrupts and domains

IRQ_CONTROL_GET: Final = Invocation(
    "IRQIssueIRQHandler", "IRQControl", "seL4_IRQControl_Get", (word("irq"), _cnode("root"), *_SLOT)
)
IRQ_CONTROL_GET_TRIGGER: Final = Invocation(
    "ARMIRQIssueIRQHandlerTrigger",
    "IRQControl",
    "seL4_IRQControl_GetTrigger",
    (word("irq"), word("trigger"), _cnode("root"), *_SLOT),
)
IRQ_CONTROL_ISSUE_SGI: Final = Invocation(
    "ARMIRQIssueSGISignal",
    "IRQControl",
    "seL4_IRQControl_IssueSGISignal",
    (word("irq"), word("target"), _cnode("root"), *_SLOT),
)
IRQ_CONTROL_CONTROL: Final = Invocation("IRQInterruptControl", "IRQControl", "seL4_IRQControl_Control", ())
# Reserved for architectures: ARM answers IllegalOperation.
IRQ_HANDLER_ACK: Final = Invocation("IRQAckIRQ", "IRQHandler", "seL4_IRQHandler_Ack", ())
IRQ_HANDLER_SET_NOTIFICATION: Final = Invocation(
    "IRQSetIRQHandler", "IRQHandler", "seL4_IRQHandler_SetNotification", (cap("notification"),)
)
IRQ_HANDLER_SET_ENDPOINT: Final = Invocation(
    "IRQSetIRQHandler", "IRQHandler", "seL4_IRQHandler_SetEndpoint", (cap("endpoint"),)
)
IRQ_HANDLER_SET_MODE: Final = Invocation(
    "IRQSetMode", "IRQHandler", "seL4_IRQHandler_SetMode", (word("level_trigger"), word("low_polarity"))
)
IRQ_HANDLER_CLEAR: Final = Invocation("IRQClearIRQHandler", "IRQHandler", "seL4_IRQHandler_Clear", ())
DOMAIN_SET: Final = Invocation(
    "DomainSetSet", "DomainSet", "seL4_DomainSet_Set", (byte("domain"), cap("thread", "seL4_TCB"))
)
DOMAIN_SCHEDULE_CONFIGURE: Final = Invocation(
    "DomainScheduleConfigure",
    "DomainSet",
    "seL4_DomainSet_ScheduleConfigure",
    (word("index"), byte("domain"), time("duration")),
)
DOMAIN_SCHEDULE_SET_START: Final = Invocation(
    "DomainScheduleSetStart", "DomainSet", "seL4_DomainSet_ScheduleSetStart", (word("index"),)
)


# --- ARM address spaces


def _directory(label: str, method: str, *parameters: Parameter) -> Invocation:
    return Invocation(label, "ARM_PageDirectory", f"seL4_ARM_PageDirectory_{method}", parameters)


def _page(label: str, method: str, *parameters: Parameter) -> Invocation:
    return Invocation(label, "ARM_Page", f"seL4_ARM_Page_{method}", parameters)


_RANGE: Final = (word("start"), word("end"))
_OFFSETS: Final = (word("start_offset"), word("end_offset"))

PD_CLEAN_DATA: Final = _directory("ARMPDClean_Data", "Clean_Data", *_RANGE)
PD_INVALIDATE_DATA: Final = _directory("ARMPDInvalidate_Data", "Invalidate_Data", *_RANGE)
PD_CLEAN_INVALIDATE_DATA: Final = _directory("ARMPDCleanInvalidate_Data", "CleanInvalidate_Data", *_RANGE)
PD_UNIFY_INSTRUCTION: Final = _directory("ARMPDUnify_Instruction", "Unify_Instruction", *_RANGE)

PAGE_TABLE_MAP: Final = Invocation(
    "ARMPageTableMap", "ARM_PageTable", "seL4_ARM_PageTable_Map", (cap("vspace"), word("vaddr"), _ATTRIBUTES)
)
PAGE_TABLE_MAP_PD: Final = Invocation(
    "ARMPageTableMap", "ARM_PageTable", "seL4_ARM_PageTable_Map", (cap("pd"), word("vaddr"), _ATTRIBUTES)
)
PAGE_TABLE_UNMAP: Final = Invocation("ARMPageTableUnmap", "ARM_PageTable", "seL4_ARM_PageTable_Unmap", ())

PAGE_MAP: Final = _page("ARMPageMap", "Map", cap("vspace"), word("vaddr"), _RIGHTS, _ATTRIBUTES)
PAGE_MAP_PD: Final = _page("ARMPageMap", "Map", cap("pd"), word("vaddr"), _RIGHTS, _ATTRIBUTES)
PAGE_REMAP_PD: Final = _page("ARMPageRemap", "Remap", cap("pd"), _RIGHTS, _ATTRIBUTES)
PAGE_REMAP: Final = _page("ARMPageRemap", "Remap", cap("vspace"), _RIGHTS, _ATTRIBUTES)
PAGE_UNMAP: Final = _page("ARMPageUnmap", "Unmap")
PAGE_CLEAN_DATA: Final = _page("ARMPageClean_Data", "Clean_Data", *_OFFSETS)
PAGE_INVALIDATE_DATA: Final = _page("ARMPageInvalidate_Data", "Invalidate_Data", *_OFFSETS)
PAGE_CLEAN_INVALIDATE_DATA: Final = _page("ARMPageCleanInvalidate_Data", "CleanInvalidate_Data", *_OFFSETS)
PAGE_UNIFY_INSTRUCTION: Final = _page("ARMPageUnify_Instruction", "Unify_Instruction", *_OFFSETS)
PAGE_GET_ADDRESS: Final = _page("ARMPageGetAddress", "GetAddress", result("paddr"))

ASID_CONTROL_MAKE_POOL: Final = Invocation(
    "ARMASIDControlMakePool",
    "ARM_ASIDControl",
    "seL4_ARM_ASIDControl_MakePool",
    (cap("untyped", "seL4_Untyped"), _cnode("root"), *_SLOT),
)
ASID_POOL_ASSIGN: Final = Invocation(
    "ARMASIDPoolAssign", "ARM_ASIDPool", "seL4_ARM_ASIDPool_Assign", (cap("vspace"),)
)
ASID_POOL_ASSIGN_VROOT: Final = Invocation(
    "ARMASIDPoolAssign", "ARM_ASIDPool", "seL4_ARM_ASIDPool_Assign", (cap("vroot"),)
)
