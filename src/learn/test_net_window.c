/* What the networks read: channels, histories, normalised windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "learn/net_internal.h"
#include "learn/test_market.h"

enum { VALUES = NET_WINDOW * NET_CHANNELS };

/* A row with everything known, different at each call. */
static void make_row(float *row, struct rng *r) {
    for (uint32_t k = 0; k < FEATURE_COUNT; k++) row[k] = (float)rng_f64(r);
    row[FEATURE_LOG_RETURN_1] = (float)(0.01 * rng_normal(r));
    row[FEATURE_MARKET_RETURN_1] = (float)(0.005 * rng_normal(r));
}

static struct net_history *history_new(void) {
    struct net_history *h = malloc(net_history_size());
    assert_non_null(h);
    net_history_init(h, NS_PER_HOUR);
    return h;
}

static void push(struct net_history *h, int64_t bar, const float *row) {
    net_history_push(h, MARKET_START_NS + bar * NS_PER_HOUR, row);
}

static void channels_by_hand(void **state) {
    (void)state;
    float row[FEATURE_COUNT], out[NET_CHANNELS];
    struct rng r = rng_init(1);
    make_row(row, &r);
    row[FEATURE_VOLUME_MA_RATIO] = 2;
    row[FEATURE_RANK_RETURN_1] = 0.75F;
    assert_true(net_channels(out, row));
    assert_true(out[NET_TARGET_CHANNEL] == row[FEATURE_LOG_RETURN_1]);
    assert_true(out[1] == row[FEATURE_HIGH_LOW_RANGE] && out[2] == row[FEATURE_CANDLE_BODY]);
    assert_true(fabs((double)out[3] - log(2)) < 1e-7);
    assert_true(out[4] == row[FEATURE_VOLATILITY_RATIO] && out[5] == row[FEATURE_TAKER_IMBALANCE]);
    assert_true(out[6] == row[FEATURE_MARKET_RETURN_1] && out[7] == 0.25F);
    row[FEATURE_VOLUME_MA_RATIO] = 0; /* no trade in this bar */
    assert_true(net_channels(out, row));
    assert_true(fabs((double)out[3] - log(1.0 / 64)) < 1e-6);
}

/* What a source may lack counts as neutral: no taker data, one symbol alone. */
static void missing_columns_are_neutral(void **state) {
    (void)state;
    static const uint32_t may_lack[] = {FEATURE_VOLUME_MA_RATIO, FEATURE_TAKER_IMBALANCE,
                                        FEATURE_MARKET_RETURN_1, FEATURE_RANK_RETURN_1};
    static const uint32_t must_have[] = {FEATURE_LOG_RETURN_1, FEATURE_HIGH_LOW_RANGE,
                                         FEATURE_CANDLE_BODY, FEATURE_VOLATILITY_RATIO};
    float row[FEATURE_COUNT], out[NET_CHANNELS];
    struct rng r = rng_init(2);
    make_row(row, &r);
    for (size_t i = 0; i < 4; i++) row[may_lack[i]] = NAN;
    assert_true(net_channels(out, row));
    assert_true(out[3] == 0 && out[5] == 0 && out[6] == 0 && out[7] == 0);
    for (size_t i = 0; i < 4; i++) {
        make_row(row, &r);
        row[must_have[i]] = NAN;
        assert_false(net_channels(out, row));
    }
    for (size_t i = 0; i < 4; i++) { /* infinity is never neutral */
        make_row(row, &r);
        row[may_lack[i]] = INFINITY;
        assert_false(net_channels(out, row));
    }
}

static void history_is_a_ring_in_order(void **state) {
    (void)state;
    enum { BARS = 3 * NET_WINDOW + 17 };
    struct net_history *h = history_new(), *copy = history_new();
    float(*all)[NET_CHANNELS] = malloc(BARS * sizeof *all), values[VALUES];
    struct rng r = rng_init(3);
    assert_true(net_history_size() % 64 == 0);
    assert_int_equal(net_history_bars(), NET_WINDOW);
    for (int i = 0; i < BARS; i++) {
        float row[FEATURE_COUNT];
        make_row(row, &r);
        net_channels(all[i], row);
        push(h, i, row);
        assert_int_equal(net_history_is_full(h), i + 1 >= NET_WINDOW);
        memcpy(copy, h, net_history_size()); /* no pointers inside */
        if (!net_history_is_full(copy)) continue;
        net_history_values(values, copy);
        assert_memory_equal(values, all[i + 1 - NET_WINDOW], sizeof values);
    }
    free(all);
    free(h);
    free(copy);
}

/* Bars until it is full again. */
static int refill(struct net_history *h, int64_t *bar, struct rng *r) {
    float row[FEATURE_COUNT];
    int count = 0;
    for (; !net_history_is_full(h); count++) {
        make_row(row, r);
        push(h, (*bar)++, row);
    }
    return count;
}

static void holes_and_unknown_bars_begin_anew(void **state) {
    (void)state;
    struct net_history *h = history_new();
    struct rng r = rng_init(4);
    float row[FEATURE_COUNT];
    int64_t bar = 0;
    assert_int_equal(refill(h, &bar, &r), NET_WINDOW);
    bar++; /* a hole of one bar; the bar behind it is the first */
    make_row(row, &r);
    push(h, bar++, row);
    assert_false(net_history_is_full(h));
    assert_int_equal(refill(h, &bar, &r), NET_WINDOW - 1);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) { /* an unknown bar is not itself the first */
        make_row(row, &r);
        row[FEATURE_LOG_RETURN_1] = bad[i];
        push(h, bar++, row);
        assert_false(net_history_is_full(h));
        assert_int_equal(refill(h, &bar, &r), NET_WINDOW);
    }
    make_row(row, &r);
    push(h, bar - 1, row); /* the same time once more */
    assert_false(net_history_is_full(h));
    free(h);
}

/* Against the definition: divided by the root mean square, around zero or around the mean. */
static void windows_are_normalised(void **state) {
    (void)state;
    static const bool centred[NET_CHANNELS] = {false, true, false, true, true, false, false, false};
    float values[VALUES], window[VALUES];
    struct rng r = rng_init(5);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < VALUES; i++)
            values[i] = (float)((double)(i % NET_CHANNELS + 1) * (3 + rng_normal(&r)));
        double sigma = net_window(window, values);
        for (size_t k = 0; k < NET_CHANNELS; k++) {
            double mean = 0, square = 0;
            for (size_t i = 0; i < NET_WINDOW; i++)
                mean += (double)values[i * NET_CHANNELS + k] / NET_WINDOW;
            if (!centred[k]) mean = 0;
            for (size_t i = 0; i < NET_WINDOW; i++)
                square += pow((double)values[i * NET_CHANNELS + k] - mean, 2) / NET_WINDOW;
            if (k == NET_TARGET_CHANNEL) assert_true(fabs(sigma / sqrt(square) - 1) < 1e-12);
            for (size_t i = 0; i < NET_WINDOW; i++) {
                double expected = ((double)values[i * NET_CHANNELS + k] - mean) / sqrt(square);
                assert_true(fabs((double)window[i * NET_CHANNELS + k] - expected) < 1e-5);
            }
        }
    }
}

/* No scale is left: a window and the same one times a thousandth read alike; a flat one is all zeros. */
static void scale_is_taken_away(void **state) {
    (void)state;
    float values[VALUES], window[VALUES], small[VALUES];
    struct rng r = rng_init(6);
    for (size_t i = 0; i < VALUES; i++) values[i] = (float)(100 * rng_normal(&r));
    double sigma = net_window(window, values);
    for (size_t i = 0; i < VALUES; i++) values[i] *= 1.0F / 1024;
    assert_true(net_window(small, values) * 1024 == sigma);
    assert_memory_equal(window, small, sizeof window);
    memset(values, 0, sizeof values);
    assert_true(net_window(window, values) > 0);
    for (size_t i = 0; i < VALUES; i++) assert_true(window[i] == 0);
}

/* The path of a row by hand from prices. */
static void paths_are_returns_in_sigmas(void **state) {
    (void)state;
    struct market m;
    struct learn_rows rows;
    struct learn_config c = learn_config_defaults();
    struct err err;
    float path[NET_HORIZON_MAX];
    market_make(&m, 2, 700, 8, 0.5);
    c.kind = MODEL_NHITS;
    assert_int_equal(learn_rows_build(&rows, m.series, m.count, &c, NULL, NULL, &err), ST_OK);
    assert_true(rows.count > 500 && rows.features == NULL);
    for (size_t i = 0; i < rows.count; i += 37) {
        const struct bar *b = m.bars[rows.series[i]] + rows.bar[i];
        double square = 0, sigma = net_row_sigma(&rows, i);
        for (int k = 0; k < NET_WINDOW; k++)
            square += pow(log((double)b[-k].close.e8 / (double)b[-k - 1].close.e8), 2);
        assert_true(fabs(sigma / sqrt(square / NET_WINDOW) - 1) < 1e-5);
        net_row_path(path, &rows, i, sigma, c.labels.horizon_bars);
        for (int k = 1; k <= (int)c.labels.horizon_bars; k++) {
            double move = log((double)b[k].close.e8 / (double)b->close.e8);
            assert_true(fabs((double)path[k - 1] - move / (sigma * sqrt(k))) < 1e-4);
        }
    }
    learn_rows_free(&rows);
    market_free(&m);
}

/* The rows of a network and of a forest are the same decisions, unless a history is not full. */
static void rows_are_those_of_the_forests(void **state) {
    (void)state;
    struct market m;
    struct learn_rows windows, rows;
    struct learn_config c = learn_config_defaults();
    struct err err;
    market_make(&m, 3, 900, 9, 0);
    /* A hole: warm-up and histories begin anew behind it. */
    memmove(m.bars[1] + 400, m.bars[1] + 403, 497 * sizeof *m.bars[1]);
    m.series[1].count -= 3;
    c.rows_max = 900;
    c.kind = MODEL_PATCHTST;
    assert_int_equal(learn_rows_build(&windows, m.series, m.count, &c, NULL, NULL, &err), ST_OK);
    c.kind = MODEL_LIGHTGBM;
    assert_int_equal(learn_rows_build(&rows, m.series, m.count, &c, NULL, NULL, &err), ST_OK);
    assert_int_equal(windows.count, rows.count);
    for (size_t i = 0; i < rows.count; i++) {
        assert_true(windows.series[i] == rows.series[i] && windows.bar[i] == rows.bar[i]);
        assert_true(windows.labels[i] == rows.labels[i] && windows.end[i] == rows.end[i]);
        assert_true(windows.atr[i] == feature_atr_fraction(rows.features + i * rows.columns));
    }
    learn_rows_free(&windows);
    learn_rows_free(&rows);
    market_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_by_hand),
        cmocka_unit_test(missing_columns_are_neutral),
        cmocka_unit_test(history_is_a_ring_in_order),
        cmocka_unit_test(holes_and_unknown_bars_begin_anew),
        cmocka_unit_test(windows_are_normalised),
        cmocka_unit_test(scale_is_taken_away),
        cmocka_unit_test(paths_are_returns_in_sigmas),
        cmocka_unit_test(rows_are_those_of_the_forests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
