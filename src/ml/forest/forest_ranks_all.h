/* Ranks for every dialect and type of row, over the counts of 16 floats and 16 doubles that the
 * including file defines: count_f32, count_f64. */
#define RANKS_NAME  ranks_f32
#define RANKS_IN    float
#define RANKS_VALUE float
#define RANKS_TABLE thresholds_f32
#define RANKS_COUNT count_f32
#include "ml/forest/forest_ranks.h"
#undef RANKS_NAME
#undef RANKS_IN
#define RANKS_NAME ranks_f64_rounded
#define RANKS_IN   double
#include "ml/forest/forest_ranks.h"
#undef RANKS_NAME
#undef RANKS_VALUE
#undef RANKS_TABLE
#undef RANKS_COUNT
#define RANKS_NAME  ranks_f64
#define RANKS_VALUE double
#define RANKS_TABLE thresholds_f64
#define RANKS_COUNT count_f64
#include "ml/forest/forest_ranks.h"

static void categories_rank(uint8_t *ranks, const struct forest *f, const struct forest_rows *rows,
                            uint32_t count, uint32_t lanes, uint32_t turned) {
    const struct forest_category *c = (const struct forest_category *)forest_at(f, f->categories);
    for (uint32_t i = 0; i < f->category_count; i++)
        for (uint32_t r = 0; r < count; r++) {
            double x = forest_rows_value(rows, c[i].feature + r * rows->stride);
            ranks[(size_t)c[i].column * lanes + r] =
                (uint8_t)(forest_category_right(f, &c[i], x) ^ turned);
        }
}

/* lanes and turned are constants of the caller: each is a function of its own once inlined. */
static inline __attribute__((always_inline)) void ranks_of(uint8_t *ranks, const struct forest *f,
                                                           const struct forest_rows *rows,
                                                           uint32_t count, uint32_t lanes,
                                                           uint32_t turned) {
    const uint32_t *end = f->quantizer_end;
    size_t stride = rows->stride;
    if (f->dialect == TREES_XGBOOST) {
        if (rows->f32)
            ranks_f32(ranks, f, rows->f32, stride, count, lanes, turned, 0, end[0],
                      PREPARE_XGBOOST);
        else
            ranks_f64_rounded(ranks, f, rows->f64, stride, count, lanes, turned, 0, end[0],
                              PREPARE_XGBOOST);
    } else if (rows->f32) {
        ranks_f32(ranks, f, rows->f32, stride, count, lanes, turned, 0, end[1],
                  PREPARE_LIGHTGBM_NONE);
        ranks_f32(ranks, f, rows->f32, stride, count, lanes, turned, end[1], end[2],
                  PREPARE_LIGHTGBM_ZERO);
        ranks_f32(ranks, f, rows->f32, stride, count, lanes, turned, end[2], end[3],
                  PREPARE_LIGHTGBM_NAN);
    } else {
        ranks_f64(ranks, f, rows->f64, stride, count, lanes, turned, 0, end[1],
                  PREPARE_LIGHTGBM_NONE);
        ranks_f64(ranks, f, rows->f64, stride, count, lanes, turned, end[1], end[2],
                  PREPARE_LIGHTGBM_ZERO);
        ranks_f64(ranks, f, rows->f64, stride, count, lanes, turned, end[2], end[3],
                  PREPARE_LIGHTGBM_NAN);
    }
    if (f->category_count) categories_rank(ranks, f, rows, count, lanes, turned);
}
