/* Made-up markets of a known kind, bar by bar through the real features. */
#ifndef BRAIN_REGIME_TEST_REGIME_SERIES_H
#define BRAIN_REGIME_TEST_REGIME_SERIES_H

#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "feature/feature.h"

/* Log price p goes by drift + noise N(0, 1) - revert (p - home). */
struct series_kind {
    double drift, noise, revert;
};

struct series {
    struct feature_series *features;
    double log_price, home;
    int64_t ts_ns;
};

static inline uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240801;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static inline void series_init(struct series *s) {
    s->features = aligned_alloc(64, feature_series_size());
    if (!s->features) abort();
    feature_series_init(s->features, NS_PER_HOUR);
    s->log_price = s->home = 7;
    s->ts_ns = INT64_C(1704067200) * NS_PER_SECOND;
}

static inline void series_deinit(struct series *s) {
    free(s->features);
}

/* Four moves a bar, so that a bar has a range beyond its body; noise and drift are those of the
 * bar. */
static inline void series_step(float *row, struct series *s, const struct series_kind *kind,
                               struct rng *rng) {
    double open = s->log_price, top = open, bottom = open;
    for (int i = 0; i < 4; i++) {
        s->log_price += kind->drift / 4 + kind->noise / 2 * rng_normal(rng) -
                        kind->revert / 4 * (s->log_price - s->home);
        top = fmax(top, s->log_price);
        bottom = fmin(bottom, s->log_price);
    }
    assert_true(s->log_price > -5 && s->log_price < 22); /* what an e8 price can show */
    struct bar bar = {.open_ts_ns = s->ts_ns,
                      .open = px_e8((int64_t)(exp(open) * 1e8)),
                      .high = px_e8((int64_t)(exp(top) * 1e8)),
                      .low = px_e8((int64_t)(exp(bottom) * 1e8)),
                      .close = px_e8((int64_t)(exp(s->log_price) * 1e8)),
                      .volume = 1000,
                      .quote_volume = NAN,
                      .taker_buy_ratio = NAN,
                      .trade_count = BAR_COUNT_UNKNOWN};
    s->ts_ns += NS_PER_HOUR;
    feature_step(row, s->features, &bar);
}

#endif
