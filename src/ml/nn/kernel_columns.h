/* Sums down the columns of x (n, d), LANES columns at a time. */
#ifndef ML_NN_KERNEL_COLUMNS_H
#define ML_NN_KERNEL_COLUMNS_H

#include "ml/nn/kernel_attention.h"

static void column_moments(nn_real *mean, nn_real *square, const nn_real *x, const nn_real *zero,
                           size_t n, size_t d) {
    for (size_t c = 0; c < d; c += LANES) {
        size_t some = d - c;
        vec from = load_some(zero + c, some), sum = v_splat(0), squares = v_splat(0);
        for (size_t r = 0; r < n; r++) sum += load_some(x + r * d + c, some) - from;
        vec centre = sum / v_splat((nn_real)n);
        for (size_t r = 0; r < n; r++) {
            vec off = (load_some(x + r * d + c, some) - from) - centre;
            squares += off * off;
        }
        store_some(mean + c, centre, some);
        store_some(square + c, squares, some);
    }
}

static void column_affine(nn_real *y, const nn_real *x, const nn_real *mean, const nn_real *factor,
                          const nn_real *shift, size_t n, size_t d, size_t stride) {
    for (size_t c = 0; c < d; c += LANES) {
        size_t some = d - c;
        vec m = load_some(mean + c, some), f = load_some(factor + c, some);
        vec s = load_some(shift + c, some);
        for (size_t r = 0; r < n; r++)
            store_some(y + r * stride + c, (load_some(x + r * stride + c, some) - m) * f + s, some);
    }
}

static void column_sums(nn_real *sum, nn_real *dot, const nn_real *dy, const nn_real *x,
                        const nn_real *mean, const nn_real *inv_std, size_t n, size_t d) {
    for (size_t c = 0; c < d; c += LANES) {
        size_t some = d - c;
        vec m = load_some(mean + c, some), f = load_some(inv_std + c, some);
        vec total = v_splat(0), product = v_splat(0);
        for (size_t r = 0; r < n; r++) {
            vec g = load_some(dy + r * d + c, some);
            total += g;
            product += g * (load_some(x + r * d + c, some) - m);
        }
        store_some(sum + c, total, some);
        store_some(dot + c, product * f, some);
    }
}

static void column_backward(nn_real *dx, const nn_real *dy, const nn_real *x, const nn_real *mean,
                            const nn_real *a, const nn_real *b, const nn_real *c, size_t n,
                            size_t d) {
    for (size_t i = 0; i < d; i += LANES) {
        size_t some = d - i;
        vec m = load_some(mean + i, some), va = load_some(a + i, some);
        vec vb = load_some(b + i, some), vc = load_some(c + i, some);
        for (size_t r = 0; r < n; r++) {
            size_t at = r * d + i;
            vec g = load_some(dy + at, some), off = load_some(x + at, some) - m;
            store_some(dx + at, va * g - vb - vc * off, some);
        }
    }
}

#endif
