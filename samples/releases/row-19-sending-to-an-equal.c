/* row 19: a message to a waiting thread of the same priority.

   Until 7.0.0 the receiver runs at once. Since 8.0.0 the sender goes on. */
#include "rows.h"

static seL4_CPtr endpoint;
static volatile seL4_Word received;

static void receiver(seL4_Word unused)
{
    (void)trap(seL4_SysRecv, endpoint, 0, 0, 0, 0, 0);
    received = 1;
    stop();
}

static void sender(seL4_Word unused)
{
    if (received) {
        fail("the receiver did not wait");
    }
    (void)trap(seL4_SysNBSend, endpoint, 1, 0x42, 0, 0, 0);
    say(received ? "the receiver ran first\n" : "the sender went on\n");
    stop();
}

void sample(void)
{
    endpoint = object(seL4_EndpointObject);
    child("receiver", receiver, 0, 100, 0);
    let_others_run();
    child("sender", sender, 0, 100, 0);
    let_others_run();
    say("received: %u\n", received);
    done();
}
