/* Kernels on eight sequences at a time.
 *
 * A value of the network exists once per sequence (channel of a window); here eight sequences lie side by side, so that one vector
 * holds the same value of eight of them. Every operation of the network, attention and normalisation within a row included,
 * is then the same arithmetic in each lane: no horizontal sums, no tails, and a sequence's result does not depend on its
 * neighbours. Only gradients of parameters and batch statistics add over lanes, in the order 0 to 7.
 *
 * The same sources are compiled for any processor and for AVX2 and give the same bits. */
#ifndef ML_PATCHTST_LANES_H
#define ML_PATCHTST_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "ml/nn/nn.h"

enum { LANES = 8 };
typedef nn_real lanes __attribute__((vector_size(LANES * sizeof(nn_real))));

/* Value (r, c) at at[r * row + c * column]. */
struct lanes_view {
    lanes *at;
    size_t row, column;
};
struct weights_view {
    const nn_real *at;
    size_t row, column;
};

static inline struct lanes_view lanes_view(lanes *at, size_t row, size_t column) {
    return (struct lanes_view){at, row, column};
}

/* What dropout keeps: a function of (key, vector's number, lane). Two vectors share a 32-bit hash, half each. */
struct lanes_dropout {
    bool on;
    uint32_t key0, key1, threshold; /* dropped if the 16 bits are below */
    nn_real scale;                  /* 1 / (1 - threshold / 65536): unbiased for the rounded p */
};

/* keep: probability of being kept, in (0, 1]; 1 is off. */
static inline struct lanes_dropout lanes_dropout(double keep, uint64_t seed, uint64_t site,
                                                 uint64_t group) {
    uint64_t key = rng_mix(rng_mix(seed + 0x9E3779B97F4A7C15u * (site + 1)) ^ rng_mix(~group));
    uint32_t threshold = (uint32_t)((1 - keep) * 65536 + 0.5);
    if (threshold > 65535) threshold = 65535;
    return (struct lanes_dropout){threshold > 0, (uint32_t)key, (uint32_t)(key >> 32), threshold,
                                  (nn_real)(65536.0 / (65536 - threshold))};
}

/* Columns [first, first + columns) of rows that have `width` in all; value (r, c) at at[r * row + c]. */
struct lanes_block {
    size_t rows, columns, first, width;
};

struct lanes_kernels {
    /* y (out, columns) = bias (out) or 0, or y itself if add, + w (out, in) x (in, columns) */
    void (*linear)(struct lanes_view y, struct lanes_view x, struct weights_view w,
                   const nn_real *bias, size_t out, size_t in, size_t columns, bool add);
    /* y (rows, columns) = [y +] a (rows, inner) b (columns, inner)^T, lane by lane */
    void (*product)(struct lanes_view y, struct lanes_view a, struct lanes_view b, size_t rows,
                    size_t columns, size_t inner, bool add);
    /* y[r * y_row + c] += the same, summed over lanes */
    void (*product_sum)(nn_real *y, size_t y_row, struct lanes_view a, struct lanes_view b,
                        size_t rows, size_t columns, size_t inner);
    /* y[r] += x (rows, columns) summed over columns and lanes */
    void (*row_sum)(nn_real *y, struct lanes_view x, size_t rows, size_t columns);
    /* y (rows, columns) = factor * x */
    void (*scaled)(struct lanes_view y, struct lanes_view x, nn_real factor, size_t rows,
                   size_t columns);
    /* out (columns) = sum over rows of a * b */
    void (*dot_rows)(lanes *out, struct lanes_view a, struct lanes_view b, size_t rows,
                     size_t columns);

    /* s (rows, columns), base-2 scores: 2^s over its row's sum. top, inverse (rows): what makes it again; NULL: not wanted. */
    void (*softmax)(lanes *s, lanes *top, lanes *inverse, size_t rows, size_t columns);
    void (*softmax_again)(lanes *s, const lanes *top, const lanes *inverse, size_t rows,
                          size_t columns);
    /* dp = p * (dp - dot) ; dot (rows) */
    void (*softmax_slope)(lanes *dp, const lanes *p, const lanes *dot, size_t rows, size_t columns);

    /* h (rows, columns contiguous) = dropout(activation(h)); slope: its derivative by h, dropout included; NULL: not wanted */
    void (*activate)(lanes *h, lanes *slope, struct lanes_block block,
                     const struct lanes_dropout *drop, bool relu);
    void (*multiply)(lanes *y, const lanes *x, size_t n);
    /* y = [u +] dropout(x); u NULL: without. y may be x or u */
    void (*dropped)(lanes *y, const lanes *u, const lanes *x, size_t rows, size_t columns,
                    const struct lanes_dropout *drop);

    /* y = x * scale[row] + shift[row] */
    void (*affine)(lanes *y, const lanes *x, const nn_real *scale, const nn_real *shift,
                   size_t rows, size_t columns);
    /* Of each row over columns and the first `used` lanes: mean, and squares about it (rows each). */
    void (*moments)(double *mean, double *squares, const lanes *z, size_t rows, size_t columns,
                    size_t used);
    /* sum, product (rows) += over columns of du, and of du * (z - mean) * inv; lane sums */
    void (*slope_sums)(lanes *sum, lanes *product, const lanes *du, const lanes *z,
                       const nn_real *mean, const nn_real *inv, size_t rows, size_t columns);
    /* d = a * (d - m1 - (z - mean) * m2) in the first `used` lanes, 0 in the others; a, m1, mean, m2 (rows) */
    void (*batchnorm_back)(lanes *d, const lanes *z, const nn_real *a, const nn_real *m1,
                           const nn_real *mean, const nn_real *m2, size_t rows, size_t columns,
                           size_t used);
    void (*layernorm)(lanes *y, const lanes *x, const nn_real *scale, const nn_real *shift,
                      size_t rows, size_t columns);
    /* d: gradient of y in, of x out; dscale, dshift (rows) are added to */
    void (*layernorm_back)(lanes *d, nn_real *dscale, nn_real *dshift, const lanes *x,
                           const nn_real *scale, size_t rows, size_t columns);
};

extern const struct lanes_kernels patchtst_kernels_plain;
#if defined(__x86_64__)
extern const struct lanes_kernels patchtst_kernels_avx2;
#endif
/* The fastest this processor has. */
const struct lanes_kernels *patchtst_kernels(void);

#endif
