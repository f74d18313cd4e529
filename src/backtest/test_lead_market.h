/* A market whose truth is known: the sign of the next bars' drift is that of the takers' share, and from bar `turn` on its
 * opposite. */
#ifndef BACKTEST_TEST_LEAD_MARKET_H
#define BACKTEST_TEST_LEAD_MARKET_H

#include <math.h>

#include "base/fx.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "domain/bar.h"
#include "domain/instrument.h"

enum { PHASE = 24 /* bars, on average, for which takers lead one way */ };

static struct bar make_bar(struct rng *r, double *price, int64_t ts, double drift, double sigma) {
    double open = *price, high = open, low = open, p = open;
    for (int k = 0; k < 4; k++) {
        p *= 1 + drift / 4 + sigma / 2 * rng_normal(r);
        high = fmax(high, p);
        low = fmin(low, p);
    }
    *price = p;
    struct bar b = {.open_ts_ns = ts,
                    .open = px_e8(fx_from_f64(open)),
                    .high = px_e8(fx_from_f64(high)),
                    .low = px_e8(fx_from_f64(low)),
                    .close = px_e8(fx_from_f64(p)),
                    .volume = 1e5 * (0.5 + rng_f64(r)),
                    .taker_buy_ratio = (float)(0.35 + 0.3 * rng_f64(r)),
                    .trade_count = 500 + (uint32_t)rng_below(r, 500)};
    b.quote_volume = b.volume * p;
    return b;
}

/* The bars (count) of one symbol, minutes from start_ns on. */
static void lead_bars(struct bar *out, size_t count, int64_t start_ns, size_t turn, struct rng r) {
    double price = 100 * (1 + rng_f64(&r)), sigma = 0.0035;
    int phase = 0;
    for (size_t t = 0; t < count; t++) {
        if (rng_below(&r, PHASE) == 0) phase = (int)rng_below(&r, 3) - 1;
        double way = t < turn ? 1 : -1;
        out[t] = make_bar(&r, &price, start_ns + (int64_t)t * NS_PER_MINUTE,
                          0.5 * way * phase * sigma, sigma);
        out[t].taker_buy_ratio += (float)(0.2 * phase);
    }
}

/* Fine enough for any price of such a market. */
static void lead_instrument(struct instrument *in, const char *name) {
    instrument_defaults(in, name);
    in->tick_size.e8 = in->px_min.e8 = FX_ONE / 10000;
    in->step_size.e8 = in->market_step_size.e8 = FX_ONE / 1000;
    in->qty_min.e8 = in->market_qty_min.e8 = FX_ONE / 1000;
}

#endif
