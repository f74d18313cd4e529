/* Vectors of 32 bytes in the compiler's own notation: with AVX2 one register, else two of SSE2 or
 * NEON. Lanes never meet but in v_sum, whose order is fixed: the same bits whatever they are
 * compiled to. Used by the kernels only. */
#ifndef ML_NN_VECTOR_H
#define ML_NN_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "ml/nn/nn.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

/* Everything here is inlined: no vector is passed by any ABI. */
#pragma GCC diagnostic ignored "-Wpsabi"
#define KERNEL_INLINE static inline __attribute__((always_inline))

enum { LANES = 32 / sizeof(nn_real) };
typedef nn_real vec __attribute__((vector_size(32)));
#ifdef NN_DOUBLE
typedef int64_t lane_int;
#else
typedef int32_t lane_int;
#endif
typedef lane_int ivec __attribute__((vector_size(32)));
typedef uint32_t uvec __attribute__((vector_size(32)));

KERNEL_INLINE vec v_load(const nn_real *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

KERNEL_INLINE void v_store(nn_real *p, vec v) {
    memcpy(p, &v, sizeof v);
}

KERNEL_INLINE vec v_splat(nn_real x) {
#ifdef NN_DOUBLE
    return (vec){x, x, x, x};
#else
    return (vec){x, x, x, x, x, x, x, x};
#endif
}

KERNEL_INLINE vec v_pick(ivec mask, vec yes, vec no) {
#if defined(__AVX2__) && !defined(NN_DOUBLE)
    return (vec)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)mask);
#else
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
#endif
}

/* a > b ? a : b, for a NaN in either: b */
KERNEL_INLINE vec v_max(vec a, vec b) {
#if defined(__AVX2__) && !defined(NN_DOUBLE)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return v_pick(a > b, a, b);
#endif
}

/* Lanes below count are -1. */
KERNEL_INLINE ivec v_first(size_t count) {
    lane_int n = (lane_int)count;
#ifdef NN_DOUBLE
    const ivec lane = {0, 1, 2, 3};
    return lane < (ivec){n, n, n, n};
#else
    const ivec lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return lane < (ivec){n, n, n, n, n, n, n, n};
#endif
}

/* a < b ? a : b, for a NaN in either: b */
KERNEL_INLINE vec v_min(vec a, vec b) {
#if defined(__AVX2__) && !defined(NN_DOUBLE)
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return v_pick(a < b, a, b);
#endif
}

/* The first count < LANES values, zeros behind. Memory behind them is not touched. */
KERNEL_INLINE vec v_load_part(const nn_real *p, size_t count) {
#if defined(__AVX2__) && !defined(NN_DOUBLE)
    return (vec)_mm256_maskload_ps(p, (__m256i)v_first(count));
#else
    nn_real lanes[LANES] = {0};
    for (size_t i = 0; i < count; i++) lanes[i] = p[i];
    return v_load(lanes);
#endif
}

KERNEL_INLINE void v_store_part(nn_real *p, vec v, size_t count) {
#if defined(__AVX2__) && !defined(NN_DOUBLE)
    _mm256_maskstore_ps(p, (__m256i)v_first(count), (__m256)v);
#else
    nn_real lanes[LANES];
    v_store(lanes, v);
    for (size_t i = 0; i < count; i++) p[i] = lanes[i];
#endif
}

/* Halves, then quarters, then the last two. */
KERNEL_INLINE nn_real v_sum(vec v) {
#ifdef NN_DOUBLE
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1);
    v += __builtin_shufflevector(v, v, 1, 0, 3, 2);
#else
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
    v += __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
#endif
    return v[0];
}

/* Not of a NaN, which may be passed over. */
KERNEL_INLINE nn_real v_largest(vec v) {
#ifdef NN_DOUBLE
    v = v_max(v, __builtin_shufflevector(v, v, 2, 3, 0, 1));
    v = v_max(v, __builtin_shufflevector(v, v, 1, 0, 3, 2));
#else
    v = v_max(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3));
    v = v_max(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5));
    v = v_max(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6));
#endif
    return v[0];
}

#ifdef NN_DOUBLE

/* The double build compares gradients with differences: libm's functions, lane by lane. */
KERNEL_INLINE vec v_exp(vec x) {
    for (int i = 0; i < LANES; i++) x[i] = exp(x[i]);
    return x;
}
KERNEL_INLINE vec v_normal_cdf(vec x) {
    for (int i = 0; i < LANES; i++) x[i] = 0.5 * erfc(-x[i] * 0.70710678118654752440);
    return x;
}
KERNEL_INLINE vec v_gelu(vec x) {
    return x * v_normal_cdf(x);
}

#else

/* 2^k e^r for |r| <= ln2 / 2: a polynomial fitted so that the largest relative error is least
 * (3e-9), k + bias put into the exponent's bits. whole: k + 1.5 * 2^23, whose low bits are k. */
KERNEL_INLINE vec v_power(vec r, vec whole, const float c[5], float c1, uint32_t bias) {
    vec r2 = r * r;
    vec low = (v_splat(c[0]) + v_splat(c[1]) * r) * r2;
    vec high = (v_splat(c[2]) + v_splat(c[3]) * r) + v_splat(c[4]) * r2;
    vec p = (v_splat(1.0f) + v_splat(c1) * r) + (low + high * (r2 * r2));
    uvec bits = (uvec)whole + (uvec){bias, bias, bias, bias, bias, bias, bias, bias};
    return p * (vec)(bits << 23);
}

/* e^x within 1.5e-7 of itself for x in [-87, 88]; 0 below, e^88 above; NaN stays.
 * Source   Muller, Elementary Functions (3rd ed. 2016), ch. 11. */
KERNEL_INLINE vec v_exp(vec x) {
    static const float c[5] = {0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558f2p-5f, 0x1.1239e2p-7f,
                               0x1.6a2432p-10f};
    const vec shift = v_splat(0x1.8p23f); /* adding it rounds to an integer in the low bits */
    ivec tiny = x < v_splat(-87.0f);
    vec clamped = v_min(v_splat(88.0f), v_max(v_splat(-87.0f), x));
    vec whole = clamped * v_splat(1.44269504f) + shift, k = whole - shift;
    /* ln2 as 355/512, exact times k, and the rest */
    vec r = (clamped - k * v_splat(0.693359375f)) - k * v_splat(-2.12194440e-4f);
    return (vec)(~tiny & (ivec)v_power(r, whole, c, 1.0f, 127));
}

/* The standard normal's tail beyond a, for a = min(|x|, 6); within 1e-7 of Phi absolutely.
 *
 * 2^(a P(a)) / 2, P fitted to log2(erfc(a / sqrt 2)) / a on [0, 6] so that the largest error of
 * the result is least (8e-9). */
KERNEL_INLINE vec v_normal_tail(vec a) {
    /* ln2^n times what e^r has */
    static const float c[5] = {0x1.ebfbdcp-3f, 0x1.c6af88p-5f, 0x1.3b2e0cp-7f, 0x1.5f03eep-10f,
                               0x1.414ebap-13f};
    const vec shift = v_splat(0x1.8p23f);
    vec a2 = a * a;
    vec p01 = v_splat(-0x1.26aed4p+0f) + v_splat(-0x1.d63aacp-2f) * a;
    vec p23 = v_splat(-0x1.ae0c78p-5f) + v_splat(0x1.cee894p-8f) * a;
    vec p45 = v_splat(-0x1.1f2e1ep-13f) + v_splat(-0x1.867294p-13f) * a;
    vec p67 = v_splat(0x1.4a5306p-15f) + v_splat(-0x1.7c7f54p-19f) * a;
    vec power = a * ((p01 + a2 * p23) + (a2 * a2) * (p45 + a2 * p67));
    vec whole = power + shift;
    return v_power(power - (whole - shift), whole, c, 0x1.62e43p-1f, 126);
}

KERNEL_INLINE vec v_magnitude(vec x) {
    const lane_int rest = 0x7FFFFFFF;
    return (vec)((ivec)x & (ivec){rest, rest, rest, rest, rest, rest, rest, rest});
}

/* Phi(x), the standard normal's distribution function, within 1e-7; beyond |x| = 6 as there. */
KERNEL_INLINE vec v_normal_cdf(vec x) {
    vec tail = v_normal_tail(v_min(v_splat(6.0f), v_magnitude(x)));
    return v_pick(x < v_splat(0.0f), tail, v_splat(1.0f) - tail);
}

/* x Phi(x), as max(x, 0) less |x| times the tail: what is left of it beyond 6 is below 1e-8. */
KERNEL_INLINE vec v_gelu(vec x) {
    vec a = v_min(v_splat(6.0f), v_magnitude(x));
    return v_max(v_splat(0.0f), x) - a * v_normal_tail(a);
}

#endif

/* The standard normal's density. */
KERNEL_INLINE vec v_normal_density(vec x) {
    return v_splat((nn_real)0.39894228040143267794) * v_exp(v_splat((nn_real)-0.5) * (x * x));
}

#endif
