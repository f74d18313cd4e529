/* Sets for the trainer's tests: the synthetic one that the quality figures are stated for (a SplitMix64 stream, normals
 * by Box and Muller, a logit of nine columns and noise). */
#ifndef ML_LIGHTGBM_TEST_DATA_H
#define ML_LIGHTGBM_TEST_DATA_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/rng.h"

struct test_data {
    float *x; /* (rows, columns) */
    double *y;
    size_t rows;
    uint32_t columns;
};

static inline uint64_t test_next(uint64_t *s) {
    *s += UINT64_C(0x9E3779B97F4A7C15);
    return rng_mix(*s);
}

static inline double test_uniform(uint64_t *s) {
    return (double)(test_next(s) >> 11) * 0x1p-53;
}

static inline double test_normal(uint64_t *s) {
    double u = test_uniform(s);
    return sqrt(-2.0 * log(1.0 - u)) * cos(2.0 * 3.14159265358979323846 * test_uniform(s));
}

static inline struct test_data test_data_make(size_t rows, uint32_t columns, uint64_t seed) {
    struct test_data d = {malloc(rows * columns * sizeof(float)), malloc(rows * sizeof(double)),
                          rows, columns};
    uint64_t s = seed;
    for (size_t i = 0; i < rows; i++) {
        float *x = d.x + i * columns;
        for (uint32_t j = 0; j < columns; j++) x[j] = (float)test_normal(&s);
        double x4 = (double)x[4];
        double z = 1.2 * (double)x[0] * (double)x[1] + 0.8 * sin(2 * (double)x[2]) +
                   0.6 * (x[3] > 0.5f) - 0.5 * x4 * x4 + 0.5 * (double)x[5] +
                   0.4 * fabs((double)x[6]) + 0.3 * (double)x[7] * (double)x[8] - 0.1;
        z += 0.5 * test_normal(&s);
        d.y[i] = test_uniform(&s) < 1.0 / (1.0 + exp(-z));
    }
    return d;
}

static inline void test_data_free(struct test_data *d) {
    free(d->x);
    free(d->y);
}

#endif
