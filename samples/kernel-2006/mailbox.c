/* mailbox: asynchronous endpoints hold a message (2006 paper, section 3.1).

   What a reader learns: the sender goes on at once, the message stays in the object until somebody receives it, even
   when its sender is gone; there is room for one, of four words; a second one is refused. Nobody ever waits. */
#include "sample.h"

#define LABEL 0x2006
#define BADGE 0x77

static seL4_CPtr box, badged, done;

static void deposit(seL4_Word count)
{
    for (seL4_Word i = 0; i < count; i++) {
        seL4_SetMR((int)i, 10 * i + 1);
    }
    seL4_Send(badged, seL4_MessageInfo_new(LABEL, 0, 0, count));
}

/* Leaves a message of six words, says that it has, and is deleted then. */
static void sender(seL4_Word argument)
{
    deposit(6);
    seL4_Send(done, seL4_MessageInfo_new(0, 0, 0, 0));
    for (;;) {
        seL4_Yield();
    }
}

static void expect_message(seL4_Word length)
{
    seL4_Word badge;
    seL4_MessageInfo_t info = seL4_Wait(box, &badge);
    CHECK(badge == BADGE, "badge %x", badge);
    CHECK(seL4_MessageInfo_get_label(info) == LABEL, "label %x", seL4_MessageInfo_get_label(info));
    CHECK(seL4_MessageInfo_get_length(info) == length, "length %u", seL4_MessageInfo_get_length(info));
    for (seL4_Word i = 0; i < length; i++) {
        CHECK(seL4_GetMR((int)i) == 10 * i + 1, "word %u is %u", i, seL4_GetMR((int)i));
    }
    say("received badge %x, %u words\n", badge, length);
}

static void expect_nothing(void)
{
    seL4_Word badge = 1;
    seL4_MessageInfo_t info = seL4_Wait(box, &badge);
    CHECK(badge == 0 && info.words[0] == 0, "there is a message: badge %x", badge);
}

void sample(void)
{
    seL4_CPtr tcb;
    box = make(seL4_AsyncEndpointObject, 0);
    done = make(seL4_EndpointObject, 0);
    badged = new_slots(1);
    expect(seL4_CNode_Mint(seL4_CapInitThreadCNode, badged, 32, seL4_CapInitThreadCNode, box, 32, seL4_CanWrite,
                           BADGE),
           seL4_NoError, "Mint");
    expect_nothing();

    /* The message outlives its sender, cut to the four message registers. */
    tcb = start_thread(sender, 0, 255, 0);
    (void)seL4_Wait(done, 0);
    expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, tcb, 32), seL4_NoError, "deleting the sender");
    expect_message(4);
    expect_nothing();

    /* One message at a time. A Send that is refused says nothing; a Call learns why. */
    deposit(2);
    deposit(4);
    expect(seL4_MessageInfo_get_label(seL4_Call(badged, seL4_MessageInfo_new(LABEL, 0, 0, 0))),
           seL4_NotEnoughMemory, "a second message");
    expect_message(2);

    /* Rights decide: the badged capability only sends. */
    deposit(0);
    expect(seL4_MessageInfo_get_label(seL4_Call(badged, seL4_MessageInfo_new(LABEL, 0, 0, 0))),
           seL4_NotEnoughMemory, "a message after an empty one");
    expect_message(0);

    /* Deleting the object's last capability deletes the message; the memory can be used again. */
    deposit(1);
    expect(seL4_CNode_Revoke(seL4_CapInitThreadCNode, box, 32), seL4_NoError, "Revoke");
    CHECK(seL4_DebugCapIdentify(badged) == RETRAP_CAP_NULL, "the badged capability survived");
    expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, box, 32), seL4_NoError, "Delete");
}
