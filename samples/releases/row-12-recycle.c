/* row 12: CNode_Recycle, which gives an object back its first state.

   Until 1.0.4 it has label 13, from 2.0.0 to 3.2.0 label 15: the page is cleared and the capability stays. In 4.0.0
   it is gone and 15 is Delete; what comes closest, CancelBadgedSends, is for endpoints only. */
#include "rows.h"

enum {
#if RETRAP_HAS_CNodeRecycle
    RECYCLE = CNodeRecycle
#else
    RECYCLE = 15
#endif
};

static seL4_Word address;

static void show(seL4_CPtr frame, const char *when)
{
    if (seL4_DebugCapIdentify(frame) == RETRAP_CAP_NULL) {
        say("%s: no capability\n", when);
        return;
    }
    expect(seL4_ARM_Page_Map(frame, seL4_CapInitThreadVSpace, address, seL4_ReadWrite, seL4_ARM_Default_VMAttributes),
           seL4_NoError, "Page_Map");
    say("%s: a page that holds %x\n", when, *(volatile seL4_Word *)address);
}

void sample(void)
{
    seL4_CPtr frame = object(seL4_ARM_SmallPageObject);
    address = new_pages(take_untyped(seL4_PageTableBits, 0), PAGE_SIZE);
    show(frame, "at first");
    *(volatile seL4_Word *)address = 7;
    say("it holds %x\n", *(volatile seL4_Word *)address);
    seL4_TrapFrame got = invoke(seL4_CapInitThreadCNode, RECYCLE, 0, 2, frame, seL4_WordBits, 0, 0);
    show_error("the label of Recycle", &got);
    show(frame, "then");
#if !RETRAP_HAS_CNodeRecycle
    seL4_CPtr other = object(seL4_ARM_SmallPageObject);
    got = invoke(seL4_CapInitThreadCNode, CNodeCancelBadgedSends, 0, 2, other, seL4_WordBits, 0, 0);
    show_error("CancelBadgedSends of a page", &got);
#endif
    done();
}
