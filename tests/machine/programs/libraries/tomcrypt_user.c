/* LibTomCrypt: every hash that it has, with its self-test; ciphers with theirs. */
#include "library.h"
#include <tomcrypt.h>

static const struct ltc_hash_descriptor *const hashes[] = {
    &md2_desc, &md4_desc, &md5_desc, &rmd128_desc, &rmd160_desc, &rmd256_desc, &rmd320_desc, &sha1_desc,
    &sha224_desc, &sha256_desc, &sha384_desc, &sha512_desc, &sha512_224_desc, &sha512_256_desc, &sha3_224_desc,
    &sha3_256_desc, &sha3_384_desc, &sha3_512_desc, &tiger_desc, &whirlpool_desc, &blake2s_256_desc, &blake2b_512_desc,
};
static const struct ltc_cipher_descriptor *const ciphers[] = {
    &aes_desc, &blowfish_desc, &cast5_desc, &des_desc, &des3_desc, &rc2_desc, &rc5_desc, &rc6_desc, &twofish_desc,
    &xtea_desc, &camellia_desc,
};

int main(void)
{
    fill();
    for (unsigned i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        unsigned char out[64];
        hash_state state;
        if (hashes[i]->test() != CRYPT_OK)
            return 1;
        hashes[i]->init(&state);
        for (unsigned at = 0, n = 1; at < 1000; at += n, n = n * 5 % 97 + 1)
            hashes[i]->process(&state, text + at, n);
        hashes[i]->done(&state, out);
        digest(hashes[i]->name, out, hashes[i]->hashsize);
    }
    for (unsigned i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
        symmetric_key key;
        unsigned char block[16];
        int size = 16;
        if (ciphers[i]->test() != CRYPT_OK || ciphers[i]->keysize(&size) != CRYPT_OK)
            return 2;
        ciphers[i]->setup(text, size, 0, &key);
        ciphers[i]->ecb_encrypt(text + 100, block, &key);
        digest(ciphers[i]->name, block, ciphers[i]->block_length);
        ciphers[i]->done(&key);
    }
    return 0;
}
