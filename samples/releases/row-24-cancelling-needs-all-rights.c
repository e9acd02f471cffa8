/* row 24: CancelBadgedSends through a capability with rights 7, all that there were until 10.1.1.

   Since 11.0.0 there are four rights, and it takes all of them. */
#include "rows.h"

static void cancel(const char *what, seL4_CPtr cap)
{
    seL4_TrapFrame got = invoke(seL4_CapInitThreadCNode, CNodeCancelBadgedSends, 0, 2, cap, seL4_WordBits, 0, 0);
    show_error(what, &got);
}

void sample(void)
{
    seL4_CPtr endpoint = object(seL4_EndpointObject);
    cancel("rights 7", minted(endpoint, 7, 5));
    cancel("rights 15", minted(endpoint, 15, 5));
    done();
}
