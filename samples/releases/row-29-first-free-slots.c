/* row 29: which slots of the initial CNode are fixed: 12 until 11.0.0, 14 in 12.0.0, 16 since 13.0.0. */
#include "rows.h"

void sample(void)
{
    say("the first capability of the image's memory is in slot %u\n", boot_info->userImagePaging.start);
    for (seL4_Word slot = 11; slot < 17; slot++) {
        say("slot %u: capability type %u\n", slot, seL4_DebugCapIdentify(slot));
    }
    done();
}
