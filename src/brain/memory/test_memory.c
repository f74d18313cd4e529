/* Weighted sums against plain ones over every outcome, priors by hand, eviction, feedback,
 * keeping. */
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
#include "base/tstamp.h"
#include "brain/memory/memory.h"

static const int64_t start_ns = INT64_C(1704067200) * NS_PER_SECOND;
static struct memory_state memory, other;

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240801;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void fresh(void) {
    struct memory_config c = memory_config_defaults();
    memory_init(&memory, &c);
}

static void learn(const char *symbol, enum regime regime, uint32_t row, double net_r,
                  int64_t ts_ns) {
    struct memory_outcome o = {.symbol = symbol,
                               .regime = (uint32_t)regime,
                               .row = row,
                               .net_r = net_r,
                               .confidence = 0.6,
                               .ts_ns = ts_ns};
    assert_true(memory_learn(&memory, &o));
}

/* Every outcome is kept here, and the sums are made from all of them each time. */
static void sums_are_those_of_all_outcomes(void **state) {
    (void)state;
    enum { N = 400 };
    struct rng r = rng_init(test_seed());
    double value[N], confidence[N];
    int64_t ts[N], last = 0;
    fresh();
    for (int n = 0; n < N; n++) {
        /* Mostly in order of time, sometimes late, once after a silence of years. */
        last +=
            (int64_t)rng_below(&r, (uint64_t)(2 * NS_PER_DAY)) + (n == 300 ? 2000 * NS_PER_DAY : 0);
        value[n] = rng_normal(&r);
        confidence[n] = rng_f64(&r);
        ts[n] = start_ns + last - (rng_below(&r, 5) == 0 ? 3 * NS_PER_DAY : 0);
        struct memory_outcome o = {"BTCUSDT", REGIME_TREND_UP, 2, value[n], confidence[n], ts[n]};
        assert_true(memory_learn(&memory, &o));
        int64_t now = start_ns + last + NS_PER_DAY, newest = 0;
        double w = 0, w2 = 0, sum = 0, wins = 0, sure = 0, square = 0;
        for (int i = 0; i <= n; i++) newest = ts[i] > newest ? ts[i] : newest;
        for (int i = 0; i <= n; i++) {
            double weight = exp2(-(double)(now - ts[i]) / (30.0 * 86400e9));
            w += weight, w2 += weight * weight, sum += weight * value[i];
            wins += value[i] > 0 ? weight : 0, sure += weight * confidence[i];
        }
        for (int i = 0; i <= n; i++)
            square += exp2(-(double)(now - ts[i]) / (30.0 * 86400e9)) * pow(value[i] - sum / w, 2);
        struct memory_view v;
        memory_get(&v, &memory, "BTCUSDT", REGIME_TREND_UP, 2, now);
        assert_true(fabs(v.samples / w - 1) < 1e-9);
        assert_true(fabs(v.effective / (w * w / w2) - 1) < 1e-9);
        assert_true(fabs(v.mean_r - sum / w) < 1e-9);
        assert_true(fabs(v.win_rate - wins / w) < 1e-9);
        assert_true(fabs(v.confidence - sure / w) < 1e-9);
        assert_int_equal(v.count, n + 1);
        assert_true(v.last_ts_ns == newest);
        double effective = w * w / w2;
        if (effective >= 2)
            assert_true(fabs(v.sd_r - sqrt(square / w * effective / (effective - 1))) < 1e-7);
        else
            assert_true(isnan(v.sd_r));
    }
    assert_true(memory_check(&memory));
}

/* Recent outcomes outweigh many older ones. */
static void what_is_recent_counts_more(void **state) {
    (void)state;
    fresh();
    for (int i = 0; i < 100; i++) learn("ETHUSDT", REGIME_TREND_UP, 0, 1, start_ns);
    int64_t later = start_ns + 300 * NS_PER_DAY; /* ten half-lives */
    for (int i = 0; i < 5; i++) learn("ETHUSDT", REGIME_TREND_UP, 0, -1, later);
    struct memory_view v;
    memory_get(&v, &memory, "ETHUSDT", REGIME_TREND_UP, 0, later);
    assert_true(v.mean_r < -0.95);
    assert_true(fabs(v.samples - (5 + 100 / 1024.0)) < 1e-9);
    memory_get(&v, &memory, "ETHUSDT", REGIME_TREND_UP, 0, later + 30 * NS_PER_DAY);
    assert_true(fabs(v.samples - (5 + 100 / 1024.0) / 2) < 1e-9);
}

static void keys_are_apart(void **state) {
    (void)state;
    fresh();
    learn("BTCUSDT", REGIME_TREND_UP, 0, 1, start_ns);
    learn("BTCUSDT", REGIME_TREND_UP, 1, 2, start_ns);
    learn("BTCUSDT", REGIME_TREND_DOWN, 0, 3, start_ns);
    learn("ETHUSDT", REGIME_TREND_UP, 0, 5, start_ns);
    learn("BTCUSDT", REGIME_TREND_UP, MEMORY_FORECASTS, 7, start_ns);
    struct memory_view v;
    memory_get(&v, &memory, "BTCUSDT", REGIME_TREND_UP, 0, start_ns);
    assert_true(v.count == 1 && v.mean_r == 1);
    memory_get(&v, &memory, "BTCUSDT", REGIME_TREND_UP, MEMORY_FORECASTS, start_ns);
    assert_true(v.count == 1 && v.mean_r == 7);
    memory_get(&v, &memory, NULL, REGIME_TREND_UP, 0, start_ns);
    assert_true(v.count == 2 && v.mean_r == 3);
    memory_get(&v, &memory, "SOLUSDT", REGIME_TREND_UP, 0, start_ns);
    assert_true(v.count == 0 && v.samples == 0 && isnan(v.mean_r));
    struct memory_feedback f;
    memory_feedback(&f, &memory, start_ns);
    assert_int_equal(f.count, 4); /* a forecast is not a trade */
}

static void priors_by_hand(void **state) {
    (void)state;
    struct memory_prior p;
    fresh();
    memory_prior(&p, &memory, "BTCUSDT", REGIME_TREND_UP, 3, start_ns);
    assert_true(p.mean_r == 0 && p.sd_r == 1 && p.win_rate == 0.5 && p.samples == 0);
    for (int i = 0; i < 10; i++) learn("ETHUSDT", REGIME_TREND_UP, 3, i % 2 ? 3 : 1, start_ns);
    /* Of the pool: 10 at 2 R against 10 at 0: 1 R. The symbol itself is not known. */
    memory_prior(&p, &memory, "BTCUSDT", REGIME_TREND_UP, 3, start_ns);
    assert_true(fabs(p.mean_r - 1) < 1e-12 && p.samples == 0 && p.pool_samples == 10);
    assert_true(fabs(p.win_rate - 0.75) < 1e-12);
    for (int i = 0; i < 30; i++) learn("BTCUSDT", REGIME_TREND_UP, 3, -1, start_ns);
    /* Pool: (30 (-1) + 10 2) / (40 + 10) = -0.2; the symbol: (30 (-1) + 10 (-0.2)) / 40. */
    memory_prior(&p, &memory, "BTCUSDT", REGIME_TREND_UP, 3, start_ns);
    assert_true(fabs(p.mean_r + 0.8) < 1e-12 && fabs(p.samples - 30) < 1e-12);
    /* Long after, hardly anything of it is left. */
    memory_prior(&p, &memory, "BTCUSDT", REGIME_TREND_UP, 3, start_ns + 600 * NS_PER_DAY);
    assert_true(fabs(p.mean_r) < 1e-4 && p.samples < 1e-4);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    fresh();
    struct memory_outcome good = {"BTCUSDT", REGIME_TREND_UP, 0, 1, 0.5, start_ns}, bad[10];
    for (int i = 0; i < 10; i++) bad[i] = good;
    bad[0].symbol = NULL;
    bad[1].symbol = "";
    bad[2].regime = REGIME_COUNT;
    bad[3].row = MEMORY_ROWS;
    bad[4].net_r = NAN;
    bad[5].net_r = 250; /* USD */
    bad[6].confidence = 65;
    bad[7].confidence = NAN;
    bad[8].ts_ns = 0;
    bad[9].net_r = -INFINITY;
    other = memory;
    for (int i = 0; i < 10; i++) assert_false(memory_learn(&memory, &bad[i]));
    assert_int_equal(memory.refusals, 10);
    memory.refusals = 0;
    assert_memory_equal(&memory, &other, sizeof memory);
    assert_true(memory_learn(&memory, &good));
}

/* More keys than cells: the heaviest stay, the result does not depend on anything but the input. */
static void a_full_table_gives_up_the_lightest(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    for (int run = 0; run < 2; run++) {
        struct rng again = r;
        fresh();
        for (int i = 0; i < 20; i++) learn("HEAVYUSDT", REGIME_TREND_UP, 0, 1, start_ns);
        for (int i = 0; i < 20000; i++) {
            char symbol[SYMBOL_SIZE];
            snprintf(symbol, sizeof symbol, "S%lluUSDT",
                     (unsigned long long)rng_below(&again, 500));
            learn(symbol, (enum regime)rng_below(&again, REGIME_COUNT),
                  (uint32_t)rng_below(&again, MEMORY_ROWS), rng_normal(&again),
                  start_ns + i * NS_PER_MINUTE);
        }
        assert_true(memory.evictions > 1000);
        assert_true(memory_check(&memory));
        struct memory_view v;
        memory_get(&v, &memory, "HEAVYUSDT", REGIME_TREND_UP, 0, start_ns);
        assert_int_equal(v.count, 20);
        if (run == 0) other = memory;
    }
    assert_memory_equal(&memory, &other, sizeof memory);
}

static void room_for_a_hundred_contracts(void **state) {
    (void)state;
    fresh();
    /* 100 symbols in two regimes with three strategies each, and their forecasts: 800 cells. */
    for (int i = 0; i < 100; i++) {
        char symbol[SYMBOL_SIZE];
        snprintf(symbol, sizeof symbol, "C%dUSDT", i);
        for (uint32_t k = 0; k < 4; k++) {
            learn(symbol, REGIME_TREND_UP, k < 3 ? k : MEMORY_FORECASTS, 1, start_ns);
            learn(symbol, REGIME_RANGE_LOW_VOL, k < 3 ? k : MEMORY_FORECASTS, 1, start_ns);
        }
    }
    assert_true(memory.evictions <= 8); /* one in a hundred, by chance of the buckets */
}

static void feedback_says_what_is_known(void **state) {
    (void)state;
    struct memory_feedback f;
    fresh();
    memory_feedback(&f, &memory, start_ns);
    assert_int_equal(f.preferred_regime, REGIME_UNKNOWN);
    assert_int_equal(f.updated_policy, MEMORY_CONSERVATIVE);
    assert_true(f.confidence_boost == 0 && f.leverage_hint == 1 && f.samples == 0);

    for (int i = 0; i < 9; i++) learn("BTCUSDT", REGIME_TREND_UP, 0, 2, start_ns);
    memory_feedback(&f, &memory, start_ns);
    assert_int_equal(f.preferred_regime, REGIME_UNKNOWN); /* nine are too few */
    assert_true(f.leverage_hint == 1);

    for (int i = 0; i < 30; i++) learn("BTCUSDT", REGIME_TREND_DOWN, 0, i % 3 ? 1.5 : -1, start_ns);
    memory_feedback(&f, &memory, start_ns);
    assert_int_equal(f.preferred_regime, REGIME_TREND_DOWN);
    assert_int_equal(f.updated_policy, MEMORY_AGGRESSIVE); /* two of three win, 0.67 R */
    assert_true(f.confidence_boost > 0.95 && f.confidence_boost <= 1);
    assert_true(f.leverage_hint > 1.9 && f.leverage_hint <= 2);
    assert_true(fabs(f.samples - 30) < 1e-9);

    for (int i = 0; i < 200; i++) learn("BTCUSDT", REGIME_HIGH_VOLATILITY, 1, -1, start_ns);
    memory_feedback(&f, &memory, start_ns);
    assert_int_equal(f.preferred_regime, REGIME_TREND_DOWN); /* still what pays best */
    assert_true(f.leverage_hint >= 0.5 && f.leverage_hint < 0.51);
    assert_string_equal(memory_policy_text((enum memory_policy)f.updated_policy), "AGGRESSIVE");

    /* What never paid is not preferred, however well it is known. */
    fresh();
    for (int i = 0; i < 100; i++)
        learn("BTCUSDT", REGIME_RANGE_LOW_VOL, 1, i % 2 ? 0.9 : -1, start_ns);
    memory_feedback(&f, &memory, start_ns);
    assert_int_equal(f.preferred_regime, REGIME_UNKNOWN);
    assert_true(f.leverage_hint < 1);
}

static void feedback_stays_in_its_bounds(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    for (int round = 0; round < 200; round++) {
        struct memory_feedback f;
        fresh();
        double shift = 6 * rng_f64(&r) - 3, scale = rng_below(&r, 4) ? 1 : 0;
        for (int i = 0; i < 60; i++)
            learn("BTCUSDT", (enum regime)rng_below(&r, REGIME_COUNT), 0,
                  shift + scale * rng_normal(&r), start_ns + i);
        memory_feedback(&f, &memory,
                        start_ns + (int64_t)rng_below(&r, (uint64_t)(90 * NS_PER_DAY)));
        assert_true(f.confidence_boost >= 0 && f.confidence_boost <= 1);
        assert_true(f.leverage_hint >= 0.5 && f.leverage_hint <= 2);
        assert_true(f.preferred_regime != REGIME_ILLIQUID && f.preferred_regime < REGIME_COUNT);
    }
}

static void it_is_kept_and_read_back(void **state) {
    (void)state;
    struct err err;
    fresh();
    for (int i = 0; i < 50; i++) learn("BTCUSDT", REGIME_TREND_UP, 0, i % 3 - 1, start_ns + i);
    memory_seal(&memory);
    assert_int_equal(memory_restore(&other, &memory, sizeof memory, &err), ST_OK);
    assert_memory_equal(&memory, &other, sizeof memory);

    static unsigned char bytes[sizeof(struct memory_state)];
    struct rng r = rng_init(test_seed());
    for (int i = 0; i < 200; i++) {
        memcpy(bytes, &memory, sizeof bytes);
        bytes[rng_below(&r, sizeof bytes)] ^= (unsigned char)(1 + rng_below(&r, 255));
        assert_true(memory_restore(&other, bytes, sizeof bytes, &err) != ST_OK);
        assert_true(other.all.count == 0 && memory_check(&other)); /* as new, and usable */
    }
    assert_int_equal(memory_restore(&other, &memory, sizeof memory - 1, &err), ST_VERSION);
    memory.version++;
    assert_int_equal(memory_restore(&other, &memory, sizeof memory, &err), ST_VERSION);
    /* Impossible sums are found even under a checksum that holds. */
    fresh();
    learn("BTCUSDT", REGIME_TREND_UP, 0, 1, start_ns);
    memory.all.wins = 5;
    memory_seal(&memory);
    assert_int_equal(memory_restore(&other, &memory, sizeof memory, &err), ST_CORRUPT);
}

static void self_test_passes(void **state) {
    (void)state;
    assert_true(memory_self_test(&other));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_all_outcomes),
        cmocka_unit_test(what_is_recent_counts_more),
        cmocka_unit_test(keys_are_apart),
        cmocka_unit_test(priors_by_hand),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_full_table_gives_up_the_lightest),
        cmocka_unit_test(room_for_a_hundred_contracts),
        cmocka_unit_test(feedback_says_what_is_known),
        cmocka_unit_test(feedback_stays_in_its_bounds),
        cmocka_unit_test(it_is_kept_and_read_back),
        cmocka_unit_test(self_test_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
