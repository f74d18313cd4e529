#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "learn/learn.h"
#include "learn/test_market.h"

/* ATR 0.01, barriers at 2 %: upper 102, lower 98 around a close of 100. */
static const struct label_spec spec = {
    .horizon_bars = 3, .barrier_atr = 2.0, .barrier_cost_multiple = 3.0, .cost_round_trip = 0.0014};

enum { BARS_MAX = 512 };

struct tape {
    struct bar bars[BARS_MAX];
    float atr[BARS_MAX];
    int8_t label[BARS_MAX];
    float move[BARS_MAX];
    uint32_t end[BARS_MAX];
    size_t count;
};

static void add(struct tape *t, double open, double high, double low, double close) {
    struct bar *b = &t->bars[t->count];
    *b = (struct bar){.open_ts_ns = MARKET_START_NS + (int64_t)t->count * NS_PER_HOUR,
                      .open = px_e8((int64_t)llround(open * 1e8)),
                      .high = px_e8((int64_t)llround(high * 1e8)),
                      .low = px_e8((int64_t)llround(low * 1e8)),
                      .close = px_e8((int64_t)llround(close * 1e8))};
    t->atr[t->count++] = 0.01F;
}

static void quiet(struct tape *t, size_t count) {
    while (count-- > 0) add(t, 100, 100.5, 99.5, 100);
}

static void label(struct tape *t) {
    label_make(t->label, t->move, t->end, t->bars, t->atr, t->count, NS_PER_HOUR, &spec);
}

static void first_barrier_names_the_label(void **state) {
    (void)state;
    struct tape t = {0};
    quiet(&t, 2);                     /* 0, 1 */
    add(&t, 100, 102.5, 99.5, 102.2); /* 2: up */
    quiet(&t, 3);                     /* 3 .. 5 */
    add(&t, 100, 100.2, 97.9, 98);    /* 6: down */
    quiet(&t, 4);                     /* 7 .. 10 */
    label(&t);
    assert_int_equal(t.label[0], LABEL_BUY);
    assert_int_equal(t.end[0], 2);
    assert_int_equal(t.label[1], LABEL_BUY);
    assert_int_equal(t.end[1], 2);
    /* Bar 2 closed at 102.2: a low of 99.5 is beyond its lower barrier 100.156. */
    assert_int_equal(t.label[2], LABEL_SELL);
    assert_int_equal(t.end[2], 3);
    assert_int_equal(t.label[3], LABEL_SELL);
    assert_int_equal(t.end[3], 6);
    assert_int_equal(t.label[5], LABEL_SELL);
    /* Bar 7: nothing within 8 .. 10. */
    assert_int_equal(t.label[7], LABEL_HOLD);
    assert_int_equal(t.end[7], 10);
    assert_true(t.move[0] == 0.02F);
    /* Bar 8's horizon would be 11: past the end. */
    for (size_t i = 8; i < t.count; i++) {
        assert_int_equal(t.label[i], -1);
        assert_int_equal(t.end[i], i);
        assert_true(isnan(t.move[i]));
    }
}

static void touch_counts_and_a_hair_short_does_not(void **state) {
    (void)state;
    for (int hit = 0; hit < 2; hit++) {
        struct tape t = {0};
        quiet(&t, 3);
        add(&t, 100, hit ? 102.0000021 : 101.999, 99.5, 100);
        label(&t);
        assert_int_equal(t.label[0], hit ? LABEL_BUY : LABEL_HOLD);
    }
}

static void both_in_one_bar_is_hold(void **state) {
    (void)state;
    struct tape t = {0};
    quiet(&t, 1);
    add(&t, 100, 103, 97, 102.9);
    quiet(&t, 3);
    label(&t);
    assert_int_equal(t.label[0], LABEL_HOLD);
    assert_int_equal(t.end[0], 1);
    /* Unless it opened beyond one of them: that one came first. */
    t.bars[1].open = px_e8(INT64_C(10250000000));
    label(&t);
    assert_int_equal(t.label[0], LABEL_BUY);
    t.bars[1].open = px_e8(INT64_C(9750000000));
    label(&t);
    assert_int_equal(t.label[0], LABEL_SELL);
}

/* The bar's own high and low are over when its close is known. */
static void own_bar_does_not_count(void **state) {
    (void)state;
    struct tape t = {0};
    add(&t, 100, 110, 90, 100);
    quiet(&t, 3);
    label(&t);
    assert_int_equal(t.label[0], LABEL_HOLD);
}

static void hole_within_the_horizon_is_unknown(void **state) {
    (void)state;
    struct tape t = {0};
    quiet(&t, 4);
    add(&t, 100, 103, 99.5, 100);
    quiet(&t, 6);
    for (size_t i = 6; i < t.count; i++)
        t.bars[i].open_ts_ns += NS_PER_HOUR; /* none between 5, 6 */
    label(&t);
    assert_int_equal(t.label[1], LABEL_BUY);
    assert_int_equal(t.label[2], LABEL_BUY); /* 3, 4, 5 are there */
    /* 4 hits, but 6 belongs to the horizon and is not where it should be. */
    assert_int_equal(t.label[3], -1);
    assert_int_equal(t.label[4], -1);
    assert_int_equal(t.label[5], -1);
    assert_int_equal(t.label[6], LABEL_HOLD);
}

static void unknown_atr_is_unknown(void **state) {
    (void)state;
    struct tape t = {0};
    quiet(&t, 8);
    t.atr[1] = NAN;
    label(&t);
    assert_int_equal(t.label[0], LABEL_HOLD);
    assert_int_equal(t.label[1], -1);
    assert_true(isnan(t.move[1]));
}

static void barrier_is_never_nearer_than_cost(void **state) {
    (void)state;
    assert_true(label_barrier(&spec, 0.01) == 0.02);
    assert_true(label_barrier(&spec, 0) == 3 * 0.0014);
    assert_true(label_barrier(&spec, 0.0001) == 3 * 0.0014);
    assert_true(isnan(label_barrier(&spec, (double)NAN)));
}

/* Bars beyond the horizon, and those before t, may be anything. */
static void reads_only_its_horizon(void **state) {
    (void)state;
    enum { N = 300 };
    struct tape a = {0}, b = {0};
    struct rng r = rng_init(market_seed());
    market_series(a.bars, N, 3, NS_PER_HOUR, 0.5);
    a.count = N;
    for (size_t i = 0; i < N; i++) a.atr[i] = 0.004F + 0.004F * (float)rng_f64(&r);
    label(&a);
    size_t seen[LABEL_COUNT] = {0};
    for (size_t t = 0; t + spec.horizon_bars < N; t++) {
        memcpy(&b, &a, sizeof b);
        for (size_t i = 0; i < N; i++) {
            if (i >= t && i <= t + spec.horizon_bars) continue;
            b.bars[i].high = px_e8(INT64_C(900000) * 100000000);
            b.bars[i].low = b.bars[i].close = b.bars[i].open = px_e8(1);
            b.atr[i] = 0.5F;
        }
        b.count = t + spec.horizon_bars + 1; /* the rest does not even exist */
        label(&b);
        assert_int_equal(b.label[t], a.label[t]);
        assert_int_equal(b.end[t], a.end[t]);
        seen[a.label[t]]++;
        b.count--;
        label(&b);
        assert_int_equal(b.label[t], -1);
    }
    for (int l = 0; l < LABEL_COUNT; l++) assert_true(seen[l] > 0);
}

/* A rising tape says BUY, a falling one SELL: the direction of the label is the market's. */
static void known_direction(void **state) {
    (void)state;
    for (int up = 0; up < 2; up++) {
        struct tape t = {0};
        double p = 100;
        for (int i = 0; i < 40; i++) {
            double next = p * (up ? 1.01 : 0.99);
            add(&t, p, fmax(p, next), fmin(p, next), next);
            p = next;
        }
        label(&t);
        for (size_t i = 0; i + spec.horizon_bars < t.count; i++)
            assert_int_equal(t.label[i], up ? LABEL_BUY : LABEL_SELL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_barrier_names_the_label),
        cmocka_unit_test(touch_counts_and_a_hair_short_does_not),
        cmocka_unit_test(both_in_one_bar_is_hold),
        cmocka_unit_test(own_bar_does_not_count),
        cmocka_unit_test(hole_within_the_horizon_is_unknown),
        cmocka_unit_test(unknown_atr_is_unknown),
        cmocka_unit_test(barrier_is_never_nearer_than_cost),
        cmocka_unit_test(reads_only_its_horizon),
        cmocka_unit_test(known_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
