/* Block length of processes whose own is known, intervals that hold the truth as often as they say. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "walk/bootstrap.h"

enum { N_MAX = 20000 };
static double x[N_MAX];

static uint64_t seed_of(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20260807;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* x_t = rho x_(t-1) + e_t + mean (1 - rho), deviation 1. */
static void autoregression(struct rng *r, size_t n, double rho, double mean) {
    double v = rng_normal(r), spread = sqrt(1 - rho * rho);
    for (size_t i = 0; i < n; i++) {
        x[i] = mean + v;
        v = rho * v + spread * rng_normal(r);
    }
}

/* Of such a process G = 2 rho / (1 - rho)^2, g(0) = (1 + rho) / (1 - rho): length = ((2 rho / (1 - rho^2))^2 n)^(1/3). */
static void length_of_autoregressions(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    const double rhos[] = {0.3, 0.5, 0.7, -0.4};
    for (size_t i = 0; i < sizeof rhos / sizeof *rhos; i++) {
        double rho = rhos[i], ratio = 2 * rho / (1 - rho * rho), got = 0;
        double want = cbrt(ratio * ratio * N_MAX);
        enum { ROUNDS = 12 }; /* one estimate is off by a third now and then */
        for (int round = 0; round < ROUNDS; round++) {
            autoregression(&r, N_MAX, rho, 0);
            got += walk_block_length(x, N_MAX) / ROUNDS;
        }
        print_message("rho %g: %.1f, %.1f expected\n", rho, got, want);
        assert_true(got > 0.75 * want && got < 1.33 * want);
    }
}

static void independent_returns_need_no_blocks(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    int longer = 0;
    for (int round = 0; round < 50; round++) {
        autoregression(&r, 500, 0, 0);
        longer += walk_block_length(x, 500) > 6;
    }
    assert_true(longer <= 10);
    for (size_t i = 0; i < 50; i++) x[i] = 0.25;
    assert_true(walk_block_length(x, 50) == 1);
    assert_true(walk_block_length(x, 3) == 1);
}

static double share_covered(struct rng *r, size_t n, double rho, double mean, double block,
                            uint32_t rounds) {
    uint32_t held = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        struct walk_bootstrap b;
        autoregression(r, n, rho, mean);
        assert_int_equal(walk_bootstrap_sharpe(&b, x, n, 1, block, 400, i, NULL), ST_OK);
        held += b.low <= mean && mean <= b.high;
    }
    return (double)held / rounds;
}

/* The mean of 400 such returns is as uncertain as that of 133 independent ones: blocks see it, single draws do not. */
static void blocks_cover_what_single_draws_miss(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    double plain = share_covered(&r, 400, 0, 0.1, 0, 200),
           blocks = share_covered(&r, 400, 0.5, 0.1, 0, 200),
           single = share_covered(&r, 400, 0.5, 0.1, 1, 200);
    print_message("covered: %.3f independent, %.3f dependent, %.3f dependent in single draws\n",
                  plain, blocks, single);
    assert_true(plain > 0.89);
    assert_true(blocks > 0.84);
    assert_true(single < 0.82);
}

static void same_seed_same_interval(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    struct walk_bootstrap a, b, c;
    autoregression(&r, 365, 0.1, 0.05);
    assert_int_equal(walk_bootstrap_sharpe(&a, x, 365, 365, 0, 1000, 9, NULL), ST_OK);
    assert_int_equal(walk_bootstrap_sharpe(&b, x, 365, 365, 0, 1000, 9, NULL), ST_OK);
    assert_int_equal(walk_bootstrap_sharpe(&c, x, 365, 365, 0, 1000, 10, NULL), ST_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.low != c.low);
    assert_true(a.low < a.value && a.value < a.high);
    assert_int_equal(a.draws, 1000);
}

/* One block as long as the series: every draw is the series itself, turned. */
static void one_block_is_the_series(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    struct walk_bootstrap b;
    autoregression(&r, 50, 0.2, 0.1);
    assert_int_equal(walk_bootstrap_sharpe(&b, x, 50, 1, 1e12, 200, 1, NULL), ST_OK);
    assert_true(fabs(b.low - b.value) < 1e-12 && fabs(b.high - b.value) < 1e-12);
}

static void no_answer_and_nonsense(void **state) {
    (void)state;
    struct walk_bootstrap b;
    struct err err = {0};
    for (size_t i = 0; i < 100; i++) x[i] = 0.01;
    assert_int_equal(walk_bootstrap_sharpe(&b, x, 100, 365, 0, 100, 1, &err), ST_OK);
    assert_true(isnan(b.value) && b.draws == 0);
    assert_int_equal(walk_bootstrap_sharpe(&b, x, 5, 365, 0, 100, 1, &err), ST_OK);
    assert_true(isnan(b.low));
    x[7] = NAN;
    assert_int_equal(walk_bootstrap_sharpe(&b, x, 100, 365, 0, 100, 1, &err), ST_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(length_of_autoregressions),
                                       cmocka_unit_test(independent_returns_need_no_blocks),
                                       cmocka_unit_test(blocks_cover_what_single_draws_miss),
                                       cmocka_unit_test(same_seed_same_interval),
                                       cmocka_unit_test(one_block_is_the_series),
                                       cmocka_unit_test(no_answer_and_nonsense)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
