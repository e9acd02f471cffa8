/* pager: a thread touches pages that are not there, and another one maps them.

   What a reader learns: a fault is a message. The kernel sends it to the endpoint that the thread's TCB names,
   with the address of the instruction, the address it touched, whether it was an instruction fetch, and the
   fault status; answering the message restarts the thread at the same instruction. The pager sees each kind of
   fault and checks every word: no page table, no page, no right to write, no page to execute, no right to
   execute. */
#include "sample.h"

enum { PAGES = 6, VALUE = 0x1000, BADGE = 0x55, DONE = 0x777 };

/* Fault status, short-descriptor format (ARM ARM B3.13.3); bit 11: the access was a write. */
enum { SECTION_TRANSLATION = 5, PAGE_TRANSLATION = 7, PAGE_PERMISSION = 15, WRITE = 1 << 11, STATUS = 0xc0f };

static char worker_stack[4096] __attribute__((aligned(8)));
static seL4_CPtr memory, worker_endpoint;
static seL4_Word region; /* 1 MiB with neither pages nor a page table */

/* Accesses whose instruction's address is that of the function. */
__attribute__((naked, noinline)) static seL4_Word load(volatile seL4_Word *address)
{
    __asm__("ldr r0, [r0]\n\tbx lr");
}

__attribute__((naked, noinline)) static void store(volatile seL4_Word *address, seL4_Word value)
{
    __asm__("str r1, [r0]\n\tbx lr");
}

static volatile seL4_Word *page_at(seL4_Word number) { return (volatile seL4_Word *)(region + number * PAGE_SIZE); }

/* The code that the pager puts into a page, in ARM state: return 42. */
static const seL4_Word code[] = {0xe3a0002a /* mov r0, #42 */, 0xe12fff1e /* bx lr */};

static void worker(seL4_Word unused)
{
    seL4_Word sum = 0;
    for (seL4_Word i = 0; i < PAGES; i++) {
        sum += load(page_at(i)); /* read faults: the first finds no page table */
    }
    for (seL4_Word i = 0; i < PAGES; i++) {
        store(page_at(i) + 1, i + 1); /* write faults: the pages are mapped read only */
    }
    for (seL4_Word i = 0; i < PAGES; i++) {
        sum += load(page_at(i) + 1);
    }
    store(page_at(PAGES), 1); /* a write fault on a page that is not there */
    sum += ((seL4_Word(*)(void))page_at(PAGES + 1))(); /* a fetch from a page that is not there … */
    seL4_SetMR(0, sum);
    seL4_Send(worker_endpoint, seL4_MessageInfo_new(DONE, 0, 0, 1));
    seL4_TCB_Suspend(seL4_CapInitThreadTCB); /* never reached: the pager ends the sample */
}

/* Receive a fault message, or answer one and receive the next, and check its words. */
static void expect_fault(seL4_CPtr endpoint, int first, seL4_Word instruction, volatile seL4_Word *address,
                         seL4_Word fetch, seL4_Word status, const char *what)
{
    seL4_Word badge = 0;
    seL4_MessageInfo_t info = first ? seL4_Recv(endpoint, &badge)
                                    : seL4_ReplyRecv(endpoint, seL4_MessageInfo_new(0, 0, 0, 0), &badge);
    CHECK(seL4_MessageInfo_get_label(info) == seL4_Fault_VMFault, "%s: label %u", what,
          seL4_MessageInfo_get_label(info));
    CHECK(seL4_MessageInfo_get_length(info) == seL4_VMFault_Length, "%s: length %u", what,
          seL4_MessageInfo_get_length(info));
    CHECK(badge == BADGE, "%s: badge %x", what, badge);
    CHECK(seL4_GetMR(seL4_VMFault_IP) == (instruction & ~1u), "%s: instruction at %x, not %x", what,
          seL4_GetMR(seL4_VMFault_IP), instruction & ~1u);
    CHECK(seL4_GetMR(seL4_VMFault_Addr) == (seL4_Word)address, "%s: address %x, not %x", what,
          seL4_GetMR(seL4_VMFault_Addr), (seL4_Word)address);
    CHECK(seL4_GetMR(seL4_VMFault_PrefetchFault) == fetch, "%s: fetch is %u", what,
          seL4_GetMR(seL4_VMFault_PrefetchFault));
    CHECK((seL4_GetMR(seL4_VMFault_FSR) & STATUS) == status, "%s: fault status %x, not %x", what,
          seL4_GetMR(seL4_VMFault_FSR), status);
}

static void map(seL4_CPtr frame, volatile seL4_Word *address, seL4_CapRights_t rights, seL4_Word attributes)
{
    expect(seL4_ARM_Page_Map(frame, seL4_CapInitThreadVSpace, (seL4_Word)address, rights,
                             (seL4_ARM_VMAttributes)attributes),
           seL4_NoError, "Page_Map");
}

/* A frame with words in it: mapped at a window of the pager's own while they are written. */
static seL4_CPtr filled_frame(volatile seL4_Word *window, const seL4_Word *words, seL4_Word count)
{
    seL4_CPtr frame = make(memory, seL4_ARM_SmallPageObject, 0, 1);
    map(frame, window, seL4_ReadWrite, seL4_ARM_Default_VMAttributes);
    for (seL4_Word i = 0; i < count; i++) {
        window[i] = words[i];
    }
    expect(seL4_ARM_Page_Unify_Instruction(frame, 0, PAGE_SIZE), seL4_NoError, "Page_Unify_Instruction");
    expect(seL4_ARM_Page_Unmap(frame), seL4_NoError, "Page_Unmap");
    return frame;
}

void sample(void)
{
    seL4_CPtr frames[PAGES];
    name_thread(seL4_CapInitThreadTCB, "pager");
    memory = take_untyped(17, 0);
    seL4_CPtr endpoint = make(memory, seL4_EndpointObject, 0, 1);
    seL4_CPtr fault_endpoint = new_slot();
    expect(seL4_CNode_Mint(seL4_CapInitThreadCNode, fault_endpoint, seL4_WordBits, seL4_CapInitThreadCNode,
                           endpoint, seL4_WordBits, seL4_AllRights, BADGE),
           seL4_NoError, "CNode_Mint");
    worker_endpoint = fault_endpoint;
    volatile seL4_Word *window = (volatile seL4_Word *)new_pages(memory, PAGE_SIZE);
    region = 0x20000000;
    for (seL4_Word i = 0; i < PAGES; i++) {
        const seL4_Word content[] = {VALUE + i};
        frames[i] = filled_frame(window, content, 1);
    }
    seL4_CPtr executable = filled_frame(window, code, ARRAY_LENGTH(code));
    thread_t thread = start_thread(memory, "worker", worker, 0, seL4_MaxPrio - 1, worker_stack,
                                   sizeof(worker_stack), fault_endpoint);

    /* Reading: first there is no page table, then there are no pages. */
    for (seL4_Word i = 0; i < PAGES; i++) {
        expect_fault(endpoint, i == 0, (seL4_Word)load, page_at(i), 0,
                     i == 0 ? SECTION_TRANSLATION : PAGE_TRANSLATION, "reading");
        if (i == 0) {
            expect(seL4_ARM_Page_Map(frames[0], seL4_CapInitThreadVSpace, region, seL4_CanRead,
                                     seL4_ARM_Default_VMAttributes),
                   seL4_FailedLookup, "mapping a page without a page table");
            CHECK(seL4_GetMR(1) == seL4_MissingCapability && seL4_GetMR(2) == seL4_SectionBits,
                  "the kernel misses %u bits of lookup type %u", seL4_GetMR(2), seL4_GetMR(1));
            seL4_CPtr table = make(memory, seL4_ARM_PageTableObject, 0, 1);
            expect(seL4_ARM_PageTable_Map(table, seL4_CapInitThreadVSpace, region, seL4_ARM_Default_VMAttributes),
                   seL4_NoError, "PageTable_Map");
        }
        map(frames[i], page_at(i), seL4_CanRead, seL4_ARM_Default_VMAttributes);
    }

    /* Writing to pages that are mapped read only: map them again with more rights. */
    for (seL4_Word i = 0; i < PAGES; i++) {
        expect_fault(endpoint, 0, (seL4_Word)store, page_at(i) + 1, 0, PAGE_PERMISSION | WRITE, "writing");
        expect(seL4_ARM_Page_Unmap(frames[i]), seL4_NoError, "Page_Unmap");
        map(frames[i], page_at(i), seL4_ReadWrite, seL4_ARM_Default_VMAttributes);
    }
    expect_fault(endpoint, 0, (seL4_Word)store, page_at(PAGES), 0, PAGE_TRANSLATION | WRITE, "writing to nothing");
    map(make(memory, seL4_ARM_SmallPageObject, 0, 1), page_at(PAGES), seL4_ReadWrite,
        seL4_ARM_Default_VMAttributes);

    /* Executing: no page, then a page that may not be executed, then one that may. */
    volatile seL4_Word *target = page_at(PAGES + 1);
    expect_fault(endpoint, 0, (seL4_Word)target, target, 1, PAGE_TRANSLATION, "executing nothing");
#if RETRAP_FACT_EXECUTE_NEVER
    map(executable, target, seL4_CanRead, seL4_ARM_Default_VMAttributes | seL4_ARM_ExecuteNever);
    expect_fault(endpoint, 0, (seL4_Word)target, target, 1, PAGE_PERMISSION, "executing data");
    expect(seL4_ARM_Page_Unmap(executable), seL4_NoError, "Page_Unmap");
#endif
    map(executable, target, seL4_CanRead, seL4_ARM_Default_VMAttributes);

    /* The worker went on as if nothing had happened: its sum says so. */
    seL4_Word badge = 0;
    seL4_MessageInfo_t info = seL4_ReplyRecv(endpoint, seL4_MessageInfo_new(0, 0, 0, 0), &badge);
    seL4_Word wanted = PAGES * VALUE + PAGES * (PAGES - 1) / 2 + PAGES * (PAGES + 1) / 2 + 42;
    CHECK(seL4_MessageInfo_get_label(info) == DONE, "label %x instead of the result",
          seL4_MessageInfo_get_label(info));
    CHECK(seL4_GetMR(0) == wanted, "the worker's sum is %x, not %x", seL4_GetMR(0), wanted);
    for (seL4_Word i = 0; i < PAGES; i++) {
        CHECK(page_at(i)[0] == VALUE + i && page_at(i)[1] == i + 1, "page %u holds %x %x", i, page_at(i)[0],
              page_at(i)[1]);
    }
    expect(seL4_TCB_Suspend(thread.tcb), seL4_NoError, "TCB_Suspend");
    say("%u pages, %u faults\n", PAGES + 2, 2 * PAGES + 2 + RETRAP_FACT_EXECUTE_NEVER);
}
