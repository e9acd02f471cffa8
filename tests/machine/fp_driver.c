/* Runs single instructions under qemu-arm (or on ARM Linux) and reports the state after each, VFP included.
 *
 * Everything happens in a signal handler. A case is put into the interrupted context, the kernel's sigreturn
 * loads it (core and VFP registers, flags, ITSTATE), the instruction runs, and what follows it in memory is
 * undefined: the next signal brings the handler back with the new context. So the signal tells how the
 * instruction ended: SIGILL behind it, it is done; SIGILL at it, UNDEFINED; SIGSEGV and SIGBUS, an abort.
 *
 * Input: a header (addresses, sizes, the data pages' contents), then cases until the end. Output: one record a
 * case, with the part of the data pages that changed. Cases that follow each other with the same code are quick:
 * the code is left as it is. See fp_qemu.py, which says the same in Python. It needs no C library: any ARM
 * compiler will do.
 */
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned char u8;

struct header { u32 code, code_size, data, data_size; };
struct testcase { u32 r[15], pc, cpsr, fpscr; u64 d[32]; u32 place, code[5]; };
struct outcome { u32 signal, address, r[16], cpsr, fpscr; u64 d[32]; u32 first, length; u8 bytes[128]; };

/* What the kernel hands to a handler of three arguments, up to what is used of it. */
struct context {
    u32 flags, link, stack[3];
    u32 trap, error, oldmask, r[16], cpsr, fault;
    u32 mask[32];
    u32 vfp_magic, vfp_size;
    u64 d[32];
    u32 fpscr;
};
struct information { u32 number, error, code, address; };
struct action { void *handler; u32 flags; void *restorer; u32 mask[2]; };
struct signal_stack { void *base; u32 flags, size; };

enum { EXIT = 1, READ = 3, WRITE = 4, MPROTECT = 125, RT_SIGACTION = 174, SIGALTSTACK = 186, MMAP2 = 192, CACHEFLUSH = 0xf0002 };
enum { SIGINFO = 4, RESTORER = 0x04000000, ONSTACK = 0x08000000, NODEFER = 0x40000000 };
enum { VFP_MAGIC = 0x56465001, UNDEFINED_THUMB = 0xde00de00 };

static struct header header;
static struct testcase testcase;
static struct outcome outcome;
static u8 pristine[1 << 20] __attribute__((aligned(8)));
static u8 stack[65536] __attribute__((aligned(8)));
static int started;

static u32 call(u32 number, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f)
{
    register u32 r0 asm("r0") = a, r1 asm("r1") = b, r2 asm("r2") = c, r3 asm("r3") = d;
    register u32 r4 asm("r4") = e, r5 asm("r5") = f, r7 asm("r7") = number;
    asm volatile("svc 0" : "+r"(r0) : "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5), "r"(r7) : "memory");
    return r0;
}

static void leave(u32 status)
{
    for (;;)
        call(EXIT, status, 0, 0, 0, 0, 0);
}

static void receive(void *to, u32 size)
{
    for (u8 *p = to; size;) {
        int n = call(READ, 0, (u32)p, size, 0, 0, 0);
        if (n <= 0)
            leave(n < 0 || p != to);
        p += n, size -= n;
    }
}

static void send(const void *from, u32 size)
{
    for (const u8 *p = from; size;) {
        int n = call(WRITE, 1, (u32)p, size, 0, 0, 0);
        if (n <= 0)
            leave(2);
        p += n, size -= n;
    }
}

static void copy(void *to, const void *from, u32 size)
{
    for (u32 n = 0; n < size / 4; n++)
        ((volatile u32 *)to)[n] = ((const u32 *)from)[n];
}

/* What the instruction wrote: into the outcome, and back to what it was. */
static void changes(void)
{
    u32 *now = (u32 *)header.data, *then = (u32 *)pristine, first = 0, last = header.data_size / 4;
    outcome.first = outcome.length = 0;
    while (first < last && now[first] == then[first])
        first++;
    if (first == last)
        return;
    while (now[last - 1] == then[last - 1])
        last--;
    outcome.first = first * 4;
    outcome.length = (last - first) * 4;
    copy(outcome.bytes, now + first, outcome.length < sizeof outcome.bytes ? outcome.length : sizeof outcome.bytes);
    copy(now + first, then + first, outcome.length);
}

static int same(const u32 *a, const u32 *b, u32 size)
{
    for (u32 n = 0; n < size / 4; n++)
        if (a[n] != b[n])
            return 0;
    return 1;
}

static void handler(u32 number, struct information *information, struct context *context)
{
    if (context->vfp_magic != VFP_MAGIC)
        leave(3);
    if (started) {
        outcome.signal = number;
        outcome.address = information->address;
        copy(outcome.r, context->r, sizeof outcome.r);
        outcome.cpsr = context->cpsr;
        outcome.fpscr = context->fpscr;
        copy(outcome.d, context->d, sizeof outcome.d);
        changes();
        send(&outcome, sizeof outcome);
    }
    started = 1;
    receive(&testcase, sizeof testcase);
    if (!same((u32 *)testcase.place, testcase.code, sizeof testcase.code)) {
        call(MPROTECT, header.code, header.code_size, 7, 0, 0, 0);
        copy((void *)testcase.place, testcase.code, sizeof testcase.code);
        call(MPROTECT, header.code, header.code_size, 5, 0, 0, 0);
        call(CACHEFLUSH, testcase.place, testcase.place + sizeof testcase.code, 0, 0, 0, 0);
    }
    copy(context->r, testcase.r, sizeof testcase.r);
    context->r[15] = testcase.pc;
    context->cpsr = testcase.cpsr;
    context->fpscr = testcase.fpscr;
    copy(context->d, testcase.d, sizeof testcase.d);
}

static __attribute__((naked)) void restorer(void)
{
    asm("mov r7, #173\n svc 0"); /* rt_sigreturn */
}

static void map(u32 address, u32 size, u32 rights)
{
    if (call(MMAP2, address, size, rights, 0x32, -1, 0) != address) /* private, fixed, anonymous */
        leave(4);
}

void _start(void)
{
    static const int numbers[] = {4, 5, 7, 8, 11}; /* SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV */
    struct action action = {handler, SIGINFO | RESTORER | ONSTACK | NODEFER, restorer, {0, 0}};
    struct signal_stack alternative = {stack, 0, sizeof stack};
    receive(&header, sizeof header);
    if (header.data_size > sizeof pristine)
        leave(5);
    map(header.code, header.code_size, 7);
    map(header.data, header.data_size, 3);
    receive(pristine, header.data_size);
    copy((void *)header.data, pristine, header.data_size);
    for (u32 n = 0; n < header.code_size / 4; n++)
        ((volatile u32 *)header.code)[n] = UNDEFINED_THUMB;
    call(SIGALTSTACK, (u32)&alternative, 0, 0, 0, 0, 0);
    for (u32 n = 0; n < sizeof numbers / sizeof *numbers; n++)
        call(RT_SIGACTION, numbers[n], (u32)&action, 0, 8, 0, 0);
    asm volatile(".word 0xe7f000f0"); /* UDF: enter the handler for the first case */
    leave(6);
}
