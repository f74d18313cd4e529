#include <math.h>

#include "learn/learn.h"

struct label_spec label_spec_defaults(void) {
    return (struct label_spec){.horizon_bars = 12,
                               .barrier_atr = 2.0,
                               .barrier_cost_multiple = 3.0,
                               .cost_round_trip = 0.0014};
}

bool label_spec_equal(const struct label_spec *a, const struct label_spec *b) {
    return a->horizon_bars == b->horizon_bars && a->barrier_atr == b->barrier_atr &&
           a->barrier_cost_multiple == b->barrier_cost_multiple &&
           a->cost_round_trip == b->cost_round_trip;
}

double label_barrier(const struct label_spec *spec, double atr_fraction) {
    double nearest = spec->barrier_cost_multiple * spec->cost_round_trip;
    double distance = spec->barrier_atr * atr_fraction;
    return distance < nearest ? nearest : distance; /* NaN stays NaN */
}

/* Whether the `horizon` bars behind t are all there, one interval apart. */
static bool horizon_is_whole(const struct bar *bars, size_t n, size_t t, uint32_t horizon,
                             int64_t interval_ns) {
    if (horizon >= n - t) return false;
    /* Ascending on the grid, so that the last one's time says there is none missing between. */
    return bars[t + horizon].open_ts_ns - bars[t].open_ts_ns == (int64_t)horizon * interval_ns;
}

static enum label outcome(uint32_t *end, const struct bar *bars, size_t t, uint32_t horizon,
                          double distance) {
    double close = (double)bars[t].close.e8;
    double upper = close * (1 + distance), lower = close * (1 - distance);
    for (size_t k = t + 1; k <= t + horizon; k++) {
        const struct bar *b = &bars[k];
        bool up = (double)b->high.e8 >= upper, down = (double)b->low.e8 <= lower;
        if (!up && !down) continue;
        *end = (uint32_t)k;
        if ((double)b->open.e8 >= upper) return LABEL_BUY;
        if ((double)b->open.e8 <= lower) return LABEL_SELL;
        /* Both within one bar: which came first is not known. */
        return up && down ? LABEL_HOLD : up ? LABEL_BUY : LABEL_SELL;
    }
    *end = (uint32_t)(t + horizon);
    return LABEL_HOLD;
}

double label_return(const struct bar *bars, size_t t, uint32_t end, enum label label,
                    double distance) {
    double close = (double)bars[t].close.e8, open = (double)bars[end].open.e8;
    double px = (double)bars[end].close.e8;
    if (label == LABEL_BUY) px = fmax(close * (1 + distance), open);
    if (label == LABEL_SELL) px = fmin(close * (1 - distance), open);
    return px / close - 1;
}

void label_make(int8_t *out_label, float *out_move, uint32_t *out_end, const struct bar *bars,
                const float *atr, size_t n, int64_t interval_ns, const struct label_spec *spec) {
    for (size_t t = 0; t < n; t++) {
        double distance = label_barrier(spec, (double)atr[t]);
        out_end[t] = (uint32_t)t;
        if (!isfinite(distance) || !horizon_is_whole(bars, n, t, spec->horizon_bars, interval_ns)) {
            out_label[t] = -1;
            out_move[t] = NAN;
            continue;
        }
        out_move[t] = (float)distance;
        out_label[t] = (int8_t)outcome(&out_end[t], bars, t, spec->horizon_bars, distance);
    }
}
