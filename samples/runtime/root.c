/* Entry of the root task in C, and its arguments. */
#include "sample.h"

seL4_BootInfo *boot_info;

void root_main(seL4_BootInfo *info);
void thread_main(thread_function function, seL4_Word argument, seL4_IPCBuffer *buffer);

void root_main(seL4_BootInfo *info)
{
    boot_info = info;
    seL4_SetIPCBuffer(info->ipcBuffer);
    sample();
    say("PASS\n");
    for (;;) {
        seL4_DebugHalt();
    }
}

void thread_main(thread_function function, seL4_Word argument, seL4_IPCBuffer *buffer)
{
    seL4_SetIPCBuffer(buffer);
    function(argument);
    fail("a thread returned");
}

/* --- the device tree, as far as the arguments need it (Devicetree Specification 0.4, chapter 5) */

enum { FDT_MAGIC = 0xd00dfeed, FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_NOP = 4 };

static seL4_Word big_endian(const unsigned char *at)
{
    return (seL4_Word)at[0] << 24 | (seL4_Word)at[1] << 16 | (seL4_Word)at[2] << 8 | at[3];
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* The value of a property "bootargs" of a node "chosen" at the first level below the root. */
static const char *find_arguments(const unsigned char *tree)
{
    const unsigned char *at = tree + big_endian(tree + 8);
    const char *strings = (const char *)tree + big_endian(tree + 12);
    int depth = 0;
    int chosen = 0;
    if (big_endian(tree) != FDT_MAGIC) {
        return "";
    }
    for (;;) {
        seL4_Word token = big_endian(at);
        at += 4;
        if (token == FDT_BEGIN_NODE) {
            depth++;
            chosen = depth == 2 && same((const char *)at, "chosen");
            while (*at) {
                at++;
            }
            at = (const unsigned char *)(((seL4_Word)at + 4) & ~3u);
        } else if (token == FDT_END_NODE) {
            depth--;
            chosen = 0;
        } else if (token == FDT_PROP) {
            if (chosen && same(strings + big_endian(at + 4), "bootargs")) {
                return (const char *)at + 8;
            }
            at += 8 + ((big_endian(at) + 3) & ~3u);
        } else if (token != FDT_NOP) {
            return "";
        }
    }
}

static const char *boot_arguments(void)
{
    const unsigned char *chunk = (const unsigned char *)boot_info + seL4_BootInfoFrameSize;
    const unsigned char *end = chunk + extra_boot_info_bytes();
    while (chunk + sizeof(seL4_BootInfoHeader) <= end) {
        const seL4_BootInfoHeader *header = (const seL4_BootInfoHeader *)chunk;
        if (header->id == SEL4_BOOTINFO_HEADER_FDT) {
            return find_arguments(chunk + sizeof(*header));
        }
        if (header->len < sizeof(*header)) {
            break;
        }
        chunk += header->len;
    }
    return "";
}

seL4_Word argument(const char *name, seL4_Word otherwise)
{
    const char *at = boot_arguments();
    while (*at) {
        const char *wanted = name;
        while (*at == ' ') {
            at++;
        }
        while (*wanted && *at == *wanted) {
            at++;
            wanted++;
        }
        if (!*wanted && *at == '=') {
            seL4_Word value = 0;
            for (at++; *at >= '0' && *at <= '9'; at++) {
                value = value * 10 + (seL4_Word)(*at - '0');
            }
            return value;
        }
        while (*at && *at != ' ') {
            at++;
        }
    }
    return otherwise;
}
