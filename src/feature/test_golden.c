/* Columns against two indicator libraries (golden_indicators.h names them), and by hand where no
 * library has the column. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "feature/golden_indicators.h"
#include "feature/test_series.h"

static struct bar bars[GOLDEN_BARS];
static float rows[GOLDEN_BARS * FEATURE_COUNT];

static int golden_rows_make(void **state) {
    (void)state;
    for (int i = 0; i < GOLDEN_BARS; i++) {
        const int *b = golden_bars[i];
        /* Hundredths to e8. The first bar begins a fold of 16, as in the generator. */
        bars[i] = (struct bar){.open_ts_ns = (int64_t)(16 * 30000 + i) * TEST_INTERVAL_NS,
                               .open = px_e8(b[0] * INT64_C(1000000)),
                               .high = px_e8(b[1] * INT64_C(1000000)),
                               .low = px_e8(b[2] * INT64_C(1000000)),
                               .close = px_e8(b[3] * INT64_C(1000000)),
                               .volume = b[4],
                               .quote_volume = (double)NAN,
                               .taker_buy_ratio = NAN,
                               .trade_count = BAR_COUNT_UNKNOWN};
    }
    test_rows(rows, bars, GOLDEN_BARS);
    return 0;
}

/* Compares a column with `want` at every golden bar: known together, and then within tolerance (of
 * the value, absolute below 1: float has 6e-8). Returns how many values were compared. */
static int column_check(enum feature_id id, const double *want, double tolerance) {
    int compared = 0;
    for (int r = 0; r < GOLDEN_ROWS; r++) {
        int bar = GOLDEN_EVERY - 1 + r * GOLDEN_EVERY;
        double have = (double)rows[bar * FEATURE_COUNT + (int)id],
               size = fabs(want[r]) > 1 ? fabs(want[r]) : 1;
        if (isnan(have) != isnan(want[r]) ||
            (!isnan(have) && !(fabs(have - want[r]) <= tolerance * size)))
            fail_msg("%s at bar %d: %.9g, golden %.9g", feature_at(id)->name, bar, have, want[r]);
        compared += !isnan(have);
    }
    assert_true(compared >= 10);
    return compared;
}

static double own_value(int row, enum feature_id id) {
    return (double)rows[(GOLDEN_EVERY - 1 + row * GOLDEN_EVERY) * FEATURE_COUNT + (int)id];
}
static double golden(int row, enum golden_column column) {
    return golden_values[row][column];
}
static double close_at(int row) {
    return golden_bars[GOLDEN_EVERY - 1 + row * GOLDEN_EVERY][3];
}

static void test_distances_from_averages(void **state) {
    (void)state;
    static const struct {
        enum feature_id id;
        enum golden_column column;
    } pairs[] = {
        {FEATURE_EMA_10_DISTANCE, GOLDEN_EMA_10},   {FEATURE_EMA_20_DISTANCE, GOLDEN_EMA_20},
        {FEATURE_EMA_50_DISTANCE, GOLDEN_EMA_50},   {FEATURE_EMA_200_DISTANCE, GOLDEN_EMA_200},
        {FEATURE_SMA_20_DISTANCE, GOLDEN_SMA_20},   {FEATURE_SMA_50_DISTANCE, GOLDEN_SMA_50},
        {FEATURE_VWAP_20_DISTANCE, GOLDEN_VWAP_20},
    };
    double want[GOLDEN_ROWS];
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        for (int r = 0; r < GOLDEN_ROWS; r++)
            want[r] = close_at(r) / golden(r, pairs[p].column) - 1;
        column_check(pairs[p].id, want, 1e-8);
    }
    for (int r = 0; r < GOLDEN_ROWS; r++)
        want[r] = golden(r, GOLDEN_EMA_10) / golden(r, GOLDEN_EMA_20) - 1;
    column_check(FEATURE_EMA_10_20_CROSS, want, 1e-8);
    for (int r = 0; r < GOLDEN_ROWS; r++)
        want[r] = golden(r, GOLDEN_EMA_10) / golden(r, GOLDEN_EMA_50) - 1;
    column_check(FEATURE_EMA_10_50_CROSS, want, 1e-8);
}

static void test_prices_as_fractions_of_close(void **state) {
    (void)state;
    static const struct {
        enum feature_id id;
        enum golden_column column;
    } pairs[] = {
        {FEATURE_MACD, GOLDEN_MACD},
        {FEATURE_MACD_SIGNAL, GOLDEN_MACD_SIGNAL},
        {FEATURE_MACD_HIST, GOLDEN_MACD_HIST},
        {FEATURE_ATR_FRACTION, GOLDEN_ATR_14},
    };
    double want[GOLDEN_ROWS];
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        for (int r = 0; r < GOLDEN_ROWS; r++) want[r] = golden(r, pairs[p].column) / close_at(r);
        column_check(pairs[p].id, want, 1e-8);
    }
}

static void test_columns_equal_to_the_libraries(void **state) {
    (void)state;
    static const struct {
        enum feature_id id;
        enum golden_column column;
        double tolerance;
    } same[] = {
        {FEATURE_RSI_14, GOLDEN_RSI_14, 2e-7},
        {FEATURE_ADX_14, GOLDEN_ADX_14, 2e-7},
        {FEATURE_PLUS_DI_14, GOLDEN_PLUS_DI_14, 2e-7},
        {FEATURE_MINUS_DI_14, GOLDEN_MINUS_DI_14, 2e-7},
        {FEATURE_STOCHASTIC_K, GOLDEN_STOCHASTIC_K, 2e-7},
        {FEATURE_STOCHASTIC_D, GOLDEN_STOCHASTIC_D, 2e-7},
        {FEATURE_MOMENTUM_10, GOLDEN_ROCP_10, 1e-8},
        {FEATURE_MOMENTUM_20, GOLDEN_ROCP_20, 1e-8},
        {FEATURE_RETURN_24, GOLDEN_ROCP_24, 1e-8},
        {FEATURE_AUTOCORRELATION_20, GOLDEN_RETURN_CORRELATION_20, 1e-6},
        {FEATURE_X4_RSI_14, GOLDEN_X4_RSI_14, 2e-7},
        {FEATURE_X16_RSI_14, GOLDEN_X16_RSI_14, 2e-7},
    };
    double want[GOLDEN_ROWS];
    for (size_t p = 0; p < sizeof same / sizeof *same; p++) {
        for (int r = 0; r < GOLDEN_ROWS; r++) want[r] = golden(r, same[p].column);
        /* The library gives the DIs from the first ADX on only: ours before it are not compared. */
        if (same[p].id == FEATURE_PLUS_DI_14 || same[p].id == FEATURE_MINUS_DI_14)
            for (int r = 0; isnan(want[r]); r++) want[r] = own_value(r, same[p].id);
        column_check(same[p].id, want, same[p].tolerance);
    }
    /* The first library gives two decimals: a second witness, coarser. */
    for (int r = 0; r < GOLDEN_ROWS; r++) want[r] = golden(r, GOLDEN_RSI_14_ROUNDED);
    column_check(FEATURE_RSI_14, want, 0.0051 / 15);
}

static void test_bands_and_ranges(void **state) {
    (void)state;
    double want[GOLDEN_ROWS];
    for (int r = 0; r < GOLDEN_ROWS; r++)
        want[r] =
            (golden(r, GOLDEN_BB_UPPER) - golden(r, GOLDEN_BB_LOWER)) / golden(r, GOLDEN_SMA_20);
    column_check(FEATURE_BB_WIDTH, want, 1e-8);
    for (int r = 0; r < GOLDEN_ROWS; r++)
        want[r] = (close_at(r) - golden(r, GOLDEN_BB_LOWER)) /
                  (golden(r, GOLDEN_BB_UPPER) - golden(r, GOLDEN_BB_LOWER));
    column_check(FEATURE_BB_POSITION, want, 1e-7);
    for (int r = 0; r < GOLDEN_ROWS; r++)
        want[r] = (close_at(r) - golden(r, GOLDEN_LOW_96)) /
                  (golden(r, GOLDEN_HIGH_96) - golden(r, GOLDEN_LOW_96));
    column_check(FEATURE_RANGE_POSITION_96, want, 1e-7);
    /* Population variance to sample deviation. */
    for (int r = 0; r < GOLDEN_ROWS; r++)
        want[r] = sqrt(golden(r, GOLDEN_RETURN_VARIANCE_20) * 20 / 19);
    column_check(FEATURE_VOLATILITY_20, want, 1e-8);
}

static void test_volume_columns(void **state) {
    (void)state;
    double want[GOLDEN_ROWS];
    for (int r = 0; r < GOLDEN_ROWS; r++) {
        int bar = GOLDEN_EVERY - 1 + r * GOLDEN_EVERY;
        want[r] = golden_bars[bar][4] / golden(r, GOLDEN_VOLUME_SMA_20);
    }
    column_check(FEATURE_VOLUME_MA_RATIO, want, 2e-7);
}

/* The library gives the running total: its change over 20 bars is seen only between golden bars 140
 * apart, the least common multiple, as the sum of seven of our windows. */
static void test_on_balance_volume_adds_up(void **state) {
    (void)state;
    int compared = 0;
    for (int r = 20; r < GOLDEN_ROWS; r++) {
        int last = GOLDEN_EVERY - 1 + r * GOLDEN_EVERY;
        double sum = 0;
        for (int w = 0; w < 7; w++) {
            double volume = 0;
            for (int i = 0; i < 20; i++) volume += golden_bars[last - 20 * w - i][4];
            sum += volume * (double)rows[(last - 20 * w) * FEATURE_COUNT + FEATURE_OBV_20];
        }
        double want = golden(r, GOLDEN_OBV) - golden(r - 20, GOLDEN_OBV);
        if (isnan(sum)) continue; /* the first window reaches before the first change */
        assert_true(fabs(sum - want) < 0.1);
        compared++;
    }
    assert_true(compared > 30);
}

static void test_folds(void **state) {
    (void)state;
    static const struct {
        enum feature_id ema, atr, deviation;
        enum golden_column close;
    } folds[] = {
        {FEATURE_X4_EMA_10_DISTANCE, FEATURE_X4_ATR_FRACTION, FEATURE_X4_VOLATILITY_10,
         GOLDEN_X4_CLOSE},
        {FEATURE_X16_EMA_10_DISTANCE, FEATURE_X16_ATR_FRACTION, FEATURE_X16_VOLATILITY_10,
         GOLDEN_X16_CLOSE},
    };
    double want[GOLDEN_ROWS];
    for (int k = 0; k < 2; k++) {
        /* close, rsi_14, ema_10, atr_14, variance_10 stand in this order */
        enum golden_column first = folds[k].close;
        for (int r = 0; r < GOLDEN_ROWS; r++) want[r] = golden(r, first) / golden(r, first + 2) - 1;
        column_check(folds[k].ema, want, 1e-8);
        for (int r = 0; r < GOLDEN_ROWS; r++) want[r] = golden(r, first + 3) / golden(r, first);
        column_check(folds[k].atr, want, 1e-8);
        for (int r = 0; r < GOLDEN_ROWS; r++) want[r] = sqrt(golden(r, first + 4) * 10 / 9);
        column_check(folds[k].deviation, want, 1e-8);
    }
}

/* Five bars worked out on paper. Prices in whole units. */
static void hand_bar(struct bar *out, int index, int open, int high, int low, int close,
                     double volume, float taker, uint32_t trades) {
    *out = (struct bar){.open_ts_ns = TEST_START_NS + index * TEST_INTERVAL_NS,
                        .open = px_e8(open * FX_ONE),
                        .high = px_e8(high * FX_ONE),
                        .low = px_e8(low * FX_ONE),
                        .close = px_e8(close * FX_ONE),
                        .volume = volume,
                        .quote_volume = (double)NAN,
                        .taker_buy_ratio = taker,
                        .trade_count = trades};
}

static void column_is(const float *row, enum feature_id id, double want) {
    if (!(fabs((double)row[id] - want) <= 1e-6 * (1 + fabs(want))))
        fail_msg("%s = %.9g, by hand %.9g", feature_at(id)->name, (double)row[id], want);
}

static void test_single_bars_by_hand(void **state) {
    (void)state;
    struct bar b[5];
    float row[5 * FEATURE_COUNT];
    hand_bar(&b[0], 0, 100, 110, 90, 104, 10, 0.5F, 10);
    hand_bar(&b[1], 1, 104, 106, 98, 100, 20, 0.75F, 40);  /* falls */
    hand_bar(&b[2], 2, 99, 112, 98, 108, 5, 0.2F, 5);      /* engulfs it, gap down */
    hand_bar(&b[3], 3, 108, 110, 90, 109, 40, 0.25F, 100); /* hammer and doji */
    hand_bar(&b[4], 4, 109, 130, 108, 108, 0, 0.9F, 0);    /* shooting star without volume */
    test_rows(row, b, 5);
    const float *r1 = row + FEATURE_COUNT, *r2 = r1 + FEATURE_COUNT, *r3 = r2 + FEATURE_COUNT,
                *r4 = r3 + FEATURE_COUNT;
    column_is(row, FEATURE_HIGH_LOW_RANGE, 20.0 / 104);
    column_is(row, FEATURE_CANDLE_BODY, 0.2);
    column_is(row, FEATURE_UPPER_WICK, 0.3);
    column_is(row, FEATURE_LOWER_WICK, 0.5);
    column_is(row, FEATURE_TAKER_IMBALANCE, 0);
    column_is(r1, FEATURE_PRICE_CHANGE, 100.0 / 104 - 1);
    column_is(r1, FEATURE_LOG_RETURN_1, log(100.0 / 104));
    column_is(r1, FEATURE_VOLUME_CHANGE, 1);
    column_is(r1, FEATURE_TAKER_IMBALANCE, 0.5);
    column_is(r1, FEATURE_CANDLE_ENGULFING, 0); /* the same body again holds nothing */
    column_is(r2, FEATURE_GAP, -0.01);
    column_is(r2, FEATURE_CANDLE_ENGULFING, 1);
    column_is(r2, FEATURE_ACCELERATION, log(1.08) - log(100.0 / 104));
    column_is(r2, FEATURE_TAKER_IMBALANCE_3, (0 + 10 - 3) / 35.0);
    column_is(r3, FEATURE_MOMENTUM_3, 109.0 / 104 - 1);
    column_is(r3, FEATURE_CANDLE_DOJI, 1);
    column_is(r3, FEATURE_CANDLE_HAMMER, 1);
    column_is(r3, FEATURE_TAKER_IMBALANCE_3, (10 - 3 - 20) / 65.0);
    column_is(r4, FEATURE_CANDLE_HAMMER, -1);
    column_is(r4, FEATURE_VOLUME_CHANGE, -1);
    assert_true(isnan(r4[FEATURE_TAKER_IMBALANCE]));
    column_is(r4, FEATURE_TAKER_IMBALANCE_3, (-3 - 20) / 45.0);
}

static void test_engulfing_by_hand(void **state) {
    (void)state;
    struct bar b[3];
    float row[3 * FEATURE_COUNT];
    hand_bar(&b[0], 0, 104, 106, 98, 100, 20, 0.5F, 10);
    hand_bar(&b[1], 1, 99, 112, 98, 108, 5, 0.5F, 5);
    hand_bar(&b[2], 2, 109, 110, 90, 95, 5, 0.5F, 5);
    test_rows(row, b, 3);
    column_is(row + FEATURE_COUNT, FEATURE_CANDLE_ENGULFING, 1);
    column_is(row + 2 * FEATURE_COUNT, FEATURE_CANDLE_ENGULFING, -1);
}

static void test_hammer_by_hand(void **state) {
    (void)state;
    struct bar b[4];
    float row[4 * FEATURE_COUNT];
    hand_bar(&b[0], 0, 100, 104, 80, 104, 1, 0.5F, 1); /* lower wick 5 bodies, no upper: hammer */
    hand_bar(&b[1], 1, 104, 112, 96, 108, 1, 0.5F,
             1); /* lower wick 2 bodies, upper 1: hammer still */
    hand_bar(&b[2], 2, 108, 116, 101, 112, 1, 0.5F, 1); /* 1.75 bodies: not */
    hand_bar(&b[3], 3, 112, 122, 109, 109, 1, 0.5F,
             1); /* 3.3 bodies above, none below: shooting star */
    test_rows(row, b, 4);
    column_is(row, FEATURE_CANDLE_HAMMER, 1);
    column_is(row + FEATURE_COUNT, FEATURE_CANDLE_HAMMER, 1);
    column_is(row + 2 * FEATURE_COUNT, FEATURE_CANDLE_HAMMER, 0);
    column_is(row + 3 * FEATURE_COUNT, FEATURE_CANDLE_HAMMER, -1);
    column_is(row, FEATURE_CANDLE_DOJI, 0);
}

/* A saw of +-1 % returns with volumes 90 and 110 in turn, then three flat bars of 300, all
 * taker buys. */
static void test_surge_without_a_move_by_hand(void **state) {
    (void)state;
    enum { SAW = 200, N = SAW + 3 };
    static struct bar b[N];
    static float row[N * FEATURE_COUNT];
    for (int i = 0; i < N; i++) {
        int c = i >= SAW ? 10100
                : i % 2  ? 10100
                         : 10000,
            o = i == 0 || i >= SAW ? c
                : i % 2            ? 10000
                                   : 10100;
        hand_bar(&b[i], i, o, c > o ? c : o, c < o ? c : o, c,
                 i >= SAW ? 300
                 : i % 2  ? 110
                          : 90,
                 i >= SAW ? 1.0F : 0.5F, i >= SAW ? 400 : 100);
    }
    test_rows(row, b, N);
    const float *last = row + (size_t)(N - 1) * FEATURE_COUNT;
    double step = log(1.01), z = 200 * sqrt(3.0) / sqrt(2000.0 / 19); /* deviation 10, n - 1 */
    column_is(last, FEATURE_VOLUME_Z_3, z);
    column_is(last, FEATURE_TAKER_IMBALANCE_3, 1);
    column_is(last, FEATURE_MOVE_RATIO_3, 0);
    column_is(last, FEATURE_ABSORPTION_3, z > 50 ? 50 : z);
    column_is(last, FEATURE_TAKER_IMBALANCE_20, 900.0 / (900 + 1700 + 10));
    column_is(last, FEATURE_TRADE_COUNT_RATIO, 400 * 20 / (1200.0 + 1700));
    column_is(last, FEATURE_TRADE_SIZE_RATIO, 300.0 / 400 / ((900 + 1700 + 10) / (1200.0 + 1700)));
    column_is(last, FEATURE_VOLATILITY_6, step * sqrt(3.0 / 6));
    column_is(last, FEATURE_VOLATILITY_96, step * sqrt(93.0 / 96));
    column_is(last, FEATURE_VOLATILITY_RATIO, sqrt(0.5 * 96 / 93));
    column_is(last, FEATURE_RETURN_96, 10100.0 / 10000 - 1 - 0.01 * ((N - 1 - 96) % 2));
    const float *saw = row + (size_t)(SAW - 1) * FEATURE_COUNT;
    /* Returns alternate: correlation -1, covariance -step^2, Roll's spread 2 step. */
    column_is(saw, FEATURE_AUTOCORRELATION_20, -1);
    column_is(saw, FEATURE_SPREAD_ROLL, 2 * step);
    column_is(saw, FEATURE_OBV_20, (110 - 90) / 200.0);
    column_is(saw, FEATURE_VPT_20, (110 * 0.01 + 90 * (10000.0 / 10100 - 1)) / 200);
    column_is(saw, FEATURE_MOVE_RATIO_3, 1 / sqrt(3.0));
    column_is(saw, FEATURE_MOMENTUM_5, 0.01);
    column_is(saw, FEATURE_RANGE_RATIO, 1);
    double average = 0; /* of volume over 96 bars, from the recurrence's definition */
    for (int i = 0; i < 96; i++) average += b[i].volume / 96;
    for (int i = 96; i < SAW; i++) average = average * 95 / 97 + b[i].volume * 2 / 97;
    column_is(saw, FEATURE_VOLUME_TREND, 100 / average - 1);
}

static void test_folded_return_by_hand(void **state) {
    (void)state;
    const float *row = rows + (size_t)350 * FEATURE_COUNT;
    column_is(row, FEATURE_X4_RETURN, (double)golden_bars[347][3] / golden_bars[343][3] - 1);
    column_is(row, FEATURE_X16_RETURN, (double)golden_bars[335][3] / golden_bars[319][3] - 1);
}

/* 2024-01-01 was a Monday. A bar of one hour opened at 05:00 is known at 06:00, a quarter
 * of the day. */
static void test_clock_by_hand(void **state) {
    (void)state;
    struct bar b[2];
    float row[2 * FEATURE_COUNT];
    hand_bar(&b[0], 5, 100, 110, 90, 104, 10, 0.5F, 10);
    hand_bar(&b[1], 24 * 3 + 11, 100, 110, 90, 104, 10, 0.5F,
             10); /* Thursday 12:00, half the week */
    test_rows(row, b, 2);
    column_is(row, FEATURE_DAY_SIN, 1);
    column_is(row, FEATURE_DAY_COS, 0);
    column_is(row, FEATURE_WEEK_SIN, sin(6.283185307179586 * 6 / 168));
    column_is(row, FEATURE_WEEK_COS, cos(6.283185307179586 * 6 / 168));
    column_is(row + FEATURE_COUNT, FEATURE_DAY_COS, -1);
    column_is(row + FEATURE_COUNT, FEATURE_WEEK_COS, -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances_from_averages),
        cmocka_unit_test(test_prices_as_fractions_of_close),
        cmocka_unit_test(test_columns_equal_to_the_libraries),
        cmocka_unit_test(test_bands_and_ranges),
        cmocka_unit_test(test_volume_columns),
        cmocka_unit_test(test_on_balance_volume_adds_up),
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_single_bars_by_hand),
        cmocka_unit_test(test_engulfing_by_hand),
        cmocka_unit_test(test_hammer_by_hand),
        cmocka_unit_test(test_surge_without_a_move_by_hand),
        cmocka_unit_test(test_folded_return_by_hand),
        cmocka_unit_test(test_clock_by_hand),
    };
    return cmocka_run_group_tests(tests, golden_rows_make, NULL);
}
