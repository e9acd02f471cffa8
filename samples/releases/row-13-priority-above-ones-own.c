/* row 13: a thread of priority 100 wants more.

   Until 3.2.0 nobody can give a priority above his own: IllegalOperation. From 4.0.0 on a thread has a maximum of its
   own for that, here 120: up to there it may go above its priority, and beyond it is told the range. */
#include "rows.h"

static seL4_CPtr own_tcb;

static void climber(seL4_Word unused)
{
    seL4_TrapFrame got = invoke(own_tcb, TCBSetPriority, 0, 1, 200, 0, 0, 0);
    show_error("200", &got);
    got = invoke(own_tcb, TCBSetPriority, 0, 1, 110, 0, 0, 0);
    show_error("110", &got);
    stop();
}

void sample(void)
{
    own_tcb = child("climber", climber, 0, 100, 0).tcb;
    expect(set_priorities(own_tcb, seL4_CapInitThreadTCB, 120, 100), seL4_NoError, "priorities");
    let_others_run();
    done();
}
