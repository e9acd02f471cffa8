/* zlib: several levels and strategies, streams in small pieces, gzip headers, checksums. */
#include "library.h"
#include <zlib.h>

static unsigned char packed[20000], unpacked[20000];

int main(void)
{
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
    fill();
    printf("%s %08lx %08lx\n", zlibVersion(), crc32(0, text, TEXT), adler32(1, text, TEXT));
    for (int level = 0; level < 10; level += 3)
        for (int s = 0; s < 5; s++) {
            z_stream z = {0};
            if (deflateInit2(&z, level, Z_DEFLATED, level % 2 ? 15 : 31, 1 + level % 9, strategies[s]) != Z_OK)
                return 1;
            z.next_in = text, z.avail_in = TEXT, z.next_out = packed, z.avail_out = sizeof packed;
            if (deflate(&z, Z_FINISH) != Z_STREAM_END)
                return 2;
            unsigned long size = z.total_out;
            deflateEnd(&z);
            digest("packed", packed, size);
            z_stream u = {0};
            inflateInit2(&u, 47);
            u.next_in = packed, u.next_out = unpacked;
            int status = Z_OK;
            while (status == Z_OK && u.total_in < size) { /* piece by piece */
                u.avail_in = 1 + u.total_in % 97, u.avail_out = 1 + u.total_out % 211;
                if (u.total_in + u.avail_in > size)
                    u.avail_in = size - u.total_in;
                status = inflate(&u, Z_NO_FLUSH);
            }
            while (status == Z_OK || status == Z_BUF_ERROR) {
                u.avail_out = sizeof unpacked - u.total_out;
                status = inflate(&u, Z_FINISH);
            }
            inflateEnd(&u);
            if (status != Z_STREAM_END || u.total_out != TEXT || memcmp(unpacked, text, TEXT))
                return 3;
        }
    packed[10] ^= 0x55;
    unsigned long n = sizeof unpacked;
    printf("damaged: %d\n", uncompress(unpacked, &n, packed, 4000));
    return 0;
}
