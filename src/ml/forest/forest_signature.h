/* Leaves of eight ragged trees for one row, by signatures, with AVX2. */

/* Ranks of 32 splits, out of 2, 4 or 8 tables of 16 ranks each. Bits 4, 5, 6 of a column say which table;
 * blends look at bit 7. */
static inline __m256i ranks_of_2(const __m256i *table, __m256i column) {
    return _mm256_blendv_epi8(_mm256_shuffle_epi8(table[0], column),
                              _mm256_shuffle_epi8(table[1], column), _mm256_slli_epi16(column, 3));
}
static inline __m256i ranks_of_4(const __m256i *table, __m256i column) {
    return _mm256_blendv_epi8(ranks_of_2(table, column), ranks_of_2(table + 2, column),
                              _mm256_slli_epi16(column, 2));
}
static inline __m256i ranks_of_8(const __m256i *table, __m256i column) {
    return _mm256_blendv_epi8(ranks_of_4(table, column), ranks_of_4(table + 4, column),
                              _mm256_slli_epi16(column, 1));
}

/* Leaves that none of four splits rules out, in each of eight elements. */
static inline __attribute__((always_inline)) __m256i
tree_signature(const struct forest_signature *t, const __m256i *table, uint32_t tables) {
    const __m256i *mask = (const __m256i *)(const void *)t->mask;
    __m256i last = _mm256_load_si256((const __m256i *)(const void *)t->last);
    __m256i column = _mm256_load_si256((const __m256i *)(const void *)t->column);
    __m256i rank = tables == 2   ? ranks_of_2(table, column)
                   : tables == 4 ? ranks_of_4(table, column)
                                 : ranks_of_8(table, column);
    __m256i left = _mm256_cmpeq_epi8(_mm256_max_epu8(rank, last), last);
    __m256i low = _mm256_unpacklo_epi8(left, left), high = _mm256_unpackhi_epi8(left, left);
    __m256i a = _mm256_or_si256(_mm256_unpacklo_epi16(low, low), mask[0]);
    __m256i b = _mm256_or_si256(_mm256_unpackhi_epi16(low, low), mask[1]);
    __m256i c = _mm256_or_si256(_mm256_unpacklo_epi16(high, high), mask[2]);
    __m256i d = _mm256_or_si256(_mm256_unpackhi_epi16(high, high), mask[3]);
    return _mm256_and_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, d));
}

/* Halves of both, combined: twice the trees, half the elements each. */
static inline __m256i halves_and(__m256i a, __m256i b) {
    return _mm256_and_si256(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}
static inline __m256i quarters_and(__m256i a, __m256i b) {
    return _mm256_and_si256(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}
static inline __m256i eighths_and(__m256i a, __m256i b) {
    __m256 x = _mm256_castsi256_ps(a), y = _mm256_castsi256_ps(b);
    return _mm256_and_si256(_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88)),
                            _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xDD)));
}

static inline __attribute__((always_inline)) void
signatures_leaves(uint32_t out[FOREST_GROUP], const struct forest_signatures *s,
                  const uint8_t *ranks, uint32_t tables) {
    __m256i table[8], v[FOREST_GROUP];
    for (uint32_t i = 0; i < tables; i++)
        table[i] = _mm256_broadcastsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)(ranks + 16 * i)));
    for (uint32_t i = 0; i < FOREST_GROUP; i++) v[i] = tree_signature(&s->tree[i], table, tables);
    __m256i low = quarters_and(halves_and(v[0], v[1]), halves_and(v[2], v[3]));
    __m256i high = quarters_and(halves_and(v[4], v[5]), halves_and(v[6], v[7]));
    /* Trees 0 2 4 6 in the low half, 1 3 5 7 in the high. */
    uint32_t stays[FOREST_GROUP];
    _mm256_storeu_si256((__m256i *)(void *)stays, eighths_and(low, high));
    for (uint32_t i = 0; i < FOREST_GROUP; i++)
        out[i] = s->leaf[i] + (uint32_t)__builtin_ctz(stays[i / 2 + 4 * (i % 2)]);
}

static void group_leaves(uint32_t out[FOREST_GROUP], const struct forest *f,
                         const struct forest_group *g, const uint8_t *ranks) {
    const struct forest_signatures *s =
        (const struct forest_signatures *)forest_at(f, f->signatures) + g->signature;
    if (f->rank_count <= 32)
        signatures_leaves(out, s, ranks, 2);
    else if (f->rank_count <= 64)
        signatures_leaves(out, s, ranks, 4);
    else
        signatures_leaves(out, s, ranks, 8);
}
