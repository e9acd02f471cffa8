/* A static program with a whole C library: formatting, parsing, sorting, regular expressions, mathematics. */
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    double numbers[100];
    char line[200];
    unsigned state = argc > 1 ? strtoul(argv[1], 0, 0) : 1;
    for (int i = 0; i < 100; i++) {
        state = state * 1103515245 + 12345;
        numbers[i] = (double)(int)state / ((i % 7) + 0.3);
    }
    qsort(numbers, 100, sizeof *numbers, order);
    for (int i = 0; i < 100; i += 9)
        printf("%d %.17g %a %10.3f %e\n", i, numbers[i], numbers[i], numbers[i], numbers[i]);
    for (int i = 1; i < 12; i++) {
        double x = i * 0.37;
        printf("%.15g %.15g %.15g %.15g %.15g %.15g\n", sin(x), exp(x), log(x), pow(x, 2.5), sqrt(x), atan2(x, 3));
        printf("%.8g %.8g %.8g\n", sinf(x), expf(-x), cbrtf(x));
    }
    static const char *texts[] = {"0x1.8p3", "1e-310", "nan", "-inf", "12345678901234567890", "3.14159xyz"};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *end;
        double x = strtod(texts[i], &end);
        printf("%s = %g, rest '%s', %lld\n", texts[i], x, end, strtoll(texts[i], 0, 0));
    }
    regex_t expression;
    regmatch_t match[3];
    if (regcomp(&expression, "([a-z]+)[0-9]{2,4}(x|yy)*", REG_EXTENDED))
        return 2;
    static const char *lines[] = {"abc123xyyx", "12ab", "zz99", "--q1234567--"};
    for (int i = 0; i < 4; i++)
        if (!regexec(&expression, lines[i], 3, match, 0))
            printf("%s: %d-%d %d-%d\n", lines[i], (int)match[0].rm_so, (int)match[0].rm_eo, (int)match[1].rm_so,
                   (int)match[1].rm_eo);
    regfree(&expression);
    char *block = 0;
    for (int i = 1; i < 40; i++) {
        block = realloc(block, i * i * 37);
        memset(block + (i - 1) * (i - 1) * 37, 'a' + i % 26, i * i * 37 - (i - 1) * (i - 1) * 37);
    }
    size_t total = 0;
    for (int i = 0; i < 39 * 39 * 37; i++)
        total = total * 31 + block[i];
    memmove(block + 3, block, 5000);
    printf("%zu %d %s\n", total, memcmp(block, block + 3, 5000), strstr("needle in a haystack", "hay"));
    free(block);
    time_t moment = 1234567890;
    struct tm broken;
    strftime(line, sizeof line, "%Y-%m-%d %H:%M:%S %j %A", gmtime_r(&moment, &broken));
    printf("%s\n", line);
    long long wide = 0x123456789abcdefLL;
    printf("%lld %lld %llu %016llx\n", wide / 1000003, wide % 1000003, (unsigned long long)wide * 77, wide << 5);
    return 0;
}
