/* The one place where the runtime knows that releases differ: each difference that a sample meets has one name
   here that works on all of them. The features that it asks for are in the generated header, which has them from
   the release tables: RETRAP_HAS_ (calls and labels), RETRAP_BOOTINFO_ (members), RETRAP_FACT_ (behaviour). */
#ifndef RELEASE_H
#define RELEASE_H

#include "sel4.h"

extern seL4_BootInfo *boot_info;

/* An untyped capability of boot. */
typedef struct untyped {
    seL4_CPtr cap;
    seL4_Word address;
    seL4_Word size_bits;
    seL4_Word is_device;
} untyped_t;

SEL4_INLINE seL4_Word untyped_count(void) { return boot_info->untyped.end - boot_info->untyped.start; }

SEL4_INLINE untyped_t untyped_at(seL4_Word i)
{
#if RETRAP_BOOTINFO_untypedList
    seL4_UntypedDesc found = boot_info->untypedList[i];
    untyped_t untyped = {boot_info->untyped.start + i, found.paddr, found.sizeBits, found.isDevice};
#else /* parallel lists; devices are frames */
    untyped_t untyped = {boot_info->untyped.start + i, boot_info->untypedPaddrList[i],
                         boot_info->untypedSizeBitsList[i], 0};
#endif
    return untyped;
}

/* Bytes of extra boot information behind the boot information. */
SEL4_INLINE seL4_Word extra_boot_info_bytes(void)
{
#if RETRAP_BOOTINFO_extraLen
    return boot_info->extraLen;
#else
    return 0;
#endif
}

/* Set a thread's priority with the initial thread's authority. */
SEL4_INLINE seL4_Error set_priority(seL4_CPtr tcb, seL4_CPtr authority, seL4_Word priority)
{
#if RETRAP_FACT_PRIORITY_AUTHORITY_CAPABILITY
    return seL4_TCB_SetPriority(tcb, authority, priority);
#else /* the authority is the caller's */
    (void)authority;
    return seL4_TCB_SetPriority(tcb, (seL4_Uint8)priority);
#endif
}

/* Set what limits the priorities that a thread may give, where there is such a limit, and its own priority. */
SEL4_INLINE seL4_Error set_priorities(seL4_CPtr tcb, seL4_CPtr authority, seL4_Word maximum, seL4_Word priority)
{
#if RETRAP_FACT_PRIORITY_AUTHORITY_CAPABILITY
    return seL4_TCB_SetSchedParams(tcb, authority, maximum, priority);
#elif RETRAP_HAS_TCBSetMCPriority
    seL4_Error error = seL4_TCB_SetMCPriority(tcb, (seL4_Uint8)maximum);
    return error ? error : set_priority(tcb, authority, priority);
#else
    (void)maximum;
    return set_priority(tcb, authority, priority);
#endif
}

/* Give a thread its spaces, its IPC buffer and its fault handler. Its priority stays 0. */
SEL4_INLINE seL4_Error configure_thread(seL4_CPtr tcb, seL4_CPtr handler, seL4_CPtr cnode, seL4_Word cnode_data,
                                        seL4_CPtr space, seL4_Word buffer, seL4_CPtr buffer_frame)
{
#if RETRAP_FACT_PRIORITY_AUTHORITY_CAPABILITY
    return seL4_TCB_Configure(tcb, handler, cnode, cnode_data, space, seL4_NilData, buffer, buffer_frame);
#else /* there is a priority among the arguments */
    return seL4_TCB_Configure(tcb, handler, 0, cnode, cnode_data, space, seL4_NilData, buffer, buffer_frame);
#endif
}

/* Name a thread in traces, if the kernel knows names. */
SEL4_INLINE void name_thread(seL4_CPtr tcb, const char *name)
{
#if RETRAP_HAS_DebugNameThread
    seL4_DebugNameThread(tcb, name);
#else
    (void)tcb;
    (void)name;
#endif
}

/* Receive if there is something; where a receive always waits, nothing is found. The badge is 0 then. */
SEL4_INLINE void poll(seL4_CPtr source, seL4_Word *badge)
{
#if RETRAP_HAS_NBRecv
    (void)seL4_NBRecv(source, badge);
#else
    (void)source;
    *badge = 0;
#endif
}

#endif
