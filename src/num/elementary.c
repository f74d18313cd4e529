#include "num/elementary.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

double num_log(double x) {
    static const double ln2_high = 0x1.62e42fee00000p-1; /* 32 bits: exact times an exponent */
    static const double ln2_low = 0x1.a39ef35793c76p-33;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* Split at sqrt(1/2): the offset carries into the exponent exactly when m >= sqrt(2). */
    uint64_t shifted = bits - UINT64_C(0x3FE6A09E667F3BCD);
    int64_t exponent = (int64_t)shifted >> 52;
    bits -= (uint64_t)exponent << 52;
    double m;
    memcpy(&m, &bits, sizeof m);

    double f = m - 1.0, s = f / (m + 1.0), z = s * s, z2 = z * z, z4 = z2 * z2;
    double p = (2.0 / 3 + 2.0 / 5 * z) + (2.0 / 7 + 2.0 / 9 * z) * z2 +
               ((2.0 / 11 + 2.0 / 13 * z) + (2.0 / 15 + 2.0 / 17 * z) * z2) * z4 +
               (2.0 / 19 + 2.0 / 21 * z) * (z4 * z4);
    /* 2 s = f - s f, exact where the sum cancels least: log m = f - (s f - s z p). */
    double k = (double)exponent;
    return k * ln2_high + (f - (s * (f - z * p) - k * ln2_low));
}

void num_circle(double *out_sin, double *out_cos, double turn) {
    int quarter = (int)(turn * 4.0 + 0.5);
    double a = (turn - 0.25 * quarter) * 6.283185307179586, z = a * a, z2 = z * z, z4 = z2 * z2;
    double s = (-1.0 / 6 + 1.0 / 120 * z) + (-1.0 / 5040 + 1.0 / 362880 * z) * z2 +
               ((-1.0 / 39916800 + 1.0 / 6227020800.0 * z) - 1.0 / 1307674368000.0 * z2) * z4;
    double c = (-1.0 / 2 + 1.0 / 24 * z) + (-1.0 / 720 + 1.0 / 40320 * z) * z2 +
               ((-1.0 / 3628800 + 1.0 / 479001600 * z) +
                (-1.0 / 87178291200.0 + 1.0 / 20922789888000.0 * z) * z2) *
                   z4;
    double sine = a + a * z * s, cosine = 1.0 + z * c;
    switch (quarter & 3) {
    case 0:
        *out_sin = sine, *out_cos = cosine;
        break;
    case 1:
        *out_sin = cosine, *out_cos = -sine;
        break;
    case 2:
        *out_sin = -sine, *out_cos = -cosine;
        break;
    default:
        *out_sin = -cosine, *out_cos = sine;
        break;
    }
}

/* 2^k times the Taylor series on [-ln2/2, ln2/2]. */
double num_exp(double x) {
    double k = nearbyint(x * 1.4426950408889634);
    double r = x - k * 0.6931471805599453, sum = 1.0;
    for (int i = 14; i > 0; i--) sum = 1.0 + sum * r / i;
    return ldexp(sum, (int)k);
}

void num_normal_pair(double out[2], double u, double turn) {
    double radius = sqrt(-2.0 * num_log(1.0 - u));
    num_circle(&out[1], &out[0], turn);
    out[0] *= radius;
    out[1] *= radius;
}
