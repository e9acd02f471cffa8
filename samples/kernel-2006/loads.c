/* loads: user data are objects, and loads and stores are their invocations (2006 paper, section 3.1).

   What a reader learns: an address space is a tree of CNodes; putting a capability to user data into one of its slots
   makes the data readable there, deleting it takes them away, and its rights decide. One object can be in many
   places. A thread that touches what is not there, or may not, is stopped, and its fault handler gets a message; it
   puts a capability there and resumes the thread, which repeats the access. */
#include "sample.h"

#define FIRST 0x20000000u
#define SECOND 0x20345000u
#define LARGE 0x40000000u

static volatile seL4_Word *at(seL4_Word address)
{
    return (volatile seL4_Word *)address;
}

static seL4_CPtr finished;

/* Loads from nowhere, then stores into read-only data. */
static void toucher(seL4_Word argument)
{
    seL4_Word found = *at(FIRST);
    *at(FIRST) = found + 1;
    seL4_SetMR(0, found);
    seL4_Send(finished, seL4_MessageInfo_new(0, 0, 0, 1));
    for (;;) {
        seL4_Yield();
    }
}

static void expect_fault(seL4_CPtr endpoint, seL4_Word address, const char *what)
{
    seL4_MessageInfo_t info = seL4_Wait(endpoint, 0);
    CHECK(seL4_MessageInfo_get_label(info) == seL4_Fault_VMFault, "%s: label %u", what,
          seL4_MessageInfo_get_label(info));
    CHECK(seL4_GetMR(seL4_VMFault_Addr) == address, "%s: at %x", what, seL4_GetMR(seL4_VMFault_Addr));
    say("%s: fault at %x, status %x\n", what, seL4_GetMR(seL4_VMFault_Addr), seL4_GetMR(seL4_VMFault_FSR));
}

void sample(void)
{
    seL4_CPtr data = make(seL4_UserDataObject, seL4_PageBits);

    /* In two places at once. */
    show(data, FIRST, seL4_ReadWrite);
    show(data, SECOND, seL4_CanRead);
    *at(FIRST) = 2006;
    CHECK(*at(SECOND) == 2006, "not the same object");
    say("one object at %x and %x\n", FIRST, SECOND);
    hide(FIRST);
    CHECK(*at(SECOND) == 2006, "it disappeared from both places");

    /* Demand paging without a page table: the handler gives what is missing. */
    seL4_CPtr handler = make(seL4_EndpointObject, 0);
    finished = make(seL4_EndpointObject, 0);
    seL4_CPtr tcb = start_thread(toucher, 0, 255, handler);
    expect_fault(handler, FIRST, "load of nothing");
    show(data, FIRST, seL4_CanRead);
    expect(seL4_TCB_Resume(tcb), seL4_NoError, "Resume");
    expect_fault(handler, FIRST, "store without the right");
    hide(FIRST);
    show(data, FIRST, seL4_ReadWrite);
    expect(seL4_TCB_Resume(tcb), seL4_NoError, "Resume");
    (void)seL4_Wait(finished, 0);
    CHECK(seL4_GetMR(0) == 2006 && *at(SECOND) == 2007, "the accesses were not repeated");

    /* User data of any power of two: a large one takes the place of a whole CNode of pages. */
    seL4_CPtr large = make(seL4_UserDataObject, 20);
    expect(seL4_CNode_Copy(seL4_CapInitThreadVSpace, LARGE >> 20, 12, seL4_CapInitThreadCNode, large, 32,
                           seL4_ReadWrite),
           seL4_NoError, "a MiB of user data");
    *at(LARGE) = 1;
    *at(LARGE + 0xffffc) = 2;
    CHECK(*at(LARGE) + *at(LARGE + 0xffffc) == 3, "a MiB is not whole");

    /* Revoking the object takes it away everywhere; the thread stays away from it. */
    expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, tcb, 32), seL4_NoError, "deleting the thread");
    tcb = start_thread(toucher, 0, 255, handler);
    (void)seL4_Wait(finished, 0);
    CHECK(seL4_GetMR(0) == 2007, "another value");
    expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, tcb, 32), seL4_NoError, "deleting the thread");
    hide(FIRST);
    hide(SECOND);
    tcb = start_thread(toucher, 0, 255, handler);
    expect_fault(handler, FIRST, "load after hiding");
}
