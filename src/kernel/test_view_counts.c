#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/tstamp.h"
#include "kernel/view_counts.h"

/* One that nothing was reached of. */
static struct engine_decision decision(enum engine_reason reason, enum label action,
                                       double confidence, uint32_t voters, uint32_t consensus) {
    struct engine_decision d = {.reason = reason};
    d.signal.action = action;
    d.signal.confidence = confidence;
    d.signal.voters = voters;
    d.signal.consensus = consensus;
    d.strategy.arm = STRATEGY_NONE;
    d.regime.regime = REGIME_TREND_UP;
    return d;
}

static const struct model_vote BUY = {.state = VOTE_PRESENT, .p = {0.2, 0.2, 0.6}, .move = 0.01};
static const struct model_vote SELL = {.state = VOTE_PRESENT, .p = {0.6, 0.2, 0.2}, .move = 0.01};
static const struct model_vote WEAK = {.state = VOTE_NO_SKILL, .p = {0.2, 0.6, 0.2}, .move = 0.01};

static void agreement_is_of_those_that_voted(void **state) {
    (void)state;
    struct view_counts c = {0};
    struct model_vote votes[MODEL_COUNT] = {BUY, SELL, WEAK, {.state = VOTE_ABSENT}};
    struct engine_decision d = decision(ENGINE_HOLD, LABEL_BUY, 0.55, 2, 1);
    d.signal.weights[MODEL_XGBOOST] = 0.6;
    d.signal.weights[MODEL_LIGHTGBM] = 0.4;
    view_counts_add(&c, &d, votes);
    votes[MODEL_LIGHTGBM] = BUY;
    d.signal.consensus = 2;
    d.signal.confidence = 1;
    view_counts_add(&c, &d, votes);
    assert_int_equal(c.asked, 2);
    assert_int_equal(c.voted, 2);
    assert_int_equal(c.several, 2);
    assert_int_equal(c.unanimous, 1);
    assert_int_equal(c.models[MODEL_XGBOOST].agreed, 2);
    assert_int_equal(c.models[MODEL_LIGHTGBM].voted, 2);
    assert_int_equal(c.models[MODEL_LIGHTGBM].agreed, 1);
    assert_int_equal(c.models[MODEL_LIGHTGBM].labels[LABEL_SELL], 1);
    assert_int_equal(c.models[MODEL_NHITS].answered, 2); /* has no skill, has answered */
    assert_int_equal(c.models[MODEL_NHITS].voted, 0);
    assert_int_equal(c.models[MODEL_PATCHTST].answered, 0);
    assert_int_equal(c.confidence[11], 1); /* 0.55 is in [0.55, 0.60) */
    assert_int_equal(c.confidence[VIEW_CONFIDENCE_BINS - 1], 1);
    assert_true(c.confidence_sum == 1.55);
    assert_int_equal(c.regimes[REGIME_TREND_UP], 2);
    assert_int_equal(c.actions[LABEL_BUY], 2);
}

static void reasons_arms_and_sizes_are_counted(void **state) {
    (void)state;
    struct view_counts c = {0};
    const struct model_vote none[MODEL_COUNT] = {0};
    struct engine_decision d = decision(ENGINE_NO_VOTER, LABEL_HOLD, 0, 0, 0);
    view_counts_add(&c, &d, none);
    assert_int_equal(c.voted, 0);
    assert_int_equal(c.confidence[0], 0); /* nobody's confidence is not one of 0 */
    d = decision(ENGINE_NO_BAR, LABEL_HOLD, 0, 0, 0);
    view_counts_add(&c, &d, none);
    assert_int_equal(c.regimes[REGIME_TREND_UP], 1); /* no bar, no reading */
    d = decision(ENGINE_PORTFOLIO, LABEL_BUY, 0.6, 1, 1);
    d.strategy.arm = STRATEGY_SCALP;
    d.strategy.explored = 1;
    d.verdict.reason = PORTFOLIO_CORRELATED;
    view_counts_add(&c, &d, none);
    d.reason = ENGINE_SIZING;
    d.sizing.reason = SIZING_EDGE_BELOW_COST;
    view_counts_add(&c, &d, none);
    d.reason = ENGINE_ALLOW;
    d.strategy.explored = 0;
    d.leverage = 3;
    d.fraction = 0.25;
    d.choice.multiplier = 0.5;
    d.choice.why = SIZING_WHY_NEUTRAL;
    d.sizing.bound_by = SIZING_LIMIT_EVIDENCE;
    d.sizing.stop_loss = 0.004;
    view_counts_add(&c, &d, none);
    assert_int_equal(c.reasons[ENGINE_NO_VOTER], 1);
    assert_int_equal(c.reasons[ENGINE_NO_BAR], 1);
    assert_int_equal(c.reasons[ENGINE_ALLOW], 1);
    assert_int_equal(c.portfolio[PORTFOLIO_CORRELATED], 1);
    assert_int_equal(c.sizing[SIZING_EDGE_BELOW_COST], 1);
    assert_int_equal(c.arms[STRATEGY_SCALP], 3);
    assert_int_equal(c.arms[STRATEGY_DEFENSIVE], 0);
    assert_int_equal(c.explored, 2);
    assert_int_equal(c.sized, 1);
    assert_int_equal(c.leverage[3], 1);
    assert_int_equal(c.why[SIZING_WHY_NEUTRAL], 1);
    assert_int_equal(c.bound_by[SIZING_LIMIT_EVIDENCE], 1);
    assert_true(c.fraction_sum == 0.25 && c.multiplier_sum == 0.5 && c.stop_loss_sum == 0.004);
    uint64_t sum = 0;
    for (int i = 0; i < ENGINE_REASON_COUNT; i++) sum += c.reasons[i];
    assert_int_equal(sum, c.asked);
}

static void what_is_learned_is_read_from_the_engine(void **state) {
    (void)state;
    const char names[1][SYMBOL_SIZE] = {"BTCUSDT"};
    struct engine_config config = engine_config_defaults(NS_PER_HOUR, 12);
    struct engine *e = aligned_alloc(64, (engine_size(1) + 63) / 64 * 64);
    struct view_learned l;
    struct err err = {0};
    assert_non_null(e);
    assert_int_equal(engine_init(e, &config, names, 1, NULL, &err), ST_OK);
    view_learned_get(&l, e);
    assert_int_equal(l.strategy.algorithm, config.strategy.algorithm);
    assert_true(isnan(l.strategy.arms[STRATEGY_SCALP].mean_r)); /* no trade: no mean, not 0 */
    assert_int_equal(l.supervisor[MODEL_XGBOOST].steps, 0);
    /* Two contexts of one arm: means weighed by their counts. */
    e->strategy.policies[0].arms[REGIME_TREND_UP][0][STRATEGY_SCALP] =
        (struct strategy_arm){.weight = 3, .mean = 0.5, .total_r = 1.5, .count = 3, .wins = 2};
    e->strategy.policies[0].arms[REGIME_RANGE_LOW_VOL][1][STRATEGY_SCALP] =
        (struct strategy_arm){.weight = 1, .mean = -1.5, .total_r = -1.5, .count = 1};
    e->strategy.acting = STRATEGY_POLICY_SHARP;
    e->strategy.policies[STRATEGY_POLICY_SHARP] = e->strategy.policies[0];
    e->strategy.adopted = 1;
    e->strategy.verdicts[STRATEGY_NOT_BETTER] = 5;
    e->strategy.newest[STRATEGY_POLICY_QUICK].gain = 0.25;
    e->sizing.row_count[7] = 4;
    e->seated[MODEL_NHITS] = 1;
    e->supervisor[MODEL_NHITS].error.alarms = 2;
    e->closes = 9;
    view_learned_get(&l, e);
    assert_true(l.strategy.arms[STRATEGY_SCALP].mean_r == 0);
    assert_int_equal(l.strategy.arms[STRATEGY_SCALP].trades, 4);
    assert_int_equal(l.strategy.arms[STRATEGY_SCALP].wins, 2);
    assert_int_equal(l.strategy.acting, STRATEGY_POLICY_SHARP);
    assert_int_equal(l.strategy.acting_since_ns, 0);
    assert_int_equal(l.strategy.adopted, 1);
    assert_int_equal(l.strategy.verdicts[STRATEGY_NOT_BETTER], 5);
    assert_true(l.strategy.policies[STRATEGY_POLICY_QUICK].gain == 0.25);
    assert_int_equal(l.sizing.rows_trained, 1);
    assert_int_equal(l.supervisor[MODEL_NHITS].error_alarms, 2);
    assert_int_equal(l.closes, 9);
    assert_true(l.interval_alpha == config.conformal_alpha);
    free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agreement_is_of_those_that_voted),
        cmocka_unit_test(reasons_arms_and_sizes_are_counted),
        cmocka_unit_test(what_is_learned_is_read_from_the_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
