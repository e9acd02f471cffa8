/* row 15: when memory is cleared that is used again.

   Until 3.2.0 each object is cleared when it is made, and nothing can interrupt that: once the call is made, an
   interrupt finds the object there. Since 4.0.0 all used memory of the untyped is cleared before the first new object,
   256 bytes at a time, and an interrupt is taken in between: it finds no object yet, and the call starts again.

   The timer's interrupt comes a fixed time after it is set, and the call after more and more instructions. A dot: the
   interrupt found the object; a mark: it did not. Before 4.0.0 a mark means that the interrupt came before the call.
   (It needs a processor that counts one timer tick an instruction, and a kernel that exports the timer:
   row-15-….toml.) */
#include "rows.h"

enum { TIMER_IRQ = 30, MEMORY_BITS = 16, TICKS = 16, FAR = 1 << 30, NOPS = 16 };

static seL4_CPtr memory, slot, signals, handler;
static volatile char found;

static void start_timer(seL4_Word ticks)
{
    __asm__ volatile("mcr p15, 0, %0, c14, c2, 0\n\tmcr p15, 0, %1, c14, c2, 1" : : "r"(ticks), "r"(1));
}

static void stop_timer(void) { __asm__ volatile("mcr p15, 0, %0, c14, c2, 1" : : "r"(0)); }

static void observer(seL4_Word unused)
{
    for (;;) {
        (void)trap(seL4_SysRecv, signals, 0, 0, 0, 0, 0);
        found = seL4_DebugCapIdentify(slot) == RETRAP_CAP_NULL ? '!' : '.';
        stop_timer();
        expect(seL4_IRQHandler_Ack(handler), seL4_NoError, "IRQHandler_Ack");
    }
}

/* Set the running timer, then make an endpoint after `delay` instructions more. */
static seL4_Word make_after(seL4_Word delay)
{
    register seL4_Word r0 __asm__("r0") = memory;
    register seL4_Word r1 __asm__("r1") = seL4_MessageInfo_new(UntypedRetype, 0, 1, 6).words[0];
    register seL4_Word r2 __asm__("r2") = seL4_EndpointObject;
    register seL4_Word r3 __asm__("r3") = 0;
    register seL4_Word r4 __asm__("r4") = 0;
    register seL4_Word r5 __asm__("r5") = 0;
    register seL4_Word r7 __asm__("r7") = seL4_SysCall;
    seL4_SetCap(0, seL4_CapInitThreadCNode);
    seL4_SetMR(4, slot);
    seL4_SetMR(5, 1);
    __asm__ volatile("mcr p15, 0, %[ticks], c14, c2, 0\n\t"
                     "add pc, pc, %[skip], lsl #2\n\t"
                     "nop\n\t"
                     ".rept %c[nops]\n\tnop\n\t.endr\n\t"
                     "svc #0"
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r5)
                     : "r"(r7), [ticks] "r"(TICKS), [skip] "r"(NOPS - delay), [nops] "i"(NOPS)
                     : "memory");
    return r1 >> 12;
}

static void worker(seL4_Word unused)
{
    for (seL4_Word delay = 0; delay <= NOPS; delay++) {
        /* Use all of the memory and give it back: it counts as used. */
        expect(retype(memory, seL4_UntypedObject, MEMORY_BITS, slot, 1), seL4_NoError, "Retype");
        expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, slot, seL4_WordBits), seL4_NoError, "CNode_Delete");
        found = 0;
        start_timer(FAR);
        expect(make_after(delay), seL4_NoError, "Retype of the endpoint");
        while (!found) {
        }
        say("%c", found);
        expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, slot, seL4_WordBits), seL4_NoError, "CNode_Delete");
    }
    say("\n");
    stop();
}

void sample(void)
{
    memory = make(take_untyped(MEMORY_BITS + 1, 0), seL4_UntypedObject, MEMORY_BITS, 1);
    slot = new_slot();
    signals = object(seL4_NotificationObject);
    handler = interrupt_handler(TIMER_IRQ, signals);
    child("observer", observer, 0, 200, 0);
    child("worker", worker, 0, 100, 0);
    let_others_run();
    done();
}
