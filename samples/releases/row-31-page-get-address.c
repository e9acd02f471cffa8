/* row 31: Page_GetAddress.

   Until 12.1.0 the kernel writes the address to R2 however it is asked: a Call has a reply of length 0, a Send even
   changes R1 and R2. Since 13.0.0 a Call is answered with one word, and a Send not at all. */
#include "rows.h"

static void show(const char *what, seL4_TrapFrame got)
{
    say("%s: r0 is %s, length %u, r2 is %s\n", what, got.r0 ? "kept" : "0", got.r1 & 0x7f,
        got.mr0 == 0x222 ? "kept" : "the address");
}

void sample(void)
{
    seL4_CPtr frame = object(seL4_ARM_SmallPageObject);
    seL4_Word info = seL4_MessageInfo_new(ARMPageGetAddress, 0, 0, 0).words[0];
    show("Call", trap(seL4_SysCall, frame, info, 0x222, 0, 0, 0));
    show("Send", trap(seL4_SysSend, frame, info, 0x222, 0, 0, 0));
    done();
}
