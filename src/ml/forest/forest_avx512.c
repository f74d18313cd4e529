/* Kernels of AVX-512 processors (F, BW, DQ, VL): blocks of 64 rows. */
#include "ml/forest/forest_internal.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include <immintrin.h>

typedef __m512i vector;

static inline uint32_t count_f32(const float *t, float x) {
    __mmask16 m = _mm512_cmp_ps_mask(_mm512_loadu_ps(t), _mm512_set1_ps(x), _CMP_LE_OQ);
    return (uint32_t)__builtin_popcount(m);
}
static inline uint32_t count_f64(const double *t, double x) {
    __m512d v = _mm512_set1_pd(x);
    uint32_t low = _mm512_cmp_pd_mask(_mm512_loadu_pd(t), v, _CMP_LE_OQ);
    uint32_t high = _mm512_cmp_pd_mask(_mm512_loadu_pd(t + 8), v, _CMP_LE_OQ);
    return (uint32_t)__builtin_popcount(low | high << 8);
}

static inline vector vector_load(const uint8_t *p) {
    return _mm512_load_si512((const void *)p);
}
static inline void vector_store(uint8_t *p, vector v) {
    _mm512_store_si512((void *)p, v);
}
static inline vector vector_set(uint8_t x) {
    return _mm512_set1_epi8((char)x);
}
static inline vector vector_double(vector v) {
    return _mm512_add_epi8(v, v);
}
static inline __mmask64 below(uint8_t limit, const uint8_t *ranks) {
    return _mm512_cmpgt_epi8_mask(vector_set(limit), vector_load(ranks));
}
static inline vector vector_bottom(uint8_t limit, const uint8_t *ranks, vector odd) {
    return _mm512_mask_sub_epi8(odd, below(limit, ranks), odd, vector_set(1));
}
static inline vector vector_choose(uint8_t limit, const uint8_t *ranks, vector left, vector right) {
    return _mm512_mask_blend_epi8(below(limit, ranks), right, left);
}

#define VECTOR_KERNELS forest_kernels_avx512
#include "ml/forest/forest_vector.h"
#else
const struct forest_kernels forest_kernels_avx512 = {0};
#endif
