/* row 26: Page_Map of a page that is mapped already.

   Until 10.1.1 that is refused; another operation, Page_Remap, changes the rights. Since 11.0.0 Page_Map does, at the
   same address; another address is refused. */
#include "rows.h"

static seL4_CPtr frame;

static void map(const char *what, seL4_Word address, seL4_Word rights)
{
    seL4_SetCap(0, seL4_CapInitThreadVSpace);
    seL4_TrapFrame got = invoke(frame, ARMPageMap, 1, 3, address, rights, seL4_ARM_Default_VMAttributes, 0);
    show_error(what, &got);
}

void sample(void)
{
    seL4_Word address = new_pages(take_untyped(seL4_PageTableBits, 0), 2 * PAGE_SIZE);
    frame = object(seL4_ARM_SmallPageObject);
    map("first", address, READ);
    map("the same address, more rights", address, READ | WRITE);
    map("another address", address + PAGE_SIZE, READ);
#if RETRAP_HAS_ARMPageRemap
    seL4_SetCap(0, seL4_CapInitThreadVSpace);
    seL4_TrapFrame got = invoke(frame, ARMPageRemap, 1, 2, READ | WRITE, seL4_ARM_Default_VMAttributes, 0, 0);
    show_error("Page_Remap", &got);
#endif
    *(volatile seL4_Word *)address = 1;
    say("the page can be written\n");
    done();
}
