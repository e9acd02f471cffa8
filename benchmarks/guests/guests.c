/* Programs for `guest_speed.py`: -DPROGRAM=n chooses one, -DROUNDS=n says how long. Freestanding; the result goes to
 * exit(2) of Linux, which is one svc with the number 1 in r7: so the same file runs under qemu-arm, unicorn and here. */
typedef unsigned int u32;
typedef unsigned char u8;

#define NOINLINE __attribute__((noinline))
static u32 seed = 12345;
static u32 next(void) { return seed = seed * 1664525u + 1013904223u; }
static u8 bytes[65536];
static u32 words[16384];

void *memcpy(void *to, const void *from, unsigned n) { u8 *d = to; const u8 *s = from; while (n--) *d++ = *s++; return to; }
void *memset(void *to, int c, unsigned n) { u8 *d = to; while (n--) *d++ = (u8)c; return to; }

#if PROGRAM == 0 /* integer loop */
static u32 run(u32 rounds) { u32 a = 1, b = 2; for (u32 i = 0; i < rounds * 1000; i++) { a += b ^ (i << 3); b = (b >> 1) + (a ^ i); if (a & 64) b += 7; } return a ^ b; }
#elif PROGRAM == 1 /* CRC-32, a table */
static u32 run(u32 rounds) {
  for (u32 i = 0; i < 256; i++) { u32 c = i; for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1; words[i] = c; }
  u32 crc = ~0u;
  for (u32 r = 0; r < rounds; r++) for (u32 i = 0; i < 1024; i++) crc = words[(crc ^ bytes[i]) & 255] ^ (crc >> 8);
  return crc;
}
#elif PROGRAM == 2 /* strings and memory */
static NOINLINE unsigned length(const u8 *s) { unsigned n = 0; while (s[n]) n++; return n; }
static NOINLINE void copy(u8 *d, const u8 *s) { while ((*d++ = *s++)) { } }
static NOINLINE int compare(const u8 *a, const u8 *b) { while (*a && *a == *b) { a++; b++; } return *a - *b; }
static NOINLINE void move(u32 *d, const u32 *s, unsigned n) { while (n--) *d++ = *s++; }
static u32 run(u32 rounds) { u32 sum = 0; for (u32 i = 0; i < 200; i++) bytes[i] = 'a' + i % 26;
  for (u32 r = 0; r < rounds; r++) { copy(bytes + 1000, bytes); sum += length(bytes + 1000) + compare(bytes, bytes + 1000); bytes[1000 + r % 100] ^= 1; move(words, words + 512, 256); } return sum; }
#elif PROGRAM == 3 /* sort */
static void sort(u32 *a, int low, int high) { while (low < high) { u32 pivot = a[(low + high) / 2]; int i = low, j = high;
  while (i <= j) { while (a[i] < pivot) i++; while (a[j] > pivot) j--; if (i <= j) { u32 t = a[i]; a[i++] = a[j]; a[j--] = t; } }
  if (j - low < high - i) { sort(a, low, j); low = i; } else { sort(a, i, high); high = j; } } }
static u32 run(u32 rounds) { u32 sum = 0; for (u32 r = 0; r < rounds; r++) { for (int i = 0; i < 1000; i++) words[i] = next(); sort(words, 0, 999); sum += words[500]; } return sum; }
#elif PROGRAM == 4 /* sieve */
static u32 run(u32 rounds) { u32 n = 0; for (u32 r = 0; r < rounds; r++) { memset(bytes, 1, 8192); n = 0;
  for (u32 i = 2; i < 8192; i++) if (bytes[i]) { n++; for (u32 j = i + i; j < 8192; j += i) bytes[j] = 0; } } return n; }
#elif PROGRAM == 5 /* matrix */
static u32 run(u32 rounds) { u32 *a = words, *b = words + 1024, *c = words + 2048; for (int i = 0; i < 2048; i++) words[i] = next() & 255;
  for (u32 r = 0; r < rounds; r++) { for (int i = 0; i < 32; i++) for (int j = 0; j < 32; j++) { u32 s = 0; for (int k = 0; k < 32; k++) s += a[i * 32 + k] * b[k * 32 + j]; c[i * 32 + j] = s; } a[r & 1023] ^= c[7]; } return c[99]; }
#elif PROGRAM == 6 /* state machine */
static u32 run(u32 rounds) { u32 state = 0, count = 0; for (u32 i = 0; i < 4096; i++) bytes[i] = next() >> 24;
  for (u32 r = 0; r < rounds; r++) for (u32 i = 0; i < 4096; i++) { u8 c = bytes[i]; switch (state) {
    case 0: state = c < 64 ? 1 : c < 128 ? 2 : 0; break; case 1: state = c & 1 ? 3 : 4; count++; break; case 2: state = c & 2 ? 5 : 0; break;
    case 3: state = c > 200 ? 6 : 1; count += c; break; case 4: state = 7; break; case 5: count ^= c; state = c & 4 ? 2 : 6; break;
    case 6: state = 0; count += 3; break; default: state = c & 7; } } return count; }
#elif PROGRAM == 7 /* recursion */
static NOINLINE u32 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
static u32 run(u32 rounds) { u32 s = 0; for (u32 r = 0; r < rounds; r++) s += fib(16); return s; }
#elif PROGRAM == 8 /* floating point: a dot product and a polynomial */
static u32 run(u32 rounds) { static double x[64]; static float y[64]; for (int i = 0; i < 64; i++) { x[i] = i * 0.37 + 1; y[i] = i * 0.11f - 3; }
  double s = 0; float t = 0; for (u32 r = 0; r < rounds; r++) for (int i = 0; i < 64; i++) { s = s * 0.5 + x[i] * 0.25 - 0.125; t = t * 0.25f + y[i] / 3.0f; x[i] = s > 9 ? s - 8 : s + 1; } return (u32)s + (u32)(int)t; }
#endif

__attribute__((naked, section(".text.start"))) void _start(void) { __asm__ volatile("ldr sp, =stack_top\n\tbl main_\n\tmov r7, #1\n\tsvc 0\n\tb ."); }
static u32 stack[4096] __attribute__((used));
__asm__(".global stack_top\n.set stack_top, stack + 16384");
u32 main_(void) { return run(ROUNDS); }
