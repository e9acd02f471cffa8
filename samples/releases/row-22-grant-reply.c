/* row 22: a Call through an endpoint capability that may not grant.

   The caller gets no answer; without a right that lets it have a reply capability made for it, it stops for good.
   Since 11.0.0 there is such a right short of Grant: GrantReply, bit 3. Until 10.1.1 the bit means nothing. */
#include "rows.h"

static seL4_CPtr endpoint;
static volatile seL4_Word answer;

static void client(seL4_Word cap)
{
    answer = trap(seL4_SysCall, cap, 1, 7, 0, 0, 0).mr0;
    stop();
}

static void serve(const char *what, seL4_Word rights)
{
    answer = 0;
    child(what, client, minted(endpoint, rights, 0), 100, 0);
    (void)trap(seL4_SysRecv, endpoint, 0, 0, 0, 0, 0);
    (void)trap(seL4_SysReply, 0, 1, 8, 0, 0, 0);
    let_others_run();
    say("%s: %s\n", what, answer ? "answered" : "no answer");
}

void sample(void)
{
    endpoint = object(seL4_EndpointObject);
    serve("write", WRITE);
    serve("write and bit 3", WRITE | GRANT_REPLY);
    serve("write and grant", WRITE | GRANT);
    done();
}
