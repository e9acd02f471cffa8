"""The invocation labels of each ABI group, in wire order: a label's number is its position.

libsel4 numbers generic labels first, then those of the AArch32 mode, then those of the ARM architecture
(`libsel4/tools/invocation_header_gen.py`), skipping what the build does not have: these tuples are for
AArch32, one core, no hypervisor, no SMMU, no hardware debug API, without MCS.
"""

from __future__ import annotations

from typing import Final

from retrap.kernel.abi import signatures as s
from retrap.kernel.abi.release import Invocation

Labels = tuple[Invocation, ...]

# Runs of labels that always stand together.
_REGISTERS: Final = (s.TCB_READ_REGISTERS, s.TCB_WRITE_REGISTERS, s.TCB_COPY_REGISTERS)
_TCB_SPACES: Final = (s.TCB_SET_IPC_BUFFER, s.TCB_SET_SPACE, s.TCB_SUSPEND, s.TCB_RESUME)
_TCB_NOTIFICATION: Final = (s.TCB_BIND_NOTIFICATION, s.TCB_UNBIND_NOTIFICATION)
_CNODE_COPYING: Final = (
    s.CNODE_COPY,
    s.CNODE_MINT,
    s.CNODE_MOVE,
    s.CNODE_MUTATE,
    s.CNODE_ROTATE,
    s.CNODE_SAVE_CALLER,
)
_CNODE_WITH_RECYCLE: Final = (s.CNODE_REVOKE, s.CNODE_DELETE, s.CNODE_RECYCLE, *_CNODE_COPYING)
_CNODE: Final = (s.CNODE_REVOKE, s.CNODE_DELETE, s.CNODE_CANCEL_BADGED_SENDS, *_CNODE_COPYING)
_IRQ_HANDLER: Final = (s.IRQ_HANDLER_ACK, s.IRQ_HANDLER_SET_NOTIFICATION, s.IRQ_HANDLER_CLEAR)
_IRQ: Final = (s.IRQ_CONTROL_GET, *_IRQ_HANDLER)
_PAGE_DIRECTORY: Final = (
    s.PD_CLEAN_DATA,
    s.PD_INVALIDATE_DATA,
    s.PD_CLEAN_INVALIDATE_DATA,
    s.PD_UNIFY_INSTRUCTION,
)
_PAGE_CACHE: Final = (
    s.PAGE_CLEAN_DATA,
    s.PAGE_INVALIDATE_DATA,
    s.PAGE_CLEAN_INVALIDATE_DATA,
    s.PAGE_UNIFY_INSTRUCTION,
    s.PAGE_GET_ADDRESS,
)
_PAGE_TABLE: Final = (s.PAGE_TABLE_MAP, s.PAGE_TABLE_UNMAP)

# The ARM labels: page directory, page table, page, ASID. Up to 9.0.1 the parameters said `pd` for `vspace`.
_ARM_1: Final = (
    *_PAGE_DIRECTORY,
    s.PAGE_TABLE_MAP_PD,
    s.PAGE_TABLE_UNMAP,
    s.PAGE_MAP_PD,
    s.PAGE_REMAP_PD,
    s.PAGE_UNMAP,
    *_PAGE_CACHE,
    s.ASID_CONTROL_MAKE_POOL,
    s.ASID_POOL_ASSIGN_VROOT,
)
_ASID: Final = (s.ASID_CONTROL_MAKE_POOL, s.ASID_POOL_ASSIGN)
_ARM_10: Final = (
    *_PAGE_DIRECTORY,
    *_PAGE_TABLE,
    s.PAGE_MAP,
    s.PAGE_REMAP,
    s.PAGE_UNMAP,
    *_PAGE_CACHE,
    *_ASID,
)
_ARM_11: Final = (
    *_PAGE_DIRECTORY,
    *_PAGE_TABLE,
    s.PAGE_MAP,
    s.PAGE_UNMAP,
    *_PAGE_CACHE,
    *_ASID,
    s.IRQ_CONTROL_GET_TRIGGER,
)

_HEAD: Final = (s.INVALID, s.UNTYPED_RETYPE, *_REGISTERS)
_HEAD_1: Final = (*_HEAD, s.TCB_CONFIGURE_WITH_PRIORITY, s.TCB_SET_PRIORITY_OF_SELF, *_TCB_SPACES)
_HEAD_4: Final = (
    *_HEAD,
    s.TCB_CONFIGURE_WITH_PRIORITIES,
    s.TCB_SET_PRIORITY_OF_SELF,
    s.TCB_SET_MC_PRIORITY_OF_SELF,
    *_TCB_SPACES,
    *_TCB_NOTIFICATION,
)
_HEAD_9: Final = (
    *_HEAD,
    s.TCB_CONFIGURE,
    s.TCB_SET_PRIORITY,
    s.TCB_SET_MC_PRIORITY,
    s.TCB_SET_SCHED_PARAMS,
    *_TCB_SPACES,
    *_TCB_NOTIFICATION,
)
_HEAD_10_1: Final = (*_HEAD_9, s.TCB_SET_TLS_BASE)
_HEAD_14: Final = (*_HEAD_10_1, s.TCB_SET_FLAGS)
_IRQ_1: Final = (
    s.IRQ_CONTROL_GET,
    s.IRQ_CONTROL_CONTROL,
    s.IRQ_HANDLER_ACK,
    s.IRQ_HANDLER_SET_ENDPOINT,
    s.IRQ_HANDLER_CLEAR,
)

LABELS_1_0_3: Final[Labels] = (*_HEAD_1, *_CNODE_WITH_RECYCLE, *_IRQ_1, s.DOMAIN_SET, *_ARM_1)
LABELS_1_0_4: Final[Labels] = (
    *_HEAD_1,
    *_CNODE_WITH_RECYCLE,
    *_IRQ_1,
    s.IRQ_HANDLER_SET_MODE,
    s.DOMAIN_SET,
    *_ARM_1,
)
LABELS_2_0: Final[Labels] = (
    *_HEAD_1,
    *_TCB_NOTIFICATION,
    *_CNODE_WITH_RECYCLE,
    s.IRQ_CONTROL_GET,
    s.IRQ_CONTROL_CONTROL,
    *_IRQ_HANDLER,
    s.IRQ_HANDLER_SET_MODE,
    s.DOMAIN_SET,
    *_ARM_1,
)
"""2.0.0: asynchronous endpoints became notifications, which can be bound to a TCB."""
LABELS_2_1: Final[Labels] = (
    *_HEAD_1,
    *_TCB_NOTIFICATION,
    *_CNODE_WITH_RECYCLE,
    *_IRQ,
    s.IRQ_HANDLER_SET_MODE,
    s.DOMAIN_SET,
    *_ARM_1,
)
LABELS_3: Final[Labels] = (
    *_HEAD_1,
    *_TCB_NOTIFICATION,
    *_CNODE_WITH_RECYCLE,
    *_IRQ,
    s.DOMAIN_SET,
    *_ARM_1,
)
LABELS_4: Final[Labels] = (*_HEAD_4, *_CNODE, *_IRQ, s.DOMAIN_SET, *_ARM_1)
"""4.0.0 to 8.0.0: maximum controlled priorities; CancelBadgedSends in Recycle's place."""
LABELS_9: Final[Labels] = (*_HEAD_9, *_CNODE, *_IRQ, s.DOMAIN_SET, *_ARM_1)
"""9.0.0 and 9.0.1: priorities are set with the authority of a TCB capability."""
LABELS_10: Final[Labels] = (*_HEAD_9, *_CNODE, *_IRQ, s.DOMAIN_SET, *_ARM_10)
LABELS_10_1: Final[Labels] = (
    *_HEAD_10_1,
    *_CNODE,
    *_IRQ,
    s.DOMAIN_SET,
    *_ARM_10,
    s.IRQ_CONTROL_GET_TRIGGER,
)
LABELS_11: Final[Labels] = (*_HEAD_10_1, *_CNODE, *_IRQ, s.DOMAIN_SET, *_ARM_11)
"""11.0.0 to 13.0.0: Page_Remap is part of Page_Map."""
LABELS_14: Final[Labels] = (
    *_HEAD_14,
    *_CNODE,
    *_IRQ,
    s.DOMAIN_SET,
    *_ARM_11,
    s.IRQ_CONTROL_ISSUE_SGI,
)
LABELS_15: Final[Labels] = (
    *_HEAD_14,
    *_CNODE,
    *_IRQ,
    s.DOMAIN_SET,
    s.DOMAIN_SCHEDULE_CONFIGURE,
    s.DOMAIN_SCHEDULE_SET_START,
    *_ARM_11,
    s.IRQ_CONTROL_ISSUE_SGI,
)
"""15.0.0 and 16.0.0: domain schedules can be set at run time."""
