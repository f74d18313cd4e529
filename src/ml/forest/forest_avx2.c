/* Kernels of AVX2 processors, and the AVX-512 kernels' blocks of 64 on pairs of AVX2 registers. */
#include "ml/forest/forest_internal.h"

#ifdef __AVX2__
#include <immintrin.h>

#define VECTOR_LANES 32
typedef __m256i vector;

#include "ml/forest/forest_count_avx2.h"

static inline vector vector_load(const uint8_t *p) {
    return _mm256_load_si256((const __m256i *)(const void *)p);
}
static inline void vector_store(uint8_t *p, vector v) {
    _mm256_store_si256((__m256i *)(void *)p, v);
}
static inline vector vector_set(uint8_t x) {
    return _mm256_set1_epi8((char)x);
}
static inline vector vector_double(vector v) {
    return _mm256_add_epi8(v, v);
}
/* odd where the rank is not below the limit, else odd - 1 */
static inline vector vector_bottom(uint8_t limit, const uint8_t *ranks, vector odd) {
    return _mm256_add_epi8(odd, _mm256_cmpgt_epi8(vector_set(limit), vector_load(ranks)));
}
/* left where the rank is below the limit */
static inline vector vector_choose(uint8_t limit, const uint8_t *ranks, vector left, vector right) {
    return _mm256_blendv_epi8(right, left,
                              _mm256_cmpgt_epi8(vector_set(limit), vector_load(ranks)));
}

#define VECTOR_KERNELS forest_kernels_avx2
#include "ml/forest/forest_vector.h"
#else
const struct forest_kernels forest_kernels_avx2 = {0};
#endif
