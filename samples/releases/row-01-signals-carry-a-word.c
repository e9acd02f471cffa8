/* row 1: what a signal carries.

   Until 1.0.4 a signal has a badge and a word; both are ORed into what the object holds, and a waiter gets the
   badges in R0, a message of one word in R1 and the words in R2. Since 2.0.0 it gets the badges, and R1 to R5 stay
   as they were. */
#include "rows.h"

void sample(void)
{
    seL4_CPtr signals = object(seL4_NotificationObject);
    (void)trap(seL4_SysSend, minted(signals, WRITE, 5), 1, 0x10, 0, 0, 0);
    (void)trap(seL4_SysSend, minted(signals, WRITE, 2), 1, 0x01, 0, 0, 0);
    seL4_TrapFrame got = trap(seL4_SysRecv, signals, 0x111, 0x222, 0x333, 0x444, 0x555);
    say("r0=%x r1=%x r2=%x r3=%x r4=%x r5=%x\n", got.r0, got.r1, got.mr0, got.mr1, got.mr2, got.mr3);
    done();
}
