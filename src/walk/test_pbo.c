/* Against a twin that writes out both halves of every choice; planted cases with known answers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "walk/pbo.h"

enum { PERIODS = 480, VARIANTS = 12 };
static double x[PERIODS * VARIANTS];

static uint64_t seed_of(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20260807;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static struct walk_pbo pbo(size_t periods, uint32_t variants, uint32_t parts) {
    struct walk_pbo out;
    struct err err = {0};
    assert_int_equal(walk_pbo(&out, x, periods, variants, parts, &err), ST_OK);
    return out;
}

/* ---- the twin: half the parts, laid end to end, one variant at a time ---- */

static double twin_ratio(uint32_t v, size_t periods, uint32_t variants, uint32_t parts,
                         uint32_t chosen) {
    static double series[PERIODS];
    size_t length = periods / parts, n = 0, skip = periods - length * parts;
    for (uint32_t p = 0; p < parts; p++)
        for (size_t i = 0; i < length && (chosen >> p & 1); i++)
            series[n++] = x[(skip + p * length + i) * variants + v];
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) mean += series[i] / (double)n;
    for (size_t i = 0; i < n; i++) squares += (series[i] - mean) * (series[i] - mean);
    return mean / sqrt(squares / (double)(n - 1));
}

static double twin(size_t periods, uint32_t variants, uint32_t parts) {
    uint32_t all = (1U << parts) - 1, choices = 0, below = 0;
    for (uint32_t chosen = 0; chosen <= all; chosen++) {
        uint32_t bits = 0, best = 0, lower = 0;
        for (uint32_t p = 0; p < parts; p++) bits += chosen >> p & 1;
        if (bits != parts / 2) continue;
        double top = -INFINITY;
        for (uint32_t v = 0; v < variants; v++) {
            double r = twin_ratio(v, periods, variants, parts, chosen);
            if (r > top) top = r, best = v;
        }
        double there = twin_ratio(best, periods, variants, parts, all & ~chosen);
        for (uint32_t v = 0; v < variants; v++)
            lower += twin_ratio(v, periods, variants, parts, all & ~chosen) < there;
        choices++;
        below += 2 * (lower + 1) <= variants + 1; /* w <= 1/2 */
    }
    return (double)below / choices;
}

static void noise(struct rng *r, size_t periods, uint32_t variants) {
    for (size_t i = 0; i < periods * variants; i++) x[i] = 0.01 * rng_normal(r);
}

static void agrees_with_the_twin(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    for (int round = 0; round < 6; round++) {
        uint32_t variants = 2 + (uint32_t)rng_below(&r, 8),
                 parts = 2 * (1 + (uint32_t)rng_below(&r, 4));
        size_t periods = 60 + rng_below(&r, 40);
        noise(&r, periods, variants);
        struct walk_pbo got = pbo(periods, variants, parts);
        double want = twin(periods, variants, parts);
        if (!(fabs(got.pbo - want) < 1e-12))
            fail_msg("%u variants, %u parts: %g, twin %g", variants, parts, got.pbo, want);
    }
}

/* Noise: the chosen one's rank in the other half is anyone's. Not exactly a half in one matrix, but on average. */
static void noise_is_a_coin(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    double mean = 0;
    enum { ROUNDS = 20 };
    for (int round = 0; round < ROUNDS; round++) {
        noise(&r, PERIODS, VARIANTS);
        struct walk_pbo p = pbo(PERIODS, VARIANTS, 10);
        assert_int_equal(p.choices, 252);
        mean += p.pbo / ROUNDS;
    }
    print_message("noise: %.3f\n", mean);
    assert_true(mean > 0.35 && mean < 0.65);
}

static void a_true_edge_is_no_overfit(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    noise(&r, PERIODS, VARIANTS);
    for (size_t i = 0; i < PERIODS; i++) x[i * VARIANTS + 3] += 0.005;
    struct walk_pbo p = pbo(PERIODS, VARIANTS, WALK_PBO_PARTS);
    assert_int_equal(p.choices, 12870);
    assert_true(p.pbo < 0.001 && p.loss < 0.001 && p.logit_median > 2);
}

/* Each variant gains in one half of the time what it loses in the other: the best here is the worst there. */
static void what_turns_is_overfit(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    for (size_t i = 0; i < PERIODS; i++)
        for (uint32_t v = 0; v < 4; v++) {
            size_t part = i / (PERIODS / 4);
            x[i * 4 + v] = (part == v ? 0.06 : -0.02) + 0.001 * rng_normal(&r);
        }
    struct walk_pbo p = pbo(PERIODS, 4, 4);
    assert_true(p.pbo == 1 && p.loss == 1);
}

static void the_rest_is_left_out_in_front(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    noise(&r, 103, 5);
    struct walk_pbo whole = pbo(103, 5, 8);
    assert_int_equal(whole.periods, 96);
    for (size_t i = 0; i < 7 * 5; i++) x[i] = 1e3;
    struct walk_pbo same = pbo(103, 5, 8);
    assert_memory_equal(&whole, &same, sizeof same);
}

static void too_little_and_nonsense(void **state) {
    (void)state;
    struct walk_pbo p;
    struct err err = {0};
    for (size_t i = 0; i < 200; i++) x[i] = 0;
    assert_int_equal(walk_pbo(&p, x, 100, 1, 16, &err), ST_OK);
    assert_true(isnan(p.pbo));
    assert_int_equal(walk_pbo(&p, x, 20, 2, 16, &err), ST_OK);
    assert_true(isnan(p.pbo));
    assert_int_equal(walk_pbo(&p, x, 100, 2, 16, &err), ST_OK); /* nobody moves: all are the same */
    assert_true(p.pbo == 1);
    x[5] = INFINITY;
    assert_int_equal(walk_pbo(&p, x, 100, 2, 16, &err), ST_INVALID);
    assert_int_equal(walk_pbo(&p, x, 1, 65, 16, &err), ST_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_twin),          cmocka_unit_test(noise_is_a_coin),
        cmocka_unit_test(a_true_edge_is_no_overfit),     cmocka_unit_test(what_turns_is_overfit),
        cmocka_unit_test(the_rest_is_left_out_in_front), cmocka_unit_test(too_little_and_nonsense)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
