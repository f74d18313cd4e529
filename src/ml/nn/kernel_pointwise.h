/* Kernels that go value by value, and softmax over rows. */
#ifndef ML_NN_KERNEL_POINTWISE_H
#define ML_NN_KERNEL_POINTWISE_H

#include "ml/nn/dropout.h"
#include "ml/nn/kernels.h"
#include "ml/nn/vector.h"

/* In chunks: squares summed as nn_real by lanes, the chunks in double. */
static double square_sum(const nn_real *x, size_t n) {
    enum { CHUNK = 64 * LANES };
    double total = 0;
    for (size_t from = 0; from < n; from += CHUNK) {
        size_t to = n - from < CHUNK ? n : from + CHUNK, i = from;
        vec sum = v_splat(0);
        for (; i + LANES <= to; i += LANES) sum += v_load(x + i) * v_load(x + i);
        if (i < to) sum += v_load_part(x + i, to - i) * v_load_part(x + i, to - i);
        total += (double)v_sum(sum);
    }
    return total;
}

KERNEL_INLINE vec v_sqrt(vec x) {
#if defined(__AVX2__) && !defined(NN_DOUBLE)
    return (vec)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < LANES; i++) x[i] = (nn_real)sqrt((double)x[i]);
    return x;
#endif
}

/* Kingma and Ba (2015), algorithm 1, in PyTorch's order of operations. */
static void adam(nn_real *w, nn_real *m, nn_real *v, const nn_real *g, size_t n,
                 const struct adam_step *s) {
    for (size_t i = 0; i < n; i += LANES) { /* blocks are padded to whole vectors */
        vec grad = v_load(g + i) * v_splat(s->clip);
        vec first = v_load(m + i) * v_splat(s->beta1) + grad * v_splat(s->one_less_beta1);
        vec second = v_load(v + i) * v_splat(s->beta2) + grad * grad * v_splat(s->one_less_beta2);
        vec below = v_sqrt(second) / v_splat(s->root_bias2) + v_splat(s->eps);
        vec weight = v_load(w + i) * v_splat(s->decay);
        v_store(m + i, first);
        v_store(v + i, second);
        v_store(w + i, weight - v_splat(s->step_size) * (first / below));
    }
}

static void gelu_forward(nn_real *y, const nn_real *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(y + i, v_gelu(v_load(x + i)));
    if (i < n) v_store_part(y + i, v_gelu(v_load_part(x + i, n - i)), n - i);
}

KERNEL_INLINE vec gelu_slope(vec x) {
    return v_normal_cdf(x) + x * v_normal_density(x);
}

static void gelu_backward(nn_real *dx, const nn_real *dy, const nn_real *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(dx + i, v_load(dy + i) * gelu_slope(v_load(x + i)));
    if (i < n)
        v_store_part(dx + i, v_load_part(dy + i, n - i) * gelu_slope(v_load_part(x + i, n - i)),
                     n - i);
}

/* y may be x. The largest is subtracted first; columns >= 1. */
KERNEL_INLINE void softmax_row(nn_real *y, const nn_real *x, size_t columns) {
    size_t whole = columns / LANES * LANES, rest = columns - whole;
    vec top = v_splat(x[0]), sum = v_splat(0);
    ivec used = v_first(rest);
    for (size_t c = 0; c < whole; c += LANES) top = v_max(v_load(x + c), top);
    vec last = v_splat(x[0]);
    if (rest) {
        last = v_pick(used, v_load_part(x + whole, rest), last);
        top = v_max(last, top);
    }
    top = v_splat(v_largest(top));
    for (size_t c = 0; c < whole; c += LANES) {
        vec e = v_exp(v_load(x + c) - top);
        sum += e;
        v_store(y + c, e);
    }
    last = v_pick(used, v_exp(last - top), v_splat(0));
    vec share = v_splat(1 / v_sum(sum + last));
    for (size_t c = 0; c < whole; c += LANES) v_store(y + c, v_load(y + c) * share);
    if (rest) v_store_part(y + whole, last * share, rest);
}

static void softmax_forward(nn_real *y, const nn_real *x, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) softmax_row(y + r * columns, x + r * columns, columns);
}

/* dx may be dy. */
static void softmax_backward(nn_real *dx, const nn_real *dy, const nn_real *y, size_t rows,
                             size_t columns) {
    size_t whole = columns / LANES * LANES, rest = columns - whole;
    for (size_t r = 0; r < rows; r++, dx += columns, dy += columns, y += columns) {
        vec dot = v_splat(0);
        for (size_t c = 0; c < whole; c += LANES) dot += v_load(dy + c) * v_load(y + c);
        if (rest) dot += v_load_part(dy + whole, rest) * v_load_part(y + whole, rest);
        dot = v_splat(v_sum(dot));
        for (size_t c = 0; c < whole; c += LANES)
            v_store(dx + c, v_load(y + c) * (v_load(dy + c) - dot));
        if (rest)
            v_store_part(dx + whole,
                         v_load_part(y + whole, rest) * (v_load_part(dy + whole, rest) - dot),
                         rest);
    }
}

#ifdef NN_DOUBLE

static void dropout(nn_real *y, const nn_real *x, size_t groups, nn_real p, uint64_t seed,
                    uint64_t first_group) {
    struct dropout_law law = dropout_law(p, seed);
    for (size_t i = 0; i < groups * 16; i++)
        y[i] = dropout_keeps(&law, first_group * 16 + i) ? x[i] * law.scale : 0;
}

#else

KERNEL_INLINE uvec u_splat(uint32_t x) {
    return (uvec){x, x, x, x, x, x, x, x};
}

static void dropout(nn_real *y, const nn_real *x, size_t groups, nn_real p, uint64_t seed,
                    uint64_t first_group) {
    const struct dropout_law law = dropout_law(p, seed);
    const uvec lane = {0, 1, 2, 3, 4, 5, 6, 7};
    const ivec below = (ivec)u_splat(law.threshold);
    const vec scale = v_splat(law.scale);
    for (size_t g = 0; g < groups; g++, x += 16, y += 16) {
        const struct dropout_law here = dropout_law_at(&law, first_group + g);
        uvec h = (u_splat(dropout_counter(first_group + g)) + lane) ^ u_splat(here.key0);
        h = (h ^ h >> 16) * u_splat(0x7FEB352Du);
        h = ((h ^ h >> 15) + u_splat(here.key1)) * u_splat(0x846CA68Bu);
        h ^= h >> 16;
        ivec low = (ivec)(h & u_splat(0xFFFF)) < below, high = (ivec)(h >> 16) < below;
        v_store(y, (vec)((ivec)(v_load(x) * scale) & ~low));
        v_store(y + 8, (vec)((ivec)(v_load(x + 8) * scale) & ~high));
    }
}

#endif

#endif
