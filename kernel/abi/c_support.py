"""The part of the generated C header that no table describes: message info, IPC buffer, system calls.

Names are libsel4's; the code is this project's own. A wrapper loads R0 … R5 and R7, executes SVC and reads
the registers back. R7 is Thumb's frame pointer, so code that includes the header is to be compiled with
`-fomit-frame-pointer`.
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

BUFFER_OF_USER: Final = """\
/* The kernel does not tell a thread where its IPC buffer is. Each thread keeps the address in its own
   TPIDRURW, which user code may write and the kernel saves: set it first, with seL4_SetIPCBuffer or as a
   register of TCB_WriteRegisters. */
SEL4_INLINE seL4_IPCBuffer *seL4_GetIPCBuffer(void)
{
    seL4_IPCBuffer *buffer;
    __asm__ volatile("mrc p15, 0, %0, c13, c0, 2" : "=r"(buffer));
    return buffer;
}

SEL4_INLINE void seL4_SetIPCBuffer(seL4_IPCBuffer *buffer)
{
    __asm__ volatile("mcr p15, 0, %0, c13, c0, 2" : : "r"(buffer));
}
"""

BUFFER_IN_TPIDRURW: Final = """\
/* The kernel puts the address of the running thread's IPC buffer into TPIDRURW. */
SEL4_INLINE seL4_IPCBuffer *seL4_GetIPCBuffer(void)
{
    seL4_IPCBuffer *buffer;
    __asm__ volatile("mrc p15, 0, %0, c13, c0, 2" : "=r"(buffer));
    return buffer;
}

SEL4_INLINE void seL4_SetIPCBuffer(seL4_IPCBuffer *buffer)
{
    (void)buffer;
}
"""

BUFFER_IN_GLOBALS_FRAME: Final = """\
/* The kernel maps a read-only page, the globals frame, into every address space; its first word is the
   address of the running thread's IPC buffer. */
#define seL4_GlobalsFrame 0xffffc000u

SEL4_INLINE seL4_IPCBuffer *seL4_GetIPCBuffer(void)
{
    return *(seL4_IPCBuffer *volatile *)seL4_GlobalsFrame;
}

SEL4_INLINE void seL4_SetIPCBuffer(seL4_IPCBuffer *buffer)
{
    (void)buffer;
}
"""

BUFFER_ACCESS: Final = """\
SEL4_INLINE seL4_Word seL4_GetMR(int i) { return seL4_GetIPCBuffer()->msg[i]; }
SEL4_INLINE void seL4_SetMR(int i, seL4_Word value) { seL4_GetIPCBuffer()->msg[i] = value; }
SEL4_INLINE seL4_Word seL4_GetUserData(void) { return seL4_GetIPCBuffer()->userData; }
SEL4_INLINE void seL4_SetUserData(seL4_Word data) { seL4_GetIPCBuffer()->userData = data; }
SEL4_INLINE seL4_Word seL4_GetBadge(int i) { return seL4_GetIPCBuffer()->caps_or_badges[i]; }
SEL4_INLINE seL4_CPtr seL4_GetCap(int i) { return seL4_GetIPCBuffer()->caps_or_badges[i]; }
SEL4_INLINE void seL4_SetCap(int i, seL4_CPtr cap) { seL4_GetIPCBuffer()->caps_or_badges[i] = cap; }

SEL4_INLINE void seL4_SetCapReceivePath(seL4_CPtr cnode, seL4_CPtr index, seL4_Word depth)
{
    seL4_IPCBuffer *buffer = seL4_GetIPCBuffer();
    buffer->receiveCNode = cnode;
    buffer->receiveIndex = index;
    buffer->receiveDepth = depth;
}
"""

TRAPS: Final = """\
/* To restart a system call the kernel goes back four bytes from the next instruction, as is right in ARM state.
   Thumb's SVC has two bytes, so what stands before it is executed again: it must be harmless. */
#ifdef __thumb__
#define SEL4_SVC "nop\\n\\tsvc #0"
#else
#define SEL4_SVC "svc #0"
#endif

/* The registers that a system call can read or write: R0, R1 and the message registers R2 to R5. */
typedef struct seL4_TrapFrame {
    seL4_Word r0, r1, mr0, mr1, mr2, mr3;
} seL4_TrapFrame;

SEL4_ALWAYS_INLINE void seL4_Trap(seL4_Word number, seL4_TrapFrame *frame)
{
    register seL4_Word r0 __asm__("r0") = frame->r0;
    register seL4_Word r1 __asm__("r1") = frame->r1;
    register seL4_Word r2 __asm__("r2") = frame->mr0;
    register seL4_Word r3 __asm__("r3") = frame->mr1;
    register seL4_Word r4 __asm__("r4") = frame->mr2;
    register seL4_Word r5 __asm__("r5") = frame->mr3;
    register seL4_Word r7 __asm__("r7") = number;
    __asm__ volatile(SEL4_SVC
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r5)
                     : "r"(r7)
                     : "memory");
    frame->r0 = r0;
    frame->r1 = r1;
    frame->mr0 = r2;
    frame->mr1 = r3;
    frame->mr2 = r4;
    frame->mr3 = r5;
}

/* A system call with one argument and one result at most (debugging). */
SEL4_INLINE seL4_Word seL4_Trap1(seL4_Word number, seL4_Word argument)
{
    register seL4_Word r0 __asm__("r0") = argument;
    register seL4_Word r7 __asm__("r7") = number;
    __asm__ volatile(SEL4_SVC : "+r"(r0) : "r"(r7) : "memory");
    return r0;
}

/* Load the message registers from the IPC buffer, as seL4_SetMR left them there, and store them back. */
SEL4_INLINE seL4_TrapFrame seL4_LoadFrame(seL4_CPtr cap, seL4_MessageInfo_t info)
{
    seL4_IPCBuffer *buffer = seL4_GetIPCBuffer();
    seL4_TrapFrame frame = {cap,            info.words[0],  buffer->msg[0],
                            buffer->msg[1], buffer->msg[2], buffer->msg[3]};
    return frame;
}

SEL4_INLINE seL4_MessageInfo_t seL4_StoreFrame(const seL4_TrapFrame *frame)
{
    seL4_IPCBuffer *buffer = seL4_GetIPCBuffer();
    seL4_MessageInfo_t info = {{frame->r1}};
    buffer->msg[0] = frame->mr0;
    buffer->msg[1] = frame->mr1;
    buffer->msg[2] = frame->mr2;
    buffer->msg[3] = frame->mr3;
    return info;
}
"""

CALLS: Final = """\
SEL4_INLINE void seL4_Send(seL4_CPtr dest, seL4_MessageInfo_t info)
{
    seL4_TrapFrame frame = seL4_LoadFrame(dest, info);
    seL4_Trap(seL4_SysSend, &frame);
}

SEL4_INLINE void seL4_NBSend(seL4_CPtr dest, seL4_MessageInfo_t info)
{
    seL4_TrapFrame frame = seL4_LoadFrame(dest, info);
    seL4_Trap(seL4_SysNBSend, &frame);
}

SEL4_INLINE seL4_MessageInfo_t seL4_Call(seL4_CPtr dest, seL4_MessageInfo_t info)
{
    seL4_TrapFrame frame = seL4_LoadFrame(dest, info);
    seL4_Trap(seL4_SysCall, &frame);
    return seL4_StoreFrame(&frame);
}

/* As seL4_Call, with the first four message registers passed and returned in registers, not in the buffer. */
SEL4_INLINE seL4_MessageInfo_t seL4_CallWithMRs(seL4_CPtr dest, seL4_MessageInfo_t info, seL4_Word *mr0,
                                                seL4_Word *mr1, seL4_Word *mr2, seL4_Word *mr3)
{
    seL4_TrapFrame frame = {dest,           info.words[0],  mr0 ? *mr0 : 0,
                            mr1 ? *mr1 : 0, mr2 ? *mr2 : 0, mr3 ? *mr3 : 0};
    seL4_MessageInfo_t reply;
    seL4_Trap(seL4_SysCall, &frame);
    if (mr0) { *mr0 = frame.mr0; }
    if (mr1) { *mr1 = frame.mr1; }
    if (mr2) { *mr2 = frame.mr2; }
    if (mr3) { *mr3 = frame.mr3; }
    reply.words[0] = frame.r1;
    return reply;
}

SEL4_INLINE void seL4_Reply(seL4_MessageInfo_t info)
{
    seL4_TrapFrame frame = seL4_LoadFrame(0, info);
    seL4_Trap(seL4_SysReply, &frame);
}

SEL4_INLINE seL4_MessageInfo_t seL4_Recv(seL4_CPtr src, seL4_Word *badge)
{
    seL4_TrapFrame frame = {src, 0, 0, 0, 0, 0};
    seL4_Trap(seL4_SysRecv, &frame);
    if (badge) { *badge = frame.r0; }
    return seL4_StoreFrame(&frame);
}

SEL4_INLINE seL4_MessageInfo_t seL4_ReplyRecv(seL4_CPtr src, seL4_MessageInfo_t info, seL4_Word *badge)
{
    seL4_TrapFrame frame = seL4_LoadFrame(src, info);
    seL4_Trap(seL4_SysReplyRecv, &frame);
    if (badge) { *badge = frame.r0; }
    return seL4_StoreFrame(&frame);
}

SEL4_INLINE void seL4_Yield(void)
{
    register seL4_Word r7 __asm__("r7") = seL4_SysYield;
    __asm__ volatile(SEL4_SVC : : "r"(r7) : "memory");
}

/* Signal a notification: a send of an empty message. */
SEL4_INLINE void seL4_Signal(seL4_CPtr dest)
{
    register seL4_Word r0 __asm__("r0") = dest;
    register seL4_Word r1 __asm__("r1") = 0;
    register seL4_Word r7 __asm__("r7") = seL4_SysSend;
    __asm__ volatile(SEL4_SVC : "+r"(r0), "+r"(r1) : "r"(r7) : "memory");
}
"""

CALLS_SINCE_2: Final = """\
SEL4_INLINE seL4_MessageInfo_t seL4_NBRecv(seL4_CPtr src, seL4_Word *badge)
{
    seL4_TrapFrame frame = {src, 0, 0, 0, 0, 0};
    seL4_Trap(seL4_SysNBRecv, &frame);
    if (badge) { *badge = frame.r0; }
    return seL4_StoreFrame(&frame);
}

/* Wait for a notification; its badge is all it delivers. */
SEL4_INLINE void seL4_Wait(seL4_CPtr src, seL4_Word *badge) { (void)seL4_Recv(src, badge); }
SEL4_INLINE seL4_MessageInfo_t seL4_Poll(seL4_CPtr src, seL4_Word *badge) { return seL4_NBRecv(src, badge); }
"""

CALLS_BEFORE_2: Final = """\
/* What later releases call Recv is Wait here, for endpoints and asynchronous endpoints alike. */
SEL4_INLINE seL4_MessageInfo_t seL4_Wait(seL4_CPtr src, seL4_Word *badge) { return seL4_Recv(src, badge); }
SEL4_INLINE seL4_MessageInfo_t seL4_ReplyWait(seL4_CPtr src, seL4_MessageInfo_t info, seL4_Word *badge)
{
    return seL4_ReplyRecv(src, info, badge);
}

/* Signal an asynchronous endpoint with a word that is ORed into the one it holds. */
SEL4_INLINE void seL4_Notify(seL4_CPtr dest, seL4_Word data)
{
    seL4_TrapFrame frame = {dest, 1, data, 0, 0, 0};
    seL4_Trap(seL4_SysSend, &frame);
}
"""

DEBUG_PRINTING: Final = """\
SEL4_INLINE void seL4_DebugPutChar(char c) { (void)seL4_Trap1(seL4_SysDebugPutChar, (seL4_Uint8)c); }

SEL4_INLINE void seL4_DebugPutString(const char *text)
{
    while (*text) {
        seL4_DebugPutChar(*text++);
    }
}
"""

DEBUG_BUILD: Final = """\
SEL4_INLINE void seL4_DebugHalt(void) { (void)seL4_Trap1(seL4_SysDebugHalt, 0); }
SEL4_INLINE void seL4_DebugSnapshot(void) { (void)seL4_Trap1(seL4_SysDebugSnapshot, 0); }
SEL4_INLINE seL4_Word seL4_DebugCapIdentify(seL4_CPtr cap)
{
    return seL4_Trap1(seL4_SysDebugCapIdentify, cap);
}
"""

DEBUG_NAMES: Final = """\
/* The name travels in the message area of the IPC buffer. */
SEL4_INLINE void seL4_DebugNameThread(seL4_CPtr tcb, const char *name)
{
    volatile char *place = (volatile char *)seL4_GetIPCBuffer()->msg;
    seL4_Word room = seL4_MsgMaxLength * sizeof(seL4_Word) - 1;
    while (*name && room--) {
        *place++ = *name++;
    }
    *place = 0;
    (void)seL4_Trap1(seL4_SysDebugNameThread, tcb);
}
"""

DEBUG_SCHEDULER: Final = """\
SEL4_INLINE void seL4_DebugDumpScheduler(void) { (void)seL4_Trap1(seL4_SysDebugDumpScheduler, 0); }
"""
