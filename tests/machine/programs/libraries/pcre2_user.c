/* PCRE2, 8-bit: groups, look-around, recursion, Unicode properties, substitution, the DFA matcher, limits. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "library.h"
#include <pcre2.h>

static const struct {
    const char *pattern;
    unsigned options;
    const char *subject;
} cases[] = {
    {"(\\w+)\\s+(?<number>\\d{2,4})\\b", 0, "in the year 1984 and 42 more"},
    {"(?i)(?<=the )q\\w*?k(?! red)", 0, "The quick brown fox"},
    {"^(\\((?:[^()]|(?1))*\\))$", 0, "((a)(b(c)d))"},
    {"\\p{Lu}\\p{Ll}+\\X", PCRE2_UTF | PCRE2_UCP, "caf\xc3\xa9 \xc3\x89t\xc3\xa9 Z\xc3\xbcrich!"},
    {"(a+)+$", 0, "aaaaaaaaaaaaaaaaaaaaaaaaaab"},
    {"(?<y>\\d{4})-(?<m>\\d\\d)(?(<m>)-\\d\\d|x)", 0, "on 2024-02-29"},
    {"[[:alpha:]_][^\\W\\d]{3,}+", 0, "1 _ab abcdef9"},
    {"(?x) \\b (?> a|ab ) c", 0, "abc ac"},
    {"(unclosed", 0, ""},
};

int main(void)
{
    pcre2_match_context *limits = pcre2_match_context_create(0);
    pcre2_set_match_limit(limits, 50000);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        int error;
        PCRE2_SIZE place;
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)cases[i].pattern, PCRE2_ZERO_TERMINATED, cases[i].options, &error,
                                         &place, 0);
        if (!code) {
            PCRE2_UCHAR message[120];
            pcre2_get_error_message(error, message, sizeof message);
            printf("%s at %u\n", (char *)message, (unsigned)place);
            continue;
        }
        pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, 0);
        PCRE2_SPTR subject = (PCRE2_SPTR)cases[i].subject;
        int found = pcre2_match(code, subject, PCRE2_ZERO_TERMINATED, 0, 0, data, limits);
        printf("%s: %d", cases[i].pattern, found);
        for (int n = 0; n < 2 * found; n++)
            printf(" %d", (int)pcre2_get_ovector_pointer(data)[n]);
        int workspace[200];
        found = pcre2_dfa_match(code, subject, PCRE2_ZERO_TERMINATED, 0, PCRE2_DFA_SHORTEST, data, 0, workspace, 200);
        printf(", %d", found);
        PCRE2_UCHAR out[200];
        PCRE2_SIZE size = sizeof out;
        found = pcre2_substitute(code, subject, PCRE2_ZERO_TERMINATED, 0, PCRE2_SUBSTITUTE_GLOBAL, data, limits,
                                 (PCRE2_SPTR) "<$0>", 4, out, &size);
        printf(", %d %.*s\n", found, found < 0 ? 0 : (int)size, out);
        pcre2_match_data_free(data);
        pcre2_code_free(code);
    }
    return 0;
}
