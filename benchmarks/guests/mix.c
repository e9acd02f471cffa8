/* The system calls of seL4's own test suite, in its proportions: pages 92, CNodes 76, Untyped 47, debug 19, and one
   Call that another thread answers, per round. What the suite makes of them is in trap_path.py. */
#include "sample.h"

enum { PAGES = 4, SLOTS = 46 };

static char stack[4096] __attribute__((aligned(8)));
static seL4_CPtr endpoint;

static void server(seL4_Word unused)
{
    seL4_Word badge;
    seL4_Recv(endpoint, &badge);
    for (;;) {
        seL4_ReplyRecv(endpoint, seL4_MessageInfo_new(0, 0, 0, 2), &badge);
    }
}

void sample(void)
{
    const seL4_CPtr root = seL4_CapInitThreadCNode;
    seL4_Word rounds = argument("rounds", 10);
    seL4_CPtr memory = take_untyped(20, 0);
    seL4_CPtr small = make(memory, seL4_UntypedObject, 18, 1);
    volatile seL4_Word *window = (volatile seL4_Word *)new_pages(memory, PAGES * PAGE_SIZE);
    seL4_CPtr frames = make(memory, seL4_ARM_SmallPageObject, 0, PAGES);
    endpoint = make(memory, seL4_EndpointObject, 0, 1);
    start_thread(memory, "server", server, 0, seL4_MaxPrio - 1, stack, sizeof(stack), 0);
    seL4_CPtr slots = new_slot();
    for (int i = 1; i < SLOTS; i++) {
        new_slot();
    }
    for (seL4_Word round = 0; round < rounds; round++) {
        for (int i = 0; i < 23; i++) {
            seL4_CPtr frame = frames + i % PAGES;
            volatile seL4_Word *page = window + i % PAGES * (PAGE_SIZE / 4);
            expect(seL4_ARM_Page_Map(frame, seL4_CapInitThreadVSpace, (seL4_Word)page, seL4_ReadWrite,
                                     seL4_ARM_Default_VMAttributes),
                   seL4_NoError, "Page_Map");
            *page = round;
            expect(seL4_ARM_Page_Unify_Instruction(frame, 0, PAGE_SIZE), seL4_NoError, "Page_Unify_Instruction");
            expect(seL4_ARM_Page_Clean_Data(frame, 0, PAGE_SIZE), seL4_NoError, "Page_Clean_Data");
            expect(seL4_ARM_Page_Unmap(frame), seL4_NoError, "Page_Unmap");
        }
        for (int i = 0; i < 38; i++) {
            expect(seL4_CNode_Copy(root, slots + i, seL4_WordBits, root, frames, seL4_WordBits, seL4_AllRights),
                   seL4_NoError, "CNode_Copy");
        }
        for (int i = 0; i < 38; i++) {
            expect(seL4_CNode_Delete(root, slots + i, seL4_WordBits), seL4_NoError, "CNode_Delete");
        }
        for (int i = 0; i < SLOTS; i++) {
            expect(retype(small, seL4_ARM_SmallPageObject, 0, slots + i, 1), seL4_NoError, "Untyped_Retype");
        }
        expect(seL4_CNode_Revoke(root, small, seL4_WordBits), seL4_NoError, "CNode_Revoke");
        for (int i = 0; i < 19; i++) {
            seL4_DebugPutChar('.');
        }
        seL4_Call(endpoint, seL4_MessageInfo_new(7, 0, 0, 2));
    }
    seL4_DebugPutChar('\n');
}
