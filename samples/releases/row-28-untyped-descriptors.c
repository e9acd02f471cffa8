/* row 28: bytes 4 to 7 of an untyped descriptor in the boot information.

   Until 11.0.0 the size and whether it is a device's come after two bytes of padding, since 12.0.0 before. */
#include "rows.h"

void sample(void)
{
    const seL4_Uint8 *bytes = (const seL4_Uint8 *)boot_info->untypedList;
    say("bytes 4 to 7: %u %u %u %u\n", bytes[4], bytes[5], bytes[6], bytes[7]);
    done();
}
