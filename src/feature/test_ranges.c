/* Warm-up, flat, missing, zero volume, holes, ranges: what each registry row promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "feature/test_series.h"

enum { BARS = 400 };

static bool says_nan(const char *text) {
    return strcmp(text, "NaN") == 0;
}
static bool says_number(const char *text) {
    return strchr("0123456789-", text[0]) != NULL;
}

/* Index of the first value that is neither NaN nor in its range; n * FEATURE_COUNT if none. */
static size_t first_out_of_range(const float *rows, size_t n) {
    size_t i = 0;
    for (; i < n * FEATURE_COUNT; i++) {
        const struct feature_desc *d = feature_at((uint32_t)(i % FEATURE_COUNT));
        if (!isnan(rows[i]) && !(rows[i] >= d->lo && rows[i] <= d->hi)) break;
    }
    return i;
}

/* A start right behind the beginning of a 16-fold (and so of a 4-fold): the longest wait. */
static int64_t least_lucky_start(void) {
    int64_t fold = 16 * TEST_INTERVAL_NS;
    return TEST_START_NS / fold * fold + TEST_INTERVAL_NS;
}

static void test_first_known_value_comes_after_warmup_bars(void **state) {
    (void)state;
    static struct bar bars[BARS];
    static float rows[BARS * FEATURE_COUNT];
    test_walk(bars, BARS, 11, least_lucky_start(), 0.01);
    for (int i = 0; i < BARS; i++)
        if (bars[i].volume <= 0) bars[i].volume = 10, bars[i].trade_count = 5;
    test_rows(rows, bars, BARS);
    for (uint32_t c = 0; c < FEATURE_OWN_COUNT; c++) {
        const struct feature_desc *d = feature_at(c);
        for (uint32_t i = 0; i < BARS; i++) {
            bool known = !isnan(rows[i * FEATURE_COUNT + c]);
            if (known != (i >= d->warmup_bars))
                fail_msg("%s: known = %d at bar %u, warm-up %u", d->name, known, i, d->warmup_bars);
        }
    }
    for (uint32_t c = FEATURE_OWN_COUNT; c < FEATURE_COUNT; c++) assert_true(isnan(rows[c]));
}

static void test_constant_series_gives_on_flat(void **state) {
    (void)state;
    static float rows[BARS * FEATURE_COUNT];
    static const int64_t prices[] = {1, 7, 12345678, INT64_C(4512345000000),
                                     INT64_C(9000000000000000000)};
    for (size_t p = 0; p < sizeof prices / sizeof *prices; p++) {
        static struct bar bars[BARS];
        px_t px = px_e8(prices[p]);
        for (int i = 0; i < BARS; i++)
            bars[i] = (struct bar){.open_ts_ns = TEST_START_NS + i * TEST_INTERVAL_NS,
                                   .open = px,
                                   .high = px,
                                   .low = px,
                                   .close = px,
                                   .volume = 12.3,
                                   .quote_volume = (double)NAN,
                                   .taker_buy_ratio = 0.5F,
                                   .trade_count = 77};
        test_rows(rows, bars, BARS);
        float two[2 * FEATURE_COUNT];
        memcpy(two, &rows[(BARS - 1) * FEATURE_COUNT], sizeof two / 2);
        memcpy(two + FEATURE_COUNT, two, sizeof two / 2);
        feature_cross(two, 2, FEATURE_COUNT);
        for (uint32_t c = 0; c < FEATURE_COUNT; c++) {
            const struct feature_desc *d = feature_at(c);
            if (!says_number(d->on_flat)) {
                assert_string_equal(d->on_flat, "clock");
                continue;
            }
            double want = strtod(d->on_flat, NULL),
                   tolerance = d->tolerance == FEATURE_EXACT ? 0 : 1e-12;
            if (prices[p] > INT64_C(9007199254740992))
                tolerance = 1e-6; /* closes are rounded there */
            if (!(fabs((double)two[c] - want) <= tolerance))
                fail_msg("%s = %g on a flat series at %lld, registry says %s", d->name,
                         (double)two[c], (long long)prices[p], d->on_flat);
        }
    }
}

/* Volume columns whose input is the volume alone stay known when takers and trades are not. */
static bool needs_takers(uint32_t c) {
    return c == FEATURE_TAKER_IMBALANCE || c == FEATURE_TAKER_IMBALANCE_3 ||
           c == FEATURE_TAKER_IMBALANCE_20 || c == FEATURE_TRADE_COUNT_RATIO ||
           c == FEATURE_TRADE_SIZE_RATIO || c == FEATURE_ABSORPTION_3;
}

static void test_missing_takers_and_trades_are_nan_and_nothing_else_is(void **state) {
    (void)state;
    static struct bar with[BARS], without[BARS];
    static float rows_with[BARS * FEATURE_COUNT], rows_without[BARS * FEATURE_COUNT];
    test_walk(with, BARS, 12, TEST_START_NS, 0.01);
    memcpy(without, with, sizeof with);
    for (int i = 0; i < BARS; i++) {
        without[i].taker_buy_ratio = NAN;
        without[i].trade_count = BAR_COUNT_UNKNOWN;
    }
    test_rows(rows_with, with, BARS);
    test_rows(rows_without, without, BARS);
    for (size_t i = 0; i < BARS; i++)
        for (uint32_t c = 0; c < FEATURE_OWN_COUNT; c++) {
            const float *a = &rows_with[i * FEATURE_COUNT + c],
                        *b = &rows_without[i * FEATURE_COUNT + c];
            if (needs_takers(c)) {
                assert_true(says_nan(feature_at(c)->on_missing));
                if (!isnan(*b)) fail_msg("%s known without its input", feature_at(c)->name);
            } else {
                assert_memory_equal(a, b, sizeof *a);
            }
        }
}

/* NaN comes in many bit patterns; rows know one, or equal rows would not hash alike. */
static void test_every_nan_is_the_same_nan(void **state) {
    (void)state;
    static struct bar bars[BARS];
    static float rows[BARS * FEATURE_COUNT];
    test_walk(bars, BARS, 16, TEST_START_NS, 0.01);
    const uint32_t odd_bits = 0xFFC12345U;
    for (int i = 0; i < BARS; i++) memcpy(&bars[i].taker_buy_ratio, &odd_bits, sizeof odd_bits);
    test_rows(rows, bars, BARS);
    const float one = NAN;
    size_t seen = 0;
    for (size_t i = 0; i < BARS * FEATURE_COUNT; i++) {
        if (!isnan(rows[i])) continue;
        assert_memory_equal(&rows[i], &one, sizeof one);
        seen += i % FEATURE_COUNT == FEATURE_TAKER_IMBALANCE;
    }
    assert_true(seen > BARS / 2);
}

static void test_one_missing_taker_is_forgotten_after_its_window(void **state) {
    (void)state;
    static struct bar bars[BARS];
    static float rows[BARS * FEATURE_COUNT];
    test_walk(bars, BARS, 13, TEST_START_NS, 0.01);
    for (int i = 0; i < BARS; i++)
        if (bars[i].volume <= 0) bars[i].volume = 10, bars[i].trade_count = 5;
    bars[150].taker_buy_ratio = NAN;
    bars[150].trade_count = BAR_COUNT_UNKNOWN;
    test_rows(rows, bars, BARS);
    for (size_t i = 140; i < 200; i++) {
        const float *row = rows + i * FEATURE_COUNT;
        assert_int_equal(isnan(row[FEATURE_TAKER_IMBALANCE]), i == 150);
        assert_int_equal(isnan(row[FEATURE_TAKER_IMBALANCE_3]), i >= 150 && i < 153);
        assert_int_equal(isnan(row[FEATURE_TAKER_IMBALANCE_20]), i >= 150 && i < 170);
        assert_int_equal(isnan(row[FEATURE_TRADE_COUNT_RATIO]), i >= 150 && i < 170);
        assert_int_equal(isnan(row[FEATURE_ABSORPTION_3]), i >= 150 && i < 153);
    }
}

static void test_no_volume_at_all_is_nan_where_the_registry_says_so(void **state) {
    (void)state;
    static struct bar bars[BARS];
    static float rows[BARS * FEATURE_COUNT];
    test_walk(bars, BARS, 14, TEST_START_NS, 0.01);
    for (int i = 0; i < BARS; i++) {
        bars[i].volume = 0;
        bars[i].trade_count = 0;
    }
    test_rows(rows, bars, BARS);
    for (uint32_t c = 0; c < FEATURE_OWN_COUNT; c++) {
        bool known = !isnan(rows[(BARS - 1) * FEATURE_COUNT + c]);
        if (known == says_nan(feature_at(c)->on_missing))
            fail_msg("%s: known = %d with no volume", feature_at(c)->name, known);
    }
}

static void test_a_hole_starts_the_series_anew(void **state) {
    (void)state;
    enum { BEFORE = 300, HOLE = 3 };
    static struct bar bars[2 * BARS];
    static float whole[2 * BARS * FEATURE_COUNT], fresh[BARS * FEATURE_COUNT];
    test_walk(bars, 2 * BARS, 15, TEST_START_NS, 0.01);
    for (int i = BEFORE; i < 2 * BARS; i++) bars[i].open_ts_ns += HOLE * TEST_INTERVAL_NS;
    test_rows(whole, bars, BEFORE + BARS);
    test_rows(fresh, bars + BEFORE, BARS);
    assert_memory_equal(whole + BEFORE * FEATURE_COUNT, fresh, sizeof fresh);
}

/* Any possible bar: prices from 1e-8 to the end of int64, volumes of every magnitude. */
static void wild_bars(struct bar *bars, size_t n, uint64_t seed) {
    struct rng r = rng_init(seed);
    for (size_t i = 0; i < n; i++) {
        int64_t x[4];
        for (int k = 0; k < 4; k++) {
            x[k] = (int64_t)(rng_u64(&r) >> (1 + rng_below(&r, 63)));
            if (rng_below(&r, 3) == 0) x[k] = k ? x[0] : INT64_MAX;
            if (x[k] < 1) x[k] = 1;
        }
        int64_t high = x[0], low = x[0];
        for (int k = 1; k < 4; k++) {
            high = x[k] > high ? x[k] : high;
            low = x[k] < low ? x[k] : low;
        }
        double volume = rng_below(&r, 4) ? exp(1400 * (rng_f64(&r) - 0.5)) : 0;
        bars[i] = (struct bar){.open_ts_ns = TEST_START_NS + (int64_t)i * TEST_INTERVAL_NS,
                               .open = px_e8(x[2]),
                               .high = px_e8(high),
                               .low = px_e8(low),
                               .close = px_e8(x[3]),
                               .volume = rng_below(&r, 50) ? volume : 1.7e308,
                               .quote_volume = (double)NAN,
                               .taker_buy_ratio =
                                   rng_below(&r, 2) ? (float)rng_f64(&r) : (float)rng_below(&r, 2),
                               .trade_count = (uint32_t)(rng_u64(&r) >> (32 + rng_below(&r, 32)))};
        if (bars[i].trade_count == BAR_COUNT_UNKNOWN) bars[i].trade_count--;
        assert_true(bar_is_possible(&bars[i]));
    }
}

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20240;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void test_values_stay_in_range_on_any_possible_bars(void **state) {
    (void)state;
    static struct bar bars[BARS];
    static float rows[BARS * FEATURE_COUNT];
    uint64_t seed = test_seed();
    for (uint64_t k = 0; k < 200; k++) {
        if (k % 4 == 0)
            wild_bars(bars, BARS, seed + k);
        else
            test_walk(bars, BARS, seed + k, TEST_START_NS,
                      k % 4 == 1   ? 0.001
                      : k % 4 == 2 ? 0.05
                                   : 0.6);
        test_rows(rows, bars, BARS);
        feature_cross(rows, BARS, FEATURE_COUNT);
        size_t bad = first_out_of_range(rows, BARS);
        if (bad < (size_t)BARS * FEATURE_COUNT)
            fail_msg("series %llu, bar %zu: %s = %g", (unsigned long long)k, bad / FEATURE_COUNT,
                     feature_at((uint32_t)(bad % FEATURE_COUNT))->name, (double)rows[bad]);
    }
}

static void test_range_check_finds_a_value_outside(void **state) {
    (void)state;
    float rows[2 * FEATURE_COUNT];
    for (uint32_t i = 0; i < 2 * FEATURE_COUNT; i++)
        rows[i] = i % 2 ? NAN : feature_at(i % FEATURE_COUNT)->hi;
    size_t none = first_out_of_range(rows, 2);
    assert_int_equal(none, 2 * FEATURE_COUNT);
    rows[FEATURE_COUNT + 5] = INFINITY;
    assert_int_equal(first_out_of_range(rows, 2), FEATURE_COUNT + 5);
    rows[3] = feature_at(3)->lo - 0.5F;
    assert_int_equal(first_out_of_range(rows, 2), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_known_value_comes_after_warmup_bars),
        cmocka_unit_test(test_constant_series_gives_on_flat),
        cmocka_unit_test(test_missing_takers_and_trades_are_nan_and_nothing_else_is),
        cmocka_unit_test(test_every_nan_is_the_same_nan),
        cmocka_unit_test(test_one_missing_taker_is_forgotten_after_its_window),
        cmocka_unit_test(test_no_volume_at_all_is_nan_where_the_registry_says_so),
        cmocka_unit_test(test_a_hole_starts_the_series_anew),
        cmocka_unit_test(test_values_stay_in_range_on_any_possible_bars),
        cmocka_unit_test(test_range_check_finds_a_value_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
