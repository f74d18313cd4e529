/* The classic formula with its vectors (system notes 11.4), and the record every change leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/governance/governance.h"

enum { ALL = (1 << MODEL_COUNT) - 1 };

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240806;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void assert_weights(const double *w, double a, double b, double c, double d) {
    const double expected[MODEL_COUNT] = {a, b, c, d};
    for (int k = 0; k < MODEL_COUNT; k++) {
        if (fabs(w[k] - expected[k]) > 5.1e-5)
            fail_msg("weight %d is %.6f, not %.4f", k, w[k], expected[k]);
    }
}

/* Registration order of the original: PatchTST, N-HiTS, XGBoost, LightGBM: 1, 1/2, 1/3, 1/4. No profit, 1 % error. */
static void classic_vectors(void **state) {
    (void)state;
    double w[MODEL_COUNT] = {1, 1.0 / 2, 1.0 / 3, 1.0 / 4}, normal[MODEL_COUNT];
    assert_true(ensemble_normalise(normal, w));
    assert_weights(normal, .48, .24, .16, .12);
    const double mape[MODEL_COUNT] = {.01, .01, .01, .01}, pnl[MODEL_COUNT] = {0};
    double before[MODEL_COUNT];
    memcpy(before, w, sizeof before);
    for (uint64_t update = 1; update <= 100; update++) {
        const uint64_t samples[MODEL_COUNT] = {update, update, update, update};
        governance_classic_step(w, mape, pnl, samples, (double)INFINITY);
        if (update == 1) assert_memory_equal(w, before, sizeof w);
        if (update == 2) assert_weights(w, .4781, .2401, .1607, .1211);
        if (update == 10) assert_weights(w, .4491, .2413, .1721, .1375);
        if (update == 50) assert_weights(w, .3509, .2456, .2105, .1930);
        if (update == 100) assert_weights(w, .2931, .2481, .2331, .2256);
    }
}

/* The instability of the original, and that bounds end it. */
static void classic_instability_shown_and_bounded(void **state) {
    (void)state;
    const double mape[MODEL_COUNT] = {.01, .01, .01, .01}, pnl[MODEL_COUNT] = {1, 0, 0, 0};
    const uint64_t samples[MODEL_COUNT] = {9, 9, 9, 9};
    double w[MODEL_COUNT] = {.25, .25, .25, .25};
    governance_classic_step(w, mape, pnl, samples, (double)INFINITY);
    assert_weights(w, .9826, .0058, .0058, .0058);
    double bounded[MODEL_COUNT] = {.25, .25, .25, .25};
    governance_classic_step(bounded, mape, pnl, samples, 1);
    /* .475 : .178 thrice */
    assert_weights(bounded, .4708, .1764, .1764, .1764);
    /* A hundred such steps through the whole of governance: at the cap, and no further. */
    struct governance_config c = governance_config_defaults();
    c.rule = GOVERNANCE_CLASSIC;
    c.publish_rounds = 1;
    c.classic_cost = 0;
    static struct governance g;
    governance_init(&g, &c);
    struct governance_outcome o = {
        .forecast_mask = ALL, .voter_mask = ALL, .label = LABEL_BUY, .realised_return = 0.5};
    for (int k = 0; k < MODEL_COUNT; k++) {
        o.p[k][LABEL_HOLD] = 1;
        o.move[k] = 0.5;
    }
    o.p[0][LABEL_HOLD] = 0;
    o.p[0][LABEL_BUY] = 1; /* foresaw it to the cent: error 0, profit 0.5 */
    for (int t = 0; t < 100; t++) {
        struct governance_change change;
        governance_round(&g, &change, &o, 1, t);
        for (int k = 0; k < MODEL_COUNT; k++)
            assert_true(g.served[k] >= c.floor - 1e-12 && g.served[k] <= c.cap + 1e-12);
    }
    assert_true(fabs(g.served[0] - c.cap) < 1e-9);
    assert_true(governance_classic_mape(&g, MODEL_XGBOOST) == 0);
    assert_true(governance_classic_pnl(&g, MODEL_XGBOOST) == 0.5);
}

/* Real inputs: each model's own price error and its own side's return less costs, means of ten rounds. */
static void classic_inputs_by_hand(void **state) {
    (void)state;
    struct governance_config c = governance_config_defaults();
    c.rule = GOVERNANCE_CLASSIC;
    static struct governance g;
    governance_init(&g, &c);
    struct governance_outcome o = {
        .forecast_mask = 3, .voter_mask = 3, .label = LABEL_SELL, .realised_return = -0.02};
    const double sells[LABEL_COUNT] = {.6, .3, .1}, holds[LABEL_COUNT] = {.2, .6, .2};
    memcpy(o.p[0], sells, sizeof sells);
    memcpy(o.p[1], holds, sizeof holds);
    o.move[0] = o.move[1] = 0.02;
    struct governance_change change;
    for (int t = 0; t < 12; t++) governance_round(&g, &change, &o, 1, t);
    /* Expected -0.02 * 0.5 = -0.01: |-0.01 + 0.02| / 0.98; the other expected 0. */
    assert_true(fabs(governance_classic_mape(&g, MODEL_XGBOOST) - .01 / .98) < 1e-15);
    assert_true(fabs(governance_classic_mape(&g, MODEL_LIGHTGBM) - .02 / .98) < 1e-15);
    assert_true(fabs(governance_classic_pnl(&g, MODEL_XGBOOST) - (.02 - .0014)) < 1e-15);
    assert_true(governance_classic_pnl(&g, MODEL_LIGHTGBM) == 0);
    assert_true(g.classic[MODEL_NHITS].samples == 0 && g.classic[MODEL_XGBOOST].samples == 12);
    /* Too few samples: that model keeps its share. */
    double w[MODEL_COUNT] = {.4, .3, .2, .1};
    const double mape[MODEL_COUNT] = {.01, .01, .01, .01}, pnl[MODEL_COUNT] = {.005};
    const uint64_t samples[MODEL_COUNT] = {5, 5, 1, 0};
    governance_classic_step(w, mape, pnl, samples, 1);
    assert_true(fabs(w[2] - .2) < 1e-15 && fabs(w[3] - .1) < 1e-15);
    assert_true(fabs(w[0] + w[1] - .7) < 1e-15 && w[0] > .4);
}

static struct governance_outcome judged(struct rng *r) {
    struct governance_outcome o = {.forecast_mask = ALL, .voter_mask = ALL};
    o.label = (uint32_t)rng_below(r, LABEL_COUNT);
    o.realised_return = 0.01 * ((double)o.label - 1);
    for (int k = 0; k < MODEL_COUNT; k++) {
        double sum = 0;
        for (uint32_t l = 0; l < LABEL_COUNT; l++)
            sum += o.p[k][l] = 0.5 + rng_f64(r) + (k == 1 && l == o.label ? 1.5 : 0);
        for (uint32_t l = 0; l < LABEL_COUNT; l++) o.p[k][l] /= sum;
        o.move[k] = 0.01;
    }
    return o;
}

static double pool_loss(const double *w, const struct governance_outcome *o) {
    double log_p[LABEL_COUNT], sum = 0;
    for (int l = 0; l < LABEL_COUNT; l++) {
        log_p[l] = 0;
        for (int k = 0; k < MODEL_COUNT; k++) log_p[l] += w[k] * log(o->p[k][l]);
        sum += exp(log_p[l]);
    }
    return -(log_p[o->label] - log(sum));
}

/* Every change of what is served leaves a record; its figures are those of a plain twin. */
static void every_change_is_recorded(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    struct governance_config c = governance_config_defaults();
    c.publish_rounds = 10;
    static struct governance g;
    governance_init(&g, &c);
    double last[MODEL_COUNT], replaced[MODEL_COUNT], served_sum = 0, replaced_sum = 0;
    double own[MODEL_COUNT] = {0};
    governance_weights(last, &g);
    memcpy(replaced, last, sizeof replaced);
    uint64_t sequence = 0, held = 0;
    static struct governance_outcome all[1000];
    for (int t = 0; t < 1000; t++) {
        struct governance_outcome o = all[t] = judged(&r);
        served_sum += pool_loss(last, &o);
        replaced_sum += pool_loss(replaced, &o);
        held++;
        for (int k = 0; k < MODEL_COUNT; k++)
            own[k] += governance_loss(GOVERNANCE_LOG_LOSS, o.p[k], (enum label)o.label);
        struct governance_change change;
        double now[MODEL_COUNT];
        bool changed = governance_round(&g, &change, &o, 1, 1000 + t);
        governance_weights(now, &g);
        assert_int_equal(changed, memcmp(now, last, sizeof now) != 0);
        if (!changed) {
            assert_int_equal(change.sequence, 0);
            continue;
        }
        assert_int_equal(change.sequence, ++sequence);
        assert_true(change.reason == GOVERNANCE_LEARNED && change.model == MODEL_COUNT);
        assert_true(change.ts_ns == 1000 + t && change.round == (uint64_t)t + 1);
        assert_memory_equal(change.before, last, sizeof last);
        assert_memory_equal(change.after, now, sizeof now);
        assert_int_equal(change.held_outcomes, held);
        assert_true(fabs(change.held_served - served_sum / (double)held) < 1e-9);
        assert_true(fabs(change.held_replaced - replaced_sum / (double)held) < 1e-9);
        for (int k = 0; k < MODEL_COUNT; k++)
            assert_true(fabs(change.model_loss[k] - own[k] / (double)held) < 1e-9 &&
                        change.model_forecasts[k] == held);
        double before = 0, after = 0;
        int from = t + 1 > GOVERNANCE_WINDOW ? t + 1 - GOVERNANCE_WINDOW : 0;
        for (int i = from; i <= t; i++) {
            before += pool_loss(last, &all[i]) / (t + 1 - from);
            after += pool_loss(now, &all[i]) / (t + 1 - from);
        }
        assert_int_equal(change.hindsight_outcomes, t + 1 - from);
        assert_true(fabs(change.hindsight_before - before) < 1e-9);
        assert_true(fabs(change.hindsight_after - after) < 1e-9);
        memcpy(replaced, last, sizeof last);
        memcpy(last, now, sizeof now);
        served_sum = replaced_sum = 0;
        held = 0;
        memset(own, 0, sizeof own);
    }
    assert_true(sequence > 5 && last[1] > 0.5);
}

static void supervisors_word_and_replacement(void **state) {
    (void)state;
    struct governance_config c = governance_config_defaults();
    ensemble_reported_weights(c.priors);
    static struct governance g;
    governance_init(&g, &c);
    struct governance_change change;
    double w[MODEL_COUNT];
    assert_false(governance_limit(&g, &change, MODEL_PATCHTST, 1, 5));
    assert_true(governance_limit(&g, &change, MODEL_PATCHTST, 0.5, 6));
    assert_true(change.reason == GOVERNANCE_DOWN_WEIGHTED && change.model == MODEL_PATCHTST);
    governance_weights(w, &g);
    assert_true(fabs(w[MODEL_PATCHTST] - .24 / .76) < 1e-12);
    assert_true(governance_limit(&g, &change, MODEL_PATCHTST, 0, 7));
    assert_int_equal(change.reason, GOVERNANCE_EXCLUDED);
    assert_true(change.after[MODEL_PATCHTST] == 0 && change.sequence == 2);
    assert_true(governance_limit(&g, &change, MODEL_PATCHTST, 1, 8));
    assert_int_equal(change.reason, GOVERNANCE_RESTORED);
    assert_true(fabs(change.after[MODEL_PATCHTST] - .48) < 1e-12);
    /* All four out: nothing is served, and the ensemble says HOLD. */
    for (int k = 0; k < MODEL_COUNT; k++) governance_limit(&g, &change, (enum model_kind)k, 0, 9);
    governance_weights(w, &g);
    for (int k = 0; k < MODEL_COUNT; k++) assert_true(w[k] == 0 && change.after[k] == 0);

    governance_init(&g, &c);
    struct rng r = rng_init(test_seed());
    for (int t = 0; t < 480; t++) {
        struct governance_outcome o = judged(&r);
        governance_round(&g, &change, &o, 1, t);
    }
    double ratio = g.learned[0] / g.learned[2];
    governance_limit(&g, &change, MODEL_LIGHTGBM, 0.5, 500);
    assert_true(g.learned[1] > 0.4);
    assert_true(governance_replace(&g, &change, MODEL_LIGHTGBM, 501));
    assert_int_equal(change.reason, GOVERNANCE_REPLACED);
    assert_true(fabs(g.learned[1] - g.prior[1]) < 1e-12 && g.factor[1] == 1);
    assert_true(fabs(g.learned[0] / g.learned[2] - ratio) < 1e-9);
    assert_true(governance_is_sound(&g));
    double u[MODEL_COUNT] = {.25, .25, .25, .25};
    assert_true(governance_regret(&g, u) == 0 && governance_regret_bound(&g, u) >= 0);
}

static void poison_is_refused(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static const double poison[] = {NAN, INFINITY, -INFINITY, -1, 2, 1e300};
    struct governance_config c = governance_config_defaults();
    c.publish_rounds = 1;
    static struct governance g;
    for (uint32_t rule = 0; rule < GOVERNANCE_RULE_COUNT; rule++) {
        c.rule = rule;
        governance_init(&g, &c);
        for (int t = 0; t < 20000; t++) {
            struct governance_outcome o = judged(&r);
            if (!rng_below(&r, 3))
                o.p[rng_below(&r, 4)][rng_below(&r, 3)] = poison[rng_below(&r, 6)];
            if (!rng_below(&r, 3)) o.move[rng_below(&r, 4)] = poison[rng_below(&r, 6)];
            if (!rng_below(&r, 9)) o.realised_return = poison[rng_below(&r, 6)];
            if (!rng_below(&r, 9)) o.label = 3 + (uint32_t)rng_below(&r, 9);
            o.forecast_mask = (uint32_t)rng_u64(&r);
            o.voter_mask = (uint32_t)rng_u64(&r);
            struct governance_change change;
            governance_round(&g, &change, &o, 1, t);
            double w[MODEL_COUNT], sum = 0;
            governance_weights(w, &g);
            for (int k = 0; k < MODEL_COUNT; k++) sum += w[k];
            assert_true(fabs(sum - 1) < 1e-9);
            assert_true(isfinite(change.hindsight_before) && isfinite(change.held_served));
        }
        assert_true(g.refused > 1000 && governance_is_sound(&g));
    }
    struct governance_change change;
    assert_false(governance_round(&g, &change, NULL, 0, 0));
}

/* A state written and read back goes on to the same bits; a damaged one is noticed. */
static void state_is_plain_memory(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    struct governance_config c = governance_config_defaults();
    static struct governance a, b;
    governance_init(&a, &c);
    for (int t = 0; t < 300; t++) {
        struct governance_outcome o = judged(&r);
        struct governance_change x, y;
        bool changed = governance_round(&a, &x, &o, 1, t);
        if (t == 100) memcpy(&b, &a, sizeof a);
        if (t <= 100) continue;
        assert_int_equal(governance_round(&b, &y, &o, 1, t), changed);
        assert_memory_equal(&x, &y, sizeof x);
    }
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(governance_is_sound(&a));
    b.learned[2] = (double)NAN;
    assert_false(governance_is_sound(&b));
    b = a;
    b.factor[0] = 1.5;
    assert_false(governance_is_sound(&b));
    b = a;
    b.config.rule = 7;
    assert_false(governance_is_sound(&b));
    b = a;
    b.served[0] += 0.1;
    assert_false(governance_is_sound(&b));
}

static void names(void **state) {
    (void)state;
    assert_string_equal(governance_rule_text(GOVERNANCE_CLASSIC), "classic");
    assert_string_equal(governance_score_text(GOVERNANCE_BRIER), "brier");
    assert_string_equal(governance_reason_text(GOVERNANCE_REPLACED), "replaced");
    assert_string_equal(governance_reason_text(GOVERNANCE_REASON_END), "?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic_vectors),
        cmocka_unit_test(classic_instability_shown_and_bounded),
        cmocka_unit_test(classic_inputs_by_hand),
        cmocka_unit_test(every_change_is_recorded),
        cmocka_unit_test(supervisors_word_and_replacement),
        cmocka_unit_test(poison_is_refused),
        cmocka_unit_test(state_is_plain_memory),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
