/* Made-up markets for the tests of learning: deterministic, IEEE arithmetic and base/rng alone. */
#ifndef LEARN_TEST_MARKET_H
#define LEARN_TEST_MARKET_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "learn/learn.h"

/* 2024-01-01 00:00 UTC */
#define MARKET_START_NS (INT64_C(1704067200) * NS_PER_SECOND)

enum { MARKET_SYMBOLS_MAX = 16 };

struct market {
    struct learn_series series[MARKET_SYMBOLS_MAX];
    char names[MARKET_SYMBOLS_MAX][16];
    struct bar *bars[MARKET_SYMBOLS_MAX];
    size_t count;
};

/* One bar of n_steps small steps around `drift` per bar (fraction). */
static inline struct bar market_bar(struct rng *r, double *price, int64_t ts, double drift,
                                    double sigma) {
    enum { STEPS = 8 };
    double open = *price, high = open, low = open, p = open;
    for (int k = 0; k < STEPS; k++) {
        p *= 1 + drift / STEPS + sigma * 0.35355339059327373 * rng_normal(r);
        if (p > high) high = p;
        if (p < low) low = p;
    }
    *price = p;
    return (struct bar){.open_ts_ns = ts,
                        .open = px_e8((int64_t)open),
                        .high = px_e8((int64_t)high),
                        .low = px_e8((int64_t)low),
                        .close = px_e8((int64_t)p),
                        .volume = 1000 * (0.5 + rng_f64(r)),
                        .quote_volume = (double)NAN,
                        .taker_buy_ratio = (float)(0.3 + 0.4 * rng_f64(r)),
                        .trade_count = 500 + (uint32_t)rng_below(r, 500)};
}

/* drift_sigmas 0: a pure random walk. Else phases of a rising, a falling and an aimless price, about
 * 30 bars each, drifting by that many sigmas a bar; takers lean the way the price drifts. */
static inline void market_series(struct bar *bars, size_t n, uint64_t seed, int64_t interval_ns,
                                 double drift_sigmas) {
    struct rng root = rng_init(seed), r = rng_split(&root, 7);
    double price = 1e8 * (10 + (double)rng_below(&r, 5000)), sigma = 0.006;
    int phase = 0;
    for (size_t i = 0; i < n; i++) {
        if (rng_below(&r, 30) == 0) phase = (int)rng_below(&r, 3) - 1;
        bars[i] = market_bar(&r, &price, MARKET_START_NS + (int64_t)i * interval_ns,
                             phase * drift_sigmas * sigma, sigma);
        if (drift_sigmas > 0) bars[i].taker_buy_ratio += (float)(0.2 * phase);
    }
}

static inline void market_make(struct market *m, size_t symbols, size_t bars, uint64_t seed,
                               double drift_sigmas) {
    memset(m, 0, sizeof *m);
    m->count = symbols;
    for (size_t s = 0; s < symbols; s++) {
        snprintf(m->names[s], sizeof m->names[s], "COIN%02zuUSDT", s);
        m->bars[s] = malloc((bars + 1) * sizeof(struct bar));
        if (!m->bars[s]) abort();
        market_series(m->bars[s], bars, seed * 1000 + s, NS_PER_HOUR, drift_sigmas);
        m->series[s] = (struct learn_series){m->names[s], m->bars[s], bars};
    }
}

static inline void market_free(struct market *m) {
    for (size_t s = 0; s < m->count; s++) free(m->bars[s]);
}

static inline uint64_t market_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 42;
    fprintf(stderr, "TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* A file name in a folder of our own under TMPDIR. */
static inline const char *market_path(char *out, size_t size, const char *name) {
    const char *tmp = getenv("TMPDIR");
    snprintf(out, size, "%s/quantum-learn-%ld-%s", tmp ? tmp : "/tmp", (long)getpid(), name);
    return out;
}

/* Whole file; caller frees. */
static inline char *market_slurp(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) abort();
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    if (!bytes || fread(bytes, 1, *size, f) != *size) abort();
    fclose(f);
    bytes[*size] = 0;
    return bytes;
}

#endif
