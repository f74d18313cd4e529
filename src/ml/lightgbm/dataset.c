/* A set in bins: found on a sample of rows, then every row in them, by column and packed by row. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/lightgbm/lgbm_grow_internal.h"
#include "ml/model_io/model_io.h"

enum {
    COLUMNS_AT_ONCE = 8, /* one cache line of doubles in each row */
    ROWS_AT_ONCE = 4096,
    BINNED_AT_ONCE = 512,
    ROWS_MAX = 1 << 27, /* count and hessian of all rows share 63 bits */
    WORD_SIZE = 8,      /* lanes are read by words, so the last row has one more behind */
    CACHE_LINE = 64
};

/* Values of columns [first, first + n) of rows[i], or of from + i: out (n, count). */
static void values_get(double *out, const struct train_set *s, uint32_t first, uint32_t n,
                       const uint32_t *rows, size_t from, size_t count) {
    size_t stride = s->stride ? s->stride : s->columns;
    for (size_t i = 0; i < count; i++) {
        size_t at = (rows ? rows[i] : from + i) * stride + first;
        if (s->x64)
            for (uint32_t k = 0; k < n; k++) out[k * count + i] = s->x64[at + k];
        else
            for (uint32_t k = 0; k < n; k++) out[k * count + i] = (double)s->x32[at + k];
    }
}

/* ---- bins ---- */

struct binning {
    struct lgbm_dataset *d;
    const struct train_set *set;
    const struct lgbm_params *params;
    const uint32_t *sample; /* (sample_count); NULL: all rows */
    size_t sample_count;
    struct err *errs; /* (parts): the first in order of columns is told */
};

static struct lgbm_bin_rule bin_rule(const struct binning *b, uint32_t column) {
    const struct lgbm_params *p = b->params;
    double share = (double)b->sample_count / (double)b->set->rows;
    return (struct lgbm_bin_rule){.categorical = p->is_categorical && column < p->columns_given &&
                                                 p->is_categorical[column],
                                  .use_missing = p->use_missing,
                                  .zero_as_missing = p->zero_as_missing,
                                  .pre_filter = p->feature_pre_filter,
                                  .max_bin = p->max_bin,
                                  .min_data_in_bin = p->min_data_in_bin,
                                  .filter_count = (uint32_t)(p->min_data_in_leaf * share)};
}

static void bins_find(void *context, uint32_t part) {
    struct binning *b = context;
    uint32_t first = part * COLUMNS_AT_ONCE, n = b->d->columns - first;
    n = n < COLUMNS_AT_ONCE ? n : COLUMNS_AT_ONCE;
    size_t count = b->sample_count;
    double *values = malloc(n * count * sizeof *values);
    void *scratch = malloc(lgbm_bins_scratch(count));
    struct err *err = &b->errs[part];
    if (!values || !scratch) {
        err_set(err, ST_NO_MEMORY, "bins of columns %u to %u", first, first + n - 1);
    } else {
        values_get(values, b->set, first, n, b->sample, 0, count);
        for (uint32_t k = 0; k < n && err->st == ST_OK; k++) {
            struct lgbm_bin_rule rule = bin_rule(b, first + k);
            enum status st = lgbm_bins_find(&b->d->bins[first + k], values + k * count, count,
                                            &rule, scratch, err);
            if (st != ST_OK) err_wrap(err, st, "column %u", first + k);
        }
    }
    free(values);
    free(scratch);
}

/* sample_count of n rows, ascending, each set as likely as any other. */
static uint32_t *sample_draw(size_t n, size_t sample_count, uint64_t seed) {
    uint32_t *out = malloc(sample_count * sizeof *out);
    if (!out) return NULL;
    struct rng r = rng_init(seed);
    size_t taken = 0;
    for (size_t i = 0; i < n && taken < sample_count; i++)
        if (rng_below(&r, n - i) < sample_count - taken) out[taken++] = (uint32_t)i;
    return out;
}

static enum status dataset_find_bins(struct lgbm_dataset *d, const struct train_set *set,
                                     const struct lgbm_params *params, struct workers *threads,
                                     struct err *err) {
    struct binning b = {.d = d, .set = set, .params = params, .sample_count = set->rows};
    uint32_t *sample = NULL, parts = (d->columns + COLUMNS_AT_ONCE - 1) / COLUMNS_AT_ONCE;
    if (params->bin_construct_sample_cnt < set->rows) {
        b.sample_count =
            params->bin_construct_sample_cnt > 0 ? params->bin_construct_sample_cnt : 1;
        sample = sample_draw(set->rows, b.sample_count, lgbm_params_seed(params, LGBM_SEED_DATA));
        if (!sample) return err_set(err, ST_NO_MEMORY, "sample of rows");
        b.sample = sample;
    }
    b.errs = calloc(parts, sizeof *b.errs);
    enum status st = ST_OK;
    if (!b.errs) {
        st = err_set(err, ST_NO_MEMORY, "bins");
    } else {
        workers_run(threads, bins_find, &b, parts);
        for (uint32_t i = 0; i < parts && st == ST_OK; i++)
            if (b.errs[i].st != ST_OK) st = err_set(err, b.errs[i].st, "%s", b.errs[i].text);
    }
    free(b.errs);
    free(sample);
    return st;
}

/* ---- rows in bins, by column ---- */

static void feature_bin(struct lgbm_dataset *d, uint32_t feature, const double *values, size_t from,
                        uint32_t count) {
    struct lgbm_store *s = &d->stores[feature];
    uint32_t bins[BINNED_AT_ONCE];
    lgbm_bins_of_rows(bins, &d->bins[d->feature_column[feature]], values, count);
    if (s->bins8)
        for (uint32_t i = 0; i < count; i++) s->bins8[from + i] = (uint8_t)bins[i];
    else
        for (uint32_t i = 0; i < count; i++) s->bins16[from + i] = (uint16_t)bins[i];
}

static void rows_bin(void *context, uint32_t part) {
    struct binning *b = context;
    struct lgbm_dataset *d = b->d;
    double values[COLUMNS_AT_ONCE * BINNED_AT_ONCE];
    size_t from = (size_t)part * ROWS_AT_ONCE, end = from + ROWS_AT_ONCE;
    end = end < d->rows ? end : d->rows;
    for (uint32_t first = 0; first < d->columns; first += COLUMNS_AT_ONCE) {
        uint32_t n = d->columns - first < COLUMNS_AT_ONCE ? d->columns - first : COLUMNS_AT_ONCE;
        for (size_t r = from; r < end; r += BINNED_AT_ONCE) {
            uint32_t count = end - r < BINNED_AT_ONCE ? (uint32_t)(end - r) : BINNED_AT_ONCE;
            values_get(values, b->set, first, n, NULL, r, count);
            for (uint32_t k = 0; k < n; k++)
                if (d->column_feature[first + k] != UINT32_MAX)
                    feature_bin(d, d->column_feature[first + k], values + k * count, r, count);
        }
    }
}

static enum status dataset_bin_rows(struct lgbm_dataset *d, const struct train_set *set,
                                    struct workers *threads, struct err *err) {
    d->feature_column = calloc((size_t)d->columns, sizeof *d->feature_column);
    d->column_feature = calloc((size_t)d->columns, sizeof *d->column_feature);
    d->stores = calloc((size_t)d->columns, sizeof *d->stores);
    if (!d->feature_column || !d->column_feature || !d->stores)
        return err_set(err, ST_NO_MEMORY, "%u columns", d->columns);
    size_t size = 0;
    for (uint32_t c = 0; c < d->columns; c++) {
        d->column_feature[c] = UINT32_MAX;
        if (!d->bins[c].usable) continue;
        d->column_feature[c] = d->feature_count;
        d->feature_column[d->feature_count++] = c;
        size +=
            (d->rows * (d->bins[c].count > 256 ? 2 : 1) + CACHE_LINE) & ~(size_t)(CACHE_LINE - 1);
    }
    d->store_memory = aligned_alloc(CACHE_LINE, size + CACHE_LINE);
    if (!d->store_memory)
        return err_set(err, ST_NO_MEMORY, "%zu rows of %u columns in bins", d->rows, d->columns);
    uint8_t *at = d->store_memory;
    for (uint32_t f = 0; f < d->feature_count; f++) {
        bool wide = d->bins[d->feature_column[f]].count > 256;
        if (wide)
            d->stores[f].bins16 = (uint16_t *)(void *)at;
        else
            d->stores[f].bins8 = at;
        at += (d->rows * (wide ? 2 : 1) + CACHE_LINE) & ~(size_t)(CACHE_LINE - 1);
    }
    struct binning b = {.d = d, .set = set};
    workers_run(threads, rows_bin, &b, (uint32_t)((d->rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE));
    return ST_OK;
}

/* ---- packed by row ---- */

static uint32_t lane_bits(uint32_t bins) {
    return bins <= 16 ? 4 : bins <= 256 ? 8 : 16;
}

static bool lane_is_categorical(const struct lgbm_dataset *d, const struct lgbm_lane *l) {
    return l->count == 1 && d->bins[d->feature_column[d->members[l->first].feature]].categorical;
}

/* Whether the lane is scanned beside others: one numeric feature whose missing bin, if any, is the
 * last. */
static bool lane_is_plain(const struct lgbm_dataset *d, const struct lgbm_lane *l) {
    if (l->count > 1) return false;
    const struct lgbm_bins *b = &d->bins[d->feature_column[d->members[l->first].feature]];
    return !b->categorical && b->missing != MISSING_ZERO;
}

/* Quads of lanes of one width and kind. */
static void quads_fill(struct lgbm_dataset *d, const struct lgbm_lane *lanes, uint32_t lane_count) {
    size_t row = 0;
    for (uint32_t bits = 16; bits >= 4; bits /= 2) {
        for (int kind = 0; kind < 3; kind++) {
            struct lgbm_quad *q = NULL;
            uint32_t used = LGBM_LANES;
            for (uint32_t i = 0; i < lane_count; i++) {
                int lane_kind = lane_is_plain(d, &lanes[i])         ? 0
                                : lane_is_categorical(d, &lanes[i]) ? 2
                                                                    : 1;
                if (lane_bits(lanes[i].bins) != bits || lane_kind != kind) continue;
                if (used == LGBM_LANES) {
                    if (q) d->hist_entries += (size_t)q->bins * LGBM_LANES;
                    q = &d->quads[d->quad_count++];
                    *q = (struct lgbm_quad){.row_offset = (uint32_t)row,
                                            .bits = bits,
                                            .hist_offset = d->hist_entries,
                                            .is_plain = kind == 0};
                    row += bits * LGBM_LANES / 8;
                    used = 0;
                }
                q->lanes[used++] = lanes[i];
                q->bins = lanes[i].bins > q->bins ? lanes[i].bins : q->bins;
            }
            if (q) d->hist_entries += (size_t)q->bins * LGBM_LANES;
        }
    }
    /* A short row shall not lie across two cache lines. */
    d->row_stride = 2;
    while (d->row_stride < row && d->row_stride < CACHE_LINE) d->row_stride *= 2;
    if (row > CACHE_LINE) d->row_stride = (row + WORD_SIZE - 1) & ~(size_t)(WORD_SIZE - 1);
}

static void lane_codes(uint16_t *out, const struct lgbm_dataset *d, const struct lgbm_lane *l,
                       size_t from, size_t count) {
    const struct lgbm_member *members = d->members + l->first;
    if (l->count == 1) {
        for (size_t i = 0; i < count; i++)
            out[i] = (uint16_t)lgbm_store_get(&d->stores[members[0].feature], from + i);
        return;
    }
    memset(out, 0, count * sizeof *out);
    for (uint32_t k = 0; k < l->count; k++) {
        const struct lgbm_member *m = &members[k];
        for (size_t i = 0; i < count; i++) {
            uint32_t bin = lgbm_store_get(&d->stores[m->feature], from + i);
            if (bin != m->elided) out[i] = (uint16_t)(m->base + bin - (bin > m->elided));
        }
    }
}

static void rows_pack(void *context, uint32_t part) {
    struct lgbm_dataset *d = context;
    enum { ROWS = 512 };
    uint16_t codes[LGBM_LANES][ROWS];
    size_t from = (size_t)part * ROWS_AT_ONCE, end = from + ROWS_AT_ONCE;
    end = end < d->rows ? end : d->rows;
    for (size_t r = from; r < end; r += ROWS) {
        size_t count = end - r < ROWS ? end - r : ROWS;
        for (uint32_t i = 0; i < d->quad_count; i++) {
            const struct lgbm_quad *q = &d->quads[i];
            memset(codes, 0, sizeof codes);
            for (uint32_t k = 0; k < LGBM_LANES && q->lanes[k].count > 0; k++)
                lane_codes(codes[k], d, &q->lanes[k], r, count);
            uint8_t *out = d->packed + r * d->row_stride + q->row_offset;
            for (size_t j = 0; j < count; j++, out += d->row_stride) {
                uint64_t word = 0;
                for (uint32_t k = 0; k < LGBM_LANES; k++)
                    word |= (uint64_t)codes[k][j] << (k * q->bits);
                for (uint32_t b = 0; b < q->bits / 2; b++) out[b] = (uint8_t)(word >> (8 * b));
            }
        }
    }
}

static enum status dataset_pack(struct lgbm_dataset *d, bool bundle, struct workers *threads,
                                struct err *err) {
    size_t n = (size_t)d->feature_count + 1;
    struct lgbm_lane *lanes = calloc(n, sizeof *lanes);
    d->members = calloc(n, sizeof *d->members);
    d->quads = calloc(n + 8, sizeof *d->quads);
    uint32_t lane_count = lanes && d->members ? lgbm_bundle(lanes, d->members, d, bundle) : 0;
    enum status st = ST_OK;
    if (!d->quads || (lane_count == 0 && d->feature_count > 0)) {
        st = err_set(err, ST_NO_MEMORY, "%u features", d->feature_count);
    } else {
        quads_fill(d, lanes, lane_count);
        size_t size = d->rows * d->row_stride + CACHE_LINE;
        d->packed = aligned_alloc(CACHE_LINE, (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1));
        if (!d->packed) st = err_set(err, ST_NO_MEMORY, "%zu packed rows", d->rows);
    }
    if (st == ST_OK)
        workers_run(threads, rows_pack, d, (uint32_t)((d->rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE));
    free(lanes);
    return st;
}

/* ---- contract ---- */

static enum status dataset_walk_room(struct lgbm_dataset *d, uint32_t leaves, struct err *err) {
    for (uint32_t f = 0; f < d->feature_count; f++) {
        const struct lgbm_bins *b = &d->bins[d->feature_column[f]];
        if (b->categorical && b->count / 32 + 1 > d->walk_words) d->walk_words = b->count / 32 + 1;
    }
    d->walk_splits = leaves;
    d->walk_nodes = calloc((size_t)leaves + 1, sizeof *d->walk_nodes);
    d->walk_sets = calloc((size_t)leaves * d->walk_words + 1, sizeof *d->walk_sets);
    if (d->walk_nodes && d->walk_sets) return ST_OK;
    return err_set(err, ST_NO_MEMORY, "walks of %u leaves", leaves);
}

static enum status dataset_fill(struct lgbm_dataset *d, const struct train_set *set,
                                const struct lgbm_params *params, const struct lgbm_dataset *like,
                                struct workers *threads, struct err *err) {
    d->owns_bins = !like;
    if (like) {
        d->bins = like->bins;
    } else {
        d->bins = calloc(d->columns, sizeof *d->bins);
        if (!d->bins) return err_set(err, ST_NO_MEMORY, "%u columns", d->columns);
        enum status st = dataset_find_bins(d, set, params, threads, err);
        if (st != ST_OK) return st;
    }
    enum status st = dataset_bin_rows(d, set, threads, err);
    if (st == ST_OK) st = dataset_walk_room(d, params->num_leaves, err);
    if (st == ST_OK && !like) st = dataset_pack(d, params->enable_bundle, threads, err);
    return st;
}

enum status lgbm_dataset_create(struct lgbm_dataset **out, const struct train_set *set,
                                const struct lgbm_params *params, const struct lgbm_dataset *like,
                                struct workers *threads, struct err *err) {
    *out = NULL;
    ASSERT(!set->x64 != !set->x32);
    if (set->rows == 0 || set->columns == 0 || set->columns > LGBM_COLUMNS_MAX)
        return err_set(err, ST_RANGE, "%zu rows, %u columns: 1 to %d, 1 to %d", set->rows,
                       set->columns, ROWS_MAX, LGBM_COLUMNS_MAX);
    if (set->rows > ROWS_MAX)
        return err_set(err, ST_RANGE, "%zu rows; the most is %d", set->rows, ROWS_MAX);
    if (like && like->columns != set->columns)
        return err_set(err, ST_MISMATCH, "%u columns, the training set has %u", set->columns,
                       like->columns);
    struct lgbm_dataset *d = calloc(1, sizeof *d);
    if (!d) return err_set(err, ST_NO_MEMORY, "data set");
    d->rows = set->rows;
    d->columns = set->columns;
    enum status st = dataset_fill(d, set, params, like, threads, err);
    if (st == ST_OK)
        *out = d;
    else
        lgbm_dataset_destroy(d);
    return st;
}

void lgbm_dataset_destroy(struct lgbm_dataset *d) {
    if (!d) return;
    for (uint32_t c = 0; d->owns_bins && d->bins && c < d->columns; c++)
        lgbm_bins_free(&d->bins[c]);
    if (d->owns_bins) free(d->bins);
    free(d->feature_column);
    free(d->column_feature);
    free(d->stores);
    free(d->store_memory);
    free(d->quads);
    free(d->members);
    free(d->packed);
    free(d->walk_nodes);
    free(d->walk_sets);
    free(d);
}

/* "v0:v1:…" of the bins in their order. */
static const char *categories_text(const struct lgbm_bins *b, struct tree_model *m) {
    enum { NUMBER_SIZE = 12 };
    size_t size = (size_t)b->count * NUMBER_SIZE + 1, at = 0;
    char *text = malloc(size);
    if (!text) return NULL;
    for (uint32_t i = 0; i < b->count; i++)
        at += (size_t)snprintf(text + at, size - at, i ? ":%d" : "%d", b->categories[i]);
    const char *out = tree_model_string(m, text, at);
    free(text);
    return out;
}

const char *lgbm_dataset_info(const struct lgbm_dataset *d, uint32_t column, struct tree_model *m) {
    const struct lgbm_bins *b = &d->bins[column];
    if (!b->usable) return tree_model_string(m, "none", 4);
    if (b->categorical) return categories_text(b, m);
    char text[64];
    int n = snprintf(text, sizeof text, "[%.17g:%.17g]", b->min, b->max);
    return tree_model_string(m, text, (size_t)n);
}

uint32_t lgbm_dataset_usable(const struct lgbm_dataset *d, bool *usable) {
    for (uint32_t c = 0; c < d->columns; c++) usable[c] = d->bins[c].usable;
    return d->feature_count;
}
