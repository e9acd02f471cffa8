/* row 20: a thread of priority 100 raises another, which is ready to run, from 50 to 150.

   Until 3.2.0 that is refused. From 4.0.0 to 8.0.0 it is done, and the caller goes on. Since 9.0.0 the other thread
   runs at once. */
#include "rows.h"

static seL4_CPtr low_tcb;
static volatile seL4_Word ran;

static void low(seL4_Word unused)
{
    ran = 1;
    stop();
}

static void raiser(seL4_Word unused)
{
    seL4_SetCap(0, seL4_CapInitThreadTCB); /* the authority that 9.0.0 wants; until 8.0.0 it is not looked at */
    seL4_TrapFrame got = invoke(low_tcb, TCBSetPriority, 1, 1, 150, 0, 0, 0);
    say(ran ? "the raised thread ran at once\n" : "the caller went on\n");
    show_error("SetPriority", &got);
    stop();
}

void sample(void)
{
    low_tcb = child("low", low, 0, 50, 0).tcb;
    seL4_CPtr raiser_tcb = child("raiser", raiser, 0, 100, 0).tcb;
    expect(set_priorities(raiser_tcb, seL4_CapInitThreadTCB, 255, 100), seL4_NoError, "priorities");
    let_others_run();
    say("ran: %u\n", ran);
    done();
}
