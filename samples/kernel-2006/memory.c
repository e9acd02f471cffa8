/* memory: a small memory manager, as the 2006 paper has it (sections 3.1, 4 and 5).

   What a reader learns: Retype divides all of an untyped into equal objects; it is refused while any capability
   derived from the untyped remains; deleting the last one, or revoking, makes the memory free again, and new objects
   come out of it cleared. The kernel decides nothing about memory and allocates none. */
#include "sample.h"

#define POOL_BITS 16

typedef struct kind {
    const char *name;
    seL4_Word type;
    seL4_Word size_bits;
    seL4_Word object_bits;
    seL4_Word cap_type;
} kind_t;

static const kind_t kinds[] = {
    {"untyped memory", seL4_UntypedObject, 12, 12, RETRAP_CAP_UNTYPED},
    {"threads", seL4_TCBObject, 0, seL4_TCBBits, RETRAP_CAP_THREAD},
    {"CNodes", seL4_CapTableObject, 6, 6 + seL4_SlotBits, RETRAP_CAP_CNODE},
    {"user data", seL4_UserDataObject, 14, 14, RETRAP_CAP_USER_DATA},
    {"one CNode", seL4_CapTableObject, POOL_BITS - seL4_SlotBits, POOL_BITS, RETRAP_CAP_CNODE},
};

/* The objects of one division: as many as the memory holds, and all of the kind. */
static void divide_into(seL4_CPtr pool, const kind_t *kind, seL4_CPtr slots)
{
    seL4_Word count = 1u << (POOL_BITS - kind->object_bits);
    expect(divide(pool, kind->type, kind->size_bits, slots), seL4_NoError, kind->name);
    for (seL4_Word i = 0; i < count; i++) {
        CHECK(seL4_DebugCapIdentify(slots + i) == kind->cap_type, "slot %u is not of kind %s", i, kind->name);
    }
    CHECK(seL4_DebugCapIdentify(slots + count) == RETRAP_CAP_NULL, "%s: more than the memory holds", kind->name);
    say("%u bytes are %u x %s of %u\n", 1u << POOL_BITS, count, kind->name, 1u << kind->object_bits);
}

void sample(void)
{
    seL4_CPtr pool = take_untyped(POOL_BITS);
    seL4_CPtr slots = new_slots(256);
    seL4_CPtr spare = new_slots(1);
    for (seL4_Word i = 0; i < ARRAY_LENGTH(kinds); i++) {
        divide_into(pool, &kinds[i], slots);
        /* As long as one object is left, the memory is not for sale, whatever it should become. */
        expect(divide(pool, seL4_UserDataObject, POOL_BITS, spare), seL4_RevokeFirst, "dividing again");
        expect(seL4_CNode_Revoke(seL4_CapInitThreadCNode, pool, 32), seL4_NoError, "revoking the memory");
        CHECK(seL4_DebugCapIdentify(slots) == RETRAP_CAP_NULL, "an object survived");
    }

    /* Deleting the objects one by one does the same, at the last one. */
    divide_into(pool, &kinds[0], slots);
    for (seL4_Word i = 0; i < 16; i++) {
        expect(divide(pool, seL4_TCBObject, 0, slots + 16), seL4_RevokeFirst, "dividing too early");
        expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, slots + i, 32), seL4_NoError, "deleting an object");
    }

    /* What was written into user data is gone when the memory becomes user data again. */
    for (seL4_Word round = 0; round < 2; round++) {
        volatile seL4_Word *words = (volatile seL4_Word *)0x20000000;
        expect(divide(pool, seL4_UserDataObject, 12, slots), seL4_NoError, "pages");
        show(slots + 7, (seL4_Word)words, seL4_ReadWrite);
        CHECK(words[0] == 0 && words[1023] == 0, "the memory is not cleared");
        words[0] = 0x2006;
        words[1023] = 0x2006;
        expect(seL4_CNode_Revoke(seL4_CapInitThreadCNode, pool, 32), seL4_NoError, "revoking pages");
    }

    /* The ways to be refused. */
    expect(divide(pool, 6, 0, slots), seL4_InvalidArgument, "a seventh type");
    expect(divide(pool, seL4_UserDataObject, 11, slots), seL4_InvalidArgument, "user data of half a page");
    expect(divide(pool, seL4_CapTableObject, 0, slots), seL4_InvalidArgument, "a CNode of one slot");
    expect(divide(pool, seL4_UntypedObject, POOL_BITS + 1, slots), seL4_NotEnoughMemory, "more than there is");
    expect(divide(pool, seL4_EndpointObject, 0, slots), seL4_RangeError, "4096 objects at once");
    expect(divide(pool, seL4_UserDataObject, 12, boot_info->empty.end - 15), seL4_RangeError, "beyond the CNode");
    expect(divide(pool, seL4_UserDataObject, 12, seL4_CapInitThreadTCB), seL4_DeleteFirst, "occupied slots");
    expect(divide(pool, seL4_UserDataObject, 12, slots), seL4_NoError, "after all that");
}
