/* Slots, untyped memory, objects, pages and threads of the root task. Used by the initial thread only. */
#include "sample.h"

static seL4_CPtr next_slot;

seL4_CPtr new_slot(void)
{
    if (!next_slot) {
        next_slot = boot_info->empty.start;
    }
    CHECK(next_slot < boot_info->empty.end, "the initial CNode is full");
    return next_slot++;
}

static seL4_Uint8 taken[CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS];

seL4_CPtr take_untyped(seL4_Word bits, seL4_Word *actual_bits)
{
    seL4_Word count = untyped_count();
    seL4_Word best = count;
    for (seL4_Word i = 0; i < count; i++) {
        untyped_t untyped = untyped_at(i);
        if (!untyped.is_device && !taken[i] && untyped.size_bits >= bits
            && (best == count || untyped.size_bits < untyped_at(best).size_bits)) {
            best = i;
        }
    }
    CHECK(best < count, "no untyped memory of 2^%u bytes", bits);
    taken[best] = 1;
    if (actual_bits) {
        *actual_bits = untyped_at(best).size_bits;
    }
    return boot_info->untyped.start + best;
}

seL4_Error retype(seL4_CPtr untyped, seL4_Word type, seL4_Word size_bits, seL4_CPtr slot, seL4_Word count)
{
    return seL4_Untyped_Retype(untyped, type, size_bits, seL4_CapInitThreadCNode, 0, 0, slot, count);
}

seL4_CPtr make(seL4_CPtr untyped, seL4_Word type, seL4_Word size_bits, seL4_Word count)
{
    seL4_CPtr first = new_slot();
    for (seL4_Word i = 1; i < count; i++) {
        (void)new_slot();
    }
    expect(retype(untyped, type, size_bits, first, count), seL4_NoError, "Retype");
    return first;
}

/* Pages are handed out in regions of 1 MiB, a page table each, well above the image. */
#define FIRST_REGION 0x10000000u
static seL4_Word next_page = FIRST_REGION;
static seL4_Word next_region = FIRST_REGION;

seL4_Word new_pages(seL4_CPtr untyped, seL4_Word bytes)
{
    seL4_Word address = next_page;
    next_page += (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    while (next_region < next_page) {
        seL4_CPtr table = make(untyped, seL4_ARM_PageTableObject, 0, 1);
        expect(seL4_ARM_PageTable_Map(table, seL4_CapInitThreadVSpace, next_region, seL4_ARM_Default_VMAttributes),
               seL4_NoError, "PageTable_Map");
        next_region += 1u << seL4_SectionBits;
    }
    return address;
}

extern char thread_start[];

void thread_registers(seL4_UserContext *registers, thread_function function, seL4_Word argument,
                      seL4_IPCBuffer *buffer, void *stack_top)
{
    for (seL4_Word i = 0; i < sizeof(*registers) / sizeof(seL4_Word); i++) {
        ((seL4_Word *)registers)[i] = 0;
    }
    registers->pc = (seL4_Word)thread_start;
    registers->sp = (seL4_Word)stack_top & ~7u;
    registers->r0 = (seL4_Word)function;
    registers->r1 = argument;
    registers->r2 = (seL4_Word)buffer;
}

thread_t start_thread(seL4_CPtr untyped, const char *name, thread_function function, seL4_Word argument,
                      seL4_Word priority, void *stack, seL4_Word stack_bytes, seL4_CPtr fault_endpoint)
{
    thread_t thread;
    seL4_UserContext registers;
    thread.tcb = make(untyped, seL4_TCBObject, 0, 1);
    thread.buffer_frame = make(untyped, seL4_ARM_SmallPageObject, 0, 1);
    thread.buffer = (seL4_IPCBuffer *)new_pages(untyped, PAGE_SIZE);
    expect(seL4_ARM_Page_Map(thread.buffer_frame, seL4_CapInitThreadVSpace, (seL4_Word)thread.buffer,
                             seL4_ReadWrite, seL4_ARM_Default_VMAttributes),
           seL4_NoError, "Page_Map of an IPC buffer");
    expect(configure_thread(thread.tcb, fault_endpoint, seL4_CapInitThreadCNode, seL4_NilData,
                            seL4_CapInitThreadVSpace, (seL4_Word)thread.buffer, thread.buffer_frame),
           seL4_NoError, "TCB_Configure");
    expect(set_priority(thread.tcb, seL4_CapInitThreadTCB, priority), seL4_NoError, "TCB_SetPriority");
    name_thread(thread.tcb, name);
    thread_registers(&registers, function, argument, thread.buffer, (char *)stack + stack_bytes);
    expect(seL4_TCB_WriteRegisters(thread.tcb, 1, 0, sizeof(registers) / sizeof(seL4_Word), &registers),
           seL4_NoError, "TCB_WriteRegisters");
    return thread;
}
