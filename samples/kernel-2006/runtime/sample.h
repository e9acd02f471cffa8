/* What the samples for the 2006 kernel share: entry, printing, verdict, memory, threads. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "sel4.h"

#define PAGE_SIZE (1u << seL4_PageBits)
#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* The sample itself; it ends by returning (PASS) or by fail(). */
void sample(void);

extern seL4_BootInfo *boot_info;

/* Formatted output on the debug console: %s %c %d %u %x %%. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print "FAIL: reason" and halt. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define CHECK(condition, ...)  \
    do {                       \
        if (!(condition)) {    \
            fail(__VA_ARGS__); \
        }                      \
    } while (0)

/* Fail unless an invocation answered with the error code that is wanted here. */
void expect(seL4_Word error, seL4_Word wanted, const char *what);

/* The next slots of the initial CNode that nobody uses. */
seL4_CPtr new_slots(seL4_Word count);

/* Untyped memory of exactly 2^bits bytes: larger pieces are halved until one fits. */
seL4_CPtr take_untyped(seL4_Word bits);

/* Divide an untyped into objects, with capabilities in consecutive slots of the initial CNode. */
seL4_Error divide(seL4_CPtr untyped, seL4_Word type, seL4_Word size_bits, seL4_CPtr first);

/* One object, from memory of exactly its size, in a fresh slot. */
seL4_CPtr make(seL4_Word type, seL4_Word size_bits);

/* Put user data of a page at a virtual address, with those rights; the CNode for its MiB is made if need be. */
void show(seL4_CPtr data, seL4_Word address, seL4_CapRights_t rights);

/* Take away what is at a virtual address. */
void hide(seL4_Word address);

typedef void (*thread_function)(seL4_Word argument);

/* A thread in the initial thread's spaces that runs `function(argument)`, with an IPC buffer and stack of its own. */
seL4_CPtr start_thread(thread_function function, seL4_Word argument, seL4_Word priority, seL4_CPtr fault_endpoint);

#endif
