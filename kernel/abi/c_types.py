"""C text that no table describes: base types, message info, rights, fault messages, the IPC buffer's structure.

Names are libsel4's; the code is this project's own.
"""

from __future__ import annotations

from typing import Final

BASE_TYPES: Final = """\
typedef unsigned char seL4_Uint8;
typedef unsigned short seL4_Uint16;
typedef unsigned int seL4_Uint32;
typedef unsigned long long seL4_Uint64;
typedef signed char seL4_Int8;
typedef signed short seL4_Int16;
typedef signed int seL4_Int32;
typedef signed long long seL4_Int64;

typedef seL4_Uint32 seL4_Word;
typedef seL4_Uint8 seL4_Bool;
typedef seL4_Uint64 seL4_Time;
typedef seL4_Word seL4_CPtr;
typedef seL4_Word seL4_NodeId;
typedef seL4_Word seL4_PAddr;
typedef seL4_Word seL4_Domain;
typedef seL4_Word seL4_SlotPos;

#define seL4_True 1
#define seL4_False 0
#define seL4_NilData 0
"""

MESSAGE_INFO: Final = """\
/* Bits 0-6 length, 7-8 extra capabilities, 9-11 unwrapped capabilities, 12-31 label. */
typedef struct seL4_MessageInfo {
    seL4_Word words[1];
} seL4_MessageInfo_t;

SEL4_INLINE seL4_MessageInfo_t seL4_MessageInfo_new(seL4_Word label, seL4_Word unwrapped, seL4_Word caps,
                                                    seL4_Word length)
{
    seL4_MessageInfo_t info = {
        {(label & 0xfffff) << 12 | (unwrapped & 7) << 9 | (caps & 3) << 7 | (length & 0x7f)}};
    return info;
}

SEL4_INLINE seL4_Word seL4_MessageInfo_get_label(seL4_MessageInfo_t info)
{
    return info.words[0] >> 12;
}

SEL4_INLINE seL4_Word seL4_MessageInfo_get_capsUnwrapped(seL4_MessageInfo_t info)
{
    return info.words[0] >> 9 & 7;
}

SEL4_INLINE seL4_Word seL4_MessageInfo_get_extraCaps(seL4_MessageInfo_t info)
{
    return info.words[0] >> 7 & 3;
}

SEL4_INLINE seL4_Word seL4_MessageInfo_get_length(seL4_MessageInfo_t info)
{
    return info.words[0] & 0x7f;
}
"""

CNODE_DATA: Final = """\
/* What Mint and Mutate take for a CNode, and Configure and SetSpace for the root: bits 3-7 guard size,
   bits 8-25 guard. */
typedef struct seL4_CNode_CapData {
    seL4_Word words[1];
} seL4_CNode_CapData_t;

SEL4_INLINE seL4_CNode_CapData_t seL4_CNode_CapData_new(seL4_Word guard, seL4_Word guard_size)
{
    seL4_CNode_CapData_t data = {{(guard & 0x3ffff) << 8 | (guard_size & 0x1f) << 3}};
    return data;
}
"""

RIGHTS_STRUCT: Final = """\
typedef struct seL4_CapRights {
    seL4_Word words[1];
} seL4_CapRights_t;
"""

RIGHTS_WITH_GRANT_REPLY: Final = """\
SEL4_INLINE seL4_CapRights_t seL4_CapRights_new(seL4_Word grant_reply, seL4_Word grant, seL4_Word read,
                                                seL4_Word write)
{
    seL4_CapRights_t rights = {{(grant_reply & 1) << 3 | (grant & 1) << 2 | (read & 1) << 1 | (write & 1)}};
    return rights;
}

#define seL4_AllRights seL4_CapRights_new(1, 1, 1, 1)
#define seL4_ReadWrite seL4_CapRights_new(0, 0, 1, 1)
#define seL4_CanRead seL4_CapRights_new(0, 0, 1, 0)
#define seL4_CanWrite seL4_CapRights_new(0, 0, 0, 1)
#define seL4_CanGrant seL4_CapRights_new(0, 1, 0, 0)
#define seL4_CanGrantReply seL4_CapRights_new(1, 0, 0, 0)
#define seL4_NoWrite seL4_CapRights_new(1, 1, 1, 0)
#define seL4_NoRead seL4_CapRights_new(1, 1, 0, 1)
#define seL4_NoRights seL4_CapRights_new(0, 0, 0, 0)
"""

RIGHTS_WITHOUT_GRANT_REPLY: Final = """\
SEL4_INLINE seL4_CapRights_t seL4_CapRights_new(seL4_Word grant, seL4_Word read, seL4_Word write)
{
    seL4_CapRights_t rights = {{(grant & 1) << 2 | (read & 1) << 1 | (write & 1)}};
    return rights;
}

#define seL4_AllRights seL4_CapRights_new(1, 1, 1)
#define seL4_ReadWrite seL4_CapRights_new(0, 1, 1)
#define seL4_CanRead seL4_CapRights_new(0, 1, 0)
#define seL4_CanWrite seL4_CapRights_new(0, 0, 1)
#define seL4_CanGrant seL4_CapRights_new(1, 0, 0)
#define seL4_NoWrite seL4_CapRights_new(1, 1, 0)
#define seL4_NoRead seL4_CapRights_new(1, 0, 1)
#define seL4_NoRights seL4_CapRights_new(0, 0, 0)
"""

VM_ATTRIBUTES: Final = """\
typedef enum {
    seL4_ARM_PageCacheable = 1,
    seL4_ARM_ParityEnabled = 2,
    seL4_ARM_Default_VMAttributes = 3,
    seL4_ARM_ExecuteNever = 4,
    seL4_ARM_VMAttributes_Word = 0x7fffffff
} seL4_ARM_VMAttributes;
"""

LOOKUP_FAILURES: Final = """\
typedef enum {
    seL4_NoFailure,
    seL4_InvalidRoot,
    seL4_MissingCapability,
    seL4_DepthMismatch,
    seL4_GuardMismatch,
    seL4_LookupFailureType_Word = 0x7fffffff
} seL4_LookupFailureType;
"""

FAULT_MESSAGES: Final = """\
enum {
    seL4_CapFault_IP,
    seL4_CapFault_Addr,
    seL4_CapFault_InRecvPhase,
    seL4_CapFault_LookupFailureType,
    seL4_CapFault_BitsLeft,
    seL4_CapFault_DepthMismatch_BitsFound,
    seL4_CapFault_GuardMismatch_GuardFound = seL4_CapFault_DepthMismatch_BitsFound,
    seL4_CapFault_GuardMismatch_BitsFound
};
enum {
    seL4_VMFault_IP,
    seL4_VMFault_Addr,
    seL4_VMFault_PrefetchFault,
    seL4_VMFault_FSR,
    seL4_VMFault_Length
};
enum {
    seL4_UnknownSyscall_R0,
    seL4_UnknownSyscall_R1,
    seL4_UnknownSyscall_R2,
    seL4_UnknownSyscall_R3,
    seL4_UnknownSyscall_R4,
    seL4_UnknownSyscall_R5,
    seL4_UnknownSyscall_R6,
    seL4_UnknownSyscall_R7,
    seL4_UnknownSyscall_FaultIP,
    seL4_UnknownSyscall_SP,
    seL4_UnknownSyscall_LR,
    seL4_UnknownSyscall_CPSR,
    seL4_UnknownSyscall_Syscall,
    seL4_UnknownSyscall_Length
};
enum {
    seL4_UserException_FaultIP,
    seL4_UserException_SP,
    seL4_UserException_CPSR,
    seL4_UserException_Number,
    seL4_UserException_Code,
    seL4_UserException_Length
};
"""

IPC_BUFFER: Final = """\
typedef struct seL4_IPCBuffer_ {
    seL4_MessageInfo_t tag;
    seL4_Word msg[seL4_MsgMaxLength];
    seL4_Word userData;
    seL4_Word caps_or_badges[seL4_MsgMaxExtraCaps];
    seL4_CPtr receiveCNode;
    seL4_CPtr receiveIndex;
    seL4_Word receiveDepth;
} __attribute__((aligned(1 << seL4_IPCBufferSizeBits))) seL4_IPCBuffer;
"""
