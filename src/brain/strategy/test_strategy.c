/* The table, what suits, both learners on toy problems, attribution, keeping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "brain/strategy/strategy_internal.h"

static struct strategy_state state, other;

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240801;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static struct strategy_context calm(enum regime regime) {
    return (struct strategy_context){.regime = (uint32_t)regime,
                                     .tier = STRATEGY_MAIN,
                                     .confidence = 0.7,
                                     .spread_bps = 1,
                                     .depth = 1e6,
                                     .win_rate = NAN};
}

static uint32_t mask(const char *letters) { /* d m a b u s t */
    static const char all[] = "dmabust";
    uint32_t out = 0;
    for (; *letters; letters++) out |= 1U << (strchr(all, *letters) - all);
    return out;
}

static void the_table_is_the_originals(void **unused) {
    (void)unused;
    /* system of the original: SL, TP1..3, break even, trail from, trail distance, risk,
     * confidence. */
    static const double rows[STRATEGY_ARMS][9] = {{1.0, 1.5, 2.5, 4.0, 1.0, 2.5, 0.8, 0.8, 0.45},
                                                  {1.0, 2.0, 3.5, 5.5, 1.2, 3.0, 1.0, 1.0, 0.48},
                                                  {1.0, 2.5, 4.0, 6.0, 1.5, 3.5, 1.0, 1.1, 0.50},
                                                  {1.5, 4.0, 6.0, 10.0, 2.0, 5.0, 1.2, 1.2, 0.52},
                                                  {1.0, 3.0, 5.0, 8.0, 1.5, 4.0, 1.0, 1.0, 0.53},
                                                  {0.8, 1.2, 1.8, 2.5, 0.6, 1.5, 0.6, 0.7, 0.55},
                                                  {2.0, 5.0, 8.0, 12.0, 2.5, 6.0, 1.5, 1.3, 0.60}};
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        const struct strategy_profile *p = strategy_profile((enum strategy_id)a);
        const double is[9] = {p->stop_atr,           p->take_atr[0],    p->take_atr[1],
                              p->take_atr[2],        p->break_even_atr, p->trail_from_atr,
                              p->trail_distance_atr, p->risk_factor,    p->confidence_min};
        for (int i = 0; i < 9; i++) assert_true(is[i] == rows[a][i]);
        assert_true(fabs(p->take_part[0] + p->take_part[1] + p->take_part[2] - 1) < 1e-12);
        assert_true(p->take_atr[0] < p->take_atr[1] && p->take_atr[1] < p->take_atr[2]);
    }
    assert_true(strategy_profile(STRATEGY_SCALP)->take_part[0] == 0.6);
    assert_true(strategy_profile(STRATEGY_TREND_RIDER)->take_part[2] == 0.4);
    assert_string_equal(strategy_name(STRATEGY_TREND_RIDER), "trend_rider");
    assert_string_equal(strategy_name(STRATEGY_NONE), "none");
}

static void what_suits(void **unused) {
    (void)unused;
    static const struct {
        enum regime regime;
        const char *suits, *suits_l2, *suits_thin;
    } rows[REGIME_COUNT] = {
        {REGIME_UNKNOWN, "dm", "dm", "dm"},          {REGIME_TREND_UP, "dmabut", "dm", "dma"},
        {REGIME_TREND_DOWN, "dmabut", "dm", "dma"},  {REGIME_RANGE_LOW_VOL, "dms", "dm", "dms"},
        {REGIME_RANGE_HIGH_VOL, "dms", "dm", "dms"}, {REGIME_HIGH_VOLATILITY, "mabut", "m", "ma"},
        {REGIME_ILLIQUID, "dm", "dm", "dm"},
    };
    for (int i = 0; i < REGIME_COUNT; i++) {
        struct strategy_context c = calm(rows[i].regime);
        assert_int_equal(strategy_suitable(&c, true), mask(rows[i].suits));
        c.tier = STRATEGY_L2;
        assert_int_equal(strategy_suitable(&c, true), mask(rows[i].suits_l2));
        c.tier = STRATEGY_L1;
        c.depth = 99e3;
        assert_int_equal(strategy_suitable(&c, true), mask(rows[i].suits_thin));
        c.depth = 1e6, c.spread_bps = 10.5;
        assert_int_equal(strategy_suitable(&c, true), mask(rows[i].suits_thin));
        c.spread_bps = NAN, c.depth = NAN; /* not known is not thin */
        assert_int_equal(strategy_suitable(&c, true), mask(rows[i].suits));
        for (uint32_t tier = 0; tier < STRATEGY_TIERS; tier++) {
            c.tier = tier, c.depth = 0, c.spread_bps = 99;
            assert_true(strategy_suitable(&c, false) != 0); /* nothing is barred by all of it */
        }
    }
    struct strategy_context c = calm(REGIME_TREND_UP);
    c.confidence = 0.50;
    assert_int_equal(strategy_suitable(&c, true), mask("dma"));
    assert_int_equal(strategy_suitable(&c, false), mask("dmabut"));
    c.confidence = 0.44;
    assert_int_equal(strategy_suitable(&c, true), 0);
    c.confidence = NAN;
    assert_int_equal(strategy_suitable(&c, true), 0);
    assert_int_equal(strategy_tier_of(NAN), STRATEGY_L2);
    assert_int_equal(strategy_tier_of(5e7), STRATEGY_L1);
    assert_int_equal(strategy_tier_of(5e8), STRATEGY_MAIN);
}

static void nothing_suits_no_trade(void **unused) {
    (void)unused;
    struct strategy_config config = strategy_config_defaults();
    struct strategy_decision d;
    struct strategy_context c = calm(REGIME_TREND_UP);
    c.confidence = 0.40;
    strategy_init(&state, 1, &config);
    strategy_choose(&d, &state, &c, NULL);
    assert_int_equal(d.arm, STRATEGY_NONE);
    assert_int_equal(d.how, STRATEGY_BY_NOTHING);
    assert_true(d.confidence == 0 && d.propensity == 0);
    assert_int_equal(strategy_opened(&state, 1, &d, 1), STRATEGY_NOT_USABLE);
}

/* ---- Toy problems ---- */

static double one_trade(struct strategy_state *s, uint64_t id, const struct strategy_context *c,
                        const double *means, double sigma, struct rng *market, uint32_t *arm) {
    struct strategy_decision d;
    strategy_choose(&d, s, c, NULL);
    double sum = 0, net_r = means[d.arm] + sigma * rng_normal(market);
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        sum += d.probability[a];
        assert_true((d.probability[a] > 0) == (d.eligible >> a & 1));
    }
    assert_true(fabs(sum - 1) < 1e-12 && d.propensity == d.probability[d.arm]);
    assert_int_equal(strategy_opened(s, id, &d, (int64_t)id), STRATEGY_TAKEN);
    assert_int_equal(strategy_closed(s, id, net_r, (int64_t)id), STRATEGY_TAKEN);
    *arm = d.arm;
    return net_r;
}

/* Share of the last 200 of 1,000 trades that took the best arm; the worst seed in *worst. */
static double share_of_best(const struct strategy_config *config, const double *means, double sigma,
                            uint32_t seeds, double *worst) {
    struct strategy_context c = calm(REGIME_TREND_UP);
    uint32_t best = 0, right = 0;
    for (uint32_t a = 1; a < STRATEGY_ARMS; a++) best = means[a] > means[best] ? a : best;
    struct strategy_config alone = *config;
    alone.review_trades = 0; /* what the rule does by itself */
    *worst = 1;
    for (uint32_t seed = 0; seed < seeds; seed++) {
        struct rng market = rng_init(seed + 1000);
        uint32_t own = 0, arm;
        strategy_init(&state, seed, &alone);
        for (uint64_t id = 1; id <= 1000; id++) {
            one_trade(&state, id, &c, means, sigma, &market, &arm);
            own += id > 800 && arm == best;
        }
        right += own;
        *worst = fmin(*worst, own / 200.0);
    }
    return right / (200.0 * seeds);
}

/* The best arm is 0.5 R above every other one; a trade's net R has a deviation of 1 R. */
static void thompson_finds_the_best_arm(void **unused) {
    (void)unused;
    struct strategy_config config = strategy_config_defaults();
    double worst;
    for (uint32_t best = 0; best < STRATEGY_ARMS; best++) {
        double means[STRATEGY_ARMS] = {0};
        if (best == STRATEGY_SCALP) continue; /* does not suit a trend */
        means[best] = 0.5;
        double share = share_of_best(&config, means, 1, 20, &worst);
        print_message("%s: %.3f of the last 200 of 1,000 over 20 seeds, the worst %.3f\n",
                      strategy_name((enum strategy_id)best), share, worst);
        assert_true(share > 0.85);
    }
    config.forget = 1;
    double means[STRATEGY_ARMS] = {[STRATEGY_MODERATE] = 0.5};
    double share = share_of_best(&config, means, 1, 20, &worst);
    print_message("without forgetting: %.3f, the worst %.3f\n", share, worst);
    assert_true(share > 0.90);
}

static void classic_finds_a_clearly_best_arm(void **unused) {
    (void)unused;
    struct strategy_config config = strategy_config_defaults();
    double means[STRATEGY_ARMS] = {[STRATEGY_MODERATE] = 1.0}, worst;
    config.algorithm = STRATEGY_CLASSIC;
    double share = share_of_best(&config, means, 0.3, 20, &worst);
    print_message("classic, sigma 0.3 R: %.3f, the worst %.3f\n", share, worst);
    assert_true(share > 0.85);
    means[STRATEGY_MODERATE] = 0.5;
    share = share_of_best(&config, means, 1, 20, &worst);
    print_message("classic, the problem of the other one: %.3f\n", share);
}

/* The market turns in the middle: what is forgotten makes room. */
static void forgetting_follows_a_market_that_turns(void **unused) {
    (void)unused;
    double share[2] = {0};
    for (int f = 0; f < 2; f++) {
        struct strategy_config config = strategy_config_defaults();
        struct strategy_context c = calm(REGIME_TREND_UP);
        config.forget = f ? 0.99 : 1;
        config.review_trades = 0;
        for (uint32_t seed = 0; seed < 20; seed++) {
            struct rng market = rng_init(seed);
            uint32_t arm;
            strategy_init(&state, seed, &config);
            for (uint64_t id = 1; id <= 1600; id++) {
                double means[STRATEGY_ARMS] = {0};
                means[id <= 1200 ? STRATEGY_MODERATE : STRATEGY_DEFENSIVE] = 0.5;
                means[id <= 1200 ? STRATEGY_DEFENSIVE : STRATEGY_MODERATE] = -0.5;
                one_trade(&state, id, &c, means, 1, &market, &arm);
                share[f] += (id > 1400 && arm == STRATEGY_DEFENSIVE) / (20 * 200.0);
            }
        }
    }
    print_message("after the turn: %.3f without forgetting, %.3f with\n", share[0], share[1]);
    assert_true(share[1] > share[0] + 0.1);
}

static void contexts_learn_apart(void **unused) {
    (void)unused;
    struct strategy_config config = strategy_config_defaults();
    struct strategy_context up = calm(REGIME_TREND_UP), down = calm(REGIME_TREND_DOWN), l1 = up;
    struct rng market = rng_init(1);
    const double rider[STRATEGY_ARMS] = {[STRATEGY_TREND_RIDER] = 1};
    uint32_t arm;
    l1.tier = STRATEGY_L1;
    strategy_init(&state, 1, &config);
    for (uint64_t id = 1; id <= 200; id++) one_trade(&state, id, &up, rider, 0.5, &market, &arm);
    struct strategy_decision d;
    strategy_choose(&d, &state, &up, NULL);
    assert_true(d.probability[STRATEGY_TREND_RIDER] > 0.9);
    strategy_choose(&d, &state, &down, NULL);
    assert_true(d.expected_r[STRATEGY_TREND_RIDER] == 0);
    strategy_choose(&d, &state, &l1, NULL);
    assert_true(d.expected_r[STRATEGY_TREND_RIDER] == 0);
}

/* The logged probability of an arm is how often it is taken. */
static void propensities_are_what_happens(void **unused) {
    (void)unused;
    struct strategy_config config = strategy_config_defaults();
    struct strategy_context c = calm(REGIME_RANGE_LOW_VOL); /* d, m, s */
    enum { N = 40000 };
    double foreseen[STRATEGY_ARMS] = {0};
    uint32_t taken[STRATEGY_ARMS] = {0};
    strategy_init(&state, test_seed(), &config);
    for (int i = 0; i < 6; i++) bandit_learn(&state, c.regime, c.tier, STRATEGY_DEFENSIVE, i % 2);
    for (int i = 0; i < 12; i++) bandit_learn(&state, c.regime, c.tier, STRATEGY_SCALP, i % 3 - 1);
    for (int i = 0; i < N; i++) {
        struct strategy_decision d;
        strategy_choose(&d, &state, &c, NULL);
        for (uint32_t a = 0; a < STRATEGY_ARMS; a++) foreseen[a] += d.probability[a] / N;
        taken[d.arm]++;
    }
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        double error = sqrt(0.25 / N);
        assert_true(fabs((double)taken[a] / N - foreseen[a]) < 4 * error);
    }
    /* Three arms of which nothing is known: a third each. */
    memset(state.policies[0].arms, 0, sizeof state.policies[0].arms);
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) foreseen[a] = 0;
    for (int i = 0; i < N; i++) {
        struct strategy_decision d;
        strategy_choose(&d, &state, &c, NULL);
        for (uint32_t a = 0; a < STRATEGY_ARMS; a++) foreseen[a] += d.probability[a] / N;
    }
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++)
        assert_true(fabs(foreseen[a] - (mask("dms") >> a & 1 ? 1.0 / 3 : 0)) < 0.004);
}

static void classic_numbers(void **unused) {
    (void)unused;
    struct strategy_config config = strategy_config_defaults();
    struct strategy_context c = calm(REGIME_TREND_UP);
    struct strategy_decision d;
    config.algorithm = STRATEGY_CLASSIC;
    config.epsilon = 1e-12; /* nothing by chance: the rest is to be seen */
    strategy_init(&state, 1, &config);

    strategy_choose(&d, &state, &c, NULL); /* the highest reward to risk */
    assert_int_equal(d.arm, STRATEGY_TREND_RIDER);
    assert_int_equal(d.how, STRATEGY_BY_HEURISTIC);
    assert_true(d.confidence == 0.60);
    c.win_rate = 0.40; /* 6.5 0.7 = 4.55, 5 0.7 = 3.5, 4.5 0.7 = 3.15, and moderate_aggressive 3 */
    strategy_choose(&d, &state, &c, NULL);
    assert_int_equal(d.arm, STRATEGY_TREND_RIDER);
    c.spread_bps = 6; /* 6.5 0.7 0.8 = 3.64, 5 0.7 0.8 = 2.8, 4.5 0.7 = 3.15 */
    strategy_choose(&d, &state, &c, NULL);
    assert_int_equal(d.arm, STRATEGY_TREND_RIDER);
    c.confidence = 0.55; /* without trend_rider: 3.15 of balanced_aggressive is the most */
    strategy_choose(&d, &state, &c, NULL);
    assert_int_equal(d.arm, STRATEGY_BALANCED_AGGRESSIVE);
    c.win_rate = 0.60; /* 5 1.2 0.8 = 4.8, 4.5 1.2 = 5.4 */
    strategy_choose(&d, &state, &c, NULL);
    assert_int_equal(d.arm, STRATEGY_BALANCED_AGGRESSIVE);
    c.spread_bps = NAN; /* 5 1.2 = 6 */
    strategy_choose(&d, &state, &c, NULL);
    assert_int_equal(d.arm, STRATEGY_ULTRA_AGGRESSIVE);

    /* First reward sets Q, then 0.8 Q + 0.2 R. */
    struct strategy_arm *arm = &state.policies[0].arms[c.regime][c.tier][STRATEGY_MODERATE];
    bandit_learn(&state, c.regime, c.tier, STRATEGY_MODERATE, 2.0);
    assert_true(arm->q == 2.0);
    bandit_learn(&state, c.regime, c.tier, STRATEGY_MODERATE, -1.0);
    assert_true(fabs(arm->q - 1.4) < 1e-15);
    for (int i = 0; i < 2; i++) bandit_learn(&state, c.regime, c.tier, STRATEGY_DEFENSIVE, 0.1);
    strategy_choose(&d, &state, &c, NULL); /* four trades are too few */
    assert_int_equal(d.how, STRATEGY_BY_HEURISTIC);
    bandit_learn(&state, c.regime, c.tier, STRATEGY_DEFENSIVE, 0.1);
    strategy_choose(&d, &state, &c, NULL);
    assert_int_equal(d.how, STRATEGY_BY_Q);
    assert_int_equal(d.arm, STRATEGY_MODERATE);
    assert_true(d.confidence == 0.95); /* 0.6 + 0.5 (1.4 - 0.4) = 1.1 */
    arm->q = 0.5;
    strategy_choose(&d, &state, &c, NULL);
    assert_true(fabs(d.confidence - 0.65) < 1e-12);
    arm->q = 0.39;
    strategy_choose(&d, &state, &c, NULL);
    assert_int_equal(d.how, STRATEGY_BY_HEURISTIC);

    state.policies[0].config.epsilon = 0.10;
    uint32_t chance = 0;
    enum { N = 20000 };
    for (int i = 0; i < N; i++) {
        strategy_choose(&d, &state, &c, NULL);
        chance += d.how == STRATEGY_BY_CHANCE;
        if (d.how == STRATEGY_BY_CHANCE) assert_true(d.confidence == 0.50);
        assert_true(fabs(d.propensity - (d.arm == STRATEGY_ULTRA_AGGRESSIVE ? 0.92 : 0.02)) <
                    1e-12);
    }
    assert_true(fabs((double)chance / N - 0.10) < 0.01);
}

static void a_symbols_own_trades_shift_what_is_expected(void **unused) {
    (void)unused;
    static struct memory_state memory;
    struct memory_config mc = memory_config_defaults();
    struct strategy_config config = strategy_config_defaults();
    struct strategy_context c = calm(REGIME_TREND_UP);
    struct strategy_prior priors[STRATEGY_ARMS];
    struct strategy_decision d;
    int64_t now = INT64_C(1704067200) * NS_PER_SECOND;
    memory_init(&memory, &mc);
    strategy_init(&state, 1, &config);
    for (int i = 0; i < 10; i++) {
        struct memory_outcome o = {"BTCUSDT", REGIME_TREND_UP, STRATEGY_MODERATE, 2, 0.5, now};
        assert_true(memory_learn(&memory, &o));
    }
    for (int i = 0; i < 19; i++) bandit_learn(&state, c.regime, c.tier, STRATEGY_MODERATE, 1);
    state.policies[0].arms[c.regime][c.tier][STRATEGY_MODERATE].weight = 19;
    strategy_priors(priors, &memory, "BTCUSDT", REGIME_TREND_UP, now);
    assert_true(priors[STRATEGY_MODERATE].mean_r == 2 && priors[STRATEGY_SCALP].samples == 0);
    strategy_choose(&d, &state, &c, priors);
    /* The context's 19 trades of 1 R against the prior's one of 0: 0.95; half way to the symbol's
     * 2. */
    assert_true(fabs(d.expected_r[STRATEGY_MODERATE] - (0.95 + 0.5 * (2 - 0.95))) < 1e-9);
    assert_true(fabs(d.shift[STRATEGY_MODERATE] - 0.525) < 1e-9);
    assert_true(d.expected_r[STRATEGY_DEFENSIVE] == 0);
    strategy_priors(priors, &memory, "ETHUSDT", REGIME_TREND_UP, now);
    strategy_choose(&d, &state, &c, priors);
    assert_true(fabs(d.expected_r[STRATEGY_MODERATE] - 0.95) < 1e-9);
}

/* ---- Attribution ---- */

static void a_trade_rewards_its_choice_once(void **unused) {
    (void)unused;
    struct strategy_config config = strategy_config_defaults();
    struct strategy_context up = calm(REGIME_TREND_UP), range = calm(REGIME_RANGE_LOW_VOL);
    struct strategy_decision first, second;
    strategy_init(&state, 1, &config);
    strategy_choose(&first, &state, &up, NULL);
    strategy_choose(&second, &state, &range, NULL);
    assert_int_equal(strategy_opened(&state, 0, &first, 1), STRATEGY_NOT_USABLE);
    assert_int_equal(strategy_opened(&state, 11, &first, 1), STRATEGY_TAKEN);
    assert_int_equal(strategy_opened(&state, 11, &second, 1), STRATEGY_DUPLICATE);
    assert_int_equal(strategy_opened(&state, 22, &second, 2), STRATEGY_TAKEN);
    assert_non_null(strategy_pending(&state, 22));
    assert_int_equal(strategy_pending(&state, 22)->arm, second.arm);

    other = state;
    assert_int_equal(strategy_closed(&state, 33, 1, 9), STRATEGY_NOT_KNOWN);
    assert_int_equal(strategy_closed(&state, 0, 1, 9), STRATEGY_NOT_KNOWN);
    assert_int_equal(strategy_closed(&state, 11, NAN, 9), STRATEGY_NOT_USABLE);
    assert_int_equal(strategy_closed(&state, 11, 1503, 9), STRATEGY_NOT_USABLE); /* USD */
    assert_int_equal(strategy_closed(&state, 11, 1.5, 0), STRATEGY_NOT_USABLE);  /* before it was */
    assert_memory_equal(state.policies[0].arms, other.policies[0].arms,
                        sizeof state.policies[0].arms);
    assert_memory_equal(state.pending, other.pending, sizeof state.pending);

    assert_int_equal(strategy_closed(&state, 11, 1.5, 9), STRATEGY_TAKEN);
    assert_int_equal(state.policies[0].arms[REGIME_TREND_UP][0][first.arm].count, 1);
    assert_true(state.policies[0].arms[REGIME_TREND_UP][0][first.arm].mean == 1.5);
    assert_int_equal(state.policies[0].arms[REGIME_RANGE_LOW_VOL][0][second.arm].count, 0);
    other = state;
    assert_int_equal(strategy_closed(&state, 11, 1.5, 9), STRATEGY_DUPLICATE);
    assert_int_equal(strategy_opened(&state, 11, &first, 3), STRATEGY_DUPLICATE);
    assert_memory_equal(state.policies[0].arms, other.policies[0].arms,
                        sizeof state.policies[0].arms);
    assert_int_equal(state.refused_duplicate, 3);
    assert_int_equal(state.refused_unknown, 2);

    assert_int_equal(strategy_dropped(&state, 22), STRATEGY_TAKEN);
    assert_int_equal(strategy_dropped(&state, 22), STRATEGY_NOT_KNOWN);
    assert_int_equal(strategy_closed(&state, 22, 1, 9), STRATEGY_NOT_KNOWN);
    assert_int_equal(state.pending_count, 0);
    assert_int_equal(state.settled, 1);
    assert_true(strategy_check(&state));
}

static void a_full_table_refuses(void **unused) {
    (void)unused;
    struct strategy_config config = strategy_config_defaults();
    struct strategy_context c = calm(REGIME_TREND_UP);
    struct strategy_decision d;
    strategy_init(&state, 1, &config);
    strategy_choose(&d, &state, &c, NULL);
    for (uint64_t id = 1; id <= STRATEGY_PENDING_MAX; id++)
        assert_int_equal(strategy_opened(&state, id, &d, 1), STRATEGY_TAKEN);
    assert_int_equal(strategy_opened(&state, 9999, &d, 1), STRATEGY_FULL);
    assert_int_equal(state.refused_full, 1);
    assert_int_equal(strategy_closed(&state, 9999, 1, 9), STRATEGY_NOT_KNOWN);
    assert_int_equal(strategy_closed(&state, 7, 1, 9), STRATEGY_TAKEN);
    assert_int_equal(strategy_opened(&state, 9999, &d, 1), STRATEGY_TAKEN);
    assert_true(strategy_check(&state));
}

/* Random lives against a plain list of what is open: nothing lost, nothing counted twice. */
static void random_lives_add_up(void **unused) {
    (void)unused;
    enum { IDS = 3000 };
    static uint8_t life[IDS + 1]; /* 0 new, 1 open, 2 over */
    struct strategy_config config = strategy_config_defaults();
    struct rng r = rng_init(test_seed());
    uint64_t settled = 0, dropped = 0;
    double total = 0, sum = 0;
    memset(life, 0, sizeof life);
    strategy_init(&state, 1, &config);
    for (int i = 0; i < 20000; i++) {
        uint64_t id = 1 + rng_below(&r, IDS);
        struct strategy_context c = calm((enum regime)rng_below(&r, REGIME_COUNT));
        struct strategy_decision d;
        uint32_t open = 0;
        for (int k = 1; k <= IDS; k++) open += life[k] == 1;
        assert_int_equal(state.pending_count, open);
        switch (rng_below(&r, 3)) {
        case 0:
            strategy_choose(&d, &state, &c, NULL);
            if (strategy_opened(&state, id, &d, 1) == STRATEGY_TAKEN) {
                /* An id may come again only long after it was settled, or if it never was a
                 * trade. */
                assert_true(life[id] != 1);
                life[id] = 1;
            }
            break;
        case 1: {
            double net_r = rng_normal(&r);
            enum strategy_answer a = strategy_closed(&state, id, net_r, 2);
            assert_true((a == STRATEGY_TAKEN) == (life[id] == 1));
            if (a == STRATEGY_TAKEN) settled++, total += net_r, life[id] = 2;
            break;
        }
        default:
            if (rng_below(&r, 4)) break;
            if (strategy_dropped(&state, id) == STRATEGY_TAKEN) {
                assert_int_equal(life[id], 1);
                dropped++, life[id] = 0;
            } else {
                assert_true(life[id] != 1);
            }
        }
    }
    assert_int_equal(state.settled, settled);
    assert_int_equal(state.dropped, dropped);
    const struct strategy_arm *arm = &state.policies[0].arms[0][0][0];
    for (uint32_t i = 0; i < REGIME_COUNT * STRATEGY_TIERS * STRATEGY_ARMS; i++)
        sum += arm[i].total_r;
    assert_true(fabs(sum - total) < 1e-8);
    assert_true(strategy_check(&state));
    assert_true(settled > STRATEGY_LOG_MAX);
}

/* ---- Keeping ---- */

static void it_is_kept_and_goes_on_the_same(void **unused) {
    (void)unused;
    struct strategy_config config = strategy_config_defaults();
    struct strategy_context c = calm(REGIME_TREND_UP);
    const double means[STRATEGY_ARMS] = {[STRATEGY_SCALP] = 1};
    struct rng market = rng_init(1), again;
    struct err err;
    uint32_t arm, arm_again;
    strategy_init(&state, test_seed(), &config);
    for (uint64_t id = 1; id <= 300; id++) one_trade(&state, id, &c, means, 1, &market, &arm);
    strategy_seal(&state);
    assert_int_equal(strategy_restore(&other, &state, sizeof state, &err), ST_OK);
    again = market;
    for (uint64_t id = 301; id <= 600; id++) {
        one_trade(&state, id, &c, means, 1, &market, &arm);
        one_trade(&other, id, &c, means, 1, &again, &arm_again);
        assert_int_equal(arm, arm_again);
    }
    assert_memory_equal(&state, &other, sizeof state);

    static unsigned char bytes[sizeof(struct strategy_state)];
    struct rng r = rng_init(2);
    strategy_seal(&state);
    for (int i = 0; i < 200; i++) {
        memcpy(bytes, &state, sizeof bytes);
        bytes[rng_below(&r, sizeof bytes)] ^= (unsigned char)(1 + rng_below(&r, 255));
        assert_true(strategy_restore(&other, bytes, sizeof bytes, &err) != ST_OK);
    }
    assert_int_equal(strategy_restore(&other, &state, 10, &err), ST_VERSION);
    state.version = 7;
    assert_int_equal(strategy_restore(&other, &state, sizeof state, &err), ST_VERSION);
    state.version = STRATEGY_VERSION;
    state.log[5].propensity = 0;
    strategy_seal(&state);
    assert_int_equal(strategy_restore(&other, &state, sizeof state, &err), ST_CORRUPT);
}

static void configs_are_looked_at(void **unused) {
    (void)unused;
    struct strategy_config good = strategy_config_defaults(), bad[11];
    assert_true(strategy_config_check(&good));
    for (int i = 0; i < 11; i++) bad[i] = good;
    bad[0].algorithm = 2;
    bad[1].floor = 0; /* some arm could have probability 0: its value could never be known */
    bad[2].forget = 1.01;
    bad[3].draws = 0;
    bad[4].prior_weight = 0;
    bad[5].epsilon = 0;
    bad[6].alpha = NAN;
    bad[7].prior_shape = 0.5;
    bad[8].prior_mean = NAN;
    bad[9].draws = 1000;
    bad[10].width = 0;
    for (int i = 0; i < 11; i++) assert_false(strategy_config_check(&bad[i]));
    assert_true(strategy_self_test(&other));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_originals),
        cmocka_unit_test(what_suits),
        cmocka_unit_test(nothing_suits_no_trade),
        cmocka_unit_test(thompson_finds_the_best_arm),
        cmocka_unit_test(classic_finds_a_clearly_best_arm),
        cmocka_unit_test(forgetting_follows_a_market_that_turns),
        cmocka_unit_test(contexts_learn_apart),
        cmocka_unit_test(propensities_are_what_happens),
        cmocka_unit_test(classic_numbers),
        cmocka_unit_test(a_symbols_own_trades_shift_what_is_expected),
        cmocka_unit_test(a_trade_rewards_its_choice_once),
        cmocka_unit_test(a_full_table_refuses),
        cmocka_unit_test(random_lives_add_up),
        cmocka_unit_test(it_is_kept_and_goes_on_the_same),
        cmocka_unit_test(configs_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
