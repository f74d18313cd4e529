/* Ranks of rows, for one type of row and of threshold. Included with
 *   RANKS_NAME   the function's name        RANKS_IN      type of the rows
 *   RANKS_VALUE  type of the thresholds     RANKS_TABLE   the forest's array of them
 *   RANKS_COUNT  uint32_t (const RANKS_VALUE *t, RANKS_VALUE x): how many of 16 are <= x
 * ranks (rank_count, lanes) ^ turned; count <= lanes rows. No branch looks at a value. */
static inline __attribute__((always_inline)) void
RANKS_NAME(uint8_t *ranks, const struct forest *f, const RANKS_IN *rows, size_t stride,
           uint32_t count, uint32_t lanes, uint32_t turned, uint32_t first, uint32_t end,
           enum forest_preparation preparation) {
    const struct forest_quantizer *quantizers =
        (const struct forest_quantizer *)forest_at(f, f->quantizers);
    const RANKS_VALUE *tables = (const RANKS_VALUE *)forest_at(f, f->RANKS_TABLE);
    for (uint32_t i = first; i < end; i++) {
        const struct forest_quantizer q = quantizers[i];
        const RANKS_VALUE *table = tables + q.table;
        uint8_t *left = ranks + (size_t)q.left * lanes, *right = ranks + (size_t)q.right * lanes;
        for (uint32_t r = 0; r < count; r++) {
            RANKS_VALUE x = (RANKS_VALUE)rows[r * stride + q.feature];
            if (preparation != PREPARE_XGBOOST) {
                RANKS_VALUE magnitude = x < 0 ? -x : x;
                x = magnitude <= (RANKS_VALUE)FOREST_ZERO ? 0 : x;
            }
            uint32_t missing = x != x;
            if (preparation == PREPARE_LIGHTGBM_NONE) {
                x = missing ? 0 : x;
                missing = 0;
            }
            if (preparation == PREPARE_LIGHTGBM_ZERO) missing |= x == 0;
            uint32_t block = RANKS_COUNT(table, x);
            const RANKS_VALUE *thresholds = table + (size_t)FOREST_TABLE_BLOCK * (block + 1);
            uint32_t rank = FOREST_TABLE_BLOCK * block + RANKS_COUNT(thresholds, x);
            right[r] = (uint8_t)((rank | (0u - missing)) ^ turned);
            left[r] = (uint8_t)((rank & (missing - 1)) ^ turned);
        }
    }
}
