#include "base/fx.h"

#include <math.h>

#include "base/assert.h"

__extension__ typedef __int128 i128;

static int64_t narrow(i128 x) {
    ASSERT(x >= INT64_MIN && x <= INT64_MAX);
    return (int64_t)x;
}

/* |a| * |b| / c, truncated, with its remainder. The quotient must fit 63 bits (asserted), which is what
 * lets one machine division do: the processor's 128-by-64 one needs the upper half below the divisor. */
static uint64_t div_magnitude(uint64_t *remainder, uint64_t a, uint64_t b, uint64_t c) {
    __extension__ typedef unsigned __int128 u128;
    u128 n = (u128)a * b;
    uint64_t hi = (uint64_t)(n >> 64), lo = (uint64_t)n, q;
    if (hi == 0) {
        *remainder = lo % c;
        return lo / c;
    }
    ASSERT(hi < c);
#if defined(__x86_64__)
    __asm__("divq %4" : "=a"(q), "=d"(*remainder) : "a"(lo), "d"(hi), "r"(c) : "cc");
#else
    q = (uint64_t)(n / c);
    *remainder = (uint64_t)(n % c);
#endif
    return q;
}

static uint64_t magnitude(int64_t x) {
    return x < 0 ? (uint64_t)0 - (uint64_t)x : (uint64_t)x;
}

static int64_t with_sign(uint64_t q, bool negative) {
    ASSERT(q <= (uint64_t)INT64_MAX + negative);
    return negative ? (int64_t)((uint64_t)0 - q) : (int64_t)q;
}

int64_t fx_muldiv_floor(int64_t a, int64_t b, int64_t c) {
    ASSERT(c > 0);
    bool negative = (a < 0) != (b < 0);
    uint64_t r, q = div_magnitude(&r, magnitude(a), magnitude(b), (uint64_t)c);
    return with_sign(q + (negative && r != 0), negative && (q | r) != 0);
}

int64_t fx_muldiv_ceil(int64_t a, int64_t b, int64_t c) {
    ASSERT(c > 0);
    bool negative = (a < 0) != (b < 0);
    uint64_t r, q = div_magnitude(&r, magnitude(a), magnitude(b), (uint64_t)c);
    return with_sign(q + (!negative && r != 0), negative && q != 0);
}

int64_t fx_muldiv_half_even(int64_t a, int64_t b, int64_t c) {
    ASSERT(c > 0);
    bool negative = (a < 0) != (b < 0);
    uint64_t r, q = div_magnitude(&r, magnitude(a), magnitude(b), (uint64_t)c);
    uint64_t rest = (uint64_t)c - r; /* the rule is symmetric, so magnitudes will do */
    q += r > rest || (r == rest && (q & 1));
    return with_sign(q, negative && q != 0);
}

/* |a| * |b| / 1e8 with its remainder. 1e8 = 2^8 * 5^8, so below 2^72 (a notional of 470,000) a shift
 * leaves a 64-bit number to divide by a constant, which is a multiplication. */
static uint64_t mul_magnitude(uint64_t *remainder, uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 u128;
    enum { FIVES = 390625 };
    u128 n = (u128)a * b;
    if (n >> 72) return div_magnitude(remainder, a, b, FX_ONE);
    uint64_t upper = (uint64_t)(n >> 8), q = upper / FIVES;
    *remainder = (upper - q * FIVES) << 8 | ((uint64_t)n & 255);
    return q;
}

int64_t fx_mul_floor(int64_t a, int64_t b) {
    bool negative = (a < 0) != (b < 0);
    uint64_t r, q = mul_magnitude(&r, magnitude(a), magnitude(b));
    return with_sign(q + (negative && r != 0), negative && (q | r) != 0);
}

int64_t fx_mul_ceil(int64_t a, int64_t b) {
    bool negative = (a < 0) != (b < 0);
    uint64_t r, q = mul_magnitude(&r, magnitude(a), magnitude(b));
    return with_sign(q + (!negative && r != 0), negative && q != 0);
}

int64_t fx_mul_half_even(int64_t a, int64_t b) {
    bool negative = (a < 0) != (b < 0);
    uint64_t r, q = mul_magnitude(&r, magnitude(a), magnitude(b));
    q += r > FX_ONE / 2 || (r == FX_ONE / 2 && (q & 1));
    return with_sign(q, negative && q != 0);
}

int64_t fx_snap_down(int64_t x, int64_t grid) {
    ASSERT(grid > 0);
    int64_t r = x % grid;
    return r < 0 ? narrow((i128)x - r - grid) : x - r;
}

int64_t fx_snap_up(int64_t x, int64_t grid) {
    ASSERT(grid > 0);
    int64_t r = x % grid;
    return r > 0 ? narrow((i128)x - r + grid) : x - r;
}

int64_t fx_snap_nearest(int64_t x, int64_t grid) {
    ASSERT(grid > 0);
    int64_t above = x % grid; /* distance to the grid line below */
    if (above < 0) above += grid;
    i128 down = (i128)x - above;
    return narrow(above >= grid - above ? down + grid : down);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Reads "e-05"; *p stands behind the 'e'. */
static enum status parse_exponent(int *out, const char **p, const char *end) {
    bool negative = false;
    if (*p < end && (**p == '-' || **p == '+')) negative = *(*p)++ == '-';
    if (*p >= end || !is_digit(**p)) return ST_INVALID;
    int value = 0;
    for (; *p < end && is_digit(**p); (*p)++)
        if (value < 100000000) value = value * 10 + (**p - '0'); /* more decides nothing */
    *out = negative ? -value : value;
    return ST_OK;
}

static enum status parse(int64_t *out_e8, const char *text, size_t length, bool truncate) {
    const char *p = text, *end = text + length;
    bool negative = false, any = false;
    if (p < end && (*p == '-' || *p == '+')) negative = *p++ == '-';
    i128 mantissa = 0;
    int scale = 0; /* value = mantissa * 10^-scale */
    bool fraction = false, lost = false;
    for (; p < end && (is_digit(*p) || (*p == '.' && !fraction)); p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        any = true;
        if (mantissa > (i128)INT64_MAX * 100000000) {
            /* 27 digits are held; what e8 can show of any number that fits lies within them. */
            lost |= *p != '0';
            scale -= !fraction;
            continue;
        }
        mantissa = mantissa * 10 + (*p - '0');
        scale += fraction;
    }
    if (!any) return ST_INVALID;
    if (p < end && (*p == 'e' || *p == 'E')) {
        int exponent = 0;
        p++;
        enum status st = parse_exponent(&exponent, &p, end);
        if (st != ST_OK) return st;
        scale -= exponent;
    }
    if (p != end) return ST_INVALID;
    if (lost && !truncate) return ST_RANGE;
    int shift = 8 - scale;
    for (; shift > 0 && mantissa != 0; shift--) {
        mantissa *= 10;
        if (mantissa > -(i128)INT64_MIN) return ST_RANGE;
    }
    for (; shift < 0 && mantissa != 0; shift++) {
        if (mantissa % 10 != 0 && !truncate) return ST_RANGE;
        mantissa /= 10;
    }
    if (negative) mantissa = -mantissa; /* before the check: the range reaches one further down */
    if (mantissa < INT64_MIN || mantissa > INT64_MAX) return ST_RANGE;
    *out_e8 = (int64_t)mantissa;
    return ST_OK;
}

enum status fx_parse(int64_t *out_e8, const char *text, size_t length) {
    return parse(out_e8, text, length, false);
}

enum status fx_parse_truncate(int64_t *out_e8, const char *text, size_t length) {
    return parse(out_e8, text, length, true);
}

size_t fx_format_fixed(char out[FX_TEXT_SIZE], int64_t e8, int decimals) {
    ASSERT(decimals >= 0 && decimals <= 8);
    uint64_t magnitude = e8 < 0 ? (uint64_t)0 - (uint64_t)e8 : (uint64_t)e8;
    char digits[FX_TEXT_SIZE];
    size_t n = 0;
    for (int drop = 8; drop > decimals; drop--) {
        ASSERT(magnitude % 10 == 0);
        magnitude /= 10;
    }
    for (int i = 0; i < decimals; i++, magnitude /= 10) digits[n++] = (char)('0' + magnitude % 10);
    if (decimals) digits[n++] = '.';
    do digits[n++] = (char)('0' + magnitude % 10);
    while (magnitude /= 10);
    if (e8 < 0) digits[n++] = '-';
    for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
    out[n] = '\0';
    return n;
}

size_t fx_format(char out[FX_TEXT_SIZE], int64_t e8) {
    int decimals = 8;
    for (int64_t rest = e8; decimals > 0 && rest % 10 == 0; rest /= 10) decimals--;
    return fx_format_fixed(out, e8, decimals);
}

int64_t fx_from_f64(double x) {
    double scaled = nearbyint(x * 1e8);
    ASSERT(scaled >= -9.2233720368547e18 && scaled <= 9.2233720368547e18);
    return (int64_t)scaled;
}
