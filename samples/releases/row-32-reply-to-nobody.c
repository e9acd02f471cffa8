/* row 32: ReplyRecv of a server that nobody has called.

   Until 12.1.0 a debugging kernel complains on its console, since 13.0.0 it says nothing; then it receives. */
#include "rows.h"

void sample(void)
{
    seL4_CPtr signals = object(seL4_NotificationObject);
    seL4_Signal(minted(signals, WRITE, 3));
    seL4_TrapFrame got = trap(seL4_SysReplyRecv, signals, 0, 0, 0, 0, 0);
    say("received: badge %u\n", got.r0);
    done();
}
