/* preempt: who runs when, with a timer tick.

   What a reader learns: the highest priority that can run does run; threads of one priority take turns, each
   for a time slice of a few ticks; nothing but the tick takes the processor away from a thread that asks for
   nothing. The threads watch each other's counters, so that no clock is needed: a spinning thread that sees
   the other's counter move was preempted.

   Boot argument: turns=N, how often each spinner wants to see the other move (default 1: three slices). */
#include "sample.h"

enum { LOW = 50, MIDDLE = 100, RAISED = 120, HIGH = 200 };
enum { PATIENCE = 400000000 }; /* iterations after which a spinning thread gives up on ever being preempted */

static char stacks[4][4096] __attribute__((aligned(8)));
static volatile seL4_Word counters[2]; /* of the two that share a priority */
static volatile seL4_Word low_counter, high_counter;
static volatile seL4_Word stop_spinning;
static seL4_Word wanted_turns;
static seL4_CPtr finished, wake_high;

/* Spin until the other has been seen to move as often as wanted, say so, and go on spinning to the end. */
static void spinner(seL4_Word self)
{
    seL4_Word other = counters[1 - self];
    seL4_Word turns = 0;
    seL4_Word waited = 0;
    while (turns < wanted_turns) {
        counters[self]++;
        if (counters[1 - self] != other) {
            other = counters[1 - self];
            turns++;
            waited = 0;
        }
        CHECK(++waited < PATIENCE, "thread %u is never preempted", self);
    }
    seL4_Signal(finished);
    while (!stop_spinning) {
        counters[self]++;
    }
    seL4_Signal(finished);
    for (;;) {
        seL4_Wait(wake_high, 0); /* nobody signals it any more */
    }
}

/* Runs only when nobody above wants to. */
static void low(seL4_Word unused)
{
    for (;;) {
        low_counter++;
        seL4_Signal(finished);
    }
}

/* Woken from below: what it does has been done when the signal returns. */
static void high(seL4_Word unused)
{
    for (;;) {
        seL4_Wait(wake_high, 0);
        high_counter++;
    }
}

void sample(void)
{
    seL4_CPtr memory = take_untyped(16, 0);
    wanted_turns = argument("turns", 1);
    name_thread(seL4_CapInitThreadTCB, "observer");
    finished = make(memory, seL4_NotificationObject, 0, 1);
    wake_high = make(memory, seL4_NotificationObject, 0, 1);
    thread_t low_thread = start_thread(memory, "low", low, 0, LOW, stacks[0], sizeof(stacks[0]), 0);
    start_thread(memory, "high", high, 0, HIGH, stacks[1], sizeof(stacks[1]), 0);
    start_thread(memory, "spinner 0", spinner, 0, MIDDLE, stacks[2], sizeof(stacks[2]), 0);
    start_thread(memory, "spinner 1", spinner, 1, MIDDLE, stacks[3], sizeof(stacks[3]), 0);
    CHECK(counters[0] == 0 && counters[1] == 0, "a lower priority ran while the observer did");

    /* Equal priorities share: each sees the other move. The observer sleeps meanwhile. */
    for (seL4_Word i = 0; i < 2; i++) {
        seL4_Wait(finished, 0);
    }
    CHECK(counters[0] && counters[1], "a spinner finished without running");
    CHECK(low_counter == 0, "the low priority ran %u times while higher ones wanted to", low_counter);

    /* A signal to a higher priority takes effect at once, one to a lower priority does not. */
    seL4_Word before = high_counter;
    seL4_Signal(wake_high);
    CHECK(high_counter == before, "a lower priority preempted the observer");
    expect(set_priority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, HIGH - 1), seL4_NoError,
           "TCB_SetPriority");
    CHECK(high_counter == before + 1, "the higher priority did not run when the observer stepped down");
    seL4_Signal(wake_high);
    CHECK(high_counter == before + 2, "the signal did not wake the higher priority at once");

    /* Raised above the spinners, the low thread runs though they still spin, and they stand still. */
    expect(set_priority(low_thread.tcb, seL4_CapInitThreadTCB, RAISED), seL4_NoError, "TCB_SetPriority");
    seL4_Word stood[2] = {counters[0], counters[1]};
    for (seL4_Word i = 0; i < 3; i++) {
        seL4_Wait(finished, 0);
    }
    CHECK(low_counter, "the raised thread did not run");
    CHECK(stood[0] == counters[0] && stood[1] == counters[1], "a spinner ran below the raised thread");

    /* Suspended it leaves the processor to the spinners again; they stop when told to, and one after the other
       in whatever order, because only one of them can have the processor. */
    expect(seL4_TCB_Suspend(low_thread.tcb), seL4_NoError, "TCB_Suspend");
    stop_spinning = 1;
    for (seL4_Word i = 0; i < 2; i++) {
        seL4_Wait(finished, 0);
    }
    say("the spinners took turns\n");
}
