/* Vectors of 32 bytes in the compiler's own notation: with AVX2 one register, else two of SSE2 or NEON. Lanes never meet
 * but in v_sum, whose order is fixed: the same bits whatever they are compiled to. Used by the kernels only. */
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

KERNEL_INLINE nn_real v_largest(vec v) {
    nn_real top = v[0];
    for (int i = 1; i < LANES; i++) top = v[i] > top ? v[i] : top;
    return top;
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

#else

/* 2^k e^r, |r| <= ln2 / 2: Taylor's series to the 7th power (6e-9), k in the exponent's bits. whole: k + 1.5 * 2^23. */
KERNEL_INLINE vec v_scaled_exp(vec r, vec whole) {
    vec r2 = r * r;
    vec p01 = v_splat(1.0f) + r, p23 = v_splat(1.0f / 2) + v_splat(1.0f / 6) * r;
    vec p45 = v_splat(1.0f / 24) + v_splat(1.0f / 120) * r;
    vec p67 = v_splat(1.0f / 720) + v_splat(1.0f / 5040) * r;
    vec p = p01 + r2 * (p23 + r2 * (p45 + r2 * p67));
    uvec bits = (uvec)whole + (uvec)((ivec){127, 127, 127, 127, 127, 127, 127, 127});
    return p * (vec)(bits << 23);
}

/* e^x within 1.5e-7 of itself for x in [-87, 88]; 0 below, e^88 above; NaN stays.
 * Source   Muller, Elementary Functions (3rd ed. 2016), ch. 11. */
KERNEL_INLINE vec v_exp(vec x) {
    const vec shift = v_splat(0x1.8p23f); /* adding it rounds to an integer in the low bits */
    ivec tiny = x < v_splat(-87.0f);
    x = v_pick(x > v_splat(88.0f), v_splat(88.0f), x);
    vec clamped = v_pick(tiny, v_splat(-87.0f), x);
    vec whole = clamped * v_splat(1.44269504f) + shift, k = whole - shift;
    /* ln2 as 355/512, exact times k, and the rest */
    vec r = (clamped - k * v_splat(0.693359375f)) - k * v_splat(-2.12194440e-4f);
    vec y = v_scaled_exp(r, whole);
    return v_pick(tiny, v_splat(0.0f), y);
}

/* 2^x for x in [-126, 0]. */
KERNEL_INLINE vec v_exp2(vec x) {
    const vec shift = v_splat(0x1.8p23f);
    vec whole = x + shift;
    return v_scaled_exp((x - (whole - shift)) * v_splat(0.693147181f), whole);
}

/* Phi(x), the standard normal's distribution function, within 1e-7 absolutely: half of 2^(|x| P(|x|)) below zero, one
 * minus that above. P: fitted to log2(erfc(a / sqrt 2)) / a on [0, 6] so that the largest error of the result is
 * least (8e-9); beyond 6 the tail, 1e-9, is taken as nothing. */
KERNEL_INLINE vec v_normal_cdf(vec x) {
    const vec six = v_splat(6.0f), zero = v_splat(0.0f);
    vec a = v_pick(x < zero, -x, x);
    ivec far = a > six;
    a = v_pick(far, six, a);
    vec a2 = a * a, a4 = a2 * a2;
    vec p01 = v_splat(-0x1.26aed4p+0f) + v_splat(-0x1.d63aacp-2f) * a;
    vec p23 = v_splat(-0x1.ae0c78p-5f) + v_splat(0x1.cee894p-8f) * a;
    vec p45 = v_splat(-0x1.1f2e1ep-13f) + v_splat(-0x1.867294p-13f) * a;
    vec p67 = v_splat(0x1.4a5306p-15f) + v_splat(-0x1.7c7f54p-19f) * a;
    vec tail = v_splat(0.5f) * v_exp2(a * ((p01 + a2 * p23) + a4 * (p45 + a2 * p67)));
    tail = v_pick(far, zero, tail);
    return v_pick(x < zero, tail, v_splat(1.0f) - tail);
}

#endif

/* The standard normal's density. */
KERNEL_INLINE vec v_normal_density(vec x) {
    return v_splat((nn_real)0.39894228040143267794) * v_exp(v_splat((nn_real)-0.5) * (x * x));
}

#endif
