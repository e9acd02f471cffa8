/* row 16: the size that Retype is given for an object that has one of its own.

   Until 3.2.0 it may be up to 30, from 4.0.0 to 8.0.0 up to 29, though it means nothing. Since 9.0.0 the size of the
   object counts. */
#include "rows.h"

static void try(seL4_CPtr from, const char *what, seL4_Word type, seL4_Word size_bits)
{
    seL4_SetCap(0, seL4_CapInitThreadCNode);
    seL4_SetMR(4, new_slot());
    seL4_SetMR(5, 1);
    seL4_TrapFrame got = invoke(from, UntypedRetype, 1, 6, type, size_bits, 0, 0);
    show_error(what, &got);
}

void sample(void)
{
    seL4_CPtr from = take_untyped(20, 0);
    try(from, "endpoint, 30", seL4_EndpointObject, 30);
    try(from, "endpoint, 31", seL4_EndpointObject, 31);
    try(from, "endpoint, 32", seL4_EndpointObject, 32);
    done();
}
