/* Entry of the root task and of every thread that the runtime makes. Always ARM state: the kernel starts
   threads with CPSR.T clear, so Thumb code is entered by an interworking call. */

    .syntax unified
    .arm

    /* R0: address of the boot information. */
    .section .text.start, "ax", %progbits
    .global _start
    .type _start, %function
_start:
    ldr     sp, =root_stack_top
    mov     fp, #0
    bl      root_main
1:  b       1b
    .size _start, . - _start

    /* R0: function, R1: its argument, R2: the thread's IPC buffer. */
    .global thread_start
    .type thread_start, %function
thread_start:
    mov     fp, #0
    bl      thread_main
1:  b       1b
    .size thread_start, . - thread_start

    .bss
    .balign 8
    .space  0x4000
root_stack_top:

    .section .note.GNU-stack, "", %progbits
