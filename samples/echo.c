/* echo: a serial driver with interrupts (QEMU's virt board: a PL011 at 0x9000000, interrupt 33).

   What a reader learns: a device is an untyped like any other, and its interrupt is a capability that signals a
   notification. The kernel masks the interrupt when it delivers it; acknowledging lets it come again, and if the
   device still wants something it comes at once. So a driver looks at the device first, and then acknowledges.

   Boot argument: lines=N, how many lines to send back (default 0: only the greeting, no input is needed). Give the
   input with --input FILE, or --input - to type it. */
#include "devices.h"

enum { UART = 0x9000000, UART_IRQ = 33, BADGE = 1 };
enum { DATA = 0x00 / 4, FLAGS = 0x18 / 4, MASK = 0x38 / 4, MASKED = 0x40 / 4, CLEAR = 0x44 / 4 };
enum { RECEIVE_EMPTY = 1 << 4, TRANSMIT_FULL = 1 << 5 };   /* of the flags */
enum { RECEIVED = 1 << 4, SENT = 1 << 5 };                 /* of the interrupt registers */

static volatile seL4_Word *uart;
static seL4_CPtr handler, notification;
static seL4_Word interrupts, line_ends;

static char queue[256]; /* what is to be sent */
static seL4_Word first, count;

static void put(char c)
{
    CHECK(count < sizeof(queue), "the queue is full");
    queue[(first + count++) % sizeof(queue)] = c;
    uart[MASK] |= SENT;
}

static void send_one(void)
{
    if (count && !(uart[FLAGS] & TRANSMIT_FULL)) {
        uart[DATA] = (seL4_Word)queue[first];
        first = (first + 1) % sizeof(queue);
        count--;
    }
    if (!count) {
        uart[MASK] &= ~SENT;
    }
}

/* Sleep until the UART wants something, and do it. */
static void serve(void)
{
    seL4_Word badge;
    seL4_Wait(notification, &badge);
    CHECK(badge == BADGE, "woken with badge %u", badge);
    interrupts++;
    seL4_Word why = uart[MASKED];
    CHECK(why, "an interrupt for nothing");
    if (why & RECEIVED) {
        while (!(uart[FLAGS] & RECEIVE_EMPTY)) {
            char c = (char)uart[DATA];
            put(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
            line_ends += c == '\n';
        }
    }
    if (why & SENT) {
        uart[CLEAR] = SENT;
        send_one();
    }
    expect(seL4_IRQHandler_Ack(handler), seL4_NoError, "IRQHandler_Ack");
}

void sample(void)
{
    seL4_Word lines = argument("lines", 0);
    seL4_CPtr memory = take_untyped(16, 0);
    notification = make(memory, seL4_NotificationObject, 0, 1);
    uart = device_page(memory, UART);
    uart[MASK] = 0;
    uart[CLEAR] = 0x7ff;
    handler = interrupt(UART_IRQ, notification, BADGE);
    uart[MASK] = RECEIVED;
    for (const char *c = "ready\n"; *c; c++) {
        put(*c);
    }
    send_one(); /* the first one by hand: the UART tells when it wants more */
    while (line_ends < lines || count) {
        serve();
    }
    say("%s\n", interrupts ? "by interrupts" : "without interrupts");
    CHECK(interrupts >= 5, "only %u interrupts", interrupts);
}
