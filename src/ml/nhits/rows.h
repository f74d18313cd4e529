/* Loops over rows of values, 16 bytes at a time: what every x86-64 and ARM64 has in a register.
 * Used by this module only. */
#ifndef ML_NHITS_ROWS_H
#define ML_NHITS_ROWS_H

#include <string.h>

#include "ml/nn/nn.h"

typedef nn_real vec __attribute__((vector_size(16)));
typedef __typeof__((vec){0} < (vec){0}) vec_mask;
enum { LANES = 16 / sizeof(nn_real) };

#define LOAD(v, p)  memcpy(&(v), p, sizeof(vec))
#define STORE(p, v) memcpy(p, &(v), sizeof(vec))

/* y += b in each row, then what is below 0 is 0 if positive; a NaN stays one */
static inline void add_bias(nn_real *y, const nn_real *bias, size_t rows, size_t out,
                            bool positive) {
    for (size_t r = 0; r < rows; r++, y += out) {
        size_t i = 0;
        for (; i + LANES <= out; i += LANES) {
            vec v, b;
            LOAD(v, y + i);
            LOAD(b, bias + i);
            v += b;
            if (positive) v = (vec)((vec_mask)v & ~(v < (vec){0}));
            STORE(y + i, v);
        }
        for (; i < out; i++) {
            y[i] += bias[i];
            if (positive && y[i] < 0) y[i] = 0;
        }
    }
}

/* dy = 0 where y is not above 0 */
static inline void relu_back(nn_real *dy, const nn_real *y, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vec d, v;
        LOAD(d, dy + i);
        LOAD(v, y + i);
        d = (vec)((vec_mask)d & (v > (vec){0}));
        STORE(dy + i, d);
    }
    for (; i < count; i++)
        if (!(y[i] > 0)) dy[i] = 0;
}

/* sums[o] += column o of dy (rows, stride), count columns */
static inline void add_columns(nn_real *sums, const nn_real *dy, size_t rows, size_t stride,
                               size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vec sum, d;
        LOAD(sum, sums + i);
        for (size_t r = 0; r < rows; r++) {
            LOAD(d, dy + r * stride + i);
            sum += d;
        }
        STORE(sums + i, sum);
    }
    for (; i < count; i++)
        for (size_t r = 0; r < rows; r++) sums[i] += dy[r * stride + i];
}

/* what is below 0 is 0; a NaN stays one */
static inline void relu(nn_real *y, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vec v;
        LOAD(v, y + i);
        v = (vec)((vec_mask)v & ~(v < (vec){0}));
        STORE(y + i, v);
    }
    for (; i < count; i++)
        if (y[i] < 0) y[i] = 0;
}

/* y[c] = the largest of x[c], x[c + step], ... up to last[c]; a NaN wins. Whole vectors: up to
 * LANES - 1 values behind count are read and written, too. */
static inline void largest_of(nn_real *y, const nn_real *x, const nn_real *last, size_t step,
                              size_t count) {
    for (size_t i = 0; i < count; i += LANES) {
        vec v, w;
        LOAD(v, x + i);
        for (const nn_real *at = x + step; at <= last; at += step) {
            LOAD(w, at + i);
            vec_mask take = (w > v) | (w != w);
            v = (vec)(((vec_mask)w & take) | ((vec_mask)v & ~take));
        }
        STORE(y + i, v);
    }
}

#endif
