/* Rows of a node to its two sides, and of a finished tree to its leaves, by bins. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/lightgbm/lgbm_grow_internal.h"

enum { ROWS_AT_ONCE = 8192, PARALLEL_MIN = 2 * ROWS_AT_ONCE, WALK_ROWS = 4096 };

/* ---- one split ---- */

struct partition {
    const struct lgbm_goes *goes;
    uint32_t *rows, *left, *right; /* (count) */
    uint32_t count;
    uint32_t *left_counts; /* (parts) */
};

/* Both places are written, one counter moves: no branch to guess. */
#define PARTITION(LEFT)                                                                            \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        uint32_t row = rows[i];                                                                    \
        uint32_t bin = bins[row];                                                                  \
        uint32_t is_left = (LEFT);                                                                 \
        left[n] = row;                                                                             \
        right[i - n] = row;                                                                        \
        n += is_left;                                                                              \
    }

static uint32_t partition8(const struct lgbm_goes *g, const uint32_t *rows, uint32_t count,
                           uint32_t *left, uint32_t *right) {
    const uint8_t *bins = g->store.bins8;
    const uint32_t threshold = g->threshold, missing = g->missing, missing_left = g->missing_left;
    uint32_t n = 0;
    if (g->set)
        PARTITION(g->set[bin / 32] >> (bin % 32) & 1)
    else if (missing == UINT32_MAX)
        PARTITION(bin <= threshold)
    else
        PARTITION(((bin <= threshold) & (bin != missing)) | ((bin == missing) & missing_left))
    return n;
}

static uint32_t partition16(const struct lgbm_goes *g, const uint32_t *rows, uint32_t count,
                            uint32_t *left, uint32_t *right) {
    const uint16_t *bins = g->store.bins16;
    const uint32_t threshold = g->threshold, missing = g->missing, missing_left = g->missing_left;
    uint32_t n = 0;
    if (g->set)
        PARTITION(g->set[bin / 32] >> (bin % 32) & 1)
    else
        PARTITION(((bin <= threshold) & (bin != missing)) | ((bin == missing) & missing_left))
    return n;
}

static uint32_t partition_rows(const struct lgbm_goes *g, const uint32_t *rows, uint32_t count,
                               uint32_t *left, uint32_t *right) {
    return g->store.bins8 ? partition8(g, rows, count, left, right)
                          : partition16(g, rows, count, left, right);
}

static void part_split(void *context, uint32_t part) {
    struct partition *p = context;
    uint32_t from = part * ROWS_AT_ONCE;
    uint32_t count = p->count - from < ROWS_AT_ONCE ? p->count - from : ROWS_AT_ONCE;
    p->left_counts[part] =
        partition_rows(p->goes, p->rows + from, count, p->left + from, p->right + from);
}

static void part_copy(void *context, uint32_t part) {
    struct partition *p = context;
    uint32_t from = part * ROWS_AT_ONCE, left_total = 0, left_at = 0, parts, n;
    uint32_t count = p->count - from < ROWS_AT_ONCE ? p->count - from : ROWS_AT_ONCE;
    parts = (p->count + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    for (uint32_t i = 0; i < parts; i++) {
        if (i == part) left_at = left_total;
        left_total += p->left_counts[i];
    }
    n = p->left_counts[part];
    memcpy(p->rows + left_at, p->left + from, n * sizeof *p->rows);
    memcpy(p->rows + left_total + (from - left_at), p->right + from, (count - n) * sizeof *p->rows);
}

uint32_t lgbm_partition(const struct lgbm_goes *goes, uint32_t *rows, uint32_t count,
                        struct lgbm_partition_scratch *scratch, struct workers *threads) {
    if (count < PARALLEL_MIN || workers_count(threads) == 1) {
        /* The left side may be written where rows have been read already. */
        uint32_t n = partition_rows(goes, rows, count, rows, scratch->right);
        memcpy(rows + n, scratch->right, (count - n) * sizeof *rows);
        return n;
    }
    struct partition p = {goes, rows, scratch->left, scratch->right, count, scratch->counts};
    uint32_t parts = (count + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, n = 0;
    workers_run(threads, part_split, &p, parts);
    workers_run(threads, part_copy, &p, parts);
    for (uint32_t i = 0; i < parts; i++) n += scratch->counts[i];
    return n;
}

enum status lgbm_partition_scratch_init(struct lgbm_partition_scratch *s, size_t rows,
                                        struct err *err) {
    s->left = calloc(rows + 1, sizeof *s->left);
    s->right = calloc(rows + 1, sizeof *s->right);
    s->counts = calloc(rows / ROWS_AT_ONCE + 1, sizeof *s->counts);
    if (s->left && s->right && s->counts) return ST_OK;
    lgbm_partition_scratch_deinit(s);
    return err_set(err, ST_NO_MEMORY, "%zu rows", rows);
}

void lgbm_partition_scratch_deinit(struct lgbm_partition_scratch *s) {
    free(s->left);
    free(s->right);
    free(s->counts);
    *s = (struct lgbm_partition_scratch){0};
}

/* ---- a whole tree ---- */

struct walk {
    const struct tree *t;
    const struct lgbm_dataset *d;
    double *margin;
    size_t stride;
};

/* Bins whose category is in the split's set. */
static void set_of_bins(uint32_t *out, const struct lgbm_bins *b, const struct tree *t,
                        uint32_t split) {
    uint32_t set = (uint32_t)t->threshold[split], begin = t->set_begin[set];
    uint32_t bits = (t->set_begin[set + 1] - begin) * 32;
    memset(out, 0, (b->count / 32 + 1) * sizeof *out);
    for (uint32_t i = 1; i < b->count; i++) {
        uint32_t category = (uint32_t)b->categories[i];
        if (category < bits && t->set_words[begin + category / 32] >> (category % 32) & 1)
            out[i / 32] |= UINT32_C(1) << (i % 32);
    }
}

static void walk_node_init(struct lgbm_walk_node *n, const struct walk *w, uint32_t i) {
    uint32_t column = (uint32_t)w->t->feature[i], feature = w->d->column_feature[column];
    ASSERT(column < w->d->columns && feature != UINT32_MAX);
    const struct lgbm_bins *b = &w->d->bins[column];
    n->child[0] = w->t->right[i];
    n->child[1] = w->t->left[i];
    n->goes = (struct lgbm_goes){.store = w->d->stores[feature], .missing = UINT32_MAX};
    if (b->categorical) {
        uint32_t *set = w->d->walk_sets + (size_t)i * w->d->walk_words;
        set_of_bins(set, b, w->t, i);
        n->goes.set = set;
    } else {
        double threshold = w->t->threshold[i];
        /* The bound of the bin below zero's is -LGBM_ZERO, which as a value would be zero
         * itself. */
        n->goes.threshold = lgbm_bins_of(b, threshold) - (threshold < 0 && threshold >= -LGBM_ZERO);
        n->goes.missing = lgbm_bins_missing(b);
        n->goes.missing_left = w->t->decision[i] & DECISION_DEFAULT_LEFT ? 1 : 0;
    }
}

static void walk_rows(void *context, uint32_t part) {
    const struct walk *w = context;
    const struct lgbm_walk_node *nodes = w->d->walk_nodes;
    size_t from = (size_t)part * WALK_ROWS, end = from + WALK_ROWS;
    end = end < w->d->rows ? end : w->d->rows;
    for (size_t row = from; row < end; row++) {
        int32_t node = w->t->split_count > 0 ? 0 : ~0;
        while (node >= 0) node = nodes[node].child[lgbm_goes_left(&nodes[node].goes, row)];
        w->margin[row * w->stride] += w->t->leaf_value[~node];
    }
}

void lgbm_add_tree(double *margin, size_t stride, const struct tree *t,
                   const struct lgbm_dataset *d, struct workers *threads) {
    struct walk w = {.t = t, .d = d, .margin = margin, .stride = stride};
    ASSERT(t->split_count <= d->walk_splits);
    for (uint32_t i = 0; i < t->split_count; i++) walk_node_init(&d->walk_nodes[i], &w, i);
    workers_run(threads, walk_rows, &w, (uint32_t)((d->rows + WALK_ROWS - 1) / WALK_ROWS));
}
