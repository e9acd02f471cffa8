/* A set of hashes, each from its standard: MD5 (RFC 1321), SHA-1, SHA-256, SHA-512 (FIPS 180-4), CRC-32 and CRC-16
 * (ITU-T V.42, X.25), Adler-32 (RFC 1950), SipHash-2-4, and ChaCha20 (RFC 8439) as a stream. */
#include "start.h"

static uint8_t message[300];

static uint32_t left(uint32_t x, int n) { return x << n | x >> (32 - n); }
static uint32_t right(uint32_t x, int n) { return x >> n | x << (32 - n); }
static uint64_t right64(uint64_t x, int n) { return x >> n | x << (64 - n); }
static uint64_t left64(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint32_t big(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
static uint32_t little(const uint8_t *p) { return (uint32_t)p[3] << 24 | p[2] << 16 | p[1] << 8 | p[0]; }

/* Calls `each` with the blocks of a padded message (FIPS 180-4, 5.1; RFC 1321, 3.1). */
static void blocks(const uint8_t *data, size_t size, size_t block, int is_little, void (*each)(const uint8_t *))
{
    uint8_t buffer[128];
    size_t field = block / 8, whole = (size + 1 + field + block - 1) / block;
    for (size_t b = 0; b < whole; b++) {
        for (size_t i = 0; i < block; i++) {
            size_t at = b * block + i;
            buffer[i] = at < size ? data[at] : at == size ? 0x80 : 0;
        }
        if (b == whole - 1)
            for (int i = 0; i < 8; i++) {
                uint8_t byte = (uint64_t)size * 8 >> 8 * i;
                buffer[is_little ? block - 8 + i : block - 1 - i] = byte;
            }
        each(buffer);
    }
}

/* -- the first 64 bits of the fractions of the square and cube roots of primes (FIPS 180-4, 4.2) --------------- */

static const uint64_t squares[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
    0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static const uint64_t cubes[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

/* -- MD5 ------------------------------------------------------------------------------------------------------ */

static uint32_t md5_state[4], sines[64];

/* floor(2^32 * |sin(i)|), i = 1 … 64: a rotation by one radian, in fixed point with 62 bits, by Taylor's series. */
static int64_t multiply(int64_t a, int64_t b)
{
    int negative = (a < 0) != (b < 0);
    uint64_t x = a < 0 ? -a : a, y = b < 0 ? -b : b;
    uint64_t low = (x & 0xffffffff) * (y & 0xffffffff), high = (x >> 32) * (y >> 32);
    uint64_t middle = (x >> 32) * (y & 0xffffffff), other = (x & 0xffffffff) * (y >> 32);
    uint64_t carry = (low >> 32) + (middle & 0xffffffff) + (other & 0xffffffff);
    high += (middle >> 32) + (other >> 32) + (carry >> 32);
    low = carry << 32 | (low & 0xffffffff);
    uint64_t r = high << 2 | low >> 62;
    return negative ? -(int64_t)r : (int64_t)r;
}

static void make_sines(void)
{
    int64_t one = 1LL << 62, term = one, s = 0, c = one;
    for (int n = 1; n < 25; n++) {
        term /= n;
        if (n & 1)
            s += n & 2 ? -term : term;
        else
            c += n & 2 ? -term : term;
    }
    int64_t x = 0, y = one;
    for (int i = 0; i < 64; i++) {
        int64_t next = multiply(x, c) + multiply(y, s);
        y = multiply(y, c) - multiply(x, s);
        x = next;
        sines[i] = (uint64_t)(x < 0 ? -x : x) >> 30;
    }
}

static void md5_block(const uint8_t *p)
{
    static const uint8_t shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = md5_state[0], b = md5_state[1], c = md5_state[2], d = md5_state[3];
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int g;
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), g = i; break;
        case 1: f = (d & b) | (~d & c), g = 5 * i + 1; break;
        case 2: f = b ^ c ^ d, g = 3 * i + 5; break;
        default: f = c ^ (b | ~d), g = 7 * i; break;
        }
        uint32_t t = d;
        d = c, c = b;
        b += left(a + f + sines[i] + little(p + g % 16 * 4), shifts[i / 16][i % 4]);
        a = t;
    }
    md5_state[0] += a, md5_state[1] += b, md5_state[2] += c, md5_state[3] += d;
}

static void md5(const uint8_t *data, size_t size)
{
    md5_state[0] = 0x67452301, md5_state[1] = 0xefcdab89, md5_state[2] = 0x98badcfe, md5_state[3] = 0x10325476;
    blocks(data, size, 64, 1, md5_block);
}

/* -- SHA-1, SHA-256, SHA-512 -------------------------------------------------------------------------------- */

static uint32_t sha1_state[5], sha256_state[8];
static uint64_t sha512_state[8];

static void sha1_block(const uint8_t *p)
{
    static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80], v[5];
    for (int i = 0; i < 80; i++)
        w[i] = i < 16 ? big(p + 4 * i) : left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(v, sha1_state, sizeof v);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20 ? (v[1] & v[2]) ^ (~v[1] & v[3])
                   : i / 20 == 2 ? (v[1] & v[2]) ^ (v[1] & v[3]) ^ (v[2] & v[3]) : v[1] ^ v[2] ^ v[3];
        uint32_t t = left(v[0], 5) + f + v[4] + k[i / 20] + w[i];
        v[4] = v[3], v[3] = v[2], v[2] = left(v[1], 30), v[1] = v[0], v[0] = t;
    }
    for (int i = 0; i < 5; i++)
        sha1_state[i] += v[i];
}

static void sha256_block(const uint8_t *p)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 64; i++)
        if (i < 16)
            w[i] = big(p + 4 * i);
        else
            w[i] = (right(w[i - 2], 17) ^ right(w[i - 2], 19) ^ w[i - 2] >> 10) + w[i - 7]
                 + (right(w[i - 15], 7) ^ right(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 16];
    memcpy(v, sha256_state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t t = v[7] + (right(v[4], 6) ^ right(v[4], 11) ^ right(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6]))
                   + (uint32_t)(cubes[i] >> 32) + w[i];
        uint32_t u = (right(v[0], 2) ^ right(v[0], 13) ^ right(v[0], 22))
                   + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (int j = 7; j > 0; j--)
            v[j] = v[j - 1];
        v[4] += t, v[0] = t + u;
    }
    for (int i = 0; i < 8; i++)
        sha256_state[i] += v[i];
}

static void sha512_block(const uint8_t *p)
{
    uint64_t w[80], v[8];
    for (int i = 0; i < 80; i++)
        if (i < 16)
            w[i] = (uint64_t)big(p + 8 * i) << 32 | big(p + 8 * i + 4);
        else
            w[i] = (right64(w[i - 2], 19) ^ right64(w[i - 2], 61) ^ w[i - 2] >> 6) + w[i - 7]
                 + (right64(w[i - 15], 1) ^ right64(w[i - 15], 8) ^ w[i - 15] >> 7) + w[i - 16];
    memcpy(v, sha512_state, sizeof v);
    for (int i = 0; i < 80; i++) {
        uint64_t t = v[7] + (right64(v[4], 14) ^ right64(v[4], 18) ^ right64(v[4], 41))
                   + ((v[4] & v[5]) ^ (~v[4] & v[6])) + cubes[i] + w[i];
        uint64_t u = (right64(v[0], 28) ^ right64(v[0], 34) ^ right64(v[0], 39))
                   + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (int j = 7; j > 0; j--)
            v[j] = v[j - 1];
        v[4] += t, v[0] = t + u;
    }
    for (int i = 0; i < 8; i++)
        sha512_state[i] += v[i];
}

static void sha1(const uint8_t *data, size_t size)
{
    static const uint32_t start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(sha1_state, start, sizeof start);
    blocks(data, size, 64, 0, sha1_block);
}

static void sha256(const uint8_t *data, size_t size)
{
    for (int i = 0; i < 8; i++)
        sha256_state[i] = squares[i] >> 32;
    blocks(data, size, 64, 0, sha256_block);
}

static void sha512(const uint8_t *data, size_t size)
{
    memcpy(sha512_state, squares, sizeof squares);
    blocks(data, size, 128, 0, sha512_block);
}

/* -- checksums, SipHash, ChaCha20 --------------------------------------------------------------------------- */

static uint32_t crc32(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0u;
    while (size--) {
        crc ^= *data++;
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
    }
    return ~crc;
}

static uint16_t crc16(const uint8_t *data, size_t size)
{
    uint16_t crc = 0xffff;
    while (size--) {
        crc ^= *data++;
        for (int i = 0; i < 8; i++)
            crc = crc & 1 ? crc >> 1 ^ 0x8408 : crc >> 1;
    }
    return ~crc;
}

static uint32_t adler32(const uint8_t *data, size_t size)
{
    uint32_t a = 1, b = 0;
    while (size--) {
        a = (a + *data++) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static uint64_t sip[4];

static void sip_round(void)
{
    sip[0] += sip[1], sip[1] = left64(sip[1], 13) ^ sip[0], sip[0] = left64(sip[0], 32);
    sip[2] += sip[3], sip[3] = left64(sip[3], 16) ^ sip[2];
    sip[0] += sip[3], sip[3] = left64(sip[3], 21) ^ sip[0];
    sip[2] += sip[1], sip[1] = left64(sip[1], 17) ^ sip[2], sip[2] = left64(sip[2], 32);
}

static uint64_t siphash(const uint8_t *data, size_t size, uint64_t k0, uint64_t k1)
{
    sip[0] = k0 ^ 0x736f6d6570736575, sip[1] = k1 ^ 0x646f72616e646f6d;
    sip[2] = k0 ^ 0x6c7967656e657261, sip[3] = k1 ^ 0x7465646279746573;
    for (size_t at = 0; at <= size; at += 8) {
        uint64_t m = 0;
        for (int i = 7; i >= 0; i--)
            m = m << 8 | (at + i < size ? data[at + i] : 0);
        if (at + 8 > size)
            m |= (uint64_t)size << 56;
        sip[3] ^= m;
        sip_round(), sip_round();
        sip[0] ^= m;
    }
    sip[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round();
    return sip[0] ^ sip[1] ^ sip[2] ^ sip[3];
}

static void quarter(uint32_t *x, int a, int b, int c, int d)
{
    x[a] += x[b], x[d] = left(x[d] ^ x[a], 16);
    x[c] += x[d], x[b] = left(x[b] ^ x[c], 12);
    x[a] += x[b], x[d] = left(x[d] ^ x[a], 8);
    x[c] += x[d], x[b] = left(x[b] ^ x[c], 7);
}

static void chacha20(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3], uint32_t out[16])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(in + 4, key, 32);
    in[12] = counter;
    memcpy(in + 13, nonce, 12);
    memcpy(out, in, sizeof in);
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 4; j++)
            quarter(out, j, 4 + j, 8 + j, 12 + j);
        for (int j = 0; j < 4; j++)
            quarter(out, j, 4 + (j + 1) % 4, 8 + (j + 2) % 4, 12 + (j + 3) % 4);
    }
    for (int i = 0; i < 16; i++)
        out[i] += in[i];
}

/* -- the program ---------------------------------------------------------------------------------------------- */

static int wrong;

/* Known answers: of "abc", from the standards. */
static void expect(const char *name, uint32_t value, uint32_t known)
{
    hash_begin();
    hash(&value, sizeof value);
    report(name);
    wrong += value != known;
}

static void all(size_t size)
{
    uint32_t sums[3] = {crc32(message, size), crc16(message, size), adler32(message, size)};
    uint64_t s = siphash(message, size, 0x0706050403020100, 0x0f0e0d0c0b0a0908);
    md5(message, size), sha1(message, size), sha256(message, size), sha512(message, size);
    hash(sums, sizeof sums), hash(&s, sizeof s);
    hash(md5_state, sizeof md5_state), hash(sha1_state, sizeof sha1_state);
    hash(sha256_state, sizeof sha256_state), hash(sha512_state, sizeof sha512_state);
}

int run(void)
{
    static const uint8_t abc[3] = "abc", digits[9] = "123456789";
    make_sines();
    md5(abc, 3);
    expect("md5", md5_state[0], 0x98500190);
    sha1(abc, 3);
    expect("sha1", sha1_state[0], 0xa9993e36);
    sha256(abc, 3);
    expect("sha256", sha256_state[0], 0xba7816bf);
    sha512(abc, 3);
    expect("sha512", sha512_state[0] >> 32, 0xddaf35a1);
    expect("crc32", crc32(digits, 9), 0xcbf43926);
    expect("crc16", crc16(digits, 9), 0x906e);
    expect("adler32", adler32(abc, 3), 0x024d0127);
    uint8_t counted[15];
    for (int i = 0; i < 15; i++)
        counted[i] = i;
    expect("siphash", siphash(counted, 15, 0x0706050403020100, 0x0f0e0d0c0b0a0908), 0x49be45e5);
    uint32_t key[8], out[16];
    static const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
    for (int i = 0; i < 8; i++)
        key[i] = 0x03020100 + 0x04040404 * i;
    chacha20(key, 1, nonce, out);
    expect("chacha20", out[0], 0xe4e7f110);
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = random32() >> 11;
    hash_begin();
    static const size_t sizes[] = {0, 1, 8, 55, 56, 64, 111, 112, 128, sizeof message};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        all(sizes[i]);
    report("all sizes");
    hash_begin();
    for (uint32_t i = 0; i < 20; i++) {
        chacha20(key, i, nonce, out);
        hash(out, sizeof out);
    }
    report("stream");
    return wrong;
}
