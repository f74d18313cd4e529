/* Rules one by one, what is missing, hysteresis, and made-up markets through the real features. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brain/regime/regime.h"
#include "brain/regime/test_regime_series.h"

static const struct regime_input calm = {.adx = 15,
                                         .trend_strength = 0.1,
                                         .atr_fraction = 0.01,
                                         .volume_24h = 1e9,
                                         .depth = 1e6,
                                         .spread_bps = 1};

static struct regime_reading classify(const struct regime_input *in) {
    struct regime_config c = regime_config_defaults();
    struct regime_reading r;
    regime_classify(&r, &c, in);
    return r;
}

static void expect(const struct regime_input *in, enum regime regime, double confidence) {
    struct regime_reading r = classify(in);
    if (r.regime != (uint32_t)regime)
        fail_msg("%s, not %s", regime_text((enum regime)r.regime), regime_text(regime));
    assert_true(fabs(r.confidence - confidence) < 1e-12);
    assert_true((r.reason == REGIME_REASON_NONE) == (regime != REGIME_UNKNOWN));
}

static void two_of_three_make_illiquid(void **state) {
    (void)state;
    struct regime_input in = calm;
    in.volume_24h = 1.9e6;
    expect(&in, REGIME_RANGE_LOW_VOL, 0.65 + 0.25 * 0.9);
    in.spread_bps = 10; /* not above */
    expect(&in, REGIME_RANGE_LOW_VOL, 0.65 + 0.25 * 0.9);
    in.spread_bps = 10.1;
    expect(&in, REGIME_ILLIQUID, 0.95);
    in.volume_24h = 2e6; /* not below */
    expect(&in, REGIME_RANGE_LOW_VOL, 0.65 + 0.25 * 0.9);
    in.depth = 49e3;
    expect(&in, REGIME_ILLIQUID, 0.95);
    in.spread_bps = 1, in.volume_24h = 1;
    expect(&in, REGIME_ILLIQUID, 0.95);
    in.atr_fraction = 0.10; /* the first rule that holds */
    expect(&in, REGIME_ILLIQUID, 0.95);
}

static void high_volatility_from_six_percent(void **state) {
    (void)state;
    struct regime_input in = calm;
    in.atr_fraction = 0.06;
    in.adx = 60, in.trend_strength = 0.9;
    expect(&in, REGIME_HIGH_VOLATILITY, 0.90);
    in.atr_fraction = 0.0599;
    expect(&in, REGIME_TREND_UP, 0.6 + 0.2 * 0.6 + 0.15 * 0.9);
}

static void trend_needs_both(void **state) {
    (void)state;
    struct regime_input in = calm;
    in.adx = 25, in.trend_strength = 0.3;
    expect(&in, REGIME_TREND_UP, 0.6 + 0.05 + 0.045);
    in.trend_strength = -0.3;
    expect(&in, REGIME_TREND_DOWN, 0.6 + 0.05 + 0.045);
    in.adx = 100, in.trend_strength = 1;
    expect(&in, REGIME_TREND_UP, 0.95);
    in.adx = 24.9;
    expect(&in, REGIME_UNKNOWN, 0.50);
    assert_int_equal(classify(&in).reason, REGIME_REASON_CONFLICT);
    in.adx = 25, in.trend_strength = 0.29;
    expect(&in, REGIME_UNKNOWN, 0.50);
}

static void ranges_by_volatility(void **state) {
    (void)state;
    struct regime_input in = calm;
    in.trend_strength = 0;
    expect(&in, REGIME_RANGE_LOW_VOL, 0.90);
    in.atr_fraction = 0.04;
    expect(&in, REGIME_RANGE_HIGH_VOL, 0.90);
    in.atr_fraction = 0.0399;
    expect(&in, REGIME_RANGE_LOW_VOL, 0.90);
}

/* The original read a missing depth as 0 and every market as illiquid. */
static void what_is_missing_is_not_zero(void **state) {
    (void)state;
    struct regime_input in = calm;
    in.depth = NAN, in.volume_24h = NAN, in.spread_bps = NAN;
    struct regime_reading r = classify(&in);
    assert_int_equal(r.regime, REGIME_RANGE_LOW_VOL);
    assert_int_equal(r.liquidity_missing, 3);
    in.spread_bps = 50; /* one thin figure, and two that are not known: not two thin ones */
    r = classify(&in);
    assert_int_equal(r.regime, REGIME_RANGE_LOW_VOL);
    assert_int_equal(r.liquidity_missing, 2);

    struct regime_config c = regime_config_defaults();
    c.liquidity_required = 1;
    regime_classify(&r, &c, &in);
    assert_int_equal(r.regime, REGIME_UNKNOWN);
    assert_int_equal(r.reason, REGIME_REASON_LIQUIDITY_MISSING);
    in.depth = 1e6, in.spread_bps = 1; /* one missing can no longer make two */
    regime_classify(&r, &c, &in);
    assert_int_equal(r.regime, REGIME_RANGE_LOW_VOL);

    static const struct {
        size_t offset;
        enum regime_reason reason;
    } missing[] = {
        {offsetof(struct regime_input, atr_fraction), REGIME_REASON_ATR_MISSING},
        {offsetof(struct regime_input, adx), REGIME_REASON_ADX_MISSING},
        {offsetof(struct regime_input, trend_strength), REGIME_REASON_STRENGTH_MISSING},
    };
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        in = calm;
        const double nan_value = NAN;
        memcpy((char *)&in + missing[i].offset, &nan_value, sizeof nan_value);
        r = classify(&in);
        assert_int_equal(r.regime, REGIME_UNKNOWN);
        assert_int_equal(r.reason, missing[i].reason);
        assert_true(r.confidence == 0);
    }
    in = calm; /* what is known to be wild is so whatever else is missing */
    in.atr_fraction = 0.07, in.adx = NAN, in.trend_strength = NAN;
    expect(&in, REGIME_HIGH_VOLATILITY, 0.90);
}

static void units_mistaken_are_impossible(void **state) {
    (void)state;
    struct regime_input spoilt[8];
    for (int i = 0; i < 8; i++) spoilt[i] = calm;
    spoilt[0].atr_fraction = 2.5; /* percent, or price units */
    spoilt[1].atr_fraction = 0;   /* a frozen series */
    spoilt[2].adx = 101;
    spoilt[3].trend_strength = -1.5;
    spoilt[4].spread_bps = -1;
    spoilt[5].depth = -5;
    spoilt[6].volume_24h = -INFINITY;
    spoilt[7].atr_fraction = INFINITY;
    for (int i = 0; i < 8; i++) {
        struct regime_reading r = classify(&spoilt[i]);
        assert_int_equal(r.regime, REGIME_UNKNOWN);
        assert_int_equal(r.reason, REGIME_REASON_IMPOSSIBLE);
    }
}

static void missing_data_is_told_at_once_and_forgotten_at_once(void **state) {
    (void)state;
    struct regime_config c = regime_config_defaults();
    struct regime_state s;
    struct regime_reading r;
    regime_init(&s);
    assert_int_equal(s.reason, REGIME_REASON_NO_BAR);
    regime_step(&r, &s, &c, &calm);
    assert_int_equal(r.regime, REGIME_RANGE_LOW_VOL);
    struct regime_input gone = calm;
    gone.atr_fraction = NAN;
    regime_step(&r, &s, &c, &gone);
    assert_int_equal(r.regime, REGIME_UNKNOWN);
    assert_int_equal(r.reason, REGIME_REASON_ATR_MISSING);
    regime_step(&r, &s, &c, &calm);
    assert_int_equal(r.regime, REGIME_RANGE_LOW_VOL);
    assert_int_equal(s.switches, 2);
}

static void danger_does_not_wait(void **state) {
    (void)state;
    struct regime_config c = regime_config_defaults();
    struct regime_state s;
    struct regime_reading r;
    regime_init(&s);
    regime_step(&r, &s, &c, &calm);
    struct regime_input wild = calm;
    /* Out of a range by a tenth more than the rule's 6 %, at once. */
    wild.atr_fraction = 0.065;
    regime_step(&r, &s, &c, &wild);
    assert_int_equal(r.regime, REGIME_RANGE_LOW_VOL);
    wild.atr_fraction = 0.067;
    regime_step(&r, &s, &c, &wild);
    assert_int_equal(r.regime, REGIME_HIGH_VOLATILITY);
    wild.atr_fraction = 0.055; /* held down to 5.4 % */
    for (int i = 0; i < 20; i++) regime_step(&r, &s, &c, &wild);
    assert_int_equal(r.regime, REGIME_HIGH_VOLATILITY);
    for (uint32_t i = 0; i < c.confirm_bars; i++) {
        assert_int_equal(r.regime, REGIME_HIGH_VOLATILITY);
        regime_step(&r, &s, &c, &calm);
    }
    assert_int_equal(r.regime, REGIME_RANGE_LOW_VOL);
}

/* Neither the held regime nor the same other one twice: it must not be held for ever. */
static void a_regime_that_is_never_read_is_given_up(void **state) {
    (void)state;
    struct regime_config c = regime_config_defaults();
    struct regime_state s;
    struct regime_reading r;
    struct regime_input up = calm, mixed = calm;
    up.adx = 40, up.trend_strength = 0.8;
    mixed.adx = 40;
    regime_init(&s);
    regime_step(&r, &s, &c, &up);
    assert_int_equal(r.regime, REGIME_TREND_UP);
    for (uint32_t i = 1; i < 3 * c.confirm_bars; i++) {
        regime_step(&r, &s, &c, i % 2 ? &calm : &mixed);
        assert_int_equal(r.regime, REGIME_TREND_UP);
        assert_true(r.pending && r.confidence <= 0.50);
    }
    regime_step(&r, &s, &c, &calm);
    assert_int_not_equal(r.regime, REGIME_TREND_UP);
}

/* A market on the border of a rule: switches with and without hysteresis. */
static void hysteresis_stops_flapping(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct regime_input at;
        double adx_noise, strength_noise, atr_noise;
    } borders[] = {
        {"trend", {25, 0.5, 0.01, NAN, NAN, NAN}, 1.5, 0, 0},
        {"strength", {30, 0.3, 0.01, NAN, NAN, NAN}, 0, 0.02, 0},
        {"range", {15, 0.1, 0.04, NAN, NAN, NAN}, 0, 0, 0.002},
        {"volatile", {15, 0.1, 0.06, NAN, NAN, NAN}, 0, 0, 0.003},
    };
    struct regime_config c = regime_config_defaults();
    struct rng rng = rng_init(test_seed());
    for (size_t b = 0; b < sizeof borders / sizeof *borders; b++) {
        struct regime_state s;
        struct regime_reading raw, r;
        uint32_t last = REGIME_COUNT;
        uint64_t flaps = 0;
        regime_init(&s);
        for (int i = 0; i < 2000; i++) {
            struct regime_input in = borders[b].at;
            in.adx += borders[b].adx_noise * rng_normal(&rng);
            in.trend_strength += borders[b].strength_noise * rng_normal(&rng);
            in.atr_fraction += borders[b].atr_noise * rng_normal(&rng);
            regime_classify(&raw, &c, &in);
            flaps += last != REGIME_COUNT && raw.regime != last;
            last = raw.regime;
            regime_step(&r, &s, &c, &in);
        }
        print_message("%s: %llu switches of the rules, %llu held\n", borders[b].name,
                      (unsigned long long)flaps, (unsigned long long)s.switches);
        assert_true(flaps > 500);
        assert_true(s.switches * 20 < flaps);
    }
}

/* ---- Made-up markets, bar by bar through feature_step ---- */

static void markets_are_what_they_were_made_as(void **state) {
    (void)state;
    enum { BARS = 1500 };
    static const struct {
        struct series_kind kind;
        enum regime regime;
        double share_least;
    } markets[] = {
        {{.drift = 0.004, .noise = 0.006}, REGIME_TREND_UP, 0.85},
        {{.drift = -0.004, .noise = 0.006}, REGIME_TREND_DOWN, 0.85},
        {{.noise = 0.008, .revert = 0.5}, REGIME_RANGE_LOW_VOL, 0.85},
        {{.noise = 0.043, .revert = 0.5}, REGIME_RANGE_HIGH_VOL, 0.85},
        {{.noise = 0.08, .revert = 0.2}, REGIME_HIGH_VOLATILITY, 0.95},
        {{.noise = 0.08}, REGIME_HIGH_VOLATILITY, 0.95},
    };
    struct regime_config c = regime_config_defaults();
    struct rng rng = rng_init(test_seed());
    for (size_t m = 0; m < sizeof markets / sizeof *markets; m++) {
        struct series series;
        series_init(&series);
        struct regime_state s;
        regime_init(&s);
        uint32_t share[REGIME_COUNT] = {0};
        for (int i = 0; i < BARS; i++) {
            float row[FEATURE_COUNT];
            struct regime_input in;
            struct regime_reading r;
            series_step(row, &series, &markets[m].kind, &rng);
            regime_input_from_row(&in, row);
            regime_step(&r, &s, &c, &in);
            if (i < 14) assert_int_equal(r.reason, REGIME_REASON_ATR_MISSING);
            /* ADX takes longer to know; ATR alone tells a wild market. */
            if (i >= 14 && i < 27 && r.regime != REGIME_HIGH_VOLATILITY)
                assert_int_equal(r.reason, REGIME_REASON_ADX_MISSING);
            if (i >= 100) share[r.regime]++;
        }
        series_deinit(&series);
        print_message("%s:", regime_text(markets[m].regime));
        for (uint32_t k = 0; k < REGIME_COUNT; k++)
            if (share[k])
                print_message(" %s %.3f", regime_text((enum regime)k),
                              (double)share[k] / (BARS - 100));
        print_message(", %llu switches\n", (unsigned long long)s.switches);
        assert_true((double)share[markets[m].regime] > markets[m].share_least * (BARS - 100));
    }
}

/* The unit of trend strength: a drift of d ATR a bar reads as 4 d. */
static void strength_is_in_units_of_atr(void **state) {
    (void)state;
    struct series series;
    series_init(&series);
    struct rng rng = rng_init(1);
    struct series_kind steady = {.drift = 0.002};
    float row[FEATURE_COUNT];
    struct regime_input in;
    for (int i = 0; i < 600; i++) series_step(row, &series, &steady, &rng);
    regime_input_from_row(&in, row);
    double d = 0.002 / in.atr_fraction;
    assert_true(fabs(in.trend_strength - fmin(1, 4 * d)) < 0.15);
    series_deinit(&series);
    assert_true(fabs(regime_trend_strength(0.01, 0.02) - 0.1) < 1e-15);
    assert_true(regime_trend_strength(-0.9, 0.02) == -1);
    assert_true(isnan(regime_trend_strength(0.01, 0)) && isnan(regime_trend_strength(NAN, 0.1)));
}

static void texts_and_self_test(void **state) {
    (void)state;
    assert_string_equal(regime_text(REGIME_HIGH_VOLATILITY), "high_volatility");
    assert_string_equal(regime_text((enum regime)99), "?");
    assert_string_equal(regime_reason_text(REGIME_REASON_CONFLICT), "conflict");
    assert_true(regime_self_test());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_of_three_make_illiquid),
        cmocka_unit_test(high_volatility_from_six_percent),
        cmocka_unit_test(trend_needs_both),
        cmocka_unit_test(ranges_by_volatility),
        cmocka_unit_test(what_is_missing_is_not_zero),
        cmocka_unit_test(units_mistaken_are_impossible),
        cmocka_unit_test(missing_data_is_told_at_once_and_forgotten_at_once),
        cmocka_unit_test(danger_does_not_wait),
        cmocka_unit_test(a_regime_that_is_never_read_is_given_up),
        cmocka_unit_test(hysteresis_stops_flapping),
        cmocka_unit_test(markets_are_what_they_were_made_as),
        cmocka_unit_test(strength_is_in_units_of_atr),
        cmocka_unit_test(texts_and_self_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
