/* row 33: label 19 on a CNode.

   Until 13.0.0 it is Copy. In 14.0.0 TCB_SetFlags came in before, and 19 is CancelBadgedSends, which takes no
   capability and does something else to the slot that is named first. */
#include "rows.h"

void sample(void)
{
    seL4_CPtr endpoint = object(seL4_EndpointObject);
    seL4_CPtr target = new_slot();
    seL4_SetCap(0, seL4_CapInitThreadCNode);
    seL4_SetMR(4, 15);
    seL4_TrapFrame got = invoke(seL4_CapInitThreadCNode, 19, 1, 5, target, seL4_WordBits, endpoint, seL4_WordBits);
    show_error("label 19", &got);
    say("the target: capability type %u\n", seL4_DebugCapIdentify(target));
    done();
}
