#include "ml/forest/forest.h"

#include "ml/forest/forest_internal.h"

const char *forest_kernel_text(enum forest_kernel kernel) {
    static const char *const text[FOREST_KERNEL_COUNT] = {[FOREST_KERNEL_BEST] = "best",
                                                          [FOREST_KERNEL_REF] = "ref",
                                                          [FOREST_KERNEL_SCALAR] = "scalar",
                                                          [FOREST_KERNEL_AVX2] = "avx2",
                                                          [FOREST_KERNEL_AVX512] = "avx512"};
    return kernel < FOREST_KERNEL_COUNT ? text[kernel] : "?";
}

const struct forest_kernels *forest_kernels_of(enum forest_kernel kernel) {
    switch (kernel) {
    case FOREST_KERNEL_AVX2:
        return &forest_kernels_avx2;
    case FOREST_KERNEL_AVX512:
        return &forest_kernels_avx512;
    case FOREST_KERNEL_BEST:
    case FOREST_KERNEL_REF:
    case FOREST_KERNEL_SCALAR:
    case FOREST_KERNEL_COUNT:
        break;
    }
    return &forest_kernels_scalar;
}

/* Compiled in, and the processor has it (and the system saves its registers). */
bool forest_kernel_available(enum forest_kernel kernel) {
    if (kernel >= FOREST_KERNEL_COUNT) return false;
    if (kernel < FOREST_KERNEL_AVX2) return true;
    if (!forest_kernels_of(kernel)->row_ranks) return false;
#if defined(__x86_64__)
    if (kernel == FOREST_KERNEL_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("popcnt");
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
#else
    return false;
#endif
}

uint32_t forest_columns(const struct forest *f) {
    return f->columns;
}

uint32_t forest_outputs(const struct forest *f) {
    return f->outputs;
}

uint32_t forest_prediction_columns(const struct forest *f) {
    return f->prediction_columns;
}

uint32_t forest_tree_count(const struct forest *f) {
    return f->tree_count;
}

enum forest_kernel forest_kernel_used(const struct forest *f) {
    return (enum forest_kernel)f->kernel;
}

/* ---- one row ---- */

static void lazy_margin(double *out, const struct forest *f, const struct forest_rows *row) {
    const struct forest_tree *trees = (const struct forest_tree *)forest_at(f, f->trees);
    memcpy(out, forest_at(f, f->base_margin), f->outputs * sizeof *out);
    for (uint32_t t = 0; t < f->tree_count; t++) {
        double *sum = &out[trees[t].class_index];
        double value = forest_leaf_output(f, forest_walk_lazy(f, t, row), row);
        *sum = f->dialect == TREES_XGBOOST ? (double)((float)*sum + (float)value) : *sum + value;
    }
}

static void lazy_leaves(int32_t *out, const struct forest *f, const struct forest_rows *row) {
    const int32_t *ids = (const int32_t *)forest_at(f, f->leaf_ids);
    for (uint32_t t = 0; t < f->tree_count; t++) out[t] = ids[forest_walk_lazy(f, t, row)];
}

static void row_margin(double *out, const struct forest *f, const struct forest_kernels *k,
                       const struct forest_rows *row) {
    uint8_t ranks[FOREST_ROW_RANKS];
    k->row_ranks(ranks, f, row);
    forest_walk_margin(out, f, ranks, row);
}

static void row_leaves(int32_t *out, const struct forest *f, const struct forest_kernels *k,
                       const struct forest_rows *row) {
    uint8_t ranks[FOREST_ROW_RANKS];
    k->row_ranks(ranks, f, row);
    forest_walk_leaves(out, f, ranks);
}

/* ---- a tile: some blocks of rows ---- */

static void sums_begin(void *sums, const struct forest *f, uint32_t rows) {
    const double *base = (const double *)forest_at(f, f->base_margin);
    for (uint32_t k = 0; k < f->outputs; k++)
        for (uint32_t r = 0; r < rows; r++)
            if (f->dialect == TREES_XGBOOST)
                ((float *)sums)[(size_t)k * rows + r] = (float)base[k];
            else
                ((double *)sums)[(size_t)k * rows + r] = base[k];
}

/* Ranks of `rows` rows in blocks; returns the blocks. */
static uint32_t tile_ranks(uint8_t *ranks, const struct forest *f, const struct forest_kernels *k,
                           const struct forest_rows *rows, uint32_t count) {
    uint32_t blocks = 0;
    for (uint32_t from = 0; from < count; from += FOREST_LANES, blocks++) {
        struct forest_rows part = forest_rows_from(rows, from);
        uint32_t n = count - from < FOREST_LANES ? count - from : FOREST_LANES;
        k->block_ranks(ranks + (size_t)blocks * f->rank_count * FOREST_LANES, f, &part, n);
    }
    return blocks;
}

static void tile_margin(double *out, const struct forest *f, const struct forest_kernels *k,
                        const struct forest_rows *rows, uint32_t count) {
    __attribute__((aligned(64))) uint8_t ranks[FOREST_TILE_BYTES];
    __attribute__((aligned(64))) unsigned char sums[FOREST_SUMS_BYTES];
    uint32_t blocks = tile_ranks(ranks, f, k, rows, count), width = blocks * FOREST_LANES;
    sums_begin(sums, f, width);
    k->block_sums(sums, f, ranks, blocks);
    for (uint32_t r = 0; r < count; r++)
        for (uint32_t i = 0; i < f->outputs; i++) {
            size_t at = (size_t)i * width + r;
            out[(size_t)r * f->outputs + i] = f->dialect == TREES_XGBOOST
                                                  ? (double)((const float *)(const void *)sums)[at]
                                                  : ((const double *)(const void *)sums)[at];
        }
}

static void tile_leaves(int32_t *out, const struct forest *f, const struct forest_kernels *k,
                        const struct forest_rows *rows, uint32_t count) {
    __attribute__((aligned(64))) uint8_t ranks[FOREST_TILE_BYTES];
    const int32_t *ids = (const int32_t *)forest_at(f, f->leaf_ids);
    uint32_t blocks = tile_ranks(ranks, f, k, rows, count);
    for (uint32_t t = 0; t < f->tree_count; t++)
        for (uint32_t b = 0; b < blocks; b++) {
            uint32_t leaf[FOREST_LANES], from = b * FOREST_LANES;
            k->block_leaves(leaf, f, t, ranks + (size_t)b * f->rank_count * FOREST_LANES);
            for (uint32_t r = 0; r < FOREST_LANES && from + r < count; r++)
                out[(size_t)(from + r) * f->tree_count + t] = ids[leaf[r]];
        }
}

/* ---- any number of rows ---- */

/* Rows of the next tile; 0: the rest goes row by row. */
static uint32_t tile_next(const struct forest *f, const struct forest_kernels *k, size_t left) {
    if (f->tile_blocks == 0 || left < k->block_rows_min) return 0;
    size_t whole = left / FOREST_LANES * FOREST_LANES, most = (size_t)f->tile_blocks * FOREST_LANES;
    if (left - whole >= k->block_rows_min) whole = left;
    return (uint32_t)(whole < most ? whole : most);
}

static void margins(double *out, const struct forest *f, const struct forest_rows *rows,
                    size_t count) {
    const struct forest_kernels *k = forest_kernels_of((enum forest_kernel)f->kernel);
    size_t done = 0;
    for (uint32_t n; (n = tile_next(f, k, count - done)) > 0; done += n) {
        struct forest_rows part = forest_rows_from(rows, done);
        tile_margin(out + done * f->outputs, f, k, &part, n);
    }
    for (; done < count; done++) {
        struct forest_rows row = forest_rows_from(rows, done);
        if (f->is_lazy)
            lazy_margin(out + done * f->outputs, f, &row);
        else
            row_margin(out + done * f->outputs, f, k, &row);
    }
}

static void leaves(int32_t *out, const struct forest *f, const struct forest_rows *rows,
                   size_t count) {
    const struct forest_kernels *k = forest_kernels_of((enum forest_kernel)f->kernel);
    size_t done = 0;
    for (uint32_t n; (n = tile_next(f, k, count - done)) > 0; done += n) {
        struct forest_rows part = forest_rows_from(rows, done);
        tile_leaves(out + done * f->tree_count, f, k, &part, n);
    }
    for (; done < count; done++) {
        struct forest_rows row = forest_rows_from(rows, done);
        if (f->is_lazy)
            lazy_leaves(out + done * f->tree_count, f, &row);
        else
            row_leaves(out + done * f->tree_count, f, k, &row);
    }
}

void forest_margin_f32(double *out, const struct forest *f, const float *rows, size_t count,
                       size_t stride) {
    ASSERT(stride >= f->columns);
    margins(out, f, &(struct forest_rows){.f32 = rows, .stride = stride}, count);
}

void forest_margin_f64(double *out, const struct forest *f, const double *rows, size_t count,
                       size_t stride) {
    ASSERT(stride >= f->columns);
    margins(out, f, &(struct forest_rows){.f64 = rows, .stride = stride}, count);
}

void forest_leaf_f32(int32_t *out, const struct forest *f, const float *rows, size_t count,
                     size_t stride) {
    ASSERT(stride >= f->columns);
    leaves(out, f, &(struct forest_rows){.f32 = rows, .stride = stride}, count);
}

void forest_leaf_f64(int32_t *out, const struct forest *f, const double *rows, size_t count,
                     size_t stride) {
    ASSERT(stride >= f->columns);
    leaves(out, f, &(struct forest_rows){.f64 = rows, .stride = stride}, count);
}

void forest_transform(double *out, const struct forest *f, const double *margin, size_t count) {
    const struct tree_model m = {.dialect = (enum tree_dialect)f->dialect,
                                 .transform = (enum tree_transform)f->transform,
                                 .sigmoid = f->sigmoid,
                                 .outputs = f->outputs,
                                 .average_output = f->average_output};
    for (size_t i = 0; i < count; i++)
        tree_transform(out + i * f->prediction_columns, &m, f->iterations, margin + i * f->outputs);
}
