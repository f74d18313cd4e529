/* Bins: LightGBM's cases one by one, properties on random columns, bundles.
 *
 * Goldens: bounds as thresholds of models that LightGBM 4.6 wrote show them (whole-number columns
 * part at the double above the middle, zero at +-1.0000000180025095e-35). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/lightgbm/test_grow_data.h"
#include "ml/model_io/model_io.h"

static const struct lgbm_bin_rule usual = {
    .use_missing = true, .max_bin = 255, .min_data_in_bin = 3};

static struct lgbm_bins find(const double *x, size_t n, const struct lgbm_bin_rule *rule) {
    struct lgbm_bins b;
    void *scratch = malloc(lgbm_bins_scratch(n));
    struct err err;
    enum status st = lgbm_bins_find(&b, x, n, rule, scratch, &err);
    if (st != ST_OK) fail_msg("%s", err.text);
    free(scratch);
    return b;
}

/* ---- one by one ---- */

static void test_whole_numbers_part_above_the_middle(void **state) {
    (void)state;
    double x[170];
    for (int i = 0; i < 170; i++) x[i] = i % 17 - 8;
    struct lgbm_bins b = find(x, 170, &usual);
    assert_int_equal(b.count, 17);
    assert_true(b.bounds[0] == -7.4999999999999991);
    assert_true(b.bounds[5] == -2.4999999999999996);
    assert_true(b.bounds[7] == -1.0000000180025095e-35);
    assert_true(b.bounds[8] == 1.0000000180025095e-35);
    assert_true(b.bounds[9] == 1.5000000000000002);
    assert_true(isinf(b.bounds[16]));
    assert_int_equal(b.zero_bin, 8);
    assert_int_equal(b.missing, MISSING_NONE);
    assert_true(b.min == -8 && b.max == 8);
    lgbm_bins_free(&b);
}

static void test_few_rows_join_their_neighbours(void **state) {
    (void)state;
    /* 1 and 2 have two rows each: one bin of four, as a bin needs three. */
    const double x[] = {1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4};
    struct lgbm_bins b = find(x, sizeof x / sizeof *x, &usual);
    /* Zero keeps its bin though it has no rows. */
    assert_int_equal(b.count, 4);
    assert_true(b.bounds[1] == 2.5000000000000004 && b.bounds[2] == 3.5000000000000004);
    assert_int_equal(lgbm_bins_of(&b, 1), 1);
    assert_int_equal(lgbm_bins_of(&b, 2), 1);
    assert_int_equal(lgbm_bins_of(&b, 2.5000000000000004), 1);
    assert_int_equal(lgbm_bins_of(&b, 3), 2);
    assert_int_equal(lgbm_bins_of(&b, 1e308), 3);
    assert_int_equal(lgbm_bins_of(&b, (double)NAN), 0);
    lgbm_bins_free(&b);
}

static void test_a_large_value_has_its_own_bin(void **state) {
    (void)state;
    double x[1000];
    for (int i = 0; i < 1000; i++) x[i] = i < 500 ? 5.25 : 1 + i * 0.01;
    struct lgbm_bin_rule rule = usual;
    rule.max_bin = 16;
    struct lgbm_bins b = find(x, 1000, &rule);
    assert_true(b.count <= 16 && b.count > 8);
    uint32_t bin = lgbm_bins_of(&b, 5.25);
    assert_true(b.frequent_bin == bin && b.frequent_count == 500);
    assert_true(lgbm_bins_of(&b, 6.0) > bin);
    lgbm_bins_free(&b);
}

static void test_missing_types(void **state) {
    (void)state;
    double x[60];
    for (int i = 0; i < 60; i++)
        x[i] = i % 3 == 0 ? (double)NAN : i % 3 == 1 ? -1 - i % 2 : 2 + i % 2;
    struct lgbm_bins b = find(x, 60, &usual);
    assert_int_equal(b.missing, MISSING_NAN);
    assert_int_equal(lgbm_bins_of(&b, (double)NAN), b.count - 1);
    assert_int_equal(lgbm_bins_missing(&b), b.count - 1);
    assert_int_equal(lgbm_bins_of(&b, (double)INFINITY), b.count - 2);
    lgbm_bins_free(&b);

    struct lgbm_bin_rule rule = usual;
    rule.use_missing = false;
    b = find(x, 60, &rule);
    assert_int_equal(b.missing, MISSING_NONE);
    assert_int_equal(lgbm_bins_of(&b, (double)NAN), b.zero_bin);
    assert_int_equal(lgbm_bins_missing(&b), UINT32_MAX);
    lgbm_bins_free(&b);

    rule = usual;
    rule.zero_as_missing = true;
    b = find(x, 60, &rule);
    assert_int_equal(b.missing, MISSING_ZERO);
    assert_int_equal(lgbm_bins_of(&b, (double)NAN), b.zero_bin);
    assert_int_equal(lgbm_bins_of(&b, 1e-36), b.zero_bin);
    assert_int_equal(lgbm_bins_missing(&b), b.zero_bin);
    lgbm_bins_free(&b);
}

static void test_infinities_stay_writable(void **state) {
    (void)state;
    double x[40];
    for (int i = 0; i < 40; i++)
        x[i] = i % 4 == 0 ? (double)INFINITY : i % 4 == 1 ? -(double)INFINITY : i % 4 == 2 ? -i : i;
    struct lgbm_bin_rule rule = usual;
    rule.min_data_in_bin = 1;
    struct lgbm_bins b = find(x, 40, &rule);
    uint32_t low = lgbm_bins_of(&b, -(double)INFINITY), high = lgbm_bins_of(&b, (double)INFINITY);
    assert_true(b.bounds[low] == -1e300 && b.bounds[high - 1] == 1e300 && isinf(b.bounds[high]));
    assert_int_equal(lgbm_bins_of(&b, 39), high - 1);
    lgbm_bins_free(&b);
}

static void test_categories_by_count(void **state) {
    (void)state;
    /* 7: 50 rows, 3: 30, 1: 15, 9 and 2: 2, -1: 1; in this order, the rare ones beyond 99 % not
     * named. */
    double x[100];
    for (int i = 0; i < 100; i++)
        x[i] = i < 50 ? 7.75 : i < 80 ? 3 : i < 95 ? 1 : i < 97 ? 9 : i < 99 ? 2 : -1;
    struct lgbm_bin_rule rule = usual;
    rule.categorical = true;
    struct lgbm_bins b = find(x, 100, &rule);
    assert_int_equal(b.count, 4); /* 2 and 9 have fewer rows than a bin needs */
    const int32_t order[] = {-1, 7, 3, 1};
    assert_memory_equal(b.categories, order, sizeof order);
    assert_int_equal(b.missing, MISSING_NAN);
    assert_int_equal(lgbm_bins_of(&b, 7), 1);
    assert_int_equal(lgbm_bins_of(&b, 3.99), 2);
    assert_int_equal(lgbm_bins_of(&b, 9), 0);
    assert_int_equal(lgbm_bins_of(&b, -1), 0);
    assert_int_equal(lgbm_bins_of(&b, (double)NAN), 0);
    assert_int_equal(lgbm_bins_of(&b, 4e9), 0);
    lgbm_bins_free(&b);
}

static void test_a_category_too_large_is_an_error(void **state) {
    (void)state;
    const double x[] = {1, 2, LGBM_CATEGORY_MAX};
    struct lgbm_bin_rule rule = usual;
    rule.categorical = true;
    struct lgbm_bins b;
    struct err err;
    void *scratch = malloc(lgbm_bins_scratch(3));
    assert_int_equal(lgbm_bins_find(&b, x, 3, &rule, scratch, &err), ST_RANGE);
    assert_string_equal(err.text, "category 1048576; the largest is 1048575");
    free(scratch);
}

static void test_unusable_columns(void **state) {
    (void)state;
    double x[100];
    for (int i = 0; i < 100; i++) x[i] = 3;
    struct lgbm_bins b = find(x, 100, &usual);
    /* Two bins, zero's and the value's, but nothing on one side. */
    struct lgbm_bin_rule rule = usual;
    rule.pre_filter = true;
    rule.filter_count = 1;
    lgbm_bins_free(&b);
    b = find(x, 100, &rule);
    assert_false(b.usable);
    lgbm_bins_free(&b);
    for (int i = 0; i < 19; i++) x[i] = 4;
    rule.filter_count = 20;
    b = find(x, 100, &rule);
    assert_false(b.usable);
    lgbm_bins_free(&b);
    rule.filter_count = 19;
    b = find(x, 100, &rule);
    assert_true(b.usable);
    lgbm_bins_free(&b);
}

/* ---- properties ---- */

/* The bin of a value by its definition. */
static uint32_t bin_naive(const struct lgbm_bins *b, double x) {
    if (isnan(x)) {
        if (b->missing == MISSING_NAN) return b->count - 1;
        x = 0;
    }
    if (fabs(x) <= LGBM_ZERO) x = 0;
    uint32_t bin = 0;
    while (x > b->bounds[bin]) bin++;
    return bin;
}

static void test_random_columns(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(11));
    for (int round = 0; round < 400; round++) {
        static const enum data_kind kinds[] = {KIND_NORMAL, KIND_STEPS, KIND_NAN, KIND_SPARSE,
                                               KIND_EXTREME};
        size_t n = 1 + rng_below(&r, 3000);
        enum data_kind kind = kinds[rng_below(&r, 5)];
        struct data d = data_make(&r, n, 1, &kind);
        struct lgbm_bin_rule rule = {.use_missing = rng_below(&r, 4) > 0,
                                     .zero_as_missing = rng_below(&r, 3) == 0,
                                     .max_bin = 2 + (uint32_t)rng_below(&r, 400),
                                     .min_data_in_bin = 1 + (uint32_t)rng_below(&r, 5)};
        struct lgbm_bins b = find(d.x, n, &rule);
        assert_true(b.count >= 1 && b.count <= rule.max_bin + 1);
        uint32_t numbers = b.count - (b.missing == MISSING_NAN);
        for (uint32_t i = 1; i < numbers; i++) assert_true(b.bounds[i] > b.bounds[i - 1]);
        assert_true(isinf(b.bounds[numbers - 1]));
        for (uint32_t i = 0; i + 1 < numbers; i++) assert_true(fabs(b.bounds[i]) <= 1e300);
        uint32_t *rows = calloc(b.count, sizeof *rows), *bins = calloc(n, sizeof *bins);
        lgbm_bins_of_rows(bins, &b, d.x, (uint32_t)n);
        for (size_t i = 0; i < n; i++) {
            uint32_t bin = lgbm_bins_of(&b, d.x[i]);
            assert_int_equal(bin, bins[i]);
            assert_int_equal(bin, bin_naive(&b, d.x[i]));
            rows[bin]++;
        }
        assert_int_equal(rows[b.frequent_bin], b.frequent_count);
        free(rows);
        free(bins);
        lgbm_bins_free(&b);
        data_free(&d);
    }
}

/* Many values of equal weight: bins of equal weight. */
static void test_bins_are_even(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(12));
    enum data_kind kind = KIND_NORMAL;
    struct data d = data_make(&r, 100000, 1, &kind);
    struct lgbm_bins b = find(d.x, 100000, &usual);
    assert_int_equal(b.count, 255);
    uint32_t rows[255] = {0};
    for (size_t i = 0; i < 100000; i++) rows[lgbm_bins_of(&b, d.x[i])]++;
    for (uint32_t i = 0; i < 255; i++)
        if (i != b.zero_bin) assert_in_range(rows[i], 380, 410);
    lgbm_bins_free(&b);
    data_free(&d);
}

/* ---- sets ---- */

static struct lgbm_dataset *make_set(const struct data *d, const struct lgbm_params *p,
                                     uint32_t threads) {
    struct workers *t;
    struct lgbm_dataset *out;
    struct err err;
    assert_int_equal(workers_create(&t, threads, &err), ST_OK);
    if (lgbm_dataset_create(&out, &d->set, p, NULL, t, &err) != ST_OK) fail_msg("%s", err.text);
    workers_destroy(t);
    return out;
}

/* Codes of a lane read from a packed row, as the definition has them. */
static uint32_t packed_code(const struct lgbm_dataset *d, const struct lgbm_quad *q, uint32_t lane,
                            size_t row) {
    uint64_t word = 0;
    memcpy(&word, d->packed + row * d->row_stride + q->row_offset, q->bits / 2);
    return (uint32_t)(word >> (lane * q->bits) & ((UINT64_C(1) << q->bits) - 1));
}

static uint32_t code_expected(const struct lgbm_dataset *d, const struct lgbm_lane *l, size_t row) {
    uint32_t code = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct lgbm_member *m = &d->members[l->first + i];
        uint32_t bin = lgbm_store_get(&d->stores[m->feature], row);
        if (l->count == 1) return bin;
        if (bin == m->elided) continue;
        assert_int_equal(code, 0); /* no conflict */
        code = m->base + bin - (bin > m->elided);
    }
    assert_true(code < l->bins || l->count == 0);
    return code;
}

static void test_stores_and_packed_rows(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(13));
    for (int round = 0; round < 30; round++) {
        uint32_t columns = 1 + (uint32_t)rng_below(&r, 40);
        struct data d = data_make(&r, 50 + rng_below(&r, 6000), columns, NULL);
        struct lgbm_params p = data_params(&d);
        p.max_bin = round % 3 == 0 ? 1000 : round % 3 == 1 ? 255 : 12;
        p.bin_construct_sample_cnt = round % 2 ? 200000 : 300;
        p.zero_as_missing = round % 4 == 3;
        struct lgbm_dataset *set = make_set(&d, &p, 1 + (uint32_t)round % 3);
        uint32_t seen = 0;
        for (uint32_t f = 0; f < set->feature_count; f++)
            for (size_t i = 0; i < set->rows; i++)
                assert_int_equal(lgbm_store_get(&set->stores[f], i),
                                 lgbm_bins_of(&set->bins[set->feature_column[f]],
                                              d.x[i * columns + set->feature_column[f]]));
        for (uint32_t i = 0; i < set->quad_count; i++)
            for (uint32_t k = 0; k < LGBM_LANES; k++) {
                seen += set->quads[i].lanes[k].count;
                for (size_t row = 0; row < set->rows; row++)
                    assert_int_equal(packed_code(set, &set->quads[i], k, row),
                                     code_expected(set, &set->quads[i].lanes[k], row));
            }
        assert_int_equal(seen, set->feature_count);
        lgbm_dataset_destroy(set);
        data_free(&d);
    }
}

static void test_exclusive_columns_share_a_lane(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(14));
    enum data_kind kinds[9];
    for (int c = 0; c < 9; c++) kinds[c] = c < 8 ? KIND_HOT : KIND_NORMAL;
    struct data d = data_make(&r, 2000, 9, kinds);
    struct lgbm_params p = data_params(&d);
    /* Columns 0 to 3 exclude each other; 4 to 7 repeat them. */
    for (int bundle = 0; bundle < 2; bundle++) {
        p.enable_bundle = bundle;
        struct lgbm_dataset *set = make_set(&d, &p, 1);
        uint32_t lanes = 0;
        for (uint32_t i = 0; i < set->quad_count; i++)
            for (uint32_t k = 0; k < LGBM_LANES; k++) lanes += set->quads[i].lanes[k].count > 0;
        assert_int_equal(set->feature_count, 9);
        assert_int_equal(lanes, bundle ? 3 : 9);
        lgbm_dataset_destroy(set);
    }
    data_free(&d);
}

static void test_infos_and_usable(void **state) {
    (void)state;
    struct rng r = rng_init(data_seed(15));
    const enum data_kind kinds[] = {KIND_STEPS, KIND_CONSTANT, KIND_CATEGORY};
    struct data d = data_make(&r, 900, 3, kinds);
    struct lgbm_params p = data_params(&d);
    struct lgbm_dataset *set = make_set(&d, &p, 1);
    bool usable[3];
    assert_int_equal(lgbm_dataset_usable(set, usable), 2);
    assert_true(usable[0] && !usable[1] && usable[2]);
    struct tree_model *m = tree_model_create(TREES_LIGHTGBM, 1, 3);
    assert_string_equal(lgbm_dataset_info(set, 0, m), "[-5:5]");
    assert_string_equal(lgbm_dataset_info(set, 1, m), "none");
    assert_memory_equal(lgbm_dataset_info(set, 2, m), "-1:", 3);
    assert_int_equal(strlen(lgbm_dataset_info(set, 2, m)), strlen("-1:0:1:2"));
    tree_model_destroy(m);
    lgbm_dataset_destroy(set);
    data_free(&d);
}

static void test_sets_that_do_not_fit(void **state) {
    (void)state;
    struct rng r = rng_init(16);
    struct data d = data_make(&r, 100, 3, NULL), e = data_make(&r, 100, 2, NULL);
    struct lgbm_params p = data_params(&d);
    struct workers *t;
    struct lgbm_dataset *set = make_set(&d, &p, 1), *other;
    assert_int_equal(workers_create(&t, 1, NULL), ST_OK);
    assert_int_equal(lgbm_dataset_create(&other, &e.set, &p, set, t, NULL), ST_MISMATCH);
    assert_null(other);
    e.set.rows = 0;
    assert_int_equal(lgbm_dataset_create(&other, &e.set, &p, NULL, t, NULL), ST_RANGE);
    workers_destroy(t);
    lgbm_dataset_destroy(set);
    data_free(&d);
    data_free(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_numbers_part_above_the_middle),
        cmocka_unit_test(test_few_rows_join_their_neighbours),
        cmocka_unit_test(test_a_large_value_has_its_own_bin),
        cmocka_unit_test(test_missing_types),
        cmocka_unit_test(test_infinities_stay_writable),
        cmocka_unit_test(test_categories_by_count),
        cmocka_unit_test(test_a_category_too_large_is_an_error),
        cmocka_unit_test(test_unusable_columns),
        cmocka_unit_test(test_random_columns),
        cmocka_unit_test(test_bins_are_even),
        cmocka_unit_test(test_stores_and_packed_rows),
        cmocka_unit_test(test_exclusive_columns_share_a_lane),
        cmocka_unit_test(test_infos_and_usable),
        cmocka_unit_test(test_sets_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
