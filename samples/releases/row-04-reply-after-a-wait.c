/* row 4: how long a server can put off its reply.

   In 1.0.3 every Wait gives up the caller: after one for a signal, Reply reaches nobody. Since 1.0.4 only a receive
   from an endpoint does. */
#include "rows.h"

static seL4_CPtr endpoint;
static volatile seL4_Word answer;

static void client(seL4_Word unused)
{
    answer = trap(seL4_SysCall, endpoint, 1, 7, 0, 0, 0).mr0;
    stop();
}

void sample(void)
{
    endpoint = object(seL4_EndpointObject);
    seL4_CPtr signals = object(seL4_NotificationObject);
    seL4_Signal(signals);
    child("client", client, 0, 100, 0);
    seL4_TrapFrame got = trap(seL4_SysRecv, endpoint, 0, 0, 0, 0, 0);
    say("the client asks %u\n", got.mr0);
    (void)trap(seL4_SysRecv, signals, 0, 0, 0, 0, 0);
    (void)trap(seL4_SysReply, 0, 1, 8, 0, 0, 0);
    let_others_run();
    say(answer ? "the client got %u\n" : "the client still waits\n", answer);
    done();
}
