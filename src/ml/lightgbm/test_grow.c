/* Trees: what bins decided is what a walk over raw values finds; the same for any number of
 * threads; constraints. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/lightgbm/test_grow_data.h"
#include "ml/model_io/model_io.h"

struct trial {
    struct data data;
    struct lgbm_params p;
    struct workers *threads;
    struct lgbm_dataset *set;
    struct lgbm_grower *grower;
    struct tree_model *model;
    struct tree *tree;
};

static void trial_open(struct trial *t, struct data data, const struct lgbm_params *p,
                       uint32_t threads, size_t pool_bytes) {
    struct err err = {0};
    *t = (struct trial){.data = data, .p = *p};
    t->model = tree_model_create(TREES_LIGHTGBM, 1, data.set.columns);
    enum status st = workers_create(&t->threads, threads, &err);
    if (st == ST_OK) st = lgbm_dataset_create(&t->set, &t->data.set, &t->p, NULL, t->threads, &err);
    if (st == ST_OK)
        st = lgbm_grower_create_within(&t->grower, t->set, &t->p, t->threads, pool_bytes, &err);
    if (st != ST_OK) fail_msg("%s", err.text);
}

static void trial_grow(struct trial *t, const struct lgbm_tree_input *in) {
    struct lgbm_tree_input all = {.gradient = t->data.gradient, .hessian = t->data.hessian};
    struct err err;
    if (lgbm_grow(t->grower, &t->tree, t->model, in ? in : &all, &err) != ST_OK)
        fail_msg("%s", err.text);
}

static void trial_close(struct trial *t) {
    lgbm_grower_destroy(t->grower);
    lgbm_dataset_destroy(t->set);
    workers_destroy(t->threads);
    tree_model_destroy(t->model);
}

enum { POOL = 1 << 26 };

static struct lgbm_params random_params(struct rng *r, const struct data *d) {
    struct lgbm_params p = data_params(d);
    p.num_leaves = 2 + (uint32_t)rng_below(r, 30);
    p.min_data_in_leaf = (uint32_t)rng_below(r, 20);
    p.zero_as_missing = rng_below(r, 3) == 0;
    p.use_missing = rng_below(r, 5) > 0;
    p.max_cat_to_onehot = 1 + (uint32_t)rng_below(r, 6);
    p.cat_smooth = 10 * rng_f64(r);
    p.extra_trees = rng_below(r, 4) == 0;
    p.feature_fraction_bynode = rng_below(r, 3) ? 1 : 0.5;
    p.max_depth = rng_below(r, 3) ? -1 : 3;
    p.path_smooth = rng_below(r, 4) ? 0 : 3;
    static const uint32_t bins[] = {255, 15, 1000, 40000};
    p.max_bin = bins[rng_below(r, 4)];
    p.bin_construct_sample_cnt = rng_below(r, 2) ? 200000 : 200;
    return p;
}

/* The leaf of every row by a walk over its values, and its rows as the grower has them. */
static void check_walk(const struct trial *t) {
    uint8_t visited[64];
    uint32_t at, rows_seen = 0, *leaf_of = calloc(t->data.set.rows, sizeof *leaf_of);
    for (uint32_t leaf = 0; leaf <= t->tree->split_count; leaf++) {
        const uint32_t *rows;
        uint32_t count;
        lgbm_grown_leaf(t->grower, leaf, &rows, &count);
        assert_int_equal(count, t->tree->leaf_rows[leaf]);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(i == 0 || rows[i] > rows[i - 1]);
            leaf_of[rows[i]] = leaf;
        }
        rows_seen += count;
    }
    assert_int_equal(rows_seen, t->data.set.rows);
    double *margin = calloc(t->data.set.rows * 2, sizeof *margin);
    lgbm_add_tree(margin + 1, 2, t->tree, t->set, t->threads);
    for (size_t i = 0; i < t->data.set.rows; i++) {
        uint32_t leaf = tree_walk_ref(t->model, t->tree, t->data.x + i * t->data.set.columns);
        assert_int_equal(leaf, leaf_of[i]);
        assert_true(margin[2 * i + 1] == t->tree->leaf_value[leaf] && margin[2 * i] == 0);
    }
    if (t->tree->split_count < sizeof visited)
        assert_null(tree_model_problem(t->model, visited, &at));
    free(margin);
    free(leaf_of);
}

static void test_bins_and_walk_agree(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(31));
    uint32_t splits = 0, categorical = 0;
    for (int round = 0; round < 250; round++) {
        struct data d =
            data_make(&r, 20 + rng_below(&r, 3000), 1 + (uint32_t)rng_below(&r, 20), NULL);
        struct lgbm_params p = random_params(&r, &d);
        struct trial t;
        trial_open(&t, d, &p, 1, POOL);
        for (uint64_t tree = 0; tree < 3; tree++) {
            trial_grow(&t, &(struct lgbm_tree_input){
                               .gradient = d.gradient, .hessian = d.hessian, .seed = tree});
            check_walk(&t);
            splits += t.tree->split_count;
            categorical += t.tree->set_count;
        }
        trial_close(&t);
        data_free(&d);
    }
    print_message("%u splits, %u categorical\n", splits, categorical);
    assert_true(splits > 2000 && categorical > 100);
}

/* Values that training never saw: categories, NaN in whole columns, infinities. */
static void test_a_validation_set_shares_the_bins(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(32));
    for (int round = 0; round < 60; round++) {
        uint32_t columns = 2 + (uint32_t)rng_below(&r, 12);
        struct data d = data_make(&r, 600, columns, NULL), v = data_make(&r, 500, columns, d.kinds);
        struct lgbm_params p = random_params(&r, &d);
        for (size_t i = 0; i < 500 * columns; i++) {
            if (rng_below(&r, 10) == 0) v.x[i] = data_extreme(&r);
            if (rng_below(&r, 10) == 0) v.x[i] = rng_below(&r, 2) ? (double)NAN : 1000;
        }
        struct trial t;
        struct lgbm_dataset *like;
        trial_open(&t, d, &p, 2, POOL);
        trial_grow(&t, NULL);
        assert_int_equal(lgbm_dataset_create(&like, &v.set, &p, t.set, t.threads, NULL), ST_OK);
        double *margin = calloc(500, sizeof *margin);
        lgbm_add_tree(margin, 1, t.tree, like, t.threads);
        for (size_t i = 0; i < 500; i++) {
            uint32_t leaf = tree_walk_ref(t.model, t.tree, v.x + i * columns);
            assert_true(margin[i] == t.tree->leaf_value[leaf]);
        }
        free(margin);
        lgbm_dataset_destroy(like);
        trial_close(&t);
        data_free(&d);
        data_free(&v);
    }
}

static void trees_equal(const struct tree *a, const struct tree *b) {
    size_t n = a->split_count, leaves = n + 1;
    assert_int_equal(a->split_count, b->split_count);
    assert_int_equal(a->set_count, b->set_count);
    assert_memory_equal(a->leaf_value, b->leaf_value, leaves * sizeof *a->leaf_value);
    assert_memory_equal(a->leaf_weight, b->leaf_weight, leaves * sizeof *a->leaf_weight);
    assert_memory_equal(a->leaf_rows, b->leaf_rows, leaves * sizeof *a->leaf_rows);
    if (n == 0) return;
    assert_memory_equal(a->feature, b->feature, n * sizeof *a->feature);
    assert_memory_equal(a->threshold, b->threshold, n * sizeof *a->threshold);
    assert_memory_equal(a->decision, b->decision, n);
    assert_memory_equal(a->left, b->left, n * sizeof *a->left);
    assert_memory_equal(a->right, b->right, n * sizeof *a->right);
    assert_memory_equal(a->gain, b->gain, n * sizeof *a->gain);
    assert_memory_equal(a->split_value, b->split_value, n * sizeof *a->split_value);
    assert_memory_equal(a->split_weight, b->split_weight, n * sizeof *a->split_weight);
    if (a->set_count == 0) return;
    assert_memory_equal(a->set_begin, b->set_begin, (a->set_count + 1) * sizeof *a->set_begin);
    assert_memory_equal(a->set_words, b->set_words,
                        a->set_begin[a->set_count] * sizeof *a->set_words);
}

/* Large enough for partitions in parts; one thread, two, three; all rows and a sample; few
 * histograms at hand. */
static void test_same_trees_with_any_threads_and_memory(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(33));
    for (int round = 0; round < 3; round++) {
        struct data d = data_make(&r, 40000, 17, NULL);
        struct lgbm_params p = random_params(&r, &d);
        p.num_leaves = 40;
        uint32_t *rows = calloc(d.set.rows, sizeof *rows), count = 0;
        for (uint32_t i = 0; i < d.set.rows; i++)
            if (rng_below(&r, 3) > 0) rows[count++] = i;
        struct trial t[4];
        for (uint32_t k = 0; k < 4; k++) {
            trial_open(&t[k], d, &p, k < 3 ? k + 1 : 2, k < 3 ? POOL : 0);
            trial_grow(&t[k], NULL);
            trial_grow(&t[k], &(struct lgbm_tree_input){.gradient = d.gradient,
                                                        .hessian = d.hessian,
                                                        .rows = rows,
                                                        .row_count = count,
                                                        .seed = 5});
            for (uint32_t i = 0; i < 2; i++)
                trees_equal(&t[k].model->trees[i], &t[0].model->trees[i]);
        }
        assert_true(t[0].tree->split_count > 5);
        for (uint32_t k = 0; k < 4; k++) trial_close(&t[k]);
        free(rows);
        data_free(&d);
    }
}

static void test_statistics(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(34));
    struct data d = data_make(&r, 5000, 10, NULL);
    struct lgbm_params p = data_params(&d);
    p.lambda_l2 = 0.7;
    p.num_leaves = 20;
    struct trial t;
    trial_open(&t, d, &p, 1, POOL);
    trial_grow(&t, NULL);
    assert_int_equal(t.tree->split_count, 19);
    for (uint32_t leaf = 0; leaf < 20; leaf++) {
        const uint32_t *rows;
        uint32_t count;
        double g = 0, h = 0;
        lgbm_grown_leaf(t.grower, leaf, &rows, &count);
        for (uint32_t i = 0; i < count; i++) {
            g += (double)d.gradient[rows[i]];
            h += (double)d.hessian[rows[i]];
        }
        bool in_set = false; /* a side of a sorted categorical split has cat_l2 too */
        for (uint32_t i = 0; i < 19; i++)
            if (t.tree->left[i] == ~(int32_t)leaf || t.tree->right[i] == ~(int32_t)leaf)
                in_set = t.tree->decision[i] & DECISION_CATEGORICAL;
        assert_true(fabs(t.tree->leaf_weight[leaf] - h) < 1e-9 * h);
        if (!in_set) assert_true(fabs(t.tree->leaf_value[leaf] + g / (h + 0.7)) < 1e-9);
    }
    for (uint32_t i = 0; i < 19; i++) {
        const int32_t child[2] = {t.tree->left[i], t.tree->right[i]};
        int64_t rows = 0;
        double weight = 0;
        for (int k = 0; k < 2; k++) {
            rows += child[k] < 0 ? t.tree->leaf_rows[~child[k]] : t.tree->split_rows[child[k]];
            weight +=
                child[k] < 0 ? t.tree->leaf_weight[~child[k]] : t.tree->split_weight[child[k]];
        }
        assert_int_equal(rows, t.tree->split_rows[i]);
        assert_true(fabs(weight - t.tree->split_weight[i]) < 1e-9 * weight);
        assert_true(t.tree->gain[i] > 0);
    }
    trial_close(&t);
    data_free(&d);
}

/* Equal hessians: the estimate of rows is exact, so min_data_in_leaf holds to the row. */
static void test_limits_hold(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(35));
    for (int round = 0; round < 20; round++) {
        struct data d = data_make(&r, 2000, 8, NULL);
        for (size_t i = 0; i < 2000; i++) d.hessian[i] = 0.25f;
        struct lgbm_params p = data_params(&d);
        p.num_leaves = 60;
        p.min_data_in_leaf = 1 + (uint32_t)rng_below(&r, 60);
        p.min_sum_hessian_in_leaf = 20 * rng_f64(&r);
        p.max_depth = 2 + (int32_t)rng_below(&r, 6);
        struct trial t;
        trial_open(&t, d, &p, 1, POOL);
        trial_grow(&t, NULL);
        for (uint32_t leaf = 0; leaf <= t.tree->split_count; leaf++) {
            assert_true(t.tree->leaf_rows[leaf] >= p.min_data_in_leaf);
            assert_true(t.tree->leaf_weight[leaf] >= p.min_sum_hessian_in_leaf);
            int32_t depth = 0;
            for (int32_t node = ~(int32_t)leaf; node != 0 && t.tree->split_count > 0; depth++) {
                int32_t parent = 0;
                while (t.tree->left[parent] != node && t.tree->right[parent] != node) parent++;
                node = parent;
            }
            assert_true(depth <= p.max_depth);
        }
        trial_close(&t);
        data_free(&d);
    }
}

static void test_columns_of_a_tree_and_a_node(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(36));
    struct data d = data_make(&r, 1000, 12, NULL);
    struct lgbm_params p = data_params(&d);
    p.num_leaves = 30;
    struct trial t;
    trial_open(&t, d, &p, 1, POOL);
    for (int round = 0; round < 20; round++) {
        bool columns[12];
        for (int c = 0; c < 12; c++) columns[c] = rng_below(&r, 2);
        trial_grow(&t, &(struct lgbm_tree_input){
                           .gradient = d.gradient, .hessian = d.hessian, .columns = columns});
        for (uint32_t i = 0; i < t.tree->split_count; i++) assert_true(columns[t.tree->feature[i]]);
    }
    trial_close(&t);
    /* Two columns a node of twelve: other seeds give other trees, the same seed the same. */
    p.feature_fraction_bynode = 0.15;
    trial_open(&t, d, &p, 1, POOL);
    for (uint64_t seed = 0; seed < 3; seed++)
        trial_grow(&t, &(struct lgbm_tree_input){
                           .gradient = d.gradient, .hessian = d.hessian, .seed = seed % 2});
    trees_equal(&t.model->trees[0], &t.model->trees[2]);
    assert_true(t.model->trees[0].feature[0] != t.model->trees[1].feature[0] ||
                t.model->trees[0].feature[1] != t.model->trees[1].feature[1] ||
                t.model->trees[0].feature[2] != t.model->trees[1].feature[2]);
    trial_close(&t);
    data_free(&d);
}

static void test_extra_trees_draw_their_thresholds(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(37));
    enum data_kind kind = KIND_NORMAL;
    struct data d = data_make(&r, 1000, 1, &kind);
    struct lgbm_params p = data_params(&d);
    p.extra_trees = true;
    p.num_leaves = 2;
    struct trial t;
    trial_open(&t, d, &p, 1, POOL);
    uint32_t different = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        trial_grow(&t, &(struct lgbm_tree_input){
                           .gradient = d.gradient, .hessian = d.hessian, .seed = seed / 2});
        if (t.tree->split_count == 0) continue;
        if (seed % 2 == 1) trees_equal(t.tree, &t.model->trees[seed - 1]);
        if (seed >= 2 && t.model->trees[seed - 2].split_count > 0)
            different += t.tree->threshold[0] != t.model->trees[seed - 2].threshold[0];
    }
    assert_true(different > 25);
    trial_close(&t);
    data_free(&d);
}

/* Boosts squares of the error with two constrained columns, then goes along them from
 * everywhere. */
static void test_monotone_on_a_grid(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(38));
    const enum data_kind kinds[] = {KIND_NORMAL, KIND_NAN, KIND_STEPS, KIND_NORMAL};
    int8_t constraints[] = {1, -1, 0, 0};
    struct data d = data_make(&r, 1500, 4, kinds);
    struct lgbm_params p = data_params(&d);
    p.monotone_constraints = constraints;
    p.num_leaves = 16;
    struct trial t;
    trial_open(&t, d, &p, 2, POOL);
    double margin[1500] = {0}, target[1500];
    for (size_t i = 0; i < 1500; i++) {
        const double *x = d.x + 4 * i;
        target[i] = sin(3 * x[0]) + x[0] + (isnan(x[1]) ? 1 : cos(4 * x[1])) + 0.3 * x[2] * x[3];
    }
    for (int tree = 0; tree < 40; tree++) {
        for (size_t i = 0; i < 1500; i++) {
            d.gradient[i] = (float)(margin[i] - target[i]);
            d.hessian[i] = 1;
        }
        trial_grow(&t, NULL);
        for (uint32_t i = 0; i <= t.tree->split_count; i++) t.tree->leaf_value[i] *= 0.2;
        lgbm_add_tree(margin, 1, t.tree, t.set, t.threads);
    }
    uint32_t rises = 0, used = 0;
    for (uint32_t i = 0; i < t.model->tree_count; i++)
        for (uint32_t s = 0; s < t.model->trees[i].split_count; s++)
            used += constraints[t.model->trees[i].feature[s]] != 0;
    for (uint32_t c = 0; c < 2; c++)
        for (size_t row = 0; row < 300; row++) {
            double x[4], last = 0, value;
            memcpy(x, d.x + 4 * row, sizeof x);
            for (int step = 0; step <= 60; step++) {
                x[c] = -3 + 0.1 * step;
                tree_margin_ref(&value, t.model, 0, t.model->tree_count, x);
                if (step > 0) assert_true(constraints[c] * (value - last) >= -1e-12);
                rises += step > 0 && constraints[c] * (value - last) > 1e-6;
                last = value;
            }
        }
    assert_true(used > 50 && rises > 1000);
    trial_close(&t);
    data_free(&d);
}

static void test_what_cannot_be_grown(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(39));
    enum data_kind kind = KIND_NORMAL;
    struct data d = data_make(&r, 100, 1, &kind);
    struct lgbm_params p = data_params(&d);
    struct trial t;
    trial_open(&t, d, &p, 1, POOL);
    struct lgbm_tree_input in = {.gradient = d.gradient, .hessian = d.hessian};
    d.hessian[50] = -1;
    assert_int_equal(lgbm_grow(t.grower, &t.tree, t.model, &in, NULL), ST_INVALID);
    d.hessian[50] = 1;
    d.gradient[7] = NAN;
    assert_int_equal(lgbm_grow(t.grower, &t.tree, t.model, &in, NULL), ST_INVALID);
    memset(d.gradient, 0, 100 * sizeof *d.gradient);
    trial_grow(&t, NULL);
    assert_int_equal(t.tree->split_count, 0);
    assert_true(t.tree->leaf_value[0] == 0 && t.tree->leaf_rows[0] == 100);
    check_walk(&t);
    memset(d.hessian, 0, 100 * sizeof *d.hessian);
    trial_grow(&t, NULL);
    assert_int_equal(t.tree->split_count, 0);
    trial_close(&t);
    data_free(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bins_and_walk_agree),
        cmocka_unit_test(test_a_validation_set_shares_the_bins),
        cmocka_unit_test(test_same_trees_with_any_threads_and_memory),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_columns_of_a_tree_and_a_node),
        cmocka_unit_test(test_extra_trees_draw_their_thresholds),
        cmocka_unit_test(test_monotone_on_a_grid),
        cmocka_unit_test(test_what_cannot_be_grown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
