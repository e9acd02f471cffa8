/* row 3: system call -8.

   Until 1.0.4 it is DebugPutChar: the letter appears. In 2.0.0 NBRecv took the number: it looks for a capability
   at the letter's code, 65, and finds none that can be received from. */
#include "rows.h"

static seL4_CPtr endpoint;

static void asker(seL4_Word unused)
{
    (void)seL4_Trap1((seL4_Word)-8, 'A');
    (void)trap(seL4_SysSend, endpoint, seL4_MessageInfo_new(100, 0, 0, 0).words[0], 0, 0, 0, 0);
    stop();
}

void sample(void)
{
    endpoint = object(seL4_EndpointObject);
    say("-8 prints: ");
    child("asker", asker, 0, 100, endpoint);
    seL4_TrapFrame got = trap(seL4_SysRecv, endpoint, 0, 0, 0, 0, 0);
    say("\n");
    show_message(got.r1 >> 12 == 100 ? "it went on" : "fault", &got);
    done();
}
