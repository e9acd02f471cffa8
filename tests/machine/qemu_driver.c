/* Runs instruction cases in User mode under qemu-arm. Built by the tests; see qemu_cpu.py for the records.
 *
 * A case is started by returning from a signal handler into it, and ends with the signal that its last
 * instruction, or the undefined instruction after it, raises: so every register is seen as it was. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x10000u
#define CODE_SIZE 0x3000u
#define DATA 0x200000u
#define DATA_SIZE 0x2000u
#define CONST 0x300000u
#define CONST_SIZE 0x1000u

struct in {
    uint32_t start, cpsr, place, length, stop, stop_thumb, r[15];
    uint8_t code[32];
};

struct out {
    uint32_t signal, address, pc, cpsr, r[15], first, length;
    uint8_t bytes[128];
};

static uint8_t original[DATA_SIZE];
static uint8_t stack[65536];
static struct in in, before;
static struct out out;
static uint32_t saved;
static int running;

static void all(int (*step)(void *, size_t), void *at, size_t size)
{
    if (step(at, size))
        _exit(0);
}

static int get(void *at, size_t size)
{
    while (size) {
        ssize_t n = read(0, at, size);
        if (n <= 0)
            return 1;
        at = (char *)at + n;
        size -= n;
    }
    return 0;
}

static int put(void *at, size_t size)
{
    return write(1, at, size) != (ssize_t)size;
}

static void changes(void)
{
    uint8_t *data = (uint8_t *)DATA;
    out.first = out.length = 0;
    if (!memcmp(data, original, DATA_SIZE))
        return;
    uint32_t first = 0, last = DATA_SIZE - 1;
    while (data[first] == original[first])
        first++;
    while (data[last] == original[last])
        last--;
    out.first = first;
    out.length = last - first + 1;
    memcpy(out.bytes, data + first, out.length < 128 ? out.length : 128);
    memcpy(data + first, original + first, out.length);
}

static void protect(int rights)
{
    if (mprotect((void *)CODE, CODE_SIZE, rights))
        _exit(3);
}

/* The code of a case instead of that of the one before. Cases with the same code need not wait for this. */
static void put_code(void)
{
    protect(PROT_READ | PROT_WRITE);
    if (before.place)
        memset((void *)before.place, 0, before.length);
    if (before.stop)
        memcpy((void *)before.stop, &saved, 4);
    if (in.stop) {
        uint32_t udf = 0xe7f000f0, udf_thumb = 0xde00de00;
        memcpy(&saved, (void *)in.stop, 4);
        memcpy((void *)in.stop, in.stop_thumb ? &udf_thumb : &udf, 4);
    }
    memcpy((void *)in.place, in.code, in.length);
    __builtin___clear_cache((char *)CODE, (char *)CODE + CODE_SIZE);
    protect(PROT_READ | PROT_EXEC);
}

static void handler(int number, siginfo_t *info, void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
    unsigned long *r = &m->arm_r0;
    if (running) {
        out.signal = number;
        out.address = (uint32_t)info->si_addr;
        out.pc = m->arm_pc;
        out.cpsr = m->arm_cpsr;
        for (int n = 0; n < 15; n++)
            out.r[n] = r[n];
        changes();
        all(put, &out, sizeof out);
        before = in;
    }
    running = 1;
    all(get, &in, sizeof in);
    if (in.stop || before.stop || in.place != before.place || memcmp(in.code, before.code, sizeof in.code))
        put_code();
    for (int n = 0; n < 15; n++)
        r[n] = in.r[n];
    m->arm_pc = in.start;
    m->arm_cpsr = in.cpsr;
    alarm(10); /* of what loops */
}

static void map(uint32_t at, uint32_t size)
{
    void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (p != (void *)at)
        _exit(2);
}

int main(void)
{
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGALRM, SIGUSR1};
    map(CODE, CODE_SIZE);
    map(DATA, DATA_SIZE);
    map(CONST, CONST_SIZE);
    all(get, (void *)DATA, DATA_SIZE);
    all(get, (void *)CONST, CONST_SIZE);
    memcpy(original, (void *)DATA, DATA_SIZE);
    mprotect((void *)CONST, CONST_SIZE, PROT_READ);
    signal(SIGPIPE, SIG_IGN); /* a reader that is gone is an error of write */
    sigaltstack(&alternate, 0);
    for (unsigned n = 0; n < sizeof signals / sizeof *signals; n++)
        sigaction(signals[n], &action, 0);
    raise(SIGUSR1);
    return 1;
}
