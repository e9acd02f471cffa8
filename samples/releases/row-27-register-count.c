/* row 27: how many registers ReadRegisters knows: 17 until 10.1.1, 18 in 11.0.0, 19 since 12.0.0. */
#include "rows.h"

static void read_registers(seL4_CPtr tcb, const char *what, seL4_Word count)
{
    seL4_TrapFrame got = invoke(tcb, TCBReadRegisters, 0, 2, 0, count, 0, 0);
    got.r1 &= got.r1 >> 12 ? ~0u : ~0x7fu; /* what the registers hold is not of interest */
    show_error(what, &got);
}

void sample(void)
{
    seL4_CPtr tcb = object(seL4_TCBObject);
    read_registers(tcb, "17 registers", 17);
    read_registers(tcb, "18 registers", 18);
    read_registers(tcb, "19 registers", 19);
    read_registers(tcb, "20 registers", 20);
    done();
}
