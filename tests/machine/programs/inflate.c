/* DEFLATE (RFC 1951): decoding of what another compressor made, of all three kinds of block; and a compressor of its
 * own, with lazy matches and the fixed code, whose output is decoded again. */
#include "start.h"

/* "400 words out of a list", compressed by zlib: with codes of its own, with the fixed codes, and stored. */
static const uint8_t dynamic[495] = {
    101, 85, 11, 86, 195, 48, 12, 187, 74, 143, 192, 159, 243, 12, 186, 194, 128, 45, 176, 15,
    3, 78, 79, 44, 197, 82, 218, 189, 183, 101, 109, 98, 203, 178, 108, 103, 99, 121, 25, 222,
    78, 219, 207, 195, 176, 45, 251, 245, 112, 119, 255, 240, 56, 60, 237, 203, 121, 55, 28, 95,
    219, 235, 106, 55, 14, 99, 53, 251, 88, 253, 253, 114, 7, 75, 153, 154, 227, 40, 136, 186,
    21, 94, 244, 47, 223, 235, 253, 240, 117, 218, 60, 191, 199, 38, 241, 2, 42, 157, 55, 199,
    88, 175, 174, 111, 110, 123, 2, 83, 249, 105, 78, 220, 132, 53, 34, 135, 111, 245, 1, 22,
    125, 225, 80, 31, 131, 192, 161, 108, 215, 10, 129, 208, 216, 9, 56, 121, 195, 53, 118, 72,
    208, 169, 240, 29, 112, 124, 172, 160, 12, 31, 136, 25, 177, 126, 204, 142, 107, 37, 129, 48,
    41, 209, 34, 93, 130, 217, 9, 76, 50, 135, 240, 97, 16, 30, 2, 8, 11, 136, 72, 209,
    20, 169, 254, 6, 82, 147, 33, 162, 37, 49, 229, 38, 17, 234, 166, 158, 85, 167, 46, 12,
    0, 17, 6, 139, 202, 18, 246, 202, 193, 103, 48, 119, 4, 200, 139, 67, 11, 45, 91, 152,
    53, 174, 1, 34, 29, 119, 224, 156, 74, 25, 168, 201, 26, 95, 75, 16, 38, 204, 58, 76,
    168, 35, 14, 32, 33, 78, 18, 105, 33, 175, 129, 195, 0, 111, 93, 121, 201, 166, 47, 129,
    165, 232, 154, 171, 126, 8, 169, 70, 0, 182, 70, 162, 21, 128, 54, 11, 117, 226, 64, 19,
    196, 234, 219, 118, 222, 7, 150, 26, 168, 97, 10, 230, 82, 171, 213, 146, 118, 82, 136, 140,
    84, 52, 158, 34, 5, 141, 105, 42, 10, 184, 212, 221, 45, 157, 51, 72, 215, 84, 178, 181,
    22, 55, 97, 162, 38, 234, 71, 210, 108, 248, 212, 77, 211, 197, 134, 171, 177, 172, 4, 59,
    27, 153, 170, 119, 92, 192, 214, 20, 102, 92, 109, 47, 174, 21, 248, 229, 108, 168, 94, 221,
    153, 41, 176, 166, 89, 41, 235, 20, 81, 53, 242, 177, 59, 155, 252, 121, 103, 7, 33, 32,
    64, 216, 201, 245, 200, 86, 71, 56, 223, 137, 34, 229, 107, 32, 146, 110, 5, 158, 187, 198,
    111, 78, 96, 107, 28, 122, 17, 33, 251, 220, 162, 91, 88, 218, 33, 96, 22, 59, 53, 9,
    214, 41, 118, 182, 120, 83, 113, 202, 108, 115, 6, 59, 242, 186, 49, 112, 38, 106, 88, 60,
    148, 238, 66, 40, 201, 87, 77, 64, 127, 55, 229, 236, 92, 254, 7, 224, 196, 215, 137, 46,
    134, 142, 76, 82, 243, 224, 75, 106, 165, 210, 205, 97, 64, 120, 2, 85, 227, 89, 193, 187,
    228, 60, 0, 221, 235, 236, 110, 34, 144, 75, 200, 167, 234, 241, 15,
};
static const uint8_t fixed_code[150] = {
    75, 201, 79, 87, 200, 42, 205, 45, 40, 86, 200, 205, 47, 74, 85, 48, 49, 53, 51, 87,
    72, 42, 202, 47, 207, 83, 40, 201, 128, 114, 19, 243, 82, 20, 82, 128, 202, 114, 18, 171,
    42, 33, 34, 96, 34, 63, 13, 170, 49, 5, 110, 4, 80, 8, 164, 11, 162, 63, 191, 44,
    181, 72, 161, 176, 52, 51, 57, 27, 36, 8, 49, 15, 100, 20, 76, 115, 102, 9, 136, 52,
    48, 52, 50, 70, 118, 64, 90, 126, 5, 84, 19, 68, 16, 172, 26, 108, 51, 72, 47, 80,
    15, 216, 44, 136, 94, 176, 6, 32, 19, 228, 128, 226, 252, 220, 84, 184, 21, 96, 171, 193,
    34, 32, 227, 224, 186, 193, 90, 65, 34, 16, 7, 34, 188, 2, 225, 131, 141, 131, 48, 129,
    134, 66, 172, 7, 153, 8, 179, 49, 19, 0,
};
static const uint8_t stored[45] = {
    1, 40, 0, 215, 255, 100, 111, 103, 32, 106, 117, 109, 112, 115, 32, 109, 111, 114, 101, 32,
    52, 53, 54, 55, 32, 98, 114, 111, 119, 110, 32, 116, 104, 101, 32, 52, 53, 54, 55, 32,
    97, 110, 100, 32, 100,
};

static uint8_t out[4096], packed[8192], text[4096];
static const uint8_t *in, *in_end;
static uint32_t bits;
static int count;
static size_t written;
static int failed;

static uint32_t take(int n)
{
    while (count < n) {
        if (in == in_end) {
            failed = 1;
            return 0;
        }
        bits |= (uint32_t)*in++ << count;
        count += 8;
    }
    uint32_t value = bits & ((1u << n) - 1);
    bits >>= n;
    count -= n;
    return value;
}

/* A canonical Huffman code: how many codes there are of each length, and the symbols in the order of the codes. */
struct code {
    uint16_t counts[16], symbols[288];
};

static void make_code(struct code *c, const uint8_t *lengths, int n)
{
    uint16_t at[16];
    for (int i = 0; i < 16; i++)
        c->counts[i] = 0;
    for (int i = 0; i < n; i++)
        c->counts[lengths[i]]++;
    c->counts[0] = 0;
    at[1] = 0;
    for (int i = 1; i < 15; i++)
        at[i + 1] = at[i] + c->counts[i];
    for (int i = 0; i < n; i++)
        if (lengths[i])
            c->symbols[at[lengths[i]]++] = i;
}

static int symbol(const struct code *c)
{
    int code = 0, first = 0, index = 0;
    for (int length = 1; length < 16; length++) {
        code |= take(1);
        int n = c->counts[length];
        if (code - first < n)
            return c->symbols[index + code - first];
        index += n;
        first = (first + n) << 1;
        code <<= 1;
    }
    failed = 1;
    return 256;
}

static int extra_of_length(int s) { return s < 8 || s == 28 ? 0 : (s - 4) / 4; }
static int base_of_length(int s) { return s < 8 ? 3 + s : s == 28 ? 258 : 3 + ((4 + (s & 3)) << extra_of_length(s)); }
static int extra_of_distance(int s) { return s < 4 ? 0 : s / 2 - 1; }
static int base_of_distance(int s) { return s < 4 ? 1 + s : 1 + ((2 + (s & 1)) << extra_of_distance(s)); }

static struct code literals, distances, lengths_code;

static void fixed_codes(void)
{
    uint8_t lengths[288];
    for (int i = 0; i < 288; i++)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    make_code(&literals, lengths, 288);
    for (int i = 0; i < 30; i++)
        lengths[i] = 5;
    make_code(&distances, lengths, 30);
}

static void own_codes(void)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[320];
    int literal = take(5) + 257, distance = take(5) + 1, given = take(4) + 4;
    for (int i = 0; i < 19; i++)
        lengths[order[i]] = i < given ? take(3) : 0;
    make_code(&lengths_code, lengths, 19);
    for (int at = 0; at < literal + distance && !failed;) {
        int s = symbol(&lengths_code), times = 1, value = s;
        if (s == 16)
            times = 3 + take(2), value = at ? lengths[at - 1] : 0;
        else if (s >= 17)
            times = s == 17 ? 3 + take(3) : 11 + take(7), value = 0;
        while (times-- && at < literal + distance)
            lengths[at++] = value;
    }
    make_code(&distances, lengths + literal, distance);
    make_code(&literals, lengths, literal);
}

static void inflate(const uint8_t *data, size_t size)
{
    int last;
    in = data, in_end = data + size;
    bits = count = failed = 0;
    written = 0;
    do {
        last = take(1);
        int kind = take(2);
        if (kind == 0) {
            bits = count = 0;
            size_t n = in[0] | in[1] << 8;
            failed |= (n ^ 0xffff) != (size_t)(in[2] | in[3] << 8);
            in += 4;
            while (n-- && !failed)
                out[written++] = *in++;
            continue;
        }
        if (kind == 1)
            fixed_codes();
        else
            own_codes();
        for (int s; !failed && (s = symbol(&literals)) != 256;)
            if (s < 256) {
                out[written++] = s;
            } else {
                int length = base_of_length(s - 257) + take(extra_of_length(s - 257));
                int d = symbol(&distances);
                size_t distance = base_of_distance(d) + take(extra_of_distance(d));
                failed |= distance > written || written + length > sizeof out;
                while (length-- && !failed) {
                    out[written] = out[written - distance];
                    written++;
                }
            }
    } while (!last && !failed);
}

/* -- compression with the fixed code ------------------------------------------------------------------------ */

static uint8_t *to;
static uint64_t held;
static int holding;

static void give(uint32_t value, int n)
{
    held |= (uint64_t)value << holding;
    holding += n;
    while (holding >= 8) {
        *to++ = held;
        held >>= 8;
        holding -= 8;
    }
}

/* Huffman codes go out most significant bit first. */
static void give_code(uint32_t code, int n)
{
    uint32_t reversed = 0;
    for (int i = 0; i < n; i++)
        reversed |= (code >> i & 1) << (n - 1 - i);
    give(reversed, n);
}

static void give_symbol(int s)
{
    if (s < 144)
        give_code(0x30 + s, 8);
    else if (s < 256)
        give_code(0x190 + s - 144, 9);
    else if (s < 280)
        give_code(s - 256, 7);
    else
        give_code(0xc0 + s - 280, 8);
}

static int longest(size_t at, size_t size, size_t *distance)
{
    int best = 0;
    for (size_t from = at > 160 ? at - 160 : 0; from < at; from++) {
        int n = 0;
        while (n < 258 && at + n < size && text[from + n] == text[at + n])
            n++;
        if (n >= best)
            best = n, *distance = at - from;
    }
    return best;
}

static size_t deflate(size_t size)
{
    to = packed, held = holding = 0;
    give(1, 1), give(1, 2);
    for (size_t at = 0; at < size;) {
        size_t distance = 0, later;
        int n = longest(at, size, &distance);
        if (n >= 3 && at + 1 < size && longest(at + 1, size, &later) > n)
            n = 0; /* the next one is better */
        if (n < 3) {
            give_symbol(text[at++]);
            continue;
        }
        int s = 28;
        while (base_of_length(s) > n || (s == 28 && n < 258))
            s--;
        give_symbol(257 + s);
        give(n - base_of_length(s), extra_of_length(s));
        for (s = 29; base_of_distance(s) > (int)distance;)
            s--;
        give_code(s, 5);
        give(distance - base_of_distance(s), extra_of_distance(s));
        at += n;
    }
    give_symbol(256);
    give(0, 7);
    return to - packed;
}

static uint32_t crc(const uint8_t *data, size_t size)
{
    static uint32_t table[256];
    uint32_t crc = ~0u;
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            table[i] = i;
            for (int j = 0; j < 8; j++)
                table[i] = table[i] >> 1 ^ (0xedb88320 & -(table[i] & 1));
        }
    while (size--)
        crc = crc >> 8 ^ table[(crc ^ *data++) & 255];
    return ~crc;
}

static int wrong;

static void expand(const char *name, const uint8_t *data, size_t size, uint32_t known)
{
    inflate(data, size);
    wrong += failed || crc(out, written) != known;
    hash_begin();
    hash(out, written);
    report(name);
}

int run(void)
{
    expand("own codes", dynamic, sizeof dynamic, 0xd0b02a0f);
    size_t size = 700;
    memcpy(text, out, size);
    expand("fixed codes", fixed_code, sizeof fixed_code, 0x4235cca);
    expand("stored", stored, sizeof stored, 0x90a84e51);
    size_t small = deflate(size);
    wrong += small >= size;
    hash_begin();
    hash(packed, small);
    report("packed");
    expand("again", packed, small, crc(text, size));
    return wrong;
}
