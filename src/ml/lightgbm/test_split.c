/* The search for splits against a plain one over the raw values; the kernels against their
 * twins. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/lightgbm/test_grow_data.h"
#include "ml/model_io/model_io.h"

/* ---- the naive twin: real sums over rows, every threshold of every column, both ways ---- */

struct naive {
    const struct data *d;
    const struct lgbm_params *p;
    const struct lgbm_dataset *set; /* its bounds, nothing else */
    const uint32_t *rows;
    uint32_t count;
    double g, h, parent_value, best;
    int32_t column;
    double threshold; /* a bound; categorical: the length of the left side */
    bool default_left;
};

struct sums {
    double g, h, n;
};

static double soft(double g, double l1) {
    return fabs(g) <= l1 ? 0 : g > 0 ? g - l1 : g + l1;
}

static double naive_value(const struct naive *s, struct sums x, double l2) {
    double v = -soft(x.g, s->p->lambda_l1) / (x.h + l2), step = s->p->max_delta_step;
    if (step > 0 && fabs(v) > step) v = v > 0 ? step : -step;
    if (s->p->path_smooth > 0)
        v = v * (x.n / s->p->path_smooth) / (x.n / s->p->path_smooth + 1) +
            s->parent_value / (x.n / s->p->path_smooth + 1);
    return v;
}

static double naive_gain(const struct naive *s, struct sums x, double l2) {
    double v = naive_value(s, x, l2), g = soft(x.g, s->p->lambda_l1);
    if (s->p->max_delta_step <= 0 && s->p->path_smooth <= 0) return g * g / (x.h + l2);
    return -(2 * g * v + (x.h + l2) * v * v);
}

static bool naive_allowed(const struct naive *s, struct sums x) {
    double least = s->p->min_sum_hessian_in_leaf;
    return x.n >= s->p->min_data_in_leaf && x.h > 1e-9 && x.h >= least - 1e-9 * least;
}

static void naive_offer(struct naive *s, struct sums left, struct sums right, double l2,
                        uint32_t column, double threshold, bool default_left) {
    if (!naive_allowed(s, left) || !naive_allowed(s, right)) return;
    struct sums all = {s->g, s->h, s->count};
    int monotone = s->p->monotone_constraints && !s->d->is_categorical[column]
                       ? s->p->monotone_constraints[column]
                       : 0;
    double way = naive_value(s, right, l2) - naive_value(s, left, l2);
    if (monotone * way < 0) return;
    double gain = naive_gain(s, left, l2) + naive_gain(s, right, l2) -
                  naive_gain(s, all, s->p->lambda_l2) - s->p->min_gain_to_split;
    if (!(gain > s->best)) return;
    s->best = gain;
    s->column = (int32_t)column;
    s->threshold = threshold;
    s->default_left = default_left;
}

/* Rows of bins first..last of a column, estimated from hessians bin by bin as LightGBM does. */
static struct sums naive_bin(const struct naive *s, uint32_t column, uint32_t bin) {
    struct sums x = {0, 0, 0};
    for (uint32_t i = 0; i < s->count; i++) {
        size_t row = s->rows[i];
        double value = s->d->x[row * s->d->set.columns + column];
        if (lgbm_bins_of(&s->set->bins[column], value) != bin) continue;
        x.g += (double)s->d->gradient[row];
        x.h += (double)s->d->hessian[row];
    }
    x.n = floor(x.h * (s->count / s->h) + 0.5);
    return x;
}

static struct sums plus(struct sums a, struct sums b) {
    return (struct sums){a.g + b.g, a.h + b.h, a.n + b.n};
}

static struct sums rest(const struct naive *s, struct sums a) {
    return (struct sums){s->g - a.g, s->h - a.h, s->count - a.n};
}

static void naive_number(struct naive *s, uint32_t column) {
    const struct lgbm_bins *b = &s->set->bins[column];
    uint32_t missing = lgbm_bins_missing(b);
    struct sums right = {0, 0, 0}, left = {0, 0, 0};
    for (uint32_t t = b->count - 1; t > 0; t--) {
        if (t == missing) continue;
        right = plus(right, naive_bin(s, column, t));
        naive_offer(s, rest(s, right), right, s->p->lambda_l2, column, b->bounds[t - 1], true);
    }
    if (missing == UINT32_MAX || naive_bin(s, column, missing).h <= 0) return;
    for (uint32_t t = 0; t + 1 < b->count; t++) {
        if (t == missing) continue;
        left = plus(left, naive_bin(s, column, t));
        naive_offer(s, left, rest(s, left), s->p->lambda_l2, column, b->bounds[t], false);
    }
}

static void naive_prefixes(struct naive *s, uint32_t column, const struct sums *order, uint32_t n,
                           bool backwards) {
    uint32_t most = (n + 1) / 2 < s->p->max_cat_threshold ? (n + 1) / 2 : s->p->max_cat_threshold;
    struct sums left = {0, 0, 0};
    double group = 0;
    for (uint32_t i = 0; i < most; i++) {
        struct sums bin = order[backwards ? n - 1 - i : i];
        left = plus(left, bin);
        group += bin.n;
        if (!naive_allowed(s, left)) continue;
        if (rest(s, left).n < s->p->min_data_per_group) break;
        if (group < s->p->min_data_per_group) continue;
        group = 0;
        naive_offer(s, left, rest(s, left), s->p->lambda_l2 + s->p->cat_l2, column, i + 1, false);
    }
}

static void naive_category(struct naive *s, uint32_t column) {
    const struct lgbm_bins *b = &s->set->bins[column];
    struct sums *order = calloc(b->count, sizeof *order);
    uint32_t n = 0;
    for (uint32_t t = 1; t < b->count; t++) {
        struct sums x = naive_bin(s, column, t);
        if (b->count <= s->p->max_cat_to_onehot) {
            naive_offer(s, x, rest(s, x), s->p->lambda_l2, column, 1, false);
        } else if (x.n >= s->p->cat_smooth && x.n > 0) {
            uint32_t at = n++;
            double key = x.g / (x.h + s->p->cat_smooth);
            for (; at > 0 && order[at - 1].g / (order[at - 1].h + s->p->cat_smooth) > key; at--)
                order[at] = order[at - 1];
            order[at] = x;
        }
    }
    naive_prefixes(s, column, order, n, false);
    naive_prefixes(s, column, order, n, true);
    free(order);
}

static void naive_search(struct naive *s) {
    s->g = s->h = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        s->g += (double)s->d->gradient[s->rows[i]];
        s->h += (double)s->d->hessian[s->rows[i]];
    }
    s->best = 0;
    s->column = -1;
    for (uint32_t c = 0; c < s->d->set.columns; c++) {
        if (!s->set->bins[c].usable) continue;
        if (s->d->is_categorical[c])
            naive_category(s, c);
        else
            naive_number(s, c);
    }
}

/* ---- random trees against it ---- */

static struct lgbm_params random_params(struct rng *r, const struct data *d) {
    struct lgbm_params p = data_params(d);
    p.num_leaves = 2 + (uint32_t)rng_below(r, 7);
    p.min_data_in_leaf = (uint32_t)rng_below(r, 12);
    p.min_sum_hessian_in_leaf = rng_below(r, 2) ? 1e-3 : 2 * rng_f64(r);
    p.lambda_l1 = rng_below(r, 3) ? 0 : 2 * rng_f64(r);
    p.lambda_l2 = rng_below(r, 3) ? 0 : 2 * rng_f64(r);
    p.min_gain_to_split = rng_below(r, 3) ? 0 : rng_f64(r);
    p.max_delta_step = rng_below(r, 4) ? 0 : 0.5 * rng_f64(r);
    p.path_smooth = rng_below(r, 4) ? 0 : 5 * rng_f64(r);
    p.zero_as_missing = rng_below(r, 4) == 0;
    p.max_cat_to_onehot = 1 + (uint32_t)rng_below(r, 6);
    p.cat_smooth = 10 * rng_f64(r);
    p.min_data_per_group = (uint32_t)rng_below(r, 15);
    p.max_cat_threshold = 1 + (uint32_t)rng_below(r, 20);
    p.feature_pre_filter = false;
    p.max_bin = rng_below(r, 2) ? 255 : 8;
    return p;
}

struct trial {
    struct data data;
    struct lgbm_params p;
    struct workers *threads;
    struct lgbm_dataset *set;
    struct lgbm_grower *grower;
    struct tree_model *model;
    struct tree *tree;
};

static void trial_open(struct trial *t, struct data data, const struct lgbm_params *p) {
    struct err err = {0};
    *t = (struct trial){.data = data, .p = *p};
    t->model = tree_model_create(TREES_LIGHTGBM, 1, data.set.columns);
    enum status st = workers_create(&t->threads, 1, &err);
    if (st == ST_OK) st = lgbm_dataset_create(&t->set, &t->data.set, &t->p, NULL, t->threads, &err);
    if (st == ST_OK) st = lgbm_grower_create(&t->grower, t->set, &t->p, t->threads, &err);
    const struct lgbm_tree_input in = {.gradient = data.gradient, .hessian = data.hessian};
    if (st == ST_OK) st = lgbm_grow(t->grower, &t->tree, t->model, &in, &err);
    if (st != ST_OK) fail_msg("%s", err.text);
}

static void trial_close(struct trial *t) {
    lgbm_grower_destroy(t->grower);
    lgbm_dataset_destroy(t->set);
    workers_destroy(t->threads);
    tree_model_destroy(t->model);
    data_free(&t->data);
}

/* Rows of the training set that come to a split (>= 0) or leaf (~leaf). */
static uint32_t rows_at(uint32_t *rows, const struct trial *t, int32_t node) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->data.set.rows; i++) {
        uint32_t leaf =
            tree_walk_ref(t->model, t->tree, t->data.x + (size_t)i * t->data.set.columns);
        int32_t at = ~(int32_t)leaf;
        while (at != node && at != 0) {
            int32_t parent = 0;
            while (t->tree->left[parent] != at && t->tree->right[parent] != at) parent++;
            at = parent;
        }
        if (at == node) rows[n++] = i;
    }
    return n;
}

static struct naive naive_at(const struct trial *t, uint32_t *rows, int32_t node) {
    struct naive s = {.d = &t->data, .p = &t->p, .set = t->set, .rows = rows};
    s.count = rows_at(rows, t, node);
    /* What its children are drawn to: the node's own value. */
    s.parent_value = node >= 0 ? t->tree->split_value[node] : t->tree->leaf_value[~node];
    naive_search(&s);
    return s;
}

static void check_split(const struct trial *t, uint32_t i, const struct naive *s) {
    double gain = (double)t->tree->gain[i], scale = fabs(s->best) + s->g * s->g / s->h;
    if (fabs(gain - s->best) > 1e-6 * scale)
        fail_msg("split %u: gain %.9g, the twin has %.9g", i, gain, s->best);
    assert_int_equal(t->tree->split_rows[i], s->count);
    assert_true(fabs(t->tree->split_weight[i] - s->h) < 1e-6 * s->h);
    /* The same place, unless another gains as much. */
    if (t->tree->feature[i] != s->column) return;
    if (t->data.is_categorical[s->column]) {
        uint32_t bits = 0, set = (uint32_t)t->tree->threshold[i];
        for (uint32_t w = t->tree->set_begin[set]; w < t->tree->set_begin[set + 1]; w++)
            bits += (uint32_t)__builtin_popcount(t->tree->set_words[w]);
        assert_true(bits == s->threshold);
    }
}

static void test_gains_are_those_of_an_exhaustive_search(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(21));
    uint32_t splits = 0, same = 0, wrong = 0;
    for (int round = 0; round < 250; round++) {
        struct trial t;
        struct data d =
            data_make(&r, 30 + rng_below(&r, 300), 1 + (uint32_t)rng_below(&r, 9), NULL);
        struct lgbm_params p = random_params(&r, &d);
        trial_open(&t, d, &p);
        uint32_t *rows = calloc(d.set.rows, sizeof *rows);
        for (uint32_t i = 0; i < t.tree->split_count; i++) {
            struct naive s = naive_at(&t, rows, (int32_t)i);
            check_split(&t, i, &s);
            splits++;
            same += t.tree->feature[i] == s.column &&
                    (t.data.is_categorical[s.column] || t.tree->threshold[i] == s.threshold);
        }
        /* Where it stopped early, nothing was left to gain. */
        for (uint32_t i = 0; i <= t.tree->split_count && t.tree->split_count > 0; i++) {
            if (t.tree->split_count + 1 == p.num_leaves) break;
            struct naive s = naive_at(&t, rows, ~(int32_t)i);
            bool small = s.count < 2 * (p.min_data_in_leaf ? p.min_data_in_leaf : 1) ||
                         s.h < 2 * p.min_sum_hessian_in_leaf;
            wrong += !small && s.best > 1e-9 * (1 + s.g * s.g / s.h);
        }
        free(rows);
        trial_close(&t);
    }
    print_message("%u splits, %u at the same place\n", splits, same);
    assert_true(splits > 500);
    assert_true(same > splits * 99 / 100);
    assert_int_equal(wrong, 0);
}

/* The leaf split next is the one whose split gains most: no split left for later gains more than
 * the one taken. */
static void test_growth_is_leaf_wise(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(22));
    for (int round = 0; round < 60; round++) {
        struct trial t;
        struct data d = data_make(&r, 400, 6, NULL);
        struct lgbm_params p = data_params(&d);
        p.num_leaves = 12;
        trial_open(&t, d, &p);
        for (uint32_t i = 0; i < t.tree->split_count; i++)
            for (uint32_t later = i + 1; later < t.tree->split_count; later++) {
                /* Was it there to be chosen when i was? Its parent was split before i. */
                uint32_t parent = 0;
                while (t.tree->left[parent] != (int32_t)later &&
                       t.tree->right[parent] != (int32_t)later)
                    parent++;
                if (parent < i) assert_true(t.tree->gain[later] <= t.tree->gain[i]);
            }
        trial_close(&t);
    }
}

static void test_a_monotone_root_is_the_best_that_is_allowed(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(23));
    for (int round = 0; round < 80; round++) {
        struct trial t;
        struct data d = data_make(&r, 200, 5, NULL);
        struct lgbm_params p = data_params(&d);
        int8_t constraints[5];
        for (int c = 0; c < 5; c++) constraints[c] = (int8_t)((int)rng_below(&r, 3) - 1);
        p.monotone_constraints = constraints;
        p.num_leaves = 2;
        trial_open(&t, d, &p);
        uint32_t *rows = calloc(d.set.rows, sizeof *rows);
        if (t.tree->split_count == 1) {
            struct naive s = naive_at(&t, rows, 0);
            check_split(&t, 0, &s);
        }
        free(rows);
        trial_close(&t);
    }
}

/* ---- kernels ---- */

static void random_hist(struct rng *r, lgbm_pair *hist, uint32_t entries) {
    for (uint32_t i = 0; i < entries; i++) {
        bool empty = rng_below(r, 3) == 0;
        int64_t g = (int64_t)rng_below(r, UINT64_C(1) << 42) - (INT64_C(1) << 41);
        lgbm_pair x = {empty ? 0 : (uint64_t)g, empty ? 0 : rng_below(r, UINT64_C(1) << 42)};
        hist[i] = x;
    }
}

static void test_lanes_have_the_bits_of_their_twin(void **state) {
    (void)state;
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2")) skip();
#endif
    struct rng r = rng_init(data_seed(24));
    lgbm_pair *hist = aligned_alloc(64, 256 * LGBM_LANES * sizeof *hist);
    for (int round = 0; round < 3000; round++) {
        struct lgbm_lane_query q = {.hist = hist, .bins = 1 + (uint32_t)rng_below(&r, 256)};
        random_hist(&r, hist, q.bins * LGBM_LANES);
        q.has_missing = rng_below(&r, 2);
        for (uint32_t k = 0; k < LGBM_LANES; k++) {
            q.last[k] = (int64_t)rng_below(&r, q.bins + 1) - 1;
            /* Without a missing bin there is nothing behind the last. */
            for (uint32_t b = (uint32_t)(q.last[k] + 1); b < q.bins && !q.has_missing; b++)
                hist[b * LGBM_LANES + k] = (lgbm_pair){0, 0};
        }
        q.gradient = floor(0x1p45 * (rng_f64(&r) - 0.5));
        q.hessian = floor(0x1p50 * rng_f64(&r));
        q.count = 1000;
        q.count_factor = 1000 / q.hessian;
        q.count_min = (double)rng_below(&r, 30);
        q.hessian_min = 1 + 0x1p40 * rng_f64(&r);
        q.l1 = rng_below(&r, 2) ? 0 : 0x1p40 * rng_f64(&r);
        q.l2 = 0x1p40 * rng_f64(&r);
        q.floor = rng_below(&r, 2) ? 0 : 0x1p40;
        struct lgbm_lane_best plain, wide;
        lgbm_lanes_scan(&plain, &q);
        lgbm_lanes_scan_avx2(&wide, &q);
        uint32_t ways = q.has_missing ? 2 : 1;
        assert_memory_equal(plain.gain, wide.gain, ways * sizeof plain.gain[0]);
        assert_memory_equal(plain.threshold, wide.threshold, ways * sizeof plain.threshold[0]);
    }
    free(hist);
}

/* Histograms of all widths and of bundles against sums over the stores; a child's by subtraction
 * and by taking the sibling's rows out. */
static void test_histograms(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(25));
    for (int round = 0; round < 12; round++) {
        struct trial t;
        struct data d = data_make(&r, 3000, 14, NULL);
        struct lgbm_params p = data_params(&d);
        p.max_bin = round % 2 ? 900 : 255;
        trial_open(&t, d, &p);
        size_t entries = t.set->hist_entries;
        lgbm_pair *pairs = aligned_alloc(64, 3000 * sizeof *pairs), *all, *some, *others, *block;
        all = aligned_alloc(64, entries * sizeof *all);
        some = aligned_alloc(64, entries * sizeof *some);
        others = aligned_alloc(64, entries * sizeof *others);
        block = aligned_alloc(64, LGBM_BLOCK * sizeof *block);
        memset(all, 0, entries * sizeof *all);
        memset(some, 0, entries * sizeof *some);
        memset(others, 0, entries * sizeof *others);
        uint32_t quads[64], rows[2][3000], counts[2] = {0, 0};
        for (uint32_t i = 0; i < t.set->quad_count; i++) quads[i] = i;
        random_hist(&r, pairs, 3000);
        for (uint32_t i = 0; i < 3000; i++) {
            uint32_t side = rng_below(&r, 4) == 0;
            rows[side][counts[side]++] = i;
        }
        lgbm_hist_add(all, t.set, quads, 0, t.set->quad_count, NULL, 0, pairs, 3000);
        for (uint32_t side = 0; side < 2; side++)
            for (uint32_t at = 0; at < counts[side]; at += LGBM_BLOCK) {
                uint32_t n = counts[side] - at < LGBM_BLOCK ? counts[side] - at : LGBM_BLOCK;
                lgbm_hist_gather(block, pairs, t.set, rows[side] + at, n, false);
                /* One quad at a time and all at once are the same. */
                for (uint32_t q = 0; q < t.set->quad_count && side == 0; q++)
                    lgbm_hist_add(some, t.set, quads, q, q + 1, rows[0] + at, 0, block, n);
                if (side == 1)
                    lgbm_hist_add(others, t.set, quads, 0, t.set->quad_count, rows[1] + at, 0,
                                  block, n);
            }
        for (uint32_t q = 0; q < t.set->quad_count; q++)
            for (uint32_t k = 0; k < LGBM_LANES; k++) {
                const struct lgbm_quad *quad = &t.set->quads[q];
                if (quad->lanes[k].count != 1) continue;
                const struct lgbm_member *m = &t.set->members[quad->lanes[k].first];
                uint32_t bin = (uint32_t)rng_below(&r, quad->lanes[k].bins);
                lgbm_pair sum = {0, 0};
                for (uint32_t i = 0; i < counts[0]; i++)
                    if (lgbm_store_get(&t.set->stores[m->feature], rows[0][i]) == bin)
                        sum += pairs[rows[0][i]];
                assert_memory_equal(&some[quad->hist_offset + bin * LGBM_LANES + k], &sum,
                                    sizeof sum);
            }
        lgbm_pair *taken = aligned_alloc(64, entries * sizeof *taken);
        memcpy(taken, all, entries * sizeof *taken);
        for (uint32_t at = 0; at < counts[1]; at += LGBM_BLOCK) {
            uint32_t n = counts[1] - at < LGBM_BLOCK ? counts[1] - at : LGBM_BLOCK;
            lgbm_hist_gather(block, pairs, t.set, rows[1] + at, n, true);
            lgbm_hist_add(taken, t.set, quads, 0, t.set->quad_count, rows[1] + at, 0, block, n);
        }
        lgbm_hist_subtract(all, others, entries);
        assert_memory_equal(all, some, entries * sizeof *all);
        assert_memory_equal(taken, some, entries * sizeof *all);
        free(pairs), free(all), free(some), free(others), free(block), free(taken);
        trial_close(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gains_are_those_of_an_exhaustive_search),
        cmocka_unit_test(test_growth_is_leaf_wise),
        cmocka_unit_test(test_a_monotone_root_is_the_best_that_is_allowed),
        cmocka_unit_test(test_lanes_have_the_bits_of_their_twin),
        cmocka_unit_test(test_histograms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
