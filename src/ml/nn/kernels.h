/* The inner loops, compiled once for every x86-64 (or any other processor) and once for AVX2 and
 * AVX-512: the same source and the same bits. Used by this module only. */
#ifndef ML_NN_KERNELS_H
#define ML_NN_KERNELS_H

#include "ml/nn/nn.h"

/* What one step of Adam does with every value, already folded (adam.c). */
struct adam_step {
    nn_real beta1, beta2, one_less_beta1, one_less_beta2;
    nn_real step_size, root_bias2, eps;
    nn_real decay; /* 1 - lr * weight_decay */
    nn_real clip;  /* factor of the gradient */
};

/* One head of one sequence: rows of q, k, v, y and their gradients are `stride` apart. */
struct attention_head {
    nn_real *y, *scores, *p;
    const nn_real *q, *k, *v, *previous;
    nn_real *dq, *dk_out, *dv, *dscores_out;
    const nn_real *dy, *dscores, *p_kept;
    nn_real *scratch; /* (tokens) */
    size_t tokens, stride, dk;
    nn_real scale;
};

struct nn_kernels {
    const char *name;
    bool (*can_run)(void);
    double (*square_sum)(const nn_real *x, size_t n);
    void (*adam)(nn_real *w, nn_real *m, nn_real *v, const nn_real *g, size_t n,
                 const struct adam_step *s);
    void (*gelu_forward)(nn_real *y, const nn_real *x, size_t n);
    void (*gelu_backward)(nn_real *dx, const nn_real *dy, const nn_real *x, size_t n);
    void (*softmax_forward)(nn_real *y, const nn_real *x, size_t rows, size_t columns);
    void (*softmax_backward)(nn_real *dx, const nn_real *dy, const nn_real *y, size_t rows,
                             size_t columns);
    /* Groups of 16 values, the first of this number. */
    void (*dropout)(nn_real *y, const nn_real *x, size_t groups, nn_real p, uint64_t seed,
                    uint64_t first_group);
    void (*linear_packed)(nn_real *y, const nn_real *x, const nn_real *packed, size_t n, size_t in,
                          size_t out);
    void (*attention_forward)(const struct attention_head *h);
    void (*attention_backward)(const struct attention_head *h);
    /* Per column over n rows: mean of x - zero, and sum of squared distances from it. zero (d): a
     * row, from which those of a column far from 0 differ little: their mean would not hold what
     * tells them apart. */
    void (*column_moments)(nn_real *mean, nn_real *square, const nn_real *x, const nn_real *zero,
                           size_t n, size_t d);
    /* y = (x - mean) * factor + shift; rows of x and y are stride apart */
    void (*column_affine)(nn_real *y, const nn_real *x, const nn_real *mean, const nn_real *factor,
                          const nn_real *shift, size_t n, size_t d, size_t stride);
    /* sum of dy, and of dy * (x - mean) * inv_std */
    void (*column_sums)(nn_real *sum, nn_real *dot, const nn_real *dy, const nn_real *x,
                        const nn_real *mean, const nn_real *inv_std, size_t n, size_t d);
    /* dx = a * dy - b - c * (x - mean) */
    void (*column_backward)(nn_real *dx, const nn_real *dy, const nn_real *x, const nn_real *mean,
                            const nn_real *a, const nn_real *b, const nn_real *c, size_t n,
                            size_t d);
};

/* The best this processor has. */
const struct nn_kernels *nn_kernels(void);
/* All that were compiled, the plainest first; NULL behind the last. For tests: ask can_run. */
const struct nn_kernels *nn_kernels_at(size_t index);

#endif
