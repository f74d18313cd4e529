/* A pool that is bent on purpose is straightened; one that is straight stays; a change is followed.
 *
 * TEST_SEED=n repeats the random outcomes. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "brain/ensemble/recalibration.h"
#include "brain/ensemble/reliability.h"

enum { BATCH = 20 };

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 7;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* What is true of one moment, and the label that comes of it. */
static void truth(struct rng *rng, double p[LABEL_COUNT], uint32_t *label) {
    double sum = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) sum += p[l] = exp(0.8 * rng_normal(rng));
    for (uint32_t l = 0; l < LABEL_COUNT; l++) p[l] /= sum;
    double u = rng_f64(rng);
    *label = u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2;
}

/* The statement that becomes the truth when its slope is multiplied and its biases are added. */
static void bend(double out[LABEL_COUNT], const double p[LABEL_COUNT], double slope,
                 const double bias[LABEL_COUNT]) {
    double sum = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) sum += out[l] = exp((log(p[l]) - bias[l]) / slope);
    for (uint32_t l = 0; l < LABEL_COUNT; l++) out[l] /= sum;
}

/* rounds of a world; the tables count the last half of them, before and after calibration. */
static void live(struct recalibration *r, struct rng *rng, int rounds, double slope,
                 const double bias[LABEL_COUNT], double *out_raw, double *out_served) {
    struct reliability raw = {0}, served = {0};
    for (int t = 0; t < rounds; t++) {
        double p[BATCH][LABEL_COUNT];
        uint32_t labels[BATCH];
        for (int i = 0; i < BATCH; i++) {
            double real[LABEL_COUNT], q[LABEL_COUNT];
            truth(rng, real, &labels[i]);
            bend(p[i], real, slope, bias);
            recalibration_apply(q, r, p[i]);
            if (t < rounds / 2) continue;
            enum label a = ensemble_best_label(p[i]), b = ensemble_best_label(q);
            reliability_push(&raw, p[i][a], labels[i] == (uint32_t)a);
            reliability_push(&served, q[b], labels[i] == (uint32_t)b);
        }
        recalibration_round(r, (const double(*)[LABEL_COUNT])p, labels, BATCH);
    }
    *out_raw = reliability_ece(&raw);
    *out_served = reliability_ece(&served);
    assert_true(recalibration_is_sound(r));
}

static void a_modest_pool_is_straightened(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    const struct recalibration_config c = recalibration_config_defaults();
    static const double none[LABEL_COUNT] = {0}, some[LABEL_COUNT] = {0, -0.4, 0};
    for (int k = 0; k < 4; k++) {
        const double slope = k < 2 ? 2.0 : 0.6;
        const double *bias = k % 2 ? some : none;
        struct recalibration r;
        double raw, served;
        recalibration_init(&r, &c);
        live(&r, &rng, 4000, slope, bias, &raw, &served);
        print_message("slope %.1f: ECE %.4f -> %.4f, slope learned %.3f\n", slope, raw, served,
                      r.theta[0]);
        assert_true(raw > 0.04);
        assert_true(served < 0.01);
        assert_true(fabs(r.theta[0] - slope) < 0.12 * slope);
        assert_true(r.loss_served < r.loss_raw);
    }
}

static void a_straight_one_stays(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    const struct recalibration_config c = recalibration_config_defaults();
    static const double none[LABEL_COUNT] = {0};
    struct recalibration r;
    double raw, served;
    recalibration_init(&r, &c);
    live(&r, &rng, 4000, 1.0, none, &raw, &served);
    assert_true(raw < 0.01 && served < 0.012);
    assert_true(fabs(r.theta[0] - 1) < 0.1);
    /* What it costs to look: next to nothing a statement. */
    assert_true((r.loss_served - r.loss_raw) / (double)r.outcomes < 1e-3);
}

static void a_change_is_followed(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    const struct recalibration_config c = recalibration_config_defaults();
    static const double none[LABEL_COUNT] = {0};
    struct recalibration r;
    double raw, served;
    recalibration_init(&r, &c);
    live(&r, &rng, 4000, 2.0, none, &raw, &served);
    live(&r, &rng, 6000, 0.7, none, &raw, &served);
    assert_true(raw > 0.04 && served < 0.015);
    assert_true(fabs(r.theta[0] - 0.7) < 0.1);
}

/* The gradient that is used is that of the loss: against differences, through one round from the identity. */
static void the_step_goes_downhill(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    const struct recalibration_config c = {.fade = 0.5, .prior = 1e-6};
    double p[200][LABEL_COUNT];
    uint32_t labels[200];
    static const double some[LABEL_COUNT] = {0, 0.3, 0};
    for (int i = 0; i < 200; i++) {
        double real[LABEL_COUNT];
        truth(&rng, real, &labels[i]);
        bend(p[i], real, 1.3, some);
    }
    struct recalibration r;
    recalibration_init(&r, &c);
    /* Many rounds of the same outcomes with almost no prior: Newton's method; it ends where no direction is down. */
    for (int t = 0; t < 60; t++)
        recalibration_round(&r, (const double(*)[LABEL_COUNT])p, labels, 200);
    for (uint32_t d = 0; d < RECALIBRATION_SIZE; d++)
        for (int sign = -1; sign <= 1; sign += 2) {
            struct recalibration other = r;
            other.theta[d] += sign * 1e-3;
            double here = 0, there = 0;
            for (int i = 0; i < 200; i++) {
                double q[LABEL_COUNT];
                recalibration_apply(q, &r, p[i]);
                here -= log(q[labels[i]]);
                recalibration_apply(q, &other, p[i]);
                there -= log(q[labels[i]]);
            }
            assert_true(there >= here - 1e-9);
        }
}

static void nothing_is_learned_from_what_is_no_answer(void **state) {
    (void)state;
    const struct recalibration_config c = recalibration_config_defaults();
    struct recalibration r, before;
    recalibration_init(&r, &c);
    before = r;
    double p[3][LABEL_COUNT] = {{NAN, 0.5, 0.5}, {0.5, 0.6, 0.5}, {0.2, 0.3, 0.5}};
    const uint32_t labels[3] = {0, 1, LABEL_COUNT};
    recalibration_round(&r, (const double(*)[LABEL_COUNT])p, labels, 3);
    assert_memory_equal(&r, &before, sizeof r);
    double q[LABEL_COUNT];
    recalibration_apply(q, &r, p[2]);
    assert_memory_equal(q, p[2], sizeof q); /* to the last bit */
    /* Certain answers, all of them wrong, leave every number one. */
    double sure[1][LABEL_COUNT] = {{0, 0, 1}};
    const uint32_t wrong[1] = {0};
    for (int t = 0; t < 5000; t++)
        recalibration_round(&r, (const double(*)[LABEL_COUNT])sure, wrong, 1);
    assert_true(recalibration_is_sound(&r));
    recalibration_apply(q, &r, sure[0]);
    assert_true(isfinite(q[0]) && fabs(q[0] + q[1] + q[2] - 1) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_modest_pool_is_straightened),
        cmocka_unit_test(a_straight_one_stays),
        cmocka_unit_test(a_change_is_followed),
        cmocka_unit_test(the_step_goes_downhill),
        cmocka_unit_test(nothing_is_learned_from_what_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
