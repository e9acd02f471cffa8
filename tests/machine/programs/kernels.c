/* Kernels of the kind that processor benchmarks have: a linked list that is searched, reversed and sorted by merging;
 * matrices of small integers; a state machine that scans numbers; a priority queue, shortest paths; a sieve; queens;
 * long division. Every result goes into a CRC. */
#include "start.h"

static uint16_t crc;

static void check(uint32_t value)
{
    for (int i = 0; i < 32; i++, value >>= 1)
        crc = (crc ^ value) & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
}

static void result(const char *name)
{
    hash_begin();
    hash(&crc, sizeof crc);
    report(name);
}

/* -- lists ---------------------------------------------------------------------------------------------------- */

struct item {
    struct item *next;
    int16_t key, position;
};

static struct item items[150];

static struct item *merge(struct item *a, struct item *b, int by_position)
{
    struct item *first = 0, **place = &first;
    while (a && b) {
        int later = by_position ? a->position > b->position : a->key > b->key;
        struct item **least = later ? &b : &a;
        *place = *least;
        *least = (*least)->next;
        place = &(*place)->next;
    }
    *place = a ? a : b;
    return first;
}

static struct item *sort(struct item *list, int by_position)
{
    struct item *halves[2] = {0, 0};
    if (!list || !list->next)
        return list;
    for (int i = 0; list; i ^= 1) {
        struct item *next = list->next;
        list->next = halves[i];
        halves[i] = list;
        list = next;
    }
    return merge(sort(halves[0], by_position), sort(halves[1], by_position), by_position);
}

static struct item *reverse(struct item *list)
{
    struct item *back = 0;
    while (list) {
        struct item *next = list->next;
        list->next = back;
        back = list;
        list = next;
    }
    return back;
}

static void lists(void)
{
    int n = sizeof items / sizeof *items;
    for (int i = 0; i < n; i++)
        items[i] = (struct item){i + 1 < n ? &items[i + 1] : 0, random32(), i};
    struct item *list = items;
    for (int round = 0; round < 4; round++) {
        list = sort(list, 0);
        int place = 0, wanted = items[round * 7].key;
        for (struct item *x = list; x && x->key != wanted; x = x->next)
            place++;
        check(place);
        list = reverse(list);
        for (struct item *x = list; x && x->next; x = x->next)
            check(x->key - x->next->key);
        list = sort(list, 1);
        check(list->key);
    }
    result("lists");
}

/* -- matrices ------------------------------------------------------------------------------------------------- */

enum { N = 14 };
static int16_t a[N][N], b[N][N];
static int32_t c[N][N];

static void matrices(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i][j] = random32(), b[i][j] = random32() & 0xff;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                c[i][j] = 0;
                for (int k = 0; k < N; k++)
                    c[i][j] += a[i][k] * b[k][j];
            }
        int32_t sum = 0, greatest = 0;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                sum += (c[i][j] >> 2 & 0xf) * (c[i][j] >> 5 & 0x7f);
                greatest = c[i][j] > greatest ? c[i][j] : greatest;
                a[j][i] = c[i][j] >> 7;
            }
        check(sum), check(greatest);
    }
    result("matrices");
}

/* -- a state machine ------------------------------------------------------------------------------------------ */

enum state { BEGIN, SIGNED, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, INVALID, STATES };

static enum state advance(enum state s, char x)
{
    int digit = (unsigned)x - '0' < 10;
    switch (s) {
    case BEGIN: return digit ? INTEGER : x == '+' || x == '-' ? SIGNED : x == '.' ? POINT : INVALID;
    case SIGNED: return digit ? INTEGER : x == '.' ? POINT : INVALID;
    case INTEGER: return digit ? INTEGER : x == '.' ? FRACTION : (x | 32) == 'e' ? EXPONENT : INVALID;
    case POINT:
    case FRACTION: return digit ? FRACTION : s == FRACTION && (x | 32) == 'e' ? EXPONENT : INVALID;
    case EXPONENT: return digit ? SCIENTIFIC : x == '+' || x == '-' ? EXPONENT_SIGN : INVALID;
    case EXPONENT_SIGN:
    case SCIENTIFIC: return digit ? SCIENTIFIC : INVALID;
    default: return INVALID;
    }
}

static void states(void)
{
    static const char *const inputs[] = {"5012", "-874", "+122", "35.54400", ".1234500", "-110.700", "5.500e+3", "-.123e-2",
                                         "-87e+832", "T0.3e-1F", "-T.T++Tq", "1T3.4e4z", "34.0e-T^"};
    uint32_t finals[STATES], steps[STATES];
    memset(finals, 0, sizeof finals), memset(steps, 0, sizeof steps);
    char text[300];
    int n = 0;
    while (n < 270) {
        const char *s = inputs[random32() % 13];
        while (*s)
            text[n++] = *s++;
        text[n++] = ',';
    }
    for (int damage = 0; damage < 4; damage++) {
        enum state s = BEGIN;
        for (int i = 0; i < n; i++) {
            if (text[i] == ',') {
                finals[s]++;
                s = BEGIN;
            } else {
                enum state next = advance(s, text[i]);
                steps[s] += next != s;
                s = next;
            }
        }
        for (int i = damage; i < n; i += 17)
            if (text[i] != ',')
                text[i] ^= damage + 1;
    }
    for (int i = 0; i < STATES; i++)
        check(finals[i]), check(steps[i]);
    result("states");
}

/* -- a heap, and shortest paths with it -------------------------------------------------------------------------- */

static uint32_t heap[400];
static int heaped;

static void push(uint32_t x)
{
    int i = heaped++;
    for (; i && heap[(i - 1) / 2] > x; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = x;
}

static uint32_t pop(void)
{
    uint32_t top = heap[0], x = heap[--heaped];
    int i = 0;
    for (int child; (child = 2 * i + 1) < heaped; i = child) {
        child += child + 1 < heaped && heap[child + 1] < heap[child];
        if (heap[child] >= x)
            break;
        heap[i] = heap[child];
    }
    heap[i] = x;
    return top;
}

static void paths(void)
{
    enum { PLACES = 40 };
    uint8_t cost[PLACES][PLACES];
    uint32_t distance[PLACES];
    for (int i = 0; i < PLACES; i++) {
        distance[i] = 0xffff;
        for (int j = 0; j < PLACES; j++)
            cost[i][j] = random32() % 9 ? 0 : random32() % 100 + 1;
    }
    distance[0] = 0;
    push(0);
    while (heaped) {
        uint32_t top = pop(), from = top & 0xffff;
        if (top >> 16 > distance[from])
            continue;
        for (int to = 0; to < PLACES; to++)
            if (cost[from][to] && distance[from] + cost[from][to] < distance[to] && heaped < 400) {
                distance[to] = distance[from] + cost[from][to];
                push(distance[to] << 16 | to);
            }
    }
    for (int i = 0; i < PLACES; i++)
        check(distance[i]);
    result("paths");
}

/* -- sieve, queens, long division --------------------------------------------------------------------------------- */

static int queens(uint32_t columns, uint32_t left, uint32_t right, uint32_t all)
{
    int found = columns == all;
    for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
        uint32_t one = free & -free;
        found += queens(columns | one, (left | one) << 1, (right | one) >> 1, all);
    }
    return found;
}

static void numbers(void)
{
    static uint32_t sieve[1500 / 32];
    int primes = 0;
    for (int n = 2; n < 1500; n++)
        if (!(sieve[n / 32] >> n % 32 & 1)) {
            primes++;
            for (int m = n * n; m < 1500; m += n)
                sieve[m / 32] |= 1u << m % 32;
        }
    check(primes);
    check(queens(0, 0, 0, 0x3f));
    uint32_t factorial[12] = {1}; /* 50!, digit by digit */
    for (uint32_t n = 2; n <= 50; n++) {
        uint64_t carry = 0;
        for (int i = 0; i < 12; i++) {
            carry += (uint64_t)factorial[i] * n;
            factorial[i] = carry;
            carry >>= 32;
        }
    }
    for (int digit = 0; digit < 65; digit++) {
        uint64_t rest = 0;
        for (int i = 11; i >= 0; i--) {
            rest = rest << 32 | factorial[i];
            factorial[i] = rest / 10;
            rest %= 10;
        }
        check(rest);
    }
    result("numbers");
}

int run(void)
{
    lists();
    matrices();
    states();
    paths();
    numbers();
    return crc >> 8;
}
