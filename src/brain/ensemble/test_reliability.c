/* Reliability table by hand and on planted truths; beta calibration on a planted distortion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/ensemble/calibration_beta.h"
#include "brain/ensemble/reliability.h"

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240804;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void table_by_hand(void **state) {
    (void)state;
    /* Bins are 1/15 wide: .50 and .52 are in bin 7, .90 in 13, 1 in 14. */
    const double p[] = {.50, .52, .90, .90, 1, -0.1, 1.1, (double)NAN};
    const bool hit[] = {true, false, true, true, false, true, true, true};
    struct reliability r;
    reliability_table(&r, p, hit, 8);
    assert_int_equal(r.count, 5);
    assert_int_equal(r.refused, 3);
    struct reliability_row row = reliability_row(&r, 7);
    assert_true(row.count == 2 && fabs(row.p_mean - .51) < 1e-15 && row.hit_share == .5);
    /* Wilson 95 % of 1 in 2: 0.0945 .. 0.9055. */
    assert_true(fabs(row.hit_low - .0945) < 5e-5 && fabs(row.hit_high - .9055) < 5e-5);
    row = reliability_row(&r, 0);
    assert_true(row.count == 0 && row.hit_high == 0);
    /* (|1 - 1.02| + |2 - 1.8| + |0 - 1|) / 5 */
    assert_true(fabs(reliability_ece(&r) - 1.22 / 5) < 1e-15);
    assert_true(fabs(reliability_mce(&r, 1) - 1) < 1e-15);
    assert_true(fabs(reliability_mce(&r, 2) - .1) < 1e-15);
    memset(&r, 0, sizeof r);
    assert_true(reliability_ece(&r) == 0 && reliability_ece_chance(&r) == 0);
}

static void calibrated_is_at_chance_and_distorted_is_not(void **state) {
    (void)state;
    enum { N = 20000, TIMES = 20 };
    struct rng r = rng_init(test_seed());
    double ece = 0, chance = 0, off = 0;
    for (int k = 0; k < TIMES; k++) {
        struct reliability good = {0}, bold = {0};
        for (int i = 0; i < N; i++) {
            double p = 0.3 + 0.4 * rng_f64(&r);
            bool hit = rng_f64(&r) < p;
            reliability_push(&good, p, hit);
            reliability_push(&bold, fmin(p + 0.05, 1), hit);
        }
        ece += reliability_ece(&good) / TIMES;
        chance += reliability_ece_chance(&good) / TIMES;
        off += reliability_ece(&bold) / TIMES;
    }
    print_message("ECE %.4f, by chance %.4f; 0.05 too bold %.4f\n", ece, chance, off);
    assert_true(fabs(ece - chance) < 0.25 * chance);
    assert_true(fabs(off - 0.05) < 0.003);
}

enum { ROWS = 4000 };

/* What was said is a distortion of what is true: odds(truth) = e^c p^a / (1-p)^b. */
static void plant(double *p, bool *hit, struct rng *r, const struct calibration_beta *truth,
                  int n) {
    for (int i = 0; i < n; i++) {
        p[i] = 0.05 + 0.85 * rng_f64(r);
        hit[i] = rng_f64(r) < calibration_beta_value(truth, p[i]);
    }
}

static void beta_finds_the_planted_distortion(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static double p[ROWS * 5];
    static bool hit[ROWS * 5];
    static const struct calibration_beta truths[] = {
        {1, 1, 0, 0, 1}, {.5, .5, 0, 0, 1}, {2, .6, .4, 0, 1}, {.7, 1.8, -.5, 0, 1}};
    for (size_t k = 0; k < 4; k++) {
        plant(p, hit, &r, &truths[k], ROWS * 5);
        struct calibration_beta b;
        assert_true(calibration_beta_fit(&b, p, hit, ROWS * 5));
        double worst = 0, knots_worst = 0;
        struct calibration map[LABEL_COUNT] = {{0}};
        calibration_beta_knots(&map[0], &b);
        assert_int_equal(map[0].knot_count, CALIBRATION_KNOTS_MAX);
        for (int i = 0; b.p_min + i * 0.001 <= b.p_max; i++) {
            double x = b.p_min + i * 0.001;
            worst = fmax(
                worst, fabs(calibration_beta_value(&b, x) - calibration_beta_value(&truths[k], x)));
            /* Through the map as service reads it: the other two labels chosen so that sums stay 1. */
            double y = calibration_beta_value(&b, x), q[LABEL_COUNT] = {x, 1 - y, 0};
            calibration_apply(q, map);
            knots_worst = fmax(knots_worst, fabs(q[0] - y));
        }
        print_message("a %.2f b %.2f c %.2f: off %.4f, knots %.5f\n", b.a, b.b, b.c, worst,
                      knots_worst);
        assert_true(worst < 0.03);
        assert_true(knots_worst < 0.002);
    }
}

/* The gradient at the answer is zero: maximum likelihood found, by differences of a plain twin. */
static void beta_is_the_maximum(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static double p[ROWS];
    static bool hit[ROWS];
    static const struct calibration_beta truth = {1.6, .5, .2, 0, 1};
    plant(p, hit, &r, &truth, ROWS);
    struct calibration_beta best;
    assert_true(calibration_beta_fit(&best, p, hit, ROWS));
    double at_best = 0;
    for (int side = -1; side < 6; side++) {
        struct calibration_beta b = best;
        double *theta[3] = {&b.a, &b.b, &b.c};
        if (side >= 0) *theta[side / 2] += side % 2 ? 1e-3 : -1e-3;
        double sum = 0;
        for (int i = 0; i < ROWS; i++) {
            double q = 1 / (1 + exp(-(b.a * log(p[i]) - b.b * log(1 - p[i]) + b.c)));
            sum -= log(hit[i] ? q : 1 - q);
        }
        if (side < 0)
            at_best = sum;
        else
            assert_true(sum > at_best);
    }
}

static void beta_never_falls_and_refuses(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static double p[ROWS];
    static bool hit[ROWS];
    for (int i = 0; i < ROWS; i++) { /* what is said is the opposite of what comes */
        p[i] = rng_f64(&r);
        hit[i] = rng_f64(&r) > p[i];
    }
    struct calibration_beta b;
    assert_true(calibration_beta_fit(&b, p, hit, ROWS));
    assert_true(b.a == 0 && b.b == 0);
    assert_true(fabs(calibration_beta_value(&b, 0.9) - 0.5) < 0.03);

    static const double three[3] = {.2, .5, .9};
    static const bool all[3] = {true, true, true}, parted[3] = {false, false, true};
    assert_false(calibration_beta_fit(&b, three, all, 3));
    assert_true(b.a == 1 && b.b == 1 && b.c == 0);
    assert_false(calibration_beta_fit(&b, three, parted, 3));
    assert_false(calibration_beta_fit(&b, three, parted, 0));
    static const double bad[3] = {.2, (double)NAN, .9};
    assert_false(calibration_beta_fit(&b, bad, parted, 3));
    static const double same[4] = {.5, .5, .5, .5};
    static const bool half[4] = {true, false, true, false};
    assert_true(calibration_beta_fit(&b, same, half, 4));
    struct calibration map;
    calibration_beta_knots(&map, &b);
    assert_int_equal(map.knot_count, 1);
    assert_true(fabs(map.y[0] - .5) < 1e-6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_by_hand),
        cmocka_unit_test(calibrated_is_at_chance_and_distorted_is_not),
        cmocka_unit_test(beta_finds_the_planted_distortion),
        cmocka_unit_test(beta_is_the_maximum),
        cmocka_unit_test(beta_never_falls_and_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
