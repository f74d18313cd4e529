#include "bench/bench_tabular.h"

#include <math.h>

#include "base/assert.h"
#include "base/rng.h"

static double uniform(uint64_t *s) {
    *s += UINT64_C(0x9E3779B97F4A7C15);
    return (double)(rng_mix(*s) >> 11) * 0x1p-53;
}

static double normal(uint64_t *s) {
    const double two_pi = 6.283185307179586476925;
    double radius = sqrt(-2 * log(1 - uniform(s)));
    return radius * cos(two_pi * uniform(s));
}

void bench_tabular(uint64_t seed, size_t rows, uint32_t columns, float *x, double *y) {
    ASSERT(columns >= TABULAR_COLUMNS_MIN);
    for (size_t i = 0; i < rows; i++, x += columns) {
        double v[TABULAR_COLUMNS_MIN];
        for (uint32_t c = 0; c < columns; c++) x[c] = (float)normal(&seed);
        for (uint32_t c = 0; c < TABULAR_COLUMNS_MIN; c++) v[c] = (double)x[c];
        double z = 1.2 * v[0] * v[1] + 0.8 * sin(2 * v[2]) + (v[3] > 0.5 ? 0.6 : 0) -
                   0.5 * v[4] * v[4] + 0.5 * v[5] + 0.4 * fabs(v[6]) + 0.3 * v[7] * v[8] - 0.1 +
                   0.5 * normal(&seed);
        y[i] = uniform(&seed) < 1 / (1 + exp(-z)) ? 1 : 0;
    }
}
