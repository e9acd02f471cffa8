/* Entry of the root task and of threads in C. */
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
