/* row 2: what an interrupt brings to its waiter.

   Until 1.0.4 the word that it ORs into the object is 1 << (number mod 32), here 2 for interrupt 33; it arrives in R2.
   Since 2.0.0 there is the badge only. The interrupt is the UART's, which says that it has sent a byte. */
#include "rows.h"

enum { UART = 0x9000000, UART_IRQ = 33, DATA = 0x00 / 4, MASK = 0x38 / 4, SENT = 1 << 5 };

void sample(void)
{
    volatile seL4_Word *uart = (volatile seL4_Word *)device_page(UART);
    seL4_CPtr signals = object(seL4_NotificationObject);
    (void)interrupt_handler(UART_IRQ, minted(signals, WRITE, 5));
    uart[MASK] = SENT;
    uart[DATA] = '*';
    seL4_TrapFrame got = trap(seL4_SysRecv, signals, 0x111, 0x222, 0x333, 0x444, 0x555);
    say("\nr0=%x r1=%x r2=%x r3=%x\n", got.r0, got.r1, got.mr0, got.mr1);
    done();
}
