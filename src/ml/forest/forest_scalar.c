/* Ranks without vectors: four halvings among the pivots, four in the block. */
#include "ml/forest/forest_internal.h"

/* Thresholds <= x of 16 ascending ones of which the last is not (absent ones are NaN: never). */
static inline uint32_t count_f32(const float *t, float x) {
    uint32_t n = t[7] <= x ? 8 : 0;
    n += t[n + 3] <= x ? 4 : 0;
    n += t[n + 1] <= x ? 2 : 0;
    n += t[n] <= x ? 1 : 0;
    return n;
}

static inline uint32_t count_f64(const double *t, double x) {
    uint32_t n = t[7] <= x ? 8 : 0;
    n += t[n + 3] <= x ? 4 : 0;
    n += t[n + 1] <= x ? 2 : 0;
    n += t[n] <= x ? 1 : 0;
    return n;
}

#include "ml/forest/forest_ranks_all.h"

static void row_ranks(uint8_t *out, const struct forest *f, const struct forest_rows *rows) {
    ranks_of(out, f, rows, 1, 1, 0);
}

const struct forest_kernels forest_kernels_scalar = {.row_ranks = row_ranks};
