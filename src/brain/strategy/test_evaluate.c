/* Off-policy evaluation: by hand, unbiased and covering where the truth is known, and as a gate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brain/strategy/strategy_internal.h"

static struct strategy_state state, scratch;

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240801;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void always_second(double *out, void *context, const struct strategy_row *row) {
    (void)context, (void)row;
    memset(out, 0, STRATEGY_ARMS * sizeof *out);
    out[1] = 1;
}

static void by_hand(void **unused) {
    (void)unused;
    struct strategy_evaluation e;
    struct strategy_row rows[3] = {{.trade_id = 1,
                                    .arm = 1,
                                    .eligible = 3,
                                    .propensity = 0.5F,
                                    .net_r = 2,
                                    .expected = {0, 1}},
                                   {.trade_id = 2,
                                    .arm = 0,
                                    .eligible = 3,
                                    .propensity = 0.5F,
                                    .net_r = -1,
                                    .expected = {0, 0.5F}},
                                   {.trade_id = 3,
                                    .arm = 1,
                                    .eligible = 3,
                                    .propensity = 0.25F,
                                    .net_r = 0,
                                    .expected = {0, 0.5F}}};
    strategy_evaluate(&e, rows, 3, always_second, NULL);
    /* 1 + 2 (2 - 1) = 3;  0.5 + 0;  0.5 + 4 (0 - 0.5) = -1.5 */
    assert_true(fabs(e.value - 2.0 / 3) < 1e-12);
    assert_true(fabs(e.logged - 1.0 / 3) < 1e-12);
    assert_true(fabs(e.gain - 1.0 / 3) < 1e-12);
    assert_true(fabs(e.effective - 36.0 / 20) < 1e-12); /* weights 2, 0, 4 */
    double sd = sqrt((pow(3 - 2.0 / 3, 2) + pow(0.5 - 2.0 / 3, 2) + pow(-1.5 - 2.0 / 3, 2)) / 2);
    assert_true(fabs(e.value_high - e.value - 1.959963984540054 * sd / sqrt(3)) < 1e-12);
    assert_true(e.clipped == 0);
    rows[2].propensity = 0.01F;
    strategy_evaluate(&e, rows, 3, always_second, NULL);
    assert_true(fabs(e.clipped - 1.0 / 3) < 1e-12);
    assert_true(fabs(e.value - (3 + 0.5 + 0.5 - 20 * 0.5) / 3) < 1e-6);
    strategy_evaluate(&e, rows, 1, always_second, NULL);
    assert_true(isnan(e.value) && isnan(e.gain) && isnan(e.p_value) && isnan(e.value_low));
    strategy_evaluate(&e, rows, 0, always_second, NULL);
    assert_true(isnan(e.value) && e.effective == 0);
}

/* Three arms of known means in two contexts; the policy to be judged prefers another one in
 * each. */
static const double means[2][3] = {{0.4, 0.0, -0.3}, {-0.2, 0.1, 0.5}};
static const double wanted[2][3] = {{0.7, 0.2, 0.1}, {0.1, 0.1, 0.8}};

static void wanted_policy(double *out, void *context, const struct strategy_row *row) {
    (void)context;
    memset(out, 0, STRATEGY_ARMS * sizeof *out);
    for (int a = 0; a < 3; a++) out[a] = wanted[row->tier][a];
}

/* A log whose policy drifts and depends on what came before; quality 0 no expectation, 1 the truth,
 * 2 nonsense. */
static void make_log(struct strategy_row *rows, size_t n, int quality, struct rng *r) {
    double lean = 0;
    for (size_t i = 0; i < n; i++) {
        double p[3], sum = 0;
        uint32_t arm = 0;
        rows[i] = (struct strategy_row){
            .trade_id = i + 1, .eligible = 7, .tier = (uint8_t)rng_below(r, 2)};
        for (int a = 0; a < 3; a++) sum += p[a] = 0.15 + 0.5 * rng_f64(r) + (a == 1 ? lean : 0);
        double u = rng_f64(r) * sum;
        while (arm < 2 && u >= p[arm]) u -= p[arm++];
        rows[i].arm = (uint8_t)arm;
        rows[i].propensity = (float)(p[arm] / sum);
        rows[i].net_r = (float)(means[rows[i].tier][arm] + rng_normal(r));
        for (int a = 0; a < 3; a++)
            rows[i].expected[a] = quality == 0   ? 0
                                  : quality == 1 ? (float)means[rows[i].tier][a]
                                                 : (float)(3 - 2 * a);
        lean = rows[i].net_r > 0 ? 0.3 : 0; /* what is done next depends on what came */
    }
}

static void unbiased_and_its_interval_covers(void **unused) {
    (void)unused;
    enum { N = 400, REPEATS = 600 };
    static struct strategy_row rows[N];
    struct rng r = rng_init(test_seed());
    double truth = 0, width[3] = {0};
    for (int c = 0; c < 2; c++)
        for (int a = 0; a < 3; a++) truth += 0.5 * wanted[c][a] * means[c][a];
    for (int quality = 0; quality < 3; quality++) {
        double mean = 0, spread = 0;
        uint32_t covered = 0;
        for (int i = 0; i < REPEATS; i++) {
            struct strategy_evaluation e;
            make_log(rows, N, quality, &r);
            strategy_evaluate(&e, rows, N, wanted_policy, NULL);
            mean += e.value / REPEATS;
            spread += pow(e.value - truth, 2) / REPEATS;
            width[quality] += (e.value_high - e.value_low) / REPEATS;
            covered += e.value_low <= truth && truth <= e.value_high;
        }
        print_message("expectation %d: %.4f (true %.4f), interval %.3f wide, covers %.3f\n",
                      quality, mean, truth, width[quality], (double)covered / REPEATS);
        assert_true(fabs(mean - truth) < 4 * sqrt(spread / REPEATS));
        assert_true(covered > 0.92 * REPEATS && covered < 0.98 * REPEATS);
    }
    assert_true(width[1] < width[0] && width[0] < width[2]); /* what knowing something is worth */
}

/* ---- The gate ---- */

static void trade(struct strategy_state *s, uint32_t trades, const double *arm_means,
                  struct rng *market) {
    struct strategy_context c = {.regime = REGIME_TREND_UP,
                                 .tier = STRATEGY_MAIN,
                                 .confidence = 0.7,
                                 .spread_bps = 1,
                                 .depth = 1e6,
                                 .win_rate = NAN};
    for (uint32_t i = 0; i < trades; i++) {
        struct strategy_decision d;
        uint64_t id = s->log_total + 1;
        strategy_choose(&d, s, &c, NULL);
        assert_int_equal(strategy_opened(s, id, &d, (int64_t)id * 2), STRATEGY_TAKEN);
        assert_int_equal(
            strategy_closed(s, id, arm_means[d.arm] + rng_normal(market), (int64_t)id * 2 + 1),
            STRATEGY_TAKEN);
    }
}

/* The classic stays with the bold one; the posterior would have seen what is better. */
static void a_better_policy_may_act(void **unused) {
    (void)unused;
    struct strategy_config old = strategy_config_defaults(), better = old;
    const double arm_means[STRATEGY_ARMS] = {
        [STRATEGY_MODERATE] = 0.35, [STRATEGY_TREND_RIDER] = -0.5};
    struct strategy_evaluation e;
    struct rng market = rng_init(3);
    old.algorithm = STRATEGY_CLASSIC;
    old.epsilon = 0.7; /* much by chance: less, and the log would say too little of the others */
    strategy_init(&state, 1, &old);
    trade(&state, 150, arm_means, &market);
    assert_false(strategy_adopt(&e, &state, &scratch, &better));
    assert_int_equal(e.verdict, STRATEGY_TOO_FEW);
    assert_int_equal(e.trial, 1);
    trade(&state, 850, arm_means, &market);
    bool allowed = strategy_adopt(&e, &state, &scratch, &better);
    print_message("worth %.3f [%.3f, %.3f] against %.3f, p %.2g at %.2g, effective %.0f of %llu\n",
                  e.value, e.value_low, e.value_high, e.logged, e.p_value, e.level, e.effective,
                  (unsigned long long)e.rows);
    assert_true(allowed);
    assert_int_equal(e.verdict, STRATEGY_ALLOWED);
    assert_int_equal(e.trial, 2);
    assert_true(fabs(e.level - 0.05 * 6 / (acos(-1.0) * acos(-1.0) * 4)) < 1e-15);
    assert_true(e.gain_low > 0);
    assert_memory_equal(&state.config, &better, sizeof better);
    assert_true(strategy_check(&state));
}

static void a_worse_policy_may_not(void **unused) {
    (void)unused;
    struct strategy_config good = strategy_config_defaults(), worse = good;
    const double arm_means[STRATEGY_ARMS] = {
        [STRATEGY_MODERATE] = 0.35, [STRATEGY_TREND_RIDER] = -0.5};
    uint32_t allowed = 0;
    worse.algorithm = STRATEGY_CLASSIC;
    for (uint32_t seed = 0; seed < 50; seed++) {
        struct strategy_evaluation e;
        struct rng market = rng_init(seed);
        strategy_init(&state, seed, &good);
        trade(&state, 1000, arm_means, &market);
        allowed += strategy_adopt(&e, &state, &scratch, &worse);
        assert_memory_equal(&state.config, &good, sizeof good);
    }
    assert_int_equal(allowed, 0);
}

/* The original's own ten per cent of chance leave 1 in 60 for each other arm: such a log cannot
 * tell. */
static void what_was_hardly_tried_cannot_be_judged(void **unused) {
    (void)unused;
    struct strategy_config old = strategy_config_defaults(), better = old;
    const double arm_means[STRATEGY_ARMS] = {
        [STRATEGY_MODERATE] = 0.35, [STRATEGY_TREND_RIDER] = -0.5};
    struct strategy_evaluation e;
    struct rng market = rng_init(3);
    old.algorithm = STRATEGY_CLASSIC;
    strategy_init(&state, 1, &old);
    trade(&state, 1000, arm_means, &market);
    assert_false(strategy_policy_allowed(&e, &state, &scratch, &better));
    assert_int_equal(e.verdict, STRATEGY_NO_OVERLAP);
}

/* Every strategy earns the same: whatever is tried must not seem better more often than stated. */
static void nothing_to_gain_is_rarely_allowed(void **unused) {
    (void)unused;
    enum { SEEDS = 120, TRIES = 5 };
    struct strategy_config now = strategy_config_defaults();
    const double arm_means[STRATEGY_ARMS] = {0};
    uint32_t first = 0, any = 0;
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct rng market = rng_init(seed + 77);
        bool passed = false;
        strategy_init(&state, seed, &now);
        trade(&state, 800, arm_means, &market);
        for (uint32_t k = 0; k < TRIES; k++) {
            struct strategy_evaluation e;
            struct strategy_config other = now;
            other.algorithm = k % 2;
            other.prior_weight = 1 + k;
            other.forget = 1 - 0.001 * k;
            bool allowed = strategy_policy_allowed(&e, &state, &scratch, &other);
            first += k == 0 && allowed;
            passed |= allowed;
        }
        any += passed;
    }
    print_message("allowed without gain: the first %.3f, any of five %.3f\n", (double)first / SEEDS,
                  (double)any / SEEDS);
    /* 0.05 6 / pi^2 = 0.030 and 0.044 in expectation, four deviations above. */
    assert_true(first <= 0.030 * SEEDS + 4 * sqrt(0.030 * SEEDS));
    assert_true(any <= 0.044 * SEEDS + 4 * sqrt(0.044 * SEEDS));
}

static void trials_begin_anew_with_the_log(void **unused) {
    (void)unused;
    struct strategy_config c = strategy_config_defaults();
    const double arm_means[STRATEGY_ARMS] = {0};
    struct strategy_evaluation e;
    struct rng market = rng_init(1);
    strategy_init(&state, 1, &c);
    trade(&state, 300, arm_means, &market);
    for (uint32_t i = 1; i <= 3; i++) {
        strategy_policy_allowed(&e, &state, &scratch, &c);
        assert_int_equal(e.trial, i);
    }
    trade(&state, STRATEGY_LOG_MAX - 1, arm_means, &market);
    strategy_policy_allowed(&e, &state, &scratch, &c);
    assert_int_equal(e.trial, 4);
    trade(&state, 1, arm_means, &market);
    strategy_policy_allowed(&e, &state, &scratch, &c);
    assert_int_equal(e.trial, 1);
    assert_int_equal(e.rows, STRATEGY_LOG_MAX / 2);
    /* The state is changed in nothing but the count of trials, and judging is repeatable. */
    struct strategy_evaluation again;
    static struct strategy_state copy;
    copy = state;
    copy.trials = state.trials - 1;
    strategy_policy_allowed(&again, &copy, &scratch, &c);
    assert_memory_equal(&copy, &state, sizeof state);
    assert_true(again.value == e.value && again.p_value == e.p_value);
    assert_string_equal(strategy_verdict_text((enum strategy_verdict)STRATEGY_NO_OVERLAP),
                        "no_overlap");
}

/* Trades that stay open for long: a policy is told nothing at a choice that was not known then. */
static void a_replay_knows_what_had_closed(void **unused) {
    (void)unused;
    enum { N = 600, OPEN = 20 };
    struct strategy_config c = strategy_config_defaults();
    struct strategy_context context = {.regime = REGIME_TREND_UP,
                                       .confidence = 0.7,
                                       .win_rate = NAN,
                                       .spread_bps = 1,
                                       .depth = 1e6};
    struct strategy_evaluation seen, spoilt;
    struct rng market = rng_init(1);
    static struct strategy_state changed;
    strategy_init(&state, 1, &c);
    /* Choice i at time i, closed at i + OPEN, the last choice of all first told. */
    for (uint64_t id = 1; id <= N + OPEN; id++) {
        struct strategy_decision d;
        if (id > OPEN)
            assert_int_equal(strategy_closed(&state, id - OPEN, rng_normal(&market), (int64_t)id),
                             STRATEGY_TAKEN);
        if (id > N) continue;
        strategy_choose(&d, &state, &context, NULL);
        assert_int_equal(strategy_opened(&state, id, &d, (int64_t)id), STRATEGY_TAKEN);
    }
    strategy_policy_allowed(&seen, &state, &scratch, &c);
    assert_int_equal(seen.rows, N / 2);
    /* The rewards of the last OPEN + 1 trades were known to no choice: they may change the value
     * of their own rows, not what the policy does anywhere. */
    changed = state;
    changed.trials = 0;
    for (int i = N - OPEN - 1; i < N; i++) changed.log[i].net_r += 5;
    strategy_policy_allowed(&spoilt, &changed, &scratch, &c);
    assert_true(spoilt.effective == seen.effective);
    /* One earlier, and the last choice knows it. */
    changed.log[N - OPEN - 2].net_r += 50;
    strategy_policy_allowed(&spoilt, &changed, &scratch, &c);
    assert_true(spoilt.effective != seen.effective);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(unbiased_and_its_interval_covers),
        cmocka_unit_test(a_better_policy_may_act),
        cmocka_unit_test(a_worse_policy_may_not),
        cmocka_unit_test(what_was_hardly_tried_cannot_be_judged),
        cmocka_unit_test(nothing_to_gain_is_rarely_allowed),
        cmocka_unit_test(trials_begin_anew_with_the_log),
        cmocka_unit_test(a_replay_knows_what_had_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
