/* What the samples of behaviour changes share: threads, raw system calls, plain lines about them. */
#include "rows.h"

enum { MEMORY_BITS = 20, STACK_BYTES = 1024, STACKS = 4, LOWEST = 1 };

static char stacks[STACKS][STACK_BYTES] __attribute__((aligned(8)));
static seL4_Word stacks_used;
static seL4_CPtr memory_cap, idle, nobody;

static seL4_CPtr memory(void)
{
    if (!memory_cap) {
        memory_cap = take_untyped(MEMORY_BITS, 0);
    }
    return memory_cap;
}

seL4_CPtr object(seL4_Word type) { return make(memory(), type, 0, 1); }

seL4_CPtr minted(seL4_CPtr cap, seL4_Word rights, seL4_Word badge)
{
    seL4_CPtr slot = new_slot();
    seL4_CapRights_t wanted = {{rights}};
    expect(seL4_CNode_Mint(seL4_CapInitThreadCNode, slot, seL4_WordBits, seL4_CapInitThreadCNode, cap, seL4_WordBits,
                           wanted, badge),
           seL4_NoError, "CNode_Mint");
    return slot;
}

/* Device memory is ready-made frames, or untyped memory to make a frame of. */
static seL4_CPtr device_frame(seL4_Word physical)
{
#if RETRAP_BOOTINFO_deviceRegions
    for (seL4_Word i = 0; i < boot_info->numDeviceRegions; i++) {
        seL4_DeviceRegion region = boot_info->deviceRegions[i];
        seL4_Word number = (physical - region.basePaddr) >> region.frameSizeBits;
        if (physical >= region.basePaddr && number < region.frames.end - region.frames.start) {
            return region.frames.start + number;
        }
    }
#else
    for (seL4_Word i = 0; i < untyped_count(); i++) {
        untyped_t untyped = untyped_at(i);
        if (untyped.is_device && untyped.address == physical) {
            return make(untyped.cap, seL4_ARM_SmallPageObject, 0, 1);
        }
    }
#endif
    fail("no device memory at %x", physical);
}

seL4_Word device_page(seL4_Word physical)
{
    seL4_Word address = new_pages(take_untyped(seL4_PageTableBits, 0), PAGE_SIZE);
    expect(seL4_ARM_Page_Map(device_frame(physical), seL4_CapInitThreadVSpace, address, seL4_ReadWrite,
                             (seL4_ARM_VMAttributes)0),
           seL4_NoError, "Page_Map of a device");
    return address;
}

seL4_CPtr interrupt_handler(seL4_Word irq, seL4_CPtr notification)
{
    seL4_CPtr handler = new_slot();
    expect(seL4_IRQControl_Get(seL4_CapIRQControl, irq, seL4_CapInitThreadCNode, handler, seL4_WordBits), seL4_NoError,
           "IRQControl_Get");
    expect(seL4_IRQHandler_SetNotification(handler, notification), seL4_NoError, "IRQHandler_SetNotification");
    return handler;
}

thread_t child(const char *name, thread_function function, seL4_Word argument, seL4_Word priority,
               seL4_CPtr handler)
{
    CHECK(stacks_used < STACKS, "too many threads");
    if (!nobody) {
        nobody = object(seL4_EndpointObject);
    }
    return start_thread(memory(), name, function, argument, priority, stacks[stacks_used++], STACK_BYTES, handler);
}

/* Runs only when all others wait, and says so. */
static void lowest(seL4_Word unused)
{
    for (;;) {
        seL4_Signal(idle);
    }
}

void let_others_run(void)
{
    if (!idle) {
        idle = object(seL4_NotificationObject);
        child("lowest", lowest, 0, LOWEST, 0);
    }
    (void)trap(seL4_SysRecv, idle, 0, 0, 0, 0, 0);
}

seL4_TrapFrame trap(seL4_Word syscall, seL4_Word r0, seL4_Word r1, seL4_Word r2, seL4_Word r3, seL4_Word r4,
                    seL4_Word r5)
{
    seL4_TrapFrame frame = {r0, r1, r2, r3, r4, r5};
    seL4_Trap(syscall, &frame);
    return frame;
}

seL4_TrapFrame invoke(seL4_CPtr cap, seL4_Word label, seL4_Word caps, seL4_Word length, seL4_Word mr0,
                      seL4_Word mr1, seL4_Word mr2, seL4_Word mr3)
{
    return trap(seL4_SysCall, cap, seL4_MessageInfo_new(label, 0, caps, length).words[0], mr0, mr1, mr2, mr3);
}

static void show_words(const seL4_TrapFrame *frame)
{
    const seL4_Word words[] = {frame->mr0, frame->mr1, frame->mr2, frame->mr3};
    seL4_Word length = frame->r1 & 0x7f;
    for (seL4_Word i = 0; i < length && i < ARRAY_LENGTH(words); i++) {
        say(" mr%u=%x", i, words[i]);
    }
}

void show_message(const char *what, const seL4_TrapFrame *frame)
{
    say("%s: badge=%x label=%u length=%u", what, frame->r0, frame->r1 >> 12, frame->r1 & 0x7f);
    show_words(frame);
    say("\n");
}

void show_error(const char *what, const seL4_TrapFrame *frame)
{
    say("%s: %s", what, error_name(frame->r1 >> 12));
    show_words(frame);
    say("\n");
}

void stop(void)
{
    for (;;) {
        (void)trap(seL4_SysRecv, nobody, 0, 0, 0, 0, 0);
    }
}

void done(void)
{
    for (;;) {
        seL4_DebugHalt();
    }
}
