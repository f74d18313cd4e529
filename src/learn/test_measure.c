#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "learn/learn_internal.h"
#include "learn/test_market.h"

static void assert_close(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) fail_msg("%.17g is not %.17g", a, b);
}

/* Rows whose true probabilities are q, shown as a distorted p. */
static void draw(double *p, float *labels, size_t n, struct rng *r, double power) {
    for (size_t i = 0; i < n; i++) {
        double q[LABEL_COUNT], sum = 0, shown = 0, u = rng_f64(r);
        for (int l = 0; l < LABEL_COUNT; l++) sum += q[l] = 0.05 + rng_f64(r);
        for (int l = 0; l < LABEL_COUNT; l++) q[l] /= sum;
        labels[i] = u < q[0] ? 0 : u < q[0] + q[1] ? 1 : 2;
        for (int l = 0; l < LABEL_COUNT; l++) shown += p[i * 3 + (size_t)l] = pow(q[l], power);
        for (int l = 0; l < LABEL_COUNT; l++) p[i * 3 + (size_t)l] /= shown;
    }
}

/* Values by hand: blocks of 100 rows with hit rates .1 .4 .2 .8; the middle two pool to .3. */
static void isotonic_by_hand(void **state) {
    (void)state;
    enum { N = 400 };
    static double x[N];
    static bool hit[N];
    const int hits[] = {10, 40, 20, 80};
    for (int i = 0; i < N; i++) {
        const int block = i / 100;
        x[i] = 0.1 + 0.2 * block + 1e-4 * (i % 100);
        hit[i] = i % 100 < hits[block];
    }
    struct calibration c;
    struct err err;
    assert_int_equal(learn_isotonic(&c, x, hit, N, &err), ST_OK);
    assert_int_equal(c.knot_count, 3);
    assert_close(c.y[0], 0.1, 1e-12);
    assert_close(c.y[1], 0.3, 1e-12);
    assert_close(c.y[2], 0.8, 1e-12);
    assert_close(c.x[0], 0.10495, 1e-12);
    assert_close(c.x[1], 0.40495, 1e-12);
}

static void isotonic_is_monotone_and_bounded(void **state) {
    (void)state;
    struct rng r = rng_init(market_seed());
    enum { N = 9000 };
    double *x = malloc(N * sizeof *x);
    bool *hit = malloc(N * sizeof *hit);
    for (int round = 0; round < 60; round++) {
        size_t n = 1 + (size_t)rng_below(&r, N);
        double grain = rng_below(&r, 2) ? 7 : 1e9; /* many equal x, or none */
        for (size_t i = 0; i < n; i++) {
            x[i] = floor(rng_f64(&r) * grain) / grain;
            hit[i] = rng_f64(&r) < (round % 3 == 0 ? 0.0 : round % 3 == 1 ? 1 - x[i] : x[i] * x[i]);
        }
        struct calibration c;
        struct err err;
        assert_int_equal(learn_isotonic(&c, x, hit, n, &err), ST_OK);
        assert_true(c.knot_count >= 1 && c.knot_count <= CALIBRATION_KNOTS_MAX);
        for (uint32_t k = 0; k < c.knot_count; k++) {
            assert_true(c.y[k] > 0 && c.y[k] < 1);
            assert_true(k == 0 || (c.x[k] > c.x[k - 1] && c.y[k] >= c.y[k - 1]));
        }
    }
    free(x);
    free(hit);
}

/* Fitted on one sample, judged on another. */
static void calibration_repairs_on_rows_it_never_saw(void **state) {
    (void)state;
    enum { N = 12000 };
    struct rng r = rng_init(market_seed());
    double *p = malloc(N * 3 * sizeof *p), *later = malloc(N * 3 * sizeof *later);
    float *labels = malloc(N * sizeof *labels), *later_labels = malloc(N * sizeof *later_labels);
    const double powers[] = {3, 2, 1, 0.4};
    for (int k = 0; k < 4; k++) {
        draw(p, labels, N, &r, powers[k]);
        draw(later, later_labels, N, &r, powers[k]);
        struct calibration c[LABEL_COUNT];
        enum learn_calibration method;
        struct err err;
        assert_int_equal(learn_calibrate(c, &method, p, labels, N, &err), ST_OK);
        double before = learn_logloss(later, later_labels, N);
        for (size_t i = 0; i < N; i++) calibration_apply(later + i * 3, c);
        double after = learn_logloss(later, later_labels, N);
        print_message("power %.1f: %.4f -> %.4f by %s\n", powers[k], before, after,
                      learn_calibration_text(method));
        if (powers[k] == 1)
            assert_true(after < before + 0.003);
        else
            assert_true(after < before - 0.005);
    }
    free(p);
    free(later);
    free(labels);
    free(later_labels);
}

/* A smooth distortion of the kind a beta curve is, on few rows: beta, whose three parameters are enough. A staircase on many:
 * isotonic, which alone can follow it. */
static void the_method_is_the_one_that_fits(void **state) {
    (void)state;
    enum { FEW = 1500, MANY = 40000 };
    struct rng r = rng_init(market_seed());
    double *p = malloc(MANY * 3 * sizeof *p);
    float *labels = malloc(MANY * sizeof *labels);
    struct calibration c[LABEL_COUNT];
    enum learn_calibration method;
    struct err err;
    draw(p, labels, FEW, &r, 3);
    assert_int_equal(learn_calibrate(c, &method, p, labels, FEW, &err), ST_OK);
    assert_string_equal(learn_calibration_text(method), "beta");
    for (int l = 0; l < LABEL_COUNT; l++) assert_true(c[l].knot_count > 1);

    for (size_t i = 0; i < MANY; i++) { /* truth jumps where p does not */
        double a = 0.1 + 0.8 * rng_f64(&r), truth = a < 0.35 ? 0.1 : a < 0.6 ? 0.45 : 0.85;
        double u = rng_f64(&r);
        p[i * 3] = a;
        p[i * 3 + 1] = p[i * 3 + 2] = (1 - a) / 2;
        labels[i] = u < truth ? 0 : u < (1 + truth) / 2 ? 1 : 2;
    }
    assert_int_equal(learn_calibrate(c, &method, p, labels, MANY, &err), ST_OK);
    assert_string_equal(learn_calibration_text(method), "isotonic");
    free(p);
    free(labels);
}

/* A relation that turned over halfway, or too few rows: left alone. */
static void calibration_that_does_not_help_is_not_used(void **state) {
    (void)state;
    enum { N = 150 };
    struct rng r = rng_init(market_seed());
    double p[N * 3];
    float labels[N];
    draw(p, labels, N, &r, 3);
    struct calibration c[LABEL_COUNT];
    enum learn_calibration method = LEARN_BETA;
    struct err err;
    assert_int_equal(learn_calibrate(c, &method, p, labels, N, &err), ST_OK);
    assert_int_equal(method, LEARN_IDENTITY);
    for (int l = 0; l < LABEL_COUNT; l++) assert_int_equal(c[l].knot_count, 0);

    enum { MANY = 6000 };
    double *turned = malloc(MANY * 3 * sizeof *turned);
    float *turned_labels = malloc(MANY * sizeof *turned_labels);
    draw(turned, turned_labels, MANY, &r, 1);
    for (size_t i = 0; i < MANY / 2; i++) turned_labels[i] = 2 - turned_labels[i];
    assert_int_equal(learn_calibrate(c, &method, turned, turned_labels, MANY, &err), ST_OK);
    assert_int_equal(method, LEARN_IDENTITY);
    for (int l = 0; l < LABEL_COUNT; l++) assert_int_equal(c[l].knot_count, 0);
    free(turned);
    free(turned_labels);
}

/* Lag 0 is the textbook t (population variance); 5 equal neighbours each carry one observation. */
static void newey_west_knows_overlap(void **state) {
    (void)state;
    enum { N = 4000, REPEAT = 5 };
    static double x[N], y[N * REPEAT];
    struct rng r = rng_init(market_seed());
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        x[i] = 0.05 + rng_normal(&r);
        sum += x[i];
        squares += x[i] * x[i];
        for (int k = 0; k < REPEAT; k++) y[i * REPEAT + k] = x[i];
    }
    double mean = sum / N, variance = squares / N - mean * mean;
    double plain = mean / sqrt(variance / N);
    assert_close(learn_newey_west_t(x, N, 0), plain, 1e-9);
    assert_close(learn_newey_west_t(x, N, 12), plain, 0.15 * plain);
    assert_close(learn_newey_west_t(y, N * REPEAT, 0), plain * sqrt(REPEAT), 1e-6);
    assert_close(learn_newey_west_t(y, N * REPEAT, 40), plain, 0.15 * plain);
    assert_true(learn_newey_west_t(x, 29, 3) == 0);
    for (int i = 0; i < N; i++) x[i] = 0.5;
    assert_true(learn_newey_west_t(x, N, 3) == 0);
}

static int64_t *times_of(size_t n, size_t per_time) {
    int64_t *t = malloc(n * sizeof *t);
    for (size_t i = 0; i < n; i++) t[i] = (int64_t)(i / per_time) * NS_PER_HOUR;
    return t;
}

static struct learn_report measure(const double *p, const float *labels, size_t n,
                                   size_t per_time) {
    struct learn_report r = {0};
    const double prior[LABEL_COUNT] = {1.0 / 3, 1.0 / 3, 1.0 / 3};
    struct err err;
    int64_t *times = times_of(n, per_time);
    assert_int_equal(learn_measure(&r, p, labels, times, n, prior, 12, &err), ST_OK);
    free(times);
    return r;
}

/* Log-loss ln 2, ln 4, ln(4/3), ...: sums by hand. */
static void figures_by_hand(void **state) {
    (void)state;
    const double p[] = {0.5, 0.25, 0.25, 0.25, 0.5, 0.25, 0.25, 0.25, 0.5, 0.75, 0.125, 0.125};
    const float labels[] = {0, 0, 2, 1};
    struct learn_report r = measure(p, labels, 4, 2);
    assert_close(r.logloss_test, (log(2) + log(4) + log(2) + log(8)) / 4, 1e-12);
    assert_close(r.logloss_prior, log(3), 1e-12);
    assert_close(r.accuracy, 0.5, 1e-12);
    assert_close(r.balanced_accuracy, (0.5 + 0 + 1) / 3, 1e-12);
    /* Bins: three rows say .5 and two are right; one says .75 and is wrong. */
    assert_close(r.ece, (0.5 + 0.75) / 4, 1e-12);
    assert_close(r.predicted_share[0], 0.5, 1e-12);
    assert_close(r.predicted_share[2], 0.25, 1e-12);
    assert_false(r.has_skill);
}

/* Truth has skill; a constant has none, however well it sits; knowing when but not which way neither. */
static void skill_is_more_than_shares(void **state) {
    (void)state;
    enum { N = 6000 };
    struct rng r = rng_init(market_seed());
    double *p = malloc(N * 3 * sizeof *p);
    float *labels = malloc(N * sizeof *labels);
    draw(p, labels, N, &r, 1);
    struct learn_report truth = measure(p, labels, N, 4);
    assert_true(truth.has_skill && truth.skill_t > 10 && truth.side_t > 10);

    for (size_t i = 0; i < N; i++) { /* HOLD known, direction not */
        double side = (p[i * 3] + p[i * 3 + 2]) / 2;
        p[i * 3] = side * 1.001;
        p[i * 3 + 2] = side * 0.999;
    }
    struct learn_report when = measure(p, labels, N, 4);
    assert_true(when.skill_t > 3 && when.logloss_test < when.logloss_prior);
    assert_true(fabs(when.side_t) < 3);
    assert_false(when.has_skill);

    for (size_t i = 0; i < N; i++) { /* nearly all BUY, which the prior did not know */
        labels[i] = i % 10 ? 2 : i % 20 ? 0 : 1;
        p[i * 3] = p[i * 3 + 1] = 0.05;
        p[i * 3 + 2] = 0.9;
    }
    struct learn_report constant = measure(p, labels, N, 4);
    assert_true(constant.logloss_test < constant.logloss_prior);
    assert_true(constant.skill_t < 3);
    assert_false(constant.has_skill);
    free(p);
    free(labels);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(isotonic_by_hand),
        cmocka_unit_test(isotonic_is_monotone_and_bounded),
        cmocka_unit_test(calibration_repairs_on_rows_it_never_saw),
        cmocka_unit_test(the_method_is_the_one_that_fits),
        cmocka_unit_test(calibration_that_does_not_help_is_not_used),
        cmocka_unit_test(newey_west_knows_overlap),
        cmocka_unit_test(figures_by_hand),
        cmocka_unit_test(skill_is_more_than_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
