/* The scan of one quad: for each bin as the last on the left, the gain of each of four features.
 *
 * A lane is a feature. Sums run upwards in whole numbers; what a split is worth is computed in doubles the
 * same way in both forms, so they give the same bits. Of equal gains the last threshold is kept where
 * missing rows go left, the first where they go right: LightGBM's order, which looks from above first. */
#include <math.h>

#include "ml/lightgbm/lgbm_grow_internal.h"

static double over_l1(double g, double l1) {
    double x = fabs(g) - l1;
    return x > 0 ? copysign(x, g) : 0;
}

static double side_gain(const struct lgbm_lane_query *q, int64_t gradient, uint64_t hessian) {
    double g = (double)gradient;
    if (q->l1 > 0) g = over_l1(g, q->l1);
    return g * g / ((double)hessian + q->l2);
}

static bool side_allowed(const struct lgbm_lane_query *q, const struct lgbm_sums *s,
                         uint64_t hessian) {
    return (int64_t)s->packed > q->packed_min && (int64_t)hessian > q->hessian_min;
}

/* Gain of left against the rest; below any floor if a side is too small. */
static double gain_of(const struct lgbm_lane_query *q, const struct lgbm_sums *left) {
    uint64_t mask = (UINT64_C(1) << q->hessian_bits) - 1;
    struct lgbm_sums right = {q->total.gradient - left->gradient, q->total.packed - left->packed};
    uint64_t left_h = left->packed & mask, right_h = right.packed & mask;
    if (!side_allowed(q, left, left_h) || !side_allowed(q, &right, right_h)) return -1;
    return side_gain(q, left->gradient, left_h) + side_gain(q, right.gradient, right_h);
}

void lgbm_lanes_scan(struct lgbm_lane_best *out, const struct lgbm_lane_query *q) {
    for (uint32_t k = 0; k < LGBM_LANES; k++) {
        struct lgbm_sums left = {0, 0};
        for (uint32_t side = 0; side < 2; side++) {
            out->gain[side][k] = q->floor;
            out->threshold[side][k] = -1;
        }
        for (int64_t b = 0; b <= q->limit[k]; b++) {
            lgbm_pair entry = q->hist[b * LGBM_LANES + k];
            left.gradient += (int64_t)entry[0];
            left.packed += entry[1];
            struct lgbm_sums with = {left.gradient + q->miss[k].gradient,
                                     left.packed + q->miss[k].packed};
            double gain = gain_of(q, &with);
            if (gain >= out->gain[0][k]) {
                out->gain[0][k] = gain;
                out->threshold[0][k] = b;
            }
            if (!q->has_missing) continue;
            gain = gain_of(q, &left);
            if (gain > out->gain[1][k]) {
                out->gain[1][k] = gain;
                out->threshold[1][k] = b;
            }
        }
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Constants of a scan, in every lane. */
struct wide {
    __m256i total_g, total_p, mask, packed_min, hessian_min, magic_i, exponent_i;
    __m256d magic, exponent, l1, l2, sign;
};

/* Whole numbers below 2^51 in magnitude. */
static inline __attribute__((always_inline, target("avx2"))) __m256d to_f64(__m256i x,
                                                                            const struct wide *w) {
    return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(x, w->magic_i)), w->magic);
}

/* Whole numbers from 0 to 2^52 - 1. */
static inline __attribute__((always_inline, target("avx2"))) __m256d
unsigned_to_f64(__m256i x, const struct wide *w) {
    return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(x, w->exponent_i)), w->exponent);
}

static inline __attribute__((always_inline, target("avx2"))) __m256d
wide_gain(__m256i g, __m256i h, const struct wide *w, bool has_l1) {
    __m256d x = to_f64(g, w);
    if (has_l1) {
        __m256d size = _mm256_sub_pd(_mm256_andnot_pd(w->sign, x), w->l1);
        x = _mm256_or_pd(_mm256_max_pd(size, _mm256_setzero_pd()), _mm256_and_pd(x, w->sign));
    }
    return _mm256_div_pd(_mm256_mul_pd(x, x), _mm256_add_pd(unsigned_to_f64(h, w), w->l2));
}

/* Keeps better gains of left against the rest. */
static inline __attribute__((always_inline, target("avx2"))) void
wide_keep(__m256d *best, __m256i *threshold, __m256i left_g, __m256i left_p, __m256i bin,
          __m256i in_range, const struct wide *w, bool has_l1, bool keep_last) {
    __m256i right_g = _mm256_sub_epi64(w->total_g, left_g);
    __m256i right_p = _mm256_sub_epi64(w->total_p, left_p);
    __m256i left_h = _mm256_and_si256(left_p, w->mask);
    __m256i right_h = _mm256_and_si256(right_p, w->mask);
    __m256i allowed = _mm256_and_si256(_mm256_cmpgt_epi64(left_p, w->packed_min),
                                       _mm256_cmpgt_epi64(right_p, w->packed_min));
    allowed = _mm256_and_si256(allowed, _mm256_cmpgt_epi64(left_h, w->hessian_min));
    allowed = _mm256_and_si256(allowed, _mm256_cmpgt_epi64(right_h, w->hessian_min));
    allowed = _mm256_and_si256(allowed, in_range);
    __m256d gain =
        _mm256_add_pd(wide_gain(left_g, left_h, w, has_l1), wide_gain(right_g, right_h, w, has_l1));
    __m256d better =
        keep_last ? _mm256_cmp_pd(gain, *best, _CMP_GE_OQ) : _mm256_cmp_pd(gain, *best, _CMP_GT_OQ);
    better = _mm256_and_pd(better, _mm256_castsi256_pd(allowed));
    *best = _mm256_blendv_pd(*best, gain, better);
    *threshold = _mm256_blendv_epi8(*threshold, bin, _mm256_castpd_si256(better));
}

/* Gradients and packed parts of the four lanes of one bin; lanes come in the order 0 2 1 3. */
static inline __attribute__((always_inline, target("avx2"))) void
wide_load(__m256i *g, __m256i *p, const lgbm_pair *entries) {
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)entries);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(entries + 2));
    *g = _mm256_unpacklo_epi64(a, b);
    *p = _mm256_unpackhi_epi64(a, b);
}

static inline __attribute__((always_inline, target("avx2"))) void
wide_scan(struct lgbm_lane_best *out, const struct lgbm_lane_query *q, const struct wide *w,
          bool has_l1, bool has_missing) {
    const lgbm_pair miss[LGBM_LANES] = {
        {(uint64_t)q->miss[0].gradient, q->miss[0].packed},
        {(uint64_t)q->miss[1].gradient, q->miss[1].packed},
        {(uint64_t)q->miss[2].gradient, q->miss[2].packed},
        {(uint64_t)q->miss[3].gradient, q->miss[3].packed},
    };
    __m256i miss_g, miss_p, left_g = _mm256_setzero_si256(), left_p = left_g, bin = left_g;
    wide_load(&miss_g, &miss_p, miss);
    const __m256i limit = _mm256_setr_epi64x(q->limit[0], q->limit[2], q->limit[1], q->limit[3]);
    const __m256i one = _mm256_set1_epi64x(1), none = _mm256_set1_epi64x(-1);
    __m256d best[2] = {_mm256_set1_pd(q->floor), _mm256_set1_pd(q->floor)};
    __m256i threshold[2] = {none, none};
    for (uint32_t b = 0; b < q->bins; b++) {
        __m256i g, p;
        wide_load(&g, &p, q->hist + (size_t)b * LGBM_LANES);
        left_g = _mm256_add_epi64(left_g, g);
        left_p = _mm256_add_epi64(left_p, p);
        __m256i in_range = _mm256_cmpgt_epi64(bin, limit);
        in_range = _mm256_andnot_si256(in_range, none);
        if (has_missing) {
            wide_keep(&best[0], &threshold[0], _mm256_add_epi64(left_g, miss_g),
                      _mm256_add_epi64(left_p, miss_p), bin, in_range, w, has_l1, true);
            wide_keep(&best[1], &threshold[1], left_g, left_p, bin, in_range, w, has_l1, false);
        } else {
            wide_keep(&best[0], &threshold[0], left_g, left_p, bin, in_range, w, has_l1, true);
        }
        bin = _mm256_add_epi64(bin, one);
    }
    static const uint32_t lane_of[LGBM_LANES] = {0, 2, 1, 3};
    for (uint32_t side = 0; side < 2; side++) {
        double gains[LGBM_LANES];
        int64_t at[LGBM_LANES];
        _mm256_storeu_pd(gains, best[side]);
        _mm256_storeu_si256((__m256i *)(void *)at, threshold[side]);
        for (uint32_t k = 0; k < LGBM_LANES; k++) {
            out->gain[side][lane_of[k]] = gains[k];
            out->threshold[side][lane_of[k]] = at[k];
        }
    }
}

__attribute__((target("avx2"))) void lgbm_lanes_scan_avx2(struct lgbm_lane_best *out,
                                                          const struct lgbm_lane_query *q) {
    const double magic = 6755399441055744.0, exponent = 4503599627370496.0; /* 1.5 2^52, 2^52 */
    struct wide w = {
        .total_g = _mm256_set1_epi64x(q->total.gradient),
        .total_p = _mm256_set1_epi64x((int64_t)q->total.packed),
        .mask = _mm256_set1_epi64x((int64_t)((UINT64_C(1) << q->hessian_bits) - 1)),
        .packed_min = _mm256_set1_epi64x(q->packed_min),
        .hessian_min = _mm256_set1_epi64x(q->hessian_min),
        .magic_i = _mm256_castpd_si256(_mm256_set1_pd(magic)),
        .exponent_i = _mm256_castpd_si256(_mm256_set1_pd(exponent)),
        .magic = _mm256_set1_pd(magic),
        .exponent = _mm256_set1_pd(exponent),
        .l1 = _mm256_set1_pd(q->l1),
        .l2 = _mm256_set1_pd(q->l2),
        .sign = _mm256_set1_pd(-0.0),
    };
    if (q->l1 > 0 && q->has_missing)
        wide_scan(out, q, &w, true, true);
    else if (q->l1 > 0)
        wide_scan(out, q, &w, true, false);
    else if (q->has_missing)
        wide_scan(out, q, &w, false, true);
    else
        wide_scan(out, q, &w, false, false);
}
#else
void lgbm_lanes_scan_avx2(struct lgbm_lane_best *out, const struct lgbm_lane_query *q) {
    lgbm_lanes_scan(out, q);
}
#endif
