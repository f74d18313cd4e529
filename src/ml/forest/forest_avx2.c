/* Kernels of AVX2 processors: blocks of 64 rows on pairs of registers. The blocks are AVX-512's, so that
 * the two differ in what is below and in nothing else; and two registers share a node's loads. */
#include "ml/forest/forest_internal.h"

#ifdef __AVX2__
#include <immintrin.h>

typedef struct {
    __m256i a, b;
} vector;

/* How many of 16 thresholds are at or below x, with AVX2. NaN, on either side, is not. */
static inline uint32_t count_f32(const float *t, float x) {
    __m256 v = _mm256_set1_ps(x);
    int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(t), v, _CMP_LE_OQ));
    int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(t + 8), v, _CMP_LE_OQ));
    return (uint32_t)__builtin_popcount((unsigned)(low | high << 8));
}

static inline uint32_t count_f64(const double *t, double x) {
    __m256d v = _mm256_set1_pd(x);
    int m = 0;
    for (int i = 0; i < 4; i++)
        m |= _mm256_movemask_pd(_mm256_cmp_pd(_mm256_loadu_pd(t + 4 * i), v, _CMP_LE_OQ)) << 4 * i;
    return (uint32_t)__builtin_popcount((unsigned)m);
}

static inline __m256i half_load(const uint8_t *p) {
    return _mm256_load_si256((const __m256i *)(const void *)p);
}
static inline vector vector_load(const uint8_t *p) {
    return (vector){half_load(p), half_load(p + 32)};
}
static inline void vector_store(uint8_t *p, vector v) {
    _mm256_store_si256((__m256i *)(void *)p, v.a);
    _mm256_store_si256((__m256i *)(void *)(p + 32), v.b);
}
static inline vector vector_set(uint8_t x) {
    __m256i v = _mm256_set1_epi8((char)x);
    return (vector){v, v};
}
static inline vector vector_double(vector v) {
    return (vector){_mm256_add_epi8(v.a, v.a), _mm256_add_epi8(v.b, v.b)};
}
static inline vector vector_bottom(uint8_t limit, const uint8_t *ranks, vector odd) {
    __m256i l = _mm256_set1_epi8((char)limit);
    return (vector){_mm256_add_epi8(odd.a, _mm256_cmpgt_epi8(l, half_load(ranks))),
                    _mm256_add_epi8(odd.b, _mm256_cmpgt_epi8(l, half_load(ranks + 32)))};
}
static inline vector vector_choose(uint8_t limit, const uint8_t *ranks, vector left, vector right) {
    __m256i l = _mm256_set1_epi8((char)limit);
    return (vector){
        _mm256_blendv_epi8(right.a, left.a, _mm256_cmpgt_epi8(l, half_load(ranks))),
        _mm256_blendv_epi8(right.b, left.b, _mm256_cmpgt_epi8(l, half_load(ranks + 32)))};
}

#define VECTOR_KERNELS forest_kernels_avx2
#include "ml/forest/forest_vector.h"
#else
const struct forest_kernels forest_kernels_avx2 = {0};
#endif
