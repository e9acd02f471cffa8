/* LZ4 and its frames, and xxHash. */
#include "library.h"
#include <lz4.h>
#include <lz4frame.h>
#include <lz4hc.h>
#include "xxhash.h"

static char packed[20000], unpacked[20000];

int main(void)
{
    fill();
    for (int level = -8; level < 13; level += 4) {
        int size = level <= 0 ? LZ4_compress_fast((char *)text, packed, TEXT, sizeof packed, 1 - level)
                              : LZ4_compress_HC((char *)text, packed, TEXT, sizeof packed, level);
        digest("packed", packed, size);
        if (LZ4_decompress_safe(packed, unpacked, size, sizeof unpacked) != TEXT || memcmp(unpacked, text, TEXT))
            return 1;
    }
    size_t size = LZ4F_compressFrame(packed, sizeof packed, text, TEXT, 0);
    digest("frame", packed, size);
    packed[20] ^= 1;
    printf("damaged: %d\n", LZ4_decompress_safe(packed + 7, unpacked, 500, 100));
    printf("%08x %016llx\n", XXH32(text, TEXT, 7), XXH64(text, TEXT, 7));
    return 0;
}
