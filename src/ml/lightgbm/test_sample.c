/* Sampling: sizes, order, reach, repeatability; GOSS after the paper's algorithm. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "ml/lightgbm/lgbm_internal.h"

enum { ROWS = 5000, COLUMNS = 40 };

struct fixture {
    struct lgbm_params params;
    struct train_set set;
    double labels[ROWS];
    float gradient[2 * ROWS], hessian[2 * ROWS];
    bool usable[COLUMNS];
    struct lgbm_sampler *sampler;
    struct err err;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    lgbm_params_init(&f->params);
    f->set = (struct train_set){.rows = ROWS, .columns = COLUMNS, .labels = f->labels};
    for (size_t i = 0; i < ROWS; i++) f->labels[i] = i % 5 == 0;
    for (size_t i = 0; i < COLUMNS; i++) f->usable[i] = i % 4 != 3;
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    lgbm_sampler_destroy(f->sampler);
    free(f);
    return 0;
}

static void make(struct fixture *f, const char *params, uint32_t outputs) {
    lgbm_sampler_destroy(f->sampler);
    f->sampler = NULL;
    assert_int_equal(lgbm_params_parse(&f->params, params, COLUMNS, NULL, &f->err), ST_OK);
    assert_int_equal(
        lgbm_sampler_create(&f->sampler, &f->params, &f->set, outputs, f->usable, &f->err), ST_OK);
}

static const uint32_t *draw(struct fixture *f, uint32_t iteration, uint32_t *count) {
    return lgbm_sampler_rows(f->sampler, iteration, f->gradient, f->hessian, count);
}

static void assert_ascending(const uint32_t *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        assert_true(rows[i] < ROWS);
        assert_true(i == 0 || rows[i] > rows[i - 1]);
    }
}

static void test_without_bagging_all_rows(void **state) {
    struct fixture *f = *state;
    uint32_t count;
    make(f, "bagging_fraction=0.5", 1); /* needs bagging_freq too */
    assert_null(draw(f, 0, &count));
    assert_int_equal(count, ROWS);
    assert_null(lgbm_sampler_columns(f->sampler, 0));
}

static void test_bags_are_exact_and_last(void **state) {
    struct fixture *f = *state;
    static uint32_t first[ROWS], seen[ROWS];
    uint32_t count;
    make(f, "bagging_fraction=0.3,bagging_freq=2", 1);
    for (uint32_t iteration = 0; iteration < 400; iteration++) {
        const uint32_t *rows = draw(f, iteration, &count);
        assert_int_equal(count, ROWS * 3 / 10);
        assert_ascending(rows, count);
        if (iteration % 2 == 1) {
            assert_memory_equal(rows, first, count * sizeof *rows);
        } else {
            if (iteration > 0) assert_memory_not_equal(rows, first, count * sizeof *rows);
            for (uint32_t i = 0; i < count; i++) seen[rows[i]]++;
            memcpy(first, rows, count * sizeof *rows);
        }
    }
    /* 200 bags: each row 60 times but for chance (6.5); 6 sigma either way. */
    for (size_t i = 0; i < ROWS; i++) assert_true(seen[i] > 21 && seen[i] < 99);
}

static void test_bags_depend_on_the_seed_alone(void **state) {
    struct fixture *f = *state;
    static uint32_t first[ROWS];
    uint32_t count;
    make(f, "bagging_fraction=0.5,bagging_freq=1,seed=7", 1);
    draw(f, 0, &count);
    memcpy(first, draw(f, 1, &count), count * sizeof *first);
    make(f, "seed=7", 1);
    assert_memory_equal(draw(f, 1, &count), first, count * sizeof *first);
    make(f, "seed=8", 1);
    assert_memory_not_equal(draw(f, 1, &count), first, count * sizeof *first);
}

static void test_balanced_bags(void **state) {
    struct fixture *f = *state;
    uint32_t count, positive = 0;
    make(f, "objective=binary,pos_bagging_fraction=0.9,neg_bagging_fraction=0.2,bagging_freq=1", 1);
    const uint32_t *rows = draw(f, 3, &count);
    assert_ascending(rows, count);
    for (uint32_t i = 0; i < count; i++) positive += f->labels[rows[i]] > 0;
    assert_int_equal(positive, 900);
    assert_int_equal(count - positive, 800);
}

static void test_goss(void **state) {
    struct fixture *f = *state;
    static float before[2 * ROWS];
    static bool drawn[ROWS];
    struct rng r = rng_init(5);
    uint32_t count, top = 0, scaled = 0;
    make(f, "boosting=goss,learning_rate=0.1,top_rate=0.2,other_rate=0.1", 2);
    for (size_t i = 0; i < 2 * ROWS; i++) {
        before[i] = f->gradient[i] = (float)rng_normal(&r);
        f->hessian[i] = 0.5f;
    }
    /* All rows until 1 / learning_rate rounds are done. */
    assert_null(draw(f, 9, &count));
    assert_false(lgbm_sampler_scales(f->sampler, 9));
    assert_true(lgbm_sampler_scales(f->sampler, 10));
    const uint32_t *rows = draw(f, 10, &count);
    assert_int_equal(count, ROWS * 3 / 10);
    assert_ascending(rows, count);
    float smallest_top = INFINITY, largest_rest = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i];
        float size = fabsf(before[row]) + fabsf(before[ROWS + row]);
        drawn[row] = true;
        if (f->hessian[row] > 0.5f) {
            /* (1 - 0.2) / 0.1 */
            assert_true(fabsf(f->gradient[row] - 8 * before[row]) < 1e-4f);
            assert_true(fabsf(f->gradient[ROWS + row] - 8 * before[ROWS + row]) < 1e-4f);
            assert_true(fabsf(f->hessian[ROWS + row] - 4) < 1e-5f);
            largest_rest = fmaxf(largest_rest, size);
            scaled++;
        } else {
            smallest_top = fminf(smallest_top, size);
            top++;
        }
    }
    assert_int_equal(top, ROWS / 5);
    assert_int_equal(scaled, ROWS / 10);
    assert_true(largest_rest <= smallest_top);
    for (size_t i = 0; i < ROWS; i++)
        if (!drawn[i]) assert_memory_equal(&f->gradient[i], &before[i], sizeof *before);
}

/* Gradients that are all the same still give the sizes asked for. */
static void test_goss_of_ties(void **state) {
    struct fixture *f = *state;
    uint32_t count, scaled = 0;
    make(f, "boosting=goss,learning_rate=1", 1);
    for (size_t i = 0; i < ROWS; i++) f->gradient[i] = f->hessian[i] = 1;
    draw(f, 1, &count);
    assert_int_equal(count, ROWS * 3 / 10);
    for (size_t i = 0; i < ROWS; i++) scaled += f->hessian[i] > 1;
    assert_int_equal(scaled, ROWS / 10);
}

static void test_columns(void **state) {
    struct fixture *f = *state;
    uint32_t seen[COLUMNS] = {0};
    make(f, "feature_fraction=0.5", 1);
    for (uint64_t tree = 0; tree < 1000; tree++) {
        const bool *picked = lgbm_sampler_columns(f->sampler, tree);
        uint32_t count = 0;
        for (size_t i = 0; i < COLUMNS; i++) {
            assert_true(!picked[i] || f->usable[i]);
            count += picked[i];
            seen[i] += picked[i];
        }
        assert_int_equal(count, 15); /* half of the 30 usable ones */
    }
    for (size_t i = 0; i < COLUMNS; i++)
        assert_true(f->usable[i] ? seen[i] > 400 && seen[i] < 600 : seen[i] == 0);
    make(f, "feature_fraction=0.001", 1); /* one at least */
    const bool *picked = lgbm_sampler_columns(f->sampler, 0);
    uint32_t count = 0;
    for (size_t i = 0; i < COLUMNS; i++) count += picked[i];
    assert_int_equal(count, 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_without_bagging_all_rows),
        TEST(test_bags_are_exact_and_last),
        TEST(test_bags_depend_on_the_seed_alone),
        TEST(test_balanced_bags),
        TEST(test_goss),
        TEST(test_goss_of_ties),
        TEST(test_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
