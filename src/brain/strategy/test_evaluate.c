/* Off-policy evaluation: by hand, unbiased and covering where the truth is known; and the review that changes the
 * policy by it: the better one is adopted, the worse one never, none too soon and none for nothing. */
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

static struct strategy_state state, copy;

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240801;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* TEST_OPS: more of what takes long. */
static uint32_t many(uint32_t usual) {
    const char *text = getenv("TEST_OPS");
    return text ? (uint32_t)strtoul(text, NULL, 10) : usual;
}

/* Rows put into the log as they are; the first policy acts, the second is judged. */
static void log_rows(const struct strategy_row *rows, size_t n) {
    memset(&state, 0, sizeof state);
    state.acting_since_ns = INT64_MIN;
    memcpy(state.log, rows, n * sizeof *rows);
    state.log_total = n;
}

static void by_hand(void **unused) {
    (void)unused;
    struct strategy_evaluation e;
    /* The one judged always takes arm 1; what acts does as its propensities say. */
    struct strategy_row rows[3] = {{.ts_ns = 1,
                                    .arm = 1,
                                    .propensity = 0.5F,
                                    .net_r = 2,
                                    .expected = {0, 1},
                                    .direct = {0.5F, 1},
                                    .weight = {1, 2}},
                                   {.ts_ns = 2,
                                    .arm = 0,
                                    .propensity = 0.5F,
                                    .net_r = -1,
                                    .expected = {0, 0.5F},
                                    .direct = {0.25F, 0.5F},
                                    .weight = {1, 0}},
                                   {.ts_ns = 3,
                                    .arm = 1,
                                    .propensity = 0.25F,
                                    .net_r = 0,
                                    .expected = {0, 0.5F},
                                    .direct = {0.125F, 0.5F},
                                    .weight = {1, 4}}};
    log_rows(rows, 3);
    strategy_evaluate(&e, &state, 1);
    /* 1 + 2 (2 - 1) = 3;  0.5 + 0;  0.5 + 4 (0 - 0.5) = -1.5 */
    assert_true(fabs(e.value - 2.0 / 3) < 1e-12);
    assert_true(fabs(e.logged - 1.0 / 3) < 1e-12);
    /* What acts: 0.5 + 1 = 1.5;  0.25 - 1 = -0.75;  0.125 - 0.5 = -0.375 */
    assert_true(fabs(e.gain - (2 - 0.375) / 3) < 1e-12);
    assert_true(fabs(e.effective - 36.0 / 20) < 1e-12); /* weights 2, 0, 4 */
    double sd = sqrt((pow(3 - 2.0 / 3, 2) + pow(0.5 - 2.0 / 3, 2) + pow(-1.5 - 2.0 / 3, 2)) / 2);
    assert_true(fabs(e.value_high - e.value - 1.959963984540054 * sd / sqrt(3)) < 1e-12);
    assert_true(e.clipped == 0 && e.rows == 3);
    strategy_evaluate(&e, &state, 0);
    assert_true(fabs(e.value - 0.375 / 3) < 1e-12 && e.gain == 0 && e.effective == 3);
    state.log[2].weight[1] = 100;
    strategy_evaluate(&e, &state, 1);
    assert_true(fabs(e.clipped - 1.0 / 3) < 1e-12);
    assert_true(fabs(e.value - (3 + 0.5 + 0.5 - 20 * 0.5) / 3) < 1e-6);
    state.acting_since_ns = 3; /* the first two are its predecessor's */
    strategy_evaluate(&e, &state, 1);
    assert_true(e.rows == 1);
    assert_true(isnan(e.value) && isnan(e.gain) && isnan(e.p_value) && isnan(e.value_low));
    state.acting_since_ns = 4;
    strategy_evaluate(&e, &state, 1);
    assert_true(e.rows == 0 && isnan(e.value) && e.effective == 0);
}

/* Three arms of known means in two contexts; the policy to be judged prefers another one in
 * each. */
static const double means[2][3] = {{0.4, 0.0, -0.3}, {-0.2, 0.1, 0.5}};
static const double wanted[2][3] = {{0.7, 0.2, 0.1}, {0.1, 0.1, 0.8}};

/* A log whose policy drifts and depends on what came before; quality 0 no expectation, 1 the truth,
 * 2 nonsense. *acts: what the acting policy is worth on these rows. */
static void make_log(struct strategy_row *rows, size_t n, int quality, struct rng *r,
                     double *acts) {
    double lean = 0;
    *acts = 0;
    for (size_t i = 0; i < n; i++) {
        double p[3], sum = 0, direct[2] = {0};
        uint32_t arm = 0;
        uint8_t tier = (uint8_t)rng_below(r, 2);
        for (int a = 0; a < 3; a++) sum += p[a] = 0.15 + 0.5 * rng_f64(r) + (a == 1 ? lean : 0);
        double u = rng_f64(r) * sum;
        while (arm < 2 && u >= p[arm]) u -= p[arm++];
        rows[i] = (struct strategy_row){.trade_id = i + 1,
                                        .eligible = 7,
                                        .tier = tier,
                                        .arm = (uint8_t)arm,
                                        .propensity = (float)(p[arm] / sum),
                                        .net_r = (float)(means[tier][arm] + rng_normal(r)),
                                        .weight = {1, (float)(wanted[tier][arm] / p[arm] * sum)}};
        for (int a = 0; a < 3; a++) {
            double q = quality == 0 ? 0 : quality == 1 ? means[tier][a] : 3 - 2 * a;
            rows[i].expected[a] = (float)q;
            direct[0] += p[a] / sum * q;
            direct[1] += wanted[tier][a] * q;
            *acts += p[a] / sum * means[tier][a] / (double)n;
        }
        rows[i].direct[0] = (float)direct[0];
        rows[i].direct[1] = (float)direct[1];
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
        uint32_t covered = 0, gains = 0;
        for (int i = 0; i < REPEATS; i++) {
            struct strategy_evaluation e;
            double acts;
            make_log(rows, N, quality, &r, &acts);
            log_rows(rows, N);
            strategy_evaluate(&e, &state, 1);
            mean += e.value / REPEATS;
            spread += pow(e.value - truth, 2) / REPEATS;
            width[quality] += (e.value_high - e.value_low) / REPEATS;
            covered += e.value_low <= truth && truth <= e.value_high;
            gains += e.gain_low <= truth - acts && truth - acts <= e.gain_high;
        }
        print_message("expectation %d: %.4f (true %.4f), interval %.3f wide, covers %.3f; that of "
                      "the gain %.3f\n",
                      quality, mean, truth, width[quality], (double)covered / REPEATS,
                      (double)gains / REPEATS);
        assert_true(fabs(mean - truth) < 4 * sqrt(spread / REPEATS));
        assert_true(covered > 0.92 * REPEATS && covered < 0.98 * REPEATS);
        assert_true(gains > 0.92 * REPEATS && gains < 0.98 * REPEATS);
    }
    assert_true(width[1] < width[0] && width[0] < width[2]); /* what knowing something is worth */
}

/* ---- The review ---- */

static const struct strategy_context trend = {.regime = REGIME_TREND_UP,
                                              .tier = STRATEGY_MAIN,
                                              .confidence = 0.7,
                                              .spread_bps = 1,
                                              .depth = 1e6,
                                              .win_rate = NAN};

/* One trade, then the close at which the policy may change. */
static bool step(struct strategy_review *out, struct strategy_state *s, const double *arm_means,
                 struct rng *market) {
    struct strategy_decision d;
    uint64_t id = s->settled + 1;
    strategy_choose(&d, s, &trend, NULL);
    assert_int_equal(strategy_opened(s, id, &d, (int64_t)id * 2), STRATEGY_TAKEN);
    assert_int_equal(
        strategy_closed(s, id, arm_means[d.arm] + rng_normal(market), (int64_t)id * 2 + 1),
        STRATEGY_TAKEN);
    return strategy_review(out, s, (int64_t)id * 2 + 2);
}

/* What each policy is worth here and now: its chances, the arms' true means. */
static double true_worth(const struct strategy_state *s, uint32_t policy, const double *arm_means) {
    static const struct strategy_prior none[STRATEGY_ARMS];
    struct question q;
    struct rng r = rng_init(5);
    double worth = 0;
    enum { N = 50 };
    bandit_question(&q, &s->policies[policy], &trend, strategy_suitable(&trend, true), none);
    for (int i = 0; i < N; i++) {
        struct answer a;
        bandit_answer(&a, &s->policies[policy], &r, &q);
        for (uint32_t k = 0; k < STRATEGY_ARMS; k++) worth += a.probability[k] * arm_means[k] / N;
    }
    return worth;
}

static void show(uint64_t seed, uint64_t trades, const struct strategy_review *c) {
    print_message("seed %llu, trade %llu: %s to %s, %s; worth %.3f [%.3f, %.3f] against %.3f, p "
                  "%.2g at %.2g, effective %.0f of %llu\n",
                  (unsigned long long)seed, (unsigned long long)trades,
                  strategy_policy_text((enum strategy_policy_id)c->from),
                  strategy_policy_text((enum strategy_policy_id)c->to),
                  strategy_why_text((enum strategy_why)c->why), c->judged.value,
                  c->judged.value_low, c->judged.value_high, c->before.value, c->judged.p_value,
                  c->judged.level, c->judged.effective, (unsigned long long)c->judged.rows);
}

/* The classic stays with the bold one, which loses; every Thompson would have seen what is better. */
static const double bold_loses[STRATEGY_ARMS] = {
    [STRATEGY_MODERATE] = 0.35, [STRATEGY_TREND_RIDER] = -0.5};

static struct strategy_config classic_config(void) {
    struct strategy_config c = strategy_config_defaults();
    c.algorithm = STRATEGY_CLASSIC;
    c.epsilon = 0.7; /* much by chance: less, and the log says too little of the others */
    return c;
}

static void the_better_one_is_adopted(void **unused) {
    (void)unused;
    enum { SEEDS = 40, WITHIN = 1024 };
    const struct strategy_config c = classic_config();
    uint32_t within = 0, trades[SEEDS];
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct strategy_review review;
        struct rng market = rng_init(seed);
        strategy_init(&state, seed, &c);
        trades[seed] = 0;
        for (uint32_t i = 1; i <= WITHIN && !trades[seed]; i++)
            if (step(&review, &state, bold_loses, &market)) trades[seed] = i;
        if (!trades[seed]) continue;
        within++;
        if (seed < 3) show(seed, trades[seed], &review);
        assert_int_equal(review.why, STRATEGY_BETTER);
        assert_int_equal(review.from, STRATEGY_POLICY_OWN);
        assert_int_equal(review.to, state.acting);
        assert_int_equal(state.adopted, 1);
        assert_true(trades[seed] >= 200); /* never on less */
        assert_int_equal(trades[seed] % 128, 0);
        /* More than what was asked of it: the lower end is above what acted was worth. */
        assert_true(review.judged.verdict == STRATEGY_ALLOWED && review.judged.gain_low > 0);
        assert_true(review.judged.p_value <= review.judged.level);
        double level = 0.05 * 6 / (acos(-1.0) * acos(-1.0)) / review.look / review.look / 4;
        assert_true(fabs(review.judged.level - level) < 1e-15);
        assert_int_equal(strategy_acting(&state)->config.algorithm, STRATEGY_THOMPSON);
        assert_true(strategy_check(&state));
    }
    uint32_t sum = 0;
    for (uint32_t seed = 0; seed < SEEDS; seed++) sum += trades[seed];
    print_message("adopted within %d trades in %u of %d seeds, after %.0f on average\n", WITHIN,
                  within, SEEDS, (double)sum / within);
    assert_int_equal(within, SEEDS);
}

/* Own is Thompson, and the other rule is by construction worse by 0.6 R. Whatever else is adopted is at that moment
 * truly not worse than what acted. */
static void a_worse_one_never_is(void **unused) {
    (void)unused;
    enum { TRADES = 1152 };
    const struct strategy_config c = strategy_config_defaults();
    uint32_t seeds = many(100), adopted = 0, judged = 0;
    for (uint32_t seed = 0; seed < seeds; seed++) {
        struct strategy_review review;
        struct rng market = rng_init(seed);
        strategy_init(&state, seed, &c);
        for (uint32_t i = 1; i <= TRADES; i++) {
            uint32_t was = state.acting;
            if (!step(&review, &state, bold_loses, &market)) continue;
            if (seed < 3) show(seed, i, &review);
            assert_int_not_equal(review.to, STRATEGY_POLICY_OTHER_RULE);
            double gain =
                true_worth(&state, review.to, bold_loses) - true_worth(&state, was, bold_loses);
            assert_true(review.why == STRATEGY_PROMISE_BROKEN || gain > -0.02);
            adopted += review.why == STRATEGY_BETTER;
        }
        judged += (uint32_t)state.reviews;
        assert_true(state.verdicts[STRATEGY_TOO_FEW] >= 4); /* the first review had 128 trades */
    }
    print_message("%u seeds, %u reviews: %u adopted, none worse\n", seeds, judged, adopted);
}

/* Every strategy earns the same: whatever is tried must not seem better more often than stated. */
static void nothing_to_gain_is_rarely_adopted(void **unused) {
    (void)unused;
    enum { TRADES = 1024 };
    const double arm_means[STRATEGY_ARMS] = {0};
    uint32_t seeds = many(40), changed[2] = {0};
    for (uint32_t rule = 0; rule < 2; rule++) {
        struct strategy_config c = rule ? classic_config() : strategy_config_defaults();
        for (uint32_t seed = 0; seed < seeds; seed++) {
            struct strategy_review review;
            struct rng market = rng_init(seed + 77);
            strategy_init(&state, seed, &c);
            bool any = false;
            for (uint32_t i = 0; i < TRADES; i++) any |= step(&review, &state, arm_means, &market);
            changed[rule] += any;
        }
        print_message("%s: changed without gain within %d trades in %.3f of %u seeds\n",
                      rule ? "classic" : "thompson", TRADES, (double)changed[rule] / seeds, seeds);
        /* 0.05 for all looks at one log, four deviations above. */
        assert_true(changed[rule] <= 0.05 * seeds + 4 * sqrt(0.05 * 0.95 * seeds));
    }
}

/* The original's own ten per cent of chance leave 1 in 60 for each other arm: such a log cannot
 * tell, and says so. */
static void what_was_hardly_tried_cannot_be_judged(void **unused) {
    (void)unused;
    struct strategy_config c = classic_config();
    struct strategy_review review;
    struct rng market = rng_init(3);
    c.epsilon = 0.10;
    strategy_init(&state, 1, &c);
    for (uint32_t i = 0; i < 512; i++) assert_false(step(&review, &state, bold_loses, &market));
    assert_int_equal(state.acting, STRATEGY_POLICY_OWN);
    assert_int_equal(state.reviews, 4);
    assert_int_equal(state.verdicts[STRATEGY_TOO_FEW], 4);
    assert_true(state.verdicts[STRATEGY_NO_OVERLAP] >= 8);
    assert_int_equal(state.verdicts[STRATEGY_ALLOWED], 0);
    assert_int_equal(state.newest[STRATEGY_POLICY_OTHER_RULE].verdict, STRATEGY_NO_OVERLAP);
    assert_string_equal(strategy_verdict_text(STRATEGY_NO_OVERLAP), "no_overlap");
}

/* After an adoption the market turns against all: what was promised does not come, and own acts again. */
static void a_broken_promise_sends_it_back(void **unused) {
    (void)unused;
    const struct strategy_config c = classic_config();
    double turned[STRATEGY_ARMS];
    struct strategy_review review;
    struct rng market = rng_init(1);
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) turned[a] = -1;
    strategy_init(&state, 1, &c);
    uint32_t n = 0;
    while (!step(&review, &state, bold_loses, &market)) assert_true(++n < 1024);
    double promised = review.judged.value_low;
    uint32_t adopted = review.to;
    assert_true(state.promised == promised);
    for (n = 1; !step(&review, &state, turned, &market); n++) assert_true(n < 300);
    show(1, state.settled, &review);
    assert_int_equal(n, 128); /* the first review after it */
    assert_int_equal(review.why, STRATEGY_PROMISE_BROKEN);
    assert_int_equal(review.from, adopted);
    assert_int_equal(review.to, STRATEGY_POLICY_OWN);
    assert_true(review.promised == promised && review.judged.value_high < promised);
    assert_int_equal(review.look, 0);
    assert_int_equal(state.acting, STRATEGY_POLICY_OWN);
    assert_true(isnan(state.promised));
    assert_int_equal(state.adopted, 1);
    assert_int_equal(state.returned, 1);
    assert_true(strategy_check(&state));
    /* To and fro: nothing again before own has 200 rows of its own, and at a smaller level. */
    uint32_t looks = state.looks;
    for (n = 1; n < 200; n++) assert_false(step(&review, &state, bold_loses, &market));
    assert_int_equal(state.looks, looks);
}

static void looks_are_counted_and_begin_anew_with_the_log(void **unused) {
    (void)unused;
    struct strategy_config c = strategy_config_defaults();
    const double arm_means[STRATEGY_ARMS] = {0};
    struct strategy_review review;
    struct rng market = rng_init(1);
    strategy_init(&state, 1, &c);
    for (uint32_t i = 0; i < 256; i++) assert_false(step(&review, &state, arm_means, &market));
    assert_int_equal(state.looks, 1); /* at 128 there was nothing to look at */
    assert_int_equal(state.looks_began_at, 256);
    double first = state.newest[STRATEGY_POLICY_SHARP].level;
    assert_true(fabs(first - 0.05 * 6 / (acos(-1.0) * acos(-1.0)) / 4) < 1e-15);
    for (uint32_t i = 0; i < 128; i++) assert_false(step(&review, &state, arm_means, &market));
    assert_int_equal(state.looks, 2);
    assert_true(fabs(state.newest[STRATEGY_POLICY_SHARP].level - first / 4) < 1e-15);
    for (uint32_t i = 0; i < STRATEGY_LOG_MAX - 128; i++)
        assert_false(step(&review, &state, arm_means, &market));
    assert_int_equal(state.settled, 256 + STRATEGY_LOG_MAX);
    assert_int_equal(state.looks, 1);
    assert_int_equal(state.newest[STRATEGY_POLICY_OWN].rows, STRATEGY_LOG_MAX);
    c.review_trades = 0; /* never */
    strategy_init(&state, 1, &c);
    for (uint32_t i = 0; i < 600; i++) assert_false(step(&review, &state, arm_means, &market));
    assert_int_equal(state.reviews, 0);
}

/* Watching and reviewing change no choice of the policy that acts; and a copy goes on alike, through an adoption, to the
 * byte. */
static void watching_changes_nothing_and_a_copy_goes_on_alike(void **unused) {
    (void)unused;
    struct strategy_config c = strategy_config_defaults(), blind = c;
    struct strategy_review review, again;
    struct rng market = rng_init(1), same = market;
    blind.review_trades = 0;
    strategy_init(&state, 1, &c);
    strategy_init(&copy, 1, &blind);
    for (uint32_t i = 0; i < 250; i++) {
        assert_false(step(&review, &state, bold_loses, &market));
        assert_false(step(&again, &copy, bold_loses, &same));
        assert_int_equal(state.log[i].arm, copy.log[i].arm);
        assert_true(state.log[i].propensity == copy.log[i].propensity);
        assert_true(state.log[i].weight[STRATEGY_POLICY_OWN] == 1);
    }
    c = classic_config();
    strategy_init(&state, 1, &c);
    market = rng_init(1);
    for (uint32_t i = 0; i < 150; i++) assert_false(step(&review, &state, bold_loses, &market));
    strategy_seal(&state);
    struct err err;
    assert_int_equal(strategy_restore(&copy, &state, sizeof state, &err), ST_OK);
    same = market;
    uint32_t changes = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        bool changed = step(&review, &state, bold_loses, &market);
        assert_int_equal(step(&again, &copy, bold_loses, &same), changed);
        if (changed) assert_memory_equal(&review, &again, sizeof review);
        changes += changed;
    }
    assert_true(changes >= 1);
    assert_memory_equal(&state, &copy, sizeof state);
    state.policies[STRATEGY_POLICY_QUICK].config.forget = 0.9;
    assert_false(strategy_check(&state)); /* no candidate but the stated ones */
}

/* Trades that stay open for long: what the others would do is told of nothing that was not known at the choice. */
static void a_watcher_knows_what_had_closed(void **unused) {
    (void)unused;
    enum { N = 300, OPEN = 20 };
    const struct strategy_config c = strategy_config_defaults();
    static struct strategy_row rows[2][N];
    for (int spoilt = 0; spoilt < 2; spoilt++) {
        struct rng market = rng_init(1);
        strategy_init(&state, 1, &c);
        for (uint64_t id = 1; id <= N; id++) {
            struct strategy_decision d;
            if (id > OPEN) {
                double net_r = rng_normal(&market) + (spoilt && id - OPEN == 100 ? 50 : 0);
                assert_int_equal(strategy_closed(&state, id - OPEN, net_r, (int64_t)id),
                                 STRATEGY_TAKEN);
            }
            strategy_choose(&d, &state, &trend, NULL);
            assert_int_equal(strategy_opened(&state, id, &d, (int64_t)id), STRATEGY_TAKEN);
            rows[spoilt][id - 1] = *strategy_pending(&state, id);
        }
    }
    /* Trade 100 closes before choice 120, and not before. */
    assert_memory_equal(rows[0], rows[1], 119 * sizeof rows[0][0]);
    assert_true(memcmp(&rows[0][119], &rows[1][119], sizeof rows[0][0]) != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(unbiased_and_its_interval_covers),
        cmocka_unit_test(the_better_one_is_adopted),
        cmocka_unit_test(a_worse_one_never_is),
        cmocka_unit_test(nothing_to_gain_is_rarely_adopted),
        cmocka_unit_test(what_was_hardly_tried_cannot_be_judged),
        cmocka_unit_test(a_broken_promise_sends_it_back),
        cmocka_unit_test(looks_are_counted_and_begin_anew_with_the_log),
        cmocka_unit_test(watching_changes_nothing_and_a_copy_goes_on_alike),
        cmocka_unit_test(a_watcher_knows_what_had_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
