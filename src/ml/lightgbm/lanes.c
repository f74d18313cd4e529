/* The scan of one quad: for each bin as the last on the left, the gain of each of four features.
 *
 * A lane is a feature. Sums are whole numbers that doubles hold exactly, and both forms compute
 * what a split is worth by the same operations: they give the same bits. Looked at as LightGBM does
 * it: with missing rows on the left from the highest threshold downwards, then, if there are
 * missing rows, with them on the right upwards; the first of equal gains is kept. A side's rows are
 * estimated from its hessians, each bin's rounded, and the other side has the rest:
 * min_data_in_leaf is held approximately, as its documentation says, and the same splits are
 * found. */
#include <math.h>

#include "ml/lightgbm/lgbm_grow_internal.h"

static double over_l1(double g, double l1) {
    double x = fabs(g) - l1;
    return x > 0 ? copysign(x, g) : 0;
}

/* Sums of one side while it grows. */
struct side {
    double gradient, hessian, count;
};

static void side_add(struct side *s, const struct lgbm_lane_query *q, lgbm_pair entry) {
    double hessian = (double)(int64_t)entry[1];
    s->gradient += (double)(int64_t)entry[0];
    s->hessian += hessian;
    s->count += floor(hessian * q->count_factor + 0.5);
}

static bool side_allowed(const struct lgbm_lane_query *q, const struct side *s) {
    return s->count >= q->count_min && s->hessian >= q->hessian_min;
}

static double side_gain(const struct lgbm_lane_query *q, const struct side *s) {
    double g = q->l1 > 0 ? over_l1(s->gradient, q->l1) : s->gradient;
    return g * g / (s->hessian + q->l2);
}

static void lane_keep(struct lgbm_lane_best *best, uint32_t way, uint32_t k,
                      const struct lgbm_lane_query *q, const struct side *s, int64_t threshold) {
    struct side rest = {q->gradient - s->gradient, q->hessian - s->hessian, q->count - s->count};
    if (!side_allowed(q, s) || !side_allowed(q, &rest)) return;
    /* Left first: a sum of two is the same in both ways. */
    double gain = side_gain(q, s) + side_gain(q, &rest);
    if (!(gain > best->gain[way][k])) return;
    best->gain[way][k] = gain;
    best->threshold[way][k] = threshold;
}

void lgbm_lanes_scan(struct lgbm_lane_best *out, const struct lgbm_lane_query *q) {
    for (uint32_t k = 0; k < LGBM_LANES; k++) {
        for (uint32_t way = 0; way < 2; way++) {
            out->gain[way][k] = q->floor;
            out->threshold[way][k] = -1;
        }
        struct side right = {0, 0, 0}, left = {0, 0, 0};
        for (int64_t b = q->last[k]; b > 0; b--) {
            side_add(&right, q, q->hist[b * LGBM_LANES + k]);
            lane_keep(out, 0, k, q, &right, b - 1);
        }
        for (int64_t b = 0; q->has_missing && b <= q->last[k]; b++) {
            side_add(&left, q, q->hist[b * LGBM_LANES + k]);
            lane_keep(out, 1, k, q, &left, b);
        }
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((always_inline, target("avx2")))

/* Constants of a scan, in every lane, and what it has found. */
struct wide {
    __m256d gradient, hessian, count, count_factor, half, count_min, hessian_min, l1, l2, sign;
    __m256d magic;
    __m256i magic_bits, last;
    __m256d best;
    __m256i threshold;
};

/* The side that grows. */
struct wide_side {
    __m256d gradient, hessian, count;
};

/* Whole numbers below 2^51 in magnitude: 1.5 2^52 is added to the bits and taken off the value. */
static inline AVX2 __m256d to_f64(__m256i x, const struct wide *w) {
    return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(x, w->magic_bits)), w->magic);
}

static inline AVX2 __m256d wide_gain(__m256d g, __m256d h, const struct wide *w, bool has_l1) {
    if (has_l1) {
        __m256d size = _mm256_sub_pd(_mm256_andnot_pd(w->sign, g), w->l1);
        g = _mm256_or_pd(_mm256_max_pd(size, _mm256_setzero_pd()), _mm256_and_pd(g, w->sign));
    }
    return _mm256_div_pd(_mm256_mul_pd(g, g), _mm256_add_pd(h, w->l2));
}

/* Keeps what is better of the side against the rest. */
static inline AVX2 void wide_keep(struct wide *w, const struct wide_side *s, __m256i threshold,
                                  bool has_l1) {
    __m256d g = _mm256_sub_pd(w->gradient, s->gradient);
    __m256d h = _mm256_sub_pd(w->hessian, s->hessian);
    __m256d c = _mm256_sub_pd(w->count, s->count);
    __m256d few = _mm256_min_pd(s->count, c), light = _mm256_min_pd(s->hessian, h);
    __m256d gain =
        _mm256_add_pd(wide_gain(s->gradient, s->hessian, w, has_l1), wide_gain(g, h, w, has_l1));
    __m256d better = _mm256_and_pd(_mm256_cmp_pd(few, w->count_min, _CMP_GE_OQ),
                                   _mm256_cmp_pd(light, w->hessian_min, _CMP_GE_OQ));
    better = _mm256_and_pd(better, _mm256_cmp_pd(gain, w->best, _CMP_GT_OQ));
    w->best = _mm256_blendv_pd(w->best, gain, better);
    w->threshold = _mm256_blendv_epi8(w->threshold, threshold, _mm256_castpd_si256(better));
}

/* Adds one bin of the four lanes, which come in the order 0 2 1 3; nothing where keep is not
 * set. */
static inline AVX2 void wide_add(struct wide_side *s, const struct wide *w,
                                 const lgbm_pair *entries, __m256i keep, bool has_missing) {
    __m256i a = _mm256_load_si256((const __m256i *)(const void *)entries);
    __m256i b = _mm256_load_si256((const __m256i *)(const void *)(entries + 2));
    __m256i gradient = _mm256_unpacklo_epi64(a, b), hessian = _mm256_unpackhi_epi64(a, b);
    if (has_missing) {
        gradient = _mm256_and_si256(gradient, keep);
        hessian = _mm256_and_si256(hessian, keep);
    }
    __m256d h = to_f64(hessian, w);
    s->gradient = _mm256_add_pd(s->gradient, to_f64(gradient, w));
    s->hessian = _mm256_add_pd(s->hessian, h);
    __m256d count = _mm256_add_pd(_mm256_mul_pd(h, w->count_factor), w->half);
    s->count = _mm256_add_pd(s->count, _mm256_floor_pd(count));
}

/* Bins behind a lane's last hold nothing, or its missing rows, which then stay on the other
 * side. */
static inline AVX2 void wide_down(struct wide *w, const struct lgbm_lane_query *q, bool has_l1,
                                  bool has_missing) {
    const __m256d zero = _mm256_setzero_pd();
    const __m256i one = _mm256_set1_epi64x(1);
    struct wide_side right = {zero, zero, zero};
    __m256i bin = _mm256_set1_epi64x((int64_t)q->bins - 1);
    for (uint32_t b = q->bins - 1; b > 0; b--) {
        __m256i behind = _mm256_cmpgt_epi64(bin, w->last);
        bin = _mm256_sub_epi64(bin, one);
        __m256i keep = _mm256_xor_si256(behind, _mm256_set1_epi64x(-1));
        wide_add(&right, w, q->hist + (size_t)b * LGBM_LANES, keep, has_missing);
        wide_keep(w, &right, bin, has_l1);
    }
}

static inline AVX2 void wide_up(struct wide *w, const struct lgbm_lane_query *q, bool has_l1) {
    const __m256d zero = _mm256_setzero_pd();
    const __m256i one = _mm256_set1_epi64x(1);
    struct wide_side left = {zero, zero, zero};
    __m256i bin = _mm256_setzero_si256();
    for (uint32_t b = 0; b < q->bins; b++) {
        __m256i behind = _mm256_cmpgt_epi64(bin, w->last);
        __m256i keep = _mm256_xor_si256(behind, _mm256_set1_epi64x(-1));
        wide_add(&left, w, q->hist + (size_t)b * LGBM_LANES, keep, true);
        wide_keep(w, &left, bin, has_l1);
        bin = _mm256_add_epi64(bin, one);
    }
}

static inline AVX2 void wide_store(struct lgbm_lane_best *out, uint32_t way, const struct wide *w,
                                   const struct lgbm_lane_query *q) {
    static const uint32_t lane_of[LGBM_LANES] = {0, 2, 1, 3};
    double gains[LGBM_LANES];
    int64_t at[LGBM_LANES];
    _mm256_storeu_pd(gains, w->best);
    _mm256_storeu_si256((__m256i *)(void *)at, w->threshold);
    for (uint32_t i = 0; i < LGBM_LANES; i++) {
        bool off = q->last[lane_of[i]] < 0;
        out->gain[way][lane_of[i]] = off ? q->floor : gains[i];
        out->threshold[way][lane_of[i]] = off ? -1 : at[i];
    }
}

static inline AVX2 void wide_scan(struct lgbm_lane_best *out, const struct lgbm_lane_query *q,
                                  struct wide *w, bool has_l1) {
    const __m256i none = _mm256_set1_epi64x(-1);
    w->best = _mm256_set1_pd(q->floor);
    w->threshold = none;
    if (q->has_missing)
        wide_down(w, q, has_l1, true);
    else
        wide_down(w, q, has_l1, false);
    wide_store(out, 0, w, q);
    w->best = _mm256_set1_pd(q->floor);
    w->threshold = none;
    if (q->has_missing) wide_up(w, q, has_l1);
    wide_store(out, 1, w, q);
}

__attribute__((target("avx2"))) void lgbm_lanes_scan_avx2(struct lgbm_lane_best *out,
                                                          const struct lgbm_lane_query *q) {
    const double magic = 6755399441055744.0; /* 1.5 2^52 */
    struct wide w = {
        .gradient = _mm256_set1_pd(q->gradient),
        .hessian = _mm256_set1_pd(q->hessian),
        .count = _mm256_set1_pd(q->count),
        .count_factor = _mm256_set1_pd(q->count_factor),
        .half = _mm256_set1_pd(0.5),
        .count_min = _mm256_set1_pd(q->count_min),
        .hessian_min = _mm256_set1_pd(q->hessian_min),
        .l1 = _mm256_set1_pd(q->l1),
        .l2 = _mm256_set1_pd(q->l2),
        .sign = _mm256_set1_pd(-0.0),
        .magic = _mm256_set1_pd(magic),
        .magic_bits = _mm256_castpd_si256(_mm256_set1_pd(magic)),
        .last = _mm256_setr_epi64x(q->last[0], q->last[2], q->last[1], q->last[3]),
    };
    if (q->l1 > 0)
        wide_scan(out, q, &w, true);
    else
        wide_scan(out, q, &w, false);
}
#else
void lgbm_lanes_scan_avx2(struct lgbm_lane_best *out, const struct lgbm_lane_query *q) {
    lgbm_lanes_scan(out, q);
}
#endif
