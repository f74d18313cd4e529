/* The kernels of blocks of 64 rows, as AVX-512 has them, on pairs of AVX2 registers. */
#include "ml/forest/forest_internal.h"

#ifdef __AVX2__
#include <immintrin.h>

#define VECTOR_LANES 64
typedef struct {
    __m256i a, b;
} vector;

#include "ml/forest/forest_count_avx2.h"

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

#define VECTOR_KERNELS forest_kernels_avx2_pair
#include "ml/forest/forest_vector.h"
#else
const struct forest_kernels forest_kernels_avx2_pair = {0};
#endif
