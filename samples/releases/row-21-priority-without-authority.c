/* row 21: SetPriority and Configure, as messages.

   Until 8.0.0 SetPriority takes a priority, and Configure has it as the second of five words. Since 9.0.0 SetPriority
   wants a TCB capability besides, as its authority, and Configure has four words. */
#include "rows.h"

void sample(void)
{
    seL4_CPtr tcb = object(seL4_TCBObject);
    seL4_CPtr frame = object(seL4_ARM_SmallPageObject);
    seL4_TrapFrame got = invoke(tcb, TCBSetPriority, 0, 1, 20, 0, 0, 0);
    show_error("SetPriority, no capability", &got);
    seL4_SetCap(0, seL4_CapInitThreadTCB);
    got = invoke(tcb, TCBSetPriority, 1, 1, 20, 0, 0, 0);
    show_error("SetPriority, one capability", &got);
    seL4_SetCap(0, seL4_CapInitThreadCNode);
    seL4_SetCap(1, seL4_CapInitThreadVSpace);
    seL4_SetCap(2, frame);
    got = invoke(tcb, TCBConfigure, 3, 4, 0, 0, 0, 0x300000);
    show_error("Configure, four words", &got);
    done();
}
