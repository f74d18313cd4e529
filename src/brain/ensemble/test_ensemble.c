#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/ensemble/ensemble.h"

static struct model_vote vote(double sell, double hold, double buy, double move) {
    return (struct model_vote){.state = VOTE_PRESENT, .p = {sell, hold, buy}, .move = move};
}

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240801;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void nobody_there_is_hold(void **state) {
    (void)state;
    struct ensemble_config c = ensemble_config_defaults();
    struct model_vote votes[MODEL_COUNT] = {{0}};
    struct ensemble_signal s;
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_HOLD);
    assert_int_equal(s.voters, 0);
    assert_true(s.confidence == 0 && s.edge == 0);
    for (int k = 0; k < MODEL_COUNT; k++) assert_true(s.weights[k] == 0);
}

static void one_voter_answers_for_itself(void **state) {
    (void)state;
    struct ensemble_config c = ensemble_config_defaults();
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        struct model_vote votes[MODEL_COUNT] = {{0}};
        votes[k] = vote(0.1, 0.2, 0.7, 0.02);
        struct ensemble_signal s;
        ensemble_step(&s, &c, votes);
        assert_int_equal(s.action, LABEL_BUY);
        assert_int_equal(s.voters, 1);
        assert_int_equal(s.consensus, 1);
        assert_memory_equal(s.p, votes[k].p, sizeof s.p);
        assert_true(s.confidence == 0.7);
        assert_true(fabs(s.edge - 0.02 * 0.6) < 1e-15);
        assert_true(s.move == 0.02);
        assert_true(s.weights[k] == 1.0);
    }
}

/* Only PRESENT votes; what the others hold must not matter, and their weight shows as 0. */
static void absent_voters_are_visible(void **state) {
    (void)state;
    static const enum vote_state away[] = {VOTE_ABSENT, VOTE_WARMING, VOTE_STALE, VOTE_COLLAPSED,
                                           VOTE_NO_SKILL};
    struct ensemble_config c = ensemble_config_defaults();
    for (size_t i = 0; i < sizeof away / sizeof away[0]; i++) {
        struct model_vote votes[MODEL_COUNT] = {{0}};
        for (int k = 0; k < MODEL_COUNT; k++) {
            votes[k] = vote(0.98, 0.01, 0.01, 0.5);
            votes[k].state = (uint32_t)away[i];
        }
        votes[MODEL_XGBOOST] = vote(0.1, 0.2, 0.7, 0.01);
        votes[MODEL_NHITS] = vote(0.1, 0.3, 0.6, 0.03);
        struct ensemble_signal s;
        ensemble_step(&s, &c, votes);
        assert_int_equal(s.voters, 2);
        assert_int_equal(s.action, LABEL_BUY);
        assert_true(s.weights[MODEL_XGBOOST] == 0.5 && s.weights[MODEL_NHITS] == 0.5);
        assert_true(s.weights[MODEL_LIGHTGBM] == 0 && s.weights[MODEL_PATCHTST] == 0);
    }
}

/* By hand: weights 3:1, p = (.2 .3 .5) and (.6 .3 .1): products .2^.75*.6^.25 = .26321…,
 * .3, .5^.75*.1^.25 = .33437…, then divided by their sum. */
static void pool_matches_arithmetic(void **state) {
    (void)state;
    struct ensemble_config c = ensemble_config_defaults();
    c.weights[MODEL_XGBOOST] = 3;
    c.weights[MODEL_LIGHTGBM] = 1;
    c.confidence_min = 0;
    struct model_vote votes[MODEL_COUNT] = {{0}};
    votes[MODEL_XGBOOST] = vote(0.2, 0.3, 0.5, 0.04);
    votes[MODEL_LIGHTGBM] = vote(0.6, 0.3, 0.1, 0.02);
    struct ensemble_signal s;
    ensemble_step(&s, &c, votes);
    double a = pow(0.2, 0.75) * pow(0.6, 0.25), b = 0.3, d = pow(0.5, 0.75) * pow(0.1, 0.25);
    assert_true(fabs(s.p[0] - a / (a + b + d)) < 1e-12);
    assert_true(fabs(s.p[2] - d / (a + b + d)) < 1e-12);
    assert_int_equal(s.action, LABEL_BUY);
    assert_int_equal(s.consensus, 1);
    assert_true(fabs(s.edge - 0.035 * (s.p[2] - s.p[0])) < 1e-15);
}

/* The original answered BUY here, by order of iteration. */
static void tie_is_hold(void **state) {
    (void)state;
    struct ensemble_config c = ensemble_config_defaults();
    c.confidence_min = 0;
    struct model_vote votes[MODEL_COUNT];
    votes[0] = votes[1] = vote(0.2, 0.1, 0.7, 0.02);
    votes[2] = votes[3] = vote(0.7, 0.1, 0.2, 0.02);
    struct ensemble_signal s;
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_HOLD);
    assert_true(s.p[LABEL_SELL] == s.p[LABEL_BUY]);
    assert_true(s.edge == 0);
    assert_int_equal(s.consensus, 0);

    memset(votes, 0, sizeof votes);
    votes[0] = vote(0.45, 0.10, 0.45, 0.02);
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_HOLD);
}

static void below_confidence_min_is_hold(void **state) {
    (void)state;
    struct ensemble_config c = ensemble_config_defaults();
    c.confidence_min = 0.5;
    struct model_vote votes[MODEL_COUNT] = {{0}};
    struct ensemble_signal s;
    votes[0] = vote(0.25, 0.26, 0.49, 0.02);
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_HOLD);
    assert_true(s.confidence == 0.26 && s.edge == 0);
    votes[0] = vote(0.25, 0.25, 0.5, 0.02);
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_BUY);
    c.confidence_min = NAN;
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_HOLD);
}

/* System table of the original's votes, rows whose answer the rebuild shares (weights .25 .25 .30
 * .20): the winner by counted weights must not differ when the voters are equally sure. */
static void counted_votes_agree(void **state) {
    (void)state;
    struct ensemble_config c = {.weights = {0.25, 0.25, 0.30, 0.20}, .confidence_min = 0};
    static const struct {
        const char *votes;
        enum label action;
        uint32_t consensus;
    } rows[] = {{"BBBH", LABEL_BUY, 3},
                {"BSSH", LABEL_SELL, 2},
                {"BBBB", LABEL_BUY, 4},
                {"HHHH", LABEL_HOLD, 4},
                {"BBSS", LABEL_HOLD, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct model_vote votes[MODEL_COUNT];
        for (int k = 0; k < MODEL_COUNT; k++) {
            char side = rows[i].votes[k];
            votes[k] = vote(side == 'S' ? 0.8 : 0.1, side == 'H' ? 0.8 : 0.1,
                            side == 'B' ? 0.8 : 0.1, 0.01);
        }
        struct ensemble_signal s;
        ensemble_step(&s, &c, votes);
        assert_int_equal(s.action, rows[i].action);
        assert_int_equal(s.consensus, rows[i].consensus);
    }
}

static struct model_vote random_vote(struct rng *r) {
    double p[LABEL_COUNT], sum = 0;
    for (int l = 0; l < LABEL_COUNT; l++) sum += p[l] = rng_below(r, 8) ? rng_f64(r) + 1e-3 : 0;
    if (sum == 0) sum = p[1] = 1;
    struct model_vote v = vote(p[0] / sum, p[1] / sum, p[2] / sum, rng_f64(r) * 0.1);
    v.state = (uint32_t)rng_below(r, 3) ? VOTE_PRESENT : VOTE_WARMING;
    return v;
}

static void swap_voters(struct ensemble_config *c, struct model_vote *votes, uint64_t i,
                        uint64_t j) {
    struct model_vote v = votes[i];
    votes[i] = votes[j], votes[j] = v;
    double w = c->weights[i];
    c->weights[i] = c->weights[j], c->weights[j] = w;
}

static void order_and_scale_do_not_matter(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    for (int n = 0; n < 20000; n++) {
        struct ensemble_config c = {.confidence_min = rng_f64(&r) * 0.6};
        struct model_vote votes[MODEL_COUNT];
        for (int k = 0; k < MODEL_COUNT; k++) {
            votes[k] = random_vote(&r);
            c.weights[k] = rng_f64(&r);
        }
        struct ensemble_signal a, b;
        ensemble_step(&a, &c, votes);
        swap_voters(&c, votes, rng_below(&r, MODEL_COUNT), rng_below(&r, MODEL_COUNT));
        swap_voters(&c, votes, rng_below(&r, MODEL_COUNT), rng_below(&r, MODEL_COUNT));
        for (int k = 0; k < MODEL_COUNT; k++) c.weights[k] *= 0x1p900;
        ensemble_step(&b, &c, votes);
        assert_memory_equal(a.p, b.p, sizeof a.p);
        assert_true(a.confidence == b.confidence && a.edge == b.edge);
        assert_int_equal(a.action, b.action);
        assert_int_equal(a.consensus, b.consensus);
        assert_int_equal(a.voters, b.voters);
        double sum = 0, weights = 0;
        for (int l = 0; l < LABEL_COUNT; l++) sum += a.p[l];
        for (int k = 0; k < MODEL_COUNT; k++) weights += a.weights[k];
        assert_true(a.voters == 0 || (fabs(sum - 1) < 1e-9 && fabs(weights - 1) < 1e-12));
    }
}

static void assert_signal_finite(const struct ensemble_signal *s) {
    for (int l = 0; l < LABEL_COUNT; l++) assert_true(s->p[l] >= 0 && s->p[l] <= 1 + 1e-5);
    for (int k = 0; k < MODEL_COUNT; k++) assert_true(s->weights[k] >= 0 && s->weights[k] <= 1);
    assert_true(s->confidence >= 0 && s->confidence <= 1);
    assert_true(isfinite(s->edge));
    assert_true(s->action < LABEL_COUNT);
}

static void nan_never_leaves(void **state) {
    (void)state;
    static const double poison[] = {NAN, INFINITY, -INFINITY, -0.1, 1e308, -1e308, 1.5, 0};
    struct rng r = rng_init(test_seed());
    for (int n = 0; n < 50000; n++) {
        struct ensemble_config c = ensemble_config_defaults();
        struct model_vote votes[MODEL_COUNT];
        for (int k = 0; k < MODEL_COUNT; k++) {
            votes[k] = random_vote(&r);
            if (!rng_below(&r, 3)) votes[k].p[rng_below(&r, 3)] = poison[rng_below(&r, 8)];
            if (!rng_below(&r, 3)) votes[k].move = poison[rng_below(&r, 8)];
            if (!rng_below(&r, 3)) c.weights[k] = poison[rng_below(&r, 8)];
        }
        struct ensemble_signal s;
        ensemble_step(&s, &c, votes);
        assert_signal_finite(&s);
    }
    /* A poisoned voter is out, the sound one decides. */
    struct ensemble_config c = ensemble_config_defaults();
    struct model_vote votes[MODEL_COUNT] = {{0}};
    votes[0] = vote(NAN, 0.5, 0.5, 0.01);
    votes[1] = vote(0.8, 0.1, 0.1, 0.01);
    struct ensemble_signal s;
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.voters, 1);
    assert_int_equal(s.action, LABEL_SELL);
}

/* A certain voter may be outvoted, not silenced nor all-powerful. */
static void certainty_is_bounded(void **state) {
    (void)state;
    struct ensemble_config c = ensemble_config_defaults();
    struct model_vote votes[MODEL_COUNT] = {{0}};
    votes[0] = vote(0, 0, 1, 0.01);
    votes[1] = vote(1, 0, 0, 0.01);
    struct ensemble_signal s;
    ensemble_step(&s, &c, votes);
    assert_signal_finite(&s);
    assert_int_equal(s.action, LABEL_HOLD);
}

static void calibration_interpolates(void **state) {
    (void)state;
    struct calibration c[LABEL_COUNT] = {{0}};
    double p[LABEL_COUNT] = {0.2, 0.3, 0.5};
    calibration_apply(p, c);
    assert_true(fabs(p[0] - 0.2) < 1e-15 && fabs(p[2] - 0.5) < 1e-15);

    for (int l = 0; l < LABEL_COUNT; l++)
        c[l] = (struct calibration){.knot_count = 3, .x = {0.1, 0.4, 0.8}, .y = {0.2, 0.3, 0.7}};
    double q[LABEL_COUNT] = {0.05, 0.25, 0.9}; /* below, between, above: 0.2, 0.25, 0.7 */
    calibration_apply(q, c);
    assert_true(fabs(q[0] - 0.2 / 1.15) < 1e-15);
    assert_true(fabs(q[1] - 0.25 / 1.15) < 1e-15);
    assert_true(fabs(q[2] - 0.7 / 1.15) < 1e-15);

    struct calibration zero[LABEL_COUNT] = {{0}};
    for (int l = 0; l < LABEL_COUNT; l++)
        zero[l] = (struct calibration){.knot_count = 1, .x = {0.5}, .y = {0}};
    double kept[LABEL_COUNT] = {0.2, 0.3, 0.5};
    calibration_apply(kept, zero);
    assert_true(kept[0] == 0.2 && kept[1] == 0.3 && kept[2] == 0.5);
}

static void names_are_the_files_names(void **state) {
    (void)state;
    assert_string_equal(model_kind_text(MODEL_XGBOOST), "xgboost");
    assert_string_equal(model_kind_text(MODEL_PATCHTST), "patchtst");
    assert_string_equal(label_text(LABEL_SELL), "SELL");
    assert_string_equal(label_text(LABEL_BUY), "BUY");
    assert_string_equal(vote_state_text(VOTE_NO_SKILL), "no_skill");
    assert_string_equal(vote_state_text((enum vote_state)99), "?");
}

static void spread_of_answers(void **state) {
    (void)state;
    struct model_vote votes[MODEL_COUNT] = {{0}};
    struct vote_spread s;
    ensemble_spread(&s, votes);
    assert_true(s.answers == 0 && !s.differ && s.distance == 0);
    votes[MODEL_XGBOOST] = vote(0.1, 0.2, 0.7, 0.02);
    ensemble_spread(&s, votes);
    assert_true(s.answers == 1 && !s.differ && s.distance == 0);
    votes[MODEL_LIGHTGBM] = vote(0.3, 0.2, 0.5, 0.02);
    ensemble_spread(&s, votes);
    assert_true(s.answers == 2 && !s.differ);
    assert_true(fabs(s.distance - 0.4 / 3) < 1e-15);
    /* Without skill it is still an answer; another best label is a difference. */
    votes[MODEL_LIGHTGBM] = vote(0.5, 0.2, 0.3, 0.02);
    votes[MODEL_LIGHTGBM].state = VOTE_NO_SKILL;
    ensemble_spread(&s, votes);
    assert_true(s.answers == 2 && s.differ);
    assert_true(fabs(s.distance - 0.8 / 3) < 1e-15);
    struct vote_spread turned;
    struct model_vote swapped[MODEL_COUNT] = {
        [MODEL_XGBOOST] = votes[MODEL_LIGHTGBM], [MODEL_LIGHTGBM] = votes[MODEL_XGBOOST]};
    ensemble_spread(&turned, swapped);
    assert_memory_equal(&s, &turned, sizeof s);
    /* A tie is HOLD. */
    votes[MODEL_XGBOOST] = vote(0.4, 0.2, 0.4, 0.02);
    votes[MODEL_LIGHTGBM] = vote(0.2, 0.6, 0.2, 0.02);
    ensemble_spread(&s, votes);
    assert_false(s.differ);
    /* Three: mean over the pairs. */
    votes[MODEL_XGBOOST] = votes[MODEL_LIGHTGBM] = vote(0, 0, 1, 0.02);
    votes[MODEL_NHITS] = vote(1, 0, 0, 0.02);
    ensemble_spread(&s, votes);
    assert_true(s.answers == 3 && s.differ);
    assert_true(fabs(s.distance - 2 * 2.0 / 3 / 3) < 1e-15);
    /* What is no answer does not count. */
    votes[MODEL_NHITS].p[0] = (double)NAN;
    ensemble_spread(&s, votes);
    assert_true(s.answers == 2 && s.distance == 0);
    votes[MODEL_LIGHTGBM].state = VOTE_WARMING;
    ensemble_spread(&s, votes);
    assert_true(s.answers == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_there_is_hold),
        cmocka_unit_test(one_voter_answers_for_itself),
        cmocka_unit_test(absent_voters_are_visible),
        cmocka_unit_test(pool_matches_arithmetic),
        cmocka_unit_test(tie_is_hold),
        cmocka_unit_test(below_confidence_min_is_hold),
        cmocka_unit_test(counted_votes_agree),
        cmocka_unit_test(order_and_scale_do_not_matter),
        cmocka_unit_test(nan_never_leaves),
        cmocka_unit_test(certainty_is_bounded),
        cmocka_unit_test(calibration_interpolates),
        cmocka_unit_test(names_are_the_files_names),
        cmocka_unit_test(spread_of_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
