/* row 11: how a page fault is labelled.

   Until 3.2.0 the handler gets label 2, since 4.0.0 label 5. */
#include "rows.h"

static void reader(seL4_Word address)
{
    (void)*(volatile seL4_Word *)address;
    stop();
}

void sample(void)
{
    seL4_CPtr endpoint = object(seL4_EndpointObject);
    child("reader", reader, 0x5000, 100, endpoint);
    seL4_TrapFrame got = trap(seL4_SysRecv, endpoint, 0, 0, 0, 0, 0);
    show_message("fault", &got);
    done();
}
