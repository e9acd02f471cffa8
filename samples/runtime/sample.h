/* What every sample shares: entry, printing, verdict, arguments, and a small allocator of objects and slots. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "release.h"
#include "sel4.h"

#define PAGE_SIZE (1u << seL4_PageBits)
#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* The sample itself; it ends by returning (PASS) or by fail(). */
void sample(void);

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

/* An error code in words. */
const char *error_name(seL4_Word error);

/* Fail unless an invocation answered with the error code that is wanted here. */
void expect(seL4_Word error, seL4_Word wanted, const char *what);

/* The number after "name=" in the boot arguments (/chosen/bootargs of the device tree), or a default. */
seL4_Word argument(const char *name, seL4_Word otherwise);

/* The next slot of the initial CNode that nobody uses. */
seL4_CPtr new_slot(void);

/* The smallest untyped capability of RAM with at least that many bits, each handed out only once. */
seL4_CPtr take_untyped(seL4_Word bits, seL4_Word *actual_bits);

/* Make `count` objects from an untyped, in fresh consecutive slots; the first slot. Fails on any error. */
seL4_CPtr make(seL4_CPtr untyped, seL4_Word type, seL4_Word size_bits, seL4_Word count);

/* As seL4_Untyped_Retype into consecutive slots of the initial CNode. */
seL4_Error retype(seL4_CPtr untyped, seL4_Word type, seL4_Word size_bits, seL4_CPtr slot, seL4_Word count);

/* A thread and what it needs. */
typedef struct thread {
    seL4_CPtr tcb;
    seL4_CPtr buffer_frame;
    seL4_IPCBuffer *buffer;
} thread_t;

typedef void (*thread_function)(seL4_Word argument);

/* Make a thread in the initial thread's spaces from an untyped and start it: an IPC buffer frame of its own,
   mapped at a fresh address; a stack of `stack_bytes` at `stack`; a fault handler endpoint or 0. */
thread_t start_thread(seL4_CPtr untyped, const char *name, thread_function function, seL4_Word argument,
                      seL4_Word priority, void *stack, seL4_Word stack_bytes, seL4_CPtr fault_endpoint);

/* An address range for `bytes` (rounded up to pages) that nothing is mapped at, its page table present. */
seL4_Word new_pages(seL4_CPtr untyped, seL4_Word bytes);

/* Make a thread run `function(argument)`: fill in the registers that thread_start expects. */
void thread_registers(seL4_UserContext *registers, thread_function function, seL4_Word argument,
                      seL4_IPCBuffer *buffer, void *stack_top);

extern char image_start[], constants_start[], data_start[], image_end[];

#endif
