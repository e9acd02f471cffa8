/* row 8: a capability sent to a server whose endpoint capability can only receive.

   Until 2.1.0 it arrives without its write right: the page can be read only. Since 3.0.0 it arrives as it was. */
#include "rows.h"

static seL4_CPtr endpoint, gift;

static void giver(seL4_Word unused)
{
    seL4_SetCap(0, gift);
    (void)trap(seL4_SysSend, endpoint, seL4_MessageInfo_new(0, 0, 1, 0).words[0], 0, 0, 0, 0);
    stop();
}

static void writer(seL4_Word address)
{
    *(volatile seL4_Word *)address = 1;
    (void)trap(seL4_SysSend, endpoint, seL4_MessageInfo_new(100, 0, 0, 0).words[0], 0, 0, 0, 0);
    stop();
}

void sample(void)
{
    seL4_CPtr received = new_slot();
    seL4_Word address = new_pages(take_untyped(seL4_PageTableBits, 0), PAGE_SIZE);
    endpoint = object(seL4_EndpointObject);
    gift = object(seL4_ARM_SmallPageObject);
    child("giver", giver, 0, 100, 0);
    seL4_SetCapReceivePath(seL4_CapInitThreadCNode, received, seL4_WordBits);
    seL4_TrapFrame got = trap(seL4_SysRecv, minted(endpoint, READ, 0), 0, 0, 0, 0, 0);
    say("%u capability came\n", got.r1 >> 7 & 3);
    expect(seL4_ARM_Page_Map(received, seL4_CapInitThreadVSpace, address, seL4_ReadWrite,
                             seL4_ARM_Default_VMAttributes),
           seL4_NoError, "Page_Map");
    child("writer", writer, address, 100, endpoint);
    got = trap(seL4_SysRecv, endpoint, 0, 0, 0, 0, 0);
    show_message(got.r1 >> 12 == 100 ? "the page can be written" : "fault", &got);
    done();
}
