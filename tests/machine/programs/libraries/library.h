/* What the users of libraries share: a text to work on, random numbers, and a short form of long results. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 6000 };
static unsigned char text[TEXT];
static unsigned state = 2463534242u;

static unsigned next(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

/* Words, repetitions, and some noise. */
__attribute__((unused)) static void fill(void)
{
    static const char *const words[] = {"the ", "of ", "compression ", "ARM ", "0000", "register ", "and ", ".\n"};
    size_t at = 0;
    while (at < TEXT) {
        unsigned kind = next() % 10;
        const char *word = words[next() % 8];
        if (kind == 0)
            text[at++] = next();
        else if (kind == 1 && at > 100)
            for (unsigned n = next() % 60, from = at - 1 - next() % 100; n && at < TEXT; n--)
                text[at++] = text[from++];
        else
            while (*word && at < TEXT)
                text[at++] = *word++;
    }
}

/* FNV-1a. */
__attribute__((unused)) static void digest(const char *name, const void *data, size_t size)
{
    unsigned hash = 2166136261u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * 16777619u;
    printf("%s %u %08x\n", name, (unsigned)size, hash);
}
