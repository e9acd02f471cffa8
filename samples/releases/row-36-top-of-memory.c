/* row 36: untyped memory at the top of the physical addresses.

   From 11.0.0 to 15.0.0 it ends one byte below 2^32, so that ever smaller pieces come near the end. In 16.0.0 it
   ends at 2^32. */
#include "rows.h"

void sample(void)
{
    seL4_Word pieces = 0;
    untyped_t last = {0, 0, 0, 0};
    for (seL4_Word i = 0; i < untyped_count(); i++) {
        untyped_t untyped = untyped_at(i);
        if (untyped.is_device && untyped.address >= last.address) {
            last = untyped;
        }
        pieces += untyped.is_device && untyped.address >= 0xff000000;
    }
    say("the last one: 2^%u bytes at %x; %u above ff000000\n", last.size_bits, last.address, pieces);
    done();
}
