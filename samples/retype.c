/* retype: all of the kernel's memory management in one system call.

   What a reader learns: every kernel object is made from untyped memory by Retype; objects lie one after the
   other at a watermark, each aligned to its size; when the memory is used up the kernel says how many bytes are
   left; deleting or revoking the objects gives the memory back, cleared. The sample predicts the watermark and
   checks the kernel's answer after every step, then makes the kernel refuse in each way that Retype can. */
#include "sample.h"

static seL4_CPtr untyped; /* what everything is made from */
static seL4_Word untyped_bytes;
static seL4_Word used; /* our prediction of its watermark, in bytes */

typedef struct kind {
    const char *name;
    seL4_Word type;
    seL4_Word size_bits;   /* Retype's argument */
    seL4_Word object_bits; /* the object's size */
    seL4_Word cap_type;    /* what DebugCapIdentify says */
} kind_t;

/* Large and small ones in turn, so that alignment costs something; the last one ends where the memory ends. */
static const kind_t kinds[] = {
    {"untyped", seL4_UntypedObject, 9, 9, RETRAP_CAP_UNTYPED},
    {"64 KiB page", seL4_ARM_LargePageObject, 0, seL4_LargePageBits, RETRAP_CAP_FRAME},
    {"endpoint", seL4_EndpointObject, 0, seL4_EndpointBits, RETRAP_CAP_ENDPOINT},
    {"TCB", seL4_TCBObject, 0, seL4_TCBBits, RETRAP_CAP_THREAD},
    {"page directory", seL4_ARM_PageDirectoryObject, 0, seL4_PageDirBits, RETRAP_CAP_PAGE_DIRECTORY},
    {"notification", seL4_NotificationObject, 0, seL4_NotificationBits, RETRAP_CAP_NOTIFICATION},
    {"4 KiB page", seL4_ARM_SmallPageObject, 0, seL4_PageBits, RETRAP_CAP_SMALL_FRAME},
    {"CNode", seL4_CapTableObject, 5, 5 + seL4_SlotBits, RETRAP_CAP_CNODE},
    {"page table", seL4_ARM_PageTableObject, 0, seL4_PageTableBits, RETRAP_CAP_PAGE_TABLE},
    {"1 MiB section", seL4_ARM_SectionObject, 0, seL4_SectionBits, RETRAP_CAP_FRAME},
    {"16 MiB supersection", seL4_ARM_SuperSectionObject, 0, seL4_SuperSectionBits, RETRAP_CAP_FRAME},
};

static seL4_Word align_up(seL4_Word value, seL4_Word bits)
{
    seL4_Word mask = (1u << bits) - 1;
    return (value + mask) & ~mask;
}

/* Ask for one object too many and compare the bytes that the kernel says are left with our prediction. */
static void check_left(seL4_CPtr from, seL4_Word left, seL4_Word bits, seL4_CPtr slot, const char *after)
{
    seL4_Word count = (left >> bits) + 1;
    CHECK(count <= CONFIG_RETYPE_FAN_OUT_LIMIT, "%s: %u objects cannot be asked for", after, count);
    expect(retype(from, seL4_UntypedObject, bits, slot, count), seL4_NotEnoughMemory, after);
    CHECK(seL4_GetMR(0) == left, "%s: the kernel says %u bytes are left, not %u", after, seL4_GetMR(0), left);
}

/* One object of each type. */
static void one_of_each(seL4_CPtr first)
{
    for (seL4_Word i = 0; i < ARRAY_LENGTH(kinds); i++) {
        const kind_t *kind = &kinds[i];
        expect(retype(untyped, kind->type, kind->size_bits, first + i, 1), seL4_NoError, kind->name);
        used = align_up(used, kind->object_bits) + (1u << kind->object_bits);
        CHECK(seL4_DebugCapIdentify(first + i) == kind->cap_type, "%s: capability type %u", kind->name,
              seL4_DebugCapIdentify(first + i));
        check_left(untyped, untyped_bytes - used, seL4_SectionBits, first + ARRAY_LENGTH(kinds), kind->name);
    }
}

static void check_empty(seL4_CPtr first, seL4_Word count, const char *when)
{
    for (seL4_Word i = 0; i < count; i++) {
        CHECK(seL4_DebugCapIdentify(first + i) == RETRAP_CAP_NULL, "%s: slot %u of %u still holds something", when,
              i, count);
    }
}

/* Fill a small untyped with one type of object, to the last byte, then give it back in two ways. */
static void fill(const kind_t *kind, seL4_CPtr small, seL4_Word small_bits, seL4_CPtr first)
{
    seL4_Word room = 1u << (small_bits - kind->object_bits);
    expect(retype(small, kind->type, kind->size_bits, first, room - 1), seL4_NoError, "filling an untyped");
    check_left(small, 1u << kind->object_bits, seL4_MinUntypedBits, first + room, "before the last one");
    expect(retype(small, kind->type, kind->size_bits, first + room - 1, 1), seL4_NoError, "the last one");
    check_left(small, 0, seL4_MinUntypedBits, first + room, "full");

    /* Delete all but one: the memory is not back, because the watermark only returns when nothing is left. */
    for (seL4_Word i = 0; i < room - 1; i++) {
        expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, first + i, seL4_WordBits), seL4_NoError, "CNode_Delete");
    }
    check_left(small, 0, seL4_MinUntypedBits, first, "one object left");
    expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, first + room - 1, seL4_WordBits), seL4_NoError, "the last");
    expect(retype(small, kind->type, kind->size_bits, first, room), seL4_NoError, "filling it again");
    expect(seL4_CNode_Revoke(seL4_CapInitThreadCNode, small, seL4_WordBits), seL4_NoError, "CNode_Revoke");
    check_empty(first, room, "after Revoke");
}

/* Memory that comes back is cleared: what was written into a frame is not in its successor. */
static void check_cleared(seL4_CPtr small, seL4_CPtr frame)
{
    seL4_Word address = new_pages(take_untyped(seL4_PageTableBits, 0), PAGE_SIZE);
    volatile seL4_Word *words = (volatile seL4_Word *)address;
    seL4_Word physical = 0;
    for (seL4_Word turn = 0; turn < 2; turn++) {
        expect(retype(small, seL4_ARM_SmallPageObject, 0, frame, 1), seL4_NoError, "a frame");
        seL4_ARM_Page_GetAddress_t where = seL4_ARM_Page_GetAddress(frame);
        expect((seL4_Word)where.error, seL4_NoError, "Page_GetAddress");
        CHECK(turn == 0 || where.paddr == physical, "the second frame is at %x, not %x", where.paddr, physical);
        physical = where.paddr;
        expect(seL4_ARM_Page_Map(frame, seL4_CapInitThreadVSpace, address, seL4_ReadWrite,
                                 seL4_ARM_Default_VMAttributes),
               seL4_NoError, "Page_Map");
        for (seL4_Word i = 0; i < PAGE_SIZE / sizeof(seL4_Word); i++) {
            CHECK(words[i] == 0, "turn %u: word %u of a fresh frame is %x", turn, i, words[i]);
            words[i] = 0xdead0000u + i;
        }
        expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, frame, seL4_WordBits), seL4_NoError, "CNode_Delete");
    }
}

static void refusals(seL4_CPtr small, seL4_CPtr first)
{
    expect(retype(small, seL4_ObjectTypeCount, 0, first, 1), seL4_InvalidArgument, "a type that does not exist");
    CHECK(seL4_GetMR(0) == 0, "argument %u is blamed for the type", seL4_GetMR(0));
    expect(retype(small, seL4_CapTableObject, 0, first, 1), seL4_InvalidArgument, "a CNode of one slot");
    CHECK(seL4_GetMR(0) == 1, "argument %u is blamed for the size", seL4_GetMR(0));
    expect(retype(small, seL4_UntypedObject, seL4_MinUntypedBits - 1, first, 1), seL4_InvalidArgument,
           "an untyped of 8 bytes");
    expect(retype(small, seL4_UntypedObject, seL4_MaxUntypedBits + 1, first, 1), seL4_RangeError,
           "an untyped of 1 GiB");
    CHECK(seL4_GetMR(1) == seL4_MaxUntypedBits, "the largest untyped is 2^%u", seL4_GetMR(1));
    expect(retype(small, seL4_EndpointObject, 0, first, 0), seL4_RangeError, "no objects");
    expect(retype(small, seL4_EndpointObject, 0, first, CONFIG_RETYPE_FAN_OUT_LIMIT + 1), seL4_RangeError,
           "too many at once");
    CHECK(seL4_GetMR(0) == 1 && seL4_GetMR(1) == CONFIG_RETYPE_FAN_OUT_LIMIT, "the range is %u to %u",
          seL4_GetMR(0), seL4_GetMR(1));
    expect(retype(small, seL4_EndpointObject, 0, boot_info->empty.end - 1, 2), seL4_RangeError, "past the CNode");
    CHECK(seL4_GetMR(1) == 1, "%u objects would fit", seL4_GetMR(1));
    expect(retype(small, seL4_EndpointObject, 0, boot_info->empty.end, 1), seL4_RangeError, "outside the CNode");
    CHECK(seL4_GetMR(1) == boot_info->empty.end - 1, "the last slot is %u", seL4_GetMR(1));
    expect(retype(small, seL4_EndpointObject, 0, seL4_CapInitThreadTCB, 1), seL4_DeleteFirst, "an occupied slot");
    expect(seL4_Untyped_Retype(small, seL4_EndpointObject, 0, small, 0, 0, first, 1), seL4_FailedLookup,
           "into something that is no CNode");
    check_empty(first, 2, "after refusals");

    /* Memory of devices can only become frames and smaller untypeds. */
    for (seL4_Word i = 0; i < untyped_count(); i++) {
        untyped_t device = untyped_at(i);
        if (device.is_device && device.size_bits >= seL4_PageBits) {
            expect(retype(device.cap, seL4_EndpointObject, 0, first, 1), seL4_InvalidArgument,
                   "an endpoint in a device");
            CHECK(seL4_GetMR(0) == 1, "argument %u is blamed for the device", seL4_GetMR(0));
            expect(retype(device.cap, seL4_ARM_SmallPageObject, 0, first, 1), seL4_NoError, "a frame of a device");
            expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, first, seL4_WordBits), seL4_NoError, "CNode_Delete");
            return;
        }
    }
}

void sample(void)
{
    const seL4_Word small_bits = 12;
    seL4_Word bits = 0;
    name_thread(seL4_CapInitThreadTCB, "retype");
    untyped = take_untyped(seL4_SuperSectionBits + 1, &bits);
    untyped_bytes = 1u << bits;

    seL4_CPtr first = new_slot();
    for (seL4_Word i = 0; i < CONFIG_RETYPE_FAN_OUT_LIMIT + 1; i++) {
        (void)new_slot();
    }
    one_of_each(first);
    say("one of each: %u bytes of 2^%u used\n", used, bits);
    expect(seL4_CNode_Revoke(seL4_CapInitThreadCNode, untyped, seL4_WordBits), seL4_NoError, "CNode_Revoke");
    check_empty(first, ARRAY_LENGTH(kinds), "after Revoke");

    /* An ASID pool is made from an untyped too, though not by Retype. */
    seL4_CPtr pool_memory = make(untyped, seL4_UntypedObject, seL4_ASIDPoolBits, 1);
    expect(seL4_ARM_ASIDControl_MakePool(seL4_CapASIDControl, pool_memory, seL4_CapInitThreadCNode, first,
                                         seL4_WordBits),
           seL4_NoError, "ASIDControl_MakePool");
    CHECK(seL4_DebugCapIdentify(first) == RETRAP_CAP_ASID_POOL, "the ASID pool is none");
    check_left(pool_memory, 0, seL4_MinUntypedBits, first + 1, "an untyped that became an ASID pool");
    expect(seL4_CNode_Delete(seL4_CapInitThreadCNode, first, seL4_WordBits), seL4_NoError, "CNode_Delete");

    seL4_CPtr small = make(untyped, seL4_UntypedObject, small_bits, 1);
    for (seL4_Word i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (kinds[i].object_bits < small_bits) {
            fill(&kinds[i], small, small_bits, first);
        }
    }
    check_cleared(small, first);
    refusals(small, first);
}
