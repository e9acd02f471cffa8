/* Floating-point kernels: transforms, matrices, series, conversions. Every bit of every result is hashed. */
#include "start.h"

static double re[64], im[64];
static float a[12][12], b[12][12], c[12][12];

static double power(double x, int n)
{
    double result = 1;
    for (; n; n >>= 1, x *= x)
        if (n & 1)
            result *= x;
    return result;
}

static double sine(double x)
{
    double term = x, sum = x;
    for (int n = 2; n < 24; n += 2) {
        term *= -x * x / (n * (n + 1));
        sum += term;
    }
    return sum;
}

static double root(double x)
{
    double guess = x > 1 ? x / 2 : 1;
    for (int i = 0; i < 30; i++)
        guess = (guess + x / guess) / 2;
    return guess;
}

static void transform(void)
{
    for (int i = 0, j = 0; i < 64; i++) {
        if (i < j) {
            double t = re[i];
            re[i] = re[j];
            re[j] = t;
            t = im[i];
            im[i] = im[j];
            im[j] = t;
        }
        int bit = 32;
        for (; bit & j; bit >>= 1)
            j ^= bit;
        j |= bit;
    }
    for (int length = 2; length <= 64; length *= 2)
        for (int first = 0; first < 64; first += length)
            for (int k = 0; k < length / 2; k++) {
                double angle = -6.283185307179586 * k / length;
                double wr = sine(angle + 1.5707963267948966), wi = sine(angle);
                int p = first + k, q = p + length / 2;
                double xr = re[q] * wr - im[q] * wi, xi = re[q] * wi + im[q] * wr;
                re[q] = re[p] - xr;
                im[q] = im[p] - xi;
                re[p] += xr;
                im[p] += xi;
            }
}

static float average(const float *x, int n)
{
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum / n;
}

/* Integer lanes that a vectorising compiler puts side by side. */
static uint8_t bytes[256];
static int16_t halves[256];
static int32_t words[256];

static void lanes(void)
{
    for (int i = 0; i < 256; i++) {
        bytes[i] = random32();
        halves[i] = random32();
        words[i] = random32();
    }
    for (int i = 0; i < 256; i++)
        words[i] += halves[i] * bytes[i];
    for (int i = 0; i < 256; i++)
        halves[i] = words[i] > 30000 ? 30000 : words[i] < -30000 ? -30000 : words[i];
    for (int i = 0; i < 256; i++)
        bytes[i] = (bytes[i] + (bytes[255 - i] >> 1) + 1) >> 1;
    int32_t sum = 0;
    uint32_t most = 0;
    for (int i = 0; i < 256; i++) {
        sum += halves[i];
        if (bytes[i] > most)
            most = bytes[i];
    }
    hash(&sum, sizeof sum);
    hash(&most, sizeof most);
    hash(bytes, sizeof bytes);
    hash(halves, sizeof halves);
    hash(words, sizeof words);
}

int run(void)
{
    hash_begin();
    for (int i = 0; i < 64; i++) {
        re[i] = (double)(int32_t)random32() / 65536;
        im[i] = i * 0.25;
    }
    transform();
    hash(re, sizeof re);
    hash(im, sizeof im);
    report("transform");

    hash_begin();
    for (int i = 0; i < 12; i++)
        for (int j = 0; j < 12; j++) {
            a[i][j] = (float)(int32_t)random32() * 1e-6f;
            b[i][j] = (float)random32() / (1 << (j + 3));
        }
    for (int i = 0; i < 12; i++)
        for (int j = 0; j < 12; j++) {
            float sum = 0;
            for (int k = 0; k < 12; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    hash(c, sizeof c);
    for (int i = 0; i < 12; i++) {
        float mean = average(c[i], 12);
        hash(&mean, sizeof mean);
    }
    report("matrix");

    hash_begin();
    static const double numbers[] = {0.0, 1.0, -1.5, 3.25e-300, 1e300, 2147483647.0, -2147483648.0, 4294967295.0,
                                     0.1, 1e18, -9.2e18, 5e-324, 1.7976931348623157e308, 123456.789};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        volatile double x = numbers[i];
        volatile float f = x;
        double results[] = {x + 1, x * 3, x - 0.1, x / 7, (double)f, x * x, -x, x < 0 ? -x : x};
        hash(results, sizeof results);
        if (x > -2e9 && x < 2e9) {
            int32_t n = x;
            int64_t wide = x * 1e6;
            hash(&n, sizeof n);
            hash(&wide, sizeof wide);
        }
        for (unsigned j = 0; j < sizeof numbers / sizeof *numbers; j++) {
            volatile double y = numbers[j];
            int order = (x < y) | (x <= y) << 1 | (x == y) << 2 | (x != y) << 3 | (x > y) << 4 | (x >= y) << 5;
            double sum = x + y, product = x * y, difference = x - y;
            hash(&order, sizeof order);
            hash(&sum, sizeof sum);
            hash(&product, sizeof product);
            hash(&difference, sizeof difference);
        }
    }
    for (int i = 0; i < 50; i++) {
        uint64_t n = (uint64_t)random32() << (i % 32) | random32();
        double x = (double)n, y = (double)(int64_t)(n << 1);
        float f = (float)n, g = (float)(int32_t)n;
        double roots = root(x) + power(1.0 + 1.0 / (i + 1), i) + sine(i * 0.1);
        uint32_t back = (uint32_t)(x / 4294967296.0 / 4294967296.0 * 4294967295.0);
        hash(&x, sizeof x);
        hash(&y, sizeof y);
        hash(&f, sizeof f);
        hash(&g, sizeof g);
        hash(&roots, sizeof roots);
        hash(&back, sizeof back);
    }
    report("numbers");

    hash_begin();
    lanes();
    report("lanes");
    return 0;
}
