"""C text that no table describes: the way to the IPC buffer, and wrappers of the system calls.

Names are libsel4's; the code is this project's own. A wrapper loads R0 … R5 and R7, executes SVC and reads the
registers back. R7 is Thumb's frame pointer, so code that includes the header is to be compiled with
`-fomit-frame-pointer`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

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

_SEND: Final = """\
SEL4_INLINE void seL4_Send(seL4_CPtr dest, seL4_MessageInfo_t info)
{
    seL4_TrapFrame frame = seL4_LoadFrame(dest, info);
    seL4_Trap(seL4_SysSend, &frame);
}
"""

_NBSEND: Final = """\
SEL4_INLINE void seL4_NBSend(seL4_CPtr dest, seL4_MessageInfo_t info)
{
    seL4_TrapFrame frame = seL4_LoadFrame(dest, info);
    seL4_Trap(seL4_SysNBSend, &frame);
}
"""

_CALL: Final = """\
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
"""

_REPLY: Final = """\
SEL4_INLINE void seL4_Reply(seL4_MessageInfo_t info)
{
    seL4_TrapFrame frame = seL4_LoadFrame(0, info);
    seL4_Trap(seL4_SysReply, &frame);
}
"""

_RECV: Final = """\
SEL4_INLINE seL4_MessageInfo_t seL4_Recv(seL4_CPtr src, seL4_Word *badge)
{
    seL4_TrapFrame frame = {src, 0, 0, 0, 0, 0};
    seL4_Trap(seL4_SysRecv, &frame);
    if (badge) { *badge = frame.r0; }
    return seL4_StoreFrame(&frame);
}
"""

_REPLYRECV: Final = """\
SEL4_INLINE seL4_MessageInfo_t seL4_ReplyRecv(seL4_CPtr src, seL4_MessageInfo_t info, seL4_Word *badge)
{
    seL4_TrapFrame frame = seL4_LoadFrame(src, info);
    seL4_Trap(seL4_SysReplyRecv, &frame);
    if (badge) { *badge = frame.r0; }
    return seL4_StoreFrame(&frame);
}
"""

_YIELD: Final = """\
SEL4_INLINE void seL4_Yield(void)
{
    register seL4_Word r7 __asm__("r7") = seL4_SysYield;
    __asm__ volatile(SEL4_SVC : : "r"(r7) : "memory");
}
"""

_SIGNAL: Final = """\
/* Signal a notification: a send of an empty message. */
SEL4_INLINE void seL4_Signal(seL4_CPtr dest)
{
    register seL4_Word r0 __asm__("r0") = dest;
    register seL4_Word r1 __asm__("r1") = 0;
    register seL4_Word r7 __asm__("r7") = seL4_SysSend;
    __asm__ volatile(SEL4_SVC : "+r"(r0), "+r"(r1) : "r"(r7) : "memory");
}
"""

CALLS: Final = MappingProxyType(
    {
        "Send": _SEND + "\n" + _SIGNAL,
        "NBSend": _NBSEND,
        "Call": _CALL,
        "Reply": _REPLY,
        "Recv": _RECV,
        "ReplyRecv": _REPLYRECV,
        "Yield": _YIELD,
    }
)
"""Wrappers by the system call that they need."""

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

WAIT_BEFORE_2: Final = """\
/* What later releases call Recv is Wait here, for endpoints and asynchronous endpoints alike. */
SEL4_INLINE seL4_MessageInfo_t seL4_Wait(seL4_CPtr src, seL4_Word *badge) { return seL4_Recv(src, badge); }
"""

REPLY_WAIT_BEFORE_2: Final = """\
SEL4_INLINE seL4_MessageInfo_t seL4_ReplyWait(seL4_CPtr src, seL4_MessageInfo_t info, seL4_Word *badge)
{
    return seL4_ReplyRecv(src, info, badge);
}
"""

NOTIFY_BEFORE_2: Final = """\
/* Signal an asynchronous endpoint with a word that is ORed into the one it holds. */
SEL4_INLINE void seL4_Notify(seL4_CPtr dest, seL4_Word data)
{
    seL4_TrapFrame frame = {dest, 1, data, 0, 0, 0};
    seL4_Trap(seL4_SysSend, &frame);
}
"""

NOTIFY_MESSAGE: Final = """\
/* Leave a message of one word in an asynchronous endpoint, if it holds none. */
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

TLS_BASE: Final = """\
SEL4_INLINE void seL4_SetTLSBase(seL4_Word base) { (void)seL4_Trap1(seL4_SysSetTLSBase, base); }
"""

DEBUG_SCHEDULER: Final = """\
SEL4_INLINE void seL4_DebugDumpScheduler(void) { (void)seL4_Trap1(seL4_SysDebugDumpScheduler, 0); }
"""
