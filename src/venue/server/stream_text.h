/* Appending JSON to a buffer that is known to be large enough: what the streams write has no character
 * that needs an escape, and is written for every change of every book. */
#ifndef VENUE_SERVER_STREAM_TEXT_H
#define VENUE_SERVER_STREAM_TEXT_H

#include <stdint.h>
#include <string.h>

#include "base/fx.h"

static inline char *put_n(char *p, const char *text, size_t size) {
    memcpy(p, text, size);
    return p + size;
}
#define PUT(p, literal) put_n(p, literal, sizeof(literal) - 1)

static inline char *put_text(char *p, const char *text) {
    return put_n(p, text, strlen(text));
}

static inline char *put_u64(char *p, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    return put_n(p, digits + at, sizeof digits - at);
}

static inline char *put_i64(char *p, int64_t value) {
    if (value < 0) *p++ = '-';
    return put_u64(p, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* At least `decimals` (0..8) digits behind the point, more if the value has more: no digit is lost. */
static inline char *put_e8(char *p, int64_t e8, int decimals) {
    uint64_t m = e8 < 0 ? 0 - (uint64_t)e8 : (uint64_t)e8;
    uint32_t fraction = (uint32_t)(m % (uint64_t)FX_ONE);
    if (e8 < 0) *p++ = '-';
    p = put_u64(p, m / (uint64_t)FX_ONE);
    if (fraction == 0 && decimals == 0) return p;
    *p++ = '.';
    for (int i = 7; i >= 0; i--, fraction /= 10) p[i] = (char)('0' + fraction % 10);
    int size = 8;
    while (size > decimals && p[size - 1] == '0') size--;
    return p + size;
}

static inline char *put_bool(char *p, bool value) {
    return value ? PUT(p, "true") : PUT(p, "false");
}

/* "text" and "1.50" in quotes */
static inline char *put_quoted(char *p, const char *text) {
    *p++ = '"';
    p = put_text(p, text);
    *p++ = '"';
    return p;
}
static inline char *put_decimal(char *p, int64_t e8, int decimals) {
    *p++ = '"';
    p = put_e8(p, e8, decimals);
    *p++ = '"';
    return p;
}
#endif
