/* row 17: a CNode of 2^27 slots from little memory.

   Until 8.0.0 the kernel checks the slots, then says how much memory there is. Since 9.0.0 the size alone is
   refused, before the slots are looked at. */
#include "rows.h"

static void try(seL4_CPtr from, const char *what, seL4_CPtr slot)
{
    seL4_SetCap(0, seL4_CapInitThreadCNode);
    seL4_SetMR(4, slot);
    seL4_SetMR(5, 1);
    seL4_TrapFrame got = invoke(from, UntypedRetype, 1, 6, seL4_CapTableObject, 27, 0, 0);
    show_error(what, &got);
}

void sample(void)
{
    seL4_CPtr from = make(take_untyped(20, 0), seL4_UntypedObject, 16, 1);
    try(from, "to a free slot", new_slot());
    try(from, "to a slot in use", seL4_CapInitThreadTCB);
    done();
}
