/* What a training takes, from its parameters alone: the sum of what dataset.c, grow.c, loss.c, sample.c and train.c ask
 * for, each at its worst. test_train.c holds it against what was taken. */
#include <unistd.h>

#include "ml/lightgbm/lgbm_internal.h"

/* Of grow.c: histograms kept for subtraction, at most, unless three alone are larger. */
static const size_t pool_bytes_max = (size_t)512 << 20;

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}
static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Bins by column and by row, and what finding them takes. */
static size_t dataset_bytes(const struct lgbm_params *p, size_t rows, size_t columns,
                            size_t threads) {
    size_t width = p->max_bin > 255 || p->is_categorical ? 2 : 1;
    size_t sample = smaller(rows, p->bin_construct_sample_cnt) + 2;
    /* Eight columns at once on each thread, their sort keys twice, and distinct values. */
    size_t binning = threads * (sample * (8 * 8 + 16 + 12) + (1 << 20)) + sample * 4;
    size_t bundling = rows * 4 + 64 * (rows / 8 + 8);
    size_t bins = columns * ((size_t)p->max_bin + 4) * (8 + 4 + 8);
    return rows * (2 * columns * width + 32) + columns * 512 + bins + larger(binning, bundling);
}

static size_t grower_bytes(const struct lgbm_params *p, size_t rows, size_t columns,
                           size_t threads) {
    size_t histogram = (columns + 12) * larger((size_t)p->max_bin + 2, 256) * 16;
    size_t pool = smaller(p->num_leaves * histogram, larger(pool_bytes_max, 3 * histogram));
    size_t leaf = 1024 + 4 * smaller(p->max_cat_threshold, (size_t)p->max_bin + 2) +
                  ((size_t)p->max_bin / 32 + 2) * 4;
    size_t thread = ((size_t)p->max_bin + 8) * 64 + (64 << 10);
    return rows * (16 + 4 + 8 + 4) + pool + p->num_leaves * leaf + columns * 64 + threads * thread;
}

/* Margins, gradients and hessians, what the objective and the sampling keep of a row. */
static size_t row_bytes(const struct lgbm_params *p) {
    size_t bytes = p->num_class * (8 + 4 + 4);
    bytes += 8 + 8;          /* target, weights by class */
    bytes += 16;             /* percentiles */
    bytes += 16 + 3 * 8 + 8; /* ranking, with a query to a row */
    bytes += p->objective == LGBM_CUSTOM ? p->num_class * 8 : 0;
    return bytes + 4 + 16; /* rows drawn, GOSS */
}

static size_t model_bytes(const struct lgbm_params *p) {
    size_t set = p->is_categorical ? 128 : 0; /* a bit per category, to 1023 */
    size_t split = 4 + 8 + 1 + 4 + 4 + 4 + 8 + 8 + 8 + 8 + 8 + 8 + 4;
    return (size_t)p->num_iterations * p->num_class *
           (sizeof(struct tree) * 2 + p->num_leaves * (split + set) + 256);
}

size_t lgbm_memory(const struct lgbm_params *params, size_t rows, uint32_t columns) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t threads = params->num_threads > 0 ? params->num_threads
                     : processors > 0        ? (size_t)processors
                                             : 1;
    return dataset_bytes(params, rows, columns, threads) +
           grower_bytes(params, rows, columns, threads) + rows * row_bytes(params) +
           model_bytes(params) + columns * 2048 + (1 << 20);
}
