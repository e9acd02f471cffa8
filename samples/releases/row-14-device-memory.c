/* row 14: device memory, for example the UART at 0x9000000.

   Until 3.2.0 the kernel makes frames of it and lists them as regions. Since 4.0.0 it is untyped memory that the list
   marks, and of which only frames and untyped memory can be made. */
#include "rows.h"

enum { UART = 0x9000000 };

static void look(void)
{
#if RETRAP_BOOTINFO_deviceRegions
    for (seL4_Word i = 0; i < boot_info->numDeviceRegions; i++) {
        seL4_DeviceRegion region = boot_info->deviceRegions[i];
        seL4_Word bytes = (region.frames.end - region.frames.start) << region.frameSizeBits;
        if (UART - region.basePaddr < bytes) {
            seL4_CPtr frame = region.frames.start + ((UART - region.basePaddr) >> region.frameSizeBits);
            say("a frame of 2^%u bytes, capability type %u\n", region.frameSizeBits, seL4_DebugCapIdentify(frame));
        }
    }
#else
    for (seL4_Word i = 0; i < untyped_count(); i++) {
        untyped_t untyped = untyped_at(i);
        if (UART - untyped.address < 1u << untyped.size_bits) {
            say("untyped memory, device: %u, capability type %u\n", untyped.is_device,
                seL4_DebugCapIdentify(untyped.cap));
            seL4_CPtr slot = new_slot();
            seL4_Error error = retype(untyped.cap, seL4_TCBObject, 0, slot, 1);
            say("a thread: %s, argument %u\n", error_name(error), seL4_GetMR(0));
            say("a page: %s\n", error_name(retype(untyped.cap, seL4_ARM_SmallPageObject, 0, slot, 1)));
        }
    }
#endif
}

void sample(void)
{
    look();
    done();
}
