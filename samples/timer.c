/* timer: sleeping until a time (QEMU's virt board: a PL031 real time clock at 0x9010000, interrupt 34).

   What a reader learns: a kernel without MCS has no sleeping; a thread that wants to sleep asks a timer device to
   interrupt later and waits for the signal. While nothing runs, retrap does not wait: virtual time jumps to the
   next thing that happens, and the run is over in no time.

   Boot argument: alarms=N, how often to sleep (default 3). */
#include "devices.h"

enum { CLOCK = 0x9010000, CLOCK_IRQ = 34, BADGE = 1 };
enum { SECONDS = 0x00 / 4, MATCH = 0x04 / 4, MASK = 0x10 / 4, MASKED = 0x18 / 4, CLEAR = 0x1c / 4 };

void sample(void)
{
    seL4_Word alarms = argument("alarms", 3);
    seL4_CPtr memory = take_untyped(16, 0);
    seL4_CPtr notification = make(memory, seL4_NotificationObject, 0, 1);
    volatile seL4_Word *clock = device_page(memory, CLOCK);
    seL4_CPtr handler = interrupt(CLOCK_IRQ, notification, BADGE);
    seL4_Word start = clock[SECONDS];
    clock[MASK] = 1;
    for (seL4_Word i = 1; i <= alarms; i++) {
        seL4_Word badge;
        clock[MATCH] = start + i * i;
        seL4_Wait(notification, &badge);
        CHECK(badge == BADGE && clock[MASKED] == 1, "woken by something else");
        CHECK(clock[SECONDS] == start + i * i, "it is second %u", clock[SECONDS] - start);
        say("second %u\n", clock[SECONDS] - start);
        clock[CLEAR] = 1;
        expect(seL4_IRQHandler_Ack(handler), seL4_NoError, "IRQHandler_Ack");
    }
}
