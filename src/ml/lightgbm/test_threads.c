/* Threads: every part once, whoever runs it; no task before the last one is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ml/lightgbm/lgbm_internal.h"

enum { PARTS_MAX = 1000, ROUNDS = 2000 };

struct work {
    uint32_t round;
    uint32_t done[PARTS_MAX]; /* round that ran the part, and how often */
    uint32_t times[PARTS_MAX];
    double sums[PARTS_MAX];
};

static void part_mark(void *context, uint32_t part) {
    struct work *w = context;
    w->done[part] = w->round;
    w->times[part]++;
}

static void part_sum(void *context, uint32_t part) {
    struct work *w = context;
    double sum = 0;
    for (uint32_t i = 0; i < 2000; i++) sum += 1.0 / (double)(1 + i + part);
    w->sums[part] = sum;
}

static void test_every_part_once(void **state) {
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 8};
    struct work *w = calloc(1, sizeof *w);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        struct lgbm_threads *t;
        assert_int_equal(lgbm_threads_create(&t, counts[c], NULL), ST_OK);
        assert_int_equal(lgbm_threads_count(t), counts[c]);
        memset(w, 0, sizeof *w);
        for (uint32_t round = 1; round <= ROUNDS; round++) {
            uint32_t parts = round % 7 == 0 ? PARTS_MAX : round % 5;
            w->round = round;
            memset(w->times, 0, sizeof w->times);
            lgbm_threads_run(t, part_mark, w, parts);
            for (uint32_t i = 0; i < parts; i++) {
                assert_int_equal(w->done[i], round);
                assert_int_equal(w->times[i], 1);
            }
            for (uint32_t i = parts; i < PARTS_MAX; i++) assert_int_equal(w->times[i], 0);
        }
        lgbm_threads_destroy(t);
    }
    free(w);
}

static void test_same_result_with_any_number(void **state) {
    (void)state;
    struct work *w[2] = {calloc(1, sizeof **w), calloc(1, sizeof **w)};
    for (uint32_t i = 0; i < 2; i++) {
        struct lgbm_threads *t;
        assert_int_equal(lgbm_threads_create(&t, 1 + 3 * i, NULL), ST_OK);
        lgbm_threads_run(t, part_sum, w[i], PARTS_MAX);
        lgbm_threads_destroy(t);
    }
    assert_memory_equal(w[0]->sums, w[1]->sums, sizeof w[0]->sums);
    free(w[0]);
    free(w[1]);
}

/* Sleeping workers are woken, and a pool that has never worked ends. */
static void test_idle_pools_end(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        struct lgbm_threads *t;
        assert_int_equal(lgbm_threads_create(&t, 4, NULL), ST_OK);
        lgbm_threads_destroy(t);
    }
    lgbm_threads_destroy(NULL);
}

static void test_zero_means_processors(void **state) {
    (void)state;
    struct lgbm_threads *t;
    assert_int_equal(lgbm_threads_create(&t, 0, NULL), ST_OK);
    assert_true(lgbm_threads_count(t) >= 1);
    lgbm_threads_destroy(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_part_once),
        cmocka_unit_test(test_same_result_with_any_number),
        cmocka_unit_test(test_idle_pools_end),
        cmocka_unit_test(test_zero_means_processors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
