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
