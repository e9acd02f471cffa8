/* row 7: a server whose endpoint capability can only receive.

   Until 2.1.0 its callers get no reply capability made for them: they stop for good, and Reply reaches nobody. Since
   3.0.0 the server's rights do not matter for that. */
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
    child("client", client, 0, 100, 0);
    seL4_TrapFrame got = trap(seL4_SysRecv, minted(endpoint, READ, 0), 0, 0, 0, 0, 0);
    say("the client asks %u\n", got.mr0);
    (void)trap(seL4_SysReply, 0, 1, 8, 0, 0, 0);
    let_others_run();
    say(answer ? "the client got %u\n" : "the client got no answer\n", answer);
    done();
}
