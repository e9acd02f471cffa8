/* Integer kernels: hashes, compression, sorting, arithmetic of all widths, text, packets. */
#include "start.h"

/* -- SHA-256 (FIPS 180-4) ------------------------------------------------------------------------------- */

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
static const uint32_t start[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void sha256(const uint8_t *data, size_t size, uint8_t digest[32])
{
    uint32_t h[8], w[64];
    uint8_t block[64];
    size_t whole = (size + 9 + 63) / 64;
    memcpy(h, start, sizeof h);
    for (size_t b = 0; b < whole; b++) {
        for (size_t i = 0; i < 64; i++) {
            size_t at = b * 64 + i;
            block[i] = at < size ? data[at] : at == size ? 0x80 : 0;
            if (b == whole - 1 && i >= 56)
                block[i] = (uint64_t)size * 8 >> (63 - i) * 8;
        }
        for (int i = 0; i < 16; i++) {
            uint32_t x;
            memcpy(&x, block + 4 * i, 4);
            w[i] = __builtin_bswap32(x);
        }
        for (int i = 16; i < 64; i++) {
            uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        uint32_t v[8];
        memcpy(v, h, sizeof v);
        for (int i = 0; i < 64; i++) {
            uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
            uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
            uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
            uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            for (int j = 7; j > 0; j--)
                v[j] = v[j - 1];
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++)
            h[i] += v[i];
    }
    for (int i = 0; i < 8; i++) {
        uint32_t x = __builtin_bswap32(h[i]);
        memcpy(digest + 4 * i, &x, 4);
    }
}

/* -- LZ compression with a hash of three bytes ----------------------------------------------------------- */

static uint8_t text[3000], packed[4000], unpacked[3000];

static size_t compress(const uint8_t *from, size_t size, uint8_t *to)
{
    uint16_t last[256];
    size_t out = 0;
    memset(last, 0, sizeof last);
    for (size_t at = 0; at < size;) {
        size_t best = 0, distance = 0;
        if (at + 3 < size) {
            unsigned key = (from[at] * 33 + from[at + 1] * 7 + from[at + 2]) & 255;
            size_t candidate = last[key];
            last[key] = at;
            if (candidate < at && at - candidate < 4096)
                while (best < 18 && at + best < size && from[candidate + best] == from[at + best])
                    best++;
            distance = at - candidate;
        }
        if (best >= 3) {
            to[out++] = 0xf0 | (best - 3);
            to[out++] = distance;
            to[out++] = distance >> 8;
            at += best;
        } else {
            if (from[at] >= 0xef)
                to[out++] = 0xef;
            to[out++] = from[at++];
        }
    }
    return out;
}

static size_t expand(const uint8_t *from, size_t size, uint8_t *to)
{
    size_t out = 0;
    for (size_t at = 0; at < size;) {
        uint8_t c = from[at++];
        if (c >= 0xf0) {
            size_t count = (c & 15) + 3, distance = from[at] | from[at + 1] << 8;
            at += 2;
            for (; count; count--, out++)
                to[out] = to[out - distance];
        } else {
            to[out++] = c == 0xef ? from[at++] : c;
        }
    }
    return out;
}

/* -- sorting --------------------------------------------------------------------------------------------- */

struct record {
    int16_t key;
    uint8_t tag;
    int64_t value;
};

static struct record records[200];

static int before(const struct record *a, const struct record *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    return a->value < b->value;
}

static void sort(struct record *low, struct record *high)
{
    while (high - low > 1) {
        struct record pivot = low[(high - low) / 2], *i = low, *j = high - 1;
        for (;;) {
            while (before(i, &pivot))
                i++;
            while (before(&pivot, j))
                j--;
            if (i >= j)
                break;
            struct record t = *i;
            *i++ = *j;
            *j-- = t;
        }
        if (i - low < high - i) {
            sort(low, i);
            low = i;
        } else {
            sort(i, high);
            high = i;
        }
        if (low == high - 1)
            break;
    }
}

/* -- a small language: numbers, strings, lists ------------------------------------------------------------ */

static const char *cursor;
static int depth;

static int value(void)
{
    while (*cursor == ' ')
        cursor++;
    char c = *cursor++;
    switch (c) {
    case '[': {
        int sum = 1;
        depth++;
        while (*cursor != ']' && *cursor) {
            sum = sum * 31 + value();
            if (*cursor == ',')
                cursor++;
        }
        cursor++;
        depth--;
        return sum;
    }
    case '"': {
        int sum = 2;
        for (; *cursor != '"'; cursor++)
            sum = sum * 37 + (*cursor == '\\' ? *++cursor ^ 0x55 : *cursor);
        cursor++;
        return sum;
    }
    case 't':
        cursor += 3;
        return 3;
    case 'f':
        cursor += 4;
        return 4;
    default: {
        int sign = c == '-', number = sign ? 0 : c - '0';
        while (*cursor >= '0' && *cursor <= '9')
            number = number * 10 + *cursor++ - '0';
        return sign ? -number : number;
    }
    }
}

/* -- arithmetic ------------------------------------------------------------------------------------------ */

static int16_t samples[64];

static void arithmetic(void)
{
    for (int i = 0; i < 150; i++) {
        uint32_t a = random32(), b = random32() >> (i % 32), c = random32();
        uint64_t x = (uint64_t)a << 32 | c, y = (uint64_t)b << (i % 33) | 1;
        int64_t s = (int64_t)x >> (i % 60), t = (int64_t)(y << 7) - c;
        uint64_t results[] = {
            x * y, x / y, x % y, x << (i & 63), x >> (i & 63), (uint64_t)(s / (t | 1)), (uint64_t)(s % (t | 1)),
            (uint64_t)a * b, (uint64_t)((int64_t)(int32_t)a * (int32_t)b), b ? a / b : 0, b ? a % b : 0,
            (uint64_t)((int32_t)a / (int32_t)(c | 1)), __builtin_clz(a | 1), __builtin_popcount(c),
            __builtin_clzll(x | 1), __builtin_ctz(a | 0x80000000u), x > y, s < t, (uint64_t)(s < 0 ? -s : s),
        };
        hash(results, sizeof results);
        struct {
            unsigned p : 5, q : 11, r : 16;
            int u : 7, v : 25;
        } bits = {.p = a, .q = b, .r = c, .u = a >> 3, .v = b >> 2};
        bits.q += bits.u;
        bits.v -= bits.p * 3;
        hash(&bits, sizeof bits);
    }
    int32_t total = 0;
    int64_t wide = 0;
    for (int i = 0; i < 64; i++)
        samples[i] = random32();
    for (int i = 0; i < 60; i++) {
        total += samples[i] * samples[i + 1] + (samples[i + 2] * samples[63 - i] >> 3);
        wide += (int64_t)samples[i] * samples[i + 3];
        int32_t sum = samples[i] + samples[i + 4];
        samples[i] = sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum;
    }
    hash(&total, sizeof total);
    hash(&wide, sizeof wide);
    hash(samples, sizeof samples);
}

/* -- a state machine through function pointers ------------------------------------------------------------ */

typedef int (*step)(uint32_t *);
static int advance(uint32_t *x) { return (*x = *x * 5 + 1) >> 30; }
static int fold(uint32_t *x) { return (*x ^= *x >> 7) & 3; }
static int swap(uint32_t *x) { return (*x = __builtin_bswap32(*x)) % 4; }
static int turn(uint32_t *x) { return (*x = *x << 9 | *x >> 23) % 4; }
static const step steps[] = {advance, fold, swap, turn};

int run(void)
{
    static uint8_t digest[32];
    static const char letters[] = "the quick brown fox jumps over the lazy dog, and again: ";
    hash_begin();
    for (size_t size = 0; size < 200; size += 61) {
        for (size_t i = 0; i < size; i++)
            text[i] = random32();
        sha256(text, size, digest);
        hash(digest, sizeof digest);
    }
    sha256((const uint8_t *)"abc", 3, digest);
    if (digest[0] != 0xba || digest[31] != 0xad)
        return 1;
    report("sha256");

    hash_begin();
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = random32() % 5 ? letters[i % (sizeof letters - 1)] : random32() >> 24;
    size_t size = compress(text, sizeof text, packed);
    hash(packed, size);
    if (expand(packed, size, unpacked) != sizeof text)
        return 2;
    for (size_t i = 0; i < sizeof text; i++)
        if (text[i] != unpacked[i])
            return 3;
    report("compress");

    hash_begin();
    for (int i = 0; i < 200; i++) {
        records[i].key = random32() % 50 - 25;
        records[i].tag = i;
        records[i].value = (int64_t)random32() << 16 ^ random32();
    }
    sort(records, records + 200);
    for (int i = 0; i < 200; i++) {
        if (i && before(&records[i], &records[i - 1]))
            return 4;
        hash(&records[i].tag, 1);
    }
    report("sort");

    hash_begin();
    cursor = "[1, -22, [\"text with \\\" quotes\", true, [[]], 4000000], false, [3,[-7,[9]]], \"\"]";
    int sum = value();
    hash(&sum, sizeof sum);
    if (depth)
        return 5;
    report("parse");

    hash_begin();
    arithmetic();
    report("arithmetic");

    hash_begin();
    uint32_t x = 99;
    int which = 0;
    for (int i = 0; i < 3000; i++) {
        which = steps[which](&x);
        if ((i & 63) == 0)
            hash(&x, sizeof x);
    }
    report("machine");
    return 0;
}
