/* What the samples of behaviour changes share. The initial thread stays the most urgent one (priority 255); the
   others run when it waits. */
#ifndef ROWS_H
#define ROWS_H

#include "sample.h"

/* An object of a type that has one size, in a fresh slot. */
seL4_CPtr object(seL4_Word type);

/* A copy of a capability with other rights (1 write, 2 read, 4 grant, 8 grant reply) and a badge. */
seL4_CPtr minted(seL4_CPtr cap, seL4_Word rights, seL4_Word badge);

enum { WRITE = 1, READ = 2, GRANT = 4, GRANT_REPLY = 8 };

/* A page of device memory, mapped at a fresh address. */
seL4_Word device_page(seL4_Word physical);

/* An interrupt handler whose interrupts signal a notification. */
seL4_CPtr interrupt_handler(seL4_Word irq, seL4_CPtr notification);

/* A thread in the initial thread's spaces, with a stack and an IPC buffer of its own; it is ready to run. */
thread_t child(const char *name, thread_function function, seL4_Word argument, seL4_Word priority,
               seL4_CPtr handler);

/* Wait until every other thread waits, too. */
void let_others_run(void);

/* A system call with exactly these registers; what is in them afterwards. */
seL4_TrapFrame trap(seL4_Word syscall, seL4_Word r0, seL4_Word r1, seL4_Word r2, seL4_Word r3, seL4_Word r4,
                    seL4_Word r5);

/* seL4_Call of a capability with a label, extra capabilities as they are in the buffer, and up to four words. */
seL4_TrapFrame invoke(seL4_CPtr cap, seL4_Word label, seL4_Word caps, seL4_Word length, seL4_Word mr0,
                      seL4_Word mr1, seL4_Word mr2, seL4_Word mr3);

/* Print "what: label=… length=… mr0=… mr1=…" of a message in registers, as far as it is long. */
void show_message(const char *what, const seL4_TrapFrame *frame);

/* Print "what: name of the error", with the words that come with it. */
void show_error(const char *what, const seL4_TrapFrame *frame);

/* Wait forever. */
void stop(void) __attribute__((noreturn));

/* The end of the sample: the machine halts. */
void done(void) __attribute__((noreturn));

#endif
