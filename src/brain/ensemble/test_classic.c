/* The counted vote: the table of votes of the original (system notes 11.3), ties, order of voters; weights
 * once reported, as priors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/ensemble/ensemble.h"

/* A voter whose best label is `side` with probability p >= 0.5, the rest shared. */
static struct model_vote said(char side, double p) {
    struct model_vote v = {.state = VOTE_PRESENT, .move = 0.02};
    uint32_t label = side == 'S' ? LABEL_SELL : side == 'B' ? LABEL_BUY : LABEL_HOLD;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) v.p[l] = l == label ? p : (1 - p) / 2;
    return v;
}

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240802;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void table_of_votes(void **state) {
    (void)state;
    static const struct {
        const char *sides;
        double p[MODEL_COUNT];
        enum label action;
        uint32_t consensus;
        double confidence;
    } rows[] = {
        {"BBBH", {.70, .60, .65, .50}, LABEL_BUY, 3, .715},
        {"BSSH", {.70, .80, .60, .90}, LABEL_SELL, 2, .700},
        {"BBBB", {.90, .90, .90, .90}, LABEL_BUY, 4, .95},
        {"BHHS", {.70, .50, .50, .60}, LABEL_HOLD, 2, .50},
        {"HHHH", {.50, .50, .50, .50}, LABEL_HOLD, 4, .60},
    };
    struct ensemble_config c = {.weights = {.25, .25, .30, .20}, .rule = ENSEMBLE_CLASSIC};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct model_vote votes[MODEL_COUNT];
        for (int k = 0; k < MODEL_COUNT; k++) votes[k] = said(rows[i].sides[k], rows[i].p[k]);
        struct ensemble_signal s;
        ensemble_step(&s, &c, votes);
        assert_int_equal(s.action, rows[i].action);
        assert_int_equal(s.consensus, rows[i].consensus);
        assert_true(fabs(s.confidence - rows[i].confidence) < 1e-12);
    }
}

/* The original said BUY, because it was looked at first. */
static void a_tie_is_hold(void **state) {
    (void)state;
    struct ensemble_config c = {.weights = {.25, .25, .30, .20}, .rule = ENSEMBLE_CLASSIC};
    struct model_vote votes[MODEL_COUNT] = {said('B', .70), said('B', .70), said('S', .90),
                                            said('S', .90)};
    struct ensemble_signal s;
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_HOLD);
    assert_int_equal(s.consensus, 0);
    assert_true(s.confidence == s.p[LABEL_HOLD] && s.edge == 0);
    /* 0.1 + 0.2 is not 0.3 in binary: still a tie. */
    c = (struct ensemble_config){.weights = {.1, .2, .3, 0}, .rule = ENSEMBLE_CLASSIC};
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_HOLD);
    /* A thousandth more is none. */
    c.weights[0] = .101;
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_BUY);
}

/* Confidence does not enter the count, and does in the pool: the rules differ here. */
static void rules_differ_where_one_is_sure(void **state) {
    (void)state;
    struct ensemble_config c = {.weights = {1, 1, 1, 0}};
    struct model_vote votes[MODEL_COUNT] = {said('B', .50), said('B', .50), said('S', .98)};
    struct ensemble_signal pool, classic;
    ensemble_step(&pool, &c, votes);
    c.rule = ENSEMBLE_CLASSIC;
    ensemble_step(&classic, &c, votes);
    assert_int_equal(pool.action, LABEL_SELL);
    assert_int_equal(classic.action, LABEL_BUY);
    assert_true(fabs(classic.confidence - .50) < 1e-12);
    assert_memory_equal(pool.p, classic.p, sizeof pool.p);
    assert_memory_equal(pool.weights, classic.weights, sizeof pool.weights);
    assert_true(classic.edge < 0); /* the pool would not take that side */
}

static void limit_and_lone_voter(void **state) {
    (void)state;
    struct ensemble_config c = {
        .weights = {1, 1, 1, 1}, .confidence_min = 0.55, .rule = ENSEMBLE_CLASSIC};
    struct model_vote votes[MODEL_COUNT] = {said('B', .90)};
    struct ensemble_signal s;
    ensemble_step(&s, &c, votes); /* one voter: .90 * 0.6 = .54 */
    assert_int_equal(s.action, LABEL_HOLD);
    assert_true(s.confidence == s.p[LABEL_HOLD]);
    c.confidence_min = 0.53;
    ensemble_step(&s, &c, votes);
    assert_int_equal(s.action, LABEL_BUY);
    assert_true(fabs(s.confidence - .54) < 1e-12);
    memset(votes, 0, sizeof votes);
    ensemble_step(&s, &c, votes);
    assert_true(s.action == LABEL_HOLD && s.voters == 0 && s.confidence == 0);
}

static void order_of_voters_does_not_matter(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static const double sure[] = {.5, .6, .6, .7, .9};
    static const double weight[] = {.1, .2, .3, .3, .25};
    for (int n = 0; n < 20000; n++) {
        struct ensemble_config c = {.rule = ENSEMBLE_CLASSIC, .confidence_min = rng_f64(&r) * .7};
        struct model_vote votes[MODEL_COUNT];
        for (int k = 0; k < MODEL_COUNT; k++) {
            votes[k] = said("SHB"[rng_below(&r, 3)], sure[rng_below(&r, 5)]);
            votes[k].state = rng_below(&r, 5) ? VOTE_PRESENT : VOTE_EXCLUDED;
            c.weights[k] = weight[rng_below(&r, 5)];
        }
        struct ensemble_signal a, b;
        ensemble_step(&a, &c, votes);
        for (uint32_t k = MODEL_COUNT - 1; k > 0; k--) {
            uint64_t j = rng_below(&r, k + 1);
            struct model_vote v = votes[k];
            votes[k] = votes[j], votes[j] = v;
            double w = c.weights[k];
            c.weights[k] = c.weights[j], c.weights[j] = w;
        }
        ensemble_step(&b, &c, votes);
        assert_true(a.action == b.action && a.confidence == b.confidence && a.edge == b.edge);
        assert_true(a.consensus == b.consensus && a.voters == b.voters && a.move == b.move);
        assert_memory_equal(a.p, b.p, sizeof a.p);
        assert_true(a.confidence >= 0 && a.confidence <= 0.95);
    }
}

static void reported_weights_are_priors(void **state) {
    (void)state;
    struct ensemble_config c = ensemble_config_defaults();
    assert_int_equal(c.rule, ENSEMBLE_POOL);
    ensemble_reported_weights(c.weights);
    static const double shares[MODEL_COUNT] = {.16, .12, .24, .48};
    double w[MODEL_COUNT];
    assert_true(ensemble_normalise(w, c.weights));
    for (int k = 0; k < MODEL_COUNT; k++) assert_true(fabs(w[k] - shares[k]) < 1e-15);
    /* As the report rounds them. */
    const double rounded[MODEL_COUNT] = {.3333, .25, .5, 1.0};
    assert_true(ensemble_normalise(w, rounded));
    for (int k = 0; k < MODEL_COUNT; k++) assert_true(fabs(w[k] - shares[k]) < 2e-5);
    /* One away: the rest re-normalised, and every signal says so. */
    struct model_vote votes[MODEL_COUNT] = {said('B', .6), said('B', .6), said('B', .6),
                                            said('B', .6)};
    votes[MODEL_PATCHTST].state = VOTE_EXCLUDED;
    struct ensemble_signal s;
    ensemble_step(&s, &c, votes);
    assert_true(s.weights[MODEL_PATCHTST] == 0);
    assert_true(fabs(s.weights[MODEL_XGBOOST] - .16 / .52) < 1e-15);
    assert_true(fabs(s.weights[MODEL_NHITS] - .24 / .52) < 1e-15);

    const double none[MODEL_COUNT] = {0, -1, (double)NAN, (double)INFINITY};
    assert_false(ensemble_normalise(w, none));
    for (int k = 0; k < MODEL_COUNT; k++) assert_true(w[k] == 0);
}

static void names(void **state) {
    (void)state;
    assert_string_equal(ensemble_rule_text(ENSEMBLE_POOL), "pool");
    assert_string_equal(ensemble_rule_text(ENSEMBLE_CLASSIC), "classic");
    assert_string_equal(ensemble_rule_text(ENSEMBLE_RULE_COUNT), "?");
    assert_string_equal(vote_state_text(VOTE_EXCLUDED), "excluded");
    struct ensemble_signal s = {.move = 0.02, .p = {.2, .3, .5}};
    assert_true(fabs(ensemble_expected_return(&s) - .006) < 1e-15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_votes),
        cmocka_unit_test(a_tie_is_hold),
        cmocka_unit_test(rules_differ_where_one_is_sure),
        cmocka_unit_test(limit_and_lone_voter),
        cmocka_unit_test(order_of_voters_does_not_matter),
        cmocka_unit_test(reported_weights_are_priors),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
