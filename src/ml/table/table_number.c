/* Decimal text to double, correctly rounded, at the speed of a file: whole numbers in 128 bits carry
 * every text of at most 19 digits and a power of ten within 27; the rest goes the long way. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/numtext.h"
#include "ml/table/table_internal.h"

__extension__ typedef unsigned __int128 u128;

enum { DIGITS_FAST = 19, POWER_FAST = 27, POWER_EXACT = 22, EXPONENT_MAX = 100000 };

static const double powers10[POWER_EXACT + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* 5^27 is the last below 2^63. */
static const uint64_t powers5[POWER_FAST + 1] = {1u,
                                                 5u,
                                                 25u,
                                                 125u,
                                                 625u,
                                                 3125u,
                                                 15625u,
                                                 78125u,
                                                 390625u,
                                                 1953125u,
                                                 9765625u,
                                                 48828125u,
                                                 244140625u,
                                                 1220703125u,
                                                 6103515625u,
                                                 30517578125u,
                                                 152587890625u,
                                                 762939453125u,
                                                 3814697265625u,
                                                 19073486328125u,
                                                 95367431640625u,
                                                 476837158203125u,
                                                 2384185791015625u,
                                                 11920928955078125u,
                                                 59604644775390625u,
                                                 298023223876953125u,
                                                 1490116119384765625u,
                                                 7450580596923828125u};

static double power2(int exponent) {
    uint64_t bits = (uint64_t)(1023 + exponent) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* (whole + a part below one that is zero iff !sticky) * 2^exponent, to the nearest double, ties to
 * even. whole has its 62nd bit or a higher one set; the result is far from the ends of the range. */
static double rounded(uint64_t whole, bool sticky, int exponent) {
    int cut = 64 - __builtin_clzll(whole) - 53;
    uint64_t half = UINT64_C(1) << (cut - 1), rest = whole & (2 * half - 1), kept = whole >> cut;
    if (rest > half || (rest == half && (sticky || (kept & 1)))) kept++;
    return (double)kept * power2(exponent + cut); /* both exact */
}

/* digits * 10^power, digits > 0, |power| <= POWER_FAST. */
static double scaled(uint64_t digits, int power) {
    if (digits <= UINT64_C(1) << 53 && power >= -POWER_EXACT && power <= POWER_EXACT)
        /* Both operands are exact, so the one operation rounds correctly (Clinger 1990). */
        return power < 0 ? (double)digits / powers10[-power] : (double)digits * powers10[power];
    int up = __builtin_clzll(digits);
    digits <<= up;
    if (power < 0) {
        uint64_t five = powers5[-power];
        int up5 = __builtin_clzll(five);
        five <<= up5;
        u128 from = (u128)digits << 63;
        uint64_t whole = (uint64_t)(from / five);
        bool sticky = from != (u128)whole * five;
        /* digits 2^-up / (five 2^-up5 2^-power) */
        return rounded(whole, sticky, up5 - up - 63 + power);
    }
    u128 product = (u128)digits * powers5[power];
    if (product >> 64 == 0) return rounded((uint64_t)product, false, power - up);
    int high = __builtin_clzll((uint64_t)(product >> 64));
    product <<= high;
    return rounded((uint64_t)(product >> 64), (uint64_t)product != 0, 64 - high + power - up);
}

static bool is_digit(char c) {
    return (unsigned char)(c - '0') < 10;
}

static const char *word(double *out, const char *p, bool negative) {
    static const struct {
        char text[10];
        double value;
    } words[] = {
        {"nan", NAN}, {"null", NAN}, {"na", NAN}, {"infinity", INFINITY}, {"inf", INFINITY}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t size = strlen(words[i].text);
        if (strncasecmp(p, words[i].text, size) != 0) continue;
        *out = negative && isinf(words[i].value) ? -INFINITY : words[i].value;
        return p + size;
    }
    return NULL;
}

/* Behind an e; NULL: no number there. */
static const char *exponent(int64_t *out, const char *p) {
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    if (!is_digit(*p)) return NULL;
    int64_t value = 0;
    for (; is_digit(*p); p++)
        if (value < EXPONENT_MAX) value = value * 10 + (*p - '0');
    *out += negative ? -value : value;
    return p;
}

const char *table_number(double *out, const char *text) {
    const char *p = text;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    const char *begin = p;
    uint64_t digits = 0;
    int64_t power = 0;
    while (*p == '0') p++;
    const char *first = p;
    for (; is_digit(*p); p++) digits = digits * 10 + (uint64_t)(*p - '0');
    ptrdiff_t count = p - first, seen = p - begin;
    if (*p == '.') {
        const char *point = ++p;
        if (count == 0)
            while (*p == '0') p++;
        first = p;
        for (; is_digit(*p); p++) digits = digits * 10 + (uint64_t)(*p - '0');
        count += p - first;
        seen += p - point;
        power = point - p;
    }
    if (seen == 0) return word(out, begin, negative);
    /* An e that no number follows does not belong to this one. */
    const char *end = *p == 'e' || *p == 'E' ? exponent(&power, p + 1) : p;
    if (!end) end = p;
    double value;
    if (count > DIGITS_FAST) /* digits has wrapped around */
        value = numtext_parse_f64(begin, (size_t)(end - begin));
    else if (digits == 0)
        value = 0;
    else if (power < -POWER_FAST || power > POWER_FAST)
        value = numtext_parse_f64(begin, (size_t)(end - begin));
    else
        value = scaled(digits, (int)power);
    *out = negative ? -value : value;
    return end;
}
