/* row 5: the initial thread sets its IPC buffer to what it is.

   In 1.0.3 its TCB holds the very capability that maps the page, and giving that up unmaps it: the buffer is gone.
   Since 1.0.4 the TCB holds an unmapped copy. */
#include "rows.h"

static seL4_CPtr endpoint;

static void reader(seL4_Word address)
{
    seL4_Word word = *(volatile seL4_Word *)address;
    (void)trap(seL4_SysSend, endpoint, seL4_MessageInfo_new(100, 0, 0, 1).words[0], word, 0, 0, 0);
    stop();
}

void sample(void)
{
    seL4_Word buffer = (seL4_Word)boot_info->ipcBuffer;
    endpoint = object(seL4_EndpointObject);
    boot_info->ipcBuffer->userData = 0x600d;
    child("reader", reader, (seL4_Word)&boot_info->ipcBuffer->userData, 100, endpoint);
    expect(seL4_TCB_SetIPCBuffer(seL4_CapInitThreadTCB, buffer, seL4_CapInitThreadIPCBuffer), seL4_NoError,
           "TCB_SetIPCBuffer");
    seL4_TrapFrame got = trap(seL4_SysRecv, endpoint, 0, 0, 0, 0, 0);
    show_message(got.r1 >> 12 == 100 ? "the buffer is there" : "fault", &got);
    done();
}
