/* Floating point on operands at every boundary, in the manner of TestFloat: each operation on each pair, results (as
 * bits) into a hash. Without hardware the compiler's library computes; with it, also each rounding mode, flush to
 * zero and default NaN, and the exception flags are part of the results. */
#include "start.h"

static const uint32_t singles[] = {
    0x00000000, 0x80000000, 0x00000001, 0x007fffff, 0x00800000, 0x80800001, 0x33000000, 0x3effffff, 0x3f000000,
    0x3f7fffff, 0x3f800000, 0xbf800001, 0x40490fdb, 0x4b000001, 0xcf000000, 0x4effffff, 0x5f800000, 0x7e7fffff,
    0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffbfffff,
};
static const uint64_t doubles[] = {
    0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x000fffffffffffff, 0x0010000000000000,
    0x3690000000000000, 0x380fffffe0000000, 0x3ca0000000000001, 0x3fe0000000000000, 0x3fefffffffffffff,
    0x3ff0000000000000, 0xbff0000000000001, 0x400921fb54442d18, 0x41dfffffffc00000, 0xc1e0000000000000,
    0x41efffffffe00000, 0x43e0000000000000, 0x47efffffe0000000, 0x47efffffefffffff, 0x7fefffffffffffff,
    0xffefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
};
enum { SINGLES = sizeof singles / sizeof *singles, DOUBLES = sizeof doubles / sizeof *doubles };

static float single(int n)
{
    float x;
    memcpy(&x, singles + n, sizeof x);
    return x;
}

static double double_(int n)
{
    double x;
    memcpy(&x, doubles + n, sizeof x);
    return x;
}

#ifdef __VFP_FP__
#ifndef __SOFTFP__
#define HARDWARE
#endif
#endif

static void hash_single(float x) { hash(&x, sizeof x); }
static void hash_double(double x) { hash(&x, sizeof x); }

#ifdef HARDWARE
static void set_status(uint32_t x) { __asm__ volatile("vmsr fpscr, %0" ::"r"(x)); }
static uint32_t status(void)
{
    uint32_t x;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(x)::"memory");
    return x & 0x0fffffff; /* without the flags of comparisons */
}
static void hash_status(void)
{
    uint32_t x = status();
    hash(&x, sizeof x);
    set_status(x & 0x07c00000);
}
#endif

static void single_pairs(void)
{
    for (int i = 0; i < SINGLES; i++)
        for (int j = 0; j < SINGLES; j++) {
            volatile float x = single(i), y = single(j);
            hash_single(x + y), hash_single(x - y), hash_single(x * y), hash_single(x / y);
            uint8_t order = (x < y) | (x <= y) << 1 | (x == y) << 2 | (x >= y) << 3 | (x > y) << 4 | (x != y) << 5;
            hash(&order, 1);
#ifdef HARDWARE
            hash_status();
#endif
        }
}

static void double_pairs(void)
{
    for (int i = 0; i < DOUBLES; i++)
        for (int j = 0; j < DOUBLES; j++) {
            volatile double x = double_(i), y = double_(j);
            hash_double(x + y), hash_double(x - y), hash_double(x * y), hash_double(x / y);
            uint8_t order = (x < y) | (x <= y) << 1 | (x == y) << 2 | (x >= y) << 3 | (x > y) << 4 | (x != y) << 5;
            hash(&order, 1);
#ifdef HARDWARE
            hash_status();
#endif
        }
}

/* Whether a conversion to an integer has a defined result in C. */
static int fits(double x, double low, double high)
{
    return x > low && x < high;
}

static void conversions(void)
{
    static const uint64_t integers[] = {0, 1, 2, 0x7f, 0x80, 0xffffff, 0x1000001, 0x7fffffff, 0x80000000, 0xffffffff,
                                        0x100000000, 0x20000000000001, 0x7fffffffffffffff, 0x8000000000000000,
                                        0xffffffffffffffff, 0x8000000000000401, 0x4000008000000001};
    for (unsigned i = 0; i < sizeof integers / sizeof *integers; i++) {
        volatile uint64_t u = integers[i];
        hash_single((float)(int32_t)u), hash_single((float)(uint32_t)u), hash_single((float)(int64_t)u);
        hash_single((float)u), hash_double((double)(int32_t)u), hash_double((double)(uint32_t)u);
        hash_double((double)(int64_t)u), hash_double((double)u);
    }
    for (int i = 0; i < SINGLES; i++) {
        volatile float x = single(i);
        hash_double(x);
        int32_t s = fits(x, -2147483648.0, 2147483648.0) ? (int32_t)x : 0;
        uint64_t u = fits(x, -1.0, 18446744073709551616.0) ? (uint64_t)x : 0;
        hash(&s, sizeof s), hash(&u, sizeof u);
    }
    for (int i = 0; i < DOUBLES; i++) {
        volatile double x = double_(i);
        hash_single(x);
        uint32_t u = fits(x, -1.0, 4294967296.0) ? (uint32_t)x : 0;
        int64_t s = fits(x, -9223372036854775808.0, 9223372036854775808.0) ? (int64_t)x : 0;
        hash(&u, sizeof u), hash(&s, sizeof s);
    }
#ifdef HARDWARE
    hash_status();
#endif
}

#ifdef HARDWARE
/* Instructions that C does not reach with certainty, and conversions out of range. */
static void instructions(void)
{
    for (int i = 0; i < SINGLES; i++) {
        float x = single(i), r;
        uint32_t n;
        __asm__ volatile("vsqrt.f32 %0, %1" : "=t"(r) : "t"(x));
        hash_single(r);
        __asm__ volatile("vcvt.s32.f32 %0, %1" : "=t"(r) : "t"(x));
        hash_single(r);
        __asm__ volatile("vcvtr.u32.f32 %0, %1" : "=t"(r) : "t"(x));
        hash_single(r);
        __asm__ volatile("vcmpe.f32 %1, #0\n\tvmrs %0, fpscr" : "=r"(n) : "t"(x));
        hash(&n, sizeof n);
        for (int j = 0; j < SINGLES; j += 3) {
            float y = single(j), z = single((i + j) % SINGLES);
            r = z;
            __asm__ volatile("vmla.f32 %0, %1, %2" : "+t"(r) : "t"(x), "t"(y));
            hash_single(r), r = z;
            __asm__ volatile("vnmls.f32 %0, %1, %2" : "+t"(r) : "t"(x), "t"(y));
            hash_single(r);
#ifdef __ARM_FEATURE_FMA
            r = z;
            __asm__ volatile("vfma.f32 %0, %1, %2" : "+t"(r) : "t"(x), "t"(y));
            hash_single(r), r = z;
            __asm__ volatile("vfnms.f32 %0, %1, %2" : "+t"(r) : "t"(x), "t"(y));
            hash_single(r);
#endif
            hash_status();
        }
    }
    for (int i = 0; i < DOUBLES; i++) {
        double x = double_(i), r;
        float f;
        __asm__ volatile("vsqrt.f64 %P0, %P1" : "=w"(r) : "w"(x));
        hash_double(r);
        __asm__ volatile("vcvtr.s32.f64 %0, %P1" : "=t"(f) : "w"(x));
        hash_single(f);
        __asm__ volatile("vcvt.u32.f64 %0, %P1" : "=t"(f) : "w"(x));
        hash_single(f);
        for (int j = 0; j < DOUBLES; j += 3) {
            double y = double_(j), z = double_((i + j) % DOUBLES);
            r = z;
            __asm__ volatile("vmls.f64 %P0, %P1, %P2" : "+w"(r) : "w"(x), "w"(y));
            hash_double(r);
#ifdef __ARM_FEATURE_FMA
            r = z;
            __asm__ volatile("vfms.f64 %P0, %P1, %P2" : "+w"(r) : "w"(x), "w"(y));
            hash_double(r);
#endif
            hash_status();
        }
    }
#ifdef __ARM_NEON
    for (int i = 0; i < DOUBLES; i++)
        for (int j = 0; j < DOUBLES; j++) {
            double x = double_(i), y = double_(j), r;
            __asm__ volatile("vadd.f32 %P0, %P1, %P2" : "=w"(r) : "w"(x), "w"(y));
            hash_double(r);
            __asm__ volatile("vrecps.f32 %P0, %P1, %P2" : "=w"(r) : "w"(x), "w"(y));
            hash_double(r);
            __asm__ volatile("vrsqrts.f32 %P0, %P1, %P2" : "=w"(r) : "w"(x), "w"(y));
            hash_double(r);
            __asm__ volatile("vmax.f32 %P0, %P1, %P2" : "=w"(r) : "w"(x), "w"(y));
            hash_double(r);
            __asm__ volatile("vrecpe.f32 %P0, %P1" : "=w"(r) : "w"(x));
            hash_double(r);
            hash_status();
        }
#endif
}
#endif

int run(void)
{
#ifdef HARDWARE
    static const uint32_t modes[] = {0, 1 << 22, 2 << 22 | 1 << 25, 3 << 22 | 1 << 24};
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
        set_status(modes[i]);
        hash_begin();
        instructions();
        report("instructions");
#else
    for (int i = 0; i < 1; i++) {
#endif
        hash_begin();
        single_pairs();
        report("singles");
        hash_begin();
        double_pairs();
        report("doubles");
        hash_begin();
        conversions();
        report("conversions");
    }
    return 0;
}
