/* Printing and the verdict. Only the stack is used, so that any thread may print. */
#include <stdarg.h>

#include "sample.h"

static void put_number(seL4_Word value, seL4_Word base)
{
    char digits[10];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count) {
        seL4_DebugPutChar(digits[--count]);
    }
}

static void format_list(const char *format, va_list list)
{
    for (; *format; format++) {
        if (*format != '%') {
            seL4_DebugPutChar(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            seL4_DebugPutString(va_arg(list, const char *));
            break;
        case 'c':
            seL4_DebugPutChar((char)va_arg(list, int));
            break;
        case 'd': {
            int value = va_arg(list, int);
            if (value < 0) {
                seL4_DebugPutChar('-');
            }
            put_number(value < 0 ? -(seL4_Word)value : (seL4_Word)value, 10);
            break;
        }
        case 'u':
            put_number(va_arg(list, seL4_Word), 10);
            break;
        case 'x':
            put_number(va_arg(list, seL4_Word), 16);
            break;
        default:
            seL4_DebugPutChar(*format);
        }
    }
}

void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    format_list(format, list);
    va_end(list);
}

void fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    seL4_DebugPutString("FAIL: ");
    format_list(format, list);
    seL4_DebugPutChar('\n');
    va_end(list);
    for (;;) {
        seL4_DebugHalt();
    }
}

static const char *const error_names[] = {
    "no error",         "invalid argument", "invalid capability", "illegal operation",
    "range error",      "alignment error",  "failed lookup",      "truncated message",
    "delete first",     "revoke first",     "not enough memory",
};

const char *error_name(seL4_Word error) { return error < ARRAY_LENGTH(error_names) ? error_names[error] : "?"; }

void expect(seL4_Word error, seL4_Word wanted, const char *what)
{
    if (error != wanted) {
        fail("%s: %s (%u) instead of %s", what, error_name(error), error, error_names[wanted]);
    }
}
