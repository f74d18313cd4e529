#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/hist.h"
#include "base/rng.h"

static uint64_t seed;

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t sample(struct rng *rng) {
    return (int64_t)(rng_u64(rng) >> (1 + rng_below(rng, 63)));
}

/* Against a sorted list: never below the true value, and above it by at most a sixteenth. */
static void test_quantiles_against_a_list(void **state) {
    (void)state;
    static int64_t list[2000];
    static struct hist h;
    struct rng rng = rng_init(seed);
    for (int round = 0; round < 200; round++) {
        size_t n = 1 + rng_below(&rng, 2000);
        int64_t scale = round % 2 ? 0 : 1 + (int64_t)rng_below(&rng, 1000000000);
        hist_init(&h);
        for (size_t i = 0; i < n; i++) {
            list[i] = scale ? (int64_t)rng_below(&rng, (uint64_t)scale) : sample(&rng);
            hist_add(&h, list[i]);
        }
        qsort(list, n, sizeof *list, by_value);
        assert_int_equal(h.count, n);
        assert_int_equal(h.min, list[0]);
        assert_int_equal(h.max, list[n - 1]);
        for (int k = 0; k <= 100; k++) {
            double q = k / 100.0;
            size_t rank = (size_t)ceil(q * (double)n);
            int64_t want = list[rank ? rank - 1 : 0], got = hist_quantile(&h, q);
            if (got < want || (got - want) > want / 16)
                fail_msg("q=%g want %lld got %lld", q, (long long)want, (long long)got);
        }
        assert_int_equal(hist_quantile(&h, 1), list[n - 1]);
    }
}

static void test_small_values_are_exact(void **state) {
    (void)state;
    static struct hist h;
    hist_init(&h);
    for (int64_t v = 0; v < 16; v++) hist_add(&h, v);
    for (int k = 1; k <= 16; k++) assert_int_equal(hist_quantile(&h, k / 16.0), k - 1);
}

static void test_edges(void **state) {
    (void)state;
    static struct hist h;
    hist_init(&h);
    assert_int_equal(hist_quantile(&h, 0.5), 0);
    hist_add(&h, -5);
    assert_int_equal(h.min, 0);
    assert_int_equal(h.max, 0);
    assert_int_equal(h.buckets[0], 1);
    hist_add(&h, INT64_MAX);
    hist_add(&h, INT64_MAX);
    hist_add(&h, INT64_MAX);
    assert_int_equal(hist_quantile(&h, 1), INT64_MAX);
    assert_int_equal(hist_quantile(&h, 0), 0);
    assert_true(h.sum == UINT64_MAX); /* three of them do not fit */
    h.buckets[0] = UINT32_MAX;
    hist_add(&h, 0);
    assert_int_equal(h.buckets[0], UINT32_MAX);
    assert_int_equal(hist_quantile(&h, 0.5), 0);
}

static void test_every_bucket_holds_its_edges(void **state) {
    (void)state;
    static struct hist h;
    for (int log2 = 0; log2 < 63; log2++)
        for (int64_t d = -1; d <= 1; d++) {
            int64_t v = (INT64_C(1) << log2) + d;
            hist_init(&h);
            hist_add(&h, v);
            hist_add(&h, INT64_MAX); /* so that the clamp does not hide the upper edge */
            int64_t upper = hist_quantile(&h, 0.5);
            assert_true(upper >= v && upper - v <= v / 16);
        }
}

static void test_merge_is_adding_all(void **state) {
    (void)state;
    static struct hist a, b, all, empty;
    struct rng rng = rng_init(seed + 1);
    hist_init(&a), hist_init(&b), hist_init(&all), hist_init(&empty);
    for (int i = 0; i < 5000; i++) {
        int64_t v = sample(&rng) >> 20;
        hist_add(i % 3 ? &a : &b, v);
        hist_add(&all, v);
    }
    hist_merge(&a, &empty);
    hist_merge(&a, &b);
    assert_memory_equal(&a, &all, sizeof a);
    hist_merge(&empty, &all);
    assert_memory_equal(&empty, &all, sizeof all);
}

int main(void) {
    const char *text = getenv("TEST_SEED");
    seed = text ? strtoull(text, NULL, 10) : 20260405;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles_against_a_list),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_every_bucket_holds_its_edges),
        cmocka_unit_test(test_merge_is_adding_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
