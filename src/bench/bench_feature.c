/* Full registry rows: 50 symbols stepped by one closed bar each, then the cross-section, over and
 * over, as the kernel does at every bar boundary. One feature-bar is one symbol's whole row. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "feature/feature.h"

enum { SYMBOLS = 50, BARS = 1024, WARM_BARS = 256, ROUNDS = 7 };

/* A random walk of whole e8 prices with everything known, so that every column is computed. */
static void bars_make(struct bar *bars, uint64_t seed) {
    struct rng r = rng_init(seed);
    double price = 1e8 * (1 + 1000 * rng_f64(&r));
    for (int i = 0; i < BARS; i++) {
        double open = price, close = open * (1 + 0.02 * (rng_f64(&r) - 0.5));
        double top = (open > close ? open : close) * (1 + 0.005 * rng_f64(&r));
        double bottom = (open < close ? open : close) * (1 - 0.005 * rng_f64(&r));
        bars[i] = (struct bar){.open_ts_ns = (int64_t)(473000 + i) * NS_PER_HOUR,
                               .open = px_e8((int64_t)open),
                               .high = px_e8((int64_t)top),
                               .low = px_e8((int64_t)bottom),
                               .close = px_e8((int64_t)close),
                               .volume = 1000 * (0.1 + rng_f64(&r)),
                               .quote_volume = (double)NAN,
                               .taker_buy_ratio = (float)rng_f64(&r),
                               .trade_count = (uint32_t)(1 + rng_below(&r, 10000))};
        price = (double)(int64_t)close;
    }
}

struct feature_load {
    struct bar *bars;      /* (SYMBOLS, BARS) */
    unsigned char *series; /* (SYMBOLS, size) */
    float *rows;           /* (SYMBOLS, feature_count()) */
    size_t size;
};

static void bars_run(const struct feature_load *load, int from, int to) {
    uint32_t count = feature_count();
    for (int t = from; t < to; t++) {
        for (size_t s = 0; s < SYMBOLS; s++)
            feature_step(load->rows + s * count,
                         (struct feature_series *)(void *)(load->series + s * load->size),
                         &load->bars[s * BARS + (size_t)t]);
        feature_cross(load->rows, SYMBOLS, count);
    }
}

static enum status load_run(const struct feature_load *load, struct err *err) {
    double ns_per_bar[ROUNDS];
    const uint64_t n = (uint64_t)SYMBOLS * (BARS - WARM_BARS);
    for (size_t s = 0; s < SYMBOLS; s++) bars_make(load->bars + s * BARS, s + 1);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t s = 0; s < SYMBOLS; s++)
            feature_series_init((struct feature_series *)(void *)(load->series + s * load->size),
                                NS_PER_HOUR);
        bars_run(load, 0, WARM_BARS);
        int64_t from = tstamp_monotonic_ns();
        bars_run(load, WARM_BARS, BARS);
        ns_per_bar[round] = (double)(tstamp_monotonic_ns() - from) / (double)n;
    }
    for (size_t i = 0; i < (size_t)SYMBOLS * feature_count(); i++)
        if (isnan(load->rows[i]))
            return err_set(err, ST_CORRUPT, "feature_bar: a column stayed unknown");
    double ns = bench_median(ns_per_bar, ROUNDS);
    bench_emit(&(struct bench_figure){"feature_bar", 1e9 / ns, "1/s", n, "", 0});
    bench_emit(&(struct bench_figure){"feature_bar.ns_per_bar", ns, "ns/bar", n, "", 0});
    bench_emit(
        &(struct bench_figure){"feature_bar.ns_per_feature", ns / feature_count(), "ns", n, "", 0});
    return ST_OK;
}

enum status bench_feature_bar(struct err *err) {
    struct feature_load load = {.size = feature_series_size()};
    load.bars = aligned_alloc(64, sizeof(struct bar) * SYMBOLS * BARS);
    load.series = aligned_alloc(64, load.size * SYMBOLS);
    load.rows = calloc((size_t)SYMBOLS * feature_count(), sizeof *load.rows);
    enum status st = load.bars && load.series && load.rows
                         ? load_run(&load, err)
                         : err_set(err, ST_NO_MEMORY, "feature_bar");
    free(load.bars);
    free(load.series);
    free(load.rows);
    return st;
}
