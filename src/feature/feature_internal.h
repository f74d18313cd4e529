/* State of one symbol's columns. Plain numbers only, so that a memcpy is a checkpoint. */
#ifndef FEATURE_FEATURE_INTERNAL_H
#define FEATURE_FEATURE_INTERNAL_H

#include <stdalign.h>
#include <stdint.h>

#include "feature/feature.h"

__extension__ typedef __int128 feature_i128;

enum {
    WINDOW_SUM_BARS = 20,
    WINDOW_SUM_LANES = 8,
    SMA_LONG_BARS = 50,
    STOCHASTIC_BARS = 14,
    RANGE_BARS = 96,
    WILDER_BARS = 14,
    RING_BARS = 128, /* > 97: the longest look-back, a power of two */
    FOLD_VOLATILITY_BARS = 10,
    FOLD_RING = 16,
    FOLD_COLUMNS = 5,
};

/* Sums over the last 20 bars of 8 quantities at once, without subtraction and so without drift:
 * blocks of 20, the sum is suffix of the last block + prefix of this one. Row i of `part` holds
 * this block's values up to the current position, and beyond it the last block's suffix sums.
 * Source: two-stack aggregation; Tangwongsan, Hirzel, Schneider, "Low-latency sliding-window
 * aggregation" (2017). */
struct window_sum {
    alignas(64) double part[WINDOW_SUM_BARS + 1][WINDOW_SUM_LANES];
    double prefix[WINDOW_SUM_LANES];
};

/* Highest high and lowest low over a window by the same blocks.
 * Source: van Herk 1992; Gil, Werman 1993. The arrays belong to the owner: (window + 1) each. */
struct extreme {
    double high, low; /* of this block so far */
    uint32_t at;
    uint32_t reserved;
};

/* Fold of 4 or 16 base bars; `value` are the columns of the last closed fold. */
struct fold {
    double high, low, close; /* of the forming fold */
    double last_close;       /* of the last closed fold */
    double ema, gain, loss, atr;
    double value[FOLD_COLUMNS];
    int64_t return_q; /* sum of the forming fold's log returns */
    uint32_t filled;  /* base bars in the forming fold */
    uint32_t closed;  /* whole folds since the restart */
    int64_t returns[FOLD_RING];
};

struct feature_series {
    alignas(64) int64_t interval_ns;
    int64_t open_ts_ns; /* of the last bar */
    uint64_t grid;      /* last bar's number on the UTC grid */
    uint32_t bars;      /* since the restart; stops at UINT32_MAX / 2 */
    uint32_t at20;      /* position in window_sum's block */

    double open, high, low, close, volume; /* of the last bar; prices in e8 */
    double log_return;
    double ema10, ema12, ema20, ema26, ema50, ema200, macd_signal, volume_ema96;
    double gain, loss, atr, plus_dm, minus_dm, adx;
    double stochastic[2]; /* the last two %K */
    double volume_lag[2]; /* volumes 1 and 2 bars before the last one … */
    double taker_lag[2];  /* … and their taker buys - sells */

    /* Log returns in units of 2^-40, so that running sums are exact and never drift. */
    feature_i128 square6, square20, square96, product20;
    int64_t return20;
    double deviation20_previous; /* sqrt(n sum q^2 - (sum q)^2) one bar ago */
    feature_i128 close50;        /* e8 */

    struct window_sum sum20;
    struct extreme extreme14, extreme96;
    double high14[STOCHASTIC_BARS + 1], low14[STOCHASTIC_BARS + 1];
    double high96[RANGE_BARS + 1], low96[RANGE_BARS + 1];
    struct fold fold4, fold16;

    int64_t returns[RING_BARS];   /* 2^-40 */
    double closes[2 * RING_BARS]; /* e8; written twice, so that any window is contiguous */
};

/* One step's bar and what several groups of columns share. */
struct feature_step {
    double open, high, low, close, volume;
    double log_return;
    double true_range;
    double taker_signed; /* taker buys - sells, NaN if not known */
    double trade_count;  /* NaN if not known */
    int64_t return_q;
    uint32_t n; /* bars since the restart with this one */
};

void feature_fold_step(struct fold *fold, double *out, const struct feature_step *in, uint64_t grid,
                       uint32_t size);

/* Hash of names, order and versions of any rows: feature_list_hash() is this over the registry. */
uint64_t feature_hash_rows(const struct feature_desc *rows, uint32_t count);

/* a / b, or `otherwise` where b is 0. */
static inline double feature_ratio(double a, double b, double otherwise) {
    return b > 0 ? a / b : otherwise;
}

/* Exponential average begun with the mean of its first `period` values; n counts values, from 1.
 * Before `period` values *state holds their sum. */
static inline double feature_average(double *state, double x, uint32_t n, uint32_t period,
                                     double weight) {
    if (n > period)
        *state += weight * (x - *state);
    else if (n == period)
        *state = (*state + x) / period;
    else
        *state += x;
    return *state;
}

static inline double feature_wilder(double *state, double x, uint32_t n) {
    return feature_average(state, x, n, WILDER_BARS, 1.0 / WILDER_BARS);
}

/* Relative strength index of average gain and loss; 50 where nothing moved. */
static inline double feature_rsi(double gain, double loss) {
    return feature_ratio(100.0 * gain, gain + loss, 50.0);
}

#endif
