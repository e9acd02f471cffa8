/* hello: the smallest root task that looks around.

   What a reader learns: what the kernel hands to the first thread. R0 is the address of the boot information;
   from there come the IPC buffer, the free slots, the frames of the image and the untyped memory. It also makes
   one system call of each harmless kind, so that a trace of it shows the forms: debug calls, a call that
   succeeds, a call that is refused, and a non-blocking receive that finds nothing. */
#include "sample.h"

static volatile seL4_Word written = 0x600d;
static volatile seL4_Word zeroed[8];

void sample(void)
{
    seL4_Word ram = 0;
    seL4_Word largest = 0;
    name_thread(seL4_CapInitThreadTCB, "hello");
    say("hello from %s\n", RETRAP_RELEASE);

    CHECK(written == 0x600d, "initialised data was not loaded: %x", written);
    for (seL4_Word i = 0; i < ARRAY_LENGTH(zeroed); i++) {
        CHECK(zeroed[i] == 0, "the bss was not cleared: word %u is %x", i, zeroed[i]);
    }

    CHECK(((seL4_Word)boot_info & (PAGE_SIZE - 1)) == 0, "boot information is not on a page: %x",
          (seL4_Word)boot_info);
    CHECK((seL4_Word)boot_info->ipcBuffer >= (seL4_Word)image_end, "the IPC buffer is inside the image");
    CHECK(boot_info->numNodes == 1, "%u nodes", boot_info->numNodes);
    CHECK(boot_info->empty.start < boot_info->empty.end, "no empty slots");
    CHECK(boot_info->empty.end == 1u << boot_info->initThreadCNodeSizeBits, "the empty slots end at %u",
          boot_info->empty.end);
    CHECK(boot_info->userImageFrames.end - boot_info->userImageFrames.start
              == ((seL4_Word)image_end - (seL4_Word)image_start) / PAGE_SIZE,
          "%u image frames", boot_info->userImageFrames.end - boot_info->userImageFrames.start);

    for (seL4_Word i = 0; i < untyped_count(); i++) {
        untyped_t untyped = untyped_at(i);
        CHECK((untyped.address & ((1u << untyped.size_bits) - 1)) == 0, "untyped %u is not aligned to its size", i);
        if (!untyped.is_device) {
            ram += 1u << untyped.size_bits;
            largest = untyped.size_bits > largest ? untyped.size_bits : largest;
        }
    }
    say("%u untyped capabilities, %u KiB of RAM in them, largest 2^%u\n", untyped_count(), ram >> 10, largest);

    /* Which kernel object is in which slot (debug builds answer). */
    CHECK(seL4_DebugCapIdentify(seL4_CapInitThreadTCB) == RETRAP_CAP_THREAD, "slot 1 holds no thread");
    CHECK(seL4_DebugCapIdentify(seL4_CapInitThreadCNode) == RETRAP_CAP_CNODE, "slot 2 holds no CNode");
    CHECK(seL4_DebugCapIdentify(seL4_CapInitThreadVSpace) == RETRAP_CAP_PAGE_DIRECTORY, "slot 3: no directory");
    CHECK(seL4_DebugCapIdentify(boot_info->untyped.start) == RETRAP_CAP_UNTYPED, "no untyped where one should be");
    CHECK(seL4_DebugCapIdentify(boot_info->empty.start) == RETRAP_CAP_NULL, "an empty slot is not empty");

    /* A call that succeeds and returns a word, and one that is refused: an empty slot cannot be invoked. */
    seL4_ARM_Page_GetAddress_t frame = seL4_ARM_Page_GetAddress(boot_info->userImageFrames.start);
    expect((seL4_Word)frame.error, seL4_NoError, "GetAddress of the first image frame");
    say("the image starts at physical %x\n", frame.paddr);
    expect(seL4_TCB_Resume(boot_info->empty.start), seL4_InvalidCapability, "Resume of an empty slot");
    CHECK(seL4_GetMR(0) == 0, "the refusal names capability %u, not 0", seL4_GetMR(0));

    seL4_Yield();
}
