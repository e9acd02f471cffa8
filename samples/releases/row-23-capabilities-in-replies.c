/* row 23: a capability in a reply, from a server whose endpoint capability may not grant.

   Until 10.1.1 it is transferred, since 11.0.0 it is not. */
#include "rows.h"

static seL4_CPtr endpoint, received;
static volatile seL4_Word info;

static void client(seL4_Word unused)
{
    seL4_SetCapReceivePath(seL4_CapInitThreadCNode, received, seL4_WordBits);
    info = trap(seL4_SysCall, endpoint, 0, 0, 0, 0, 0).r1;
    stop();
}

void sample(void)
{
    endpoint = object(seL4_EndpointObject);
    received = new_slot();
    child("client", client, 0, 100, 0);
    (void)trap(seL4_SysRecv, minted(endpoint, READ | WRITE, 0), 0, 0, 0, 0, 0);
    seL4_SetCap(0, object(seL4_NotificationObject));
    (void)trap(seL4_SysReply, 0, seL4_MessageInfo_new(1, 0, 1, 0).words[0], 0, 0, 0, 0);
    let_others_run();
    say("the reply has label %u and %u capabilities\n", info >> 12, info >> 7 & 3);
    say("received: capability type %u\n", seL4_DebugCapIdentify(received));
    done();
}
