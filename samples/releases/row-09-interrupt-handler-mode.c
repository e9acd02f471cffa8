/* row 9: IRQHandler_SetMode.

   1.0.4, 2.0.0 and 2.1.0 have it, each with another label: 25, 27, 26. 1.0.3 does not have it yet, and since 3.0.0
   it is gone: an interrupt handler refuses all three labels, or takes one of them for another of its operations. */
#include "rows.h"

void sample(void)
{
    static const char *const names[] = {"label 25", "label 26", "label 27"};
    seL4_CPtr handler = new_slot();
    expect(seL4_IRQControl_Get(seL4_CapIRQControl, 50, seL4_CapInitThreadCNode, handler, seL4_WordBits), seL4_NoError,
           "IRQControl_Get");
    for (seL4_Word i = 0; i < ARRAY_LENGTH(names); i++) {
        seL4_TrapFrame got = invoke(handler, 25 + i, 0, 2, 0, 0, 0, 0);
        show_error(names[i], &got);
    }
    done();
}
