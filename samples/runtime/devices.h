/* Devices: their registers as memory, their interrupts as signals. */
#ifndef DEVICES_H
#define DEVICES_H

#include "sample.h"

/* The page of registers at a physical address, mapped uncached. Pages of one untyped have to be asked for in
   ascending order. */
volatile seL4_Word *device_page(seL4_CPtr memory, seL4_Word physical);

/* Have an interrupt signal the notification, with a badge; the handler capability, which acknowledges it. */
seL4_CPtr interrupt(seL4_Word irq, seL4_CPtr notification, seL4_Word badge);

#endif
