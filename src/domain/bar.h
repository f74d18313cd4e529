/* One closed candle, one cache line.
 *
 * Prices are e8. Volume is a double: hourly volume of contracts that bundle 1000 or 1M coins passes
 * the int64 range in e8, and volume feeds features and the depth model only, never an account. */
#ifndef DOMAIN_BAR_H
#define DOMAIN_BAR_H

#include <assert.h>
#include <math.h>
#include <stdint.h>

#include "base/fx.h"

#define BAR_COUNT_UNKNOWN UINT32_MAX

struct bar {
    int64_t open_ts_ns; /* start; the bar is known only at open_ts_ns + interval */
    px_t open, high, low, close;
    double volume;         /* base units */
    double quote_volume;   /* NaN when the source has none */
    float taker_buy_ratio; /* taker-buy share of volume, 0..1; NaN when the source has none */
    uint32_t trade_count;  /* BAR_COUNT_UNKNOWN when the source has none */
};
static_assert(sizeof(struct bar) == 64, "a bar is one cache line");

/* True if 0 < low <= open, close <= high, volume finite and >= 0. */
static inline int bar_is_possible(const struct bar *b) {
    return b->low.e8 > 0 && b->low.e8 <= b->open.e8 && b->low.e8 <= b->close.e8 &&
           b->open.e8 <= b->high.e8 && b->close.e8 <= b->high.e8 && isfinite(b->volume) &&
           b->volume >= 0;
}

#endif
