/* row 25: a thread that has received a message, but not run since, is suspended and resumed.

   Until 10.1.1 it makes its system call again, with the registers of the message: R0 is the badge, 9, where the boot
   information's page is, and a page cannot be received from. Since 11.0.0 it goes on with the message. */
#include "rows.h"

static seL4_CPtr endpoint, reports;

static void receiver(seL4_Word unused)
{
    seL4_TrapFrame got = trap(seL4_SysRecv, endpoint, 0, 0, 0, 0, 0);
    (void)trap(seL4_SysSend, reports, seL4_MessageInfo_new(100, 0, 0, 1).words[0], got.mr0, 0, 0, 0);
    stop();
}

void sample(void)
{
    endpoint = object(seL4_EndpointObject);
    reports = object(seL4_EndpointObject);
    seL4_CPtr tcb = child("receiver", receiver, 0, 100, reports).tcb;
    let_others_run();
    (void)trap(seL4_SysSend, minted(endpoint, WRITE, 9), 1, 0x42, 0, 0, 0);
    expect(seL4_TCB_Suspend(tcb), seL4_NoError, "TCB_Suspend");
    expect(seL4_TCB_Resume(tcb), seL4_NoError, "TCB_Resume");
    seL4_TrapFrame got = trap(seL4_SysRecv, reports, 0, 0, 0, 0, 0);
    show_message(got.r1 >> 12 == 100 ? "the message is there" : "fault", &got);
    done();
}
