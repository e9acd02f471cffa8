/* row 6: VM attribute bit 2.

   In 1.0.3 it means nothing: code in the page runs. Since 1.0.4 it is ExecuteNever: the fetch faults. */
#include "rows.h"

static seL4_CPtr endpoint;

static void runner(seL4_Word address)
{
    seL4_Word value = ((seL4_Word(*)(void))address)();
    (void)trap(seL4_SysSend, endpoint, seL4_MessageInfo_new(100, 0, 0, 1).words[0], value, 0, 0, 0);
    stop();
}

void sample(void)
{
    seL4_CPtr frame = object(seL4_ARM_SmallPageObject);
    seL4_Word address = new_pages(take_untyped(seL4_PageTableBits, 0), PAGE_SIZE);
    volatile seL4_Word *code = (volatile seL4_Word *)address;
    endpoint = object(seL4_EndpointObject);
    expect(seL4_ARM_Page_Map(frame, seL4_CapInitThreadVSpace, address, seL4_ReadWrite,
                             seL4_ARM_Default_VMAttributes | seL4_ARM_ExecuteNever),
           seL4_NoError, "Page_Map");
    code[0] = 0xe3a0002a; /* mov r0, #42 */
    code[1] = 0xe12fff1e; /* bx lr */
    expect(seL4_ARM_Page_Unify_Instruction(frame, 0, PAGE_SIZE), seL4_NoError, "Page_Unify_Instruction");
    child("runner", runner, address, 100, endpoint);
    seL4_TrapFrame got = trap(seL4_SysRecv, endpoint, 0, 0, 0, 0, 0);
    show_message(got.r1 >> 12 == 100 ? "the page was executed" : "fault", &got);
    done();
}
