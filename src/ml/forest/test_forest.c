#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <inttypes.h>

#include "ml/forest/forest.h"
#include "ml/forest/test_forest_models.h"

static uint64_t seed;
enum { ROWS_MAX = 300 };

static struct forest *forest_make(void **memory, const struct tree_model *m,
                                  const struct forest_options *options) {
    struct forest *f = NULL;
    size_t size = forest_size(m, options);
    assert_true(size > 0 && size % 64 == 0);
    *memory = aligned_alloc(64, size);
    assert_non_null(*memory);
    memset(*memory, 0xA5, size);
    assert_int_equal(forest_build(&f, *memory, size, m, options), ST_OK);
    return f;
}

/* Rows with junk between them, in both types; f32 holds what f64 rounds to. */
struct rows {
    size_t count, stride;
    double *f64;
    float *f32;
    double *f32_as_f64; /* what f32 equals */
};

static struct rows rows_make(struct rng *r, const struct tree_model *m, size_t count) {
    size_t stride = m->columns + rng_below(r, 4), n = count * stride + 1;
    struct rows rows = {count, stride, malloc(n * 8), malloc(n * 4), malloc(n * 8)};
    assert_true(rows.f64 && rows.f32 && rows.f32_as_f64);
    for (size_t i = 0; i < n; i++) {
        rows.f64[i] = value_random(r, m);
        rows.f32[i] = (float)rows.f64[i];
        rows.f32_as_f64[i] = (double)rows.f32[i];
    }
    return rows;
}

static void rows_free(struct rows *rows) {
    free(rows->f64);
    free(rows->f32);
    free(rows->f32_as_f64);
}

struct wanted {
    double *margin;
    int32_t *leaf;
};

static struct wanted wanted_make(const struct tree_model *m, uint32_t first, uint32_t last,
                                 const double *rows, size_t count, size_t stride) {
    uint32_t trees = (last - first) * m->trees_per_iteration;
    struct wanted w = {malloc(count * m->outputs * 8 + 8), malloc(count * trees * 4 + 4)};
    assert_true(w.margin && w.leaf);
    for (size_t i = 0; i < count; i++) {
        const double *row = rows + i * stride;
        tree_margin_ref(w.margin + i * m->outputs, m, first, last, row);
        for (uint32_t t = 0; t < trees; t++) {
            const struct tree *tree = &m->trees[first * m->trees_per_iteration + t];
            uint32_t leaf = tree_walk_ref(m, tree, row);
            w.leaf[i * trees + t] = tree->leaf_id ? tree->leaf_id[leaf] : (int32_t)leaf;
        }
    }
    return w;
}

static void wanted_free(struct wanted *w) {
    free(w->margin);
    free(w->leaf);
}

static bool same(const double *a, const double *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], 8) != 0 && !(isnan(a[i]) && isnan(b[i]))) {
            print_error("value %zu: %.17g, wanted %.17g\n", i, a[i], b[i]);
            return false;
        }
    return true;
}

static bool same_leaves(const int32_t *a, const int32_t *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i]) {
            print_error("leaf %zu: %d, wanted %d\n", i, a[i], b[i]);
            return false;
        }
    return true;
}

/* One kernel against the reference walk, margins and leaves, rows of both types, `part` at a time. */
static void kernel_check(const struct tree_model *m, const struct forest_options *o,
                         const struct rows *rows, const struct wanted *want_f64,
                         const struct wanted *want_f32, size_t part) {
    void *memory;
    struct forest *f = forest_make(&memory, m, o);
    size_t k = m->outputs, trees = forest_tree_count(f), s = rows->stride;
    double *margin = malloc(rows->count * k * 8 + 8);
    int32_t *leaf = malloc(rows->count * trees * 4 + 4);
    for (int type = 0; type < 2; type++) {
        const struct wanted *want = type ? want_f64 : want_f32;
        for (size_t i = 0; i < rows->count; i += part) {
            size_t n = rows->count - i < part ? rows->count - i : part;
            if (type) {
                forest_margin_f64(margin + i * k, f, rows->f64 + i * s, n, s);
                forest_leaf_f64(leaf + i * trees, f, rows->f64 + i * s, n, s);
            } else {
                forest_margin_f32(margin + i * k, f, rows->f32 + i * s, n, s);
                forest_leaf_f32(leaf + i * trees, f, rows->f32 + i * s, n, s);
            }
        }
        if (!same_leaves(leaf, want->leaf, rows->count * trees) ||
            !same(margin, want->margin, rows->count * k))
            fail_msg("kernel %s (ran as %s), %s rows, %zu at a time", forest_kernel_text(o->kernel),
                     forest_kernel_text(forest_kernel_used(f)), type ? "double" : "float", part);
    }
    free(margin);
    free(leaf);
    free(memory);
}

static void model_check(struct rng *r, const struct tree_model *m, uint32_t first, uint32_t last,
                        size_t count) {
    uint32_t tree;
    uint8_t *visited = malloc(1 << 20);
    const char *problem = tree_model_problem(m, visited, &tree);
    free(visited);
    if (problem) fail_msg("the test's model, tree %u: %s", tree, problem);
    struct rows rows = rows_make(r, m, count);
    struct wanted f64 = wanted_make(m, first, last, rows.f64, count, rows.stride);
    struct wanted f32 = wanted_make(m, first, last, rows.f32_as_f64, count, rows.stride);
    for (enum forest_kernel k = 0; k < FOREST_KERNEL_COUNT; k++) {
        if (!forest_kernel_available(k)) continue;
        struct forest_options o = {first, last, k};
        kernel_check(m, &o, &rows, &f64, &f32, count ? count : 1);
        kernel_check(m, &o, &rows, &f64, &f32, 1 + rng_below(r, 40));
    }
    wanted_free(&f64);
    wanted_free(&f32);
    rows_free(&rows);
}

static void recipe_check(struct rng *r, const struct model_recipe *k, size_t rows_max) {
    struct tree_model *m = model_random(r, k);
    uint32_t last = k->iterations ? 1 + (uint32_t)rng_below(r, k->iterations) : 0;
    uint32_t first = (uint32_t)rng_below(r, last + 1u);
    model_check(r, m, 0, k->iterations, 1 + rng_below(r, rows_max));
    if (last) model_check(r, m, first, last, 1 + rng_below(r, rows_max / 3));
    tree_model_destroy(m);
}

static void test_random_models(void **state) {
    (void)state;
    struct rng r = rng_init(seed);
    const char *ops = getenv("TEST_OPS");
    long n = ops ? strtol(ops, NULL, 10) : 120;
    for (long i = 0; i < n; i++) {
        struct model_recipe k = {.dialect = (enum tree_dialect)rng_below(&r, 2),
                                 .growth = (enum growth)rng_below(&r, GROWTH_COUNT),
                                 .outputs = rng_below(&r, 3) ? 1 : 1 + (uint32_t)rng_below(&r, 5),
                                 .columns = 1 + (uint32_t)rng_below(&r, 40),
                                 .iterations = 1 + (uint32_t)rng_below(&r, 20),
                                 .depth_max = (uint32_t)rng_below(&r, 13)};
        uint32_t full = (1u << k.depth_max) - 1, most = k.growth == GROW_CHAIN ? k.depth_max : full;
        k.splits_max = most > 300 ? 300 : most;
        k.categorical = rng_below(&r, 3) ? 0 : 0.3;
        k.linear = k.dialect == TREES_LIGHTGBM && rng_below(&r, 4) == 0 ? 0.7 : 0;
        k.is_dart = k.dialect == TREES_XGBOOST && rng_below(&r, 4) == 0;
        recipe_check(&r, &k, ROWS_MAX);
    }
}

/* A path to every leaf, one after the other: up to ten thousands of levels. */
static void test_chains(void **state) {
    (void)state;
    struct rng r = rng_init(seed + 1);
    for (uint32_t splits = 1; splits < 40000; splits = splits * 3 + 1)
        for (int dialect = 0; dialect < 2; dialect++)
            recipe_check(&r,
                         &(struct model_recipe){.dialect = (enum tree_dialect)dialect,
                                                .growth = GROW_CHAIN,
                                                .outputs = 1,
                                                .columns = 3,
                                                .iterations = splits < 3000 ? 5 : 1,
                                                .depth_max = 100000,
                                                .splits_max = splits},
                         splits < 1000 ? ROWS_MAX : 40);
}

/* Thousands of thresholds a column (several tables), and more columns than small nodes can name. */
static void test_many_thresholds_and_columns(void **state) {
    (void)state;
    struct rng r = rng_init(seed + 2);
    static const uint32_t columns[] = {1, 2, 300, 3000, 40000};
    for (uint32_t i = 0; i < 5; i++)
        for (int dialect = 0; dialect < 2; dialect++)
            for (int growth = GROW_COMPLETE; growth <= GROW_LEAVES; growth++)
                recipe_check(&r,
                             &(struct model_recipe){.dialect = (enum tree_dialect)dialect,
                                                    .growth = (enum growth)growth,
                                                    .outputs = 1,
                                                    .columns = columns[i],
                                                    .iterations = columns[i] > 10000 ? 700 : 60,
                                                    .depth_max = growth == GROW_COMPLETE ? 6 : 60,
                                                    .splits_max = 63,
                                                    .categorical = i == 2 ? 0.5 : 0},
                             150);
}

/* Outputs so many that the sums of a block would not fit the stack. */
static void test_many_outputs(void **state) {
    (void)state;
    struct rng r = rng_init(seed + 3);
    for (uint32_t outputs = 60; outputs < 1000; outputs *= 2)
        recipe_check(&r,
                     &(struct model_recipe){.dialect = (enum tree_dialect)rng_below(&r, 2),
                                            .growth = GROW_MIXED,
                                            .outputs = outputs,
                                            .columns = 20,
                                            .iterations = 2,
                                            .depth_max = 8,
                                            .splits_max = 8},
                     150);
}

static void test_no_trees(void **state) {
    (void)state;
    struct rng r = rng_init(seed + 4);
    recipe_check(&r, &(struct model_recipe){.outputs = 3, .columns = 2, .iterations = 0}, ROWS_MAX);
    recipe_check(&r, &(struct model_recipe){.outputs = 2, .columns = 1, .iterations = 9}, ROWS_MAX);
}

static struct tree_model *model_small(struct rng *r, enum tree_dialect dialect, uint32_t outputs) {
    return model_random(r, &(struct model_recipe){.dialect = dialect,
                                                  .growth = GROW_LEAVES,
                                                  .outputs = outputs,
                                                  .columns = 7,
                                                  .iterations = 10,
                                                  .depth_max = 9,
                                                  .splits_max = 20});
}

/* last_iteration 0 means what early stopping kept; ranges beyond the model have no size. */
static void test_ranges(void **state) {
    (void)state;
    struct rng r = rng_init(seed + 5);
    struct tree_model *m = model_small(&r, TREES_XGBOOST, 3);
    void *memory;
    struct forest *f = forest_make(&memory, m, &(struct forest_options){0});
    assert_int_equal(forest_tree_count(f), 30);
    assert_int_equal(forest_columns(f), 7);
    assert_int_equal(forest_outputs(f), 3);
    free(memory);
    m->best_iterations = 4;
    f = forest_make(&memory, m, &(struct forest_options){.first_iteration = 1});
    assert_int_equal(forest_tree_count(f), 9);
    free(memory);
    f = forest_make(&memory, m, &(struct forest_options){.last_iteration = 10});
    assert_int_equal(forest_tree_count(f), 30);
    assert_int_equal(forest_size(m, &(struct forest_options){.last_iteration = 11}), 0);
    assert_int_equal(
        forest_size(m, &(struct forest_options){.first_iteration = 5, .last_iteration = 4}), 0);
    struct forest *other = NULL;
    assert_int_equal(
        forest_build(&other, memory, 1 << 20, m, &(struct forest_options){.last_iteration = 11}),
        ST_INVALID);
    free(memory);
    tree_model_destroy(m);
}

static void test_kernels_are_told(void **state) {
    (void)state;
    struct rng r = rng_init(seed + 6);
    struct tree_model *m = model_small(&r, TREES_LIGHTGBM, 1);
    void *memory;
    for (enum forest_kernel k = FOREST_KERNEL_REF; k < FOREST_KERNEL_COUNT; k++) {
        struct forest_options o = {.kernel = k};
        print_message("%s: %s\n", forest_kernel_text(k),
                      forest_kernel_available(k) ? "tested" : "not on this processor");
        if (forest_kernel_available(k)) {
            struct forest *f = forest_make(&memory, m, &o);
            assert_int_equal(forest_kernel_used(f), k);
        } else {
            struct forest *f = NULL;
            memory = aligned_alloc(64, forest_size(m, &o));
            assert_int_equal(forest_build(&f, memory, forest_size(m, &o), m, &o), ST_UNSUPPORTED);
            assert_null(f);
        }
        free(memory);
    }
    assert_false(forest_kernel_available(FOREST_KERNEL_COUNT));
    tree_model_destroy(m);
}

/* The block may be moved: it holds no address, and the model is not looked at again. */
static void test_block_is_position_independent(void **state) {
    (void)state;
    struct rng r = rng_init(seed + 7);
    struct tree_model *m = model_small(&r, TREES_LIGHTGBM, 2);
    struct rows rows = rows_make(&r, m, 90);
    struct wanted want = wanted_make(m, 0, 10, rows.f64, 90, rows.stride);
    void *memory;
    size_t size = forest_size(m, &(struct forest_options){0});
    forest_make(&memory, m, &(struct forest_options){0});
    tree_model_destroy(m);
    void *moved = aligned_alloc(64, size);
    memcpy(moved, memory, size);
    memset(memory, 0xFF, size);
    free(memory);
    double margin[180];
    forest_margin_f64(margin, moved, rows.f64, 90, rows.stride);
    assert_true(same(margin, want.margin, 180));
    free(moved);
    wanted_free(&want);
    rows_free(&rows);
}

static void test_transforms_are_the_model_s(void **state) {
    (void)state;
    struct rng r = rng_init(seed + 8);
    for (int dialect = 0; dialect < 2; dialect++)
        for (int t = TRANSFORM_NONE; t <= TRANSFORM_LOG1P_EXP; t++) {
            struct tree_model *m = model_small(&r, (enum tree_dialect)dialect, 3);
            m->transform = (enum tree_transform)t;
            m->sigmoid = 0.7;
            m->average_output = dialect == TREES_LIGHTGBM;
            void *memory;
            struct forest *f = forest_make(&memory, m, &(struct forest_options){2, 8, 0});
            uint32_t columns = forest_prediction_columns(f);
            assert_int_equal(columns, tree_prediction_columns(m));
            double margin[30], out[30], want[3];
            for (int i = 0; i < 30; i++) margin[i] = 3 * rng_normal(&r);
            forest_transform(out, f, margin, 10);
            for (int i = 0; i < 10; i++) {
                tree_transform(want, m, 6, margin + i * 3);
                assert_true(same(out + (uint32_t)i * columns, want, columns));
            }
            forest_transform(margin, f, margin, 10);
            assert_true(same(margin, out, 10 * columns));
            free(memory);
            tree_model_destroy(m);
        }
}

int main(void) {
    const char *text = getenv("TEST_SEED");
    seed = text ? strtoull(text, NULL, 10) : 20261122;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_models),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_many_thresholds_and_columns),
        cmocka_unit_test(test_many_outputs),
        cmocka_unit_test(test_no_trees),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_kernels_are_told),
        cmocka_unit_test(test_block_is_position_independent),
        cmocka_unit_test(test_transforms_are_the_model_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
