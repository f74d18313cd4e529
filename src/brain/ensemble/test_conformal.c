/* Coverage: nominal 90 %, within 1.5 points on every stream below, still or drifting; and that the fixed
 * table alone does not hold it where things drift, so that the check can fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/ensemble/conformal.h"

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240803;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Errors of a forecast, by kind of world; t of T. */
enum world { STILL, HEAVY, ASYMMETRIC, JUMP, CREEP, REGIMES, CALMER, WORLD_COUNT };
static const char *const world_names[] = {"still", "heavy tails", "asymmetric", "jump x3",
                                          "creep", "regimes",     "calmer"};

static double noise_of(enum world w, struct rng *r, int t, int total) {
    double z = rng_normal(r);
    switch (w) {
    case STILL:
        return z;
    case HEAVY: { /* Student's t with 3 degrees of freedom */
        double s = 0;
        for (int i = 0; i < 3; i++) s += pow(rng_normal(r), 2);
        return z / sqrt(s / 3);
    }
    case ASYMMETRIC:
        return -log(1 - rng_f64(r)) - 1;
    case JUMP:
        return t < total / 2 ? z : 3 * z;
    case CREEP:
        return z * exp(2.0 * t / total);
    case REGIMES:
        return z * (t / 700 % 2 ? 2.5 : 1);
    case CALMER:
        return t < total / 2 ? z : z / 3;
    case WORLD_COUNT:
        break;
    }
    return z;
}

enum { FIT = 8000, TOTAL = 10000 };

static void fit_table(struct conformal_table *table, enum world w, struct rng *r) {
    static double residuals[FIT];
    for (int i = 0; i < FIT; i++) residuals[i] = fabs(noise_of(w, r, 0, TOTAL));
    qsort(residuals, FIT, sizeof *residuals, ascending);
    assert_true(conformal_table_fit(table, residuals, FIT));
}

static void coverage_holds_still_or_drifting(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    for (int w = 0; w < WORLD_COUNT; w++) {
        struct rng r = rng_init(seed + (uint64_t)w);
        struct conformal_table table;
        fit_table(&table, (enum world)w, &r);
        static struct conformal c;
        conformal_init_default(&c, &table);
        double fixed_width = conformal_table_width(&table, 0.10);
        int fixed_in = 0, in = 0;
        double width_max = 0;
        for (int t = 0; t < TOTAL; t++) {
            /* Scale and centre vary; the error is in scales, as with a signal's move. */
            double scale = 0.005 * (1 + rng_f64(&r)), center = 0.01 * rng_normal(&r);
            double y = center + scale * noise_of((enum world)w, &r, t, TOTAL);
            struct conformal_interval i;
            assert_true(conformal_interval(&i, &c, center, scale));
            assert_true(isfinite(i.low) && i.low <= i.high);
            in += y >= i.low && y <= i.high;
            double residual = fabs(y - center) / scale;
            fixed_in += residual <= fixed_width;
            width_max = fmax(width_max, i.width);
            conformal_round(&c, &residual, &i.width, 1);
        }
        double coverage = in / (double)TOTAL, fixed = fixed_in / (double)TOTAL;
        print_message("%-12s adaptive %.2f %%  fixed %.2f %%  widest %.1f\n", world_names[w],
                      100 * coverage, 100 * fixed, width_max);
        assert_true(fabs(coverage - 0.90) <= 0.015);
        /* One table of 8,000 rows against 10,000 others: 0.45 points of sampling, five times. */
        if (w == STILL || w == HEAVY || w == ASYMMETRIC) assert_true(fabs(fixed - 0.90) <= 0.0225);
        if (w == JUMP || w == CREEP || w == REGIMES) assert_true(fixed < 0.80);
        if (w == CALMER) assert_true(fixed > 0.93);
    }
}

/* Fifty symbols answer at once and share a shock, and what was said is judged 12 rounds later. */
static void coverage_holds_for_a_crowd_judged_late(void **state) {
    (void)state;
    enum { SYMBOLS = 50, ROUNDS = 4000, LATE = 12 };
    struct rng r = rng_init(test_seed());
    static struct conformal c;
    conformal_init_default(&c, NULL);
    static double residuals[LATE][SYMBOLS], widths[LATE][SYMBOLS];
    for (int t = 0; t < ROUNDS; t++) {
        int slot = t % LATE;
        if (t >= LATE) conformal_round(&c, residuals[slot], widths[slot], SYMBOLS);
        double common = rng_normal(&r), level = exp(sin(t / 300.0));
        for (int s = 0; s < SYMBOLS; s++) {
            struct conformal_interval i;
            bool known = conformal_interval(&i, &c, 0, 1);
            widths[slot][s] = known ? i.width : (double)NAN;
            residuals[slot][s] = fabs(level * (0.5 * common + rng_normal(&r)));
        }
    }
    print_message("coverage %.2f %% of %llu\n", 100 * conformal_coverage(&c),
                  (unsigned long long)c.outcomes);
    assert_true(fabs(conformal_coverage(&c) - 0.90) <= 0.015);
}

/* The bound holds against whoever looks at the width first. */
static void bound_holds_against_an_adversary(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    for (int kind = 0; kind < 4; kind++) {
        static struct conformal c;
        struct conformal_table table;
        fit_table(&table, STILL, &r);
        conformal_init(&c, 0.10, 0.05, &table);
        double lowest = c.alpha_now, highest = c.alpha_now;
        enum { ROUNDS = 3000 };
        for (int t = 0; t < ROUNDS; t++) {
            struct conformal_interval i;
            assert_true(conformal_interval(&i, &c, 0, 1));
            double just_out = fmin(i.width * 1.000001 + 1e-9, 1000), in = i.width * 0.5 + 1e-9;
            double residual = kind == 0   ? just_out
                              : kind == 1 ? in
                              : kind == 2 ? (t / 100 % 2 ? just_out : in)
                                          : (rng_below(&r, 4) ? in : 1000 * rng_f64(&r));
            conformal_round(&c, &residual, &i.width, 1);
            lowest = fmin(lowest, c.alpha_now);
            highest = fmax(highest, c.alpha_now);
        }
        double mean = c.miss_share_sum / ROUNDS;
        double bound = (highest - lowest + c.step) / (c.step * ROUNDS);
        print_message("adversary %d: misses %.3f, bound %.3f\n", kind, mean, bound);
        assert_true(fabs(mean - 0.10) <= bound + 1e-12);
        assert_int_equal(c.rounds, ROUNDS);
    }
}

static void table_by_hand(void **state) {
    (void)state;
    struct conformal_table t;
    double nine[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_true(conformal_table_fit(&t, nine, 9));
    /* Rank ceil(10 * 0.9) = 9; ceil(10 * 0.5) = 5. */
    assert_true(conformal_table_width(&t, 0.10) == 9);
    assert_true(conformal_table_width(&t, 0.5) == 5);
    assert_true(conformal_table_width(&t, 1e-9) == 9);
    double bad[3] = {1, 3, 2};
    assert_false(conformal_table_fit(&t, bad, 3));
    assert_true(t.rows == 0 && isinf(conformal_table_width(&t, 0.1)));
    bad[2] = (double)NAN;
    assert_false(conformal_table_fit(&t, bad, 3));
    bad[0] = -1;
    assert_false(conformal_table_fit(&t, bad, 1));
    assert_false(conformal_table_fit(&t, bad, 0));
}

/* Split conformal's own promise is about one table and one new residual: over many tables the mean
 * coverage is at least nominal and at most a level of the table more. */
static void split_promise_over_many_tables(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static const int sizes[] = {19, 99, 500};
    for (size_t s = 0; s < 3; s++) {
        double in = 0, tried = 0;
        for (int n = 0; n < 4000; n++) {
            double residuals[500];
            for (int i = 0; i < sizes[s]; i++) residuals[i] = rng_f64(&r);
            qsort(residuals, (size_t)sizes[s], sizeof *residuals, ascending);
            struct conformal_table t;
            assert_true(conformal_table_fit(&t, residuals, (size_t)sizes[s]));
            in += conformal_table_width(&t, 0.10); /* = probability that a uniform is within */
            tried += 1;
        }
        double share = in / tried, above = 1.0 / (sizes[s] + 1) + 2.0 / (CONFORMAL_LEVELS + 1);
        print_message("%d rows: %.4f\n", sizes[s], share);
        assert_true(share > 0.90 - 0.003 && share < 0.90 + above + 0.003);
    }
}

static void too_little_known_is_no_interval(void **state) {
    (void)state;
    static struct conformal c;
    struct conformal_interval i;
    conformal_init_default(&c, NULL);
    for (int n = 0; n < 9; n++) {
        assert_false(conformal_interval(&i, &c, 0, 1));
        assert_true(i.low == 0 && i.high == 0);
        double residual = n + 1, width = (double)NAN;
        conformal_round(&c, &residual, &width, 1);
    }
    assert_true(c.outcomes == 0 && c.rounds == 0 && c.alpha_now == 0.10);
    assert_true(conformal_interval(&i, &c, 1, 2));
    assert_true(i.low == 1 - 18 && i.high == 1 + 18);
    static const double bad[] = {-1.0, (double)NAN, (double)INFINITY};
    static struct conformal before;
    before = c;
    for (int k = 0; k < 3; k++) {
        conformal_round(&c, &bad[k], &i.width, 1);
        assert_false(conformal_interval(&i, &c, 0, k == 0 ? 0 : bad[k]));
    }
    assert_false(conformal_interval(&i, &c, (double)NAN, 1));
    assert_memory_equal(&c, &before, sizeof c);
}

/* The sorted copy is the ring, sorted, after any number of rounds. */
static void ring_and_sorted_agree(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static struct conformal c;
    conformal_init_default(&c, NULL);
    for (int n = 0; n < 5000; n++) {
        double residual = (double)rng_below(&r, 50), width = 25;
        conformal_round(&c, &residual, &width, 1);
        if (n % 97) continue;
        static double copy[CONFORMAL_WINDOW];
        memcpy(copy, c.ring, sizeof copy);
        qsort(copy, c.count, sizeof *copy, ascending);
        assert_memory_equal(copy, c.sorted, c.count * sizeof *copy);
    }
    assert_int_equal(c.count, CONFORMAL_WINDOW);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coverage_holds_still_or_drifting),
        cmocka_unit_test(coverage_holds_for_a_crowd_judged_late),
        cmocka_unit_test(bound_holds_against_an_adversary),
        cmocka_unit_test(table_by_hand),
        cmocka_unit_test(split_promise_over_many_tables),
        cmocka_unit_test(too_little_known_is_no_interval),
        cmocka_unit_test(ring_and_sorted_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
