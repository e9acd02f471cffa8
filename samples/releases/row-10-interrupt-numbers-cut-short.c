/* row 10: an interrupt whose number is too large, 65536 + 60.

   Until 2.1.0 it is refused. From 3.0.0 to 7.0.0 only 16 bits are looked at: what is asked for is interrupt 60. Since
   8.0.0 it is refused again. */
#include "rows.h"

void sample(void)
{
    seL4_CPtr handler = new_slot();
    seL4_SetCap(0, seL4_CapInitThreadCNode);
    seL4_TrapFrame got = invoke(seL4_CapIRQControl, IRQIssueIRQHandler, 1, 3, 0x10000 + 60, handler, seL4_WordBits, 0);
    show_error("interrupt 65596", &got);
    got = invoke(seL4_CapIRQControl, IRQIssueIRQHandler, 1, 3, 60, handler + 1, seL4_WordBits, 0);
    show_error("interrupt 60", &got);
    done();
}
