/* row 18: a thread sets its own IPC buffer and asks where it is.

   Until 3.2.0 the globals frame still says the old place, until the kernel switches threads. From 4.0.0 on TPIDRURW
   says the new one at once. (Until 10.1.1: after that the kernel tells nobody.) */
#include "rows.h"

static seL4_Word address;

static const char *where(void) { return (seL4_Word)seL4_GetIPCBuffer() == address ? "new" : "old"; }

void sample(void)
{
    seL4_CPtr frame = object(seL4_ARM_SmallPageObject);
    address = new_pages(take_untyped(seL4_PageTableBits, 0), PAGE_SIZE);
    expect(seL4_ARM_Page_Map(frame, seL4_CapInitThreadVSpace, address, seL4_ReadWrite, seL4_ARM_Default_VMAttributes),
           seL4_NoError, "Page_Map");
    let_others_run();
    expect(seL4_TCB_SetIPCBuffer(seL4_CapInitThreadTCB, address, frame), seL4_NoError, "TCB_SetIPCBuffer");
    say("at once: %s\n", where());
    let_others_run();
    say("after a switch: %s\n", where());
    done();
}
