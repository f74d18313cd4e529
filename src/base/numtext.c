#include "base/numtext.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

size_t numtext_f64(char out[NUMTEXT_SIZE], double x) {
    ASSERT(isfinite(x));
    /* Whole numbers below 1e15 print exactly with any of the formats: skip the search. */
    if (fabs(x) < 1e15 && x == (double)(int64_t)x && !(x == 0 && signbit(x)))
        return (size_t)snprintf(out, NUMTEXT_SIZE, "%lld", (long long)x);
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(out, NUMTEXT_SIZE, "%.*g", digits, x);
        if (strtod(out, NULL) == x) break;
    }
    return (size_t)n;
}

/* A halfway case between two doubles has at most 767 significant digits, so 800 and one sticky digit
 * for whatever is cut round as the whole text does. */
enum { DIGITS_KEPT = 800 };

struct decimal {
    uint64_t mantissa; /* first 19 significant digits */
    int64_t exponent;  /* value = digits * 10^exponent, over all digits seen */
    size_t digit_count;
    bool negative;
};

static int64_t exponent_part(const char *p, const char *end) {
    bool negative = false;
    if (p < end && (*p == '+' || *p == '-')) negative = *p++ == '-';
    int64_t value = 0;
    for (; p < end; p++)
        if (value < INT64_C(1000000000000)) value = value * 10 + (*p - '0');
    return negative ? -value : value;
}

/* Splits the text; digits (may be NULL) gets the kept significant digits and the sticky one. */
static void split(struct decimal *d, char *digits, const char *text, size_t size) {
    const char *p = text, *end = text + size;
    bool fraction = false, sticky = false;
    size_t kept = 0;
    *d = (struct decimal){0};
    if (p < end && *p == '-') d->negative = true, p++;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        if (fraction) d->exponent--;
        if (d->digit_count == 0 && *p == '0') continue;
        d->digit_count++;
        if (d->digit_count <= 19) d->mantissa = d->mantissa * 10 + (uint64_t)(*p - '0');
        if (kept < DIGITS_KEPT) {
            if (digits) digits[kept] = *p;
            kept++;
        } else {
            sticky |= *p != '0';
            d->exponent++;
        }
    }
    if (digits && sticky) {
        digits[kept++] = '1';
        d->exponent--;
    }
    if (digits) digits[kept] = '\0';
    if (p < end) d->exponent += exponent_part(p + 1, end);
}

double numtext_parse_f64(const char *text, size_t size) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal d;
    split(&d, NULL, text, size);
    double value;
    if (d.digit_count == 0) {
        value = 0;
    } else if (d.digit_count <= 19 && d.mantissa <= UINT64_C(1) << 53 && d.exponent >= -22 &&
               d.exponent <= 22) {
        /* Both operands are exact, so the one operation rounds correctly (Clinger 1990). */
        value = (double)d.mantissa;
        value = d.exponent < 0 ? value / powers[-d.exponent] : value * powers[d.exponent];
    } else {
        char buffer[DIGITS_KEPT + 32];
        split(&d, buffer, text, size);
        size_t n = strlen(buffer);
        int64_t exponent = d.exponent > 100000    ? 100000
                           : d.exponent < -100000 ? -100000
                                                  : d.exponent;
        snprintf(buffer + n, sizeof buffer - n, "e%lld", (long long)exponent);
        value = strtod(buffer, NULL);
    }
    return d.negative ? -value : value;
}
