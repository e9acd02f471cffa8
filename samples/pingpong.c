/* pingpong: two threads, Call and ReplyRecv, N rounds.

   What a reader learns: synchronous IPC. The initial thread calls through a badged endpoint capability; the
   server receives, answers and waits for the next message in one system call. The first four words travel in
   registers, longer messages through the IPC buffers: every sixth round is a long one. Both sides check every
   word, the label, the length and the badge.

   Boot argument: rounds=N (default 100). */
#include "sample.h"

#define BADGE 0x2a
#define LONG_MESSAGE 20
#define SHORT_MESSAGE 4

static char server_stack[4096] __attribute__((aligned(8)));

/* Which message word is at place `i` in `round`: both sides know. */
static seL4_Word question(seL4_Word round, seL4_Word i) { return round * 0x01000193u + i * 0x9e3779b9u; }
static seL4_Word answer(seL4_Word word, seL4_Word i) { return (word ^ 0xa5a5a5a5u) + i; }
static seL4_Word length_of(seL4_Word round) { return round % 6 == 5 ? LONG_MESSAGE : SHORT_MESSAGE; }

static void server(seL4_Word endpoint)
{
    seL4_Word badge = 0;
    seL4_MessageInfo_t info = seL4_Recv(endpoint, &badge);
    for (seL4_Word round = 0;; round++) {
        seL4_Word length = length_of(round);
        CHECK(badge == BADGE, "server, round %u: badge %x", round, badge);
        CHECK(seL4_MessageInfo_get_label(info) == (round & 0xfffff), "server, round %u: label %x", round,
              seL4_MessageInfo_get_label(info));
        CHECK(seL4_MessageInfo_get_length(info) == length, "server, round %u: length %u", round,
              seL4_MessageInfo_get_length(info));
        CHECK(seL4_MessageInfo_get_extraCaps(info) == 0, "server, round %u: capabilities out of nowhere", round);
        for (seL4_Word i = 0; i < length; i++) {
            seL4_Word word = seL4_GetMR((int)i);
            CHECK(word == question(round, i), "server, round %u: word %u is %x", round, i, word);
            seL4_SetMR((int)i, answer(word, i));
        }
        info = seL4_ReplyRecv(endpoint, seL4_MessageInfo_new(~round, 0, 0, length), &badge);
    }
}

void sample(void)
{
    seL4_Word rounds = argument("rounds", 100);
    seL4_CPtr untyped = take_untyped(16, 0);
    seL4_CPtr endpoint = make(untyped, seL4_EndpointObject, 0, 1);
    seL4_CPtr client_cap = new_slot();
    name_thread(seL4_CapInitThreadTCB, "client");
    expect(seL4_CNode_Mint(seL4_CapInitThreadCNode, client_cap, seL4_WordBits, seL4_CapInitThreadCNode, endpoint,
                           seL4_WordBits, seL4_AllRights, BADGE),
           seL4_NoError, "CNode_Mint");
    start_thread(untyped, "server", server, endpoint, seL4_MaxPrio, server_stack, sizeof(server_stack), 0);

    for (seL4_Word round = 0; round < rounds; round++) {
        seL4_Word length = length_of(round);
        for (seL4_Word i = 0; i < length; i++) {
            seL4_SetMR((int)i, question(round, i));
        }
        seL4_MessageInfo_t info = seL4_Call(client_cap, seL4_MessageInfo_new(round, 0, 0, length));
        CHECK(seL4_MessageInfo_get_label(info) == (~round & 0xfffff), "round %u: label %x", round,
              seL4_MessageInfo_get_label(info));
        CHECK(seL4_MessageInfo_get_length(info) == length, "round %u: length %u", round,
              seL4_MessageInfo_get_length(info));
        for (seL4_Word i = 0; i < length; i++) {
            seL4_Word wanted = answer(question(round, i), i);
            CHECK(seL4_GetMR((int)i) == wanted, "round %u: word %u is %x, not %x", round, i, seL4_GetMR((int)i),
                  wanted);
        }
    }
    say("%u round trips\n", rounds);
}
