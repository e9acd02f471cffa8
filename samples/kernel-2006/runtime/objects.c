/* Slots, memory, address space and threads of the root task. Used by the initial thread only. */
#include "sample.h"

static seL4_CPtr next_slot;

seL4_CPtr new_slots(seL4_Word count)
{
    if (!next_slot) {
        next_slot = boot_info->empty.start;
    }
    CHECK(next_slot + count <= boot_info->empty.end, "the initial CNode is full");
    next_slot += count;
    return next_slot - count;
}

/* Free untyped memory by size: at most a few pieces of each, since larger ones are halved only when needed. */
#define PIECES 16
static seL4_CPtr pieces[32][PIECES];
static seL4_Word piece_count[32];
static int ready;

static void give(seL4_CPtr untyped, seL4_Word bits)
{
    if (piece_count[bits] < PIECES) {
        pieces[bits][piece_count[bits]++] = untyped;
    }
}

seL4_Error divide(seL4_CPtr untyped, seL4_Word type, seL4_Word size_bits, seL4_CPtr first)
{
    return seL4_Untyped_Retype(untyped, type, size_bits, seL4_CapInitThreadCNode, 0, 0, first);
}

seL4_CPtr take_untyped(seL4_Word bits)
{
    if (!ready) {
        ready = 1;
        for (seL4_Word i = 0; i < boot_info->untyped.end - boot_info->untyped.start; i++) {
            give(boot_info->untyped.start + i, boot_info->untypedList[i].sizeBits);
        }
    }
    seL4_Word size = bits;
    while (size < 32 && !piece_count[size]) {
        size++;
    }
    CHECK(size < 32, "no untyped memory of 2^%u bytes", bits);
    seL4_CPtr untyped = pieces[size][--piece_count[size]];
    while (size > bits) {
        seL4_CPtr halves = new_slots(2);
        size--;
        expect(divide(untyped, seL4_UntypedObject, size, halves), seL4_NoError, "halving memory");
        give(halves + 1, size);
        untyped = halves;
    }
    return untyped;
}

static seL4_Word object_bits(seL4_Word type, seL4_Word size_bits)
{
    switch (type) {
    case seL4_TCBObject:
        return seL4_TCBBits;
    case seL4_EndpointObject:
        return seL4_EndpointBits;
    case seL4_AsyncEndpointObject:
        return seL4_NotificationBits;
    case seL4_CapTableObject:
        return size_bits + seL4_SlotBits;
    default:
        return size_bits;
    }
}

seL4_CPtr make(seL4_Word type, seL4_Word size_bits)
{
    seL4_CPtr slot = new_slots(1);
    expect(divide(take_untyped(object_bits(type, size_bits)), type, size_bits, slot), seL4_NoError, "Retype");
    return slot;
}

/* The initial address space has two levels of CNodes: a slot for each MiB, and a slot for each page of it. */
#define OUTER_BITS 12
#define INNER_BITS 8
static seL4_Uint8 covered[1 << OUTER_BITS];

void show(seL4_CPtr data, seL4_Word address, seL4_CapRights_t rights)
{
    seL4_Word region = address >> (32 - OUTER_BITS);
    if (!covered[region] && region) {
        seL4_CPtr node = make(seL4_CapTableObject, INNER_BITS);
        covered[region] = 1;
        expect(seL4_CNode_Copy(seL4_CapInitThreadVSpace, region, OUTER_BITS, seL4_CapInitThreadCNode, node, 32,
                               seL4_AllRights),
               seL4_NoError, "a CNode for an address range");
    }
    expect(seL4_CNode_Copy(seL4_CapInitThreadVSpace, address >> seL4_PageBits, OUTER_BITS + INNER_BITS,
                           seL4_CapInitThreadCNode, data, 32, rights),
           seL4_NoError, "user data for an address");
}

void hide(seL4_Word address)
{
    expect(seL4_CNode_Delete(seL4_CapInitThreadVSpace, address >> seL4_PageBits, OUTER_BITS + INNER_BITS),
           seL4_NoError, "taking user data away");
}

extern char thread_start[];

/* Each thread has a page for its IPC buffer and one for its stack, well above the image. */
static seL4_Word next_address = 0x10000000;

seL4_CPtr start_thread(thread_function function, seL4_Word argument, seL4_Word priority, seL4_CPtr fault_endpoint)
{
    seL4_UserContext registers;
    seL4_CPtr tcb = make(seL4_TCBObject, 0);
    seL4_CPtr buffer = make(seL4_UserDataObject, seL4_PageBits);
    seL4_CPtr stack = make(seL4_UserDataObject, seL4_PageBits);
    seL4_Word address = next_address;
    next_address += 2 * PAGE_SIZE;
    show(buffer, address, seL4_ReadWrite);
    show(stack, address + PAGE_SIZE, seL4_ReadWrite);
    expect(seL4_TCB_Configure(tcb, fault_endpoint, (seL4_Uint8)priority, seL4_CapInitThreadCNode, seL4_NilData,
                              seL4_CapInitThreadVSpace, seL4_NilData, address, buffer),
           seL4_NoError, "TCB_Configure");
    for (seL4_Word i = 0; i < sizeof(registers) / sizeof(seL4_Word); i++) {
        ((seL4_Word *)&registers)[i] = 0;
    }
    registers.pc = (seL4_Word)thread_start;
    registers.sp = address + 2 * PAGE_SIZE;
    registers.r0 = (seL4_Word)function;
    registers.r1 = argument;
    registers.r2 = address;
    expect(seL4_TCB_WriteRegisters(tcb, 1, 0, sizeof(registers) / sizeof(seL4_Word), &registers), seL4_NoError,
           "TCB_WriteRegisters");
    return tcb;
}
