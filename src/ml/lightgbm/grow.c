/* Leaf-wise growth: the leaf whose split gains most is split next.
 *
 * Of a split's children the smaller one's histogram is counted, the larger one's is the parent's
 * without it. Counting, subtracting and searching the quads of features is one step for the
 * threads, each with quads of its own; the rows of a child too small to be split are taken out of
 * the parent's histogram and nothing else. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/lightgbm/lgbm_grow_internal.h"
#include "ml/model_io/model_io.h"

/* Histograms of all leaves up to this; with more, those of the least promising leaves are counted
 * again. */
#define POOL_BYTES_MAX ((size_t)512 << 20)
enum { SLOTS_MIN = 3 };

static const uint32_t no_slot = UINT32_MAX;

struct leaf {
    uint32_t begin, count; /* of its rows */
    uint32_t depth, slot;
    int32_t parent; /* split; -1: root */
    bool is_right;
    double value;
    struct lgbm_node node;
    struct lgbm_split best;
};

/* A finished split, before the tree's size is known. */
struct growth {
    struct lgbm_split split; /* categories (category_count) in the grower's pool of them */
    int32_t left, right;
    double value, weight;
    uint32_t rows;
};

/* One thread's share of a step. */
struct share {
    lgbm_pair *pairs; /* (LGBM_BLOCK) */
    struct lgbm_split_scratch scratch;
    struct lgbm_split best[2];
};

/* What a step does: count the small child into small_hist, the large one's from the parent's,
 * search. */
struct step {
    struct lgbm_grower *g;
    struct leaf *small, *large; /* NULL: needs no histogram */
    lgbm_pair *small_hist, *large_hist;
    const uint32_t *rows; /* of the child that is counted, also if it is only taken away */
    uint32_t count;
    bool take_away; /* large_hist -= rows, there is no small_hist */
    bool subtract;  /* large_hist -= small_hist */
    uint32_t parts;
};

struct lgbm_grower {
    const struct lgbm_dataset *d;
    const struct lgbm_params *p;
    struct workers *threads;
    size_t pool_bytes;
    lgbm_pair *pairs; /* (rows) */
    uint32_t *rows;   /* in order of leaves */
    uint32_t row_count;
    struct lgbm_partition_scratch partition;
    struct lgbm_block_sums *blocks;
    lgbm_pair *pool;
    uint32_t slot_count, slot_free_count, *slots_free;
    uint32_t leaf_count;
    struct leaf *leaves;                           /* (num_leaves) */
    struct growth *growths;                        /* (num_leaves - 1) */
    uint16_t *leaf_categories, *growth_categories; /* (leaves, max_cat_threshold) */
    uint32_t category_stride;
    struct share *shares; /* (threads) */
    uint32_t *quads;      /* those with a column of this tree */
    uint32_t quad_count;
    bool *features;      /* (feature_count) of this tree */
    bool *node_features; /* (2, feature_count) of the nodes under search */
    uint32_t *draw;      /* (feature_count) */
    uint32_t *set;       /* bins of a categorical split */
    struct lgbm_rule rule;
};

/* ---- a step ---- */

/* Adds rows to quads [from, to) of hist, or takes them out. */
static void rows_count(const struct step *s, struct share *share, lgbm_pair *hist, uint32_t from,
                       uint32_t to) {
    const struct lgbm_grower *g = s->g;
    for (uint32_t at = 0; at < s->count; at += LGBM_BLOCK) {
        uint32_t n = s->count - at < LGBM_BLOCK ? s->count - at : LGBM_BLOCK;
        const uint32_t *rows = s->rows + at;
        bool dense = rows[n - 1] - rows[0] == n - 1;
        if (dense && !s->take_away) {
            lgbm_hist_add(hist, g->d, g->quads, from, to, NULL, rows[0], g->pairs + rows[0], n);
        } else {
            lgbm_hist_gather(share->pairs, g->pairs, g->d, rows, n, s->take_away);
            lgbm_hist_add(hist, g->d, g->quads, from, to, rows, 0, share->pairs, n);
        }
    }
}

static void quad_finish(const struct step *s, struct share *share, const struct lgbm_quad *q) {
    const struct lgbm_rule *r = &s->g->rule;
    lgbm_pair *small = s->small_hist ? s->small_hist + q->hist_offset : NULL;
    lgbm_pair *large = s->large_hist ? s->large_hist + q->hist_offset : NULL;
    if (s->subtract) lgbm_hist_subtract(large, small, (size_t)q->bins * LGBM_LANES);
    if (s->small) lgbm_split_search(&share->best[0], r, &s->small->node, q, small, &share->scratch);
    if (s->large) lgbm_split_search(&share->best[1], r, &s->large->node, q, large, &share->scratch);
}

static void step_part(void *context, uint32_t part) {
    struct step *s = context;
    const struct lgbm_grower *g = s->g;
    struct share *share = &g->shares[part];
    uint32_t from = (uint32_t)((uint64_t)g->quad_count * part / s->parts);
    uint32_t to = (uint32_t)((uint64_t)g->quad_count * (part + 1) / s->parts);
    lgbm_pair *hist = s->take_away ? s->large_hist : s->small_hist;
    for (int i = 0; i < 2; i++) {
        share->best[i].gain = 0;
        share->best[i].category_count = 0;
    }
    for (uint32_t i = from; i < to && !s->take_away; i++) {
        const struct lgbm_quad *q = &g->d->quads[g->quads[i]];
        memset(hist + q->hist_offset, 0, (size_t)q->bins * LGBM_LANES * sizeof *hist);
    }
    rows_count(s, share, hist, from, to);
    for (uint32_t i = from; i < to; i++) quad_finish(s, share, &g->d->quads[g->quads[i]]);
}

static void step_run(struct step *s) {
    struct lgbm_grower *g = s->g;
    uint32_t threads = workers_count(g->threads);
    s->parts = g->quad_count < threads ? g->quad_count : threads;
    workers_run(g->threads, step_part, s, s->parts);
    for (uint32_t i = 0; i < s->parts; i++) {
        if (s->small && lgbm_split_better(&g->shares[i].best[0], &s->small->best))
            lgbm_split_copy(&s->small->best, &g->shares[i].best[0]);
        if (s->large && lgbm_split_better(&g->shares[i].best[1], &s->large->best))
            lgbm_split_copy(&s->large->best, &g->shares[i].best[1]);
    }
}

/* ---- histograms of leaves ---- */

static lgbm_pair *slot_hist(const struct lgbm_grower *g, uint32_t slot) {
    return slot == no_slot ? NULL : g->pool + (size_t)slot * g->d->hist_entries;
}

static void slot_release(struct lgbm_grower *g, struct leaf *leaf) {
    if (leaf->slot != no_slot) g->slots_free[g->slot_free_count++] = leaf->slot;
    leaf->slot = no_slot;
}

/* Gives leaf a slot; if none is free, that of the leaf least likely to be split next. */
static void slot_acquire(struct lgbm_grower *g, struct leaf *leaf, const struct leaf *other) {
    if (g->slot_free_count == 0) {
        struct leaf *least = NULL;
        for (uint32_t i = 0; i < g->leaf_count; i++) {
            struct leaf *l = &g->leaves[i];
            if (l->slot == no_slot || l == other || l == leaf) continue;
            if (!least || l->best.gain < least->best.gain) least = l;
        }
        ASSERT(least);
        slot_release(g, least);
    }
    leaf->slot = g->slots_free[--g->slot_free_count];
}

/* ---- nodes ---- */

static bool is_splittable(const struct lgbm_grower *g, const struct leaf *l) {
    const struct lgbm_rule *r = &g->rule;
    uint64_t count_min = g->p->min_data_in_leaf > 0 ? g->p->min_data_in_leaf : 1;
    return l->count >= 2 * count_min && l->node.sums.hessian >= 2 * r->hessian_min &&
           (g->p->max_depth <= 0 || l->depth < (uint32_t)g->p->max_depth);
}

/* feature_fraction_bynode: some of the tree's features, each set of that size as likely. */
static void node_draw_features(struct lgbm_grower *g, struct leaf *leaf, bool *out) {
    leaf->node.features = g->features;
    if (!(g->p->feature_fraction_bynode < 1)) return;
    uint32_t total = 0;
    for (uint32_t f = 0; f < g->d->feature_count; f++)
        if (g->features[f]) g->draw[total++] = f;
    uint32_t take = (uint32_t)lround(total * g->p->feature_fraction_bynode);
    uint32_t least = total < 2 ? total : 2;
    take = take < least ? least : take;
    memset(out, 0, g->d->feature_count * sizeof *out);
    struct rng r = rng_init(g->rule.seed);
    r = rng_split(&r, ~(uint64_t)leaf->node.number);
    for (uint32_t i = 0; i < take; i++) {
        uint32_t j = i + (uint32_t)rng_below(&r, total - i), f = g->draw[j];
        g->draw[j] = g->draw[i];
        out[f] = true;
    }
    leaf->node.features = out;
}

static void leaf_reset_best(struct leaf *l) {
    l->best = (struct lgbm_split){.categories = l->best.categories};
}

/* Counts a leaf's rows into a histogram of its own and searches it; large's is taken from its
 * parent's on the way if it has that. */
static void leaf_count_rows(struct lgbm_grower *g, struct leaf *leaf, struct leaf *large) {
    slot_acquire(g, leaf, large);
    struct step s = {.g = g,
                     .small = leaf,
                     .small_hist = slot_hist(g, leaf->slot),
                     .large = large,
                     .large_hist = large ? slot_hist(g, large->slot) : NULL,
                     .rows = g->rows + leaf->begin,
                     .count = leaf->count,
                     .subtract = large != NULL};
    step_run(&s);
}

/* Searches large, whose slot holds its parent's histogram, without counting more than small's rows
 * out. */
static void leaf_take_rows(struct lgbm_grower *g, const struct leaf *small, struct leaf *large) {
    struct step s = {.g = g,
                     .large = large,
                     .large_hist = slot_hist(g, large->slot),
                     .rows = g->rows + small->begin,
                     .count = small->count,
                     .take_away = true};
    step_run(&s);
}

/* Searches the two children of a split, or the root: large NULL. parent_slot: of the parent's
 * histogram. */
static void leaves_search(struct lgbm_grower *g, struct leaf *small, struct leaf *large,
                          uint32_t parent_slot) {
    bool want_small = is_splittable(g, small), want_large = large && is_splittable(g, large);
    bool from_parent = want_large && parent_slot != no_slot;
    if (large) large->slot = parent_slot;
    if (want_small) node_draw_features(g, small, g->node_features);
    if (want_large) node_draw_features(g, large, g->node_features + g->d->feature_count);
    if (want_small) leaf_count_rows(g, small, from_parent ? large : NULL);
    if (!want_small && from_parent) leaf_take_rows(g, small, large);
    if (want_large && !from_parent) leaf_count_rows(g, large, NULL);
    if (!(small->best.gain > 0)) slot_release(g, small);
    if (large && !(large->best.gain > 0)) slot_release(g, large);
}

/* ---- one split ---- */

static struct lgbm_goes split_goes(struct lgbm_grower *g, const struct lgbm_split *s) {
    const struct lgbm_bins *b = &g->d->bins[g->d->feature_column[s->feature]];
    struct lgbm_goes goes = {.store = g->d->stores[s->feature], .missing = UINT32_MAX};
    if (s->category_count > 0) {
        memset(g->set, 0, (b->count / 32 + 1) * sizeof *g->set);
        for (uint32_t i = 0; i < s->category_count; i++)
            g->set[s->categories[i] / 32] |= UINT32_C(1) << (s->categories[i] % 32);
        goes.set = g->set;
    } else {
        goes.threshold = s->threshold;
        goes.missing = lgbm_bins_missing(b);
        goes.missing_left = s->default_left;
    }
    return goes;
}

/* Method "basic": each side of a monotone split stays on its side of the middle. */
static void bounds_divide(const struct lgbm_grower *g, const struct lgbm_split *s,
                          struct lgbm_node *left, struct lgbm_node *right) {
    if (!g->rule.constrained || s->category_count > 0) return;
    const int8_t *direction = &g->p->monotone_constraints[g->d->feature_column[s->feature]];
    double middle = (s->left_value + s->right_value) / 2;
    if (*direction > 0) {
        left->high = fmin(left->high, middle);
        right->low = fmax(right->low, middle);
    } else if (*direction < 0) {
        left->low = fmax(left->low, middle);
        right->high = fmin(right->high, middle);
    }
}

static void child_link(struct lgbm_grower *g, const struct leaf *leaf, int32_t split) {
    if (leaf->parent < 0) return;
    struct growth *parent = &g->growths[leaf->parent];
    *(leaf->is_right ? &parent->right : &parent->left) = split;
}

/* Splits a leaf: the left child keeps its number, the right one is the next. */
static void leaf_split(struct lgbm_grower *g, uint32_t index, bool search) {
    uint32_t number = g->leaf_count - 1, right_index = g->leaf_count;
    struct leaf *left = &g->leaves[index], *right = &g->leaves[right_index];
    struct growth *growth = &g->growths[number];
    child_link(g, left, (int32_t)number);
    growth->split.categories = g->growth_categories + (size_t)number * g->category_stride;
    lgbm_split_copy(&growth->split, &left->best);
    growth->left = ~(int32_t)index;
    growth->right = ~(int32_t)right_index;
    growth->value = left->value;
    growth->rows = left->count;
    const struct lgbm_split *s = &growth->split;
    growth->weight = (double)left->node.sums.hessian * g->rule.hessian_unit;

    struct lgbm_goes goes = split_goes(g, s);
    uint32_t left_count =
        lgbm_partition(&goes, g->rows + left->begin, left->count, &g->partition, g->threads);
    ASSERT(left_count > 0 && left_count < left->count);
    uint32_t parent_slot = left->slot;
    uint16_t *categories = right->best.categories;
    *right = *left;
    right->best.categories = categories;
    right->begin += left_count;
    right->count -= left_count;
    left->count = left_count;
    left->node.count = left->count;
    right->node.count = right->count;
    right->node.sums.gradient -= s->left.gradient;
    right->node.sums.hessian -= s->left.hessian;
    left->node.sums = s->left;
    left->value = left->node.parent_value = s->left_value;
    right->value = right->node.parent_value = s->right_value;
    left->node.number = 2 * number + 1;
    right->node.number = 2 * number + 2;
    left->parent = right->parent = (int32_t)number;
    left->is_right = false;
    right->is_right = true;
    right->depth = ++left->depth;
    bounds_divide(g, s, &left->node, &right->node);
    leaf_reset_best(left);
    leaf_reset_best(right);
    g->leaf_count++;
    left->slot = right->slot = no_slot;
    bool left_is_small = left->count <= right->count;
    if (search)
        leaves_search(g, left_is_small ? left : right, left_is_small ? right : left, parent_slot);
}

/* ---- the tree ---- */

static uint32_t growth_words(const struct lgbm_grower *g, const struct lgbm_split *s) {
    const struct lgbm_bins *b = &g->d->bins[g->d->feature_column[s->feature]];
    int32_t largest = 0;
    for (uint32_t i = 0; i < s->category_count; i++)
        if (b->categories[s->categories[i]] > largest) largest = b->categories[s->categories[i]];
    return (uint32_t)largest / 32 + 1;
}

static void tree_set_split(struct tree *t, const struct lgbm_grower *g, uint32_t i, uint32_t *set) {
    const struct growth *growth = &g->growths[i];
    const struct lgbm_split *s = &growth->split;
    uint32_t column = g->d->feature_column[s->feature];
    const struct lgbm_bins *b = &g->d->bins[column];
    t->feature[i] = (int32_t)column;
    t->decision[i] = (uint8_t)(b->missing << DECISION_MISSING_SHIFT);
    if (s->category_count > 0) {
        t->decision[i] |= DECISION_CATEGORICAL;
        t->threshold[i] = *set;
        uint32_t begin = t->set_begin[*set];
        t->set_begin[++*set] = begin + growth_words(g, s);
        for (uint32_t k = 0; k < s->category_count; k++) {
            uint32_t category = (uint32_t)b->categories[s->categories[k]];
            t->set_words[begin + category / 32] |= UINT32_C(1) << (category % 32);
        }
    } else {
        if (s->default_left) t->decision[i] |= DECISION_DEFAULT_LEFT;
        t->threshold[i] =
            fmin(fmax(b->bounds[s->threshold], -LGBM_THRESHOLD_MAX), LGBM_THRESHOLD_MAX);
    }
    t->left[i] = growth->left;
    t->right[i] = growth->right;
    t->gain[i] = (float)s->gain;
    t->split_value[i] = growth->value;
    t->split_weight[i] = growth->weight;
    t->split_rows[i] = growth->rows;
}

static enum status tree_write(struct tree **out, struct tree_model *m, const struct lgbm_grower *g,
                              struct err *err) {
    struct tree_shape shape = {.split_count = g->leaf_count - 1};
    for (uint32_t i = 0; i < shape.split_count; i++) {
        if (g->growths[i].split.category_count == 0) continue;
        shape.set_count++;
        shape.set_words += growth_words(g, &g->growths[i].split);
    }
    struct tree *t = tree_model_add(m, &shape);
    if (!t) return err_set(err, ST_NO_MEMORY, "tree of %u leaves", g->leaf_count);
    uint32_t set = 0;
    for (uint32_t i = 0; i < shape.split_count; i++) tree_set_split(t, g, i, &set);
    for (uint32_t i = 0; i < g->leaf_count; i++) {
        const struct leaf *l = &g->leaves[i];
        t->leaf_value[i] = l->value;
        t->leaf_weight[i] = (double)l->node.sums.hessian * g->rule.hessian_unit;
        t->leaf_rows[i] = l->count;
    }
    *out = t;
    return ST_OK;
}

/* The tree's features, and the quads that have one of them. */
static void columns_take(struct lgbm_grower *g, const bool *columns) {
    const struct lgbm_dataset *d = g->d;
    for (uint32_t f = 0; f < d->feature_count; f++)
        g->features[f] = !columns || columns[d->feature_column[f]];
    g->quad_count = 0;
    for (uint32_t i = 0; i < d->quad_count; i++) {
        bool any = false;
        for (uint32_t k = 0; k < LGBM_LANES; k++)
            for (uint32_t j = 0; j < d->quads[i].lanes[k].count; j++)
                any = any || g->features[d->members[d->quads[i].lanes[k].first + j].feature];
        if (any) g->quads[g->quad_count++] = i;
    }
}

static void rule_init(struct lgbm_grower *g, uint64_t seed) {
    struct lgbm_rule *r = &g->rule;
    const struct lgbm_params *p = g->p;
    r->d = g->d;
    r->p = p;
    r->seed = seed;
    r->constrained = false;
    for (uint32_t c = 0; p->monotone_constraints && c < p->columns_given; c++)
        r->constrained = r->constrained || p->monotone_constraints[c] != 0;
    r->plain = !r->constrained && !(p->max_delta_step > 0) && !(p->path_smooth > 0);
}

static void root_init(struct lgbm_grower *g, const struct lgbm_sums *total) {
    struct leaf *root = &g->leaves[0];
    const double infinite = (double)INFINITY;
    struct lgbm_rule *r = &g->rule;
    double hessian_min = ceil(g->p->min_sum_hessian_in_leaf / r->hessian_unit);
    r->hessian_min = (int64_t)fmin(fmax(hessian_min, 1), 0x1p52);
    *root = (struct leaf){
        .count = g->row_count,
        .slot = no_slot,
        .parent = -1,
        .best.categories = root->best.categories,
        .node = {.sums = *total, .count = g->row_count, .low = -infinite, .high = infinite}};
    /* The root has no parent to be drawn to: its own value is the first. */
    struct lgbm_params unsmoothed = *g->p;
    unsmoothed.path_smooth = 0;
    struct lgbm_rule rule = *r;
    rule.p = &unsmoothed;
    root->value = lgbm_node_value(&rule, &root->node, total, root->count, 0);
    root->node.parent_value = root->value;
    g->leaf_count = 1;
    g->slot_free_count = g->slot_count;
    for (uint32_t i = 0; i < g->slot_count; i++) g->slots_free[i] = g->slot_count - 1 - i;
}

static uint32_t leaf_best(const struct lgbm_grower *g) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < g->leaf_count; i++)
        if (g->leaves[i].best.gain > g->leaves[best].best.gain) best = i;
    return best;
}

enum status lgbm_grow(struct lgbm_grower *g, struct tree **out, struct tree_model *m,
                      const struct lgbm_tree_input *in, struct err *err) {
    g->row_count = in->rows ? in->row_count : (uint32_t)g->d->rows;
    ASSERT(g->row_count > 0 && g->row_count <= g->d->rows);
    struct lgbm_sums total;
    enum status st = lgbm_quantise(&g->rule, &total, g->pairs, g->rows, in, g->row_count, g->blocks,
                                   g->threads, err);
    if (st != ST_OK) return st;
    columns_take(g, in->columns);
    rule_init(g, in->seed);
    root_init(g, &total);
    uint32_t leaves_max = g->p->num_leaves;
    if (leaves_max > 1 && g->quad_count > 0) leaves_search(g, &g->leaves[0], NULL, no_slot);
    while (g->leaf_count < leaves_max) {
        uint32_t index = leaf_best(g);
        if (!(g->leaves[index].best.gain > 0)) break;
        leaf_split(g, index, g->leaf_count + 1 < leaves_max);
    }
    return tree_write(out, m, g, err);
}

void lgbm_grown_leaf(const struct lgbm_grower *g, uint32_t leaf, const uint32_t **rows,
                     uint32_t *count) {
    ASSERT(leaf < g->leaf_count);
    *rows = g->rows + g->leaves[leaf].begin;
    *count = g->leaves[leaf].count;
}

/* ---- contract ---- */

static uint32_t feature_bins_max(const struct lgbm_dataset *d, bool categorical) {
    uint32_t most = 1;
    for (uint32_t f = 0; f < d->feature_count; f++) {
        const struct lgbm_bins *b = &d->bins[d->feature_column[f]];
        if ((b->categorical || !categorical) && b->count > most) most = b->count;
    }
    return most;
}

static enum status shares_create(struct lgbm_grower *g, struct err *err) {
    uint32_t threads = workers_count(g->threads), bins = feature_bins_max(g->d, false);
    g->shares = calloc(threads, sizeof *g->shares);
    if (!g->shares) return err_set(err, ST_NO_MEMORY, "%u threads", threads);
    for (uint32_t i = 0; i < threads; i++) {
        struct share *s = &g->shares[i];
        s->pairs = aligned_alloc(64, LGBM_BLOCK * sizeof *s->pairs);
        s->scratch.entries = aligned_alloc(64, (size_t)(bins + 3) / 4 * 4 * sizeof(lgbm_pair));
        s->scratch.order = calloc((size_t)bins * 2, sizeof *s->scratch.order);
        s->scratch.key = calloc(bins, sizeof *s->scratch.key);
        if (!s->pairs || !s->scratch.entries || !s->scratch.order || !s->scratch.key)
            return err_set(err, ST_NO_MEMORY, "%u bins", bins);
        for (int k = 0; k < 2; k++) {
            s->best[k].categories = calloc(g->category_stride, sizeof(uint16_t));
            if (!s->best[k].categories) return err_set(err, ST_NO_MEMORY, "categories");
        }
    }
    return ST_OK;
}

static size_t slots_for(size_t pool_bytes, size_t hist_bytes, uint32_t leaves) {
    size_t slots = hist_bytes ? pool_bytes / hist_bytes : SLOTS_MIN;
    if (slots < SLOTS_MIN) slots = SLOTS_MIN;
    return slots < leaves ? slots : leaves;
}

static enum status grower_fill(struct lgbm_grower *g, struct err *err) {
    const struct lgbm_dataset *d = g->d;
    const size_t leaves = g->p->num_leaves, features = (size_t)d->feature_count + 1;
    uint32_t category_bins = feature_bins_max(d, true);
    uint32_t categories =
        g->p->max_cat_threshold < category_bins ? g->p->max_cat_threshold : category_bins;
    g->category_stride = categories > 0 ? categories : 1;
    g->slot_count =
        (uint32_t)slots_for(g->pool_bytes, d->hist_entries * sizeof(lgbm_pair), (uint32_t)leaves);
    size_t pool = g->slot_count * d->hist_entries * sizeof(lgbm_pair);
    g->pool = aligned_alloc(64, (pool + 127) & ~(size_t)63);
    g->pairs = aligned_alloc(64, (d->rows * sizeof *g->pairs + 127) & ~(size_t)63);
    g->rows = calloc(d->rows + 1, sizeof *g->rows);
    g->blocks = calloc(lgbm_quantise_blocks(d->rows), sizeof *g->blocks);
    g->slots_free = calloc(g->slot_count + 1, sizeof *g->slots_free);
    g->leaves = calloc(leaves, sizeof *g->leaves);
    g->growths = calloc(leaves, sizeof *g->growths);
    g->leaf_categories = calloc(leaves * g->category_stride, sizeof(uint16_t));
    g->growth_categories = calloc(leaves * g->category_stride, sizeof(uint16_t));
    g->quads = calloc((size_t)d->quad_count + 1, sizeof *g->quads);
    g->features = calloc(features, sizeof *g->features);
    g->node_features = calloc(2 * features, sizeof *g->node_features);
    g->draw = calloc(features, sizeof *g->draw);
    g->set = calloc(category_bins / 32 + 1, sizeof *g->set);
    if (!g->pool || !g->pairs || !g->rows || !g->blocks || !g->slots_free || !g->leaves ||
        !g->growths || !g->leaf_categories || !g->growth_categories || !g->quads || !g->features ||
        !g->node_features || !g->draw || !g->set)
        return err_set(err, ST_NO_MEMORY, "%zu rows, %zu leaves, %zu bytes of histograms", d->rows,
                       leaves, pool);
    for (size_t i = 0; i < leaves; i++)
        g->leaves[i].best.categories = g->leaf_categories + i * g->category_stride;
    enum status st = lgbm_partition_scratch_init(&g->partition, d->rows, err);
    return st == ST_OK ? shares_create(g, err) : st;
}

enum status lgbm_grower_create(struct lgbm_grower **out, const struct lgbm_dataset *d,
                               const struct lgbm_params *params, struct workers *threads,
                               struct err *err) {
    return lgbm_grower_create_within(out, d, params, threads, POOL_BYTES_MAX, err);
}

enum status lgbm_grower_create_within(struct lgbm_grower **out, const struct lgbm_dataset *d,
                                      const struct lgbm_params *params, struct workers *threads,
                                      size_t pool_bytes, struct err *err) {
    *out = NULL;
    ASSERT(d->packed && params->num_leaves >= 1 && params->num_leaves <= d->walk_splits);
    struct lgbm_grower *g = calloc(1, sizeof *g);
    if (!g) return err_set(err, ST_NO_MEMORY, "grower");
    g->d = d;
    g->p = params;
    g->threads = threads;
    g->pool_bytes = pool_bytes;
#if defined(__x86_64__)
    g->rule.vector = __builtin_cpu_supports("avx2");
#endif
    enum status st = grower_fill(g, err);
    if (st == ST_OK)
        *out = g;
    else
        lgbm_grower_destroy(g);
    return st;
}

void lgbm_grower_destroy(struct lgbm_grower *g) {
    if (!g) return;
    for (uint32_t i = 0; g->shares && i < workers_count(g->threads); i++) {
        struct share *s = &g->shares[i];
        free(s->pairs);
        free(s->scratch.entries);
        free(s->scratch.order);
        free(s->scratch.key);
        free(s->best[0].categories);
        free(s->best[1].categories);
    }
    free(g->shares);
    lgbm_partition_scratch_deinit(&g->partition);
    free(g->pool);
    free(g->pairs);
    free(g->rows);
    free(g->blocks);
    free(g->slots_free);
    free(g->leaves);
    free(g->growths);
    free(g->leaf_categories);
    free(g->growth_categories);
    free(g->quads);
    free(g->features);
    free(g->node_features);
    free(g->draw);
    free(g->set);
    free(g);
}
