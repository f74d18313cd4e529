#include "num/exp_n.h"

#include <stdint.h>
#include <string.h>

/* Two lanes: what every x86-64 and ARM64 has; elsewhere the compiler makes two scalars of it. */
typedef double v2d __attribute__((vector_size(16)));
typedef uint64_t v2u __attribute__((vector_size(16)));

static inline v2d both(double x) {
    return (v2d){x, x};
}

static inline v2d pick(v2u mask, v2d yes, v2d no) {
    return (v2d)(((v2u)yes & mask) | ((v2u)no & ~mask));
}

static inline v2d exp_pair(v2d x) {
    const v2d ln2_high = both(0x1.62e42fee00000p-1); /* 32 bits: exact times an exponent */
    const v2d ln2_low = both(0x1.a39ef35793c76p-33);
    const v2d shift = both(0x1.8p52); /* adding it rounds to an integer in the low bits */
    /* A NaN is in neither comparison and stays. */
    x = pick((v2u)(x < both(-708.0)), both(-708.0), x);
    x = pick((v2u)(x > both(709.0)), both(709.0), x);
    v2d shifted = x * both(1.4426950408889634) + shift, k = shifted - shift;
    v2d r = (x - k * ln2_high) - k * ln2_low;
    v2d r2 = r * r, r4 = r2 * r2;
    v2d p23 = both(1.0 / 2) + both(1.0 / 6) * r, p45 = both(1.0 / 24) + both(1.0 / 120) * r;
    v2d p67 = both(1.0 / 720) + both(1.0 / 5040) * r,
        p89 = both(1.0 / 40320) + both(1.0 / 362880) * r;
    v2d pab = both(1.0 / 3628800) + both(1.0 / 39916800) * r,
        pcd = both(1.0 / 479001600) + both(1.0 / 6227020800.0) * r;
    v2d tail = (p23 + p45 * r2) + ((p67 + p89 * r2) + (pab + pcd * r2) * r4) * r4;
    v2d p = both(1.0) + (r + r2 * tail);
    /* 2^k by its exponent; the low bits of `shifted` hold k, above them is the shift's own exponent. */
    v2u power = ((v2u)shifted + (v2u){1023, 1023}) << 52;
    return p * (v2d)power;
}

void num_exp_n(double *out, const double *x, size_t count) {
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        v2d v;
        memcpy(&v, x + i, sizeof v);
        v = exp_pair(v);
        memcpy(out + i, &v, sizeof v);
    }
    if (i < count) out[i] = exp_pair(both(x[i]))[0];
}

static inline v2d logistic_pair(v2d x) {
    return both(1.0) / (both(1.0) + exp_pair(-x));
}

void num_logistic_n(double *out, const double *x, size_t count) {
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        v2d v;
        memcpy(&v, x + i, sizeof v);
        v = logistic_pair(v);
        memcpy(out + i, &v, sizeof v);
    }
    if (i < count) out[i] = logistic_pair(both(x[i]))[0];
}

/* max(x, 0) + log(1 + e), e = e^-|x| in (0, 1]; the logarithm by the series of 2 artanh(f / (2 + f)) as in num_log. */
static inline v2d softplus_pair(v2d x) {
    const v2d zero = both(0.0), one = both(1.0);
    v2d e = exp_pair(pick((v2u)(x > zero), -x, x));
    /* 1 + e above sqrt(2) is halved: f stays within 0.415 of 0, and what is given up is ln 2. */
    v2u large = (v2u)(e > both(0.41421356237309515));
    v2d f = pick(large, (e - one) * both(0.5), e);
    v2d s = f / (both(2.0) + f), z = s * s, z2 = z * z, z4 = z2 * z2;
    v2d p =
        (both(2.0 / 3) + both(2.0 / 5) * z) + (both(2.0 / 7) + both(2.0 / 9) * z) * z2 +
        ((both(2.0 / 11) + both(2.0 / 13) * z) + (both(2.0 / 15) + both(2.0 / 17) * z) * z2) * z4 +
        (both(2.0 / 19) + both(2.0 / 21) * z) * (z4 * z4);
    v2d log = f - s * (f - z * p);
    log = pick(large, log + both(0.6931471805599453), log);
    return pick((v2u)(x > zero), x, zero) + log;
}

void num_softplus_n(double *out, const double *x, size_t count) {
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        v2d v;
        memcpy(&v, x + i, sizeof v);
        v = softplus_pair(v);
        memcpy(out + i, &v, sizeof v);
    }
    if (i < count) out[i] = softplus_pair(both(x[i]))[0];
}
