/* row 34: label 37, with the message of Page_Map.

   In 14.0.0 it is Page_Map. In 15.0.0 two operations on domains came in before, and 37 is PageTable_Map. */
#include "rows.h"

static void try(const char *what, seL4_CPtr cap, seL4_Word address)
{
    seL4_SetCap(0, seL4_CapInitThreadVSpace);
    seL4_TrapFrame got = invoke(cap, 37, 1, 3, address, READ | WRITE, seL4_ARM_Default_VMAttributes, 0);
    show_error(what, &got);
}

void sample(void)
{
    seL4_Word address = new_pages(take_untyped(seL4_PageTableBits, 0), PAGE_SIZE);
    try("a page", object(seL4_ARM_SmallPageObject), address);
    try("a page table", object(seL4_ARM_PageTableObject), address + 0x10000000);
    done();
}
