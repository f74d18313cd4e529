/* Figures worked out by hand; ranks and pairs against twins that count them one by one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "walk/measure.h"

static uint64_t seed_of(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20260807;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void near(double a, double b, double within) {
    if (!(fabs(a - b) <= within)) fail_msg("%.17g is not %.17g", a, b);
}

/* ---- area under the curve ---- */

static double auc(const double *score, const uint8_t *positive, size_t n) {
    double out;
    assert_int_equal(walk_auc(&out, score, positive, n, NULL), ST_OK);
    return out;
}

static void auc_of_known_orders(void **state) {
    (void)state;
    const uint8_t y[] = {0, 0, 1, 1};
    /* The example of scikit-learn's roc_auc_score. */
    near(auc((const double[]){0.1, 0.4, 0.35, 0.8}, y, 4), 0.75, 0);
    near(auc((const double[]){1, 2, 3, 4}, y, 4), 1, 0);
    near(auc((const double[]){4, 3, 2, 1}, y, 4), 0, 0);
    near(auc((const double[]){7, 7, 7, 7}, y, 4), 0.5, 0);
    near(auc((const double[]){1, 2, 2, 3}, y, 4), 0.875, 0); /* one tie of four pairs */
    assert_true(isnan(auc((const double[]){1, 2}, (const uint8_t[]){1, 1}, 2)));
    assert_true(isnan(auc(NULL, NULL, 0)));
}

static void auc_is_the_share_of_pairs(void **state) {
    (void)state;
    struct rng r = rng_init(seed_of());
    for (int round = 0; round < 200; round++) {
        double score[60];
        uint8_t y[60];
        size_t n = 2 + rng_below(&r, 58), pairs = 0, twice = 0;
        for (size_t i = 0; i < n; i++) {
            score[i] = (double)rng_below(&r, 12); /* ties */
            y[i] = (uint8_t)rng_below(&r, 2);
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                if (!y[i] || y[j]) continue;
                pairs++;
                twice += score[i] > score[j] ? 2 : score[i] == score[j] ? 1 : 0;
            }
        double got = auc(score, y, n);
        if (pairs)
            near(got, (double)twice / 2 / (double)pairs, 1e-14);
        else
            assert_true(isnan(got));
    }
}

/* ---- ranks ---- */

static void spearman_of_known_orders(void **state) {
    (void)state;
    double scratch[64];
    const double a[] = {1, 2, 3, 4, 5};
    near(walk_spearman(a, (const double[]){2, 4, 6, 8, 10}, 5, scratch), 1, 1e-15);
    near(walk_spearman(a, (const double[]){5, 4, 3, 2, 1}, 5, scratch), -1, 1e-15);
    /* IQ and hours of television, ten people: rho = -29/165. */
    const double iq[] = {106, 86, 100, 101, 99, 103, 97, 113, 112, 110},
                 tv[] = {7, 0, 27, 50, 28, 29, 20, 12, 6, 17};
    near(walk_spearman(iq, tv, 10, scratch), -29.0 / 165, 1e-15);
    /* A tie: ranks 1 2.5 2.5 4 against 1 2 3 4: 4.5 / sqrt(4.5 * 5). */
    near(walk_spearman((const double[]){1, 2, 2, 3}, a, 4, scratch), 4.5 / sqrt(22.5), 1e-15);
    assert_true(isnan(walk_spearman(a, (const double[]){3, 3, 3, 3, 3}, 5, scratch)));
    assert_true(isnan(walk_spearman(a, a, 2, scratch)));
}

/* ---- a mean ---- */

static void mean_knows_its_neighbours(void **state) {
    (void)state;
    const double x[] = {1, 2, 3, 4};
    /* Deviations -1.5 -0.5 0.5 1.5: c0 = 5/4, c1 = 1.25/4. */
    struct walk_mean m = walk_mean_of(x, 4, 0);
    near(m.value, 2.5, 0);
    near(m.se, sqrt(1.25 / 4), 1e-15);
    m = walk_mean_of(x, 4, 1);
    near(m.se, sqrt((1.25 + 2 * 0.5 * 0.3125) / 4), 1e-15);
    near(m.t, m.value / m.se, 0);
    m = walk_mean_of((const double[]){0.1, 0.1, 0.1}, 3, 1);
    assert_true(isnan(m.t) && isnan(m.se));
    near(m.value, 0.1, 1e-16);
    assert_true(isnan(walk_mean_of(NULL, 0, 3).value));
    assert_true(isnan(walk_mean_of(x, 1, 3).t));
}

/* Observations that each stand twelve times: as if there were a twelfth of them. */
static void overlap_costs_significance(void **state) {
    (void)state;
    enum { N = 6000, OVERLAP = 12 };
    static double x[N];
    struct rng r = rng_init(seed_of());
    for (int i = 0; i < N; i++) x[i] = i % OVERLAP ? x[i - 1] : rng_normal(&r);
    double ratio = walk_mean_of(x, N, OVERLAP).se / walk_mean_of(x, N, 0).se;
    /* Of the block's 12 the Bartlett window keeps 1 + 2 sum (1 - k/13)(1 - k/12) = 8.3. */
    assert_true(ratio > sqrt(7.0) && ratio < sqrt(10.0));
}

/* ---- all of it ---- */

static struct walk_sample sample(double sell, double hold, double buy, enum label label,
                                 uint32_t close, double came) {
    return (struct walk_sample){{(float)sell, (float)hold, (float)buy},
                                (float)((buy - sell) * 0.02),
                                (float)came,
                                close,
                                (uint32_t)label};
}

static void five_rows_on_paper(void **state) {
    (void)state;
    const struct walk_sample s[] = {
        sample(0.25, 0.25, 0.5, LABEL_BUY, 0, 0.03), sample(0.5, 0.25, 0.25, LABEL_SELL, 0, -0.02),
        sample(0.25, 0.5, 0.25, LABEL_HOLD, 0, 0.0), sample(0.25, 0.25, 0.5, LABEL_SELL, 1, -0.01),
        sample(0.125, 0.25, 0.625, LABEL_HOLD, 1, 0.004)};
    struct walk_measures m;
    assert_int_equal(walk_measure(&m, s, 5, 12, NULL), ST_OK);
    assert_int_equal(m.rows, 5);
    assert_int_equal(m.closes, 2);
    near(m.share[LABEL_SELL], 0.4, 1e-15);
    near(m.log_loss, (3 * log(2) + log(4) + log(4)) / 5, 1e-15);
    near(m.log_loss_constant, -(0.8 * log(0.4) + 0.2 * log(0.2)), 1e-15);
    /* Three of .25+.0625*2, one of .75^2+.0625+.25 -- the wrong side --, one of .015625+.5625+.390625. */
    near(m.brier, (3 * 0.375 + 0.875 + 0.96875) / 5, 1e-15);
    near(m.brier_constant, 1 - 0.16 - 0.16 - 0.04, 1e-15);
    assert_int_equal(m.sided, 4);
    near(m.hit.value, 0.5, 0);
    near(m.hit_side.value, 2.0 / 3, 1e-15);
    /* BUY at .5 against SELL at .25 / .75 and .5: p_buy / (p_buy + p_sell) is 2/3 against 1/3 and 2/3. */
    near(m.auc_side, 0.75, 1e-15);
    /* BUY's .5 against .25 .25 .5 .625 */
    near(m.auc[LABEL_BUY], 2.5 / 4, 1e-15);
    assert_int_equal(m.reliability.count, 5);
    assert_true(isnan(m.ic.value)); /* three symbols and two are too few for ranks */
    near(m.gain.value,
         ((log(0.5 / 0.2) + log(0.5 / 0.4) + log(0.5 / 0.4)) / 3 +
          (log(0.25 / 0.4) + log(0.25 / 0.4)) / 2) /
             2,
         1e-15);
}

static void ranks_are_of_one_close(void **state) {
    (void)state;
    /* Within each close the order is right; between the two everything is the other way round. */
    struct walk_sample s[12];
    for (uint32_t i = 0; i < 12; i++) {
        uint32_t c = i / 6, k = i % 6;
        s[i] = sample(0.3, 0.4, 0.3, LABEL_HOLD, c, 0);
        s[i].expected = (float)k - (float)(10 * c);
        s[i].came = (float)k + (float)(10 * c);
    }
    struct walk_measures m;
    assert_int_equal(walk_measure(&m, s, 12, 0, NULL), ST_OK);
    assert_int_equal(m.ic.n, 2);
    near(m.ic.value, 1, 1e-15);
}

static void nothing_and_nonsense(void **state) {
    (void)state;
    struct walk_measures m;
    struct err err = {0};
    assert_int_equal(walk_measure(&m, NULL, 0, 12, &err), ST_OK);
    assert_true(isnan(m.log_loss) && isnan(m.auc_side) && isnan(m.hit.value) && isnan(m.ic.t));
    struct walk_sample s = sample(0.5, 0.5, 0.5, LABEL_BUY, 0, 0);
    assert_int_equal(walk_measure(&m, &s, 1, 12, &err), ST_INVALID);
    s = sample(0.25, 0.5, 0.25, LABEL_BUY, 0, (double)NAN);
    assert_int_equal(walk_measure(&m, &s, 1, 12, &err), ST_INVALID);
    struct walk_sample two[] = {sample(0.25, 0.5, 0.25, LABEL_BUY, 1, 0),
                                sample(0.25, 0.5, 0.25, LABEL_BUY, 0, 0)};
    assert_int_equal(walk_measure(&m, two, 2, 12, &err), ST_INVALID);
}

/* A forecaster that says the truth about its chances is found calibrated; one that boasts is not. */
static void calibration_is_seen(void **state) {
    (void)state;
    enum { N = 20000 };
    struct rng r = rng_init(seed_of());
    struct walk_sample *s = calloc(N, sizeof *s);
    struct walk_measures honest, boast;
    assert_non_null(s);
    for (uint32_t i = 0; i < N; i++) {
        double buy = 0.35 + 0.3 * rng_f64(&r), sell = (1 - buy) / 2, u = rng_f64(&r);
        s[i] = sample(sell, 1 - buy - sell, buy,
                      u < buy          ? LABEL_BUY
                      : u < buy + sell ? LABEL_SELL
                                       : LABEL_HOLD,
                      i / 10, 0);
    }
    assert_int_equal(walk_measure(&honest, s, N, 12, NULL), ST_OK);
    for (uint32_t i = 0; i < N; i++) {
        s[i].p[LABEL_BUY] += 0.15f;
        s[i].p[LABEL_SELL] -= 0.075f;
        s[i].p[LABEL_HOLD] -= 0.075f;
    }
    assert_int_equal(walk_measure(&boast, s, N, 12, NULL), ST_OK);
    free(s);
    assert_true(honest.ece < 3 * honest.ece_chance);
    near(boast.ece, 0.15, 0.02);
    assert_true(boast.log_loss > honest.log_loss && boast.brier > honest.brier);
    near(boast.auc[LABEL_BUY], honest.auc[LABEL_BUY],
         1e-4); /* the order is the same but for rounding */
    assert_true(honest.gain.t > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auc_of_known_orders),        cmocka_unit_test(auc_is_the_share_of_pairs),
        cmocka_unit_test(spearman_of_known_orders),   cmocka_unit_test(mean_knows_its_neighbours),
        cmocka_unit_test(overlap_costs_significance), cmocka_unit_test(five_rows_on_paper),
        cmocka_unit_test(ranks_are_of_one_close),     cmocka_unit_test(nothing_and_nonsense),
        cmocka_unit_test(calibration_is_seen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
