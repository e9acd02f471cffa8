/* Device memory and interrupts for the samples that use them. */
#include "devices.h"

static seL4_Word consumed[CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS]; /* pages made of each device untyped so far */

volatile seL4_Word *device_page(seL4_CPtr memory, seL4_Word physical)
{
    for (seL4_Word i = 0; i < untyped_count(); i++) {
        untyped_t untyped = untyped_at(i);
        seL4_Word offset = physical - untyped.address;
        if (!untyped.is_device || offset >> untyped.size_bits) {
            continue;
        }
        /* Objects lie one behind the other in an untyped: the pages up to the one that is wanted are made too. */
        seL4_CPtr frame = 0;
        CHECK(offset / PAGE_SIZE >= consumed[i], "the page at %x is made already", physical);
        for (; consumed[i] <= offset / PAGE_SIZE; consumed[i]++) {
            frame = make(boot_info->untyped.start + i, seL4_ARM_SmallPageObject, 0, 1);
        }
        seL4_Word address = new_pages(memory, PAGE_SIZE);
        expect(seL4_ARM_Page_Map(frame, seL4_CapInitThreadVSpace, address, seL4_ReadWrite, 0), seL4_NoError,
               "Page_Map of a device");
        return (volatile seL4_Word *)address;
    }
    fail("no device untyped covers %x", physical);
}

seL4_CPtr interrupt(seL4_Word irq, seL4_CPtr notification, seL4_Word badge)
{
    seL4_CPtr handler = new_slot();
    seL4_CPtr signal = new_slot();
    expect(seL4_IRQControl_Get(seL4_CapIRQControl, irq, seL4_CapInitThreadCNode, handler, seL4_WordBits),
           seL4_NoError, "IRQControl_Get");
    expect(seL4_CNode_Mint(seL4_CapInitThreadCNode, signal, seL4_WordBits, seL4_CapInitThreadCNode, notification,
                           seL4_WordBits, seL4_AllRights, badge),
           seL4_NoError, "CNode_Mint");
    expect(seL4_IRQHandler_SetNotification(handler, signal), seL4_NoError, "IRQHandler_SetNotification");
    return handler;
}
