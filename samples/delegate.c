/* delegate: give somebody memory and a few capabilities, then take all of it back with one system call.

   What a reader learns: authority is delegated by copying capabilities and withdrawn by Revoke. The manager
   makes a client out of one piece of untyped memory: a thread, an address space in which the code is mapped read
   only, a CNode of 64 slots. The client gets a smaller untyped and a badged endpoint, and from these it builds
   its own workers without asking anybody. It cannot exceed what it was given. One Revoke on the manager's
   capability to the memory then removes the client, its workers and everything else that was made from it,
   including a capability that the client had sent to the manager, and the memory can be used again. */
#include "sample.h"

enum { WORKERS = 3, ROUNDS = 4, BADGE = 7, CLIENT_PRIORITY = 100, POOL_BITS = 18, GRANT_BITS = 16 };
enum { CNODE_BITS = 6, GUARD_BITS = seL4_WordBits - CNODE_BITS };

/* What the client finds in its CNode. */
enum { OWN_CNODE = 1, GRANT, REPORT, OWN_SPACE, OWN_TCB, FIRST_FREE };

/* Addresses in the client's address space; its image lies where the manager's does. */
enum { CLIENT_STACK = 0x80000, CLIENT_BUFFER = 0x81000, WORKER_PAGES = 0x90000 };

/* Labels of the messages to the manager. */
enum { BUILT = 1, WORK, LIMITS };

/* --- the client's side: no global variables, because its address space has none */

static seL4_Word report(seL4_Word label, seL4_Word a, seL4_Word b, seL4_Word caps)
{
    seL4_SetMR(0, a);
    seL4_SetMR(1, b);
    seL4_MessageInfo_t info = seL4_Call(REPORT, seL4_MessageInfo_new(label, 0, caps, 2));
    return seL4_MessageInfo_get_length(info) ? seL4_GetMR(0) : 0;
}

/* A worker reports its number and a sum that only correct answers lead to, for ever. */
static void worker(seL4_Word number)
{
    seL4_Word sum = number;
    for (seL4_Word round = 0;; round++) {
        sum = report(WORK, number, sum, 0);
        seL4_Yield(); /* the answer gave this thread the processor: let the others have a turn */
    }
}

static seL4_Error client_make(seL4_Word type, seL4_Word size_bits, seL4_CPtr slot)
{
    return seL4_Untyped_Retype(GRANT, type, size_bits, OWN_CNODE, 0, 0, slot, 1);
}

/* One worker out of the granted memory: TCB, a page for its stack, a page for its IPC buffer. */
static void build_worker(seL4_Word number)
{
    seL4_CPtr tcb = FIRST_FREE + 1 + number * 3;
    seL4_Word pages = WORKER_PAGES + number * 2 * PAGE_SIZE;
    seL4_UserContext registers;
    expect(client_make(seL4_TCBObject, 0, tcb), seL4_NoError, "client: TCB");
    for (seL4_Word i = 0; i < 2; i++) {
        expect(client_make(seL4_ARM_SmallPageObject, 0, tcb + 1 + i), seL4_NoError, "client: page");
        expect(seL4_ARM_Page_Map(tcb + 1 + i, OWN_SPACE, pages + i * PAGE_SIZE, seL4_ReadWrite,
                                 seL4_ARM_Default_VMAttributes),
               seL4_NoError, "client: Page_Map");
    }
    expect(configure_thread(tcb, REPORT, OWN_CNODE, seL4_NilData, OWN_SPACE, pages + PAGE_SIZE, tcb + 2),
           seL4_NoError, "client: TCB_Configure");
    expect(set_priority(tcb, OWN_TCB, CLIENT_PRIORITY), seL4_NoError, "client: TCB_SetPriority");
    name_thread(tcb, "worker");
    thread_registers(&registers, worker, number, (seL4_IPCBuffer *)(pages + PAGE_SIZE),
                     (void *)(pages + PAGE_SIZE));
    expect(seL4_TCB_WriteRegisters(tcb, 1, 0, sizeof(registers) / sizeof(seL4_Word), &registers), seL4_NoError,
           "client: TCB_WriteRegisters");
}

static void client(seL4_Word unused)
{
    /* The client's own work: an endpoint, which it sends to the manager, and its workers. */
    expect(client_make(seL4_EndpointObject, 0, FIRST_FREE), seL4_NoError, "client: endpoint");
    seL4_SetCap(0, FIRST_FREE);
    report(BUILT, WORKERS, 0, 1);
    for (seL4_Word number = 0; number < WORKERS; number++) {
        build_worker(number);
    }

    /* What it cannot do: priorities above its own limit, memory beyond the grant, slots beyond its CNode, more
       rights than it has. */
    seL4_Word refused = 0;
#if RETRAP_FACT_PRIORITY_AUTHORITY_OWN_PRIORITY
    refused += set_priority(FIRST_FREE + 1, OWN_TCB, CLIENT_PRIORITY + 1) == seL4_IllegalOperation;
#else
    refused += set_priority(FIRST_FREE + 1, OWN_TCB, CLIENT_PRIORITY + 1) == seL4_RangeError
               && seL4_GetMR(1) == CLIENT_PRIORITY;
#endif
    refused += client_make(seL4_ARM_LargePageObject, 0, FIRST_FREE + 20) == seL4_NotEnoughMemory;
    refused += seL4_Untyped_Retype(GRANT, seL4_EndpointObject, 0, OWN_CNODE, 0, 0, 1 << CNODE_BITS, 1)
               == seL4_RangeError;
    refused += seL4_TCB_Suspend(FIRST_FREE + 21) == seL4_InvalidCapability;
    refused += seL4_CNode_Mint(OWN_CNODE, FIRST_FREE + 22, seL4_WordBits, OWN_CNODE, REPORT, seL4_WordBits,
                               seL4_AllRights, BADGE + 1)
               == seL4_IllegalOperation;
    report(LIMITS, refused, 0, 0);
    for (;;) {
        seL4_Yield();
    }
}

/* --- the manager's side */

static seL4_CPtr pool, client_tcb, client_cnode, client_space, endpoint, received;

static void copy_to_client(seL4_Word slot, seL4_CPtr source, seL4_CapRights_t rights)
{
    expect(seL4_CNode_Copy(client_cnode, slot, CNODE_BITS, seL4_CapInitThreadCNode, source, seL4_WordBits, rights),
           seL4_NoError, "CNode_Copy to the client");
}

static void map_for_client(seL4_CPtr frame, seL4_Word address, seL4_CapRights_t rights)
{
    expect(seL4_ARM_Page_Map(frame, client_space, address, rights, seL4_ARM_Default_VMAttributes), seL4_NoError,
           "Page_Map for the client");
}

static void build_client(void)
{
    seL4_UserContext registers;
    client_tcb = make(pool, seL4_TCBObject, 0, 1);
    client_cnode = make(pool, seL4_CapTableObject, CNODE_BITS, 1);
    client_space = make(pool, seL4_ARM_PageDirectoryObject, 0, 1);
    seL4_CPtr table = make(pool, seL4_ARM_PageTableObject, 0, 1);
    seL4_CPtr stack = make(pool, seL4_ARM_SmallPageObject, 0, 1);
    seL4_CPtr buffer = make(pool, seL4_ARM_SmallPageObject, 0, 1);
    seL4_CPtr grant = make(pool, seL4_UntypedObject, GRANT_BITS, 1);

    /* The address space: code and constants read only, a stack, an IPC buffer. */
    expect(seL4_ARM_ASIDPool_Assign(seL4_CapInitThreadASIDPool, client_space), seL4_NoError, "ASIDPool_Assign");
    expect(seL4_ARM_PageTable_Map(table, client_space, 0, seL4_ARM_Default_VMAttributes), seL4_NoError,
           "PageTable_Map");
    for (char *page = image_start; page < data_start; page += PAGE_SIZE) {
        seL4_CPtr frame = new_slot();
        seL4_CPtr original = boot_info->userImageFrames.start + (seL4_Word)(page - image_start) / PAGE_SIZE;
        expect(seL4_CNode_Copy(seL4_CapInitThreadCNode, frame, seL4_WordBits, seL4_CapInitThreadCNode, original,
                               seL4_WordBits, seL4_CanRead),
               seL4_NoError, "CNode_Copy of an image frame");
        map_for_client(frame, (seL4_Word)page, seL4_CanRead);
    }
    map_for_client(stack, CLIENT_STACK, seL4_ReadWrite);
    map_for_client(buffer, CLIENT_BUFFER, seL4_ReadWrite);

    /* The capabilities. A guard makes small numbers name the slots of its CNode. */
    expect(seL4_CNode_Mint(client_cnode, OWN_CNODE, CNODE_BITS, seL4_CapInitThreadCNode, client_cnode,
                           seL4_WordBits, seL4_AllRights, seL4_CNode_CapData_new(0, GUARD_BITS).words[0]),
           seL4_NoError, "CNode_Mint of the client's CNode");
    expect(seL4_CNode_Mint(client_cnode, REPORT, CNODE_BITS, seL4_CapInitThreadCNode, endpoint, seL4_WordBits,
                           seL4_NoRead, BADGE),
           seL4_NoError, "CNode_Mint of the endpoint");
    copy_to_client(GRANT, grant, seL4_AllRights);
    copy_to_client(OWN_SPACE, client_space, seL4_AllRights);
    copy_to_client(OWN_TCB, client_tcb, seL4_AllRights);

    expect(configure_thread(client_tcb, REPORT, client_cnode, seL4_CNode_CapData_new(0, GUARD_BITS).words[0],
                            client_space, CLIENT_BUFFER, buffer),
           seL4_NoError, "TCB_Configure");
    expect(set_priorities(client_tcb, seL4_CapInitThreadTCB, CLIENT_PRIORITY, CLIENT_PRIORITY), seL4_NoError,
           "the client's priorities");
    name_thread(client_tcb, "client");
    thread_registers(&registers, client, 0, (seL4_IPCBuffer *)CLIENT_BUFFER, (void *)(CLIENT_STACK + PAGE_SIZE));
    expect(seL4_TCB_WriteRegisters(client_tcb, 1, 0, sizeof(registers) / sizeof(seL4_Word), &registers),
           seL4_NoError, "TCB_WriteRegisters");
}

/* Serve reports until every worker has had its rounds and the client has tried its limits. */
static void serve(void)
{
    seL4_Word rounds[WORKERS] = {0};
    seL4_Word sums[WORKERS];
    seL4_Word finished = 0;
    seL4_Word limits = 0;
    seL4_Word badge = 0;
    seL4_SetCapReceivePath(seL4_CapInitThreadCNode, received, seL4_WordBits);
    seL4_MessageInfo_t info = seL4_Recv(endpoint, &badge);
    for (;;) {
        seL4_Word label = seL4_MessageInfo_get_label(info);
        seL4_Word a = seL4_GetMR(0);
        seL4_Word b = seL4_GetMR(1);
        seL4_Word caps = seL4_MessageInfo_get_extraCaps(info);
        CHECK(badge == BADGE, "a report with badge %x", badge);
        CHECK(seL4_MessageInfo_get_length(info) == 2, "label %u of length %u: words %x %x", label,
              seL4_MessageInfo_get_length(info), a, b);
        CHECK(caps == (label == BUILT), "label %u came with %u capabilities", label, caps);
        switch (label) {
        case BUILT:
            CHECK(a == WORKERS, "the client says that it builds %u workers", a);
            CHECK(seL4_DebugCapIdentify(received) == RETRAP_CAP_ENDPOINT, "the client sent no endpoint");
            break;
        case WORK:
            CHECK(a < WORKERS, "worker %u", a);
            CHECK(b == (rounds[a] ? sums[a] : a), "worker %u, round %u: %x", a, rounds[a], b);
            sums[a] = b * 3 + 1;
            finished += ++rounds[a] == ROUNDS;
            seL4_SetMR(0, sums[a]);
            break;
        case LIMITS:
            CHECK(a == 5, "only %u of 5 things were refused to the client", a);
            limits = 1;
            break;
        default:
            fail("a message with label %u, words %x %x: a fault of the client?", label, a, b);
        }
        if (finished == WORKERS && limits) {
            return;
        }
        info = seL4_ReplyRecv(endpoint, seL4_MessageInfo_new(0, 0, 0, label == WORK), &badge);
    }
}

static void check_gone(seL4_CPtr slot, const char *what)
{
    CHECK(seL4_DebugCapIdentify(slot) == RETRAP_CAP_NULL, "%s survived the Revoke", what);
}

void sample(void)
{
    seL4_CPtr memory = take_untyped(POOL_BITS + 1, 0);
    name_thread(seL4_CapInitThreadTCB, "manager");
    pool = make(memory, seL4_UntypedObject, POOL_BITS, 1);
    endpoint = make(memory, seL4_EndpointObject, 0, 1);
    received = new_slot();
    build_client();
    serve();
    say("%u workers, %u rounds each\n", WORKERS, ROUNDS);

    /* One system call takes everything back: memory, threads, address space, capabilities handed on. */
    expect(seL4_CNode_Revoke(seL4_CapInitThreadCNode, pool, seL4_WordBits), seL4_NoError, "CNode_Revoke");
    check_gone(client_tcb, "the client's TCB");
    check_gone(client_cnode, "the client's CNode");
    check_gone(client_space, "the client's address space");
    check_gone(received, "the endpoint that the client sent");

    /* Nobody is left who could run or send: step below the client's priority and look. */
    expect(set_priority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, CLIENT_PRIORITY - 1), seL4_NoError,
           "TCB_SetPriority");
    for (seL4_Word i = 0; i < 10; i++) {
        seL4_Word badge = 0;
        seL4_Yield();
        poll(endpoint, &badge);
        CHECK(badge == 0, "somebody still sends, with badge %x", badge);
    }

    /* The memory is whole and clean again. */
    const seL4_Word pages = 1u << (POOL_BITS - seL4_PageBits);
    seL4_CPtr frames = make(pool, seL4_ARM_SmallPageObject, 0, pages);
    expect(retype(pool, seL4_UntypedObject, seL4_MinUntypedBits, client_tcb, 1), seL4_NotEnoughMemory, "no room");
    CHECK(seL4_GetMR(0) == 0, "%u bytes are left over", seL4_GetMR(0));
    volatile seL4_Word *words = (volatile seL4_Word *)new_pages(memory, PAGE_SIZE);
    for (seL4_Word page = 0; page < pages; page++) {
        expect(seL4_ARM_Page_Map(frames + page, seL4_CapInitThreadVSpace, (seL4_Word)words, seL4_ReadWrite,
                                 seL4_ARM_Default_VMAttributes),
               seL4_NoError, "Page_Map");
        for (seL4_Word i = 0; i < PAGE_SIZE / sizeof(seL4_Word); i += 16) {
            CHECK(words[i] == 0, "page %u, word %u still holds %x", page, i, words[i]);
        }
        expect(seL4_ARM_Page_Unmap(frames + page), seL4_NoError, "Page_Unmap");
    }
}
