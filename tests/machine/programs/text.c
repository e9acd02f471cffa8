/* Text: a JSON reader and writer (RFC 8259), and regular expressions compiled to an automaton that is run on all
 * alternatives at once. */
#include "start.h"

static size_t length(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

/* -- JSON ----------------------------------------------------------------------------------------------------- */

enum kind { NONE, NULL_, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT };

struct node {
    enum kind kind;
    struct node *first, *next; /* children; the next child of the same parent */
    const char *name, *string;
    int64_t mantissa;
    int exponent;
};

static struct node nodes[600];
static char strings[6000];
static int used;
static size_t used_strings;
static const char *at;
static int bad, level;

static struct node *value(void);

static void blank(void)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
        at++;
}

static int accept(char c)
{
    blank();
    if (*at != c)
        return 0;
    at++;
    return 1;
}

static unsigned hexadecimal(void)
{
    unsigned x = 0;
    for (int i = 0; i < 4; i++, at++) {
        unsigned c = *at, d = c - '0' < 10 ? c - '0' : (c | 32) - 'a' < 6 ? (c | 32) - 'a' + 10 : 16;
        if (d > 15) {
            bad = 1;
            return 0;
        }
        x = x << 4 | d;
    }
    return x;
}

static void put(unsigned c)
{
    if (used_strings + 4 >= sizeof strings) {
        bad = 1;
        return;
    }
    char *p = strings + used_strings;
    int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = n - 1; i > 0; i--, c >>= 6)
        p[i] = 0x80 | (c & 0x3f);
    p[0] = marks[n] | c;
    used_strings += n;
}

static const char *string(void)
{
    const char *start = strings + used_strings;
    if (!accept('"')) {
        bad = 1;
        return start;
    }
    while (!bad && *at != '"') {
        unsigned c = (uint8_t)*at++;
        if (c < 0x20) {
            bad = 1;
        } else if (c == '\\') {
            static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
            unsigned e = *at++, i = 0;
            while (names[i] && (unsigned)names[i] != e)
                i++;
            if (names[i]) {
                put(meant[i]);
            } else if (e == 'u') {
                unsigned u = hexadecimal();
                if (u >> 10 == 0x36 && at[0] == '\\' && at[1] == 'u') {
                    at += 2;
                    u = 0x10000 + ((u & 0x3ff) << 10 | (hexadecimal() & 0x3ff));
                }
                put(u);
            } else {
                bad = 1;
            }
        } else if (used_strings < sizeof strings) {
            strings[used_strings++] = c;
        } else {
            bad = 1;
        }
    }
    at++;
    put(0);
    return start;
}

static void number(struct node *n)
{
    int negative = *at == '-' ? at++, 1 : 0, digits = 0;
    if (at[0] == '0' && (unsigned)at[1] - '0' < 10)
        bad = 1;
    for (; (unsigned)*at - '0' < 10; at++, digits++)
        n->mantissa = n->mantissa * 10 + *at - '0';
    if (*at == '.')
        for (at++; (unsigned)*at - '0' < 10; at++, digits++, n->exponent--)
            n->mantissa = n->mantissa * 10 + *at - '0';
    if (!digits)
        bad = 1;
    if ((*at | 32) == 'e') {
        int e = 0, minus = *++at == '-';
        at += *at == '-' || *at == '+';
        for (; (unsigned)*at - '0' < 10; at++)
            e = e * 10 + *at - '0';
        n->exponent += minus ? -e : e;
    }
    if (negative)
        n->mantissa = -n->mantissa;
    while (n->mantissa && n->mantissa % 10 == 0)
        n->mantissa /= 10, n->exponent++;
}

static void members(struct node *parent, char end)
{
    struct node **place = &parent->first;
    if (accept(end))
        return;
    do {
        const char *name = 0;
        if (end == '}') {
            blank();
            name = string();
            bad |= !accept(':');
            if (bad)
                return;
        }
        struct node *child = value();
        if (bad)
            return;
        child->name = name;
        *place = child;
        place = &child->next;
    } while (accept(','));
    bad |= !accept(end);
}

static int word(const char *w)
{
    size_t n = length(w);
    for (size_t i = 0; i < n; i++)
        if (at[i] != w[i])
            return 0;
    at += n;
    return 1;
}

static struct node *value(void)
{
    struct node *n = &nodes[used++];
    if (used == sizeof nodes / sizeof *nodes || ++level > 40) {
        bad = 1;
        used--;
        return n;
    }
    memset(n, 0, sizeof *n);
    blank();
    if (*at == '{')
        at++, n->kind = OBJECT, members(n, '}');
    else if (*at == '[')
        at++, n->kind = ARRAY, members(n, ']');
    else if (*at == '"')
        n->kind = STRING, n->string = string();
    else if (word("null"))
        n->kind = NULL_;
    else if (word("true"))
        n->kind = TRUE;
    else if (word("false"))
        n->kind = FALSE;
    else
        n->kind = NUMBER, number(n);
    level--;
    return n;
}

static char line[6000];
static size_t end;

static void text(const char *s)
{
    while (*s && end < sizeof line)
        line[end++] = *s++;
}

static void decimal(int64_t x)
{
    char digits[24];
    int n = 23, negative = x < 0;
    digits[n] = 0;
    do {
        int d = x % 10;
        digits[--n] = '0' + (d < 0 ? -d : d);
    } while (x /= 10);
    if (negative)
        digits[--n] = '-';
    text(digits + n);
}

static void quoted(const char *s)
{
    text("\"");
    for (; *s; s++) {
        char escape[7] = {'\\', *s, 0};
        if (*s == '"' || *s == '\\') {
            text(escape);
        } else if ((uint8_t)*s < 0x20) {
            static const char hex[] = "0123456789abcdef";
            memcpy(escape + 1, "u00", 3);
            escape[4] = hex[*s >> 4], escape[5] = hex[*s & 15], escape[6] = 0;
            text(escape);
        } else {
            escape[0] = *s, escape[1] = 0;
            text(escape);
        }
    }
    text("\"");
}

/* Members of objects in the order of their names. */
static void sort(struct node **first)
{
    struct node *sorted = 0;
    for (struct node *n = *first, *next; n; n = next) {
        next = n->next;
        struct node **place = &sorted;
        for (; *place; place = &(*place)->next) {
            const char *a = (*place)->name, *b = n->name;
            while (*a && *a == *b)
                a++, b++;
            if ((uint8_t)*a > (uint8_t)*b)
                break;
        }
        n->next = *place;
        *place = n;
    }
    *first = sorted;
}

static void write(struct node *n)
{
    static const char *const words[] = {"?", "null", "false", "true"};
    switch (n->kind) {
    case NUMBER:
        decimal(n->mantissa);
        if (n->exponent)
            text("e"), decimal(n->exponent);
        break;
    case STRING:
        quoted(n->string);
        break;
    case ARRAY:
    case OBJECT:
        text(n->kind == ARRAY ? "[" : "{");
        if (n->kind == OBJECT)
            sort(&n->first);
        for (struct node *child = n->first; child; child = child->next) {
            if (n->kind == OBJECT)
                quoted(child->name), text(":");
            write(child);
            if (child->next)
                text(",");
        }
        text(n->kind == ARRAY ? "]" : "}");
        break;
    default:
        text(words[n->kind]);
    }
}

/* What a document is when it is written again; or where it is wrong. */
static void json(const char *document)
{
    used = bad = level = 0;
    used_strings = end = 0;
    at = document;
    struct node *n = value();
    blank();
    bad |= *at != 0;
    if (bad) {
        text("wrong at ");
        decimal(at - document);
    } else {
        write(n);
    }
    hash(line, end);
}

static int same(const char *known)
{
    if (end != length(known))
        return 0;
    for (size_t i = 0; i < end; i++)
        if (line[i] != known[i])
            return 0;
    return 1;
}

static char document[5000];

/* A document out of random numbers, `depth` levels of it. */
static char *generate(char *p, int depth)
{
    static const char *const leaves[] = {"null", "true", "false", "\"\\u00e9t\\u00e9 \\ud83d\\ude00\"", "-12.50e-3", "0",
                                         "123456789012", "\"a\\\"b\\\\c\\n\"", "1e5", "[ ]", "{}"};
    unsigned kind = depth ? random32() >> 5 : 0;
    if (depth == 0 || kind % 4 == 0) {
        const char *leaf = leaves[random32() % 11];
        while (*leaf)
            *p++ = *leaf++;
        return p;
    }
    int n = random32() % 5 + 1;
    *p++ = kind & 1 ? '[' : '{';
    for (int i = 0; i < n; i++) {
        if (i)
            *p++ = ',';
        if (!(kind & 1)) {
            *p++ = '"', *p++ = 'a' + random32() % 26, *p++ = 'a' + random32() % 26, *p++ = '"';
            *p++ = ' ', *p++ = ':';
        }
        p = generate(p, depth - 1);
    }
    *p++ = kind & 1 ? ']' : '}';
    return p;
}

/* -- regular expressions --------------------------------------------------------------------------------------
 * Characters, . [a-z] [^...] ( ) | * + ? and the ends ^ $. Compiled to instructions; run with a set of places. */

enum op { CHARACTER, ANY, SET, SPLIT, JUMP, START, FINISH, MATCH };

struct instruction {
    enum op op;
    int x, y;
    uint32_t set[8];
};

static struct instruction code[60];
static int length_of_code;
static const char *pattern;

static int emit(enum op op, int x, int y)
{
    code[length_of_code] = (struct instruction){op, x, y, {0}};
    return length_of_code++;
}

static void insert(int place)
{
    for (int i = length_of_code++; i > place; i--) {
        code[i] = code[i - 1];
        if (code[i].op == SPLIT || code[i].op == JUMP) {
            code[i].x += code[i].x >= place;
            code[i].y += code[i].y >= place;
        }
    }
}

static void alternatives(void);

static void class(void)
{
    int not = *pattern == '^' ? pattern++, 1 : 0, place = emit(SET, 0, 0);
    uint32_t *set = code[place].set;
    do {
        unsigned low = (uint8_t)*pattern++, high = low;
        if (*pattern == '-' && pattern[1] != ']')
            high = (uint8_t)pattern[1], pattern += 2;
        for (; low <= high; low++)
            set[low / 32] |= 1u << low % 32;
    } while (*pattern && *pattern != ']');
    pattern += *pattern == ']';
    for (int i = 0; i < 8 && not; i++)
        set[i] = ~set[i];
}

static void piece(void)
{
    int start = length_of_code;
    switch (*pattern++) {
    case '(': alternatives(); pattern += *pattern == ')'; break;
    case '[': class(); break;
    case '.': emit(ANY, 0, 0); break;
    case '^': emit(START, 0, 0); break;
    case '$': emit(FINISH, 0, 0); break;
    case '\\': emit(CHARACTER, *pattern++, 0); break;
    default: emit(CHARACTER, pattern[-1], 0);
    }
    for (;; pattern++)
        if (*pattern == '*') {
            insert(start);
            int jump = emit(JUMP, start, 0);
            code[start] = (struct instruction){SPLIT, start + 1, jump + 1, {0}};
        } else if (*pattern == '+') {
            int split = emit(SPLIT, start, 0);
            code[split].y = split + 1;
        } else if (*pattern == '?') {
            insert(start);
            code[start] = (struct instruction){SPLIT, start + 1, length_of_code, {0}};
        } else {
            return;
        }
}

static void alternatives(void)
{
    int start = length_of_code;
    while (*pattern && *pattern != '|' && *pattern != ')')
        piece();
    if (*pattern == '|') {
        pattern++;
        insert(start);
        int jump = emit(JUMP, 0, 0);
        code[start] = (struct instruction){SPLIT, start + 1, jump + 1, {0}};
        alternatives();
        code[jump].x = length_of_code;
    }
}

static uint8_t now[60], then[60];

static int reach(uint8_t *places, int pc, int first, int last)
{
    int found = 0;
    if (places[pc])
        return 0;
    places[pc] = 1;
    switch (code[pc].op) {
    case JUMP: return reach(places, code[pc].x, first, last);
    case SPLIT:
        found = reach(places, code[pc].x, first, last);
        return reach(places, code[pc].y, first, last) | found;
    case START: return first ? reach(places, pc + 1, first, last) : 0;
    case FINISH: return last ? reach(places, pc + 1, first, last) : 0;
    case MATCH: return 1;
    default: return 0;
    }
}

/* The length of the longest match at `s`, or -1. */
static int match(const char *s, int first)
{
    int best = -1;
    memset(now, 0, sizeof now);
    if (reach(now, 0, first, !*s))
        best = 0;
    for (int n = 0; s[n]; n++) {
        unsigned c = (uint8_t)s[n];
        int found = 0, any = 0;
        memset(then, 0, sizeof then);
        for (int pc = 0; pc < length_of_code; pc++)
            if (now[pc] && (code[pc].op == ANY || (code[pc].op == CHARACTER && (unsigned)code[pc].x == c)
                            || (code[pc].op == SET && code[pc].set[c / 32] >> c % 32 & 1)))
                found |= reach(then, pc + 1, 0, !s[n + 1]), any = 1;
        if (found)
            best = n + 1;
        if (!any)
            break;
        memcpy(now, then, sizeof now);
    }
    return best;
}

static int search(const char *expression, const char *s, int *size)
{
    pattern = expression;
    length_of_code = 0;
    alternatives();
    emit(MATCH, 0, 0);
    for (int i = 0;; i++) {
        *size = match(s + i, i == 0);
        if (*size >= 0)
            return i;
        if (!s[i])
            return -1;
    }
}

/* -- the program ---------------------------------------------------------------------------------------------- */

int run(void)
{
    int wrong = 0;
    static const char *const documents[][2] = {
        {" {\"b\" : [1, 2.50, -3e2, true], \"a\":null , \"\":{}}", "{\"\":{},\"a\":null,\"b\":[1,25e-1,-3e2,true]}"},
        {"[\"\\u00e9\\ud83d\\ude00\\n\\\"\"]", "[\"\xc3\xa9\xf0\x9f\x98\x80\\u000a\\\"\"]"},
        {"[1,]", "wrong at 3"},
        {"{\"a\" 1}", "wrong at 5"},
        {"01", "wrong at 2"},
        {"9223372036854775807", "9223372036854775807"},
    };
    hash_begin();
    for (unsigned i = 0; i < sizeof documents / sizeof *documents; i++) {
        json(documents[i][0]);
        wrong += !same(documents[i][1]);
    }
    report("documents");
    hash_begin();
    for (int i = 0; i < 9; i++) {
        *generate(document, 4) = 0;
        json(document);
        if (!bad && end < sizeof document) { /* what is written again reads the same */
            memcpy(document, line, end);
            document[end] = 0;
            size_t before = end;
            json(document);
            wrong += end != before;
        }
    }
    report("generated");
    static const struct {
        const char *expression, *text;
        int place, size;
    } searches[] = {
        {"a+b", "caaab", 1, 4}, {"^(ab|cd)*$", "abcdab", 0, 6}, {"^(ab|cd)*$", "abcda", -1, -1},
        {"[0-9]+\\.[0-9]*", "pi is 3.14159!", 6, 7}, {"x?x?x?xxx", "xxx", 0, 3}, {"[^a-y ]+", "a lazy zebra", 4, 1},
        {"(a|b)*abb", "babaabb", 0, 7}, {"colou?r", "the colour", 4, 6}, {"$", "end", 3, 0}, {"(a*)*b", "aaaac", -1, -1},
        {".+@[a-z]+(\\.[a-z]+)+", "to me@host.example.org now", 0, 22},
    };
    hash_begin();
    for (unsigned i = 0; i < sizeof searches / sizeof *searches; i++) {
        int size, place = search(searches[i].expression, searches[i].text, &size);
        wrong += place != searches[i].place || size != searches[i].size;
        hash(&place, sizeof place), hash(&size, sizeof size);
        hash(code, length_of_code * sizeof *code);
    }
    report("expressions");
    return wrong;
}
