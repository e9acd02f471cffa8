/* row 30: Retype to object type 5.

   Until 12.1.0 it is a page of 4 KiB; since 13.0.0 a page directory, which takes 16 KiB. */
#include "rows.h"

void sample(void)
{
    seL4_CPtr memory = take_untyped(16, 0);
    seL4_CPtr small = make(memory, seL4_UntypedObject, 12, 1);
    seL4_CPtr large = make(memory, seL4_UntypedObject, 14, 1);
    seL4_CPtr slot = new_slot();
    seL4_Error error = retype(small, 5, 0, slot, 1);
    say("from 4 KiB: %s\n", error_name(error));
    slot = new_slot();
    error = retype(large, 5, 0, slot, 1);
    say("from 16 KiB: %s, capability type %u\n", error_name(error), seL4_DebugCapIdentify(slot));
    done();
}
