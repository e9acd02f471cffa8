/* row 35: a cache operation on a page whose page table is gone.

   Until 15.0.0 the kernel believes the page's capability and touches the address where nothing is mapped any more:
   that is the end of the machine. Since 16.0.0 it looks first. */
#include "rows.h"

void sample(void)
{
    const seL4_Word address = 0x20000000;
    seL4_CPtr table = object(seL4_ARM_PageTableObject);
    seL4_CPtr frame = object(seL4_ARM_SmallPageObject);
    expect(seL4_ARM_PageTable_Map(table, seL4_CapInitThreadVSpace, address, seL4_ARM_Default_VMAttributes),
           seL4_NoError, "PageTable_Map");
    expect(seL4_ARM_Page_Map(frame, seL4_CapInitThreadVSpace, address, seL4_ReadWrite, seL4_ARM_Default_VMAttributes),
           seL4_NoError, "Page_Map");
    expect(seL4_ARM_PageTable_Unmap(table), seL4_NoError, "PageTable_Unmap");
    say("flushing\n");
    seL4_TrapFrame got = invoke(frame, ARMPageCleanInvalidate_Data, 0, 2, 0, PAGE_SIZE, 0, 0);
    show_error("Page_CleanInvalidate_Data", &got);
    done();
}
