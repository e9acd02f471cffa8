"""The invocation labels of each ABI group, in wire order: a label's number is its position.

libsel4 numbers generic labels first, then those of the AArch32 mode, then those of the ARM architecture
(`libsel4/tools/invocation_header_gen.py`), skipping what the build does not have: these tuples are for
AArch32, one core, no hypervisor, no SMMU, no hardware debug API, without MCS.
"""

from __future__ import annotations

from typing import Final

from retrap.kernel.abi import signatures as s
from retrap.kernel.abi.release import Invocation

_REGISTERS: Final = (s.TCB_READ_REGISTERS, s.TCB_WRITE_REGISTERS, s.TCB_COPY_REGISTERS)
_CNODE_COPYING: Final = (
    s.CNODE_COPY,
    s.CNODE_MINT,
    s.CNODE_MOVE,
    s.CNODE_MUTATE,
    s.CNODE_ROTATE,
    s.CNODE_SAVE_CALLER,
)
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
_ASID: Final = (s.ASID_CONTROL_MAKE_POOL, s.ASID_POOL_ASSIGN)

LABELS_15: Final[tuple[Invocation, ...]] = (
    s.INVALID,
    s.UNTYPED_RETYPE,
    *_REGISTERS,
    s.TCB_CONFIGURE,
    s.TCB_SET_PRIORITY,
    s.TCB_SET_MC_PRIORITY,
    s.TCB_SET_SCHED_PARAMS,
    s.TCB_SET_IPC_BUFFER,
    s.TCB_SET_SPACE,
    s.TCB_SUSPEND,
    s.TCB_RESUME,
    s.TCB_BIND_NOTIFICATION,
    s.TCB_UNBIND_NOTIFICATION,
    s.TCB_SET_TLS_BASE,
    s.TCB_SET_FLAGS,
    s.CNODE_REVOKE,
    s.CNODE_DELETE,
    s.CNODE_CANCEL_BADGED_SENDS,
    *_CNODE_COPYING,
    s.IRQ_CONTROL_GET,
    s.IRQ_HANDLER_ACK,
    s.IRQ_HANDLER_SET_NOTIFICATION,
    s.IRQ_HANDLER_CLEAR,
    s.DOMAIN_SET,
    s.DOMAIN_SCHEDULE_CONFIGURE,
    s.DOMAIN_SCHEDULE_SET_START,
    *_PAGE_DIRECTORY,
    s.PAGE_TABLE_MAP,
    s.PAGE_TABLE_UNMAP,
    s.PAGE_MAP,
    s.PAGE_UNMAP,
    *_PAGE_CACHE,
    *_ASID,
    s.IRQ_CONTROL_GET_TRIGGER,
    s.IRQ_CONTROL_ISSUE_SGI,
)
"""15.0.0 and 16.0.0: run-time domain schedules."""
