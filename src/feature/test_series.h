/* Made-up bars for the feature tests: deterministic, from base/rng and IEEE arithmetic alone, so
 * the same with every compiler. */
#ifndef FEATURE_TEST_SERIES_H
#define FEATURE_TEST_SERIES_H

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "feature/feature.h"

#define TEST_INTERVAL_NS NS_PER_HOUR
/* 2024-01-01 00:00 UTC */
#define TEST_START_NS (INT64_C(1704067200) * NS_PER_SECOND)

/* Bar i of a random walk: steps of up to +-`step` of the price, sometimes flat, sometimes
 * without volume. */
static inline void test_walk(struct bar *bars, size_t n, uint64_t seed, int64_t start_ns,
                             double step) {
    struct rng r = rng_init(seed);
    double price = 1e8 * (1 + (double)rng_below(&r, 50000));
    for (size_t i = 0; i < n; i++) {
        double open = price, moves = step * (rng_f64(&r) + rng_f64(&r) - 1);
        if (rng_below(&r, 20) == 0) open *= 1 + 0.2 * step * (rng_f64(&r) - 0.5);
        double close = open * (1 + moves), top = open > close ? open : close,
               bottom = open + close - top;
        top *= 1 + 0.5 * step * rng_f64(&r);
        bottom *= 1 - 0.5 * step * rng_f64(&r);
        if (rng_below(&r, 25) == 0) top = bottom = close = open;
        double volume =
            rng_below(&r, 30) == 0 ? 0 : 100 * (0.2 + rng_f64(&r)) * (rng_below(&r, 15) ? 1 : 8);
        bars[i] = (struct bar){.open_ts_ns = start_ns + (int64_t)i * TEST_INTERVAL_NS,
                               .open = px_e8((int64_t)open),
                               .high = px_e8((int64_t)top),
                               .low = px_e8((int64_t)bottom),
                               .close = px_e8((int64_t)close),
                               .volume = volume,
                               .quote_volume = (double)NAN,
                               .taker_buy_ratio = (float)rng_f64(&r),
                               .trade_count = (uint32_t)(volume * 3)};
        price = close;
    }
}

static inline struct feature_series *test_series_new(void) {
    struct feature_series *s = aligned_alloc(64, feature_series_size());
    if (!s) abort();
    feature_series_init(s, TEST_INTERVAL_NS);
    return s;
}

/* Rows (n, FEATURE_COUNT) of one series from its first bar. */
static inline void test_rows(float *rows, const struct bar *bars, size_t n) {
    struct feature_series *s = test_series_new();
    for (size_t i = 0; i < n; i++) feature_step(rows + i * FEATURE_COUNT, s, &bars[i]);
    free(s);
}

#endif
